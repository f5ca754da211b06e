//! `Cache-Control` of a request (RFC 9111 section 5.2.1, RFC 5861): how fresh the caller wants the answer.

use std::time::Duration;

use hyper::header::{CACHE_CONTROL, HeaderMap};

use jiff::Timestamp;

use super::catalog::Published;
use crate::http::{Problem, Reason};
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
            ("min-fresh", Some(time)) => wish.min_fresh = Some(wish.min_fresh.map_or(time, |known| known.max(time))),
            ("max-stale", Some(time)) => wish.max_stale = stricter(wish.max_stale, time),
            // Without a value it is as long as may be.
            ("max-stale", None) if value.is_none() => wish.max_stale = stricter(wish.max_stale, Duration::MAX),
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

/// Refuses what is staged where the caller wants nothing else (`only-if-cached`), and nothing as old as this. Without that
/// word an answer from staging is the best there is, however old: `Age` says so.
pub(super) fn check_staged(
    headers: &HeaderMap,
    published: &Published,
    as_of: Option<Timestamp>,
) -> Result<(), Problem> {
    if !headers.contains_key(CACHE_CONTROL) {
        return Ok(());
    }
    let wish = wish(headers);
    if !wish.only_if_cached {
        return Ok(());
    }
    let age = as_of.map(|as_of| Duration::try_from(Timestamp::now().duration_since(as_of)).unwrap_or_default());
    let will_do = match (age, published.exposure.max_age) {
        (Some(age), lifetime) => wish.takes(age, lifetime.unwrap_or(Duration::MAX)),
        // Nobody knows how old it is.
        (None, _) => wish.max_age.is_none() && wish.min_fresh.is_none(),
    };
    if will_do {
        return Ok(());
    }
    let age = age.map_or_else(|| "of unknown age".to_owned(), |age| format!("{} seconds old", age.as_secs()));
    let problem = Reason::NotStaged.because(format!("what is staged is {age}, and the caller wants it fresher"));
    Err(problem.hint("without `only-if-cached` it is answered as it is, with its `Age`"))
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
        check(&["Max-Age=60, min-fresh=5"], Wish { max_age: seconds(60), min_fresh: seconds(5), ..Wish::default() });
        check(&["min-fresh=5", "min-fresh=9, min-fresh"], Wish { min_fresh: seconds(9), ..Wish::default() });
        check(&["max-stale=5"], Wish { max_stale: seconds(5), ..Wish::default() });
        check(&["max-stale"], Wish { max_stale: Some(Duration::MAX), ..Wish::default() });
        check(&["max-stale=x"], Wish::default());
        check(&["max-age=60", "max-age=\"30\""], Wish { max_age: seconds(30), ..Wish::default() });
        check(&["max-age=soon, max-age=-1, max-age"], Wish::default());
        check(&["only-if-cached, foo=bar"], Wish { only_if_cached: true, ..Wish::default() });
        check(&["stale-if-error=600"], Wish { stale_if_error: seconds(600), ..Wish::default() });
        check(&["stale-if-error"], Wish { stale_if_error: Some(Duration::MAX), ..Wish::default() });
        check(&["stale-if-error=x"], Wish::default());
    }
}
