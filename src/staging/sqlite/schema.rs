//! The tables that every staging database has, and how an older one becomes today's.
//!
//! `PRAGMA application_id` says that a file is ours, `PRAGMA user_version` how many [`MIGRATIONS`] it has seen.
//! A released migration is never edited; a change is a new one at the end. The tables of a resource are made by
//! [`resource`](super::resource).

use rusqlite::{Connection, TransactionBehavior};

/// "Toll" in ASCII.
const APPLICATION_ID: i32 = 0x546f_6c6c;

const MIGRATIONS: &[&str] = &[
    r#"
-- A resource version. `sequence` is the newest of its feed, `documents` the rows of its table doc_<id>.
CREATE TABLE resource (
    id         INTEGER PRIMARY KEY,
    name       TEXT    NOT NULL UNIQUE,
    sequence   INTEGER NOT NULL DEFAULT 0,
    documents  INTEGER NOT NULL DEFAULT 0,
    as_of      INTEGER
) STRICT;

-- A declared filter or sort field: a generated column of doc_<resource>. Numbers are never used again, so that
-- a process that knows an older declaration meets a missing column, not one of another type.
CREATE TABLE indexed_field (
    number      INTEGER PRIMARY KEY AUTOINCREMENT,
    resource    INTEGER NOT NULL REFERENCES resource (id),
    path        TEXT    NOT NULL,
    column_type TEXT    NOT NULL,
    column_name TEXT    NOT NULL,
    UNIQUE (resource, path)
) STRICT;

CREATE TABLE run (
    number      INTEGER PRIMARY KEY,
    id          TEXT    NOT NULL UNIQUE,
    resource    INTEGER NOT NULL REFERENCES resource (id),
    "trigger"   TEXT    NOT NULL,
    mapping     TEXT    NOT NULL,
    state       TEXT    NOT NULL,
    started_at  INTEGER NOT NULL,
    finished_at INTEGER,
    read        INTEGER NOT NULL DEFAULT 0,
    staged      INTEGER NOT NULL DEFAULT 0,
    unchanged   INTEGER NOT NULL DEFAULT 0,
    dead        INTEGER NOT NULL DEFAULT 0,
    skipped     INTEGER NOT NULL DEFAULT 0,
    files       INTEGER NOT NULL DEFAULT 0,
    error       TEXT
) STRICT;
CREATE INDEX run_of_resource ON run (resource, number);

-- The ledger. next_* is the checkpoint: where a next run goes on.
CREATE TABLE file (
    id           INTEGER PRIMARY KEY,
    resource     INTEGER NOT NULL REFERENCES resource (id),
    path         TEXT    NOT NULL,
    size         INTEGER NOT NULL,
    blob         BLOB    NOT NULL,
    state        TEXT    NOT NULL,
    next_offset  INTEGER NOT NULL DEFAULT 0,
    next_records INTEGER NOT NULL DEFAULT 0,
    next_line    INTEGER NOT NULL DEFAULT 0,
    claimed_at   INTEGER NOT NULL,
    finished_at  INTEGER,
    delivery     TEXT    NOT NULL DEFAULT '',
    mapping      TEXT    NOT NULL DEFAULT '',
    UNIQUE (resource, path, size, blob)
) STRICT;
CREATE INDEX file_of_resource ON file (resource, id);

-- `subject` is empty for a record, and says what is at fault where several things may be wrong at one place.
CREATE TABLE dead_letter (
    id          INTEGER PRIMARY KEY,
    resource    INTEGER NOT NULL REFERENCES resource (id),
    run         INTEGER NOT NULL REFERENCES run (number),
    file        INTEGER NOT NULL REFERENCES file (id),
    blob        BLOB    NOT NULL,
    "offset"    INTEGER NOT NULL,
    subject     TEXT    NOT NULL,
    record      INTEGER NOT NULL,
    length      INTEGER NOT NULL,
    line        INTEGER,
    code        TEXT    NOT NULL,
    field       TEXT,
    span_offset INTEGER,
    span_length INTEGER,
    expected    TEXT    NOT NULL,
    found       TEXT    NOT NULL,
    key         TEXT,
    state       TEXT    NOT NULL,
    created_at  INTEGER NOT NULL,
    resolved_at INTEGER,
    attempts    INTEGER NOT NULL DEFAULT 1,
    raw         BLOB    NOT NULL,
    UNIQUE (resource, blob, "offset", subject)
) STRICT;
CREATE INDEX dead_letter_in_state ON dead_letter (state, id);
CREATE INDEX dead_letter_of_resource ON dead_letter (resource, state, id);
CREATE INDEX dead_letter_by_code ON dead_letter (resource, state, code);
CREATE INDEX dead_letter_by_key ON dead_letter (resource, key) WHERE key IS NOT NULL;

CREATE TABLE api_key (
    number     INTEGER PRIMARY KEY,
    id         TEXT    NOT NULL UNIQUE,
    name       TEXT    NOT NULL,
    hash       BLOB    NOT NULL UNIQUE,
    scopes     TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT;
"#,
    r#"
-- When the resource was last delivered a file: a feed that has gone quiet is told from one that has nothing new.
ALTER TABLE resource ADD COLUMN last_file_at INTEGER;
UPDATE resource SET last_file_at = (SELECT max(claimed_at) FROM file WHERE file.resource = resource.id);

-- The same content under another name.
CREATE INDEX file_by_blob ON file (resource, blob, id);

-- Files that are not finished: few, and asked for at every look.
CREATE INDEX file_unfinished ON file (resource, id) WHERE state = 'claimed';

-- The number that a file gives itself in its header, where the mapping checks it.
CREATE TABLE file_sequence (
    file   INTEGER PRIMARY KEY REFERENCES file (id),
    number INTEGER NOT NULL
) STRICT;
"#,
    r#"
-- A value that an operator has set beside the configuration, as JSON: of a gate, `gates/BACKEND`.
CREATE TABLE override (
    subject    TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    value      TEXT    NOT NULL,
    author     TEXT    NOT NULL,
    reason     TEXT    NOT NULL,
    since      INTEGER NOT NULL,
    expires_at INTEGER,
    PRIMARY KEY (subject, name)
) STRICT;

-- Who decided what, and why. Numbers are never used again: the newest one of a subject is its revision.
CREATE TABLE audit (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    at         INTEGER NOT NULL,
    author     TEXT    NOT NULL,
    action     TEXT    NOT NULL,
    subject    TEXT    NOT NULL,
    reason     TEXT    NOT NULL,
    before     TEXT    NOT NULL,
    after      TEXT    NOT NULL,
    expires_at INTEGER
) STRICT;
CREATE INDEX audit_of_subject ON audit (subject, id);

-- When a backend has last said a document that is read from it one by one.
CREATE TABLE live_read (
    resource INTEGER NOT NULL REFERENCES resource (id),
    key      TEXT    NOT NULL,
    at       INTEGER NOT NULL,
    PRIMARY KEY (resource, key)
) STRICT, WITHOUT ROWID;
"#,
    r#"
-- Documents deleted.
ALTER TABLE run ADD COLUMN deleted INTEGER NOT NULL DEFAULT 0;

-- The newest change of a deleted document that is forgotten.
ALTER TABLE resource ADD COLUMN forgotten INTEGER NOT NULL DEFAULT 0;

-- How far a source is read that is read a part at a time.
CREATE TABLE source_position (
    resource   INTEGER PRIMARY KEY REFERENCES resource (id),
    position   TEXT    NOT NULL,
    changed_at INTEGER NOT NULL
) STRICT;

-- A reading of all that a source has. `seen` counts the marks, `nameless` the records without a readable key.
CREATE TABLE snapshot (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    resource INTEGER NOT NULL UNIQUE REFERENCES resource (id),
    begun_at INTEGER NOT NULL,
    seen     INTEGER NOT NULL DEFAULT 0,
    nameless INTEGER NOT NULL DEFAULT 0
) STRICT;

-- A bit for each document that the snapshot has seen, by its number in doc_<resource>.
CREATE TABLE seen (
    snapshot INTEGER NOT NULL REFERENCES snapshot (id),
    chunk    INTEGER NOT NULL,
    marks    BLOB    NOT NULL,
    PRIMARY KEY (snapshot, chunk)
) STRICT;
"#,
    r#"
-- A write to a backend: written down before the backend is called. `resource` is its name, so that an operation outlives
-- its mapping. What is over is removed when its time is.
CREATE TABLE operation (
    number          INTEGER PRIMARY KEY,
    id              TEXT    NOT NULL UNIQUE,
    resource        TEXT    NOT NULL,
    name            TEXT    NOT NULL,
    client          TEXT    NOT NULL,
    caller          TEXT    NOT NULL,
    idempotency_key TEXT    NOT NULL,
    request_hash    BLOB    NOT NULL,
    record_key      TEXT,
    request         TEXT    NOT NULL,
    backend         TEXT    NOT NULL,
    mapping         TEXT    NOT NULL,
    parked          INTEGER NOT NULL,
    state           TEXT    NOT NULL,
    may_repeat      INTEGER NOT NULL DEFAULT 0,
    outcome         TEXT,
    problem         TEXT,
    attempts        INTEGER NOT NULL DEFAULT 0,
    created_at      INTEGER NOT NULL,
    changed_at      INTEGER NOT NULL,
    UNIQUE (client, resource, name, idempotency_key)
) STRICT;
CREATE INDEX operation_open ON operation (state, number) WHERE state IN ('received', 'parked', 'running', 'unknown');
CREATE INDEX operation_over ON operation (changed_at) WHERE state IN ('succeeded', 'failed');
"#,
    r#"
-- Documents that the snapshot's own reading has brought, where `marks` are all that were said to be there: a key that the
-- reading brings twice is told. NULL: none since it began anew.
ALTER TABLE seen ADD COLUMN brought BLOB;
"#,
    r#"
-- What must be so of the record, as JSON: whoever begins the operation judges it, also after a crash.
ALTER TABLE operation ADD COLUMN condition TEXT;
CREATE INDEX operation_of_record ON operation (resource, record_key) WHERE record_key IS NOT NULL;
"#,
    r#"
-- Of the records skipped, the good ones of files that were refused as a whole.
ALTER TABLE run ADD COLUMN refused INTEGER NOT NULL DEFAULT 0;
"#,
    r#"
-- When a write was known to be done; before its state says so, since its answer may take a question more.
ALTER TABLE operation ADD COLUMN done_at INTEGER;

-- When the first question of a run was asked, where that was before it began.
ALTER TABLE run ADD COLUMN reads_since INTEGER;

-- Records that were found gone one by one, until a run has ended that began later. `doubted`: an older reading has brought
-- the record again.
CREATE TABLE vanished (
    resource INTEGER NOT NULL REFERENCES resource (id),
    key      TEXT    NOT NULL,
    at       INTEGER NOT NULL,
    doubted  INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (resource, key)
) STRICT, WITHOUT ROWID;

-- Who wrote what, which may be much more than what people decided.
CREATE INDEX audit_of_writes ON audit (id) WHERE action = 'write';
CREATE INDEX audit_of_decisions ON audit (id) WHERE action <> 'write';
"#,
    r#"
-- Keys that end, that are replaced by others, and of whose bearers more is known (JSON: names and texts).
ALTER TABLE api_key ADD COLUMN claims TEXT NOT NULL DEFAULT '{}';
ALTER TABLE api_key ADD COLUMN expires_at INTEGER;
ALTER TABLE api_key ADD COLUMN last_used_at INTEGER;
ALTER TABLE api_key ADD COLUMN replaced_by TEXT;
"#,
    r#"
-- 1: readers may be bounded by the field, and each change notes its value (feed_<resource>.bounds, a JSON object by column).
-- That column is made with the first field of a resource for which this is 1.
ALTER TABLE indexed_field ADD COLUMN bounds INTEGER NOT NULL DEFAULT 0;
"#,
    r#"
-- What a record is known by that a source brings again and again: a hash, whichever input it comes in.
ALTER TABLE dead_letter ADD COLUMN known_by BLOB;
CREATE INDEX dead_letter_known ON dead_letter (resource, known_by) WHERE state = 'open' AND known_by IS NOT NULL;

-- Records that were written to through this service, until a good run that began later has seen to them.
CREATE TABLE written (
    resource INTEGER NOT NULL REFERENCES resource (id),
    key      TEXT    NOT NULL,
    at       INTEGER NOT NULL,
    PRIMARY KEY (resource, key)
) STRICT, WITHOUT ROWID;
"#,
    r#"
-- Several people may call through one client: an idempotency key belongs to one of them. `within`: which records its caller
-- sees, as JSON, where these are not all; whoever begins the operation judges by it, also after a crash.
CREATE TABLE operation_of_principal (
    number          INTEGER PRIMARY KEY,
    id              TEXT    NOT NULL UNIQUE,
    resource        TEXT    NOT NULL,
    name            TEXT    NOT NULL,
    client          TEXT    NOT NULL,
    principal       TEXT    NOT NULL,
    caller          TEXT    NOT NULL,
    idempotency_key TEXT    NOT NULL,
    request_hash    BLOB    NOT NULL,
    record_key      TEXT,
    request         TEXT    NOT NULL,
    backend         TEXT    NOT NULL,
    mapping         TEXT    NOT NULL,
    parked          INTEGER NOT NULL,
    state           TEXT    NOT NULL,
    may_repeat      INTEGER NOT NULL DEFAULT 0,
    outcome         TEXT,
    problem         TEXT,
    attempts        INTEGER NOT NULL DEFAULT 0,
    created_at      INTEGER NOT NULL,
    changed_at      INTEGER NOT NULL,
    condition       TEXT,
    done_at         INTEGER,
    within          TEXT,
    UNIQUE (principal, resource, name, idempotency_key)
) STRICT;
INSERT INTO operation_of_principal SELECT number, id, resource, name, client, client, caller, idempotency_key, request_hash,
    record_key, request, backend, mapping, parked, state, may_repeat, outcome, problem, attempts, created_at, changed_at,
    condition, done_at, NULL FROM operation;
DROP TABLE operation;
ALTER TABLE operation_of_principal RENAME TO operation;
CREATE INDEX operation_open ON operation (state, number) WHERE state IN ('received', 'parked', 'running', 'unknown');
CREATE INDEX operation_over ON operation (changed_at) WHERE state IN ('succeeded', 'failed');
CREATE INDEX operation_of_record ON operation (resource, record_key) WHERE record_key IS NOT NULL;
"#,
    r#"
-- 1: from when a key was the whole client's, and nothing was kept of which records its caller sees. Whoever of the client
-- sends the key again means this one.
ALTER TABLE operation ADD COLUMN of_client INTEGER NOT NULL DEFAULT 0;
UPDATE operation SET of_client = 1 WHERE principal = client AND within IS NULL;
"#,
    r#"
-- What waits for a record to be mended, by its key: however many letters there are.
CREATE INDEX dead_letter_waiting ON dead_letter (resource, key)
    WHERE state = 'open' AND known_by IS NOT NULL AND key IS NOT NULL;
"#,
    r#"
-- The other versions for which the same was read, by name, with blanks between.
ALTER TABLE run ADD COLUMN read_with TEXT;
"#,
    r#"
-- The highest number that a file of the resource gives itself is asked for with each file, however many there were.
ALTER TABLE file_sequence ADD COLUMN resource INTEGER REFERENCES resource (id);
UPDATE file_sequence SET resource = (SELECT resource FROM file WHERE file.id = file_sequence.file);
CREATE INDEX file_sequence_by_number ON file_sequence (resource, number);

-- A run that begins closes the one that a crash left open, however many there were.
CREATE INDEX run_going_on ON run (resource) WHERE state = 'running';
"#,
    r#"
-- The how manieth of the resource's files it was to be finished, so that what came after a file is found, however many came
-- before it and wherever the clock was.
ALTER TABLE file ADD COLUMN turn INTEGER;
UPDATE file SET turn = finished.turn FROM (
    SELECT id, row_number() OVER (PARTITION BY resource ORDER BY finished_at, id) AS turn FROM file WHERE state <> 'claimed'
) AS finished WHERE finished.id = file.id;
CREATE INDEX file_by_turn ON file (resource, turn);

-- The same content under another name, however often it came and was refused.
DROP INDEX file_by_blob;
CREATE INDEX file_by_blob ON file (resource, blob, state, id);
"#,
];

/// What a migration does to each resource's own tables, after its statements; `{n}` is the resource's number.
const OF_RESOURCES: &[(usize, &str)] = &[(3, TOMBSTONES)];

/// What is left of deleted documents. `kind` of a change: 0 is a new document, or another content of one; 1 is a deleted
/// one that is there again; 2 is a deletion.
pub(super) const TOMBSTONES: &str = r#"
ALTER TABLE feed_{n} ADD COLUMN kind INTEGER NOT NULL DEFAULT 0;
CREATE TABLE gone_{n} (
    id         INTEGER PRIMARY KEY,
    key        TEXT    NOT NULL UNIQUE,
    hash       BLOB    NOT NULL,
    version    INTEGER NOT NULL,
    sequence   INTEGER NOT NULL,
    deleted_at INTEGER NOT NULL
) STRICT;
CREATE INDEX gone_{n}_by_age ON gone_{n} (deleted_at);
"#;

/// Why a file cannot be used, with the remedy.
#[derive(Debug)]
pub(super) enum Unusable {
    Foreign,
    Newer { theirs: i64 },
    Sql(rusqlite::Error),
}

impl From<rusqlite::Error> for Unusable {
    fn from(error: rusqlite::Error) -> Unusable {
        Unusable::Sql(error)
    }
}

/// Checks that the database is ours or empty, without writing.
pub(super) fn check(connection: &Connection) -> Result<i64, Unusable> {
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let owner: i32 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let objects: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let is_empty = objects == 0 && owner == 0 && version == 0;
    if owner != APPLICATION_ID && !is_empty {
        return Err(Unusable::Foreign);
    }
    if version > newest() {
        return Err(Unusable::Newer { theirs: version });
    }
    Ok(version)
}

/// Brings the database to today's schema; several processes may do so at once.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), Unusable> {
    if check(connection)? == newest() {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let seen = check(&transaction)?;
    for (number, migration) in MIGRATIONS.iter().enumerate().skip(seen.max(0) as usize) {
        transaction.execute_batch(migration)?;
        for (_, statements) in OF_RESOURCES.iter().filter(|(of, _)| *of == number) {
            migrate_resources(&transaction, statements)?;
        }
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", newest())?;
    transaction.commit()?;
    Ok(())
}

fn migrate_resources(connection: &Connection, statements: &str) -> rusqlite::Result<()> {
    let mut select = connection.prepare("SELECT id FROM resource ORDER BY id")?;
    let numbers = select.query_map([], |row| row.get::<_, i64>(0))?.collect::<rusqlite::Result<Vec<_>>>()?;
    numbers.into_iter().try_for_each(|number| connection.execute_batch(&statements.replace("{n}", &number.to_string())))
}

/// How many migrations this version knows.
pub(super) const fn newest() -> i64 {
    MIGRATIONS.len() as i64
}
