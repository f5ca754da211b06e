//! A service whose resource `orders.v1` lies in a database, and can be written to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

use crate::facade::client::{Answer, Connection, exchange, request};
use crate::site::{Service, Site};
use crate::support::mariadb::MariaDb;
use crate::support::postgres::Postgres;
use crate::support::tds_server::{self, TdsServer};

/// The resource; its operations are the test's.
pub(crate) const ORDERS: &str = r#"
resource = "orders"
version = 1
key = ["order_no"]
[source]
backend = "erp"
[source.table]
table = "orders"
snapshot = true
[fields]
order_no = { from = "no", type = "string" }
status = { from = "status", type = "string", values = { OP = "open", CL = "closed" } }
amount = { from = "amount", type = "decimal(9,2)", min = 0 }
"#;

/// `create`, `update` and `delete` as most have them.
pub(crate) const CRUD: &str = r#"
[operations.create]
sql = "insert into orders (no, status, amount, ref) values (:order_no, :status, :amount, :idempotency_key)"
expect = 1
serial = "order_no"
problems = { constraint = { status = 409, detail = "there is such an order already" } }
reconcile = { sql = "select no as order_no from orders where ref = :idempotency_key" }
[operations.create.body]
order_no = { field = "order_no", pattern = "^[0-9]{1,6}$" }
status = { field = "status", required = false, default = "open" }
amount = { field = "amount" }
[operations.create.answer]
order_no = ":order_no"
amount = { from = ":amount", type = "decimal(9,2)" }

[operations.update]
sql = "update orders set status = coalesce(:status, status), amount = coalesce(:amount, amount) where no = :order_no"
expect = 1
problems = { unexpected = { status = 404, detail = "there is no such order" } }
[operations.update.body]
status = { field = "status", required = false }
amount = { field = "amount", required = false }

[operations.delete]
sql = "delete from orders where no = :key"
expect = [0, 1]
"#;

/// The tables that these need.
pub(crate) const TABLES: &str = "create table orders (no varchar(10) primary key, status varchar(2), amount numeric(9,2), \
    ref varchar(100) unique)";

/// Where the data lie.
pub(crate) enum Data {
    /// In a file of SQLite.
    File(tempfile::TempDir),
    /// In a database of a PostgreSQL.
    Postgres(Arc<Postgres>, String),
    /// In a database of a MariaDB.
    MariaDb(Arc<MariaDb>, String),
    /// At a server of SQL Server's protocol; its password lies in the folder.
    SqlServer(Box<TdsServer>, #[allow(dead_code, reason = "it goes with the data")] tempfile::TempDir),
}

/// A running service over a database.
pub(crate) struct Running {
    // It ends before its folder goes.
    pub(crate) service: Service,
    pub(crate) site: Site,
    pub(crate) data: Data,
    /// A key that may do everything.
    pub(crate) key: String,
}

/// What a site is made of.
pub(crate) struct Plan {
    pub(crate) operations: String,
    pub(crate) gate: String,
    /// Further lines of the backend.
    pub(crate) more: String,
    pub(crate) mapping: String,
    /// Further sections of the configuration.
    pub(crate) sections: String,
    /// Its staging database as it was before, as statements.
    pub(crate) staging: Option<String>,
    /// The point of a write at which the process stands still; it makes the file `halted` there.
    pub(crate) halt: Option<&'static str>,
    /// Whether what it logs goes into the file `log`.
    pub(crate) logs: bool,
}

/// With these operations.
pub(crate) fn with(operations: &str) -> Plan {
    let gate = "settle = \"300ms\"\nqueue_timeout = \"20s\"\n".to_owned();
    Plan {
        operations: operations.to_owned(),
        gate,
        more: String::new(),
        mapping: ORDERS.to_owned(),
        sections: String::new(),
        staging: None,
        halt: None,
        logs: false,
    }
}

impl Plan {
    /// Replaces all that is said of the gate.
    pub(crate) fn gate(mut self, lines: &str) -> Plan {
        self.gate = format!("{lines}\n");
        self
    }

    /// With further lines of the backend.
    pub(crate) fn more(mut self, lines: &str) -> Plan {
        self.more = format!("{lines}\n");
        self
    }

    /// With further sections of the configuration.
    pub(crate) fn sections(mut self, lines: &str) -> Plan {
        self.sections = format!("{lines}\n");
        self
    }

    /// Begins with a staging database that these statements make.
    pub(crate) fn staging(mut self, statements: &str) -> Plan {
        self.staging = Some(statements.to_owned());
        self
    }

    /// Logs into the file `log` of its folder.
    pub(crate) fn logging(mut self) -> Plan {
        self.logs = true;
        self
    }

    /// Stands still at this point of the first write.
    pub(crate) fn halting(mut self, point: &'static str) -> Plan {
        self.halt = Some(point);
        self
    }

    /// Replaces the resource.
    pub(crate) fn mapping(mut self, mapping: &str) -> Plan {
        self.mapping = mapping.to_owned();
        self
    }

    /// Over a file of SQLite, in which these statements were done.
    pub(crate) fn sqlite(&self, statements: &str) -> Running {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("legacy.sqlite");
        rusqlite::Connection::open(&path).unwrap().execute_batch(statements).unwrap();
        self.odbc(&format!("Driver=SQLite3;Database={};Timeout=10000", path.display()), Data::File(folder))
    }

    /// Over a database of the shared PostgreSQL, in which these statements were done.
    pub(crate) fn postgres(&self, statements: &str) -> Running {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let server = Postgres::shared();
        let name = format!("operate{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        server.database(&name, "");
        server.sql(&name, statements);
        self.odbc(&server.connection(&name), Data::Postgres(server, name))
    }

    /// Over a database of a server of the test's own.
    pub(crate) fn over(&self, connection: &str, server: Arc<Postgres>, name: &str) -> Running {
        self.odbc(connection, Data::Postgres(server, name.to_owned()))
    }

    /// Over a database of the shared MariaDB, in which these statements were done.
    pub(crate) fn mariadb(&self, statements: &str) -> Running {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let server = MariaDb::shared();
        let name = format!("operate{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        server.database(&name, "character set utf8mb4");
        server.sql(&name, statements);
        let backend = format!("[backends.erp.odbc]\nconnection = '{}'\n{}", server.connection(&name), server.account());
        self.start(&backend, Data::MariaDb(server, name))
    }

    /// Over a server of SQL Server's protocol, in which this script was run.
    pub(crate) fn sql_server(&self, settings: tds_server::Settings, script: &str) -> Running {
        let encryption = tds_server::Encryption::NotSupported;
        let server = TdsServer::with(tds_server::Settings { encryption, ..settings }, script);
        let folder = tempfile::tempdir().unwrap();
        let password = folder.path().join("password");
        std::fs::write(&password, "Pa$$w0rd").unwrap();
        let backend = format!(
            "[backends.erp.mssql]\nhost = \"127.0.0.1\"\nport = {}\ndatabase = \"erp\"\nusername = \"bridge\"\n\
             password = {{ file = '{}' }}\nencryption = \"off\"",
            server.port(),
            password.display()
        );
        self.start(&backend, Data::SqlServer(Box::new(server), folder))
    }

    fn odbc(&self, connection: &str, data: Data) -> Running {
        self.start(&format!("[backends.erp.odbc]\nconnection = '{connection}'"), data)
    }

    fn start(&self, backend: &str, data: Data) -> Running {
        let site = Site::new();
        let config = format!(
            "{backend}\n{}[backends.erp.gate]\n{}[telemetry]\nlog = \"text\"\n{}",
            self.more, self.gate, self.sections
        );
        site.write("tollbridge.toml", config.as_bytes());
        site.write("mappings/orders.v1.toml", format!("{}{}", self.mapping, self.operations).as_bytes());
        if let Some(statements) = &self.staging {
            std::fs::create_dir_all(site.path("var")).unwrap();
            rusqlite::Connection::open(site.path("var/staging.db")).unwrap().execute_batch(statements).unwrap();
        }
        let key = new_key(&site, "test", &["*"]);
        let halt = self.halt.map(|point| format!("{point}={}", site.path("halted").display()));
        let variables: Vec<(&str, &str)> = halt.iter().map(|halt| ("TOLLBRIDGE_HALT_AT", halt.as_str())).collect();
        let service = if self.logs { site.serve_by(&["env"]) } else { site.serve_with(&variables) };
        service.until(|| service.get("/health/live", &key).ok());
        Running { service, site, data, key }
    }
}

/// A new key of a client.
pub(crate) fn new_key(site: &Site, name: &str, scopes: &[&str]) -> String {
    let mut arguments = vec!["keys", "create", name];
    scopes.iter().for_each(|scope| arguments.extend(["--scope", scope]));
    let (made, code) = site.json(&arguments);
    assert_eq!(code, 0, "{made:?}");
    made[0]["key"].as_str().unwrap().to_owned()
}

/// A body that is sent as JSON; none for an empty one.
pub(crate) fn bytes(
    key: &str,
    method: &str,
    path: &str,
    idempotency: &str,
    more: &[(&str, &str)],
    body: &str,
) -> Vec<u8> {
    let bearer = format!("Bearer {key}");
    let quoted = format!("\"{idempotency}\"");
    let mut fields = vec![("Authorization", bearer.as_str()), ("Idempotency-Key", quoted.as_str())];
    if !body.is_empty() {
        fields.push(("Content-Type", "application/json"));
    }
    fields.extend(more);
    request(method, path, &fields, body.as_bytes())
}

impl Running {
    pub(crate) fn address(&self) -> SocketAddr {
        self.service.address().parse().unwrap()
    }

    #[track_caller]
    pub(crate) fn write(&self, method: &str, path: &str, idempotency: &str, body: &str) -> Answer {
        self.write_with(method, path, idempotency, &[], body)
    }

    #[track_caller]
    pub(crate) fn write_with(
        &self,
        method: &str,
        path: &str,
        idempotency: &str,
        more: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        exchange(self.address(), &bytes(&self.key, method, path, idempotency, more, body)).expect("an answer")
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Answer {
        let bearer = format!("Bearer {}", self.key);
        exchange(self.address(), &request("GET", path, &[("Authorization", &bearer)], b"")).expect("an answer")
    }

    /// Sends a write and hangs up as soon as `is_there` says so.
    pub(crate) fn send_and_leave(&self, request: &[u8], is_there: impl Fn() -> bool) {
        let mut connection = Connection::to(self.address());
        connection.send(request);
        self.service.until(|| is_there().then_some(()));
    }

    /// What the data say: a line a row, `|` between columns.
    pub(crate) fn sql(&self, text: &str) -> String {
        match &self.data {
            Data::Postgres(server, name) => server.sql(name, text),
            Data::MariaDb(server, name) => server.sql(name, text).replace('\t', "|"),
            Data::SqlServer(server, _) => {
                let cell = |value: &rusqlite::types::Value| match value {
                    rusqlite::types::Value::Null => String::new(),
                    rusqlite::types::Value::Integer(number) => number.to_string(),
                    rusqlite::types::Value::Text(text) => text.clone(),
                    other => format!("{other:?}"),
                };
                let row = |row: &Vec<_>| row.iter().map(cell).collect::<Vec<_>>().join("|");
                server.execute(text).iter().map(row).collect::<Vec<_>>().join("\n")
            }
            Data::File(folder) => {
                let database = rusqlite::Connection::open(folder.path().join("legacy.sqlite")).unwrap();
                let mut select = database.prepare(text).unwrap();
                let columns = select.column_count();
                let rows = select.query_map([], |row| {
                    let cell = |index| match row.get::<_, rusqlite::types::Value>(index) {
                        Ok(rusqlite::types::Value::Null) => String::new(),
                        Ok(rusqlite::types::Value::Integer(number)) => number.to_string(),
                        Ok(rusqlite::types::Value::Real(number)) => number.to_string(),
                        Ok(rusqlite::types::Value::Text(text)) => text,
                        other => format!("{other:?}"),
                    };
                    Ok((0..columns).map(cell).collect::<Vec<_>>().join("|"))
                });
                rows.unwrap().map(Result::unwrap).collect::<Vec<_>>().join("\n")
            }
        }
    }

    /// Changes the data, as others do.
    pub(crate) fn change(&self, text: &str) {
        match &self.data {
            Data::File(folder) => {
                let database = rusqlite::Connection::open(folder.path().join("legacy.sqlite")).unwrap();
                database.busy_timeout(std::time::Duration::from_secs(30)).unwrap();
                database.execute_batch(text).unwrap();
            }
            _ => drop(self.sql(text)),
        }
    }

    /// The server of SQL Server's protocol.
    pub(crate) fn tds(&self) -> &TdsServer {
        match &self.data {
            Data::SqlServer(server, _) => server,
            _ => panic!("the data lie elsewhere"),
        }
    }

    /// All operations, newest first, as the command lists them.
    pub(crate) fn operations(&self) -> Vec<Value> {
        let (operations, code) = self.site.json(&["operations", "list"]);
        assert_eq!(code, 0);
        operations
    }

    /// The state of the only operation.
    pub(crate) fn state(&self) -> String {
        let operations = self.operations();
        assert_eq!(operations.len(), 1, "{operations:?}");
        operations[0]["state"].as_str().unwrap().to_owned()
    }

    /// Waits until the only operation is in this state.
    pub(crate) fn until_state(&self, state: &str) {
        self.service.until(|| (self.operations().len() == 1 && self.state() == state).then_some(()));
    }

    /// Kills the process, and starts it again in the same place.
    pub(crate) fn kill_and_restart(self) -> Running {
        self.kill_and_restart_with(&[])
    }

    /// The same, and this time it stands still at this point of the first write.
    pub(crate) fn kill_and_restart_halting(self, point: &str) -> Running {
        let halt = format!("{point}={}", self.site.path("halted").display());
        self.kill_and_restart_with(&[("TOLLBRIDGE_HALT_AT", &halt)])
    }

    fn kill_and_restart_with(self, variables: &[(&str, &str)]) -> Running {
        let Running { service, site, data, key } = self;
        service.signal("KILL");
        service.wait();
        let again = site.serve_again_with(&service, variables);
        again.until(|| again.get("/health/live", &key).ok());
        Running { service: again, site, data, key }
    }

    /// Polls the status at `Location` until the write is over.
    pub(crate) fn until_over(&self, accepted: &Answer) -> Value {
        assert_eq!(accepted.status, 202, "{accepted:?}");
        let location = accepted.field("location").unwrap().to_owned();
        self.service.until(|| {
            let status = self.get(&location).json();
            matches!(status["state"].as_str(), Some("succeeded" | "failed")).then_some(status)
        })
    }
}
