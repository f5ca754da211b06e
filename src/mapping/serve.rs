//! `[serve]` and the top level: what callers may ask of the resource, checked against its fields.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::access::Access;
use super::exposure::{ExposedRelation, Exposure, FieldType, Mode, Offset, QueryField, Retirement};
use super::operations::ExposedOperation;
use super::plan::{Field, Rule};
use super::schema::Shape;
use super::sections::SERVE;
use super::{rows, soap};
use crate::diagnostic::{Entries, Faults, Node, Table, Written, nearest};
use crate::record::ResourceId;

/// Names that the list request has a meaning of its own for.
const RESERVED: [&str; 8] = ["or", "and", "sort", "limit", "cursor", "fields", "count", "include"];

/// Whether requests use a name for something else, so that it can be no filter.
pub fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name)
}

/// Integers of up to so many digits compare exactly in every database.
const COMPARABLE_DIGITS: u8 = 18;

/// What the top level says of the resource.
pub(super) struct Heading {
    pub(super) id: ResourceId,
    pub(super) title: Option<String>,
    pub(super) description: Option<String>,
    pub(super) key: Vec<String>,
    pub(super) lists: bool,
    pub(super) relations: Vec<ExposedRelation>,
    pub(super) access: Access,
    pub(super) operations: Vec<ExposedOperation>,
    pub(super) fault_statuses: Vec<u16>,
    pub(super) example: Option<serde_json::Value>,
}

/// What becomes of a document that its source says is no more, or does not have any more when all of it was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Deleted {
    /// It is deleted: a tombstone and an entry of the feed tell so.
    Tombstone,
    /// It stays.
    #[default]
    Ignore,
}

/// What `[serve]` says.
#[derive(Default)]
pub(super) struct Serving {
    filter: Vec<QueryField>,
    sort: Vec<QueryField>,
    mode: Mode,
    max_age: Option<Duration>,
    stale_if_error: Option<Duration>,
    read_scope: Option<String>,
    retirement: Retirement,
    pub(super) deleted: Deleted,
}

/// How a resource's records are got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// They come in files.
    Files,
    /// A service is called for each.
    Service,
    /// A service is polled.
    Poll,
    /// A service is polled, and called for single records.
    PollAndCall,
    /// A database is asked: for what has changed, or for one.
    Database,
}

impl Reach {
    /// By what `[source]` has.
    pub(super) fn of(source: Option<&Entries>) -> Reach {
        let has = |kind: &str| source.is_some_and(|entries| entries.contains_key(kind));
        let soap = source.and_then(|entries| entries.get(soap::KIND)).and_then(Node::as_table);
        let is_polled = soap.is_some_and(|soap| soap::POLLED.iter().any(|key| soap.contains_key(*key)));
        match (has(soap::KIND), rows::KINDS.iter().any(|kind| has(kind))) {
            (true, _) if is_polled && soap.is_some_and(|soap| soap.contains_key("by_key")) => Reach::PollAndCall,
            (true, _) if is_polled => Reach::Poll,
            (true, _) => Reach::Service,
            (false, true) => Reach::Database,
            (false, false) => Reach::Files,
        }
    }
}

impl Serving {
    pub(super) fn mode(&self) -> Mode {
        self.mode
    }

    pub(super) fn filter(&self) -> &[QueryField] {
        &self.filter
    }
}

/// Reads `[serve]`; it may be absent.
pub(super) fn serving(node: Option<&Node>, shape: &Shape, reach: Reach, faults: &Faults) -> Option<Serving> {
    let usual = if reach == Reach::Service { Mode::Live } else { Mode::Staged };
    let tells_deletes = matches!(reach, Reach::Database | Reach::Poll | Reach::PollAndCall);
    let deleted = if tells_deletes { Deleted::Tombstone } else { Deleted::Ignore };
    let Some(node) = node else { return Some(Serving { mode: usual, deleted, ..Serving::default() }) };
    let table = Table::new(node, &SERVE, faults)?;
    let mode = match table.has("mode") {
        true => table.read("mode", |node| mode(node, reach)),
        false => Some(usual),
    };
    let said = table.read("deleted", |node| match node.as_str() {
        Some("ignore") => Ok(Deleted::Ignore),
        Some("tombstone") if tells_deletes => Ok(Deleted::Tombstone),
        Some("tombstone") => {
            Err("\"tombstone\" is for tables, queries and services that are polled; a record that is absent from a file stays".to_owned())
        }
        _ => Err("expected \"tombstone\" or \"ignore\"".to_owned()),
    });
    let mut filter = query_fields(&table, "filter", shape);
    if mode == Some(Mode::Live) {
        // What a filter says is bound as the column's own type, which the mapping knows as one without an offset.
        for field in &mut filter {
            if let FieldType::Datetime { offset: offset @ Offset::AsRead, .. } = &mut field.field_type {
                *offset = Offset::Local;
            }
        }
    }
    let serving = Serving {
        filter,
        sort: query_fields(&table, "sort", shape),
        mode: mode.unwrap_or_default(),
        max_age: table.duration("max_age"),
        stale_if_error: table.duration("stale_if_error"),
        read_scope: table.read("read_scope", scope),
        retirement: retirement(&table),
        deleted: said.unwrap_or(deleted),
    };
    check_freshness(&table, mode, reach);
    Some(serving)
}

fn mode(node: &Node, reach: Reach) -> Result<Mode, String> {
    match (node.as_str(), reach) {
        (Some("staged"), Reach::Files | Reach::Database | Reach::Poll | Reach::PollAndCall) => Ok(Mode::Staged),
        (Some("live"), Reach::Service | Reach::Database) => Ok(Mode::Live),
        (Some("hybrid"), Reach::Service | Reach::Database | Reach::PollAndCall) => Ok(Mode::Hybrid),
        (Some("live"), Reach::PollAndCall) => {
            Err("what is polled is staged: \"hybrid\" asks the service where that is too old".to_owned())
        }
        (Some("staged"), Reach::Service) => Err(
            "nothing would be staged: to have the service polled, say in `[source.soap]` how what changed is found \
                 (`watermark`, `window`, `snapshot`)"
                .to_owned(),
        ),
        (Some("live" | "hybrid"), Reach::Poll) => Err(
            "a service that is polled brings what is staged; live answers need an operation that is called by key: name \
                 it by `[source.soap.by_key]`"
                .to_owned(),
        ),
        (Some("live" | "hybrid"), Reach::Files) => {
            Err("only \"staged\" is available for files: live answers need a backend that can be called".to_owned())
        }
        _ => Err("expected \"staged\", \"live\" or \"hybrid\"".to_owned()),
    }
}

/// How this version ends, as far as it can be judged alone.
fn retirement(table: &Table<'_>) -> Retirement {
    let successor = table.integer("successor", 1..=9999).and_then(|number| u32::try_from(number).ok());
    let (deprecated, sunset) = (table.read("deprecated", moment), table.read("sunset", moment));
    if let (Some(deprecated), Some(sunset), Some(node)) = (deprecated, sunset, table.get("sunset"))
        && sunset < deprecated
    {
        let fault = node.fault("`sunset` is before `deprecated` (RFC 9745 section 4)");
        table.fail(fault.help("a version is first told to be old, then it stops answering"));
    }
    let notice = table.read("notice", |node| {
        let text = node.as_str().unwrap_or_default();
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"<>\"\\^`{|}".contains(&byte);
        let is_url = text.starts_with("https://") || text.starts_with("http://");
        if is_url && text.bytes().all(plain) { Ok(text.to_owned()) } else { Err("expected a URL".to_owned()) }
    });
    Retirement { deprecated, sunset, successor, notice }
}

/// A day, which begins in UTC, or a moment.
fn moment(node: &Node) -> Result<Timestamp, String> {
    let text = match &node.value {
        Written::String(text) | Written::Datetime(text) => text.as_str(),
        _ => "",
    };
    let day = || text.parse::<jiff::civil::Date>().ok()?.to_zoned(TimeZone::UTC).ok();
    let moment = text.parse::<Timestamp>().ok().or_else(|| day().map(|day| day.timestamp()));
    moment.ok_or_else(|| "expected a day like \"2027-06-01\", or a moment like \"2027-06-01T12:00:00Z\"".to_owned())
}

/// Keys that mean nothing in a mode, or are needed by it.
fn check_freshness(table: &Table<'_>, mode: Option<Mode>, reach: Reach) {
    let meaningless = |name: &str, why: &str| {
        if let Some(node) = table.get(name) {
            table.fail(node.key_fault(format!("`{name}` has no meaning here: {why}")));
        }
    };
    match mode {
        Some(Mode::Staged) => meaningless("stale_if_error", "what is staged is served however old it is"),
        Some(Mode::Live) if reach == Reach::Database => {
            meaningless("sort", "a live list comes in the order of its key; a hybrid resource sorts what is staged");
        }
        Some(Mode::Live) => {
            for name in ["filter", "sort"] {
                meaningless(name, "a live resource has no list; a hybrid one lists what is staged");
            }
        }
        Some(Mode::Hybrid) if !table.has("max_age") => {
            let fault = table.node().key_fault("a hybrid resource needs `max_age`");
            table.fail(
                fault.help("say how old what is staged may be before the backend is asked, like max_age = \"5m\""),
            );
        }
        Some(Mode::Hybrid) | None => {}
    }
}

/// Composes what the facade sees.
pub(super) fn exposure(heading: Heading, shape: &Shape, serving: Serving) -> Exposure {
    let Heading { id, title, description, key, lists, relations, access, operations, fault_statuses, example } =
        heading;
    let title = title.unwrap_or_else(|| id.name().to_owned());
    let mut schema = shape.schema.clone();
    if let Some(root) = schema.as_object_mut() {
        root.insert("$schema".to_owned(), "https://json-schema.org/draft/2020-12/schema".into());
        root.insert("title".to_owned(), title.clone().into());
        if let Some(description) = &description {
            root.insert("description".to_owned(), description.clone().into());
        }
    }
    let Serving { filter, sort, mode, max_age, stale_if_error, read_scope, retirement, deleted: _ } = serving;
    let read_scope = read_scope.unwrap_or_else(|| format!("{}:read", id.name()));
    Exposure {
        id,
        title,
        description,
        key,
        filter,
        sort,
        relations,
        access,
        read_scope,
        mode,
        max_age,
        stale_if_error,
        schema,
        lists,
        operations,
        retirement,
        fault_statuses,
        example,
    }
}

pub(super) fn scope(node: &Node) -> Result<String, String> {
    let text = node.as_str().ok_or_else(|| format!("expected a string, found {}", node.kind()))?;
    let part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'_' | b'-' | b'.');
    if !text.is_empty() && text.bytes().all(part) {
        Ok(text.to_owned())
    } else {
        Err(format!("`{text}` is no scope: letters, digits and `:._-`, like \"orders:read\""))
    }
}

fn query_fields(table: &Table<'_>, name: &str, shape: &Shape) -> Vec<QueryField> {
    let Some(node) = table.get(name) else { return Vec::new() };
    let single = std::slice::from_ref(node);
    let mut fields: Vec<QueryField> = Vec::new();
    for element in node.as_array().unwrap_or(single) {
        let Some(path) = element.as_str() else {
            table.fail(element.fault(format!("`{name}` lists fields by name, found {}", element.kind())));
            continue;
        };
        if fields.iter().any(|field| field.path == path) {
            table.fail(element.fault(format!("`{path}` stands in `{name}` twice")));
            continue;
        }
        let Some(found) = find_in(table, element, path, shape) else { continue };
        if found.broken {
            continue;
        }
        if let Err(why) = comparable(found) {
            table.fail(element.fault(format!("`{path}` cannot be in `{name}`: {why}")));
            continue;
        }
        if name == "filter" && is_reserved(path) {
            let fault =
                element.fault(format!("`{path}` cannot be a filter: `?{path}=` means something else in requests"));
            table.fail(fault.help("give the field another name"));
            continue;
        }
        fields.push(QueryField { path: path.to_owned(), field_type: found.field_type });
    }
    fields
}

/// Whether values of a field have an order, in every database; the fault is a phrase.
pub(super) fn comparable(found: &Shape) -> Result<(), &'static str> {
    match found.field_type {
        FieldType::Object => Err("it is an object; name a field below it"),
        FieldType::Array => Err("it is an array"),
        FieldType::Bytes | FieldType::Any => Err("its values have no order; give it a type that has"),
        FieldType::Integer { .. } | FieldType::Decimal { as_string: true, .. } => match found.digits {
            Some(digits) if digits <= COMPARABLE_DIGITS => Ok(()),
            None if found.field_type == (FieldType::Integer { as_string: false }) => Ok(()),
            Some(_) => Err("numbers of more than 18 digits are not compared exactly; declare fewer digits"),
            None => Err("it is not known how many digits it can have; say `min` and `max`"),
        },
        FieldType::Decimal { precision, .. } if precision > 15 => {
            Err("a JSON number of more than 15 digits is not compared exactly; serve it as = \"string\"")
        }
        _ => Ok(()),
    }
}

fn find_in<'a>(table: &Table<'_>, node: &Node, path: &str, shape: &'a Shape) -> Option<&'a Shape> {
    let faults = Faults::new();
    let found = find(&faults, node, path, shape);
    faults.into_sorted().into_iter().for_each(|fault| table.fail(fault));
    found
}

/// The field at a path, which a node names; `None` after reporting that there is none.
pub(super) fn find<'a>(faults: &Faults, node: &Node, path: &str, shape: &'a Shape) -> Option<&'a Shape> {
    if let Some(found) = shape.find(path) {
        return Some(found);
    }
    let mut outer = path;
    while let Some((before, _)) = outer.rsplit_once('.') {
        if shape.find(before).is_some_and(|found| found.field_type == FieldType::Array) {
            faults
                .push(node.fault(format!("`{path}` lies inside the array `{before}`, which has many values a record")));
            return None;
        }
        outer = before;
    }
    let paths = shape.scalar_paths();
    let fault = node.fault(format!("there is no field `{path}`"));
    faults.push(match nearest(path, paths.iter().map(String::as_str)) {
        Some(near) => fault.help(format!("did you mean `{near}`?")),
        None => fault.help(format!("the fields are: {}", paths.join(", "))),
    });
    None
}

/// Marks the fields of the key; answers their paths.
pub(super) fn key(table: &Table<'_>, fields: &mut [Field], shape: &Shape) -> Option<Vec<String>> {
    let node = table.get("key");
    let Some(node) = node else {
        table.strings("key");
        return None;
    };
    let single = std::slice::from_ref(node);
    let written = node.as_array().unwrap_or(single);
    if written.is_empty() {
        table.fail(node.fault("`key` names no field").help("name the fields that identify a record"));
        return None;
    }
    let mut paths: Vec<String> = Vec::new();
    let mut sound = true;
    for element in written {
        let Some(path) = element.as_str() else {
            table.fail(element.fault(format!("`key` lists fields by name, found {}", element.kind())));
            return None;
        };
        let fault = if paths.iter().any(|known| known == path) {
            Some("it stands in `key` twice")
        } else {
            match find_in(table, element, path, shape) {
                None => {
                    sound = false;
                    continue;
                }
                Some(found) if found.broken => None,
                Some(found) if found.nullable => Some("it can be null; a key is always there"),
                Some(found) => match found.field_type {
                    FieldType::Object | FieldType::Array => Some("it is no single value"),
                    FieldType::Number | FieldType::Any | FieldType::Bytes => {
                        Some("its type has no one spelling; take a string, integer, decimal or date")
                    }
                    _ => mark(fields, path, paths.len()).err(),
                },
            }
        };
        if let Some(why) = fault {
            table.fail(element.fault(format!("`{path}` cannot be part of the key: {why}")));
            sound = false;
        }
        paths.push(path.to_owned());
    }
    sound.then_some(paths)
}

fn mark(fields: &mut [Field], path: &str, part: usize) -> Result<(), &'static str> {
    const GONE: &str = "there is no such field";
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let field = fields.iter_mut().find(|field| field.name == first).ok_or(GONE)?;
    match (&mut field.rule, rest) {
        (Rule::Object(inner), Some(rest)) => mark(inner, rest, part),
        (Rule::Scalar(scalar), None) if scalar.null.as_ref().is_some_and(|json| json != b"null") => {
            Err("it has a default, which would be the key of many records")
        }
        (Rule::Scalar(scalar), None) => {
            scalar.in_key = true;
            field.key = Some(part);
            Ok(())
        }
        (Rule::Constant(_), None) => Err("it is the same in every record"),
        _ => Err(GONE),
    }
}
