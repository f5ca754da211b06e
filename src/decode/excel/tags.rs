//! The tags of an XML document that comes in pieces. Tags, comments and quotes end where they end for the library that
//! reads workbooks, so that what is judged here is what is read there.

/// Bytes of a tag that are kept; what no workbook has behind them is told by the tag's length.
pub(super) const KEPT: usize = 4096;

/// What comes next.
pub(super) enum Seen<'a> {
    /// Text between tags, or a piece of it.
    Text(&'a [u8]),
    /// A tag without its `<` and `>`, of which no more than [`KEPT`] bytes are given, and how many it has.
    Tag(&'a [u8], u64),
    /// A comment, an instruction, or text that is quoted as a whole (CDATA).
    Other,
    /// A document type or what looks like one: no part of a workbook has it.
    Type,
}

/// Follows one document.
#[derive(Default)]
pub(super) struct Tags {
    state: State,
    tag: Vec<u8>,
    length: u64,
    /// The two bytes before, where they tell whether a `>` is the end.
    last: [u8; 2],
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Text,
    /// Behind a `<`, as long as it is not clear of what.
    Begun,
    Tag,
    Quoted(u8),
    /// Up to these two bytes and a `>`; of an instruction only the second counts.
    Until([u8; 2]),
}

impl Tags {
    pub(super) fn see(&mut self, mut piece: &[u8], mut on: impl FnMut(Seen<'_>)) {
        while let Some(&first) = piece.first() {
            match self.state {
                State::Text => {
                    let end = memchr::memchr(b'<', piece);
                    let text = &piece[..end.unwrap_or(piece.len())];
                    if !text.is_empty() {
                        on(Seen::Text(text));
                    }
                    let Some(end) = end else { return };
                    self.tag.clear();
                    (self.length, self.state) = (0, State::Begun);
                    piece = &piece[end + 1..];
                }
                State::Begun => match (self.tag.as_slice(), first) {
                    ([], b'!') => {
                        self.keep(&[first]);
                        piece = &piece[1..];
                    }
                    ([], b'?') => {
                        (self.last, self.state) = ([0, b'?'], State::Until([0, b'?']));
                        piece = &piece[1..];
                    }
                    ([], _) => self.state = State::Tag,
                    (b"!", b'[') => {
                        (self.last, self.state) = ([0; 2], State::Until(*b"]]"));
                        piece = &piece[1..];
                    }
                    (b"!", b'-') => {
                        self.keep(&[first]);
                        piece = &piece[1..];
                    }
                    // The second dash of its beginning is none of its end.
                    (b"!-", _) => {
                        (self.last, self.state) = ([0; 2], State::Until(*b"--"));
                        piece = &piece[1..];
                    }
                    _ => {
                        on(Seen::Type);
                        self.state = State::Tag;
                    }
                },
                State::Tag => {
                    let end = memchr::memchr3(b'>', b'"', b'\'', piece);
                    self.keep(&piece[..end.unwrap_or(piece.len())]);
                    let Some(end) = end else { return };
                    match piece[end] {
                        b'>' => {
                            on(Seen::Tag(&self.tag, self.length));
                            self.state = State::Text;
                        }
                        quote => {
                            self.keep(&[quote]);
                            self.state = State::Quoted(quote);
                        }
                    }
                    piece = &piece[end + 1..];
                }
                State::Quoted(quote) => {
                    let end = memchr::memchr(quote, piece).map(|end| end + 1);
                    let (part, rest) = piece.split_at(end.unwrap_or(piece.len()));
                    self.keep(part);
                    if end.is_some() {
                        self.state = State::Tag;
                    }
                    piece = rest;
                }
                State::Until(mark) => {
                    let end = memchr::memchr(b'>', piece).map(|end| end + 1);
                    let (part, rest) = piece.split_at(end.unwrap_or(piece.len()));
                    let before = &part[..part.len() - usize::from(end.is_some())];
                    for byte in &before[before.len().saturating_sub(2)..] {
                        self.last = [self.last[1], *byte];
                    }
                    if end.is_some() {
                        if self.last[1] == mark[1] && (mark[0] == 0 || self.last[0] == mark[0]) {
                            on(Seen::Other);
                            self.state = State::Text;
                        } else {
                            self.last = [self.last[1], b'>'];
                        }
                    }
                    piece = rest;
                }
            }
        }
    }

    fn keep(&mut self, part: &[u8]) {
        self.length += part.len() as u64;
        let room = KEPT - self.tag.len();
        self.tag.extend_from_slice(&part[..part.len().min(room)]);
    }
}

/// The parts of a tag: its name without a prefix, its attributes as they are written, and whether it ends an element.
pub(super) fn parts(tag: &[u8]) -> (&[u8], &[u8], bool) {
    let (is_end, inner) = match tag.strip_prefix(b"/") {
        Some(inner) => (true, inner),
        None => (false, tag.strip_suffix(b"/").unwrap_or(tag)),
    };
    let name_end = inner.iter().position(u8::is_ascii_whitespace).unwrap_or(inner.len());
    let (name, attributes) = inner.split_at(name_end);
    (name.rsplit(|byte| *byte == b':').next().unwrap_or_default(), attributes, is_end)
}

/// The value of an attribute among those of a tag, as it is written.
pub(super) fn attribute<'t>(mut attributes: &'t [u8], wanted: &[u8]) -> Option<&'t [u8]> {
    loop {
        attributes = attributes.trim_ascii_start();
        let equals = memchr::memchr(b'=', attributes)?;
        let name = attributes[..equals].trim_ascii_end();
        let value = attributes[equals + 1..].trim_ascii_start();
        let quote = *value.first().filter(|quote| matches!(quote, b'"' | b'\''))?;
        let end = memchr::memchr(quote, &value[1..])? + 1;
        if name == wanted {
            return Some(&value[1..end]);
        }
        attributes = &value[end + 1..];
    }
}

#[cfg(test)]
mod tests {
    use super::{Seen, Tags, attribute, parts};

    fn seen(document: &str) -> Vec<String> {
        let found = |size: usize| {
            let (mut tags, mut found, mut text) = (Tags::default(), Vec::new(), Vec::new());
            for piece in document.as_bytes().chunks(size) {
                tags.see(piece, |seen| {
                    let told = match seen {
                        Seen::Text(piece) => return text.extend_from_slice(piece),
                        Seen::Tag(tag, length) => format!("<{} {length}", String::from_utf8_lossy(tag)),
                        Seen::Other => "other".to_owned(),
                        Seen::Type => "type".to_owned(),
                    };
                    if !text.is_empty() {
                        found.push(String::from_utf8(std::mem::take(&mut text)).unwrap());
                    }
                    found.push(told);
                });
            }
            found
        };
        let whole = found(1 << 20);
        for size in [1, 2, 3, 5] {
            assert_eq!(found(size), whole, "{document}");
        }
        whole
    }

    #[test]
    fn tags_end_where_a_parser_ends_them() {
        assert_eq!(
            seen("<?x a='>'?><a b='>' c=\"'>\">t &lt;</a><d/>"),
            ["other", "<a b='>' c=\"'>\" 14", "t &lt;", "</a 2", "<d/ 2"]
        );
        // The quotes in comments and quoted text are none.
        assert_eq!(seen("<!-- it's > --><a/><![CDATA[<b>' ]]><c/>"), ["other", "<a/ 2", "other", "<c/ 2"]);
        assert_eq!(
            seen("<!----><a/><!--> --><b/><!---> --><c/>"),
            ["other", "<a/ 2", "other", "<b/ 2", "other", "<c/ 2"]
        );
        assert_eq!(seen("<?><a/><?a?b?><c/>"), ["other", "<a/ 2", "other", "<c/ 2"]);
        assert_eq!(
            seen("<!DOCTYPE a><!x><!><b/>"),
            ["type", "<!DOCTYPE a 10", "type", "<!x 2", "type", "<! 1", "<b/ 2"]
        );
        let long = format!("<a b='{}'/>", "x".repeat(10_000));
        assert!(seen(&long)[0].ends_with("x 10007"));
    }

    #[test]
    fn names_and_attributes() {
        assert_eq!(parts(b"x:row r='1'/"), (b"row".as_slice(), b" r='1'".as_slice(), false));
        assert_eq!(parts(b"/x:row"), (b"row".as_slice(), b"".as_slice(), true));
        assert_eq!(parts(b"c/"), (b"c".as_slice(), b"".as_slice(), false));
        let attributes = b" a = 'x=\"y\"' bb=\"2\"";
        assert_eq!(attribute(attributes, b"bb"), Some(b"2".as_slice()));
        assert_eq!(attribute(attributes, b"b"), None);
        assert_eq!(attribute(b" a", b"a"), None);
    }
}
