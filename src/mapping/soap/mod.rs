//! `[source.soap]`: which operation of a service is called, with what, and what its answers mean.
//!
//! A service is called for one record at a time, or polled ([`poll`]). What is sent is a whole envelope with places
//! ([`envelope`]).

mod envelope;
mod faults;
mod keys;
mod pieces;
mod poll;

use std::sync::Arc;

use super::serial::{self, Serial};
use crate::decode::{Format, Place, xml};
use crate::diagnostic::{Faults, SourceText, Table};
use crate::wsdl::SoapVersion;
use envelope::Envelope;
use pieces::{KeyPlaces, KeyValues};

pub(super) use envelope::file;
pub use faults::{ErrorWhen, FaultFacts, FaultRule, Judgement, SaidNo};
pub(super) use keys::{ALL, SECTION};
pub use pieces::{Given, PollValues};
pub use poll::{MomentForm, Paging, PollChanges, PollWatermark, Polling, Window};

/// The name of the table.
pub(super) const KIND: &str = "soap";

/// The keys of which one says that the service is polled, and how what changed is found.
pub(super) const POLLED: [&str; 3] = ["watermark", "window", "snapshot"];

/// An operation that is called. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Operation {
    /// As the service knows it; may be empty.
    pub action: Arc<str>,
    /// The SOAP of its envelope.
    pub version: SoapVersion,
    /// Which calls go one at a time; all may go side by side when absent.
    pub serial: Option<Serial>,
    /// What its faults mean, and which of its answers are faults.
    pub judgement: Arc<Judgement>,
    /// How it is polled; it is called for one record where this is absent.
    pub polling: Option<Arc<Polling>>,
    /// The fields of the key.
    key: Arc<[String]>,
    body: Arc<Envelope>,
}

impl Operation {
    /// The envelope for a key in its canonical form. `None` when the key has something that XML cannot say: no record
    /// has such a key.
    pub fn for_key(&self, key: &str) -> Option<String> {
        self.body.render(&KeyValues::of(&self.key, key)?)
    }

    /// The envelope with these values; the fault says why there is none.
    pub fn for_values(&self, values: &dyn Given) -> Result<String, String> {
        self.body.render(values).ok_or_else(|| "a value has characters that XML cannot have".to_owned())
    }

    /// What it is called, for people.
    pub fn name(&self) -> &str {
        self.action.rsplit(['/', '#', ':']).next().filter(|name| !name.is_empty()).unwrap_or("operation")
    }

    /// What it asks, whatever the values: another text asks something else.
    pub fn question(&self) -> String {
        format!("{:?}", self.body)
    }
}

/// What the table says.
pub(super) struct Written {
    action: String,
    body: envelope::Written,
    serial: Option<serial::Written>,
    judgement: Judgement,
    polling: Option<Polling>,
}

impl Written {
    /// Reads the keys that are no business of whoever reads the answers.
    pub(super) fn read(table: &Table<'_>) -> Option<Written> {
        let action = table.read("operation", |node| match node.as_str() {
            Some(text) if text.chars().all(|c| c.is_ascii_graphic() && c != '"') => Ok(text.to_owned()),
            Some(text) => Err(format!("`{text}` is no URI: it has blanks, quotes or other than ASCII")),
            None => Err(format!("expected a string, found {}", node.kind())),
        });
        let envelope = table.filled("envelope");
        let place = table.get("envelope").map(Place::of);
        let serial = serial::Written::read(table);
        let judgement = Judgement::read(table);
        let polling = Polling::read(table).ok();
        if let (Some(Some(_)), Some(node)) = (&polling, table.get("serial")) {
            table.fail(node.key_fault("`serial` has no meaning for a service that is polled: it is for calls by key"));
        }
        // What is faulty elsewhere is told; the envelope is judged all the same.
        Some(Written {
            action: action.unwrap_or_default(),
            body: envelope::Written { text: envelope?, place: place? },
            serial,
            judgement: judgement.unwrap_or_default(),
            polling: polling.flatten(),
        })
    }

    /// The layout of its answers.
    pub(super) fn format(table: &Table<'_>) -> Option<Format> {
        xml::Settings::read(table).map(Format::Xml)
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
        let body = match &self.polling {
            None => self.body.compile(&KeyPlaces(key), true, texts, faults),
            Some(polling) => self.body.compile(polling, !polling.needed().is_empty(), texts, faults),
        };
        let serial = self.serial.as_ref().and_then(|serial| serial.compile(key, faults));
        let body = body?;
        (faults.len() == before).then(|| Operation {
            action: self.action.as_str().into(),
            version: body.version,
            serial,
            judgement: Arc::new(self.judgement),
            polling: self.polling.map(Arc::new),
            key: key.into(),
            body: Arc::new(body),
        })
    }
}
