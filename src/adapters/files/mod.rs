//! The `files` backend: a folder that a legacy system puts files into, on a disk of this machine or on a share.
//!
//! What lies in the inbox is whatever somebody put there: names are bytes, folders and files may become links or
//! vanish at any moment. So every file is opened folder by folder without following a link, and judged by what
//! the open file says of itself.

mod beneath;
mod claim;
mod config;
mod mount;
mod moving;
mod outgoing;
mod walk;
mod watch;

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{Access, access};

use crate::adapters::inbox::{Candidate, Claim, Door, Fate, Inbox, InboxError, Listing, Stamp, Watching};
use crate::adapters::outbox::Outbox;
use crate::gate::Permit;

pub use config::{Config, InboxConfig, SECTION};
pub use outgoing::OutboxConfig;

/// The door to the folders in `config`. Touches nothing yet.
pub fn door(config: InboxConfig) -> Door {
    let pickup = config.pickup.clone();
    Door::new(Folder { config }, pickup)
}

impl Stamp {
    fn of(meta: &Metadata) -> Stamp {
        Stamp {
            size: meta.len(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
            inode: (meta.dev(), meta.ino()),
        }
    }
}

/// The outbox in `config`. Touches nothing yet.
pub fn outbox(config: OutboxConfig) -> Outbox {
    Outbox::new(outgoing::Outgoing(config))
}

/// The inbox that is a folder.
struct Folder {
    config: InboxConfig,
}

impl Folder {
    /// Why files will stay in the inbox. That is no fault: the ledger knows them. But somebody should know.
    fn immovable(&self) -> Vec<String> {
        let InboxConfig { inbox, archive, rejected, .. } = &self.config;
        let may_change = |folder: &Path| access(folder, Access::WRITE_OK | Access::EXEC_OK).is_ok();
        let mut doubts = Vec::new();
        if !may_change(inbox) {
            doubts.push(format!(
                "{}: files cannot be moved out of it; they stay and are not read again",
                inbox.display()
            ));
        }
        for folder in [archive, rejected] {
            // What is not there is made, in the first folder above it that is.
            let there = folder.ancestors().find(|folder| folder.as_os_str().is_empty() || folder.exists());
            let there = there.filter(|there| !there.as_os_str().is_empty()).unwrap_or(Path::new("."));
            if !there.is_dir() || !may_change(there) {
                let doubt = "files cannot be moved into it; they stay in the inbox and are not read again";
                doubts.push(format!("{}: {doubt}", folder.display()));
            }
        }
        doubts
    }
}

impl Inbox for Folder {
    fn place(&self) -> String {
        self.config.inbox.display().to_string()
    }

    fn probe(&self, permit: &Permit) -> Result<Vec<String>, InboxError> {
        let call = permit.begin();
        let result = fs::read_dir(&self.config.inbox).map(|_| self.immovable());
        call.answered();
        result.map_err(|source| InboxError::Inbox { place: self.place(), source })
    }

    fn list(&self, permit: &Permit, wanted: &dyn Fn(&str) -> bool) -> Result<Listing, InboxError> {
        let call = permit.begin();
        let result = walk::list(&self.config, wanted);
        call.answered();
        result
    }

    fn claim<'p>(
        &'p self,
        permit: &'p Permit,
        candidate: &Candidate,
        from: u64,
    ) -> Result<Box<dyn Claim + 'p>, InboxError> {
        Ok(Box::new(claim::OpenFile::open(&self.config.inbox, permit, candidate, from)?))
    }

    fn move_away(&self, permit: &Permit, candidate: &Candidate, fate: Fate) -> Result<String, InboxError> {
        let call = permit.begin();
        let result = moving::move_away(&self.config, candidate, fate);
        call.answered();
        result.map(|target| target.display().to_string())
    }

    fn watch(&self, permit: &Permit, ring: Box<dyn Fn() + Send + Sync>) -> Option<Watching> {
        let call = permit.begin();
        let watching = watch::watch(&self.config.inbox, self.config.pickup.recursive, ring);
        call.answered();
        watching
    }
}

#[cfg(test)]
mod tests;
