//! Who is at the other end of a connection, put into each of its requests.

use std::net::IpAddr;
use std::sync::Arc;

use hyper::http::request::Parts;

use super::tls::Certificate;

/// The other end.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its address: of a proxy, where one stands in between.
    pub address: IpAddr,
    /// Whether the connection is over TLS.
    pub is_secure: bool,
    /// The certificate that it has shown, which an authority of ours vouches for.
    pub certificate: Option<Arc<Certificate>>,
}

impl Peer {
    /// The other end of a request's connection; `None` where a request came over none, as in a test.
    pub fn of(request: &Parts) -> Option<&Peer> {
        request.extensions.get::<Arc<Peer>>().map(|peer| &**peer)
    }
}
