//! Callers of every kind, on one thread: those who come whatever happens, those who ask again after each answer, those
//! who leave, those who hardly read. What became of every request is kept.

mod outcome;
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::support::dice::Dice;
pub(crate) use outcome::{Fate, Outcome, Shot};
use wire::Connection;

/// How a request for one order is written.
#[derive(Clone, Debug)]
pub(crate) enum Via {
    /// To the ERP, or to what stands before it and speaks as it does.
    Soap,
    /// To the facade, with an API key.
    Rest(String),
}

/// One kind of caller.
#[derive(Clone, Debug)]
pub(crate) struct Kind {
    /// Stands before the `-` of every number that is asked for.
    pub(crate) client: &'static str,
    pub(crate) address: SocketAddr,
    pub(crate) via: Via,
    pub(crate) coming: Coming,
    /// An answer after this time is of no use.
    pub(crate) deadline: Duration,
    pub(crate) leaves: Option<Leaves>,
    /// Reads so many bytes a second, and has a small window.
    pub(crate) reads: Option<usize>,
}

/// How they come.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Coming {
    /// So many a second, at random, whatever happens.
    Open(f64),
    /// So many callers, each of whom asks again after the answer: at once after a good one, after about this time when it
    /// was refused.
    Closed(usize, Duration),
    /// So many callers at once, each asks once.
    Once(usize),
}

/// Who does not wait for the answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leaves {
    /// This part of them.
    pub(crate) part: f64,
    /// At a random age between these.
    pub(crate) from: Duration,
    pub(crate) to: Duration,
}

impl Kind {
    /// Who stays, reads, and finds an answer within two seconds good.
    pub(crate) fn new(client: &'static str, address: SocketAddr, via: Via, coming: Coming) -> Kind {
        Kind { client, address, via, coming, deadline: Duration::from_secs(2), leaves: None, reads: None }
    }

    pub(crate) fn leaving(self, part: f64, from: u64, to: u64) -> Kind {
        let (from, to) = (Duration::from_millis(from), Duration::from_millis(to));
        Kind { leaves: Some(Leaves { part, from, to }), ..self }
    }

    fn request(&self, key: &str) -> Vec<u8> {
        match &self.via {
            Via::Soap => {
                let body = format!(
                    "<soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\"><soap:Body>\
                     <GetOrder xmlns=\"urn:erp\"><OrderNo>{key}</OrderNo></GetOrder></soap:Body></soap:Envelope>"
                );
                let length = body.len();
                let client = self.client;
                format!(
                    "POST /soap/orders HTTP/1.1\r\nHost: erp\r\nContent-Type: text/xml; charset=utf-8\r\n\
                     X-Client: {client}\r\nContent-Length: {length}\r\n\r\n{body}"
                )
                .into_bytes()
            }
            Via::Rest(secret) => format!(
                "GET /v1/orders/{key} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {secret}\r\nAccept: */*\r\n\r\n"
            )
            .into_bytes(),
        }
    }
}

/// How long after the end of the coming an answer is waited for, before it counts as never given.
const PATIENCE: Duration = Duration::from_secs(30);

/// Load that runs on a thread of its own.
pub(crate) struct Load {
    began: Instant,
    thread: JoinHandle<Outcome>,
}

impl Load {
    /// These callers come for this time.
    pub(crate) fn start(kinds: Vec<Kind>, time: Duration, seed: u64) -> Load {
        let began = Instant::now();
        let thread = std::thread::Builder::new().name("load".to_owned()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(run(kinds, began, time, seed))
        });
        Load { began, thread: thread.unwrap() }
    }

    /// Sleeps until so long after its start.
    pub(crate) fn until(&self, age: Duration) {
        std::thread::sleep(age.saturating_sub(self.began.elapsed()));
    }

    /// How long ago it was started.
    #[allow(dead_code, reason = "the proofs ask for it")]
    pub(crate) fn age(&self) -> Duration {
        self.began.elapsed()
    }

    /// Waits until every request has come to its end.
    pub(crate) fn join(self) -> Outcome {
        self.thread.join().unwrap()
    }
}

/// What all requests of a kind share.
struct Crowd {
    kind: Kind,
    number: usize,
    began: Instant,
    over: Instant,
    dice: Mutex<Dice>,
    /// Connections that nobody uses.
    idle: Mutex<Vec<Connection>>,
    shots: Mutex<Vec<Shot>>,
    count: Mutex<usize>,
    /// Connections on which something came that nobody had asked for.
    surplus: Mutex<usize>,
}

async fn run(kinds: Vec<Kind>, began: Instant, time: Duration, seed: u64) -> Outcome {
    let over = began + time;
    let crowds: Vec<Arc<Crowd>> = kinds
        .into_iter()
        .enumerate()
        .map(|(number, kind)| {
            Arc::new(Crowd {
                kind,
                number,
                began,
                over,
                dice: Mutex::new(Dice(seed.wrapping_mul(1_000_003) + number as u64)),
                idle: Mutex::default(),
                shots: Mutex::default(),
                count: Mutex::default(),
                surplus: Mutex::default(),
            })
        })
        .collect();
    let mut coming = JoinSet::new();
    for crowd in &crowds {
        match crowd.kind.coming {
            Coming::Open(rate) => drop(coming.spawn(open(Arc::clone(crowd), rate))),
            Coming::Closed(callers, pause) => {
                (0..callers).for_each(|_| drop(coming.spawn(closed(Arc::clone(crowd), pause))));
            }
            Coming::Once(callers) => (0..callers).for_each(|_| {
                let crowd = Arc::clone(crowd);
                coming.spawn(async move {
                    if let Some(connection) = crowd.ask(None).await.1 {
                        crowd.part_from(connection).await;
                    }
                });
            }),
        }
    }
    while let Some(ended) = coming.join_next().await {
        ended.unwrap();
    }
    let shots = crowds.iter().flat_map(|crowd| std::mem::take(&mut *crowd.shots.lock().unwrap())).collect();
    let clients = crowds.iter().map(|crowd| crowd.kind.client).collect();
    let surplus = crowds.iter().map(|crowd| *crowd.surplus.lock().unwrap()).sum();
    Outcome::new(began, clients, shots, surplus)
}

/// One after the other at random moments, whatever becomes of those before.
async fn open(crowd: Arc<Crowd>, rate: f64) {
    let mut requests = JoinSet::new();
    let mut next = crowd.began;
    loop {
        next += Duration::from_secs_f64(-(1.0 - crowd.part()).ln() / rate);
        if next >= crowd.over {
            break;
        }
        tokio::time::sleep_until(next.into()).await;
        while requests.try_join_next().is_some() {}
        let crowd = Arc::clone(&crowd);
        requests.spawn(async move {
            let connection = crowd.idle.lock().unwrap().pop();
            if let Some(connection) = crowd.ask(connection).await.1 {
                crowd.idle.lock().unwrap().push(connection);
            }
        });
    }
    requests.join_all().await;
    let idle = std::mem::take(&mut *crowd.idle.lock().unwrap());
    let mut ends = JoinSet::new();
    for connection in idle {
        let crowd = Arc::clone(&crowd);
        ends.spawn(async move { crowd.part_from(connection).await });
    }
    ends.join_all().await;
}

/// One caller who asks again and again.
async fn closed(crowd: Arc<Crowd>, pause: Duration) {
    let mut connection = None;
    while Instant::now() < crowd.over {
        let (is_good, kept) = crowd.ask(connection.take()).await;
        connection = kept;
        if !is_good && !pause.is_zero() {
            let pause = pause.mul_f64(0.5 + crowd.part());
            tokio::time::sleep(pause).await;
        }
    }
    if let Some(connection) = connection {
        crowd.part_from(connection).await;
    }
}

impl Crowd {
    fn part(&self) -> f64 {
        self.dice.lock().unwrap().part()
    }

    /// A connection is not used any more: whatever still comes on it is too much.
    async fn part_from(&self, connection: Connection) {
        if connection.says_more().await {
            *self.surplus.lock().unwrap() += 1;
        }
    }

    /// One request, on this connection or a new one; keeps its fate. Answers whether it was good, and the connection if
    /// it can be used again.
    async fn ask(&self, connection: Option<Connection>) -> (bool, Option<Connection>) {
        let key = {
            let mut count = self.count.lock().unwrap();
            *count += 1;
            format!("{}-{:07}", self.kind.client, *count)
        };
        let request = self.kind.request(&key);
        let leaves = self.kind.leaves.filter(|leaves| self.part() < leaves.part);
        let age = leaves.map(|leaves| {
            let (from, to) = (leaves.from.as_secs_f64(), leaves.to.as_secs_f64());
            Duration::from_secs_f64(self.dice.lock().unwrap().between(from, to))
        });
        let sent = Instant::now();
        let connected = connection.as_ref().map_or(sent, |connection| connection.since);
        let until = age.map_or(self.over.max(sent) + PATIENCE, |age| sent + age);
        let exchange = wire::exchange(connection, self.kind.address, &request, self.kind.reads);
        let result = tokio::time::timeout_at(until.into(), exchange).await;
        let ended = Instant::now();
        let (fate, kept) = match result {
            Err(_) if age.is_some() => (Fate::Left, None),
            Err(_) => (Fate::Unanswered, None),
            Ok(Err(broken)) => (Fate::Broken(broken), None),
            Ok(Ok((answer, connection))) => {
                let fate = match answer.status {
                    200 if !answer.names(&key) => Fate::Broken("the answer to another request".to_owned()),
                    200 if ended - sent > self.kind.deadline => Fate::Late,
                    200 => Fate::Good,
                    status @ (429 | 503) => Fate::Refused { status, reason: answer.reason() },
                    status => Fate::Failed(status),
                };
                (fate, connection)
            }
        };
        let is_good = fate == Fate::Good;
        self.shots.lock().unwrap().push(Shot {
            kind: self.number,
            key,
            connected: connected.saturating_duration_since(self.began),
            sent: sent - self.began,
            ended: ended - self.began,
            fate,
        });
        (is_good, kept)
    }
}
