//! An envelope with what goes beside it: SOAP with attachments, `multipart/related` (RFC 2387), with the names of parts that
//! WS-I's Attachments Profile 1.0 gives them.

use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use uuid::Uuid;

use crate::wsdl::Attached;

/// The id of the envelope.
const ROOT: &str = "envelope@tollbridge";

/// What stays in a part's name as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');

/// Content type and body of a request. Without attachments the envelope is the body.
pub(super) fn packed(content_type: String, envelope: Bytes, attachments: &[Attached]) -> (String, Bytes) {
    if attachments.is_empty() {
        return (content_type, envelope);
    }
    // Nobody can have written it into a part: it was not there before.
    let boundary = format!("tollbridge-{}", Uuid::now_v7().simple());
    let bare = content_type.split(';').next().unwrap_or_default();
    let outer = format!("multipart/related; type=\"{bare}\"; start=\"<{ROOT}>\"; boundary=\"{boundary}\"");
    let room: usize = attachments.iter().map(|attached| attached.bytes.len() + 512).sum();
    let mut body = Vec::with_capacity(envelope.len() + 512 + room);
    let mut part = |content_type: &str, coding: &str, id: &str, bytes: &[u8]| {
        let head = format!(
            "--{boundary}\r\nContent-Type: {content_type}\r\nContent-Transfer-Encoding: {coding}\r\nContent-ID: <{id}>\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    };
    part(&content_type, "8bit", ROOT, &envelope);
    for attached in attachments {
        let id = format!("{}={}@tollbridge", utf8_percent_encode(&attached.part, PLAIN), Uuid::now_v7());
        part(&attached.content_type, "binary", &id, &attached.bytes);
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    (outer, Bytes::from(body))
}

#[cfg(test)]
mod tests {
    use super::packed;
    use crate::wsdl::Attached;
    use std::io::Write;
    use std::process::{Command, Stdio};

    #[test]
    fn an_envelope_alone_stays_what_it_is() {
        let (content_type, body) = packed("text/xml; charset=utf-8".to_owned(), "<e/>".into(), &[]);
        assert_eq!((content_type.as_str(), &body[..]), ("text/xml; charset=utf-8", &b"<e/>"[..]));
    }

    /// What Python's mail reader finds in it.
    #[test]
    fn others_read_what_is_beside_it() {
        let bytes: Vec<u8> = (0..=255).chain(*b"\r\n--tollbridge-\r\n").collect();
        let attached = |part: &str, content_type: &str, bytes: &[u8]| Attached {
            part: part.into(),
            content_type: content_type.into(),
            bytes: bytes.to_vec(),
        };
        let parts = [attached("scan", "image/png", &bytes), attached("Beleg ä", "text/plain", b"")];
        let envelope = "<e>\u{e4}</e>";
        let (content_type, body) =
            packed("application/soap+xml; charset=utf-8; action=\"u\"".to_owned(), envelope.into(), &parts);
        let program = "import email, email.policy, sys, urllib.parse\n\
                       m = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.HTTP)\n\
                       print(m.get_content_type(), m.get_param('type'), m.get_param('start'))\n\
                       for p in m.iter_parts():\n\
                       \x20   i = urllib.parse.unquote(p['Content-ID'].strip('<>').rpartition('@')[0].partition('=')[0])\n\
                       \x20   print(p['Content-Type'], i, p.get_payload(decode=True).hex())\n";
        let mut python = Command::new("python3")
            .args(["-c", program])
            .env("PYTHONIOENCODING", "utf-8")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = python.stdin.take().unwrap();
        write!(input, "MIME-Version: 1.0\r\nContent-Type: {content_type}\r\n\r\n").unwrap();
        input.write_all(&body).unwrap();
        drop(input);
        let said = String::from_utf8(python.wait_with_output().unwrap().stdout).unwrap();
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let expected = format!(
            "multipart/related application/soap+xml <envelope@tollbridge>\n\
             application/soap+xml; charset=\"utf-8\"; action=\"u\" envelope {}\nimage/png scan {}\ntext/plain Beleg ä \n",
            hex(envelope.as_bytes()),
            hex(&bytes)
        );
        assert_eq!(said, expected);
    }
}
