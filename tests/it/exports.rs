//! What exports take of the served process: as much memory for many records as for few, and nothing that others need, however
//! slowly they are read.

use std::fmt::Write;
use std::io::Read;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::facade::client::{Connection, exchange, request};
use crate::site::{Service, Site};

const ORDERS: &str = r#"
resource = "orders"
version = 1
key = ["no"]
[source]
backend = "erp"
schedule = "manual"
[source.csv]
files = "orders*.csv"
[fields]
no = { from = "no" }
status = { from = "status" }
amount = { from = "amount", type = "decimal(9,2)" }
name = { from = "name" }
[serve]
filter = ["status"]
sort = ["amount"]
"#;

const FEW: usize = 50_000;
const MANY: usize = 500_000;

/// More than there are connections that read the staging database.
const SLEEPERS: usize = 20;

/// So many kilobytes more or less say nothing: threads and their buffers come and go.
const SLACK: u64 = 12 * 1024;

fn deliver(site: &Site, numbers: std::ops::Range<usize>) {
    let mut text = "no,status,amount,name\n".to_owned();
    for number in numbers.clone() {
        let status = ["open", "closed"][number % 2];
        writeln!(text, "{number:07},{status},{}.25,Customer of order {number}", number % 1000).unwrap();
    }
    site.deliver(&format!("orders{}.csv", numbers.start), text.as_bytes());
    let synced = site.run(&["sync", "orders.v1"]);
    assert!(synced.status.success(), "{synced:?}");
}

/// What of the process's memory is its own, in kilobytes: pages of the database that it has mapped are the kernel's, which
/// takes them back.
fn own_memory(service: &Service) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", service.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).expect("the kernel tells it");
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Reads an export to its end, with a pause after each piece; the number of its lines.
fn export(address: &str, key: &str, accept: &str, pause: Option<Duration>) -> usize {
    let asked = ureq::get(format!("http://{address}/v1/orders")).header("Accept", accept);
    let mut answer = asked.header("Authorization", format!("Bearer {key}")).call().unwrap();
    let mut reader = answer.body_mut().as_reader();
    let (mut buffer, mut lines) = (vec![0; 128 << 10], 0);
    loop {
        // A stream that breaks off is an error here.
        let read = reader.read(&mut buffer).unwrap();
        if read == 0 {
            return lines;
        }
        lines += buffer[..read].iter().filter(|byte| **byte == b'\n').count();
        if let Some(pause) = pause {
            std::thread::sleep(pause);
        }
    }
}

/// The most memory that a fresh process has while so many records are exported in both forms, quickly and slowly, and
/// others have asked for all and do not read it.
fn most_memory(site: &Site, key: &str, count: usize) -> u64 {
    let service = site.serve();
    service.until(|| service.get("/health/ready", key).ok());
    let (address, bearer) = (service.address(), format!("Bearer {key}"));
    let sleepers: Vec<Connection> = (0..SLEEPERS)
        .map(|number| {
            let accept = ["application/x-ndjson", "text/csv"][number % 2];
            let mut connection = Connection::to(address.parse().unwrap());
            let fields = [("Authorization", bearer.as_str()), ("Accept", accept)];
            connection.send(&request("GET", "/v1/orders", &fields, b""));
            assert_eq!(connection.receive(false).unwrap().status, 200);
            connection
        })
        .collect();
    // Others are answered meanwhile, whether they ask for one, for a page or for all.
    for number in 0..50 {
        for path in
            [format!("/v1/orders/{number:07}"), format!("/v1/orders?status=open&sort=-amount&limit={}", number + 1)]
        {
            let asked = request("GET", &path, &[("Authorization", &bearer)], b"");
            assert_eq!(exchange(address.parse().unwrap(), &asked).unwrap().status, 200, "{path}");
        }
    }
    let (ended, mut most) = (AtomicUsize::new(0), own_memory(&service));
    let slowly = Some(Duration::from_millis(2));
    let exports =
        [("application/x-ndjson", None), ("application/x-ndjson", slowly), ("text/csv", None), ("text/csv", slowly)];
    std::thread::scope(|scope| {
        for (accept, pause) in exports {
            let (address, ended) = (&address, &ended);
            scope.spawn(move || {
                // It has ended, well or not.
                struct Ended<'a>(&'a AtomicUsize);
                impl Drop for Ended<'_> {
                    fn drop(&mut self) {
                        self.0.fetch_add(1, Ordering::Relaxed);
                    }
                }
                let _ended = Ended(ended);
                let names = usize::from(accept == "text/csv");
                assert_eq!(export(address, key, accept, pause), count + names, "{accept}, {pause:?}");
            });
        }
        while ended.load(Ordering::Relaxed) < exports.len() {
            most = most.max(own_memory(&service));
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    drop(sleepers);
    most
}

#[test]
fn an_export_takes_the_memory_of_a_page_and_a_slow_reader_takes_nothing_from_others() {
    let site = Site::with_mappings(&[("orders.v1.toml", ORDERS)]);
    let made = site.json(&["keys", "create", "exporter", "--scope", "read"]).0;
    let key = made[0]["key"].as_str().unwrap();
    deliver(&site, 0..FEW);
    let few = most_memory(&site, key, FEW);
    deliver(&site, FEW..MANY);
    let mut told = Vec::new();
    // What follows the number does so every time.
    for _ in 0..3 {
        let many = most_memory(&site, key, MANY);
        if many < few + SLACK {
            return;
        }
        told.push(many);
    }
    panic!("{few} kB for {FEW} records, and {told:?} kB for {MANY}");
}
