//! The name of a request in logs and answers, and its place in a distributed trace.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use hyper::header::{HeaderMap, HeaderName, HeaderValue};

/// `X-Request-Id`.
pub(super) const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// A caller's id longer than this is replaced.
const MAX_LENGTH: usize = 128;

/// A request's id: the caller's own if it is sane, else a UUID of version 7.
#[derive(Clone, Debug)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The caller's id from `X-Request-Id` (1 to 128 letters, digits and `-_.:/+=@`), else a new one.
    pub fn of(headers: &HeaderMap) -> RequestId {
        match headers.get(HEADER) {
            Some(value) if is_sane(value.as_bytes()) => RequestId(value.clone()),
            _ => RequestId::new(),
        }
    }

    /// A new one.
    ///
    /// Unique rather than unguessable, so it costs no system call: the random part is drawn once per process
    /// and counted on.
    pub fn new() -> RequestId {
        static START: OnceLock<u64> = OnceLock::new();
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let start = *START.get_or_init(|| getrandom::u64().unwrap_or_else(|_| u64::from(std::process::id()) << 32));
        let number = start.wrapping_add(COUNT.fetch_add(1, Ordering::Relaxed));
        let millis = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
        let mut random = [0u8; 10];
        random[..2].copy_from_slice(&start.to_be_bytes()[6..]);
        random[2..].copy_from_slice(&number.to_be_bytes());
        let id = uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid();
        let mut buffer = uuid::Uuid::encode_buffer();
        let text = id.hyphenated().encode_lower(&mut buffer);
        RequestId(HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static("unknown")))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or("unknown")
    }

    /// As the value of [`HEADER`].
    pub fn into_header(self) -> HeaderValue {
        self.0
    }
}

impl Default for RequestId {
    fn default() -> RequestId {
        RequestId::new()
    }
}

fn is_sane(id: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/+=@".contains(byte);
    !id.is_empty() && id.len() <= MAX_LENGTH && id.iter().all(plain)
}

/// The trace that a caller's `traceparent` (W3C Trace Context) puts a request in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceParent {
    /// 32 hexadecimal digits.
    pub trace_id: String,
    /// 16 hexadecimal digits: the caller's span.
    pub parent_id: String,
}

impl TraceParent {
    /// Reads the header; what breaks the standard's rules is as good as absent.
    pub fn of(headers: &HeaderMap) -> Option<TraceParent> {
        let text = headers.get("traceparent")?.to_str().ok()?;
        let mut parts = text.split('-');
        let (version, trace_id, parent_id, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let hex = |part: &str, length: usize| {
            part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
        };
        let zero = |part: &str| part.bytes().all(|byte| byte == b'0');
        let well_formed = hex(version, 2) && hex(trace_id, 32) && hex(parent_id, 16) && hex(flags, 2);
        // Version ff is forbidden; a version after 00 may have more parts.
        let known = version != "ff" && (version != "00" || parts.next().is_none());
        if !well_formed || !known || zero(trace_id) || zero(parent_id) {
            return None;
        }
        Some(TraceParent { trace_id: trace_id.to_owned(), parent_id: parent_id.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::{RequestId, TraceParent};
    use hyper::header::{HeaderMap, HeaderValue};
    use std::collections::HashSet;

    #[test]
    fn new_ids_are_distinct_uuids_of_version_7() {
        let ids: HashSet<String> = (0..1000).map(|_| RequestId::new().as_str().to_owned()).collect();
        assert_eq!(ids.len(), 1000);
        for id in ids {
            assert_eq!(uuid::Uuid::parse_str(&id).unwrap().get_version_num(), 7);
        }
    }

    #[test]
    fn a_sane_id_is_kept() {
        let of = |value: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert("x-request-id", HeaderValue::from_bytes(value).unwrap());
            RequestId::of(&headers).as_str().to_owned()
        };
        assert_eq!(of(b"web-1:42/a"), "web-1:42/a");
        for bad in [&b""[..], b"a b", b"<script>", b"\"x\"", &[b'a'; 129], b"caf\xe9"] {
            assert_ne!(of(bad).as_bytes(), bad);
        }
    }

    #[test]
    fn traceparent() {
        let check = |value: &str, trace: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert("traceparent", HeaderValue::from_str(value).unwrap());
            assert_eq!(TraceParent::of(&headers).map(|parent| parent.trace_id).as_deref(), trace, "{value}");
        };
        let trace = "0af7651916cd43dd8448eb211c80319c";
        check("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", Some(trace));
        check("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-future", Some(trace));
        check("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more", None);
        check("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", None);
        check("00-00000000000000000000000000000000-b7ad6b7169203331-01", None);
        check("00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01", None);
        check("nonsense", None);
    }
}
