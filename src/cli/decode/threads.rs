//! Decoding on several threads, all of which do the same: take the next records from the reader, write them as JSON, and
//! hand the text on.
//!
//! Taking is done by one thread at a time and is a small part of the work. What is written goes out in the order of the file:
//! the thread whose turn it is writes its own text while it is in its cache, and what others have left there before their
//! turn. None waits for another unless it is far ahead, which bounds memory.

use std::collections::BTreeMap;

use parking_lot::{Condvar, Mutex};

use super::{Failure, Input, Output, to_stdout};
use crate::decode::{Detached, Item, JsonOptions, LARGE, Reader, Resume, StreamFault, Stretch};
use crate::record::{Part, Position, Reject};

/// About how many bytes of the file a thread takes at once: the JSON of so many stays in the cache of its core.
const STRETCH: usize = 128 << 10;

/// So many batches for each thread may wait for one that is late: as much as a thread gets done while another waits for its
/// turn on the processor.
const AHEAD: u64 = 8;

/// Some records: their bytes one after another, where each one lies in them, and what became of them; or a stretch of the
/// file in which they are to be found. Batches are used again, so that their room is made once.
#[derive(Default)]
struct Batch {
    stretch: Option<Stretch>,
    bytes: Vec<u8>,
    /// Where each record ends in the bytes, and its parts among the parts.
    records: Vec<(usize, usize, Position)>,
    parts: Vec<Part>,
    rejects: Vec<Reject>,
    json: Vec<u8>,
    /// What its positions count from, and to.
    from: Resume,
    to: Resume,
    /// Whether its last record is so large that it is written in pieces.
    is_large: bool,
    /// Why its stretch cannot be followed any further.
    lost: Option<StreamFault>,
    /// Bytes of the file that were read for it and all before it.
    read_to: u64,
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.stretch.is_none() && self.records.is_empty() && self.rejects.is_empty()
    }

    fn clear(&mut self) {
        self.stretch = None;
        self.is_large = false;
        self.bytes.clear();
        self.records.clear();
        self.parts.clear();
        self.rejects.clear();
        self.json.clear();
        (self.from, self.to, self.lost) = (Resume::default(), Resume::default(), None);
    }

    /// Takes a stretch or records from the reader until it is full.
    fn fill(&mut self, reader: &mut Reader<Input>, options: &JsonOptions, lost: &mut Option<StreamFault>) {
        if lost.is_none() {
            match reader.stretch(STRETCH, options) {
                Ok(stretch) => self.stretch = stretch,
                Err(fault) => *lost = Some(fault),
            }
        }
        match &self.stretch {
            Some(stretch) => self.from = stretch.from(),
            None => {
                self.from = reader.resume_point();
                self.take_records(reader, lost);
                self.to = reader.resume_point();
            }
        }
        self.read_to = reader.consumed();
    }

    fn take_records(&mut self, reader: &mut Reader<Input>, lost: &mut Option<StreamFault>) {
        while self.bytes.len() < STRETCH && !self.is_large && self.rejects.len() < 100 && lost.is_none() {
            match reader.next() {
                Ok(None) => break,
                Ok(Some(Item::Skipped)) => {}
                Ok(Some(Item::Reject(reject))) => self.rejects.push(reject),
                Ok(Some(Item::Record(record))) => {
                    self.is_large = record.raw.len() > LARGE;
                    self.bytes.extend_from_slice(record.raw);
                    self.parts.extend_from_slice(record.fields.parts());
                    self.records.push((self.bytes.len(), self.parts.len(), record.position));
                }
                Err(fault) => *lost = Some(fault),
            }
        }
    }

    /// Writes the records as JSON.
    fn write(&mut self, detached: &Detached<'_>, options: &JsonOptions) {
        if let Some(stretch) = self.stretch.take() {
            match detached.write_stretch(stretch, options, &mut self.json, &mut self.rejects) {
                Ok(to) => self.to = to,
                Err(fault) => self.lost = Some(fault),
            }
            return;
        }
        let (mut start, mut first_part) = (0, 0);
        for &(end, end_part, position) in &self.records {
            let raw = self.bytes.get(start..end).unwrap_or_default();
            if raw.len() > LARGE {
                break;
            }
            let parts = self.parts.get(first_part..end_part).unwrap_or_default();
            match detached.write_json(raw, parts, position, options, &mut self.json) {
                Ok(()) => self.json.push(b'\n'),
                Err(reject) => self.rejects.push(reject),
            }
            (start, first_part) = (end, end_part);
        }
        self.rejects.sort_by_key(|reject| reject.position.record);
    }

    /// Writes the last record, where it is a large one, behind all the others.
    fn write_large(
        &mut self,
        detached: &Detached<'_>,
        options: &JsonOptions,
        output: &mut Output,
    ) -> Result<(), Failure> {
        let Some((_, _, position)) = self.records.pop().filter(|_| self.is_large) else { return Ok(()) };
        let (from, first_part) = self.records.last().map_or((0, 0), |&(end, part, _)| (end, part));
        let raw = self.bytes.get(from..).unwrap_or_default();
        let parts = self.parts.get(first_part..).unwrap_or_default();
        let written = detached.write_pieces(raw, parts, position, options, &mut to_stdout);
        output.written_large(written)
    }
}

/// What the threads share.
struct Shared<'a> {
    source: Mutex<Source<'a>>,
    sink: Mutex<Sink<'a>>,
    /// The turn has gone on, or it is over.
    moved: Condvar,
    /// How far a batch may be ahead of the one whose turn it is.
    ahead: u64,
}

/// Where records are taken from.
struct Source<'a> {
    reader: &'a mut Reader<Input>,
    /// The number of the next batch.
    next: u64,
    lost: Option<StreamFault>,
    ended: bool,
}

/// Where batches go, in their order.
struct Sink<'a> {
    /// None while a thread writes to it.
    output: Option<&'a mut Output>,
    /// The number of the batch that comes next.
    turn: u64,
    early: BTreeMap<u64, Batch>,
    spare: Vec<Batch>,
    /// Nothing more is to be done, and why.
    over: Option<Result<(), Failure>>,
}

/// Ends the work of all threads where one of them panics.
struct Alarm<'s, 'a>(&'s Shared<'a>);

impl Drop for Alarm<'_, '_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.sink.lock().over.get_or_insert(Ok(()));
            self.0.moved.notify_all();
        }
    }
}

/// Decodes what is left of the input.
pub(super) fn decode(
    reader: &mut Reader<Input>,
    detached: &Detached<'_>,
    options: &JsonOptions,
    threads: usize,
    output: &mut Output,
) -> Result<(), Failure> {
    let shared = Shared {
        source: Mutex::new(Source { reader, next: 0, lost: None, ended: false }),
        sink: Mutex::new(Sink { output: Some(output), turn: 0, early: BTreeMap::new(), spare: Vec::new(), over: None }),
        moved: Condvar::new(),
        ahead: AHEAD * threads as u64,
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            let (shared, detached) = (&shared, detached.clone());
            scope.spawn(move || shared.work(&detached, options));
        }
        shared.work(detached, options);
    });
    let (source, sink) = (shared.source.into_inner(), shared.sink.into_inner());
    match (sink.over, source.lost, sink.output) {
        (Some(result), ..) => result,
        (None, Some(fault), Some(output)) => output.lost(&fault),
        _ => Ok(()),
    }
}

impl Shared<'_> {
    /// Batch after batch, until there is none.
    fn work(&self, detached: &Detached<'_>, options: &JsonOptions) {
        let _alarm = Alarm(self);
        loop {
            let mut batch = self.sink.lock().spare.pop().unwrap_or_default();
            let mut source = self.source.lock();
            if source.ended {
                return;
            }
            let Source { reader, lost, .. } = &mut *source;
            batch.fill(reader, options, lost);
            if batch.is_empty() {
                source.ended = true;
                return;
            }
            let number = source.next;
            source.next += 1;
            // Of large records there is one at a time, and nothing beside it.
            let alone = batch.is_large.then_some(source);
            batch.write(detached, options);
            let goes_on = match alone {
                None => self.hand_on(number, batch),
                Some(source) => {
                    let goes_on = self.hand_on_large(batch, number, detached, options);
                    drop(source);
                    goes_on
                }
            };
            if !goes_on {
                return;
            }
        }
    }

    /// Writes a batch when it is its turn, or leaves it to the thread that writes the one before it; false when all is over.
    fn hand_on(&self, number: u64, batch: Batch) -> bool {
        let mut sink = self.sink.lock();
        while sink.over.is_none() && number >= sink.turn + self.ahead {
            self.moved.wait(&mut sink);
        }
        sink.early.insert(number, batch);
        // Another thread that writes takes this one, too, when its turn comes.
        let Some(output) = sink.output.take() else { return sink.over.is_none() };
        loop {
            let turn = sink.turn;
            let Some(mut batch) = sink.early.remove(&turn).filter(|_| sink.over.is_none()) else { break };
            drop(sink);
            let written = output.done(&mut batch);
            batch.clear();
            sink = self.sink.lock();
            sink.turn += 1;
            sink.spare.push(batch);
            if let Err(failure) = written {
                sink.over = Some(Err(failure));
            }
            self.moved.notify_all();
        }
        sink.output = Some(output);
        self.moved.notify_all();
        sink.over.is_none()
    }

    /// Writes a batch that ends with a large record. Its room is given back.
    fn hand_on_large(&self, mut batch: Batch, number: u64, detached: &Detached<'_>, options: &JsonOptions) -> bool {
        let mut sink = self.sink.lock();
        while sink.over.is_none() && (sink.turn < number || sink.output.is_none()) {
            self.moved.wait(&mut sink);
        }
        if sink.over.is_some() {
            return false;
        }
        let Some(output) = sink.output.as_deref_mut() else { return false };
        let written = output.done(&mut batch).and_then(|()| batch.write_large(detached, options, output));
        sink.turn += 1;
        if let Err(failure) = written {
            sink.over = Some(Err(failure));
        }
        self.moved.notify_all();
        sink.over.is_none()
    }
}

impl Output {
    fn done(&mut self, done: &mut Batch) -> Result<(), Failure> {
        for reject in &mut done.rejects {
            let position = &mut reject.position;
            position.record = self.counted.records + (position.record - done.from.records);
            position.line = position.line.map(|line| self.counted.line + (line - done.from.line));
            self.reject(reject)?;
        }
        self.counted.records += done.to.records - done.from.records;
        self.counted.line += done.to.line - done.from.line;
        if let Some(fault) = &done.lost {
            self.lost(fault)?;
        }
        if let Some(progress) = &self.progress {
            progress.set_position(done.read_to);
        }
        // Pieces of this size are best written as they are.
        self.flush()?;
        self.write(&done.json)
    }
}
