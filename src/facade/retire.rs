//! Versions of resources that come to their end: `Deprecation` (RFC 9745), `Sunset` (RFC 8594), links, and 410 at last.
//!
//! Every answer of such a version says so, problems too, so that whoever looks at a log of answers finds out who must move. So
//! does one that has records of such a version beside those of another (`include`): a request is good for as long as all that it
//! asks for is.

use axum::response::Response;
use hyper::header::{HeaderMap, HeaderName, HeaderValue, LINK};
use jiff::Timestamp;
use parking_lot::Mutex;

use super::catalog::Published;
use super::http_date;
use crate::http::{Problem, Reason};
use crate::mapping::Exposure;

const DEPRECATION: HeaderName = HeaderName::from_static("deprecation");
const SUNSET: HeaderName = HeaderName::from_static("sunset");

/// What the answers of such a version say.
#[derive(Clone, Debug)]
pub(super) struct Retiring {
    deprecated: Option<Timestamp>,
    sunset: Option<Timestamp>,
    /// Targets of links with their relations.
    links: Vec<(String, &'static str)>,
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
        let mut links: Vec<(String, &'static str)> = Vec::new();
        links.extend(successor.iter().map(|successor| (successor.clone(), "successor-version")));
        if let Some(notice) = &told.notice {
            links.extend(told.deprecated.map(|_| (notice.clone(), "deprecation")));
            links.extend(told.sunset.map(|_| (notice.clone(), "sunset")));
        }
        Some(Retiring { deprecated: told.deprecated, sunset: told.sunset, links, successor })
    }

    /// Whether callers should not use it any more.
    pub(super) fn is_deprecated(exposure: &Exposure, now: Timestamp) -> bool {
        exposure.retirement.deprecated.or(exposure.retirement.sunset).is_some_and(|since| since <= now)
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

/// The versions that come to their end of which one answer is, in the order in which they were met: that of the resource that
/// was asked for, then those of relations.
pub(super) struct Met {
    /// When the request was judged.
    pub(super) now: Timestamp,
    versions: Mutex<Vec<Old>>,
}

/// Such a version.
struct Old {
    id: String,
    path: String,
    retiring: Retiring,
    is_deprecated: bool,
    /// Not what was asked for, but what a relation of it leads to.
    is_beside: bool,
}

impl Met {
    /// None yet, at this moment.
    pub(super) fn new() -> Met {
        Met { now: Timestamp::now(), versions: Mutex::default() }
    }

    /// Takes note of a resource of which the answer is, and refuses what is behind its end.
    pub(super) fn meet(&self, published: &Published) -> Result<(), Problem> {
        self.note(published, false)
    }

    /// The same of a resource that a relation leads to.
    pub(super) fn meet_beside(&self, published: &Published) -> Result<(), Problem> {
        self.note(published, true)
    }

    fn note(&self, published: &Published, is_beside: bool) -> Result<(), Problem> {
        let Some(retiring) = &published.retiring else { return Ok(()) };
        let id = published.exposure.id.to_string();
        let mut versions = self.versions.lock();
        if !versions.iter().any(|old| old.id == id) {
            let is_deprecated = Retiring::is_deprecated(&published.exposure, self.now);
            let (path, retiring) = (published.path.clone(), retiring.clone());
            versions.push(Old { id, path, retiring, is_deprecated, is_beside });
        }
        retiring.check(published, self.now)
    }

    /// Says it on what is answered, and `count`s who uses what is deprecated.
    pub(super) fn tell(&self, answered: Result<Response, Problem>, count: impl Fn(&str)) -> Result<Response, Problem> {
        let versions = self.versions.lock();
        versions.iter().filter(|old| old.is_deprecated).for_each(|old| count(&old.id));
        let fields = fields(&versions);
        match answered {
            Ok(mut response) => {
                for (name, value) in fields {
                    response.headers_mut().append(name, value);
                }
                Ok(response)
            }
            Err(problem) => Err(fields.into_iter().fold(problem, |problem, (name, value)| problem.header(name, value))),
        }
    }
}

/// The header fields of an answer of these versions. Dates are the earliest: a request is good until the first of them ends.
/// Links of a version that is only beside say whose they are (RFC 8288 section 3.2).
fn fields(versions: &[Old]) -> Vec<(HeaderName, HeaderValue)> {
    let mut fields = Vec::new();
    let mut say = |name: HeaderName, value: Option<HeaderValue>| fields.extend(value.map(|value| (name, value)));
    let first = |of: fn(&Retiring) -> Option<Timestamp>| versions.iter().filter_map(|old| of(&old.retiring)).min();
    // A Date of structured fields (RFC 9651 section 3.3.7).
    let deprecated = first(|retiring| retiring.deprecated);
    say(DEPRECATION, deprecated.and_then(|at| HeaderValue::from_str(&format!("@{}", at.as_second())).ok()));
    say(SUNSET, first(|retiring| retiring.sunset).and_then(http_date::write));
    for old in versions {
        for (target, relation) in &old.retiring.links {
            let anchor = match old.is_beside {
                true => format!("; anchor=\"{}\"", old.path),
                false => String::new(),
            };
            say(LINK, HeaderValue::from_str(&format!("<{target}>; rel=\"{relation}\"{anchor}")).ok());
        }
    }
    fields
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
    use super::{Met, Retiring, fields};
    use crate::facade::catalog::Published;
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
        let met = Met::new();
        met.meet(&Published::new(old)).unwrap_err();
        let told = fields(&met.versions.lock());
        let told: Vec<(&str, &str)> =
            told.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
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
