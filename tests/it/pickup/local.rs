//! An inbox that is a folder: files that come and go, cannot be moved or read, and feeds that fall silent.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use super::sshd::root;
use super::{change, check, items, letters, site, staged, staging, sync};
use crate::site::{Service, Site};

/// The backend of a local inbox, with more settings.
fn local(more: &str) -> String {
    format!("[backends.erp.files]\ninbox = \"inbox\"\nstable_for = \"0s\"\n{more}\n")
}

fn metrics(service: &crate::site::Service) -> String {
    service.admin("GET", "/metrics").1
}

#[test]
fn files_below_are_read_in_order_of_their_sequence() {
    let site = site(&local("recursive = true\norder = { sequence = 'items-?([0-9]+)' }"));
    // Each names the same record anew: what is read last stands.
    for (name, word) in [("items9.csv", "nine"), ("2026/items10.csv", "ten"), ("2026/03/items-011.csv", "eleven")] {
        site.write(&format!("inbox/{name}"), format!("ID;NAME\nA;{word}\n").as_bytes());
    }
    let (run, code, said) = sync(&site);
    assert_eq!((staged(&run), code), (3, 0), "{run}\n{said}");
    let (trace, _) = site.json(&["trace", "items", "A"]);
    assert_eq!(trace[0]["document"]["name"], "eleven");
    assert_eq!(trace[0]["versions"].as_array().unwrap().len(), 3);
    assert!(site.path("archive/2026/03/items-011.csv").is_file());
}

/// Neither names nor the order in which they came say when files were changed last; of two at the same time the name does.
#[test]
fn files_are_read_in_order_of_their_last_change() {
    let site = site(&local("order = \"mtime\""));
    let now = SystemTime::now();
    let at = |ago: u64, nanos: u64| now - Duration::from_secs(ago) - Duration::from_nanos(nanos);
    let files = [
        ("items5.csv", at(60, 0)),
        ("items1.csv", at(60, 1000)),
        ("items4.csv", at(7200, 0)),
        ("items2.csv", at(86_400 * 400, 0)),
        ("items3.csv", at(7200, 0)),
    ];
    for (name, changed) in files {
        site.deliver(name, format!("ID;NAME\nA;{name}\n").as_bytes());
        fs::File::options().write(true).open(site.path("inbox").join(name)).unwrap().set_modified(changed).unwrap();
    }
    let (run, code, said) = sync(&site);
    assert_eq!((staged(&run), code), (5, 0), "{run}\n{said}");
    let ledger = staging(&site);
    let mut select = ledger.prepare("SELECT path FROM file ORDER BY turn").unwrap();
    let paths: Vec<String> = select.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
    assert_eq!(paths, ["items2.csv", "items3.csv", "items4.csv", "items1.csv", "items5.csv"]);
    let (trace, _) = site.json(&["trace", "items", "A"]);
    assert_eq!(trace[0]["document"]["name"], "items5.csv", "what was changed last stands");
    // By their names it would have been another.
    let by_name = super::site(&local(""));
    for (name, changed) in files {
        by_name.deliver(name, format!("ID;NAME\nA;{name}\n").as_bytes());
        fs::File::options().write(true).open(by_name.path("inbox").join(name)).unwrap().set_modified(changed).unwrap();
    }
    sync(&by_name);
    let first: String =
        staging(&by_name).query_row("SELECT path FROM file WHERE turn = 1", [], |row| row.get(0)).unwrap();
    assert_eq!(first, "items1.csv");
}

#[test]
fn a_file_that_cannot_be_moved_is_told_once_and_moved_when_it_can_be() {
    let site = site(&local("poll = \"200ms\""));
    let mapping = fs::read_to_string(site.path("mappings/items.v1.toml")).unwrap();
    let often = mapping.replace("backend = \"erp\"", "backend = \"erp\"\nschedule = \"every 200ms\"");
    site.write("mappings/items.v1.toml", often.as_bytes());
    site.write("archive", b"in the way");
    site.deliver("items1.csv", &items(0..5));
    let service = site.serve();
    let unmoved = |count: u32| format!("tollbridge_inbox_unmoved_files{{backend=\"erp\"}} {count}");
    service.until(|| metrics(&service).contains(&unmoved(1)).then_some(()));
    std::thread::sleep(Duration::from_secs(1));
    let runs: Value = serde_json::from_str(&service.admin("GET", "/admin/v1/runs").1).unwrap();
    assert_eq!(runs["data"].as_array().unwrap().len(), 1, "{runs}");
    drop(service);

    // After a restart the ledger knows it by its delivery: not even the run begins.
    fs::remove_file(site.path("archive")).unwrap();
    let (run, _, said) = sync(&site);
    assert_eq!(
        (run["state"].as_str(), site.listing("archive")),
        (Some("idle"), vec!["items1.csv".to_owned()]),
        "{said}"
    );
    // Delivered once more, it is another delivery.
    site.deliver("items1.csv", &items(0..5));
    assert_eq!(sync(&site).0["unchanged"], 5);
}

#[test]
fn an_archive_on_another_file_system() {
    let other = tempfile::tempdir_in("/dev/shm").unwrap();
    let site = site(&local(&format!("archive = \"{0}/archive\"\nrejected = \"{0}/rejected\"", other.path().display())));
    assert_ne!(fs::metadata(other.path()).unwrap().dev(), fs::metadata(site.path("inbox")).unwrap().dev());
    for n in 0..3 {
        site.deliver("items1.csv", &items(n..n + 2));
        site.deliver("items2.csv", b"");
        sync(&site);
    }
    for (n, name) in ["items1.csv", "items1.csv.2", "items1.csv.3"].into_iter().enumerate() {
        let n = n as u32;
        assert_eq!(fs::read(other.path().join("archive").join(name)).unwrap(), items(n..n + 2));
    }
    assert_eq!(fs::read_dir(other.path().join("rejected")).unwrap().count(), 3);
    assert_eq!(site.listing("inbox"), Vec::<String>::new());
}

/// Runs the program as somebody who is not root, whom permissions bind; `folder` must be theirs.
fn as_nobody(site: &Site, arguments: &[&str]) -> (String, i32) {
    let mut command = site.command(arguments);
    if fs::metadata(site.path("inbox")).unwrap().uid() == 65534 {
        command.uid(65534).gid(65534);
    }
    let output = command.output().unwrap();
    (String::from_utf8_lossy(&output.stderr).into_owned(), output.status.code().unwrap())
}

/// Gives the whole site to nobody, where we are root.
fn give_away(site: &Site) {
    let is_root = fs::metadata(site.path("inbox")).unwrap().uid() == 0;
    let mut open = vec![site.path("")];
    while let (Some(path), true) = (open.pop(), is_root) {
        std::os::unix::fs::chown(&path, Some(65534), Some(65534)).unwrap();
        if path.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
}

#[test]
fn what_will_stay_in_the_inbox_is_said_before() {
    let site = site(&local(""));
    give_away(&site);
    let (said, code) = as_nobody(&site, &["check"]);
    assert!(code == 0 && !said.contains("moved"), "{said}");
    fs::set_permissions(site.path("inbox"), fs::Permissions::from_mode(0o500)).unwrap();
    site.write("rejected", b"in the way");
    let (said, code) = as_nobody(&site, &["check"]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("inbox: files cannot be moved out of it"), "{said}");
    assert!(said.contains("rejected: files cannot be moved into it"), "{said}");
}

#[test]
fn permissions_lost_are_said_and_regained_are_enough() {
    let site = site(&local("recursive = true"));
    site.deliver("items1.csv", &items(0..2));
    site.deliver("items2.csv", &items(2..4));
    site.write("inbox/deep/items3.csv", &items(4..6));
    give_away(&site);
    let mode = |path: &str, mode: u32| fs::set_permissions(site.path(path), fs::Permissions::from_mode(mode)).unwrap();
    mode("inbox", 0);
    let (said, code) = as_nobody(&site, &["sync", "items"]);
    assert!(code == 3 && said.contains("check that the folder exists and that this user may read it"), "{said}");

    // One file and one folder that cannot be read hold up neither the others nor the news that they cannot.
    mode("inbox", 0o700);
    mode("inbox/items1.csv", 0);
    mode("inbox/deep", 0);
    let (said, code) = as_nobody(&site, &["sync", "items"]);
    assert!(code == 3 && said.contains("cannot be read"), "{said}");
    assert_eq!(site.listing("archive"), ["items2.csv"]);

    mode("inbox/items1.csv", 0o600);
    mode("inbox/deep", 0o700);
    let (said, code) = as_nobody(&site, &["sync", "items"]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(site.listing("archive"), ["deep", "items1.csv", "items2.csv"]);
}

#[test]
fn a_watched_inbox_is_read_at_once_and_one_that_comes_back_again() {
    let site = site(&local(""));
    let mapping = fs::read_to_string(site.path("mappings/items.v1.toml")).unwrap();
    let watched = mapping.replace("backend = \"erp\"", "backend = \"erp\"\nschedule = \"watch\"");
    site.write("mappings/items.v1.toml", watched.as_bytes());
    let service = site.serve();
    service.until(|| (service.admin("GET", "/health/ready").0 == 200).then_some(()));
    // The poll beside the watch comes every 30 seconds: what is faster was heard.
    for n in 1..4 {
        std::thread::sleep(Duration::from_secs(1));
        let started = Instant::now();
        let name = format!("items{n}.csv");
        site.deliver(&name, &items(n..n + 5));
        service.until(|| site.listing("archive").contains(&name).then_some(()));
        assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    }
    // The folder goes away and comes back, as a mount does.
    fs::rename(site.path("inbox"), site.path("gone")).unwrap();
    std::thread::sleep(Duration::from_secs(1));
    fs::rename(site.path("gone"), site.path("inbox")).unwrap();
    site.deliver("items9.csv", &items(90..95));
    service.until(|| site.listing("archive").contains(&"items9.csv".to_owned()).then_some(()));
}

/// Where the kernel has no watch to give, `poll` says how often it is looked.
#[test]
fn an_inbox_that_cannot_be_watched_is_polled() {
    let site = site(&local("poll = \"200ms\""));
    let mapping = fs::read_to_string(site.path("mappings/items.v1.toml")).unwrap();
    let watched = mapping.replace("backend = \"erp\"", "backend = \"erp\"\nschedule = \"watch\"");
    site.write("mappings/items.v1.toml", watched.as_bytes());
    let without = "echo 0 > /proc/sys/user/max_inotify_instances && exec \"$@\"";
    let service = site.serve_by(&["unshare", "-r", "sh", "-c", without, "sh"]);
    service.until(|| (service.admin("GET", "/health/ready").0 == 200).then_some(()));
    let said = || fs::read_to_string(site.path("log")).unwrap();
    service.until(|| said().contains("the inbox cannot be watched; it is polled").then_some(()));
    // An inbox that is watched is looked at every 30 seconds beside.
    for n in 1..4 {
        let started = Instant::now();
        let name = format!("items{n}.csv");
        site.deliver(&name, &items(n..n + 5));
        service.until(|| site.listing("archive").contains(&name).then_some(()));
        assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    }
}

/// Starts the service where what is in the site's folder `elsewhere` is mounted on another of its folders as a share is; while
/// there is a file `silent` it answers nothing.
pub(crate) fn serve_with_share(site: &Site, mount: &str) -> Service {
    fs::create_dir(site.path("elsewhere")).unwrap();
    let share = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/pickup/share.py");
    let mounted = format!(
        "python3 '{share}' elsewhere {mount} mounted silent & \
         until [ -e mounted ]; do kill -0 $! || exit 1; sleep 0.1; done; exec \"$@\""
    );
    site.serve_by(&["unshare", "--map-root-user", "--mount", "sh", "-c", &mounted, "sh"])
}

/// A share, whose files another machine writes, is looked at as often as `poll` says: the kernel has a watch for it, and
/// tells nothing.
#[test]
fn a_share_is_polled() {
    let site = site(&local("poll = \"200ms\""));
    let mapping = fs::read_to_string(site.path("mappings/items.v1.toml")).unwrap();
    let watched = mapping.replace("backend = \"erp\"", "backend = \"erp\"\nschedule = \"watch\"");
    site.write("mappings/items.v1.toml", watched.as_bytes());
    let elsewhere = site.path("elsewhere");
    let service = serve_with_share(&site, "inbox");
    service.until(|| (service.admin("GET", "/health/ready").0 == 200).then_some(()));
    for n in 1..4 {
        let started = Instant::now();
        let name = format!("items{n}.csv");
        fs::write(site.path("half"), items(n..n + 5)).unwrap();
        fs::rename(site.path("half"), elsewhere.join(&name)).unwrap();
        // From one file system to another it is copied, and deleted then.
        let is_moved = || site.listing("archive").contains(&name) && !elsewhere.join(&name).exists();
        service.until(|| is_moved().then_some(()));
        assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    }
    // It was the share that was read, and nothing lies in the folder below it.
    assert_eq!(site.listing("inbox"), [""; 0]);
}

#[test]
fn a_silent_feed_is_told() {
    let site = site(&local(""));
    let mapping = fs::read_to_string(site.path("mappings/items.v1.toml")).unwrap();
    let expected = "backend = \"erp\"\nschedule = \"every 200ms\"\nexpect_every = \"5s\"";
    site.write("mappings/items.v1.toml", mapping.replace("backend = \"erp\"", expected).as_bytes());
    let service = site.serve();
    let silent = |state: u32| format!("tollbridge_feed_silent{{resource=\"items.v1\"}} {state}");
    let resources = || service.admin("GET", "/admin/v1/resources").1;
    service.until(|| metrics(&service).contains(&silent(0)).then_some(()));
    assert!(resources().contains("\"silent\":false"), "{}", resources());
    service.until(|| metrics(&service).contains(&silent(1)).then_some(()));
    assert!(
        resources().contains("\"silent\":true") && resources().contains("\"expect_every\":\"5s\""),
        "{}",
        resources()
    );
    assert!(service.admin("GET", "/").1.contains("never: silent"), "{}", service.admin("GET", "/").1);
    site.deliver("items1.csv", &items(0..2));
    service.until(|| metrics(&service).contains(&silent(0)).then_some(()));
    let line = "tollbridge_feed_last_file_timestamp_seconds{resource=\"items.v1\"} ";
    let text = metrics(&service);
    let seconds: f64 = text.lines().find_map(|found| found.strip_prefix(line)).unwrap().parse().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    assert!((0.0..120.0).contains(&(now - seconds)), "{now} {seconds}");
}

#[test]
fn a_full_disk_loses_nothing() {
    let small = tempfile::tempdir().unwrap();
    let mount = |arguments: &[&str]| {
        assert!(root("mount").args(arguments).arg(small.path()).status().unwrap().success());
    };
    mount(&["-t", "tmpfs", "-o", "size=2m,mode=777", "tmpfs"]);
    let site = site(&format!("{}\n[landing]\npath = \"{}/landing\"", local(""), small.path().display()));
    site.deliver("items1.csv", &items(0..10));
    let large = items(0..150_000);
    site.deliver("items2.csv", &large);
    let (run, code, said) = sync(&site);
    assert_eq!((run["state"].as_str(), code), (Some("failed"), 1), "{run}\n{said}");
    assert!(run["error"].as_str().unwrap().contains("no space left"), "{run}");
    assert_eq!(
        (site.listing("inbox"), site.listing("archive")),
        (vec!["items2.csv".to_owned()], vec!["items1.csv".to_owned()])
    );
    assert_eq!(fs::read_dir(small.path().join("landing/incoming")).unwrap().count(), 0);
    mount(&["-o", "remount,size=32m"]);
    let (run, code, said) = sync(&site);
    assert_eq!((run["read"].as_u64(), code), (Some(150_000), 0), "{run}\n{said}");
    assert!(root("umount").arg(small.path()).status().unwrap().success());
}

#[test]
fn all_faults_of_a_backend_are_said_at_once() {
    let site = site(&local(
        "order = { sequence = 'x' }\nduplicates = \"maybe\"\nignore = \"*.tmp\"\nempty = 0\narchive = \"inbox\"",
    ));
    let (said, code) = check(&site);
    assert_eq!(code, 2, "{said}");
    for words in ["has 0 groups", "\"maybe\" is not one of", "array of patterns", "`empty`: expected a string"] {
        assert!(said.contains(words), "no {words} in {said}");
    }
    change(
        &site,
        "[backends.erp.sftp]\nhost = \"h\"\nport = 0\npassword = \"hunter2\"\ninbox = \"in\"\narchive = \"in\"\n\
         host_key = \"MD5:ab\"\nknown_hosts = \"k\"\npassphrase = { env = \"P\" }\ntimeout = \"1ms\"\n\
         [backends.b.ftps]\nhost = \"h\"\nusername = \"u\"\ninbox = \"/\"\ntls = \"off\"\nca = \"x\"",
    );
    let (said, code) = check(&site);
    assert_eq!(code, 2, "{said}");
    for words in [
        "0 is outside 1 to 65535",
        "a secret is not written here",
        "has no `username`",
        "`archive` must lie outside of the inbox",
        "exclude each other",
        "belongs to a `private_key`",
        "from \"1s\" to \"1h\"",
        "has no `password`",
        "`ca` has no meaning",
    ] {
        assert!(said.contains(words), "no {words} in {said}");
    }
    assert!(!said.contains("hunter2"), "{said}");
    assert_eq!(letters(&Site::with_mappings(&[("items.v1.toml", super::ITEMS)])), []);
}
