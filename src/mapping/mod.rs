//! RawRecord -> Document: a mapping file compiled against its layout into a plan that runs per record.
//!
//! Two steps, two types: what a person wrote is read and judged by [`compile`], which reports every fault of
//! the file at its place in one go; what it answers, a [`Plan`], has no name left to look up. The compiled
//! rules are plain values walked in the order of the document ([`Mapper`]); bad data is a value there
//! ([`Mapped::Reject`]), never an error. Pure: no file, no clock, no network; callers hand in the texts that
//! [`texts`] names.

mod access;
mod condition;
mod controls;
mod convert;
mod example;
mod expect;
mod exposure;
mod field;
mod json;
mod literal;
mod lookup;
mod named;
mod number;
mod operations;
mod pattern;
mod place;
mod plan;
mod preset;
mod relation;
mod rows;
mod rules;
mod scalar;
mod schedule;
mod schema;
mod sections;
mod serial;
mod serve;
mod soap;
mod source;
mod temporal;
#[cfg(test)]
mod testing;
mod totals;
mod types;

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::decode::{Decoder, Format, edi};
use crate::diagnostic::{Entries, Faults, Node, Section, SourceText, Table, parse};
use crate::record::ResourceId;
use field::{Context, compile_fields, is_name};
use lookup::Lookup;
use named::{service_hashes, texts_of};
use place::Surroundings;
use plan::Rules;
use rows::Heard;
use schema::Shape;
use sections::{MAPPING, NOT_IN_MAPPING, without_unavailable};
use serve::{Heading, Reach};
use source::{Source, Written};

pub use crate::wsdl::SoapVersion;
pub use access::{Access, Masked, RowBound};
pub use controls::Controls;
pub use expect::Expectation;
pub use exposure::{
    ExposedRelation, Exposure, FieldType, Fraction, Mode, Offset, QueryField, RelationLink, Retirement,
};
pub use named::{services_of, texts};
pub use operations::{
    BodyMember, Bound, Brought, ExposedOperation, FileWrite, Given, InputFault, KnownProblem, MOST_FAULTS, NotARequest,
    OfCaller, ReadyAction, ReadyStep, Said, ServiceCall, ServiceLook, ServiceWrite, TEXT_PATTERNS, Verb,
    WriteOperation, WriteRequest, WrittenFile,
};
pub use plan::{LONGEST_KEY, Mapped, Mapper};
pub use preset::{PRESETS, Preset, reference as preset_reference};
pub use relation::misfit;
pub use rows::{Changes, LiveColumn, LiveRows, Null, OPERATION, Overlap, ROW, Relation, RowSource, Rows, Watermark};
pub use schedule::{CronSchedule, Schedule};
pub use serial::Serial;
pub use serve::{Deleted, is_reserved};
pub use soap::{
    ErrorWhen, FaultFacts, FaultRule, GivenPlaces, Judgement, MomentForm, NoServices, Operation, Paging, PollChanges,
    PollValues, PollWatermark, Polling, SaidNo, Sent, ServiceWsdl, Services, Window,
};
pub use source::{OnDamage, OnReject};
pub use types::{DATE_PATTERN, TIME_PATTERN, decimal_text_pattern};

/// `/v1/operations/ID` says how a write stands.
const OPERATIONS: &str = "operations";

/// What the records of a mapping are made of at their backend.
#[derive(Clone, Debug)]
pub enum Origin {
    /// Files whose names fit this pattern, without a path.
    Files(String),
    /// What an operation answers, called for one record.
    Call(Operation),
    /// Rows that a database has.
    Rows(Rows),
}

impl Origin {
    /// Whether its backend can be asked for a single record.
    pub fn can_ask(&self) -> bool {
        match self {
            Origin::Files(_) => false,
            Origin::Call(operation) => operation.polling.is_none(),
            Origin::Rows(rows) => rows.live.is_some(),
        }
    }
}

/// A compiled mapping. Share it by `Arc`; each thread takes a [`Mapper`] of its own.
#[derive(Clone)]
pub struct Plan {
    /// What the outside world sees of the resource.
    pub exposure: Exposure,
    /// Name of the backend in the configuration.
    pub backend: String,
    /// When runs are due.
    pub schedule: Schedule,
    /// When a file must have come.
    pub expect: Option<Expectation>,
    /// What a bad record means for its file.
    pub on_reject: OnReject,
    /// What a compressed file that is damaged means for the records before the damage.
    pub on_damage: OnDamage,
    /// What becomes of documents that the source does not have any more.
    pub deleted: Deleted,
    /// What is asked for at the backend.
    pub origin: Origin,
    /// Turns the files' bytes into records.
    pub decoder: Decoder,
    /// What is so where a field does not say otherwise.
    pub preset: Option<&'static Preset>,
    /// What may be written.
    pub operations: Vec<Arc<WriteOperation>>,
    /// SHA-256, in hex, of the mapping's text and of every text that it uses.
    pub hash: String,
    rules: Arc<Rules>,
    /// What reads and maps records that have only the columns of the key.
    keys: Option<(Decoder, Arc<Rules>)>,
    /// The plan by which single records are asked for of a service that is polled.
    single: Option<Arc<Plan>>,
}

impl Plan {
    /// The plan by which the backend is called for one record: this one, or that of `by_key` where the backend is polled.
    /// `None` where no operation is called by key.
    pub fn for_one(plan: &Arc<Plan>) -> Option<Arc<Plan>> {
        match &plan.origin {
            Origin::Call(operation) if operation.polling.is_none() => Some(Arc::clone(plan)),
            Origin::Call(_) => plan.single.clone(),
            Origin::Files(_) | Origin::Rows(_) => None,
        }
    }

    /// What maps records, with scratch space of its own and control totals at zero: one for each thread and
    /// each file.
    pub fn mapper(&self) -> Mapper {
        Mapper::new(Arc::clone(&self.rules))
    }

    /// Whether runs bring its records; others come one by one, when somebody asks.
    pub fn is_run(&self) -> bool {
        !matches!(&self.origin, Origin::Call(operation) if operation.polling.is_none())
    }

    /// The plan for records that have only the columns of the key ([`Rows::key_columns`]): its documents are no whole ones,
    /// but have the key that the whole ones would have. `None` where the source is no database.
    pub fn keys_only(&self) -> Option<Plan> {
        let (decoder, rules) = self.keys.clone()?;
        Some(Plan { decoder, rules, ..self.clone() })
    }

    /// Control totals at zero, to judge a file before anything of it is mapped; `None` when the mapping has
    /// neither `trailer` nor `controls`.
    pub fn controls(&self) -> Option<Controls> {
        Controls::new(&self.rules)
    }
}

/// Every table of a mapping file with its keys, in the order of the reference.
pub fn sections() -> Vec<&'static Section> {
    let mut all = vec![&sections::MAPPING, &sections::SOURCE];
    all.extend(Format::KINDS.iter().filter_map(|kind| Format::section(kind)));
    all.extend(soap::ALL);
    all.extend([&rows::TABLE, &rows::QUERY, &rows::WATERMARK]);
    all.push(&crate::decode::fixed_width::FIELD_SECTION);
    all.push(Format::FRAME_HEADER);
    all.extend([&edi::SCHEMA, &edi::SEGMENT, &edi::ELEMENT, &edi::CONTENT]);
    all.extend(
        sections::ALL.iter().copied().filter(|section| {
            !std::ptr::eq(*section, &sections::MAPPING) && !std::ptr::eq(*section, &sections::SOURCE)
        }),
    );
    all.extend(operations::ALL);
    all
}

/// Compiles a mapping file. `texts` answers with what the caller has read of the files that [`texts`] names.
/// Every fault of the file goes to `faults`; `None` when there were any.
pub fn compile(
    source: &Arc<SourceText>,
    texts: &dyn Fn(&str) -> Option<Arc<SourceText>>,
    faults: &Faults,
) -> Option<Plan> {
    compile_with(source, texts, &NoServices, faults)
}

/// As [`compile`], where mappings may call services by what these say of themselves.
pub fn compile_with(
    source: &Arc<SourceText>,
    texts: &dyn Fn(&str) -> Option<Arc<SourceText>>,
    services: &dyn Services,
    faults: &Faults,
) -> Option<Plan> {
    let before = faults.len();
    let syntax = Faults::new();
    let root = parse(source, &syntax);
    if !syntax.is_empty() {
        // What a file with broken syntax leaves out is anyone's guess, and what follows a fault on its line is
        // mostly its echo.
        let mut broken = syntax.into_sorted();
        broken.dedup_by_key(|fault| fault.location().0);
        faults.extend(broken);
        return None;
    }
    let root = preset::with_code_page(without_unavailable(&root, "mapping", NOT_IN_MAPPING, faults));
    let table = Table::new(&root, &MAPPING, faults)?;
    let name = table.filled("resource");
    let version = table.integer("version", 1..=9999);
    let (title, description) = (table.filled("title"), table.filled("description"));
    let id = resource_id(&table, name.as_deref(), version);
    let source_node = table.get("source");
    if source_node.is_none() {
        table.table("source", &sections::SOURCE);
    }
    let mut from = source_node.and_then(|node| Source::read(node, services, faults));
    let decoder = match from.as_mut().and_then(|from| from.decoder.take()) {
        Some(ready) => Some(ready),
        None => from.as_ref().and_then(|from| from.format.as_ref()).and_then(|format| format.compile(texts, faults)),
    };
    let mut lookups: HashMap<String, Option<Arc<Lookup>>> = HashMap::new();
    for (name, node) in table.free("lookups") {
        lookups.insert(name.to_owned(), Lookup::compile(name, node, texts, faults).map(Arc::new));
    }
    // The key's fields as they are written: whether they are right is judged with the fields.
    let mut rows_written = None;
    let origin = from.as_mut().and_then(|from| from.origin.take()).map(|origin| match origin {
        Written::Files(pattern) => Some(Origin::Files(pattern)),
        Written::Call(written) => written.compile(&written_key(&table), texts, faults).map(Origin::Call),
        Written::Rows(written) => {
            rows_written = Some(*written);
            None
        }
    });
    let fields = field_entries(&table);
    let serve_node = table.get("serve");

    let source_entries = source_node.and_then(Node::as_table);
    let reach = Reach::of(source_entries);
    let (Some(from), Some(decoder)) = (from, decoder) else {
        // Without a layout no rule can be judged, but the words can.
        if let Some(entries) = fields {
            field::check_words(entries, faults);
        }
        if !table.has("key") {
            table.strings("key");
        }
        serve::serving(serve_node, &Shape::broken(), reach, faults);
        return None;
    };
    let heard = Heard::new(decoder.layout());
    let (mut skip, mut trailer, mut controls) = (Vec::new(), None, Vec::new());
    if let Some(inner) = &from.table {
        skip = source::skip(inner, &heard, from.style, faults);
        if inner.section().key("trailer").is_some() {
            trailer = source::trailer(inner, &heard, from.style, faults);
        }
        if Format::has_controls(inner) {
            controls = totals::compile(inner, &heard, from.style, faults);
        }
    }
    let says_null = decoder.layout().says_null();
    let preset = table.read("preset", |node| match node.as_str() {
        Some(name) => Preset::find(name),
        None => Err(format!("expected a string, found {}", node.kind())),
    });
    let context = Context { lookups: &lookups, style: from.style, says_null, preset, faults };
    let fields = fields?;
    let mut compiled = compile_fields(fields, &Surroundings::record(&heard), &context);
    let key = serve::key(&table, &mut compiled.fields, &compiled.shape);
    let serving = serve::serving(serve_node, &compiled.shape, reach, faults);
    let (mut relations, mut access) = (Vec::new(), Access::default());
    if let (Some(serve), Some(serving), Some(id), Some(key)) = (&serve_node, &serving, &id, &key) {
        let around = relation::Around { id, key, shape: &compiled.shape, mode: serving.mode() };
        relations = relation::relations(serve, &around, faults);
        access = access::access(serve, key, &compiled.shape, faults);
    }
    let written = written_key(&table);
    let around = operations::Surroundings {
        resource: name.as_deref().unwrap_or_default(),
        fields: Some(fields),
        shape: &compiled.shape,
        key: key.as_deref().unwrap_or(&written),
        backend: from.backend.as_deref(),
        can_reread: matches!(reach, Reach::Service | Reach::PollAndCall | Reach::Database),
        layout: (reach == Reach::Files).then_some((from.kind, &decoder)),
        services,
        texts,
        faults,
    };
    let operations = operations::compile(&table, &around);
    if let Some(operations) = table.get("operations").and_then(Node::as_table) {
        access::check_bodies(&access.rows, operations, faults);
    }
    let is_reread = operations.iter().any(|operation| operation.exposed.answers_record || operation.reads_back);
    let mut live = None;
    if reach == Reach::Database
        && let Some(serving) = serving.as_ref().filter(|serving| is_reread || serving.mode() != Mode::Staged)
    {
        let place = serve_node.as_ref().and_then(|node| node.as_table()?.get("mode")).or(table.get("key"));
        // Of what is staged the lists are, too.
        let filter = if serving.mode() == Mode::Live { serving.filter() } else { &[] };
        live = rows::compile_live(place.unwrap_or(table.node()), filter, &access.rows, preset, &around);
    } else if reach == Reach::Database && !operations.is_empty() {
        // Nobody asks for it; where it can be done, a record that was written to is looked at when that matters.
        let silent = Faults::new();
        let around = operations::Surroundings { faults: &silent, ..around };
        live = rows::compile_live(table.node(), &[], &[], preset, &around);
        live = live.filter(|_| silent.is_empty());
    }
    let example = example::read(&table, &compiled.shape.schema, texts, faults);
    if faults.len() > before {
        return None;
    }
    let (key, serving) = (key?, serving?);
    let single = match from.by_key {
        Some(by_key) => Some(single(by_key, &table, fields, &context, texts)?),
        None => None,
    };
    let key_parts = key.len();
    let exposed = operations.iter().map(|operation| operation.exposed.clone()).collect();
    let used = heard.names();
    let (mut keys, mut operation) = (None, None);
    let origin = match rows_written {
        None => origin.flatten(),
        Some(written) => {
            let format = from.format.as_ref()?;
            let of_key = rows::KeysOnly::compile(&table, fields, &key, (format, from.table.as_ref()), &context)?;
            let compiled = written.compile(used, (of_key.columns, of_key.compared), faults)?;
            keys = Some((of_key.decoder, of_key.rules));
            if compiled.source.changes.tells_deletes() {
                operation = decoder.layout().resolve(None, OPERATION).ok().map(|resolved| resolved.slot);
            }
            Some(Origin::Rows(rows::Rows { live: live.map(Arc::new), ..compiled }))
        }
    };
    let fault_statuses = match &origin {
        Some(Origin::Call(called)) => called.judgement.statuses(),
        _ => Vec::new(),
    };
    let deleted = serving.deleted;
    let mut plan = Plan {
        deleted,
        preset,
        exposure: serve::exposure(
            Heading {
                id: id?,
                title,
                description,
                key,
                lists: reach == Reach::Database,
                relations,
                access,
                operations: exposed,
                fault_statuses,
                example,
            },
            &compiled.shape,
            serving,
        ),
        backend: from.backend?,
        schedule: from.schedule?,
        expect: from.expect,
        on_reject: from.on_reject?,
        on_damage: from.on_damage?,
        origin: origin?,
        hash: {
            let files = operations.iter().filter_map(|operation| operation.file());
            let copied = files.flat_map(|file| file.copied()).chain(decoder.copied()).cloned();
            let names: Vec<String> = texts_of(&root, &Faults::new()).into_iter().chain(copied).collect();
            hash(source, &names, texts, &service_hashes(&root, services))
        },
        operations,
        decoder: decoder.with_compression(from.compression?),
        rules: Arc::new(Rules { fields: compiled.fields, key_parts, skip, trailer, controls, operation }),
        keys,
        single: None,
    };
    if let Some((operation, decoder, rules)) = single {
        plan.single = Some(Arc::new(Plan { origin: Origin::Call(operation), decoder, rules, ..plan.clone() }));
    }
    Some(plan)
}

/// What calls for single records and maps them: the same fields, compiled on the layout of another operation.
fn single(
    by_key: source::ByKey,
    table: &Table<'_>,
    fields: &Entries,
    context: &Context<'_>,
    texts: &dyn Fn(&str) -> Option<Arc<SourceText>>,
) -> Option<(Operation, Decoder, Arc<Rules>)> {
    let faults = context.faults;
    let decoder = match by_key.layout {
        soap::SoapLayout::Decoder(ready) => ready,
        soap::SoapLayout::Settings(format) => format.compile(texts, faults)?,
    };
    // The fields have compiled on the other layout: what is wrong now is wrong with this one.
    let here = Faults::new();
    let heard = Heard::new(decoder.layout());
    let around = Context { says_null: decoder.layout().says_null(), faults: &here, ..*context };
    let mut compiled = compile_fields(fields, &Surroundings::record(&heard), &around);
    serve::key(table, &mut compiled.fields, &compiled.shape);
    let wrong = here.into_sorted();
    if !wrong.is_empty() {
        let said = "its records have the same fields as those of the poll, and the answer of `by_key` differs here";
        faults.extend(wrong.into_iter().map(|fault| fault.help(said)));
        return None;
    }
    let key = written_key(table);
    let operation = by_key.written.compile(&key, texts, faults)?;
    let rules = Rules {
        fields: compiled.fields,
        key_parts: key.len(),
        skip: Vec::new(),
        trailer: None,
        controls: Vec::new(),
        operation: None,
    };
    Some((operation, decoder, Arc::new(rules)))
}

/// The names in `key`, right or wrong.
fn written_key(table: &Table<'_>) -> Vec<String> {
    let Some(node) = table.get("key") else { return Vec::new() };
    let single = std::slice::from_ref(node);
    node.as_array().unwrap_or(single).iter().filter_map(Node::as_str).map(str::to_owned).collect()
}

fn field_entries<'a>(table: &Table<'a>) -> Option<&'a Entries> {
    table.read("fields", |node| match node.as_table() {
        Some(entries) if !entries.is_empty() => Ok(()),
        Some(_) => Err("a resource has at least one field".to_owned()),
        None => Err(format!("expected a table, found {}", node.kind())),
    })?;
    table.get("fields").and_then(Node::as_table)
}

fn resource_id(table: &Table<'_>, name: Option<&str>, version: Option<i64>) -> Option<ResourceId> {
    let version = u32::try_from(version?).ok()?;
    match ResourceId::new(name?, version) {
        Ok(id) if id.name() == OPERATIONS && version == 1 => {
            if let Some(node) = table.get("resource") {
                let fault = node.fault("a resource cannot be `operations.v1`: its path is that of writes under way");
                table.fail(fault.help("give it another name, or version 2"));
            }
            None
        }
        Ok(id) => Some(id),
        Err(error) => {
            if let Some(node) = table.get("resource") {
                table.fail(node.fault(error.to_string()));
            }
            None
        }
    }
}

/// Each text under its name and with its length, so that no two different sets of texts read alike.
fn hash(
    source: &SourceText,
    names: &[String],
    texts: &dyn Fn(&str) -> Option<Arc<SourceText>>,
    services: &[(String, String)],
) -> String {
    let mut sha = Sha256::new();
    let mut add = |name: &str, text: &str| {
        for part in [name, text] {
            sha.update((part.len() as u64).to_be_bytes());
            sha.update(part);
        }
    };
    add("", &source.text);
    for name in names {
        if let Some(text) = texts(name) {
            add(name, &text.text);
        }
    }
    services.iter().for_each(|(backend, hash)| add(backend, hash));
    let mut hex = String::with_capacity(64);
    for byte in sha.finalize() {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}
