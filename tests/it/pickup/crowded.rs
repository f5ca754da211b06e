//! An inbox that is not ours alone: other services read it too, other people name the files, and there may be many.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::process::Stdio;

use serde_json::{Value, json};

use super::{items, letters, site, staged, sync};
use crate::site::Site;

fn local(more: &str) -> String {
    format!("[backends.erp.files]\ninbox = \"inbox\"\nstable_for = \"0s\"\n{more}\n")
}

/// How many versions each of these records has, as `trace` says.
fn versions(site: &Site, id: u32) -> usize {
    let (trace, _) = site.json(&["trace", "items", &id.to_string()]);
    trace[0]["versions"].as_array().unwrap_or_else(|| panic!("{id}: {trace:?}")).len()
}

/// A service and commands beside it, over one database, read each file once, also when the service is killed.
#[test]
fn a_service_and_commands_share_an_inbox() {
    let site = site(&local("poll = \"100ms\""));
    let mapping = fs::read_to_string(site.path("mappings/items.v1.toml")).unwrap();
    let often = mapping.replace("backend = \"erp\"", "backend = \"erp\"\nschedule = \"every 100ms\"");
    site.write("mappings/items.v1.toml", often.as_bytes());
    let service = site.serve();
    service.until(|| (service.admin("GET", "/health/ready").0 == 200).then_some(()));
    let deliver = |files: std::ops::Range<u32>| {
        for file in files {
            site.deliver(&format!("items{file:02}.csv"), &items(file * 10..file * 10 + 10));
        }
    };
    let start = || site.command(&["sync", "items"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    deliver(0..20);
    let commands = [start(), start(), start()];
    service.until(|| site.listing("inbox").is_empty().then_some(()));
    for mut command in commands {
        command.wait().unwrap();
    }
    // The service goes without a word, with files on their way.
    deliver(20..40);
    service.until(|| (site.listing("archive").len() > 20).then_some(()));
    service.signal("KILL");
    service.wait();
    let (_, code, said) = sync(&site);
    assert_eq!((code, site.listing("inbox")), (0, vec![]), "{said}");
    let expected: Vec<String> = (0..40).map(|file| format!("items{file:02}.csv")).collect();
    assert_eq!(site.listing("archive"), expected);
    for file in 0..40 {
        assert_eq!(versions(&site, file * 10 + 9), 1, "file {file}");
    }
    assert_eq!(letters(&site), []);
}

/// Two services that know nothing of each other cannot share files; but none is lost, and none is in the archive twice.
#[test]
fn two_strangers_at_one_inbox_lose_nothing() {
    let one = site(&local(""));
    let folder = |name: &str| one.path(name).display().to_string();
    let two = site(&format!(
        "[backends.erp.files]\ninbox = \"{}\"\narchive = \"{}\"\nrejected = \"{}\"\nstable_for = \"0s\"\n",
        folder("inbox"),
        folder("archive"),
        folder("rejected")
    ));
    const FILES: u32 = 60;
    for file in 0..FILES {
        one.deliver(&format!("items{file:02}.csv"), &items(file * 10..file * 10 + 10));
    }
    let start = |site: &Site| {
        site.command(&["sync", "items", "--json"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let (first, second) = (start(&one), start(&two));
    let ended = [first.wait_with_output().unwrap(), second.wait_with_output().unwrap()];
    let said = ended.iter().map(|output| String::from_utf8_lossy(&output.stderr).into_owned()).collect::<String>();
    let runs = ended.map(|output| serde_json::from_slice::<Value>(&output.stdout).unwrap());
    assert_eq!(one.listing("inbox"), Vec::<String>::new(), "{runs:?}\n{said}");
    let expected: Vec<String> = (0..FILES).map(|file| format!("items{file:02}.csv")).collect();
    assert_eq!(one.listing("archive"), expected, "{runs:?}\n{said}");
    assert_eq!((one.listing("rejected"), letters(&one), letters(&two)), (vec![], vec![], vec![]));
    // Each file was read as a whole by one of them, or by both.
    let has = |site: &Site, id: u32| site.run(&["trace", "items", &id.to_string()]).status.code() == Some(0);
    for file in 0..FILES {
        let whole = |site: &Site| (has(site, file * 10), has(site, file * 10 + 9));
        let (one, two) = (whole(&one), whole(&two));
        assert!(one.0 == one.1 && two.0 == two.1 && (one.0 || two.0), "file {file}: {one:?} {two:?}\n{said}");
    }
}

/// Names are whatever somebody chose: they are read, moved as they are, and told on one line.
#[test]
fn names_of_any_bytes() {
    let site = site(&local(""));
    let names: [&[u8]; 5] = [
        b"items\n2026 ERROR faked.csv",
        b"items\xff\xfe.csv",
        b"items\"'\\ $(x).csv",
        b"items\x1b[31m.csv",
        "items€\u{202e}.csv".as_bytes(),
    ];
    for (n, name) in names.into_iter().enumerate() {
        fs::write(site.path("inbox").join(OsStr::from_bytes(name)), items(n as u32 * 10..n as u32 * 10 + 2)).unwrap();
        let strange = [b"items0".as_slice(), name].concat();
        fs::write(site.path("inbox").join(OsStr::from_bytes(&strange)), format!("NUMBER{n}\n1\n")).unwrap();
    }
    let output = site.run(&["sync", "items"]);
    let (told, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{told}{said}");
    for line in told.lines().chain(said.lines()) {
        assert!(!line.starts_with("2026 ERROR faked") && !line.contains("\x1b[31m."), "{told}{said}");
    }
    for (n, name) in names.into_iter().enumerate() {
        assert!(site.path("archive").join(OsStr::from_bytes(name)).is_file(), "{name:?}");
        assert!(site.path("rejected").join(OsStr::from_bytes(&[b"items0".as_slice(), name].concat())).is_file());
        assert_eq!(versions(&site, n as u32 * 10 + 1), 1);
    }
    assert_eq!(letters(&site).len(), 5);
    let list = site.run(&["dead-letters", "list"]);
    let list = String::from_utf8_lossy(&list.stdout);
    assert!(list.lines().all(|line| !line.starts_with("2026 ERROR faked")) && !list.contains("\x1b[31m."), "{list}");
    // In JSON names are as they are, but for bytes that are no text.
    let files: Vec<String> = letters(&site).into_iter().map(|(_, file)| file).collect();
    assert!(files.contains(&"items0items\n2026 ERROR faked.csv".to_owned()), "{files:?}");
    assert!(files.contains(&"items0items%FF%FE.csv".to_owned()), "{files:?}");
}

/// Hundreds of small files at once are one run.
#[test]
fn hundreds_of_files() {
    const FILES: u32 = 600;
    let site = site(&local("duplicates = \"read\""));
    for file in 0..FILES {
        site.write(&format!("inbox/items{file:05}.csv"), &items(file..file + 1));
    }
    let (run, code, said) = sync(&site);
    assert_eq!((staged(&run), code), (u64::from(FILES), 0), "{run}\n{said}");
    assert_eq!((site.listing("inbox").len(), site.listing("archive").len()), (0, FILES as usize));
    assert_eq!(run["unsettled"], json!([]));
}
