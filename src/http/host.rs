//! Guards against web pages that use a browser on this machine to reach a loopback listener.
//!
//! A page can point its own name at 127.0.0.1 (DNS rebinding) and then read answers as its own; the browser
//! still sends the page's name as `Host`, so a loopback listener that asks for no key answers only to loopback
//! names. A page can also send a POST without reading the answer; browsers mark such requests by `Origin` and
//! `Sec-Fetch-Site`.

use std::net::{IpAddr, SocketAddr};

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
    use super::{HostPolicy, refuse_cross_origin};
    use hyper::Request;

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
