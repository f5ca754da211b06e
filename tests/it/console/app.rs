//! A running console.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use tollbridge::console::{
    self, Console, GateStatus, InboxStatus, Operator, OperatorError, Replayed, ResourceInfo, Setup,
};
use tollbridge::http::clients::{ClientConfig, Rate};
use tollbridge::http::{
    AuthConfig, Clients, ClientsConfig, ConnectionLimits, Health, ServerConfig, generate_key, serve,
};
use tollbridge::pipeline::tuning::{TuneError, UnknownBackend, Wish};
use tollbridge::record::{BlobId, ContentHash, Document, Position, Reject, RejectCode, ResourceId};
use tollbridge::staging::sqlite::{Config, SqliteStaging};
use tollbridge::staging::{AuditEntry, Batch, Checkpoint, FileState, ResourceSpec, RunOutcome, Staging};
use tollbridge::telemetry::Metrics;

use crate::facade::client::{Answer, exchange, request};

/// Notes what it is asked; replays of number 13 stay bad, everything above 1000 does not exist.
#[derive(Default)]
pub(crate) struct Noted {
    pub(crate) asked: Mutex<Vec<String>>,
}

impl Noted {
    fn note(&self, what: String) {
        self.asked.lock().unwrap().push(what);
    }
}

#[async_trait]
impl Operator for Noted {
    fn resources(&self) -> Vec<ResourceInfo> {
        vec![ResourceInfo {
            expect: None,
            waits_since: jiff::Timestamp::UNIX_EPOCH,
            id: "orders.v1".parse().unwrap(),
            title: "<b>Sales</b> orders".to_owned(),
            backend: "as400".to_owned(),
            schedule: "every 30s".to_owned(),
            key_parts: 1,
        }]
    }

    fn inboxes(&self) -> Vec<InboxStatus> {
        vec![InboxStatus {
            backend: "as400".to_owned(),
            place: "/srv/<in>".to_owned(),
            resources: 1,
            unmoved: 0,
            unclaimed: 12,
            unclaimed_names: vec!["<b>x</b>.dat".to_owned()],
        }]
    }

    fn gates(&self) -> Vec<GateStatus> {
        let (adaptive, adaptive_limit) = ("shadow", Some(3));
        vec![GateStatus {
            backend: "as400".to_owned(),
            max_in_flight: 4,
            adaptive,
            adaptive_limit,
            next_login_at: Some("L<b>".to_owned()),
            revision: 7,
            settings: json!({
                "max_in_flight": {
                    "value": 4,
                    "config": 8,
                    "override": {"author": "<i>anna</i>", "reason": "month end", "since": "S", "expires_at": "E"},
                },
                "queue": {"value": 256, "config": 256, "override": null},
            }),
            closed: json!({"kind": "freeze", "reason": "<u>stock</u>", "since": "S", "until": null}),
            next_window: json!({"reason": "nightly <s>batch</s>", "from": "F", "until": "U"}),
            ..GateStatus::default()
        }]
    }

    fn gauge(&self) {}

    async fn tune(&self, backend: &str, wish: &Wish) -> Result<(GateStatus, Option<AuditEntry>), TuneError> {
        self.note(format!("{backend}: {wish:?}"));
        match backend {
            "as400" => Ok((GateStatus { revision: 8, ..self.gates().remove(0) }, None)),
            "old" => Err(TuneError::Overtaken { revision: 9 }),
            "bad" => Err(TuneError::Faults(vec!["`queue`: <b>no</b>".to_owned(), "`settle`: no".to_owned()])),
            _ => Err(UnknownBackend::among(backend, ["as400"]).into()),
        }
    }

    async fn replay(&self, dead_letter: i64) -> Result<Replayed, OperatorError> {
        self.note(format!("replay {dead_letter}"));
        match dead_letter {
            13 => Ok(Replayed::StillBad("field amount: still no digit".to_owned())),
            1001.. => Err(OperatorError::NotFound(format!("there is no dead letter {dead_letter}"))),
            _ => Ok(Replayed::Settled),
        }
    }

    async fn discard(&self, dead_letter: i64) -> Result<(), OperatorError> {
        self.note(format!("discard {dead_letter}"));
        match dead_letter {
            13 => Err(OperatorError::Conflict("dead letter 13 is closed already".to_owned())),
            _ => Ok(()),
        }
    }

    async fn sync(&self, resource: &ResourceId, full: bool) -> Result<(), OperatorError> {
        self.note(format!("sync {resource} {full}"));
        Ok(())
    }

    async fn reload(&self) -> Result<Vec<ResourceId>, OperatorError> {
        self.note("reload".to_owned());
        let count = self.asked.lock().unwrap().len();
        match count {
            1 => Ok(vec!["orders.v1".parse().unwrap()]),
            2 => Err(OperatorError::Refused(vec!["a.toml:1:1: unknown key `x`".to_owned()])),
            _ => Err(OperatorError::Failed("the secret cause".to_owned())),
        }
    }
}

pub(crate) struct TestConsole {
    pub(crate) runtime: Runtime,
    pub(crate) staging: Arc<dyn Staging>,
    pub(crate) operator: Arc<Noted>,
    pub(crate) clients: Arc<Clients>,
    address: SocketAddr,
    _folder: TempDir,
}

impl TestConsole {
    /// As on a loopback address.
    pub(crate) fn start() -> TestConsole {
        TestConsole::listening_at("127.0.0.1:8081")
    }

    /// As if configured to listen at `admin_listen`.
    pub(crate) fn listening_at(admin_listen: &str) -> TestConsole {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let staging = SqliteStaging::open(&folder.path().join("staging.db"), &Config::default()).unwrap();
        let staging: Arc<dyn Staging> = Arc::new(staging);
        let operator = Arc::new(Noted::default());
        let server = ServerConfig {
            admin_listen: admin_listen.parse().unwrap(),
            header_timeout: Duration::from_millis(300),
            max_body: 1000,
            ..ServerConfig::default()
        };
        let metrics = Arc::new(Metrics::new());
        let rate = ClientConfig { rate: Rate::parse("100/h burst 20").ok(), weight: 3, ..ClientConfig::default() };
        let known = ClientsConfig::new([("web <shop>".to_owned(), rate)]);
        let clients = Arc::new(Clients::new(known, metrics.clone(), CancellationToken::new()));
        let console = Arc::new(Console::new(Setup {
            staging: staging.clone(),
            operator: operator.clone(),
            clients: clients.clone(),
            auth: AuthConfig { anonymous: vec!["read".to_owned()], ..AuthConfig::default() },
            metrics,
            health: Arc::new(Health::new(staging.clone())),
            server: server.clone(),
        }));
        let address = runtime.block_on(async {
            let spec = ResourceSpec { id: "orders.v1".parse().unwrap(), indexed: Vec::new(), bounds: Vec::new() };
            staging.prepare(&spec).await.unwrap();
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            let address = listener.local_addr().unwrap();
            let limits = ConnectionLimits::from(&server);
            tokio::spawn(serve(listener, console::router(console), std::future::pending(), limits));
            address
        });
        TestConsole { runtime, staging, operator, clients, address, _folder: folder }
    }

    /// A run over one file: order 4711 in two versions, one reject whose text tries to be a script.
    pub(crate) fn stage(&self) {
        self.runtime.block_on(async {
            let id: ResourceId = "orders.v1".parse().unwrap();
            let run = self.staging.begin_run(&id, "schedule", "mapping").await.unwrap();
            let blob = BlobId([7; 32]);
            let file = self.staging.claim_file(&id, "ORD1.DAT", 300, blob).await.unwrap();
            let at = |record: u64| Position { record, offset: (record - 1) * 100, length: 100, line: None };
            let document = |record: u64, payload: &str| Document {
                key: "4711".to_owned(),
                payload: payload.as_bytes().to_vec(),
                hash: ContentHash::of(payload.as_bytes()),
                position: at(record),
            };
            let reject = Reject {
                code: RejectCode::BadDigit,
                field: Some("amount".to_owned()),
                field_span: Some((8, 6)),
                expected: "S9(9)V99 COMP-3".to_owned(),
                found: "<script>alert(1)</script>".to_owned(),
                key: Some("4712".to_owned()),
                position: at(3),
                raw: vec![0x00, 0xff, 0x1c],
            };
            let batch = |documents, rejects, file_state| Batch {
                run: run.clone(),
                resource: id.clone(),
                file: file.id,
                blob,
                documents,
                rejects,
                skipped: 0,
                refused: 0,
                checkpoint: Checkpoint { offset: 300, records: 3, line: 0 },
                file_state,
                resolves: None,
                deletions: Vec::new(),
                source: None,
                snapshot: None,
                keyless: 0,
                is_keyed: false,
                once: None,
            };
            let first = batch(vec![document(1, "{\"amount\":1.10}")], Vec::new(), FileState::Claimed);
            self.staging.commit(first).await.unwrap();
            let second = batch(vec![document(2, "{\"amount\":1.20}")], vec![reject], FileState::Staged);
            self.staging.commit(second).await.unwrap();
            self.staging.finish_run(&run, RunOutcome::Succeeded).await.unwrap();
        });
    }

    pub(crate) fn new_key(&self, scope: &str) -> String {
        let (key, stored) = generate_key("test", &[scope.to_owned()]).unwrap();
        self.runtime.block_on(self.staging.add_api_key(stored)).unwrap();
        key
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], b"")
    }

    #[track_caller]
    pub(crate) fn post(&self, path: &str, body: &str) -> Answer {
        self.send("POST", path, &[("Content-Type", "application/json")], body.as_bytes())
    }

    #[track_caller]
    pub(crate) fn send(&self, method: &str, path: &str, fields: &[(&str, &str)], body: &[u8]) -> Answer {
        self.send_bytes(&request(method, path, fields, body))
    }

    #[track_caller]
    pub(crate) fn send_bytes(&self, bytes: &[u8]) -> Answer {
        exchange(self.address, bytes).expect("an answer")
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.operator.asked.lock().unwrap().clone()
    }
}
