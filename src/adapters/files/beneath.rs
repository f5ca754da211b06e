//! Reaching what lies below a folder without ever leaving it: no link on the way is followed.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path};

use rustix::fs::{CWD, Mode, OFlags, openat};

/// Opens the folder `below` the root. The root itself may be a link: it is what the site says it is.
pub(super) fn folder(root: &Path, below: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut at = openat(CWD, root, flags, Mode::empty())?;
    for part in below.components() {
        let Component::Normal(name) = part else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path leaves the inbox"));
        };
        at = openat(&at, name, flags | OFlags::NOFOLLOW, Mode::empty())?;
    }
    Ok(at)
}

/// Opens a file below the root for reading; a pipe that took its place does not block.
pub(super) fn file(root: &Path, below: &Path) -> io::Result<File> {
    let name = below.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let folder = folder(root, below.parent().unwrap_or(Path::new("")))?;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(File::from(openat(&folder, name, flags, Mode::empty())?))
}
