//! Documents that are no more: what stays of them, snapshots that find them, and forgetting them.

use std::sync::Arc;

use jiff::Timestamp;
use tollbridge::record::{BlobId, ContentHash, RejectCode, ResourceId};
use tollbridge::staging::{
    Balance, Batch, Change, ChangeKind, ColumnType, Comparison, Deletion, Filter, ListQuery, LiveRead, RunOutcome,
    Scalar, SnapshotId, SourcePosition, Staging, StagingError, SweepRefusal, Swept, Total,
};

use super::support::{Reading, at, block_on, document, id, reject, spec, sqlite};

fn kinds(changes: &[Change]) -> Vec<(&str, u64, ChangeKind)> {
    changes.iter().map(|change| (change.key.as_str(), change.version, change.kind)).collect()
}

async fn keys(staging: &Arc<dyn Staging>, resource: &ResourceId, filters: Vec<Filter>) -> (Vec<String>, u64) {
    let query = ListQuery { filters, limit: 100_000, count: true, ..ListQuery::default() };
    let page = staging.list(resource, query).await.unwrap();
    let key = |row: &[u8]| serde_json::from_slice::<serde_json::Value>(row).unwrap()["k"].as_str().unwrap().to_owned();
    let Some(Total::Exact(total)) = page.total else { panic!("{page:?}") };
    (page.rows.iter().map(key).collect(), total)
}

fn doc(key: &str, value: u64) -> String {
    format!(r#"{{"k":"{key}","v":{value}}}"#)
}

async fn begin(staging: &Arc<dyn Staging>) -> Reading {
    let orders = id("orders.v1");
    staging.prepare(&spec(&orders, &[("v", ColumnType::Integer)])).await.unwrap();
    Reading::of_file(staging, &orders, "in/ORD1.DAT", BlobId([7; 32])).await
}

impl Reading {
    /// Commits documents of these keys, all with the same value.
    async fn put(&mut self, keys: &[&str], value: u64) {
        let payloads: Vec<String> = keys.iter().map(|key| doc(key, value)).collect();
        let rows: Vec<(&str, &str)> = keys.iter().copied().zip(payloads.iter().map(String::as_str)).collect();
        self.stage(&rows).await;
    }

    /// Commits a part of a snapshot.
    async fn seen(&mut self, snapshot: SnapshotId, keys: &[&str], value: u64) {
        let start = self.checkpoint.offset;
        let documents = keys.iter().enumerate();
        let documents = documents.map(|(n, key)| document(key, &doc(key, value), start + 10 * n as u64)).collect();
        let batch = Batch { snapshot: Some(snapshot), ..self.batch(documents, vec![], 0) };
        self.checkpoint = batch.checkpoint;
        self.staging.commit(batch).await.unwrap();
    }
}

#[test]
fn a_deleted_document_leaves_lists_and_stays_in_history() {
    let (staging, _alive) = sqlite();
    block_on(async {
        let mut reading = begin(&staging).await;
        let orders = &reading.resource.clone();
        reading.put(&["a", "b", "c"], 1).await;
        let before = Timestamp::now();
        let committed = reading.delete(&["c", "b", "nobody"]).await;
        let expected = Balance { read: 3, staged: 2, unchanged: 1, deleted: 2, ..Balance::default() };
        assert_eq!((committed.balance, committed.sequence), (expected, 5));

        assert_eq!(staging.document(orders, "b").await.unwrap(), None);
        assert_eq!(staging.live_document(orders, "b").await.unwrap(), None);
        assert_eq!(keys(&staging, orders, vec![]).await, (vec!["a".to_owned()], 1));
        let filter = Filter { path: "v".to_owned(), comparison: Comparison::Equal, values: vec![Scalar::Integer(1)] };
        assert_eq!(keys(&staging, orders, vec![filter]).await, (vec!["a".to_owned()], 1));
        assert_eq!(staging.status(orders).await.unwrap().documents, 1);
        let tombstone = staging.tombstone(orders, "b").await.unwrap().unwrap();
        assert_eq!(tombstone.version, 2);
        assert!(tombstone.deleted_at.as_millisecond() >= before.as_millisecond());
        assert_eq!(staging.tombstone(orders, "a").await.unwrap(), None);
        assert_eq!(staging.tombstone(orders, "nobody").await.unwrap(), None);

        // The last row went: its number must not be given to another document, whose history it would become.
        reading.put(&["d"], 1).await;
        // Back to life, with the same content as before.
        reading.put(&["b"], 1).await;
        assert_eq!(staging.document(orders, "b").await.unwrap().unwrap().version, 3);
        assert_eq!(staging.tombstone(orders, "b").await.unwrap(), None);
        use ChangeKind::{Created, Deleted, Updated};
        let changes = staging.feed(orders, 0, 100).await.unwrap().changes;
        let expected = [
            ("a", 1, Created),
            ("b", 1, Created),
            ("c", 1, Created),
            ("b", 2, Deleted),
            ("c", 2, Deleted),
            ("d", 1, Created),
            ("b", 3, Created),
        ];
        assert_eq!(kinds(&changes), expected);
        assert_eq!(changes.iter().map(|change| change.sequence).collect::<Vec<_>>(), (1..=7).collect::<Vec<_>>());
        reading.put(&["b"], 2).await;
        let history = staging.history(orders, "b").await.unwrap();
        assert_eq!(kinds(&history), [("b", 4, Updated), ("b", 3, Created), ("b", 2, Deleted), ("b", 1, Created)]);
        assert_eq!(kinds(&staging.history(orders, "c").await.unwrap()), [("c", 2, Deleted), ("c", 1, Created)]);
        // A deletion says by which record of which input.
        assert_eq!(history[2].input.as_ref().unwrap().position, at(40));
        assert_eq!(history[2].input.as_ref().unwrap().path, "in/ORD1.DAT");
        let run = staging.finish_run(&reading.run, RunOutcome::Succeeded).await.unwrap();
        assert_eq!((run.balance.deleted, run.balance.holds()), (2, true));
    });
}

#[test]
fn what_a_batch_says_of_one_key_takes_effect_in_the_order_of_the_input() {
    let (staging, _alive) = sqlite();
    block_on(async {
        let mut reading = begin(&staging).await;
        let orders = &reading.resource.clone();
        reading.put(&["moved", "gone"], 1).await;
        // Record 3 deletes and record 4 writes `moved`; record 5 writes and record 6 deletes `gone`.
        let documents = vec![document("gone", &doc("gone", 2), 40), document("moved", &doc("moved", 2), 30)];
        let deletion = |key: &str, offset| Deletion { key: key.to_owned(), position: at(offset) };
        let deletions = vec![deletion("gone", 50), deletion("moved", 20)];
        let batch = Batch { deletions, ..reading.batch(documents, vec![], 0) };
        let balance = staging.commit(batch).await.unwrap().balance;
        assert_eq!(balance, Balance { read: 4, staged: 4, deleted: 2, ..Balance::default() });
        assert_eq!(keys(&staging, orders, vec![]).await, (vec!["moved".to_owned()], 1));
        assert_eq!(staging.document(orders, "moved").await.unwrap().unwrap().version, 3);
        assert_eq!(staging.tombstone(orders, "gone").await.unwrap().unwrap().version, 3);
    });
}

#[test]
fn a_source_position_is_committed_with_its_batch_or_not_at_all() {
    let (staging, _alive) = sqlite();
    block_on(async {
        let reading = begin(&staging).await;
        let orders = &reading.resource;
        assert_eq!(staging.source_position(orders).await.unwrap(), None);
        let at_seven = Some(SourcePosition { text: r#"{"rv":"0007"}"#.to_owned() });
        let batch = Batch { source: at_seven.clone(), ..reading.batch(vec![document("a", "{}", 0)], vec![], 0) };
        staging.commit(batch.clone()).await.unwrap();
        assert_eq!(staging.source_position(orders).await.unwrap(), at_seven);
        let at_nine = Some(SourcePosition { text: r#"{"rv":"0009"}"#.to_owned() });
        let refused = Batch { source: at_nine.clone(), snapshot: Some(SnapshotId(77)), ..batch };
        assert!(matches!(staging.commit(refused).await, Err(StagingError::NoSnapshot(SnapshotId(77)))));
        assert_eq!(staging.source_position(orders).await.unwrap(), at_seven);
        staging.set_source_position(orders, at_nine.as_ref()).await.unwrap();
        assert_eq!(staging.source_position(orders).await.unwrap(), at_nine);
        staging.set_source_position(orders, None).await.unwrap();
        assert_eq!(staging.source_position(orders).await.unwrap(), None);
    });
}

#[test]
fn a_sweep_deletes_what_its_snapshot_has_not_seen() {
    let (staging, _alive) = sqlite();
    block_on(async {
        let mut reading = begin(&staging).await;
        let orders = &reading.resource.clone();
        reading.put(&["a", "b", "c", "d", "e", "f", "g"], 1).await;
        let snapshot = staging.begin_snapshot(orders).await.unwrap();
        reading.seen(snapshot, &["a", "b"], 1).await;
        // After a crash it is answered again, with what it has seen.
        assert_eq!(staging.begin_snapshot(orders).await.unwrap(), snapshot);
        reading.seen(snapshot, &["c", "new"], 2).await;
        // A record that cannot be read is there all the same, if its key can be.
        let mut bad = reject(RejectCode::BadDigit, reading.checkpoint.offset);
        bad.key = Some("d".to_owned());
        let batch = Batch { snapshot: Some(snapshot), ..reading.batch(vec![], vec![bad], 0) };
        reading.checkpoint = batch.checkpoint;
        staging.commit(batch).await.unwrap();
        // What a live read says is there, too; so is what it says again.
        let live = |key: &str, second: i64| LiveRead {
            resource: orders.clone(),
            mapping: "m".to_owned(),
            document: document(key, &doc(key, 1), 0),
            as_of: Timestamp::from_second(1_800_000_000 + second).unwrap(),
            path: "live".to_owned(),
            blob: BlobId([9; 32]),
            size: 9,
        };
        assert!(staging.stage_live_read(live("live", 1)).await.unwrap());
        let hash = ContentHash::of(doc("e", 1).as_bytes());
        assert!(staging.note_live_read(orders, "e", hash, Timestamp::now()).await.unwrap());
        // Seen, and then deleted by a record: it is no document that is missing.
        reading.seen(snapshot, &["g"], 1).await;
        reading.delete(&["g"]).await;

        let swept = staging.sweep(&reading.run, snapshot, 0.2).await.unwrap();
        assert_eq!(swept, Swept { documents: 8, missing: 1, deleted: 1, refusal: None });
        assert_eq!(keys(&staging, orders, vec![]).await.0, ["a", "b", "c", "d", "e", "live", "new"]);
        assert_eq!(staging.status(orders).await.unwrap().documents, 7);
        let history = staging.history(orders, "f").await.unwrap();
        assert_eq!(kinds(&history), [("f", 2, ChangeKind::Deleted), ("f", 1, ChangeKind::Created)]);
        assert_eq!((&history[0].input, &history[0].run), (&None, &reading.run));
        let run = staging.run(&reading.run).await.unwrap().unwrap();
        assert_eq!((run.balance.deleted, run.balance.holds()), (2, true));
        // It is over.
        let over = staging.sweep(&reading.run, snapshot, 1.0).await;
        assert!(matches!(over, Err(StagingError::NoSnapshot(_))), "{over:?}");
        assert_ne!(staging.begin_snapshot(orders).await.unwrap(), snapshot);
    });
}

#[test]
fn a_sweep_that_cannot_be_right_deletes_nothing() {
    let (staging, _alive) = sqlite();
    block_on(async {
        let mut reading = begin(&staging).await;
        let orders = &reading.resource.clone();
        reading.put(&["a", "b", "c", "d"], 1).await;
        for (share, refused) in [(0.0, true), (0.1, true), (0.49, true), (f64::NAN, true), (0.5, false)] {
            let snapshot = staging.begin_snapshot(orders).await.unwrap();
            reading.seen(snapshot, &["a", "b"], 1).await;
            let swept = staging.sweep(&reading.run, snapshot, share).await.unwrap();
            assert_eq!((swept.documents, swept.missing, swept.deleted), (4, 2, if refused { 0 } else { 2 }), "{share}");
            assert_eq!(matches!(swept.refusal, Some(SweepRefusal::TooMany { .. })), refused, "{share}");
        }
        // A key that cannot be read may be that of any missing document.
        for (keys, deleted) in [(["a", "a"], 0), (["a", "b"], 0)] {
            let snapshot = staging.begin_snapshot(orders).await.unwrap();
            reading.seen(snapshot, &keys, 1).await;
            let bad = reject(RejectCode::BadKey, reading.checkpoint.offset);
            let batch = Batch { snapshot: Some(snapshot), ..reading.batch(vec![], vec![bad], 0) };
            reading.checkpoint = batch.checkpoint;
            staging.commit(batch).await.unwrap();
            let swept = staging.sweep(&reading.run, snapshot, 1.0).await.unwrap();
            let expected = (swept.missing > 0).then_some(SweepRefusal::Unreadable { records: 1 });
            assert_eq!((swept.deleted, swept.refusal), (deleted, expected));
        }
        // An empty source takes nothing away, unless all may go.
        let snapshot = staging.begin_snapshot(orders).await.unwrap();
        assert!(staging.sweep(&reading.run, snapshot, 0.99).await.unwrap().refusal.is_some());
        let snapshot = staging.begin_snapshot(orders).await.unwrap();
        assert_eq!(staging.sweep(&reading.run, snapshot, 1.0).await.unwrap().deleted, 2);
        // Given up, it is over, and deletes nothing.
        let snapshot = staging.begin_snapshot(orders).await.unwrap();
        assert!(staging.drop_snapshot(snapshot).await.unwrap());
        assert!(!staging.drop_snapshot(snapshot).await.unwrap());
        // A run that is closed sweeps nothing.
        let snapshot = staging.begin_snapshot(orders).await.unwrap();
        staging.finish_run(&reading.run, RunOutcome::Succeeded).await.unwrap();
        let late = staging.sweep(&reading.run, snapshot, 1.0).await;
        assert!(matches!(late, Err(StagingError::NotRunning(_))), "{late:?}");
    });
}

#[test]
fn a_sweep_of_many_goes_in_steps_and_misses_none() {
    let (staging, _alive) = sqlite();
    block_on(async {
        let mut reading = begin(&staging).await;
        let orders = &reading.resource.clone();
        let all: Vec<String> = (0..30_000).map(|n| format!("{:05}", n * 7919 % 30_000)).collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        for some in all.chunks(10_000) {
            reading.put(some, 1).await;
        }
        let snapshot = staging.begin_snapshot(orders).await.unwrap();
        let kept: Vec<&str> = all.iter().copied().filter(|key| key.ends_with("7")).collect();
        reading.seen(snapshot, &kept, 1).await;
        let swept = staging.sweep(&reading.run, snapshot, 0.9).await.unwrap();
        assert_eq!(swept, Swept { documents: 30_000, missing: 27_000, deleted: 27_000, refusal: None });
        let (found, total) = keys(&staging, orders, vec![]).await;
        assert_eq!((found.len(), total), (3000, 3000));
        assert!(found.iter().all(|key| key.ends_with("7")));
        assert_eq!(staging.run(&reading.run).await.unwrap().unwrap().balance.deleted, 27_000);
        // Forgetting goes in steps, too.
        assert_eq!(
            staging.forget_deleted(orders, Timestamp::now() + jiff::SignedDuration::from_secs(1)).await.unwrap(),
            27_000
        );
        assert_eq!(staging.feed(orders, 0, 100_000).await.unwrap().changes.len(), 3000);
    });
}

#[test]
fn what_is_forgotten_is_gone_from_the_feed_too() {
    let (staging, _alive) = sqlite();
    block_on(async {
        let mut reading = begin(&staging).await;
        let orders = &reading.resource.clone();
        reading.put(&["a", "b", "c"], 1).await;
        reading.put(&["b"], 2).await;
        reading.delete(&["b"]).await;
        reading.put(&["c"], 2).await;
        assert_eq!(
            staging.forget_deleted(orders, Timestamp::now() - jiff::SignedDuration::from_secs(60)).await.unwrap(),
            0
        );
        assert_eq!(
            staging.forget_deleted(orders, Timestamp::now() + jiff::SignedDuration::from_secs(1)).await.unwrap(),
            1
        );
        assert_eq!(staging.tombstone(orders, "b").await.unwrap(), None);
        assert_eq!(staging.history(orders, "b").await.unwrap(), []);
        let sequences = async |since| {
            let changes = staging.feed(orders, since, 100).await.unwrap().changes;
            changes.iter().map(|change| change.sequence).collect::<Vec<_>>()
        };
        // From its beginning the feed says all that is there; from behind the deletion, all that is new.
        assert_eq!((sequences(0).await, sequences(5).await), (vec![1, 3, 6], vec![6]));
        assert_eq!(staging.feed(orders, 0, 1).await.unwrap().forgotten, 5);
        // It comes back as one that was never there.
        reading.put(&["b"], 1).await;
        assert_eq!(kinds(&staging.history(orders, "b").await.unwrap()), [("b", 1, ChangeKind::Created)]);
        assert_eq!(staging.feed(orders, 6, 9).await.unwrap().changes[0].key, "b");
    });
}
