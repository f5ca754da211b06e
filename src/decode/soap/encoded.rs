//! Arrays and maps as SOAP encodes them (SOAP 1.1, section 5.4; SOAP 1.2 part 2, section 3).

use std::io::Read;

use super::element::Declared;
use super::machine::{Machine, Outcome, Piece};
use super::names::local;
use super::shape::ANY;
use super::tag::Tag;
use crate::decode::json::write_string_bytes;
use crate::record::RejectCode;
use crate::wsdl::{TypeId, TypeKind};

/// Places of a sparse array that are filled with null.
const MAX_GAP: usize = 100_000;

/// How an array is laid out.
#[derive(Default)]
struct Bounds {
    /// The length of each dimension, where it is said.
    sizes: Vec<Option<usize>>,
}

impl Bounds {
    /// Of `ns:Order[2,3]`: the last brackets.
    fn of_type(text: &str) -> Bounds {
        let inside = text.rsplit_once('[').and_then(|(_, rest)| rest.split_once(']')).map_or("", |(inside, _)| inside);
        Bounds { sizes: inside.split(',').map(|size| size.trim().parse().ok()).collect() }
    }

    /// Of `2 3` or `* 3`.
    fn of_size(text: &str) -> Bounds {
        Bounds { sizes: text.split_ascii_whitespace().map(|size| size.parse().ok()).collect() }
    }

    /// The index that `[1,2]` stands for when all items lie in a row.
    fn index(&self, position: &str) -> Option<usize> {
        let inside = position.trim().strip_prefix('[')?.strip_suffix(']')?;
        let mut index = 0usize;
        for (dimension, part) in inside.split(',').enumerate() {
            let size = if dimension == 0 { 0 } else { self.sizes.get(dimension).copied().flatten()? };
            index = index.checked_mul(size)?.checked_add(part.trim().parse().ok()?)?;
        }
        Some(index)
    }
}

impl<R: Read> Machine<R> {
    /// Appends an array.
    pub(super) fn array(&mut self, item: TypeId, dimensions: u8, tag: &Tag) -> Outcome<()> {
        let types = std::sync::Arc::clone(&self.types);
        let array_type = self.encoding_attribute(b"arrayType")?;
        let bounds = match (&array_type, self.encoding_attribute(b"arraySize")?) {
            (Some(text), _) => Bounds::of_type(text),
            (None, Some(text)) => Bounds::of_size(&text),
            (None, None) => Bounds::default(),
        };
        let mut shape = self.shapes.of_type(&types, item);
        if matches!(types.get(item).kind, TypeKind::Any | TypeKind::Untyped)
            && let Some(named) = array_type.or(self.encoding_attribute(b"itemType")?)
        {
            let name = named.split('[').next().unwrap_or_default();
            let resolved = self.names.element(&types.names, name.as_bytes());
            let found = resolved.ok().and_then(|resolved| resolved.name()).and_then(|name| types.named(name));
            shape = found.map_or(shape, |found| self.shapes.of_type(&types, found));
        }
        let mut next = match self.encoding_attribute(b"offset")? {
            Some(offset) => self.place(&bounds, &offset, tag)?,
            None => 0,
        };
        let mut items: Vec<(usize, usize, usize)> = Vec::new();
        let start = self.out.len();
        if !tag.empty {
            loop {
                match self.next()? {
                    Piece::Start(child) => {
                        let scope = self.names.scope;
                        self.open(&child)?;
                        if let Some(position) = self.encoding_attribute(b"position")? {
                            next = self.place(&bounds, &position, &child)?;
                        }
                        let from = self.out.len();
                        let within = |index: usize| format!("[{index}]");
                        self.value(shape, &child, Declared::default()).map_err(|stop| stop.within(|| within(next)))?;
                        items.push((next, from, self.out.len()));
                        next += 1;
                        self.names.scope = scope;
                    }
                    Piece::End { name } => {
                        self.check_end(tag, name)?;
                        break;
                    }
                    Piece::Text(from, to) | Piece::CData(from, to) => self.stray(from, to)?,
                    Piece::Remark => {}
                }
            }
        }
        items.sort_by_key(|item| item.0);
        if let Some(pair) = items.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            let found = format!("two of them at [{}]", pair[0].0);
            return Err(self.problem(RejectCode::BadCount, tag.at, "one item at each place", found));
        }
        let dimensions = usize::from(dimensions).max(bounds.sizes.len());
        let inner: Option<Vec<usize>> = bounds.sizes.iter().skip(1).copied().collect();
        let inner = inner.filter(|inner| inner.len() + 1 == dimensions && !inner.contains(&0)).unwrap_or_default();
        let written = self.laid_out(&items, &inner);
        self.out.truncate(start);
        self.out.extend_from_slice(&written);
        Ok(())
    }

    fn place(&self, bounds: &Bounds, position: &str, tag: &Tag) -> Outcome<usize> {
        match bounds.index(position).filter(|index| *index <= MAX_GAP) {
            Some(index) => Ok(index),
            None => {
                let expected = format!("a place in an array up to {MAX_GAP}");
                Err(self.problem(RejectCode::BadCount, tag.at, expected, format!("`{position}`")))
            }
        }
    }

    /// The items in their places, with null in between; in rows of these lengths.
    fn laid_out(&self, items: &[(usize, usize, usize)], inner: &[usize]) -> Vec<u8> {
        let length = items.last().map_or(0, |last| last.0 + 1);
        let mut written = vec![b'['];
        let mut items = items.iter().peekable();
        // How many items a row of each dimension has, the outermost first.
        let rows: Vec<usize> =
            (0..inner.len()).map(|at| inner[at..].iter().fold(1usize, |all, size| all.saturating_mul(*size))).collect();
        for place in 0..length {
            let opened = rows.iter().filter(|row| place % **row == 0).count();
            if place > 0 {
                written.resize(written.len() + opened, b']');
                written.push(b',');
            }
            written.resize(written.len() + opened, b'[');
            match items.next_if(|item| item.0 == place) {
                Some((_, from, to)) => written.extend_from_slice(self.out.get(*from..*to).unwrap_or_default()),
                None => written.extend_from_slice(b"null"),
            }
        }
        if length > 0 {
            written.resize(written.len() + rows.len(), b']');
        }
        written.push(b']');
        written
    }

    /// Appends a map as an object: elements with a `key` and a `value`.
    pub(super) fn map(&mut self, tag: &Tag) -> Outcome<()> {
        let start = self.out.len();
        let mut keys = std::collections::HashSet::new();
        if !tag.empty {
            loop {
                match self.next()? {
                    Piece::Start(item) => {
                        let name = self.entry(&item)?;
                        if !keys.insert(name) {
                            return Err(self.problem(
                                RejectCode::BadCount,
                                item.at,
                                "keys that differ",
                                "one key twice",
                            ));
                        }
                    }
                    Piece::End { name } => {
                        self.check_end(tag, name)?;
                        break;
                    }
                    Piece::Text(from, to) | Piece::CData(from, to) => self.stray(from, to)?,
                    Piece::Remark => {}
                }
            }
        }
        super::object::close(start, &mut self.out);
        Ok(())
    }

    /// An entry of a map, appended as a member with a comma before it; answers its key.
    fn entry(&mut self, item: &Tag) -> Outcome<Vec<u8>> {
        let scope = self.names.scope;
        self.open(item)?;
        let (mut key, mut value) = (None, b"null".to_vec());
        let start = self.out.len();
        if !item.empty {
            loop {
                match self.next()? {
                    Piece::Start(part) => {
                        let inner = self.names.scope;
                        self.open(&part)?;
                        let name = local(part.written(self.window.bytes())).to_vec();
                        self.value(ANY, &part, Declared::default())
                            .map_err(|stop| stop.within(|| String::from_utf8_lossy(&name).into_owned()))?;
                        let written = self.out.split_off(start);
                        match name.as_slice() {
                            b"key" => key = Some(written),
                            b"value" => value = written,
                            _ => {}
                        }
                        self.names.scope = inner;
                    }
                    Piece::End { name } => {
                        self.check_end(item, name)?;
                        break;
                    }
                    Piece::Text(from, to) | Piece::CData(from, to) => self.stray(from, to)?,
                    Piece::Remark => {}
                }
            }
        }
        self.names.scope = scope;
        let key = match key {
            Some(key) if key.starts_with(b"\"") => key,
            // Numbers and booleans may be keys.
            Some(key) if !key.starts_with(b"{") && !key.starts_with(b"[") => {
                let mut text = Vec::new();
                write_string_bytes(&key, &mut text);
                text
            }
            _ => return Err(self.problem(RejectCode::Absent, item.at, "a key that is a text", "none")),
        };
        self.out.push(b',');
        self.out.extend_from_slice(&key);
        self.out.push(b':');
        self.out.extend_from_slice(&value);
        Ok(key)
    }
}

#[cfg(test)]
mod tests {
    use super::Bounds;

    #[test]
    fn places() {
        let bounds = Bounds::of_type("ns1:Order[][2,3]");
        assert_eq!(
            (bounds.sizes.clone(), bounds.index("[1,2]"), bounds.index("[4]")),
            (vec![Some(2), Some(3)], Some(5), Some(4))
        );
        assert_eq!((bounds.index("1"), bounds.index("[x]"), bounds.index("[0,0,1]")), (None, None, None));
        assert_eq!(Bounds::of_size("* 3").sizes, [None, Some(3)]);
        assert_eq!(Bounds::of_type("xsd:int[]").sizes, [None]);
    }
}
