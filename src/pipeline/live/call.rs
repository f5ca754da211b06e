//! A flight: a place at the gate, the call, and a document of its answer.

use std::io::Cursor;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::time::Instant;

use super::drift::{self, Seen};
use super::flight::{Flight, FlightKey, Flights};
use super::rows::Misfit;
use super::{Fetched, LiveError};
use crate::adapters::soap::{Answer, Request, Service, SoapError};
use crate::adapters::sql::{Database, Query, SqlError};
use crate::decode::{Item, Resume};
use crate::gate::{BreakerState, Permit};
use crate::mapping::{Mapped, Plan};
use crate::pipeline::fault::{self, outcome_of};
use crate::pipeline::world::{Callee, Way};
use crate::pipeline::{Bridge, PipelineError, read, retry};
use crate::record::{Document, Reject};
use crate::staging::{Balance, LiveAbsence, LiveRead};

/// Answers of more bytes are mapped on a thread of their own.
const LARGE: usize = 64 << 10;

/// What a flight needs.
pub(super) struct Trip {
    pub(super) bridge: Arc<Bridge>,
    pub(super) seen: Arc<Seen>,
    pub(super) plan: Arc<Plan>,
    pub(super) callee: Callee,
    pub(super) key: String,
    /// Whether what it brings is staged.
    pub(super) is_stored: bool,
    /// Whether that is done before those who wait are told.
    pub(super) stages_first: bool,
}

/// What a backend is asked, ready to be sent.
enum Question {
    Call(Arc<Service>, Request),
    /// A statement, and whether no record may have such a key for want of room.
    Rows(Arc<dyn Database>, (Query, Misfit)),
}

/// What a backend says to it.
pub(super) enum Told {
    /// Bytes for the decoder.
    Answer(Bytes),
    /// Nothing was begun there.
    NotBegun(LiveError),
    /// No.
    Failed(LiveError),
    /// A statement failed that what is read may have changed under.
    Doubtful(Box<SqlError>),
}

/// What the backend said, and what was made of it.
struct Brought {
    document: Document,
    envelope: Bytes,
    /// When the call began: what the backend says is at least so old.
    as_of: Timestamp,
    waited: Duration,
    took: Duration,
}

/// Sees to it that a flight ends for those who wait for it, however its task ends.
pub(super) struct Crew {
    pub(super) flights: Arc<Flights>,
    pub(super) name: Arc<FlightKey>,
    pub(super) flight: Arc<Flight>,
    has_told: bool,
}

impl Crew {
    /// Tells those who wait what came of it.
    fn tell(&mut self, outcome: Result<Arc<Fetched>, LiveError>) {
        self.has_told = true;
        self.flight.tell(outcome);
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.flights.land(&self.name, &self.flight);
        if !self.has_told {
            self.tell(Err(LiveError::Internal { message: "a live call ended unexpectedly".to_owned() }));
        }
    }
}

/// Flies to the backend and back, and stages what was brought.
pub(super) async fn fly(trip: Trip, flights: Arc<Flights>, name: Arc<FlightKey>, flight: Arc<Flight>) {
    let mut crew = Crew { flights, name, flight, has_told: false };
    let asked_at = Timestamp::now();
    let brought = match trip.go(&crew).await {
        Ok(brought) => brought,
        Err(error) => {
            trip.seen.failed(&trip.plan, &error);
            // Whoever comes now begins another: errors are not kept.
            crew.flights.land(&crew.name, &crew.flight);
            if trip.is_stored && error.is_absence() {
                trip.stage_absence(asked_at).await;
            }
            return crew.tell(Err(error));
        }
    };
    let Brought { document, envelope, as_of, waited, took } = brought;
    let payload = Bytes::from(document.payload.clone());
    let fetched = Ok(Arc::new(Fetched { payload, hash: document.hash, waited, took }));
    if trip.stages_first {
        if trip.is_stored {
            trip.stage(document, envelope, as_of).await;
        }
        return crew.tell(fetched);
    }
    crew.tell(fetched);
    if trip.is_stored {
        trip.stage(document, envelope, as_of).await;
    }
}

impl Trip {
    async fn go(&self, crew: &Crew) -> Result<Brought, LiveError> {
        let question = self.question().await?;
        let mut attempt = 1;
        let (envelope, as_of, waited, took) = loop {
            let permit = self.permit(crew).await?;
            if crew.flights.give_up(&crew.name, &crew.flight) {
                return Err(LiveError::WaitOver);
            }
            let (waited, since, as_of) = (permit.waited(), Instant::now(), Timestamp::now());
            crew.flight.calls(since);
            let told = match &question {
                Question::Call(service, request) => self.told(crew, permit, service, request).await,
                Question::Rows(database, (query, misfit)) => self.row(crew, permit, database, (query, *misfit)).await,
            };
            match told {
                Told::Answer(envelope) => break (envelope, as_of, waited, since.elapsed()),
                Told::NotBegun(_) if self.may_try_again(attempt) => {
                    tokio::time::sleep(retry::pause(attempt)).await;
                    attempt += 1;
                }
                Told::NotBegun(error) | Told::Failed(error) => return Err(error),
                Told::Doubtful(error) => return Err(self.explained(&error).await),
            }
        };
        let document = self.document(envelope.clone()).await.inspect_err(|error| {
            if matches!(error, LiveError::Rejected(_)) {
                self.bridge.count(&self.plan.exposure.id, Balance { read: 1, dead: 1, ..Balance::default() });
            }
        })?;
        Ok(Brought { document, envelope, as_of, waited, took })
    }

    /// What an error of a database is to those who wait.
    async fn explained(&self, error: &SqlError) -> LiveError {
        let (timeout, gate) = (self.callee.timeout(), &self.callee.gate);
        match &self.callee.way {
            Way::Rows(database, rows) => {
                drift::explained(&self.bridge, &self.plan, (database, gate), rows, (error, timeout)).await
            }
            Way::Call(..) => LiveError::Reloaded,
        }
    }

    /// Whether another try does no harm: nobody waits for a place, the backend is not left alone, and second tries are
    /// few.
    fn may_try_again(&self, attempt: u32) -> bool {
        let retry = self.callee.gate.retry();
        let status = self.callee.gate.status();
        attempt < retry.attempts
            && status.queued.iter().sum::<usize>() == 0
            && status.breaker == BreakerState::Closed
            && self.bridge.budgets.spend(&self.plan.backend)
    }

    /// Deletes what is staged of the record: the backend has none. `as_of` is when it was asked or before.
    async fn stage_absence(&self, as_of: Timestamp) {
        let id = &self.plan.exposure.id;
        let absence =
            LiveAbsence { resource: id.clone(), mapping: self.plan.hash.clone(), key: self.key.clone(), as_of };
        match self.bridge.staging.stage_absence(absence).await {
            Ok(true) => {
                tracing::info!(resource = %id, "a record was deleted: its backend does not have it any more");
                self.bridge.count(id, Balance { deleted: 1, ..Balance::default() });
            }
            Ok(false) => {}
            Err(error) => {
                tracing::error!(resource = %id, error = %error, "it cannot be staged that a record is gone");
            }
        }
    }

    /// Stages what the backend said. The answer is given, or will be, whatever comes of this.
    async fn stage(&self, document: Document, envelope: Bytes, as_of: Timestamp) {
        if let Err(error) = self.try_to_stage(document, envelope, as_of).await {
            let id = &self.plan.exposure.id;
            tracing::error!(resource = %id, error = %error.chain(), "a live answer was served but could not be staged");
        }
    }

    /// Stages what the backend said, with the answer it was made from. What is staged already only is noted as said
    /// again.
    async fn try_to_stage(&self, document: Document, envelope: Bytes, as_of: Timestamp) -> Result<(), PipelineError> {
        let id = &self.plan.exposure.id;
        if self.bridge.staging.note_live_read(id, &document.key, document.hash, as_of).await? {
            self.bridge.count(id, Balance { read: 1, unchanged: 1, ..Balance::default() });
            return Ok(());
        }
        let landing = Arc::clone(&self.bridge.landing);
        let landed = tokio::task::spawn_blocking(move || landing.store(Cursor::new(envelope))).await;
        let landed = landed.map_err(|_| PipelineError::Died { file: "a live answer".to_owned() })??;
        let action = match &self.callee.way {
            Way::Call(_, operation) => Arc::clone(&operation.action),
            Way::Rows(..) => Arc::default(),
        };
        let read = LiveRead {
            resource: id.clone(),
            mapping: self.plan.hash.clone(),
            document,
            as_of,
            path: format!("live call {}", if action.is_empty() { self.plan.backend.as_str() } else { &action }),
            blob: landed.id,
            size: landed.size,
        };
        // Another call may have said something newer meanwhile.
        let staged = u64::from(self.bridge.staging.stage_live_read(read).await?);
        self.bridge.count(id, Balance { read: 1, staged, skipped: 1 - staged, ..Balance::default() });
        Ok(())
    }

    /// What is asked.
    async fn question(&self) -> Result<Question, LiveError> {
        match &self.callee.way {
            Way::Call(service, operation) => {
                // XML cannot say such a key, so no record has it.
                let sent = operation.for_key(&self.key).ok_or(LiveError::NoRecord { other: None })?;
                let request = Request {
                    envelope: Bytes::from(sent.envelope),
                    attachments: sent.attachments,
                    is_package: sent.is_package,
                    action: Arc::clone(&operation.action),
                    version: fault::version(operation.version),
                    addressing_action: Arc::clone(&operation.addressing_action),
                    is_one_way: operation.is_one_way,
                    trouble: fault::trouble(&operation.judgement),
                    is_strict: operation.is_strict,
                };
                Ok(Question::Call(Arc::clone(service), request))
            }
            Way::Rows(database, rows) => {
                let query = self.by_key(database, rows).await?;
                Ok(Question::Rows(Arc::clone(database), query))
            }
        }
    }

    /// What a service says.
    async fn told(&self, crew: &Crew, permit: Permit, service: &Service, request: &Request) -> Told {
        let since = Instant::now();
        let result = self.call(crew, &permit, service, request).await;
        let took = since.elapsed();
        // What follows is no work of the backend's.
        drop(permit);
        let outcome = result.as_ref().map_or_else(outcome_of, |_| "answered");
        self.bridge.metrics.backend_call(&self.plan.backend, outcome, took);
        for leniency in result.as_ref().map_or_else(SoapError::leniencies, |answer| &answer.leniencies) {
            self.bridge.metrics.odd_answer(&self.plan.backend, leniency.as_str(), 1);
        }
        let Way::Call(_, operation) = &self.callee.way else {
            return Told::Failed(LiveError::Reloaded);
        };
        let result = result.and_then(|answer| match fault::judged(operation, &answer.envelope) {
            Ok(()) => Ok(answer),
            Err(fault) => Err(SoapError::Fault(fault)),
        });
        match result {
            Ok(answer) => match service.inlined(&answer) {
                Ok(envelope) => Told::Answer(envelope),
                Err(error) => Told::Failed(error.into()),
            },
            Err(SoapError::Fault(told)) => {
                let fault = fault::told(&operation.judgement, operation.plan(), &told);
                Told::Failed(LiveError::Fault(Box::new(fault)))
            }
            Err(error) if error.was_not_begun() => Told::NotBegun(error.into()),
            Err(error) => Told::Failed(error.into()),
        }
    }

    /// Waits for a place, as long as anybody waits for the flight.
    async fn permit(&self, crew: &Crew) -> Result<Permit, LiveError> {
        let queue_timeout = self.callee.gate.queue_timeout();
        let ask = crew.flight.ask.at_gate(queue_timeout, self.callee.longest());
        let serial = match &self.callee.way {
            Way::Call(_, operation) => operation.serial.as_ref().and_then(|serial| serial.of(&self.key)),
            Way::Rows(..) => None,
        };
        let ask = match serial {
            Some(serial) => ask.serial(serial),
            None => ask,
        };
        let mut admitted = pin!(self.callee.gate.admit(ask));
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

    /// A call earns a share of a second try.
    pub(super) fn earn(&self) {
        self.bridge.budgets.earn(&self.plan.backend, self.callee.gate.retry().budget);
    }

    /// Calls the backend to the end of its answer, whoever leaves meanwhile.
    async fn call(
        &self,
        crew: &Crew,
        permit: &Permit,
        service: &Service,
        request: &Request,
    ) -> Result<Answer, SoapError> {
        self.earn();
        let mut answered = pin!(service.call(permit, request));
        tokio::select! {
            biased;
            answer = &mut answered => return answer,
            () = crew.flight.emptied() => permit.caller_left(),
        }
        answered.await
    }

    /// The document of the one record that was asked for.
    async fn document(&self, envelope: Bytes) -> Result<Document, LiveError> {
        let picked = if envelope.len() < LARGE {
            Ok(pick(&self.plan, envelope, &self.key))
        } else {
            let (plan, key) = (Arc::clone(&self.plan), self.key.clone());
            tokio::task::spawn_blocking(move || pick(&plan, envelope, &key)).await
        };
        let internal = |error| LiveError::Internal { message: format!("mapping an answer: {error}") };
        let (document, odd) = picked.map_err(internal)??;
        for (kind, count) in odd {
            self.bridge.metrics.odd_answer(&self.plan.backend, kind, count);
        }
        document
    }
}

/// What an answer has of the record that was asked for, and what of it was taken although its schema does not allow it.
type Picked = (Result<Document, LiveError>, Vec<(&'static str, u64)>);

/// The documents of all records in an answer, in its order; `None` where one of them is none, or the answer is not whole.
pub(in crate::pipeline) fn all(plan: &Plan, answer: Bytes) -> Option<Vec<Vec<u8>>> {
    let mut reader = plan.decoder.reader(Cursor::new(answer), Resume::default()).ok()?;
    let mut mapper = plan.mapper();
    let mut documents = Vec::new();
    while let Some(item) = reader.next().ok()? {
        match item {
            Item::Record(record) => match mapper.map(&record) {
                Mapped::Document(document) => documents.push(document.payload),
                _ => return None,
            },
            _ => return None,
        }
    }
    Some(documents)
}

/// Reads the answer to its end and finds the record with the key in it. A record whose own key is another is none that
/// was asked for, be it good or bad.
fn pick(plan: &Plan, envelope: Bytes, key: &str) -> Result<Picked, LiveError> {
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
                Mapped::Skipped | Mapped::Trailer | Mapped::Deleted { .. } => continue,
            },
            // What is not whole is not believed.
            Err(fault) => return Err(rejected(read::file_reject(fault).map_err(io)?)),
        };
        if reject.key.as_deref().is_none_or(|own| own == key) {
            bad.get_or_insert(reject);
        }
    }
    let document = match (found, bad) {
        (Some(document), _) => Ok(document),
        (None, Some(reject)) => Err(rejected(reject)),
        (None, None) => Err(LiveError::NoRecord { other }),
    };
    Ok((document, read::odd(&reader)))
}
