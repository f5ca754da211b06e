//! An inbox on OpenSSH's own server: whom it trusts, how it lets in, and downloads that break off.

use std::time::{Duration, Instant};

use super::proxy::Proxy;
use super::sshd::{PASSWORD, Sshd, keygen};
use super::{change, check, items, letters, sha256, site, staged, sync};
use crate::site::Site;

/// A site that reads the server's outbox, with more settings.
fn trusting(sshd: &Sshd, more: &str) -> Site {
    site(&sshd.backend(sshd.port, &format!("{}\n{more}", sshd.trusted())))
}

#[test]
fn files_are_read_once_and_moved_on_the_server() {
    let sshd = Sshd::start();
    let site = trusting(&sshd, "recursive = true\npoll = \"500ms\"\ndone_file = \"{name}.done\"");
    std::fs::create_dir_all(sshd.path("outbox/2026")).unwrap();
    for name in ["items1.csv", "2026/items2.csv", "items3.csv"] {
        sshd.deliver(
            name,
            &items(match name {
                "items1.csv" => 0..10,
                "items3.csv" => 90..99,
                _ => 10..30,
            }),
        );
    }
    for done in ["items1.csv.done", "2026/items2.csv.done"] {
        sshd.deliver(done, b"");
    }
    std::os::unix::fs::symlink("/etc/passwd", sshd.path("outbox/items4.csv")).unwrap();
    std::os::unix::fs::symlink("/etc", sshd.path("outbox/linked")).unwrap();
    let done = sshd.path("outbox/items3.csv.done");
    let later = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(2));
        std::fs::write(done, "").unwrap();
    });
    // A run by hand waits for what has just arrived; this one for what is announced last.
    let (run, code, said) = sync(&site);
    later.join().unwrap();
    assert_eq!((staged(&run), code), (39, 0), "{run}\n{said}");
    assert_eq!(sshd.listing("outbox"), ["2026", "items4.csv", "linked"]);
    let archive = ["2026", "items1.csv", "items1.csv.done", "items3.csv", "items3.csv.done"];
    assert_eq!(sshd.listing("archive"), archive);
    assert_eq!(sshd.listing("archive/2026"), ["items2.csv", "items2.csv.done"]);

    // A name that is taken in the archive is not overwritten.
    sshd.deliver("items1.csv", &items(200..203));
    sshd.deliver("items1.csv.done", b"");
    let (run, _, said) = sync(&site);
    assert_eq!(staged(&run), 3, "{run}\n{said}");
    assert_eq!(std::fs::read(sshd.path("archive/items1.csv")).unwrap(), items(0..10));
    assert_eq!(std::fs::read(sshd.path("archive/items1.csv.2")).unwrap(), items(200..203));
}

/// Done files in another case go with their files, and names that come again and again get the next number.
#[test]
fn names_in_another_case_and_names_that_come_again() {
    let sshd = Sshd::start();
    let site = trusting(&sshd, "poll = \"500ms\"\nmatch_case = false\ndone_file = \"{name}.done\"");
    for round in 0..6 {
        sshd.deliver("ITEMS1.csv", &items(round..round + 1));
        sshd.deliver("Items1.CSV.Done", b"");
        let (run, code, said) = sync(&site);
        assert_eq!((staged(&run), code), (1, 0), "{run}\n{said}");
    }
    assert_eq!(sshd.listing("outbox"), Vec::<String>::new());
    let mut archive = Vec::new();
    for name in ["ITEMS1.csv", "Items1.CSV.Done"] {
        archive.push(name.to_owned());
        archive.extend((2..=6).map(|number| format!("{name}.{number}")));
    }
    assert_eq!(sshd.listing("archive"), archive);
    for round in 1..6 {
        let name = format!("archive/ITEMS1.csv.{}", round + 1);
        assert_eq!(std::fs::read(sshd.path(&name)).unwrap(), items(round..round + 1));
    }
}

#[test]
fn a_file_that_is_still_written_is_left() {
    let sshd = Sshd::start();
    let site = trusting(&sshd, "poll = \"100ms\"");
    change(
        &site,
        &sshd.backend(sshd.port, &format!("{}\npoll = \"200ms\"", sshd.trusted())).replace("\"0s\"", "\"2s\""),
    );
    let path = sshd.path("outbox/items1.csv");
    std::fs::write(&path, items(0..5)).unwrap();
    let writer = std::thread::spawn(move || {
        for _ in 0..10 {
            std::thread::sleep(Duration::from_millis(500));
            let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
            std::io::Write::write_all(&mut file, b"x;y\n").unwrap();
        }
    });
    let (run, _, said) = sync(&site);
    writer.join().unwrap();
    assert_eq!(run["read"], 15, "{run}\n{said}");
}

#[test]
fn an_unknown_key_is_shown_and_not_taken() {
    let sshd = Sshd::start();
    sshd.deliver("items1.csv", &items(0..3));
    let key = format!("private_key = \"{}\"", sshd.path("user").display());
    let site = site(&sshd.backend(sshd.port, &key));
    let (said, code) = check(&site);
    assert_eq!(code, 3, "{said}");
    let advice = format!("host_key = \"{}\"", sshd.fingerprint("host"));
    assert!(said.contains(&advice), "{said}\ndoes not say {advice}");

    // Another key than the one that is known.
    let other = format!("{key}\nhost_key = \"{}\"", sshd.fingerprint("other"));
    change(&site, &sshd.backend(sshd.port, &other));
    let (said, code) = check(&site);
    assert!(code == 3 && said.contains("is not trusted") && said.contains(&sshd.fingerprint("other")), "{said}");
    let (run, code, _) = sync(&site);
    assert_eq!((run["state"].as_str(), code), (Some("failed"), 3), "{run}");

    // As advised.
    change(&site, &sshd.backend(sshd.port, &format!("{key}\n{advice}")));
    assert_eq!(check(&site).1, 0, "{}", check(&site).0);
    assert_eq!(staged(&sync(&site).0), 3);
}

#[test]
fn known_hosts_are_read_as_openssh_writes_them() {
    let sshd = Sshd::start();
    let key = format!("private_key = \"{}\"", sshd.path("user").display());
    let known = |name: &str| format!("{key}\nknown_hosts = \"{}\"", sshd.path(name).display());
    let site = site(&sshd.backend(sshd.port, &known("known_hosts")));
    assert_eq!(check(&site).1, 0, "{}", check(&site).0);

    // Hashed names, as Debian's ssh writes them.
    std::fs::copy(sshd.path("known_hosts"), sshd.path("hashed")).unwrap();
    keygen(&["-H", "-f", sshd.path("hashed").to_str().unwrap()]);
    assert!(!std::fs::read_to_string(sshd.path("hashed")).unwrap().contains("127.0.0.1"));
    change(&site, &sshd.backend(sshd.port, &known("hashed")));
    assert_eq!(check(&site).1, 0, "{}", check(&site).0);

    let text = std::fs::read_to_string(sshd.path("known_hosts")).unwrap();
    let other = std::fs::read_to_string(sshd.path("other.pub")).unwrap();
    std::fs::write(sshd.path("changed"), format!("[127.0.0.1]:{} {other}", sshd.port)).unwrap();
    std::fs::write(sshd.path("foreign"), text.replace("127.0.0.1", "example.org")).unwrap();
    for (name, words) in
        [("changed", "has another for it"), ("foreign", "has no key for"), ("missing", "has no key for")]
    {
        change(&site, &sshd.backend(sshd.port, &known(name)));
        let (said, code) = check(&site);
        assert!(code == 3 && said.contains(words), "{name}: {said}");
    }
}

#[test]
fn passwords_and_keys_let_in_or_not() {
    let sshd = Sshd::with_password();
    sshd.deliver("items1.csv", &items(0..3));
    let trust = format!("host_key = [\"{}\", \"{}\"]", sshd.fingerprint("other"), sshd.fingerprint("host"));
    let site = site(&sshd.backend(sshd.port, &format!("password = {{ file = \"secret\" }}\n{trust}")));
    site.write("secret", "geheim-und-falsch\n".as_bytes());
    let (said, code) = check(&site);
    assert!(code == 3 && said.contains("refuses the login") && said.contains("the server takes"), "{said}");
    assert!(!said.contains("geheim"), "{said}");
    site.write("secret", format!("{PASSWORD}\n").as_bytes());
    assert_eq!(check(&site).1, 0, "{}", check(&site).0);
    assert_eq!(staged(&sync(&site).0), 3);

    std::fs::remove_file(site.path("secret")).unwrap();
    let (said, code) = check(&site);
    assert!(code == 3 && said.contains("cannot be read"), "{said}");

    // A key with a passphrase; the wrong passphrase; a key that the server does not know.
    let user = sshd.path("user");
    keygen(&["-p", "-q", "-P", "", "-N", "kennwort", "-f", user.to_str().unwrap()]);
    for (key, passphrase, words) in [
        ("user", Some("kennwort"), None),
        ("user", Some("falsch"), Some("cannot be used")),
        ("user", None, Some("cannot be used")),
        ("other", None, Some("does not let")),
    ] {
        site.write("passphrase", passphrase.unwrap_or_default().as_bytes());
        let passphrase = passphrase.map_or("", |_| "passphrase = { file = \"passphrase\" }");
        let key = format!("private_key = \"{}\"\n{passphrase}\n{trust}", sshd.path(key).display());
        change(&site, &sshd.backend(sshd.port, &key));
        let (said, code) = check(&site);
        match words {
            None => assert_eq!(code, 0, "{said}"),
            Some(words) => assert!(code == 3 && said.contains(words), "{said}"),
        }
    }
}

#[test]
fn a_download_that_broke_off_goes_on_where_it_ended() {
    let sshd = Sshd::start();
    let proxy = Proxy::to(sshd.port);
    let site = site(&sshd.backend(proxy.port, &sshd.trusted()));
    let content = items(0..200_000);
    sshd.deliver("items1.csv", &content);
    // Slow enough for what came to be taken before the line is cut.
    proxy.pause(Duration::from_millis(5));
    proxy.cut_after(content.len() as u64 * 2 / 3);
    let (run, code, said) = sync(&site);
    assert_eq!((run["state"].as_str(), code), (Some("failed"), 3), "{run}\n{said}");
    assert!(run["error"].as_str().unwrap().contains("the next run goes on where this one ended"), "{run}");
    let first = proxy.passed();
    proxy.pause(Duration::ZERO);
    proxy.cut_after(0);
    let (run, code, said) = sync(&site);
    assert_eq!((staged(&run), code), (200_000, 0), "{run}\n{said}");
    let second = proxy.passed();
    assert!(second < content.len() as u64 * 2 / 3, "{first} bytes, then {second} of {}", content.len());
    let (trace, _) = site.json(&["trace", "items", "199999"]);
    assert_eq!(trace[0]["versions"][0]["blob"].as_str().unwrap(), sha256(&content));
}

#[test]
fn a_file_that_changed_since_is_read_from_its_beginning() {
    let sshd = Sshd::start();
    let proxy = Proxy::to(sshd.port);
    let site = site(&sshd.backend(proxy.port, &sshd.trusted()));
    let content = items(0..60_000);
    sshd.deliver("items1.csv", &content);
    proxy.cut_after(content.len() as u64 / 2);
    assert_eq!(sync(&site).1, 3);
    proxy.cut_after(0);
    let changed = String::from_utf8(content).unwrap().replace("Item", "Part");
    sshd.deliver("items1.csv", changed.as_bytes());
    let file = std::fs::File::open(sshd.path("outbox/items1.csv")).unwrap();
    file.set_modified(std::time::SystemTime::now() - Duration::from_secs(3600)).unwrap();
    assert_eq!(staged(&sync(&site).0), 60_000);
    let (trace, _) = site.json(&["trace", "items", "0"]);
    assert_eq!(trace[0]["document"]["name"], "Part number 0");
}

#[test]
fn a_slow_server_is_waited_for_and_a_dead_one_is_not() {
    let sshd = Sshd::start();
    let proxy = Proxy::to(sshd.port);
    let site = site(&sshd.backend(proxy.port, &format!("{}\ntimeout = \"5s\"\nkeepalive = \"1s\"", sshd.trusted())));
    sshd.deliver("items1.csv", &items(0..60_000));
    // All in all it takes longer than the timeout, but every answer comes in time.
    proxy.pause(Duration::from_millis(100));
    let started = Instant::now();
    let (run, code, said) = sync(&site);
    assert_eq!((staged(&run), code), (60_000, 0), "{run}\n{said}");
    assert!(started.elapsed() > Duration::from_secs(5), "{:?}", started.elapsed());

    proxy.pause(Duration::ZERO);
    sshd.deliver("items2.csv", &items(60_000..110_000));
    for silent_after in [200_000, 1] {
        proxy.silent_after(silent_after);
        let started = Instant::now();
        let (run, code, said) = sync(&site);
        assert_eq!((run["state"].as_str(), code), (Some("failed"), 3), "{run}\n{said}");
        assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
    }
    proxy.silent_after(0);
    assert_eq!(staged(&sync(&site).0), 50_000);
}

#[test]
fn a_file_that_cannot_be_moved_is_not_read_again() {
    let sshd = Sshd::start();
    let site = trusting(&sshd, "poll = \"200ms\"");
    // Only what stood still for some seconds is known by its seconds.
    let config = std::fs::read_to_string(site.path("tollbridge.toml")).unwrap();
    site.write("tollbridge.toml", config.replace("\"0s\"", "\"2s\"").as_bytes());
    std::fs::write(sshd.path("archive"), "in the way").unwrap();
    sshd.deliver("items1.csv", &items(0..4));
    let (run, code, said) = sync(&site);
    assert_eq!((staged(&run), code), (4, 0), "{run}\n{said}");
    assert!(said.contains("will not be read again"), "{said}");
    let (run, _, said) = sync(&site);
    assert_eq!(run["state"], "idle", "{run}\n{said}");
    std::fs::remove_file(sshd.path("archive")).unwrap();
    sync(&site);
    assert_eq!((sshd.listing("outbox"), sshd.listing("archive")), (vec![], vec!["items1.csv".to_owned()]));
    assert_eq!(letters(&site), []);
}

#[test]
fn a_server_that_is_not_there_is_said_so() {
    let sshd = Sshd::start();
    let site = trusting(&sshd, "");
    drop(sshd);
    let (said, code) = check(&site);
    assert!(code == 3 && said.contains("cannot be reached"), "{said}");
}
