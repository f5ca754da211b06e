//! Names of places in an IDoc, as a mapping resolves them; see the [module](super) for what can be said.

use std::sync::Arc;

use indexmap::IndexMap;
use parking_lot::Mutex;

use super::segments::{CONTROL_NAME, Segment, Segments};
use crate::diagnostic::nearest;
use crate::record::{FieldKind, Resolved, Slot, Unresolved};

/// The names that were resolved; a slot is an index into them. Clones share what they learn.
#[derive(Clone, Default)]
pub(super) struct Names(Arc<Mutex<Known>>);

/// Places by parent and name.
type Known = IndexMap<(Option<u32>, String), Place>;

/// A segment by name and values of its fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) name: String,
    pub(super) values: Vec<(String, String)>,
}

/// A name, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) name: String,
    /// From the IDoc or the segment of the scope downwards.
    pub(super) steps: Vec<Step>,
    /// The field of the last segment; `None` where all segments of the last step are meant.
    pub(super) field: Option<String>,
}

type Fault = (String, Option<String>);

fn wrong(reason: String) -> Fault {
    (reason, None)
}

impl Names {
    pub(super) fn snapshot(&self) -> Vec<Place> {
        self.0.lock().values().cloned().collect()
    }

    pub(super) fn resolve(
        &self,
        segments: Option<&Segments>,
        control: &Segment,
        parent: Option<Slot>,
        name: &str,
    ) -> Result<Resolved, Unresolved> {
        let unresolved = |(reason, nearest): Fault| Unresolved { reason, nearest };
        let mut places = self.0.lock();
        let above = match parent {
            None => None,
            Some(slot) => match places.get_index(slot.0 as usize) {
                Some((_, place)) => Some(place.steps.last().map_or(String::new(), |step| step.name.clone())),
                None => return Err(unresolved(wrong("the name lies below one of another layout".to_owned()))),
            },
        };
        let place = parse(name, above.as_deref(), segments).map_err(unresolved)?;
        check(&place, above.as_deref(), segments, control).map_err(unresolved)?;
        let (kind, repeats) = match place.field {
            Some(_) => (FieldKind::Text { max_chars: length(&place, above.as_deref(), segments, control) }, false),
            None => (FieldKind::Group, true),
        };
        let (index, _) = places.insert_full((parent.map(|slot| slot.0), name.to_owned()), place);
        let slot = u32::try_from(index).map_err(|_| unresolved(wrong("too many names".to_owned())))?;
        Ok(Resolved { slot: Slot(slot), kind, repeats })
    }
}

fn parse(name: &str, above: Option<&str>, segments: Option<&Segments>) -> Result<Place, Fault> {
    let rooted = name.strip_prefix('/');
    let path = rooted.unwrap_or(name);
    if above.is_some() && (rooted.is_some() || path.starts_with(CONTROL_NAME)) {
        return Err(wrong(format!("`{name}` begins at the whole IDoc")));
    }
    let mut parts = split(path, '/');
    let last = parts.pop().unwrap_or_default();
    let mut steps = parts.into_iter().map(step).collect::<Result<Vec<_>, _>>()?;
    let dotted = split(last, '.');
    let field = match dotted.as_slice() {
        [segment, field] => {
            steps.push(step(segment)?);
            Some((*field).to_owned())
        }
        [bare] if above.is_some() && steps.is_empty() && is_field(bare, above, segments) => Some((*bare).to_owned()),
        [segment] => {
            steps.push(step(segment)?);
            None
        }
        _ => return Err(wrong(format!("`{name}` is neither SEGMENT.FIELD nor a segment"))),
    };
    if let Some(field) = field.as_ref().filter(|field| !is_name(field)) {
        return Err(wrong(format!("`{field}` is no name of a field")));
    }
    Ok(Place { name: name.to_owned(), steps, field })
}

/// Whether a name alone is that of a field of the segment above.
fn is_field(name: &str, above: Option<&str>, segments: Option<&Segments>) -> bool {
    match (segments, above.and_then(|above| segments?.kind(above))) {
        (_, Some(own)) if own.fields.iter().any(|field| field.name == name) => true,
        (Some(segments), _) if segments.kind(name).is_some() => false,
        _ => {
            let segment = ["E1", "E2", "Z1", "Z2", "_-"].iter().any(|start| name.starts_with(start));
            !segment && !name.contains('[')
        }
    }
}

fn step(text: &str) -> Result<Step, Fault> {
    let (name, rest) = text.find('[').map_or((text, ""), |at| text.split_at(at));
    if !is_name(name) {
        return Err(wrong(format!("`{name}` is no name of a segment")));
    }
    let mut values = Vec::new();
    if !rest.is_empty() {
        let inner = rest.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let inner = inner.ok_or_else(|| wrong(format!("`]` is missing behind `{text}`")))?;
        for condition in inner.split(',') {
            let pair = condition.split_once('=').filter(|(field, _)| is_name(field.trim()));
            let (field, value) =
                pair.ok_or_else(|| wrong(format!("between `[` and `]` stands FIELD=value, not `{condition}`")))?;
            values.push((field.trim().to_owned(), value.trim().to_owned()));
        }
    }
    Ok(Step { name: name.to_owned(), values })
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// Splits where no bracket is open.
fn split(text: &str, separator: char) -> Vec<&str> {
    let mut open = false;
    text.split(|char| {
        open = match char {
            '[' => true,
            ']' => false,
            _ => open,
        };
        char == separator && !open
    })
    .collect()
}

/// Holds a place against the list, where there is one.
fn check(place: &Place, above: Option<&str>, segments: Option<&Segments>, control: &Segment) -> Result<(), Fault> {
    let find = |name: &str| match (name, segments) {
        (CONTROL_NAME, _) => Some(control),
        (_, Some(segments)) => segments.kind(name),
        (_, None) => None,
    };
    let field = |segment: &Segment, field: &str| {
        if segment.fields.iter().any(|own| own.name == field) {
            return Ok(());
        }
        let known = segment.fields.iter().map(|own| own.name.as_str());
        Err((
            format!("the segment `{}` has no field `{field}`", segment.kind),
            nearest(field, known).map(str::to_owned),
        ))
    };
    for step in &place.steps {
        match (find(&step.name), segments) {
            (Some(segment), _) => step.values.iter().try_for_each(|(own, _)| field(segment, own))?,
            (None, Some(segments)) => {
                let known = segments.all().iter().map(|segment| segment.kind.as_str());
                let near = nearest(&step.name, known).map(str::to_owned);
                return Err((format!("the list has no segment `{}`", step.name), near));
            }
            (None, None) => {}
        }
    }
    let last = place.steps.last().map(|step| step.name.as_str()).or(above);
    match (&place.field, last.and_then(find)) {
        (Some(own), Some(segment)) => field(segment, own),
        _ => Ok(()),
    }
}

fn length(place: &Place, above: Option<&str>, segments: Option<&Segments>, control: &Segment) -> Option<u32> {
    let last = place.steps.last().map(|step| step.name.as_str()).or(above)?;
    let segment = if last == CONTROL_NAME { Some(control) } else { segments.and_then(|segments| segments.kind(last)) };
    let field = segment?.fields.iter().find(|own| Some(&own.name) == place.field.as_ref())?;
    u32::try_from(field.length).ok()
}
