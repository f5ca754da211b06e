//! What is odd about an answer as such, before its schema is looked at: taken and counted, or refused where the mapping is
//! `strict`.

use super::trouble::site;
use super::typed::{problem, started};
use super::writes::{self, element};
use super::{site_at, sync, sync_fails};
use crate::live::erp::{Call, Erp, Reply, envelope};
use crate::site::Site;

/// The order that is asked for, with a letter that Latin-1 writes otherwise than UTF-8.
fn order(number: &str) -> String {
    envelope(&format!(
        "<GetOrderResponse xmlns='urn:demo:erp'><Order><OrderNo>{number}</OrderNo><Reference>r\u{e4}</Reference>\
         <Customer>c</Customer><Amount>1.00</Amount><Status>OPEN</Status></Order></GetOrderResponse>"
    ))
}

/// `items.v1`, by a request that a person has written out.
const RAW: &str = "resource = \"items\"\nversion = 1\nkey = [\"no\"]\n[source]\nbackend = \"erp\"\n[source.soap]\n\
    operation = \"urn:demo:erp/GetOrder\"\nenvelope = '''<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body>\
    <GetOrder xmlns=\"urn:demo:erp\"><OrderNo>{no}</OrderNo></GetOrder></s:Body></s:Envelope>'''\n\
    record_path = \"//GetOrderResponse/Order\"\nSOURCE\n[fields]\nno = { from = \"OrderNo\" }\nreference = { from = \"Reference\" }\n";

/// The same, with or without a WSDL.
fn items(erp: &Erp, source: &str, is_raw: bool) -> Site {
    match is_raw {
        true => site_at(&erp.url(), "", &RAW.replace("SOURCE", source)),
        false => site(erp, source),
    }
}

/// A way to be odd: its kind in the metric, what is said of it, and the answer.
type Odd = (&'static str, &'static str, fn(String) -> Reply);

const ODD: [Odd; 7] = [
    ("junk_around_the_envelope", "something stands before or behind its envelope", |order| {
        Reply::Answer(200, "text/xml", format!("Notice: undefined index\n{order}"))
    }),
    ("message_with_failure_status", "it is a message with the status 500", |order| {
        Reply::Answer(500, "text/xml", order)
    }),
    ("wrong_encoding", "it is in another encoding than it says", |order| {
        Reply::Answer(200, "text/xml; charset=iso-8859-1", order)
    }),
    ("parts_unannounced", "it is in parts that nothing had announced", |order| {
        Reply::Answer(200, "text/xml", format!("--b\r\nContent-Type: text/xml\r\n\r\n{order}\r\n--b--\r\n"))
    }),
    ("wrong_content_type", "its content type is `text/html`", |order| {
        Reply::Answer(200, "text/html; charset=utf-8", order)
    }),
    ("wrong_content_type", "it has no content type", |order| Reply::Answer(200, "", order)),
    ("other_soap_version", "it is of SOAP 1.2, and what was sent is of SOAP 1.1", |order| {
        let newer =
            order.replace("http://schemas.xmlsoap.org/soap/envelope/", "http://www.w3.org/2003/05/soap-envelope");
        Reply::Answer(200, "application/soap+xml; charset=utf-8", newer)
    }),
];

/// The n-th order comes in the n-th way, the next is a fault with status 200, and all others are as they should be.
fn odd(call: &Call) -> Reply {
    let number = element(call, "OrderNo");
    match number.parse::<usize>().unwrap() {
        at if at < ODD.len() => ODD[at].2(order(&number)),
        at if at == ODD.len() => Reply::fault(200, "s:Server.Closed", "closed today"),
        _ => Reply::Answer(200, "text/xml; charset=utf-8", order(&number)),
    }
}

fn counted(metrics: &str, kind: &str) -> Option<u64> {
    let begin = format!("tollbridge_backend_odd_answers_total{{backend=\"erp\",kind=\"{kind}\"}} ");
    metrics.lines().find_map(|line| line.strip_prefix(&begin)?.parse().ok())
}

#[test]
fn an_odd_answer_is_taken_and_counted_or_refused_where_the_mapping_is_strict() {
    one_by_one(false);
}

#[test]
fn an_envelope_that_is_written_out_is_as_strict() {
    one_by_one(true);
    // What it says is looked at.
    let erp = Erp::start(odd);
    let output = items(&erp, "strict = \"yes\"", true).run(&["check", "--offline"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("expected true or false"), "{said}");
}

fn one_by_one(is_raw: bool) {
    let erp = Erp::start(odd);
    let fault = format!("/v1/items/{}", ODD.len());
    let lenient = items(&erp, "", is_raw);
    let (service, key) = started(&lenient);
    for (number, (kind, _, _)) in ODD.iter().enumerate() {
        let item = service.get(&format!("/v1/items/{number}"), &key);
        assert!(item.is_ok_and(|item| item.contains("\"r\u{e4}\"")), "{kind}");
    }
    assert_eq!(problem(&service, &fault, &key)["soap"]["code"], "Server.Closed");
    let metrics = service.admin("GET", "/metrics").1;
    let others = [("wrong_content_type", 2), ("other_soap_version", 1)];
    for (kind, times) in ODD[..4].iter().map(|(kind, ..)| (*kind, 1)).chain(others) {
        assert_eq!(counted(&metrics, kind), Some(times), "{kind} in\n{metrics}");
    }
    assert_eq!(counted(&metrics, "fault_with_success_status"), Some(1), "{metrics}");
    drop(service);

    let strict = items(&erp, "strict = true", is_raw);
    let (service, key) = started(&strict);
    let before = erp.count();
    for (number, (kind, words, _)) in ODD.iter().enumerate() {
        let problem = problem(&service, &format!("/v1/items/{number}"), &key);
        assert_eq!((&problem["status"], &problem["reason"]), (&502.into(), &"rejected".into()), "{kind}: {problem}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("`strict`") && detail.contains(words), "{kind}: {problem}");
    }
    // A fault is a fault whatever is odd about it; and what is as it should be is served: nothing speaks against the backend.
    assert_eq!(problem(&service, &fault, &key)["soap"]["code"], "Server.Closed");
    assert!(service.get("/v1/items/70", &key).is_ok());
    assert_eq!(erp.count(), before + ODD.len() + 2);
    let metrics = service.admin("GET", "/metrics").1;
    assert_eq!(counted(&metrics, "junk_around_the_envelope"), None, "what is refused was not taken: {metrics}");
    assert_eq!(counted(&metrics, "fault_with_success_status"), Some(1), "{metrics}");
}

#[test]
fn a_page_that_is_odd_is_told_in_the_notes_or_ends_the_run_where_the_mapping_is_strict() {
    page_by_page(false);
    page_by_page(true);
}

/// Items that are asked for page by page.
fn paged(erp: &Erp, source: &str, is_raw: bool) -> Site {
    let polled = items(erp, &format!("snapshot = true\npage = {{ start = 1 }}\n{source}"), is_raw);
    let mapping = std::fs::read_to_string(polled.path("mappings/items.v1.toml")).unwrap();
    polled.write("mappings/items.v1.toml", mapping.replace("{no}", "{page}").as_bytes());
    polled
}

fn page_by_page(is_raw: bool) {
    let erp = Erp::start(|call| match element(call, "OrderNo").as_str() {
        "1" => Reply::Answer(500, "text/html", order("1")),
        _ => Reply::Answer(200, "text/xml", envelope("<GetOrderResponse xmlns='urn:demo:erp'/>")),
    });
    let of = |source: &str| paged(&erp, source, is_raw);
    let summary = sync(&of(""));
    assert_eq!(summary["staged"], 1, "{summary}");
    let told = "taken although SOAP and HTTP do not allow it: message_with_failure_status 1, wrong_content_type 1";
    assert!(summary["notes"].to_string().contains(told), "{summary}");
    let strict = of("strict = true");
    let said = sync_fails(&strict);
    assert!(said.contains("it is a message with the status 500; its content type is `text/html`"), "{said}");
    assert!(said.contains("`strict`"), "{said}");
    assert!(super::staged(&strict).is_empty());
}

/// A large answer is landed while it comes: what stands behind its envelope is known when it is over.
#[test]
fn junk_behind_a_large_page_is_told_or_ends_the_run_where_the_mapping_is_strict() {
    for is_raw in [false, true] {
        let erp = Erp::start(|call| match element(call, "OrderNo").as_str() {
            "1" => {
                let large = order("1").replace("<Customer>c", &format!("<Customer>{}", "c".repeat(200_000)));
                Reply::Answer(200, "text/xml", format!("{large}\n<script>visits()</script>\nNotice: x"))
            }
            _ => Reply::Answer(200, "text/xml", envelope("<GetOrderResponse xmlns='urn:demo:erp'/>")),
        });
        let of = |source: &str| paged(&erp, source, is_raw);
        let summary = sync(&of(""));
        assert_eq!(summary["staged"], 1, "{summary}");
        let told = "taken although SOAP and HTTP do not allow it: junk_around_the_envelope 1";
        assert!(summary["notes"].to_string().contains(told), "{summary}");
        let strict = of("strict = true");
        let said = sync_fails(&strict);
        assert!(said.contains("something stands before or behind its envelope") && said.contains("`strict`"), "{said}");
        assert!(super::staged(&strict).is_empty());
    }
}

/// A write whose answer is odd may be done: under `strict` that is asked, and not believed.
#[test]
fn a_write_is_not_believed_by_an_odd_answer_where_it_is_strict() {
    let odd = |_: usize, good: Reply| match good {
        Reply::Answer(_, _, body) => (true, Reply::Answer(500, "text/xml", body)),
        other => (true, other),
    };
    let strict = "[operations.create.soap]\nstrict = true\n";
    for (is_strict, calls) in [(false, 1), (true, 2)] {
        let (erp, orders) = writes::shop(odd);
        let mapping = format!("{}{}", writes::MAPPING, writes::RECONCILE);
        let mapping = if is_strict { mapping.replace("[operations.create.soap]\n", strict) } else { mapping };
        let site = writes::site(&erp, &mapping);
        let (service, key) = started(&site);
        let post = || writes::post(&service, &key, "WEB-1", &writes::body());
        let (status, answer) = match post() {
            (201, answer) => (201, answer),
            _ => service.until(|| Some(post()).filter(|(status, _)| *status == 201)),
        };
        assert_eq!((status, answer["no"].as_str()), (201, Some("100")), "{answer}");
        assert_eq!((orders.lock().unwrap().len(), erp.count()), (1, calls), "strict = {is_strict}");
        let metrics = service.admin("GET", "/metrics").1;
        let times = if is_strict { None } else { Some(1) };
        assert_eq!(counted(&metrics, "message_with_failure_status"), times, "{metrics}");
    }
}
