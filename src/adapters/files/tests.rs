//! Real folders: what is taken, when, and where it goes.

use std::fs;
use std::io::Read;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use glob::Pattern;

use super::{Config, Fate, FilesBackend, FilesError, Scan};
use crate::gate::{self, Gate, Lane, Permit};

struct Site {
    folder: tempfile::TempDir,
    gate: Arc<Gate>,
}

impl Site {
    fn new() -> Site {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("inbox")).unwrap();
        let config = gate::Config {
            max_in_flight: 2,
            queue: 1,
            queue_timeout: Duration::from_secs(1),
            settle: Duration::from_secs(1),
            sync_share: 1.0,
            breaker: gate::Breaker::default(),
        };
        Site { folder, gate: Gate::new("files", config, None) }
    }

    fn inbox(&self) -> std::path::PathBuf {
        self.folder.path().join("inbox")
    }

    fn backend(&self, stable_for: Duration, done_file: Option<&str>) -> FilesBackend {
        FilesBackend::new(Config {
            inbox: self.inbox(),
            archive: self.folder.path().join("archive"),
            rejected: self.folder.path().join("rejected"),
            stable_for,
            done_file: done_file.map(str::to_owned),
        })
    }

    fn permit(&self) -> Permit {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(self.gate.acquire(Lane::Sync, None)).unwrap()
    }

    fn scan(&self, backend: &FilesBackend, pattern: &str) -> Scan {
        backend.scan(&self.permit(), &Pattern::new(pattern).unwrap()).unwrap()
    }
}

fn names(scan: &Scan) -> Vec<&str> {
    scan.stable.iter().map(|candidate| candidate.name.as_str()).collect()
}

#[test]
fn takes_matching_regular_files_in_order_of_name() {
    let site = Site::new();
    for name in ["ORD2.DAT", "ORD1.DAT", "CUST.CSV", ".ORD3.DAT"] {
        fs::write(site.inbox().join(name), "x").unwrap();
    }
    fs::create_dir(site.inbox().join("ORD4.DAT")).unwrap();
    symlink("/etc/passwd", site.inbox().join("ORD5.DAT")).unwrap();
    let backend = site.backend(Duration::ZERO, None);
    assert_eq!(names(&site.scan(&backend, "ORD*.DAT")), ["ORD1.DAT", "ORD2.DAT"]);
}

#[test]
fn a_fresh_file_waits_until_it_is_stable() {
    let site = Site::new();
    fs::write(site.inbox().join("a.csv"), "x").unwrap();
    let backend = site.backend(Duration::from_secs(3600), None);
    let scan = site.scan(&backend, "*.csv");
    assert_eq!((names(&scan), scan.unsettled.clone()), (vec![], vec!["a.csv".to_owned()]));
}

#[test]
fn a_file_waits_for_the_file_that_announces_it_and_both_move() {
    let site = Site::new();
    fs::write(site.inbox().join("a.csv"), "x").unwrap();
    let backend = site.backend(Duration::ZERO, Some("{name}.done"));
    assert!(names(&site.scan(&backend, "*.csv")).is_empty());
    fs::write(site.inbox().join("a.csv.done"), "").unwrap();
    let scan = site.scan(&backend, "*.csv");
    assert_eq!(names(&scan), ["a.csv"]);
    backend.acknowledge(&site.permit(), &scan.stable[0], Fate::Archived).unwrap();
    assert!(site.folder.path().join("archive/a.csv").is_file());
    assert!(site.folder.path().join("archive/a.csv.done").is_file());
    assert_eq!(fs::read_dir(site.inbox()).unwrap().count(), 0);
}

#[test]
fn what_was_read_is_what_was_found() {
    let site = Site::new();
    fs::write(site.inbox().join("a.csv"), "hello").unwrap();
    let backend = site.backend(Duration::ZERO, None);
    let scan = site.scan(&backend, "*");
    let permit = site.permit();
    let mut claim = backend.claim(&permit, &scan.stable[0]).unwrap();
    let mut content = String::new();
    claim.read_to_string(&mut content).unwrap();
    claim.finish().unwrap();
    assert_eq!(content, "hello");
    drop(permit);
    assert_eq!(site.gate.status().in_flight(), 0);
}

#[test]
fn a_file_that_changes_while_it_is_read_does_not_count() {
    type Change = fn(&Path);
    let changes: [Change; 4] = [
        |path| fs::write(path, "hello, longer").unwrap(),
        |path| fs::write(path, "HELLO").unwrap(),
        |path| fs::rename(path, path.with_extension("moved")).unwrap(),
        |path| {
            fs::write(path.with_extension("new"), "hello").unwrap();
            fs::rename(path.with_extension("new"), path).unwrap();
        },
    ];
    for change in changes {
        let site = Site::new();
        let path = site.inbox().join("a.csv");
        fs::write(&path, "hello").unwrap();
        let backend = site.backend(Duration::ZERO, None);
        let scan = site.scan(&backend, "*.csv");
        let permit = site.permit();
        let mut claim = backend.claim(&permit, &scan.stable[0]).unwrap();
        std::thread::sleep(Duration::from_millis(20));
        change(&path);
        claim.read_to_end(&mut Vec::new()).unwrap();
        assert!(matches!(claim.finish(), Err(FilesError::Changed { .. })));
        let moved = backend.acknowledge(&permit, &scan.stable[0], Fate::Archived);
        assert!(matches!(moved, Err(FilesError::Changed { .. } | FilesError::File { .. })));
    }
}

#[test]
fn nothing_in_the_archive_is_overwritten() {
    let site = Site::new();
    let backend = site.backend(Duration::ZERO, None);
    for content in ["one", "two", "three"] {
        fs::write(site.inbox().join("a.csv"), content).unwrap();
        let scan = site.scan(&backend, "*");
        backend.acknowledge(&site.permit(), &scan.stable[0], Fate::Rejected).unwrap();
    }
    let rejected = site.folder.path().join("rejected");
    assert_eq!(fs::read_to_string(rejected.join("a.csv")).unwrap(), "one");
    assert_eq!(fs::read_to_string(rejected.join("a.csv.2")).unwrap(), "two");
    assert_eq!(fs::read_to_string(rejected.join("a.csv.3")).unwrap(), "three");
}

#[test]
fn a_missing_inbox_says_what_to_do() {
    let site = Site::new();
    fs::remove_dir(site.inbox()).unwrap();
    let backend = site.backend(Duration::ZERO, None);
    let fault = backend.scan(&site.permit(), &Pattern::new("*").unwrap()).unwrap_err().to_string();
    assert!(fault.contains("check that the folder exists"), "{fault}");
}
