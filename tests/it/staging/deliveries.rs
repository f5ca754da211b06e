//! What the ledger knows of deliveries: the same one again, the same content under another name, the last one.

use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::Connection;
use tollbridge::record::BlobId;
use tollbridge::staging::{
    Balance, ChangeKind, Checkpoint, FileEntry, FileId, FileState, NewFile, ResourceStatus, Staging,
};

use super::support::{Reading, block_on, id, open};

async fn finish(reading: &Reading, state: FileState) {
    let batch = reading.batch(vec![], vec![], 0);
    reading.staging.commit(tollbridge::staging::Batch { file_state: state, ..batch }).await.unwrap();
}

async fn status(staging: &Arc<dyn Staging>, resource: &str) -> ResourceStatus {
    staging.status(&id(resource)).await.unwrap()
}

#[test]
fn a_delivery_is_known_by_its_marks() {
    let (staging, _alive) = super::support::sqlite();
    block_on(async {
        let reading = Reading::begin(&staging, "orders.v1").await;
        let (orders, path) = (reading.resource.clone(), "in/ORD1.DAT");
        assert_eq!(status(&staging, "orders.v1").await.last_file, None);
        let before = Timestamp::now();
        staging.note_delivery(reading.file, "one", "mapping").await.unwrap();
        let last = status(&staging, "orders.v1").await.last_file.unwrap();
        assert!(last.as_millisecond() >= before.as_millisecond() && last <= Timestamp::now());

        let found = staging.delivered_file(&orders, path, 1000, "one").await.unwrap().unwrap();
        assert_eq!((found.id, found.blob, found.delivery.as_str()), (reading.file, reading.blob, "one"));
        for (path, size, delivery) in [(path, 1000, "two"), (path, 1001, "one"), ("in/ORD2.DAT", 1000, "one")] {
            assert_eq!(staging.delivered_file(&orders, path, size, delivery).await.unwrap(), None);
        }
    });
}

#[test]
fn a_file_is_entered_together_with_its_delivery() {
    let (staging, _alive) = super::support::sqlite();
    block_on(async {
        let mut reading = Reading::begin(&staging, "orders.v1").await;
        let orders = reading.resource.clone();
        let deliver = async |delivery: &str, mapping: &str, anew: bool| {
            let file = NewFile { path: "in/NEW.DAT".to_owned(), size: 1000, mapping: mapping.to_owned() };
            staging.deliver_file(&orders, file, BlobId([8; 32]), delivery, anew).await.unwrap()
        };
        let marks = |entry: &FileEntry| (entry.state, entry.delivery.clone(), entry.mapping.clone());
        let is = |state, delivery: &str, mapping: &str| (state, delivery.to_owned(), mapping.to_owned());
        let entry = deliver("one", "m1", false).await;
        assert_eq!(marks(&entry), is(FileState::Claimed, "one", "m1"));
        let begun: Vec<_> = staging.unfinished_files(&orders).await.unwrap().iter().map(marks).collect();
        assert!(begun.contains(&marks(&entry)), "{begun:?}");
        (reading.file, reading.blob) = (entry.id, BlobId([8; 32]));
        finish(&reading, FileState::Staged).await;
        // The same delivery is done, whatever the mapping is by now; another is begun anew, and so is one that is to be.
        let done = deliver("one", "m2", false).await;
        assert_eq!((done.id, marks(&done)), (entry.id, is(FileState::Staged, "one", "m1")));
        let again = deliver("two", "m2", false).await;
        assert_eq!((again.id, marks(&again)), (entry.id, is(FileState::Claimed, "two", "m2")));
        assert_eq!(again.checkpoint, Checkpoint::default());
        finish(&reading, FileState::Staged).await;
        assert_eq!(marks(&deliver("two", "m2", true).await), is(FileState::Claimed, "two", "m2"));
        // One that is read in part goes on by the mapping that has read it, and begins anew by any other.
        let part = reading.batch(vec![], vec![], 3);
        let checkpoint = Checkpoint { offset: 30, records: 3, line: 0 };
        staging.commit(tollbridge::staging::Batch { checkpoint, ..part }).await.unwrap();
        assert_eq!(deliver("two", "m2", true).await.checkpoint, checkpoint);
        let anew = deliver("two", "m3", true).await;
        assert_eq!((marks(&anew), anew.checkpoint), (is(FileState::Claimed, "two", "m3"), Checkpoint::default()));
    });
}

#[test]
fn the_same_content_is_that_of_an_earlier_file_of_the_resource_that_was_read() {
    let (staging, _alive) = super::support::sqlite();
    block_on(async {
        let first = Reading::begin(&staging, "orders.v1").await;
        let orders = first.resource.clone();
        let other = Reading::begin(&staging, "stock.v1").await;
        finish(&other, FileState::Staged).await;
        let second = Reading::of_file(&staging, &orders, "in/ORD2.DAT", first.blob).await;
        let same = async |file| staging.same_content(file).await.unwrap().map(|entry| entry.path);
        // The first is not read yet, and that of another resource does not count.
        assert_eq!(same(second.file).await, None);
        finish(&Reading { run: second.run.clone(), ..first }, FileState::Staged).await;
        assert_eq!(same(second.file).await.as_deref(), Some("in/ORD1.DAT"));
        let first_file = staging.file(&orders, "in/ORD1.DAT", 1000, BlobId([7; 32])).await.unwrap().unwrap().id;
        assert_eq!(same(first_file).await, None);
        // Another size under the same name is another entry, but no other name.
        let grown = staging.claim_file(&orders, "in/ORD1.DAT", 2000, BlobId([7; 32])).await.unwrap();
        assert_eq!(same(grown.id).await, None);
        let different = staging.claim_file(&orders, "in/ORD3.DAT", 1000, BlobId([9; 32])).await.unwrap();
        assert_eq!(same(different.id).await, None);
    });
}

/// What one version of a resource has read to its end is told to another that has not.
#[test]
fn one_ledger_is_held_against_another() {
    let (staging, _alive) = super::support::sqlite();
    block_on(async {
        let first = Reading::begin(&staging, "orders.v1").await;
        let second = Reading::begin(&staging, "orders.v2").await;
        let (from, own) = (first.resource.clone(), second.resource.clone());
        let waiting = async |all: bool| {
            let files = staging.files_to_feed(&own, &from, 0, all).await.unwrap();
            files.into_iter().map(|file| (file.path, file.resource == from)).collect::<Vec<_>>()
        };
        let is = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), true)).collect::<Vec<_>>();
        // Nothing is read to its end; then one file is, which the other has begun and not ended.
        assert_eq!((waiting(false).await, waiting(true).await), (vec![], vec![]));
        finish(&first, FileState::Staged).await;
        assert_eq!(waiting(false).await, is(&["in/ORD1.DAT"]));
        finish(&second, FileState::Staged).await;
        assert_eq!((waiting(false).await, waiting(true).await), (vec![], is(&["in/ORD1.DAT"])));
        // Another file, which was refused; and the first one, delivered anew.
        let next = Reading::of_file(&staging, &from, "in/ORD2.DAT", BlobId([8; 32])).await;
        finish(&next, FileState::Rejected).await;
        assert_eq!(waiting(false).await, is(&["in/ORD2.DAT"]));
        staging.note_delivery(first.file, "anew", "hash").await.unwrap();
        assert_eq!(waiting(false).await, is(&["in/ORD1.DAT", "in/ORD2.DAT"]));
        // Behind a turn there are those that were finished after it, and one that was begun anew has another turn then.
        let behind = async |turn: u64| {
            let files = staging.files_to_feed(&own, &from, turn, false).await.unwrap();
            files.into_iter().map(|file| (file.path, file.turn)).collect::<Vec<_>>()
        };
        let second = ("in/ORD2.DAT".to_owned(), Some(2));
        assert_eq!((behind(1).await, behind(2).await), (vec![second.clone()], vec![]));
        let after = async |file| {
            let files = staging.files_after(file, 9).await.unwrap();
            files.into_iter().map(|file| (file.path, file.turn)).collect::<Vec<_>>()
        };
        assert_eq!((after(first.file).await, after(next.file).await), (vec![second], vec![]));
        staging.reopen_file(first.file).await.unwrap();
        assert_eq!((behind(0).await.len(), after(next.file).await), (1, vec![]), "it is not finished");
        let first_file = first.file;
        finish(&Reading { run: next.run.clone(), ..first }, FileState::Staged).await;
        let again = ("in/ORD1.DAT".to_owned(), Some(3));
        assert_eq!((behind(2).await, after(next.file).await), (vec![again.clone()], vec![again]));
        assert_eq!(staging.file_entry(first_file).await.unwrap().unwrap().turn, Some(3));
        assert_eq!(staging.file_entry(FileId(99)).await.unwrap(), None);
    });
}

#[test]
fn a_database_of_the_first_version_becomes_todays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("staging.db");
    let claimed_at = block_on(async {
        let staging = open(&path);
        let mut reading = Reading::begin(&staging, "orders.v1").await;
        reading.stage(&[("1", "{}"), ("2", "{}")]).await;
        let other = staging.claim_file(&reading.resource, "in/ORD2.DAT", 1000, BlobId([9; 32])).await.unwrap();
        let (run, resource, checkpoint) = (reading.run.clone(), reading.resource.clone(), other.checkpoint);
        let other = Reading { staging: staging.clone(), run, resource, file: other.id, blob: other.blob, checkpoint };
        finish(&other, FileState::Staged).await;
        staging.files(Some(&reading.resource), 1).await.unwrap()[0].claimed_at
    });
    // As the first version left it.
    let connection = Connection::open(&path).unwrap();
    let back = "DROP TABLE seen; DROP TABLE snapshot; DROP TABLE source_position; DROP TABLE gone_1; \
                ALTER TABLE feed_1 DROP COLUMN kind; ALTER TABLE resource DROP COLUMN forgotten; \
                ALTER TABLE run DROP COLUMN deleted; ALTER TABLE run DROP COLUMN refused; ALTER TABLE run DROP COLUMN reads_since; ALTER TABLE run DROP COLUMN read_with; DROP TABLE vanished; ALTER TABLE indexed_field DROP COLUMN bounds; DROP TABLE live_read; DROP TABLE operation; DROP TABLE override; DROP TABLE audit; DROP TABLE file_sequence; DROP INDEX file_by_turn; ALTER TABLE file DROP COLUMN turn; DROP INDEX run_going_on; DROP INDEX file_by_blob; DROP INDEX file_unfinished; ALTER TABLE resource DROP COLUMN last_file_at; ALTER TABLE api_key DROP COLUMN claims; ALTER TABLE api_key DROP COLUMN expires_at; ALTER TABLE api_key DROP COLUMN last_used_at; ALTER TABLE api_key DROP COLUMN replaced_by; DROP TABLE written; DROP INDEX dead_letter_known; DROP INDEX dead_letter_waiting; ALTER TABLE dead_letter DROP COLUMN known_by; PRAGMA user_version = 1;";
    connection.execute_batch(back).unwrap();
    drop(connection);
    block_on(async {
        let staging = open(&path);
        let status = status(&staging, "orders.v1").await;
        assert_eq!(status.last_file, Some(claimed_at));
        // Files that were finished have had their turn.
        let files = staging.files(Some(&id("orders.v1")), 9).await.unwrap();
        let turns: Vec<_> = files.iter().map(|file| (file.path.as_str(), file.turn)).collect();
        assert_eq!(turns, [("in/ORD2.DAT", Some(1)), ("in/ORD1.DAT", None)]);
        // Its runs are there, with what is counted since.
        let runs = staging.runs(None, 9).await.unwrap();
        let balance = Balance { read: 2, staged: 2, ..Balance::default() };
        assert_eq!(runs.iter().map(|run| run.balance).collect::<Vec<_>>(), [balance]);
        // What was staged is there as it was, and can be deleted now.
        let orders = id("orders.v1");
        let mut reading = Reading::of_file(&staging, &orders, "in/ORD1.DAT", BlobId([7; 32])).await;
        reading.delete(&["1"]).await;
        let kinds: Vec<_> =
            staging.feed(&orders, 0, 9).await.unwrap().changes.iter().map(|change| change.kind).collect();
        assert_eq!(kinds, [ChangeKind::Created, ChangeKind::Created, ChangeKind::Deleted]);
    });
}
