//! A SOAP service as what a write is done at: one call is the whole of it.
//!
//! It stands where databases do ([`Database`]), for one operation: what it is asked to do is the call that the mapping has
//! made of that operation, and what it brings are the values that are taken of the answer. A service has no sessions that
//! could prove that a lost call is over; where the mapping says after what time it is (`settled_after`), that is believed.

use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::call;
use crate::adapters::Finding;
use crate::adapters::soap::{Answer, Request, Service, SoapError};
use crate::adapters::sql::{
    Certainty, Database, Dialect, Ended, Fence, Query, Rows, Server, SqlError, SqlErrorKind, StepOutcome, TableInfo,
    TableName, Transacted, Transaction,
};
use crate::decode::xml::{ValuePath, pick};
use crate::gate::Permit;
use crate::mapping::{Sent, ServiceCall, ServiceWrite};
use crate::pipeline::fault::{self, ServiceFault, outcome_of};
use crate::telemetry::Metrics;

/// What a service said no to last, for whoever tells the caller.
pub(super) type Told = Arc<Mutex<Option<ServiceFault>>>;

/// The service, for one operation.
pub(super) struct Door {
    pub(super) service: Arc<Service>,
    pub(super) write: Arc<ServiceWrite>,
    /// What is sent.
    pub(super) call: Result<Sent, String>,
    /// What is sent to find out whether it is done.
    pub(super) look: Option<Result<Sent, String>>,
    pub(super) told: Told,
    pub(super) metrics: Arc<Metrics>,
    pub(super) backend: String,
    /// Since when nobody has called it.
    since: Mutex<Instant>,
}

impl Door {
    pub(super) fn new(
        service: Arc<Service>,
        write: Arc<ServiceWrite>,
        (call, look): (Result<Sent, String>, Option<Result<Sent, String>>),
        told: Told,
        (metrics, backend): (Arc<Metrics>, String),
    ) -> Door {
        Door { service, write, call, look, told, metrics, backend, since: Mutex::new(Instant::now()) }
    }

    fn error(&self, kind: SqlErrorKind, message: impl Into<String>, certainty: Certainty) -> SqlError {
        SqlError { kind, place: self.service.place(), message: message.into(), state: None, native: None, certainty }
    }

    /// One call, with what its mapping says of its answer.
    async fn exchange(
        &self,
        permit: Permit,
        call: &ServiceCall,
        sent: &Result<Sent, String>,
    ) -> Result<Answer, SqlError> {
        let sent = sent.as_ref().map_err(|reason| {
            self.error(
                SqlErrorKind::Business,
                format!("it is nothing that the service takes: {reason}"),
                Certainty::NotBegun,
            )
        })?;
        // What a call before was told is not said of this one.
        *self.told.lock() = None;
        let request = Request {
            envelope: Bytes::from(sent.envelope.clone()),
            attachments: sent.attachments.clone(),
            is_package: sent.is_package,
            action: Arc::clone(&call.action),
            version: fault::version(call.version),
            addressing_action: Arc::clone(&call.addressing_action),
            is_one_way: call.is_one_way,
            trouble: fault::trouble(&call.judgement),
            is_strict: call.is_strict,
        };
        let began = Instant::now();
        let result = self.service.call(&permit, &request).await;
        drop(permit);
        let outcome = result.as_ref().map_or_else(outcome_of, |_| "answered");
        self.metrics.backend_call(&self.backend, outcome, began.elapsed());
        for leniency in result.as_ref().map_or_else(SoapError::leniencies, |answer| &answer.leniencies) {
            self.metrics.odd_answer(&self.backend, leniency.as_str(), 1);
        }
        let answer = result.map_err(|error| self.told(call, error))?;
        match fault::judged_by(&call.judgement, &answer.envelope) {
            Ok(()) => Ok(answer),
            Err(no) => Err(self.told(call, SoapError::Fault(no))),
        }
    }

    /// A fault of a call in the words of those who do writes.
    fn told(&self, call: &ServiceCall, error: SoapError) -> SqlError {
        let message = error.to_string();
        let (kind, certainty) = match &error {
            // Its answer is a no to the call, and none to the question whether it was done.
            SoapError::Fault(fault)
                if fault.is_of_gateway() || fault::rule(&call.judgement, fault).is_some_and(|rule| rule.is_unknown) =>
            {
                (SqlErrorKind::Lost, Certainty::Unknown)
            }
            SoapError::Fault(fault) => {
                let told = fault::told(&call.judgement, call.plan(), fault);
                // By its status alone nothing is begun again.
                let passes = fault::rule(&call.judgement, fault).is_some_and(|rule| rule.passes);
                let message = if told.reason.is_empty() { message } else { told.reason.clone() };
                let kind = if passes { SqlErrorKind::Busy } else { SqlErrorKind::Business };
                let state = Some(told.code.clone());
                *self.told.lock() = Some(told);
                return SqlError { state, ..self.error(kind, message, Certainty::Undone) };
            }
            SoapError::Unreachable { .. } => (SqlErrorKind::Unreachable, Certainty::NotBegun),
            SoapError::Own { .. } => (SqlErrorKind::Own, Certainty::NotBegun),
            SoapError::Secret(_) => (SqlErrorKind::Secret, Certainty::NotBegun),
            SoapError::Denied { .. } | SoapError::Login { .. } => (SqlErrorKind::Login, Certainty::NotBegun),
            SoapError::Unsendable { .. } => (SqlErrorKind::Statement, Certainty::NotBegun),
            // It may have been done before its answer went wrong.
            SoapError::NoEnvelope { .. }
            | SoapError::Odd { .. }
            | SoapError::Cut { .. }
            | SoapError::TooLarge { .. }
            | SoapError::Untrusted { .. } => (SqlErrorKind::Protocol, Certainty::Unknown),
            SoapError::Lost { .. } => (SqlErrorKind::Lost, Certainty::Unknown),
            SoapError::Silent { .. } => (SqlErrorKind::Timeout, Certainty::Unknown),
        };
        self.error(kind, message, certainty)
    }

    fn no_tables(&self) -> SqlError {
        self.error(SqlErrorKind::Statement, "a SOAP service has no tables", Certainty::NotBegun)
    }
}

/// What is taken of an answer.
fn taken(call: &ServiceCall, answer: &Answer) -> Vec<(String, Option<String>)> {
    let paths: Vec<&ValuePath> = call.taken.iter().map(|(_, path)| path).collect();
    // The write is done: what cannot be read of its answer is as if it were not there, and the answer says so.
    let values = pick(Cursor::new(&answer.envelope[..]), &paths).unwrap_or_else(|_| vec![None; paths.len()]);
    call.taken.iter().map(|(name, _)| name.clone()).zip(values).collect()
}

#[async_trait]
impl Database for Door {
    fn place(&self) -> String {
        self.service.place()
    }

    fn dialect(&self) -> Dialect {
        Dialect::Generic
    }

    fn timeout(&self) -> Duration {
        self.service.timeout()
    }

    fn longest(&self, _: Duration) -> Duration {
        self.service.longest()
    }

    fn doubts(&self) -> Vec<String> {
        self.service.doubts()
    }

    /// Whether the write is done: a row with what its answer would have brought.
    async fn query(&self, permit: Permit, _: Query) -> Result<Rows, SqlError> {
        let (Some(look), Some(envelope)) = (&self.write.look, &self.look) else {
            return Err(self.error(SqlErrorKind::Statement, "nothing says how to find out", Certainty::NotBegun));
        };
        let columns: Vec<String> = look.call.taken.iter().map(|(name, _)| name.clone()).collect();
        let answer = match self.exchange(permit, &look.call, envelope).await {
            Ok(answer) => answer,
            // It says so by a fault, as the mapping knows.
            Err(_) if self.told.lock().take().is_some_and(|fault| fault.status == Some(404)) => {
                return Ok(call::found(columns, None));
            }
            Err(error) => return Err(error),
        };
        let values = pick(Cursor::new(&answer.envelope[..]), &look.found.paths()).map_err(|error| {
            self.error(SqlErrorKind::Protocol, format!("its answer cannot be read: {error}"), Certainty::Undone)
        })?;
        let is_done = look.found.judge(&values).is_some();
        let brought = || taken(&look.call, &answer).into_iter().map(|(_, value)| value).collect();
        Ok(call::found(columns, is_done.then(brought)))
    }

    async fn transact(&self, permit: Permit, _: Transaction) -> Result<Transacted, SqlError> {
        let result = self.exchange(permit, &self.write.call, &self.call).await;
        *self.since.lock() = Instant::now();
        let out = taken(&self.write.call, &result?);
        let out = out.into_iter().map(|(name, value)| (name, value.map(String::into_bytes))).collect();
        Ok(Transacted { steps: vec![StepOutcome { out, ..StepOutcome::default() }], trouble: None })
    }

    async fn ended(&self, permit: Permit, _: Fence) -> Result<Ended, SqlError> {
        // Nothing is asked: the service could not tell.
        drop(permit);
        let settled_after = self.write.look.as_ref().and_then(|look| look.settled_after);
        Ok(match settled_after {
            None => Ended::Unknowable,
            Some(time) if self.since.lock().elapsed() >= time => Ended::Yes,
            Some(_) => Ended::No,
        })
    }

    async fn table(&self, _: Permit, _: TableName) -> Result<TableInfo, SqlError> {
        Err(self.no_tables())
    }

    async fn tables(&self, _: Permit) -> Result<Vec<TableName>, SqlError> {
        Err(self.no_tables())
    }

    async fn probe(&self, permit: Permit) -> Result<Server, SqlError> {
        let doubts = self.service.probe(&permit).await;
        let doubts =
            doubts.map_err(|error| self.error(SqlErrorKind::Unreachable, error.to_string(), Certainty::NotBegun))?;
        Ok(Server { product: "SOAP".to_owned(), doubts, ..Server::default() })
    }

    async fn diagnose(&self, permit: Permit) -> Vec<Finding> {
        self.service.diagnose(&permit).await
    }
}
