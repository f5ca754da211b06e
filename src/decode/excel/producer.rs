//! A sheet as a stream of cells, of which a thread of its own is the source.
//!
//! The library's readers of cells borrow the workbook that they read from and cannot be put aside between two rows, but
//! on a stack of their own. That is all the thread is for: it has no input. It asks for bytes, and whoever wants the next
//! cell reads them for it meanwhile ([`Sheet::next`]). So the input may be anything, nothing is read while nobody asks, and
//! the same bytes give the same cells. The thread ends by itself once nobody listens.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

use super::cell::Cell;
use super::quiet::caught;
use super::settings::Settings;
use super::survey::Survey;
use super::workbook::{Piece, Stop, Unfit, read, too_large};
use crate::decode::reader::StreamFault;

/// Bytes that are handed over at a time.
const BYTES: usize = 64 << 10;

/// What the thread says.
enum Told {
    /// The next bytes that it needs begin here.
    Wants(u64),
    Piece(Piece),
    Failed(Unfit),
    /// There was no cell behind the last one. A thread that ends without a word has not read the sheet to its end.
    End,
}

/// The cells of one sheet by rows and columns, with what is known of them as a whole.
pub(super) struct Sheet<R> {
    pub(super) name: String,
    pub(super) survey: Survey,
    source: Source<R>,
    cells: std::vec::IntoIter<Cell>,
    /// The thread has said that there is no cell more.
    ended: bool,
}

struct Source<R> {
    input: R,
    told: Receiver<Told>,
    bytes: Sender<Vec<u8>>,
}

impl<R: Read + Seek> Sheet<R> {
    /// Finds the sheet that the settings mean and reads it once, to know that it can be read and what it looks like.
    pub(super) fn open(mut input: R, settings: &Settings) -> Result<Sheet<R>, StreamFault> {
        let length = input.seek(SeekFrom::End(0))?;
        if length > settings.max_bytes {
            return Err(too_large("has", settings).into());
        }
        let (tell, told) = sync_channel(1);
        let (bytes, received) = channel();
        let settings = settings.clone();
        let remote = Remote { tell: tell.clone(), received, length, position: 0, piece: Vec::new(), start: 0 };
        thread::Builder::new().name("workbook".to_owned()).spawn(move || produce(remote, &settings, &tell))?;
        let mut source = Source { input, told, bytes };
        match source.next()? {
            Some(Piece::Sheet(name, survey)) => {
                let cells = Vec::new().into_iter();
                Ok(Sheet { name, survey: *survey, source, cells, ended: false })
            }
            Some(Piece::Cells(_)) | None => Err(damaged().into()),
        }
    }

    /// The next cell; `None` behind the last one.
    pub(super) fn next(&mut self) -> Result<Option<Cell>, StreamFault> {
        loop {
            if let Some(cell) = self.cells.next() {
                return Ok(Some(cell));
            }
            if self.ended {
                return Ok(None);
            }
            match self.source.next()? {
                Some(Piece::Cells(cells)) => self.cells = cells.into_iter(),
                Some(Piece::Sheet(..)) => return Err(damaged().into()),
                None => self.ended = true,
            }
        }
    }
}

impl<R: Read + Seek> Source<R> {
    /// What the thread hands on next, which is given the bytes that it asks for meanwhile.
    fn next(&mut self) -> Result<Option<Piece>, StreamFault> {
        loop {
            match self.told.recv() {
                Ok(Told::Wants(start)) => {
                    let mut bytes = Vec::with_capacity(BYTES);
                    self.input.seek(SeekFrom::Start(start))?;
                    self.input.by_ref().take(BYTES as u64).read_to_end(&mut bytes)?;
                    // A thread that is not there any more is told of by what it does not say.
                    let _ = self.bytes.send(bytes);
                }
                Ok(Told::Piece(piece)) => return Ok(Some(piece)),
                Ok(Told::Failed(unfit)) => return Err(unfit.into()),
                Ok(Told::End) => return Ok(None),
                Err(_) => return Err(damaged().into()),
            }
        }
    }
}

fn damaged() -> Unfit {
    Unfit::unreadable("the workbook is damaged: it cannot be read")
}

/// The thread's work: to read the workbook, and to say what becomes of that.
fn produce(remote: Remote, settings: &Settings, tell: &SyncSender<Told>) {
    let mut hand_on = |piece| tell.send(Told::Piece(piece)).map_err(|_| Stop::Unheard);
    // A broken workbook must not end the process, whatever the library makes of it.
    let last = match caught(|| read(remote, settings, &mut hand_on)) {
        Some(Ok(())) => Told::End,
        Some(Err(Stop::Unfit(unfit))) => Told::Failed(unfit),
        Some(Err(Stop::Unheard)) => return,
        None => Told::Failed(damaged()),
    };
    // Whoever does not listen any more does not want to know.
    let _ = tell.send(last);
}

/// The input as the thread sees it.
struct Remote {
    tell: SyncSender<Told>,
    received: Receiver<Vec<u8>>,
    length: u64,
    position: u64,
    /// The bytes that were received last, and where they begin.
    piece: Vec<u8>,
    start: u64,
}

impl Read for Remote {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.position >= self.length {
            return Ok(0);
        }
        let start = self.position / BYTES as u64 * BYTES as u64;
        if self.piece.is_empty() || self.start != start {
            let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
            self.tell.send(Told::Wants(start)).map_err(|_| gone())?;
            self.piece = self.received.recv().map_err(|_| gone())?;
            self.start = start;
        }
        let from = usize::try_from(self.position - start).unwrap_or(usize::MAX);
        let bytes = self.piece.get(from..).unwrap_or_default();
        let length = bytes.len().min(buffer.len());
        buffer[..length].copy_from_slice(&bytes[..length]);
        self.position += length as u64;
        Ok(length)
    }
}

impl Seek for Remote {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => self.length.checked_add_signed(by),
        };
        self.position = target.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.position)
    }
}
