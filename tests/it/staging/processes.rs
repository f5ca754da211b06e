//! Several openers of one database: the service and a command, or two of either.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use tollbridge::record::BlobId;
use tollbridge::staging::{ColumnType, Comparison, Filter, ListQuery, Scalar, Staging, StagingError};

use super::support::{Reading, block_on, document, id, open, spec};

const CHILD: &str = "TOLLBRIDGE_TEST_PROCESS_DATABASE";
const BATCHES: usize = 25;

fn rows(batch: usize) -> Vec<(String, String)> {
    (0..40).map(|n| (format!("{:04}", (batch * 31 + n * 17) % 700), format!("{{\"v\":{batch}}}"))).collect()
}

async fn write(path: &Path, resource: &str) {
    let staging = open(path);
    let mut reading = Reading::begin(&staging, resource).await;
    for batch in 0..BATCHES {
        let rows = rows(batch);
        reading.stage(&rows.iter().map(|(key, payload)| (key.as_str(), payload.as_str())).collect::<Vec<_>>()).await;
    }
}

#[test]
fn two_processes_write_while_a_third_reads() {
    if let Some(path) = std::env::var_os(CHILD) {
        let resource = std::env::var("TOLLBRIDGE_TEST_PROCESS_RESOURCE").unwrap();
        block_on(write(Path::new(&path), &resource));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("staging.db");
    let staging = open(&path);
    let spawn = |resource: &str| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["staging::processes::two_processes_write_while_a_third_reads", "--exact"]);
        command.env(CHILD, &path).env("TOLLBRIDGE_TEST_PROCESS_RESOURCE", resource);
        command.stdout(Stdio::null()).spawn().unwrap()
    };
    let mut writers = [spawn("orders.v1"), spawn("stock.v1")];
    block_on(async {
        // Every snapshot is a whole number of batches, and never goes back.
        let mut seen = 0;
        while writers[0].try_wait().unwrap().is_none() || writers[1].try_wait().unwrap().is_none() {
            let Ok(status) = staging.status(&id("orders.v1")).await else { continue };
            assert!(status.sequence >= seen);
            seen = status.sequence;
            let run = &staging.runs(Some(&id("orders.v1")), 1).await.unwrap();
            assert!(run.iter().all(|run| run.balance.holds() && run.balance.read.is_multiple_of(40)));
        }
    });
    for mut writer in writers {
        assert!(writer.wait().unwrap().success());
    }
    block_on(async {
        for resource in ["orders.v1", "stock.v1"] {
            let run = staging.runs(Some(&id(resource)), 1).await.unwrap().remove(0);
            assert_eq!(run.balance.read, BATCHES as u64 * 40);
            let changes = staging.feed(&id(resource), 0, usize::MAX).await.unwrap().changes;
            assert_eq!(changes.len() as u64, run.balance.staged);
            assert!(changes.iter().zip(1..).all(|(change, sequence)| change.sequence == sequence));
        }
    });
}

#[test]
fn two_openers_never_hand_out_one_sequence_twice() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("staging.db");
    block_on(async {
        let (one, other) = (open(&path), open(&path));
        let mut first = Reading::begin(&one, "orders.v1").await;
        let file = other.claim_file(&first.resource, "second", 5, BlobId([8; 32])).await.unwrap();
        let mut second = Reading {
            staging: other.clone(),
            resource: first.resource.clone(),
            run: first.run.clone(),
            file: file.id,
            blob: file.blob,
            checkpoint: file.checkpoint,
        };
        let mine = tokio::spawn(async move {
            for batch in 0..30 {
                let documents = (0..10).map(|n| document(&format!("{n}"), &format!("{{\"a\":{batch}}}"), n)).collect();
                first.commit(documents, vec![], 0).await;
            }
        });
        for batch in 0..30 {
            let documents = (5..15).map(|n| document(&format!("{n}"), &format!("{{\"b\":{batch}}}"), n)).collect();
            second.commit(documents, vec![], 0).await;
        }
        mine.await.unwrap();

        let changes = one.feed(&second.resource, 0, usize::MAX).await.unwrap().changes;
        assert_eq!(changes.len(), 600);
        assert!(changes.iter().zip(1..).all(|(change, sequence)| change.sequence == sequence));
        for key in 0..15 {
            let history = other.history(&second.resource, &key.to_string()).await.unwrap();
            let versions: Vec<u64> = history.iter().rev().map(|change| change.version).collect();
            assert_eq!(versions, (1..=versions.len() as u64).collect::<Vec<_>>());
        }
        assert_eq!(one.status(&second.resource).await.unwrap().documents, 15);
    });
}

#[test]
fn a_changed_declaration_of_another_process_is_met_with_words() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("staging.db");
    block_on(async {
        let (service, command) = (open(&path), open(&path));
        let orders = id("orders.v1");
        service.prepare(&spec(&orders, &[("n", ColumnType::Integer)])).await.unwrap();
        let mut reading = Reading::of_file(&service, &orders, "f", BlobId([1; 32])).await;
        reading.stage(&[("1", r#"{"n":7,"s":"x"}"#)]).await;
        let ask = async |staging: &Arc<dyn Staging>, path: &str, value: Scalar| {
            let filters = vec![Filter { path: path.to_owned(), comparison: Comparison::Equal, values: vec![value] }];
            staging
                .list(&orders, ListQuery { filters, limit: 1, ..ListQuery::default() })
                .await
                .map(|page| page.rows.len())
        };
        assert_eq!(ask(&service, "n", Scalar::Integer(7)).await.unwrap(), 1);
        command.prepare(&spec(&orders, &[("s", ColumnType::Text)])).await.unwrap();
        let refused = ask(&service, "n", Scalar::Integer(7)).await.unwrap_err();
        assert!(matches!(refused, StagingError::UndeclaredField { .. }), "{refused}");
        assert_eq!(ask(&service, "s", Scalar::Text("x".to_owned())).await.unwrap(), 1);
        reading.stage(&[("2", r#"{"n":8,"s":"x"}"#)]).await;
        assert_eq!(ask(&command, "s", Scalar::Text("x".to_owned())).await.unwrap(), 1);

        // The type changed: the older declaration must not compare with the newer column.
        service.prepare(&spec(&orders, &[("n", ColumnType::Text)])).await.unwrap();
        let stale = ask(&command, "n", Scalar::Integer(7)).await.unwrap_err();
        assert!(matches!(stale, StagingError::BadQuery { .. }), "{stale}");
        assert_eq!(ask(&command, "n", Scalar::Text("7".to_owned())).await.unwrap(), 1);
    });
}

#[test]
fn a_lock_holds_against_other_openers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("staging.db");
    let orders = id("orders.v1");
    block_on(async {
        let (one, other) = (open(&path), open(&path));
        let held = one.lock_run(&orders).await.unwrap();
        assert!(matches!(other.lock_run(&orders).await, Err(StagingError::Locked(_))));
        drop(held);
        drop(other.lock_run(&orders).await.unwrap());
    });
}
