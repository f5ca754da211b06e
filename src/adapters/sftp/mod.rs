//! The `sftp` backend: a folder on an SFTP server.

mod config;
mod session;
mod trust;

use crate::adapters::inbox::server::Server;
use crate::adapters::inbox::{Door, InboxError};

pub use config::{Config, Login, SECTION};
pub use trust::Trust;

/// The door to the folder in `config`. Touches nothing yet.
pub fn door(config: Config) -> Door {
    let (pickup, account) = (config.pickup.clone(), config.account.clone());
    let connect = move |place: &str| {
        let no_runtime = |error: tokio::runtime::TryCurrentError| InboxError::Unreachable {
            place: place.to_owned(),
            reason: error.to_string(),
        };
        let runtime = tokio::runtime::Handle::try_current().map_err(no_runtime)?;
        session::open(&config, place, runtime)
    };
    let server = Server::new("sftp", account, pickup.recursive, Vec::new(), Box::new(connect));
    Door::new(server, pickup)
}
