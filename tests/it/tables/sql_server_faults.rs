//! What goes wrong while a run reads, over a server of SQL Server's protocol: each is told in words of its own, nothing is
//! half done, and the next run goes on.

use serde_json::json;

use super::sql_server::{ITEMS, legacy, table};
use super::{FIELDS, Legacy, counts};
use crate::support::tds_server::{Faults, LoginTrouble, TdsServer, Trouble};

/// What statements on the items meet.
fn meeting(server: &TdsServer, trouble: Vec<(u64, Trouble)>) {
    server.faults(|faults| *faults = Faults { only: Some("dbo].[ITEMS".to_owned()), trouble, ..Faults::default() });
}

fn whole(server: &TdsServer) -> Legacy {
    legacy(server, &table("snapshot = true"))
}

#[test]
fn a_deadlock_is_tried_again_as_often_as_the_gate_has_it() {
    let server = TdsServer::start(ITEMS);
    let deadlocks = |count: u64| meeting(&server, (0..count).map(|turn| (turn, Trouble::Deadlock)).collect());
    for (retry, most) in [
        (None, 1),
        (Some("attempts = 1"), 0),
        (Some("attempts = 4, budget = 1"), 3),
        // The first one is for nothing, then there is nothing left.
        (Some("attempts = 5, budget = 0.01"), 1),
        (Some("attempts = 5, budget = 0"), 0),
    ] {
        let old = whole(&server);
        if let Some(retry) = retry {
            old.reconfigure("settle = \"0s\"", &format!("settle = \"0s\"\nretry = {{ {retry} }}"));
        }
        let before = server.report().statements.len();
        deadlocks(most + 1);
        let said = old.fails();
        assert!(said.contains("deadlock victim") && said.contains("error 1205"), "{retry:?}: {said}");
        assert!(old.documents().is_empty(), "{retry:?}");
        let report = server.report();
        let asked = report.statements[before..].iter().filter(|one| one.text.contains("from [dbo].[ITEMS]")).count();
        assert_eq!(asked as u64, most + 1, "{retry:?}");
        deadlocks(most);
        assert_eq!(counts(&old.sync()), [4, 4, 0, 0], "{retry:?}");
    }
}

#[test]
fn an_end_amid_chunks_is_told_and_the_next_run_goes_on_behind_it() {
    for (trouble, words) in [
        (Trouble::Killed, ["error 596", "ended our session"]),
        (Trouble::Cut, ["the connection ended before the answer did", "ask again"]),
        (
            Trouble::Error(701, 17, "There is insufficient system memory.".to_owned()),
            ["insufficient system memory", "`max_in_flight`"],
        ),
        (
            Trouble::Error(229, 14, "The SELECT permission was denied on 'ITEMS'.".to_owned()),
            ["SELECT permission", "GRANT"],
        ),
        (
            Trouble::Error(1222, 16, "Lock request time out period exceeded.".to_owned()),
            ["Lock request", "`lock_timeout`"],
        ),
    ] {
        let server = TdsServer::start(ITEMS);
        let old = whole(&server);
        // The second chunk.
        meeting(&server, vec![(1, trouble.clone())]);
        let said = old.fails();
        assert!(words.iter().all(|word| said.contains(word)), "{trouble:?}: {said}");
        let staged = old.keys().concat();
        assert_eq!(staged, "ab", "{trouble:?}: a chunk is staged whole or not at all");
        let before = server.report().statements.len();
        let run = old.sync();
        assert_eq!((counts(&run), old.keys().concat().as_str()), ([2, 2, 0, 0], "abcd"), "{trouble:?}: {run}");
        let report = server.report();
        assert!(
            report.statements[before..].iter().any(|one| one.text.contains("[NO] > ")),
            "it begins behind the last key"
        );
        // Nothing counts as gone that the broken reading has not seen.
        assert_eq!(counts(&old.sync()), [4, 0, 0, 0]);
    }
}

#[test]
fn an_end_amid_a_chunk_stages_nothing_of_it() {
    let server = TdsServer::start(ITEMS);
    let old = legacy(&server, "[source.table]\ntable = 'dbo.ITEMS'\nsnapshot = true\n");
    for (set, words) in [
        ((|faults| faults.cut_after_rows = Some(2)) as fn(&mut Faults), "the connection ended before the answer did"),
        (|faults| faults.bad_token_after_rows = Some(2), "the answer cannot be understood"),
    ] {
        meeting(&server, Vec::new());
        server.faults(set);
        let said = old.fails();
        assert!(said.contains(words), "{said}");
        assert!(old.documents().is_empty(), "{words}");
    }
    meeting(&server, Vec::new());
    assert_eq!(counts(&old.sync()), [4, 4, 0, 0]);
}

/// The service goes on by a session that was not in it, and no place at the gate stays taken.
#[test]
fn a_service_goes_on_by_another_session() {
    let server = TdsServer::start(ITEMS);
    let source = table("watermark = { column = 'RV', rowversion = true }");
    let old = legacy(&server, &source);
    old.mapping("schedule = 'every 200ms'", &source, FIELDS);
    let service = old.site.serve();
    let has = |key: &str| (old.site.json(&["trace", "items", key]).1 == 0).then_some(());
    service.until(|| has("d"));
    for (key, trouble) in [("x", Trouble::Killed), ("y", Trouble::Cut)] {
        let met = server.report().statements.len();
        meeting(&server, vec![(0, trouble.clone())]);
        server.execute(&format!("INSERT INTO dbo.ITEMS (NO, NAME, QTY) VALUES ('{key}', N'X', 1)"));
        service.until(|| has(key));
        let report = server.report();
        let asked: Vec<_> =
            report.statements[met..].iter().filter(|one| one.text.contains("from [dbo].[ITEMS]")).collect();
        let (broken, after) = (asked.first().unwrap(), asked.last().unwrap());
        assert_ne!(broken.spid, after.spid, "{trouble:?}: the session that was in it is not used again");
    }
    service.until(|| {
        let gate: serde_json::Value = serde_json::from_str(&service.admin("GET", "/admin/v1/gates/old").1).ok()?;
        let free =
            ["interactive_in_flight", "sync_in_flight", "lingering", "queued"].iter().all(|name| gate[*name] == 0);
        free.then_some(())
    });
    assert!(server.report().open_sessions() <= 4);
}

#[test]
fn a_table_that_has_changed_stops_the_feed_and_says_what() {
    for way in ["snapshot = true", "watermark = { column = 'RV', rowversion = true }", "change_tracking = true"] {
        let server = TdsServer::start(ITEMS);
        server.execute("ALTER DATABASE erp SET CHANGE_TRACKING = ON");
        server.execute("ALTER TABLE dbo.ITEMS ENABLE CHANGE_TRACKING");
        let old = legacy(&server, &table(way));
        old.sync();
        server.execute("ALTER TABLE dbo.ITEMS ALTER COLUMN QTY varchar(20) NULL");
        server.execute("UPDATE dbo.ITEMS SET QTY = 'many' WHERE NO = 'a'");
        let said = old.fails();
        assert!(said.contains("QTY was int and is varchar(20)") && said.contains("--full"), "{way}: {said}");
        assert_eq!(old.documents()["a"]["qty"], 1, "{way}");
        server.execute("ALTER TABLE dbo.ITEMS DROP COLUMN QTY");
        let said = old.fails();
        assert!(said.contains("QTY is gone"), "{way}: {said}");
        assert_eq!(old.keys().concat(), "abcd", "{way}");
        // It goes on by itself when the column is there again.
        server.execute("ALTER TABLE dbo.ITEMS ADD QTY int NULL");
        server.execute("UPDATE dbo.ITEMS SET QTY = 7 WHERE NO = 'b'");
        old.sync();
        assert_eq!(old.documents()["b"]["qty"], 7, "{way}");
    }
}

#[test]
fn a_value_that_cannot_be_read_is_the_letter_of_its_row() {
    let server = TdsServer::start(ITEMS);
    let old = whole(&server);
    old.sync();
    server.faults(|faults| {
        *faults = Faults { only: Some("dbo].[ITEMS".to_owned()), invalid_utf16: true, ..Faults::default() };
    });
    let run = old.sync();
    assert_eq!((counts(&run), old.keys().len()), ([4, 0, 4, 0], 4), "what was read before stays: {run}");
    let (letters, _) = old.site.json(&["dead-letters", "list"]);
    let one = letters[0].to_string();
    assert!(letters.len() == 4 && one.contains("NAME") && one.contains("encoding of its column"), "{one}");
    meeting(&server, Vec::new());
    assert_eq!(counts(&old.sync()), [4, 0, 0, 0]);

    // What is longer than it may be is cut at the server, and told of its row alone.
    old.reconfigure("encryption = \"off\"", "encryption = \"off\"\nmax_value_bytes = 4096");
    server.execute("ALTER TABLE dbo.ITEMS ADD MORE nvarchar(max) NULL");
    server.execute("UPDATE dbo.ITEMS SET MORE = REPLICATE(CAST(N'x' AS nvarchar(max)), 3000) WHERE NO = 'b'");
    let fields = format!("{FIELDS}more = {{ from = 'MORE' }}\n");
    old.mapping("", &table("snapshot = true"), &fields.replace("'MORE' }", "'MORE', blank = 'null' }"));
    let run = old.sync();
    assert_eq!((&run["read"], &run["dead"], &run["deleted"]), (&json!(4), &json!(1), &json!(0)), "{run}");
    let (letters, _) = old.site.json(&["dead-letters", "list"]);
    let one = letters[0].to_string();
    assert!(letters.len() == 1 && one.contains("MORE") && one.contains("\"b\""), "{one}");
}

#[test]
fn a_login_that_is_not_taken_is_told_by_why() {
    let server = TdsServer::start(ITEMS);
    let old = whole(&server);
    old.sync();
    server.execute("UPDATE dbo.ITEMS SET QTY = 5 WHERE NO = 'a'");
    for (trouble, words) in [
        (LoginTrouble::Refused, ["error 18456", "`username`"]),
        (LoginTrouble::Expired, ["error 18487", "give the login a new password"]),
        (LoginTrouble::MustChange, ["error 18488", "give the login a new password"]),
        (LoginTrouble::NoDatabase, ["error 4060", "look at `database`"]),
        (LoginTrouble::SingleUser, ["error 924", "ask later"]),
    ] {
        server.faults(|faults| faults.login = Some(trouble));
        let said = old.fails();
        assert!(words.iter().all(|word| said.contains(word)), "{trouble:?}: {said}");
        assert!(!said.contains("Pa$$w0rd"));
        assert_eq!(old.keys().concat(), "abcd", "{trouble:?}");
    }
    server.faults(|faults| faults.login = None);
    assert_eq!(counts(&old.sync()), [4, 1, 0, 0]);
}
