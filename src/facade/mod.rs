//! The REST API over what is staged.
//!
//! A request goes through named stages in one function, [`Facade::handle`]: which route, who calls and have they
//! asked too often, which resource, which method, may they; then the route's own module asks staging and writes the answer. What is
//! around it (limits, time, panics, problems, ids, metrics) is the edge's work in `http`; the last step before the edge is
//! [`finish`]: content codings and conditional requests, in one place for all routes.
//!
//! The facade is built from [`Exposure`]s, a [`Staging`], and [`Live`] for what is answered from a backend; it knows no
//! mapping, no adapter, no database.
//! Documents are stored as the JSON bytes that are served, so it copies them and never parses them, unless a
//! caller asks for some of their fields only.

mod accept;
mod bulk;
mod cache_control;
mod catalog;
mod cbor;
mod changes;
mod coding;
mod compress;
mod conditional;
mod csv;
mod cursor;
mod docs;
mod finish;
mod http_date;
mod lineage;
mod list;
mod live;
mod live_list;
mod live_stream;
mod masked;
mod methods;
mod openapi;
mod operation;
mod paged;
mod pieces;
mod prefer;
mod projection;
mod query;
mod record;
mod retire;
mod route;
mod shape;
mod sight;
mod stream;
mod value;
mod writable;
mod write;
mod writer;

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use arc_swap::ArcSwap;
use axum::BoxError;
use axum::body::{Body, HttpBody};
use axum::response::Response;
use bytes::Bytes;
use hyper::header::{CONTENT_LENGTH, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Request, StatusCode};
use tokio_util::sync::CancellationToken;
use tower::Service;

use crate::http::clients::Bucket;
use crate::http::{
    AuthConfig, Authenticator, Caller, Clients, Edge, Health, HostPolicy, Limits, Problem, ServerConfig, Visitor,
    json_answer, parameters,
};
use crate::mapping::{ExposedOperation, Exposure, Mode};
use crate::pipeline::live::Live;
use crate::pipeline::operate::{Operate, Veil};
use crate::staging::Staging;
use crate::telemetry::Metrics;
use catalog::{Catalog, Published};
use cursor::Seal;
use methods::Meant;
use openapi::About;
use retire::Met;
use route::{Route, RouteTable, Target};
use sight::{Sight, View};

pub use value::column_of;

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
    /// Seals cursors, and makes the tags of those who see a part of records; the same after a restart, and on every replica.
    pub cursor_secret: [u8; 32],
    /// Where requests are counted.
    pub metrics: Arc<Metrics>,
    /// Told what is published; shared with the console.
    pub health: Arc<Health>,
    /// Reads what is answered from a backend.
    pub live: Arc<Live>,
    /// Writes to backends.
    pub operate: Arc<Operate>,
}

/// What is asked of a resource, and by whom.
struct Question<'a> {
    catalog: &'a Arc<Catalog>,
    published: &'a Published,
    caller: &'a Arc<Caller>,
    /// The versions that the answer is of.
    met: &'a Met,
    route: Route<'a>,
    request: &'a Parts,
}

/// What is to be done.
enum Wanted<'a> {
    Read,
    Write(&'a ExposedOperation),
    Bulk(Target<'a>),
}

/// The REST API. Make one, [`publish`](Facade::publish) to it, and serve its [`router`].
pub struct Facade {
    staging: Arc<dyn Staging>,
    catalog: ArcSwap<Catalog>,
    authenticator: Arc<Authenticator>,
    seal: Arc<Seal>,
    veil: Veil,
    edge: Edge,
    /// How often answers are coded that are given to everybody.
    codings: Bucket,
    routes: RouteTable,
    hub: Arc<changes::Hub>,
    closing: CancellationToken,
    metrics: Arc<Metrics>,
    health: Arc<Health>,
    live: Arc<Live>,
    operate: Arc<Operate>,
    server: ServerConfig,
    about: About,
}

impl Facade {
    /// A facade with nothing published: not ready yet.
    pub fn new(setup: Setup) -> Facade {
        let authenticator = Authenticator::new(Arc::clone(&setup.staging), &setup.auth, Arc::clone(&setup.clients));
        let authenticator = authenticator.behind(setup.server.proxies.clone()).letting(setup.server.cors.clone());
        let about = About::new(&setup.server, &setup.auth);
        let hosts = HostPolicy::of(setup.server.listen, authenticator.takes_anonymous());
        Facade {
            catalog: ArcSwap::from_pointee(Catalog::new(Vec::new(), &about)),
            hub: Arc::new(changes::Hub::new(Arc::clone(&setup.staging), Arc::clone(&setup.metrics))),
            closing: setup.clients.closing().clone(),
            staging: setup.staging,
            authenticator: Arc::new(authenticator),
            seal: Arc::new(Seal::new(setup.cursor_secret)),
            veil: Veil::new(setup.cursor_secret),
            edge: Edge::new(Limits::from(&setup.server), hosts, setup.clients),
            codings: Bucket::new(finish::CODINGS_FOR_EVERYBODY),
            routes: RouteTable::new(&setup.metrics),
            metrics: setup.metrics,
            health: setup.health,
            live: setup.live,
            operate: setup.operate,
            server: setup.server,
            about,
        }
    }

    /// Serves these resources from now on. Requests under way finish with what they began with.
    pub fn publish(&self, exposures: Vec<Exposure>) {
        let catalog = Catalog::new(exposures, &self.about);
        self.health.published(catalog.len());
        self.catalog.store(Arc::new(catalog));
    }

    /// The way of a request, stage by stage.
    async fn handle(
        &self,
        (request, body): (&Parts, Body),
        route: Route<'_>,
        visitor: &Visitor,
    ) -> Result<Response, Problem> {
        let catalog = self.catalog.load_full();
        if let Some(cors) = &self.server.cors
            && cors.is_preflight(request)
        {
            // A browser sends no key with it. It is the same whatever is there.
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NO_CONTENT;
            return Ok(response);
        }
        if route.is_open(request.uri.path()) {
            return Box::pin(self.open(&catalog, request, &route)).await;
        }
        // Who may not ask is not told what there is.
        let caller = self.authenticator.caller(request).await?;
        visitor.enter(&caller.client)?;
        // Before its methods: where nothing is, nothing can be done.
        let Some(target) = route.target() else {
            if !catalog.has(&route) {
                return Err(catalog.nothing_at(request.uri.path()));
            }
            return Box::pin(self.of_service(&catalog, &caller, request, &route)).await;
        };
        let published = catalog.find(target)?;
        let met = Met::new();
        let asked = Question { catalog: &catalog, published, caller: &caller, met: &met, route, request };
        let answered = match met.meet(published) {
            Ok(()) => self.of_resource(asked, target, body).await,
            Err(gone) => admit(published, &caller).and(Err(gone)),
        };
        met.tell(answered, |id| self.metrics.old_version_used(id, &caller.name, met.now))
    }

    /// What is answered to everybody.
    async fn open(&self, catalog: &Catalog, request: &Parts, route: &Route<'_>) -> Result<Response, Problem> {
        if !catalog.has(route) {
            return Err(catalog.nothing_at(request.uri.path()));
        }
        if let Meant::Options(response) = methods::meant(catalog, None, route, &request.method)? {
            return Ok(response);
        }
        let mut response = match route {
            Route::Live => self.health.live().map(Body::from),
            Route::Ready => self.health.ready().await.map(Body::from),
            Route::Docs => docs::answer(catalog, request),
            Route::OpenApi => openapi::answer(catalog, request)?,
            _ => return Err(catalog.no_such_path()),
        };
        response.extensions_mut().insert(finish::ForEverybody);
        Ok(response)
    }

    /// The way of a request to what is there whatever is published, for those who are known.
    async fn of_service(
        &self,
        catalog: &Catalog,
        caller: &Caller,
        request: &Parts,
        route: &Route<'_>,
    ) -> Result<Response, Problem> {
        if let Meant::Options(response) = methods::meant(catalog, None, route, &request.method)? {
            return Ok(response);
        }
        match route {
            Route::Backends => {
                parameters::refuse_any(request.uri.query().unwrap_or(""))?;
                json_answer(&live::backends(&self.live.backends().await))
            }
            Route::Operation(id) => operation::status(self, caller, request, id).await,
            _ => self.index(catalog, caller, request, route),
        }
    }

    /// The way of a request to a resource: what it means to do.
    async fn of_resource(&self, asked: Question<'_>, target: Target<'_>, body: Body) -> Result<Response, Problem> {
        let Question { catalog, published, caller, route, request, .. } = asked;
        let is_bulk = bulk::is_meant(request, &route) && published.takes_writes();
        let wanted = match methods::meant(catalog, Some(published), &route, &request.method) {
            _ if is_bulk => Wanted::Bulk(target),
            Ok(Meant::Read) => Wanted::Read,
            Ok(Meant::Write(operation)) => Wanted::Write(operation),
            // Which methods there are is told to those who may use one of them.
            Ok(Meant::Options(response)) => return admit(published, caller).map(|()| response),
            Err(problem) => return admit(published, caller).and(Err(problem)),
        };
        self.serve(asked, wanted, body).await
    }

    /// The way of a request to a resource: what is done.
    async fn serve(&self, asked: Question<'_>, wanted: Wanted<'_>, body: Body) -> Result<Response, Problem> {
        let Question { catalog, published, caller, met, route, request } = asked;
        let write = match wanted {
            Wanted::Bulk(target) => {
                return bulk::answer(self, Arc::clone(catalog), target, caller, (request, body));
            }
            Wanted::Write(operation) => Some(operation),
            Wanted::Read => None,
        };
        if let Some(operation) = write {
            write::permit(published, operation, caller)?;
            let key = match route {
                Route::Record(_, key) | Route::Action(_, key, _) => Some(key),
                _ => None,
            };
            return Box::pin(write::answer(self, published, caller, operation, (request, body), key)).await;
        }
        caller.require(&published.exposure.read_scope)?;
        let sight = Sight::of(published, caller)?;
        let seen = published.seen_by(caller);
        let published = seen.as_deref().unwrap_or(published);
        let view = View { catalog, published, caller, met, sight };
        // A request is moved about with room for the largest of its ways: those that are not the usual ones have room of their own.
        match route {
            Route::List(_) if published.exposure.has_live_list() => {
                Box::pin(live_list::answer(self, &view, request)).await
            }
            Route::List(_) => list::answer(self, &view, request).await,
            Route::Record(_, key) if published.exposure.mode == Mode::Staged => {
                record::answer(self, &view, (request, key)).await
            }
            Route::Record(_, key) => Box::pin(live::answer(self, &view, (request, key))).await,
            Route::History(_, key) => Box::pin(lineage::history(self, &view, (request, key))).await,
            Route::Lineage(_, key) => Box::pin(lineage::answer(self, &view, (request, key))).await,
            Route::Changes(_) => Box::pin(changes::answer(self, &view, request)).await,
            _ => Err(catalog.no_such_path()),
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
        accept::require(&request.headers, &[accept::JSON])?;
        parameters::refuse_any(request.uri.query().unwrap_or(""))?;
        json_answer(&catalog.index(version, caller))
    }
}

/// The description of the API in OpenAPI 3.1 (JSON), as it is served when these resources are published under these settings.
pub fn describe(exposures: Vec<Exposure>, server: &ServerConfig, auth: &AuthConfig) -> Vec<u8> {
    Catalog::new(exposures, &About::new(server, auth)).openapi.bytes().to_vec()
}

/// The facade as a service for `http`'s listeners. It is no router of axum: the routes are a closed set with one match
/// (`route`), so that a key keeps the encoding it was sent in, and a request is not handed through layers that choose nothing.
#[derive(Clone)]
pub struct Served(Arc<Facade>);

/// What is to be served on a listener.
pub fn service(facade: Arc<Facade>) -> Served {
    Served(facade)
}

impl<B> Service<Request<B>> for Served
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let facade = Arc::clone(&self.0);
        let request = request.map(|body| if body.is_end_stream() { Body::empty() } else { Body::new(body) });
        Box::pin(async move { Ok(answer(facade, request).await) })
    }
}

async fn answer(facade: Arc<Facade>, request: Request<Body>) -> Response {
    // Of a body that no route takes `http` discards a bounded size.
    let (request, body) = request.into_parts();
    let route = Route::of(request.uri.path());
    let metrics = facade.routes.metrics(&route);
    let visitor = Visitor::default();
    let cors = facade.server.cors.as_ref();
    let answered = pin!(async {
        let response = facade.handle((&request, body), route, &visitor).await?;
        finish::finish(&request, (cors, &facade.codings), response).await
    });
    let mut response = facade.edge.run(&request, metrics, &visitor, answered).await;
    if let Some(cors) = cors {
        cors.write(&request, response.headers_mut());
    }
    if request.method == Method::HEAD {
        without_body(&mut response);
    }
    response
}

/// What HEAD is answered: the fields of GET, its length among them where that is known, and nothing behind them. Over HTTP/1.1
/// `hyper` sends no body of its own accord, over HTTP/2 it does.
fn without_body(response: &mut Response) {
    if let Some(length) = response.body().size_hint().exact() {
        response.headers_mut().entry(CONTENT_LENGTH).or_insert(HeaderValue::from(length));
    }
    *response.body_mut() = Body::empty();
}

/// Refuses who may do nothing at all with a resource, whatever the method.
fn admit(published: &Published, caller: &Caller) -> Result<(), Problem> {
    let may_write =
        published.exposure.operations.iter().any(|operation| write::permit(published, operation, caller).is_ok());
    if may_write { Ok(()) } else { caller.require(&published.exposure.read_scope) }
}
