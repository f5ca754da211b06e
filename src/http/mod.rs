//! What every HTTP listener of ours needs, whatever it serves: connections that cannot be held for ever,
//! problems, request ids, callers and their keys, and the edge that puts these around a handler.
//!
//! The facade and the console are built on it and do not know each other. This module knows no resource, no
//! route and no web framework: it speaks `hyper`'s and `http`'s types.

mod answer;
pub mod auth;
pub mod clients;
mod config;
mod cors;
mod edge;
mod health;
mod host;
mod idle;
mod page;
pub mod parameters;
mod peer;
mod problem;
mod proxies;
mod request_id;
mod serve;
mod stream;
mod timer;
mod tls;
mod visitor;

pub use answer::{gate_problem, json_answer, staging_problem};
pub use auth::{Authenticator, Caller, Pass, generate_key};
pub use clients::{Client, Clients, ClientsConfig};
pub use config::{AUTH, AuthConfig, ListenerFault, SERVER, ServerConfig, check_listeners};
pub use cors::{CORS, Cors};
pub use edge::{Edge, Limits, is_of_type, refuse_coded};
pub use health::{Health, Lacks};
pub use host::{HostPolicy, host_of, refuse_cross_origin};
pub use page::{Script, escape, page, page_with_forms};
pub use peer::Peer;
pub use problem::{BodyFault, Problem, Reason};
pub use proxies::{Proxies, Told};
pub use request_id::{RequestId, TraceParent};
pub use serve::{ConnectionLimits, Drained, serve, serve_with};
pub use tls::{Certificate, Demand, TLS, Tls, TlsConfig};
pub use visitor::Visitor;
