//! Where something is on the web, whom a client of TLS trusts, and asking once for something small.
//!
//! Backends are called by their adapters, over connections that are kept and behind a gate. What is asked for here is
//! asked seldom, of servers that are no backends: who vouches for callers.

mod ask;
pub mod der;
mod endpoint;
pub mod tls;

pub use ask::{Asking, form};
pub use endpoint::Endpoint;
