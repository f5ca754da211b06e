//! Versions of a resource that follow one log of changes (CDC).

use serde_json::json;

use super::Legacy;
use super::sql_server::{ITEMS, legacy_with, table};
use super::together::{CAPTURE, FIRST, Moments, beside, numbers, of, sync_all, sync_both};
use crate::support::tds_server::TdsServer;

/// A server whose log is written, and both versions that follow it.
fn followed() -> (TdsServer, Legacy) {
    let server = TdsServer::start(ITEMS);
    server.execute(CAPTURE);
    let source = table("cdc = 'dbo_ITEMS'\nmax_deleted = 50");
    let old = beside(legacy_with(&server, &source, FIRST), &source);
    (server, old)
}

/// Changes the record `b` for both of them.
fn change(server: &TdsServer, qty: u64) {
    server.execute(&format!("UPDATE dbo.ITEMS SET QTY = {qty}, NAME = N'n{qty}' WHERE NO = 'b'"));
}

/// How many versions of it there are.
fn history(old: &Legacy, version: &str) -> usize {
    let (trace, _) = old.site.json(&["trace", version, "b"]);
    trace[0]["versions"].as_array().unwrap().len()
}

/// Of a log each change counts once for each version: one that is behind reads up to where the other stands, and then along.
#[test]
fn versions_meet_at_one_place_of_a_log() {
    let (server, old) = followed();
    let change = |qty: u64| change(&server, qty);
    change(10);
    sync_both(&old);
    // The second one is away for a while.
    let mapping = old.site.path("mappings/items.v2.toml");
    let kept = std::fs::read(&mapping).unwrap();
    std::fs::remove_file(&mapping).unwrap();
    (11..14).for_each(change);
    sync_all(&old);
    (14..16).for_each(change);
    old.site.write("mappings/items.v2.toml", &kept);
    // Whichever is named, both have what is new, each change once.
    let (said, _) = old.site.json(&["sync", "items.v2"]);
    assert_eq!((&said[0]["read"], &said[0]["read_together_with"]), (&json!(5), &json!([])), "{said:?}");
    let history = |version: &str| history(&old, version);
    assert_eq!((history("items.v1"), history("items.v2")), (6, 6));
    (16..18).for_each(change);
    let lines = sync_both(&old);
    assert_eq!(numbers(&lines, "read"), [2, 2], "{lines:?}");
    assert_eq!((history("items.v1"), history("items.v2")), (8, 8));
}

/// Readings of a log for both that are killed at any moment: no change is lost, and none stands in a history twice.
#[test]
fn a_reading_of_a_log_for_both_that_is_killed_goes_on() {
    let mut moments = Moments::new();
    let (server, old) = followed();
    server.execute("UPDATE dbo.ITEMS SET QTY = 1 WHERE NO = 'a'");
    let began = std::time::Instant::now();
    sync_both(&old);
    let whole = began.elapsed() * 2;
    let (mut killed, mut changes) = (0, 0);
    for _ in 0..20 {
        if killed == 6 {
            break;
        }
        for _ in 0..20 {
            changes += 1;
            change(&server, changes);
        }
        killed += u32::from(moments.kill(&old, whole));
    }
    assert!(killed > 0);
    sync_all(&old);
    sync_both(&old);
    for version in ["items.v1", "items.v2"] {
        // The first one, and each change.
        assert_eq!(history(&old, version) as u64, 1 + changes, "{version}, {killed} killed");
    }
    assert_eq!(of(&old, 1)["b"]["name"], format!("n{changes}"));
    assert_eq!(of(&old, 2)["b"]["amount"]["qty"], changes);
}
