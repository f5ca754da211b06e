-- A staging database as it was made before idempotency keys belonged to those who call, of a site without resources.
BEGIN;
PRAGMA application_id = 0x546f6c6c;
PRAGMA user_version = 12;
CREATE TABLE resource (
    id         INTEGER PRIMARY KEY,
    name       TEXT    NOT NULL UNIQUE,
    sequence   INTEGER NOT NULL DEFAULT 0,
    documents  INTEGER NOT NULL DEFAULT 0,
    as_of      INTEGER
) STRICT;

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
ALTER TABLE resource ADD COLUMN last_file_at INTEGER;
UPDATE resource SET last_file_at = (SELECT max(claimed_at) FROM file WHERE file.resource = resource.id);

CREATE INDEX file_by_blob ON file (resource, blob, id);

CREATE INDEX file_unfinished ON file (resource, id) WHERE state = 'claimed';

CREATE TABLE file_sequence (
    file   INTEGER PRIMARY KEY REFERENCES file (id),
    number INTEGER NOT NULL
) STRICT;
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

CREATE TABLE live_read (
    resource INTEGER NOT NULL REFERENCES resource (id),
    key      TEXT    NOT NULL,
    at       INTEGER NOT NULL,
    PRIMARY KEY (resource, key)
) STRICT, WITHOUT ROWID;
ALTER TABLE run ADD COLUMN deleted INTEGER NOT NULL DEFAULT 0;

ALTER TABLE resource ADD COLUMN forgotten INTEGER NOT NULL DEFAULT 0;

CREATE TABLE source_position (
    resource   INTEGER PRIMARY KEY REFERENCES resource (id),
    position   TEXT    NOT NULL,
    changed_at INTEGER NOT NULL
) STRICT;

CREATE TABLE snapshot (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    resource INTEGER NOT NULL UNIQUE REFERENCES resource (id),
    begun_at INTEGER NOT NULL,
    seen     INTEGER NOT NULL DEFAULT 0,
    nameless INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE seen (
    snapshot INTEGER NOT NULL REFERENCES snapshot (id),
    chunk    INTEGER NOT NULL,
    marks    BLOB    NOT NULL,
    PRIMARY KEY (snapshot, chunk)
) STRICT;
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
ALTER TABLE seen ADD COLUMN brought BLOB;
ALTER TABLE operation ADD COLUMN condition TEXT;
CREATE INDEX operation_of_record ON operation (resource, record_key) WHERE record_key IS NOT NULL;
ALTER TABLE run ADD COLUMN refused INTEGER NOT NULL DEFAULT 0;
ALTER TABLE operation ADD COLUMN done_at INTEGER;

ALTER TABLE run ADD COLUMN reads_since INTEGER;

CREATE TABLE vanished (
    resource INTEGER NOT NULL REFERENCES resource (id),
    key      TEXT    NOT NULL,
    at       INTEGER NOT NULL,
    doubted  INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (resource, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX audit_of_writes ON audit (id) WHERE action = 'write';
CREATE INDEX audit_of_decisions ON audit (id) WHERE action <> 'write';
ALTER TABLE api_key ADD COLUMN claims TEXT NOT NULL DEFAULT '{}';
ALTER TABLE api_key ADD COLUMN expires_at INTEGER;
ALTER TABLE api_key ADD COLUMN last_used_at INTEGER;
ALTER TABLE api_key ADD COLUMN replaced_by TEXT;
ALTER TABLE indexed_field ADD COLUMN bounds INTEGER NOT NULL DEFAULT 0;
ALTER TABLE dead_letter ADD COLUMN known_by BLOB;
CREATE INDEX dead_letter_known ON dead_letter (resource, known_by) WHERE state = 'open' AND known_by IS NOT NULL;

CREATE TABLE written (
    resource INTEGER NOT NULL REFERENCES resource (id),
    key      TEXT    NOT NULL,
    at       INTEGER NOT NULL,
    PRIMARY KEY (resource, key)
) STRICT, WITHOUT ROWID;
COMMIT;
