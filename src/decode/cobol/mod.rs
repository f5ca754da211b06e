//! Being written.
#![allow(missing_docs, dead_code, unused)]
mod settings;
use super::{Item, JsonOptions, LayoutRow, Resume, StreamFault};
use crate::diagnostic::{Faults, SourceText};
use crate::record::{Layout, RawRecord, Reject, Resolved, Slot, Unresolved};
pub(super) use settings::SECTION;
pub use settings::{ByteOrder, FloatFormat, Framing, Settings};
use std::io::{Read, Seek};
use std::sync::Arc;
#[derive(Clone)]
pub struct Cobol(Arc<()>);
pub struct Reader<R>(R);
impl Cobol {
    pub(super) fn compile(_s: &Settings, _t: &dyn Fn(&str) -> Option<Arc<SourceText>>, _f: &Faults) -> Option<Cobol> {
        None
    }
    pub(super) fn reader<R: Read + Seek>(&self, input: R, _from: Resume) -> Result<Reader<R>, StreamFault> {
        Ok(Reader(input))
    }
    pub(super) fn describe(&self) -> Vec<LayoutRow> {
        Vec::new()
    }
    pub(super) fn write_json(&self, _r: &RawRecord<'_>, _o: &JsonOptions, _out: &mut Vec<u8>) -> Result<(), Reject> {
        Ok(())
    }
}
impl Layout for Cobol {
    fn resolve(&self, _p: Option<Slot>, _n: &str) -> Result<Resolved, Unresolved> {
        Err(Unresolved { reason: String::new(), nearest: None })
    }
    fn names(&self) -> Vec<String> {
        Vec::new()
    }
}
impl<R: Read + Seek> Reader<R> {
    pub(super) fn next(&mut self) -> Result<Option<Item<'_>>, StreamFault> {
        Ok(None)
    }
    pub(super) fn resume_point(&self) -> Resume {
        Resume::default()
    }
}
