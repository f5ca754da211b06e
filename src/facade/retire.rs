//! Versions of resources that come to their end: `Deprecation` (RFC 9745), `Sunset` (RFC 8594), links, and 410 at last.
//!
//! Every answer of such a version says so, problems too, so that whoever looks at a log of answers finds out who must move.

use axum::response::Response;
use hyper::header::{HeaderMap, HeaderName, HeaderValue, LINK};
use jiff::Timestamp;

use super::catalog::Published;
use super::http_date;
use crate::http::{Problem, Reason};
use crate::mapping::Exposure;

const DEPRECATION: HeaderName = HeaderName::from_static("deprecation");
const SUNSET: HeaderName = HeaderName::from_static("sunset");

/// What the answers of such a version say.
#[derive(Debug)]
pub(super) struct Retiring {
    fields: Vec<(HeaderName, HeaderValue)>,
    sunset: Option<Timestamp>,
    /// The path of the version that takes its place.
    pub(super) successor: Option<String>,
}

impl Retiring {
    /// `None` of a version that goes on.
    pub(super) fn of(exposure: &Exposure) -> Option<Retiring> {
        let told = &exposure.retirement;
        if told.deprecated.is_none() && told.sunset.is_none() {
            return None;
        }
        let successor = told.successor.map(|version| format!("/v{version}/{}", exposure.id.name()));
        let mut fields = Vec::new();
        let mut say = |name: HeaderName, value: Option<HeaderValue>| fields.extend(value.map(|value| (name, value)));
        let link =
            |target: &str, relation: &str| HeaderValue::from_str(&format!("<{target}>; rel=\"{relation}\"")).ok();
        // A Date of structured fields (RFC 9651 section 3.3.7).
        say(DEPRECATION, told.deprecated.and_then(|at| HeaderValue::from_str(&format!("@{}", at.as_second())).ok()));
        say(SUNSET, told.sunset.and_then(http_date::write));
        if let Some(successor) = &successor {
            say(LINK, link(successor, "successor-version"));
        }
        if let Some(notice) = &told.notice {
            say(LINK, told.deprecated.and_then(|_| link(notice, "deprecation")));
            say(LINK, told.sunset.and_then(|_| link(notice, "sunset")));
        }
        Some(Retiring { fields, sunset: told.sunset, successor })
    }

    /// Whether callers should not use it any more.
    pub(super) fn is_deprecated(exposure: &Exposure, now: Timestamp) -> bool {
        exposure.retirement.deprecated.or(exposure.retirement.sunset).is_some_and(|since| since <= now)
    }

    /// Says it on what is answered.
    pub(super) fn tell(&self, answered: Result<Response, Problem>) -> Result<Response, Problem> {
        match answered {
            Ok(mut response) => {
                for (name, value) in &self.fields {
                    response.headers_mut().append(name, value.clone());
                }
                Ok(response)
            }
            Err(problem) => Err(self
                .fields
                .iter()
                .fold(problem, |problem, (name, value)| problem.header(name.clone(), value.clone()))),
        }
    }

    /// Refuses what is asked of it behind its end.
    pub(super) fn check(&self, published: &Published, now: Timestamp) -> Result<(), Problem> {
        let Some(sunset) = self.sunset.filter(|sunset| *sunset <= now) else { return Ok(()) };
        let problem =
            Reason::VersionRetired.because(format!("{} has come to its end at {sunset}", published.exposure.id));
        Err(match &self.successor {
            Some(successor) => problem.hint(format!("its place is taken by {successor}")),
            None => problem.hint("GET / lists what there is"),
        })
    }
}

/// A problem that takes the place of an answer, with what the answer said of its version.
pub(super) fn as_told(answer: &HeaderMap, problem: Problem) -> Problem {
    if !answer.contains_key(DEPRECATION) && !answer.contains_key(SUNSET) {
        return problem;
    }
    let told = [DEPRECATION, SUNSET, LINK].into_iter();
    let told = told.flat_map(|name| answer.get_all(&name).iter().map(move |value| (name.clone(), value.clone())));
    told.fold(problem, |problem, (name, value)| problem.header(name, value))
}

#[cfg(test)]
mod tests {
    use super::Retiring;
    use crate::facade::catalog::tests::exposure;
    use crate::mapping::Retirement;

    #[test]
    fn fields_are_those_of_the_standards() {
        assert!(Retiring::of(&exposure("orders", 1)).is_none());
        let mut old = exposure("orders", 1);
        old.retirement = Retirement {
            deprecated: Some("2023-06-30T23:59:59Z".parse().unwrap()),
            sunset: Some("1994-11-06T08:49:37Z".parse().unwrap()),
            successor: Some(2),
            notice: Some("https://example.com/move".to_owned()),
        };
        let told = Retiring::of(&old).unwrap();
        let told: Vec<(&str, &str)> =
            told.fields.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        // The first as in RFC 9745, the second as in RFC 9110.
        let expected = [
            ("deprecation", "@1688169599"),
            ("sunset", "Sun, 06 Nov 1994 08:49:37 GMT"),
            ("link", "</v2/orders>; rel=\"successor-version\""),
            ("link", "<https://example.com/move>; rel=\"deprecation\""),
            ("link", "<https://example.com/move>; rel=\"sunset\""),
        ];
        assert_eq!(told, expected);
    }
}
