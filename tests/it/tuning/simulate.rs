//! `gate simulate` over the calls of a service that ran.

use serde_json::json;

use super::{erp, gate_json, site};

#[test]
fn the_calls_of_a_service_are_replayed_through_another_cap() {
    let site = site();
    let nothing = site.run(&["gate", "simulate", "erp", "--max-in-flight", "1"]);
    assert_eq!(nothing.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&nothing.stderr).contains("no call to erp was kept"), "{nothing:?}");
    let service = site.serve();
    service.until(|| (erp(&service)["granted_total"].as_u64() > Some(10)).then_some(()));
    gate_json(&site, &service, &["set", "erp", "max_in_flight=3", "--reason", "x"]);
    service.signal("TERM");
    assert_eq!(service.wait(), Some(0));

    let (said, exit) = site.json(&["gate", "simulate", "erp", "--max-in-flight", "1", "--since", "1h"]);
    assert_eq!(exit, 0);
    let (then, now) = (&said[0]["happened"], &said[0]["simulated"]);
    assert!(said[0]["calls"].as_u64() > Some(10), "{}", said[0]);
    // One schedule looks again and again: one call at a time, under any cap.
    assert_eq!((&then["served"], &then["served"], &now["refused"]), (&said[0]["calls"], &now["served"], &json!({})));
    assert_eq!(
        (&then["max_in_flight"], &now["max_in_flight"], &now["most_in_flight"]),
        (&json!(3), &json!(1), &json!(1))
    );
    assert!(said[0]["caveat"].as_str().unwrap().contains("as long for each call as it did then"));

    let shown = site.run(&["gate", "simulate", "erp", "--max-in-flight", "2", "--queue-timeout", "2s"]);
    let text = String::from_utf8(shown.stdout).unwrap();
    assert!(text.contains("HAPPENED") && text.contains("wait p99") && text.contains("places in use"), "{text}");
    assert!(String::from_utf8(shown.stderr).unwrap().contains("as long for each call as it did then"));

    // What the limit does in the replay is said, and can be chosen.
    let note = |arguments: &[&str], words: &str| {
        let output = site.run(&[&["gate", "simulate", "erp", "--max-in-flight", "2"], arguments].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(words), "{said}");
    };
    note(&[], "`adaptive = \"off\"`, as in force now: in the replay the limit is the cap");
    note(&["--adaptive", "on"], "`adaptive = \"on\"`, as asked for: in the replay the limit begins with 1");
    assert_eq!((&said[0]["adaptive"], &said[0]["simulated"]["max_in_flight"]), (&json!("off"), &json!(1)));

    let refused = |arguments: &[&str], words: &str| {
        let output = site.run(&[&["gate", "simulate"], arguments].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(words), "{said}");
    };
    refused(&["ero", "--max-in-flight", "1"], "did you mean erp?");
    refused(&["erp", "--max-in-flight", "0"], "0 is outside 1 to 10000");
    refused(&["erp", "--max-in-flight", "1", "--queue-timeout", "x"], "`x` is no length of time");
    refused(&["erp", "--max-in-flight", "1", "--since", "x"], "no length of time");
}
