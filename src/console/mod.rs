//! The operators' side: a page to look at, an admin API, `/metrics`, on a listener of its own.
//!
//! On a loopback address everyone on the machine may use it, as with any local socket, and two guards keep web
//! pages out: only loopback host names are answered, and a request that acts must not come from another origin.
//! On any other address every request but `/health/*` needs an API key with the scope `admin`.
//!
//! The console reads from [`Staging`] and acts through [`Operator`]; it knows no gate, no adapter, no mapping.

mod act;
pub mod client;
mod form;
mod gates;
mod operations;
mod operator;
mod overview;
mod read;
mod route;
pub mod view;

use std::pin::pin;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};

use crate::http::{
    AuthConfig, Authenticator, Clients, Edge, Health, HostPolicy, Limits, Problem, Reason, ServerConfig, Visitor,
    refuse_cross_origin,
};
use crate::pipeline::tuning::Act;
use crate::staging::Staging;
use crate::telemetry::Metrics;
use route::{Route, RouteTable};

pub use operator::{GateStatus, InboxStatus, Operator, OperatorError, Replayed, ResourceInfo};

/// The scope that a console beyond loopback asks for.
const SCOPE: &str = "admin";

/// What the console is built from.
pub struct Setup {
    /// What is shown.
    pub staging: Arc<dyn Staging>,
    /// What is acted on.
    pub operator: Arc<dyn Operator>,
    /// `[server]`.
    pub server: ServerConfig,
    /// `[auth]`.
    pub auth: AuthConfig,
    /// The callers of the REST API; shared with the facade.
    pub clients: Arc<Clients>,
    /// Shown at `/metrics`, and where requests are counted.
    pub metrics: Arc<Metrics>,
    /// Shared with the facade.
    pub health: Arc<Health>,
}

/// The console. Serve its [`router`].
pub struct Console {
    staging: Arc<dyn Staging>,
    operator: Arc<dyn Operator>,
    /// Asks for keys; `None` on loopback.
    authenticator: Option<Authenticator>,
    edge: Edge,
    routes: RouteTable,
    metrics: Arc<Metrics>,
    health: Arc<Health>,
    clients: Arc<Clients>,
}

impl Console {
    /// A console for the listener at `server.admin_listen`.
    pub fn new(setup: Setup) -> Console {
        let open = setup.server.admin_listen.ip().to_canonical().is_loopback();
        let keys_only = AuthConfig { anonymous: Vec::new(), ..setup.auth };
        let authenticator = (!open).then(|| {
            let authenticator = Authenticator::new(Arc::clone(&setup.staging), &keys_only, setup.clients.clone());
            authenticator.behind(setup.server.proxies.clone())
        });
        let hosts = HostPolicy::of(setup.server.admin_listen, open);
        Console {
            staging: setup.staging,
            operator: setup.operator,
            authenticator,
            edge: Edge::new(Limits::from(&setup.server), hosts, Arc::clone(&setup.clients)),
            routes: RouteTable::new(&setup.metrics),
            metrics: setup.metrics,
            health: setup.health,
            clients: setup.clients,
        }
    }

    async fn handle(&self, request: &Parts, body: Body, route: Route<'_>) -> Result<Response, Problem> {
        if let Route::Unknown = route {
            return Err(Reason::NoSuchPath.because("nothing is served at this path").hint("GET / is the overview"));
        }
        check_method(&request.method, &route)?;
        match route {
            Route::Live => return Ok(self.health.live().map(Body::from)),
            // Without keys the listener is on loopback, and whoever reaches it is an operator.
            Route::Ready if self.authenticator.is_none() => {
                return Ok(self.health.ready_in_full().await.map(Body::from));
            }
            Route::Ready => return Ok(self.health.ready().await.map(Body::from)),
            _ => {}
        }
        let caller = match &self.authenticator {
            None => "local".to_owned(),
            Some(authenticator) => {
                let caller = authenticator.caller(request).await?;
                caller.require(SCOPE)?;
                format!("{} ({})", caller.name, caller.id)
            }
        };
        if request.method == Method::OPTIONS {
            return Ok(options(&route));
        }
        if request.method != Method::GET && request.method != Method::HEAD {
            refuse_cross_origin(request)?;
            tracing::info!(caller, path = request.uri.path(), "operator's action");
        }
        let query = request.uri.query().unwrap_or("");
        match route {
            Route::Overview => overview::answer(self).await,
            Route::Metrics => self.exposition(),
            Route::Runs => read::runs(self, query).await,
            Route::DeadLetters => read::dead_letters(self, query).await,
            Route::DeadLetter(id) => read::dead_letter(self, id).await,
            Route::Clients => read::clients(self, query),
            Route::Gates => gates::list(self, query),
            Route::Gate(backend) if request.method == Method::PATCH => {
                gates::change(self, request, body, backend, &caller).await
            }
            Route::Gate(backend) => gates::one(self, query, backend),
            Route::Override(backend) => gates::act(self, request, body, backend, &caller, Act::Reset).await,
            Route::Freeze(backend) => {
                let act = if request.method == Method::DELETE { Act::Thaw } else { Act::Freeze };
                gates::act(self, request, body, backend, &caller, act).await
            }
            Route::Login(backend) => gates::act(self, request, body, backend, &caller, Act::Login).await,
            Route::GateForm(backend) => form::submit(self, request, body, backend, &caller).await,
            Route::Audit => read::audit(self, query).await,
            Route::Operations => operations::list(self, query).await,
            Route::Versions => read::versions(self, query),
            Route::Resources => read::resources(self, query).await,
            Route::Inboxes => read::inboxes(self, query),
            Route::Files => read::files(self, query).await,
            Route::Keys => read::keys(self, query).await,
            Route::Trace(resource, key) => read::trace(self, resource, key).await,
            Route::Replay(id) => act::replay(self, request, body, id).await,
            Route::Discard(id) => act::discard(self, request, body, id).await,
            Route::Sync(resource) => act::sync(self, request, body, resource).await,
            Route::Reload => act::reload(self, request, body).await,
            Route::Live | Route::Ready | Route::Unknown => Err(Reason::NoSuchPath.because("nothing is served here")),
        }
    }

    fn exposition(&self) -> Result<Response, Problem> {
        self.operator.gauge();
        let text = self.metrics.render().map_err(Problem::internal)?;
        let mut response = Response::new(Body::from(text));
        let media_type = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, media_type);
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(response)
    }
}

/// The router to serve.
pub fn router(console: Arc<Console>) -> Router {
    Router::new().fallback(answer).with_state(console)
}

async fn answer(State(console): State<Arc<Console>>, request: Request) -> Response {
    let (request, body) = request.into_parts();
    let route = Route::of(request.uri.path());
    let metrics = console.routes.metrics(&route);
    let answered = pin!(console.handle(&request, body, route));
    console.edge.run(&request, metrics, &Visitor::default(), answered).await
}

fn check_method(method: &Method, route: &Route<'_>) -> Result<(), Problem> {
    if route.methods().split(", ").any(|allowed| allowed == method.as_str()) {
        return Ok(());
    }
    let detail = format!("{} is not possible here", method.as_str());
    Err(Reason::MethodNotAllowed.because(detail).allow(route.methods()))
}

fn options(route: &Route<'_>) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(route.methods()));
    response
}
