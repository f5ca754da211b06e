//! Parts beside an envelope (MTOM, SOAP with attachments), which the envelope names by their ids.

use std::collections::HashMap;

/// Gives the bytes of parts.
pub trait Parts: Send + Sync {
    /// The bytes of the part with a `Content-ID`, without the brackets around it and with nothing escaped.
    fn part(&self, id: &str) -> Option<&[u8]>;
}

/// By the ids as they are; brackets around them do not count.
impl Parts for HashMap<String, Vec<u8>> {
    fn part(&self, id: &str) -> Option<&[u8]> {
        let id = bare(id);
        let found = self.get(id).or_else(|| self.iter().find(|(own, _)| bare(own) == id).map(|(_, bytes)| bytes));
        found.map(Vec::as_slice)
    }
}

fn bare(id: &str) -> &str {
    let id = id.trim();
    id.strip_prefix('<').and_then(|id| id.strip_suffix('>')).unwrap_or(id)
}

/// Without percent escapes (RFC 2392: an id in `cid:` is escaped as URLs are). What is no escape stays.
pub(super) fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        let digit = |at: usize| behind.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high * 16 + low) as u8);
                rest = &behind[2..];
            }
            _ => {
                bytes.push(first);
                rest = behind;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{HashMap, Parts, percent_decoded};

    #[test]
    fn parts_are_found_however_their_id_is_written() {
        let parts = HashMap::from([("<a b@x>".to_owned(), vec![1]), ("c".to_owned(), vec![2])]);
        assert_eq!(parts.part(&percent_decoded("a%20b%40x")), Some(&[1][..]));
        assert_eq!((parts.part("<c>"), parts.part("d")), (Some(&[2][..]), None));
        assert_eq!(
            (percent_decoded("%4"), percent_decoded("%zz"), percent_decoded("%ff")),
            ("%4".into(), "%zz".into(), "%ff".into())
        );
    }
}
