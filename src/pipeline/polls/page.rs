//! A page: an answer as it was landed, what it says besides its records, and its records in parts that fit into one
//! transaction each.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::mpsc;
use xxhash_rust::xxh3::Xxh3;

use super::mark;
use super::standing::Facts;
use crate::decode::StreamFault;
use crate::decode::xml::{ValuePath, pick};
use crate::landing::{Landed, Landing};
use crate::mapping::{ErrorWhen, Paging, Plan, Polling, SaidNo};
use crate::pipeline::PipelineError;
use crate::pipeline::read::{self, Chunk};
use crate::record::{RawRecord, Scope, Slot, Value};
use crate::staging::FileState;

/// A larger answer is read to its end before anything of it is staged: its parts do not fit into one transaction.
const LARGE: u64 = 1 << 20;

/// What is looked for in a page.
#[derive(Clone)]
pub(super) struct Looks {
    pub(super) plan: Arc<Plan>,
    pub(super) polling: Arc<Polling>,
    pub(super) error_when: Option<ErrorWhen>,
    /// Where a record has its watermark.
    pub(super) watched: Option<Slot>,
    /// When the reading began.
    pub(super) now: Timestamp,
}

/// A part of a page; the last one has its facts.
pub(super) type Part = Result<(Chunk, Option<Facts>), PipelineError>;

/// What came of looking at a page.
pub(super) enum Looked {
    /// It can be read. It names this page as the next.
    Sound(Option<String>),
    /// It is a no.
    No(SaidNo),
}

impl Looks {
    fn fault(&self, reason: impl Into<String>) -> PipelineError {
        PipelineError::Source { resource: self.plan.exposure.id.clone(), reason: reason.into() }
    }

    fn unreadable(&self, source: std::io::Error) -> PipelineError {
        PipelineError::Read { file: self.plan.exposure.id.to_string(), source }
    }

    /// Looks whether an answer is whole where it is large, and at what it says besides its records.
    pub(super) fn look(&self, landing: &Landing, landed: &Landed) -> Result<Looked, PipelineError> {
        let mut paths: Vec<&ValuePath> = Vec::new();
        if let Paging::Token { path } = &self.polling.paging {
            paths.push(path);
        }
        let has_token = !paths.is_empty();
        paths.extend(self.error_when.iter().flat_map(ErrorWhen::paths));
        if paths.is_empty() && landed.size < LARGE {
            return Ok(Looked::Sound(None));
        }
        let mut values = match pick(landing.open_blob(landed.id)?, &paths) {
            Ok(values) => values,
            Err(StreamFault::Io(error)) => return Err(self.unreadable(error)),
            Err(fault) => return Err(self.fault(format!("the service's answer cannot be read: {fault}"))),
        };
        let token = if has_token { values.remove(0) } else { None };
        Ok(match self.error_when.as_ref().and_then(|error| error.judge(&values)) {
            Some(no) => Looked::No(no),
            None => Looked::Sound(token),
        })
    }

    /// Reads the records of a landed answer, one part ahead of whoever commits.
    pub(super) fn parts(
        self,
        landing: &Landing,
        landed: &Landed,
        token: Option<String>,
    ) -> Result<mpsc::Receiver<Part>, PipelineError> {
        let file = landing.open_blob(landed.id)?;
        let (sender, receiver) = mpsc::channel(1);
        tokio::task::spawn_blocking(move || {
            let (mut records, mut greatest, mut content) = (0, None::<String>, Xxh3::new());
            let mut ahead = None;
            let (mut is_left, mut end) = (false, None);
            let look = |record: &RawRecord<'_>| {
                content.update(record.raw);
                match self.watched.and_then(|slot| watermark(record, slot)) {
                    Some(found) if mark::is_ahead(&found, self.now) => ahead = Some(found),
                    Some(found) if greatest.as_ref().is_none_or(|known| mark::is_less(known, &found)) => {
                        greatest = Some(found);
                    }
                    _ => {}
                }
            };
            let read = read::watched(&self.plan, file, look, |chunk| {
                records += chunk.records();
                if chunk.ends.is_some() {
                    end = Some(chunk);
                    return false;
                }
                is_left = sender.blocking_send(Ok((chunk, None))).is_err();
                !is_left
            });
            if is_left {
                return;
            }
            let last = match (read, end) {
                (Err(error), _) => Err(self.unreadable(error)),
                (Ok(()), None) => Err(self.fault("the service's answer has no end")),
                (Ok(()), Some(chunk)) if chunk.ends == Some(FileState::Rejected) => {
                    // The last reject is what is wrong with the answer as a whole.
                    let found = chunk.rejects.last().map(|reject| reject.found.clone()).unwrap_or_default();
                    Err(self.fault(format!("the service's answer cannot be read: {found}")))
                }
                (Ok(()), Some(chunk)) => {
                    let content = (records > 0).then(|| format!("{:032x}", content.digest128()));
                    Ok((chunk, Some(Facts { records, token, greatest, ahead, content })))
                }
            };
            // When nobody waits for it, nobody wants to know.
            let _ = sender.blocking_send(last);
        });
        Ok(receiver)
    }
}

/// The watermark of a record, as the service writes it.
fn watermark(record: &RawRecord<'_>, slot: Slot) -> Option<String> {
    match record.fields.read(slot, Scope::ROOT).ok()? {
        Value::Text(text) if !text.is_empty() => Some(text.into_owned()),
        Value::Decimal(number) => Some(number.to_string()),
        _ => None,
    }
}
