//! What is asked for, page by page and reading by reading.

use super::{all_sent, keys, list, polled, sent, site_at, staged, sync};
use crate::live::erp::Erp;

const DAY: &str = "2026-01-01T00:00:00Z";

#[test]
fn pages_by_number_end_with_one_that_is_not_full() {
    let erp = Erp::start(|call| match sent(call, "P").as_deref() {
        Some("1") => list(&[(1, DAY), (2, DAY)], ""),
        Some("2") => list(&[(3, DAY), (4, DAY)], ""),
        _ => list(&[(5, DAY)], ""),
    });
    let mapping = polled("<P>{page}</P><S>{size}</S>", "snapshot = true\npage = { size = 2 }");
    let site = site_at(&erp.url(), "", &mapping);
    let summary = sync(&site);
    assert_eq!((summary["read"].as_u64(), summary["staged"].as_u64()), (Some(5), Some(5)), "{summary}");
    assert_eq!(keys(&site), [1, 2, 3, 4, 5]);
    assert_eq!((all_sent(&erp, "P"), all_sent(&erp, "S")[0].as_str()), (vec!["1".into(), "2".into(), "3".into()], "2"));
    // The same once more is unchanged; without a size the last page is one without records.
    assert_eq!(sync(&site)["unchanged"], 5);
    let open = polled("<P>{page}</P>", "snapshot = true\npage = { start = 0, step = 2 }");
    erp.script(|call| match sent(call, "P").as_deref() {
        Some("0") => list(&[(1, DAY), (2, DAY)], ""),
        Some("2") => list(&[(3, DAY)], ""),
        _ => list(&[], ""),
    });
    let before = erp.count();
    let site = site_at(&erp.url(), "", &open);
    sync(&site);
    assert_eq!(
        (keys(&site), &all_sent(&erp, "P")[before..]),
        (vec![1, 2, 3], ["0", "2", "4"].map(String::from).as_slice())
    );
}

#[test]
fn pages_by_token_end_where_none_is_named() {
    let erp = Erp::start(|call| match sent(call, "T").as_deref() {
        Some("") => list(&[(1, DAY)], "<Next>a&amp;b</Next>"),
        Some("a&amp;b") => list(&[], "<Next>c</Next>"),
        _ => list(&[(2, DAY)], "<Next xsi:nil='true' xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance'/>"),
    });
    let mapping = polled("<T>{token}</T>", "snapshot = true\ntoken = { path = \"/ListResponse/Next\" }");
    let site = site_at(&erp.url(), "", &mapping);
    sync(&site);
    assert_eq!((keys(&site), all_sent(&erp, "T")), (vec![1, 2], ["", "a&amp;b", "c"].map(String::from).to_vec()));
}

#[test]
fn a_watermark_asks_for_what_has_changed() {
    let erp = Erp::start(|_| list(&[(1, "2026-01-05T00:00:00Z"), (2, "2026-01-03T00:00:00Z")], ""));
    let watermark = "watermark = { member = \"At\", overlap = \"5m\", start = \"1970-01-01T00:00:00Z\" }";
    let site = site_at(&erp.url(), "", &polled("<W>{watermark}</W>", watermark));
    sync(&site);
    // Nothing new comes, and what has come twice is found equal.
    assert_eq!(sync(&site)["unchanged"], 2);
    erp.script(|_| list(&[(2, "2026-01-06T00:00:00+01:00")], ""));
    assert_eq!(sync(&site)["staged"], 1);
    erp.script(|_| list(&[], ""));
    assert_eq!(sync(&site)["read"], 0);
    sync(&site);
    let sent = all_sent(&erp, "W");
    let expected = [
        "1970-01-01T00:00:00Z",
        "2026-01-04T23:55:00Z",
        "2026-01-04T23:55:00Z",
        "2026-01-05T22:55:00Z",
        "2026-01-05T22:55:00Z",
    ];
    assert_eq!(sent, expected);
    assert_eq!(staged(&site)["2"]["at"], "2026-01-06T00:00:00+01:00");
    // A full run begins at the start again.
    assert!(site.run(&["sync", "items", "--full"]).status.success());
    assert_eq!(all_sent(&erp, "W").last().unwrap(), "1970-01-01T00:00:00Z");
}

#[test]
fn spans_of_time_follow_one_another_up_to_now() {
    let erp = Erp::start(|call| {
        let day: u32 = sent(call, "F").unwrap()[6..8].parse().unwrap();
        list(&[(day, DAY)], "")
    });
    let start = jiff::Timestamp::now().checked_sub(jiff::SignedDuration::from_hours(70)).unwrap();
    let day = start.strftime("%Y-%m-%d").to_string();
    let window = format!("window = {{ start = \"{day}\", step = \"1d\", overlap = \"1h\", format = \"%Y%m%dT%H\" }}");
    let site = site_at(&erp.url(), "", &polled("<F>{from}</F><U>{to}</U>", &window));
    sync(&site);
    let (from, to) = (all_sent(&erp, "F"), all_sent(&erp, "U"));
    assert!(from.len() >= 3, "{from:?}");
    assert!(from[0].ends_with("T00") && from[1..].iter().all(|moment| moment.ends_with("T23")), "{from:?}");
    assert!(to[..to.len() - 1].iter().all(|moment| moment.ends_with("T00")), "{to:?}");
    // It goes on where it ended.
    let before = erp.count();
    sync(&site);
    assert_eq!(erp.count(), before + 1);
}

#[test]
fn a_snapshot_deletes_what_is_not_there_any_more() {
    let erp = Erp::start(|_| list(&(1..=20).map(|no| (no, DAY)).collect::<Vec<_>>(), ""));
    let site = site_at(&erp.url(), "", &polled("", "snapshot = true\nmax_deleted = 10"));
    assert_eq!(sync(&site)["staged"], 20);
    erp.script(|_| list(&(1..=19).map(|no| (no, DAY)).collect::<Vec<_>>(), ""));
    let summary = sync(&site);
    assert_eq!((summary["deleted"].as_u64(), keys(&site).len()), (Some(1), 19), "{summary}");
    // Where too much would go, nothing does.
    erp.script(|_| list(&[(1, DAY)], ""));
    let (said, code) = site.json(&["sync", "items"]);
    assert!(code == 1 && said[0]["error"].as_str().unwrap().contains("18 of 19 documents"), "{said:?}");
    assert_eq!(keys(&site).len(), 19);
}
