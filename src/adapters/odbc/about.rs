//! What a database says of itself.

use std::time::{SystemTime, UNIX_EPOCH};

use super::ask::first;
use super::session::Session;
use crate::adapters::sql::{Dialect, Server, SqlError};

/// A clock that is farther off than this is worth telling: watermarks of times read too little or too much.
const CLOCK: i64 = 5_000;

/// Asks for product and version, account, encoding and clock. Also shows that the connection works.
pub(super) fn server(session: &Session) -> Result<Server, SqlError> {
    let question = match session.dialect {
        Dialect::Postgres => {
            "select version(), current_user, current_setting('server_encoding'), \
             (extract(epoch from clock_timestamp()) * 1000)::bigint"
        }
        Dialect::MySql => {
            "select concat('MariaDB or MySQL ', version()), current_user(), @@character_set_database, \
             cast(unix_timestamp(now(3)) * 1000 as signed)"
        }
        Dialect::Sqlite => "select 'SQLite ' || sqlite_version(), null, (select encoding from pragma_encoding), null",
        Dialect::SqlServer => {
            "select @@version, suser_sname(), cast(databasepropertyex(db_name(), 'Collation') as varchar(128)), \
             cast(datediff(second, '19700101', getutcdate()) as bigint) * 1000"
        }
        Dialect::Oracle => {
            "select banner, user, (select value from nls_database_parameters where parameter = 'NLS_CHARACTERSET'), \
             round((cast(sys_extract_utc(systimestamp) as date) - date '1970-01-01') * 86400000) from v$version \
             where rownum = 1"
        }
        Dialect::Db2 | Dialect::Informix | Dialect::Progress | Dialect::Firebird | Dialect::Generic => {
            let product = if session.product.is_empty() { "an unnamed database" } else { &session.product };
            return Ok(Server { product: product.to_owned(), ..Server::default() });
        }
    };
    let before = now();
    let answer = first(session, question, &[])?;
    let ours = before + (now() - before) / 2;
    let cell = |index: usize| answer.get(index).cloned().flatten().map(|text| text.trim().to_owned());
    let version = cell(0).unwrap_or_else(|| session.product.clone());
    // What the server was built with is nobody's concern.
    let product = version.split(" on ").next().unwrap_or_default().lines().next().unwrap_or_default().trim().to_owned();
    let clock_ahead_ms = cell(3).and_then(|text| text.parse::<i64>().ok()).map(|theirs| theirs - ours);
    let mut doubts = Vec::new();
    if let Some(ahead) = clock_ahead_ms
        && ahead.abs() > CLOCK
    {
        let way = if ahead > 0 { "ahead of" } else { "behind" };
        doubts.push(format!(
            "{}: its clock is {} s {way} ours; a watermark of times needs an overlap that is longer",
            session.reporter.place,
            ahead.abs() / 1000
        ));
    }
    Ok(Server { product, login: cell(1), encoding: cell(2), clock_ahead_ms, doubts })
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
