//! Answers of SOAP services: bytes become typed records by the plan of an operation.
//!
//! The envelope, its header and body are found wherever they are. Without a path the whole answer is one record; with one,
//! every element at its end is, and what stands around the records is kept as an object of its own, for cursors and totals
//! ([`Answer::around`]). What a record's JSON is like the plan's types say (see [`crate::wsdl`]); beyond that:
//!
//! - What may occur more than once is an array; it is `[]` where there is none of it. Other elements that are absent are
//!   left out; those that say `xsi:nil` are null.
//! - Numbers that a double may not hold are written with all their digits, or as strings ([`Numbers`]). Dates and times
//!   are strings as they stand, binaries are in base64 or hex as they are sent; parts beside the envelope are put in.
//! - A record that is no object is one with the member `value`.
//!
//! What the schema does not allow is taken where that can be done without losing or guessing a value, and counted
//! ([`Leniency`]); or it rejects its record, as the settings say. A value that is none of its type always rejects its
//! record. A fault is an error of the reader, with all it says in [`Answer::fault`].
//!
//! A DOCTYPE is refused, so nothing can be defined, expanded or fetched. Depth, names, attributes and records are bounded.
//! Where values refer to one another (rpc/encoded), the document is held in memory up to what a record may have.

mod around;
mod attribute;
mod data_set;
mod dates;
mod element;
mod encoded;
mod fault;
mod junk;
mod layout;
mod leniency;
mod machine;
mod names;
mod nested;
mod numbers;
mod object;
mod parts;
mod path;
mod reader;
mod record;
mod refs;
mod scalar;
mod settings;
mod shape;
mod tag;
#[cfg(test)]
mod tests;
mod text;
mod untyped;
mod walk;

use std::io::{Read, Seek};
use std::sync::Arc;

use indexmap::IndexMap;
use parking_lot::Mutex;

use super::{Resume, StreamFault};
use crate::wsdl::{Plan, TypeId, TypeKind};
use path::Path;
use record::Asked;

pub use fault::{Fault, FaultDetail, FaultName};
pub use leniency::{Leniencies, Leniency};
pub use numbers::Numbers;
pub use parts::Parts;
pub use reader::{Answer, Reader};
pub use settings::Settings;

/// The member for elements that the schema does not have.
const EXTRA: &str = "_extra";
/// The member for the order in which elements came.
const CHOICE: &str = "_choice";

/// How answers of one operation are read. Cheap to clone.
#[derive(Clone)]
pub struct Soap(Arc<Inner>);

struct Inner {
    plan: Plan,
    settings: Arc<Settings>,
    path: Path,
    /// The type of the answer, and the name of its element.
    answer: Option<TypeId>,
    root: Option<Box<str>>,
    /// The type of a record, where the schema says it.
    record_type: Option<TypeId>,
    /// What was resolved, with its type; a slot is an index into it.
    wanted: Mutex<IndexMap<Asked, Option<TypeId>>>,
}

impl Soap {
    /// Of an operation's plan. The fault, one sentence, is that of a path that does not lead anywhere.
    pub fn new(plan: Plan, settings: Settings) -> Result<Soap, String> {
        let body = plan.operation.output.as_ref().map(|output| &output.body);
        let path = match (&settings.record_path, body) {
            (Some(text), Some(body)) => path::resolve(text, &settings.namespaces, &plan.types, body)?,
            (Some(_), None) => return Err("the operation answers nothing, so there are no records in it".to_owned()),
            (None, _) => Path::default(),
        };
        let answer = body.map(|body| body.ty);
        let root = body.and_then(|body| body.root.as_ref()).map(|root| plan.types.names.local(root.name.local).into());
        let record_type = answer.and_then(|answer| type_at(&plan, answer, &path));
        let settings = Arc::new(settings);
        Ok(Soap(Arc::new(Inner { plan, settings, path, answer, root, record_type, wanted: Mutex::default() })))
    }

    /// Starts reading an answer at `from`.
    pub fn reader<R: Read + Seek>(&self, input: R, from: Resume) -> Result<Reader<R>, StreamFault> {
        Reader::open(self, input, from, None)
    }

    /// The same with parts that came beside the envelope.
    pub fn reader_with_parts<R: Read + Seek>(
        &self,
        input: R,
        from: Resume,
        parts: Arc<dyn Parts>,
    ) -> Result<Reader<R>, StreamFault> {
        Reader::open(self, input, from, Some(parts))
    }

    /// The plan that is run.
    pub fn plan(&self) -> &Plan {
        &self.0.plan
    }
}

/// The type at the end of a path, where the schema says it.
fn type_at(plan: &Plan, answer: TypeId, path: &Path) -> Option<TypeId> {
    let mut ty = answer;
    for step in &path.steps {
        ty = match &plan.types.get(ty).kind {
            TypeKind::Array(array) => array.item,
            TypeKind::Complex(complex) => {
                let elements = complex.elements()?;
                elements.members.get(elements.find(step.name?)?)?.element.ty
            }
            _ => return None,
        };
    }
    Some(ty)
}
