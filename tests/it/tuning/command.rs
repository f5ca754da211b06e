//! The `gate` command against a running service: what it sets holds, outlives the process, and ends.

use std::time::Duration;

use serde_json::{Value, json};

use super::{actions, configure, erp, gate, gate_json, site};

#[test]
fn what_is_set_holds_at_once_and_over_reload_and_restart() {
    let site = site();
    let service = site.serve();
    erp(&service);
    let set = ["set", "erp", "max_in_flight=2", "breaker.failures=3", "--reason", "month end", "--for", "2h"];
    let made = gate_json(&site, &service, &set).remove(0);
    let setting = &made["settings"]["max_in_flight"];
    assert_eq!((&setting["value"], &setting["config"]), (&json!(2), &json!(4)), "{made}");
    let set = &setting["override"];
    assert_eq!((&set["author"], &set["reason"]), (&json!("anna (local)"), &json!("month end")));
    let span = |end: &Value, start: &Value| {
        let moment = |value: &Value| value.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        moment(end).duration_since(moment(start)).as_secs()
    };
    assert!((7190..=7200).contains(&span(&set["expires_at"], &set["since"])), "{set}");
    let decision = &made["decision"];
    assert_eq!(decision["before"], json!({"max_in_flight": 4, "breaker.failures": 5}));
    assert_eq!(decision["after"], json!({"max_in_flight": 2, "breaker.failures": 3}));
    assert_eq!((&made["max_in_flight"], &made["limit"]), (&json!(2), &json!(2)));
    service.until(|| {
        service.admin("GET", "/metrics").1.contains("tollbridge_gate_limit{backend=\"erp\"} 2").then_some(())
    });

    // A reload brings new first values; what was set stays over them.
    configure(&site, "max_in_flight = 9\nqueue = 7");
    service.signal("HUP");
    let gate_now = service.until(|| Some(erp(&service)).filter(|gate| gate["settings"]["queue"]["value"] == 7));
    let setting = &gate_now["settings"]["max_in_flight"];
    assert_eq!((&setting["value"], &setting["config"], &gate_now["max_in_flight"]), (&json!(2), &json!(9), &json!(2)));

    service.signal("TERM");
    assert_eq!(service.wait(), Some(0));
    let service = site.serve();
    let gate_now = erp(&service);
    assert_eq!((&gate_now["limit"], &gate_now["settings"]["breaker.failures"]["value"]), (&json!(2), &json!(3)));
    assert_eq!(gate_now["settings"]["max_in_flight"]["override"]["reason"], "month end");

    // One value back, then all.
    let made = gate_json(&site, &service, &["reset", "erp", "breaker", "--reason", "calm again"]).remove(0);
    assert_eq!((&made["settings"]["breaker.failures"]["value"], &made["limit"]), (&json!(5), &json!(2)));
    let told = gate(&site, &service, &["reset", "erp", "--reason", "all is well"]);
    assert_eq!(String::from_utf8(told.stdout).unwrap(), "erp: max_in_flight 2 -> 9\n");
    assert_eq!(erp(&service)["limit"], 9);
    let told = gate(&site, &service, &["reset", "erp", "--reason", "again"]);
    assert!(String::from_utf8(told.stdout).unwrap().contains("nothing was set"));

    let entries = gate_json(&site, &service, &["audit", "--backend", "erp"]);
    let said: Vec<_> =
        entries.iter().map(|entry| (entry["action"].as_str().unwrap(), entry["reason"].as_str().unwrap())).collect();
    assert_eq!(said, [("reset", "all is well"), ("set", "calm again"), ("set", "month end")]);
    assert!(entries.iter().all(|entry| entry["author"] == "anna (local)"), "{entries:?}");
    let listed = String::from_utf8(gate(&site, &service, &["list"]).stdout).unwrap();
    let row: Vec<&str> = listed.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(row, ["erp", "9", "9", "0", "0", "0", "0", "7", "open"], "{listed}");
}

#[test]
fn what_has_come_to_its_end_falls_back_by_itself_also_while_nobody_serves() {
    let site = site();
    let service = site.serve();
    erp(&service);
    gate_json(&site, &service, &["set", "erp", "max_in_flight=2", "--reason", "a moment", "--for", "1s"]);
    let back = service.until(|| Some(erp(&service)).filter(|gate| gate["limit"] == 4));
    assert!(back["settings"]["max_in_flight"]["override"].is_null(), "{back}");
    service.until(|| (actions(&site, &service) == ["expired", "set"]).then_some(()));

    gate_json(&site, &service, &["set", "erp", "max_in_flight=3", "queue=5", "--reason", "a moment", "--for", "1s"]);
    gate_json(&site, &service, &["set", "erp", "queue=6", "--reason", "for longer", "--for", "1h"]);
    service.signal("TERM");
    assert_eq!(service.wait(), Some(0));
    std::thread::sleep(Duration::from_millis(1100));
    let service = site.serve();
    let gate_now = erp(&service);
    assert_eq!((&gate_now["limit"], &gate_now["queue"]), (&json!(4), &json!(6)), "{gate_now}");
    service.until(|| (actions(&site, &service).first()? == "expired").then_some(()));
    let entry = gate_json(&site, &service, &["audit", "--limit", "1"]).remove(0);
    assert_eq!(
        (&entry["author"], &entry["before"], &entry["after"]),
        (&json!("tollbridge"), &json!({"max_in_flight": 3}), &json!({"max_in_flight": 4}))
    );
    assert!(entry["reason"].as_str().unwrap().contains("max_in_flight by anna (local): a moment"), "{entry}");
}

#[test]
fn faults_are_told_all_at_once_and_change_nothing() {
    let site = site();
    let service = site.serve();
    erp(&service);
    let refused = |arguments: &[&str], exit: i32, words: &[&str]| {
        let output = gate(&site, &service, arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(exit), "{arguments:?}: {said}");
        for word in words {
            assert!(said.contains(word), "{arguments:?}: {word} is not in {said}");
        }
    };
    refused(
        &["set", "erp", "max_in_flight=0", "queue=x", "setle=1s", "--reason", " ", "--for", "soon"],
        2,
        &[
            "0 is outside 1 to 10000",
            "`queue`: expected an integer",
            "did you mean `settle`?",
            "`reason`",
            "`soon` is no length of time",
        ],
    );
    refused(&["set", "ero", "queue=1", "--reason", "x"], 2, &["there is no backend ero, did you mean erp?"]);
    refused(&["set", "erp", "queue", "--reason", "x"], 2, &["no NAME=VALUE"]);
    refused(&["set", "erp", "queue=1", "queue=2", "--reason", "x"], 2, &["given twice"]);
    refused(&["set", "erp", "queue=1"], 2, &["--reason"]);
    refused(&["set", "erp", "calendar=1", "--reason", "x"], 2, &["is set in the configuration only"]);
    refused(&["reset", "erp", "breakr", "--reason", "x"], 2, &["no setting `breakr`"]);
    refused(&["thaw", "erp", "--reason", "x"], 1, &["is not frozen"]);
    refused(&["freeze", "erp", "--reason", "x", "--until", "2001-01-01T00:00:00Z"], 2, &["is over already"]);
    assert!(actions(&site, &service).is_empty());
    assert_eq!(erp(&service)["revision"], 0);

    let nobody =
        site.command(&["gate", "list"]).env("TOLLBRIDGE__SERVER__ADMIN_LISTEN", "127.0.0.1:1").output().unwrap();
    let said = String::from_utf8(nobody.stderr).unwrap();
    assert_eq!(nobody.status.code(), Some(3), "{said}");
    assert!(said.contains("no service answers at 127.0.0.1:1"), "{said}");
}
