//! Gates at the console's edge: what reaches the operator, and what he is told.

use super::app::TestConsole;

const JSON: [(&str, &str); 1] = [("Content-Type", "application/json")];
const FORM: [(&str, &str); 1] = [("Content-Type", "application/x-www-form-urlencoded")];

#[test]
fn a_gate_has_its_revision_as_its_tag() {
    let console = TestConsole::start();
    let answer = console.get("/admin/v1/gates/as400");
    assert_eq!((answer.status, answer.field("etag")), (200, Some("\"7\"")));
    assert_eq!(answer.json()["settings"]["max_in_flight"]["config"], 8);
    assert!(console.get("/admin/v1/gates/as401").problem(404, "no-such-backend").contains("as400"));
    console.get("/admin/v1/gates/as400?x=1").problem(400, "unknown-parameter");
    let options = console.send("OPTIONS", "/admin/v1/gates/as400", &[], b"");
    assert_eq!((options.status, options.field("allow")), (204, Some("GET, HEAD, PATCH, OPTIONS")));
}

#[test]
fn a_change_goes_to_the_operator_as_it_was_asked() {
    let console = TestConsole::start();
    let body = br#"{"max_in_flight":2,"breaker":{"failures":null},"reason":"month end","expires_in":"2h"}"#;
    let answer = console.send("PATCH", "/admin/v1/gates/as400", &JSON, body);
    assert_eq!((answer.status, answer.field("etag")), (200, Some("\"8\"")));
    let with = [JSON[0], ("If-Match", "\"7\"")];
    console.send("DELETE", "/admin/v1/gates/as%3400/override", &with, br#"{"reason":"calm","author":" anna "}"#);
    console.send(
        "POST",
        "/admin/v1/gates/as400/freeze",
        &JSON,
        br#"{"reason":"stock","until":"2026-01-10T04:00:00Z"}"#,
    );
    console.send("DELETE", "/admin/v1/gates/as400/freeze", &[JSON[0], ("If-Match", "*")], br#"{"reason":"done"}"#);
    console.send("DELETE", "/admin/v1/gates/as400/freeze", &[("If-Match", "W/\"7\"")], b"");
    console.post("/admin/v1/gates/as400/login", r#"{"reason":"unlocked"}"#);
    let seen = console.asked();
    let expected = [
        r#"as400: Wish { author: "local", reason: "month end", act: Set({"max_in_flight": Number(2), "breaker": Object {"failures": Null}}), end: For("2h"), seen: None }"#,
        r#"as400: Wish { author: "anna (local)", reason: "calm", act: Reset, end: Open, seen: Some(7) }"#,
        r#"as400: Wish { author: "local", reason: "stock", act: Freeze, end: At("2026-01-10T04:00:00Z"), seen: None }"#,
        r#"as400: Wish { author: "local", reason: "done", act: Thaw, end: Open, seen: None }"#,
        r#"as400: Wish { author: "local", reason: "", act: Thaw, end: Open, seen: Some(18446744073709551615) }"#,
        r#"as400: Wish { author: "local", reason: "unlocked", act: Login, end: Open, seen: None }"#,
    ];
    assert_eq!(seen, expected);
}

#[test]
fn what_is_refused_says_all_that_is_wrong() {
    let console = TestConsole::start();
    let patch = |backend: &str| console.send("PATCH", &format!("/admin/v1/gates/{backend}"), &JSON, b"{}");
    let said = patch("bad").problem(422, "refused");
    assert!(said.contains("`queue`") && said.contains("`settle`"), "{said}");
    patch("old").problem(412, "precondition-failed");
    patch("new").problem(404, "no-such-backend");
    patch("%zz").problem(400, "bad-path");
    let freeze = |body: &[u8]| console.send("POST", "/admin/v1/gates/as400/freeze", &JSON, body);
    let said = freeze(br#"{"reason":"x","for":"1h","until":"y","max_in_flight":1}"#).problem(422, "refused");
    assert!(said.contains("give one of them") && said.contains("unknown member `max_in_flight`"), "{said}");
    console.send("DELETE", "/admin/v1/gates/as400/freeze", &JSON, br#"{"for":"1h"}"#).problem(422, "refused");
    freeze(br#"{"reason":1}"#).problem(400, "malformed-body");
    console.get("/admin/v1/gates/as400/freeze").problem(405, "method-not-allowed");
    console.get("/admin/v1/gates/as400/login").problem(405, "method-not-allowed");
    console.post("/admin/v1/gates/as400/login", r#"{"reason":"x","for":"1h"}"#).problem(422, "refused");
    console.post("/admin/v1/gates/as400", "{}").problem(405, "method-not-allowed");
    let foreign = [JSON[0], ("Origin", "http://evil.example")];
    console.send("PATCH", "/admin/v1/gates/as400", &foreign, b"{}").problem(403, "cross-origin");
    console.send("DELETE", "/admin/v1/gates/as400/override", &foreign, b"{}").problem(403, "cross-origin");
    assert_eq!(console.asked().len(), 3);
}

#[test]
fn the_overview_shows_gates_and_has_a_form_without_scripts() {
    let console = TestConsole::start();
    let answer = console.get("/");
    let html = answer.text();
    for part in [
        "<span class=\"bad\">frozen</span> until an operator opens it: &lt;u&gt;stock&lt;/u&gt;",
        "next closed from F until U: nightly &lt;s&gt;batch&lt;/s&gt;",
        "<code>max_in_flight</code> is <strong>4</strong> instead of 8 until E, by &lt;i&gt;anna&lt;/i&gt; since S: month end",
        "<form method=\"post\" action=\"/gates/as400\"><input type=\"hidden\" name=\"seen\" value=\"7\">",
        "<input name=\"queue\" placeholder=\"256\">",
        "value=\"thaw\"",
        "<span class=\"bad\">our account is refused</span>, tried again at L&lt;b&gt;",
        "value=\"login\"",
    ] {
        assert!(html.contains(part), "{part} is not in {html}");
    }
    assert!(!html.contains("<script") && !html.contains("<u>") && !html.contains("<i>") && !html.contains("<s>"));
    let policy = answer.field("content-security-policy").unwrap();
    assert!(policy.contains("form-action 'self'") && policy.starts_with("default-src 'none'"), "{policy}");
    // Else a browser would hide where the form comes from, and it would be refused as another origin's.
    assert_eq!(answer.field("referrer-policy"), Some("same-origin"));
}

#[test]
fn the_form_does_what_the_api_does() {
    let console = TestConsole::start();
    let own = [FORM[0], ("Origin", "http://localhost"), ("Sec-Fetch-Site", "same-origin")];
    let send = |backend: &str, body: &str| console.send("POST", &format!("/gates/{backend}"), &own, body.as_bytes());
    let answer =
        send("as400", "seen=7&max_in_flight=2&queue=&queue_timeout=2s&for=2h&author=anna&reason=month+end%21&act=set");
    assert_eq!((answer.status, answer.field("location")), (303, Some("/")));
    assert_eq!(send("as400", "max_in_flight=2&for=&author=&reason=x&act=freeze").status, 303);
    assert_eq!(send("as400", "seen=7&for=2h&reason=unlocked&act=login").status, 303);
    let expected = [
        r#"as400: Wish { author: "anna (local)", reason: "month end!", act: Set({"max_in_flight": Number(2), "queue_timeout": String("2s")}), end: For("2h"), seen: Some(7) }"#,
        r#"as400: Wish { author: "local", reason: "x", act: Freeze, end: Open, seen: None }"#,
        r#"as400: Wish { author: "local", reason: "unlocked", act: Login, end: Open, seen: Some(7) }"#,
    ];
    assert_eq!(console.asked(), expected);
    let refused = send("bad", "act=set&queue=x&reason=y");
    assert_eq!(refused.status, 422);
    assert!(refused.text().contains("<li>`queue`: &lt;b&gt;no&lt;/b&gt;</li>"), "{}", refused.text());
    assert_eq!(send("old", "act=thaw&reason=y").status, 412);
    send("as400", "act=melt").problem(400, "invalid-parameter");
    send("as400", "act=set&settle=1").problem(400, "unknown-parameter");
    console.post("/gates/as400", "{}").problem(415, "unsupported-media-type");
    let foreign = [FORM[0], ("Origin", "null")];
    console.send("POST", "/gates/as400", &foreign, b"act=thaw").problem(403, "cross-origin");
}

#[test]
fn the_audit_is_paged() {
    let console = TestConsole::start();
    for number in 0..3u64 {
        let decision = tollbridge::staging::Decision {
            subject: "gates/as400".to_owned(),
            action: "set",
            author: "anna".to_owned(),
            reason: number.to_string(),
            expires_at: None,
            changes: Vec::new(),
            seen: number,
            before: "{\"queue\":1}".to_owned(),
            after: "{\"queue\":2}".to_owned(),
        };
        let made = console.runtime.block_on(console.staging.decide(&decision)).unwrap();
        assert_eq!(made.id, number + 1);
    }
    let page = console.get("/admin/v1/audit?limit=2&backend=as400").json();
    assert_eq!((&page["data"][0]["id"], &page["data"][0]["after"]["queue"]), (&3.into(), &2.into()));
    let next = page["next"].as_str().unwrap();
    assert_eq!(next, "/admin/v1/audit?before=2&limit=2&backend=as400");
    let last = console.get(next).json();
    assert_eq!((last["data"].as_array().unwrap().len(), &last["data"][0]["reason"]), (1, &"0".into()));
    assert!(last["next"].is_null());
    assert_eq!(console.get("/admin/v1/audit?backend=erp").json()["data"], serde_json::json!([]));
    console.get("/admin/v1/audit?before=x").problem(400, "invalid-parameter");
}
