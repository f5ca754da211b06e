//! `Prefer` (RFC 7240): what a caller would like.

use std::time::Duration;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};

const PREFER: HeaderName = HeaderName::from_static("prefer");
pub(super) const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// The longest that a caller may say it waits.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// What a caller would like. A preference that cannot be read is none (RFC 7240 section 2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Preference {
    /// `wait=SECONDS`.
    pub(super) wait: Option<Duration>,
    /// `respond-async`.
    pub(super) is_async: bool,
}

/// What the header fields say; of each preference the first counts.
pub(super) fn of(headers: &HeaderMap) -> Preference {
    let mut preference = Preference::default();
    let fields = headers.get_all(PREFER).iter().filter_map(|field| field.to_str().ok());
    for written in fields.flat_map(|field| field.split(',')) {
        let token = written.split(';').next().unwrap_or("").trim();
        match token.split_once('=') {
            Some((name, value)) if name.trim().eq_ignore_ascii_case("wait") && preference.wait.is_none() => {
                let seconds: Option<u64> = value.trim().trim_matches('"').parse().ok();
                preference.wait = seconds.map(|seconds| Duration::from_secs(seconds).min(LONGEST_WAIT));
            }
            None if token.eq_ignore_ascii_case("respond-async") => preference.is_async = true,
            _ => {}
        }
    }
    preference
}

/// `wait=SECONDS`, as an answer says it.
pub(super) fn applied_wait(wait: Duration) -> HeaderValue {
    HeaderValue::from_str(&format!("wait={}", wait.as_secs())).unwrap_or(HeaderValue::from_static("wait"))
}

impl Preference {
    /// How long an answer is waited for before it is told that it goes on. Both together mean: so long, and then at once
    /// (RFC 7240 section 4.3).
    pub(super) fn waits_for_answer(&self, most: Duration) -> Duration {
        match (self.wait, self.is_async) {
            (Some(wait), _) => wait.min(most),
            (None, true) => Duration::ZERO,
            (None, false) => most,
        }
    }

    /// What was honoured, where something was.
    pub(super) fn applied(&self) -> Option<HeaderValue> {
        match (self.is_async, self.wait) {
            (true, None) => Some(HeaderValue::from_static("respond-async")),
            (true, Some(wait)) => HeaderValue::from_str(&format!("respond-async, wait={}", wait.as_secs())).ok(),
            (false, Some(wait)) => Some(applied_wait(wait)),
            (false, None) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Preference, of};
    use hyper::header::{HeaderMap, HeaderValue};
    use std::time::Duration;

    #[test]
    fn preferences() {
        let check = |fields: &[&str], wait: Option<u64>, is_async: bool| {
            let mut headers = HeaderMap::new();
            for field in fields {
                headers.append("prefer", HeaderValue::from_str(field).unwrap());
            }
            let expected = Preference { wait: wait.map(Duration::from_secs), is_async };
            assert_eq!(of(&headers), expected, "{fields:?}");
        };
        check(&[], None, false);
        check(&["wait=5"], Some(5), false);
        check(&["respond-async, wait=\"10\""], Some(10), true);
        check(&["Respond-Async; x=1", "WAIT = 3"], Some(3), true);
        check(&["wait=soon, respond-async=1"], None, false);
        check(&["wait=99999"], Some(3600), false);
    }
}
