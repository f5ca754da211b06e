//! The REST API over what is staged.
//!
//! A request goes through named stages in one function, [`Facade::handle`]: which route, which method, who
//! calls and have they asked too often, which resource, may they; then the route's own module asks staging and writes the answer. What is
//! around it (limits, time, panics, problems, ids, metrics) is the edge's work in `http`.
//!
//! The facade is built from [`Exposure`]s, a [`Staging`], and [`Live`] for what is answered from a backend; it knows no
//! mapping, no adapter, no database.
//! Documents are stored as the JSON bytes that are served, so it copies them and never parses them, unless a
//! caller asks for some of their fields only.

mod accept;
mod cache_control;
mod catalog;
mod changes;
mod conditional;
mod cursor;
mod docs;
mod lineage;
mod list;
mod live;
mod openapi;
mod pieces;
mod projection;
mod query;
mod record;
mod route;
mod stream;
mod value;

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use hyper::header::{ALLOW, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};

use crate::http::{
    AuthConfig, Authenticator, Caller, Clients, Edge, Health, HostPolicy, Limits, Problem, Reason, ServerConfig,
    Visitor, json_answer, parameters,
};
use crate::mapping::{Exposure, Mode};
use crate::pipeline::live::Live;
use crate::staging::Staging;
use crate::telemetry::Metrics;
use catalog::Catalog;
use cursor::Seal;
use route::{Route, RouteTable};

pub use value::column_of;

/// The methods of every route here.
const METHODS: &str = "GET, HEAD, OPTIONS";

/// What the facade is built from.
pub struct Setup {
    /// What is served.
    pub staging: Arc<dyn Staging>,
    /// `[server]`.
    pub server: ServerConfig,
    /// `[auth]`.
    pub auth: AuthConfig,
    /// Whose requests they are; shared with the console.
    pub clients: Arc<Clients>,
    /// Seals cursors; the same after a restart, and on every replica.
    pub cursor_secret: [u8; 32],
    /// Where requests are counted.
    pub metrics: Arc<Metrics>,
    /// Told what is published; shared with the console.
    pub health: Arc<Health>,
    /// Reads what is answered from a backend.
    pub live: Arc<Live>,
}

/// The REST API. Make one, [`publish`](Facade::publish) to it, and serve its [`router`].
pub struct Facade {
    staging: Arc<dyn Staging>,
    catalog: ArcSwap<Catalog>,
    authenticator: Authenticator,
    seal: Seal,
    edge: Edge,
    routes: RouteTable,
    health: Arc<Health>,
    live: Arc<Live>,
    server: ServerConfig,
}

impl Facade {
    /// A facade with nothing published: not ready yet.
    pub fn new(setup: Setup) -> Facade {
        let authenticator = Authenticator::new(Arc::clone(&setup.staging), &setup.auth, Arc::clone(&setup.clients));
        let hosts = HostPolicy::of(setup.server.listen, authenticator.takes_anonymous());
        Facade {
            catalog: ArcSwap::from_pointee(Catalog::new(Vec::new(), authenticator.takes_anonymous())),
            staging: setup.staging,
            authenticator,
            seal: Seal::new(setup.cursor_secret),
            edge: Edge::new(Limits::from(&setup.server), hosts, setup.clients),
            routes: RouteTable::new(&setup.metrics),
            health: setup.health,
            live: setup.live,
            server: setup.server,
        }
    }

    /// Serves these resources from now on. Requests under way finish with what they began with.
    pub fn publish(&self, exposures: Vec<Exposure>) {
        let catalog = Catalog::new(exposures, self.authenticator.takes_anonymous());
        self.health.published(catalog.len());
        self.catalog.store(Arc::new(catalog));
    }

    /// The way of a request, stage by stage.
    async fn handle(&self, request: &Parts, route: Route<'_>, visitor: &Visitor) -> Result<Response, Problem> {
        if let Route::Unknown = route {
            return Err(no_such_path());
        }
        match request.method {
            Method::GET | Method::HEAD => {}
            Method::OPTIONS => return Ok(options()),
            _ => return Err(method_not_allowed(&request.method)),
        }
        match route {
            Route::Live => return Ok(self.health.live().map(Body::from)),
            Route::Ready => return Ok(self.health.ready().await.map(Body::from)),
            Route::Docs | Route::OpenApi if !self.server.docs => return Err(no_such_path()),
            Route::Docs => return Ok(docs::answer(&self.catalog.load(), request)),
            Route::OpenApi => return openapi::answer(&self.catalog.load(), request),
            _ => {}
        }
        let caller = self.authenticator.caller(&request.headers).await?;
        visitor.enter(&caller.client)?;
        if let Route::Backends = route {
            return json_answer(&live::backends(&self.live.backends().await));
        }
        let catalog = self.catalog.load_full();
        let Some(target) = route.target() else { return self.index(&catalog, &caller, request, &route) };
        let published = catalog.find(target)?;
        caller.require(&published.exposure.read_scope)?;
        match route {
            Route::List(_) | Route::Changes(_) if published.exposure.mode == Mode::Live => Err(no_list(published)),
            Route::List(_) => list::answer(self, published, request).await,
            Route::Record(_, key) if published.exposure.mode == Mode::Staged => {
                record::answer(self, published, request, key).await
            }
            Route::Record(_, key) => live::answer(self, published, &caller, request, key).await,
            Route::Lineage(_, key) => lineage::answer(self, published, request, key).await,
            Route::Changes(_) => changes::answer(self, published, request).await,
            _ => Err(no_such_path()),
        }
    }

    /// `/` and `/v1`: what the caller may read.
    fn index(
        &self,
        catalog: &Catalog,
        caller: &Caller,
        request: &Parts,
        route: &Route<'_>,
    ) -> Result<Response, Problem> {
        let version = match route {
            Route::Index(version) => Some(*version),
            _ => None,
        };
        if version.is_some_and(|version| !catalog.has_version(version)) {
            return Err(no_such_path());
        }
        accept::require(&request.headers, &[accept::JSON])?;
        parameters::refuse_any(request.uri.query().unwrap_or(""))?;
        json_answer(&catalog.index(version, caller))
    }
}

/// The router to serve.
pub fn router(facade: Arc<Facade>) -> Router {
    // The routes are a closed set with one match (`route`), so that a key keeps the encoding it was sent in.
    Router::new().fallback(answer).with_state(facade)
}

async fn answer(State(facade): State<Arc<Facade>>, request: Request) -> Response {
    // No route takes a body yet; `http` discards one of bounded size.
    let (request, _body) = request.into_parts();
    let route = Route::of(request.uri.path());
    let metrics = facade.routes.metrics(&route);
    let visitor = Visitor::default();
    facade.edge.run(&request, metrics, &visitor, facade.handle(&request, route, &visitor)).await
}

fn options() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(METHODS));
    response
}

fn no_such_path() -> Problem {
    Reason::NoSuchPath.because("nothing is served at this path").hint("GET / lists what is; /docs explains it")
}

fn no_list(published: &catalog::Published) -> Problem {
    let detail = format!("{} has no list: its records are read from the backend one by one", published.exposure.id);
    Reason::NoSuchPath.because(detail).hint(format!("GET {}/KEY reads one", published.path))
}

fn method_not_allowed(method: &Method) -> Problem {
    let detail = format!("{} is not possible here; this version of the service only reads", method.as_str());
    Reason::MethodNotAllowed.because(detail).allow(METHODS)
}
