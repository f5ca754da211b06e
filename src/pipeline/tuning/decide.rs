//! An operator's decision about a gate: judged, written down with its author, put in force.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{Backend, Bridge, Configured, FREEZE, Standing, UnknownBackend, fitting, subject};
use crate::adapters::soap::SoapError;
use crate::diagnostic::{nearest, parse_duration};
use crate::gate::tuning::{Values, complete, flat, overlay};
use crate::pipeline::Reach;
use crate::staging::{AuditEntry, Decision, Override, StagingError, Tuned};

/// What an operator wants of a gate, as it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Who asks.
    pub author: String,
    /// Why.
    pub reason: String,
    /// What.
    pub act: Act,
    /// Until when.
    pub end: End,
    /// The revision that the operator has seen, to be refused when there is a newer one.
    pub seen: Option<u64>,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// These values hold; null takes an operator's value back.
    Set(Values),
    /// All operators' values are taken back.
    Reset,
    /// The backend is not called.
    Freeze,
    /// It is called again.
    Thaw,
    /// Its account, which is left alone since it was refused, is tried once by the next call. It is a service's, and each
    /// process has one of its own.
    Login,
}

/// Until when something holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum End {
    /// Until it is taken back.
    #[default]
    Open,
    /// For this long: `2h`.
    For(String),
    /// Until this moment, as RFC 3339 has it.
    At(String),
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// The entry in the audit; `None` when there was nothing to do.
    pub entry: Option<AuditEntry>,
}

/// Why a decision was not taken.
#[derive(Debug, thiserror::Error)]
pub enum TuneError {
    /// No backend has this name.
    #[error(transparent)]
    UnknownBackend(#[from] UnknownBackend),
    /// Everything that is wrong with it.
    #[error("the values do not fit")]
    Faults(Vec<String>),
    /// The gate's state does not permit it.
    #[error("{0}")]
    Conflict(String),
    /// Somebody else has decided meanwhile.
    #[error("the gate was changed meanwhile; its revision is {revision}")]
    Overtaken {
        /// The revision in force.
        revision: u64,
    },
    /// It could not be written down, and so is not in force.
    #[error(transparent)]
    Staging(#[from] StagingError),
}

/// Bounds of an end: nothing is decided for a moment, or for ever by a slip.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);
/// A reason is a sentence.
const LONGEST_REASON: usize = 500;
/// How often a decision is tried when another process decides at the same time.
const TRIES: usize = 5;

impl Bridge {
    /// Decides about a gate, for all processes: written down with its audit, then in force.
    pub async fn decide(&self, backend: &str, wish: &Wish) -> Result<Decided, TuneError> {
        let _alone = self.tuning.deciding.lock().await;
        let world = self.world.load_full();
        let Some(found) = world.backends.get(backend) else {
            return Err(UnknownBackend::among(backend, world.backends.keys().map(String::as_str)).into());
        };
        let service = match (&wish.act, &found.reach) {
            (Act::Login, Reach::Service(service)) if service.is_left_alone().map_err(unreadable)? => Some(service),
            (Act::Login, Reach::Service(_)) => {
                let reason = format!("no account is left alone at backend {backend}: the next call tries it anyway");
                return Err(TuneError::Conflict(reason));
            }
            (Act::Login, _) => {
                return Err(TuneError::Conflict(format!(
                    "backend {backend} is no service whose account is left alone"
                )));
            }
            _ => None,
        };
        let mut tries = 0;
        loop {
            tries += 1;
            let tuned = self.staging.tuned(&subject(backend)).await?;
            if wish.seen.is_some_and(|seen| seen != tuned.revision) {
                return Err(TuneError::Overtaken { revision: tuned.revision });
            }
            let now = Timestamp::now();
            let Some(decision) = judge(backend, &found.configured, &tuned, wish, now)? else {
                return Ok(Decided { entry: None });
            };
            match self.staging.decide(&decision).await {
                Ok(entry) => {
                    tracing::warn!(
                        backend,
                        author = entry.author,
                        action = entry.action,
                        reason = entry.reason,
                        before = entry.before,
                        after = entry.after,
                        expires_at = entry.expires_at.map(|end| end.to_string()),
                        "a decision about a gate"
                    );
                    self.take_over(found).await;
                    if let Some(service) = service {
                        service.ask_for_a_try().map_err(unreadable)?;
                    }
                    return Ok(Decided { entry: Some(entry) });
                }
                Err(StagingError::Overtaken { .. }) if wish.seen.is_none() && tries < TRIES => {}
                Err(StagingError::Overtaken { revision, .. }) => return Err(TuneError::Overtaken { revision }),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Puts in force what stands in staging.
    async fn take_over(&self, backend: &Backend) {
        match self.staging.tuned(&subject(backend.gate.backend())).await {
            Ok(tuned) => {
                let revision = tuned.revision;
                drop(self.settle(backend, tuned, Timestamp::now()));
                backend.gate.announce_cap(revision);
            }
            // It is written down: whoever looks after the gates finds it at its next look.
            Err(error) => tracing::error!(error = %error, "a decision is not in force yet"),
        }
    }

    /// Ends what has come to its end. The fall back to the configuration is an entry in the audit like any decision.
    pub(super) async fn end_what_is_over(&self, backend: &Backend, tuned: Tuned) -> Result<Tuned, StagingError> {
        let (name, now) = (backend.gate.backend(), Timestamp::now());
        let over: Vec<&Override> = tuned.overrides.iter().filter(|set| set.is_over(now)).collect();
        if over.is_empty() {
            return Ok(tuned);
        }
        let all = complete(&backend.configured.values);
        let was = |set: &Override| serde_json::from_str(&set.value).unwrap_or(Value::Null);
        let reasons: Vec<String> =
            over.iter().map(|set| format!("{} by {}: {}", set.name, set.author, set.reason)).collect();
        let decision = Decision {
            subject: subject(name),
            action: "expired",
            author: "tollbridge".to_owned(),
            reason: format!("the time is over of {}", reasons.join("; ")),
            expires_at: None,
            changes: over.iter().map(|set| (set.name.clone(), None)).collect(),
            seen: tuned.revision,
            before: object(over.iter().map(|set| (set.name.as_str(), was(set)))),
            after: object(over.iter().map(|set| (set.name.as_str(), all.get(&set.name).cloned().unwrap_or_default()))),
        };
        match self.staging.decide(&decision).await {
            Ok(_) => {
                tracing::info!(backend = name, reason = decision.reason, "operators' values have come to their end")
            }
            // Whoever decided meanwhile is seen at the next look.
            Err(StagingError::Overtaken { .. }) => {}
            Err(error) => return Err(error),
        }
        self.staging.tuned(&subject(name)).await
    }
}

/// A secret that cannot be read is tried by nobody.
fn unreadable(error: SoapError) -> TuneError {
    TuneError::Conflict(error.to_string())
}

fn object<'v>(members: impl Iterator<Item = (&'v str, Value)>) -> String {
    Value::Object(members.map(|(name, value)| (name.to_owned(), value)).collect()).to_string()
}

/// Makes a decision of a wish, or says everything that is wrong with it; `None` when nothing is to be done.
fn judge(
    backend: &str,
    configured: &Configured,
    tuned: &Tuned,
    wish: &Wish,
    now: Timestamp,
) -> Result<Option<Decision>, TuneError> {
    let mut faults = Vec::new();
    let reason = wish.reason.trim();
    if reason.is_empty() {
        faults.push("`reason`: say why, for those who find it later".to_owned());
    } else if reason.chars().count() > LONGEST_REASON {
        faults.push(format!("`reason`: longer than {LONGEST_REASON} characters"));
    }
    let expires_at = end(&wish.end, now).unwrap_or_else(|fault| {
        faults.push(fault);
        None
    });
    let live: Vec<&Override> = tuned.overrides.iter().filter(|set| !set.is_over(now)).collect();
    let frozen = live.iter().find(|set| set.name == FREEZE);
    let values: Vec<&Override> = live.iter().copied().filter(|set| set.name != FREEZE).collect();
    let told = |end: Option<Timestamp>| json!({ "until": end.map(|end| end.to_string()) });
    let froze = frozen.map_or(Value::Null, |set| told(set.expires_at));
    let (action, changes, before, after) = match &wish.act {
        Act::Set(wanted) => {
            let (changes, before, after) = set(configured, &values, wanted, &mut faults);
            ("set", changes, before, after)
        }
        Act::Reset => {
            let (all, in_force) = (complete(&configured.values), in_force(configured, &values));
            let names = || values.iter().map(|set| set.name.as_str());
            let of = |all: &Values| object(names().map(|name| (name, all.get(name).cloned().unwrap_or_default())));
            ("reset", names().map(|name| (name.to_owned(), None)).collect(), of(&in_force), of(&all))
        }
        Act::Freeze => {
            let after = object([(FREEZE, told(expires_at))].into_iter());
            ("freeze", vec![(FREEZE.to_owned(), Some("true".to_owned()))], object([(FREEZE, froze)].into_iter()), after)
        }
        Act::Thaw if frozen.is_none() => {
            return Err(TuneError::Conflict(format!("backend {backend} is not frozen")));
        }
        Act::Thaw => {
            let after = object([(FREEZE, Value::Null)].into_iter());
            ("thaw", vec![(FREEZE.to_owned(), None)], object([(FREEZE, froze)].into_iter()), after)
        }
        Act::Login => ("login", Vec::new(), object(std::iter::empty()), object(std::iter::empty())),
    };
    if !faults.is_empty() {
        return Err(TuneError::Faults(faults));
    }
    if changes.is_empty() && wish.act != Act::Login {
        return Ok(None);
    }
    Ok(Some(Decision {
        subject: subject(backend),
        action,
        author: wish.author.clone(),
        reason: reason.to_owned(),
        expires_at,
        changes,
        seen: tuned.revision,
        before,
        after,
    }))
}

/// The changes for these values, with those before and after.
fn set(
    configured: &Configured,
    values: &[&Override],
    wanted: &Values,
    faults: &mut Vec<String>,
) -> (Vec<(String, Option<String>)>, String, String) {
    let all = complete(&configured.values);
    // What does not fit any more is not in the way of what does.
    let (_, mut over, _) = fitting(configured, values);
    let before = in_force(configured, values);
    let mut changes: Vec<(String, Option<String>)> = Vec::new();
    for (name, value) in flat(wanted.clone()) {
        if !value.is_null() {
            changes.push((name.clone(), Some(value.to_string())));
            over.insert(name, value);
            continue;
        }
        // A table's name stands for all in it.
        let below = format!("{name}.");
        let is_meant = |known: &str| known == name || known.starts_with(&below);
        let stored: Vec<&str> = values.iter().map(|set| set.name.as_str()).filter(|known| is_meant(known)).collect();
        if stored.is_empty() && !all.keys().any(|known| is_meant(known)) {
            let near = nearest(&name, all.keys().map(String::as_str)).map(|near| format!(" (did you mean `{near}`?)"));
            faults.push(format!("there is no setting `{name}` to take back{}", near.unwrap_or_default()));
        }
        for name in stored {
            over.shift_remove(name);
            changes.push((name.to_owned(), None));
        }
    }
    if wanted.is_empty() {
        faults.push("no value is given; a gate has max_in_flight, queue, queue_timeout and others".to_owned());
    }
    if let Err(wrong) = overlay(&configured.config, &configured.values, &over) {
        faults.extend(wrong);
    }
    let after = complete(&configured.values).into_iter().chain(over).collect::<Values>();
    let of = |all: &Values| {
        object(changes.iter().map(|(name, _)| (name.as_str(), all.get(name).cloned().unwrap_or_default())))
    };
    let (before, after) = (of(&before), of(&after));
    (changes, before, after)
}

/// All settings as they are in force.
fn in_force(configured: &Configured, values: &[&Override]) -> Values {
    let (_, over, _) = fitting(configured, values);
    complete(&configured.values).into_iter().chain(over).collect()
}

fn end(end: &End, now: Timestamp) -> Result<Option<Timestamp>, String> {
    let length = match end {
        End::Open => return Ok(None),
        End::For(text) => {
            parse_duration(text).ok_or_else(|| format!("`{text}` is no length of time like \"30m\", \"2h\", \"3d\""))?
        }
        End::At(text) => {
            let until: Timestamp =
                text.parse().map_err(|_| format!("`{text}` is no moment like \"2026-03-01T04:30:00+01:00\""))?;
            Duration::try_from(until.duration_since(now)).map_err(|_| format!("`{text}` is over already"))?
        }
    };
    if !(SHORTEST..=LONGEST).contains(&length) {
        return Err("an end lies between a second and a year away; leave it out for one that is open".to_owned());
    }
    let until = SignedDuration::try_from(length).ok().and_then(|length| now.checked_add(length).ok());
    // As it is stored.
    let until = until.and_then(|until| Timestamp::from_millisecond(until.as_millisecond()).ok());
    until.map(Some).ok_or_else(|| "the end lies beyond the calendar".to_owned())
}

impl Standing {
    /// The settings that an operator has decided.
    pub fn decided(&self) -> impl Iterator<Item = (&super::Setting, &Override)> {
        self.settings.iter().filter_map(|setting| Some((setting, setting.decided.as_ref()?)))
    }
}
