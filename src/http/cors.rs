//! `[server.cors]`: which pages of other origins may call the REST API from a browser (the Fetch standard, section 3.2).
//!
//! Off unless it is configured. A preflight is answered without a key, since browsers send none with it; the request that
//! follows needs one like any other. Origins are compared as they are written, never by a part of them.

use std::time::Duration;

use hyper::Method;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderName, HeaderValue, ORIGIN, VARY,
};
use hyper::http::request::Parts;

use crate::diagnostic::{Key, Node, Presence, Section, Table};

/// Keys of `[server.cors]`.
pub static CORS: Section = Section {
    path: "server.cors",
    doc: "Which pages of other origins may call the REST API from a browser. Without it none may.",
    keys: &[
        Key {
            name: "origins",
            shape: "array of strings",
            presence: Presence::Required,
            doc: "origins like `https://shop.example`, or `[\"*\"]` for all",
        },
        Key {
            name: "methods",
            shape: "array of strings",
            presence: Presence::Default("[\"GET\", \"HEAD\", \"POST\", \"PUT\", \"PATCH\", \"DELETE\"]"),
            doc: "what they may do",
        },
        Key {
            name: "headers",
            shape: "array of strings",
            presence: Presence::Default(
                "[\"Authorization\", \"Content-Type\", \"If-Match\", \"If-None-Match\", \"If-Modified-Since\", \
                 \"If-Unmodified-Since\", \"Cache-Control\", \"Prefer\", \"Idempotency-Key\", \"Last-Event-ID\", \"X-Request-Id\", \"traceparent\"]",
            ),
            doc: "the header fields that they may send, beside those that browsers always let pass",
        },
        Key {
            name: "max_age",
            shape: "duration",
            presence: Presence::Default("\"10m\""),
            doc: "how long a browser may remember what it may do",
        },
        Key {
            name: "credentials",
            shape: "boolean",
            presence: Presence::Default("false"),
            doc: "whether browsers send along what identifies their user to this service by itself: client certificates, or \
                  what a proxy in front asks for. Keys need none of it. Not with `[\"*\"]`",
        },
    ],
};

/// The fields of answers that pages may read, beside those that browsers always show.
const EXPOSED: &str = "Accept, Accept-Encoding, Accept-Patch, Accept-Post, Age, Allow, Cache-Status, Content-Encoding, \
                       Deprecation, ETag, Idempotent-Replayed, Link, Location, Preference-Applied, RateLimit, \
                       RateLimit-Policy, Retry-After, Server-Timing, Sunset, Vary, WWW-Authenticate, X-Request-Id";

/// What a preflight's answer depends on.
const VARIES: &str = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";

/// Who may call from a browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cors {
    /// None for all.
    origins: Option<Vec<HeaderValue>>,
    methods: HeaderValue,
    headers: HeaderValue,
    max_age: Duration,
    credentials: bool,
}

impl Cors {
    /// Reads `[server.cors]`; `None` after reporting what is wrong.
    pub fn read(table: &Table<'_>) -> Option<Cors> {
        let credentials = table.boolean("credentials");
        let max_age = table.duration("max_age");
        let origins = table.read("origins", origins);
        let methods =
            table.read("methods", |node| list(node, "GET", |word| Method::from_bytes(word.as_bytes()).is_ok()));
        let headers = table
            .read("headers", |node| list(node, "Prefer", |word| word != "*" && HeaderName::try_from(word).is_ok()));
        if let (Some(true), Some(None), Some(node)) = (credentials, &origins, table.get("credentials")) {
            let fault = node.fault("`credentials` cannot be given to the pages of all origins");
            table.fail(fault.help("name the origins in `origins`, or leave `credentials` out"));
        }
        if table.failed() {
            return None;
        }
        let (origins, methods, headers) = (origins?, methods?, headers?);
        Some(Cors { origins, methods, headers, max_age: max_age?, credentials: credentials? })
    }

    /// Whether pages of this origin may call.
    pub fn allows(&self, origin: &HeaderValue) -> bool {
        self.origins.as_ref().is_none_or(|origins| origins.contains(origin))
    }

    /// Whether a page has made its user's browser ask that may act in the user's name: its origin is named, and `credentials`
    /// are given.
    pub fn lets_act(&self, request: &Parts) -> bool {
        let mut origins = request.headers.get_all(ORIGIN).iter();
        let origin = origins.next().filter(|_| origins.next().is_none());
        self.credentials && self.origins.is_some() && origin.is_some_and(|origin| self.allows(origin))
    }

    /// Says on an answer what the page that has asked may know of it.
    pub fn write(&self, request: &Parts, headers: &mut HeaderMap) {
        let origin = request.headers.get(ORIGIN);
        // Where the answer is not the same for all origins, a cache has to know, whoever asks first.
        if self.origins.is_some() {
            headers.append(VARY, HeaderValue::from_static("Origin"));
        }
        let Some(origin) = origin.filter(|origin| self.allows(origin)) else { return };
        let allowed = match &self.origins {
            None => HeaderValue::from_static("*"),
            Some(_) => origin.clone(),
        };
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        if self.credentials {
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        if self.is_preflight(request) {
            headers.insert(VARY, HeaderValue::from_static(VARIES));
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, self.methods.clone());
            if request.headers.contains_key(ACCESS_CONTROL_REQUEST_HEADERS) {
                headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, self.headers.clone());
            }
            headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from(self.max_age.as_secs()));
        } else {
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
        }
    }

    /// Whether a browser asks what a page may do.
    pub fn is_preflight(&self, request: &Parts) -> bool {
        let asks = |name: HeaderName| request.headers.contains_key(name);
        request.method == Method::OPTIONS && asks(ORIGIN) && asks(ACCESS_CONTROL_REQUEST_METHOD)
    }
}

/// Origins as browsers send them; `None` for all.
fn origins(node: &Node) -> Result<Option<Vec<HeaderValue>>, String> {
    let written = words(node)?;
    if written == ["*"] {
        return Ok(None);
    }
    let mut origins = Vec::new();
    for word in written {
        let (scheme, host) = word.split_once("://").unwrap_or(("", ""));
        let plain = |byte: u8| byte.is_ascii_graphic() && !byte.is_ascii_uppercase() && !b"/*@?#".contains(&byte);
        let sound = matches!(scheme, "http" | "https") && !host.is_empty() && host.bytes().all(plain);
        let value = HeaderValue::from_str(word).ok().filter(|_| sound);
        origins.push(value.ok_or_else(|| {
            format!("`{word}` is no origin as browsers send it: scheme, host and perhaps port, in small letters and without \
                     a path, like \"https://shop.example\"")
        })?);
    }
    match origins.is_empty() {
        true => Err("it names no origin; leave `[server.cors]` out where no page may call".to_owned()),
        false => Ok(Some(origins)),
    }
}

/// Words as one header field.
fn list(node: &Node, example: &str, is_sound: fn(&str) -> bool) -> Result<HeaderValue, String> {
    let words = words(node)?;
    match words.iter().find(|word| !is_sound(word)) {
        Some(odd) => Err(format!("`{odd}` cannot stand here; expected words like \"{example}\"")),
        None => HeaderValue::from_str(&words.join(", ")).map_err(|_| "it cannot be sent in a header field".to_owned()),
    }
}

fn words(node: &Node) -> Result<Vec<&str>, String> {
    let elements = node.as_array().ok_or_else(|| format!("expected an array of strings, found {}", node.kind()))?;
    elements
        .iter()
        .map(|node| node.as_str().ok_or_else(|| format!("expected a string, found {}", node.kind())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{CORS, Cors};
    use crate::diagnostic::{Faults, SourceText, Table, parse};
    use hyper::Request;
    use hyper::header::HeaderMap;
    use std::path::Path;

    fn read(text: &str) -> Result<Cors, Vec<String>> {
        let faults = Faults::new();
        let root = parse(&SourceText::new(Path::new("t.toml"), text.to_owned()), &faults);
        let cors = Table::new(&root, &CORS, &faults).and_then(|table| Cors::read(&table));
        cors.ok_or_else(|| faults.into_sorted().iter().map(|fault| fault.message.clone()).collect())
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for odd in [
            "shop.example",
            "https://",
            "https://shop.example/",
            "https://*.example",
            "https://Shop.example",
            "null",
            "ftp://x",
            "https://a@b",
        ] {
            let faults = read(&format!("origins = [\"{odd}\"]")).unwrap_err();
            assert!(faults.iter().any(|fault| fault.contains("is no origin")), "{odd}: {faults:?}");
        }
        for (text, part) in [
            ("origins = []", "names no origin"),
            ("origins = [\"*\"]\ncredentials = true", "pages of all origins"),
            ("origins = [\"*\"]\nmethods = [\"GE T\"]", "cannot stand here"),
            ("origins = [\"*\"]\nheaders = [\"*\"]", "cannot stand here"),
            ("", "origins"),
        ] {
            let faults = read(text).unwrap_err();
            assert!(faults.iter().any(|fault| fault.contains(part)), "{text}: {faults:?}");
        }
    }

    fn answer(cors: &Cors, method: &str, fields: &[(&str, &str)]) -> HeaderMap {
        let mut request = Request::builder().method(method);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let mut headers = HeaderMap::new();
        cors.write(&request.body(()).unwrap().into_parts().0, &mut headers);
        headers
    }

    #[test]
    fn only_named_origins_are_told_anything() {
        let cors = read("origins = [\"https://shop.example\", \"http://localhost:5173\"]\ncredentials = true").unwrap();
        let named = answer(&cors, "GET", &[("Origin", "https://shop.example")]);
        assert_eq!(named["access-control-allow-origin"], "https://shop.example");
        assert_eq!(
            (&named["access-control-allow-credentials"], &named["vary"]),
            (&"true".parse().unwrap(), &"Origin".parse().unwrap())
        );
        assert!(named["access-control-expose-headers"].to_str().unwrap().contains("ETag"));
        for other in [
            "https://shop.example.evil",
            "https://shop.exampl",
            "http://shop.example",
            "null",
            "https://shop.example:444",
        ] {
            let headers = answer(&cors, "GET", &[("Origin", other)]);
            assert_eq!(headers.len(), 1, "{other}: {headers:?}");
        }
        let open = answer(&read("origins = [\"*\"]").unwrap(), "GET", &[("Origin", "https://any.example")]);
        assert_eq!(open["access-control-allow-origin"], "*");
        assert!(!open.contains_key("vary") && !open.contains_key("access-control-allow-credentials"));
    }

    #[test]
    fn a_preflight_is_told_what_may_be_done() {
        let cors =
            read("origins = [\"https://shop.example\"]\nmax_age = \"5m\"\nmethods = [\"GET\", \"POST\"]").unwrap();
        let asked = [
            ("Origin", "https://shop.example"),
            ("Access-Control-Request-Method", "POST"),
            ("Access-Control-Request-Headers", "idempotency-key"),
        ];
        let headers = answer(&cors, "OPTIONS", &asked);
        assert_eq!(headers["access-control-allow-methods"], "GET, POST");
        assert_eq!(headers["access-control-max-age"], "300");
        assert!(headers["access-control-allow-headers"].to_str().unwrap().contains("Idempotency-Key"));
        assert!(headers["vary"].to_str().unwrap().contains("Access-Control-Request-Method"));
        let foreign = answer(&cors, "OPTIONS", &[("Origin", "https://evil.example"), asked[1]]);
        assert!(!foreign.contains_key("access-control-allow-methods"));
    }

    /// Every field that docs/api.md offers to callers may be sent, and every one that answers have may be read.
    #[test]
    fn pages_may_send_and_read_what_others_may() {
        let cors = read("origins = [\"https://shop.example\"]").unwrap();
        let preflight = [
            ("Origin", "https://shop.example"),
            ("Access-Control-Request-Method", "PATCH"),
            ("Access-Control-Request-Headers", "if-unmodified-since"),
        ];
        let listed = |headers: &HeaderMap, name: &str| -> Vec<String> {
            headers[name].to_str().unwrap().split(", ").map(str::to_owned).collect()
        };
        let sent = listed(&answer(&cors, "OPTIONS", &preflight), "access-control-allow-headers");
        for name in ["If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "Idempotency-Key"] {
            assert!(sent.iter().any(|sent| sent == name), "{name}: {sent:?}");
        }
        let told = listed(&answer(&cors, "GET", &preflight[..1]), "access-control-expose-headers");
        for name in ["Accept", "Accept-Post", "Accept-Patch", "Accept-Encoding", "Allow", "Deprecation", "ETag"] {
            assert!(told.iter().any(|told| told == name), "{name}: {told:?}");
        }
    }

    #[test]
    fn pages_act_in_their_users_name_where_they_are_named_for_it() {
        let acts = |text: &str, fields: &[(&str, &str)]| {
            let mut request = Request::builder().method("POST");
            for (name, value) in fields {
                request = request.header(*name, *value);
            }
            read(text).unwrap().lets_act(&request.body(()).unwrap().into_parts().0)
        };
        let named = "origins = [\"https://shop.example\"]\ncredentials = true";
        let shop = ("Origin", "https://shop.example");
        assert!(acts(named, &[shop]) && acts(named, &[shop, ("Sec-Fetch-Site", "cross-site")]));
        for fields in [&[][..], &[("Origin", "https://evil.example")], &[("Origin", "null")], &[shop, shop]] {
            assert!(!acts(named, fields), "{fields:?}");
        }
        assert!(!acts("origins = [\"https://shop.example\"]", &[shop]));
        assert!(!acts("origins = [\"*\"]", &[shop]));
    }
}
