//! Compressed answers, given back piece by piece. What a few bytes become is bounded, whatever they claim.

use std::io::{self, Write};

use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use hyper::HeaderMap;
use hyper::header::CONTENT_ENCODING;

/// So many times as long as what was sent may an answer become. Real answers reach fifty.
const RATIO: u64 = 250;

/// Up to here nobody asks for the ratio.
const FREE: u64 = 8 << 20;

/// So much is inflated at a time: what it becomes is a thousand times as long at most.
const SLICE: usize = 1 << 10;

/// Why a compressed answer cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::adapters::soap) enum InflateError {
    /// Compressed in a way that was not offered, or not as announced, or it broke off.
    Broken(String),
    /// It becomes absurdly long.
    Bomb,
}

/// What undoes a compression.
pub(in crate::adapters::soap) struct Inflate {
    state: State,
    announced: Announced,
    taken: u64,
    given: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Announced {
    Nothing,
    Gzip,
    Deflate,
}

enum State {
    /// So few bytes have come that nothing is known.
    Unknown(Vec<u8>),
    Plain,
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
    Zlib(Box<ZlibDecoder<Vec<u8>>>),
    Deflate(Box<DeflateDecoder<Vec<u8>>>),
}

impl Inflate {
    /// As the head says. What the first bytes say counts more: answers are announced as compressed that are not, and the
    /// other way round.
    pub(in crate::adapters::soap) fn announced(headers: &HeaderMap) -> Result<Inflate, InflateError> {
        let mut announced = Announced::Nothing;
        for value in headers.get_all(CONTENT_ENCODING) {
            for coding in value.to_str().unwrap_or("?").split(',').map(str::trim).filter(|coding| !coding.is_empty()) {
                let this = match coding.to_ascii_lowercase().as_str() {
                    "identity" => continue,
                    "gzip" | "x-gzip" => Announced::Gzip,
                    "deflate" => Announced::Deflate,
                    other => return Err(InflateError::Broken(format!("it is compressed by `{other}`"))),
                };
                if announced != Announced::Nothing {
                    return Err(InflateError::Broken("it is compressed more than once".to_owned()));
                }
                announced = this;
            }
        }
        Ok(Inflate { state: State::Unknown(Vec::new()), announced, taken: 0, given: 0 })
    }

    /// Takes a piece and appends what it becomes to `out`. `out` grows by a megabyte at most between two looks at the
    /// bound `most`, the bytes that all pieces together may become; behind it nothing is appended any more.
    pub(in crate::adapters::soap) fn push(
        &mut self,
        piece: &[u8],
        out: &mut Vec<u8>,
        most: u64,
    ) -> Result<(), InflateError> {
        if let State::Unknown(begun) = &mut self.state {
            begun.extend_from_slice(piece);
            // The magic of gzip (RFC 1952) is told from a byte order mark or text by two bytes.
            if begun.len() < 2 {
                return Ok(());
            }
            let begun = std::mem::take(begun);
            self.state = State::of(&begun, self.announced);
            return self.feed(&begun, out, most);
        }
        self.feed(piece, out, most)
    }

    fn feed(&mut self, piece: &[u8], out: &mut Vec<u8>, most: u64) -> Result<(), InflateError> {
        for slice in piece.chunks(SLICE) {
            self.taken += slice.len() as u64;
            let before = out.len();
            self.state.write(slice, out).map_err(|error| broken(&error))?;
            self.given += (out.len() - before) as u64;
            if !matches!(self.state, State::Plain) && self.given > FREE && self.given / RATIO > self.taken {
                return Err(InflateError::Bomb);
            }
            if self.given > most {
                return Ok(());
            }
        }
        Ok(())
    }

    /// All has come. What was held back is appended; a stream that is not whole is a fault.
    pub(in crate::adapters::soap) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), InflateError> {
        let before = out.len();
        self.state.finish(out).map_err(|error| broken(&error))?;
        self.given += (out.len() - before) as u64;
        Ok(())
    }

    /// The bytes given so far.
    pub(in crate::adapters::soap) fn given(&self) -> u64 {
        self.given
    }

    /// Whether it is compressed although nothing announced that.
    pub(in crate::adapters::soap) fn is_surprise(&self) -> bool {
        self.announced == Announced::Nothing && matches!(self.state, State::Gzip(_))
    }
}

fn broken(error: &io::Error) -> InflateError {
    InflateError::Broken(format!("what is compressed is damaged ({error})"))
}

impl State {
    fn of(begun: &[u8], announced: Announced) -> State {
        let is_gzip = begun.starts_with(&[0x1f, 0x8b]);
        match announced {
            _ if is_gzip => State::Gzip(Box::new(MultiGzDecoder::new(Vec::new()))),
            Announced::Deflate if begun.first() != Some(&b'<') => {
                let head = begun.get(..2).map_or(0, |head| u16::from(head[0]) << 8 | u16::from(head[1]));
                // "deflate" is zlib (RFC 1950); there are servers that leave its frame out.
                if head & 0x0f00 == 0x0800 && head % 31 == 0 {
                    State::Zlib(Box::new(ZlibDecoder::new(Vec::new())))
                } else {
                    State::Deflate(Box::new(DeflateDecoder::new(Vec::new())))
                }
            }
            _ => State::Plain,
        }
    }

    fn write(&mut self, slice: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        match self {
            State::Unknown(_) => {}
            State::Plain => out.extend_from_slice(slice),
            State::Gzip(decoder) => {
                decoder.write_all(slice)?;
                out.append(decoder.get_mut());
            }
            State::Zlib(decoder) => {
                decoder.write_all(slice)?;
                out.append(decoder.get_mut());
            }
            State::Deflate(decoder) => {
                decoder.write_all(slice)?;
                out.append(decoder.get_mut());
            }
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        match self {
            State::Unknown(begun) => out.append(begun),
            State::Plain => {}
            State::Gzip(decoder) => {
                decoder.try_finish()?;
                out.append(decoder.get_mut());
            }
            State::Zlib(decoder) => {
                decoder.try_finish()?;
                out.append(decoder.get_mut());
            }
            State::Deflate(decoder) => {
                decoder.try_finish()?;
                out.append(decoder.get_mut());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Inflate, InflateError};
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use hyper::HeaderMap;
    use proptest::prelude::*;
    use std::io::Write;

    const MOST: u64 = 64 << 20;

    fn inflate(coding: Option<&str>, pieces: &[&[u8]]) -> Result<Vec<u8>, InflateError> {
        let mut headers = HeaderMap::new();
        if let Some(coding) = coding {
            headers.insert("content-encoding", coding.parse().unwrap());
        }
        let mut inflate = Inflate::announced(&headers)?;
        let mut out = Vec::new();
        for piece in pieces {
            inflate.push(piece, &mut out, MOST)?;
        }
        inflate.finish(&mut out)?;
        assert_eq!(inflate.given(), out.len() as u64);
        Ok(out)
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn each_coding_whatever_is_announced() {
        let text = b"<a>some text, some text</a>";
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(text).unwrap();
        let zlib = zlib.finish().unwrap();
        let mut raw = DeflateEncoder::new(Vec::new(), Compression::default());
        raw.write_all(text).unwrap();
        let raw = raw.finish().unwrap();
        let gzip = gzip(text);
        let two = [gzip.clone(), gzip.clone()].concat();
        let check = |coding, body: &[u8]| {
            assert_eq!(inflate(coding, &[body]).unwrap(), text, "{coding:?}");
            let bytes: Vec<&[u8]> = body.chunks(1).collect();
            assert_eq!(inflate(coding, &bytes).unwrap(), text, "{coding:?}");
        };
        check(None, text);
        check(Some("identity"), text);
        check(Some("gzip"), &gzip);
        check(Some("X-GZIP"), &gzip);
        check(Some("deflate"), &zlib);
        check(Some("deflate"), &raw);
        // Announced and not so, and the other way round.
        check(Some("gzip"), text);
        check(Some("deflate"), text);
        check(None, &gzip);
        assert_eq!(inflate(Some("gzip"), &[&two]).unwrap().len(), 2 * text.len());
        assert_eq!(inflate(None, &[]).unwrap(), b"");
        assert_eq!(inflate(None, &[b"x"]).unwrap(), b"x");
    }

    #[test]
    fn what_is_damaged_or_strange_is_said() {
        let whole = gzip(b"<a>text</a>");
        let check = |coding, body: &[u8], words: &str| match inflate(coding, &[body]) {
            Err(InflateError::Broken(said)) => assert!(said.contains(words), "{said}"),
            other => panic!("{other:?}"),
        };
        check(Some("br"), b"", "by `br`");
        check(Some("gzip, gzip"), b"", "more than once");
        check(Some("gzip"), &whole[..whole.len() - 6], "damaged");
        let mut wrong = whole.clone();
        let at = wrong.len() - 6;
        wrong[at] ^= 1;
        check(Some("gzip"), &wrong, "damaged");
        check(Some("deflate"), &[0xff, 0xff, 0xff], "damaged");
    }

    #[test]
    fn a_bomb_is_none_for_us() {
        let bomb = gzip(&vec![b' '; 100 << 20]);
        assert_eq!(inflate(Some("gzip"), &[&bomb]), Err(InflateError::Bomb));
        // What is long by right may be: the bound says when it is enough.
        let mut inflate = Inflate::announced(&HeaderMap::new()).unwrap();
        let mut out = Vec::new();
        inflate.push(&gzip(&vec![b' '; 4 << 20]), &mut out, 1 << 20).unwrap();
        assert!(inflate.given() > 1 << 20 && out.len() < 3 << 20, "{}", out.len());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
            coding in proptest::sample::select(vec![None, Some("gzip"), Some("deflate")]),
            magic: bool,
        ) {
            let body = if magic { [b"\x1f\x8b\x08\0".as_slice(), &bytes].concat() } else { bytes };
            let _ = inflate(coding, &[&body]);
        }
    }
}
