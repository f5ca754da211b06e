//! What a server says of itself.

use jiff::Timestamp;

use super::connect::Connection;
use super::exchange::{Trouble, few, text};
use super::prelogin;
use super::watch::Watch;
use crate::adapters::sql::Server;

/// The first version that all parts of this door were made for: SQL Server 2012.
pub(super) const OLDEST: u8 = 11;

/// How far clocks may be apart without a word, in milliseconds.
pub(super) const APART: i64 = 5000;

/// Asks it. What it does not answer is left out.
pub(super) async fn probe(place: &str, connection: &mut Connection, watch: &mut Watch<'_>) -> Result<Server, Trouble> {
    let version = connection.version;
    let alive = few(place, connection, watch, "SELECT 1", &[]).await?;
    let mut server = Server { product: prelogin::product(version), ..Server::default() };
    if alive.is_empty() {
        server.doubts.push(format!("{place}: SELECT 1 gives no row"));
    }
    server.login = one(place, connection, watch, "SELECT SUSER_SNAME()").await?;
    let collation = "SELECT CAST(DATABASEPROPERTYEX(DB_NAME(), 'Collation') AS nvarchar(128))";
    server.encoding = one(place, connection, watch, collation).await?;
    let clock = "SELECT CONVERT(nvarchar(23), GETUTCDATE(), 126)";
    let before = Timestamp::now();
    if let Some(there) = one(place, connection, watch, clock).await? {
        let now = Timestamp::now();
        let middle = before.as_millisecond().midpoint(now.as_millisecond());
        let there = format!("{}Z", there.trim_end_matches('Z')).parse::<Timestamp>();
        server.clock_ahead_ms = there.ok().map(|there| there.as_millisecond() - middle);
    }
    if let Some(apart) = server.clock_ahead_ms.filter(|apart| apart.abs() > APART) {
        server.doubts.push(format!("{place}: its clock is {} s away from ours", apart / 1000));
    }
    if version.0 < OLDEST && version.0 > 0 {
        server.doubts.push(format!(
            "{place}: {} is older than 2012; types of columns are told less exactly, and amounts of money over 225 billion \
             are not read: CAST them to decimal(19,4), or reach it by `odbc`",
            server.product
        ));
    }
    Ok(server)
}

/// A single value as text; nothing where the server will not say.
pub(super) async fn one(
    place: &str,
    connection: &mut Connection,
    watch: &mut Watch<'_>,
    sql: &str,
) -> Result<Option<String>, Trouble> {
    match few(place, connection, watch, sql, &[]).await {
        Ok(rows) => Ok(rows.first().and_then(|row| text(row, 0))),
        Err(Trouble::Told(error)) if error.native.is_some() => Ok(None),
        Err(trouble) => Err(trouble),
    }
}
