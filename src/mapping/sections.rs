//! Every key of a mapping file with its shape, default and meaning: the check for unknown keys and the
//! reference in `docs` are made from these lists. Those of `[source.csv]` and its siblings stand with
//! their formats in `decode`.

use crate::diagnostic::{Faults, Key, Node, Presence, Section, Written};

const fn key(name: &'static str, shape: &'static str, presence: Presence, doc: &'static str) -> Key {
    Key { name, shape, presence, doc }
}

use Presence::{Default, Optional, Required};

/// The top level.
pub(super) static MAPPING: Section = Section {
    path: "mapping",
    doc: "The resource as a whole.",
    keys: &[
        key("resource", "string", Required, "name of the resource: lower-case letters, digits, `_`, `-`"),
        key("version", "integer", Required, "version of the resource, from 1: part of its URL"),
        key("title", "string", Optional, "name for people; the resource's name when absent"),
        key("description", "string", Optional, "longer text for people"),
        key(
            "example",
            "path",
            Optional,
            "a file of JSON with a record as it is served, which the description of the API and its page show; it must fit the fields",
        ),
        key("key", "array of field names", Required, "the mapped fields that identify a record; joined by `~` in URLs"),
        key("source", "table", Required, "where the records come from"),
        key(
            "fields",
            "table",
            Required,
            "the fields of the resource, each a table of rules, in the order they are served",
        ),
        key("lookups", "table", Optional, "tables that translate values, by name"),
        key(
            "preset",
            "\"nav\" | \"ax\" | \"as400\" | \"oracle-forms\" | \"vfp\" | \"sap-idoc\"",
            Optional,
            "the habits of the system that wrote the data, as defaults of all fields: empty dates, blanks, padding, words for true and false",
        ),
        key("serve", "table", Optional, "how the resource is served"),
        key("operations", "tables", Optional, "what may be written to the backend, by name"),
    ],
};

/// `[source]`.
pub(super) static SOURCE: Section = Section {
    path: "source",
    doc: "Where the records come from and how they are read.",
    keys: &[
        key("backend", "string", Required, "the backend of the configuration that has the data"),
        key(
            "schedule",
            "string or table",
            Default("\"manual\""),
            "`every 30s`, `watch`, `manual`, `cron 0 2 * * *` (UTC), or `{ cron = \"0 2 * * *\", zone = \"Europe/Berlin\" }`",
        ),
        key(
            "expect_every",
            "duration, string or table",
            Optional,
            "when a file must have come, else the feed counts as silent: `1d`, `cron 0 6 * * 1-5` (UTC, an hour late at most), or `{ cron = \"0 6 * * 1-5\", zone = \"Europe/Berlin\", within = \"2h\" }`",
        ),
        key(
            "on_reject",
            "\"record\" | \"file\" | { max_percent = N }",
            Default("\"record\""),
            "what one bad record means: a dead letter; the whole file is refused; the file is refused beyond N percent",
        ),
        key("decimal_point", "\".\" | \",\"", Default("\".\""), "the decimal point of numbers in text"),
        key(
            "grouping",
            "one of . , ' _ or space",
            Optional,
            "what stands between groups of three digits of numbers in text",
        ),
        key(
            "compression",
            "\"auto\" | \"none\" | \"gzip\" | \"zip\" | \"zstd\" | \"bzip2\"",
            Default("\"auto\""),
            "how the files are packed: `auto` goes by their first bytes, `none` reads them as they are",
        ),
        key(
            "member",
            "string",
            Optional,
            "which member of a zip archive is read, with `*` and `?`; needed where there are several",
        ),
        key(
            "damaged",
            "\"refuse\" | \"keep\"",
            Default("\"refuse\""),
            "what becomes of records before the place where a compressed file breaks off or is damaged: none is staged, or they are",
        ),
        key("max_unpacked_mib", "integer", Default("65536"), "a compressed file that unpacks to more MiB is refused"),
        key(
            "max_unpack_ratio",
            "integer",
            Default("300"),
            "a compressed file of which more bytes come out of one is refused (beyond its first 64 MiB)",
        ),
        key("csv", "table", Optional, "the records are rows of CSV files"),
        key("fixed_width", "table", Optional, "the records are lines of columns at fixed places"),
        key("cobol", "table", Optional, "the records are as a COBOL copybook says"),
        key("xml", "table", Optional, "the records are elements of XML files"),
        key("excel", "table", Optional, "the records are rows of a sheet of workbooks"),
        key("edi", "table", Optional, "the records are messages of X12 or EDIFACT interchanges"),
        key("idoc", "table", Optional, "the records are SAP IDocs"),
        key("soap", "table", Optional, "a record is what a SOAP service answers, one call a record"),
        key("table", "table", Optional, "the records are rows of a table of a database"),
        key("query", "table", Optional, "the records are what a statement in SQL brings"),
    ],
};

/// `trailer` of a source.
pub(super) static TRAILER: Section = Section {
    path: "source.FORMAT.trailer",
    doc: "Control totals that the file carries about itself. A file that breaks them is refused.",
    keys: &[
        key("when", "condition", Required, "which record is the trailer, like `REC-TYPE = 'T'`"),
        key(
            "count",
            "string",
            Optional,
            "layout field of the trailer that has the number of records (neither skipped ones nor the trailer)",
        ),
        key("sum", "table or array of tables", Optional, "totals: `{ field = \"AMOUNT\", equals = \"TOTAL\" }`"),
        key(
            "sequence",
            "string",
            Optional,
            "layout field of the records that numbers them: each number is one more than the one before",
        ),
    ],
};

/// `sum` of a trailer.
pub(super) static SUM: Section = Section {
    path: "source.FORMAT.trailer.sum",
    doc: "A total of one field over all records.",
    keys: &[
        key("field", "string", Required, "layout field that is added up"),
        key("equals", "string", Required, "layout field of the trailer that has the total"),
    ],
};

/// `controls` of a source.
pub(super) static CONTROL: Section = Section {
    path: "source.FORMAT.controls",
    doc: "What a file of several record types must balance to, judged before anything of it is staged. Exactly one of `count`, `sum`, `hash`, `sequence`, `file_sequence`.",
    keys: &[
        key("count", "record type or array", Optional, "counts the records of these types; `*` counts all"),
        key("sum", "RECORD.FIELD or array", Optional, "adds up a field"),
        key("hash", "RECORD.FIELD or array", Optional, "adds up a field and keeps the last `digits` digits"),
        key("digits", "integer", Optional, "of a hash total: how many digits it has"),
        key("equals", "RECORD.FIELD", Optional, "the trailer's field that says what `count`, `sum` or `hash` is due"),
        key("within", "record type", Optional, "begins a new group with each such record; the file is one when absent"),
        key("sequence", "RECORD.FIELD", Optional, "each number is one more than the one before in the group"),
        key("first", "integer", Optional, "with `sequence`: the first number of a group"),
        key(
            "file_sequence",
            "RECORD.FIELD",
            Optional,
            "the file's own number: one more than that of the file staged before",
        ),
    ],
};

/// A field's rules.
pub(super) static FIELD: Section = Section {
    path: "fields.NAME",
    doc: "What a field is made of. Exactly one of `from`, `constant`, `object` makes it (`object` and `each` may have `from` beside them).",
    keys: &[
        key("from", "string", Optional, "the layout's field, qualified by `.` where the name alone is ambiguous"),
        key(
            "type",
            "string | integer | decimal(p,s) | number | boolean | date | time | datetime | bytes | object | array | any",
            Optional,
            "what it becomes; as the layout says when absent",
        ),
        key("title", "string", Optional, "name for people, for the schema"),
        key("description", "string", Optional, "longer text for people, for the schema"),
        key("constant", "string, number or boolean", Optional, "the same value in every record"),
        key("object", "table of fields", Optional, "fields below this one; with `from`, taken from that group"),
        key(
            "each",
            "table",
            Optional,
            "one element for each occurrence of the repeating `from`: a table of fields for a group, of rules for a single field",
        ),
        key(
            "skip",
            "condition",
            Optional,
            "with `each`: leaves out the occurrences for which it holds, like `SKU is blank`",
        ),
        key("null_if", "array of strings or numbers", Optional, "values of the source that mean null"),
        key(
            "blank",
            "\"null\" | \"zero\" | \"reject\"",
            Optional,
            "what a blank means; when absent a blank text is \"\" and any other blank is a reject. Where it is given, it goes for binary numbers and floats too that are filled with blanks (40404040) and could be numbers",
        ),
        key("required", "boolean", Default("false"), "a null or blank value rejects the record"),
        key("default", "value of the field's type", Optional, "takes the place of null and of blank"),
        key(
            "values",
            "table",
            Optional,
            "value of the source = value to serve; anything else is a reject unless `unknown` or `values_default` says otherwise",
        ),
        key("values_default", "value of the field's type", Optional, "what a value outside `values` becomes"),
        key("unknown", "\"reject\" | \"null\" | \"keep\"", Optional, "what happens to a value outside `values`"),
        key("lookup", "string", Optional, "the table of `[lookups]` that translates the value"),
        key("trim", "\"both\" | \"left\" | \"right\"", Optional, "spaces to take off, beyond what the layout trims"),
        key("case", "\"upper\" | \"lower\"", Optional, "letters of a string field"),
        key("pattern", "regular expression", Optional, "a string must match it somewhere: anchor it by ^ and $"),
        key("min_length", "integer", Optional, "fewest characters of a string"),
        key("max_length", "integer", Optional, "most characters of a string"),
        key("min", "number, or date as string", Optional, "smallest value allowed"),
        key("max", "number, or date as string", Optional, "largest value allowed"),
        key("decimal_point", "\".\" | \",\"", Optional, "overrides that of `[source]`"),
        key("grouping", "one of . , ' _ or space", Optional, "overrides that of `[source]`; \"\" for none"),
        key("implied_scale", "integer", Optional, "so many digits stand behind a decimal point that is not written"),
        key(
            "as",
            "\"number\" | \"string\"",
            Optional,
            "how an integer or decimal is written in JSON; as a number up to 15 digits when absent",
        ),
        key("true_if", "array of strings", Optional, "what means true; when absent: true, yes, y, t, 1 in any case"),
        key("false_if", "array of strings", Optional, "what means false; when absent: false, no, n, f, 0 in any case"),
        key(
            "format",
            "string or array of strings",
            Optional,
            "of a date or time: %Y %y %m %d %j %H %I %M %S %f %p %b %B %z, and %.f for a fraction with its point where there is one; the first of several that fits",
        ),
        key("zone", "string", Optional, "IANA time zone of a datetime, which is then served in UTC"),
        key("century_pivot", "integer", Default("69"), "two-digit years below it are 20YY, the others 19YY"),
    ],
};

/// `[lookups.NAME]`.
pub(super) static LOOKUP: Section = Section {
    path: "lookups.NAME",
    doc: "A table that translates values.",
    keys: &[
        key("csv", "string", Required, "CSV file in UTF-8 with a header row, relative to the mapping"),
        key("delimiter", "string", Default("\",\""), "what stands between its columns"),
        key("key", "string", Required, "column that has the source's value"),
        key("value", "string", Required, "column that has the value to serve"),
        key(
            "missing",
            "\"reject\" | \"null\" | \"keep\"",
            Default("\"reject\""),
            "what happens to a value that the table does not have",
        ),
    ],
};

/// `[serve]`.
pub(super) static SERVE: Section = Section {
    path: "serve",
    doc: "How the resource is served.",
    keys: &[
        key(
            "mode",
            "\"staged\" | \"live\" | \"hybrid\"",
            Optional,
            "where answers come from: staging; the backend, each time; staging while that is fresh, else the backend. When absent, `staged` for files and `live` for a service that is called",
        ),
        key(
            "filter",
            "array of field paths",
            Optional,
            "fields that callers may filter by: `status`, `customer.crm_id`",
        ),
        key("sort", "array of field paths", Optional, "fields that callers may sort by"),
        key(
            "max_age",
            "duration",
            Optional,
            "older than this counts as stale; a hybrid resource then asks the backend",
        ),
        key(
            "stale_if_error",
            "duration",
            Optional,
            "of a resource that is live or hybrid: when the backend cannot be asked, what is stale for at most so long is served, marked so",
        ),
        key(
            "deleted",
            "\"tombstone\" | \"ignore\"",
            Optional,
            "what becomes of a document whose row is gone from a table or query: it is deleted, or stays; `tombstone` when absent. Of files, `ignore`: absence from a file means nothing",
        ),
        key("read_scope", "string", Optional, "the scope that reading takes; `RESOURCE:read` when absent"),
        key(
            "deprecated",
            "date or timestamp",
            Optional,
            "from when on this version should not be used any more: answers say so by `Deprecation` (RFC 9745)",
        ),
        key(
            "sunset",
            "date or timestamp",
            Optional,
            "when this version stops answering: answers say so by `Sunset` (RFC 8594), and are 410 from then on",
        ),
        key("successor", "integer", Optional, "the version that takes its place; answers link to it"),
        key("notice", "string", Optional, "URL of a page for people about the end of this version; answers link to it"),
        key(
            "rows",
            "table of field path = claim",
            Optional,
            "whoever reads or writes sees only records whose field is as a claim of theirs says, like `{ customer_no = \"claims.customer\" }`; of a claim with several values, as one of them. Without the claim nothing is seen (403); with the scope `RESOURCE:all` or `*` everything",
        ),
        key(
            "mask",
            "table of field path = scope",
            Optional,
            "fields that take a scope of their own, like `{ \"customer.name\" = \"pii:read\" }`. For whoever has neither it nor `*` they are not there: not in records, columns, `fields`, filters and sorts, nor in entity tags",
        ),
        key(
            "relations",
            "table of relations",
            Optional,
            "records of other resources that callers may have beside those of this one (`include=NAME`)",
        ),
    ],
};

/// `[serve.relations.NAME]`.
pub(super) static RELATION: Section = Section {
    path: "serve.relations.NAME",
    doc: "Records of another resource, which stand under `NAME` where a caller asks for `include=NAME` and has the scope of that resource. Both are staged.",
    keys: &[
        key("resource", "string", Required, "the other resource; of the same version, or as `customers.v2`"),
        key(
            "key",
            "field path or array of them",
            Optional,
            "the fields here whose values are the other record's key: there is one, or null. With `field`, the one field that is compared with it; the key of this resource when absent",
        ),
        key(
            "field",
            "field path",
            Optional,
            "a filter of the other resource: there are as many as have the value of `key` in it",
        ),
        key(
            "limit",
            "integer",
            Default("20"),
            "with `field`: records beside one at most, up to 1000; the answer has a link to the rest",
        ),
    ],
};

/// All of them in the order of the reference.
pub(super) static ALL: &[&Section] = &[&MAPPING, &SOURCE, &TRAILER, &SUM, &CONTROL, &FIELD, &LOOKUP, &SERVE, &RELATION];

/// A key that is part of the language but not of this version, and what to do instead.
pub(super) type Unavailable = (&'static str, &'static str);

pub(super) const NOT_IN_MAPPING: &[Unavailable] = &[];

pub(super) const NOT_IN_FIELD: &[Unavailable] =
    &[("expr", "computed fields are not there yet; use `values`, `lookup`, `constant` or compute in the caller")];

pub(super) const NOT_IN_LOOKUP: &[Unavailable] =
    &[("resource", "export the other resource to a CSV file and name it by `csv`")];

/// Reports the keys of `node` that this version does not have, and answers the node without them.
pub(super) fn without_unavailable(node: &Node, place: &str, keys: &[Unavailable], faults: &Faults) -> Node {
    let mut node = node.clone();
    if let Written::Table(entries) = &mut node.value {
        for (name, help) in keys {
            if let Some(entry) = entries.shift_remove(*name) {
                let message = format!("`{name}` in `{place}` is not available for this kind of source yet");
                faults.push(entry.key_fault(message).help(*help));
            }
        }
    }
    node
}

#[cfg(test)]
mod tests {
    use super::ALL;
    use crate::diagnostic::{Faults, Presence, SourceText, parse};
    use std::collections::HashSet;
    use std::path::Path;

    #[test]
    fn keys_are_distinct_and_documented_and_defaults_are_toml() {
        for section in ALL {
            let names: HashSet<_> = section.keys.iter().map(|key| key.name).collect();
            assert_eq!(names.len(), section.keys.len(), "{}", section.path);
            for key in section.keys {
                assert!(!key.doc.is_empty() && !key.shape.is_empty(), "{}.{}", section.path, key.name);
                if let Presence::Default(text) = key.presence {
                    let faults = Faults::new();
                    parse(&SourceText::new(Path::new("default"), format!("value = {text}")), &faults);
                    assert!(faults.is_empty(), "{}.{}", section.path, key.name);
                }
            }
        }
    }
}
