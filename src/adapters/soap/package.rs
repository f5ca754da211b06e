//! An envelope with what goes beside it, `multipart/related` (RFC 2387): SOAP with attachments, with the names of parts that
//! WS-I's Attachments Profile 1.0 gives them; and XOP packages as MTOM has them, where the envelope refers to parts.

use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use uuid::Uuid;

use super::answer::envelope::without_declaration;
use crate::wsdl::Attached;

/// The id of the envelope.
const ROOT: &str = "envelope@tollbridge";

/// What stays in a part's name as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');

/// Content type and body of a request. Without attachments the envelope is the body, unless it has to be an XOP package all
/// the same.
pub(super) fn packed(
    content_type: String,
    envelope: Bytes,
    attachments: &[Attached],
    is_package: bool,
) -> (String, Bytes) {
    if attachments.is_empty() && !is_package {
        return (content_type, envelope);
    }
    // Nobody can have written it into a part: it was not there before.
    let boundary = format!("tollbridge-{}", Uuid::now_v7().simple());
    let bare = content_type.split(';').next().unwrap_or_default();
    let is_package = is_package || attachments.iter().any(|attached| attached.id.is_some());
    let (kind, root_type, envelope) = match is_package {
        true => {
            // SOAP 1.2 has its action among the parameters.
            let action =
                content_type.split_once("; action=").map_or(String::new(), |(_, action)| format!("; action={action}"));
            let kind = format!("type=\"application/xop+xml\"; start-info=\"{bare}\"{action}");
            // The encoding is said by the part's type; some take no text that says it once more.
            let text = std::str::from_utf8(&envelope).map(without_declaration);
            let text = text.map_or_else(|_| envelope.clone(), |text| envelope.slice_ref(text.as_bytes()));
            (kind, format!("application/xop+xml; charset=UTF-8; type=\"{bare}\"{action}"), text)
        }
        false => (format!("type=\"{bare}\""), content_type.clone(), envelope),
    };
    let outer = format!("multipart/related; {kind}; start=\"<{ROOT}>\"; boundary=\"{boundary}\"");
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
    part(&root_type, "8bit", ROOT, &envelope);
    for attached in attachments {
        let id = match &attached.id {
            Some(id) => id.to_string(),
            None => format!("{}={}@tollbridge", utf8_percent_encode(&attached.part, PLAIN), Uuid::now_v7()),
        };
        part(&attached.content_type, "binary", &id, &attached.bytes);
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    (outer, Bytes::from(body))
}

#[cfg(test)]
mod tests {
    use super::{ROOT, packed};
    use crate::wsdl::Attached;
    use std::io::Write;
    use std::process::{Command, Stdio};

    #[test]
    fn an_envelope_alone_stays_what_it_is() {
        let (content_type, body) = packed("text/xml; charset=utf-8".to_owned(), "<e/>".into(), &[], false);
        assert_eq!((content_type.as_str(), &body[..]), ("text/xml; charset=utf-8", &b"<e/>"[..]));
    }

    /// What Python's mail reader finds in it.
    #[test]
    fn others_read_what_is_beside_it() {
        let bytes: Vec<u8> = (0..=255).chain(*b"\r\n--tollbridge-\r\n").collect();
        let attached = |part: &str, content_type: &str, bytes: &[u8]| Attached {
            part: part.into(),
            id: None,
            content_type: content_type.into(),
            bytes: bytes.to_vec(),
        };
        let parts = [attached("scan", "image/png", &bytes), attached("Beleg ä", "text/plain", b"")];
        let envelope = "<e>\u{e4}</e>";
        let (content_type, body) =
            packed("application/soap+xml; charset=utf-8; action=\"u\"".to_owned(), envelope.into(), &parts, false);
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

    /// The head of a package and of its envelope, by each SOAP.
    #[test]
    fn a_package_says_what_its_envelope_is() {
        let bytes = Attached {
            part: "binary".into(),
            id: Some("binary1@tollbridge".into()),
            content_type: "application/octet-stream".into(),
            bytes: vec![0, 255],
        };
        for (content_type, start_info, root) in [
            ("text/xml; charset=utf-8", "start-info=\"text/xml\";", "type=\"text/xml\""),
            (
                "application/soap+xml; charset=utf-8; action=\"urn:a\"",
                "start-info=\"application/soap+xml\"; action=\"urn:a\";",
                "type=\"application/soap+xml\"; action=\"urn:a\"",
            ),
        ] {
            let envelope = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<e/>".into();
            // With nothing beside it, too, where it has to be one.
            let (alone, _) = packed(content_type.to_owned(), "<e/>".into(), &[], true);
            let (outer, body) = packed(content_type.to_owned(), envelope, std::slice::from_ref(&bytes), true);
            let begins = format!("multipart/related; type=\"application/xop+xml\"; {start_info} start=\"<{ROOT}>\"");
            assert!(outer.starts_with(&begins) && alone.starts_with(&begins), "{outer} {alone}");
            let text = String::from_utf8_lossy(&body);
            assert!(text.contains(&format!("Content-Type: application/xop+xml; charset=UTF-8; {root}\r\n")), "{text}");
            assert!(text.contains("\r\n\r\n<e/>\r\n") && text.contains("Content-ID: <binary1@tollbridge>"), "{text}");
        }
    }
}
