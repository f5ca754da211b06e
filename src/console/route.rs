//! Which of the console's routes a path is.

use crate::telemetry::{Metrics, RouteMetrics};

/// A route; names and keys as they were sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route<'a> {
    Overview,
    Metrics,
    Live,
    Ready,
    Runs,
    DeadLetters,
    DeadLetter(&'a str),
    Replay(&'a str),
    Discard(&'a str),
    Clients,
    Gates,
    Gate(&'a str),
    Override(&'a str),
    Freeze(&'a str),
    Login(&'a str),
    Audit,
    Operations,
    Versions,
    GateForm(&'a str),
    Resources,
    Inboxes,
    Sync(&'a str),
    Files,
    Keys,
    Trace(&'a str, &'a str),
    Reload,
    Unknown,
}

const TEMPLATES: [&str; 27] = [
    "admin /",
    "/metrics",
    "admin /health/live",
    "admin /health/ready",
    "/admin/v1/runs",
    "/admin/v1/dead-letters",
    "/admin/v1/dead-letters/{id}",
    "/admin/v1/dead-letters/{id}/replay",
    "/admin/v1/dead-letters/{id}/discard",
    "/admin/v1/gates",
    "/admin/v1/resources",
    "/admin/v1/resources/{resource}/sync",
    "/admin/v1/files",
    "/admin/v1/keys",
    "/admin/v1/trace/{resource}/{key}",
    "/admin/v1/reload",
    "/admin/v1/clients",
    "/admin/v1/gates/{backend}",
    "/admin/v1/gates/{backend}/override",
    "/admin/v1/gates/{backend}/freeze",
    "/admin/v1/audit",
    "/gates/{backend}",
    "/admin/v1/operations",
    "/admin/v1/versions",
    "/admin/v1/inboxes",
    "/admin/v1/gates/{backend}/login",
    "admin unmatched",
];

impl<'a> Route<'a> {
    pub(super) fn of(path: &'a str) -> Route<'a> {
        match path {
            "/" => return Route::Overview,
            "/metrics" => return Route::Metrics,
            "/health/live" => return Route::Live,
            "/health/ready" => return Route::Ready,
            _ => {}
        }
        if let Some(backend) = path.strip_prefix("/gates/").filter(|name| !name.is_empty() && !name.contains('/')) {
            return Route::GateForm(backend);
        }
        let Some(rest) = path.strip_prefix("/admin/v1/") else { return Route::Unknown };
        let segments: Vec<&str> = rest.splitn(4, '/').collect();
        match segments.as_slice() {
            [.., ""] => Route::Unknown,
            ["runs"] => Route::Runs,
            ["dead-letters"] => Route::DeadLetters,
            ["dead-letters", id] => Route::DeadLetter(id),
            ["dead-letters", id, "replay"] => Route::Replay(id),
            ["dead-letters", id, "discard"] => Route::Discard(id),
            ["clients"] => Route::Clients,
            ["gates"] => Route::Gates,
            ["gates", backend] => Route::Gate(backend),
            ["gates", backend, "override"] => Route::Override(backend),
            ["gates", backend, "freeze"] => Route::Freeze(backend),
            ["gates", backend, "login"] => Route::Login(backend),
            ["audit"] => Route::Audit,
            ["operations"] => Route::Operations,
            ["versions"] => Route::Versions,
            ["resources"] => Route::Resources,
            ["inboxes"] => Route::Inboxes,
            ["resources", resource, "sync"] => Route::Sync(resource),
            ["files"] => Route::Files,
            ["keys"] => Route::Keys,
            ["trace", resource, key] => Route::Trace(resource, key),
            ["reload"] => Route::Reload,
            _ => Route::Unknown,
        }
    }

    /// The methods it takes, as in `Allow`.
    pub(super) fn methods(&self) -> &'static str {
        match self {
            Route::Replay(_)
            | Route::Discard(_)
            | Route::Sync(_)
            | Route::Reload
            | Route::Login(_)
            | Route::GateForm(_) => "POST, OPTIONS",
            Route::Gate(_) => "GET, HEAD, PATCH, OPTIONS",
            Route::Override(_) => "DELETE, OPTIONS",
            Route::Freeze(_) => "POST, DELETE, OPTIONS",
            _ => "GET, HEAD, OPTIONS",
        }
    }

    fn number(&self) -> usize {
        match self {
            Route::Overview => 0,
            Route::Metrics => 1,
            Route::Live => 2,
            Route::Ready => 3,
            Route::Runs => 4,
            Route::DeadLetters => 5,
            Route::DeadLetter(_) => 6,
            Route::Replay(_) => 7,
            Route::Discard(_) => 8,
            Route::Gates => 9,
            Route::Resources => 10,
            Route::Sync(_) => 11,
            Route::Files => 12,
            Route::Keys => 13,
            Route::Trace(..) => 14,
            Route::Reload => 15,
            Route::Clients => 16,
            Route::Gate(_) => 17,
            Route::Override(_) => 18,
            Route::Freeze(_) => 19,
            Route::Audit => 20,
            Route::GateForm(_) => 21,
            Route::Operations => 22,
            Route::Versions => 23,
            Route::Inboxes => 24,
            Route::Login(_) => 25,
            Route::Unknown => 26,
        }
    }
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
    use super::{Route, TEMPLATES};

    #[test]
    fn paths() {
        let check = |path: &str, expected: Route<'_>, template: &str| {
            let route = Route::of(path);
            assert_eq!((route, TEMPLATES[route.number()]), (expected, template), "{path}");
        };
        check("/", Route::Overview, "admin /");
        check("/metrics", Route::Metrics, "/metrics");
        check("/health/live", Route::Live, "admin /health/live");
        check("/health/ready", Route::Ready, "admin /health/ready");
        check("/admin/v1/runs", Route::Runs, "/admin/v1/runs");
        check("/admin/v1/dead-letters", Route::DeadLetters, "/admin/v1/dead-letters");
        check("/admin/v1/dead-letters/7", Route::DeadLetter("7"), "/admin/v1/dead-letters/{id}");
        check("/admin/v1/dead-letters/7/replay", Route::Replay("7"), "/admin/v1/dead-letters/{id}/replay");
        check("/admin/v1/dead-letters/7/discard", Route::Discard("7"), "/admin/v1/dead-letters/{id}/discard");
        check("/admin/v1/clients", Route::Clients, "/admin/v1/clients");
        check("/admin/v1/gates", Route::Gates, "/admin/v1/gates");
        check("/admin/v1/gates/a%2Fb", Route::Gate("a%2Fb"), "/admin/v1/gates/{backend}");
        check("/admin/v1/gates/erp/override", Route::Override("erp"), "/admin/v1/gates/{backend}/override");
        check("/admin/v1/gates/erp/freeze", Route::Freeze("erp"), "/admin/v1/gates/{backend}/freeze");
        check("/admin/v1/gates/erp/login", Route::Login("erp"), "/admin/v1/gates/{backend}/login");
        check("/admin/v1/audit", Route::Audit, "/admin/v1/audit");
        check("/admin/v1/operations", Route::Operations, "/admin/v1/operations");
        check("/admin/v1/versions", Route::Versions, "/admin/v1/versions");
        check("/gates/erp", Route::GateForm("erp"), "/gates/{backend}");
        check("/gates/erp/x", Route::Unknown, "admin unmatched");
        check("/gates/", Route::Unknown, "admin unmatched");
        check("/admin/v1/inboxes", Route::Inboxes, "/admin/v1/inboxes");
        check("/admin/v1/resources", Route::Resources, "/admin/v1/resources");
        check("/admin/v1/resources/a.v1/sync", Route::Sync("a.v1"), "/admin/v1/resources/{resource}/sync");
        check("/admin/v1/files", Route::Files, "/admin/v1/files");
        check("/admin/v1/keys", Route::Keys, "/admin/v1/keys");
        check("/admin/v1/trace/a.v1/a%2Fb", Route::Trace("a.v1", "a%2Fb"), "/admin/v1/trace/{resource}/{key}");
        check("/admin/v1/reload", Route::Reload, "/admin/v1/reload");
        for path in ["/admin", "/admin/v1/", "/admin/v1/runs/", "/admin/v1/trace/a.v1", "/admin/v1/trace/a.v1/k/x"] {
            check(path, Route::Unknown, "admin unmatched");
        }
    }
}
