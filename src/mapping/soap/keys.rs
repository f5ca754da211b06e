//! The keys of `[source.soap]` and of what lies below it.

use crate::decode::{self, xml};
use crate::diagnostic::Presence::{Default, Optional, Required};
use crate::diagnostic::{Key, Presence, Section};
use crate::mapping::serial;

const fn key(name: &'static str, shape: &'static str, presence: Presence, doc: &'static str) -> Key {
    Key { name, shape, presence, doc }
}

const FAULTS_KEY: Key = key("faults", "array of tables", Optional, "what faults of the service mean to callers");
const ERROR_WHEN: Key = key(
    "error_when",
    "table",
    Optional,
    "when an answer that is no fault is a no all the same, as by `{ path = \"/GetOrderResponse/Result/Status\", equals = \"ERROR\" }`",
);

const OPERATION: Key = key(
    "operation",
    "string",
    Default("\"\""),
    "the operation's name in the WSDL; beside an `envelope` the SOAPAction of SOAP 1.1, the action of SOAP 1.2",
);
const RECORD_PATH: Key = key(
    "record_path",
    "string",
    Optional,
    "which elements of the answer are records, like `/ListOrdersResponse/Orders/Order`; by the WSDL the whole answer when absent. Beside an `envelope` it is as in `[source.xml]`, and needed",
);
const STRICT: Key = key(
    "strict",
    "boolean",
    Default("false"),
    "an answer that is not as SOAP and HTTP want it (junk around the envelope, a message with status 500, another content type or encoding than it says) is refused; by the WSDL what the schema does not allow rejects its record as well. Else it is taken where nothing has to be guessed, and counted",
);
const UNWRAP: Key = key(
    "unwrap_lists",
    "boolean",
    Default("false"),
    "by the WSDL: an element that does nothing but hold a list is the list: `from = \"Lines\"` for `Lines.Line`",
);
const CHOICE: Key = key(
    "choice",
    "boolean",
    Default("false"),
    "by the WSDL: a member `_choice` has the names of elements in the order in which they came, where the schema leaves that open",
);
const ARRAYS: Key = key(
    "arrays",
    "array of strings",
    Optional,
    "beside an `envelope`: as in `[source.xml]`; by the WSDL lists are known",
);

/// `[source.soap]`.
pub(in crate::mapping) static SECTION: Section = Section {
    path: "source.soap",
    doc: "A SOAP service: called for a record when somebody asks for it, or, with one of `watermark`, `window`, `snapshot`, polled by the schedule. What is sent is made by the WSDL of the backend from `request`, or written out as an `envelope`.",
    keys: &[
        OPERATION,
        key(
            "request",
            "table",
            Optional,
            "what is sent, in the shape that `inspect` shows of the operation; where it declares headers, perhaps `{ headers = { ... }, body = { ... } }`. A text in it may have places: `{order_no}` is that field of the key; of a poll there are `{watermark}`, `{page}`, `{size}`, `{token}`, `{from}`, `{to}`; `{{` and `}}` are braces",
        ),
        key(
            "envelope",
            "string",
            Optional,
            "for a service that is not as its WSDL says, or has none: the XML itself, or the name of its file beside the mapping. It has the same places",
        ),
        serial::SERIAL,
        RECORD_PATH,
        xml::NAMESPACES,
        STRICT,
        UNWRAP,
        CHOICE,
        ARRAYS,
        xml::ENCODING,
        xml::TRIM,
        key(
            "watermark",
            "table",
            Optional,
            "of a poll: only records are asked for that have changed since the last reading; its value is `{watermark}`",
        ),
        key(
            "window",
            "table",
            Optional,
            "of a poll: records are asked for by spans of time, from `{from}` to `{to}`, one after the other",
        ),
        key(
            "snapshot",
            "true",
            Optional,
            "of a poll: everything is read each time; what is not there any more is deleted",
        ),
        key("page", "table", Optional, "of a poll: pages are asked for by number, until one is empty or not full"),
        key(
            "token",
            "table",
            Optional,
            "of a poll: pages are asked for by what the page before names, until one names nothing",
        ),
        key(
            "max_deleted",
            "integer",
            Default("10"),
            "of a snapshot: percent of the documents that absence may delete at once; where more would go, none does and the run fails",
        ),
        key(
            "max_pages",
            "integer",
            Default("100000"),
            "of a poll: a reading of more pages is taken for one that goes in circles, and fails",
        ),
        key(
            "by_key",
            "table",
            Optional,
            "of a poll: the operation that is called for one record by its key, so that the resource may be hybrid",
        ),
        ERROR_WHEN,
        FAULTS_KEY,
        decode::SKIP,
    ],
};

/// `by_key` of a poll.
pub(in crate::mapping) static BY_KEY: Section = Section {
    path: "source.soap.by_key",
    doc: "Of a service that is polled by one operation and asked for single records by another. The fields are the same: what `from` names must be a member of its records, too.",
    keys: &[
        OPERATION,
        key("request", "table", Optional, "what is sent, as in `[source.soap]`; its places are the fields of the key"),
        key("envelope", "string", Optional, "the XML itself, or the name of its file, as in `[source.soap]`"),
        serial::SERIAL,
        RECORD_PATH,
        xml::NAMESPACES,
        STRICT,
        UNWRAP,
        CHOICE,
        ARRAYS,
        xml::ENCODING,
        xml::TRIM,
        ERROR_WHEN,
        FAULTS_KEY,
    ],
};

/// `watermark` of a poll.
pub(in crate::mapping) static WATERMARK: Section = Section {
    path: "source.soap.watermark",
    doc: "A value of each record that grows with each change.",
    keys: &[
        key("member", "string", Required, "the record's member that has it, as `from` of a field names it"),
        key(
            "overlap",
            "duration or integer",
            Optional,
            "how far behind the last value reading begins again, for what is written late: `5m` for a time, `1000` for a number. What is read twice is found equal",
        ),
        key(
            "start",
            "string, date or integer",
            Optional,
            "what `{watermark}` is at the first reading; when absent, what is made of it alone is left out then",
        ),
    ],
};

/// `window` of a poll.
pub(in crate::mapping) static WINDOW: Section = Section {
    path: "source.soap.window",
    doc: "Spans of time that are asked for one after the other, up to now.",
    keys: &[
        key("start", "date or moment", Required, "where the first span begins, like `2026-01-01`"),
        key("step", "duration", Required, "how long a span is at most, like `1d`"),
        key(
            "overlap",
            "duration",
            Default("\"0s\""),
            "how far behind the end of the span before one begins, for what is entered late",
        ),
        key("lag", "duration", Default("\"0s\""), "how far behind now the last span ends"),
        key("format", "string", Optional, "how a moment is sent, like `%Y%m%d`; as in ISO 8601 when absent"),
        key("zone", "string", Optional, "IANA time zone whose time is sent; UTC when absent, with its `Z`"),
    ],
};

/// `page` of a poll.
pub(in crate::mapping) static PAGE: Section = Section {
    path: "source.soap.page",
    doc: "Pages by number.",
    keys: &[
        key("start", "integer", Default("1"), "the number of the first page"),
        key("step", "integer", Default("1"), "how much the number grows; of an offset, the records of a page"),
        key(
            "size",
            "integer",
            Optional,
            "so many records a full page has (`{size}`): one that has less is the last. When absent, the last is one without any",
        ),
    ],
};

/// `token` of a poll.
pub(in crate::mapping) static TOKEN: Section = Section {
    path: "source.soap.token",
    doc: "Pages by what the page before names. At the first call there is none, and what is made of it alone is left out.",
    keys: &[key("path", "string", Required, "where it stands in the answer, like `/ListOrdersResponse/NextToken`")],
};

/// `error_when`.
pub(in crate::mapping) static ERROR: Section = Section {
    path: "source.soap.error_when",
    doc: "When an answer that is no fault is a no. With neither `equals` nor `not` it is one where anything stands at `path`.",
    keys: &[
        key("path", "string", Required, "where that stands in the answer, like `/GetOrderResponse/Result/Status`"),
        key("equals", "string or array of strings", Optional, "it is a no where one of these stands there"),
        key("not", "string or array of strings", Optional, "it is a no where something else stands there"),
        key("code", "string", Optional, "path of its code, which `faults` may go by; the value at `path` when absent"),
        key("message", "string", Optional, "path of its words to people"),
    ],
};

/// An entry of `faults`.
pub(in crate::mapping) static FAULT: Section = Section {
    path: "source.soap.faults",
    doc: "What a fault means: the first entry counts of which all that it names is so. Without one, a fault of the caller's (`Client`, `Sender`) is 422, any other 502.",
    keys: &[
        key(
            "code",
            "string",
            Optional,
            "the fault's code without prefix, like `Client.NotFound`; the code of `error_when`",
        ),
        key("subcode", "string", Optional, "one of its subcodes (SOAP 1.2)"),
        key("detail", "string", Optional, "the name of the first element of its detail"),
        key("path", "string", Optional, "a place in its detail, like `/OrderFault/Code`"),
        key("equals", "string or array of strings", Optional, "what stands at `path`; anything when absent"),
        key("status", "integer", Default("422"), "the status of the answer, 400 to 599"),
        key("title", "string", Optional, "the problem's title"),
        key(
            "retry",
            "boolean",
            Default("false"),
            "whether the service is in trouble that passes: the answer has a Retry-After, a poll or write is tried again, and the gate counts it as a failure",
        ),
        key(
            "unknown",
            "boolean",
            Default("false"),
            "of a write: whether it may be done all the same, as when a gateway has lost its patience; then `reconcile` finds out",
        ),
    ],
};

/// All of them, in the order of the reference.
pub(in crate::mapping) static ALL: &[&Section] =
    &[&SECTION, &WATERMARK, &WINDOW, &PAGE, &TOKEN, &BY_KEY, &ERROR, &FAULT];
