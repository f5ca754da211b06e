//! The keys of `[source.table]` and `[source.query]`.

use crate::decode;
use crate::diagnostic::Presence::{Default, Optional, Required};
use crate::diagnostic::{Key, Presence, Section};

const fn key(name: &'static str, shape: &'static str, presence: Presence, doc: &'static str) -> Key {
    Key { name, shape, presence, doc }
}

const WATERMARK_KEY: Key = key(
    "watermark",
    "table",
    Optional,
    "only rows are read of which a column has grown since the last reading; `reconcile` finds deletes",
);
const SNAPSHOT: Key = key(
    "snapshot",
    "true",
    Optional,
    "everything is read each time: changes are found by comparing, deletes by absence",
);
const RECONCILE: Key = key(
    "reconcile",
    "\"every 1d\"",
    Optional,
    "how often all keys are compared, to find what was deleted, and to fetch what no watermark has led to; of a query, everything is read once more",
);
const MAX_DELETED: Key = key(
    "max_deleted",
    "integer",
    Default("10"),
    "percent of the documents that absence may delete at once; where more would go, none does and runs fail until that is settled",
);
const BATCH: Key = key("batch_rows", "integer", Default("10000"), "rows staged in one transaction");
const RATE: Key = key("max_rows_per_second", "integer", Optional, "the most rows a second that are taken");
const ISOLATION: Key = key(
    "isolation",
    "\"auto\" | \"read-committed\" | \"snapshot\"",
    Default("\"auto\""),
    "what a reading sees of transactions that go on: `snapshot` is one moment and takes no locks, `read-committed` what is committed when its row is read. Either holds for one statement: a table that is read in chunks is read as of one moment a chunk (`chunk_rows`). `auto` is `snapshot` where the server says that it allows it",
);
const TIMEOUT: Key = key(
    "timeout",
    "duration",
    Optional,
    "how long one statement may take, and looking up what the columns are; the backend's `timeout` when absent",
);

/// `[source.table]`.
pub(in crate::mapping) static TABLE: Section = Section {
    path: "source.table",
    doc: "The records are rows of a table or view. Exactly one of `watermark`, `change_tracking`, `cdc`, `snapshot` says how changes are found.",
    keys: &[
        key("table", "string", Required, "the table or view, as `dbo.ITEMS` or `[Company AG$Item]`"),
        key(
            "columns",
            "array of strings",
            Optional,
            "the columns that are read; those that the mapping uses when absent",
        ),
        key(
            "key",
            "array of strings",
            Optional,
            "the columns that tell rows apart; those of the mapping's `key` when absent. A table without any has `from = \"_row\"` in the field of the key",
        ),
        key("where", "string", Optional, "a condition in the database's SQL: only rows for which it holds are read"),
        WATERMARK_KEY,
        key("change_tracking", "true", Optional, "changes and deletes are those that SQL Server Change Tracking notes"),
        key("cdc", "string", Optional, "changes and deletes are those of this capture instance of SQL Server CDC"),
        SNAPSHOT,
        RECONCILE,
        MAX_DELETED,
        BATCH,
        key(
            "chunk_rows",
            "integer",
            Default("100000"),
            "rows asked for by one statement of a long reading, which holds a place at the gate; the next begins behind them",
        ),
        RATE,
        ISOLATION,
        TIMEOUT,
        decode::SKIP,
    ],
};

/// `[source.query]`.
pub(in crate::mapping) static QUERY: Section = Section {
    path: "source.query",
    doc: "The records are what a statement brings. Exactly one of `watermark` and `snapshot` says how changes are found.",
    keys: &[
        key(
            "sql",
            "string",
            Required,
            "one statement in the database's SQL; `:watermark` stands for the value up to which was read before",
        ),
        key(
            "key",
            "array of strings",
            Optional,
            "the columns that tell rows apart; those of the mapping's `key` when absent",
        ),
        WATERMARK_KEY,
        SNAPSHOT,
        RECONCILE,
        MAX_DELETED,
        BATCH,
        RATE,
        ISOLATION,
        TIMEOUT,
        decode::SKIP,
    ],
};

/// `watermark` of a table or query.
pub(in crate::mapping) static WATERMARK: Section = Section {
    path: "source.FORMAT.watermark",
    doc: "A column that grows with each change of its row.",
    keys: &[
        key(
            "column",
            "string or array of strings",
            Required,
            "the column: a time of change, an increasing number, a rowversion. Several where a date and a time, or a column and the key, count together",
        ),
        key(
            "overlap",
            "duration or integer",
            Optional,
            "how far behind the last value reading begins again, for rows that are committed late: `5m` for a time, `1000` for a number. What is read twice is found equal",
        ),
        key(
            "rowversion",
            "true",
            Optional,
            "it is SQL Server's rowversion: it is read up to what no open transaction can change any more",
        ),
        key(
            "start",
            "string or integer",
            Optional,
            "of a query: what `:watermark` is at the first reading, like `1900-01-01T00:00:00` or `0`",
        ),
    ],
};
