//! Versions of a resource that follow one log of changes (CDC).

use std::process::Stdio;
use std::time::Duration;

use serde_json::json;

use super::sql_server::{ITEMS, legacy_with, table};
use super::together::{CAPTURE, FIRST, SECOND, numbers, of, sync_all, sync_both, version};
use crate::support::tds_server::TdsServer;

/// Of a log each change counts once for each version: one that is behind reads up to where the other stands, and then along.
#[test]
fn versions_meet_at_one_place_of_a_log() {
    let server = TdsServer::start(ITEMS);
    server.execute(CAPTURE);
    let source = table("cdc = 'dbo_ITEMS'\nmax_deleted = 50");
    let old = legacy_with(&server, &source, FIRST);
    version(&old, 2, &source, SECOND);
    let change = |qty: u32| {
        server.execute(&format!("UPDATE dbo.ITEMS SET QTY = {qty}, NAME = N'n{qty}' WHERE NO = 'b'"));
    };
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
    let history = |version: &str| {
        let (trace, _) = old.site.json(&["trace", version, "b"]);
        trace[0]["versions"].as_array().unwrap().len()
    };
    assert_eq!((history("items.v1"), history("items.v2")), (6, 6));
    (16..18).for_each(change);
    let lines = sync_both(&old);
    assert_eq!(numbers(&lines, "read"), [2, 2], "{lines:?}");
    assert_eq!((history("items.v1"), history("items.v2")), (8, 8));
}

/// Readings of a log for both that are killed at any moment: no change is lost, and none stands in a history twice.
#[test]
fn a_reading_of_a_log_for_both_that_is_killed_goes_on() {
    let mut seed = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64 | 1;
    std::io::Write::write_all(&mut std::io::stderr(), format!("seed {seed}\n").as_bytes()).unwrap();
    let server = TdsServer::start(ITEMS);
    server.execute(CAPTURE);
    server.execute("UPDATE dbo.ITEMS SET QTY = 1 WHERE NO = 'a'");
    let source = table("cdc = 'dbo_ITEMS'\nmax_deleted = 50");
    let old = legacy_with(&server, &source, FIRST);
    version(&old, 2, &source, SECOND);
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
            server.execute(&format!("UPDATE dbo.ITEMS SET QTY = {changes}, NAME = N'n{changes}' WHERE NO = 'b'"));
        }
        let mut command = old.site.command(&["sync", "--all"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        std::thread::sleep(Duration::from_micros(seed % whole.as_micros().max(1) as u64));
        killed += u32::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(killed > 0);
    sync_all(&old);
    sync_both(&old);
    for version in ["items.v1", "items.v2"] {
        let (trace, _) = old.site.json(&["trace", version, "b"]);
        // The first one, and each change.
        assert_eq!(trace[0]["versions"].as_array().unwrap().len(), 1 + changes, "{version}, {killed} killed");
    }
    assert_eq!(of(&old, 1)["b"]["name"], format!("n{changes}"));
    assert_eq!(of(&old, 2)["b"]["amount"]["qty"], changes);
}
