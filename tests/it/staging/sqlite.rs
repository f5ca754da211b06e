//! What is the embedded default's own: its file, its disk, its log.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use rusqlite::Connection;
use tollbridge::record::RejectCode;
use tollbridge::staging::sqlite::{Config, SqliteStaging};
use tollbridge::staging::{Staging, StagingError};

use super::support::{Reading, block_on, document, id, open, reject};

/// The sentence that opening ends with.
fn refusal(path: &Path) -> String {
    let refused = SqliteStaging::open(path, &Config::default()).err();
    assert!(matches!(refused, Some(StagingError::Open { .. })), "{refused:?}");
    refused.unwrap().to_string()
}

#[test]
fn a_file_that_is_not_ours_is_refused_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);

    std::fs::write(path("text"), "order_no;amount\n".repeat(500)).unwrap();
    assert!(refusal(&path("text")).contains("not a SQLite database"));
    assert_eq!(std::fs::read(path("text")).unwrap().len(), 8000);

    Connection::open(path("foreign")).unwrap().execute_batch("CREATE TABLE theirs (a)").unwrap();
    let before = std::fs::read(path("foreign")).unwrap();
    assert!(refusal(&path("foreign")).contains("another program"));
    assert_eq!(std::fs::read(path("foreign")).unwrap(), before);

    drop(open(&path("newer")));
    Connection::open(path("newer")).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let newer = refusal(&path("newer"));
    assert!(newer.contains("newer Tollbridge") && newer.contains("99"), "{newer}");

    std::fs::create_dir(path("folder")).unwrap();
    assert!(refusal(&path("folder")).contains("folder"));
    std::fs::write(path("blocked"), "").unwrap();
    assert!(refusal(&path("blocked").join("staging.db")).contains("folder cannot be made"));
}

#[test]
fn a_damaged_file_is_met_with_words() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("staging.db");
    block_on(async {
        let staging = open(&path);
        let mut reading = Reading::begin(&staging, "orders.v1").await;
        let rows: Vec<_> = (0..2000).map(|n| document(&format!("{n}"), &"9".repeat(300), n * 10)).collect();
        reading.commit(rows, vec![], 0).await;
    });
    let mut content = std::fs::read(&path).unwrap();
    for (n, byte) in content.iter_mut().enumerate().skip(40_000) {
        *byte = (n % 251) as u8;
    }
    std::fs::write(&path, content).unwrap();
    let Ok(staging) = SqliteStaging::open(&path, &Config::default()) else { return };
    let faults = block_on(async {
        let mut faults = Vec::new();
        for key in 0..2000 {
            faults.extend(staging.document(&id("orders.v1"), &key.to_string()).await.err());
        }
        faults
    });
    assert!(!faults.is_empty());
    assert!(faults.iter().all(|fault| fault.to_string().contains("damaged")), "{:?}", faults[0]);
}

#[test]
fn documents_are_for_the_service_s_user_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("var/lib/staging.db");
    let staging = open(&path);
    block_on(async { Reading::begin(&staging, "orders.v1").await.stage(&[("1", "{}")]).await });
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    for suffix in ["", "-wal", "-shm"] {
        assert_eq!(mode(&folder.path().join(format!("var/lib/staging.db{suffix}"))), 0o600, "staging.db{suffix}");
    }
}

#[test]
fn what_was_committed_is_there_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("staging.db");
    block_on(async {
        let staging = open(&path);
        Reading::begin(&staging, "orders.v1").await.stage(&[("1", r#"{"a":1}"#)]).await;
        drop(staging);
        assert!(!folder.path().join("staging.db-wal").exists(), "a clean end leaves one file");
        let staging = open(&path);
        assert_eq!(staging.document(&id("orders.v1"), "1").await.unwrap().unwrap().payload, br#"{"a":1}"#);
    });
}

/// A file system of 6 MiB, unmounted when dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<SmallDisk> {
        let folder = tempfile::tempdir().unwrap();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=6m", "none"]).arg(folder.path()).output().ok()?;
        mounted.status.success().then_some(SmallDisk(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

/// Fills the disk, checks that the refused batch left nothing, makes room, and goes on.
async fn fill_and_go_on(
    staging: std::sync::Arc<dyn Staging>,
    make_room: impl FnOnce() -> Option<std::sync::Arc<dyn Staging>>,
) {
    let mut reading = Reading::begin(&staging, "orders.v1").await;
    let payload = format!("{{\"pad\":\"{}\"}}", "x".repeat(2000));
    let mut batches = 0u64;
    let refused = loop {
        let offset = batches * 200;
        let rows = (0..20).map(|n| document(&format!("{batches}-{n}"), &payload, offset + n * 10)).collect();
        let batch = reading.batch(rows, vec![reject(RejectCode::BadSign, offset + 195)], 0);
        match staging.commit(batch.clone()).await {
            Ok(_) => reading.checkpoint = batch.checkpoint,
            Err(error) => break error,
        }
        batches += 1;
        assert!(batches < 10_000, "the disk never got full");
    };
    assert!(matches!(refused, StagingError::DiskFull { .. }), "{refused}");
    assert!(batches > 0);
    let check = async || {
        let status = staging.status(&reading.resource).await.unwrap();
        assert_eq!((status.documents, status.sequence, status.dead_letters), (batches * 20, batches * 20, batches));
        let run = staging.run(&reading.run).await.unwrap().unwrap();
        assert!(run.balance.holds() && run.balance.read == batches * 21);
        let document = staging.document(&reading.resource, &format!("{}-19", batches - 1)).await.unwrap();
        assert_eq!(document.unwrap().payload, payload.as_bytes());
        assert_eq!(staging.document(&reading.resource, &format!("{batches}-0")).await.unwrap(), None);
    };
    check().await;
    staging.ping().await.unwrap();
    let staging = make_room().unwrap_or(staging);
    let batch = reading.batch(vec![document("after", &payload, 1)], vec![], 0);
    staging.commit(batch).await.unwrap();
    assert!(staging.document(&reading.resource, "after").await.unwrap().is_some());
}

#[test]
fn a_full_disk_loses_nothing_and_stops_nobody() {
    // As root on a real small disk; elsewhere the bound below stands for it.
    let Some(disk) = SmallDisk::mount() else { return a_full_database_loses_nothing_and_stops_nobody() };
    let ballast = disk.0.path().join("ballast");
    std::fs::write(&ballast, vec![0; 2 << 20]).unwrap();
    let staging = open(&disk.0.path().join("staging.db"));
    block_on(fill_and_go_on(staging, || {
        std::fs::remove_file(&ballast).unwrap();
        None
    }));
}

#[test]
fn a_full_database_loses_nothing_and_stops_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("staging.db");
    let config = Config { max_bytes: Some(2 << 20), ..Config::default() };
    let staging = std::sync::Arc::new(SqliteStaging::open(&path, &config).unwrap());
    block_on(fill_and_go_on(staging, || Some(open(&path))));
}

#[test]
fn the_log_does_not_grow_without_bound_under_steady_readers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("staging.db");
    let config = Config { wal_bytes: 2 << 20, ..Config::default() };
    let staging: std::sync::Arc<dyn Staging> = std::sync::Arc::new(SqliteStaging::open(&path, &config).unwrap());
    block_on(async {
        let mut reading = Reading::begin(&staging, "orders.v1").await;
        let (resource, reader) = (reading.resource.clone(), staging.clone());
        let (stop, mut stopped) = tokio::sync::watch::channel(false);
        let readers: Vec<_> = (0..3)
            .map(|_| {
                let (resource, reader, stopped) = (resource.clone(), reader.clone(), stopped.clone());
                tokio::spawn(async move {
                    while !*stopped.borrow() {
                        let query = tollbridge::staging::ListQuery { limit: 50, ..Default::default() };
                        reader.list(&resource, query).await.unwrap();
                    }
                })
            })
            .collect();
        let mut largest = 0;
        for batch in 0..40u64 {
            let payload = format!("{{\"n\":{batch},\"pad\":\"{}\"}}", "x".repeat(900));
            let rows = (0..300).map(|n| document(&format!("{n}"), &payload, n)).collect();
            reading.commit(rows, vec![], 0).await;
            largest = largest.max(std::fs::metadata(folder.path().join("staging.db-wal")).unwrap().len());
        }
        stop.send(true).unwrap();
        stopped.changed().await.unwrap();
        for reader in readers {
            reader.await.unwrap();
        }
        // 40 batches of some 0.4 MB each; without the bound all of them would lie in the log.
        assert!(largest < 8 << 20, "{largest}");
    });
}
