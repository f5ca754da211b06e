//! How long the records of a file are that has no lines: by the distance at which its bytes repeat themselves, and by
//! descriptor words that lead from one to the next.

/// The longest record that is looked for.
const LONGEST: usize = 4096;

/// Bytes that are compared.
const COMPARED: usize = 32 << 10;

/// A length at which a file may be cut into records.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Length {
    pub(super) bytes: usize,
    /// The share of bytes that are what they are one record further on.
    pub(super) alike: f64,
    /// Whether the size of the file is a multiple of it.
    pub(super) divides: bool,
}

/// The likeliest lengths, the best first.
pub(super) fn lengths(bytes: &[u8], size: u64) -> Vec<Length> {
    let bytes = &bytes[..bytes.len().min(COMPARED)];
    let longest = LONGEST.min(bytes.len() / 3);
    let alike = |length: usize| {
        let pairs = bytes.iter().zip(bytes.iter().skip(length));
        let same = pairs.filter(|(a, b)| a == b).count();
        same as f64 / (bytes.len() - length).max(1) as f64
    };
    let mut found: Vec<Length> = (4..=longest)
        .map(|length| Length { bytes: length, alike: alike(length), divides: size.is_multiple_of(length as u64) })
        .collect();
    let average = found.iter().map(|length| length.alike).sum::<f64>() / found.len().max(1) as f64;
    let best = found.iter().map(|length| length.alike).fold(0.0, f64::max);
    // Something must repeat: a record's length, and every multiple of it, stands out.
    if best < 0.2 || best < average * 1.15 {
        return Vec::new();
    }
    found.retain(|length| length.alike > average + (best - average) * 0.5);
    found.sort_by(|a, b| b.divides.cmp(&a.divides).then(a.bytes.cmp(&b.bytes)));
    // Multiples of one that is named already say nothing new.
    let mut named: Vec<Length> = Vec::new();
    for length in found {
        if !named.iter().any(|shorter| length.bytes.is_multiple_of(shorter.bytes)) {
            named.push(length);
        }
    }
    named.truncate(3);
    named
}

/// How records are marked off by their own lengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chain {
    /// The framing as `decode --framing` calls it.
    pub(super) framing: &'static str,
    /// Whether the length counts its own four bytes.
    pub(super) counts_itself: bool,
    /// Records that follow one another so.
    pub(super) records: usize,
}

/// The descriptor words that lead through all the bytes, if there are some.
pub(super) fn chain(bytes: &[u8], whole: bool) -> Option<Chain> {
    let follow = |framing: &'static str, counts_itself: bool| {
        let (mut at, mut records) = (0usize, 0usize);
        while let Some([a, b, c, d]) = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>()) {
            let (length, rest) = match framing {
                "rdw-be" => (u16::from_be_bytes([*a, *b]), [*c, *d]),
                // Little-endian in the last two or the first two bytes, as transfer programs write it.
                _ => (u16::from_le_bytes([*c, *d]), [*a, *b]),
            };
            let length = usize::from(length) + if counts_itself { 0 } else { 4 };
            if rest != [0, 0] || length <= 4 {
                return None;
            }
            at += length;
            records += 1;
        }
        let ends = if whole { at == bytes.len() } else { at >= bytes.len() };
        (ends && records >= 3).then_some(Chain { framing, counts_itself, records })
    };
    [("rdw-be", true), ("rdw-be", false), ("rdw-le", true), ("rdw-le", false)]
        .into_iter()
        .find_map(|(framing, counts_itself)| follow(framing, counts_itself))
}

#[cfg(test)]
mod tests {
    use super::{chain, lengths};

    #[test]
    fn lengths_of_records() {
        let mut data = Vec::new();
        for record in 0..500u32 {
            data.extend(
                format!("{record:08}{:<20}{:07}", ["HAMMER", "SAW", "PLIERS"][record as usize % 3], record * 37 % 9973)
                    .bytes(),
            );
        }
        let found = lengths(&data, data.len() as u64);
        assert_eq!((found[0].bytes, found[0].divides), (35, true), "{found:?}");
        // Nothing repeats in numbers without order.
        let mut state = 1u32;
        let noise: Vec<u8> = (0..20_000)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
            .collect();
        assert_eq!(lengths(&noise, 20_000), []);
        assert_eq!(lengths(b"", 0), []);
    }

    #[test]
    fn descriptor_words() {
        let data = |big: bool, own: u16| -> Vec<u8> {
            [5u16, 9, 30, 7]
                .into_iter()
                .flat_map(|length| {
                    let word = length + own;
                    let head =
                        if big { [word.to_be_bytes(), [0, 0]].concat() } else { [[0, 0], word.to_le_bytes()].concat() };
                    [head, vec![b'x'; usize::from(length)]].concat()
                })
                .collect()
        };
        for (big, own, framing) in
            [(true, 4, "rdw-be"), (true, 0, "rdw-be"), (false, 4, "rdw-le"), (false, 0, "rdw-le")]
        {
            let found = chain(&data(big, own), true).unwrap();
            assert_eq!((found.framing, found.counts_itself, found.records), (framing, own == 4, 4));
        }
        assert_eq!(chain(b"0008abcd0008abcd0008abcd", true), None);
        assert_eq!(chain(b"", true), None);
    }
}
