//! One question on a connection, and how it ended.

use futures_util::TryStreamExt;
use tiberius::error::Error;
use tiberius::{ColumnData, QueryItem, Row, ToSql};

use super::bind::Bound;
use super::connect::Connection;
use super::fault;
use super::watch::{Abandoned, PATIENCE, Watch, Why};
use crate::adapters::sql::{Certainty, SqlError, SqlErrorKind};

/// Why something did not go through, and whether the connection can be used after it.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The server has answered to the end.
    Told(SqlError),
    /// It has not, or not so that we understand it: the connection is closed.
    Broken(SqlError),
}

impl Trouble {
    pub(super) fn into_error(self) -> SqlError {
        match self {
            Trouble::Told(error) | Trouble::Broken(error) => error,
        }
    }

    /// The same, with another certainty.
    pub(super) fn certain(self, certainty: Certainty) -> Trouble {
        match self {
            Trouble::Told(error) => Trouble::Told(SqlError { certainty, ..error }),
            Trouble::Broken(error) => Trouble::Broken(SqlError { certainty, ..error }),
        }
    }
}

/// How work that was watched over ended.
pub(super) fn judged<T>(
    place: &str,
    ended: Result<Result<T, Error>, Abandoned>,
    why: Option<Why>,
) -> Result<T, Trouble> {
    let certainty = Certainty::Undone;
    match (ended, why) {
        (Err(Abandoned), why) => Err(Trouble::Broken(stopped(place, why.unwrap_or(Why::Timeout), false))),
        (Ok(Ok(done)), None) => Ok(done),
        (Ok(Ok(_)), Some(why)) => Err(Trouble::Told(stopped(place, why, true))),
        (Ok(Err(error)), Some(why)) if fault::is_in_step(&error) => Err(Trouble::Told(stopped(place, why, true))),
        (Ok(Err(error)), _) if fault::is_in_step(&error) => Err(Trouble::Told(fault::of(place, certainty, &error))),
        (Ok(Err(error)), _) => Err(Trouble::Broken(fault::of(place, certainty, &error))),
    }
}

/// What was stopped before its end.
pub(super) fn stopped(place: &str, why: Why, is_acknowledged: bool) -> SqlError {
    let (kind, said) = match why {
        Why::Timeout => (SqlErrorKind::Timeout, "it took too long and was cancelled"),
        Why::Left => (SqlErrorKind::Cancelled, "nobody waited any more, and it was cancelled"),
    };
    let how = match is_acknowledged {
        true => "; the server has stopped it",
        false => "; the server has not said that it stopped, so the connection was closed",
    };
    fault::own(place, kind, Certainty::Undone, format!("{said}{how}"))
}

/// Asks for a few rows.
pub(super) async fn few(
    place: &str,
    connection: &mut Connection,
    watch: &mut Watch<'_>,
    sql: &str,
    bound: &[Bound],
) -> Result<Vec<Row>, Trouble> {
    let parameters: Vec<&dyn ToSql> = bound.iter().map(|bound| bound as &dyn ToSql).collect();
    let client = &mut connection.client;
    let work = async move {
        let mut stream = client.query(sql, &parameters).await?;
        let mut rows = Vec::new();
        while let Some(item) = stream.try_next().await? {
            if let QueryItem::Row(row) = item {
                rows.push(row);
            }
        }
        Ok(rows)
    };
    let ended = watch.drive(work).await;
    judged(place, ended, watch.why())
}

/// A value of a row as text, whatever type the server gave it.
pub(super) fn text(row: &Row, at: usize) -> Option<String> {
    match row.get_column_data(at).ok()? {
        ColumnData::String(text) => text.as_ref().map(|text| text.to_string()),
        ColumnData::Bit(flag) => flag.map(|flag| if flag { "1".to_owned() } else { "0".to_owned() }),
        ColumnData::U8(number) => number.map(|number| number.to_string()),
        ColumnData::I16(number) => number.map(|number| number.to_string()),
        ColumnData::I32(number) => number.map(|number| number.to_string()),
        ColumnData::I64(number) => number.map(|number| number.to_string()),
        ColumnData::Numeric(number) => number.map(|number| number.to_string()),
        _ => None,
    }
}

/// Whether it is true.
pub(super) fn flag(row: &Row, at: usize) -> Option<bool> {
    text(row, at).map(|text| text != "0")
}

/// What became of a connection that was to be used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settled {
    /// It can be.
    Well,
    /// It cannot: the server, or its connection, is in trouble.
    Never,
    /// It cannot: the server does not answer in time.
    Silent,
}

impl Settled {
    fn of<T>(ended: Result<tiberius::Result<T>, tokio::time::error::Elapsed>) -> Settled {
        match ended {
            Ok(Ok(_)) => Settled::Well,
            Ok(Err(_)) => Settled::Never,
            Err(_) => Settled::Silent,
        }
    }
}

/// Brings a connection back to where it can be used again: what it owes has come, and no transaction is open.
pub(super) async fn settle(connection: &mut Connection) -> Settled {
    let release = connection.release.take();
    let Connection { client, control, .. } = connection;
    if control.is_owed() {
        // The answer of the statement was over before the server saw that it was to stop: it says so in one of its own.
        control.swallow();
        let acknowledged = Settled::of(tokio::time::timeout(PATIENCE, client.cancel_query()).await);
        if acknowledged != Settled::Well {
            return acknowledged;
        }
    }
    control.settle();
    let undo = ["IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION"].into_iter().chain(release.as_deref());
    let undo = undo.collect::<Vec<_>>().join(";\n");
    let undo = async { client.simple_query(undo).await?.into_results().await };
    Settled::of(tokio::time::timeout(PATIENCE, undo).await)
}
