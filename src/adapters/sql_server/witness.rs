//! What a result holds, as the server sends it, where the driver's reading would lose something: amounts of money, which
//! it makes floating-point numbers of, and text in a collation of UTF-8 (since SQL Server 2019), which it takes for the code
//! page of the collation's language. Results that were described are asked for so that neither travels (see `shape`); what
//! procedures bring cannot be described. So their answers are read a second time, token by token ([MS-TDS] 2.2.7), on the
//! way to the driver, and only what is needed is kept.
//!
//! What is not understood ends the reading: then nothing is testified, and those values are judged by what the driver says.

use std::collections::VecDeque;

/// The most bytes that are kept of what is not read yet.
const MOST: usize = 16 << 20;

/// That text of a collation is UTF-8: the bit `fUTF8` of its flags ([MS-TDS] 2.2.5.1.2).
const UTF8: u32 = 1 << 26;

/// A value as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Raw {
    /// Ten-thousandths.
    Money(Option<i64>),
    /// Bytes that are to be UTF-8.
    Text(Option<Vec<u8>>),
}

/// What is kept of a column's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    Nothing,
    Money,
    Text,
}

/// A result, its values row by row, and in a row by column.
#[derive(Debug, Default)]
struct Set {
    keeps: Vec<Keep>,
    values: VecDeque<Raw>,
}

/// How a value lies in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// So many bytes.
    Fixed(usize),
    /// One byte of length, 0 for NULL.
    Byte,
    /// Two bytes of length, all ones for NULL.
    Short,
    /// In chunks.
    Chunks,
    /// Behind a pointer.
    Pointed,
    /// Four bytes of length, 0 for NULL.
    Variant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kind {
    form: Form,
    keep: Keep,
}

/// Where in the answer we are.
#[derive(Clone, Debug, Default)]
enum At {
    #[default]
    Token,
    /// Before the value of a column. The bits say which are NULL and do not travel.
    Value(usize, Vec<u8>),
    /// Before a chunk of a value of a column, with what came of it before.
    Chunk(usize, Vec<u8>, Vec<u8>),
}

/// Why reading stops for now.
enum Stop {
    /// More must come.
    More,
    /// It is not understood.
    Lost,
}

/// Reads an answer as it comes.
#[derive(Debug, Default)]
pub(super) struct Witness {
    rest: Vec<u8>,
    skip: u64,
    at: At,
    kinds: Vec<Kind>,
    /// The values that follow come out of an argument, and belong to no result.
    is_out: bool,
    sets: Vec<Set>,
    out: VecDeque<Option<Raw>>,
    kept: usize,
    is_lost: bool,
}

/// Bytes that are there.
struct Bytes<'b>(&'b [u8]);

impl<'b> Bytes<'b> {
    fn take(&mut self, count: usize) -> Result<&'b [u8], Stop> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Stop::More)?;
        self.0 = rest;
        Ok(taken)
    }

    fn u8(&mut self) -> Result<u8, Stop> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn u16(&mut self) -> Result<u16, Stop> {
        self.take(2).map(|bytes| u16::from_le_bytes([bytes[0], bytes[1]]))
    }

    fn u32(&mut self) -> Result<u32, Stop> {
        self.take(4).map(|bytes| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    fn u64(&mut self) -> Result<u64, Stop> {
        let (low, high) = (self.u32()?, self.u32()?);
        Ok(u64::from(high) << 32 | u64::from(low))
    }

    /// A name with one byte of length, in characters.
    fn short_name(&mut self) -> Result<(), Stop> {
        let length = usize::from(self.u8()?);
        self.take(length * 2).map(drop)
    }

    /// A name with two bytes of length, in characters.
    fn long_name(&mut self) -> Result<(), Stop> {
        let length = usize::from(self.u16()?);
        self.take(length * 2).map(drop)
    }

    /// A type ([MS-TDS] 2.2.5.6), and the name of the table that stands behind old ones.
    fn kind(&mut self, has_table: bool) -> Result<Kind, Stop> {
        let plain = |form| Ok(Kind { form, keep: Keep::Nothing });
        match self.u8()? {
            0x1f => plain(Form::Fixed(0)),
            0x30 | 0x32 => plain(Form::Fixed(1)),
            0x34 => plain(Form::Fixed(2)),
            0x38 | 0x3a | 0x3b => plain(Form::Fixed(4)),
            0x3d | 0x3e | 0x7f => plain(Form::Fixed(8)),
            0x3c => Ok(Kind { form: Form::Fixed(8), keep: Keep::Money }),
            0x7a => Ok(Kind { form: Form::Fixed(4), keep: Keep::Money }),
            0x24 | 0x26 | 0x68 | 0x6d | 0x6f => self.take(1).and_then(|_| plain(Form::Byte)),
            0x6e => self.take(1).map(|_| Kind { form: Form::Byte, keep: Keep::Money }),
            0x37 | 0x3f | 0x6a | 0x6c => self.take(3).and_then(|_| plain(Form::Byte)),
            0x28 => plain(Form::Byte),
            0x29..=0x2b => self.take(1).and_then(|_| plain(Form::Byte)),
            0xa5 | 0xad => {
                let most = self.u16()?;
                plain(if most == u16::MAX { Form::Chunks } else { Form::Short })
            }
            narrow @ (0xa7 | 0xaf | 0xe7 | 0xef) => {
                let (most, collation) = (self.u16()?, self.u32()?);
                self.take(1)?;
                let is_utf8 = narrow < 0xe0 && collation & UTF8 != 0;
                let form = if most == u16::MAX { Form::Chunks } else { Form::Short };
                Ok(Kind { form, keep: if is_utf8 { Keep::Text } else { Keep::Nothing } })
            }
            old @ (0x22 | 0x23 | 0x63) => {
                self.take(if old == 0x22 { 4 } else { 9 })?;
                let parts = if has_table { self.u8()? } else { 0 };
                (0..parts).try_for_each(|_| self.long_name())?;
                plain(Form::Pointed)
            }
            0xf1 => {
                if self.u8()? != 0 {
                    self.short_name()?;
                    self.short_name()?;
                    self.long_name()?;
                }
                plain(Form::Chunks)
            }
            0xf0 => {
                self.take(2)?;
                (0..3).try_for_each(|_| self.short_name())?;
                self.long_name()?;
                plain(Form::Chunks)
            }
            0x62 => self.take(4).and_then(|_| plain(Form::Variant)),
            _ => Err(Stop::Lost),
        }
    }
}

impl Witness {
    /// Reads what comes next of the answer.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        if self.is_lost {
            return;
        }
        let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len());
        self.skip -= skipped as u64;
        self.rest.extend_from_slice(&bytes[skipped..]);
        let rest = std::mem::take(&mut self.rest);
        let mut left = Bytes(&rest);
        loop {
            // Each step takes all that it needs, or nothing.
            let mut ahead = Bytes(left.0);
            match self.step(&mut ahead) {
                Ok(()) => left = ahead,
                Err(Stop::More) => break,
                Err(Stop::Lost) => return self.lose(),
            }
            let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(left.0.len());
            self.skip -= skipped as u64;
            left = Bytes(&left.0[skipped..]);
            if left.0.is_empty() {
                break;
            }
        }
        self.rest = left.0.to_vec();
        if self.rest.len() + self.kept > MOST {
            self.lose();
        }
    }

    /// Nothing is testified any more.
    fn lose(&mut self) {
        *self = Witness { is_lost: true, ..Witness::default() };
    }

    fn step(&mut self, bytes: &mut Bytes<'_>) -> Result<(), Stop> {
        match std::mem::take(&mut self.at) {
            At::Token => self.token(bytes),
            At::Value(column, nulls) => {
                let ended = self.value(bytes, column, &nulls);
                if let Err(Stop::More) = ended {
                    self.at = At::Value(column, nulls);
                }
                ended
            }
            At::Chunk(column, nulls, came) => {
                let ended = self.chunk(bytes, column, &nulls, &came);
                if let Err(Stop::More) = ended {
                    self.at = At::Chunk(column, nulls, came);
                }
                ended
            }
        }
    }

    fn token(&mut self, bytes: &mut Bytes<'_>) -> Result<(), Stop> {
        match bytes.u8()? {
            0x81 => {
                let count = bytes.u16()?;
                let mut kinds = Vec::new();
                // All ones: no columns are told.
                for _ in 0..if count == u16::MAX { 0 } else { count } {
                    bytes.take(6)?;
                    kinds.push(bytes.kind(true)?);
                    bytes.short_name()?;
                }
                self.sets.push(Set { keeps: kinds.iter().map(|kind| kind.keep).collect(), values: VecDeque::new() });
                self.kinds = kinds;
            }
            0xd1 => self.next(0, Vec::new()),
            0xd2 => {
                let nulls = bytes.take(self.kinds.len().div_ceil(8))?.to_vec();
                self.next(0, nulls);
            }
            0xac => {
                bytes.take(2)?;
                bytes.short_name()?;
                bytes.take(7)?;
                self.kinds = vec![bytes.kind(false)?];
                self.is_out = true;
                self.next(0, Vec::new());
            }
            0xfd..=0xff => drop(bytes.take(12)?),
            0x79 | 0x78 => drop(bytes.take(4)?),
            0xa4 | 0xa5 | 0xa9..=0xab | 0xe3 => self.skip = u64::from(bytes.u16()?),
            0xe4 => self.skip = u64::from(bytes.u32()?),
            _ => return Err(Stop::Lost),
        }
        Ok(())
    }

    /// Goes on to a column's value, over those that are NULL and do not travel.
    fn next(&mut self, mut column: usize, nulls: Vec<u8>) {
        while let Some(kind) = self.kinds.get(column).copied() {
            let is_null = nulls.get(column / 8).is_some_and(|byte| byte >> (column % 8) & 1 == 1);
            if !is_null {
                self.at = At::Value(column, nulls);
                return;
            }
            self.keep(kind.keep, None);
            column += 1;
        }
        self.at = At::Token;
        self.is_out = false;
    }

    fn value(&mut self, bytes: &mut Bytes<'_>, column: usize, nulls: &[u8]) -> Result<(), Stop> {
        let Kind { form, keep } = self.kinds.get(column).copied().ok_or(Stop::Lost)?;
        let value = match form {
            Form::Fixed(length) => Some(bytes.take(length)?),
            Form::Byte => match bytes.u8()? {
                0 => None,
                length => Some(bytes.take(usize::from(length))?),
            },
            Form::Short => match bytes.u16()? {
                u16::MAX => None,
                length => Some(bytes.take(usize::from(length))?),
            },
            Form::Chunks => match bytes.u64()? {
                u64::MAX => None,
                _ => {
                    self.at = At::Chunk(column, nulls.to_vec(), Vec::new());
                    return Ok(());
                }
            },
            Form::Pointed => match bytes.u8()? {
                0 => None,
                length => {
                    bytes.take(usize::from(length) + 8)?;
                    self.skip = u64::from(bytes.u32()?);
                    Some(&[][..])
                }
            },
            Form::Variant => {
                self.skip = u64::from(bytes.u32()?);
                None
            }
        };
        self.keep(keep, value);
        self.next(column + 1, nulls.to_vec());
        Ok(())
    }

    fn chunk(&mut self, bytes: &mut Bytes<'_>, column: usize, nulls: &[u8], came: &[u8]) -> Result<(), Stop> {
        let keep = self.kinds.get(column).map_or(Keep::Nothing, |kind| kind.keep);
        let length = bytes.u32()?;
        if length == 0 {
            self.keep(keep, Some(came));
            self.next(column + 1, nulls.to_vec());
            return Ok(());
        }
        let mut came = came.to_vec();
        match keep {
            Keep::Text => came.extend_from_slice(bytes.take(usize::try_from(length).map_err(|_| Stop::Lost)?)?),
            _ => self.skip = u64::from(length),
        }
        if came.len() > MOST {
            return Err(Stop::Lost);
        }
        self.at = At::Chunk(column, nulls.to_vec(), came);
        Ok(())
    }

    /// Keeps a value where it is one of those.
    fn keep(&mut self, keep: Keep, value: Option<&[u8]>) {
        let raw = match keep {
            Keep::Nothing => None,
            Keep::Money => Some(Raw::Money(value.and_then(units))),
            Keep::Text => Some(Raw::Text(value.map(<[u8]>::to_vec))),
        };
        self.kept += raw.as_ref().map_or(0, |_| 16 + value.map_or(0, <[u8]>::len));
        match (self.is_out, raw) {
            (true, raw) => self.out.push_back(raw),
            (false, Some(raw)) => self.sets.last_mut().into_iter().for_each(|set| set.values.push_back(raw.clone())),
            (false, None) => {}
        }
    }

    /// What is kept of the columns of a result, by its number; `None` where nothing is known of it.
    pub(super) fn keeps(&self, set: usize) -> Option<&[Keep]> {
        self.sets.get(set).map(|set| set.keeps.as_slice())
    }

    /// The next value that was kept of a result.
    pub(super) fn next_of(&mut self, set: usize) -> Option<Raw> {
        let raw = self.sets.get_mut(set)?.values.pop_front()?;
        let length = if let Raw::Text(Some(text)) = &raw { text.len() } else { 8 };
        self.kept = self.kept.saturating_sub(16 + length);
        Some(raw)
    }

    /// What came out of the next argument, where it is one of those.
    pub(super) fn next_out(&mut self) -> Option<Raw> {
        self.out.pop_front().flatten()
    }
}

/// An amount as it is sent: its ten-thousandths, of 8 bytes the upper half first ([MS-TDS] 2.2.5.5.1.2).
fn units(bytes: &[u8]) -> Option<i64> {
    let half = |bytes: &[u8]| bytes.try_into().ok().map(i32::from_le_bytes);
    match bytes.len() {
        4 => half(bytes).map(i64::from),
        8 => {
            let (high, low) = (half(&bytes[..4])?, half(&bytes[4..])?);
            Some(i64::from(high) << 32 | i64::from(low.cast_unsigned()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Keep, MOST, Raw, Witness};
    use proptest::prelude::*;

    /// A column of COLMETADATA: user type, flags, the type, and the name `a`.
    fn column(kind: &[u8]) -> Vec<u8> {
        [&[0, 0, 0, 0, 9, 0], kind, &[1, b'a', 0]].concat()
    }

    const UTF8_TEXT: [u8; 8] = [0xa7, 20, 0, 0x09, 0x04, 0xd0, 0x24, 0x00];
    const UTF8_LONG: [u8; 8] = [0xa7, 0xff, 0xff, 0x09, 0x04, 0xd0, 0x24, 0x00];
    const LATIN_TEXT: [u8; 8] = [0xa7, 20, 0, 0x09, 0x04, 0xd0, 0x00, 0x34];
    const DONE: [u8; 13] = [0xff, 0x11, 0, 0xc1, 0, 1, 0, 0, 0, 0, 0, 0, 0];

    /// Two results, a return code, and a value that comes out.
    fn answer() -> Vec<u8> {
        let first = [
            vec![0x81, 5, 0],
            column(&[0x6e, 8]),
            column(&UTF8_TEXT),
            column(&LATIN_TEXT),
            column(&[0x26, 4]),
            column(&UTF8_LONG),
        ]
        .concat();
        let long =
            [&5u64.to_le_bytes()[..], &[2, 0, 0, 0, 0xc3, 0xbc, 3, 0, 0, 0, b'x', b'y', b'z', 0, 0, 0, 0]].concat();
        let row = [
            &[0xd1, 8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0xc3, 0xbc, 1, 0, 0xfc, 4, 7, 0, 0, 0][..],
            &long,
        ]
        .concat();
        // Of this row only the number travels.
        let empty = [0xd2, 0b1_0111, 4, 8, 0, 0, 0];
        let second = [vec![0x81, 2, 0], column(&[0x7a]), column(&[0x3c])].concat();
        let amounts = [0xd1, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff];
        let out =
            [&[0xac, 1, 0, 1, b'@', 0, 1, 0, 0, 0, 0, 0, 0, 0x6e, 8, 8][..], &[0, 0, 0, 0, 0x10, 0x27, 0, 0]].concat();
        let code = [0x79, 3, 0, 0, 0];
        [&first[..], &row, &empty, &DONE, &second, &amounts, &DONE, &code, &out, &[0xfe, 0, 0, 0xe0, 0], &[0; 8]]
            .concat()
    }

    fn text(text: &[u8]) -> Raw {
        Raw::Text(Some(text.to_vec()))
    }

    #[test]
    fn what_the_driver_would_lose_is_kept_however_it_is_cut() {
        let answer = answer();
        for piece in [1, 2, 3, 5, 7, 16, 64, 4096] {
            let mut witness = Witness::default();
            answer.chunks(piece).for_each(|piece| witness.feed(piece));
            let keeps = [Keep::Money, Keep::Text, Keep::Nothing, Keep::Nothing, Keep::Text];
            assert_eq!(witness.keeps(0), Some(&keeps[..]), "{piece}");
            let first: Vec<_> = std::iter::from_fn(|| witness.next_of(0)).collect();
            let nulls = [Raw::Money(None), Raw::Text(None), Raw::Text(None)];
            let there = [Raw::Money(Some(-1)), text("\u{fc}".as_bytes()), text("\u{fc}xyz".as_bytes())];
            assert_eq!(first, [there, nulls].concat(), "{piece}");
            let second: Vec<_> = std::iter::from_fn(|| witness.next_of(1)).collect();
            assert_eq!(second, [Raw::Money(Some(i64::from(i32::MAX))), Raw::Money(Some(i64::MAX))], "{piece}");
            assert_eq!((witness.next_out(), witness.next_out()), (Some(Raw::Money(Some(10_000))), None));
            assert!(witness.rest.is_empty() && !witness.is_lost, "{piece}");
        }
    }

    #[test]
    fn what_is_not_understood_is_no_testimony() {
        let mut witness = Witness::default();
        witness.feed(&answer());
        witness.feed(&[0x00]);
        assert!(witness.keeps(0).is_none() && witness.next_of(0).is_none() && witness.next_out().is_none());
        // Nor is what would take too much memory.
        let mut witness = Witness::default();
        witness
            .feed(&[&[0x81, 1, 0][..], &column(&UTF8_LONG), &[0xd1], &u64::MAX.wrapping_sub(1).to_le_bytes()].concat());
        for _ in 0..=MOST >> 20 {
            witness.feed(&(1u32 << 20).to_le_bytes());
            witness.feed(&vec![b'x'; 1 << 20]);
        }
        assert!(witness.is_lost);
    }

    proptest! {
        /// Whatever comes, there is no panic and little memory.
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), piece in 1usize..60, at in 0usize..200) {
            let mut whole = answer();
            whole.splice(at.min(whole.len())..at.min(whole.len()), bytes);
            let mut witness = Witness::default();
            whole.chunks(piece).for_each(|piece| witness.feed(piece));
            prop_assert!(witness.rest.len() <= whole.len());
        }
    }
}
