//! One record as JSON. A large one is handed on in pieces while it is written, so that its text is never there as a whole.

use std::io;

use super::record::{Arrays, Record};
use super::tree::Kind;
use crate::decode::json::{JsonOptions, write_string};
use crate::decode::member_names::Added;
use crate::decode::pieces::{LONG, PIECE, Sink, Unwritten};
use crate::decode::reader::reject;
use crate::record::{RawRecord, Reject};

/// Text that is being written.
pub(super) struct Text<'a> {
    out: &'a mut Vec<u8>,
    /// Takes what is written, piece by piece; without it all of it stays in `out`.
    sink: Option<&'a mut Sink<'a>>,
    failed: Option<io::Error>,
}

impl<'a> Text<'a> {
    /// All of it, behind what is in `out`.
    pub(super) fn whole(out: &'a mut Vec<u8>) -> Text<'a> {
        Text { out, sink: None, failed: None }
    }

    /// Hands on what is written, where that is enough of it.
    fn hand_on(&mut self, enough: usize) {
        let Some(sink) = self.sink.as_mut().filter(|_| self.out.len() >= enough) else { return };
        if self.failed.is_none() {
            self.failed = sink(self.out).err();
        }
        self.out.clear();
    }

    /// A string with its quotes; a long one part by part.
    fn string(&mut self, text: &str) {
        if self.sink.is_none() || text.len() <= LONG {
            return write_string(text, self.out);
        }
        self.out.push(b'"');
        let mut rest = text;
        while !rest.is_empty() {
            let (part, behind) = rest.split_at(rest.floor_char_boundary(LONG));
            // The quotes of a part are none of the text's.
            let quote = self.out.len();
            write_string(part, self.out);
            self.out.pop();
            self.out.remove(quote);
            self.hand_on(PIECE);
            rest = behind;
        }
        self.out.push(b'"');
    }

    /// What stands before a member: the object's bracket, or a comma.
    fn member(&mut self, is_first: &mut bool) {
        self.out.push(if std::mem::take(is_first) { b'{' } else { b',' });
    }

    fn close(&mut self, is_empty: bool) {
        self.out.extend_from_slice(if is_empty { b"{}" } else { b"}" });
    }
}

/// Writes a record of this format in pieces; `None` for one of another. What is rejected leaves nothing behind.
pub(in crate::decode) fn write_pieces(
    record: &RawRecord<'_>,
    options: &JsonOptions,
    sink: &mut Sink<'_>,
) -> Option<Result<(), Unwritten>> {
    let own = record.fields.as_any().and_then(|any| any.downcast_ref::<Record>())?;
    Some(own.write_pieces(record, options, sink))
}

impl Record {
    fn write_pieces(
        &self,
        record: &RawRecord<'_>,
        options: &JsonOptions,
        sink: &mut Sink<'_>,
    ) -> Result<(), Unwritten> {
        let rejected = |reject: Reject| Unwritten::Rejected(Box::new(reject));
        self.outside
            .check()
            .map_err(|fault| rejected(reject(fault.code, &fault.expected, fault.found, record.position, record.raw)))?;
        let mut out = Vec::with_capacity(2 * PIECE);
        let mut is_first = true;
        if options.meta {
            let children = self.tree.children(0).filter_map(|child| self.tree.node(child));
            let names = children.filter(|node| node.count > 0).map(|node| self.names.shown(node.name));
            let names: Vec<&str> = self.outside.names().chain(names).collect();
            Added::new(names.into_iter()).write_meta(&record.position, &mut out);
            out[0] = b'{';
            is_first = false;
        }
        let mut text = Text { out: &mut out, sink: Some(sink), failed: None };
        self.write_members_of_all(is_first, &mut text);
        text.hand_on(0);
        text.failed.map_or(Ok(()), |error| Err(Unwritten::Output(error)))
    }

    /// The record and what stands around it as one object.
    pub(super) fn write_whole(&self, text: &mut Text<'_>) {
        self.write_members_of_all(true, text);
    }

    fn write_members_of_all(&self, mut is_first: bool, text: &mut Text<'_>) {
        let start = text.out.len();
        self.outside.write(text.out);
        if text.out.len() > start && std::mem::take(&mut is_first) {
            // Each of these has a comma before it.
            text.out[start] = b'{';
        }
        self.write_members(0, Some(&self.arrays), &mut is_first, text);
        text.close(is_first);
    }

    /// An element, or an attribute's value.
    fn write_node(&self, index: u32, arrays: Option<&Arrays>, text: &mut Text<'_>) {
        let Some(node) = self.tree.node(index) else { return };
        if node.kind == Kind::Element && node.end > index + 1 {
            let mut is_first = true;
            self.write_members(index, arrays, &mut is_first, text);
            return text.close(is_first);
        }
        let content = self.content(index);
        if node.is_nil && content.is_empty() { text.out.extend_from_slice(b"null") } else { text.string(&content) }
    }

    fn write_members(&self, index: u32, arrays: Option<&Arrays>, is_first: &mut bool, text: &mut Text<'_>) {
        let Some(node) = self.tree.node(index) else { return };
        for child in self.tree.children(index) {
            let Some(own) = self.tree.node(child) else { continue };
            // Elements that are not the first of their name stand in its array.
            if own.count == 0 {
                continue;
            }
            text.member(is_first);
            text.out.extend_from_slice(self.names.member(own.name));
            let (is_array, below) = arrays.map_or((false, None), |arrays| arrays.below(own.name));
            if !is_array && own.count == 1 {
                self.write_node(child, below, text);
                text.hand_on(PIECE);
                continue;
            }
            let (mut next, mut bracket) = (child, b'[');
            while let Some(element) = self.tree.node(next) {
                text.out.push(bracket);
                self.write_node(next, below, text);
                text.hand_on(PIECE);
                (next, bracket) = (element.next, b',');
            }
            text.out.push(b']');
        }
        let content = self.content(index);
        if !content.is_empty() {
            text.member(is_first);
            text.out.extend_from_slice(b"\"#text\":");
            text.string(&content);
        } else if node.is_nil {
            text.member(is_first);
            text.out.extend_from_slice(b"\"#text\":null");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use crate::decode::xml::Settings;
    use crate::decode::{Format, Item, JsonOptions, Resume};
    use crate::diagnostic::Faults;

    /// In pieces a record is written as in one piece, whatever there is in it.
    #[test]
    fn pieces_are_the_whole() {
        let many = "<c a=\"1\">x &lt; \u{e4}</c><d/>".repeat(9_000);
        let long = format!("<t>{}</t>", "\u{20ac} &amp; \t\"line\"\n".repeat(9_000));
        let mixed = format!("text<e n=\"&#10;\">{long}</e>{many}<_offset>7</_offset>tail");
        let records = ["", "<c/>", "only text", &many, &long, &mixed].map(|record| format!("<b>{record}</b>")).concat();
        let data = format!("<a v=\"1 &amp; 2\">{records}</a>");
        let settings = Settings { parent: vec!["/a/@v".to_owned()], ..Settings::new("/a/b".to_owned()) };
        let decoder = Format::Xml(settings).compile(&|_| None, &Faults::new()).unwrap();
        for options in [JsonOptions::default(), JsonOptions { meta: true, ..JsonOptions::default() }] {
            let mut reader = decoder.reader(Cursor::new(&data), Resume::default()).unwrap();
            let (mut count, mut most) = (0, 0);
            while let Some(Item::Record(record)) = reader.next().unwrap() {
                let (mut whole, mut pieces) = (Vec::new(), Vec::new());
                decoder.write_json(&record, &options, &mut whole).unwrap();
                let mut sink = |piece: &[u8]| {
                    most = most.max(piece.len());
                    pieces.extend_from_slice(piece);
                    Ok(())
                };
                decoder.write_pieces(&record, &options, &mut sink).unwrap();
                assert_eq!(String::from_utf8(pieces).unwrap(), String::from_utf8(whole).unwrap());
                count += 1;
            }
            assert_eq!(count, 6);
            assert!((1..200_000).contains(&most), "{most}");
        }
    }
}
