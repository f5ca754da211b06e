//! Where `scripts/peers` puts what benchmarks compare with.

use std::path::PathBuf;

/// The folder that it installs into when none is named.
pub(crate) fn installed() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    cache.or_else(home).unwrap_or_default().join("tollbridge-bench/peers")
}
