//! Real folders: what is taken, when, and where it goes.

use std::fs;
use std::io::Read;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use glob::Pattern;

use super::InboxConfig;
use crate::adapters::inbox::{Door, Duplicates, Empty, Fate, InboxError, Order, Pickup, Scan, Until};
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
            ..gate::Config::default()
        };
        Site { folder, gate: Gate::new("files", config, None) }
    }

    fn inbox(&self) -> std::path::PathBuf {
        self.folder.path().join("inbox")
    }

    fn config(&self) -> InboxConfig {
        InboxConfig {
            inbox: self.inbox(),
            archive: self.folder.path().join("archive"),
            rejected: self.folder.path().join("rejected"),
            pickup: Pickup {
                stable_for: Duration::ZERO,
                done_file: None,
                ignore: vec![Pattern::new("*.tmp").unwrap(), Pattern::new("*.part").unwrap()],
                trailer_wait: None,
                recursive: false,
                match_case: true,
                order: Order::Name,
                duplicates: Duplicates::Reject,
                empty: Empty::Reject,
                poll: Duration::from_secs(1),
            },
        }
    }

    fn door(&self, change: impl FnOnce(&mut InboxConfig)) -> Door {
        let mut config = self.config();
        change(&mut config);
        super::door(config)
    }

    fn backend(&self, stable_for: Duration, done_file: Option<&str>) -> Door {
        self.door(|config| {
            config.pickup.stable_for = stable_for;
            config.pickup.done_file = done_file.map(str::to_owned);
        })
    }

    fn permit(&self) -> Permit {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(self.gate.acquire(Lane::Sync, None)).unwrap()
    }

    fn scan(&self, backend: &Door, pattern: &str) -> Scan {
        backend.scan(&self.permit(), &Pattern::new(pattern).unwrap(), &[]).unwrap()
    }
}

fn waiting(scan: &Scan) -> Vec<String> {
    scan.unsettled.iter().map(|file| file.name.clone()).collect()
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
    assert_eq!((names(&scan), waiting(&scan)), (vec![], vec!["a.csv".to_owned()]));
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
    let mut claim = backend.claim(&permit, &scan.stable[0], 0).unwrap();
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
        let mut claim = backend.claim(&permit, &scan.stable[0], 0).unwrap();
        std::thread::sleep(Duration::from_millis(20));
        change(&path);
        claim.read_to_end(&mut Vec::new()).unwrap();
        assert!(matches!(claim.finish(), Err(InboxError::Changed { .. })));
        let moved = backend.acknowledge(&permit, &scan.stable[0], Fate::Archived);
        assert!(matches!(moved, Err(InboxError::Changed { .. } | InboxError::Vanished { .. })));
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
    let fault = backend.scan(&site.permit(), &Pattern::new("*").unwrap(), &[]).unwrap_err().to_string();
    assert!(fault.contains("check that the folder exists"), "{fault}");
}

#[test]
fn names_in_flight_hidden_names_and_announcements_are_passed_over() {
    let site = Site::new();
    for name in ["a.csv", "a.csv.tmp", "b.CSV.PART", ".c.csv", "a.csv.done", "d.csv~"] {
        fs::write(site.inbox().join(name), "x").unwrap();
    }
    let scan = site.scan(&site.door(|config| config.pickup.done_file = Some("{name}.done".to_owned())), "*");
    assert_eq!((names(&scan), waiting(&scan)), (vec!["a.csv"], vec!["d.csv~".to_owned()]));
}

#[test]
fn folders_below_are_looked_into_where_asked_and_links_never() {
    let site = Site::new();
    fs::create_dir_all(site.inbox().join("2026/03")).unwrap();
    fs::create_dir(site.inbox().join(".hidden")).unwrap();
    let outside = site.folder.path().join("outside");
    fs::create_dir(&outside).unwrap();
    for path in ["inbox/a.csv", "inbox/2026/b.csv", "inbox/2026/03/c.csv", "inbox/.hidden/d.csv", "outside/e.csv"] {
        fs::write(site.folder.path().join(path), path).unwrap();
    }
    symlink(&outside, site.inbox().join("linked")).unwrap();
    symlink(outside.join("e.csv"), site.inbox().join("e.csv")).unwrap();
    symlink(site.inbox(), site.inbox().join("2026/loop")).unwrap();
    assert_eq!(names(&site.scan(&site.door(|_| {}), "*.csv")), ["a.csv"]);
    let door = site.door(|config| config.pickup.recursive = true);
    let scan = site.scan(&door, "*.csv");
    assert_eq!(names(&scan), ["2026/03/c.csv", "2026/b.csv", "a.csv"]);

    // The folders come back in the archive.
    for candidate in &scan.stable {
        door.acknowledge(&site.permit(), candidate, Fate::Archived).unwrap();
    }
    assert_eq!(fs::read_to_string(site.folder.path().join("archive/2026/03/c.csv")).unwrap(), "inbox/2026/03/c.csv");
    assert!(fs::read_to_string(outside.join("e.csv")).is_ok());
}

#[test]
fn a_folder_that_becomes_a_link_leads_nowhere() {
    let site = Site::new();
    let outside = site.folder.path().join("outside");
    for folder in [&outside, &site.inbox().join("sub")] {
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join("a.csv"), "x").unwrap();
    }
    let door = site.door(|config| config.pickup.recursive = true);
    let candidate = site.scan(&door, "*.csv").stable.remove(0);
    fs::rename(site.inbox().join("sub"), site.folder.path().join("away")).unwrap();
    symlink(&outside, site.inbox().join("sub")).unwrap();
    let permit = site.permit();
    let fault = door.claim(&permit, &candidate, 0).map(drop).unwrap_err();
    assert!(matches!(fault, InboxError::File { .. }), "{fault}");
    assert!(door.acknowledge(&permit, &candidate, Fate::Archived).is_err());
    assert!(outside.join("a.csv").exists());
}

#[test]
fn a_sequence_waits_for_what_is_missing_before_it() {
    let site = Site::new();
    for name in ["ORD9.DAT", "ORD10.DAT", "ORD11.DAT"] {
        fs::write(site.inbox().join(name), "x").unwrap();
        fs::write(site.inbox().join(format!("{name}.done")), "").unwrap();
    }
    fs::remove_file(site.inbox().join("ORD10.DAT.done")).unwrap();
    let door = site.door(|config| {
        config.pickup.order = Order::Sequence(regex::Regex::new("([0-9]+)").unwrap());
        config.pickup.done_file = Some("{name}.done".to_owned());
    });
    let scan = site.scan(&door, "*.DAT");
    assert_eq!(names(&scan), ["ORD9.DAT"]);
    assert_eq!(waiting(&scan), ["ORD10.DAT", "ORD11.DAT"]);
    assert_eq!(scan.unsettled[1].until, Until::Turn("ORD10.DAT".to_owned()));
    fs::write(site.inbox().join("ORD10.DAT.done"), "").unwrap();
    assert_eq!(names(&site.scan(&door, "*.DAT")), ["ORD9.DAT", "ORD10.DAT", "ORD11.DAT"]);
}

#[test]
fn names_in_any_case_and_names_that_are_no_text() {
    use std::os::unix::ffi::OsStrExt;
    let site = Site::new();
    let odd = std::ffi::OsStr::from_bytes(b"ORD\xe4.dat");
    fs::write(site.inbox().join(odd), "odd").unwrap();
    fs::write(site.inbox().join("ord1.Dat"), "x").unwrap();
    fs::write(site.inbox().join("Ord1.DAT.Done"), "").unwrap();
    assert!(names(&site.scan(&site.door(|_| {}), "ORD*.DAT")).is_empty());
    let door = site.door(|config| {
        config.pickup.match_case = false;
        config.pickup.done_file = Some("{name}.done".to_owned());
    });
    let scan = site.scan(&door, "ORD*.DAT");
    assert_eq!((names(&scan), waiting(&scan)), (vec!["ord1.Dat"], vec!["ORD%E4.dat".to_owned()]));
    door.acknowledge(&site.permit(), &scan.stable[0], Fate::Archived).unwrap();
    assert!(site.folder.path().join("archive/Ord1.DAT.Done").exists());

    let door = site.door(|config| config.pickup.match_case = false);
    let scan = site.scan(&door, "ORD*.DAT");
    let permit = site.permit();
    let mut content = String::new();
    let mut claim = door.claim(&permit, &scan.stable[0], 0).unwrap();
    claim.read_to_string(&mut content).unwrap();
    claim.finish().unwrap();
    assert_eq!(content, "odd");
    door.acknowledge(&permit, &scan.stable[0], Fate::Archived).unwrap();
    assert!(site.folder.path().join("archive").join(odd).exists());
}

#[test]
fn a_file_that_is_gone_is_no_fault_of_the_folder() {
    let site = Site::new();
    fs::write(site.inbox().join("a.csv"), "x").unwrap();
    let door = site.door(|_| {});
    let candidate = site.scan(&door, "*").stable.remove(0);
    fs::remove_file(site.inbox().join("a.csv")).unwrap();
    let permit = site.permit();
    assert!(matches!(door.claim(&permit, &candidate, 0).map(drop), Err(InboxError::Vanished { .. })));
    assert!(matches!(door.acknowledge(&permit, &candidate, Fate::Archived), Err(InboxError::Vanished { .. })));
}

/// An archive on another file system: the memory file system that every Linux has.
fn elsewhere(site: &Site) -> tempfile::TempDir {
    use std::os::unix::fs::MetadataExt;
    let other = tempfile::tempdir_in("/dev/shm").unwrap();
    let device = |path: &Path| fs::metadata(path).unwrap().dev();
    assert_ne!(device(other.path()), device(site.folder.path()), "/dev/shm and {:?} are one file system", site.folder);
    other
}

#[test]
fn an_archive_on_another_file_system_gets_whole_copies_and_loses_nothing() {
    let site = Site::new();
    let other = elsewhere(&site);
    let door = site.door(|config| config.archive = other.path().join("archive"));
    for content in ["one", "two"] {
        fs::write(site.inbox().join("a.csv"), content).unwrap();
        let scan = site.scan(&door, "*");
        let modified = fs::metadata(site.inbox().join("a.csv")).unwrap().modified().unwrap();
        let target = door.acknowledge(&site.permit(), &scan.stable[0], Fate::Archived).unwrap();
        assert_eq!(fs::metadata(target).unwrap().modified().unwrap(), modified);
    }
    let archive = other.path().join("archive");
    assert_eq!(fs::read_to_string(archive.join("a.csv")).unwrap(), "one");
    assert_eq!(fs::read_to_string(archive.join("a.csv.2")).unwrap(), "two");
    assert_eq!(fs::read_dir(&archive).unwrap().count(), 2);
    assert_eq!(fs::read_dir(site.inbox()).unwrap().count(), 0);
}

#[test]
fn a_copy_that_a_crash_left_is_not_made_twice() {
    let site = Site::new();
    let other = elsewhere(&site);
    let door = site.door(|config| config.archive = other.path().to_owned());
    fs::write(site.inbox().join("a.csv"), "content").unwrap();
    let modified = fs::metadata(site.inbox().join("a.csv")).unwrap().modified().unwrap();
    // Copied under its name, but not yet taken from the inbox; and half of an even earlier attempt.
    fs::write(other.path().join("a.csv"), "content").unwrap();
    fs::File::open(other.path().join("a.csv")).unwrap().set_modified(modified).unwrap();
    fs::write(other.path().join(".a.csv.tollbridge-copy"), "conte").unwrap();
    let scan = site.scan(&door, "*");
    let target = door.acknowledge(&site.permit(), &scan.stable[0], Fate::Archived).unwrap();
    assert_eq!(Path::new(&target), other.path().join("a.csv"));
    assert!(!site.inbox().join("a.csv").exists() && !other.path().join("a.csv.2").exists());

    // The same size and time, but another content: that is another file.
    fs::write(site.inbox().join("a.csv"), "CONTENT").unwrap();
    fs::File::open(site.inbox().join("a.csv")).unwrap().set_modified(modified).unwrap();
    let scan = site.scan(&door, "*");
    door.acknowledge(&site.permit(), &scan.stable[0], Fate::Archived).unwrap();
    assert_eq!(fs::read_to_string(other.path().join("a.csv")).unwrap(), "content");
    assert_eq!(fs::read_to_string(other.path().join("a.csv.2")).unwrap(), "CONTENT");
    assert!(!other.path().join(".a.csv.tollbridge-copy").exists());
}

/// A feed that always sends the same name.
#[test]
fn the_same_name_again_and_again() {
    let site = Site::new();
    let other = elsewhere(&site);
    for archive in [site.folder.path().join("archive"), other.path().join("archive")] {
        let door = site.door(|config| config.archive = archive.clone());
        let take = |content: &str| {
            fs::write(site.inbox().join("a.csv"), content).unwrap();
            let scan = site.scan(&door, "*");
            door.acknowledge(&site.permit(), &scan.stable[0], Fate::Archived).unwrap()
        };
        for number in 1..=40 {
            take(&number.to_string());
        }
        assert_eq!(fs::read_to_string(archive.join("a.csv")).unwrap(), "1");
        for number in 2..=40 {
            assert_eq!(fs::read_to_string(archive.join(format!("a.csv.{number}"))).unwrap(), number.to_string());
        }
        assert_eq!(fs::read_dir(&archive).unwrap().count(), 40);
        // Where somebody has taken some away nothing is overwritten either.
        fs::remove_file(archive.join("a.csv")).unwrap();
        fs::remove_file(archive.join("a.csv.3")).unwrap();
        assert_eq!(Path::new(&take("next")), archive.join("a.csv"));
        let target = take("last");
        assert_eq!(
            (fs::read_to_string(target).unwrap().as_str(), fs::read_dir(&archive).unwrap().count()),
            ("last", 40)
        );
    }
    // Copied by an attempt before, as the newest of many.
    let door = site.door(|config| config.archive = other.path().join("archive"));
    fs::write(site.inbox().join("b.csv"), "content").unwrap();
    let modified = fs::metadata(site.inbox().join("b.csv")).unwrap().modified().unwrap();
    let copies = (1..=20).map(|number| if number == 1 { "b.csv".to_owned() } else { format!("b.csv.{number}") });
    for name in copies {
        let path = other.path().join("archive").join(&name);
        fs::write(&path, if name == "b.csv.20" { "content" } else { "another" }).unwrap();
        fs::File::open(&path).unwrap().set_modified(modified).unwrap();
    }
    let scan = site.scan(&door, "b.csv");
    let target = door.acknowledge(&site.permit(), &scan.stable[0], Fate::Archived).unwrap();
    assert_eq!(Path::new(&target), other.path().join("archive/b.csv.20"));
    assert!(!site.inbox().join("b.csv").exists());
}

#[test]
fn the_kernel_tells_of_whole_files() {
    let site = Site::new();
    let door = site.door(|config| config.pickup.recursive = true);
    let (ring, rings) = std::sync::mpsc::channel();
    let watching = door.watch(&site.permit(), move || ring.send(()).unwrap_or_default()).unwrap();
    assert!(rings.recv_timeout(Duration::from_millis(200)).is_err());
    fs::write(site.folder.path().join("a.csv"), "x").unwrap();
    fs::rename(site.folder.path().join("a.csv"), site.inbox().join("a.csv")).unwrap();
    rings.recv_timeout(Duration::from_secs(30)).unwrap();
    while rings.recv_timeout(Duration::from_millis(200)).is_ok() {}
    let mut file = fs::File::create(site.inbox().join("b.csv")).unwrap();
    rings.recv_timeout(Duration::from_secs(30)).unwrap();
    while rings.recv_timeout(Duration::from_millis(200)).is_ok() {}
    std::io::Write::write_all(&mut file, b"x").unwrap();
    assert!(rings.recv_timeout(Duration::from_millis(200)).is_err());
    drop(file);
    rings.recv_timeout(Duration::from_secs(30)).unwrap();
    assert!(!watching.is_stale());
    fs::rename(site.inbox(), site.folder.path().join("away")).unwrap();
    fs::create_dir(site.inbox()).unwrap();
    assert!(watching.is_stale());
}
