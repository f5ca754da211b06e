//! A record's whole life: every version of its document with the place it came from, and the dead letters that
//! may be it.

use crate::record::ResourceId;
use crate::staging::{Change, DeadLetter, DeadLetterFilter, Place, StagedDocument};

use super::{Bridge, PipelineError};

/// What is known of a key.
#[derive(Clone, Debug)]
pub struct Trace {
    /// The resource.
    pub resource: ResourceId,
    /// The key as in the URL.
    pub key: String,
    /// The document as it stands, unless it was never staged.
    pub document: Option<StagedDocument>,
    /// All its versions, newest first.
    pub versions: Vec<Change>,
    /// Records of this key that were rejected, newest first.
    pub dead_letters: Vec<DeadLetter>,
}

impl Bridge {
    /// Finds all that is known of a key, also when its record was only ever rejected. A record whose key itself
    /// is broken is found by its place: `line:LINE`, `record:NUMBER` or `offset:BYTE`.
    pub async fn trace(&self, wanted: &str, key: &str) -> Result<Trace, PipelineError> {
        let world = self.world.load_full();
        let resource = world.plan(wanted)?.exposure.id.clone();
        let document = self.staging.document(&resource, key).await?;
        let versions = self.staging.history(&resource, key).await?;
        let mut filter = DeadLetterFilter { resource: Some(resource.clone()), ..DeadLetterFilter::default() };
        match place(key) {
            Some(place) => filter.place = Some(place),
            None => filter.key = Some(key.to_owned()),
        }
        let dead_letters = self.staging.dead_letters(&filter).await?;
        if document.is_none() && versions.is_empty() && dead_letters.is_empty() {
            return Err(PipelineError::NoTrace { resource, key: key.to_owned() });
        }
        Ok(Trace { resource, key: key.to_owned(), document, versions, dead_letters })
    }
}

/// `line:7`, `record:7`, `offset:7`.
fn place(text: &str) -> Option<Place> {
    let (kind, number) = text.split_once(':')?;
    let number = number.parse().ok()?;
    match kind {
        "line" => Some(Place::Line(number)),
        "record" => Some(Place::Record(number)),
        "offset" => Some(Place::Offset(number)),
        _ => None,
    }
}
