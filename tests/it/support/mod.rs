//! What the gate is held against, in tests and in benchmarks: a backend that is easily hurt, and callers of every kind.
//!
//! Both are real: they talk over sockets, and what they say of themselves comes from their own clock and their own
//! count, never from the service between them.

pub(crate) mod dice;
pub(crate) mod erp;
pub(crate) mod fairness;
#[allow(dead_code, reason = "tests of databases use it")]
pub(crate) mod kdc;
pub(crate) mod load;
#[allow(dead_code, reason = "tests of databases use it")]
pub(crate) mod mariadb;
#[allow(dead_code, reason = "tests of tokens use it")]
pub(crate) mod oidc;
#[allow(dead_code, reason = "tests of databases use it")]
pub(crate) mod postgres;
#[allow(dead_code, reason = "tests of databases use it")]
pub(crate) mod proxy;
pub(crate) mod seat;
#[allow(dead_code, reason = "tests of services use it")]
pub(crate) mod soap;
#[allow(dead_code, reason = "tests of databases use it")]
pub(crate) mod standstill;
#[allow(dead_code, reason = "tests of databases use it")]
pub(crate) mod tds_server;

/// Where `scripts/setup test` keeps the packages of a peer.
#[allow(dead_code, reason = "tests of services use it")]
pub(crate) fn npm(peer: &str) -> std::path::PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").filter(|folder| !folder.is_empty()).map(std::path::PathBuf::from);
    let home = || std::path::PathBuf::from(std::env::var_os("HOME").expect("a home")).join(".cache");
    cache.unwrap_or_else(home).join("tollbridge-tests").join(peer)
}
