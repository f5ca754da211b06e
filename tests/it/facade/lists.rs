//! `GET /v1/{resource}`

use serde_json::Value;

use super::app::TestApp;
use super::client::Answer;

/// The order numbers on a page.
fn numbers(answer: &Answer) -> Vec<u32> {
    let body = answer.json();
    let number = |order: &Value| order["order_no"].as_str().unwrap().parse().unwrap();
    body["data"].as_array().unwrap_or_else(|| panic!("{body:#}")).iter().map(number).collect()
}

/// Follows `next` to the end.
fn walk(app: &TestApp, first: &str) -> Vec<u32> {
    let (mut all, mut path) = (Vec::new(), first.to_owned());
    loop {
        let answer = app.get(&path);
        all.extend(numbers(&answer));
        let page = &answer.json()["page"];
        assert_eq!(page["complete"], page["next"].is_null());
        let Some(next) = page["next"].as_str() else { return all };
        assert_eq!(answer.field("link"), Some(format!("<{next}>; rel=\"next\"").as_str()));
        path = next.to_owned();
    }
}

#[test]
fn a_page_frames_the_documents_as_they_were_staged() {
    let app = TestApp::start();
    app.stage("stock.v1", &[("A~1", "{\"quantity\":\"1.500\"}"), ("A~2", "{\"quantity\":\"20.000\"}")]);
    let answer = app.get("/v1/stock?limit=5");
    let as_of = answer.json()["as_of"].as_str().unwrap().to_owned();
    let expected = "{\"data\":[{\"quantity\":\"1.500\"},{\"quantity\":\"20.000\"}],\
                    \"page\":{\"limit\":5,\"next\":null,\"complete\":true},\"as_of\":\"";
    assert_eq!(answer.text(), format!("{expected}{as_of}\"}}"));
    assert_eq!(answer.field("cache-control"), Some("private, no-cache"));
    assert_eq!(answer.field("cache-status"), Some("tollbridge; hit"));
}

#[test]
fn an_empty_resource_is_an_empty_page() {
    let app = TestApp::start();
    let answer = app.get("/v1/orders");
    assert_eq!(answer.text(), "{\"data\":[],\"page\":{\"limit\":100,\"next\":null,\"complete\":true},\"as_of\":null}");
    assert_eq!(answer.field("age"), None);
}

#[test]
fn pages_add_up_to_everything_in_order() {
    let app = TestApp::start();
    app.stage_orders(57);
    assert_eq!(walk(&app, "/v1/orders?limit=10"), (1..=57).collect::<Vec<_>>());
    assert_eq!(walk(&app, "/v1/orders?limit=57"), (1..=57).collect::<Vec<_>>());
    assert_eq!(walk(&app, "/v1/orders?sort=-amount&limit=7"), (1..=57).rev().collect::<Vec<_>>());

    let by_status = walk(&app, "/v1/orders?sort=status,-amount&limit=4");
    let rank = |n: &u32| {
        (
            if n.is_multiple_of(5) {
                0
            } else if n.is_multiple_of(3) {
                1
            } else {
                2
            },
            57 - n,
        )
    };
    let mut expected: Vec<u32> = (1..=57).collect();
    expected.sort_by_key(rank);
    assert_eq!(by_status, expected);
}

#[test]
fn filters() {
    let app = TestApp::start();
    app.stage_orders(30);
    let check = |query: &str, keep: fn(&u32) -> bool| {
        let expected: Vec<u32> = (1..=30).filter(keep).collect();
        assert_eq!(walk(&app, &format!("/v1/orders?{query}")), expected, "{query}");
        assert_eq!(walk(&app, &format!("/v1/orders?{query}&limit=3")), expected, "{query}");
    };
    check("status=closed", |n| n.is_multiple_of(3) && !n.is_multiple_of(5));
    check("status[ne]=closed", |n| !n.is_multiple_of(3) || n.is_multiple_of(5));
    check("status[null]=true", |n| n.is_multiple_of(5));
    check("status[null]=false", |n| !n.is_multiple_of(5));
    check("status[in]=closed,closed", |n| n.is_multiple_of(3) && !n.is_multiple_of(5));
    check("status%5Bprefix%5D=op", |n| !n.is_multiple_of(3) && !n.is_multiple_of(5));
    check("amount=100.50", |n| *n == 10);
    check("amount[in]=100.5,110.50", |n| *n == 10 || *n == 11);
    check("amount[gt]=100.50&amount[lte]=200.5", |n| (11..=20).contains(n));
    check("ordered_on[gte]=2026-01-20", |n| (19..=27).contains(n));
    check("ordered_on[prefix]=2026-01-1", |n| (9..=18).contains(n));
    check("customer.vip=true&status=open", |n| n.is_multiple_of(2) && !n.is_multiple_of(3) && !n.is_multiple_of(5));
}

#[test]
fn a_decimal_that_is_a_string_is_compared_as_a_number() {
    let app = TestApp::start();
    app.stage(
        "stock.v1",
        &[
            ("A~1", "{\"quantity\":\"9.000\"}"),
            ("A~2", "{\"quantity\":\"10.000\"}"),
            ("A~3", "{\"quantity\":\"123456789012345.678\"}"),
        ],
    );
    let quantities = |query: &str| app.get(&format!("/v1/stock?{query}")).json()["data"].to_string();
    assert_eq!(quantities("quantity[gte]=10"), "[{\"quantity\":\"10.000\"},{\"quantity\":\"123456789012345.678\"}]");
    assert_eq!(quantities("quantity=123456789012345.678"), "[{\"quantity\":\"123456789012345.678\"}]");
    assert!(quantities("sort=-quantity&limit=1").contains("123456789012345.678"));
}

#[test]
fn counting() {
    let app = TestApp::start();
    app.stage_orders(30);
    assert_eq!(app.get("/v1/orders?limit=2&count=true").json()["page"]["total"], 30);
    assert_eq!(app.get("/v1/orders?limit=2&count=true&status[null]=true").json()["page"]["total"], 6);
    assert!(app.get("/v1/orders?limit=2&count=false").json()["page"].get("total").is_none());
}

#[test]
fn some_fields_of_each() {
    let app = TestApp::start();
    app.stage_orders(2);
    let body = app.get("/v1/orders?fields=amount,customer.vip");
    let expected = "[{\"amount\":10.5,\"customer\":{\"vip\":false}},{\"amount\":20.5,\"customer\":{\"vip\":true}}]";
    assert_eq!(body.json()["data"].to_string(), expected);
    assert!(body.text().contains("\"amount\":10.50,"), "digits are kept: {}", body.text());
}

#[test]
fn what_is_not_declared_is_refused_and_names_what_is() {
    let app = TestApp::start();
    let refused = |query: &str, code: &str, part: &str| {
        let said = app.get(&format!("/v1/orders?{query}")).problem(400, code);
        assert!(said.contains(part), "{query}: {said}");
    };
    refused("color=red", "unknown-parameter", "status, ordered_on, amount, customer.vip");
    refused("order_no=1", "unknown-parameter", "fields to filter by");
    refused("status[like]=x", "unknown-parameter", "ne, gt, gte, lt, lte, in, nin, prefix, null");
    refused("sort=customer.vip", "unknown-parameter", "ordered_on, amount, status");
    refused("limit=1001", "invalid-parameter", "the most is 1000");
    refused("limit=ten", "invalid-parameter", "from 1 to 1000");
    refused("amount=a", "invalid-parameter", "a decimal number");
    refused("amount=1.234", "invalid-parameter", "2 behind it");
    refused("status=a&status=b", "invalid-parameter", "given twice");
    refused("status=%", "invalid-parameter", "hexadecimal");
    refused("'%20OR%201=1--", "unknown-parameter", "no parameter");
}

#[test]
fn a_cursor_belongs_to_its_question() {
    let app = TestApp::start();
    app.stage_orders(30);
    let next = app.get("/v1/orders?status=open&limit=3").json()["page"]["next"].as_str().unwrap().to_owned();
    let cursor = next.split_once("cursor=").unwrap().1;
    let with = |query: &str| app.get(&format!("/v1/orders?{query}cursor={cursor}"));
    assert_eq!(numbers(&with("status=open&limit=1&")), [7]);
    with("").problem(400, "invalid-cursor");
    with("status=closed&").problem(400, "invalid-cursor");
    with("status=open&sort=amount&").problem(400, "invalid-cursor");
    app.get(&format!("/v1/orders?status=open&cursor=Q{}", &cursor[1..])).problem(400, "invalid-cursor");
    app.get(&format!("/v1/orders?status=open&cursor={}", &cursor[1..])).problem(400, "invalid-cursor");
    app.get("/v1/orders?cursor=").problem(400, "invalid-cursor");
    app.get("/v1/orders?cursor=%00").problem(400, "invalid-cursor");
    app.get(&format!("/v1/stock?cursor={cursor}")).problem(400, "invalid-cursor");
}

#[test]
fn the_index_lists_what_the_caller_may_read() {
    let app = TestApp::start();
    let names = |answer: Answer| -> Vec<String> {
        let body = answer.json();
        body["resources"].as_array().unwrap().iter().map(|r| r["href"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(app.get("/v1")), ["/v1/orders", "/v1/stock"]);
    assert_eq!(names(app.get("/")), ["/v1/orders", "/v1/stock"]);
    let bearer = format!("Bearer {}", app.new_key(&["stock:read"]));
    assert_eq!(names(app.send_as_is("GET", "/v1", &[("Authorization", &bearer)], b"")), ["/v1/stock"]);
    app.get("/v2").problem(404, "no-such-path");
    app.get("/v1?x=1").problem(400, "unknown-parameter");
}
