//! A cap that is changed over HTTP while calls are in flight and others wait: nobody is dropped, and no more are in
//! flight than the cap of the moment.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tollbridge::console::{
    self, Console, GateStatus, InboxStatus, Operator, OperatorError, Replayed, ResourceInfo, Setup,
};
use tollbridge::gate::{Gate, Lane, Permit, Refused};
use tollbridge::http::{AuthConfig, Clients, ClientsConfig, ConnectionLimits, Health, ServerConfig, serve};
use tollbridge::pipeline::Bridge;
use tollbridge::pipeline::tuning::{TuneError, Wish};
use tollbridge::record::ResourceId;
use tollbridge::staging::AuditEntry;

use super::{configure, site};
use crate::facade::client::{exchange, request};

/// The service's part that decides, without its runs.
struct Deciding(Arc<Bridge>);

#[async_trait]
impl Operator for Deciding {
    fn resources(&self) -> Vec<ResourceInfo> {
        Vec::new()
    }

    fn inboxes(&self) -> Vec<InboxStatus> {
        Vec::new()
    }

    fn gates(&self) -> Vec<GateStatus> {
        Vec::new()
    }

    fn gauge(&self) {}

    async fn tune(&self, backend: &str, wish: &Wish) -> Result<(GateStatus, Option<AuditEntry>), TuneError> {
        let entry = self.0.decide(backend, wish).await?.entry;
        Ok((GateStatus { revision: self.0.standing(backend).revision, ..GateStatus::default() }, entry))
    }

    async fn replay(&self, _: i64) -> Result<Replayed, OperatorError> {
        Err(OperatorError::Failed("not here".to_owned()))
    }

    async fn discard(&self, _: i64) -> Result<(), OperatorError> {
        Err(OperatorError::Failed("not here".to_owned()))
    }

    async fn sync(&self, _: &ResourceId, _: bool) -> Result<(), OperatorError> {
        Err(OperatorError::Failed("not here".to_owned()))
    }

    async fn reload(&self) -> Result<Vec<ResourceId>, OperatorError> {
        Err(OperatorError::Failed("not here".to_owned()))
    }
}

async fn console_of(bridge: &Arc<Bridge>) -> SocketAddr {
    let server = ServerConfig::default();
    let closing = CancellationToken::new();
    let clients = Clients::new(ClientsConfig::default(), Arc::clone(&bridge.metrics), closing);
    let console = Arc::new(Console::new(Setup {
        clients: Arc::new(clients),
        staging: Arc::clone(&bridge.staging),
        operator: Arc::new(Deciding(Arc::clone(bridge))),
        auth: AuthConfig::default(),
        metrics: Arc::clone(&bridge.metrics),
        health: Arc::new(Health::new(Arc::clone(&bridge.staging))),
        server: server.clone(),
    }));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let limits = ConnectionLimits::from(&server);
    tokio::spawn(serve(listener, console::router(console), std::future::pending(), limits));
    address
}

/// Sends a change; answers status, ETag and body.
async fn patch(address: SocketAddr, tag: Option<&str>, body: Value) -> (u16, String, Value) {
    let tag = tag.map(str::to_owned);
    let answer = tokio::task::spawn_blocking(move || {
        let mut fields = vec![("Content-Type", "application/json")];
        fields.extend(tag.as_deref().map(|tag| ("If-Match", tag)));
        exchange(address, &request("PATCH", "/admin/v1/gates/erp", &fields, body.to_string().as_bytes())).unwrap()
    });
    let answer = answer.await.unwrap();
    (answer.status, answer.field("etag").unwrap_or("").to_owned(), answer.json())
}

fn caller(gate: &Arc<Gate>) -> tokio::task::JoinHandle<Result<Permit, Refused>> {
    let gate = Arc::clone(gate);
    tokio::spawn(async move { gate.acquire(Lane::Interactive, None).await })
}

async fn waiting(gate: &Arc<Gate>, count: usize) {
    while gate.status().queued.iter().sum::<usize>() != count {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn bridge(site: &crate::site::Site) -> Arc<Bridge> {
    let loaded = tollbridge::config::load(&site.path("tollbridge.toml"), []).unwrap();
    tollbridge::app::open(&loaded).await.unwrap()
}

fn gate_of(bridge: &Bridge) -> Arc<Gate> {
    Arc::clone(&bridge.world.load().backends["erp"].gate)
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(test);
}

#[test]
fn a_lower_cap_lets_running_calls_finish_and_a_higher_one_lets_others_in() {
    let site = site();
    configure(&site, "max_in_flight = 3\nqueue_timeout = \"60s\"");
    run(async {
        let bridge = bridge(&site).await;
        let (gate, address) = (gate_of(&bridge), console_of(&bridge).await);
        let mut running = Vec::new();
        for _ in 0..3 {
            running.push(caller(&gate).await.unwrap().unwrap());
        }
        let mut queued: Vec<_> = (0..4).map(|_| caller(&gate)).collect();
        waiting(&gate, 4).await;

        let (status, _, body) = patch(address, None, json!({"max_in_flight": 1, "reason": "it groans"})).await;
        assert_eq!((status, &body["decision"]["before"]), (200, &json!({"max_in_flight": 3})), "{body}");
        // Those in flight are still there, and count; those who wait still wait.
        assert_eq!((gate.status().in_flight(), gate.status().queued.iter().sum::<usize>()), (3, 4));
        for left in [2, 1] {
            let permit = running.pop().unwrap();
            permit.begin().answered();
            drop(permit);
            assert_eq!((gate.status().in_flight(), gate.status().queued.iter().sum::<usize>()), (left, 4));
        }
        let permit = running.pop().unwrap();
        permit.begin().answered();
        drop(permit);
        // The last one has gone: one of those who waited, and no more, is let in.
        waiting(&gate, 3).await;
        assert_eq!(gate.status().in_flight(), 1);
        assert_eq!(gate.status().high_water, 3);

        let (status, ..) = patch(address, None, json!({"max_in_flight": 5, "reason": "it has room"})).await;
        assert_eq!(status, 200);
        for call in queued.drain(..) {
            assert!(call.await.unwrap().is_ok());
        }
        let refused = gate.status().refused;
        assert_eq!(refused, 0, "nobody was sent away");
    });
}

#[test]
fn two_who_decide_at_once_do_not_overwrite_each_other_unseen() {
    let site = site();
    run(async {
        let bridge = bridge(&site).await;
        let address = console_of(&bridge).await;
        let (_, first, _) = patch(address, None, json!({"queue": 1, "reason": "one"})).await;
        let (status, second, _) = patch(address, Some(&first), json!({"queue": 2, "reason": "two"})).await;
        assert_eq!(status, 200);
        assert_ne!(first, second);
        let (status, _, body) = patch(address, Some(&first), json!({"queue": 3, "reason": "three"})).await;
        assert_eq!((status, &body["code"]), (412, &json!("precondition-failed")));
        assert_eq!(gate_of(&bridge).config().queue, 2);

        // All at once and without a tag: each is done, one after the other.
        let all: Vec<_> =
            (0..8).map(|n| patch(address, None, json!({"settle": format!("{}s", n + 1), "reason": "all"}))).collect();
        let done = futures_of(all).await;
        assert!(done.iter().all(|(status, ..)| *status == 200), "{done:?}");
        let filter = tollbridge::staging::AuditFilter { limit: 100, ..Default::default() };
        let entries = bridge.staging.audit(&filter).await.unwrap();
        assert_eq!(entries.len(), 10);
        // Each entry begins where the one before it ended.
        let settles: Vec<_> = entries.iter().rev().skip(2).collect();
        assert!(settles.windows(2).all(|pair| pair[0].after == pair[1].before), "{settles:?}");
    });
}

async fn futures_of<T: Send + 'static>(all: Vec<impl Future<Output = T> + Send + 'static>) -> Vec<T> {
    let tasks: Vec<_> = all.into_iter().map(tokio::spawn).collect();
    let mut done = Vec::new();
    for task in tasks {
        done.push(task.await.unwrap());
    }
    done
}

#[test]
fn another_process_heeds_what_was_decided() {
    let site = site();
    run(async {
        let service = bridge(&site).await;
        let beside = bridge(&site).await;
        let address = console_of(&service).await;
        patch(address, None, json!({"max_in_flight": 2, "queue_timeout": "7s", "reason": "x"})).await;
        // It is running: it looks every two seconds. One that starts now knows at once.
        let later = bridge(&site).await;
        let limits = |bridge: &Bridge| {
            let config = gate_of(bridge).config();
            (config.max_in_flight, config.queue_timeout)
        };
        let decided = (2, Duration::from_secs(7));
        assert_eq!((limits(&service), limits(&later)), (decided, decided));
        let deadline = std::time::Instant::now() + Duration::from_secs(60);
        while limits(&beside) != decided {
            assert!(std::time::Instant::now() < deadline, "it does not heed it");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
}

#[test]
fn a_value_that_no_longer_fits_is_not_in_force_and_is_told() {
    let site = site();
    run(async {
        let first = bridge(&site).await;
        let address = console_of(&first).await;
        patch(address, None, json!({"max_in_flight": 2, "queue": 9, "reason": "x"})).await;
        // As an older version would have left it.
        let seen = first.staging.tuned("gates/erp").await.unwrap().revision;
        let decision = tollbridge::staging::Decision {
            subject: "gates/erp".to_owned(),
            action: "set",
            author: "old".to_owned(),
            reason: "x".to_owned(),
            expires_at: None,
            changes: vec![("burst".to_owned(), Some("3".to_owned())), ("settle".to_owned(), Some("{".to_owned()))],
            seen,
            before: "{}".to_owned(),
            after: "{}".to_owned(),
        };
        first.staging.decide(&decision).await.unwrap();
        let next = bridge(&site).await;
        let (config, standing) = (gate_of(&next).config(), next.standing("erp"));
        assert_eq!((config.max_in_flight, config.queue, config.settle), (2, 9, Duration::ZERO));
        assert_eq!(standing.unfit.len(), 2, "{:?}", standing.unfit);
        assert!(standing.unfit[0].contains("unknown key `burst`"), "{:?}", standing.unfit);
        assert_eq!(standing.decided().count(), 2);
        // It is in nobody's way, and can be taken back.
        let address = console_of(&next).await;
        let (status, _, body) = patch(address, None, json!({"queue": 8, "reason": "x"})).await;
        assert_eq!((status, gate_of(&next).config().queue), (200, 8), "{body}");
        let (status, _, body) = patch(address, None, json!({"burst": null, "settle": null, "reason": "x"})).await;
        assert_eq!((status, &body["decision"]["before"]["settle"]), (200, &json!("0s")), "{body}");
        assert_eq!((next.standing("erp").unfit.len(), next.standing("erp").decided().count()), (0, 2));
    });
}
