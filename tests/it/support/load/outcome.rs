//! What became of the requests.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::support::fairness::jain;

/// What became of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Answered in time.
    Good,
    /// Answered too late to be of use.
    Late,
    /// Told to come again.
    Refused { status: u16, reason: String },
    /// Any other answer.
    Failed(u16),
    /// The caller hung up before there was an answer.
    Left,
    /// The connection ended, or was not made, or the answer was none to this request.
    Broken(String),
    /// No answer, as long as one could wait.
    Unanswered,
}

/// One request; times are since the start of the load.
#[derive(Clone, Debug)]
pub(crate) struct Shot {
    pub(crate) kind: usize,
    pub(crate) key: String,
    /// When its connection was made; as it was sent, where it was the first on it.
    #[allow(dead_code, reason = "the proofs ask for it")]
    pub(crate) connected: Duration,
    pub(crate) sent: Duration,
    pub(crate) ended: Duration,
    pub(crate) fate: Fate,
}

impl Shot {
    fn took(&self) -> Duration {
        self.ended - self.sent
    }
}

/// All of a load.
pub(crate) struct Outcome {
    pub(crate) began: Instant,
    clients: Vec<&'static str>,
    pub(crate) shots: Vec<Shot>,
    /// Connections on which something came that nobody had asked for.
    #[allow(dead_code, reason = "the proofs ask for it")]
    pub(crate) surplus: usize,
}

impl Outcome {
    pub(super) fn new(began: Instant, clients: Vec<&'static str>, shots: Vec<Shot>, surplus: usize) -> Outcome {
        Outcome { began, clients, shots, surplus }
    }

    fn good(&self) -> impl Iterator<Item = &Shot> {
        self.shots.iter().filter(|shot| shot.fate == Fate::Good)
    }

    /// Good answers a second in this part of the time.
    pub(crate) fn good_rate(&self, from: Duration, until: Duration) -> f64 {
        let within = self.good().filter(|shot| from <= shot.ended && shot.ended < until).count();
        within as f64 / (until - from).as_secs_f64()
    }

    /// Good answers by client, those without any included.
    pub(crate) fn by_client(&self) -> BTreeMap<&'static str, usize> {
        let mut counts: BTreeMap<_, _> = self.clients.iter().map(|client| (*client, 0)).collect();
        self.good().for_each(|shot| *counts.entry(self.clients[shot.kind]).or_default() += 1);
        counts
    }

    /// Jain's index over the clients' good answers.
    pub(crate) fn fairness(&self) -> f64 {
        jain(&self.by_client().values().map(|count| *count as f64).collect::<Vec<_>>())
    }

    /// The time within which this part of the good answers came, of all clients or one.
    pub(crate) fn percentile(&self, part: f64, client: Option<&str>) -> Duration {
        let of = |shot: &&Shot| client.is_none_or(|client| self.clients[shot.kind] == client);
        percentile(self.good().filter(of).map(Shot::took).collect(), part)
    }

    /// The same of the refusals.
    #[allow(dead_code, reason = "benchmarks ask for it")]
    pub(crate) fn refusal_percentile(&self, part: f64) -> Duration {
        let refused = self.shots.iter().filter(|shot| matches!(shot.fate, Fate::Refused { .. }));
        percentile(refused.map(Shot::took).collect(), part)
    }

    pub(crate) fn count(&self, is: impl Fn(&Fate) -> bool) -> usize {
        self.shots.iter().filter(|shot| is(&shot.fate)).count()
    }

    /// How many of each fate: for people.
    pub(crate) fn fates(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for shot in &self.shots {
            *counts.entry(format!("{:?}", shot.fate)).or_default() += 1;
        }
        counts
    }
}

fn percentile(mut times: Vec<Duration>, part: f64) -> Duration {
    times.sort_unstable();
    times.get((times.len() as f64 * part) as usize).or(times.last()).copied().unwrap_or_default()
}
