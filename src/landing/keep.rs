//! Removing old blobs.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use super::LandingError;
use crate::record::BlobId;

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Blobs.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Removes blobs older than `age` that nobody needs. Files that are no blobs are left alone.
pub(super) fn remove_older_than(
    root: &Path,
    age: Duration,
    mut needed: impl FnMut(BlobId) -> bool,
) -> Result<Removed, LandingError> {
    let mut removed = Removed::default();
    for folder in fs::read_dir(root).map_err(LandingError::failed("read", root))? {
        let folder = folder.map_err(LandingError::failed("read", root))?;
        let Some(first) = folder.file_name().to_str().filter(|name| name.len() == 2).map(str::to_owned) else {
            continue;
        };
        let folder = folder.path();
        if !folder.is_dir() {
            continue;
        }
        for blob in fs::read_dir(&folder).map_err(LandingError::failed("read", &folder))? {
            let blob = blob.map_err(LandingError::failed("read", &folder))?;
            let digits = format!("{first}{}", blob.file_name().to_string_lossy());
            let Ok(id) = digits.parse::<BlobId>() else { continue };
            let path = blob.path();
            let found = match blob.metadata() {
                Ok(found) => found,
                Err(cause) if cause.kind() == ErrorKind::NotFound => continue,
                Err(cause) => return Err(LandingError::failed("look at", &path)(cause)),
            };
            let is_old = found.modified().ok().and_then(|time| time.elapsed().ok()).is_some_and(|since| since > age);
            if !is_old || needed(id) {
                continue;
            }
            fs::remove_file(&path).map_err(LandingError::failed("remove", &path))?;
            removed.blobs += 1;
            removed.bytes += found.len();
        }
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::SystemTime;

    use super::super::tests::fresh;
    use super::*;

    #[test]
    fn old_blobs_go_unless_they_are_needed() {
        let (landing, _folder) = fresh();
        let day = Duration::from_secs(86_400);
        let [young, needed, old, landed_again] =
            ["young", "needed", "old!", "again"].map(|content| landing.store(content.as_bytes()).unwrap().id);
        for id in [needed, old, landed_again] {
            File::open(landing.path(id)).unwrap().set_modified(SystemTime::now() - 3 * day).unwrap();
        }
        landing.store(&b"again"[..]).unwrap();
        let foreign = landing.path(old).with_file_name("notes.txt");
        fs::write(&foreign, "not a blob").unwrap();

        let removed = landing.remove_older_than(2 * day, |id| id == needed).unwrap();
        assert_eq!(removed, Removed { blobs: 1, bytes: 4 });
        assert!(!landing.contains(old).unwrap() && foreign.exists());
        for id in [young, needed, landed_again] {
            landing.verify(id).unwrap();
        }
    }
}
