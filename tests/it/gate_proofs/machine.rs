//! What this machine lacks is told from what the backend does.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::facade::client::{Connection, exchange, request};
use crate::site::Service;
use crate::support::erp::{Erp, Settings};
use crate::support::seat::{self, Seat};

use super::{GATE, seconds};

fn ready(service: &Service) -> (u16, Value) {
    let (status, body) = service.admin("GET", "/health/ready");
    (status, serde_json::from_str(&body).unwrap_or_default())
}

/// The disk of the gates' folder is full: a real one, small, and of this service alone.
#[test]
fn a_full_disk_is_told_once_and_mended_by_itself() {
    let erp = Erp::start(Settings::default());
    let seat = Seat::before(&erp, GATE);
    let key = seat.key("caller");
    std::fs::create_dir_all(seat.site.path("var/gates")).unwrap();
    let script = "mount -t tmpfs -o size=256k tmpfs var/gates && exec \"$@\"";
    let service = seat.site.serve_by(&["unshare", "--map-root-user", "--mount", "sh", "-c", script, "sh"]);
    service.until(|| (service.admin("GET", "/health/ready").0 == 200).then_some(()));
    let inside = PathBuf::from(format!("/proc/{}/root{}", service.id(), service.path("var/gates").display()));
    let filler = inside.join("filler");
    let bytes = vec![0; 1 << 20];
    let full = std::fs::write(&filler, &bytes).unwrap_err();
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    let bearer = format!("Bearer {key}");
    let get = |order: u32| request("GET", &format!("/v1/orders/{order}"), &[("Authorization", &bearer)], b"");
    for order in 0..20 {
        let refused = exchange(seat::address(&service), &get(order)).unwrap();
        refused.problem(503, "backend-unavailable");
        assert_eq!(refused.json()["reason"], "unmarked");
    }
    let (status, said) = ready(&service);
    let finding = said["parts"]["machine"]["finding"].as_str().unwrap_or_default();
    assert_eq!(status, 503, "{said:#}");
    assert!(finding.contains("calls to erp are refused") && finding.contains("No space left on device"), "{finding}");
    assert!(finding.contains("see that the disk of the gates' folder"), "{finding}");
    assert_eq!(seat::gate(&service)["trouble"], finding);
    // Callers are told that it is so, and neither of which backend nor of which folder: they need no key to ask.
    let open = exchange(seat::address(&service), &request("GET", "/health/ready", &[], b"")).unwrap();
    let told = open.json()["parts"]["machine"]["finding"].as_str().unwrap_or_default().to_owned();
    assert_eq!(open.status, 503, "{}", open.text());
    assert!(told.starts_with("lacks something") && !told.contains("erp") && !told.contains("device"), "{told}");
    let (_, page) = service.admin("GET", "/");
    assert!(page.contains("<p class=\"bad\">calls to erp are refused"), "{page}");
    let (_, metrics) = service.admin("GET", "/metrics");
    assert!(metrics.contains("tollbridge_gate_trouble{backend=\"erp\"} 1"), "{metrics}");
    assert!(metrics.contains("tollbridge_gate_rejected_total{backend=\"erp\",reason=\"unmarked\"} 20"), "{metrics}");
    let log = std::fs::read_to_string(seat.site.path("log")).unwrap();
    let told = log.lines().filter(|line| line.contains("calls are refused for a fault of this machine")).count();
    assert_eq!(told, 1, "{log}");
    assert!(log.lines().count() < 15, "{log}");
    // Nobody calls, nobody restarts anything.
    std::fs::remove_file(&filler).unwrap();
    service.until(|| (ready(&service).0 == 200).then_some(()));
    assert_eq!(exchange(seat::address(&service), &get(100)).unwrap().status, 200);
    assert!(seat::gate(&service)["trouble"].is_null());
    assert!(erp.at_rest().most <= 8);
}

/// Without a descriptor nothing can be sent. That is no failure of the backend, which is called as soon as there is one.
#[test]
fn a_service_without_descriptors_does_not_take_its_backend_for_broken() {
    let erp = Erp::start(Settings::default());
    let seat = Seat::before(&erp, GATE);
    let service = seat.serve();
    let bearer = format!("Bearer {}", seat.key("caller"));
    let get = |order: u32| request("GET", &format!("/v1/orders/{order}"), &[("Authorization", &bearer)], b"");
    let mut connection = Connection::to(seat::address(&service));
    let mut ask = |order: u32| {
        connection.send(&get(order));
        connection.receive(true).unwrap()
    };
    assert_eq!(ask(0).status, 200);
    let limit = |limit: &str| {
        let pid = service.id().to_string();
        let set = Command::new("prlimit").args(["--pid", &pid, &format!("--nofile={limit}:")]).status().unwrap();
        assert!(set.success());
    };
    limit("3");
    // Longer than the connection to the ERP is kept that the first call has left.
    std::thread::sleep(Duration::from_secs(5));
    for order in 1..=12 {
        let refused = ask(order);
        refused.problem(503, "backend-unavailable");
        assert_eq!(refused.json()["reason"], "own_resources", "{refused:?}");
        assert!(refused.field("retry-after").is_some());
    }
    limit("1024");
    let answered = ask(20);
    assert_eq!(answered.status, 200, "at once: {answered:?}");
    let gate = seat::gate(&service);
    assert_eq!((&gate["breaker"], gate["trouble"].is_null()), (&Value::from("closed"), true), "{gate:#}");
    let (_, metrics) = service.admin("GET", "/metrics");
    assert!(
        metrics.contains("tollbridge_gate_rejected_total{backend=\"erp\",reason=\"own_resources\"} 12"),
        "{metrics}"
    );
    let trace = erp.at_rest();
    assert_eq!((trace.calls.len(), trace.most), (2, 1));
    assert!(trace.calls.iter().all(|call| call.began < seconds(60.0)));
}

/// Two services must not share a staging database; the second says why it does not start, and harms nothing.
#[test]
fn a_second_service_on_one_staging_database_does_not_start() {
    let erp = Erp::start(Settings::default());
    let seat = Seat::before(&erp, GATE);
    let service = seat.serve();
    let mut second = seat.site.command(&["serve"]);
    for listener in ["LISTEN", "ADMIN_LISTEN"] {
        second.env(format!("TOLLBRIDGE__SERVER__{listener}"), "127.0.0.1:0");
    }
    let refused = second.output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success());
    let expected = format!("another Tollbridge (process {}) serves this staging database already", service.id());
    assert!(said.contains(&expected), "{said}");
    assert_eq!(ready(&service).0, 200);
    // A command beside it is no service; and when the first is gone another may come.
    assert!(seat.site.run(&["keys", "list"]).status.success());
    drop(seat.kill_and_serve(&service));
}
