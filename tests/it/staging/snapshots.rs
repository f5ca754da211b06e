//! Deletions and snapshots at random against a model, and snapshots whose process is killed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use tollbridge::record::BlobId;
use tollbridge::staging::{
    Batch, ChangeKind, ColumnType, Comparison, Deletion, Ends, FileState, Filter, ListQuery, RunOutcome, Scalar,
    SnapshotId, SourcePosition, Staging, Total,
};

use super::support::{Reading, at, block_on, document, id, open, spec, sqlite};

/// A record of a batch.
#[derive(Clone, Debug)]
enum Record {
    Is { key: u8, value: u8 },
    IsNot { key: u8 },
}

#[derive(Clone, Debug)]
enum Step {
    Commit(Vec<Record>),
    Begin,
    Sweep,
    GiveUp,
    Forget,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let record = prop_oneof![
        3 => (0u8..14, 0u8..3).prop_map(|(key, value)| Record::Is { key, value }),
        1 => (0u8..14).prop_map(|key| Record::IsNot { key }),
    ];
    let step = prop_oneof![
        8 => proptest::collection::vec(record, 0..12).prop_map(Step::Commit),
        2 => Just(Step::Begin),
        2 => Just(Step::Sweep),
        1 => Just(Step::GiveUp),
        1 => Just(Step::Forget),
    ];
    proptest::collection::vec(step, 1..24)
}

/// A change as the feed must show it: sequence, key, version, kind.
type Entry = (u64, String, u64, ChangeKind);

#[derive(Default)]
struct Model {
    /// Value and version.
    documents: BTreeMap<String, (u8, u64)>,
    /// Version.
    gone: BTreeMap<String, u64>,
    feed: Vec<Entry>,
    sequence: u64,
    deleted: u64,
    seen: Option<BTreeSet<String>>,
}

impl Model {
    fn tell(&mut self, key: &str, version: u64, kind: ChangeKind) {
        self.sequence += 1;
        self.feed.push((self.sequence, key.to_owned(), version, kind));
    }

    fn put(&mut self, key: &str, value: u8) {
        if let Some(seen) = &mut self.seen {
            seen.insert(key.to_owned());
        }
        let (version, kind) = match self.documents.get(key) {
            Some((known, _)) if *known == value => return,
            Some((_, version)) => (version + 1, ChangeKind::Updated),
            None => (self.gone.remove(key).map_or(1, |version| version + 1), ChangeKind::Created),
        };
        self.documents.insert(key.to_owned(), (value, version));
        self.tell(key, version, kind);
    }

    fn delete(&mut self, key: &str) {
        if let Some((_, version)) = self.documents.remove(key) {
            self.gone.insert(key.to_owned(), version + 1);
            self.tell(key, version + 1, ChangeKind::Deleted);
            self.deleted += 1;
        }
        if let Some(seen) = &mut self.seen {
            seen.remove(key);
        }
    }

    fn forget(&mut self) {
        let gone = std::mem::take(&mut self.gone);
        self.feed.retain(|(_, key, ..)| !gone.contains_key(key));
    }

    async fn assert_equals(&self, reading: &Reading) {
        let (staging, orders) = (&reading.staging, &reading.resource);
        let changes = staging.feed(orders, 0, 100_000).await.unwrap().changes;
        let found: Vec<Entry> =
            changes.iter().map(|change| (change.sequence, change.key.clone(), change.version, change.kind)).collect();
        assert_eq!(found, self.feed);
        let status = staging.status(orders).await.unwrap();
        assert_eq!((status.documents, status.sequence), (self.documents.len() as u64, self.sequence));
        for key in (0..14).map(|key| format!("k{key:02}")) {
            let found = staging.document(orders, &key).await.unwrap();
            let expected = self.documents.get(&key);
            assert_eq!(found.as_ref().map(|found| found.version), expected.map(|(_, version)| *version));
            let tombstone = staging.tombstone(orders, &key).await.unwrap();
            assert_eq!(tombstone.map(|tombstone| tombstone.version), self.gone.get(&key).copied());
            let history = staging.history(orders, &key).await.unwrap();
            let expected: Vec<u64> =
                self.feed.iter().rev().filter(|entry| entry.1 == key).map(|entry| entry.0).collect();
            assert_eq!(history.iter().map(|change| change.sequence).collect::<Vec<_>>(), expected);
        }
        for value in 0..3u8 {
            let filter = Filter {
                path: "v".to_owned(),
                comparison: Comparison::Equal,
                values: vec![Scalar::Integer(value.into())],
            };
            let query = ListQuery { filters: vec![filter], limit: 100, count: true, ..ListQuery::default() };
            let page = staging.list(orders, query).await.unwrap();
            let expected = self.documents.values().filter(|(of, _)| *of == value).count();
            assert_eq!((page.rows.len(), page.total), (expected, Some(Total::Exact(expected as u64))));
        }
        let run = staging.run(&reading.run).await.unwrap().unwrap();
        assert_eq!((run.balance.deleted, run.balance.holds()), (self.deleted, true));
    }
}

async fn check(staging: Arc<dyn Staging>, steps: Vec<Step>) {
    let orders = id("orders.v1");
    staging.prepare(&spec(&orders, &[("v", ColumnType::Integer)])).await.unwrap();
    let mut reading = Reading::of_file(&staging, &orders, "f", BlobId([7; 32])).await;
    let mut model = Model::default();
    let mut snapshot: Option<SnapshotId> = None;
    for step in steps {
        match step {
            Step::Commit(records) => {
                let (mut documents, mut deletions) = (vec![], vec![]);
                for (n, record) in records.iter().enumerate() {
                    let offset = reading.checkpoint.offset + 10 * n as u64;
                    match record {
                        Record::Is { key, value } => {
                            documents.push(document(&format!("k{key:02}"), &format!("{{\"v\":{value}}}"), offset));
                        }
                        Record::IsNot { key } => {
                            deletions.push(Deletion { key: format!("k{key:02}"), position: at(offset) });
                        }
                    }
                }
                let mut sorted: Vec<&Record> = records.iter().collect();
                sorted.sort_by_key(|record| match record {
                    Record::Is { key, .. } | Record::IsNot { key } => *key,
                });
                for record in sorted {
                    match record {
                        Record::Is { key, value } => model.put(&format!("k{key:02}"), *value),
                        Record::IsNot { key } => model.delete(&format!("k{key:02}")),
                    }
                }
                let batch = Batch { deletions, snapshot, ..reading.batch(documents, vec![], records.len() as u64) };
                reading.checkpoint = batch.checkpoint;
                let committed = staging.commit(Batch { skipped: 0, ..batch }).await.unwrap();
                assert!(committed.balance.holds());
                assert_eq!((committed.balance.read, committed.sequence), (records.len() as u64, model.sequence));
            }
            Step::Begin => {
                snapshot = Some(staging.begin_snapshot(&orders).await.unwrap());
                model.seen.get_or_insert_default();
            }
            Step::Sweep => {
                let (Some(open), Some(seen)) = (snapshot.take(), model.seen.take()) else { continue };
                let missing: Vec<String> = model.documents.keys().filter(|key| !seen.contains(*key)).cloned().collect();
                let documents = model.documents.len();
                let swept = staging.sweep(&reading.run, open, 0.5).await.unwrap();
                assert_eq!((swept.documents, swept.missing), (documents as u64, missing.len() as u64));
                let refused = missing.len() * 2 > documents;
                assert_eq!(swept.refusal.is_some(), refused);
                if !refused {
                    assert_eq!(swept.deleted, missing.len() as u64);
                    missing.iter().for_each(|key| model.delete(key));
                }
            }
            Step::GiveUp => {
                if let Some(open) = snapshot.take() {
                    assert!(staging.drop_snapshot(open).await.unwrap());
                    model.seen = None;
                }
            }
            Step::Forget => {
                let soon = Timestamp::now() + SignedDuration::from_secs(1);
                assert_eq!(staging.forget_deleted(&orders, soon).await.unwrap(), model.gone.len() as u64);
                model.forget();
            }
        }
    }
    model.assert_equals(&reading).await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn deletions_and_snapshots_are_as_the_model_says(steps in steps()) {
        let (staging, _alive) = sqlite();
        block_on(check(staging, steps));
    }
}

const CHILD: &str = "TOLLBRIDGE_TEST_SNAPSHOT_DATABASE";
const ROUNDS: u64 = 6;
const KEYS: u64 = 2000;
const BATCH: usize = 100;

/// The keys that the source has in a round: a fifth of all is not there, each time another.
fn keys_of(round: u64) -> Vec<String> {
    (0..KEYS)
        .filter(|key| !(key * 7 + round).is_multiple_of(5))
        .map(|key| format!("{:04}", key * 1237 % KEYS))
        .collect()
}

/// How far the victim is, as its position says.
fn position(round: u64, batches: usize) -> Option<SourcePosition> {
    Some(SourcePosition { text: format!("{round} {batches}") })
}

async fn stands(staging: &Arc<dyn Staging>) -> (u64, usize) {
    let found = staging.source_position(&id("orders.v1")).await.unwrap();
    let Some(found) = found else { return (0, 0) };
    let (round, batches) = found.text.split_once(' ').unwrap();
    (round.parse().unwrap(), batches.parse().unwrap())
}

/// The victim: reads the source anew, round after round, and sweeps what it has not seen.
async fn read_round_after_round(path: &Path) {
    let staging = open(path);
    let orders = id("orders.v1");
    staging.prepare(&spec(&orders, &[("v", ColumnType::Integer)])).await.unwrap();
    let (first, mut done) = stands(&staging).await;
    for round in first..ROUNDS {
        let snapshot = staging.begin_snapshot(&orders).await.unwrap();
        let keys = keys_of(round);
        let blob = BlobId([u8::try_from(round).unwrap(); 32]);
        let mut reading = Reading::of_file(&staging, &orders, &format!("rows {round}"), blob).await;
        for (n, some) in keys.chunks(BATCH).enumerate().skip(done) {
            let start = reading.checkpoint.offset;
            let payload = |key: &str| format!(r#"{{"k":"{key}","v":{}}}"#, round / 2);
            let documents = some.iter().enumerate();
            let documents = documents.map(|(n, key)| document(key, &payload(key), start + 10 * n as u64)).collect();
            let batch = reading.batch(documents, vec![], 0);
            reading.checkpoint = batch.checkpoint;
            let is_last = (n + 1) * BATCH >= keys.len();
            let file_state = if is_last { FileState::Staged } else { FileState::Claimed };
            let source = position(round, n + 1);
            staging.commit(Batch { snapshot: Some(snapshot), source, file_state, ..batch }).await.unwrap();
        }
        let then = position(round + 1, 0).map(|swept| Ends { refused: swept.clone(), swept });
        let swept = staging.finish_snapshot(&reading.run, snapshot, 0.5, then).await.unwrap();
        assert_eq!(swept.refusal, None);
        staging.finish_run(&reading.run, RunOutcome::Succeeded).await.unwrap();
        done = 0;
    }
}

/// What is there is what the position says: all rounds before it swept, and of its own round the batches read so far.
async fn check_position(staging: &Arc<dyn Staging>) -> u64 {
    let orders = id("orders.v1");
    let (round, batches) = stands(staging).await;
    let mut expected: BTreeSet<String> =
        if round > 0 { keys_of(round - 1).into_iter().collect() } else { BTreeSet::new() };
    let current = keys_of(round);
    expected.extend(current.iter().take(batches * BATCH).cloned());
    let page = staging.list(&orders, ListQuery { limit: 100_000, ..ListQuery::default() }).await.unwrap();
    let key = |row: &[u8]| String::from_utf8(row[6..10].to_vec()).unwrap();
    let found: BTreeSet<String> = page.rows.iter().map(key).collect();
    assert!(found == expected, "round {round}, batch {batches}: {} documents", found.len());
    let status = staging.status(&orders).await.unwrap();
    assert_eq!(status.documents, found.len() as u64);
    // The feed played from its beginning comes to the same.
    let changes = staging.feed(&orders, 0, usize::MAX >> 1).await.unwrap().changes;
    let mut played = BTreeSet::new();
    for (n, change) in changes.iter().enumerate() {
        assert_eq!(change.sequence, n as u64 + 1);
        match change.kind {
            ChangeKind::Deleted => assert!(played.remove(&change.key)),
            ChangeKind::Created => assert!(played.insert(change.key.clone())),
            ChangeKind::Updated => assert!(played.contains(&change.key)),
        }
    }
    assert_eq!(played, found);
    let deleted = changes.iter().filter(|change| change.kind == ChangeKind::Deleted).count() as u64;
    let runs = staging.runs(Some(&orders), 1000).await.unwrap();
    assert_eq!(runs.iter().map(|run| run.balance.deleted).sum::<u64>(), deleted);
    assert!(runs.iter().all(|run| run.balance.holds()));
    status.sequence
}

#[test]
fn a_snapshot_whose_process_is_killed_goes_on() {
    if let Some(path) = std::env::var_os(CHILD) {
        block_on(read_round_after_round(Path::new(&path)));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("staging.db");
    let child = || {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["staging::snapshots::a_snapshot_whose_process_is_killed_goes_on", "--exact"]).env(CHILD, &path);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let mut progress = Vec::new();
    for round in 0..14u64 {
        let mut victim = child();
        std::thread::sleep(Duration::from_millis(60 + round * 41 % 170));
        victim.kill().unwrap();
        victim.wait().unwrap();
        let staging = open(&path);
        block_on(async {
            staging.prepare(&spec(&id("orders.v1"), &[("v", ColumnType::Integer)])).await.unwrap();
            progress.push(check_position(&staging).await);
        });
    }
    assert!(progress.is_sorted(), "{progress:?}");
    assert!(child().wait().unwrap().success());
    let staging = open(&path);
    let end = block_on(check_position(&staging));
    assert_eq!(block_on(stands(&staging)), (ROUNDS, 0));
    assert!(progress.iter().any(|&reached| 0 < reached && reached < end), "some kill hit the middle: {progress:?}");
}
