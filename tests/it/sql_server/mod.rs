//! The door to SQL Server, over a server of its protocol in this process.
//!
//! Where `TOLLBRIDGE_TEST_MSSQL_URL` is set (`mssql://user:password@host:port/database`), what needs no fault to be made
//! is asked of that server, too: the login must be allowed to create tables and procedures in that database, and
//! encryption is taken as the server has it (`required` with any certificate, then `off`).

mod doctor;
mod faults;
#[cfg(feature = "kerberos")]
mod kerberos;
mod memory;
mod rows;
mod standstill;
mod types;
mod ways;
mod work;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tollbridge::adapters::sql::{
    Action, Database, Isolation, Query, Rows, SqlError, SqlErrorKind, Step, StepOutcome, TableInfo, TableName,
    Transaction, Value,
};
use tollbridge::adapters::sql_server::{Config, Encryption, Login, SqlServer, Trust};
use tollbridge::decode::rows::RowBatch;
use tollbridge::gate::{self, Gate, Lane, Permit};
use tollbridge::secret::SecretRef;

use crate::support::tds_server::{Settings, TdsServer};
use rows::{Cell, cells};

/// A server, the door to it, and its gate.
struct Site {
    server: Option<TdsServer>,
    door: Arc<SqlServer>,
    gate: Arc<Gate>,
    // Holds the file of the password.
    _folder: tempfile::TempDir,
}

/// What a login needs: settings with a password in a file.
fn config(folder: &std::path::Path, port: u16, password: &str) -> Config {
    let path = folder.join("password");
    std::fs::write(&path, password).unwrap();
    Config {
        host: "localhost".to_owned(),
        port: Some(port),
        instance: None,
        database: Some("erp".to_owned()),
        login: Login::Sql { username: "bridge".to_owned(), password: SecretRef::File(path) },
        encryption: Encryption::Off,
        trust: Trust::System,
        certificate_host: None,
        application_name: "tollbridge".to_owned(),
        read_intent: false,
        connect_timeout: Duration::from_secs(5),
        timeout: Duration::from_secs(10),
        lock_timeout: Duration::from_secs(5),
        max_value_bytes: 1 << 20,
        check_after: Duration::from_secs(300),
    }
}

impl Site {
    fn of(settings: Settings, script: &str, change: impl FnOnce(&mut Config)) -> Site {
        let server = TdsServer::with(settings, script);
        let folder = tempfile::tempdir().unwrap();
        let mut config = config(folder.path(), server.port(), "Pa$$w0rd");
        change(&mut config);
        Site::behind(Some(server), config, 4, folder)
    }

    fn behind(server: Option<TdsServer>, config: Config, most: usize, folder: tempfile::TempDir) -> Site {
        let settings =
            gate::Config { max_in_flight: most, queue_timeout: Duration::from_secs(30), ..gate::Config::default() };
        let gate = Gate::new("erp", settings, None);
        Site { server, door: Arc::new(SqlServer::new(config)), gate, _folder: folder }
    }

    fn new(script: &str) -> Site {
        let settings =
            Settings { encryption: crate::support::tds_server::Encryption::NotSupported, ..Settings::default() };
        Site::of(settings, script, |_| {})
    }

    fn server(&self) -> &TdsServer {
        self.server.as_ref().unwrap()
    }

    async fn permit(&self) -> Permit {
        self.gate.acquire(Lane::Interactive, Some(Duration::from_secs(30))).await.unwrap()
    }

    async fn ask(&self, query: Query) -> Result<Rows, SqlError> {
        self.door.query(self.permit().await, query).await
    }

    /// All cells of a statement.
    async fn all(&self, sql: &str) -> Result<Vec<Vec<Cell>>, SqlError> {
        self.all_of(query(sql)).await
    }

    async fn all_of(&self, query: Query) -> Result<Vec<Vec<Cell>>, SqlError> {
        gathered(self.ask(query).await?).await
    }

    /// The first cell of a statement, as text.
    async fn one(&self, sql: &str) -> String {
        self.all(sql).await.unwrap()[0][0].text().to_owned()
    }

    async fn transact(&self, work: Transaction) -> Result<Vec<StepOutcome>, SqlError> {
        let done = self.door.transact(self.permit().await, work).await?;
        assert_eq!(done.trouble, None);
        Ok(done.steps)
    }

    async fn door_table(&self, name: TableName) -> Result<TableInfo, SqlError> {
        self.door.table(self.permit().await, name).await
    }

    async fn door_tables(&self) -> Vec<TableName> {
        self.door.tables(self.permit().await).await.unwrap()
    }

    /// Waits until the gate has all places back.
    async fn free(&self) {
        until(|| self.held() == 0).await;
    }

    /// Places that are taken, by calls and by those whose end nobody saw.
    fn held(&self) -> usize {
        let status = self.gate.status();
        status.active.iter().sum::<usize>() + status.lingering
    }

    /// Sessions that did something, in order.
    fn sessions(&self) -> usize {
        self.server().report().sessions.len()
    }
}

/// Waits for something that must come.
async fn until(mut is_there: impl FnMut() -> bool) {
    let patience = Instant::now() + Duration::from_secs(30);
    while !is_there() {
        assert!(Instant::now() < patience, "it does not come");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn query(sql: &str) -> Query {
    Query {
        sql: sql.to_owned(),
        parameters: Vec::new(),
        isolation: Isolation::ReadCommitted,
        batch_rows: 1000,
        batch_bytes: 1 << 20,
        max_rows_per_second: None,
        timeout: Duration::from_secs(20),
    }
}

fn atomic(steps: Vec<Step>) -> Transaction {
    Transaction {
        guard: None,
        steps,
        is_atomic: true,
        commit_after: None,
        fence: None,
        timeout: Duration::from_secs(20),
        max_rows: 100,
    }
}

fn statement(sql: &str, parameters: Vec<Value>, expect: Option<(u64, u64)>) -> Step {
    Step { expect, ..Step::of(Action::Statement { sql: sql.to_owned(), parameters }) }
}

/// All rows, or the error behind them.
async fn gathered(mut rows: Rows) -> Result<Vec<Vec<Cell>>, SqlError> {
    let mut all = Vec::new();
    while let Some(batch) = rows.batches.recv().await {
        all.extend(cells(&batch?));
    }
    Ok(all)
}

/// The servers that a test is done on: ours, and the one of the environment. The script of ours is run on that, too.
async fn everywhere(script: &str) -> Vec<Site> {
    let mut sites = vec![Site::new(script)];
    if let Ok(url) = std::env::var("TOLLBRIDGE_TEST_MSSQL_URL") {
        let site = real(&url).await;
        for part in script.split("\nGO\n").filter(|part| !part.trim().is_empty()) {
            let steps = vec![statement(part, Vec::new(), None)];
            let work = Transaction { is_atomic: false, ..atomic(steps) };
            site.transact(work).await.unwrap_or_else(|error| panic!("{error}\n{part}"));
        }
        sites.push(site);
    }
    sites
}

/// The site of `mssql://user:password@host:port/database`.
async fn real(url: &str) -> Site {
    let site = real_with(url, Encryption::Required);
    match site.door.probe(site.permit().await).await {
        Err(error) if error.kind == SqlErrorKind::Tls => real_with(url, Encryption::Off),
        probed => {
            probed.unwrap_or_else(|error| panic!("{error}"));
            site
        }
    }
}

fn real_with(url: &str, encryption: Encryption) -> Site {
    let rest = url.strip_prefix("mssql://").expect("mssql://user:password@host:port/database");
    let (login, place) = rest.rsplit_once('@').unwrap();
    let (user, password) = login.split_once(':').unwrap();
    let (address, database) = place.split_once('/').unwrap();
    let (host, port) = address.rsplit_once(':').unwrap_or((address, "1433"));
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path(), port.parse().unwrap(), password);
    config.host = host.to_owned();
    if let Login::Sql { username, .. } = &mut config.login {
        *username = user.to_owned();
    }
    config.database = Some(database.to_owned());
    config.encryption = encryption;
    config.trust = Trust::Anybody;
    Site::behind(None, config, 4, folder)
}

/// The rows of a result of a step.
fn set(batch: &RowBatch) -> Vec<Vec<Cell>> {
    cells(batch)
}
