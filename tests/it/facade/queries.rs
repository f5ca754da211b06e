//! Questions to a list beyond one filter: groups, several orders, counts that take long.

use serde_json::Value;

use super::app::{Options, TestApp, order};

/// The order numbers that match, page by page.
#[track_caller]
fn numbers(app: &TestApp, query: &str) -> Vec<u32> {
    let limit = if query.contains("limit=") { "" } else { "limit=7&" };
    let (mut all, mut path) = (Vec::new(), format!("/v1/orders?{limit}{query}"));
    loop {
        let answer = app.get(&path);
        let body = answer.json();
        let rows = body["data"].as_array().unwrap_or_else(|| panic!("{query}: {body:#}"));
        all.extend(rows.iter().map(|order| order["order_no"].as_str().unwrap().parse::<u32>().unwrap()));
        let Some(next) = body["page"]["next"].as_str() else { return all };
        path = next.to_owned();
    }
}

fn is_closed(n: u32) -> bool {
    n.is_multiple_of(3) && !n.is_multiple_of(5)
}

#[test]
fn groups_of_filters() {
    let app = TestApp::start();
    app.stage_orders(60);
    let check = |query: &str, keep: &dyn Fn(u32) -> bool| {
        let expected: Vec<u32> = (1..=60).filter(|n| keep(*n)).collect();
        assert!(!expected.is_empty() && expected.len() < 60, "{query}");
        assert_eq!(numbers(&app, query), expected, "{query}");
        let downwards: Vec<u32> = expected.iter().rev().copied().collect();
        assert_eq!(numbers(&app, &format!("{query}&sort=-amount")), downwards, "{query}");
        let total = app.get(&format!("/v1/orders?limit=1&count=true&{query}"));
        assert_eq!(total.json()["page"]["total"], expected.len(), "{query}");
    };
    check("or=(status=closed,amount[gte]=500)", &|n| is_closed(n) || n >= 50);
    check("or=(status=closed,amount[gte]=500)&customer.vip=true", &|n| {
        (is_closed(n) || n >= 50) && n.is_multiple_of(2)
    });
    check("or=(status[null]=true,and(amount[gt]=100.5,amount[lt]=200.5))", &|n| {
        n.is_multiple_of(5) || (n > 10 && n < 20)
    });
    check("and=(or(status=closed,customer.vip=true),or(amount[lt]=100,amount[gt]=500))", &|n| {
        (is_closed(n) || n.is_multiple_of(2)) && !(10..50).contains(&n)
    });
    check("or=(status[in]=(closed,open))&and=(status[nin]=(open,open))", &is_closed);
    check("status[nin]=closed,open", &|n| n.is_multiple_of(5));
    check("or=(ordered_on[prefix]=2026-01-0,ordered_on=2026-01-28)", &|n| n % 28 + 1 < 10 || n % 28 + 1 == 28);
    // As URLSearchParams and their like encode it.
    check("or=%28status%3Dclosed%2Camount%5Bgte%5D%3D500%29", &|n| is_closed(n) || n >= 50);
}

#[test]
fn a_fault_in_a_group_says_where_it_is() {
    let app = TestApp::start();
    let refused = |query: &str, code: &str, part: &str| {
        let said = app.get(&format!("/v1/orders?{query}")).problem(400, code);
        assert!(said.contains(part), "{query}: {said}");
    };
    refused("or=(status=open", "invalid-parameter", "`or`, at character 13: expected `)`, found the end");
    refused("and=(status=open,color=red)", "unknown-parameter", "`and`, at character 14: `color` is no parameter");
    refused("or=(amount=x)", "invalid-parameter", "at character 2: `amount`: expected a decimal number");
    refused("or=(status=open)&or=(status=closed)", "invalid-parameter", "given twice");
    refused("or=", "invalid-parameter", "expected `(`");
}

#[test]
fn a_cursor_belongs_to_its_group() {
    let app = TestApp::start();
    app.stage_orders(30);
    let next = app.get("/v1/orders?limit=3&or=(status=open,status=closed)").json()["page"]["next"].clone();
    let cursor = next.as_str().unwrap().split_once("cursor=").unwrap().1.to_owned();
    assert_eq!(app.get(&format!("/v1/orders?or=(status=open,status=closed)&cursor={cursor}")).status, 200);
    app.get(&format!("/v1/orders?or=(status=open)&cursor={cursor}")).problem(400, "invalid-cursor");
    app.get(&format!("/v1/orders?and=(status=open,status=closed)&cursor={cursor}")).problem(400, "invalid-cursor");
    app.get(&format!("/v1/orders?cursor={cursor}")).problem(400, "invalid-cursor");
}

#[test]
fn several_orders_with_nulls_first_upwards_and_last_downwards() {
    let app = TestApp::start();
    app.stage_orders(30);
    let status = |n: u32| match n {
        n if n.is_multiple_of(5) => 0,
        n if n.is_multiple_of(3) => 1,
        _ => 2,
    };
    let sorted = |key: &dyn Fn(u32) -> (i64, i64)| {
        let mut all: Vec<u32> = (1..=30).collect();
        all.sort_by_key(|n| key(*n));
        all
    };
    assert_eq!(numbers(&app, "sort=status,-amount"), sorted(&|n| (status(n), -i64::from(n))));
    assert_eq!(numbers(&app, "sort=-status,amount"), sorted(&|n| (-status(n), i64::from(n))));
    assert_eq!(numbers(&app, "sort=-status,-ordered_on"), sorted(&|n| (-status(n), -i64::from(n % 28))));
    let grouped = numbers(&app, "sort=-status,-amount&or=(status[null]=true,amount[gt]=200.5)");
    let expected = sorted(&|n| (-status(n), -i64::from(n)));
    let expected: Vec<u32> = expected.into_iter().filter(|n| n.is_multiple_of(5) || *n > 20).collect();
    assert_eq!(grouped, expected);
}

#[test]
fn a_count_that_takes_too_long_is_an_estimate_and_says_so() {
    let mut options = Options::default();
    options.staging.count_time = std::time::Duration::ZERO;
    let app = TestApp::with(options);
    let made: Vec<(String, String)> = (1..=9000).map(order).collect();
    let documents: Vec<(&str, &str)> = made.iter().map(|(key, payload)| (key.as_str(), payload.as_str())).collect();
    app.stage("orders.v1", &documents);
    let page = |query: &str| app.get(&format!("/v1/orders?limit=2&count=true&{query}")).json()["page"].clone();
    let estimated = page("or=(customer.vip=true,status=closed)");
    assert_eq!(estimated.get("total"), None, "{estimated}");
    let (estimate, truth) =
        (estimated["total_estimate"].as_u64().unwrap(), (1..=9000).filter(|n| n % 2 == 0 || is_closed(*n)).count());
    assert!(estimate.abs_diff(truth as u64) < 600, "{estimate} for {truth}");
    // What is known at once is exact, whatever the time.
    assert_eq!(page("")["total"], 9000);
    assert_eq!(page("")["total_estimate"], Value::Null);
}

/// Records keep the values that they were staged with until they are delivered anew, and are found by them; what is neither
/// declared nor there is a mistake.
#[test]
fn a_value_that_is_declared_no_more_is_found_where_it_is_staged() {
    let app = TestApp::start();
    let old = |number: u32| {
        let (key, payload) = order(number);
        (key, payload.replace("\"open\"", "\"parked\""))
    };
    let records: Vec<(String, String)> = [1, 2, 4, 7].map(old).into();
    let records: Vec<(&str, &str)> = records.iter().map(|(key, payload)| (key.as_str(), payload.as_str())).collect();
    app.stage("orders.v1", &records);
    for query in ["status=parked", "status[in]=open,parked", "status[ne]=parked", "or=(status=parked,amount[gt]=5000)"]
    {
        let answer = app.get(&format!("/v1/orders?{query}"));
        assert_eq!(answer.status, 200, "{query}: {}", answer.text());
    }
    assert_eq!(numbers(&app, "status=parked&limit=3"), [1, 2, 4, 7]);
    let stream = app.get_with("/v1/orders?status=parked", &[("Accept", "application/x-ndjson")]);
    assert_eq!(stream.text().lines().count(), 4);
    for query in ["status=parkd", "status[in]=parked,lost", "or=(status=parked,status=lost)"] {
        let said = app.get(&format!("/v1/orders?{query}")).problem(400, "invalid-parameter");
        assert!(said.contains("no record has the value"), "{query}: {said}");
    }
    // A list that has begun goes on, though the last of them is gone meanwhile.
    let next = app.get("/v1/orders?status=parked&limit=2").json()["page"]["next"].as_str().unwrap().to_owned();
    let new: Vec<(String, String)> = [1, 2, 4, 7].map(order).into();
    let new: Vec<(&str, &str)> = new.iter().map(|(key, payload)| (key.as_str(), payload.as_str())).collect();
    app.stage("orders.v1", &new);
    let rest = app.get(&next);
    assert_eq!((rest.status, rest.json()["data"].as_array().map(Vec::len)), (200, Some(0)), "{}", rest.text());
    app.get("/v1/orders?status=parked").problem(400, "invalid-parameter");
}
