//! Writes that are files: what a backend finds in its outbox, whole, once, whatever happens on the way.

mod faults;
mod killed;
mod layouts;
mod local;
mod servers;

use std::net::SocketAddr;
use std::path::Path;

use serde_json::Value;

use crate::facade::client::{Answer, Connection, exchange};
use crate::operate::{bytes, new_key};
use crate::site::{Service, Site};

/// A resource of CSV files, and one operation that writes such a file.
const ORDERS: &str = r#"
resource = "orders"
version = 1
key = ["order_no"]
[source]
backend = "erp"
[source.csv]
files = "ord*.csv"
delimiter = ";"
columns = ["NO", "STATUS", "AMOUNT"]
[fields]
order_no = { from = "NO" }
status = { from = "STATUS", values = { OP = "open", CL = "closed" } }
amount = { from = "AMOUNT", type = "decimal(9,2)" }

[operations.create]
file = { name = "new-{operation_id}.csv", record = { NO = "{order_no}", STATUS = "{status}", AMOUNT = "{amount}" } }
answer = { order_no = ":order_no", file = "file" }
[operations.create.body]
order_no = { field = "order_no", pattern = "^[0-9]+$" }
status = { field = "status", required = false, default = "open" }
amount = { field = "amount" }
"#;

const BODY: &str = r#"{"order_no":"4711","amount":12.5}"#;

/// What the file of [`BODY`] holds.
const CONTENT: &str = "NO;STATUS;AMOUNT\r\n4711;OP;12.50\r\n";

/// The backend `erp` with folders of the site.
const FOLDERS: &str = "[backends.erp.files]\ninbox = \"inbox\"\noutbox = \"outbox\"\nstable_for = \"0s\"\n";

/// A running service whose backend takes files.
struct Running {
    // It ends before its folder goes.
    service: Service,
    site: Site,
    key: String,
}

/// A site with this backend and mapping; its folders are there.
fn site(backend: &str, mapping: &str) -> Site {
    let site = Site::with_mappings(&[("orders.v1.toml", mapping)]);
    std::fs::create_dir(site.path("outbox")).unwrap();
    let gate = "[backends.erp.gate]\nsettle = \"0s\"\nqueue_timeout = \"20s\"\n";
    site.write("tollbridge.toml", format!("{backend}{gate}[telemetry]\nlog = \"text\"\n").as_bytes());
    site
}

/// The same, running; at this point of the first write it stands still.
fn start(site: Site, halt: Option<&str>) -> Running {
    let key = new_key(&site, "test", &["*"]);
    let halt = halt.map(|point| format!("{point}={}", site.path("halted").display()));
    let variables: Vec<(&str, &str)> = halt.iter().map(|halt| ("TOLLBRIDGE_HALT_AT", halt.as_str())).collect();
    let service = site.serve_with(&variables);
    service.until(|| service.get("/health/live", &key).ok());
    Running { service, site, key }
}

/// A running service with folders of its own and this mapping.
fn running(mapping: &str) -> Running {
    start(site(FOLDERS, mapping), None)
}

/// What lies in a folder and can be seen: names with contents.
fn seen(folder: &Path) -> Vec<(String, String)> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<_> = entries
        .map(|entry| entry.unwrap())
        .filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'))
        .map(|entry| {
            let content = String::from_utf8_lossy(&std::fs::read(entry.path()).unwrap()).into_owned();
            (entry.file_name().into_string().unwrap(), content)
        })
        .collect();
    files.sort();
    files
}

impl Running {
    fn address(&self) -> SocketAddr {
        self.service.address().parse().unwrap()
    }

    #[track_caller]
    fn create(&self, idempotency: &str, body: &str) -> Answer {
        self.create_with(idempotency, &[], body)
    }

    #[track_caller]
    fn create_with(&self, idempotency: &str, more: &[(&str, &str)], body: &str) -> Answer {
        let request = bytes(&self.key, "POST", "/v1/orders", idempotency, more, body);
        exchange(self.address(), &request).expect("an answer")
    }

    /// Sends a write and hangs up as soon as `is_there` says so.
    fn send_and_leave(&self, idempotency: &str, body: &str, is_there: impl Fn() -> bool) {
        let mut connection = Connection::to(self.address());
        connection.send(&bytes(&self.key, "POST", "/v1/orders", idempotency, &[], body));
        self.service.until(|| is_there().then_some(()));
    }

    /// What lies in the outbox: names with contents.
    fn outbox(&self) -> Vec<(String, String)> {
        seen(&self.site.path("outbox"))
    }

    /// What is in the work folder.
    fn work(&self) -> Vec<String> {
        self.site.listing("outbox/.tollbridge")
    }

    /// All operations, newest first, as the command lists them.
    fn operations(&self) -> Vec<Value> {
        let (operations, code) = self.site.json(&["operations", "list"]);
        assert_eq!(code, 0);
        operations
    }

    /// Kills the process, and starts it again in the same place.
    fn kill_and_restart(self) -> Running {
        let Running { service, site, key } = self;
        service.signal("KILL");
        service.wait();
        let again = site.serve_again(&service);
        again.until(|| again.get("/health/live", &key).ok());
        Running { service: again, site, key }
    }
}
