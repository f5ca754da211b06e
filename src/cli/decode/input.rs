//! The file that a command reads, which may be a pipe: that is read once, in order, and can go back only as far as its
//! start is kept.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::os::fd::AsFd;
use std::path::Path;

/// How much of the start of a pipe is kept: as much as is looked at to find out what it is.
const KEPT: usize = 1 << 20;

/// See the module.
pub(crate) struct Input {
    file: File,
    pipe: Option<Pipe>,
}

/// A pipe that was read up to `read`, and goes on at `at`.
#[derive(Default)]
struct Pipe {
    start: Vec<u8>,
    read: u64,
    at: u64,
}

impl Input {
    /// Opens a file or a pipe; `-` is the standard input. Answers its size too, where it has one.
    pub(crate) fn open(path: &Path) -> io::Result<(Input, u64)> {
        let mut file = match path {
            _ if path == Path::new("-") => File::from(io::stdin().as_fd().try_clone_to_owned()?),
            _ => File::open(path)?,
        };
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::Error::from(ErrorKind::IsADirectory));
        }
        let pipe = file.stream_position().is_err().then(Pipe::default);
        Ok((Input { file, pipe }, metadata.len()))
    }

    /// The same with these bytes in the place of what was in it, which was read to its end.
    pub(crate) fn holding(self, bytes: Vec<u8>) -> Input {
        let read = bytes.len() as u64;
        Input { file: self.file, pipe: Some(Pipe { start: bytes, read, at: 0 }) }
    }

    /// An error where what was read already cannot be read once more.
    pub(crate) fn check_start(&self) -> io::Result<()> {
        match &self.pipe {
            Some(pipe) if pipe.read > pipe.start.len() as u64 => Err(no_way_back("go back in it")),
            _ => Ok(()),
        }
    }
}

fn no_way_back(what: &str) -> io::Error {
    let message = format!("it is a pipe, and this layout has to {what}: put it into a file first");
    io::Error::new(ErrorKind::Unsupported, message)
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(pipe) = &mut self.pipe else { return self.file.read(buffer) };
        let at = usize::try_from(pipe.at).unwrap_or(usize::MAX);
        if let Some(kept) = pipe.start.get(at..).filter(|kept| !kept.is_empty()) {
            let length = kept.len().min(buffer.len());
            buffer[..length].copy_from_slice(&kept[..length]);
            pipe.at += length as u64;
            return Ok(length);
        }
        if pipe.at != pipe.read {
            return Err(no_way_back("go back in it"));
        }
        let length = self.file.read(buffer)?;
        let room = KEPT.saturating_sub(pipe.start.len());
        if pipe.read == pipe.start.len() as u64 {
            pipe.start.extend_from_slice(&buffer[..length.min(room)]);
        }
        pipe.read += length as u64;
        pipe.at = pipe.read;
        Ok(length)
    }
}

impl Seek for Input {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let Some(pipe) = &mut self.pipe else { return self.file.seek(to) };
        let wanted = match to {
            SeekFrom::Start(wanted) => Some(wanted),
            SeekFrom::Current(by) => pipe.at.checked_add_signed(by),
            SeekFrom::End(_) => return Err(no_way_back("know where it ends")),
        };
        let Some(wanted) = wanted else { return Err(ErrorKind::InvalidInput.into()) };
        if wanted <= pipe.start.len() as u64 || wanted == pipe.read {
            pipe.at = wanted;
            return Ok(wanted);
        }
        if wanted < pipe.read {
            return Err(no_way_back("go back in it"));
        }
        pipe.at = pipe.read;
        let mut piece = vec![0u8; 64 << 10];
        while let Some(left) = self.pipe.as_ref().map(|pipe| wanted - pipe.at).filter(|left| *left > 0) {
            let length = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            if self.read(&mut piece[..length])? == 0 {
                break;
            }
        }
        Ok(wanted)
    }
}
