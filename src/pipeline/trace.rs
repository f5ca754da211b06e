//! A record's whole life: every version of its document with the place it came from, and the dead letters that
//! may be it.

use crate::record::{ResourceId, key};
use crate::staging::{Change, DeadLetter, DeadLetterFilter, Place, StagedDocument, Staging, StagingError};

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

/// Finds all that is known of a record, also when it was only ever rejected. A record whose key itself is broken
/// is found by its place: `line:LINE`, `record:NUMBER` or `offset:BYTE`. `written` is the key in any legal
/// encoding, of `key_parts` parts. `None` when nothing is known.
pub async fn trace(
    staging: &dyn Staging,
    resource: &ResourceId,
    key_parts: usize,
    written: &str,
) -> Result<Option<Trace>, StagingError> {
    let mut filter = DeadLetterFilter { resource: Some(resource.clone()), ..DeadLetterFilter::default() };
    let mut found = Trace {
        resource: resource.clone(),
        key: written.to_owned(),
        document: None,
        versions: Vec::new(),
        dead_letters: Vec::new(),
    };
    match (place(written), key::canonical(written, key_parts)) {
        (Some(place), _) => filter.place = Some(place),
        (None, Ok(Some(key))) => {
            found.document = staging.document(resource, &key).await?;
            found.versions = staging.history(resource, &key).await?;
            found.key = key.clone().into_owned();
            filter.key = Some(key.into_owned());
        }
        // No record can have such a key.
        (None, Ok(None) | Err(_)) => return Ok(None),
    }
    found.dead_letters = staging.dead_letters(&filter).await?;
    let is_known = found.document.is_some() || !found.versions.is_empty() || !found.dead_letters.is_empty();
    Ok(is_known.then_some(found))
}

impl Bridge {
    /// The trace of a record of a resource as named by a person.
    pub async fn trace(&self, wanted: &str, key: &str) -> Result<Trace, PipelineError> {
        let world = self.world.load_full();
        let exposure = &world.plan(wanted)?.exposure;
        let found = trace(&*self.staging, &exposure.id, exposure.key.len(), key).await?;
        found.ok_or_else(|| PipelineError::NoTrace { resource: exposure.id.clone(), key: key.to_owned() })
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
