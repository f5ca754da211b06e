//! Databases behind an ODBC driver that the site brings.
//!
//! The standard says how one talks to a driver; what drivers make of it differs. So this door takes nothing for granted:
//! types are what the database calls them ([`columns`]), values are brought into one form ([`canon`]), lengths are looked
//! at before a value is believed ([`fetch`]), and what is peculiar to a driver stands in one table ([`quirks`]).
//!
//! Calls run on threads of their own and are watched from outside ([`work`]).

#[cfg(feature = "odbc")]
mod about;
#[cfg(feature = "odbc")]
mod ask;
#[cfg(feature = "odbc")]
mod block;
#[cfg(feature = "odbc")]
mod called;
#[cfg(feature = "odbc")]
mod canon;
#[cfg(feature = "odbc")]
mod catalog;
#[cfg(feature = "odbc")]
mod columns;
mod config;
mod connection_string;
#[cfg(feature = "odbc")]
mod control;
#[cfg(feature = "odbc")]
mod diagnose;
#[cfg(feature = "odbc")]
mod error;
#[cfg(feature = "odbc")]
mod fetch;
#[cfg(feature = "odbc")]
mod line;
#[cfg(feature = "odbc")]
mod mssql;
#[cfg(feature = "odbc")]
mod params;
#[cfg(feature = "odbc")]
mod portal;
#[cfg(feature = "odbc")]
mod query;
mod quirks;
#[cfg(feature = "odbc")]
mod raw;
#[cfg(feature = "odbc")]
mod sample;
#[cfg(feature = "odbc")]
mod session;
#[cfg(feature = "odbc")]
mod source;
#[cfg(feature = "odbc")]
mod steps;
#[cfg(feature = "odbc")]
mod threads;
#[cfg(feature = "odbc")]
mod told;
#[cfg(feature = "odbc")]
mod work;
#[cfg(feature = "odbc")]
mod writing;

pub use config::{Config, SECTION};
pub use connection_string::ConnectionString;
pub use quirks::TextWidth;
#[cfg(feature = "odbc")]
pub use source::Source;
#[cfg(feature = "odbc")]
pub use threads::{leave, leave_at_once};

/// What the parts of a source share.
#[cfg(feature = "odbc")]
struct Setup {
    config: Config,
    /// A value was longer than the driver had said of its column: it is not believed any more.
    widths_lie: std::sync::atomic::AtomicBool,
}
