//! Landing: raw input, stored once under the SHA-256 of its content before anything interprets it.
//!
//! A blob is written beside its final place, synced, and renamed to it: what has a name here is whole, on the disk,
//! and never changes again. The same content landed twice is one file. Everything later (decoding, replay,
//! tracing a document back) reads from here, so that the backend is read once.
//!
//! The folder: `ab/cdef…` for the blob `abcdef…`, and `incoming/` for what is being written. Several processes
//! may land at once. All calls block; use a blocking thread. Landing does not know what a blob holds, nor who still
//! needs it: whoever removes old ones says which must stay.

mod incoming;
mod keep;
mod partial;

use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

use crate::record::BlobId;

pub use keep::Removed;
pub use partial::Partial;

use incoming::Incoming;

/// How much is read, hashed and written at a time.
const BLOCK: usize = 1 << 20;

/// Where raw input is kept, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The folder.
    pub path: PathBuf,
    /// Blobs not landed again for this long may be removed.
    pub keep: Duration,
}

/// Why landing cannot do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum LandingError {
    /// The input could not be read to its end; nothing was landed.
    #[error("the input cannot be read: {0}; nothing of it was landed")]
    Input(#[source] io::Error),
    /// The disk is full, or the quota used up.
    #[error("landing: no space left for {}; free space, nothing was lost", path.display())]
    DiskFull {
        /// What was being written.
        path: PathBuf,
    },
    /// There is no such blob.
    #[error("landing has no {id}: it was removed after `landing.keep`, or {} is another folder than before", folder.display())]
    Missing {
        /// The blob.
        id: BlobId,
        /// The landing folder.
        folder: PathBuf,
    },
    /// The stored bytes are not those that were landed.
    #[error("{} is damaged: its content is {found}; restore it from a backup or land the input again", path.display())]
    Damaged {
        /// The blob's file.
        path: PathBuf,
        /// The SHA-256 of what is there.
        found: BlobId,
    },
    /// The file system refuses.
    #[error("landing: cannot {doing} {}: {source}", path.display())]
    Failed {
        /// A verb: "open", "rename".
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's own words.
        source: io::Error,
    },
}

impl LandingError {
    fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> LandingError {
        let path = path.to_owned();
        move |source| match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => LandingError::DiskFull { path },
            _ => LandingError::Failed { doing, path, source },
        }
    }
}

/// A piece of input that is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Landed {
    /// The SHA-256 of its content.
    pub id: BlobId,
    /// Bytes.
    pub size: u64,
    /// Whether it was there already.
    pub known: bool,
}

/// The store.
#[derive(Clone, Debug)]
pub struct Landing {
    folder: PathBuf,
    incoming: PathBuf,
}

impl Landing {
    /// Opens the store; makes its folder (0700) when it is missing, and removes what a crash left half written.
    pub fn open(config: &Config) -> Result<Landing, LandingError> {
        let landing = Landing { folder: config.path.clone(), incoming: config.path.join("incoming") };
        make_folder(&landing.incoming)?;
        incoming::sweep(&landing.incoming)?;
        Ok(landing)
    }

    /// Stores what `input` gives until its end. When this answers, the content is on the disk.
    pub fn store(&self, input: impl Read) -> Result<Landed, LandingError> {
        self.finish(&mut Incoming::create(&self.incoming)?, Sha256::new(), 0, input)
    }

    /// Takes the rest of a blob whose beginning, `size` bytes, is written and hashed already.
    fn finish(
        &self,
        incoming: &mut Incoming,
        mut hasher: Sha256,
        mut size: u64,
        mut input: impl Read,
    ) -> Result<Landed, LandingError> {
        let mut block = vec![0; BLOCK];
        loop {
            let content = match input.read(&mut block) {
                Ok(0) => break,
                Ok(count) => &block[..count],
                Err(cause) if cause.kind() == ErrorKind::Interrupted => continue,
                Err(cause) => return Err(LandingError::Input(cause)),
            };
            hasher.update(content);
            incoming.write(content)?;
            size += content.len() as u64;
        }
        let id = BlobId(hasher.finalize().into());
        let known = self.is_whole(id, size)?;
        if known {
            self.touch(id)?;
        } else {
            self.adopt(incoming, id)?;
        }
        Ok(Landed { id, size, known })
    }

    /// Opens a blob for reading.
    pub fn open_blob(&self, id: BlobId) -> Result<File, LandingError> {
        let path = self.path(id);
        File::open(&path).map_err(|cause| match cause.kind() {
            ErrorKind::NotFound => LandingError::Missing { id, folder: self.folder.clone() },
            _ => LandingError::failed("open", &path)(cause),
        })
    }

    /// Where a blob is, or would be.
    pub fn path(&self, id: BlobId) -> PathBuf {
        let digits = id.to_string();
        let (folder, name) = digits.split_at(2);
        self.folder.join(folder).join(name)
    }

    /// Whether a blob is there.
    pub fn contains(&self, id: BlobId) -> Result<bool, LandingError> {
        let path = self.path(id);
        path.try_exists().map_err(LandingError::failed("look for", &path))
    }

    /// Reads a blob to its end and compares its content with its name.
    pub fn verify(&self, id: BlobId) -> Result<(), LandingError> {
        let mut file = self.open_blob(id)?;
        let path = self.path(id);
        let mut hasher = Sha256::new();
        let mut block = vec![0; BLOCK];
        loop {
            let filled = fill(&mut file, &mut block).map_err(LandingError::failed("read", &path))?;
            hasher.update(&block[..filled]);
            if filled < BLOCK {
                break;
            }
        }
        let found = BlobId(hasher.finalize().into());
        if found == id { Ok(()) } else { Err(LandingError::Damaged { path, found }) }
    }

    /// Removes blobs that were last landed longer ago than `age` and for which `needed` says no.
    pub fn remove_older_than(
        &self,
        age: Duration,
        needed: impl FnMut(BlobId) -> bool,
    ) -> Result<Removed, LandingError> {
        keep::remove_older_than(&self.folder, age, needed)
    }

    /// Whether the blob is there with the size that it must have; a cut one is written anew.
    fn is_whole(&self, id: BlobId, size: u64) -> Result<bool, LandingError> {
        let path = self.path(id);
        match fs::metadata(&path) {
            Ok(found) => Ok(found.is_file() && found.len() == size),
            Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(false),
            Err(cause) => Err(LandingError::failed("look at", &path)(cause)),
        }
    }

    /// Notes that the content was landed again, for [`Landing::remove_older_than`].
    fn touch(&self, id: BlobId) -> Result<(), LandingError> {
        let file = self.open_blob(id)?;
        let path = self.path(id);
        file.set_modified(SystemTime::now()).map_err(LandingError::failed("touch", &path))
    }

    fn adopt(&self, incoming: &mut Incoming, id: BlobId) -> Result<(), LandingError> {
        let path = self.path(id);
        let folder = path.parent().unwrap_or(&self.folder);
        make_folder(folder)?;
        incoming.rename_to(&path)?;
        sync_folder(folder)?;
        sync_folder(&self.folder)
    }
}

/// Reads until the block is full or the input ends.
fn fill(input: &mut impl Read, block: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < block.len() {
        match input.read(&mut block[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(cause) if cause.kind() == ErrorKind::Interrupted => {}
            Err(cause) => return Err(cause),
        }
    }
    Ok(filled)
}

fn make_folder(path: &Path) -> Result<(), LandingError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(LandingError::failed("make the folder", path))
}

/// Makes a rename survive a power failure.
fn sync_folder(path: &Path) -> Result<(), LandingError> {
    let synced = File::open(path).and_then(|folder| folder.sync_all());
    synced.map_err(LandingError::failed("sync the folder", path))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::os::unix::fs::PermissionsExt;

    use proptest::prelude::*;

    use super::*;

    pub(super) fn fresh() -> (Landing, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let config = Config { path: folder.path().join("deep/landing"), keep: Duration::from_secs(60) };
        (Landing::open(&config).unwrap(), folder)
    }

    fn read_back(landing: &Landing, id: BlobId) -> Vec<u8> {
        let mut content = Vec::new();
        landing.open_blob(id).unwrap().read_to_end(&mut content).unwrap();
        content
    }

    fn count_incoming(landing: &Landing) -> usize {
        fs::read_dir(&landing.incoming).unwrap().count()
    }

    /// Gives odd pieces, and fails at the end if told so.
    struct Pieces<'a> {
        content: &'a [u8],
        piece: usize,
        fails: bool,
    }

    impl Read for Pieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.content.is_empty() && self.fails {
                return Err(io::Error::other("the line was cut"));
            }
            let count = self.piece.min(buffer.len()).min(self.content.len());
            let (now, later) = self.content.split_at(count);
            buffer[..count].copy_from_slice(now);
            self.content = later;
            Ok(count)
        }
    }

    #[test]
    fn the_name_is_the_standard_sha256() {
        let (landing, _folder) = fresh();
        for (content, expected) in [
            ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ] {
            let landed = landing.store(content.as_bytes()).unwrap();
            assert_eq!(
                (landed.id.to_string().as_str(), landed.size, landed.known),
                (expected, content.len() as u64, false)
            );
            assert_eq!(read_back(&landing, landed.id), content.as_bytes());
            assert!(landing.path(landed.id).ends_with(format!("{}/{}", &expected[..2], &expected[2..])));
        }
        assert_eq!(count_incoming(&landing), 0);
    }

    #[test]
    fn the_same_content_is_one_file_that_nobody_changes() {
        let (landing, _folder) = fresh();
        let first = landing.store(&b"once"[..]).unwrap();
        let again = landing.store(&b"once"[..]).unwrap();
        assert_eq!((again.id, again.known), (first.id, true));
        let mode = fs::metadata(landing.path(first.id)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o440);
        assert_eq!(fs::metadata(&landing.folder).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(count_incoming(&landing), 0);
        assert!(landing.contains(first.id).unwrap());
        assert!(!landing.contains(BlobId([0; 32])).unwrap());
    }

    #[test]
    fn input_that_breaks_off_is_not_landed() {
        let (landing, _folder) = fresh();
        let content = vec![7; BLOCK + 5];
        let broken = landing.store(Pieces { content: &content, piece: 1000, fails: true }).unwrap_err();
        assert!(broken.to_string().contains("the line was cut"), "{broken}");
        assert_eq!(count_incoming(&landing), 0);
        assert!(!landing.contains(BlobId(Sha256::digest(&content).into())).unwrap());
    }

    #[test]
    fn damage_is_seen_and_a_cut_blob_is_landed_anew() {
        let (landing, _folder) = fresh();
        let landed = landing.store(&b"the whole content"[..]).unwrap();
        landing.verify(landed.id).unwrap();
        fs::remove_file(landing.path(landed.id)).unwrap();
        fs::write(landing.path(landed.id), "the whole").unwrap();
        assert!(matches!(landing.verify(landed.id), Err(LandingError::Damaged { .. })));
        assert!(!landing.store(&b"the whole content"[..]).unwrap().known);
        landing.verify(landed.id).unwrap();
    }

    #[test]
    fn a_missing_blob_is_named() {
        let (landing, _folder) = fresh();
        let missing = landing.open_blob(BlobId([0xab; 32])).unwrap_err().to_string();
        assert!(missing.contains(&"ab".repeat(32)) && missing.contains("landing.keep"), "{missing}");
    }

    #[test]
    fn many_may_land_the_same_at_once() {
        let (landing, _folder) = fresh();
        let content = vec![1; 300_000];
        let landed: Vec<Landed> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| landing.store(&content[..]).unwrap())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(landed.iter().all(|one| one.id == landed[0].id));
        landing.verify(landed[0].id).unwrap();
        assert_eq!(count_incoming(&landing), 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn whatever_is_landed_reads_back(
            length in prop_oneof![0usize..2000, (BLOCK - 2)..(BLOCK + 2), (2 * BLOCK - 2)..(2 * BLOCK + 2)],
            piece in 1usize..70_000,
            seed in any::<u8>(),
        ) {
            let (landing, _folder) = fresh();
            let content: Vec<u8> = (0..length).map(|n| (n as u8).wrapping_mul(31) ^ (n >> 8) as u8 ^ seed).collect();
            let landed = landing.store(Pieces { content: &content, piece, fails: false }).unwrap();
            prop_assert_eq!(landed.size, length as u64);
            prop_assert_eq!(landed.id, BlobId(Sha256::digest(&content).into()));
            prop_assert_eq!(read_back(&landing, landed.id), content.clone());
            landing.verify(landed.id).unwrap();
            prop_assert!(landing.store(Cursor::new(content)).unwrap().known);
        }
    }
}
