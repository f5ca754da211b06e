//! What a service does that it should not, and what becomes of a reading that is killed.

use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::{all_sent, keys, list, list_text, polled, sent, site_at, sync, sync_fails};
use crate::live::erp::{Call, Erp, Reply, envelope};
use crate::site::Site;

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

/// A circle that is longer than one page, and what was staged before.
#[test]
fn a_longer_circle_is_told_before_long_and_deletes_nothing() {
    let all: Vec<(u32, &str)> = (1..=20).map(|no| (no, DAY)).collect();
    let whole = list_text(&all, "");
    for is_named in [true, false] {
        let whole = whole.clone();
        let erp = Erp::start(move |call| match sent(call, "P").as_deref() {
            Some("2") => list(&[], ""),
            _ => Reply::Answer(200, "text/xml", whole.clone()),
        });
        let paging = if is_named { "token = { path = \"/ListResponse/Next\" }" } else { "page = {}" };
        let places = if is_named { "<T>{token}</T>" } else { "<P>{page}</P>" };
        let site = site_at(&erp.url(), "", &polled(places, &format!("snapshot = true\n{paging}")));
        assert_eq!(sync(&site)["staged"], 20);
        let before = erp.count();
        let calls = AtomicU32::new(0);
        erp.script(move |call| {
            let at = calls.fetch_add(1, Ordering::SeqCst);
            match sent(call, "P").map(|page| page.parse::<u32>().unwrap()) {
                // Three pages, again and again.
                Some(page) => list(&[(1 + page % 3, DAY)], ""),
                // New records each time, on pages that lead to each other.
                None => {
                    let next = match sent(call, "T").as_deref() {
                        Some("a") => "b",
                        Some("b") => "c",
                        _ => "a",
                    };
                    list(&[(1 + at % 20, DAY)], &format!("<Next>{next}</Next>"))
                }
            }
        });
        let told = sync_fails(&site);
        assert!(told.contains("the service goes in circles") && told.contains("`sync --full` begins anew"), "{told}");
        assert!(erp.count() - before < 12, "{} calls", erp.count() - before);
        assert_eq!(keys(&site), (1..=20).collect::<Vec<_>>(), "nothing is deleted by half a reading");
    }
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
    // As often as the gate's `retry` lets it.
    assert!(told.contains("the fault Client.Locked: come back") && erp.count() == 2, "{told} {}", erp.count());
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
    let mut seed = 88_172_645_463_325_252u64;
    for _ in 0..5 {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        // The pages are counted and not the time, of which a loaded machine takes any amount to begin. What is left of a
        // page's 15 ms falls into its answer, its staging or the next call.
        killed_after(&erp, &site, 2 + seed as usize % 4, Duration::from_millis((seed >> 8) % 30));
    }
    let before = erp.count();
    sync(&site);
    assert_eq!(keys(&site).len(), 6000);
    // It did not begin at the first page again.
    let pages = super::all_sent(&erp, "P");
    assert!(pages[before] != "1" && pages[before..].len() < 31, "{pages:?}");
}

/// Begins a reading of a service that hangs at its `at`-th call from now, and ends it there by SIGKILL.
fn killed_at(erp: &Erp, site: &Site, at: usize) {
    killed_after(erp, site, at, Duration::ZERO);
}

/// Begins a reading, and ends it by SIGKILL a little after its `at`-th call from now.
fn killed_after(erp: &Erp, site: &Site, at: usize, more: Duration) {
    let wanted = erp.count() + at;
    let mut child = site.command(&["sync", "items"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let patience = Instant::now() + Duration::from_secs(120);
    while erp.count() < wanted {
        assert!(Instant::now() < patience && child.try_wait().unwrap().is_none(), "{} calls", erp.count());
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(more);
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Eight pages of ten items by token, but for the last item; one of the tokens hangs.
fn pages_by_token(call: &Call, hangs: &str) -> Reply {
    let token = sent(call, "T").unwrap();
    let page: u32 = if token.is_empty() { 0 } else { token.trim_start_matches('t').parse().unwrap() };
    let items: Vec<(u32, &str)> = (page * 10 + 1..=page * 10 + 10).filter(|no| *no < 80).map(|no| (no, DAY)).collect();
    let next = if page < 7 { format!("<Next>t{}</Next>", page + 1) } else { String::new() };
    let pause = if token == hangs { 3600 } else { 0 };
    list(&items, &next).after(Duration::from_secs(pause))
}

#[test]
fn a_reading_that_is_killed_amid_its_tokens_goes_on_or_begins_anew_and_deletes_at_its_end() {
    for is_forgotten in [false, true] {
        let whole: Vec<(u32, &str)> = (1..=80).map(|no| (no, DAY)).collect();
        let whole = list_text(&whole, "");
        let erp = Erp::start(move |_| Reply::Answer(200, "text/xml", whole.clone()));
        let mapping = polled("<T>{token}</T>", "snapshot = true\ntoken = { path = \"/ListResponse/Next\" }");
        let site = site_at(&erp.url(), "", &mapping);
        assert_eq!(sync(&site)["staged"], 80);
        // The fifth page is asked for when it is killed; the last item is gone by now.
        erp.script(|call| pages_by_token(call, "t4"));
        killed_at(&erp, &site, 5);
        assert_eq!(keys(&site), (1..=80).collect::<Vec<_>>(), "half a reading deletes nothing");
        let before = erp.count();
        let is_first = AtomicBool::new(true);
        erp.script(move |call| match is_forgotten && is_first.swap(false, Ordering::SeqCst) {
            true => Reply::fault(500, "s:Client.NoSuchCursor", "the cursor has expired"),
            false => pages_by_token(call, "none"),
        });
        let summary = sync(&site);
        let asked = all_sent(&erp, "T").split_off(before);
        let expected: Vec<String> = match is_forgotten {
            false => (4..8).map(|page| format!("t{page}")).collect(),
            true => ["t4".to_owned(), String::new()].into_iter().chain((1..8).map(|page| format!("t{page}"))).collect(),
        };
        assert_eq!(asked, expected);
        let is_told = summary["notes"].to_string().contains("begins anew");
        assert_eq!((summary["deleted"].as_u64(), is_told), (Some(1), is_forgotten), "{summary}");
        assert_eq!(keys(&site), (1..80).collect::<Vec<_>>());
    }
}

/// A page behind the one at which it stood is not gone, and a service in trouble has not forgotten where it stood: neither
/// begins anew, which would read all pages again each time.
#[test]
fn a_reading_does_not_begin_anew_for_a_fault_of_a_later_page_or_of_a_service_in_trouble() {
    let token = "token = { path = \"/ListResponse/Next\" }";
    for (status, faulty, expected) in [(500, "t5", &["t4", "t5"][..]), (503, "t4", &["t4"])] {
        let erp = Erp::start(|call| pages_by_token(call, "t4"));
        let site = site_at(&erp.url(), "", &polled("<T>{token}</T>", &format!("snapshot = true\n{token}")));
        killed_at(&erp, &site, 5);
        let before = erp.count();
        erp.script(move |call| match sent(call, "T").unwrap() == faulty {
            true => Reply::fault(status, "s:Server", "a broken record"),
            false => pages_by_token(call, "none"),
        });
        assert!(sync_fails(&site).contains("a broken record"));
        assert_eq!(all_sent(&erp, "T").split_off(before), expected, "{status}");
        // When it is well again, it goes on there.
        let before = erp.count();
        erp.script(|call| pages_by_token(call, "none"));
        sync(&site);
        assert_eq!(all_sent(&erp, "T").split_off(before).first().map(String::as_str), Some(faulty));
        assert_eq!(keys(&site), (1..80).collect::<Vec<_>>());
    }
}

#[test]
fn a_watermark_moves_when_all_pages_are_read_whatever_is_killed() {
    let page = |hangs: &'static str| {
        move |call: &Call| {
            let page = sent(call, "P").unwrap();
            let items: &[(u32, &str)] = match page.as_str() {
                "1" => &[(1, "2026-01-09T00:00:00Z"), (2, "2026-01-02T00:00:00Z")],
                "2" => &[(3, "2026-01-03T00:00:00Z"), (4, "2026-01-04T00:00:00Z")],
                "3" => &[(5, "2026-01-05T00:00:00Z"), (6, "2026-01-06T00:00:00Z")],
                _ => &[(7, "2026-01-07T00:00:00Z")],
            };
            list(items, "").after(Duration::from_secs(if page == hangs { 3600 } else { 0 }))
        }
    };
    let erp = Erp::start(page("3"));
    let source =
        "watermark = { member = \"At\", overlap = \"1h\", start = \"1970-01-01T00:00:00Z\" }\npage = { size = 2 }";
    let site = site_at(&erp.url(), "", &polled("<W>{watermark}</W><P>{page}</P>", source));
    killed_at(&erp, &site, 3);
    erp.script(page("none"));
    sync(&site);
    assert_eq!(keys(&site), (1..=7).collect::<Vec<_>>());
    sync(&site);
    let asked: Vec<(String, String)> = all_sent(&erp, "W").into_iter().zip(all_sent(&erp, "P")).collect();
    let of = |mark: &str, pages: &[&str]| -> Vec<(String, String)> {
        pages.iter().map(|page| (mark.to_owned(), (*page).to_owned())).collect()
    };
    // It goes on with the page that was asked for, and the greatest value of all pages counts from then on.
    let expected =
        [of("1970-01-01T00:00:00Z", &["1", "2", "3", "3", "4"]), of("2026-01-08T23:00:00Z", &["1", "2", "3", "4"])];
    assert_eq!(asked, expected.concat());
}
