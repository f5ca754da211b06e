//! What lies in the inbox.

use std::ffi::OsStr;
use std::fmt::Write;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::{InboxConfig, mount};
use crate::adapters::inbox::{Found, InboxError, Listing, Stamp};

/// Folders below folders: nobody sorts deliveries deeper than this, a loop of mounts would.
const DEEPEST: usize = 32;

/// Lists all regular files, with the stamps of those that are wanted.
pub(super) fn list(config: &InboxConfig, wanted: &dyn Fn(&str) -> bool) -> Result<Listing, InboxError> {
    let root = &config.inbox;
    let walk = Walk { root, recursive: config.pickup.recursive, has_our_clock: !mount::is_remote(root), wanted };
    let mut listing = Listing::default();
    walk.visit(Path::new(""), "", 0, &mut listing)
        .map_err(|source| InboxError::Inbox { place: root.display().to_string(), source })?;
    Ok(listing)
}

struct Walk<'a> {
    root: &'a Path,
    recursive: bool,
    has_our_clock: bool,
    wanted: &'a dyn Fn(&str) -> bool,
}

impl Walk<'_> {
    /// Lists one folder; `name` is its name below the inbox, with a `/` at its end. Whatever vanishes while we
    /// look was not there: that is no fault.
    fn visit(&self, below: &Path, name: &str, depth: usize, listing: &mut Listing) -> io::Result<()> {
        for entry in fs::read_dir(self.root.join(below))? {
            let entry = entry?;
            let name = format!("{name}{}", text(&entry.file_name()));
            let path = below.join(entry.file_name());
            // The type is that of the entry itself, so that a link is neither a file nor a folder.
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() && self.recursive && depth < DEEPEST && !entry.file_name().as_bytes().starts_with(b".") {
                match self.visit(&path, &format!("{name}/"), depth + 1, listing) {
                    Err(source) if source.kind() != io::ErrorKind::NotFound => {
                        let place = self.root.join(&path).display().to_string();
                        listing.closed.push(InboxError::File { place, source });
                    }
                    _ => {}
                }
            }
            if !kind.is_file() {
                continue;
            }
            if !(self.wanted)(&name) {
                listing.others.insert(name);
                continue;
            }
            let Ok(meta) = fs::symlink_metadata(self.root.join(&path)) else { continue };
            if meta.is_file() {
                let (stamp, has_our_clock) = (Stamp::of(&meta), self.has_our_clock);
                listing.found.push(Found { name, path, stamp, has_our_clock });
            }
        }
        Ok(())
    }
}

/// A file's name as text: bytes that are none are written as `%FF`.
pub(super) fn text(name: &OsStr) -> String {
    let mut text = String::with_capacity(name.len());
    for chunk in name.as_bytes().utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            // Writing to a string cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}
