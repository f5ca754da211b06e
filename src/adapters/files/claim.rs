//! One reading of one file.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::beneath;
use crate::adapters::inbox::{Candidate, Claim, InboxError, Stamp};
use crate::gate::{Call, Permit};

/// A file of the inbox, open.
pub(super) struct OpenFile<'p> {
    file: File,
    path: PathBuf,
    stamp: Stamp,
    read: u64,
    call: Option<Call<'p>>,
}

impl<'p> OpenFile<'p> {
    /// Opens it, unless it is another than the one that was found.
    pub(super) fn open(
        inbox: &Path,
        permit: &'p Permit,
        candidate: &Candidate,
        from: u64,
    ) -> Result<OpenFile<'p>, InboxError> {
        let call = permit.begin();
        let path = inbox.join(&candidate.path);
        let opened = beneath::file(inbox, &candidate.path).and_then(|mut file| {
            let meta = file.metadata()?;
            file.seek(SeekFrom::Start(from))?;
            Ok((file, meta))
        });
        match opened {
            Ok((file, meta)) if meta.is_file() && Stamp::of(&meta) == candidate.stamp => {
                Ok(OpenFile { file, path, stamp: candidate.stamp, read: from, call: Some(call) })
            }
            Ok(_) => {
                call.answered();
                Err(InboxError::Changed { place: path.display().to_string() })
            }
            Err(source) => {
                call.answered();
                Err(InboxError::file(path.display().to_string(), source))
            }
        }
    }
}

impl Claim for OpenFile<'_> {
    fn finish(mut self: Box<Self>) -> Result<(), InboxError> {
        let still = self.file.metadata().map(|meta| Stamp::of(&meta) == self.stamp);
        let in_place = fs::symlink_metadata(&self.path).map(|meta| Stamp::of(&meta) == self.stamp);
        if let Some(call) = self.call.take() {
            call.answered();
        }
        let place = self.path.display().to_string();
        match (still, in_place) {
            (Ok(true), Ok(true)) if self.read == self.stamp.size => Ok(()),
            (Err(source), _) => Err(InboxError::File { place, source }),
            _ => Err(InboxError::Changed { place }),
        }
    }
}

impl Drop for OpenFile<'_> {
    /// A reading given up half-way is over too: between two reads the backend does nothing for us.
    fn drop(&mut self) {
        if let Some(call) = self.call.take() {
            call.answered();
        }
    }
}

impl Read for OpenFile<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.read += count as u64;
        Ok(count)
    }
}
