//! A running facade on a free port over a fresh SQLite file, with helpers that read like a story.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tollbridge::facade::{self, Facade, Setup};
use tollbridge::http::clients::Hold;
use tollbridge::http::{
    AuthConfig, Clients, ClientsConfig, ConnectionLimits, Drained, Health, ServerConfig, generate_key, serve,
};
use tollbridge::landing::{self, Landing};
use tollbridge::mapping::{Exposure, FieldType, Mode, QueryField, Retirement};
use tollbridge::pipeline::Bridge;
use tollbridge::pipeline::live::Live;
use tollbridge::pipeline::operate::{Operate, Veil};
use tollbridge::record::{BlobId, ContentHash, Document, Position, ResourceId};
use tollbridge::staging::sqlite::{Config, SqliteStaging};
use tollbridge::staging::{
    Batch, Checkpoint, ColumnType, Deletion, FileState, IndexedField, ResourceSpec, RunOutcome, Staging,
};
use tollbridge::telemetry::Metrics;

use super::client::{Answer, Connection, exchange, request};

/// What a test may change before the start.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) server: ServerConfig,
    pub(crate) auth: AuthConfig,
    pub(crate) clients: ClientsConfig,
    pub(crate) hold: Hold,
    pub(crate) staging: Config,
    /// Where the database lies, if it is there already.
    pub(crate) folder: Option<TempDir>,
}

pub(crate) struct TestApp {
    pub(crate) runtime: Runtime,
    pub(crate) staging: Arc<dyn Staging>,
    pub(crate) facade: Arc<Facade>,
    pub(crate) health: Arc<Health>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) clients: Arc<Clients>,
    pub(crate) address: SocketAddr,
    /// A key with the scope `read`.
    pub(crate) key: String,
    stop: Option<oneshot::Sender<()>>,
    closing: CancellationToken,
    served: Option<JoinHandle<Drained>>,
    pub(crate) folder: TempDir,
}

impl TestApp {
    /// With `orders.v1` and `stock.v1` published and empty.
    pub(crate) fn start() -> TestApp {
        TestApp::with(Options::default())
    }

    pub(crate) fn with(options: Options) -> TestApp {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let folder = options.folder.unwrap_or_else(|| tempfile::tempdir().unwrap());
        let staging = SqliteStaging::open(&folder.path().join("staging.db"), &options.staging).unwrap();
        let staging: Arc<dyn Staging> = Arc::new(staging);
        let (health, metrics) = (Arc::new(Health::new(staging.clone())), Arc::new(Metrics::new()));
        let landing = landing::Config { path: folder.path().join("landing"), keep: Duration::from_secs(60) };
        let landing = Arc::new(Landing::open(&landing).unwrap());
        let bridge = Arc::new(Bridge::new(staging.clone(), landing, metrics.clone()));
        let limits = ConnectionLimits::from(&options.server);
        let closing = CancellationToken::new();
        let clients = Clients::new(options.clients, metrics.clone(), closing.clone()).holding(options.hold);
        let clients = Arc::new(clients);
        let live = Arc::new(Live::new(bridge.clone()));
        let facade = Arc::new(Facade::new(Setup {
            clients: clients.clone(),
            staging: staging.clone(),
            server: options.server,
            auth: options.auth,
            cursor_secret: [9; 32],
            metrics: metrics.clone(),
            health: health.clone(),
            operate: Arc::new(Operate::new(bridge, live.clone(), Veil::new([9; 32]))),
            live,
        }));
        facade.publish(vec![orders(), stock()]);
        let (stop, stopped) = oneshot::channel::<()>();
        let (address, served) = runtime.block_on(async {
            for spec in [orders_spec(), stock_spec()] {
                staging.prepare(&spec).await.unwrap();
            }
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            let address = listener.local_addr().unwrap();
            let shutdown = async { drop(stopped.await) };
            (address, tokio::spawn(serve(listener, facade::service(facade.clone()), shutdown, limits)))
        });
        let mut app = TestApp {
            runtime,
            staging,
            facade,
            health,
            metrics,
            clients,
            address,
            key: String::new(),
            stop: Some(stop),
            closing,
            served: Some(served),
            folder,
        };
        app.key = app.new_key(&["read"]);
        app
    }

    /// Stages documents by key, as one good run from one file.
    pub(crate) fn stage(&self, resource: &str, documents: &[(&str, &str)]) {
        let id: ResourceId = resource.parse().unwrap();
        let blob = BlobId(ContentHash::of(format!("{documents:?}").as_bytes()).0.repeat(2).try_into().unwrap());
        let documents = documents
            .iter()
            .zip(0u64..)
            .map(|((key, payload), number)| Document {
                key: (*key).to_owned(),
                payload: payload.as_bytes().to_vec(),
                hash: ContentHash::of(payload.as_bytes()),
                position: Position { record: number + 1, offset: number * 80, length: 80, line: Some(number + 1) },
            })
            .collect();
        self.runtime.block_on(async {
            let run = self.staging.begin_run(&id, "command", "mapping").await.unwrap();
            let file = self.staging.claim_file(&id, "IN/FILE.DAT", 800, blob).await.unwrap();
            let batch = Batch {
                run: run.clone(),
                resource: id,
                file: file.id,
                blob,
                documents,
                rejects: Vec::new(),
                skipped: 0,
                refused: 0,
                checkpoint: Checkpoint { offset: 800, records: 10, line: 11 },
                file_state: FileState::Staged,
                resolves: None,
                deletions: Vec::new(),
                source: None,
                snapshot: None,
                keyless: 0,
                is_keyed: false,
                once: None,
            };
            self.staging.commit(batch).await.unwrap();
            self.staging.finish_run(&run, RunOutcome::Succeeded).await.unwrap();
        });
    }

    /// Deletes records of a resource by a batch that says so, as it is after this moment.
    pub(crate) fn delete(&self, resource: &str, keys: &[&str]) {
        let id: ResourceId = resource.parse().unwrap();
        let blob = BlobId([0xD0; 32]);
        let position = |number: u64| Position { record: number + 1, offset: number * 8, length: 8, line: None };
        let deletions =
            keys.iter().zip(0..).map(|(key, number)| Deletion { key: (*key).to_owned(), position: position(number) });
        let deletions = deletions.collect();
        self.runtime.block_on(async {
            let run = self.staging.begin_run(&id, "command", "mapping").await.unwrap();
            let file = self.staging.claim_file(&id, "rows 1", 80, blob).await.unwrap();
            self.staging.reopen_file(file.id).await.unwrap();
            let batch = Batch {
                run: run.clone(),
                resource: id,
                file: file.id,
                blob,
                documents: Vec::new(),
                deletions,
                rejects: Vec::new(),
                skipped: 0,
                refused: 0,
                checkpoint: Checkpoint { offset: 80, records: keys.len() as u64, line: 0 },
                file_state: FileState::Staged,
                resolves: None,
                source: None,
                snapshot: None,
                keyless: 0,
                is_keyed: false,
                once: None,
            };
            self.staging.commit(batch).await.unwrap();
            self.staging.finish_run(&run, RunOutcome::Succeeded).await.unwrap();
        });
    }

    /// Deletes every record of a resource but these, as a snapshot that has only these does.
    pub(crate) fn sweep(&self, resource: &str, kept: &[(&str, &str)]) {
        let id: ResourceId = resource.parse().unwrap();
        let snapshot = self.runtime.block_on(self.staging.begin_snapshot(&id)).unwrap();
        self.stage(resource, kept);
        self.runtime.block_on(async {
            let run = self.staging.begin_run(&id, "command", "mapping").await.unwrap();
            self.staging.sweep(&run, snapshot, 1.0).await.unwrap();
            self.staging.finish_run(&run, RunOutcome::Succeeded).await.unwrap();
        });
    }

    /// Forgets all that is deleted.
    pub(crate) fn forget(&self, resource: &str) {
        let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(1);
        let id: ResourceId = resource.parse().unwrap();
        self.runtime.block_on(self.staging.forget_deleted(&id, soon)).unwrap();
    }

    /// Stages the orders `0001` to `count`: amounts rise, every third is closed, every fifth has no status.
    pub(crate) fn stage_orders(&self, count: u32) {
        let made: Vec<(String, String)> = (1..=count).map(order).collect();
        let documents: Vec<(&str, &str)> = made.iter().map(|(key, payload)| (key.as_str(), payload.as_str())).collect();
        self.stage("orders.v1", &documents);
    }

    pub(crate) fn new_key(&self, scopes: &[&str]) -> String {
        self.new_key_for("test", scopes)
    }

    /// A key of the client with this name.
    pub(crate) fn new_key_for(&self, name: &str, scopes: &[&str]) -> String {
        let scopes: Vec<String> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        let (key, stored) = generate_key(name, &scopes).unwrap();
        self.runtime.block_on(self.staging.add_api_key(stored)).unwrap();
        key
    }

    /// GET with the app's key.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.get_with(path, &[])
    }

    #[track_caller]
    pub(crate) fn get_with(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.send("GET", path, fields, b"")
    }

    /// Any method with the app's key.
    #[track_caller]
    pub(crate) fn send(&self, method: &str, path: &str, fields: &[(&str, &str)], body: &[u8]) -> Answer {
        let bearer = format!("Bearer {}", self.key);
        let mut all = vec![("Authorization", bearer.as_str())];
        all.extend(fields);
        self.send_as_is(method, path, &all, body)
    }

    /// Any method with no key but what is in `fields`.
    #[track_caller]
    pub(crate) fn send_as_is(&self, method: &str, path: &str, fields: &[(&str, &str)], body: &[u8]) -> Answer {
        exchange(self.address, &request(method, path, fields, body)).expect("an answer")
    }

    pub(crate) fn connect(&self) -> Connection {
        Connection::to(self.address)
    }

    /// Tells the listener to end and waits until it has.
    pub(crate) fn stop(&mut self) -> Drained {
        drop(self.stop.take());
        self.closing.cancel();
        self.runtime.block_on(self.served.take().unwrap()).unwrap()
    }
}

/// An order's key and document.
pub(crate) fn order(number: u32) -> (String, String) {
    let status = match number {
        n if n.is_multiple_of(5) => json!(null),
        n if n.is_multiple_of(3) => json!("closed"),
        _ => json!("open"),
    };
    let (day, vip) = (number % 28 + 1, number.is_multiple_of(2));
    let payload = format!(
        "{{\"order_no\":\"{number:04}\",\"status\":{status},\"ordered_on\":\"2026-01-{day:02}\",\
         \"amount\":{}.50,\"customer\":{{\"name\":\"Caf\u{e9} {number}\",\"vip\":{vip}}}}}",
        number * 10
    );
    (format!("{number:04}"), payload)
}

fn field(path: &str, field_type: FieldType) -> QueryField {
    QueryField { path: path.to_owned(), field_type }
}

pub(crate) fn orders() -> Exposure {
    let money = FieldType::Decimal { precision: 11, scale: 2, as_string: false };
    Exposure {
        id: "orders.v1".parse().unwrap(),
        title: "Sales orders".to_owned(),
        description: Some("Orders of the old system, as they were booked.".to_owned()),
        key: vec!["order_no".to_owned()],
        filter: vec![
            field("status", FieldType::String),
            field("ordered_on", FieldType::Date),
            field("amount", money),
            field("customer.vip", FieldType::Boolean),
        ],
        sort: vec![field("ordered_on", FieldType::Date), field("amount", money), field("status", FieldType::String)],
        relations: Vec::new(),
        access: Default::default(),
        read_scope: "orders:read".to_owned(),
        mode: Mode::Staged,
        max_age: Some(Duration::from_secs(300)),
        stale_if_error: None,
        lists: false,
        operations: Vec::new(),
        retirement: Retirement::default(),
        fault_statuses: Vec::new(),
        example: None,
        schema: json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "required": ["order_no", "status", "ordered_on", "amount", "customer"],
            "additionalProperties": false,
            "properties": {
                "order_no": { "type": "string", "pattern": "^[0-9]{4}$" },
                "status": { "type": ["string", "null"], "enum": ["open", "closed", null] },
                "ordered_on": { "type": "string", "format": "date" },
                "amount": { "type": "number", "multipleOf": 0.01 },
                "customer": { "type": "object", "properties": {
                    "name": { "type": "string", "description": "As in the old system" },
                    "vip": { "type": "boolean" },
                } },
            },
        }),
    }
}

pub(crate) fn orders_spec() -> ResourceSpec {
    let indexed = [
        ("status", ColumnType::Text),
        ("ordered_on", ColumnType::Text),
        ("amount", ColumnType::Number),
        ("customer.vip", ColumnType::Boolean),
    ];
    spec("orders.v1", &indexed)
}

/// Two key fields, a decimal that is a string, no `max_age`.
pub(crate) fn stock() -> Exposure {
    let quantity = field("quantity", FieldType::Decimal { precision: 18, scale: 3, as_string: true });
    Exposure {
        id: "stock.v1".parse().unwrap(),
        title: "Stock <levels>".to_owned(),
        description: None,
        key: vec!["plant".to_owned(), "sku".to_owned()],
        filter: vec![quantity.clone()],
        sort: vec![quantity],
        relations: Vec::new(),
        access: Default::default(),
        read_scope: "stock:read".to_owned(),
        mode: Mode::Staged,
        max_age: None,
        stale_if_error: None,
        lists: false,
        operations: Vec::new(),
        retirement: Retirement::default(),
        fault_statuses: Vec::new(),
        example: None,
        schema: json!({ "type": "object", "properties": {
            "plant": { "type": "string" },
            "sku": { "type": "string" },
            "quantity": { "type": "string" },
        } }),
    }
}

pub(crate) fn stock_spec() -> ResourceSpec {
    spec("stock.v1", &[("quantity", ColumnType::ScaledInteger { scale: 3 })])
}

fn spec(id: &str, indexed: &[(&str, ColumnType)]) -> ResourceSpec {
    let indexed = indexed.iter().map(|(path, column)| IndexedField { path: (*path).to_owned(), column: *column });
    ResourceSpec { id: id.parse().unwrap(), indexed: indexed.collect(), bounds: Vec::new() }
}
