//! The steps of an operation: statements and procedures whose names are bound to what a caller sends, to the record's
//! key, and to what earlier steps bring.

use std::sync::Arc;

use super::bound::{Bound, kind_of, single_type};
use super::input::{Input, InputKind, InputValues};
use super::keys::{ARGUMENT, CALL, STEP, TAKE};
use super::stamps::Stamp;
use super::{Given, Surroundings, rules};
use crate::decode::rows::ColumnKind;
use crate::diagnostic::{Node, Table, Written, nearest};
use crate::mapping::is_name;
use crate::sql::{Dialect, NamedSql};

/// Names that are there in every statement.
pub(super) const BUILT_IN: [&str; 3] = ["idempotency_key", "operation_id", "client"];

/// The name of the backend's own version of a record, where one is declared.
pub(super) const VERSION: &str = "version";

/// Where a value comes from.
#[derive(Clone, Debug)]
pub(super) enum Origin {
    /// The body, at this path; NULL so where it is not there.
    Body(Vec<String>, Bound),
    /// The element that the step is done for.
    Element(Vec<String>, Bound),
    /// A part of the record's key.
    Key(usize),
    IdempotencyKey,
    OperationId,
    Client,
    /// When the write was accepted.
    Stamp(Arc<Stamp>),
    /// The backend's own version of the record that the caller means.
    Version(ColumnKind),
    /// What an earlier step brings.
    Taken {
        step: usize,
        from: String,
        kind: ColumnKind,
    },
    Constant(Bound),
}

/// A step as compiled.
#[derive(Clone, Debug)]
pub(super) struct Step {
    action: Action,
    each: Option<String>,
    expect: Option<(u64, u64)>,
    returns: Vec<i64>,
}

#[derive(Clone, Debug)]
enum Action {
    /// A service is called or a file written, which is the whole of the operation.
    Whole,
    Statement {
        sql: NamedSql,
        values: Vec<Origin>,
    },
    Procedure {
        name: String,
        arguments: Vec<Argument>,
    },
}

#[derive(Clone, Debug)]
struct Argument {
    name: String,
    /// `None` for what only comes out.
    origin: Option<Origin>,
    out: Option<ColumnKind>,
}

/// A step with its values, ready to be done.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadyStep {
    /// What is done.
    pub action: ReadyAction,
    /// The rows it must touch, at least and at most.
    pub expect: Option<(u64, u64)>,
    /// What a procedure returns when all is well; empty for anything.
    pub returns: Vec<i64>,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq)]
pub enum ReadyAction {
    /// The call of a service or the file that the operation is ([`WriteOperation::service`](super::WriteOperation::service),
    /// [`WriteOperation::file`](super::WriteOperation::file)).
    Whole,
    /// A statement with placeholders, and their values.
    Statement(String, Vec<Bound>),
    /// A procedure with its arguments: name, what goes in, and what kind comes out.
    Procedure(String, Vec<(String, Bound, Option<ColumnKind>)>),
}

/// What is known while an operation's steps are read.
pub(super) struct Scope<'a> {
    pub(super) around: &'a Surroundings<'a>,
    pub(super) input: &'a Input,
    /// The key's fields, where a record is named in the path.
    pub(super) key: &'a [String],
    /// What the backend's own version of a record is, where one is declared.
    pub(super) version: Option<ColumnKind>,
    /// Fields of the body that have faults of their own, which are told where they are written.
    pub(super) broken: Vec<String>,
    /// Stamps, and names that steps so far have taken.
    pub(super) taken: Vec<(String, Origin)>,
    /// Paths of the body that something has used.
    pub(super) used: Vec<Vec<String>>,
}

impl Scope<'_> {
    /// What a name stands for; `None` for an unknown one.
    pub(super) fn find(&mut self, name: &str, each: Option<(&str, &Input)>) -> Option<Origin> {
        let path = vec![name.to_owned()];
        if name == VERSION
            && let Some(kind) = self.version
        {
            return Some(Origin::Version(kind));
        }
        if let Some((array, fields)) = each
            && let Some(scalar) = fields.scalar(&path)
        {
            self.used.push(vec![array.to_owned(), name.to_owned()]);
            return Some(Origin::Element(path, scalar.null.clone()));
        }
        if let Some(scalar) = self.input.scalar(&path) {
            self.used.push(path.clone());
            return Some(Origin::Body(path, scalar.null.clone()));
        }
        let part = match (name, self.key) {
            ("key", [_]) => Some(0),
            _ => self.key.iter().position(|field| field == name),
        };
        if let Some(part) = part {
            return Some(Origin::Key(part));
        }
        if let Some((_, origin)) = self.taken.iter().find(|(taken, _)| taken == name) {
            return Some(origin.clone());
        }
        match name {
            "idempotency_key" => Some(Origin::IdempotencyKey),
            "operation_id" => Some(Origin::OperationId),
            "client" => Some(Origin::Client),
            _ => None,
        }
    }

    /// The names of the stamps.
    pub(super) fn stamps(&self) -> impl Iterator<Item = &str> {
        self.taken.iter().filter(|(_, origin)| matches!(origin, Origin::Stamp(_))).map(|(name, _)| name.as_str())
    }

    /// As [`Scope::find`]; an unknown name is a fault at `node`.
    pub(super) fn resolve(&mut self, name: &str, node: &Node, each: Option<(&str, &Input)>) -> Option<Origin> {
        if let Some(origin) = self.find(name, each) {
            return Some(origin);
        }
        if self.is_broken(name) {
            return None;
        }
        let known = self.names(each);
        let fault = node.fault(format!("`:{name}` is nothing that is known here"));
        self.around.faults.push(match nearest(name, known.iter().map(String::as_str)) {
            Some(near) => fault.help(format!("did you mean `:{near}`?")),
            None => fault.help(format!("there are: :{}", known.join(", :"))),
        });
        None
    }

    /// Whether a name, or a place in the body, is of a field that has a fault of its own: then it is known well enough.
    pub(super) fn is_broken(&self, name: &str) -> bool {
        let first = name.strip_prefix('/').map_or(name, |path| path.split('/').next().unwrap_or(path));
        self.broken.iter().any(|broken| broken == first)
    }

    /// All names that are known.
    pub(super) fn names(&self, each: Option<(&str, &Input)>) -> Vec<String> {
        let mut known: Vec<String> = Vec::new();
        for input in each.map(|(_, fields)| fields).into_iter().chain([self.input]) {
            known.extend(input.paths().into_iter().filter(|path| path.len() == 1).flatten());
        }
        known.extend(self.key.iter().cloned());
        known.extend(self.taken.iter().map(|(name, _)| name.clone()));
        known.extend(BUILT_IN.map(str::to_owned));
        known
    }

    /// The single value at a path of names in the body.
    pub(super) fn at(&mut self, path: Vec<String>) -> Option<Origin> {
        let null = self.input.scalar(&path)?.null.clone();
        self.used.push(path.clone());
        Some(Origin::Body(path, null))
    }

    /// The single value at a JSON pointer into the body.
    fn pointer(&mut self, pointer: &str, node: &Node) -> Option<Origin> {
        let path: Vec<String> =
            pointer.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~")).collect();
        match self.input.scalar(&path) {
            Some(scalar) => {
                self.used.push(path.clone());
                Some(Origin::Body(path, scalar.null.clone()))
            }
            None if self.is_broken(pointer) => None,
            None => {
                let known: Vec<String> = self.input.paths().iter().map(|path| format!("/{}", path.join("/"))).collect();
                let fault = node.fault(format!("the body has no single value at `{pointer}`"));
                self.around.faults.push(match nearest(pointer, known.iter().map(String::as_str)) {
                    Some(near) => fault.help(format!("did you mean `{near}`?")),
                    None => fault.help(format!("there are: {}", known.join(", "))),
                });
                None
            }
        }
    }

    /// `:name` or `/a/place`.
    fn place(&mut self, node: &Node, each: Option<(&str, &Input)>) -> Option<Origin> {
        match node.as_str() {
            Some(text) if text.starts_with('/') => self.pointer(text, node),
            Some(text) if text.starts_with(':') => self.resolve(text.trim_start_matches(':'), node, each),
            _ => {
                let fault = node.fault("expected `:name` or a place in the body like `/address/city`");
                self.around.faults.push(fault);
                None
            }
        }
    }

    /// A statement with its values. `with` are names of the step's own.
    pub(super) fn statement(
        &mut self,
        node: &Node,
        with: &[(String, Origin)],
        each: Option<(&str, &Input)>,
    ) -> Option<(NamedSql, Vec<Origin>)> {
        let Some(text) = node.as_str() else {
            self.around.faults.push(node.fault(format!("expected a statement, found {}", node.kind())));
            return None;
        };
        if text.trim().is_empty() {
            self.around.faults.push(node.fault("the statement is empty"));
            return None;
        }
        let sql = match NamedSql::parse(text) {
            Ok(sql) => sql,
            Err(fault) => {
                self.around.faults.push(node.fault(fault.to_string()));
                return None;
            }
        };
        let mut values = Vec::new();
        let mut is_sound = true;
        for name in sql.names() {
            let own = with.iter().find(|(known, _)| known == name).map(|(_, origin)| origin.clone());
            match own.or_else(|| self.resolve(name, node, each)) {
                Some(origin) => values.push(origin),
                None => is_sound = false,
            }
        }
        for (name, _) in with.iter().filter(|(name, _)| !sql.names().any(|used| used == name)) {
            self.around.faults.push(node.fault(format!("the statement has no `:{name}`, which `with` names")));
            is_sound = false;
        }
        is_sound.then_some((sql, values))
    }

    /// One step of `sql`: a statement, or a table that says more.
    pub(super) fn step(&mut self, node: &Node, number: usize) -> Option<Step> {
        let Written::Table(_) = node.value else {
            let (sql, values) = self.statement(node, &[], None)?;
            return Some(Step {
                action: Action::Statement { sql, values },
                each: None,
                expect: None,
                returns: Vec::new(),
            });
        };
        let table = Table::new(node, &STEP, self.around.faults)?;
        let input = self.input;
        let array = match table.has("each") {
            true => Some(table.read("each", |node| match node.as_str() {
                Some(name) => match input.find(name.trim_start_matches('/')).map(|field| &field.kind) {
                    Some(InputKind::Each { fields, .. }) => Ok((name.trim_start_matches('/').to_owned(), fields)),
                    _ => Err(format!("the body has no array `{name}` at its top level")),
                },
                None => Err(format!("expected a string, found {}", node.kind())),
            })?),
            false => None,
        };
        let each = array.as_ref().map(|(name, fields)| (name.as_str(), *fields));
        let mut with = Vec::new();
        for (name, node) in table.free("with") {
            with.push((name.to_owned(), self.place(node, each)?));
        }
        let expect = table.read("expect", expect);
        let (action, returns) = match table.exactly_one(&["sql", "procedure"])? {
            "sql" => {
                let (sql, values) = self.statement(table.get("sql")?, &with, each)?;
                (Action::Statement { sql, values }, Vec::new())
            }
            _ => {
                if let Some(node) = table.get("with") {
                    table.fail(node.key_fault("`with` belongs to a statement").help("say `from` in the argument"));
                }
                self.procedure(&table.table("procedure", &CALL)?, each)?
            }
        };
        for (name, node) in table.free("take") {
            let taken = Table::new(node, &TAKE, self.around.faults)?;
            let (from, value_type) = (taken.filled("from"), taken.read("type", single_type));
            let is_known = self.find(name, None).is_some();
            if !is_name(name) || name.contains('-') || is_known {
                let why = if is_known { "is known already" } else { "is no name for a statement" };
                table.fail(node.key_fault(format!("`{name}` {why}")));
                continue;
            }
            if each.is_some() {
                table.fail(
                    node.key_fault(
                        "a step that is done for each element brings many values, of which none can be taken",
                    ),
                );
                continue;
            }
            let (from, kind) = (from?, kind_of(value_type?));
            self.taken.push((name.to_owned(), Origin::Taken { step: number, from, kind }));
        }
        (!table.failed()).then_some(Step { action, each: array.map(|(name, _)| name), expect, returns })
    }

    /// A procedure with its arguments, and what it may return.
    fn procedure(&mut self, table: &Table<'_>, each: Option<(&str, &Input)>) -> Option<(Action, Vec<i64>)> {
        let name = table.filled("name");
        let returns = table.read("returns", |node| match (&node.value, node.as_array()) {
            (Written::Integer(code), _) => Ok(vec![*code]),
            (_, Some(codes)) => codes
                .iter()
                .map(|code| {
                    if let Written::Integer(code) = code.value { Ok(code) } else { Err("expected integers".to_owned()) }
                })
                .collect(),
            _ => Err(format!("expected an array of integers, found {}", node.kind())),
        });
        let mut arguments = Vec::new();
        for (name, node) in table.free("arguments") {
            let argument = match &node.value {
                Written::Table(_) => {
                    let inner = Table::new(node, &ARGUMENT, self.around.faults)?;
                    let out = inner.read("out", single_type).map(kind_of);
                    let origin =
                        match (inner.get("from"), inner.get("value")) {
                            (Some(_), Some(value)) => {
                                inner.fail(value.key_fault("an argument takes only one of `from`, `value`"));
                                None
                            }
                            (Some(from), None) => Some(self.place(from, each)?),
                            (None, Some(_)) => inner.read("value", Bound::constant).map(Origin::Constant),
                            (None, None) if out.is_none() && !inner.failed() => {
                                inner.fail(node.key_fault(format!(
                                    "argument `{name}` says neither what goes in nor what comes out"
                                )));
                                None
                            }
                            (None, None) => None,
                        };
                    if inner.failed() {
                        return None;
                    }
                    Argument { name: name.to_owned(), origin, out }
                }
                _ => Argument { name: name.to_owned(), origin: Some(self.place(node, each)?), out: None },
            };
            arguments.push(argument);
        }
        Some((Action::Procedure { name: name?, arguments }, returns?))
    }

    /// The operation's own procedure, as its one step.
    pub(super) fn call(&mut self, table: &Table<'_>) -> Option<Step> {
        let (action, returns) = self.procedure(table, None)?;
        Some(Step { action, each: None, expect: None, returns })
    }

    /// The rules of the parts of the key, as far as `used` says.
    pub(super) fn key_rules(&self, at: &Node) -> Option<Vec<super::scalar::Scalar>> {
        self.key.iter().map(|path| rules::of_key(path, at, self.around)).collect()
    }
}

/// `1` or `[0, 5]`.
pub(super) fn expect(node: &Node) -> Result<(u64, u64), String> {
    let count = |node: &Node| match node.value {
        Written::Integer(number) => u64::try_from(number).map_err(|_| format!("{number} is less than nothing")),
        _ => Err(format!("expected an integer or [least, most], found {}", node.kind())),
    };
    match node.as_array() {
        None => count(node).map(|number| (number, number)),
        Some([least, most]) => match (count(least)?, count(most)?) {
            (least, most) if least <= most => Ok((least, most)),
            (least, most) => Err(format!("{least} is more than {most}")),
        },
        Some(_) => Err("expected two numbers: [least, most]".to_owned()),
    }
}

impl Origin {
    /// The value.
    pub(super) fn value(&self, given: &Given<'_>, element: Option<&InputValues>) -> Bound {
        match self {
            Origin::Body(path, null) => given.request.values.get(path, null),
            Origin::Element(path, null) => element.map_or_else(|| null.clone(), |element| element.get(path, null)),
            Origin::Key(part) => {
                given.request.key.get(*part).cloned().unwrap_or(Bound::Null(ColumnKind::Text { max_chars: None }))
            }
            Origin::IdempotencyKey => Bound::Text(given.idempotency_key.to_owned()),
            Origin::OperationId => Bound::Text(given.operation_id.to_owned()),
            Origin::Client => Bound::Text(given.client.to_owned()),
            Origin::Stamp(stamp) => stamp.value(given.accepted),
            Origin::Version(kind) => given.version.clone().unwrap_or(Bound::Null(*kind)),
            Origin::Taken { step, from, kind } => Bound::Taken {
                step: given.starts.get(*step).copied().unwrap_or(usize::MAX),
                from: from.clone(),
                kind: *kind,
            },
            Origin::Constant(bound) => bound.clone(),
        }
    }
}

impl Step {
    /// The one step of an operation that is the call of a service or a file.
    pub(super) fn whole() -> Step {
        Step { action: Action::Whole, each: None, expect: None, returns: Vec::new() }
    }

    /// Whether it takes the backend's own version of the record.
    pub(super) fn takes_version(&self) -> bool {
        let is_version = |origin: &Origin| matches!(origin, Origin::Version(_));
        match &self.action {
            Action::Whole => false,
            Action::Statement { values, .. } => values.iter().any(is_version),
            Action::Procedure { arguments, .. } => {
                arguments.iter().filter_map(|one| one.origin.as_ref()).any(is_version)
            }
        }
    }

    /// Touching nothing is a no of a statement that takes the version.
    pub(super) fn judging_version(mut self) -> Step {
        if self.takes_version() && matches!(self.action, Action::Statement { .. }) {
            self.expect = self.expect.or(Some((1, u64::MAX)));
        }
        self
    }

    pub(super) fn with_expect(mut self, expect: Option<(u64, u64)>) -> Step {
        self.expect = expect.or(self.expect);
        self
    }
}

/// Which ready step each step begins at.
pub(super) fn starts(steps: &[Step], given: &Given<'_>) -> Vec<usize> {
    let (mut starts, mut next) = (Vec::new(), 0);
    for step in steps {
        starts.push(next);
        next += step.each.as_ref().map_or(1, |name| given.request.values.elements(name).len());
    }
    starts
}

/// The steps with their values, one for each element where a step is done for each.
pub(super) fn ready(steps: &[Step], given: &Given<'_>) -> Vec<ReadyStep> {
    let mut out = Vec::new();
    for step in steps {
        let elements: Vec<Option<&InputValues>> = match &step.each {
            None => vec![None],
            Some(name) => given.request.values.elements(name).iter().map(Some).collect(),
        };
        for element in elements {
            let value = |origin: &Origin| origin.value(given, element);
            let action = match &step.action {
                Action::Whole => ReadyAction::Whole,
                Action::Statement { sql, values } => {
                    ReadyAction::Statement(sql.written(Dialect::Generic), values.iter().map(value).collect())
                }
                Action::Procedure { name, arguments } => {
                    let argument = |argument: &Argument| {
                        let null = Bound::Null(argument.out.unwrap_or(ColumnKind::Text { max_chars: None }));
                        (argument.name.clone(), argument.origin.as_ref().map_or(null, value), argument.out)
                    };
                    ReadyAction::Procedure(name.clone(), arguments.iter().map(argument).collect())
                }
            };
            out.push(ReadyStep { action, expect: step.expect, returns: step.returns.clone() });
        }
    }
    out
}
