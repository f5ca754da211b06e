//! Bytes into batches: decode and map on a thread of their own, a bounded number of batches ahead of the
//! writer.

use std::fs::File;
use std::io::{Read, Seek};
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::decode::{Item, Reader, Resume, StreamFault};
use crate::mapping::{Mapped, Mapper, Plan};
use crate::record::{Document, Position, RawRecord, Reject};
use crate::staging::{Checkpoint, Deletion, FileState};

/// Records a transaction: where the staging database's cost a row stops falling.
const BATCH_RECORDS: u64 = 10_000;
/// Bytes of payload and raw data a transaction: bounds memory where records are large.
const BATCH_BYTES: usize = 16 << 20;
/// Batches between the two threads. With the one being filled and the one being committed this bounds memory.
const BATCHES_AHEAD: usize = 1;

/// Records of a file, up to a place where reading can go on.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    /// Good records in the order of the file.
    pub(super) documents: Vec<Document>,
    /// Records that say that a document is no more.
    pub(super) deletions: Vec<Deletion>,
    /// Bad records.
    pub(super) rejects: Vec<Reject>,
    /// Records left out by rule.
    pub(super) skipped: u64,
    /// Records that the layout leaves out itself (`filter`): the checkpoint does not count them.
    pub(super) left_out: u64,
    /// Where the next record begins.
    pub(super) checkpoint: Checkpoint,
    /// What the file is when this chunk ends it.
    pub(super) ends: Option<FileState>,
    /// How many bytes of the file as it is stored were read for this chunk.
    pub(super) consumed: u64,
    /// What the file did that its schema does not allow, and that was taken all the same; with the chunk that ends it.
    pub(super) odd: Vec<(&'static str, u64)>,
    bytes: usize,
}

impl Chunk {
    /// How many records it has.
    pub(super) fn records(&self) -> u64 {
        (self.documents.len() + self.deletions.len() + self.rejects.len()) as u64 + self.skipped + self.left_out
    }

    /// Whether it has none.
    pub(super) fn is_empty(&self) -> bool {
        self.records() == 0
    }

    fn is_full(&self) -> bool {
        self.records() >= BATCH_RECORDS || self.bytes >= BATCH_BYTES
    }
}

/// What a first reading of a file found.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// Records that are good.
    pub(super) good: u64,
    /// Records that are not.
    pub(super) rejects: Vec<Reject>,
    /// How many rejects there are; the list is cut at [`SURVEY_REJECTS`].
    pub(super) dead: u64,
    /// Records left out by rule.
    pub(super) skipped: u64,
    /// What is wrong with the file as a whole.
    pub(super) refusal: Option<Reject>,
    /// Where the file ends.
    pub(super) end: Checkpoint,
    /// The number that the file gives itself.
    pub(super) sequence: Option<i64>,
}

/// Of a refused file this many bad records are kept one by one.
pub(super) const SURVEY_REJECTS: usize = 10_000;

/// Reads a landed file from `from` to its end, sending chunks until the receiver goes away.
pub(super) fn start(plan: Arc<Plan>, file: File, from: Checkpoint) -> mpsc::Receiver<std::io::Result<Chunk>> {
    let (sender, receiver) = mpsc::channel(BATCHES_AHEAD);
    tokio::task::spawn_blocking(move || {
        if let Err(error) = read(&plan, file, from, true, |_| (), |chunk| sender.blocking_send(Ok(chunk)).is_ok()) {
            // When the receiver is gone nobody wants to know.
            let _ = sender.blocking_send(Err(error));
        }
    });
    receiver
}

/// Reads a whole input, of a size that fits into one transaction.
pub(super) fn whole(plan: &Plan, input: impl Read + Seek) -> std::io::Result<Chunk> {
    let mut whole = Chunk::default();
    read(
        plan,
        input,
        Checkpoint::default(),
        false,
        |_| (),
        |chunk| {
            whole = chunk;
            true
        },
    )?;
    Ok(whole)
}

/// Reads a whole input in parts, and shows each record before it is mapped.
pub(super) fn watched(
    plan: &Plan,
    input: impl Read + Seek,
    look: impl FnMut(&RawRecord<'_>),
    sink: impl FnMut(Chunk) -> bool,
) -> std::io::Result<()> {
    read(plan, input, Checkpoint::default(), true, look, sink)
}

/// Decodes and maps; `sink` answers whether it wants more.
fn read(
    plan: &Plan,
    file: impl Read + Seek,
    from: Checkpoint,
    in_parts: bool,
    mut look: impl FnMut(&RawRecord<'_>),
    mut sink: impl FnMut(Chunk) -> bool,
) -> std::io::Result<()> {
    let mut chunk = Chunk { checkpoint: from, ..Chunk::default() };
    let mut reader = match plan.decoder.reader(file, resume(from)) {
        Ok(reader) => reader,
        Err(fault) => {
            chunk.rejects.push(file_reject(fault)?);
            chunk.ends = Some(FileState::Rejected);
            sink(chunk);
            return Ok(());
        }
    };
    let mut mapper = plan.mapper();
    let mut seen = from.offset;
    let mut left_out = 0;
    loop {
        match reader.next() {
            Ok(Some(Item::Record(record))) => {
                look(&record);
                match mapper.map(&record) {
                    Mapped::Document(document) => {
                        chunk.bytes += document.payload.len();
                        chunk.documents.push(document);
                    }
                    Mapped::Reject(reject) => {
                        chunk.bytes += reject.raw.len();
                        chunk.rejects.push(reject);
                    }
                    Mapped::Deleted { key, position } => chunk.deletions.push(Deletion { key, position }),
                    Mapped::Skipped | Mapped::Trailer => chunk.skipped += 1,
                }
            }
            Ok(Some(Item::Reject(reject))) => {
                chunk.bytes += reject.raw.len();
                chunk.rejects.push(reject);
            }
            // What was left out is told by the reader; a blank line is no record and counts as none.
            Ok(Some(Item::Skipped)) => {}
            Ok(None) => {
                chunk.left_out += reader.left_out() - left_out;
                chunk.checkpoint = checkpoint(reader.resume_point());
                chunk.consumed = reader.consumed().saturating_sub(seen);
                chunk.ends = Some(FileState::Staged);
                chunk.odd = odd(&reader);
                sink(chunk);
                return Ok(());
            }
            Err(fault) => {
                chunk.rejects.push(file_reject(fault)?);
                chunk.left_out += reader.left_out() - left_out;
                chunk.checkpoint = checkpoint(reader.resume_point());
                chunk.ends = Some(FileState::Rejected);
                chunk.odd = odd(&reader);
                sink(chunk);
                return Ok(());
            }
        }
        chunk.left_out += reader.left_out() - left_out;
        left_out = reader.left_out();
        if in_parts && chunk.is_full() {
            chunk.checkpoint = checkpoint(reader.resume_point());
            chunk.consumed = reader.consumed().saturating_sub(seen);
            seen = reader.consumed();
            let next = Chunk { checkpoint: chunk.checkpoint, ..Chunk::default() };
            if !sink(std::mem::replace(&mut chunk, next)) {
                return Ok(());
            }
        }
    }
}

/// What a document that has a schema did so far that it does not allow, and that was taken all the same; and so of
/// delimited text.
pub(super) fn odd<R: Read + Seek>(reader: &Reader<R>) -> Vec<(&'static str, u64)> {
    match (reader.answer(), reader.marks_within()) {
        (Some(answer), _) => answer.leniencies().iter().map(|(kind, count)| (kind.as_str(), count)).collect(),
        (None, 0) => Vec::new(),
        (None, marks) => vec![("byte_order_mark", marks)],
    }
}

/// What is wrong with a compressed file, if it is damaged; nothing is decoded.
pub(super) fn verify(plan: &Plan, file: File) -> std::io::Result<Option<Reject>> {
    plan.decoder.verify(file).err().map(file_reject).transpose()
}

/// Reads the whole file without keeping its documents: for mappings that may refuse a file as a whole.
pub(super) fn survey(plan: &Plan, file: File) -> std::io::Result<Survey> {
    let mut survey = Survey::default();
    let mut reader = match plan.decoder.reader(file, Resume::default()) {
        Ok(reader) => reader,
        Err(fault) => {
            survey.refusal = Some(file_reject(fault)?);
            return Ok(survey);
        }
    };
    let mut mapper = plan.mapper();
    loop {
        let reject = match reader.next() {
            Ok(Some(Item::Record(record))) => match mapper.map(&record) {
                Mapped::Document(_) | Mapped::Deleted { .. } => {
                    survey.good += 1;
                    continue;
                }
                Mapped::Skipped | Mapped::Trailer => {
                    survey.skipped += 1;
                    continue;
                }
                Mapped::Reject(reject) => reject,
            },
            Ok(Some(Item::Reject(reject))) => {
                if let Some(controls) = mapper.controls_mut() {
                    controls.add_undecodable(reject.position);
                }
                reject
            }
            Ok(Some(Item::Skipped)) => continue,
            Ok(None) => {
                survey.skipped += reader.left_out();
                survey.end = checkpoint(reader.resume_point());
                survey.refusal = verdict(&mapper);
                survey.sequence = mapper.controls().and_then(|controls| controls.file_sequence());
                return Ok(survey);
            }
            Err(fault) => {
                survey.skipped += reader.left_out();
                survey.end = checkpoint(reader.resume_point());
                survey.refusal = Some(file_reject(fault)?);
                return Ok(survey);
            }
        };
        survey.dead += 1;
        if survey.rejects.len() < SURVEY_REJECTS {
            survey.rejects.push(reject);
        }
    }
}

/// What the file's control totals say against it, at its end.
pub(super) fn verdict(mapper: &Mapper) -> Option<Reject> {
    let mut reject = *mapper.controls()?.verdict().err()?;
    // A finding about the whole file: its place is the trailer's, but it is no record that was read.
    reject.position.record = 0;
    Some(reject)
}

/// The dead letter of a file whose stream is lost; disk faults stay errors, they are no fault of the file.
pub(super) fn file_reject(fault: StreamFault) -> std::io::Result<Reject> {
    match fault {
        StreamFault::Io(error) => Err(error),
        StreamFault::Layout { code, message, offset, line } => Ok(Reject {
            code,
            field: None,
            field_span: None,
            expected: "a file of the declared layout".to_owned(),
            found: message,
            // Record 0: the file itself, which is no record and counts as none.
            position: Position { record: 0, offset, length: 0, line },
            key: None,
            raw: Vec::new(),
        }),
    }
}

/// Staging's checkpoint as the reader's.
pub(super) fn resume(from: Checkpoint) -> Resume {
    Resume { offset: from.offset, records: from.records, line: from.line }
}

fn checkpoint(at: Resume) -> Checkpoint {
    Checkpoint { offset: at.offset, records: at.records, line: at.line }
}
