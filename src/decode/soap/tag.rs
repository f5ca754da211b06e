//! A start tag: its name, and its attributes one after another.

/// A start tag in the window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tag {
    /// Where its `<` is.
    pub(super) at: usize,
    /// Behind its name.
    pub(super) name: usize,
    /// Behind its `>`.
    pub(super) end: usize,
    /// It is its own end tag.
    pub(super) empty: bool,
}

impl Tag {
    /// The name as it is written.
    pub(super) fn written<'w>(&self, window: &'w [u8]) -> &'w [u8] {
        window.get(self.at + 1..self.name).unwrap_or_default()
    }

    /// Whether there is more than a name.
    pub(super) fn has_more(&self) -> bool {
        self.name + 1 + usize::from(self.empty) < self.end
    }
}

/// An attribute, as places in the window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Raw {
    pub(super) name: (usize, usize),
    pub(super) value: (usize, usize),
}

/// Attributes that one element may have.
const MAX_ATTRIBUTES: usize = 256;

/// Collects the attributes of a tag; true where it declares namespaces. The fault is one of the document.
pub(super) fn attributes(window: &[u8], tag: &Tag, out: &mut Vec<Raw>) -> Result<bool, &'static str> {
    out.clear();
    let (mut at, end) = (tag.name, tag.end - 1 - usize::from(tag.empty));
    let mut declares = false;
    let is_space = |byte: u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    loop {
        let from = at;
        while at < end && is_space(window[at]) {
            at += 1;
        }
        if at == end {
            return Ok(declares);
        }
        if at == from {
            return Err("attributes that no blank parts");
        }
        let name = at;
        while at < end && !is_space(window[at]) && window[at] != b'=' {
            at += 1;
        }
        let name = (name, at);
        while at < end && is_space(window[at]) {
            at += 1;
        }
        if at == end || window[at] != b'=' || name.0 == name.1 {
            return Err("an attribute that is not written name=\"value\"");
        }
        at += 1;
        while at < end && is_space(window[at]) {
            at += 1;
        }
        let quote = if at < end { window[at] } else { 0 };
        if !matches!(quote, b'"' | b'\'') {
            return Err("an attribute that is not written name=\"value\"");
        }
        let Some(length) = memchr::memchr(quote, &window[at + 1..end]) else {
            return Err("the value of an attribute that does not end");
        };
        let value = (at + 1, at + 1 + length);
        at = value.1 + 1;
        let written = &window[name.0..name.1];
        declares |= written.starts_with(b"xmlns") && matches!(written.get(5), None | Some(b':'));
        if out.iter().any(|other: &Raw| &window[other.name.0..other.name.1] == written) {
            return Err("an attribute twice");
        }
        if out.len() == MAX_ATTRIBUTES {
            return Err("an element with more than 256 attributes");
        }
        out.push(Raw { name, value });
    }
}

#[cfg(test)]
mod tests {
    use super::{Tag, attributes};

    fn read(tag: &str) -> Result<Vec<(String, String)>, &'static str> {
        let empty = tag.ends_with("/>");
        let name = tag.find([' ', '/', '>', '\n']).unwrap();
        let place = Tag { at: 0, name, end: tag.len(), empty };
        let mut raw = Vec::new();
        attributes(tag.as_bytes(), &place, &mut raw)?;
        let part = |(from, to): (usize, usize)| tag[from..to].to_owned();
        Ok(raw.into_iter().map(|raw| (part(raw.name), part(raw.value))).collect())
    }

    #[test]
    fn tags() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(read("<a>").unwrap(), []);
        assert_eq!(read("<a />").unwrap(), []);
        assert_eq!(read("<a\n b = 'x\"y'  c:d=\"\"/>").unwrap(), [pair("b", "x\"y"), pair("c:d", "")]);
        assert_eq!(read("<a b='1'c='2'>"), Err("attributes that no blank parts"));
        assert_eq!(read("<a b>"), Err("an attribute that is not written name=\"value\""));
        assert_eq!(read("<a b=1>"), Err("an attribute that is not written name=\"value\""));
        assert_eq!(read("<a ='1'>"), Err("an attribute that is not written name=\"value\""));
        assert_eq!(read("<a b='1' b='2'>"), Err("an attribute twice"));
    }
}
