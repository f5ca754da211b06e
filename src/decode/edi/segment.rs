//! One segment's bytes: where it ends, and what its elements are.

use std::borrow::Cow;

use super::syntax::Separators;

/// Where a segment lies, relative to its transaction, without its terminator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: u32,
    pub(super) to: u32,
}

impl Span {
    /// Its bytes.
    pub(super) fn of(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.from as usize..self.to as usize).unwrap_or_default()
    }
}

/// Index of the terminator of the segment at the start of `bytes`; `None` when it is not there.
pub(super) fn find_end(bytes: &[u8], separators: &Separators) -> Option<usize> {
    let Some(release) = separators.release else { return memchr::memchr(separators.segment, bytes) };
    let mut from = 0;
    loop {
        let found = from + memchr::memchr2(separators.segment, release, bytes.get(from..)?)?;
        if bytes[found] == separators.segment {
            return Some(found);
        }
        from = found + 2;
    }
}

/// Binary data within a segment: BIN01 (X12 segment BIN) and BDS02 (BDS) say how many bytes follow the separator behind
/// them, whatever these are. Answers the index at which the search for the terminator goes on.
pub(super) fn behind_binary(bytes: &[u8], separators: &Separators) -> Result<usize, ()> {
    let skipped = match bytes.first_chunk::<4>() {
        Some([b'B', b'I', b'N', byte]) if *byte == separators.element => 1,
        Some([b'B', b'D', b'S', byte]) if *byte == separators.element => 2,
        _ => return Ok(0),
    };
    let mut at = 3;
    for _ in 1..skipped {
        let length = memchr::memchr2(separators.element, separators.segment, bytes.get(at + 1..).unwrap_or_default());
        at += 1 + length.ok_or(())?;
    }
    let rest = bytes.get(at + 1..).unwrap_or_default();
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    match rest.get(digits) {
        None => Err(()),
        Some(byte) if *byte == separators.element && (1..=9).contains(&digits) => {
            let length = rest[..digits].iter().fold(0usize, |number, digit| number * 10 + usize::from(digit - b'0'));
            Ok(at + 1 + digits + 1 + length)
        }
        Some(_) => Ok(0),
    }
}

/// The segment's name: what stands before its first separator.
pub(super) fn id<'a>(segment: &'a [u8], separators: &Separators) -> &'a [u8] {
    // Names have two or three characters; what is longer is a fault that is shown at most so far.
    let looked = &segment[..segment.len().min(16)];
    let end = looked.iter().position(|byte| *byte == separators.element).unwrap_or(looked.len());
    &looked[..end]
}

/// True for what can name a segment.
pub(super) fn is_id(id: &[u8]) -> bool {
    matches!(id.len(), 2 | 3)
        && id.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        && id[0].is_ascii_uppercase()
}

/// Pieces of `bytes` between separators that are not released.
pub(super) struct Pieces<'a> {
    rest: Option<&'a [u8]>,
    separator: u8,
    release: Option<u8>,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let bytes = self.rest?;
        let mut from = 0;
        let end = loop {
            let looked = bytes.get(from..).unwrap_or_default();
            let found = match self.release {
                Some(release) => memchr::memchr2(self.separator, release, looked),
                None => memchr::memchr(self.separator, looked),
            };
            match found {
                Some(found) if bytes[from + found] != self.separator => from += found + 2,
                Some(found) => break Some(from + found),
                None => break None,
            }
        };
        self.rest = end.and_then(|end| bytes.get(end + 1..));
        Some(&bytes[..end.unwrap_or(bytes.len())])
    }
}

/// Cuts at a separator.
pub(super) fn pieces(bytes: &[u8], separator: u8, release: Option<u8>) -> Pieces<'_> {
    Pieces { rest: Some(bytes), separator, release }
}

/// The segment's elements as they are written; the first one is its name.
pub(super) fn elements<'a>(segment: &'a [u8], separators: &Separators) -> Pieces<'a> {
    pieces(segment, separators.element, separators.release)
}

/// The repetitions of an element.
pub(super) fn repetitions<'a>(element: &'a [u8], separators: &Separators) -> impl Iterator<Item = &'a [u8]> {
    let (repeated, single) = match separators.repetition {
        Some(repetition) => (Some(pieces(element, repetition, separators.release)), None),
        None => (None, Some(element)),
    };
    repeated.into_iter().flatten().chain(single)
}

/// The components of one repetition.
pub(super) fn components<'a>(element: &'a [u8], separators: &Separators) -> Pieces<'a> {
    pieces(element, separators.component, separators.release)
}

/// The data without its release characters.
pub(super) fn released<'a>(data: &'a [u8], separators: &Separators) -> Cow<'a, [u8]> {
    let Some(release) = separators.release.filter(|release| data.contains(release)) else {
        return Cow::Borrowed(data);
    };
    let mut plain = Vec::with_capacity(data.len());
    let mut bytes = data.iter();
    while let Some(&byte) = bytes.next() {
        // A release character at the very end releases nothing.
        plain.extend(if byte == release { bytes.next() } else { Some(&byte) });
    }
    Cow::Owned(plain)
}

/// For messages and for what is known to be ASCII: the data as text.
pub(super) fn text_of(data: &[u8], separators: &Separators) -> String {
    String::from_utf8_lossy(&released(data, separators)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::{behind_binary, components, elements, find_end, is_id, released, repetitions};
    use crate::decode::edi::syntax::Separators;

    const EDIFACT: Separators =
        Separators { element: b'+', component: b':', repetition: Some(b'*'), release: Some(b'?'), segment: b'\'' };
    const X12: Separators =
        Separators { element: b'*', component: b':', repetition: Some(b'^'), release: None, segment: b'~' };

    fn cut<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<&'a str> {
        pieces.map(|piece| std::str::from_utf8(piece).unwrap()).collect()
    }

    #[test]
    fn release_characters() {
        assert_eq!(find_end(b"FTX+A??'BGM", &EDIFACT), Some(7));
        assert_eq!(find_end(b"FTX+A?''BGM", &EDIFACT), Some(7));
        assert_eq!(find_end(b"FTX+A?'", &EDIFACT), None);
        assert_eq!(find_end(b"FTX+A?", &EDIFACT), None);
        assert_eq!(cut(elements(b"FTX+A?+B++C??", &EDIFACT)), ["FTX", "A?+B", "", "C??"]);
        assert_eq!(released(b"A?+B??C?", &EDIFACT).as_ref(), b"A+B?C");
        assert_eq!(cut(components(b"a:?::c", &EDIFACT)), ["a", "?:", "c"]);
        assert_eq!(cut(repetitions(b"a*b?*c*", &EDIFACT)), ["a", "b?*c", ""]);
        assert_eq!(cut(repetitions(b"a*b", &Separators { repetition: None, ..EDIFACT })), ["a*b"]);
        assert_eq!(cut(elements(b"", &X12)), [""]);
    }

    #[test]
    fn binary_data_hides_terminators() {
        assert_eq!(behind_binary(b"BIN*5*a~b~c~", &X12), Ok(11));
        assert_eq!(behind_binary(b"BDS*ZIP*2*~~~", &X12), Ok(12));
        assert_eq!(behind_binary(b"BIN*", &X12), Err(()));
        assert_eq!(behind_binary(b"BIN*12", &X12), Err(()));
        assert_eq!(behind_binary(b"BDS*ZIP", &X12), Err(()));
        assert_eq!(behind_binary(b"BIN*x*~", &X12), Ok(0));
        assert_eq!(behind_binary(b"BEG*5*", &X12), Ok(0));
        assert_eq!(behind_binary(b"BI", &X12), Ok(0));
    }

    #[test]
    fn names_of_segments() {
        for (id, sound) in [
            ("ST", true),
            ("N1", true),
            ("PO1", true),
            ("1ST", false),
            ("S", false),
            ("LONG", false),
            ("po1", false),
            ("", false),
        ] {
            assert_eq!(is_id(id.as_bytes()), sound, "{id}");
        }
    }
}
