//! Hearing of new files from the kernel, where it hears of them itself.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use notify::event::{AccessKind, AccessMode, CreateKind, MetadataKind, ModifyKind, RenameMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use parking_lot::Mutex;

use super::mount;
use crate::adapters::inbox::Watching;

/// Watches the folder; `None` where nobody would tell (another machine writes the files) or the system cannot.
pub(super) fn watch(inbox: &Path, recursive: bool, ring: Box<dyn Fn() + Send + Sync>) -> Option<Watching> {
    if mount::is_remote(inbox) {
        tracing::debug!(inbox = %inbox.display(), "the inbox is a share: it is polled");
        return None;
    }
    let identity = identity(inbox)?;
    let hear = move |event: notify::Result<Event>| {
        // A fault may have swallowed events: better look once too often.
        if event.as_ref().map_or(true, tells_of_a_file) {
            ring();
        }
    };
    let mode = if recursive { RecursiveMode::Recursive } else { RecursiveMode::NonRecursive };
    let settings = notify::Config::default().with_follow_symlinks(false);
    let watcher = RecommendedWatcher::new(hear, settings).and_then(|mut watcher| {
        watcher.watch(inbox, mode)?;
        Ok(watcher)
    });
    match watcher {
        Ok(watcher) => {
            let folder: PathBuf = inbox.to_owned();
            let is_stale = move || self::identity(&folder) != Some(identity);
            Some(Watching::new(Mutex::new(watcher), is_stale))
        }
        Err(error) => {
            tracing::warn!(inbox = %inbox.display(), error = %error, "the inbox cannot be watched; it is polled");
            None
        }
    }
}

/// Which folder stands behind the name: one that was taken away and made anew is another.
fn identity(folder: &Path) -> Option<(u64, u64)> {
    fs::metadata(folder).ok().map(|meta| (meta.dev(), meta.ino()))
}

/// Whether a file may have become complete. Data that is being written, reads, and files that leave (our own
/// moves among them) tell nothing.
fn tells_of_a_file(event: &Event) -> bool {
    event.need_rescan()
        || match event.kind {
            EventKind::Create(kind) => kind != CreateKind::Other,
            EventKind::Access(kind) => kind == AccessKind::Close(AccessMode::Write),
            EventKind::Modify(ModifyKind::Name(mode)) => mode != RenameMode::From,
            EventKind::Modify(ModifyKind::Metadata(kind)) => kind != MetadataKind::AccessTime,
            _ => false,
        }
}
