//! Guards against web pages that use a browser on this machine to reach a loopback listener.
//!
//! A page can point its own name at 127.0.0.1 (DNS rebinding) and then read answers as its own; the browser
//! still sends the page's name as `Host`, so a loopback listener that asks for no key answers only to loopback
//! names. A page can also send a POST without reading the answer; browsers mark such requests by `Origin` and
//! `Sec-Fetch-Site`.
//!
//! And against requests of which two programs on their way could read two hosts: each says one, and says it well.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use hyper::Version;
use hyper::header::{HOST, HeaderMap, ORIGIN};
use hyper::http::request::Parts;

use super::config::is_loopback;
use super::{Problem, Reason};

/// Which names a listener answers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostPolicy {
    /// Any.
    Any,
    /// `localhost` and loopback addresses, at any port.
    Loopback,
}

impl HostPolicy {
    /// [`HostPolicy::Loopback`] for a listener that is on loopback and answers without a key.
    pub fn of(listen: SocketAddr, answers_without_key: bool) -> HostPolicy {
        let guard = is_loopback(listen.ip()) && answers_without_key;
        if guard { HostPolicy::Loopback } else { HostPolicy::Any }
    }

    /// Refuses a request to another name. Without `Host` (HTTP/1.0) it comes from no browser and passes.
    pub fn check(self, request: &Parts) -> Result<(), Problem> {
        let passes = match self {
            HostPolicy::Any => true,
            HostPolicy::Loopback => host_of(request).is_none_or(is_local_name),
        };
        if passes {
            return Ok(());
        }
        Err(Reason::Misdirected
            .because("this listener answers without a key, so it is only reached as localhost or 127.0.0.1")
            .hint("call it by http://127.0.0.1, or turn anonymous access off and use API keys"))
    }
}

/// Refuses a request of HTTP/1.1 that does not say where it was sent to, and one of any version that says so twice or in no
/// form of a host (RFC 9112 section 3.2).
pub(super) fn require_host(request: &Parts) -> Result<(), Problem> {
    let mut fields = request.headers.get_all(HOST).iter();
    let fault = match (fields.next(), fields.next()) {
        (None, _) if request.version == Version::HTTP_11 => "the request has no `Host`",
        (None, _) => return Ok(()),
        (Some(host), None) if is_host(host.as_bytes()) => return Ok(()),
        (Some(_), None) => "`Host` is no host with perhaps a port",
        (Some(_), Some(_)) => "`Host` is there twice",
    };
    let hint = "send one `Host`, with the host and the port of the address that is called: `Host: api.example:8080`";
    Err(Reason::InvalidHeader.because(fault).hint(hint))
}

/// Whether it is a host, perhaps with `:` and a port behind it (RFC 3986 section 3.2).
fn is_host(written: &[u8]) -> bool {
    let (host_is_good, rest) = match written.strip_prefix(b"[") {
        Some(literal) => {
            let Some(end) = literal.iter().position(|byte| *byte == b']') else { return false };
            let (literal, rest) = literal.split_at(end);
            let is_address = std::str::from_utf8(literal).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok());
            (is_address, rest.get(1..).unwrap_or_default())
        }
        None => {
            let end = written.iter().position(|byte| *byte == b':').unwrap_or(written.len());
            let (name, rest) = written.split_at(end);
            (is_name(name), rest)
        }
    };
    let is_port = |port: &[u8]| port.iter().all(u8::is_ascii_digit);
    host_is_good && (rest.is_empty() || rest.strip_prefix(b":").is_some_and(is_port))
}

/// A `reg-name` that is not empty; addresses of IPv4 are such.
fn is_name(name: &[u8]) -> bool {
    let mut rest = name;
    while let Some((byte, behind)) = rest.split_first() {
        rest = match byte {
            b'%' if matches!(behind, [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit()) => {
                behind.get(2..).unwrap_or_default()
            }
            byte if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(byte) => behind,
            _ => return false,
        };
    }
    !name.is_empty()
}

/// Host and port that the request was sent to.
pub fn host_of(request: &Parts) -> Option<&str> {
    match request.uri.authority() {
        Some(authority) => Some(authority.as_str()),
        // A name that is no text cannot be a local one.
        None => request.headers.get(HOST).map(|value| value.to_str().unwrap_or("invalid")),
    }
}

fn is_local_name(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(is_loopback)
}

/// Refuses a request that a page of another origin made a browser send. To be asked before anything that acts.
pub fn refuse_cross_origin(request: &Parts) -> Result<(), Problem> {
    let headers: &HeaderMap = &request.headers;
    let refused = || {
        Err(Reason::CrossOrigin
            .because("the request was sent by a web page of another origin")
            .hint("send it from the console itself, or from a program"))
    };
    if let Some(site) = headers.get("sec-fetch-site")
        && !matches!(site.as_bytes(), b"same-origin" | b"none")
    {
        return refused();
    }
    let Some(origin) = headers.get(ORIGIN) else { return Ok(()) };
    let own = origin.to_str().ok().and_then(|origin| origin.split_once("://")).zip(host_of(request));
    match own {
        Some(((_, origin), host)) if origin.eq_ignore_ascii_case(host) => Ok(()),
        _ => refused(),
    }
}

#[cfg(test)]
mod tests {
    use super::{HostPolicy, refuse_cross_origin, require_host};
    use hyper::{Request, Version};

    fn request(fields: &[(&str, &str)]) -> hyper::http::request::Parts {
        let mut builder = Request::builder().uri("/v1");
        for (name, value) in fields {
            builder = builder.header(*name, *value);
        }
        builder.body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_loopback_listener_answers_to_loopback_names() {
        let check = |host: &str, expected: bool| {
            let request = request(&[("host", host)]);
            assert_eq!(HostPolicy::Loopback.check(&request).is_ok(), expected, "{host}");
            assert!(HostPolicy::Any.check(&request).is_ok());
        };
        check("localhost", true);
        check("LOCALHOST:8081", true);
        check("127.0.0.1:8081", true);
        check("127.8.8.8", true);
        check("[::1]:8081", true);
        check("[::1]", true);
        check("evil.example:8081", false);
        check("127.0.0.1.evil.example", false);
        check("localhost.evil.example", false);
        check("10.0.0.1", false);
        check("", false);
        assert!(HostPolicy::Loopback.check(&request(&[])).is_ok());
    }

    #[test]
    fn a_request_says_once_and_well_where_it_was_sent() {
        let check = |hosts: &[&str], expected: bool| {
            let fields: Vec<(&str, &str)> = hosts.iter().map(|host| ("host", *host)).collect();
            let mut request = request(&fields);
            assert_eq!(require_host(&request).is_ok(), expected, "{hosts:?}");
            // Of an older request it may be missing, and nothing else.
            request.version = Version::HTTP_10;
            assert_eq!(require_host(&request).is_ok(), expected || hosts.is_empty(), "{hosts:?}");
        };
        for good in [
            "localhost",
            "api.example:8080",
            "127.0.0.1:80",
            "[::1]",
            "[2001:db8::7]:443",
            "a-b_c.example.",
            "b%C3%BCro.example",
            "host:",
        ] {
            check(&[good], true);
        }
        for bad in [
            "", ":80", "a b", "a/b", "http://a", "user@a", "a:80:80", "a:8o", "a:-1", "[::1", "[::1]80", "[evil]",
            "::1", "a%2", "a\"b", "a?b", "a#b", "a\\b", "a,b c",
        ] {
            check(&[bad], false);
        }
        check(&[], false);
        check(&["localhost", "localhost"], false);
        check(&["a", "b"], false);
    }

    #[test]
    fn policy_follows_the_listener() {
        let policy = |listen: &str, open| HostPolicy::of(listen.parse().unwrap(), open);
        assert_eq!(policy("127.0.0.1:80", true), HostPolicy::Loopback);
        assert_eq!(policy("127.0.0.1:80", false), HostPolicy::Any);
        assert_eq!(policy("0.0.0.0:80", true), HostPolicy::Any);
    }

    #[test]
    fn posts_of_other_origins() {
        let check = |fields: &[(&str, &str)], expected: bool| {
            assert_eq!(refuse_cross_origin(&request(fields)).is_ok(), expected, "{fields:?}");
        };
        check(&[], true);
        check(&[("host", "127.0.0.1:8081"), ("origin", "http://127.0.0.1:8081")], true);
        check(&[("host", "127.0.0.1:8081"), ("origin", "http://127.0.0.1:9")], false);
        check(&[("host", "127.0.0.1:8081"), ("origin", "null")], false);
        check(&[("host", "127.0.0.1:8081"), ("origin", "https://evil.example")], false);
        check(&[("sec-fetch-site", "cross-site")], false);
        check(&[("sec-fetch-site", "same-site")], false);
        check(&[("sec-fetch-site", "same-origin"), ("host", "a"), ("origin", "http://a")], true);
    }
}
