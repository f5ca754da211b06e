//! The first page of a service that is polled, as it would be staged. It comes through the gate like any other; nothing is
//! landed, staged or remembered.

use std::io::Cursor;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;

use super::standing::Standing;
use crate::adapters::soap::{self, SoapError};
use crate::gate::Lane;
use crate::mapping::{Operation, Plan, Polling};
use crate::pipeline::preview::{Shown, shown};
use crate::pipeline::{Bridge, PipelineError, admission, fault};
use crate::staging::Balance;

impl Bridge {
    /// Maps the first records of the first page, up to `limit`, and hands them to `show` until it answers false.
    pub async fn preview_poll(
        &self,
        plan: &Arc<Plan>,
        operation: &Operation,
        polling: &Polling,
        limit: Option<u64>,
        show: impl FnMut(Shown) -> bool,
    ) -> Result<Balance, PipelineError> {
        let called = self.world.load().service(plan)?;
        admission::closed(&called.gate)?;
        let told = |reason: String| PipelineError::Source { resource: plan.exposure.id.clone(), reason };
        let begun = Standing::new(String::new()).begin(polling, Timestamp::now(), None).map_err(told)?;
        let Some(turn) = begun else { return Ok(Balance::default()) };
        let sent = operation.for_values(&turn.values(polling)).map_err(told)?;
        let permit = self.pass(&called.gate, Lane::Operator).await?;
        let request = soap::Request {
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
        let service = Arc::clone(&called.service);
        // It goes to its end whoever leaves.
        let call = tokio::spawn(async move { service.call(&permit, &request).await });
        let place = plan.exposure.id.to_string();
        let answer = call.await.map_err(|_| PipelineError::Died { file: place.clone() })??;
        fault::judged(operation, &answer.envelope).map_err(SoapError::Fault)?;
        let envelope = called.service.inlined(&answer)?;
        shown(plan, Cursor::new(envelope), &place, limit, show)
    }
}
