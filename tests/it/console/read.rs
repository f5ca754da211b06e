//! What operators see.

use super::app::TestConsole;

#[test]
fn runs_files_and_resources() {
    let console = TestConsole::start();
    console.stage();
    let run = console.get("/admin/v1/runs").json()["data"][0].clone();
    assert_eq!((run["resource"].as_str(), run["state"].as_str()), (Some("orders.v1"), Some("succeeded")));
    assert_eq!(
        (&run["read"], &run["staged"], &run["dead"], &run["balanced"]),
        (&3.into(), &2.into(), &1.into(), &true.into())
    );
    let file = console.get("/admin/v1/files?resource=orders.v1&limit=5").json()["data"][0].clone();
    assert_eq!((file["path"].as_str(), file["state"].as_str()), (Some("ORD1.DAT"), Some("staged")));
    let resource = console.get("/admin/v1/resources").json()["data"][0].clone();
    assert_eq!((&resource["documents"], &resource["dead_letters"]), (&1.into(), &1.into()));
    let gate = console.get("/admin/v1/gates").json()["data"][0].clone();
    assert_eq!(
        (&gate["max_in_flight"], &gate["adaptive"], &gate["adaptive_limit"]),
        (&4.into(), &"shadow".into(), &3.into())
    );
    assert!(console.get("/").text().contains("<td>would be 3</td>"));
    let inbox = console.get("/admin/v1/inboxes").json()["data"][0].clone();
    assert_eq!((&inbox["unclaimed"], &inbox["unclaimed_names"][0]), (&12.into(), &"<b>x</b>.dat".into()));
    let row = "<code>/srv/&lt;in&gt;</code></td><td class=\"n\">1</td><td class=\"n\">0</td>\
        <td class=\"n\"><span class=\"bad\">12</span></td><td>&lt;b&gt;x&lt;/b&gt;.dat</td>";
    let page = console.get("/");
    assert!(page.text().contains(row), "{}", page.text());
    assert_eq!(console.get("/admin/v1/runs?limit=1").json()["data"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_dead_letter_shows_place_reason_and_bytes() {
    let console = TestConsole::start();
    console.stage();
    let list =
        console.get("/admin/v1/dead-letters?state=open&code=numeric.bad_digit&resource=orders.v1&key=4712").json();
    let id = list["data"][0]["id"].as_i64().unwrap();
    let letter = console.get(&format!("/admin/v1/dead-letters/{id}")).json();
    assert_eq!((letter["record"].as_u64(), letter["offset"].as_u64()), (Some(3), Some(200)));
    assert_eq!((letter["field"].as_str(), letter["field_offset"].as_u64()), (Some("amount"), Some(8)));
    assert_eq!((letter["code"].as_str(), letter["raw"].as_str()), (Some("numeric.bad_digit"), Some("00ff1c")));
    assert_eq!((letter["file"].as_str(), letter["key"].as_str()), (Some("ORD1.DAT"), Some("4712")));
    assert_eq!(console.get("/admin/v1/dead-letters?state=replayed").json()["data"], serde_json::json!([]));
    console.get("/admin/v1/dead-letters/999").problem(404, "no-such-dead-letter");
    console.get("/admin/v1/dead-letters/x").problem(404, "no-such-dead-letter");
}

#[test]
fn a_trace_is_a_records_whole_life() {
    let console = TestConsole::start();
    console.stage();
    let answer = console.get("/admin/v1/trace/orders.v1/%34711");
    assert!(answer.text().contains("\"document\":{\"amount\":1.20}"), "digits are kept: {}", answer.text());
    let body = answer.json();
    assert_eq!((body["key"].as_str(), &body["dead_letters"]), (Some("4711"), &serde_json::json!([])));
    assert_eq!(body["versions"].as_array().map(Vec::len), Some(2));
    assert_eq!((&body["versions"][0]["offset"], &body["versions"][1]["record"]), (&100.into(), &1.into()));
    let rejected = console.get("/admin/v1/trace/orders.v1/4712").json();
    assert_eq!((&rejected["document"], &rejected["dead_letters"][0]["record"]), (&serde_json::Value::Null, &3.into()));
    console.get("/admin/v1/trace/orders.v1/9").problem(404, "no-such-record");
    console.get("/admin/v1/trace/stock.v1/9").problem(404, "no-such-resource");
    console.get("/admin/v1/trace/orders/9").problem(404, "no-such-resource");
}

#[test]
fn parameters_are_checked() {
    let console = TestConsole::start();
    let refused = |query: &str, code: &str, part: &str| {
        let said = console.get(&format!("/admin/v1/dead-letters?{query}")).problem(400, code);
        assert!(said.contains(part), "{query}: {said}");
    };
    refused("state=lost", "invalid-parameter", "open, replayed, discarded");
    refused("code=x", "invalid-parameter", "numeric.bad_digit");
    refused("blob=x", "invalid-parameter", "64 hexadecimal");
    refused("limit=0", "invalid-parameter", "1 to 1000");
    refused("resource=orders", "invalid-parameter", "orders.v1");
    refused("color=red", "unknown-parameter", "resource, state, code, blob, key, limit");
    console.get("/admin/v1/gates?x=1").problem(400, "unknown-parameter");
}

#[test]
fn keys_are_listed_without_secrets() {
    let console = TestConsole::start();
    let key = console.new_key("orders:read");
    let answer = console.get("/admin/v1/keys");
    assert_eq!(answer.json()["data"][0]["scopes"][0], "orders:read");
    let secret = key.rsplit('_').next().unwrap();
    assert!(!answer.text().contains(secret) && !answer.text().contains("hash"));
}

#[test]
fn clients_show_what_they_may_and_what_they_used() {
    let console = TestConsole::start();
    let clients = console.get("/admin/v1/clients").json();
    let expected = serde_json::json!({ "data": [{
        "name": "web <shop>", "configured": true, "weight": 3, "priority": "normal", "rate": "100/h burst 20",
        "used": 0, "remaining": 20, "max_in_flight": null, "requests_total": 0, "refused_total": 0,
    }] });
    assert_eq!(clients, expected);
    (0..3).for_each(|number| drop(console.clients.of(&format!("key {number}"))));
    let names = |path: &str| -> Vec<String> {
        let clients = console.get(path).json()["data"].as_array().unwrap().clone();
        clients.iter().map(|client| client["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names("/admin/v1/clients"), ["web <shop>", "key 0", "key 1", "key 2"]);
    assert_eq!(names("/admin/v1/clients?limit=2"), ["web <shop>", "key 0"]);
    console.get("/admin/v1/clients?state=open").problem(400, "unknown-parameter");
    assert!(console.get("/").text().contains("web &lt;shop&gt;"));
}

#[test]
fn the_overview_reads_without_scripts_and_escapes_everything() {
    let console = TestConsole::start();
    console.stage();
    let answer = console.get("/");
    let html = answer.text();
    assert!(answer.field("content-security-policy").unwrap().starts_with("default-src 'none'"));
    for part in ["&lt;b&gt;Sales&lt;/b&gt; orders", "&lt;script&gt;alert(1)", "numeric.bad_digit", "as400", "schedule"]
    {
        assert!(html.contains(part), "{part} is not in {html}");
    }
    assert!(!html.contains("<script") && !html.contains("<b>"));
}

#[test]
fn metrics_are_in_the_open_metrics_format() {
    let console = TestConsole::start();
    console.stage();
    console.get("/admin/v1/runs");
    let answer = console.get("/metrics");
    assert!(answer.field("content-type").unwrap().starts_with("application/openmetrics-text; version=1.0.0"));
    assert!(answer.text().ends_with("# EOF\n"));
    assert!(
        answer
            .text()
            .contains("tollbridge_http_requests_total{route=\"/admin/v1/runs\",method=\"GET\",status=\"200\"} 1")
    );
}

#[test]
fn health_is_here_too() {
    let console = TestConsole::start();
    assert_eq!(console.get("/health/live").status, 200);
    let ready = console.get("/health/ready");
    assert_eq!((ready.status, ready.json()["parts"]["catalog"]["ok"].as_bool()), (503, Some(false)));
}
