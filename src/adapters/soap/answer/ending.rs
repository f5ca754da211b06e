//! Where an envelope ends, found while it comes: what stands behind it is no part of it.
//!
//! Only what has the name of the envelope's own element is looked at, and what could hide it: comments and CDATA. So it costs
//! next to nothing beside reading the answer.

use memchr::memmem::{self, Finder};

/// So much of what stands behind an envelope is looked at, and so long may one of its tags be.
const LOOK: usize = 64 << 10;

const CDATA: &[u8] = b"<![CDATA[";
const COMMENT: &[u8] = b"<!--";

/// The look-out for an envelope's end.
pub(in crate::adapters::soap) struct Ending {
    /// The name of its element as it is written.
    name: Finder<'static>,
    /// How many elements of this name are open.
    depth: usize,
    /// What closes the comment or CDATA that is open.
    closes: Option<&'static [u8]>,
    /// What came last, and may be the beginning of something.
    held: Vec<u8>,
    progress: Progress,
    /// What stands behind it, as far as it is looked at.
    behind: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq)]
enum Progress {
    Within,
    Behind,
    /// It cannot be followed: a tag is too long.
    Lost,
}

/// Where something is found next, looked for once.
struct Next(Option<Option<usize>>);

impl Next {
    fn from(&mut self, at: usize, find: impl FnOnce() -> Option<usize>) -> Option<usize> {
        match self.0 {
            Some(None) => None,
            Some(Some(found)) if found >= at => Some(found),
            _ => {
                let found = find().map(|found| found + at);
                self.0 = Some(found);
                found
            }
        }
    }
}

/// The end of a tag, and whether it is empty.
fn tag_end(bytes: &[u8]) -> Option<(usize, bool)> {
    let mut quote = None;
    for (at, byte) in bytes.iter().enumerate() {
        match (quote, byte) {
            (None, b'"' | b'\'') => quote = Some(*byte),
            (None, b'>') => return Some((at + 1, at > 0 && bytes[at - 1] == b'/')),
            (Some(open), byte) if open == *byte => quote = None,
            _ => {}
        }
    }
    None
}

fn ends_name(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b'>' | b'/')
}

impl Ending {
    /// Of an envelope that begins so, with its own tag.
    pub(in crate::adapters::soap) fn of(begun: &[u8]) -> Ending {
        let name = begun.get(1..).unwrap_or_default();
        let name = &name[..name.iter().position(|byte| ends_name(*byte)).unwrap_or(name.len())];
        let progress = if name.is_empty() { Progress::Lost } else { Progress::Within };
        let name = Finder::new(name).into_owned();
        Ending { name, depth: 0, closes: None, held: Vec::new(), progress, behind: Vec::new() }
    }

    /// The end of an envelope that is all there; `None` where it has none.
    pub(super) fn in_text(text: &str) -> Option<usize> {
        Ending::of(text.as_bytes()).find(text.as_bytes())
    }

    /// What of the next piece belongs to the envelope.
    pub(in crate::adapters::soap) fn within(&mut self, mut piece: Vec<u8>) -> Vec<u8> {
        match self.progress {
            Progress::Lost => piece,
            Progress::Behind => {
                self.keep(&piece);
                Vec::new()
            }
            Progress::Within => {
                if let Some(end) = self.find(&piece) {
                    self.keep(&piece.split_off(end));
                }
                piece
            }
        }
    }

    /// Whether something stood behind the envelope that may not.
    pub(in crate::adapters::soap) fn has_junk(&self) -> bool {
        self.behind.len() > LOOK || !std::str::from_utf8(&self.behind).is_ok_and(may_stand_around)
    }

    fn keep(&mut self, behind: &[u8]) {
        let behind = if self.behind.is_empty() { behind.trim_ascii_start() } else { behind };
        let room = (LOOK + 1).saturating_sub(self.behind.len());
        self.behind.extend_from_slice(&behind[..behind.len().min(room)]);
    }

    /// Where it ends in the next piece, if it does there.
    fn find(&mut self, piece: &[u8]) -> Option<usize> {
        let held = std::mem::take(&mut self.held);
        let before = held.len();
        let joined;
        let bytes = match before {
            0 => piece,
            _ => {
                joined = [&held[..], piece].concat();
                &joined[..]
            }
        };
        match self.look(bytes) {
            // What was held was looked at before: it ended nothing.
            Ok(end) => {
                self.progress = Progress::Behind;
                Some(end.saturating_sub(before))
            }
            Err(from) if bytes.len() - from > LOOK => {
                self.progress = Progress::Lost;
                None
            }
            Err(from) => {
                self.held = bytes[from..].to_vec();
                None
            }
        }
    }

    /// The end, or else from where on it has to be looked at once more with what follows.
    fn look(&mut self, bytes: &[u8]) -> Result<usize, usize> {
        let length = self.name.needle().len();
        let (mut marks, mut names) = (Next(None), Next(None));
        let mut at = 0;
        loop {
            if let Some(closes) = self.closes {
                match memmem::find(&bytes[at..], closes) {
                    Some(found) => (at, self.closes) = (at + found + closes.len(), None),
                    None => return Err(at.max(bytes.len().saturating_sub(closes.len() - 1))),
                }
                continue;
            }
            let mark = marks.from(at, || memmem::find(&bytes[at..], b"<!"));
            let name = names.from(at, || self.name.find(&bytes[at..]));
            match (mark, name) {
                (Some(mark), name) if name.is_none_or(|name| mark < name) => {
                    let rest = &bytes[mark..];
                    let opened = [(CDATA, &b"]]>"[..]), (COMMENT, &b"-->"[..])];
                    match opened.into_iter().find(|(opens, _)| rest.starts_with(opens)) {
                        Some((opens, closes)) => (at, self.closes) = (mark + opens.len(), Some(closes)),
                        None if CDATA.starts_with(rest) || COMMENT.starts_with(rest) => return Err(mark),
                        None => at = mark + 2,
                    }
                }
                (_, Some(name)) => {
                    let (is_start, is_end) = (bytes[at..name].ends_with(b"<"), bytes[at..name].ends_with(b"</"));
                    let tag = name.saturating_sub(2).max(at);
                    let Some(next) = bytes.get(name + length) else { return Err(tag) };
                    at = name + length;
                    if !(is_start || is_end) || !ends_name(*next) {
                        continue;
                    }
                    let Some((tag_length, is_empty)) = tag_end(&bytes[at..]) else { return Err(tag) };
                    at += tag_length;
                    match (is_start, is_empty) {
                        (true, false) => self.depth += 1,
                        (true, true) => {}
                        (false, _) => self.depth = self.depth.saturating_sub(1),
                    }
                    if self.depth == 0 {
                        return Ok(at);
                    }
                }
                // Half of a mark or of a name may be there, with what stands before it.
                _ => return Err(at.max(bytes.len().saturating_sub(CDATA.len().max(length + 2)))),
            }
        }
    }
}

/// Whether this may stand before or behind an envelope by right: a declaration, comments, instructions, blanks.
pub(in crate::adapters::soap) fn may_stand_around(text: &str) -> bool {
    let mut rest = text.trim_start();
    loop {
        let end = match rest {
            "" => return true,
            _ if rest.starts_with("<?") => rest.find("?>"),
            _ if rest.starts_with("<!--") => rest.find("-->").map(|end| end + 1),
            _ => return false,
        };
        let Some(end) = end else { return false };
        rest = rest[end + 2..].trim_start();
    }
}

#[cfg(test)]
mod tests {
    use super::{Ending, LOOK};
    use proptest::prelude::*;

    /// What belongs to it, and whether something stands behind it, in pieces of this size.
    fn read(text: &str, size: usize) -> (String, bool) {
        let mut ending = Ending::of(text.as_bytes());
        let pieces = text.as_bytes().chunks(size);
        let within: Vec<u8> = pieces.flat_map(|piece| ending.within(piece.to_vec())).collect();
        (String::from_utf8(within).unwrap(), ending.has_junk())
    }

    #[track_caller]
    fn ends(envelope: &str, behind: &str, is_junk: bool) {
        let text = format!("{envelope}{behind}");
        for size in (1..40).chain([1000, 1 << 20]) {
            assert_eq!(read(&text, size), (envelope.to_owned(), is_junk), "in pieces of {size}: {text}");
        }
    }

    #[test]
    fn an_envelope_ends_where_its_element_does() {
        for envelope in [
            "<s:Envelope xmlns:s='u'><s:Body><r a='>'>x</r></s:Body></s:Envelope>",
            "<Envelope><Body/></Envelope >",
            "<s:Envelope a='/>'/>",
            "<s:Envelope><r><![CDATA[</s:Envelope>]]></r><!-- </s:Envelope> --></s:Envelope\n>",
            "<s:Envelope><s:Body><s:Envelope b='</'><c/></s:Envelope><s:Envelope/></s:Body></s:Envelope>",
            "<Envelope><Body><Envelopes>Envelope</Envelopes><my-Envelope></my-Envelope><x:Envelope></x:Envelope></Body></Envelope>",
            "<e:Envelope><![CDATA[a]]]]><![CDATA[>]]>&lt;/e:Envelope><!----><!-- - -- </e:Envelope>--></e:Envelope>",
        ] {
            ends(envelope, "", false);
            ends(envelope, "\r\n <!-- served by x --> ", false);
            ends(envelope, "<script>x</script>", true);
            ends(envelope, "\n x", true);
            ends(envelope, envelope, true);
        }
    }

    #[test]
    fn what_has_no_end_is_left_as_it_is() {
        for text in [
            "<s:Envelope><s:Body>",
            "<s:Envelope",
            "<",
            "",
            "<s:Envelope><![CDATA[</s:Envelope>",
            "<s:Envelope></s:Env",
        ] {
            ends(text, "", false);
        }
        let long = format!("<Envelope><a/><Envelope {}/></Envelope>x", " ".repeat(2 * LOOK));
        assert!(read(&long, 4096) == (long.clone(), false), "nothing is held for ever");
        assert!(read(&long, long.len()).1);
    }

    #[test]
    fn much_that_stands_behind_is_not_kept() {
        let mut ending = Ending::of(b"<Envelope>");
        assert_eq!(ending.within(b"<Envelope></Envelope>".to_vec()).len(), 21);
        // Some keep a connection awake so.
        (0..100).for_each(|_| assert!(ending.within(vec![b' '; 10_000]).is_empty()));
        assert!(!ending.has_junk() && ending.behind.is_empty());
        (0..100).for_each(|_| assert!(ending.within(vec![b'x'; 10_000]).is_empty()));
        assert!(ending.has_junk() && ending.behind.len() == LOOK + 1);
    }

    proptest! {
        #[test]
        fn pieces_of_any_size_say_the_same(text in "(<|>|/|!|\\[CDATA\\[|]]>|--|E|a|'| ){0,40}", size in 1usize..9) {
            let text = format!("<E>{text}</E>{text}");
            prop_assert_eq!(read(&text, size), read(&text, text.len()));
        }
    }
}
