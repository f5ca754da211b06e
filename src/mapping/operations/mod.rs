//! `[operations.NAME]`: what callers may write to a backend, compiled.
//!
//! A body is judged against declared fields, all its faults at once; its values, the record's key and what earlier steps
//! bring are bound to statements, never written into them. Pure, as all of the mapping: nothing is asked here.

mod answer;
mod beside;
mod bound;
mod brought;
mod described;
mod file;
mod input;
mod keys;
mod problems;
mod rules;
mod said;
mod scalar;
mod soap;
mod spans;
mod stamps;
mod steps;
#[cfg(test)]
mod tests;
mod version;
mod wanted;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::schema::Shape;
use super::serve::scope;
use super::soap::Services;
use crate::decode::{Decoder, Json};
use crate::diagnostic::{Entries, Faults, Node, SourceText, Table};
use crate::record::key::{SEPARATOR, decode_part, encode_part};
use crate::sql::{Dialect, NamedSql};
use answer::Answer;
use beside::Reconciling;
use bound::kind_of;
use input::{Input, InputValues};
use steps::{Origin, Scope, Step};

pub use bound::Bound;
pub use brought::Brought;
pub use described::TEXT_PATTERNS;
pub use file::{FileWrite, WrittenFile};
pub use input::{BodyMember, InputFault, MOST_FAULTS};
pub(super) use keys::ALL;
pub use problems::KnownProblem;
pub(super) use rules::{of_key as rule_of, written as written_field};
pub use said::Said;
pub(super) use scalar::Scalar;
pub use soap::{OfCaller, ServiceCall, ServiceLook, ServiceWrite};
pub use steps::{ReadyAction, ReadyStep};

/// Names that paths below a record have a meaning for already.
const RESERVED: [&str; 4] = ["lineage", "history", "changes", "operations"];

/// How an operation is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// POST on the resource.
    Create,
    /// PATCH or PUT on a record.
    Update,
    /// DELETE on a record.
    Delete,
    /// POST on the operation's name below a record.
    Action,
}

impl Verb {
    fn of(name: &str) -> Verb {
        match name {
            "create" => Verb::Create,
            "update" => Verb::Update,
            "delete" => Verb::Delete,
            _ => Verb::Action,
        }
    }
}

/// What the outside world sees of an operation.
#[derive(Clone, Debug)]
pub struct ExposedOperation {
    /// Its name.
    pub name: String,
    /// How it is asked for.
    pub verb: Verb,
    /// For people.
    pub title: Option<String>,
    /// For people, longer.
    pub description: Option<String>,
    /// The scope that it takes.
    pub scope: String,
    /// JSON Schema of the body; `None` where none is taken.
    pub body: Option<Value>,
    /// The single values of the body.
    pub members: Vec<BodyMember>,
    /// JSON Schema of the answer, where it is made of declared fields.
    pub answer: Option<Value>,
    /// Whether the record is answered.
    pub answers_record: bool,
    /// Whether it is accepted while the backend is closed.
    pub is_parked: bool,
    /// Whether callers must say by `If-Match` which state of the record they mean.
    pub requires_match: bool,
    /// Statuses that faults of its service have, by the mapping.
    pub fault_statuses: Vec<u16>,
}

/// An operation, compiled.
#[derive(Clone, Debug)]
pub struct WriteOperation {
    /// What the outside world sees of it.
    pub exposed: ExposedOperation,
    /// The backend that is written to.
    pub backend: String,
    /// Where its name stands in the mapping, for what the configuration has against it.
    pub backend_node: Option<Node>,
    /// All steps or none.
    pub is_atomic: bool,
    /// How many of its steps are done before the commit, where others follow it.
    commit_after: Option<usize>,
    /// How long it may take at the backend.
    pub timeout: Option<Duration>,
    /// How often it is begun at most.
    pub attempts: u32,
    /// What codes mean.
    pub problems: Vec<KnownProblem>,
    /// Whether the record is read at the backend and staged when it is done.
    pub reads_back: bool,
    /// The field that has the backend's own version of a record, and how its value is bound.
    version: Option<(String, Scalar)>,
    input: Input,
    key: Vec<(String, Scalar)>,
    steps: Vec<Step>,
    answer: Answer,
    serial: Vec<(String, Origin)>,
    /// The parts of a new record's key, where they are known.
    created: Option<Vec<CreatedPart>>,
    reconcile: Option<(NamedSql, Vec<Origin>)>,
    service: Option<Arc<ServiceWrite>>,
    file: Option<Arc<FileWrite>>,
}

#[derive(Clone, Debug)]
enum CreatedPart {
    Known(Origin),
    Answered(String),
}

/// What a caller asks for, judged.
#[derive(Clone, Debug)]
pub struct WriteRequest {
    values: InputValues,
    key: Vec<Bound>,
    /// The body in its one canonical form.
    pub canonical: String,
}

/// Why a request is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotARequest {
    /// No record has such a key.
    Key,
    /// The body has faults.
    Body(Vec<InputFault>),
}

/// What is known when an operation is done.
pub struct Given<'a> {
    request: &'a WriteRequest,
    idempotency_key: &'a str,
    operation_id: &'a str,
    client: &'a str,
    /// When it was written down.
    accepted: Timestamp,
    /// The backend's own version of the record.
    version: Option<Bound>,
    /// Which ready step each step begins at.
    starts: Vec<usize>,
}

impl Given<'_> {
    /// With the backend's own version of the record that the caller means.
    #[must_use]
    pub fn at(mut self, version: Option<Bound>) -> Self {
        self.version = version;
        self
    }
}

/// What operations are compiled against.
pub(super) struct Surroundings<'a> {
    /// The resource's name.
    pub(super) resource: &'a str,
    /// The resource's fields as written.
    pub(super) fields: Option<&'a Entries>,
    /// The resource's fields.
    pub(super) shape: &'a Shape,
    /// The fields of the key.
    pub(super) key: &'a [String],
    /// The backend of `[source]`.
    pub(super) backend: Option<&'a str>,
    /// Whether a record can be read from its backend.
    pub(super) can_reread: bool,
    /// The kind of the files that records are read from, and their layout, where they are.
    pub(super) layout: Option<(&'a str, &'a Decoder)>,
    /// What services say of themselves.
    pub(super) services: &'a dyn Services,
    /// What is known of the files that are named.
    pub(super) texts: &'a dyn Fn(&str) -> Option<Arc<SourceText>>,
    pub(super) faults: &'a Faults,
}

/// Compiles `[operations]`; operations with faults are left out.
pub(super) fn compile(table: &Table<'_>, around: &Surroundings<'_>) -> Vec<Arc<WriteOperation>> {
    let mut operations = Vec::new();
    for (name, node) in table.free("operations") {
        let is_plain =
            name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte));
        if !is_plain || !name.starts_with(|c: char| c.is_ascii_lowercase()) || name.len() > 64 {
            let fault = node.key_fault(format!("`{name}` is no name for an operation"));
            around
                .faults
                .push(fault.help("a name has lower-case letters, digits, `_` or `-`, and starts with a letter"));
        } else if RESERVED.contains(&name) {
            let fault = node.key_fault(format!("`{name}` cannot be an operation: its path means something else"));
            around.faults.push(fault.help("give it another name"));
        } else {
            operations.extend(operation(name, node, around).map(Arc::new));
        }
    }
    operations
}

fn operation(name: &str, node: &Node, around: &Surroundings<'_>) -> Option<WriteOperation> {
    let before = around.faults.len();
    let table = Table::new(node, &keys::OPERATION, around.faults)?;
    let verb = Verb::of(name);
    let (title, description) = (table.filled("title"), table.filled("description"));
    let backend = table.filled("backend").or_else(|| around.backend.map(str::to_owned));
    let scope_of = table.read("scope", scope).unwrap_or_else(|| format!("{}:write", around.resource));
    let timeout = table.read("timeout", |node| match node.as_str().and_then(crate::diagnostic::parse_duration) {
        Some(timeout) if !timeout.is_zero() => Ok(timeout),
        _ => Err("expected a length of time like \"30s\", longer than nothing".to_owned()),
    });
    let (is_atomic, is_parked) = (table.boolean("transaction"), table.boolean("parked"));
    let (requires_match, reads_back) = (table.boolean("require_match"), table.boolean("read_back"));
    let attempts = table.integer("attempts", 1..=20).and_then(|number| u32::try_from(number).ok());
    let body = table.read("body", |node| match node.as_table() {
        Some(entries) if !entries.is_empty() => Ok(()),
        Some(_) => Err("it has no fields; leave it out where no body is taken".to_owned()),
        None => Err(format!("expected a table of fields, found {}", node.kind())),
    });
    let body = body.and_then(|()| table.get("body")).and_then(Node::as_table);
    let mut input = body.map(|entries| Input::compile(entries, 1, around)).unwrap_or_default();
    let is_of_xml = table.has("soap");
    if is_of_xml {
        input.be_of_xml();
    }
    let key: &[String] = if verb == Verb::Create { &[] } else { around.key };
    let version = version::compile(&table, verb, &input, around);
    let kind = version.as_ref().map(|(_, scalar)| kind_of(scalar.value_type));
    let names = body.into_iter().flat_map(|entries| entries.keys());
    let broken = names.filter(|name| input.find(name).is_none()).cloned().collect();
    let (taken, used) = (stamps::compile(&table, &input, key, around.faults), Vec::new());
    let mut within = Scope { around, input: &input, key, version: kind, broken, taken, used };
    for field in key.iter().filter(|field| input.find(field).is_some()) {
        let entry = body.and_then(|entries| entries.get(field.as_str())).unwrap_or(node);
        let fault = entry.key_fault(format!("`{field}` is a field of the body and of the key in the path"));
        around.faults.push(fault.help("leave it out of the body, or give it another name there"));
    }
    let called = match table.has("soap") {
        true => Some(soap::compile(&table, backend.as_deref(), around.services, &mut within)?),
        false => None,
    };
    let file = match table.has("file") {
        true => Some(file::compile(&table, &mut within)?),
        false => None,
    };
    let steps: Option<Vec<Step>> =
        steps(&table, &mut within).map(|steps| steps.into_iter().map(Step::judging_version).collect());
    version::refuse_needless(&table, verb, requires_match, reads_back, around);
    if let (Some(node), Some(steps)) = (table.get("version"), &steps)
        && version.is_some()
        && !steps.iter().any(Step::takes_version)
    {
        let fault = node.key_fault("no statement takes `:version`");
        table.fail(fault.help("say `where ... and COLUMN = :version` in the statement that changes the record"));
    }
    let commit_after = beside::commit_after(&table, is_atomic, steps.as_deref());
    let mut key_rules = if key.is_empty() { Some(Vec::new()) } else { within.key_rules(node) };
    key_rules.iter_mut().flatten().for_each(|rules| rules.is_of_xml = is_of_xml);
    let serial = beside::serial(&table, &mut within);
    let answer = Answer::compile(table.get("answer"), &mut within);
    let created = match (verb, &answer) {
        (Verb::Create, Some(answer)) => beside::created(&mut within, answer),
        _ => None,
    };
    if matches!(answer, Some(Answer::Record))
        && let Some(node) = table.get("answer")
    {
        if !around.can_reread {
            let fault = node.fault("records of this resource are not read at the backend one by one");
            table.fail(fault.help("write `answer` as a table of fields"));
        } else if verb == Verb::Create && created.is_none() {
            let fault = node.fault(format!("the key of the new record is not known: {}", around.key.join(", ")));
            table.fail(fault.help("have it in the body, or take it in a step under that name"));
        }
    }
    let (mut by_sql, mut look) = (None, None);
    if table.has("reconcile") {
        match (beside::reconcile(&table, &mut within, backend.as_deref(), called.as_ref())?, &called) {
            (Reconciling::Sql(sql, values), None) => by_sql = Some((sql, values)),
            (Reconciling::Service(found), Some(_)) => look = Some(*found),
            (_, Some(_)) => table.fail(node.key_fault("a service is asked by `reconcile.soap` what became of a write")),
            (_, None) => table.fail(node.key_fault("a database is asked by `reconcile.sql` what became of a write")),
        }
    }
    let reconcile = by_sql;
    let unused: Vec<_> = input.paths().into_iter().filter(|path| !within.used.contains(path)).collect();
    if around.faults.len() == before {
        for path in unused {
            let node = path.first().and_then(|name| body?.get(name)).unwrap_or(node);
            let fault = node.key_fault(format!("`/{}` is taken from callers, but nothing uses it", path.join("/")));
            around.faults.push(fault.help("bind it in a statement, or leave it out of `body`"));
        }
    }
    for call in called.iter().chain(look.as_ref().map(|look| &look.call)) {
        call.tell(&mut input, key_rules.as_deref_mut().unwrap_or_default());
    }
    let problems = problems::compile(&table, around.faults);
    if backend.is_none() && around.faults.len() == before {
        table.fail(node.key_fault(format!("operation `{name}` has no `backend`")));
    }
    if around.faults.len() > before {
        return None;
    }
    let answer = answer?;
    let exposed = ExposedOperation {
        name: name.to_owned(),
        verb,
        title,
        description,
        scope: scope_of,
        body: body.map(|_| input.schema()),
        members: input.members(),
        answer: answer.schema(),
        answers_record: matches!(answer, Answer::Record),
        is_parked: is_parked?,
        requires_match: requires_match? || version.is_some(),
        fault_statuses: called.as_ref().map(|called| called.judgement.statuses()).unwrap_or_default(),
    };
    Some(WriteOperation {
        exposed,
        backend: backend?,
        backend_node: table.get("backend").cloned(),
        is_atomic: is_atomic?,
        commit_after,
        timeout,
        attempts: attempts?,
        problems,
        reads_back: reads_back?,
        version,
        key: key.iter().cloned().zip(key_rules?).collect(),
        steps: steps?,
        answer,
        serial,
        created,
        reconcile,
        service: called.map(|call| Arc::new(ServiceWrite { call, look })),
        file: file.map(Arc::new),
        input,
    })
}

fn steps(table: &Table<'_>, scope: &mut Scope<'_>) -> Option<Vec<Step>> {
    let expect = table.read("expect", steps::expect);
    let steps = match table.exactly_one(&["sql", "procedure", "soap", "file"])? {
        "soap" | "file" => vec![Step::whole()],
        "sql" => {
            let node = table.get("sql")?;
            let single = std::slice::from_ref(node);
            let written = node.as_array().unwrap_or(single);
            if written.is_empty() {
                table.fail(node.fault("there is no statement"));
            }
            let mut steps = Vec::new();
            for (number, node) in written.iter().enumerate() {
                steps.push(scope.step(node, number)?);
            }
            steps
        }
        _ => vec![scope.call(&table.table("procedure", &keys::CALL)?)?],
    };
    match (steps.len(), table.get("expect")) {
        (1, _) => Some(steps.into_iter().map(|step| step.with_expect(expect)).collect()),
        (_, Some(node)) => {
            table.fail(node.key_fault("of which step?").help("say it in the step: `{ sql = \"...\", expect = 1 }`"));
            None
        }
        _ => Some(steps),
    }
}

impl WriteOperation {
    /// Whether a body is taken.
    pub fn takes_body(&self) -> bool {
        self.exposed.body.is_some()
    }

    /// Judges a request: the body, and the record's key in its canonical form.
    pub fn read(&self, body: Option<&Json<'_>>, key: Option<&str>) -> Result<WriteRequest, NotARequest> {
        let mut parts = Vec::new();
        if !self.key.is_empty() {
            let written = key.ok_or(NotARequest::Key)?.split(SEPARATOR);
            for ((_, rules), part) in self.key.iter().zip(written) {
                let text = decode_part(part).map_err(|_| NotARequest::Key)?;
                parts.push(rules.read_text(&text).ok_or(NotARequest::Key)?);
            }
            if parts.len() != self.key.len() {
                return Err(NotARequest::Key);
            }
        }
        let (mut canonical, empty) = (String::new(), Json::Object(Vec::new()));
        let body = body.unwrap_or(&empty);
        let values = self.input.read(body).map_err(NotARequest::Body)?;
        input::canonical(body, &mut canonical);
        let request = WriteRequest { values, key: parts, canonical };
        match &self.file {
            Some(file) => file.judge(self, &request).map(|()| request),
            None => Ok(request),
        }
    }

    /// What a body says of the resource's field at this path, as [`WriteOperation::read`] reads it.
    pub fn said(&self, body: Option<&Json<'_>>, path: &str) -> Said {
        self.input.said(body.unwrap_or(&Json::Object(Vec::new())), path)
    }

    /// What its steps are bound to. `idempotency_key` is what the backend is told in its place; `accepted` is when the
    /// operation was written down.
    pub fn given<'a>(
        &self,
        request: &'a WriteRequest,
        idempotency_key: &'a str,
        operation_id: &'a str,
        client: &'a str,
        accepted: Timestamp,
    ) -> Given<'a> {
        let mut given =
            Given { request, idempotency_key, operation_id, client, accepted, version: None, starts: Vec::new() };
        given.starts = steps::starts(&self.steps, &given);
        given
    }

    /// Its steps with their values.
    pub fn steps(&self, given: &Given<'_>) -> Vec<ReadyStep> {
        steps::ready(&self.steps, given)
    }

    /// How many of [`WriteOperation::steps`] are done before the commit, where others follow it.
    pub fn commit_point(&self, given: &Given<'_>) -> Option<usize> {
        given.starts.get(self.commit_after?).copied()
    }

    /// Whether its backend can be asked what became of it.
    pub fn can_reconcile(&self) -> bool {
        self.reconcile.is_some() || self.looks_itself()
    }

    /// Whether finding out is not a query of the mapping's: what it is done at knows how.
    fn looks_itself(&self) -> bool {
        self.file.is_some() || self.service.as_ref().is_some_and(|service| service.look.is_some())
    }

    /// Whether its backend is asked about it by the idempotency key, and not by the operation's id, which alone is no other's.
    pub fn is_asked_for_by_key_alone(&self) -> bool {
        let by_sql = self.reconcile.iter().flat_map(|(_, values)| values);
        let look = self.service.as_ref().and_then(|service| service.look.as_ref());
        let origins: Vec<&Origin> = by_sql.chain(look.into_iter().flat_map(|look| look.call.origins())).collect();
        let has = |is: fn(&Origin) -> bool| origins.iter().any(|origin| is(origin));
        has(|origin| matches!(origin, Origin::IdempotencyKey)) && !has(|origin| matches!(origin, Origin::OperationId))
    }

    /// The call of a service that it is, where it is one.
    pub fn service(&self) -> Option<&Arc<ServiceWrite>> {
        self.service.as_ref()
    }

    /// What of its caller the backend does not take, and what it wants, as a phrase, where that is known beforehand.
    pub fn refuses(&self, request: &WriteRequest, idempotency_key: &str, client: &str) -> Option<(OfCaller, String)> {
        match (&self.service, &self.file) {
            (Some(service), _) => service.refuses(idempotency_key, client),
            (None, Some(file)) => file.refuses(self, request, idempotency_key, client),
            (None, None) => None,
        }
    }

    /// The file that it is, where it is one.
    pub fn file(&self) -> Option<&Arc<FileWrite>> {
        self.file.as_ref()
    }

    /// Whether it is done at a database.
    pub fn is_of_database(&self) -> bool {
        self.service.is_none() && self.file.is_none()
    }

    /// The gate's serial key: names and values, so that reads and writes of the same thing wait for each other.
    pub fn serial(&self, given: &Given<'_>) -> Option<String> {
        if self.serial.is_empty() {
            return None;
        }
        let mut serial = String::new();
        for (name, origin) in &self.serial {
            if !serial.is_empty() {
                serial.push(SEPARATOR);
            }
            serial.push_str(name);
            serial.push('=');
            encode_part(&origin.value(given, None).text().unwrap_or_default(), &mut serial);
        }
        Some(serial)
    }

    /// The query that finds out whether it is done, with its values.
    pub fn reconcile(&self, given: &Given<'_>) -> Option<(String, Vec<Bound>)> {
        if self.looks_itself() {
            return Some((String::new(), Vec::new()));
        }
        let (sql, values) = self.reconcile.as_ref()?;
        let values = values.iter().map(|origin| origin.value(given, None)).collect();
        Some((sql.written(Dialect::Generic), values))
    }

    /// The fields of the answer as a JSON object, where it is made of such.
    pub fn answer(&self, given: &Given<'_>, brought: &[Brought]) -> Option<Result<String, String>> {
        self.answer.write(given, brought)
    }

    /// The key of the record that was created, in its canonical form, where it is known.
    pub fn created(&self, given: &Given<'_>, brought: &[Brought]) -> Option<String> {
        let mut key = String::new();
        for (number, part) in self.created.as_ref()?.iter().enumerate() {
            let text = match part {
                CreatedPart::Answered(name) => self.answer.text(name, given, brought)?,
                CreatedPart::Known(Origin::Taken { step, from, .. }) => {
                    let brought = brought.get(given.starts.get(*step).copied()?)?.get(from)??;
                    String::from_utf8(brought.to_vec()).ok()?
                }
                CreatedPart::Known(origin) => origin.value(given, None).text()?,
            };
            if number > 0 {
                key.push(SEPARATOR);
            }
            encode_part(&text, &mut key);
        }
        Some(key)
    }
}
