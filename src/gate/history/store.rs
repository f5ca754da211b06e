//! Calls of the past on disk: lines of JSON in files that are begun anew when they are large, the oldest removed.
//!
//! The gate only drops a call into a channel; a thread writes. Nothing is forced to disk, and what comes faster than it
//! is written is counted and left out. After a crash the last line may be torn: a line that cannot be read is passed
//! over.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use super::{Fate, Outcome, PastCall};
use crate::gate::{Lane, Priority};

/// Files that a folder's bound is divided into.
const FILES: u64 = 8;
/// So many at most, also when the service is started again and again.
const MOST_FILES: usize = 64;
/// Calls that wait to be written.
const WAITING: usize = 8192;
/// Calls are taken together that come within this time: a thread that waits for each would have to be woken by each, which
/// costs the caller more than all else that a call takes of the gate.
const GATHERED_FOR: Duration = Duration::from_millis(50);
/// What was written is in the file after this time.
const FLUSHED_EVERY: Duration = Duration::from_secs(1);
/// A client's name is cut here.
const LONGEST_NAME: usize = 64;

/// Writes calls into a folder. Dropping it writes what is left.
pub struct Recorder {
    sender: Option<SyncSender<PastCall>>,
    thread: Option<JoinHandle<()>>,
    left_out: AtomicU64,
}

impl Recorder {
    /// Keeps the newest calls in this folder, in `bound` bytes.
    pub fn start(folder: &Path, bound: u64) -> io::Result<Recorder> {
        fs::create_dir_all(folder)?;
        let (sender, receiver) = sync_channel(WAITING);
        let mut files = Files { folder: folder.to_owned(), bound, file: None, size: 0 };
        let thread =
            std::thread::Builder::new().name("gate-history".to_owned()).spawn(move || files.follow(&receiver))?;
        Ok(Recorder { sender: Some(sender), thread: Some(thread), left_out: AtomicU64::new(0) })
    }

    /// Notes a call. Never waits.
    pub fn note(&self, call: PastCall) {
        let is_taken = self.sender.as_ref().is_some_and(|sender| sender.try_send(call).is_ok());
        if !is_taken {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
        let left_out = self.left_out.load(Ordering::Relaxed);
        if left_out > 0 {
            tracing::warn!(left_out, "calls that came too fast are not in the gate's history");
        }
    }
}

/// The files of one folder, as their writer has them.
struct Files {
    folder: PathBuf,
    bound: u64,
    file: Option<BufWriter<File>>,
    size: u64,
}

impl Files {
    fn follow(&mut self, calls: &Receiver<PastCall>) {
        let mut flush_at: Option<Instant> = None;
        let mut has_failed = false;
        loop {
            let wait = flush_at.map_or(Duration::MAX, |at| at.saturating_duration_since(Instant::now()));
            let done = match calls.recv_timeout(wait.min(Duration::from_secs(3600))) {
                Ok(call) => {
                    flush_at.get_or_insert_with(|| Instant::now() + FLUSHED_EVERY);
                    std::thread::park_timeout(GATHERED_FOR);
                    self.write(&call)
                        .and_then(|()| calls.try_iter().take(WAITING).try_for_each(|call| self.write(&call)))
                }
                Err(RecvTimeoutError::Timeout) => Ok(()),
                Err(RecvTimeoutError::Disconnected) => {
                    let _ = self.flush();
                    return;
                }
            };
            let flushed = match flush_at {
                Some(at) if Instant::now() >= at => {
                    flush_at = None;
                    self.flush()
                }
                _ => Ok(()),
            };
            // A history that cannot be written must not stop a call; it is said once, until it works again.
            match done.and(flushed) {
                Ok(()) => {}
                Err(error) => {
                    self.file = None;
                    if !has_failed {
                        tracing::warn!(folder = %self.folder.display(), %error, "the gate's history cannot be written");
                    }
                    has_failed = true;
                    continue;
                }
            }
            has_failed = has_failed && self.file.is_none();
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), Write::flush)
    }

    fn write(&mut self, call: &PastCall) -> io::Result<()> {
        if self.size >= self.bound / FILES {
            self.flush()?;
            self.file = None;
        }
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let file = begin(&self.folder, self.bound)?;
                self.size = 0;
                self.file.insert(BufWriter::new(file))
            }
        };
        let line = line(call)?;
        self.size += line.len() as u64;
        file.write_all(&line)
    }
}

/// Begins a file, and removes the oldest so that the others fit into the bound together with it.
fn begin(folder: &Path, bound: u64) -> io::Result<File> {
    let mut kept = files(folder)?;
    let mut total: u64 = kept.iter().map(|(_, size)| size).sum();
    while total > bound - bound / FILES || kept.len() >= MOST_FILES {
        if kept.is_empty() {
            break;
        }
        let (oldest, size) = kept.remove(0);
        fs::remove_file(oldest)?;
        total -= size;
    }
    let millis = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
    let mut number = 0;
    loop {
        let path = folder.join(format!("calls-{millis:013}-{number:03}.ndjson"));
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            done => return done,
        }
    }
}

/// The files of a folder with their sizes, oldest first.
fn files(folder: &Path) -> io::Result<Vec<(PathBuf, u64)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("calls-") && name.ends_with(".ndjson") {
            found.push((entry.path(), entry.metadata()?.len()));
        }
    }
    found.sort();
    Ok(found)
}

/// Calls that came at `since` or later, in the order in which they came, and how many lines could not be read. A folder
/// that is not there has none.
pub fn read(folder: &Path, since: Duration) -> io::Result<(Vec<PastCall>, usize)> {
    let (mut calls, mut unreadable) = (Vec::new(), 0);
    let found = match files(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((calls, 0)),
        found => found?,
    };
    for (path, _) in found {
        let file = match File::open(path) {
            // The service has just removed it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            file => file?,
        };
        for line in BufReader::new(file).split(b'\n') {
            match parse(&line?) {
                Some(call) if call.came >= since => calls.push(call),
                Some(_) => {}
                None => unreadable += 1,
            }
        }
    }
    calls.sort_by_key(|call| call.came);
    Ok((calls, unreadable))
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// A call as a line: came, lane, client, weight, class, serial, wait, patience, then its fate. Times in microseconds.
fn line(call: &PastCall) -> io::Result<Vec<u8>> {
    let class = Priority::WORDS.iter().find(|(_, class)| *class == call.priority).map_or("", |(word, _)| word);
    let end = call.client.char_indices().nth(LONGEST_NAME).map_or(call.client.len(), |(end, _)| end);
    let client = call.client.get(..end).unwrap_or_default();
    let (lane, wait, patience) = (call.lane.as_str(), call.wait.map(micros), call.patience.map(micros));
    let asked = (micros(call.came), lane, client, call.weight, class, call.serial, wait, patience);
    let mut line = Vec::with_capacity(160);
    serde_json::to_writer(&mut line, &asked)?;
    // The fate is the last of the same list.
    line.pop();
    line.push(b',');
    match &call.fate {
        Fate::Served { waited, took, outcome, left, overdue } => {
            let word = Outcome::WORDS.iter().find(|(_, known)| known == outcome).map_or("", |(word, _)| word);
            let (waited, took, left) = (micros(*waited), micros(*took), left.map(micros));
            match overdue {
                Some(overdue) => {
                    serde_json::to_writer(&mut line, &("served", waited, took, word, left, micros(*overdue)))?;
                }
                None => serde_json::to_writer(&mut line, &("served", waited, took, word, left))?,
            }
        }
        Fate::Refused(reason) => serde_json::to_writer(&mut line, &("refused", reason))?,
        Fate::Left(after) => serde_json::to_writer(&mut line, &("left", micros(*after)))?,
    }
    line.extend_from_slice(b"]\n");
    Ok(line)
}

fn parse(line: &[u8]) -> Option<PastCall> {
    let parts: Vec<Value> = serde_json::from_slice(line).ok()?;
    let [came, lane, client, weight, class, serial, wait, patience, fate] = parts.as_slice() else { return None };
    let time = |value: &Value| value.as_u64().map(Duration::from_micros);
    let maybe = |value: &Value| if value.is_null() { Some(None) } else { time(value).map(Some) };
    let fate = match fate.as_array()?.as_slice() {
        [word, waited, took, outcome, left, overdue @ ..] if word == "served" && overdue.len() <= 1 => Fate::Served {
            waited: time(waited)?,
            took: time(took)?,
            outcome: Outcome::WORDS.iter().find(|(word, _)| outcome == *word)?.1,
            left: maybe(left)?,
            overdue: overdue.first().map_or(Some(None), maybe)?,
        },
        [word, reason] if word == "refused" => Fate::Refused(reason.as_str()?.to_owned()),
        [word, after] if word == "left" => Fate::Left(time(after)?),
        _ => return None,
    };
    Some(PastCall {
        came: time(came)?,
        lane: Lane::ALL.into_iter().find(|known| lane == known.as_str())?,
        client: Arc::from(client.as_str()?),
        weight: u32::try_from(weight.as_u64()?).ok()?,
        priority: Priority::WORDS.iter().find(|(word, _)| class == *word)?.1,
        serial: if serial.is_null() { None } else { Some(serial.as_u64()?) },
        wait: maybe(wait)?,
        patience: maybe(patience)?,
        fate,
    })
}
