//! A fragile ERP: a server of its own over sockets, SOAP over HTTP/1.1.
//!
//! A call takes 50 ms alone and (1 + (n/8)^3) times as long with n calls at work, a fifth more or less. With more than
//! twelve at work it is locked: nothing goes on for some seconds, and every call that arrives renews the lock. What is
//! at work is counted by the work, not by the connection: a caller who hangs up ends nothing.

mod trace;
mod wire;
mod work;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::watch;

pub(crate) use trace::{Call, Trace};
use work::Floor;

/// What the ERP is made of.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) seed: u64,
    /// How long a call takes alone.
    pub(crate) alone: Duration,
    /// The number of calls at work at which each takes twice as long.
    pub(crate) knee: f64,
    /// More calls at work lock it.
    pub(crate) bears: usize,
    /// How long it is locked then.
    pub(crate) lock: Duration,
    /// Bytes of the note in every answer.
    pub(crate) note: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            seed: 42,
            alone: Duration::from_millis(50),
            knee: 8.0,
            bears: 12,
            lock: Duration::from_secs(5),
            note: 40,
        }
    }
}

/// How it answers; may be changed at any time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Manner {
    /// Calls that begin from now on take so many times as long.
    pub(crate) slower: f64,
    /// Another number of calls at work at which each takes twice as long.
    pub(crate) knee: Option<f64>,
    /// Between the end of the work proper and the first byte; the call is at work all the while.
    pub(crate) first_byte_after: Duration,
    /// The body breaks off in its middle, and the connection ends.
    pub(crate) half_a_body: bool,
    /// Answers with a fault of the business: no such order.
    pub(crate) fault: bool,
}

impl Default for Manner {
    fn default() -> Manner {
        Manner { slower: 1.0, knee: None, first_byte_after: Duration::ZERO, half_a_body: false, fault: false }
    }
}

struct Shared {
    /// What its times are counted from.
    origin: Instant,
    settings: Settings,
    floor: Mutex<Floor>,
}

impl Shared {
    fn now(&self) -> Duration {
        self.origin.elapsed()
    }

    fn floor(&self) -> MutexGuard<'_, Floor> {
        self.floor.lock().unwrap()
    }
}

/// Whether the ERP runs.
#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Up,
    /// Nobody listens; connections are reset, what was at work is gone.
    Dead,
    /// The end of the thread.
    Over,
}

/// A running ERP on a thread of its own; ends when dropped.
pub(crate) struct Erp {
    address: SocketAddr,
    shared: Arc<Shared>,
    state: watch::Sender<State>,
    cuts: watch::Sender<usize>,
    thread: Option<JoinHandle<()>>,
}

impl Erp {
    pub(crate) fn start(settings: Settings) -> Erp {
        let floor = Mutex::new(Floor::new(settings.clone()));
        let shared = Arc::new(Shared { origin: Instant::now(), settings, floor });
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (state, changes) = watch::channel(State::Up);
        let (cuts, cut) = watch::channel(0);
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("erp".to_owned()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(wire::listen(listener, of_thread, changes, cut));
        });
        Erp { address, shared, state, cuts, thread: Some(thread.unwrap()) }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where its one operation is called.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/soap/orders", self.address)
    }

    /// What the times of its trace are counted from.
    pub(crate) fn origin(&self) -> Instant {
        self.shared.origin
    }

    /// Nothing goes on for this long from now. What is at work then comes to its end afterwards.
    pub(crate) fn stall(&self, time: Duration) {
        let now = self.shared.now();
        self.shared.floor().lock(now, now + time);
    }

    /// Dies: nobody listens, connections are reset, and nothing is at work any more.
    pub(crate) fn die(&self) {
        self.state.send_replace(State::Dead);
    }

    /// Comes back, at the same address.
    pub(crate) fn come_back(&self) {
        self.state.send_replace(State::Up);
    }

    /// All connections are reset, but the work goes on: what stands between has failed.
    pub(crate) fn cut(&self) {
        self.cuts.send_modify(|count| *count += 1);
    }

    /// Changes how it answers.
    pub(crate) fn set(&self, manner: Manner) {
        self.shared.floor().manner = manner;
    }

    /// What it has done so far.
    pub(crate) fn trace(&self) -> Trace {
        self.shared.floor().trace()
    }

    /// Waits until nothing is at work, and answers what it has done.
    pub(crate) fn at_rest(&self) -> Trace {
        let patience = Instant::now() + Duration::from_secs(60);
        loop {
            let trace = self.trace();
            if trace.at_work == 0 {
                return trace;
            }
            assert!(Instant::now() < patience, "{} calls are still at work", trace.at_work);
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Erp {
    fn drop(&mut self) {
        self.state.send_replace(State::Over);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

mod tests;
