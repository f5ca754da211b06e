//! `Cache-Control` of a request (RFC 9111 section 5.2.1, RFC 5861): how fresh the caller wants the answer.

use std::time::Duration;

use hyper::header::{CACHE_CONTROL, HeaderMap};

use crate::pipeline::live::Wish;

/// What the caller says. Directives that are unknown, or whose value cannot be read, are passed over, as caches do. Of
/// several values of one directive the strictest counts.
pub(super) fn wish(headers: &HeaderMap) -> Wish {
    let mut wish = Wish::default();
    let fields = headers.get_all(CACHE_CONTROL).iter().filter_map(|field| field.to_str().ok());
    for directive in fields.flat_map(|field| field.split(',')) {
        let (name, value) = match directive.split_once('=') {
            Some((name, value)) => (name.trim(), Some(value.trim().trim_matches('"'))),
            None => (directive.trim(), None),
        };
        let seconds = value.and_then(|value| value.parse().ok()).map(Duration::from_secs);
        let stricter = |known: Option<Duration>, new: Duration| Some(known.map_or(new, |known| known.min(new)));
        match (name.to_ascii_lowercase().as_str(), seconds) {
            ("no-cache", _) => wish.no_cache = true,
            ("only-if-cached", _) => wish.only_if_cached = true,
            ("max-age", Some(age)) => wish.max_age = stricter(wish.max_age, age),
            ("stale-if-error", Some(age)) => wish.stale_if_error = stricter(wish.stale_if_error, age),
            // Without a value it is as long as the mapping allows.
            ("stale-if-error", None) if value.is_none() => {
                wish.stale_if_error = stricter(wish.stale_if_error, Duration::MAX);
            }
            _ => {}
        }
    }
    wish
}

#[cfg(test)]
mod tests {
    use super::wish;
    use crate::pipeline::live::Wish;
    use hyper::header::{CACHE_CONTROL, HeaderMap, HeaderValue};
    use std::time::Duration;

    fn check(fields: &[&str], expected: Wish) {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(CACHE_CONTROL, HeaderValue::from_str(field).unwrap());
        }
        assert_eq!(wish(&headers), expected, "{fields:?}");
    }

    #[test]
    fn directives() {
        let seconds = |count| Some(Duration::from_secs(count));
        check(&[], Wish::default());
        check(&["no-cache"], Wish { no_cache: true, ..Wish::default() });
        check(&["Max-Age=60, min-fresh=5"], Wish { max_age: seconds(60), ..Wish::default() });
        check(&["max-age=60", "max-age=\"30\""], Wish { max_age: seconds(30), ..Wish::default() });
        check(&["max-age=soon, max-age=-1, max-age"], Wish::default());
        check(&["only-if-cached, foo=bar"], Wish { only_if_cached: true, ..Wish::default() });
        check(&["stale-if-error=600"], Wish { stale_if_error: seconds(600), ..Wish::default() });
        check(&["stale-if-error"], Wish { stale_if_error: Some(Duration::MAX), ..Wish::default() });
        check(&["stale-if-error=x"], Wish::default());
    }
}
