//! `[source.soap]`: which operation of a service is called, with what, and what its answers mean.
//!
//! A service is called for one record at a time, or polled ([`poll`]). What is sent is made by the plan of the operation
//! ([`typed`]) from a request that is checked against it ([`template`]), or is a whole envelope with places ([`envelope`]).

mod envelope;
mod faults;
mod keys;
mod pieces;
mod poll;
mod services;
mod template;
#[cfg(test)]
mod template_tests;
mod typed;

use std::sync::Arc;

use super::serial::{self, Serial};
use crate::decode::{self, Decoder, Format, Place, xml};
use crate::diagnostic::{self, Faults, Node, SourceText, Table};
use crate::wsdl::{Plan, SoapVersion};
use envelope::Envelope;
use pieces::{KeyPlaces, KeyValues};

pub(super) use envelope::file;
pub use faults::{ErrorWhen, FaultFacts, FaultRule, Judgement, SaidNo};
pub(super) use keys::{ALL, BY_KEY, SECTION};
use pieces::Given;
pub(super) use pieces::{Cut, Known, PlaceFacts, cut, suggest};
pub use pieces::{Given as GivenPlaces, PollValues};
pub(super) use poll::value_path;
pub use poll::{MomentForm, Paging, PollChanges, PollWatermark, Polling, Window};
pub use services::{NoServices, ServiceWsdl, Services};
pub use typed::Sent;
pub(super) use typed::{Typed, compile as compile_request, plan_of};

/// The name of the table.
pub(super) const KIND: &str = "soap";

/// The keys of which one says that the service is polled, and how what changed is found.
pub(super) const POLLED: [&str; 3] = ["watermark", "window", "snapshot"];

/// What a call of a service is: whom it calls, with what, and what its answers mean. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Operation {
    /// As the service knows it; may be empty.
    pub action: Arc<str>,
    /// As WS-Addressing knows it; empty where that is the same.
    pub addressing_action: Arc<str>,
    /// The SOAP of its envelope.
    pub version: SoapVersion,
    /// Nothing is answered.
    pub is_one_way: bool,
    /// Whether an answer is taken only where it is in every respect as SOAP and HTTP want it.
    pub is_strict: bool,
    /// Which calls go one at a time; all may go side by side when absent.
    pub serial: Option<Serial>,
    /// What its faults mean, and which of its answers are faults.
    pub judgement: Arc<Judgement>,
    /// How it is polled; it is called for one record where this is absent.
    pub polling: Option<Arc<Polling>>,
    /// The fields of the key.
    key: Arc<[String]>,
    body: Body,
}

/// What is sent.
#[derive(Clone, Debug)]
pub(super) enum Body {
    /// A whole envelope.
    Envelope(Arc<Envelope>),
    /// What the WSDL makes of a request.
    Typed(Arc<Typed>),
}

impl Body {
    /// The message with these values; the fault says why there is none.
    pub(super) fn render(&self, given: &dyn Given) -> Result<Sent, String> {
        match self {
            Body::Envelope(envelope) => {
                let envelope = envelope.render(given);
                let envelope = envelope.ok_or_else(|| "a value has characters that XML cannot have".to_owned())?;
                Ok(Sent { envelope, attachments: Vec::new(), is_package: false })
            }
            Body::Typed(typed) => typed.render(given),
        }
    }

    /// The plan of the WSDL that makes it, where one does.
    pub(super) fn plan(&self) -> Option<&Plan> {
        match self {
            Body::Envelope(_) => None,
            Body::Typed(typed) => Some(&typed.plan),
        }
    }
}

impl Operation {
    /// The message for a key in its canonical form. `None` when the key has something that cannot be asked for: no record
    /// has such a key.
    pub fn for_key(&self, key: &str) -> Option<Sent> {
        self.body.render(&KeyValues::of(&self.key, key)?).ok()
    }

    /// The message with these values; the fault says why there is none.
    pub fn for_values(&self, values: &dyn Given) -> Result<Sent, String> {
        self.body.render(values)
    }

    /// What it is called, for people.
    pub fn name(&self) -> &str {
        match &self.body {
            Body::Typed(typed) => &typed.plan.operation.name,
            Body::Envelope(_) => {
                let last = self.action.rsplit(['/', '#', ':']).next();
                last.filter(|name| !name.is_empty()).unwrap_or("operation")
            }
        }
    }

    /// What it asks, whatever the values: another text asks something else.
    pub fn question(&self) -> String {
        match &self.body {
            Body::Envelope(envelope) => format!("{envelope:?}"),
            Body::Typed(typed) => typed.question(),
        }
    }

    /// The plan of the WSDL by which it is called, where it is.
    pub fn plan(&self) -> Option<&Plan> {
        self.body.plan()
    }
}

/// What the table says.
pub(super) struct Written {
    call: Call,
    is_strict: bool,
    serial: Option<serial::Written>,
    judgement: Judgement,
    polling: Option<Polling>,
}

/// What is called, as it is written.
enum Call {
    Envelope { action: String, body: envelope::Written },
    Typed { plan: Plan, request: Node },
}

/// Keys that mean something beside an envelope only, and by the WSDL only.
const OF_ENVELOPE: [&str; 2] = ["arrays", "trim"];
const OF_WSDL: [&str; 3] = ["request", "unwrap_lists", "choice"];

impl Written {
    /// Reads the keys that are no business of whoever reads the answers.
    pub(super) fn read(
        table: &Table<'_>,
        backend: Option<&str>,
        services: &dyn Services,
        faults: &Faults,
    ) -> Option<Written> {
        let call = call(table, backend, services, faults);
        let serial = serial::Written::read(table);
        let judgement = Judgement::read(table);
        let polling = Polling::read(table).ok();
        if let (Some(Some(_)), Some(node)) = (&polling, table.get("serial")) {
            table.fail(node.key_fault("`serial` has no meaning for a service that is polled: it is for calls by key"));
        }
        // What is faulty elsewhere is told; what is sent is judged all the same.
        Some(Written {
            call: call?,
            is_strict: is_strict(table),
            serial,
            judgement: judgement.unwrap_or_default(),
            polling: polling.flatten(),
        })
    }

    /// The layout of its answers: settings to be compiled, or a decoder.
    pub(super) fn layout(&self, table: &Table<'_>) -> Option<SoapLayout> {
        let Call::Typed { plan, .. } = &self.call else {
            if !table.has("record_path") {
                let fault = table.node().key_fault("beside an `envelope` there must be a `record_path`");
                table.fail(
                    fault.help("say which elements of the answer are records, like \"//GetOrderResponse/Order\""),
                );
                return None;
            }
            // Without a schema it is about the answer as such.
            table.boolean("strict")?;
            return xml::Settings::read(table).map(|settings| SoapLayout::Settings(Box::new(Format::Xml(settings))));
        };
        let namespaces = table.free("namespaces").filter_map(|(prefix, node)| match node.as_str() {
            Some(uri) => Some((prefix.to_owned(), uri.to_owned())),
            None => {
                table.fail(node.fault(format!("a namespace is a string, found {}", node.kind())));
                None
            }
        });
        let encoding = table.read("encoding", |node| match node.as_str() {
            Some(label) => xml::Settings::parse_encoding(label),
            None => Err(format!("expected a string, found {}", node.kind())),
        });
        let settings = decode::soap::Settings {
            record_path: table.filled("record_path"),
            namespaces: namespaces.collect(),
            strict: table.boolean("strict")?,
            unwrap_lists: table.boolean("unwrap_lists")?,
            choice: table.boolean("choice")?,
            encoding,
            ..decode::soap::Settings::default()
        };
        if table.failed() {
            return None;
        }
        match decode::soap::Soap::new(plan.clone(), settings) {
            Ok(soap) => Some(SoapLayout::Decoder(Decoder::of_soap(soap))),
            Err(reason) => {
                let node = table.get("record_path").or(table.get("operation")).unwrap_or(table.node());
                table.fail(node.fault(reason));
                None
            }
        }
    }

    /// Whether it is polled.
    pub(super) fn is_polled(&self) -> bool {
        self.polling.is_some()
    }

    /// Compiles what is sent, for a key of these fields.
    pub(super) fn compile(
        self,
        key: &[String],
        texts: &dyn Fn(&str) -> Option<Arc<SourceText>>,
        faults: &Faults,
    ) -> Option<Operation> {
        let before = faults.len();
        let of_key = KeyPlaces(key);
        let (known, needed): (&dyn Known, Vec<&str>) = match &self.polling {
            Some(polling) => (polling, polling.needed()),
            None => (&of_key, Vec::new()),
        };
        let serial = self.serial.as_ref().and_then(|serial| serial.compile(key, faults));
        let (action, addressing_action, version, is_one_way, body) = match self.call {
            Call::Envelope { action, body } => {
                let body = body.compile(known, self.polling.is_none() || !needed.is_empty(), texts, faults)?;
                (action, Box::default(), body.version, false, Body::Envelope(Arc::new(body)))
            }
            Call::Typed { plan, request } => {
                let needed: Vec<&str> =
                    if self.polling.is_none() { key.iter().map(String::as_str).collect() } else { needed };
                if let (Some(_), Some(part)) = (&self.polling, plan.operation.input.attachments.first()) {
                    let fault = format!("`{}` goes beside the envelope: what is polled sends no such parts", part.part);
                    faults.push(request.key_fault(fault));
                }
                let typed = typed::compile(plan, &request, known, &needed, faults)?;
                let operation = &typed.plan.operation;
                let (action, of_addressing) = (operation.action.to_string(), operation.addressing_action.clone());
                let (version, is_one_way) = (operation.version, operation.output.is_none());
                (action, of_addressing, version, is_one_way, Body::Typed(Arc::new(typed)))
            }
        };
        (faults.len() == before).then(|| Operation {
            action: action.as_str().into(),
            addressing_action: addressing_action.into(),
            version,
            is_one_way,
            is_strict: self.is_strict,
            serial,
            judgement: Arc::new(self.judgement),
            polling: self.polling.map(Arc::new),
            key: key.into(),
            body,
        })
    }
}

/// Whether the table says so. That it says something else instead is told where `strict` is read.
pub(super) fn is_strict(table: &Table<'_>) -> bool {
    table.get("strict").is_some_and(|node| matches!(node.value, diagnostic::Written::Boolean(true)))
}

/// The layout of what a service answers.
pub(super) enum SoapLayout {
    /// To be compiled.
    Settings(Box<Format>),
    /// As the WSDL has it.
    Decoder(Decoder),
}

/// What a table says of an envelope that is written out: the action of its operation, and the envelope. The keys named have no
/// meaning beside it.
pub(super) fn envelope_in(table: &Table<'_>, of_wsdl: &[&str]) -> Option<(String, envelope::Written)> {
    for node in of_wsdl.iter().filter_map(|name| table.get(name)) {
        table.fail(node.key_fault("this has no meaning beside an `envelope`, which is sent as it is written"));
    }
    let action = table.read("operation", |node| match node.as_str() {
        Some(text) if text.chars().all(|c| c.is_ascii_graphic() && c != '"') => Ok(text.to_owned()),
        Some(text) => Err(format!("`{text}` is no URI: it has blanks, quotes or other than ASCII")),
        None => Err(format!("expected a string, found {}", node.kind())),
    });
    let (text, place) = (table.filled("envelope")?, table.get("envelope").map(Place::of)?);
    Some((action.unwrap_or_default(), envelope::Written { text, place }))
}

fn call(table: &Table<'_>, backend: Option<&str>, services: &dyn Services, faults: &Faults) -> Option<Call> {
    if table.has("envelope") {
        let (action, body) = envelope_in(table, &OF_WSDL)?;
        return Some(Call::Envelope { action, body });
    }
    for node in OF_ENVELOPE.iter().filter_map(|name| table.get(name)) {
        table.fail(node.key_fault("this has no meaning here: the WSDL says it"));
    }
    if !table.has("operation") {
        let path = table.section().path;
        let fault =
            table.node().key_fault(format!("`{path}` has neither an `operation` of the WSDL nor an `envelope`"));
        table.fail(fault.help("name the operation and write its `request`, as `inspect` shows them"));
        return None;
    }
    table.filled("operation")?;
    let operation = table.get("operation")?;
    let plan = typed::plan_of(services, backend, operation, faults)?;
    let request = match table.get("request") {
        Some(node) => node.clone(),
        // Nothing is sent: what the operation needs is told all the same.
        None => Node { value: diagnostic::Written::Table(Default::default()), ..operation.clone() },
    };
    Some(Call::Typed { plan, request })
}
