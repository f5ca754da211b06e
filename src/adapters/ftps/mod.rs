//! The `ftps` backend: a folder on an FTP server, over TLS.

mod config;
mod session;
mod tls;

use crate::adapters::inbox::Door;
use crate::adapters::inbox::server::Server;

pub use config::{Config, SECTION, Tls};

/// The door to the folder in `config`. Touches nothing yet.
pub fn door(config: Config) -> Door {
    let (pickup, account) = (config.pickup.clone(), config.account.clone());
    let scheme = match config.tls {
        Tls::Explicit | Tls::Implicit => "ftps",
        Tls::Off => "ftp",
    };
    let mut doubts = Vec::new();
    if config.tls == Tls::Off {
        let risk = "tls is off: whoever is on the way can read and change password and files";
        doubts.push(format!("{}: {risk}", account.url(scheme)));
    }
    let connect = move |place: &str| session::open(&config, place);
    Door::new(Server::new(scheme, account, pickup.recursive, doubts, Box::new(connect)), pickup)
}
