//! What a reader leaves to the next one of the same layout: the names that it has met, where those lead that are asked for,
//! and its room. A service's answer is read in less time than it takes to make all that anew.

use parking_lot::Mutex;

use super::record::Record;

/// Records that are kept: as many as readers are open at the same time, more or less.
const KEPT: usize = 8;

/// One with more names, nodes or bytes of room is not kept.
const MOST_NAMES: usize = 512;
const MOST_NODES: usize = 4096;
const MOST_ROOM: usize = 64 << 10;

/// See the module.
#[derive(Default)]
pub(super) struct Spare(Mutex<Vec<Record>>);

impl Spare {
    /// One to read a document with whose text begins at `start`, where as much is asked for as then.
    pub(super) fn take(&self, slots: usize, start: u64) -> Option<Record> {
        let mut record = self.0.lock().pop().filter(|record| record.bound.len() == slots)?;
        record.restart(start);
        Some(record)
    }

    pub(super) fn put(&self, record: Record) {
        let (names, nodes, room) = (record.names.count(), record.tree.nodes.capacity(), record.window.room());
        if names > MOST_NAMES || nodes > MOST_NODES || room > MOST_ROOM {
            return;
        }
        let mut kept = self.0.lock();
        if kept.len() < KEPT {
            kept.push(record);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::KEPT;
    use crate::decode::xml::{Settings, Xml};
    use crate::decode::{Decoder, Format, Item, JsonOptions, Resume};
    use crate::diagnostic::Faults;
    use std::io::Cursor;

    fn settings() -> Settings {
        Settings {
            namespaces: vec![("o".into(), "urn:orders".into())],
            parent: vec!["/o:Orders/o:Batch".into(), "/o:Orders/@day".into()],
            arrays: vec!["o:Line".into()],
            ..Settings::new("/o:Orders/o:Order".into())
        }
    }

    /// What a document leaves behind could mislead the next one: prefixes, values around records, names, what broke off.
    const DOCUMENTS: [&str; 13] = [
        "<Orders xmlns='urn:orders' day='1'><Batch>7</Batch><Order a='1'><Line>x</Line></Order></Orders>",
        "<p:Orders xmlns:p='urn:orders'><p:Order><p:Line/><p:Line>y</p:Line></p:Order><p:Batch>8</p:Batch></p:Orders>",
        "<p:Orders xmlns:p='urn:orders' xmlns:q='urn:other'><p:Order q:a='1'><q:Line>z</q:Line></p:Order></p:Orders>",
        "<p:Orders xmlns:p='urn:other'><p:Order><p:Line>w</p:Line></p:Order></p:Orders>",
        "<p:Orders><p:Order/></p:Orders>",
        "<Orders xmlns='urn:orders'><Batch>1</Batch><Batch>2</Batch><Order/></Orders>",
        "<Orders xmlns='urn:orders'><Batch>9</Batch><Order><Line>cut",
        "<Orders xmlns='urn:orders'><Order><Line>1</Line><Li",
        "<Orders xmlns='urn:orders'><Order></Line></Order></Orders>",
        "<Orders xmlns='urn:orders' xmlns:x='http://www.w3.org/2001/XMLSchema-instance'><Order x:nil='true'/></Orders>",
        "<?xml version='1.0' encoding='ISO-8859-1'?><Orders xmlns='urn:orders'><Order><Line>x</Line></Order></Orders>",
        "<Orders><Batch>3</Batch><Order><Line>in no namespace</Line></Order></Orders>",
        "no XML",
    ];

    fn decoder() -> Decoder {
        Format::Xml(settings()).compile(&|_| None, &Faults::new()).unwrap()
    }

    fn items(decoder: &Decoder, document: &str) -> Vec<String> {
        let mut reader = match decoder.reader(Cursor::new(document.as_bytes()), Resume::default()) {
            Ok(reader) => reader,
            Err(fault) => return vec![fault.to_string()],
        };
        let mut said = Vec::new();
        loop {
            said.push(match reader.next() {
                Ok(None) => return said,
                Ok(Some(Item::Skipped)) => "skipped".to_owned(),
                Ok(Some(Item::Reject(reject))) => format!("{reject:?}"),
                Ok(Some(Item::Record(record))) => {
                    let mut out = Vec::new();
                    let written = decoder.write_json(&record, &JsonOptions::default(), &mut out);
                    format!("{:?} {written:?} {}", record.position, String::from_utf8(out).unwrap())
                }
                Err(fault) => {
                    said.push(fault.to_string());
                    return said;
                }
            });
        }
    }

    proptest::proptest! {
        #[test]
        fn what_was_read_before_changes_nothing(order in proptest::collection::vec(0..DOCUMENTS.len(), 1..20)) {
            let kept = decoder();
            for document in order.into_iter().map(|number| DOCUMENTS[number]) {
                proptest::prop_assert_eq!(items(&kept, document), items(&decoder(), document), "{}", document);
            }
        }
    }

    #[test]
    fn a_reader_takes_what_the_one_before_has_left() {
        let xml = Xml::compile(&settings()).unwrap();
        let kept = || xml.0.spare.0.lock().len();
        let open = |document: &'static str| xml.reader(Cursor::new(document.as_bytes()), Resume::default()).unwrap();
        let mut reader = open(DOCUMENTS[0]);
        while reader.next().unwrap().is_some() {}
        drop(reader);
        assert_eq!(kept(), 1);
        let second = open(DOCUMENTS[1]);
        assert_eq!((kept(), second.current.names.count() > 4), (0, true));
        drop(second);
        // No more than that, and none that is large.
        drop((0..20).map(|_| open(DOCUMENTS[0])).collect::<Vec<_>>());
        assert_eq!(kept(), KEPT);
        let names: String = (0..600).map(|number| format!("<n{number}/>")).collect();
        let large = format!("<Orders xmlns='urn:orders'><Order>{names}</Order></Orders>");
        let mut reader = xml.reader(Cursor::new(large.as_bytes()), Resume::default()).unwrap();
        while reader.next().unwrap().is_some() {}
        drop(reader);
        assert_eq!(kept(), KEPT - 1);
    }
}
