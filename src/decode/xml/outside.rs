//! Values that stand before the records, in the elements around them: a batch number, the date of a header.
//!
//! Only those are kept that somebody asked for, as they come by. A value holds for the records behind it: until the
//! element ends that both it and they lie in, or another element of those on its path begins.

use super::names::Name;
use super::tree::trimmed;
use crate::decode::json::write_string;
use crate::record::{FieldFault, RejectCode, Value};

/// The most bytes of one value.
pub(super) const MAX_VALUE: usize = 64 << 10;
/// Values that can be asked for: as many as a mask has bits.
pub(super) const MAX_VALUES: usize = 64;

/// What is known of a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Held {
    #[default]
    Nothing,
    Text(String),
    /// It came more than once.
    Several,
    TooLong,
}

/// A value that is asked for.
struct Wanted {
    path: Vec<Name>,
    /// The path as JSON and messages have it.
    shown: String,
    /// Whether `decode` writes it.
    is_written: bool,
    held: Held,
}

/// See the module.
#[derive(Default)]
pub(super) struct Outside {
    wanted: Vec<Wanted>,
}

impl Outside {
    /// Asks for one more; its number.
    pub(super) fn add(&mut self, path: Vec<Name>, shown: String, is_written: bool) -> usize {
        self.wanted.push(Wanted { path, shown, is_written, held: Held::Nothing });
        self.wanted.len() - 1
    }

    /// Nothing is known of any: another document is read.
    pub(super) fn restart(&mut self) {
        self.wanted.iter_mut().for_each(|wanted| wanted.held = Held::Nothing);
    }

    /// The mask of the document: all begin there.
    pub(super) fn all(&self) -> u64 {
        self.wanted.iter().enumerate().fold(0, |mask, (index, _)| mask | 1 << index)
    }

    /// Which of the values whose paths led to the parent, at `depth` elements, lead to this element.
    pub(super) fn advance(&self, parent: u64, depth: usize, name: Name) -> u64 {
        if parent == 0 {
            return 0;
        }
        let leads = |(index, wanted): (usize, &Wanted)| {
            let is_step = parent & 1 << index != 0 && wanted.path.get(depth) == Some(&name);
            if is_step { 1u64 << index } else { 0 }
        };
        self.wanted.iter().enumerate().map(leads).fold(0, |mask, bit| mask | bit)
    }

    fn of(&mut self, mask: u64) -> impl Iterator<Item = &mut Wanted> {
        self.wanted.iter_mut().enumerate().filter(move |(index, _)| mask & 1 << index != 0).map(|(_, wanted)| wanted)
    }

    /// An element of this depth begins: what lay below the one before it is over. The element itself may be a value.
    pub(super) fn begin(&mut self, mask: u64, depth: usize) {
        for wanted in self.of(mask) {
            if wanted.path.len() > depth {
                wanted.held = Held::Nothing;
            } else if wanted.path.len() == depth {
                wanted.held = match wanted.held {
                    Held::Nothing => Held::Text(String::new()),
                    _ => Held::Several,
                };
            }
        }
    }

    /// The element has an attribute.
    pub(super) fn attribute(&mut self, mask: u64, depth: usize, name: Name, value: &str) {
        for wanted in self.of(mask) {
            if wanted.path.len() == depth + 1 && wanted.path.last() == Some(&name) {
                wanted.held = if value.len() > MAX_VALUE { Held::TooLong } else { Held::Text(value.to_owned()) };
            }
        }
    }

    /// The element has text.
    pub(super) fn text(&mut self, mask: u64, depth: usize, text: &str) {
        for wanted in self.of(mask) {
            if wanted.path.len() == depth
                && let Held::Text(held) = &mut wanted.held
            {
                if held.len() + text.len() > MAX_VALUE {
                    wanted.held = Held::TooLong;
                } else {
                    held.push_str(text);
                }
            }
        }
    }

    /// Whether text of this element is asked for.
    pub(super) fn wants_text(&self, mask: u64, depth: usize) -> bool {
        mask != 0 && self.wanted.iter().enumerate().any(|(i, wanted)| mask & 1 << i != 0 && wanted.path.len() == depth)
    }

    /// The element ends, and there were records in it: what lies below it holds no more.
    pub(super) fn end(&mut self, mask: u64, depth: usize) {
        for wanted in self.of(mask) {
            if wanted.path.len() > depth {
                wanted.held = Held::Nothing;
            }
        }
    }

    pub(super) fn read(&self, number: usize) -> Result<Value<'_>, FieldFault> {
        let fault = |found: &str| {
            let code = RejectCode::BadCount;
            Err(FieldFault { code, expected: "one value before the record".to_owned(), found: found.to_owned() })
        };
        match self.wanted.get(number).map(|wanted| &wanted.held) {
            None | Some(Held::Nothing) => Ok(Value::Null),
            Some(Held::Text(text)) => Ok(Value::Text(trimmed(text).into())),
            Some(Held::Several) => fault("several"),
            Some(Held::TooLong) => fault("one of more than 64 KiB"),
        }
    }

    /// The names of those that `decode` writes.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.wanted.iter().filter(|wanted| wanted.is_written).map(|wanted| wanted.shown.as_str())
    }

    /// Whether every value that `decode` writes can be.
    pub(super) fn check(&self) -> Result<(), FieldFault> {
        let written = self.wanted.iter().enumerate().filter(|(_, wanted)| wanted.is_written);
        written.map(|(number, _)| self.read(number)).try_for_each(|read| read.map(|_| ()))
    }

    /// Appends those that `decode` writes as members, each after a comma.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        for wanted in self.wanted.iter().filter(|wanted| wanted.is_written) {
            out.push(b',');
            write_string(&wanted.shown, out);
            out.push(b':');
            match &wanted.held {
                Held::Text(text) => write_string(trimmed(text), out),
                _ => out.extend_from_slice(b"null"),
            }
        }
    }
}
