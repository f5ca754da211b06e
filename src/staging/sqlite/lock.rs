//! One run a resource at a time, over all processes.
//!
//! A lock of the operating system on a file beside the database: it goes with the process, however that ends, so
//! that no lock is ever left behind. The files are empty and stay; removing one while another process waits for
//! it would let two in.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use super::fault::Fault;
use crate::record::ResourceId;
use crate::staging::{RunLock, StagingError};

/// Takes the resource, or says that it is taken.
pub(super) fn take(database: &Path, resource: &ResourceId) -> Result<RunLock, Fault> {
    let mut folder = database.as_os_str().to_owned();
    folder.push("-locks");
    let folder = Path::new(&folder);
    let path = folder.join(resource.to_string());
    let told = |cause: std::io::Error| Fault::Broken(format!("lock file {}: {cause}", path.display()));

    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(told)?;
    let mut options = OpenOptions::new();
    let file: File = options.write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(told)?;
    match file.try_lock() {
        Ok(()) => Ok(RunLock::new(file)),
        Err(TryLockError::WouldBlock) => Err(StagingError::Locked(resource.clone()).into()),
        Err(TryLockError::Error(cause)) => Err(told(cause)),
    }
}
