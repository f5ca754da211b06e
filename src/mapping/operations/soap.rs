//! Writes that are an operation of a SOAP service: what is sent is made of what a caller sends, checked against the WSDL
//! where it is written, or is an envelope that is written out, for services that are not what their WSDL says; what comes
//! back are values at declared places.

use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use super::Given;
use super::bound::{Bound, kind_of, single_type};
use super::input::{Input, InputKind};
use super::keys::{CALLED, FOUND, MTOM, RECONCILED, TAKE};
use super::scalar::Scalar;
use super::stamps::SOME_TIME;
use super::steps::{Origin, Scope};
use super::wanted::{Wanted, sent};
use crate::decode::xml::ValuePath;
use crate::diagnostic::{Table, Written};
use crate::mapping::is_name;
use crate::mapping::soap::{
    Body, ErrorWhen, GivenPlaces, Judgement, Known, PlaceFacts, Sent, Services, compile_request, envelope_in, plan_of,
    value_path,
};
use crate::wsdl::{Plan, SoapVersion, TypeId, Types};

/// What ids of operations look like.
const AN_ID: &str = "0190b1d2-7c3e-7a4b-8c5d-6e7f8091a2b3";

/// A call of a service that writes.
#[derive(Clone, Debug)]
pub struct ServiceWrite {
    /// The call.
    pub call: ServiceCall,
    /// How to find out whether it is done.
    pub look: Option<ServiceLook>,
}

/// A call of a service.
#[derive(Clone, Debug)]
pub struct ServiceCall {
    body: Body,
    /// As the service knows it; may be empty.
    pub action: Arc<str>,
    /// As WS-Addressing knows it; empty where that is the same.
    pub addressing_action: Arc<str>,
    /// The SOAP of its envelope.
    pub version: SoapVersion,
    /// Nothing is answered.
    pub is_one_way: bool,
    origins: Vec<(Option<String>, String, Origin)>,
    /// Values that go alone into a place, and what that wants of them.
    alone: Vec<(Source, Wanted)>,
    /// Whether an answer is taken only where it is in every respect as SOAP and HTTP want it.
    pub is_strict: bool,
    /// What its faults mean, and which of its answers are faults.
    pub judgement: Arc<Judgement>,
    /// What is taken of its answer: the name under which it goes on, and where it stands.
    pub taken: Vec<(String, ValuePath)>,
}

/// Where a value comes from that its place wants something of.
#[derive(Clone, Debug)]
enum Source {
    /// The body, at this path; an array's elements are below its name.
    Body(Vec<String>),
    /// A part of the record's key.
    Key(usize),
    /// What is known of the caller.
    Caller(OfCaller),
}

/// What a service may be told of a write that is neither in its body nor in its record's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfCaller {
    /// What stands for the idempotency key.
    IdempotencyKey,
    /// The client's name.
    Client,
}

impl ServiceWrite {
    /// What of its caller some place in a request does not take, and what that wants, as a phrase. It is judged before
    /// anything is begun, for the call and for the question what became of it.
    pub fn refuses(&self, idempotency_key: &str, client: &str) -> Option<(OfCaller, String)> {
        let calls = std::iter::once(&self.call).chain(self.look.iter().map(|look| &look.call));
        calls.flat_map(|call| &call.alone).find_map(|(source, wanted)| {
            let Source::Caller(of) = source else { return None };
            let text = match of {
                OfCaller::IdempotencyKey => idempotency_key,
                OfCaller::Client => client,
            };
            wanted.check(&Bound::Text(text.to_owned())).err().map(|phrase| (*of, phrase))
        })
    }
}

/// A call that finds out whether a write is done.
#[derive(Clone, Debug)]
pub struct ServiceLook {
    /// The call.
    pub call: ServiceCall,
    /// What its answer says where the write is done.
    pub found: ErrorWhen,
    /// A write that is so old is over at the service, whatever became of it.
    pub settled_after: Option<Duration>,
}

impl ServiceCall {
    /// The plan of the WSDL by which it is called, where it is.
    pub fn plan(&self) -> Option<&Plan> {
        self.body.plan()
    }

    /// Has what its places want judged where their values come from: in the body, and in the parts of the record's key.
    pub(super) fn tell(&self, input: &mut Input, key: &mut [Scalar]) {
        for (source, wanted) in &self.alone {
            match source {
                Source::Body(path) => input.wants(path, wanted),
                Source::Key(part) => key.get_mut(*part).into_iter().for_each(|rules| rules.wanted.push(wanted.clone())),
                // Nothing of the body: see `ServiceWrite::refuses`.
                Source::Caller(_) => {}
            }
        }
    }

    /// Where its values come from.
    pub(super) fn origins(&self) -> impl Iterator<Item = &Origin> {
        self.origins.iter().map(|(_, _, origin)| origin)
    }

    /// What is sent; the fault says what the schema does not allow.
    pub fn message(&self, given: &Given<'_>) -> Result<Sent, String> {
        self.body.render(&Values { call: self, given })
    }
}

/// The values of a call's places.
struct Values<'v> {
    call: &'v ServiceCall,
    given: &'v Given<'v>,
}

impl GivenPlaces for Values<'_> {
    fn text(&self, name: &str, element: Option<(&str, usize)>) -> Option<Cow<'_, str>> {
        let array = element.map(|(array, _)| array);
        let of = |within: Option<&str>| {
            self.call.origins.iter().find(|(array, own, _)| array.as_deref() == within && own == name)
        };
        let (_, _, origin) = of(array).or_else(|| of(None))?;
        let elements = element.map(|(array, index)| (self.given.request.values.elements(array), index));
        let element = elements.and_then(|(elements, index)| elements.get(index));
        sent(&origin.value(self.given, element)).map(Cow::Owned)
    }

    fn count(&self, array: &str) -> usize {
        self.given.request.values.elements(array).len()
    }
}

/// The places of a call: fields of the body and of the key, and what is there in every operation.
struct Places<'p, 's> {
    scope: RefCell<&'p mut Scope<'s>>,
    types: Arc<Types>,
    origins: RefCell<Vec<(Option<String>, String, Origin)>>,
    alone: RefCell<Vec<(Source, Wanted)>>,
}

impl<'p, 's> Places<'p, 's> {
    fn new(scope: &'p mut Scope<'s>, types: Arc<Types>) -> Places<'p, 's> {
        Places { scope: RefCell::new(scope), types, origins: RefCell::default(), alone: RefCell::default() }
    }
}

impl Known for Places<'_, '_> {
    fn place(&self, name: &str, array: Option<&str>) -> Option<PlaceFacts> {
        let mut scope = self.scope.borrow_mut();
        let input = scope.input;
        let each = array.and_then(|array| match input.find(array).map(|field| &field.kind) {
            Some(InputKind::Each { fields, .. }) => Some((array, fields)),
            _ => None,
        });
        let origin = match name.strip_prefix('/') {
            Some(path) => scope.at(path.split('/').map(str::to_owned).collect())?,
            None => scope.find(name, each)?,
        };
        let is_element = matches!(origin, Origin::Element(..));
        let may_be_absent = match &origin {
            Origin::Taken { .. } => return None,
            Origin::Body(path, _) => input.may_be_null(path),
            Origin::Element(path, _) => each.is_none_or(|(_, fields)| fields.may_be_null(path)),
            _ => false,
        };
        let within = array.filter(|_| is_element).map(str::to_owned);
        self.origins.borrow_mut().push((within, name.to_owned(), origin));
        Some(PlaceFacts { name: name.into(), may_be_absent })
    }

    fn names(&self, array: Option<&str>) -> Vec<String> {
        let scope = self.scope.borrow();
        let mut names: Vec<String> = Vec::new();
        if let Some(InputKind::Each { fields, .. }) =
            array.and_then(|array| scope.input.find(array)).map(|field| &field.kind)
        {
            names.extend(fields.paths().into_iter().filter(|path| path.len() == 1).flatten());
        }
        names.extend(scope.input.paths().into_iter().filter(|path| path.len() == 1).flatten());
        names.extend(scope.key.iter().cloned());
        names.extend(scope.stamps().map(str::to_owned));
        names.extend(["idempotency_key", "operation_id", "client"].map(str::to_owned));
        names
    }

    fn is_broken(&self, name: &str) -> bool {
        self.scope.borrow().is_broken(name)
    }

    fn goes_into(&self, place: &str, array: Option<&str>, ty: TypeId) -> Result<(), String> {
        let scope = self.scope.borrow();
        let origins = self.origins.borrow();
        let origin = origins
            .iter()
            .rev()
            .find(|(within, name, _)| name == place && within.as_deref().is_none_or(|own| Some(own) == array));
        let wanted = Wanted::new(&self.types, ty);
        let source = match origin {
            Some((_, _, Origin::Body(path, _))) => Source::Body(path.clone()),
            Some((Some(array), _, Origin::Element(path, _))) => {
                Source::Body([vec![array.clone()], path.clone()].concat())
            }
            Some((_, _, Origin::Key(part))) => Source::Key(*part),
            Some((_, _, Origin::IdempotencyKey)) => Source::Caller(OfCaller::IdempotencyKey),
            Some((_, _, Origin::Client)) => Source::Caller(OfCaller::Client),
            Some((_, _, Origin::OperationId)) => {
                return wanted.check(&Bound::Text(AN_ID.to_owned())).map_err(|expected| {
                    format!("the service takes {expected}, and the id of an operation is a UUID like {AN_ID}")
                });
            }
            Some((_, _, Origin::Stamp(stamp))) => {
                return wanted.check(&stamp.value(SOME_TIME)).map_err(|expected| {
                    format!("the service takes {expected}, and the stamp `{place}` is not of that form")
                });
            }
            _ => return Ok(()),
        };
        if let Source::Body(path) = &source {
            // Every value that a table has, and what stands for an absent one, has to do.
            for (shown, bound) in scope.input.constants(path) {
                wanted.check(bound).map_err(|expected| {
                    format!("the service takes {expected}, and `{}` of the body can be {shown}", path.join("."))
                })?;
            }
        }
        self.alone.borrow_mut().push((source, wanted));
        Ok(())
    }

    fn has_array(&self, name: &str) -> bool {
        matches!(self.scope.borrow().input.find(name).map(|field| &field.kind), Some(InputKind::Each { .. }))
    }
}

/// Compiles `soap` of an operation; what it takes is known in the scope from then on.
pub(super) fn compile(
    table: &Table<'_>,
    backend: Option<&str>,
    services: &dyn Services,
    scope: &mut Scope<'_>,
) -> Option<ServiceCall> {
    let inner = table.table("soap", &CALLED)?;
    let judgement = Judgement::read(&inner);
    let mut call = called(&inner, backend, services, scope)?;
    call.judgement = Arc::new(judgement?);
    for (name, node) in inner.free("take") {
        let node = node.clone();
        let mut node = node;
        if let Written::String(_) = node.value {
            let path = node.clone();
            node.value = Written::Table([("from".to_owned(), path)].into_iter().collect());
        }
        let taken = Table::new(&node, &TAKE, scope.around.faults)?;
        let path = taken.read("from", value_path);
        let value_type = match taken.has("type") {
            true => taken.read("type", single_type)?,
            false => crate::mapping::types::Type::String,
        };
        let is_known = scope.find(name, None).is_some();
        if !is_name(name) || name.contains('-') || is_known {
            let why = if is_known { "is known already" } else { "is no name for a value" };
            inner.fail(node.key_fault(format!("`{name}` {why}")));
            continue;
        }
        let path = path?;
        let origin = Origin::Taken { step: 0, from: name.to_owned(), kind: kind_of(value_type) };
        scope.taken.push((name.to_owned(), origin));
        call.taken.push((name.to_owned(), path));
    }
    (!inner.failed()).then_some(call)
}

/// Compiles `soap` of `reconcile`. What it takes stands for what the write itself has taken.
pub(super) fn look(
    table: &Table<'_>,
    backend: Option<&str>,
    services: &dyn Services,
    scope: &mut Scope<'_>,
    taken: &[(String, ValuePath)],
) -> Option<ServiceLook> {
    let inner = table.table("soap", &RECONCILED)?;
    let faults = Judgement::faults(&inner);
    let found = inner.get("found").map(|node| node.value.clone());
    let found = match found {
        Some(Written::Table(_)) => inner.table("found", &FOUND).and_then(|found| ErrorWhen::read(&found)),
        _ => inner.read("found", value_path).map(ErrorWhen::present),
    };
    let settled_after = inner.has("settled_after").then(|| inner.positive_duration("settled_after")).flatten();
    let mut call = called(&inner, backend, services, scope)?;
    call.judgement = Arc::new(Judgement { rules: faults?, error_when: None });
    for (name, node) in inner.free("take") {
        match node.as_str().map(ValuePath::parse) {
            Some(Ok(path)) if taken.iter().any(|(known, _)| known == name) => call.taken.push((name.to_owned(), path)),
            Some(Ok(_)) => inner.fail(node.key_fault(format!("`{name}` is nothing that the operation takes"))),
            Some(Err(reason)) => inner.fail(node.fault(reason)),
            None => inner.fail(node.fault(format!("expected a string, found {}", node.kind()))),
        }
    }
    Some(ServiceLook { call, found: found?, settled_after }).filter(|_| !inner.failed())
}

fn called(
    inner: &Table<'_>,
    backend: Option<&str>,
    services: &dyn Services,
    scope: &mut Scope<'_>,
) -> Option<ServiceCall> {
    let faults = scope.around.faults;
    let is_strict = inner.boolean("strict")?;
    let has_mtom = inner.section().keys.iter().any(|key| key.name == MTOM);
    if inner.exactly_one(&["body", "envelope"])? == "envelope" {
        let of_wsdl: &[&str] = if has_mtom { &[MTOM] } else { &[] };
        let (action, written) = envelope_in(inner, of_wsdl)?;
        let texts = scope.around.texts;
        // Nobody asks what is sent without a schema for the types of its values: there are none.
        let places = Places::new(scope, Arc::default());
        let envelope = written.compile(&places, false, texts, faults)?;
        return Some(ServiceCall {
            action: action.into(),
            addressing_action: Arc::default(),
            version: envelope.version,
            is_one_way: false,
            body: Body::Envelope(Arc::new(envelope)),
            origins: places.origins.into_inner(),
            alone: Vec::new(),
            is_strict,
            judgement: Arc::default(),
            taken: Vec::new(),
        });
    }
    if !inner.has("operation") {
        let fault = inner.node().key_fault(format!("`{}` has no `operation` of the WSDL", inner.section().path));
        inner.fail(fault.help("name the operation whose `body` this is, as `inspect` shows them"));
        return None;
    }
    inner.filled("operation")?;
    let plan = plan_of(services, backend, inner.get("operation")?, faults)?;
    // What the WSDL's policy demands needs no word; a word of the mapping's counts before it.
    let is_packaged = if has_mtom && inner.has(MTOM) { Some(inner.boolean(MTOM)?) } else { None };
    let body = inner.read("body", |_| Ok(())).and_then(|()| inner.get("body"))?;
    let places = Places::new(scope, Arc::clone(&plan.types));
    let mut typed = compile_request(plan, body, &places, &[], faults)?;
    typed.is_packaged = is_packaged.unwrap_or(typed.is_packaged);
    let operation = &typed.plan.operation;
    Some(ServiceCall {
        action: operation.action.as_ref().into(),
        addressing_action: operation.addressing_action.as_ref().into(),
        version: operation.version,
        is_one_way: operation.output.is_none(),
        body: Body::Typed(Arc::new(typed)),
        origins: places.origins.into_inner(),
        alone: places.alone.into_inner(),
        is_strict,
        judgement: Arc::default(),
        taken: Vec::new(),
    })
}
