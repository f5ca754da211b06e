//! What a service does that it should not, and what becomes of a reading that is killed.

use std::process::Stdio;
use std::time::Duration;

use super::{keys, list, list_text, polled, sent, site_at, sync, sync_fails};
use crate::live::erp::{Erp, Reply, envelope};

const DAY: &str = "2026-01-01T00:00:00Z";

#[test]
fn a_service_that_goes_in_circles_is_told() {
    let erp = Erp::start(|_| list(&[(1, DAY)], "<Next>same</Next>"));
    let by_token = polled("<T>{token}</T>", "snapshot = true\ntoken = { path = \"/ListResponse/Next\" }");
    let told = sync_fails(&site_at(&erp.url(), "", &by_token));
    assert!(told.contains("same records as the page before"), "{told}");
    let empty = Erp::start(|_| list(&[], "<Next>same</Next>"));
    let told = sync_fails(&site_at(&empty.url(), "", &by_token));
    assert!(told.contains("the page `same` names itself as the next"), "{told}");
    let by_page = polled("<P>{page}</P>", "snapshot = true\npage = {}");
    let told = sync_fails(&site_at(&erp.url(), "", &by_page));
    assert!(told.contains("page 2 has the same records as the page before"), "{told}");
    let endless = Erp::start(|call| list(&[(sent(call, "P").unwrap().parse().unwrap(), DAY)], ""));
    let told =
        sync_fails(&site_at(&endless.url(), "", &polled("<P>{page}</P>", "snapshot = true\npage = {}\nmax_pages = 7")));
    assert!(told.contains("no end after 7 pages") && endless.count() == 7, "{told}");
}

#[test]
fn an_answer_that_breaks_off_stages_nothing() {
    let whole = list_text(&[(1, DAY), (2, DAY), (3, DAY)], "");
    let cut = whole.clone();
    let erp = Erp::start(move |_| Reply::Cut(cut.clone()));
    let site = site_at(&erp.url(), "", &polled("", "snapshot = true"));
    let told = sync_fails(&site);
    assert!(told.contains("broke off") || told.contains("ended before"), "{told}");
    // The same with an end that HTTP takes for one.
    let half = whole[..whole.len() - 60].to_owned();
    erp.script(move |_| Reply::Answer(200, "text/xml", half.clone()));
    let told = sync_fails(&site);
    assert!(told.contains("cannot be read"), "{told}");
    assert!(keys(&site).is_empty());
    erp.script(move |_| Reply::Answer(200, "text/xml", whole.clone()));
    sync(&site);
    assert_eq!(keys(&site), [1, 2, 3]);
}

#[test]
fn a_large_answer_that_breaks_off_stages_nothing() {
    let items: Vec<(u32, &str)> = (1..=30_000).map(|no| (no, DAY)).collect();
    let whole = list_text(&items, "");
    let half = whole[..whole.len() - 60].to_owned();
    let erp = Erp::start(move |_| Reply::Answer(200, "text/xml", half.clone()));
    let site = site_at(&erp.url(), "", &polled("", "snapshot = true"));
    assert!(sync_fails(&site).contains("cannot be read"));
    assert!(keys(&site).is_empty());
    erp.script(move |_| Reply::Answer(200, "text/xml", whole.clone()));
    let summary = sync(&site);
    assert_eq!((summary["staged"].as_u64(), keys(&site).len()), (Some(30_000), 30_000), "{summary}");
}

#[test]
fn a_no_of_the_service_is_told_and_one_that_passes_is_asked_again() {
    let refusing = |call: &crate::live::erp::Call| match sent(call, "P").as_deref() {
        _ if call.body.contains("never") => Reply::fault(500, "s:Server", "never"),
        _ => Reply::fault(500, "s:Client.Locked", "come back"),
    };
    let erp = Erp::start(refusing);
    let source = "snapshot = true\n[[source.soap.faults]]\ncode = \"Client.Locked\"\nretry = true\nstatus = 503";
    let site = site_at(&erp.url(), "", &polled("", source));
    let told = sync_fails(&site);
    assert!(told.contains("the fault Client.Locked: come back") && erp.count() == 5, "{told} {}", erp.count());
    let calls = std::sync::atomic::AtomicUsize::new(0);
    erp.script(move |_| match calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
        0 => Reply::fault(500, "s:Client.Locked", "come back"),
        _ => list(&[(1, DAY)], ""),
    });
    sync(&site);
    assert_eq!(keys(&site), [1]);
    // An answer that is no fault, and a no.
    erp.script(|_| {
        Reply::Answer(200, "text/xml", envelope("<ListResponse><State>E7</State><Words>closed</Words></ListResponse>"))
    });
    let source = "snapshot = true\nerror_when = { path = \"/ListResponse/State\", not = \"OK\", message = \"/ListResponse/Words\" }";
    let told = sync_fails(&site_at(&erp.url(), "", &polled("", source)));
    assert!(told.contains("the fault E7: closed"), "{told}");
}

/// SIGKILL at any moment of a reading, then another reading, ends as if nothing had been.
#[test]
fn a_reading_that_is_killed_goes_on() {
    let page = |call: &crate::live::erp::Call| {
        let page: u32 = sent(call, "P").unwrap().parse().unwrap();
        let items: Vec<(u32, &str)> = match page {
            1..=30 => (1..=200).map(|no| (page * 1000 + no, DAY)).collect(),
            _ => Vec::new(),
        };
        list(&items, "").after(Duration::from_millis(15))
    };
    let erp = Erp::start(page);
    let mapping = polled("<P>{page}</P>", "snapshot = true\npage = { size = 200 }");
    let site = site_at(&erp.url(), "", &mapping);
    let (mut killed, mut seed) = (0, 88_172_645_463_325_252u64);
    for _ in 0..12 {
        let mut child = site.command(&["sync", "items"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        std::thread::sleep(Duration::from_millis(300 + seed % 400));
        killed += u32::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
        if killed >= 5 {
            break;
        }
    }
    assert!(killed > 0, "no reading was caught at work");
    let before = erp.count();
    sync(&site);
    assert_eq!(keys(&site).len(), 6000);
    // It did not begin at the first page again.
    let pages = super::all_sent(&erp, "P");
    assert!(pages[before..].len() < 31, "{:?}", &pages[before..]);
}
