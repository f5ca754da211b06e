//! Writing documents and taking them away, each with its entry at the end of the feed.
//!
//! A deleted document leaves its table, so that no list, filter or count ever meets it; `gone_<id>` keeps its number, key
//! and version, under which it comes to life again. While that table has rows, new documents get numbers beyond its own:
//! SQLite would give the number of the last row once more, and the feed knows documents by number.

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, ErrorCode, OptionalExtension, params};

use super::bounds;
use super::commit::Origin;
use super::fault::Fault;
use crate::record::{ContentHash, Document, Position};

/// New documents that are written by one statement: what a statement costs beside its rows is then next to nothing.
pub(super) const GROUP: usize = 16;

/// A document's row as it stands.
pub(super) struct Row {
    pub(super) id: i64,
    pub(super) hash: ContentHash,
    pub(super) version: i64,
    pub(super) sequence: i64,
}

/// What a change is in the feed.
#[derive(Clone, Copy)]
enum Kind {
    /// A new document, or other content.
    Content = 0,
    /// A deleted document that is there again.
    Again = 1,
    /// A deletion.
    Deletion = 2,
}

/// A transaction's writes to one resource; [`Writing::finish`] notes what they come to.
pub(super) struct Writing<'c> {
    connection: &'c Connection,
    origin: &'c Origin,
    file: i64,
    statements: Statements<'c>,
    first: i64,
    sequence: i64,
    /// Documents added less those taken away.
    added: i64,
    /// How many documents before were new, one behind the other.
    new_ones: usize,
    /// The number of the next new document, once there are deleted ones.
    next_id: Option<i64>,
}

/// The compiled statements of the loop.
struct Statements<'c> {
    find: CachedStatement<'c>,
    find_gone: CachedStatement<'c>,
    insert: CachedStatement<'c>,
    update: CachedStatement<'c>,
    feed: CachedStatement<'c>,
    groups: Option<Groups<'c>>,
}

/// The statements for [`GROUP`] new documents.
struct Groups<'c> {
    insert: CachedStatement<'c>,
    feed: CachedStatement<'c>,
}

impl<'c> Groups<'c> {
    /// Values that are the same in all rows come first, then those of one row after the other. `OR FAIL`: a statement that
    /// could be undone would copy every page that it changes.
    fn prepare(connection: &'c Connection, resource: i64) -> rusqlite::Result<Groups<'c>> {
        let rows = |row: &dyn Fn(usize) -> String| (0..GROUP).map(row).collect::<Vec<_>>().join(", ");
        let documents = rows(&|row| {
            let at = 2 + 4 * row;
            format!("(?{}, ?{}, 1, ?{}, ?1, ?{})", at, at + 1, at + 2, at + 3)
        });
        let changes = rows(&|row| {
            let at = 4 + 7 * row;
            let [document, hash, record, offset, length, line] = std::array::from_fn(|value| at + 1 + value);
            format!(
                "(?{at}, ?{document}, NULL, 1, ?{hash}, ?1, ?2, ?3, ?{record}, ?{offset}, ?{length}, ?{line}, {})",
                Kind::Content as i64
            )
        });
        Ok(Groups {
            insert: connection.prepare_cached(&format!(
                "INSERT OR FAIL INTO doc_{resource} (key, hash, version, sequence, changed_at, payload) VALUES {documents}"
            ))?,
            feed: connection.prepare_cached(&format!(
                "INSERT OR FAIL INTO feed_{resource} (sequence, document, previous, version, hash, changed_at, run, file, \
                 record, \"offset\", length, line, kind) VALUES {changes}"
            ))?,
        })
    }
}

fn row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    let hash = ContentHash(row.get(1)?);
    Ok(Row { id: row.get(0)?, hash, version: row.get(2)?, sequence: row.get(3)? })
}

impl<'c> Statements<'c> {
    fn prepare(connection: &'c Connection, resource: i64) -> rusqlite::Result<Statements<'c>> {
        let (bounds, noted) = match bounds::noted(connection, resource)? {
            Some(noted) => (", bounds", format!(", (SELECT {noted} FROM doc_{resource} WHERE id = ?2)")),
            None => ("", String::new()),
        };
        // The values by which readers are bounded are looked up for each row.
        let groups = if bounds.is_empty() { Some(Groups::prepare(connection, resource)?) } else { None };
        let find = |table| {
            connection
                .prepare_cached(&format!("SELECT id, hash, version, sequence FROM {table}_{resource} WHERE key = ?1"))
        };
        Ok(Statements {
            find: find("doc")?,
            find_gone: find("gone")?,
            insert: connection.prepare_cached(&format!(
                "INSERT INTO doc_{resource} (id, key, hash, version, sequence, changed_at, payload) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (key) DO NOTHING"
            ))?,
            update: connection.prepare_cached(&format!(
                "UPDATE doc_{resource} SET hash = ?2, version = ?3, sequence = ?4, changed_at = ?5, payload = ?6 \
                 WHERE id = ?1"
            ))?,
            feed: connection.prepare_cached(&format!(
                "INSERT INTO feed_{resource} (sequence, document, previous, version, hash, changed_at, run, file, \
                 record, \"offset\", length, line, kind{bounds}) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13{noted})"
            ))?,
            groups,
        })
    }
}

impl<'c> Writing<'c> {
    /// Begins at the end of the feed. `file` is the input of the changes, 0 for none.
    pub(super) fn begin(connection: &'c Connection, origin: &'c Origin, file: i64) -> Result<Writing<'c>, Fault> {
        let mut select = connection.prepare_cached("SELECT sequence FROM resource WHERE id = ?1")?;
        let first: i64 = select.query_row([origin.resource], |row| row.get(0))?;
        let statements = Statements::prepare(connection, origin.resource)?;
        let new_ones = if first == 0 { GROUP } else { 0 };
        let mut writing =
            Writing { connection, origin, file, statements, first, sequence: first, added: 0, new_ones, next_id: None };
        writing.number_beyond_the_gone()?;
        Ok(writing)
    }

    fn number_beyond_the_gone(&mut self) -> Result<(), Fault> {
        let resource = self.origin.resource;
        let sql = format!("SELECT (SELECT max(id) FROM gone_{resource}), (SELECT max(id) FROM doc_{resource})");
        let (gone, there): (Option<i64>, Option<i64>) =
            self.connection.prepare_cached(&sql)?.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        self.next_id = gone.map(|gone| gone.max(there.unwrap_or(0)) + 1);
        Ok(())
    }

    /// Writes a document if it is new or changed; answers its number. `may_be` says of a document that is there whether it
    /// may be what this one says; where it may not, nothing is written.
    pub(super) fn put(
        &mut self,
        document: &Document,
        mut may_be: impl FnMut(i64) -> Result<bool, Fault>,
    ) -> Result<Option<i64>, Fault> {
        // New documents come in crowds (a first load), and so do known ones: whatever the one before was is tried
        // first. A new one is then found out by the insert itself, without a look-up.
        let tries = self.new_ones > 0 && self.next_id.is_none();
        let is_inserted = tries && self.insert(None, document, 1)?;
        let stands = match is_inserted {
            true => None,
            false => self.statements.find.query_row([&document.key], row).optional()?,
        };
        self.new_ones = if stands.is_none() { self.new_ones + 1 } else { 0 };
        match stands {
            Some(row) if !may_be(row.id)? => Ok(None),
            Some(row) if row.hash == document.hash => Ok(Some(row.id)),
            Some(row) => {
                let (version, next) = (row.version + 1, self.sequence + 1);
                let payload = ToSqlOutput::Borrowed(ValueRef::Text(&document.payload));
                self.statements.update.execute(params![
                    row.id,
                    document.hash.0,
                    version,
                    next,
                    self.origin.now,
                    payload
                ])?;
                let row = Row { hash: document.hash, version, ..row };
                self.tell(&row, Some(row.sequence), Kind::Content, &document.position)?;
                Ok(Some(row.id))
            }
            None => {
                let gone = match is_inserted || self.next_id.is_none() {
                    true => None,
                    false => self.statements.find_gone.query_row([&document.key], row).optional()?,
                };
                let version = gone.as_ref().map_or(1, |gone| gone.version + 1);
                if let Some(gone) = &gone {
                    let sql = format!("DELETE FROM gone_{} WHERE id = ?1", self.origin.resource);
                    self.connection.prepare_cached(&sql)?.execute([gone.id])?;
                }
                if !is_inserted {
                    let id = gone.as_ref().map(|gone| gone.id).or(self.next_id);
                    self.insert(id, document, version)?;
                }
                let id = self.connection.last_insert_rowid();
                if gone.is_none() {
                    self.next_id = self.next_id.map(|_| id + 1);
                }
                self.added += 1;
                let kind = if gone.is_some() { Kind::Again } else { Kind::Content };
                let row = Row { id, hash: document.hash, version, sequence: 0 };
                self.tell(&row, gone.map(|gone| gone.sequence), kind, &document.position)?;
                Ok(Some(id))
            }
        }
    }

    /// Whether [`Writing::put_new`] is worth a try: documents come as a crowd of new ones.
    pub(super) fn expects_new(&self) -> bool {
        self.new_ones >= GROUP && self.next_id.is_none() && self.statements.groups.is_some()
    }

    /// Writes documents by one statement, up to the first that is there already. Answers how many were new, and the number of
    /// the first, which the others' follow.
    pub(super) fn put_new(&mut self, documents: &[&Document; GROUP]) -> Result<(usize, i64), Fault> {
        let Some(Groups { insert, feed }) = self.statements.groups.as_mut().filter(|_| self.next_id.is_none()) else {
            return Ok((0, 0));
        };
        let Origin { run, now, .. } = *self.origin;
        insert.raw_bind_parameter(1, now)?;
        for (document, place) in documents.iter().zip(0..) {
            let at = 2 + 4 * place;
            insert.raw_bind_parameter(at, &*document.key)?;
            insert.raw_bind_parameter(at + 1, document.hash.0)?;
            insert.raw_bind_parameter(at + 2, self.sequence + 1 + place as i64)?;
            insert.raw_bind_parameter(at + 3, ToSqlOutput::Borrowed(ValueRef::Text(&document.payload)))?;
        }
        let written = match insert.raw_execute() {
            Ok(written) => written,
            // What it did before it came to one that is there stays.
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                usize::try_from(self.connection.changes()).unwrap_or(0)
            }
            Err(error) => return Err(error.into()),
        };
        let first = self.connection.last_insert_rowid() - written as i64 + 1;
        self.added += written as i64;
        if written < GROUP {
            self.new_ones = 0;
            for (document, id) in documents.iter().take(written).zip(first..) {
                let row = Row { id, hash: document.hash, version: 1, sequence: 0 };
                self.tell(&row, None, Kind::Content, &document.position)?;
            }
            return Ok((written, first));
        }
        feed.raw_bind_parameter(1, now)?;
        feed.raw_bind_parameter(2, run)?;
        feed.raw_bind_parameter(3, self.file)?;
        for (document, place) in documents.iter().zip(0..) {
            let (at, position) = (4 + 7 * place, &document.position);
            feed.raw_bind_parameter(at, self.sequence + 1 + place as i64)?;
            feed.raw_bind_parameter(at + 1, first + place as i64)?;
            feed.raw_bind_parameter(at + 2, document.hash.0)?;
            feed.raw_bind_parameter(at + 3, position.record as i64)?;
            feed.raw_bind_parameter(at + 4, position.offset as i64)?;
            feed.raw_bind_parameter(at + 5, position.length)?;
            feed.raw_bind_parameter(at + 6, position.line.map(|line| line as i64))?;
        }
        feed.raw_execute()?;
        self.sequence += GROUP as i64;
        Ok((written, first))
    }

    fn insert(&mut self, id: Option<i64>, document: &Document, version: i64) -> Result<bool, Fault> {
        let payload = ToSqlOutput::Borrowed(ValueRef::Text(&document.payload));
        let next = self.sequence + 1;
        let values = params![id, document.key, document.hash.0, version, next, self.origin.now, payload];
        Ok(self.statements.insert.execute(values)? == 1)
    }

    /// The document with this key.
    pub(super) fn find(&mut self, key: &str) -> Result<Option<Row>, Fault> {
        Ok(self.statements.find.query_row([key], row).optional()?)
    }

    /// The document with this number and its key.
    pub(super) fn find_numbered(&self, id: i64) -> Result<Option<(Row, String)>, Fault> {
        let sql = format!("SELECT id, hash, version, sequence, key FROM doc_{} WHERE id = ?1", self.origin.resource);
        let mut select = self.connection.prepare_cached(&sql)?;
        Ok(select.query_row([id], |found| Ok((row(found)?, found.get(4)?))).optional()?)
    }

    /// Takes a document away and leaves its tombstone.
    pub(super) fn delete(&mut self, stands: &Row, key: &str, position: &Position) -> Result<(), Fault> {
        let resource = self.origin.resource;
        let sql = format!("DELETE FROM doc_{resource} WHERE id = ?1");
        self.connection.prepare_cached(&sql)?.execute([stands.id])?;
        let row = Row { id: stands.id, hash: stands.hash, version: stands.version + 1, sequence: self.sequence + 1 };
        let sql = format!(
            "INSERT INTO gone_{resource} (id, key, hash, version, sequence, deleted_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
        );
        let values = params![row.id, key, row.hash.0, row.version, row.sequence, self.origin.now];
        self.connection.prepare_cached(&sql)?.execute(values)?;
        self.added -= 1;
        if self.next_id.is_none() {
            self.number_beyond_the_gone()?;
        }
        self.tell(&row, Some(stands.sequence), Kind::Deletion, position)
    }

    /// Appends to the feed.
    fn tell(&mut self, row: &Row, previous: Option<i64>, kind: Kind, position: &Position) -> Result<(), Fault> {
        self.sequence += 1;
        self.statements.feed.execute(params![
            self.sequence,
            row.id,
            previous,
            row.version,
            row.hash.0,
            self.origin.now,
            self.origin.run,
            self.file,
            position.record as i64,
            position.offset as i64,
            position.length,
            position.line.map(|line| line as i64),
            kind as i64,
        ])?;
        Ok(())
    }

    /// Notes the end of the feed and how many documents there are; answers how many changes there were, and the end.
    pub(super) fn finish(self) -> Result<(u64, u64), Fault> {
        if self.sequence != self.first {
            let mut update = self
                .connection
                .prepare_cached("UPDATE resource SET sequence = ?2, documents = documents + ?3 WHERE id = ?1")?;
            update.execute(params![self.origin.resource, self.sequence, self.added])?;
        }
        Ok(((self.sequence - self.first) as u64, self.sequence as u64))
    }
}
