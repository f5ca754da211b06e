//! Readers who may know only of documents for which some filters hold.
//!
//! What a document was is gone when it has changed, so the feed itself notes with each change the values of the fields by
//! which readers may be bounded, as a JSON object by column. A bounded reader is told a change when the document is in
//! its sight after it, or was before it; of a document that went out of sight it hears that it is deleted, and nothing
//! of what it became. Where no values are noted (changes from before the fields were declared) nobody bounded sees anything.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use super::column::Column;
use super::convert::{content_hash, count, timestamp};
use super::documents::staged;
use super::fault::Fault;
use super::feed::{self, Changes};
use super::filter::{Sql, all_of, bad, judged, render_all};
use super::resource::{self, Resource};
use crate::record::ContentHash;
use crate::staging::{Change, ChangeKind, Filter, ResourceSpec, StagedDocument, StagingError, Tombstone};

/// Entries of a feed looked through for a bounded reader in one question.
const LOOK: i64 = 20_000;

/// The document, if the reader may see it.
pub(super) fn document(
    connection: &Connection,
    resource: &Resource,
    key: &str,
    only: &[Filter],
) -> Result<Option<StagedDocument>, Fault> {
    // The key finds it; no other index may lead.
    let conditions = render_all(&all_of(resource, only)?, &judged);
    let sql = format!("{} AND {}", resource.document_sql, conditions.text);
    let values = std::iter::once(Value::Text(key.to_owned())).chain(conditions.values);
    Ok(connection.prepare_cached(&sql)?.query_row(params_from_iter(values), staged).optional()?)
}

/// Changes after `since`, `limit` at most, as the reader hears of them.
pub(super) fn changes(
    reading: &Connection,
    resource: &Resource,
    (since, limit): (u64, usize),
    only: &[Filter],
) -> Result<Changes, Fault> {
    let sight = Sight::of(resource, only)?;
    let mut select = reading.prepare_cached("SELECT sequence FROM resource WHERE id = ?1")?;
    let end: i64 = select.query_row([resource.number], |row| row.get(0))?;
    let from = i64::try_from(since).unwrap_or(i64::MAX);
    let looked = from.saturating_add(LOOK).min(end);
    let sql = format!(
        "{} WHERE feed.sequence > ? AND feed.sequence <= ? AND ({} OR {}) ORDER BY feed.sequence LIMIT ?",
        sight.select(resource.number),
        sight.after.text,
        sight.before.text
    );
    let most = i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX);
    let bound = [Value::Integer(from), Value::Integer(looked)];
    let values = sight.values().chain(bound).chain(sight.values()).chain([Value::Integer(most)]);
    let mut select = reading.prepare_cached(&sql)?;
    let found = select.query_map(params_from_iter(values), heard)?.collect::<rusqlite::Result<Vec<_>>>()?;
    let is_more = found.len() > limit;
    let entries: Vec<Change> = found.into_iter().flatten().take(limit).collect();
    // Behind the last one told, if there are more; else as far as the feed was looked through.
    let reached = match entries.last() {
        Some(last) if is_more => last.sequence,
        _ => since.max(looked as u64),
    };
    Ok(Changes { entries, reached, complete: !is_more && looked >= end })
}

/// The changes of a document that the reader may see, newest first.
pub(super) fn history(
    connection: &Connection,
    resource: &Resource,
    key: &str,
    only: &[Filter],
) -> Result<Vec<Change>, Fault> {
    let sight = Sight::of(resource, only)?;
    let reading = connection.unchecked_transaction()?;
    let mut next = feed::newest(&reading, resource, key)?;
    let sql = format!("{} WHERE feed.sequence = ?", sight.select(resource.number));
    let mut select = reading.prepare_cached(&sql)?;
    let mut changes: Vec<Change> = Vec::new();
    let mut is_newest = true;
    while let Some(sequence) = next {
        let values = sight.values().chain([Value::Integer(sequence)]);
        let found = select.query_row(params_from_iter(values), |row| {
            Ok((heard(row)?, row.get::<_, i64>(13)? == DELETION, row.get(12)?))
        });
        // Behind what is forgotten the chain ends.
        let Some((told, was_deleted, previous)) = found.optional()? else { break };
        // Now out of sight: whoever asks for it is told what everybody is told of a record that never was.
        let is_gone = told.as_ref().is_none_or(|change| change.kind == ChangeKind::Deleted && !was_deleted);
        if is_newest && is_gone {
            return Ok(Vec::new());
        }
        is_newest = false;
        changes.extend(told);
        next = previous;
    }
    Ok(changes)
}

/// When a document was deleted that the reader could see until then.
pub(super) fn tombstone(
    connection: &Connection,
    resource: &Resource,
    key: &str,
    only: &[Filter],
) -> Result<Option<Tombstone>, Fault> {
    let sight = Sight::of(resource, only)?;
    let sql = format!(
        "SELECT gone.version, gone.deleted_at FROM gone_{0} AS gone JOIN feed_{0} AS feed ON feed.sequence = gone.sequence \
         JOIN feed_{0} AS before ON before.sequence = feed.previous WHERE gone.key = ? AND {1}",
        resource.number, sight.before.text
    );
    let values = std::iter::once(Value::Text(key.to_owned())).chain(sight.before.values);
    let mut select = connection.prepare_cached(&sql)?;
    let found = select.query_row(params_from_iter(values), |row| {
        Ok(Tombstone { version: count(row, 0)?, deleted_at: timestamp(row, 1)? })
    });
    Ok(found.optional()?)
}

/// `kind` of a deletion in the feed.
const DELETION: i64 = 2;

/// What a reader may see, asked of a feed entry `feed` and of the one `before` it.
struct Sight {
    after: Sql,
    before: Sql,
}

impl Sight {
    fn of(resource: &Resource, only: &[Filter]) -> Result<Sight, Fault> {
        if let Some(filter) = only.iter().find(|filter| !resource.is_bound_by(&filter.path)) {
            let reason = format!("{} is not declared to bound readers, so its feed does not say it", filter.path);
            return Err(bad(resource, reason).into());
        }
        let filters = all_of(resource, only)?;
        let of = |entry: &str| {
            let Sql { text, values } =
                render_all(&filters, &|column| format!("json_extract({entry}.bounds, '$.{column}')"));
            Sql { text: format!("coalesce({entry}.bounds IS NOT NULL AND {text}, 0)"), values }
        };
        Ok(Sight { after: of("feed"), before: of("before") })
    }

    /// A change, then whether it is in sight after it and whether it was before, and what it was.
    fn select(&self, resource: i64) -> String {
        let beside = format!(", {}, {}, before.hash", self.after.text, self.before.text);
        let select = feed::select(resource, &beside);
        format!("{select} LEFT JOIN feed_{resource} AS before ON before.sequence = feed.previous")
    }

    /// The values of [`Sight::select`].
    fn values(&self) -> impl Iterator<Item = Value> {
        self.after.values.iter().chain(&self.before.values).cloned()
    }
}

/// A change as a bounded reader hears of it; nothing when it was out of sight before and after.
fn heard(row: &Row<'_>) -> rusqlite::Result<Option<Change>> {
    let change = feed::change(row)?;
    let kind = match (row.get::<_, bool>(15)?, row.get::<_, bool>(16)?) {
        (false, false) => return Ok(None),
        (true, false) => ChangeKind::Created,
        (true, true) => change.kind,
        (false, true) => {
            let last: ContentHash = content_hash(row, 17)?;
            // What it became, and by which input, is not for this reader.
            let input = change.input.filter(|_| change.kind == ChangeKind::Deleted);
            return Ok(Some(Change { kind: ChangeKind::Deleted, hash: last, input, ..change }));
        }
    };
    Ok(Some(Change { kind, ..change }))
}

/// Whether readers are bounded by these fields and by no others.
pub(super) fn are(columns: &[Column], paths: &[String]) -> bool {
    let is_there = |path: &String| columns.iter().any(|column| column.field.path == *path);
    paths.iter().all(is_there) && columns.iter().all(|column| column.bounds == paths.contains(&column.field.path))
}

/// The JSON object of the values that a change notes, read from the document's row; `None` when there are none.
pub(super) fn noted(connection: &Connection, resource: i64) -> rusqlite::Result<Option<String>> {
    let mut select = connection
        .prepare_cached("SELECT column_name FROM indexed_field WHERE resource = ?1 AND bounds = 1 ORDER BY number")?;
    let columns = select.query_map([resource], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?;
    let members: Vec<String> = columns.iter().map(|column| format!("'{column}', {column}")).collect();
    Ok((!members.is_empty()).then(|| format!("json_object({})", members.join(", "))))
}

/// Makes the fields by which readers are bounded what the spec says, and notes their values for the newest change of each
/// document; what earlier ones were is not known any more.
pub(super) fn prepare(connection: &Connection, spec: &ResourceSpec) -> Result<(), Fault> {
    let Some(resource) = resource::load(connection, &spec.id)? else { return Ok(()) };
    if are(&resource.columns, &spec.bounds) {
        return Ok(());
    }
    let number = resource.number;
    if let Some(path) =
        spec.bounds.iter().find(|path| !resource.columns.iter().any(|column| column.field.path == **path))
    {
        return Err(StagingError::UndeclaredField { resource: spec.id.clone(), path: path.clone() }.into());
    }
    for column in &resource.columns {
        connection.execute(
            "UPDATE indexed_field SET bounds = ?2 WHERE column_name = ?1 AND resource = ?3",
            params![column.name, spec.bounds.contains(&column.field.path), number],
        )?;
    }
    let sql = format!("SELECT count(*) FROM pragma_table_info('feed_{number}') WHERE name = 'bounds'");
    let is_there = connection.query_row(&sql, [], |row| row.get::<_, bool>(0))?;
    match noted(connection, number)? {
        Some(noted) => {
            if !is_there {
                connection.execute_batch(&format!("ALTER TABLE feed_{number} ADD COLUMN bounds TEXT"))?;
            }
            connection.execute_batch(&format!(
                "UPDATE feed_{number} SET bounds = NULL WHERE bounds IS NOT NULL;
                 UPDATE feed_{number} AS feed SET bounds = (SELECT {noted} FROM doc_{number} WHERE id = feed.document)
                 WHERE sequence IN (SELECT sequence FROM doc_{number});"
            ))?;
        }
        None if is_there => {
            connection.execute_batch(&format!("UPDATE feed_{number} SET bounds = NULL WHERE bounds IS NOT NULL"))?;
        }
        None => {}
    }
    Ok(())
}
