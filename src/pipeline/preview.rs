//! The same plan as a run, over a file given by hand or the newest of the resource, staging nothing.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

use crate::decode::{Item, Resume};
use crate::mapping::{Mapped, Plan};
use crate::record::{Document, Reject};
use crate::staging::Balance;

use super::read;
use super::{Bridge, PipelineError};

/// What a preview shows, record by record.
pub enum Shown {
    /// As it would be staged.
    Document(Document),
    /// As it would become a dead letter.
    Reject(Reject),
}

/// Runs the plan over a file; stops after `limit` records or when `show` answers false. `staged` counts the
/// documents.
pub fn preview(
    plan: &Plan,
    path: &Path,
    limit: Option<u64>,
    show: impl FnMut(Shown) -> bool,
) -> Result<Balance, PipelineError> {
    let file = path.display().to_string();
    let input = File::open(path).map_err(|source| PipelineError::Open { file: file.clone(), source })?;
    shown(plan, input, &file, limit, show)
}

/// As [`preview`], of any input; `file` is its name for people.
pub(super) fn shown(
    plan: &Plan,
    input: impl Read + Seek,
    file: &str,
    limit: Option<u64>,
    mut show: impl FnMut(Shown) -> bool,
) -> Result<Balance, PipelineError> {
    let read_fault = |source| PipelineError::Open { file: file.to_owned(), source };
    let mut balance = Balance::default();
    let mut reader = match plan.decoder.reader(input, Resume::default()) {
        Ok(reader) => reader,
        Err(fault) => {
            show(Shown::Reject(read::file_reject(fault).map_err(read_fault)?));
            balance.dead += 1;
            return Ok(balance);
        }
    };
    let mut mapper = plan.mapper();
    let mut left_out = 0;
    while limit.is_none_or(|limit| balance.read < limit) {
        let shown = match reader.next() {
            Ok(None) => {
                if let Some(reject) = read::verdict(&mapper) {
                    balance.dead += 1;
                    show(Shown::Reject(reject));
                }
                break;
            }
            Ok(Some(Item::Record(record))) => match mapper.map(&record) {
                Mapped::Document(document) => Some(Shown::Document(document)),
                Mapped::Reject(reject) => Some(Shown::Reject(reject)),
                Mapped::Skipped | Mapped::Trailer | Mapped::Deleted { .. } => None,
            },
            Ok(Some(Item::Reject(reject))) => {
                if let Some(controls) = mapper.controls_mut() {
                    controls.add_undecodable(reject.position);
                }
                Some(Shown::Reject(reject))
            }
            Ok(Some(Item::Skipped)) => {
                count_left_out(&mut balance, &mut left_out, reader.left_out());
                continue;
            }
            Err(fault) => {
                balance.dead += 1;
                show(Shown::Reject(read::file_reject(fault).map_err(read_fault)?));
                break;
            }
        };
        count_left_out(&mut balance, &mut left_out, reader.left_out());
        balance.read += 1;
        match &shown {
            Some(Shown::Document(_)) => balance.staged += 1,
            Some(Shown::Reject(_)) => balance.dead += 1,
            None => balance.skipped += 1,
        }
        if let Some(shown) = shown
            && !show(shown)
        {
            break;
        }
    }
    Ok(balance)
}

/// Counts what the reader has left out since it was asked last.
fn count_left_out(balance: &mut Balance, before: &mut u64, now: u64) {
    let more = now - std::mem::replace(before, now);
    balance.read += more;
    balance.skipped += more;
}

impl Bridge {
    /// The landed copy of the newest file that was read for this resource.
    pub async fn newest_file(&self, plan: &Plan) -> Result<Option<std::path::PathBuf>, PipelineError> {
        let files = self.staging.files(Some(&plan.exposure.id), 1).await?;
        Ok(files.first().map(|entry| self.landing.path(entry.blob)))
    }
}
