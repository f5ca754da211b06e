//! The `ftps` backend: a folder on an FTP server, over TLS.

mod config;
mod session;
mod tls;

use crate::adapters::inbox::Door;
use crate::adapters::inbox::server::{Connect, Server};
use crate::adapters::outbox::{Outbox, Remote};

pub use config::{Config, SECTION, Tls};

impl Config {
    /// Of its addresses.
    pub(super) fn scheme(&self) -> &'static str {
        match self.tls {
            Tls::Explicit | Tls::Implicit => "ftps",
            Tls::Off => "ftp",
        }
    }

    /// What a person should know of the server at this place.
    pub(super) fn doubts(&self, place: &str) -> Vec<String> {
        let risk = "tls is off: whoever is on the way can read and change password and files";
        (self.tls == Tls::Off).then(|| format!("{place}: {risk}")).into_iter().collect()
    }
}

/// The door to the inbox in `config`, where there is one. Touches nothing yet.
pub fn door(config: &Config) -> Option<Door> {
    let folders = config.account.inbox.clone()?;
    let place = config.account.url(config.scheme(), &folders.inbox);
    let (pickup, doubts) = (config.pickup.clone(), config.doubts(&place));
    let server = Server::new(place, folders, pickup.recursive, doubts, connect(config.clone()));
    Some(Door::new(server, pickup))
}

/// The outbox in `config`, where there is one. Touches nothing yet.
pub fn outbox(config: &Config) -> Option<Outbox> {
    let folders = config.account.outbox.clone()?;
    let place = config.account.url(config.scheme(), &folders.outbox);
    Some(Outbox::new(Remote::new(place, folders, connect(config.clone()))))
}

fn connect(config: Config) -> Connect {
    Box::new(move |place: &str| session::open(&config, place))
}
