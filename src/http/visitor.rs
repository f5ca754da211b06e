//! Who a request turns out to come from: told by the handler, used by the edge when it sends the answer.

use std::sync::{Arc, OnceLock};

use hyper::header::HeaderMap;

use super::Problem;
use super::clients::{Client, Standing};

/// The sender of one request; nobody until a caller is found.
#[derive(Default)]
pub struct Visitor(OnceLock<Entered>);

struct Entered {
    client: Arc<Client>,
    /// How the client's budget stood then; `None` where it has none.
    standing: Option<Standing>,
}

impl Visitor {
    /// The request is this client's. It is taken from the client's budget, before it costs anything more; the 429 when
    /// there is nothing left.
    pub fn enter(&self, client: &Arc<Client>) -> Result<(), Problem> {
        let entered = client.ask();
        let standing = match entered {
            Ok(standing) => standing,
            Err(standing) => Some(standing),
        };
        // A request has one caller; a second one would be a fault of the handler and changes nothing.
        let _ = self.0.set(Entered { client: Arc::clone(client), standing });
        entered.map(drop).map_err(|standing| client.over_its_rate(standing))
    }

    /// Whose request it is.
    pub(super) fn client(&self) -> Option<&Arc<Client>> {
        self.0.get().map(|entered| &entered.client)
    }

    /// Says on the answer how the client's budget stands.
    pub(super) fn write(&self, headers: &mut HeaderMap) {
        if let Some(Entered { client, standing: Some(standing) }) = self.0.get() {
            client.write(*standing, headers);
        }
    }
}
