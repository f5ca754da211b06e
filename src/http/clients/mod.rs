//! The callers as clients: what each may have of the service, and what it has used of it.
//!
//! A client is known by the name of its API keys, so only an operator can make one: a caller without a valid key makes
//! nobody new. All who call without a key are the one client `anonymous`. A client that nothing is written of, that
//! holds nothing and whose budget is whole again, is forgotten when there are many; it comes back as it was.

mod bucket;
mod config;
mod fields;
mod holding;
mod rate;
mod strangers;

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hyper::header::HeaderMap;
use parking_lot::Mutex;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::{Problem, Reason};
use crate::gate::{Ask, Lane, Priority};
use crate::telemetry::{ClientMetrics, Metrics, RefusalMetrics};
use fields::Fields;
use holding::{Holding, Meters};
use strangers::Strangers;

pub(crate) use bucket::Bucket;
pub use bucket::Standing;
pub use config::{ClientConfig, ClientsConfig, SECTION};
pub use holding::Hold;
pub use rate::Rate;
pub(super) use strangers::place;

/// The client of all who call without a key.
pub(super) const ANONYMOUS: &str = "anonymous";

/// The client-forgetting begins when there are so many, and again when there are twice as many as were left.
const MANY: usize = 4096;

/// The log is told of failed logins at most so often.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// One client, as it is configured.
pub struct Client {
    /// The name of its keys; who shares fairly with whom at a gate.
    pub name: Arc<str>,
    /// Share among clients of the same priority, 1 to 100.
    pub weight: u32,
    /// Its class.
    pub priority: Priority,
    /// Most places of one backend that it may hold or wait for at once.
    pub max_in_flight: Option<usize>,
    budget: Option<Budget>,
    tally: Arc<Tally>,
}

/// What a client may ask, and how that is said. Shared by the forms that a client has before and after a reload.
#[derive(Clone)]
struct Budget {
    bucket: Arc<Bucket>,
    fields: Arc<Fields>,
}

impl Budget {
    fn new(name: &str, bucket: Bucket) -> Budget {
        let fields = Arc::new(Fields::new(name, bucket.rate()));
        Budget { bucket: Arc::new(bucket), fields }
    }
}

/// What is counted of a client, whatever its settings are.
#[derive(Debug, Default)]
struct Tally {
    requests: AtomicU64,
    refused: AtomicU64,
    refusals: Meters,
    metrics: Option<ClientMetrics>,
}

impl Client {
    /// With these settings and nothing used; told to no metrics.
    pub fn new(name: &str, config: &ClientConfig) -> Client {
        Client::fresh(Arc::from(name), config, Tally::default())
    }

    fn fresh(name: Arc<str>, config: &ClientConfig, tally: Tally) -> Client {
        let budget = config.rate.map(|rate| Budget::new(&name, Bucket::new(rate)));
        Client::with(name, config, budget, Arc::new(tally))
    }

    fn with(name: Arc<str>, config: &ClientConfig, budget: Option<Budget>, tally: Arc<Tally>) -> Client {
        let ClientConfig { weight, priority, max_in_flight, .. } = *config;
        Client { name, weight, priority, max_in_flight, budget, tally }
    }

    /// The same client with other settings: what it has used stays used.
    fn changed_to(&self, config: &ClientConfig) -> Client {
        let budget = match (config.rate, &self.budget) {
            (None, _) => None,
            (Some(rate), Some(before)) if before.bucket.rate() == rate => Some(before.clone()),
            (Some(rate), Some(before)) => Some(Budget::new(&self.name, before.bucket.changed_to(rate))),
            (Some(rate), None) => Some(Budget::new(&self.name, Bucket::new(rate))),
        };
        Client::with(Arc::clone(&self.name), config, budget, Arc::clone(&self.tally))
    }

    /// Its request for a place at a backend.
    pub fn at_gate(&self) -> Ask {
        let ask = Ask::new(Lane::Interactive).of(Arc::clone(&self.name), self.weight, self.priority);
        ask.at_most(self.max_in_flight)
    }

    /// Counts a request and takes it from the budget; `Err` when there is nothing left of it. How the budget stands
    /// then, where there is one.
    pub(super) fn ask(&self) -> Result<Option<Standing>, Standing> {
        self.tally.requests.fetch_add(1, Ordering::Relaxed);
        if let Some(metrics) = &self.tally.metrics {
            metrics.asked();
        }
        self.budget.as_ref().map(|budget| budget.bucket.take()).transpose()
    }

    /// Takes one of many things that a single request asks for from the budget; `Err` says when there is something left
    /// again.
    pub fn draw(&self) -> Result<(), std::time::Duration> {
        match &self.budget {
            None => Ok(()),
            Some(budget) => budget.bucket.take().map(drop).map_err(|standing| standing.more_in),
        }
    }

    /// The 429 for a request beyond the budget.
    pub(super) fn over_its_rate(&self, standing: Standing) -> Problem {
        let rate = self.budget.as_ref().map(|budget| budget.bucket.rate().to_string()).unwrap_or_default();
        over_a_rate("rate", format!("the client \"{}\" may ask {rate}, and has used that up", self.name), standing)
            .hint("wait as long as `Retry-After` says; the operator sets the rate with `[clients.NAME] rate`")
    }

    /// Says on an answer how the budget stands.
    pub(super) fn write(&self, standing: Standing, headers: &mut HeaderMap) {
        if let Some(budget) = &self.budget {
            budget.fields.write(standing, headers);
        }
    }

    /// Nothing is lost when it is made anew.
    fn is_whole(&self) -> bool {
        self.budget.as_ref().is_none_or(|budget| budget.bucket.used() == 0)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A 429 that says truly when there is something left again.
fn over_a_rate(reason: &'static str, detail: String, standing: Standing) -> Problem {
    Reason::RateLimited.because(detail).refusing(reason).retry_in(standing.more_in)
}

/// How a client stands, for operators.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClientStatus {
    /// The name of its keys.
    pub name: String,
    /// Whether it has a section of its own.
    pub configured: bool,
    /// Share among clients of the same priority.
    pub weight: u32,
    /// Its class.
    pub priority: &'static str,
    /// Its rate as written; null without one.
    pub rate: Option<String>,
    /// Requests of its budget that have not come back yet; null without a rate.
    pub used: Option<u32>,
    /// Requests that it may make now; null without a rate.
    pub remaining: Option<u32>,
    /// Most places of one backend.
    pub max_in_flight: Option<usize>,
    /// Requests since the service began to know it.
    pub requests_total: u64,
    /// Those of them that were refused.
    pub refused_total: u64,
}

/// All clients.
pub struct Clients {
    state: Mutex<State>,
    /// Goes up with every change of the settings.
    generation: AtomicU64,
    /// The one budget of failed logins.
    logins: Bucket,
    /// Those of each address.
    logins_from: Strangers<IpAddr>,
    /// Those for each key, by its public id.
    logins_for: Strangers<String>,
    /// When the log was last told of an address that fails and fails.
    told: Mutex<Option<Instant>>,
    /// Of those without a valid key.
    strangers: Meters,
    holding: Holding,
    refusals: RefusalMetrics,
}

struct State {
    config: ClientsConfig,
    metrics: Arc<Metrics>,
    known: HashMap<Arc<str>, Arc<Client>>,
    /// When to forget some.
    many: usize,
}

impl Clients {
    /// With these settings; nobody has called yet. Once `closing` is cancelled, no refusal is held back any more.
    pub fn new(config: ClientsConfig, metrics: Arc<Metrics>, closing: CancellationToken) -> Clients {
        let (refusals, holding) = (metrics.refusals(), Holding::new(metrics.refusals(), closing));
        let mut state = State { config, metrics, known: HashMap::new(), many: MANY };
        state.know_the_named();
        Clients {
            state: Mutex::new(state),
            generation: AtomicU64::new(0),
            logins: Bucket::new(Rate::OF_FAILED_LOGINS),
            logins_from: Strangers::new(Rate::OF_FAILED_LOGINS_EACH),
            logins_for: Strangers::new(Rate::OF_FAILED_LOGINS_EACH),
            told: Mutex::default(),
            strangers: Meters::default(),
            holding,
            refusals,
        }
    }

    /// Cancelled when the listeners close: what would never end by itself ends then.
    pub fn closing(&self) -> &CancellationToken {
        self.holding.closing()
    }

    /// Holds refusals back as `hold` says.
    #[must_use]
    pub fn holding(self, hold: Hold) -> Clients {
        Clients { holding: self.holding.like(hold), ..self }
    }

    /// A refusal is ready, of this client, or of somebody without a valid key. It is counted; goes on when it is to be
    /// sent.
    pub(super) async fn refused(&self, client: Option<&Arc<Client>>, reason: &'static str) {
        let tally = client.map(|client| &client.tally);
        self.refusals.refused(tally.and_then(|tally| tally.metrics.as_ref()), reason);
        if let Some(tally) = tally {
            tally.refused.fetch_add(1, Ordering::Relaxed);
        }
        self.holding.hold_back(tally.map_or(&self.strangers, |tally| &tally.refusals)).await;
    }

    /// The client of the keys with this name.
    pub fn of(&self, name: &str) -> Arc<Client> {
        self.state.lock().of(name)
    }

    /// Puts other settings in force, for the next request of each client. What was used of a budget stays used.
    pub fn reconfigure(&self, config: ClientsConfig) {
        let mut state = self.state.lock();
        state.config = config;
        let State { config, known, .. } = &mut *state;
        known.retain(|name, client| config.names(name) || client.tally.requests.load(Ordering::Relaxed) > 0);
        for (name, client) in known.iter_mut() {
            *client = Arc::new(client.changed_to(&config.of(name)));
        }
        state.know_the_named();
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// A number that is another one when what [`Clients::of`] answered before is out of date.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// A request without valid credentials, from an address, and for a key where it names one. Within modest rates, one of
    /// the address, one of the key, and one that all such requests share, it is told what is wrong; beyond, a 429.
    pub(super) fn failed_login(&self, problem: Problem, from: Option<IpAddr>, key: Option<&str>) -> Problem {
        let of_address = from.map(|address| self.logins_from.take(place(address)));
        let of_key = key.map(|id| self.logins_for.take(id.to_owned()));
        let refused = match (of_address, of_key) {
            (Some(Err(standing)), _) => Some(("from your address", standing)),
            (_, Some(Err(standing))) => Some(("for this key", standing)),
            _ => self.logins.take().err().map(|standing| ("in all", standing)),
        };
        let Some((which, standing)) = refused else { return problem };
        let mut told = self.told.lock();
        if told.is_none_or(|told| told.elapsed() >= TOLD_EVERY) {
            *told = Some(Instant::now());
            let address = from.map(|address| address.to_string());
            tracing::warn!(address, key, "requests without valid credentials come too fast; they are refused");
        }
        let detail = format!("there are too many requests without a valid API key or token {which}");
        over_a_rate("failed_logins", detail, standing).hint("a request with valid credentials is answered even so")
    }

    /// How all clients stand: those with a section of their own, then those who asked most; `limit` at most.
    pub fn status(&self, limit: usize) -> Vec<ClientStatus> {
        let state = self.state.lock();
        let mut clients: Vec<(bool, Arc<Client>)> =
            state.known.iter().map(|(name, client)| (state.config.names(name), Arc::clone(client))).collect();
        drop(state);
        clients.sort_by(|(one_named, one), (other_named, other)| {
            let requests = |client: &Client| client.tally.requests.load(Ordering::Relaxed);
            let rank = |named: bool, client: &Client| (!named, if named { 0 } else { u64::MAX - requests(client) });
            let by_rank = rank(*one_named, one).cmp(&rank(*other_named, other));
            by_rank.then_with(|| one.name.cmp(&other.name))
        });
        clients.truncate(limit);
        clients.iter().map(|(configured, client)| status(client, *configured)).collect()
    }
}

impl State {
    fn of(&mut self, name: &str) -> Arc<Client> {
        if let Some(client) = self.known.get(name) {
            return Arc::clone(client);
        }
        if self.known.len() >= self.many {
            self.forget();
        }
        let name: Arc<str> = Arc::from(name);
        let tally = Tally { metrics: Some(self.metrics.client(&name)), ..Tally::default() };
        let config = self.config.of(&name);
        let client = Arc::new(Client::fresh(name, &config, tally));
        self.known.insert(Arc::clone(&client.name), Arc::clone(&client));
        client
    }

    fn know_the_named(&mut self) {
        let named: Vec<String> = self.config.named().map(str::to_owned).collect();
        for name in named {
            self.of(&name);
        }
    }

    /// Forgets those who come back as they were.
    fn forget(&mut self) {
        let State { config, known, .. } = self;
        known.retain(|name, client| config.names(name) || Arc::strong_count(client) > 1 || !client.is_whole());
        self.many = MANY.max(self.known.len() * 2);
        self.known.shrink_to(self.many);
    }
}

fn status(client: &Client, configured: bool) -> ClientStatus {
    let bucket = client.budget.as_ref().map(|budget| &budget.bucket);
    let priority = Priority::WORDS.iter().find(|(_, priority)| *priority == client.priority);
    ClientStatus {
        name: client.name.to_string(),
        configured,
        weight: client.weight,
        priority: priority.map_or("normal", |(word, _)| word),
        rate: bucket.map(|bucket| bucket.rate().to_string()),
        used: bucket.map(|bucket| bucket.used()),
        remaining: bucket.map(|bucket| bucket.standing().remaining),
        max_in_flight: client.max_in_flight,
        requests_total: client.tally.requests.load(Ordering::Relaxed),
        refused_total: client.tally.refused.load(Ordering::Relaxed),
    }
}

#[cfg(test)]
mod tests;
