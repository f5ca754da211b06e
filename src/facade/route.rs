//! Which of our few routes a path is, without decoding or allocating.
//!
//! A key may hold any character, percent-encoded, and its canonical form is found from the encoding it was sent
//! in; so paths are split before anything is decoded. `changes`, `history` and `lineage` are words of ours: a record whose
//! key is exactly `changes` is reached as `%63hanges`.

use crate::telemetry::{Metrics, RouteMetrics};

/// A resource as a path names it: version and name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target<'a> {
    pub(super) version: u32,
    pub(super) name: &'a str,
}

/// A route; keys as they were sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route<'a> {
    Root,
    Index(u32),
    List(Target<'a>),
    Record(Target<'a>, &'a str),
    History(Target<'a>, &'a str),
    Lineage(Target<'a>, &'a str),
    Changes(Target<'a>),
    /// A record's key, and the name of an operation.
    Action(Target<'a>, &'a str, &'a str),
    /// The id of an operation.
    Operation(&'a str),
    OpenApi,
    Docs,
    Live,
    Ready,
    Backends,
    Unknown,
}

const TEMPLATES: [&str; 15] = [
    "/",
    "/v{version}",
    "/v{version}/{resource}",
    "/v{version}/{resource}/{key}",
    "/v{version}/{resource}/{key}/lineage",
    "/v{version}/{resource}/changes",
    "/openapi.json",
    "/docs",
    "/health/live",
    "/health/ready",
    "/health/backends",
    "/v{version}/{resource}/{key}/{operation}",
    "/v1/operations/{id}",
    "/v{version}/{resource}/{key}/history",
    "unmatched",
];

impl<'a> Route<'a> {
    /// The route of a path.
    pub(super) fn of(path: &'a str) -> Route<'a> {
        match path {
            "/" => return Route::Root,
            "/openapi.json" => return Route::OpenApi,
            "/docs" => return Route::Docs,
            "/health/live" => return Route::Live,
            "/health/ready" => return Route::Ready,
            "/health/backends" => return Route::Backends,
            _ => {}
        }
        let mut segments = path.split('/').skip(1);
        let Some(version) = segments.next().and_then(version_of) else { return Route::Unknown };
        let Some(name) = segments.next() else { return Route::Index(version) };
        let target = Target { version, name };
        match (name, segments.next(), segments.next(), segments.next()) {
            ("", ..) | (_, Some(""), ..) => Route::Unknown,
            ("operations", Some(id), None, _) if version == 1 => Route::Operation(id),
            (_, None, _, _) => Route::List(target),
            (_, Some("changes"), None, _) => Route::Changes(target),
            (_, Some(key), None, _) => Route::Record(target, key),
            (_, Some(key), Some("history"), None) => Route::History(target, key),
            (_, Some(key), Some("lineage"), None) => Route::Lineage(target, key),
            (_, Some(key), Some(name), None) if is_operation(name) => Route::Action(target, key, name),
            _ => Route::Unknown,
        }
    }

    /// The path without the slashes at its end, where it is one of ours but for these.
    pub(super) fn without_slashes(path: &str) -> Option<&str> {
        let shorter = path.trim_end_matches('/');
        let is_one = shorter.len() < path.len() && !shorter.is_empty() && Route::of(shorter) != Route::Unknown;
        is_one.then_some(shorter)
    }

    /// Whether it is answered to everybody alike; `path` is the route's. What could be a resource is nobody's to try out.
    pub(super) fn is_open(&self, path: &str) -> bool {
        match self {
            Route::OpenApi | Route::Docs | Route::Live | Route::Ready => true,
            Route::Unknown => !path.starts_with("/v"),
            _ => false,
        }
    }

    /// The resource, where the route has one.
    pub(super) fn target(&self) -> Option<Target<'a>> {
        match self {
            Route::List(target)
            | Route::Record(target, _)
            | Route::History(target, _)
            | Route::Lineage(target, _)
            | Route::Action(target, ..)
            | Route::Changes(target) => Some(*target),
            _ => None,
        }
    }

    /// Its place in [`TEMPLATES`].
    fn number(&self) -> usize {
        match self {
            Route::Root => 0,
            Route::Index(_) => 1,
            Route::List(_) => 2,
            Route::Record(..) => 3,
            Route::Lineage(..) => 4,
            Route::Changes(_) => 5,
            Route::OpenApi => 6,
            Route::Docs => 7,
            Route::Live => 8,
            Route::Ready => 9,
            Route::Backends => 10,
            Route::Action(..) => 11,
            Route::Operation(_) => 12,
            Route::History(..) => 13,
            Route::Unknown => 14,
        }
    }
}

/// Whether it can be the name of an operation.
fn is_operation(name: &str) -> bool {
    let part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    name.starts_with(|c: char| c.is_ascii_lowercase()) && name.bytes().all(part)
}

/// `v1` to `v9999`.
fn version_of(segment: &str) -> Option<u32> {
    let digits = segment.strip_prefix('v')?;
    let plain = (1..=4).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    if plain && !digits.starts_with('0') { digits.parse().ok() } else { None }
}

/// The metrics of every route, resolved.
pub(super) struct RouteTable([RouteMetrics; TEMPLATES.len()]);

impl RouteTable {
    pub(super) fn new(metrics: &Metrics) -> RouteTable {
        RouteTable(TEMPLATES.map(|template| metrics.route(template)))
    }

    pub(super) fn metrics(&self, route: &Route<'_>) -> &RouteMetrics {
        &self.0[route.number()]
    }
}

#[cfg(test)]
mod tests {
    use super::{Route, TEMPLATES, Target};

    const ORDERS: Target<'static> = Target { version: 1, name: "orders" };

    fn check(path: &str, expected: Route<'_>) {
        assert_eq!(Route::of(path), expected, "{path}");
    }

    #[test]
    fn paths() {
        check("/", Route::Root);
        check("/v1", Route::Index(1));
        check("/v1/orders", Route::List(ORDERS));
        check("/v12/orders", Route::List(Target { version: 12, name: "orders" }));
        check("/v1/orders/4711", Route::Record(ORDERS, "4711"));
        check("/v1/orders/a%2Fb", Route::Record(ORDERS, "a%2Fb"));
        check("/v1/orders/changes", Route::Changes(ORDERS));
        check("/v1/orders/%63hanges", Route::Record(ORDERS, "%63hanges"));
        check("/v1/orders/lineage", Route::Record(ORDERS, "lineage"));
        check("/v1/orders/4711/lineage", Route::Lineage(ORDERS, "4711"));
        check("/v1/orders/changes/lineage", Route::Lineage(ORDERS, "changes"));
        check("/v1/orders/4711/history", Route::History(ORDERS, "4711"));
        check("/v1/orders/history", Route::Record(ORDERS, "history"));
        check("/v1/orders/..", Route::Record(ORDERS, ".."));
        check("/v1/orders/4711/cancel", Route::Action(ORDERS, "4711", "cancel"));
        check("/v1/operations/0197", Route::Operation("0197"));
        check("/v2/operations/7", Route::Record(Target { version: 2, name: "operations" }, "7"));
        check("/health/ready", Route::Ready);
    }

    #[test]
    fn what_is_no_route() {
        let paths = [
            "",
            "//",
            "/v",
            "/v0",
            "/v01",
            "/v12345",
            "/vx/orders",
            "/V1/orders",
            "/v1/",
            "/v1/orders/",
            "/v1//4711",
            "/v1/orders/4711/",
            "/v1/orders/4711/Other",
            "/v1/operations/1/other/x",
            "/v1/orders/a/b/c",
            "/v1/orders/4711/lineage/",
            "/v1/orders/../../etc/passwd",
            "/health",
            "/docs/",
            "/openapi.yaml",
        ];
        for path in paths {
            check(path, Route::Unknown);
        }
    }

    #[test]
    fn a_slash_at_the_end_is_told_from_other_paths() {
        let check = |path: &str, expected: Option<&str>| assert_eq!(Route::without_slashes(path), expected, "{path}");
        check("/v1/orders/", Some("/v1/orders"));
        check("/v1/", Some("/v1"));
        check("/v1/orders/4711//", Some("/v1/orders/4711"));
        check("/health/ready/", Some("/health/ready"));
        check("/v1/orders", None);
        check("/", None);
        check("//", None);
        check("/nowhere/", None);
    }

    #[test]
    fn every_route_has_its_template() {
        let routes = [
            ("/", "/"),
            ("/v1", "/v{version}"),
            ("/v1/orders", "/v{version}/{resource}"),
            ("/v1/orders/1", "/v{version}/{resource}/{key}"),
            ("/v1/orders/1/lineage", "/v{version}/{resource}/{key}/lineage"),
            ("/v1/orders/changes", "/v{version}/{resource}/changes"),
            ("/openapi.json", "/openapi.json"),
            ("/docs", "/docs"),
            ("/health/live", "/health/live"),
            ("/health/ready", "/health/ready"),
            ("/v1/orders/1/cancel", "/v{version}/{resource}/{key}/{operation}"),
            ("/v1/operations/1", "/v1/operations/{id}"),
            ("/v1/orders/1/history", "/v{version}/{resource}/{key}/history"),
            ("/nowhere", "unmatched"),
        ];
        for (path, template) in routes {
            assert_eq!(TEMPLATES[Route::of(path).number()], template);
        }
    }
}
