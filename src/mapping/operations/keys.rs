//! The keys of `[operations.NAME]` and of what lies below it.

use crate::diagnostic::Presence::{Default, Optional, Required};
use crate::diagnostic::{Key, Presence, Section};

const fn key(name: &'static str, shape: &'static str, presence: Presence, doc: &'static str) -> Key {
    Key { name, shape, presence, doc }
}

const TITLE: Key = key("title", "string", Optional, "name for people, for the API's description");
const DESCRIPTION: Key = key("description", "string", Optional, "longer text for people");
const SQL: Key = key("sql", "string", Optional, "one statement; `:name` is where a value is bound");
const PROCEDURE: Key = key("procedure", "table", Optional, "a stored procedure that is called");
const EXPECT: Key = key(
    "expect",
    "integer or [least, most]",
    Optional,
    "the rows that the statement must touch; everything is undone where it does not",
);

/// `[operations.NAME]`.
pub(in crate::mapping) static OPERATION: Section = Section {
    path: "operations.NAME",
    doc: "A write to a backend. `create` is POST on the resource, `update` PATCH and PUT on a record, `delete` DELETE; any other name is POST on `RECORD/NAME`. Exactly one of `sql`, `procedure`, `soap`, `file`.",
    keys: &[
        TITLE,
        DESCRIPTION,
        key(
            "backend",
            "string",
            Optional,
            "the backend that is written to: a database, a SOAP service, or one that has an `outbox`; that of `[source]` when absent",
        ),
        key("scope", "string", Optional, "the scope that it takes; `RESOURCE:write` when absent"),
        key(
            "sql",
            "string, or array of strings and steps",
            Optional,
            "the statements, in order; `:name` is where a value is bound: a field of the body or of the key, a stamp, what an earlier step has taken, `:idempotency_key`, `:operation_id`, `:client`",
        ),
        PROCEDURE,
        key("soap", "table", Optional, "an operation of a SOAP service that is called"),
        key("file", "table", Optional, "a file that is put into the backend's outbox"),
        EXPECT,
        key(
            "transaction",
            "boolean",
            Default("true"),
            "all steps are done or none is. Without it each stands for itself, and when one fails after the first, a part is done: the operation is `unknown` until a person has seen to it",
        ),
        key(
            "commit_after",
            "integer",
            Optional,
            "the step, from 1, whose success is the commit point: it and those before it are done together or not at all. Those behind it follow the commit on the same connection, each by itself; one that fails undoes nothing and ends the rest, and the answer and the operation's record tell it (`unfinished`). The last step when absent",
        ),
        key("body", "table of fields", Optional, "what a caller sends; a body is refused where this is absent"),
        key(
            "stamps",
            "table of stamps",
            Optional,
            "when the write was accepted, under names of its own and in forms that the backend takes; the same in every try",
        ),
        key(
            "answer",
            "\"record\" or table of fields",
            Optional,
            "what a caller gets: the record, read again at the backend, or fields of the last result; where the operation stands when absent",
        ),
        key(
            "serial",
            "string or array of strings",
            Optional,
            "operations with the same value of this field (these fields) of key or body go one at a time",
        ),
        key(
            "require_match",
            "boolean",
            Default("false"),
            "callers must say by `If-Match` which state of the record they mean; without it the answer is 428",
        ),
        key(
            "version",
            "path of a field",
            Optional,
            "the field that has the backend's own version of a record (a rowversion, a counter, a moment). `:version` in a statement is its value in the record that `If-Match` names, which callers must send then. The statement must touch a row: none means that the record was changed since, and is 412",
        ),
        key(
            "read_back",
            "boolean",
            Default("false"),
            "when it is done, the record is read at the backend and staged, before the answer. Without it a staged resource shows the write after the next run, a hybrid one at once",
        ),
        key("timeout", "duration", Optional, "how long it may take at the backend; the backend's own when absent"),
        key("attempts", "integer", Default("3"), "how often it is begun at most, where nothing of it was done"),
        key(
            "parked",
            "boolean",
            Default("false"),
            "while the backend is closed it is accepted and done when the backend opens; else it is refused until then",
        ),
        key("problems", "table", Optional, "what codes of the database mean to callers, by code"),
        key("reconcile", "table", Optional, "how to find out whether an operation is done of which nobody knows"),
    ],
};

/// A step of `sql`.
pub(in crate::mapping) static STEP: Section = Section {
    path: "operations.NAME.sql",
    doc: "A step that says more than its statement. Exactly one of `sql`, `procedure`.",
    keys: &[
        SQL,
        PROCEDURE,
        EXPECT,
        key(
            "each",
            "string",
            Optional,
            "it is done for each element of this array of the body, whose fields are names in it",
        ),
        key("with", "table", Optional, "names with a place in the body: `{ city = \"/address/city\" }`"),
        key(
            "take",
            "table",
            Optional,
            "names for what comes out of it, for later steps and the answer: `{ id = { from = \"ID\", type = \"integer\" } }`",
        ),
    ],
};

/// An entry of `take`.
pub(in crate::mapping) static TAKE: Section = Section {
    path: "operations.NAME.sql.take.NAME",
    doc: "A value that a step brings.",
    keys: &[
        key("from", "string", Required, "a column of the first row of its first result, or an argument that comes out"),
        key("type", "type of a field", Required, "what it is"),
    ],
};

/// An entry of `stamps`.
pub(in crate::mapping) static STAMP: Section = Section {
    path: "operations.NAME.stamps.NAME",
    doc: "When the write was accepted, to be bound like a field of the body. A string in its place is its `format`.",
    keys: &[
        key("type", "\"date\", \"time\" or \"datetime\"", Default("\"datetime\""), "what it is"),
        key("format", "string", Optional, "it is bound as text like `%Y%m%d`; else as what it is, to the second"),
        key("zone", "string", Default("\"UTC\""), "IANA time zone in which it is told"),
    ],
};

/// `procedure`.
pub(in crate::mapping) static CALL: Section = Section {
    path: "operations.NAME.procedure",
    doc: "A stored procedure.",
    keys: &[
        key("name", "string", Required, "its name as in SQL, perhaps with its schema"),
        key(
            "arguments",
            "table",
            Optional,
            "its arguments, in its order, each by its name: `{ no = \":order_no\", city = \"/address/city\", id = { out = \"integer\" } }`",
        ),
        key(
            "returns",
            "array of integers",
            Default("[0]"),
            "what it returns when all is well; anything else undoes everything. `[]` for any",
        ),
    ],
};

/// An argument that says more than where it comes from.
pub(in crate::mapping) static ARGUMENT: Section = Section {
    path: "operations.NAME.procedure.arguments.NAME",
    doc: "An argument. What only comes out has no `from` and no `value`.",
    keys: &[
        key("from", "string", Optional, "`:name`, or a place in the body like `/address/city`"),
        key("value", "string, integer or boolean", Optional, "the same each time"),
        key("out", "type of a field", Optional, "what comes out of it"),
    ],
};

/// A field of `body`.
pub(in crate::mapping) static INPUT: Section = Section {
    path: "operations.NAME.body.NAME",
    doc: "A field that callers send. A string in its place is its type.",
    keys: &[
        key(
            "field",
            "path of a field",
            Optional,
            "it is this field of the resource: type, limits and `values` are taken from there, translated back; what is said here goes first",
        ),
        key(
            "type",
            "string | integer | decimal(p,s) | number | boolean | date | time | datetime | bytes",
            Optional,
            "what it is; needed without `field`, `object` and `each`",
        ),
        key("object", "table of fields", Optional, "fields below this one"),
        key("each", "table of fields", Optional, "the fields of each element of an array"),
        key("max_items", "integer", Default("1000"), "most elements of an array"),
        key("required", "boolean", Default("true"), "it must be there"),
        key("nullable", "boolean", Default("false"), "it may be null"),
        key(
            "default",
            "value of the field's type",
            Optional,
            "stands for a field that is absent, where it need not be there; else NULL is bound",
        ),
        key("null", "string or integer", Optional, "what is bound for null: `\"1753-01-01\"`; NULL when absent"),
        key("values", "table", Optional, "value that callers send = value that is bound; nothing else is taken"),
        key("pattern", "regular expression", Optional, "a string must match it somewhere: anchor it by ^ and $"),
        key("min_length", "integer", Optional, "fewest characters of a string"),
        key("max_length", "integer", Optional, "most characters of a string"),
        key("min", "number, or date as string", Optional, "smallest value allowed"),
        key("max", "number, or date as string", Optional, "largest value allowed"),
        key("format", "string", Optional, "a date or time is bound as text like `%Y%m%d`"),
        key("zone", "string", Optional, "IANA time zone in which a datetime is bound, sent with any offset"),
        TITLE,
        DESCRIPTION,
    ],
};

/// A field of `answer`.
pub(in crate::mapping) static ANSWER: Section = Section {
    path: "operations.NAME.answer.NAME",
    doc: "A field that callers get. A string in its place is its `from`.",
    keys: &[
        key(
            "from",
            "string",
            Required,
            "a column of the first row of the last result, an argument that came out, or `:name` of a value that was bound or taken",
        ),
        key("type", "type of a field", Default("\"string\""), "what it is"),
        key("values", "table", Optional, "value of the backend = value that callers get; any other stays as it is"),
        TITLE,
        DESCRIPTION,
    ],
};

/// An entry of `problems`.
pub(in crate::mapping) static PROBLEM: Section = Section {
    path: "operations.NAME.problems.CODE",
    doc: "What a code means: what a procedure returns, SQLSTATE, the database's own number, or a kind of fault (`constraint`, `value` for one that the column cannot hold, `business`, `unexpected`, `untouched` for no row at all, `rights`). A string in its place is its `detail`.",
    keys: &[
        key("detail", "string", Required, "what a caller is told"),
        key("status", "404 | 409 | 412 | 422", Default("422"), "the status of the answer"),
    ],
};

/// `reconcile`.
pub(in crate::mapping) static RECONCILE: Section = Section {
    path: "operations.NAME.reconcile",
    doc: "Asked before an operation of unknown outcome is begun again.",
    keys: &[
        key(
            "sql",
            "string",
            Optional,
            "a query that brings a row if the operation is done and none if not, like `select no from orders where ref = :operation_id`",
        ),
        key("soap", "table", Optional, "an operation of the SOAP service that tells it"),
    ],
};

const OPERATION_NAME: Key = key(
    "operation",
    "string",
    Optional,
    "its name in the WSDL; beside an `envelope` the SOAPAction of SOAP 1.1, the action of SOAP 1.2",
);
const BODY: Key = key(
    "body",
    "table",
    Optional,
    "what is sent, in the shape that `inspect` shows of the operation. `{name}` is a field of the body or of the key, or a stamp, `{/address/city}` a place in the body, and there are `{idempotency_key}`, `{operation_id}`, `{client}`; `{ each = \"lines\", item = { ... } }` makes one of each element of an array",
);
const ENVELOPE: Key = key(
    "envelope",
    "string",
    Optional,
    "in place of `body`, for a service that is not as its WSDL says or has none: the XML itself, or the name of its file, with places as in `body`. What stands from `{each lines}` to `{end lines}` is there once for each element of that array; braces are written twice",
);
/// The key that has bytes sent beside the envelope.
pub(super) const MTOM: &str = "mtom";
const SERVICE_STRICT: Key = key(
    "strict",
    "boolean",
    Default("false"),
    "an answer that is not as SOAP and HTTP want it (junk around the envelope, a message with status 500, another content type or encoding than it says) proves nothing: whether the write is done is unknown then, and `reconcile` finds out; else it is taken, and counted",
);
const SERVICE_FAULTS: Key = key(
    "faults",
    "array of tables",
    Optional,
    "what faults of the service mean to callers, as in `[[source.soap.faults]]`",
);

/// `soap` of an operation.
pub(in crate::mapping) static CALLED: Section = Section {
    path: "operations.NAME.soap",
    doc: "An operation of a SOAP service, as its WSDL has it, or written out.",
    keys: &[
        OPERATION_NAME,
        BODY,
        ENVELOPE,
        key(
            "take",
            "table",
            Optional,
            "names for values of the answer, for `answer` and the new record's key: `{ order_no = \"/CreateOrderResponse/OrderNo\" }`, or a table with `from` and `type`",
        ),
        key(
            "error_when",
            "table",
            Optional,
            "when an answer that is no fault is a no, as in `[source.soap.error_when]`",
        ),
        SERVICE_STRICT,
        key(
            MTOM,
            "boolean",
            Optional,
            "the call goes as an XOP package (MTOM): what elements have in base64 goes beside the envelope as it is, which is less to send, for services that take it; a call that is signed has it within. When absent, as a policy of the WSDL demands it, which `inspect` tells",
        ),
        SERVICE_FAULTS,
    ],
};

const LAYOUT_DOC: &str = "its layout: the keys of `[source.FORMAT]` but `files`, `skip`, `trailer` and `controls`. That of `[source]` when there is no layout here and records are read from files";
const fn layout(name: &'static str) -> Key {
    key(name, "table", Optional, LAYOUT_DOC)
}

/// `file` of an operation.
pub(in crate::mapping) static FILE: Section = Section {
    path: "operations.NAME.file",
    doc: "A file in the backend's outbox: it appears there whole, once. The write is done when it is there; what the backend makes of it comes with a later run. `{name}` is a field of the body or of the key, or a stamp, `{/address/city}` a place in the body, and there are `{idempotency_key}`, `{operation_id}`, `{client}`; braces are written twice. Exactly one of `record`, `records`.",
    keys: &[
        key(
            "name",
            "string",
            Optional,
            "its name; `RESOURCE-{operation_id}` with the ending of the format when absent. Without `{operation_id}` in it a write is refused (503) while a file of that name lies in the outbox",
        ),
        key(
            "done_file",
            "string",
            Optional,
            "the name of an empty file that is put there behind it, for systems that take a file only when this one is there too",
        ),
        key(
            "record",
            "table",
            Optional,
            "its one record, as JSON by the names of the layout, as `tollbridge decode` shows it and `encode` takes it: `{ ORD-NO = \"{order_no}\", ITEMS = { each = \"lines\", item = { SKU = \"{sku}\" } } }`. A value alone in its place stays what it is, absent it is null",
        ),
        key(
            "records",
            "array of tables",
            Optional,
            "its records, in order; `{ each = \"lines\", item = { ... } }` is one for each element of an array of the body, and with a list as `item` several",
        ),
        layout("csv"),
        layout("fixed_width"),
        layout("cobol"),
        layout("edi"),
        layout("idoc"),
        layout("xml"),
    ],
};

/// `soap` of `reconcile`.
pub(in crate::mapping) static RECONCILED: Section = Section {
    path: "operations.NAME.reconcile.soap",
    doc: "A call that tells whether a write is done. A fault that `faults` gives the status 404 says that it is not.",
    keys: &[
        OPERATION_NAME,
        BODY,
        ENVELOPE,
        key(
            "found",
            "string or table",
            Required,
            "a place in the answer where something stands if the write is done; as a table `{ path, equals }` or `{ path, not }`",
        ),
        key(
            "take",
            "table",
            Optional,
            "where the values stand in this answer that the operation takes of its own: `{ order_no = \"/GetOrderResponse/OrderNo\" }`",
        ),
        key(
            "settled_after",
            "duration",
            Optional,
            "so long after it was lost a write is over at the service, whatever became of it: one that is not found then is begun again. When absent, one that is not found stays `unknown` until a person has looked it up",
        ),
        SERVICE_STRICT,
        SERVICE_FAULTS,
    ],
};

/// `found` of such a call.
pub(in crate::mapping) static FOUND: Section = Section {
    path: "operations.NAME.reconcile.soap.found",
    doc: "What the answer says where the write is done.",
    keys: &[
        key("path", "string", Required, "where that stands in the answer"),
        key("equals", "string or array of strings", Optional, "it is done where one of these stands there"),
        key("not", "string or array of strings", Optional, "it is done where something else stands there"),
    ],
};

/// All of them, in the order of the reference.
pub(in crate::mapping) static ALL: &[&Section] = &[
    &OPERATION,
    &STEP,
    &TAKE,
    &STAMP,
    &CALL,
    &ARGUMENT,
    &CALLED,
    &FILE,
    &INPUT,
    &ANSWER,
    &PROBLEM,
    &RECONCILE,
    &RECONCILED,
    &FOUND,
];
