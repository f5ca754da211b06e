//! A real process killed at random moments, again and again: what is there afterwards is a prefix of what it was
//! writing, exactly, and the end is the same as if nothing had happened.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tollbridge::record::{BlobId, Document, Reject, RejectCode};
use tollbridge::staging::{Batch, FileState, Staging};

use super::model::Model;
use super::support::{Reading, at, block_on, document, id, open, reject, spec};

const CHILD: &str = "TOLLBRIDGE_TEST_CRASH_DATABASE";
const BATCHES: u64 = 300;
const RECORDS: u64 = 40;

/// The records of batch `n`: always the same. Keys come again in later batches, with new or old content.
fn records(n: u64) -> (Vec<Document>, Vec<Reject>) {
    let (mut documents, mut rejects) = (vec![], vec![]);
    for record in n * RECORDS..(n + 1) * RECORDS {
        let offset = record * 10;
        if record % 29 == 5 {
            rejects.push(reject(RejectCode::BadDigit, offset));
            continue;
        }
        let key = format!("{:04}", record * 7919 % 1500);
        let payload = format!(r#"{{"k":"{key}","v":{},"pad":"{}"}}"#, n / 60, "x".repeat(200));
        documents.push(document(&key, &payload, offset));
    }
    (documents, rejects)
}

fn batch(reading: &Reading, n: u64) -> Batch {
    let (documents, rejects) = records(n);
    let mut batch = reading.batch(documents, rejects, 0);
    if n + 1 == BATCHES {
        batch.file_state = FileState::Staged;
    }
    batch
}

/// The victim: goes on where the checkpoint stands, to the end of the file.
async fn sync_to_the_end(path: &Path) {
    let staging = open(path);
    let resource = id("orders.v1");
    let _lock = staging.lock_run(&resource).await.unwrap();
    staging.prepare(&spec(&resource, &[("v", tollbridge::staging::ColumnType::Integer)])).await.unwrap();
    let mut reading = Reading::of_file(&staging, &resource, "f", BlobId([7; 32])).await;
    for n in reading.checkpoint.records / RECORDS..BATCHES {
        let batch = batch(&reading, n);
        reading.checkpoint = batch.checkpoint;
        staging.commit(batch).await.unwrap();
    }
}

/// Compares the database with the batches that its own checkpoint says are in it; answers how many.
async fn check(staging: &Arc<dyn Staging>) -> u64 {
    let resource = id("orders.v1");
    let files = staging.files(None, 9).await.unwrap();
    let Some(file) = files.first() else { return 0 };
    assert_eq!(file.checkpoint.records % RECORDS, 0);
    assert_eq!(file.checkpoint.offset, file.checkpoint.records * 10);
    let batches = file.checkpoint.records / RECORDS;
    let mut model = Model::default();
    for n in 0..batches {
        let (documents, rejects) = records(n);
        model.commit(&documents, &rejects, 0);
    }
    model.assert_equals(staging, &resource).await;
    let runs = staging.runs(Some(&resource), 100).await.unwrap();
    let read: u64 = runs.iter().map(|run| run.balance.read).sum();
    assert_eq!(read, file.checkpoint.records, "the runs' balances tell the same");
    assert_eq!(
        staging.feed(&resource, 0, 1).await.unwrap().changes.first().map(|change| change
            .input
            .as_ref()
            .unwrap()
            .position),
        (batches > 0).then(|| at(0))
    );
    batches
}

#[test]
fn what_a_killed_process_leaves_is_a_prefix() {
    if let Some(path) = std::env::var_os(CHILD) {
        block_on(sync_to_the_end(Path::new(&path)));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("staging.db");
    let child = || {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["staging::crash::what_a_killed_process_leaves_is_a_prefix", "--exact"]).env(CHILD, &path);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let mut progress = Vec::new();
    for round in 0..20u64 {
        let mut victim = child();
        std::thread::sleep(Duration::from_millis(20 + round * 37 % 90));
        victim.kill().unwrap();
        victim.wait().unwrap();
        let staging = open(&path);
        progress.push(block_on(check(&staging)));
    }
    assert!(progress.is_sorted(), "nothing committed was lost: {progress:?}");
    assert!(child().wait().unwrap().success());
    let staging = open(&path);
    assert_eq!(block_on(check(&staging)), BATCHES);
    assert!(progress.iter().any(|&batches| 0 < batches && batches < BATCHES), "some kill hit the middle: {progress:?}");
}
