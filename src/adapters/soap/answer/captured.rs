//! Answers that somebody has captured into a file: in parts, perhaps with the head of HTTP or MIME before them.

use bytes::Bytes;

use super::{Answer, multipart};

/// The most bytes of a head.
const MOST_HEAD: usize = 64 << 10;

/// Whether a captured answer is in parts, by its beginning.
pub fn is_in_parts(start: &[u8]) -> bool {
    match head(start) {
        Some((head, _)) => media_type(head).is_some_and(|kind| is_multipart(&kind)),
        None => multipart::begins(start),
    }
}

/// The envelope of a captured answer that is in parts, with these in the places that mean them; `None` where it is in one
/// piece. The fault says what is wrong with its parts.
pub fn unpacked(captured: &Bytes, most: usize) -> Option<Result<Bytes, String>> {
    let (media_type, body) = match head(captured) {
        Some((head, length)) => (media_type(head), captured.slice(length..)),
        None => (None, captured.clone()),
    };
    let package = match multipart::split(&body, media_type.as_deref())? {
        Ok(package) => package,
        Err(reason) => return Some(Err(reason)),
    };
    let answer = Answer { envelope: package.root, parts: package.parts, leniencies: Vec::new() };
    Some(answer.inlined(most).ok_or_else(|| format!("with its parts it has more than {most} bytes")))
}

/// The head before an answer, and where that begins; `None` where there is none.
fn head(captured: &[u8]) -> Option<(&str, usize)> {
    let begins =
        |name: &str| captured.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes()));
    if !["HTTP/", "MIME-Version:", "Content-Type:"].iter().any(|name| begins(name)) {
        return None;
    }
    let start = captured.get(..MOST_HEAD).unwrap_or(captured);
    let ends = [b"\r\n\r\n".as_slice(), b"\n\n"];
    let end = ends.iter().filter_map(|end| Some((memchr::memmem::find(start, end)?, end.len()))).min()?;
    Some((std::str::from_utf8(&captured[..end.0]).ok()?, end.0 + end.1))
}

/// The media type in a head, whose lines may be folded.
fn media_type(head: &str) -> Option<String> {
    let unfolded = head.replace("\r\n", "\n").replace("\n ", " ").replace("\n\t", " ");
    unfolded.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case("content-type").then(|| value.trim().to_owned())
    })
}

fn is_multipart(media_type: &str) -> bool {
    media_type.get(..10).is_some_and(|start| start.eq_ignore_ascii_case("multipart/"))
}

#[cfg(test)]
mod tests {
    use super::{is_in_parts, unpacked};
    use bytes::Bytes;

    const PARTS: &str = "--b\r\nContent-Type: application/xop+xml\r\nContent-ID: <r>\r\n\r\n\
        <e><x:Include xmlns:x='http://www.w3.org/2004/08/xop/include' href='cid:p%401'/></e>\r\n\
        --b\r\nContent-ID: <p@1>\r\n\r\nhello\r\n--b--\r\n";

    fn envelope(captured: &str) -> Option<Result<String, String>> {
        let unpacked = unpacked(&Bytes::from(captured.to_owned()), 1 << 20)?;
        Some(unpacked.map(|envelope| String::from_utf8(envelope.to_vec()).unwrap()))
    }

    #[test]
    fn parts_are_put_in_whatever_stands_before_them() {
        let http =
            "HTTP/1.1 200 OK\r\nContent-Type: multipart/related;\r\n boundary=\"b\"; start=\"<r>\"\r\n\r\npreamble\r\n";
        for head in ["", "MIME-Version: 1.0\nContent-Type: multipart/related; boundary=b\n\n", http] {
            let captured = format!("{head}{PARTS}");
            assert!(is_in_parts(captured.as_bytes()), "{head}");
            // Python: base64.b64encode(b"hello")
            assert_eq!(envelope(&captured), Some(Ok("<e>aGVsbG8=</e>".to_owned())), "{head}");
        }
        assert!(!is_in_parts(b"<e/>") && envelope("<e/>").is_none());
        assert!(!is_in_parts(b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\n\r\n<e/>"));
        assert!(envelope(&PARTS[..PARTS.len() - 9]).unwrap().is_err());
    }
}
