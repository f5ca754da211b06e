//! Envelopes that may be shown: in logs, in errors, and where answers are kept.
//!
//! What is masked need not be well-formed: what breaks off within a password is masked to its end.

use bytes::Bytes;

/// What stands where something was.
const MASK: &str = "***";

/// Names of elements and attributes, in lower case and without prefix, whose content nobody is shown: those of
/// WS-Security's tokens, and what login operations call theirs.
const SECRET: [&str; 18] = [
    "accesskey",
    "accesstoken",
    "apikey",
    "authorization",
    "binarysecuritytoken",
    "clientsecret",
    "kennwort",
    "mdp",
    "nonce",
    "passphrase",
    "passwd",
    "password",
    "passwort",
    "proxy-authorization",
    "pwd",
    "secret",
    "sessionid",
    "sessiontoken",
];

/// An envelope, or a piece of one, that may be shown.
pub fn mask(text: &str) -> String {
    mask_with(text, &[])
}

/// The same; `more` are further names of elements, as a session's token has one.
pub fn mask_with(text: &str, more: &[&str]) -> String {
    let is_secret = |name: &str| {
        let local = name.rsplit_once(':').map_or(name, |(_, local)| local);
        SECRET.contains(&local.to_ascii_lowercase().as_str())
            || more.iter().any(|name| name.eq_ignore_ascii_case(local))
    };
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((at, open)) = next_open(rest) {
        out.push_str(&rest[..at]);
        // An envelope within an envelope is written with references.
        let close = if open == "<" { ">" } else { "&gt;" };
        let tag = &rest[at + open.len()..];
        let (tag, after) = match end_of(tag, open) {
            End::Close(end) => (&tag[..end], &tag[end + close.len()..]),
            End::Anew(next) => {
                out.push_str(open);
                out.push_str(&attributes(&tag[..next], &is_secret));
                rest = &tag[next..];
                continue;
            }
            End::None => {
                // It breaks off within a tag: attributes may be whole.
                out.push_str(open);
                out.push_str(&attributes(tag, &is_secret));
                return headers(&out);
            }
        };
        out.push_str(open);
        out.push_str(&attributes(tag, &is_secret));
        out.push_str(close);
        rest = after;
        let name = tag.split(|c: char| c.is_whitespace() || c == '/').next().unwrap_or_default();
        if tag.ends_with('/') || name.is_empty() || !is_secret(name) {
            continue;
        }
        let content = closing(after, name, open).unwrap_or(after.len());
        if !after[..content].trim().is_empty() {
            out.push_str(MASK);
        }
        rest = &after[content..];
    }
    out.push_str(rest);
    headers(&out)
}

/// Where the next bracket stands, as it is or as a reference, and which of these it is.
fn next_open(text: &str) -> Option<(usize, &'static str)> {
    let bytes = text.as_bytes();
    let mut from = 0;
    loop {
        let rest = bytes.get(from..)?;
        let at = memchr::memchr2(b'<', b'&', rest)?;
        let found = rest.get(at..)?;
        if found.starts_with(b"<") {
            return Some((from + at, "<"));
        }
        if found.starts_with(b"&lt;") {
            return Some((from + at, "&lt;"));
        }
        from += at + 1;
    }
}

/// How a tag ends.
enum End {
    /// It is closed here.
    Close(usize),
    /// Another begins here, so it is none: a bracket in an error page, a tag that was cut.
    Anew(usize),
    None,
}

/// The end of what an opening bracket begins. Looks no further than there, so that all of a text is looked at once.
fn end_of(tag: &str, open: &str) -> End {
    let bytes = tag.as_bytes();
    if open == "<" {
        return match memchr::memchr2(b'<', b'>', bytes) {
            Some(at) if bytes.get(at) == Some(&b'>') => End::Close(at),
            Some(at) => End::Anew(at),
            // An attribute may have what is escaped; where nothing closes it, it is text.
            None => next_open(tag).map_or(End::None, |(at, _)| End::Anew(at)),
        };
    }
    let mut from = 0;
    while let Some(rest) = bytes.get(from..)
        && let Some(at) = memchr::memchr2(b'<', b'&', rest)
    {
        let found = rest.get(at..).unwrap_or_default();
        if found.starts_with(b"&gt;") {
            return End::Close(from + at);
        }
        if found.starts_with(b"<") || found.starts_with(b"&lt;") {
            return End::Anew(from + at);
        }
        from += at + 1;
    }
    End::None
}

/// Where the end tag of this name begins.
fn closing(text: &str, name: &str, open: &str) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + text.get(from..)?.find(open)?;
        let tag = &text[at + open.len()..];
        if let Some(end) = tag.strip_prefix('/').and_then(|tag| tag.strip_prefix(name))
            && end.trim_start().starts_with(['>', '&'])
        {
            return Some(at);
        }
        from = at + open.len();
    }
}

/// A tag with its secret attributes masked.
fn attributes(tag: &str, is_secret: &dyn Fn(&str) -> bool) -> String {
    let mut out = String::with_capacity(tag.len());
    let mut rest = tag;
    while let Some(at) = rest.find('=') {
        let name = rest[..at].trim_end();
        let name = name.rsplit(char::is_whitespace).next().unwrap_or_default();
        let after = rest[at + 1..].trim_start();
        let skipped = rest.len() - after.len();
        out.push_str(&rest[..skipped]);
        let quote = if after.starts_with("&quot;") { "&quot;" } else { after.get(..1).unwrap_or_default() };
        if !matches!(quote, "\"" | "'" | "&quot;") {
            rest = after;
            continue;
        }
        let value = &after[quote.len()..];
        let end = value.find(quote).unwrap_or(value.len());
        out.push_str(quote);
        out.push_str(if is_secret(name) && end > 0 { MASK } else { &value[..end] });
        rest = &value[end..];
        if let Some(behind) = rest.strip_prefix(quote) {
            out.push_str(quote);
            rest = behind;
        }
    }
    out.push_str(rest);
    out
}

/// Lines of HTTP that say who one is, as error pages repeat them.
fn headers(text: &str) -> String {
    let is_field = |line: &str| {
        line.split_once(':').is_some_and(|(name, _)| {
            let name = name.trim();
            ["authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key"].iter().any(|field| {
                name.len() >= field.len()
                    && name.is_char_boundary(name.len() - field.len())
                    && name[name.len() - field.len()..].eq_ignore_ascii_case(field)
            })
        })
    };
    if !text.lines().any(is_field) {
        return text.to_owned();
    }
    let masked = text.split_inclusive('\n').map(|line| match line.split_once(':') {
        Some((name, value)) if is_field(line) => {
            let end = if value.ends_with('\n') { "\n" } else { "" };
            format!("{name}: {MASK}{end}")
        }
        _ => line.to_owned(),
    });
    masked.collect()
}

/// An answer's envelope without the credentials that it repeats in its header, those in elements of these `names` among
/// them; `None` where it repeats none. A signature is to be looked at before.
pub(super) fn reply(envelope: &[u8], names: &[&str]) -> Option<Bytes> {
    // Before the body: what is in there is data.
    let body = [b"Body>".as_slice(), b"Body ".as_slice()];
    let body = body.iter().filter_map(|body| memchr::memmem::find(envelope, body)).min().unwrap_or(envelope.len());
    memchr::memmem::find(&envelope[..body], b"Header")?;
    let header = std::str::from_utf8(&envelope[..body]).ok()?;
    let masked = mask_with(header, names);
    (masked != header).then(|| [masked.as_bytes(), &envelope[body..]].concat().into())
}

#[cfg(test)]
mod tests {
    use super::{mask, mask_with, reply};
    use proptest::prelude::*;

    #[test]
    fn what_nobody_is_shown() {
        let check = |text: &str, expected: &str| assert_eq!(mask(text), expected, "{text}");
        check(
            "<wsse:UsernameToken><wsse:Username>svc</wsse:Username><wsse:Password Type=\"x#PasswordDigest\">q/w=</wsse:Password>\
             <wsse:Nonce EncodingType='y'>AAEC</wsse:Nonce><wsu:Created>2026</wsu:Created></wsse:UsernameToken>",
            "<wsse:UsernameToken><wsse:Username>svc</wsse:Username><wsse:Password Type=\"x#PasswordDigest\">***</wsse:Password>\
             <wsse:Nonce EncodingType='y'>***</wsse:Nonce><wsu:Created>2026</wsu:Created></wsse:UsernameToken>",
        );
        check("<PASSWORD><![CDATA[a<b]]></PASSWORD >x", "<PASSWORD>***</PASSWORD >x");
        check("<Password>a</b>c", "<Password>***");
        check("<Password/><a>b</a>", "<Password/><a>b</a>");
        check("<Password></Password>", "<Password></Password>");
        check("<Passwords>b</Passwords>", "<Passwords>b</Passwords>");
        // What opens nothing hides nothing.
        check("a < b in <Password>x</Password>", "a < b in <Password>***</Password>");
        check("a &lt; b in <Password>x</Password>", "a &lt; b in <Password>***</Password>");
        check("a < b in &lt;Password&gt;x&lt;/Password&gt;", "a < b in &lt;Password&gt;***&lt;/Password&gt;");
        check("<Login pwd='a<Password>x</Password>", "<Login pwd='***<Password>***</Password>");
        check("<Login pwd='a &lt; b'/>", "<Login pwd='***'/>");
        check("<Login user='u' password = 'p&gt;q' pwd=\"r\"/>", "<Login user='u' password = '***' pwd=\"***\"/>");
        check("<Login password='p", "<Login password='***");
        check("&lt;Password&gt;geheim&lt;/Password&gt;", "&lt;Password&gt;***&lt;/Password&gt;");
        check(
            "POST / HTTP/1.1\r\nAuthorization: Basic c3Zj\r\nX: y\r\nCookie: a=b",
            "POST / HTTP/1.1\r\nAuthorization: ***\nX: y\r\nCookie: ***",
        );
        check("<SessionId>a</SessionId><Token>b</Token>", "<SessionId>***</SessionId><Token>b</Token>");
        assert_eq!(
            mask_with("<o:LoginResult>a</o:LoginResult>", &["LoginResult"]),
            "<o:LoginResult>***</o:LoginResult>"
        );
        check("no markup < at all", "no markup < at all");
        check("", "");
    }

    #[test]
    fn answers_that_repeat_what_they_were_sent() {
        let echoed = "<s:Envelope><s:Header><w:Security xmlns:w='http://docs.oasis-open.org/wss/2004/01/\
                      oasis-200401-wss-wssecurity-secext-1.0.xsd'><w:Password>p</w:Password></w:Security></s:Header>\
                      <s:Body><Password>data</Password></s:Body></s:Envelope>";
        let masked = reply(echoed.as_bytes(), &[]).unwrap();
        let masked = std::str::from_utf8(&masked).unwrap();
        assert_eq!(masked, echoed.replace("<w:Password>p<", "<w:Password>***<"));
        assert_eq!(reply(masked.as_bytes(), &[]), None);
        assert_eq!(reply(b"<s:Envelope><s:Body><Password>data</Password></s:Body></s:Envelope>", &[]), None);
        // Whatever its block is called: the service's own session or account, too.
        let own = "<s:Envelope><s:Header><e:S><e:Ticket>t1</e:Ticket></e:S></s:Header><s:Body><Ticket>7</Ticket></s:Body></s:Envelope>";
        assert_eq!(reply(own.as_bytes(), &[]), None);
        let masked = reply(own.as_bytes(), &["Ticket"]).unwrap();
        assert_eq!(std::str::from_utf8(&masked).unwrap(), own.replace(">t1<", ">***<"));
    }

    /// However many brackets a service sends, each is looked at once.
    #[test]
    fn texts_of_brackets_are_no_burden() {
        for piece in ["<", "&lt;", "<a>", "&lt;a&gt;", "<Password", "< &lt;", "&"] {
            let text = piece.repeat(2_000_000 / piece.len());
            assert!(mask(&text) == text, "{piece}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[<>&/='\" a:\\r\\nltgqPpassword;]{0,80}") {
            mask(&text);
            mask(&format!("<Password>{text}"));
            mask(&format!("&lt;Password&gt;{text}"));
        }

        #[test]
        fn a_password_is_never_left(before in "[<>&='\" a]{0,9}", secret in "[A-Z0-9]{12}", after in "[<>&/='\" a]{0,20}") {
            let text = format!("<Envelope>{before}<w:Password Type=\"x\">{secret}</w:Password>{after}</Envelope>");
            prop_assert!(!mask(&text).contains(&secret), "{}", mask(&text));
        }
    }
}
