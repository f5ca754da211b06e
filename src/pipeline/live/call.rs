//! A flight's own task: a place at the gate, the call, and a document of its answer.

use std::io::Cursor;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;

use super::flight::{Flight, FlightKey, Flights, Stage};
use super::{Fetched, LiveError};
use crate::adapters::soap::{Answer, Request, SoapError, Version};
use crate::decode::{Item, Resume};
use crate::gate::Permit;
use crate::mapping::{Mapped, Plan, SoapVersion};
use crate::pipeline::world::Callee;
use crate::pipeline::{Bridge, read};
use crate::record::{Document, Reject};

/// Answers of more bytes are mapped on a thread of their own.
const LARGE: usize = 64 << 10;

/// What a flight needs.
pub(super) struct Trip {
    pub(super) bridge: Arc<Bridge>,
    pub(super) plan: Arc<Plan>,
    pub(super) callee: Arc<Callee>,
    pub(super) key: String,
}

/// Tells the riders that there is no answer when the task ends without one.
struct Crew {
    flights: Arc<Flights>,
    name: FlightKey,
    flight: Arc<Flight>,
    has_landed: bool,
}

impl Crew {
    fn land(mut self, outcome: Result<Arc<Fetched>, LiveError>) {
        self.end(outcome);
    }

    fn end(&mut self, outcome: Result<Arc<Fetched>, LiveError>) {
        self.has_landed = true;
        self.flights.land(&self.name, &self.flight);
        self.flight.tell(Stage::Done(outcome));
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        if !self.has_landed {
            self.end(Err(LiveError::Internal { message: "a live call ended unexpectedly".to_owned() }));
        }
    }
}

/// Flies to the backend and back.
pub(super) async fn fly(trip: Trip, flights: Arc<Flights>, name: FlightKey, flight: Arc<Flight>) {
    let crew = Crew { flights, name, flight, has_landed: false };
    let outcome = trip.go(&crew).await;
    crew.land(outcome.map(Arc::new));
}

impl Trip {
    async fn go(&self, crew: &Crew) -> Result<Fetched, LiveError> {
        let Some(request) = self.request() else {
            // XML cannot say such a key, so no record has it.
            return Err(LiveError::NoRecord { other: None });
        };
        let permit = self.permit(crew).await?;
        if crew.flights.give_up(&crew.name, &crew.flight) {
            return Err(LiveError::WaitOver);
        }
        let waited = permit.waited();
        let since = Instant::now();
        crew.flight.tell(Stage::Calling { since });
        let result = self.call(crew, &permit, &request).await;
        let took = since.elapsed();
        // What follows is no work of the backend's.
        drop(permit);
        let outcome = result.as_ref().map_or_else(outcome_of, |_| "answered");
        self.bridge.metrics.backend_call(&self.plan.backend, outcome, took);
        let document = self.document(result?.envelope).await?;
        Ok(Fetched { payload: Bytes::from(document.payload), hash: document.hash, waited, took })
    }

    fn request(&self) -> Option<Request> {
        let operation = &self.callee.operation;
        Some(Request {
            envelope: Bytes::from(operation.envelope(&self.key)?),
            action: operation.action.clone(),
            version: match operation.version {
                SoapVersion::V11 => Version::V11,
                SoapVersion::V12 => Version::V12,
            },
        })
    }

    /// Waits for a place, as long as anybody waits for the flight.
    async fn permit(&self, crew: &Crew) -> Result<Permit, LiveError> {
        let queue_timeout = self.callee.gate.config().queue_timeout;
        let mut admitted = pin!(self.callee.gate.admit(crew.flight.ask.at_gate(queue_timeout)));
        loop {
            tokio::select! {
                biased;
                permit = &mut admitted => return permit.map_err(|reason| LiveError::Refused { reason }),
                () = crew.flight.emptied() => {
                    if crew.flights.give_up(&crew.name, &crew.flight) {
                        // Nobody hears it.
                        return Err(LiveError::WaitOver);
                    }
                }
            }
        }
    }

    /// Calls the backend to the end of its answer, whoever leaves meanwhile.
    async fn call(&self, crew: &Crew, permit: &Permit, request: &Request) -> Result<Answer, SoapError> {
        let mut answered = pin!(self.callee.service.call(permit, request));
        tokio::select! {
            biased;
            answer = &mut answered => return answer,
            () = crew.flight.emptied() => permit.caller_left(),
        }
        answered.await
    }

    /// The document of the one record that was asked for.
    async fn document(&self, envelope: Bytes) -> Result<Document, LiveError> {
        if envelope.len() < LARGE {
            return pick(&self.plan, envelope, &self.key);
        }
        let (plan, key) = (Arc::clone(&self.plan), self.key.clone());
        let picked = tokio::task::spawn_blocking(move || pick(&plan, envelope, &key)).await;
        picked.unwrap_or_else(|error| Err(LiveError::Internal { message: format!("mapping an answer: {error}") }))
    }
}

/// How a call ended, for the metrics.
fn outcome_of(error: &SoapError) -> &'static str {
    match error {
        SoapError::Fault(_) => "fault",
        SoapError::Denied { .. } | SoapError::Secret(_) => "denied",
        SoapError::Unreachable { .. } => "unreachable",
        SoapError::NoEnvelope { .. } | SoapError::Cut { .. } | SoapError::TooLarge { .. } => "bad_answer",
        SoapError::Lost { .. } | SoapError::Silent { .. } => "lost",
    }
}

/// Reads the answer to its end and finds the record with the key in it. A record whose own key is another is none that
/// was asked for, be it good or bad.
fn pick(plan: &Plan, envelope: Bytes, key: &str) -> Result<Document, LiveError> {
    let io = |error: std::io::Error| LiveError::Internal { message: format!("reading an answer: {error}") };
    let rejected = |reject: Reject| LiveError::Rejected(Box::new(reject));
    let mut reader = match plan.decoder.reader(Cursor::new(envelope), Resume::default()) {
        Ok(reader) => reader,
        Err(fault) => return Err(rejected(read::file_reject(fault).map_err(io)?)),
    };
    let mut mapper = plan.mapper();
    let (mut found, mut bad, mut other) = (None, None, None);
    loop {
        let reject = match reader.next() {
            Ok(None) => break,
            Ok(Some(Item::Skipped)) => continue,
            Ok(Some(Item::Reject(reject))) => reject,
            Ok(Some(Item::Record(record))) => match mapper.map(&record) {
                Mapped::Document(document) if document.key == key => {
                    found.get_or_insert(document);
                    continue;
                }
                Mapped::Document(document) => {
                    other.get_or_insert(document.key);
                    continue;
                }
                Mapped::Reject(reject) => reject,
                Mapped::Skipped | Mapped::Trailer => continue,
            },
            // What is not whole is not believed.
            Err(fault) => return Err(rejected(read::file_reject(fault).map_err(io)?)),
        };
        if reject.key.as_deref().is_none_or(|own| own == key) {
            bad.get_or_insert(reject);
        }
    }
    match (found, bad) {
        (Some(document), _) => Ok(document),
        (None, Some(reject)) => Err(rejected(reject)),
        (None, None) => Err(LiveError::NoRecord { other }),
    }
}
