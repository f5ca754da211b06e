//! `operations`: writes to backends, and what a person has found out about those of which nobody knows.

use clap::{Subcommand, ValueEnum};
use serde_json::json;

use super::{Context, Exit, fail, output};
use crate::console::view;
use crate::pipeline::operate::Failure;
use crate::staging::{AuditEntry, AuditFilter, Operation, OperationFilter, OperationState, Resolution, Staging};

#[derive(Debug, Subcommand)]
pub(super) enum Action {
    /// List writes, newest first
    List {
        /// Only those in this state
        #[arg(long, value_enum)]
        state: Option<State>,
        /// At most so many
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Show a write: what was asked for, and what came of it
    Show {
        /// Its id
        id: String,
    },
    /// List who wrote what, when, and what the backend said to it, newest first; kept longer than the writes themselves
    Audit {
        /// At most so many
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Say what became of a write of which nobody knows, or that a parked one shall not be done
    Resolve {
        /// Its id
        id: String,
        /// It is done
        #[arg(long, conflicts_with = "not_done", required_unless_present = "not_done")]
        done: bool,
        /// It is not done; its client may send it again with the same key
        #[arg(long)]
        not_done: bool,
        /// How this was found out; it is kept in the audit
        #[arg(long)]
        reason: String,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum State {
    Received,
    Parked,
    Running,
    Succeeded,
    Failed,
    Unknown,
}

impl State {
    fn state(self) -> OperationState {
        match self {
            State::Received => OperationState::Received,
            State::Parked => OperationState::Parked,
            State::Running => OperationState::Running,
            State::Succeeded => OperationState::Succeeded,
            State::Failed => OperationState::Failed,
            State::Unknown => OperationState::Unknown,
        }
    }
}

pub(super) async fn run(context: &Context, action: &Action) -> Exit {
    let staging = match context.open_staging() {
        Ok(staging) => staging,
        Err(exit) => return exit,
    };
    match action {
        Action::List { state, limit } => {
            let state = state.map(State::state);
            list(context, &*staging, OperationFilter { state, limit: *limit, ..OperationFilter::default() }).await
        }
        Action::Show { id } => show(context, &*staging, id).await,
        Action::Audit { limit } => {
            audit(context, &*staging, AuditFilter { is_of_writes: true, limit: *limit, ..AuditFilter::default() }).await
        }
        Action::Resolve { id, done, reason, .. } => {
            let author = std::env::var("USER").unwrap_or_else(|_| "command line".to_owned());
            let resolution = Resolution { id: id.clone(), is_done: *done, author, reason: reason.clone() };
            resolve(context, &*staging, &resolution).await
        }
    }
}

async fn list(context: &Context, staging: &dyn Staging, filter: OperationFilter) -> Exit {
    let operations = match staging.operations(&filter).await {
        Ok(operations) => operations,
        Err(error) => return fail(&error.into()),
    };
    if context.json {
        operations.iter().for_each(|operation| output::json(&view::operation(operation)));
        return Exit::Done;
    }
    let row = |operation: &Operation| {
        let asked = &operation.asked;
        let failure = operation.problem.as_deref().and_then(Failure::from_json);
        vec![
            operation.id.clone(),
            operation.state.as_str().to_owned(),
            asked.resource.to_string(),
            asked.name.clone(),
            asked.record_key.clone().unwrap_or_default(),
            asked.client.clone(),
            operation.created_at.to_string(),
            failure.map(|failure| failure.why).unwrap_or_default(),
        ]
    };
    let rows: Vec<_> = operations.iter().map(row).collect();
    output::table(&["ID", "STATE", "RESOURCE", "OPERATION", "RECORD", "CLIENT", "CREATED", "REASON"], &rows);
    Exit::Done
}

async fn audit(context: &Context, staging: &dyn Staging, filter: AuditFilter) -> Exit {
    let entries = match staging.audit(&filter).await {
        Ok(entries) => entries,
        Err(error) => return fail(&error.into()),
    };
    if context.json {
        entries.iter().for_each(|entry| output::json(&view::audit_entry(entry)));
        return Exit::Done;
    }
    let row = |entry: &AuditEntry| {
        [entry.at.to_string(), entry.author.clone(), entry.reason.clone(), entry.subject.clone(), entry.after.clone()]
            .into()
    };
    let rows: Vec<Vec<String>> = entries.iter().map(row).collect();
    output::table(&["AT", "WHO", "WHAT", "OPERATION", "ANSWER"], &rows);
    Exit::Done
}

async fn show(context: &Context, staging: &dyn Staging, id: &str) -> Exit {
    let operation = match staging.operation(id).await {
        Ok(Some(operation)) => operation,
        Ok(None) => {
            output::fault(&format!("there is no operation {id}; `tollbridge operations list` shows the newest"));
            return Exit::Usage;
        }
        Err(error) => return fail(&error.into()),
    };
    let view = view::operation(&operation);
    if context.json {
        output::json(&view);
        return Exit::Done;
    }
    for (name, value) in view.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()) {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        output::line(format!("{name:<16} {text}"));
    }
    Exit::Done
}

async fn resolve(context: &Context, staging: &dyn Staging, resolution: &Resolution) -> Exit {
    let problem = Failure::resolved(&resolution.reason).to_json();
    match staging.resolve_operation(resolution, &problem).await {
        Ok(true) => {
            let state = if resolution.is_done { OperationState::Succeeded } else { OperationState::Failed };
            match context.json {
                true => output::json(&json!({ "id": resolution.id, "state": state.as_str() })),
                false => output::line(format!("operation {} is {}", resolution.id, state.as_str())),
            }
            Exit::Done
        }
        Ok(false) => {
            let id = &resolution.id;
            output::fault(&format!("operation {id} is neither unknown nor parked; `tollbridge operations show {id}`"));
            Exit::Usage
        }
        Err(error) => fail(&error.into()),
    }
}
