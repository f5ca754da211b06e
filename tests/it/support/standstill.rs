//! A database that stands still, and one that is slow, behind a gate that notes what becomes of each call.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tollbridge::adapters::sql::{Database, Isolation, Query, SqlError, SqlErrorKind};
use tollbridge::gate::history::{Fate, Outcome, PastCall};
use tollbridge::gate::{Breaker, BreakerState, Config, Gate, Lane, Observer, Refused};

use super::tds_server::TdsServer;

/// What became of each call, in the order of their ends.
#[derive(Default)]
struct Noted(Mutex<Vec<Fate>>);

impl Observer for Noted {
    fn granted(&self, _: Lane, _: Duration) {}

    fn refused(&self, _: Refused) {}

    fn ended(&self, _: bool, _: Duration) {}

    fn keeps_record(&self) -> bool {
        true
    }

    fn passed(&self, call: PastCall) {
        self.0.lock().unwrap().push(call.fate);
    }
}

/// Good calls that are made before: failures would not outnumber them for long.
const GOOD: usize = 40;

/// A door behind a gate with so many places, whose breaker opens after three failures.
struct Before {
    door: Arc<dyn Database>,
    gate: Arc<Gate>,
    noted: Arc<Noted>,
}

impl Before {
    async fn new(door: Arc<dyn Database>, places: usize) -> Before {
        let hour = Duration::from_secs(3600);
        let config = Config {
            max_in_flight: places,
            queue_timeout: Duration::from_secs(60),
            settle: Duration::from_millis(100),
            breaker: Breaker { failures: 3, window: hour, cool_down: hour },
            ..Config::default()
        };
        let noted = Arc::<Noted>::default();
        let observer: Arc<dyn Observer> = Arc::clone(&noted) as Arc<dyn Observer>;
        let before = Before { door, gate: Gate::new("db", config, Some(observer)), noted };
        for _ in 0..GOOD {
            before.ask(Duration::from_secs(60)).await.unwrap();
        }
        before
    }

    fn ask(&self, timeout: Duration) -> impl Future<Output = Result<u64, SqlError>> + Send + 'static {
        let (door, gate) = (Arc::clone(&self.door), Arc::clone(&self.gate));
        async move {
            let query = Query {
                sql: "SELECT a FROM dbo.one".to_owned(),
                parameters: Vec::new(),
                isolation: Isolation::ReadCommitted,
                batch_rows: 100,
                batch_bytes: 1 << 20,
                max_rows_per_second: None,
                timeout,
            };
            let permit = gate.acquire(Lane::Interactive, Some(Duration::from_secs(60))).await.unwrap();
            let mut rows = door.query(permit, query).await?;
            let mut read = 0;
            while let Some(batch) = rows.batches.recv().await {
                read += batch?.rows;
            }
            Ok(read)
        }
    }

    /// What became of those that were not good calls, when so many are over.
    async fn fates(&self, wanted: usize) -> Vec<Fate> {
        let patience = Instant::now() + Duration::from_secs(60);
        loop {
            let fates = self.noted.0.lock().unwrap().clone();
            let is_good = |fate: &Fate| matches!(fate, Fate::Served { outcome: Outcome::Answered, .. });
            if fates.len() >= GOOD + wanted && self.gate.status().in_flight() == 0 {
                return fates.into_iter().filter(|fate| !is_good(fate)).collect();
            }
            assert!(Instant::now() < patience, "calls do not end: {fates:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// What a server has for [`stands_still`] and [`is_slow`].
pub(crate) const SCRIPT: &str = "CREATE TABLE dbo.one (a int NOT NULL PRIMARY KEY); INSERT INTO dbo.one VALUES (1)";

/// All places are taken by calls whose time is over, and nothing says that they have ended: the breaker opens although good
/// calls are many, while it is waited for that the server stops.
pub(crate) async fn stands_still(door: Arc<dyn Database>, server: &TdsServer) {
    const PLACES: usize = 3;
    let before = Before::new(door, PLACES).await;
    server.faults(|faults| {
        faults.only = Some("dbo.one".to_owned());
        faults.until = Some(Arc::new(AtomicBool::new(false)));
        faults.ignore_attention = true;
    });
    let calls: Vec<_> = (0..PLACES).map(|_| tokio::spawn(before.ask(Duration::from_millis(300)))).collect();
    let patience = Instant::now() + Duration::from_secs(60);
    while before.gate.status().breaker != BreakerState::Open {
        assert!(Instant::now() < patience, "the breaker does not open: {:?}", before.gate.status());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for call in calls {
        let error = call.await.unwrap().unwrap_err();
        assert_eq!(error.kind, SqlErrorKind::Timeout, "{error}");
    }
    server.kill_all();
    let fates = before.fates(PLACES).await;
    assert_eq!(fates.len(), PLACES, "{fates:?}");
    for fate in fates {
        let Fate::Served { took, outcome, overdue: Some(overdue), .. } = fate else { panic!("{fate:?}") };
        // It was overdue when its time was over, not when it was given up.
        assert!(
            outcome == Outcome::Lost && took - overdue >= Duration::from_secs(4),
            "{took:?} {overdue:?} {outcome:?}"
        );
    }
    server.faults(|faults| *faults = Default::default());
}

/// Each call takes longer than it may, one after the other, and the server says each time that it has stopped: they are late,
/// and the breaker stays closed.
pub(crate) async fn is_slow(door: Arc<dyn Database>, server: &TdsServer) {
    let before = Before::new(door, 1).await;
    let goes_on = Arc::new(AtomicBool::new(false));
    server.faults(|faults| {
        faults.only = Some("dbo.one".to_owned());
        faults.until = Some(Arc::clone(&goes_on));
    });
    for _ in 0..5 {
        let error = before.ask(Duration::from_millis(300)).await.unwrap_err();
        assert_eq!(error.kind, SqlErrorKind::Timeout, "{error}");
    }
    assert_eq!(before.gate.status().breaker, BreakerState::Closed);
    goes_on.store(true, Ordering::Release);
    assert_eq!(before.ask(Duration::from_secs(60)).await.unwrap(), 1);
    let fates = before.fates(6).await;
    let is_late = |fate: &Fate| matches!(fate, Fate::Served { outcome: Outcome::Late, overdue: Some(_), .. });
    assert!(fates.len() == 5 && fates.iter().all(is_late), "{fates:?}");
    server.faults(|faults| *faults = Default::default());
}
