//! Between staging and the backend: hybrid resources, what callers may ask, stale answers.

use jiff::{SignedDuration, Timestamp};

use super::erp::{Erp, Reply};
use super::site::{LiveSite, Running, ms};
use crate::facade::client::{exchange, request};

fn hybrid(erp: &Erp, serve: &str) -> Running {
    let gate = "settle = \"0s\"\nbreaker = { failures = 0 }";
    LiveSite::new(&erp.url()).gate(gate).serve(&format!("mode = \"hybrid\"\n{serve}")).start()
}

fn origin(site: &Running, directives: &str) -> (u16, String) {
    let answer = site.get_with("/v1/orders/7", &[("Cache-Control", directives)]);
    (answer.status, answer.field("cache-status").unwrap_or_default().to_owned())
}

#[test]
fn a_live_answer_is_staged_for_the_next_reader() {
    let erp = Erp::with_every_order();
    let site = hybrid(&erp, "max_age = \"1h\"\nsort = [\"amount\"]");
    let first = site.get("/v1/orders/7");
    assert_eq!(first.field("cache-status"), Some("tollbridge; fwd=uri-miss; stored"));
    assert_eq!(first.field("cache-control"), Some("private, max-age=3600"));
    let second = site.get("/v1/orders/7");
    assert_eq!((second.status, second.text()), (200, first.text()));
    // Staged by now, or about to be: either way nobody asks again.
    site.until(|| site.get("/v1/orders/7").field("cache-status").unwrap().contains("; hit; ttl=").then_some(()));
    let staged = site.get("/v1/orders/7");
    assert!(staged.field("last-modified").is_some() && staged.field("server-timing").is_none(), "{}", staged.head);
    assert_eq!((erp.count(), staged.field("etag")), (1, first.field("etag")));

    let lineage = site.get("/v1/orders/7/lineage").json();
    assert_eq!(lineage["lineage"][0]["file"], "live call urn:erp/GetOrder", "{lineage}");
    assert_eq!(lineage["lineage"].as_array().unwrap().len(), 1);
    assert!(site.get("/v1/orders?sort=-amount").text().contains("\"order_no\":\"7\""));
    assert_eq!(site.get("/v1/orders/changes").json()["data"].as_array().unwrap().len(), 1);
    let (_, runs) = site.service.admin("GET", "/admin/v1/runs");
    let runs: serde_json::Value = serde_json::from_str(&runs).unwrap();
    assert_eq!((&runs["data"][0]["trigger"], &runs["data"][0]["balanced"]), (&"live".into(), &true.into()), "{runs}");
}

#[test]
fn the_caller_decides_between_staging_and_the_backend() {
    let erp = Erp::with_every_order();
    let site = hybrid(&erp, "max_age = \"1h\"");
    site.get_with("/v1/orders/7", &[("Cache-Control", "only-if-cached")]).problem(504, "not-staged");
    assert_eq!((origin(&site, "max-age=60").1, erp.count()), ("tollbridge; fwd=uri-miss; stored".to_owned(), 1));
    site.until(|| origin(&site, "only-if-cached").1.contains("; hit").then_some(()));
    assert_eq!(erp.count(), 1);
    assert_eq!((origin(&site, "no-cache").1, erp.count()), ("tollbridge; fwd=request; stored".to_owned(), 2));
    assert_eq!((origin(&site, "max-age=0").1, erp.count()), ("tollbridge; fwd=request; stored".to_owned(), 3));
    // Said again, and the same: no second version.
    site.until(|| {
        (site.metrics().contains("records_total{resource=\"orders.v1\",outcome=\"unchanged\"} 2")).then_some(())
    });
    assert_eq!(site.get("/v1/orders/7/lineage").json()["lineage"].as_array().unwrap().len(), 1);
    // What has changed is a new version.
    erp.script(|call| Reply::order(&call.order_no, "99.00"));
    assert!(site.get_with("/v1/orders/7", &[("Cache-Control", "no-cache")]).text().contains("99.00"));
    site.until(|| (site.get("/v1/orders/7/lineage").json()["lineage"].as_array().unwrap().len() == 2).then_some(()));
    assert!(site.get("/v1/orders/7").text().contains("99.00"));
}

#[test]
fn a_caller_may_want_it_fresher_or_take_it_staler() {
    let erp = Erp::with_every_order();
    let site = hybrid(&erp, "max_age = \"2s\"");
    site.get("/v1/orders/7");
    site.until(|| origin(&site, "only-if-cached").1.contains("; hit").then_some(()));
    assert_eq!(erp.count(), 1);
    // It will not stay fresh for so long.
    assert!(origin(&site, "min-fresh=60").1.starts_with("tollbridge; fwd="));
    assert_eq!(erp.count(), 2);
    std::thread::sleep(ms(3100));
    // Who takes what is stale spares the backend.
    let (status, said) = origin(&site, "max-stale=60");
    assert!(status == 200 && said.starts_with("tollbridge; hit; ttl=-"), "{said}");
    assert_eq!(origin(&site, "only-if-cached, max-stale").0, 200);
    assert_eq!((origin(&site, "only-if-cached").0, erp.count()), (504, 2));
    assert_eq!(
        (origin(&site, "max-stale=60, no-cache").1, erp.count()),
        ("tollbridge; fwd=stale; stored".to_owned(), 3)
    );
}

#[test]
fn what_is_stale_answers_when_the_backend_cannot() {
    let erp = Erp::with_every_order();
    let site = hybrid(&erp, "max_age = \"1s\"\nstale_if_error = \"1h\"");
    site.get("/v1/orders/7");
    site.until(|| origin(&site, "only-if-cached").1.contains("; hit").then_some(()));
    std::thread::sleep(ms(1100));
    erp.script(|_| Reply::Answer(500, "text/html", "<html>down</html>".to_owned()));
    let stale = site.get("/v1/orders/7");
    assert_eq!((stale.status, stale.field("cache-status")), (200, Some("tollbridge; fwd=stale; detail=bad_answer")));
    assert!(stale.field("age").unwrap().parse::<u64>().unwrap() >= 1 && stale.text().contains("12.50"));
    assert!(site.metrics().contains("stale_answers_total{resource=\"orders.v1\",reason=\"bad_answer\"} 1"));
    // Who must have it fresh is told the truth, unless they take a stale one.
    assert_eq!(origin(&site, "no-cache").0, 502);
    assert_eq!(origin(&site, "no-cache, stale-if-error=60").0, 200);
    assert_eq!(origin(&site, "max-age=1").0, 502);
    // What was never staged cannot be stale, and a no is an answer.
    assert_eq!(site.get("/v1/orders/8").status, 502);
    erp.script(|_| Reply::fault(500, "s:Client", "archived"));
    assert_eq!(site.get("/v1/orders/7").status, 502);
    erp.script(|call| Reply::order(&call.order_no, "13.00"));
    assert_eq!(origin(&site, "").1, "tollbridge; fwd=stale; stored");
}

#[test]
fn a_live_resource_keeps_what_it_may_serve_stale() {
    let erp = Erp::with_every_order();
    let gate = "max_in_flight = 1\nqueue_timeout = \"100ms\"";
    let site = LiveSite::new(&erp.url()).gate(gate).serve("stale_if_error = \"1h\"").start();
    assert_eq!(site.get("/v1/orders/7").field("cache-status"), Some("tollbridge; fwd=bypass; stored"));
    assert_eq!((site.get("/v1/orders/7").status, erp.count()), (200, 2));
    site.until(|| (!site.get("/v1/orders/7/lineage").text().contains("no-such-record")).then_some(()));
    erp.script(|call| Reply::order(&call.order_no, "1.00").after(ms(1500)));
    std::thread::scope(|scope| {
        let busy = scope.spawn(|| site.get("/v1/orders/1").status);
        site.until(|| (erp.in_flight() == 1).then_some(()));
        let refused = site.get("/v1/orders/7");
        assert_eq!(refused.status, 200);
        let status = refused.field("cache-status").unwrap();
        assert!(status.starts_with("tollbridge; fwd=stale; detail="), "{status}");
        site.get("/v1/orders/8").problem(503, "backend-busy");
        assert_eq!(busy.join().unwrap(), 200);
    });
    // It has no list.
    site.get("/v1/orders").problem(404, "no-such-path");
    site.get("/v1/orders/changes").problem(404, "no-such-path");
}

pub(super) fn freeze(site: &Running, method: &str) {
    let body: &[u8] =
        if method == "POST" { b"{\"reason\":\"stock\",\"for\":\"1h\"}" } else { b"{\"reason\":\"done\"}" };
    let change = request(method, "/admin/v1/gates/erp/freeze", &[("Content-Type", "application/json")], body);
    let answer = exchange(site.service.admin_address().parse().unwrap(), &change).unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
}

/// Asserts a refusal with the time until this moment.
#[track_caller]
fn refused_until(site: &Running, path: &str, until: Timestamp) {
    let answer = site.get(path);
    answer.problem(503, "backend-unavailable");
    assert_eq!(answer.json()["reason"], "closed_window");
    let left = until.duration_since(Timestamp::now()).as_secs();
    let said: i64 = answer.field("retry-after").unwrap().parse().unwrap();
    assert!((left..=left + 3).contains(&said), "{said} s, but it is {left}");
}

#[test]
fn in_a_closed_time_a_hybrid_resource_is_read_from_staging_whatever_its_mapping_says() {
    let erp = Erp::with_every_order();
    let site = hybrid(&erp, "max_age = \"1s\"");
    site.get("/v1/orders/7");
    site.until(|| origin(&site, "only-if-cached").1.contains("; hit").then_some(()));
    std::thread::sleep(ms(1100));
    // When it is down nothing is served stale: the mapping says nothing of that.
    erp.script(|_| Reply::Answer(500, "text/html", "<html>down</html>".to_owned()));
    assert_eq!(site.get("/v1/orders/7").status, 502);
    let calls = erp.count();

    freeze(&site, "POST");
    let until = Timestamp::now() + SignedDuration::from_hours(1);
    let stale = site.get("/v1/orders/7");
    assert_eq!((stale.status, stale.field("cache-status")), (200, Some("tollbridge; fwd=stale; detail=closed_window")));
    assert!(stale.field("age").unwrap().parse::<u64>().unwrap() >= 1 && stale.text().contains("12.50"), "{stale:?}");
    assert!(site.metrics().contains("stale_answers_total{resource=\"orders.v1\",reason=\"closed_window\"} 1"));
    // What was never read is not there; who must have it fresh is told when.
    refused_until(&site, "/v1/orders/8", until);
    assert_eq!((origin(&site, "no-cache").0, origin(&site, "no-cache, stale-if-error=60").0), (503, 200));
    assert_eq!(erp.count(), calls, "it was called");
    freeze(&site, "DELETE");
    erp.script(|call| Reply::order(&call.order_no, "13.00"));
    site.until(|| (site.get("/v1/orders/7").status == 200).then_some(()));
    assert!(site.get("/v1/orders/7").text().contains("13.00"));
}

#[test]
fn in_a_closed_time_a_live_resource_is_refused_until_its_end() {
    let erp = Erp::with_every_order();
    // A window of the calendar around now, over midnight where that is near.
    let now = Timestamp::now();
    let clock = |at: Timestamp| at.strftime("%H:%M").to_string();
    let (from, until) = (now - SignedDuration::from_mins(5), now + SignedDuration::from_mins(30));
    let gate = format!("calendar = [{{ closed = \"{}-{}\", reason = \"nightly\" }}]", clock(from), clock(until));
    let site = LiveSite::new(&erp.url()).gate(&gate).start();
    let end = Timestamp::from_second(until.as_second() / 60 * 60).unwrap();
    refused_until(&site, "/v1/orders/7", end);
    assert_eq!(erp.count(), 0);
}

#[test]
fn the_list_of_a_hybrid_resource_claims_only_what_it_holds() {
    let erp = Erp::with_every_order();
    let site = hybrid(&erp, "max_age = \"1h\"");
    let page = |path: &str| site.get(path).json();
    let empty = page("/v1/orders");
    assert_eq!((&empty["page"]["complete"], &empty["as_of"]), (&false.into(), &serde_json::Value::Null), "{empty}");
    site.get("/v1/orders/7");
    let list = site.until(|| Some(page("/v1/orders")).filter(|list| list["data"].as_array().unwrap().len() == 1));
    assert_eq!((&list["page"]["complete"], &list["page"]["next"]), (&false.into(), &serde_json::Value::Null), "{list}");
    let described = page("/openapi.json");
    let words = described["paths"]["/v1/orders"]["get"]["description"].as_str().unwrap().to_owned();
    assert!(words.starts_with("Only the records that somebody has asked for"), "{words}");
}
