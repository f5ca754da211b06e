//! The console's wishes, carried out by the corridor.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::service::Service;
use crate::config::LoadError;
use crate::console::{GateStatus, InboxStatus, Operator, OperatorError, Replayed, ResourceInfo};
use crate::gate::{Elsewhere, Lane};
use crate::pipeline::live::in_time;
use crate::pipeline::sync::Request;
use crate::pipeline::tuning::{Setting, Standing, TuneError, Wish};
use crate::pipeline::{Backend, Files, PipelineError, Reach, patterns_of, replay};
use crate::record::ResourceId;
use crate::staging::{AuditEntry, StagingError};

/// How long a run asked for in the console waits for files that have just arrived.
const PATIENCE: Duration = Duration::from_secs(30);

#[async_trait]
impl Operator for Service {
    fn resources(&self) -> Vec<ResourceInfo> {
        let world = self.bridge.world.load();
        let info = |plan: &Arc<crate::mapping::Plan>| ResourceInfo {
            id: plan.exposure.id.clone(),
            title: plan.exposure.title.clone(),
            backend: plan.backend.clone(),
            schedule: plan.schedule.describe(),
            key_parts: plan.exposure.key.len(),
            expect: plan.expect.clone(),
            waits_since: self.bridge.started_at,
        };
        world.plans.iter().map(info).collect()
    }

    fn inboxes(&self) -> Vec<InboxStatus> {
        let world = self.bridge.world.load();
        let inbox = |(name, backend): (&String, &Arc<Backend>)| {
            let Reach::Files(Files { inbox: Some(door), .. }) = &backend.reach else { return None };
            let unclaimed = door.unclaimed();
            Some(InboxStatus {
                backend: name.clone(),
                place: door.place(),
                resources: patterns_of(&world.plans, name).len(),
                unmoved: self.bridge.unmoved(name),
                unclaimed: unclaimed.files,
                unclaimed_names: unclaimed.first,
            })
        };
        let mut inboxes: Vec<_> = world.backends.iter().filter_map(inbox).collect();
        inboxes.sort_by(|one, other| one.backend.cmp(&other.backend));
        inboxes
    }

    fn gates(&self) -> Vec<GateStatus> {
        let world = self.bridge.world.load();
        let mut gates: Vec<_> = world.backends.values().map(|backend| self.gate(backend)).collect();
        gates.sort_by(|one, other| one.backend.cmp(&other.backend));
        gates
    }

    fn gauge(&self) {
        super::housekeeping::gauge_gates(&self.bridge);
    }

    async fn tune(&self, backend: &str, wish: &Wish) -> Result<(GateStatus, Option<AuditEntry>), TuneError> {
        let decided = self.bridge.decide(backend, wish).await?;
        let world = self.bridge.world.load();
        let gate = world.backends.get(backend).map(|backend| self.gate(backend)).unwrap_or_default();
        Ok((gate, decided.entry))
    }

    async fn replay(&self, dead_letter: i64) -> Result<Replayed, OperatorError> {
        match self.bridge.replay(dead_letter).await {
            Ok(replay::Replayed::Staged { .. } | replay::Replayed::Skipped | replay::Replayed::File { .. }) => {
                Ok(Replayed::Settled)
            }
            Err(PipelineError::RejectedAgain { reject, .. }) => Ok(Replayed::StillBad(reject.sentence())),
            Err(error) => Err(refusal(&error)),
        }
    }

    async fn discard(&self, dead_letter: i64) -> Result<(), OperatorError> {
        self.bridge.discard(dead_letter).await.map_err(|error| refusal(&error))
    }

    async fn sync(&self, resource: &ResourceId, full: bool) -> Result<(), OperatorError> {
        let plan = match self.bridge.world.load().plan(&resource.to_string()) {
            Ok(plan) => Arc::clone(plan),
            Err(error) => return Err(refusal(&error)),
        };
        let world = self.bridge.world.load_full();
        if let Some(closure) = world.backends.get(&plan.backend).and_then(|backend| backend.gate.hours().closed) {
            return Err(refusal(&PipelineError::Closed { backend: plan.backend.clone(), closure }));
        }
        // Whoever runs already holds the lock; taking it for a moment tells the caller at once.
        drop(self.bridge.staging.lock_run(resource).await.map_err(|error| refusal(&error.into()))?);
        let bridge = Arc::clone(&self.bridge);
        tokio::spawn(async move {
            let request = Request { trigger: "admin", lane: Lane::Operator, full, patience: PATIENCE };
            if let Err(error) = bridge.sync(&plan, request).await {
                tracing::error!(resource = %plan.exposure.id, error = %error.chain(), "a run asked for in the console failed");
            }
        });
        Ok(())
    }

    async fn reload(&self) -> Result<Vec<ResourceId>, OperatorError> {
        Service::reload(self).await.map_err(|error| match error {
            LoadError::Faults(faults) => OperatorError::Refused(faults.iter().map(ToString::to_string).collect()),
            other => OperatorError::Failed(other.to_string()),
        })
    }
}

impl Service {
    fn gate(&self, backend: &Backend) -> GateStatus {
        let until = if let Reach::Service(service) = &backend.reach { service.refused_until() } else { None };
        let next_login_at = until.map(|until| in_time(until).to_string());
        let standing = self.bridge.standing(backend.gate.backend());
        status(backend.gate.status(), &standing, next_login_at)
    }
}

fn status(gate: crate::gate::Status, standing: &Standing, next_login_at: Option<String>) -> GateStatus {
    let setting = |setting: &Setting| {
        let decided = setting.decided.as_ref().map(|set| {
            json!({
                "author": set.author,
                "reason": set.reason,
                "since": set.since.to_string(),
                "expires_at": set.expires_at.map(|end| end.to_string()),
            })
        });
        let shown = json!({ "value": setting.value, "config": setting.configured, "override": decided });
        (setting.name.clone(), shown)
    };
    let author = standing.freeze.as_ref().map(|set| set.author.as_str());
    let closed = gate.hours.closed.as_ref().map(|closed| {
        json!({
            "kind": if closed.is_freeze { "freeze" } else { "window" },
            "reason": closed.reason,
            "author": author.filter(|_| closed.is_freeze),
            "since": closed.since.to_string(),
            "until": closed.until.map(|until| until.to_string()),
        })
    });
    let next =
        gate.hours.next.as_ref().map(
            |next| json!({ "reason": next.reason, "from": next.from.to_string(), "until": next.until.to_string() }),
        );
    let sync = gate.active_in(Lane::Sync);
    let elsewhere = |held: &Elsewhere| {
        json!({
            "process": held.process,
            "command": held.command,
            "places": held.places,
            "since": held.since.to_string(),
            "until": held.until.map(|until| until.to_string()),
        })
    };
    GateStatus {
        max_in_flight: gate.max_in_flight,
        own_max_in_flight: gate.own_max_in_flight,
        adaptive: gate.adaptive.as_str(),
        adaptive_limit: gate.adaptive_limit,
        limit: gate.limit,
        next_login_at,
        revision: standing.revision,
        settings: Value::Object(standing.settings.iter().map(setting).collect()),
        closed: closed.unwrap_or_default(),
        next_window: next.unwrap_or_default(),
        unfit: standing.unfit.clone(),
        interactive_in_flight: gate.active.iter().sum::<usize>() - sync,
        sync_in_flight: sync,
        held_elsewhere: gate.held_elsewhere(),
        elsewhere: gate.elsewhere.iter().map(elsewhere).collect(),
        lingering: gate.lingering,
        queued: gate.queued.iter().sum(),
        queue: gate.queue,
        breaker: gate.breaker.as_str(),
        service_time_ms: gate.service_time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
        granted_total: gate.granted,
        rejected_total: gate.refused,
        trouble: gate.trouble,
        backend: gate.backend,
    }
}

fn refusal(error: &PipelineError) -> OperatorError {
    let sentence = error.chain();
    match error {
        PipelineError::DeadLetter { reason, .. } if reason.starts_with("does not exist") => {
            OperatorError::NotFound(sentence)
        }
        PipelineError::UnknownResource { .. } => OperatorError::NotFound(sentence),
        PipelineError::DeadLetter { .. }
        | PipelineError::Closed { .. }
        | PipelineError::Staging(StagingError::Locked(_)) => OperatorError::Conflict(sentence),
        _ => OperatorError::Failed(sentence),
    }
}
