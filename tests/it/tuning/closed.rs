//! Closed times: scheduled runs wait and go on, a person's run is told, and nobody reaches the backend.

use std::time::Duration;

use serde_json::{Value, json};

use super::{MAPPING, actions, configure, erp, gate, gate_json, site};
use crate::site::Service;

fn runs(service: &Service) -> Vec<Value> {
    let (status, body) = service.admin("GET", "/admin/v1/runs");
    assert_eq!(status, 200);
    serde_json::from_str::<Value>(&body).unwrap()["data"].as_array().unwrap().clone()
}

#[test]
fn scheduled_runs_wait_for_the_end_of_a_freeze_and_go_on() {
    let site = site();
    let service = site.serve();
    erp(&service);
    service.until(|| (runs(&service).is_empty() && erp(&service)["granted_total"].as_u64() > Some(0)).then_some(()));
    let made = gate_json(&site, &service, &["freeze", "erp", "--reason", "stock taking", "--for", "1h"]).remove(0);
    let closed = &made["closed"];
    assert_eq!(
        (&closed["kind"], &closed["reason"], &closed["author"]),
        (&json!("freeze"), &json!("stock taking"), &json!("anna (local)"))
    );
    assert_eq!((&made["limit"], &made["max_in_flight"]), (&json!(0), &json!(4)));
    service.until(|| {
        let metrics = service.admin("GET", "/metrics").1;
        let is_shut = metrics.contains("tollbridge_gate_limit{backend=\"erp\"} 0");
        (is_shut && metrics.contains("tollbridge_gate_closed{backend=\"erp\"} 2")).then_some(())
    });
    site.deliver("items1.csv", b"ID\nA\n");
    let granted = erp(&service)["granted_total"].clone();

    // A person's run is told at once, by either door; so is who checks the backends.
    let command = site.run(&["sync", "items"]);
    let said = String::from_utf8_lossy(&command.stderr).into_owned();
    assert_eq!(command.status.code(), Some(3), "{said}");
    assert!(said.contains("backend erp is frozen until") && said.contains("(stock taking)"), "{said}");
    let (status, body) = service.admin("POST", "/admin/v1/resources/items.v1/sync");
    assert!(status == 409 && body.contains("frozen until"), "{status}: {body}");
    let check = site.run(&["check"]);
    let said = String::from_utf8_lossy(&check.stderr).into_owned();
    assert_eq!(check.status.code(), Some(0), "{said}");
    assert!(said.contains("backend erp is frozen until") && said.contains("it was not reached"), "{said}");
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(
        (erp(&service)["granted_total"].clone(), site.listing("inbox")),
        (granted, vec!["items1.csv".to_owned()])
    );
    assert!(runs(&service).is_empty(), "no run is said to go on, and none has failed");

    // It outlives the process.
    service.signal("TERM");
    assert_eq!(service.wait(), Some(0));
    let service = site.serve();
    assert_eq!((&erp(&service)["limit"], &erp(&service)["closed"]["reason"]), (&json!(0), &json!("stock taking")));

    // A shorter freeze in its place ends by itself, and the run goes on.
    gate_json(&site, &service, &["freeze", "erp", "--reason", "nearly done", "--for", "1s"]);
    let done = service.until(|| Some(runs(&service)).filter(|runs| runs.iter().any(|run| run["state"] == "succeeded")));
    assert_eq!((done.len(), &done[0]["staged"]), (1, &json!(1)), "{done:?}");
    service.until(|| (actions(&site, &service) == ["expired", "freeze", "freeze"]).then_some(()));
    assert!(erp(&service)["closed"].is_null());

    gate_json(&site, &service, &["freeze", "erp", "--reason", "once more"]);
    assert!(erp(&service)["closed"]["until"].is_null());
    let told = String::from_utf8(gate(&site, &service, &["thaw", "erp", "--reason", "all done"]).stdout).unwrap();
    assert_eq!(told, "erp: open\n");
    // The scheduled run that the thaw lets go may be going on.
    service.until(|| {
        let command = site.run(&["sync", "items"]);
        let said = String::from_utf8_lossy(&command.stderr).into_owned();
        assert!(command.status.success() || said.contains("is going on already"), "{said}");
        command.status.success().then_some(())
    });
}

#[test]
fn a_backend_that_is_closed_by_its_calendar_is_not_reached() {
    let site = site();
    configure(&site, "calendar = [{ closed = \"00:00-24:00\", reason = \"museum\" }]");
    site.deliver("items1.csv", b"ID\nA\n");
    let said = |arguments: &[&str], exit: i32| {
        let output = site.run(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(exit), "{said}");
        said
    };
    assert!(said(&["sync", "--all"], 3).contains("backend erp is closed without an end (museum)"));
    assert!(said(&["check"], 0).contains("(museum): it was not reached"));
    let service = site.serve();
    let gate = erp(&service);
    assert_eq!(
        (&gate["closed"]["kind"], &gate["closed"]["reason"], &gate["limit"]),
        (&json!("window"), &json!("museum"), &json!(0))
    );
    service.until(|| {
        service.admin("GET", "/metrics").1.contains("tollbridge_gate_closed{backend=\"erp\"} 1").then_some(())
    });
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!((erp(&service)["granted_total"].clone(), site.listing("inbox").len()), (json!(0), 1));

    // A reload opens it.
    configure(&site, "calendar = []");
    service.signal("HUP");
    service.until(|| runs(&service).iter().any(|run| run["state"] == "succeeded").then_some(()));

    configure(&site, "calendar = [{ closed = \"2-3\", zone = \"Mars\" }]");
    let faults = said(&["check", "--offline"], 2);
    assert!(faults.contains("tollbridge.toml:6:24") && faults.contains("`Mars` is no time zone"), "{faults}");
}

#[test]
fn a_run_that_is_on_its_way_waits_at_the_gate_and_goes_on() {
    let site = site();
    site.write("mappings/items.v1.toml", MAPPING.replace("every 100ms", "manual").as_bytes());
    site.deliver("items1.csv", b"ID\nA\n");
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(async {
        use tollbridge::gate::Lane;
        use tollbridge::pipeline::sync::Request;
        use tollbridge::pipeline::tuning::{Act, End, Wish};
        let loaded = tollbridge::config::load(&site.path("tollbridge.toml"), []).unwrap();
        let bridge = tollbridge::app::open(&loaded).await.unwrap();
        let wish = |act, end| Wish { author: "anna".to_owned(), reason: "batch".to_owned(), act, end, seen: None };
        bridge.decide("erp", &wish(Act::Freeze, End::Open)).await.unwrap();
        let plan = std::sync::Arc::clone(bridge.world.load().plan("items").unwrap());
        let request = |lane| Request { trigger: "schedule", lane, full: false, patience: Duration::ZERO };
        let told = bridge.sync(&plan, request(Lane::Operator)).await.unwrap_err();
        assert_eq!(
            told.chain(),
            "backend erp is frozen until an operator opens it (batch); nothing is read from it before"
        );
        let run = tokio::spawn({
            let (bridge, plan) = (std::sync::Arc::clone(&bridge), std::sync::Arc::clone(&plan));
            async move { bridge.sync(&plan, request(Lane::Sync)).await }
        });
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(!run.is_finished() && site.listing("inbox").len() == 1);
        bridge.decide("erp", &wish(Act::Thaw, End::Open)).await.unwrap();
        assert_eq!(run.await.unwrap().unwrap().balance().staged, 1);

        // The end of the process ends the wait.
        bridge.decide("erp", &wish(Act::Freeze, End::Open)).await.unwrap();
        let run = tokio::spawn({
            let bridge = std::sync::Arc::clone(&bridge);
            async move { bridge.sync(&plan, request(Lane::Sync)).await }
        });
        tokio::time::sleep(Duration::from_millis(100)).await;
        bridge.stop.cancel();
        assert!(run.await.unwrap().unwrap_err().chain().contains("stopped by shutdown"));
    });
}
