//! The `sftp` backend: a folder on an SFTP server.

mod config;
mod session;
mod trust;

use crate::adapters::inbox::server::{Connect, Server};
use crate::adapters::inbox::{Door, InboxError};
use crate::adapters::outbox::{Outbox, Remote};

pub use config::{Config, Login, SECTION};
pub use trust::Trust;

/// Of its addresses.
pub(super) const SCHEME: &str = "sftp";

/// The door to the inbox in `config`, where there is one. Touches nothing yet.
pub fn door(config: &Config) -> Option<Door> {
    let folders = config.account.inbox.clone()?;
    let place = config.account.url(SCHEME, &folders.inbox);
    let pickup = config.pickup.clone();
    let server = Server::new(place, folders, pickup.recursive, Vec::new(), connect(config.clone()));
    Some(Door::new(server, pickup))
}

/// The outbox in `config`, where there is one. Touches nothing yet.
pub fn outbox(config: &Config) -> Option<Outbox> {
    let folders = config.account.outbox.clone()?;
    let place = config.account.url(SCHEME, &folders.outbox);
    Some(Outbox::new(Remote::new(place, folders, connect(config.clone()))))
}

fn connect(config: Config) -> Connect {
    Box::new(move |place: &str| {
        let no_runtime = |error: tokio::runtime::TryCurrentError| InboxError::Unreachable {
            place: place.to_owned(),
            reason: error.to_string(),
        };
        let runtime = tokio::runtime::Handle::try_current().map_err(no_runtime)?;
        session::open(&config, place, runtime)
    })
}
