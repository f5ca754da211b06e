//! Faults that are trouble and faults that are answers; and what is taken although the schema does not allow it.

use std::path::Path;
use std::time::{Duration, Instant};

use super::typed::{problem, started};
use super::writes::element;
use super::{all_sent, list, polled, site_at, sync};
use crate::live::erp::{Erp, Reply, envelope};
use crate::support::soap::SoapServer;

const LIVE: &str = "resource = \"items\"\nversion = 1\nkey = [\"no\"]\n[source]\nbackend = \"erp\"\n[source.soap]\noperation = \"GetOrder\"\n\
    request = { OrderNo = \"{no}\" }\nrecord_path = \"/GetOrderResponse/Order\"\nSOURCE\n[fields]\nno = { from = \"OrderNo\", type = \"string\" }\n\
    reference = { from = \"Reference\" }\n";

pub(super) fn site(erp: &Erp, source: &str) -> crate::site::Site {
    let site = site_at(&erp.url(), "wsdl = \"erp.wsdl\"", &LIVE.replace("SOURCE", source));
    site.copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/demo/erp.wsdl"), "erp.wsdl");
    site
}

/// The mapping says which faults pass: then the backend is left alone for a while. Any other is an answer.
#[test]
fn a_fault_that_passes_speaks_against_the_backend() {
    let rule = "[[source.soap.faults]]\ncode = \"Server.Busy\"\nstatus = 503\nretry = true";
    let erp = Erp::start(|_| Reply::fault(500, "s:Server.Busy", "come back"));
    let busy = site(&erp, rule);
    let (service, key) = started(&busy);
    for number in 0..20 {
        assert_eq!(service.get(&format!("/v1/items/{number}"), &key), Err(503));
    }
    assert_eq!(problem(&service, "/v1/items/30", &key)["reason"], "breaker_open");
    assert!(erp.count() < 10, "{} calls of a service that is busy", erp.count());
    drop(service);
    // A gateway may say so by the status alone.
    let erp = Erp::start(|_| Reply::fault(503, "s:Server", "maintenance"));
    let plain = site(&erp, "");
    let (service, key) = started(&plain);
    (0..20).for_each(|number| assert!(service.get(&format!("/v1/items/{number}"), &key).is_err()));
    assert!(erp.count() < 10, "{} calls of a service under maintenance", erp.count());
    drop(service);
    let erp = Erp::start(|_| Reply::fault(500, "s:Server.NotThere", "no such order"));
    let ruled = site(&erp, rule);
    let (service, key) = started(&ruled);
    (0..20).for_each(|number| assert!(service.get(&format!("/v1/items/{number}"), &key).is_err()));
    assert_eq!(erp.count(), 20);
}

#[test]
fn what_was_lenient_is_counted() {
    let erp = Erp::start(|call| {
        let number = element(call, "OrderNo");
        let order = format!(
            "<Order><Added>1</Added><OrderNo>{number}</OrderNo><Customer>c</Customer><Reference>r</Reference>\
             <Amount>1.00</Amount><Status>OPEN</Status></Order>"
        );
        Reply::Answer(
            200,
            "text/xml",
            envelope(&format!("<GetOrderResponse xmlns='urn:demo:erp'>{order}</GetOrderResponse>")),
        )
    });
    let live = site(&erp, "");
    let (service, key) = started(&live);
    for number in [7, 8] {
        assert!(service.get(&format!("/v1/items/{number}"), &key).is_ok());
    }
    let counted = |kind: &str| format!("tollbridge_backend_odd_answers_total{{backend=\"erp\",kind=\"{kind}\"}} 2");
    let metrics = service.admin("GET", "/metrics").1;
    for kind in ["unknown_element", "out_of_order"] {
        assert!(metrics.contains(&counted(kind)), "no {} in\n{metrics}", counted(kind));
    }
    drop(service);
    // Strict, the same is a reject.
    let strict = site(&erp, "strict = true");
    let (service, key) = started(&strict);
    assert!(service.get("/v1/items/7", &key).is_err());
    drop(service);
    // A reading tells it.
    let pages = "snapshot = true\npage = { start = 1 }";
    let polled = site(&erp, pages);
    let mapping = std::fs::read_to_string(polled.path("mappings/items.v1.toml")).unwrap();
    polled.write("mappings/items.v1.toml", mapping.replace("{no}", "{page}").as_bytes());
    let calls = std::sync::atomic::AtomicUsize::new(0);
    erp.script(move |call| match calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
        0 | 1 => {
            let order = format!("<Order><OrderNo>{}</OrderNo><Reference/><X/><Customer/><Amount>1</Amount><Status>OPEN</Status></Order>", element(call, "OrderNo"));
            Reply::Answer(200, "text/xml", envelope(&format!("<GetOrderResponse xmlns='urn:demo:erp'>{order}</GetOrderResponse>")))
        }
        _ => Reply::Answer(200, "text/xml", envelope("<GetOrderResponse xmlns='urn:demo:erp'/>")),
    });
    let summary = sync(&polled);
    assert_eq!(summary["read"], 2, "{summary}");
    assert!(summary["notes"].to_string().contains("taken although the WSDL does not allow it: "), "{summary}");
    assert!(summary["notes"].to_string().contains("unknown_element 2"), "{summary}");
}

/// One record of the year 9999 does not keep all others from being asked for.
#[test]
fn a_watermark_that_has_not_come_yet_counts_for_nothing() {
    let erp = Erp::start(|_| {
        list(&[(1, "2026-01-05T00:00:00Z"), (2, "9999-12-31T23:59:59Z"), (3, "2026-01-04T00:00:00Z")], "")
    });
    let watermark = "watermark = { member = \"At\", start = \"1970-01-01T00:00:00Z\" }";
    let site = site_at(&erp.url(), "", &polled("<W>{watermark}</W>", watermark));
    let summary = sync(&site);
    assert_eq!(summary["staged"], 3, "{summary}");
    assert!(summary["notes"].to_string().contains("the watermark 9999-12-31T23:59:59Z has not come yet"), "{summary}");
    sync(&site);
    assert_eq!(all_sent(&erp, "W"), ["1970-01-01T00:00:00Z", "2026-01-05T00:00:00Z"]);
}

/// A server that closes the connection in answer to a wrong password is a refusal that nobody has spoken out: one call tries, and
/// whoever calls meanwhile is told that the account is not taken.
#[test]
fn a_windows_account_that_is_answered_by_a_closed_connection_is_left_alone() {
    let server = SoapServer::windows(&["--account", "CORP:live:s3cret & <safe>", "--mute"]);
    let live = "resource = \"items\"\nversion = 1\nkey = [\"no\"]\n[source]\nbackend = \"erp\"\n[source.soap]\noperation = \"urn:h/Hello\"\n\
        envelope = '''<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body><Hello><No>{no}</No></Hello></s:Body></s:Envelope>'''\n\
        record_path = \"//Hello\"\n[fields]\nno = { from = \"Sent\" }\nuser = { from = \"User\" }\n";
    let account = "ntlm = { username = 'CORP\\live', password = { file = \"password\" } }";
    let site = site_at(&server.url("erp"), account, live);
    site.write("password", b"wr0ng");
    let (service, key) = started(&site);
    let began = Instant::now();
    let statuses: Vec<_> = std::thread::scope(|scope| {
        let calls: Vec<_> = (0..8)
            .map(|number| {
                let (service, key) = (&service, &key);
                scope.spawn(move || service.get(&format!("/v1/items/{number}"), key).map(drop))
            })
            .collect();
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    });
    assert_eq!(statuses, [Err(502); 8]);
    let told = problem(&service, "/v1/items/9", &key);
    let health: serde_json::Value = serde_json::from_str(&service.get("/health/backends", &key).unwrap()).unwrap();
    let found = &health["data"][0];
    let refused = server.count("refused");
    // It is tried again after five seconds.
    if began.elapsed() < Duration::from_secs(5) {
        assert_eq!(refused, 1, "{told}");
        assert!(told["detail"].as_str().unwrap().contains("does not take the account"), "{told}");
        assert!(found["reason"] == "login_refused" && found["next_login_at"].is_string(), "{health}");
    }
    assert!(refused <= 2 && !told.to_string().contains("wr0ng"), "{refused} {told}");
    // The right password is taken at once.
    site.write("password", b"s3cret & <safe>");
    service.until(|| {
        let _ = service.get("/v1/items/9", &key);
        (server.count("calls") > 0).then_some(())
    });
    assert_eq!(server.count("refused"), refused);
}
