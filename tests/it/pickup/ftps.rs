//! An inbox on an FTP server: TLS and whom it trusts, listings of both kinds, downloads that break off.

use std::time::{Duration, Instant};

use super::ftpd::{Ftpd, PASSWORD};
use super::{change, check, items, letters, sha256, site, staged, sync};
use crate::site::Site;

/// A site that reads the server's outbox, with more settings.
fn reading(ftpd: &Ftpd, more: &str) -> Site {
    let site = site(&ftpd.backend(more));
    site.write("secret", format!("{PASSWORD}\n").as_bytes());
    site
}

#[test]
fn files_are_read_once_and_moved_on_the_server() {
    for options in [&["explicit"][..], &["implicit"], &["explicit", "nofacts"], &["off"]] {
        let ftpd = Ftpd::start(options);
        let trust = if options[0] == "off" { String::new() } else { ftpd.ca("ca.pem") };
        let site = reading(&ftpd, &format!("tls = \"{}\"\n{trust}\nrecursive = true", options[0]));
        std::fs::create_dir_all(ftpd.path("home/outbox/2026")).unwrap();
        ftpd.deliver("items1.csv", &items(0..10));
        ftpd.deliver("items1.csv.tmp", &items(0..10));
        ftpd.deliver("2026/items 2.csv", &items(10..30));
        let (run, code, said) = sync(&site);
        assert_eq!((staged(&run), code), (30, 0), "{options:?}: {run}\n{said}");
        let checked = String::from_utf8_lossy(&site.run(&["check"]).stderr).into_owned();
        assert_eq!(checked.contains("tls is off"), options[0] == "off", "{checked}");
        assert!(!said.contains(PASSWORD), "{said}");
        assert_eq!(ftpd.listing("outbox"), ["2026", "items1.csv.tmp"], "{options:?}");
        assert_eq!(ftpd.listing("archive"), ["2026", "items1.csv"], "{options:?}");
        assert_eq!(std::fs::read(ftpd.path("home/archive/2026/items 2.csv")).unwrap(), items(10..30));

        ftpd.deliver("items1.csv", &items(40..43));
        assert_eq!(staged(&sync(&site).0), 3, "{options:?}");
        assert_eq!(std::fs::read(ftpd.path("home/archive/items1.csv")).unwrap(), items(0..10));
        assert_eq!(std::fs::read(ftpd.path("home/archive/items1.csv.2")).unwrap(), items(40..43));
        assert_eq!(sync(&site).0["state"], "idle");
        assert_eq!(letters(&site), []);
    }
}

#[test]
fn a_listing_of_an_unknown_make_is_asked_for_bare_names() {
    let ftpd = Ftpd::start(&["explicit", "nofacts", "oddlist"]);
    let site = reading(&ftpd, &ftpd.ca("ca.pem"));
    std::fs::create_dir(ftpd.path("home/outbox/items0.csv")).unwrap();
    ftpd.deliver("items1.csv", &items(0..10));
    ftpd.deliver("items2.csv", &items(10..15));
    let (run, code, said) = sync(&site);
    assert_eq!((staged(&run), code), (15, 0), "{run}\n{said}");
    assert_eq!(ftpd.listing("archive"), ["items1.csv", "items2.csv"]);
}

#[test]
fn names_are_in_the_encoding_of_the_server() {
    let ftpd = Ftpd::start(&["explicit"]);
    let site = reading(&ftpd, &format!("{}\nencoding = \"windows-1252\"", ftpd.ca("ca.pem")));
    // The server's bytes for this name are UTF-8; read as windows-1252 they are other letters, and written in it
    // again they must be the same bytes.
    ftpd.deliver("items-grün.csv", &items(0..3));
    let (run, code, said) = sync(&site);
    assert_eq!((staged(&run), code), (3, 0), "{run}\n{said}");
    assert_eq!(ftpd.listing("archive"), ["items-grün.csv"]);
    let (trace, _) = site.json(&["trace", "items", "0"]);
    assert_eq!(trace[0]["versions"][0]["file"], "items-grÃ¼n.csv");
    change(&site, &ftpd.backend("encoding = \"utf-16\""));
    assert!(check(&site).0.contains("no encoding of file names"), "{}", check(&site).0);
}

#[test]
fn only_the_right_certificate_and_password_will_do() {
    let ftpd = Ftpd::start(&["explicit"]);
    let site = reading(&ftpd, &ftpd.ca("ca.pem"));
    assert_eq!(check(&site).1, 0, "{}", check(&site).0);
    // Another authority; the right one, but another name; the system's list, which knows neither.
    let named = ftpd.backend(&ftpd.ca("ca.pem")).replace("127.0.0.1", "localhost");
    for backend in [ftpd.backend(&ftpd.ca("other.pem")), named, ftpd.backend("")] {
        change(&site, &backend);
        let (said, code) = check(&site);
        assert!(code == 3 && said.contains("is not trusted"), "{said}");
    }
    change(&site, &ftpd.backend(&ftpd.ca("nowhere.pem")));
    assert!(check(&site).0.contains("nowhere.pem cannot be read"), "{}", check(&site).0);

    change(&site, &ftpd.backend(&ftpd.ca("ca.pem")));
    site.write("secret", b"geheim-und-falsch");
    let (said, code) = check(&site);
    assert!(code == 3 && said.contains("does not let erp in") && !said.contains("geheim"), "{said}");
    std::fs::remove_file(site.path("secret")).unwrap();
    assert!(check(&site).0.contains("cannot be read"), "{}", check(&site).0);
}

#[test]
fn tls_is_never_given_up_silently() {
    let ftpd = Ftpd::start(&["off"]);
    let site = reading(&ftpd, &ftpd.ca("ca.pem"));
    let (said, code) = check(&site);
    assert!(code == 3 && said.contains("does not do TLS"), "{said}");
    change(&site, &ftpd.backend("tls = \"off\""));
    let (said, code) = check(&site);
    assert!(code == 0 && said.contains("can read and change password and files"), "{said}");
    let tls = Ftpd::start(&["explicit"]);
    change(&site, &tls.backend("tls = \"off\""));
    let (said, code) = check(&site);
    assert!(code == 3 && said.contains("the server says"), "{said}");
}

#[test]
fn a_download_that_broke_off_goes_on_where_it_ended() {
    for options in [&["explicit"][..], &["off", "nofacts"]] {
        let ftpd = Ftpd::start(options);
        let trust = if options[0] == "off" { String::new() } else { ftpd.ca("ca.pem") };
        let site = reading(&ftpd, &format!("tls = \"{}\"\n{trust}", options[0]));
        let content = items(0..120_000);
        ftpd.deliver("items1.csv", &content);
        ftpd.limit(&format!("{{\"cut\": {}}}", content.len() * 2 / 3));
        let (run, code, said) = sync(&site);
        assert_eq!((run["state"].as_str(), code), (Some("failed"), 3), "{run}\n{said}");
        assert!(run["error"].as_str().unwrap().contains("the next run goes on where this one ended"), "{run}");
        // The rest is shorter than the limit, the whole is not: only a resumed download comes to its end.
        let (run, code, said) = sync(&site);
        assert_eq!((staged(&run), code), (120_000, 0), "{run}\n{said}");
        let (trace, _) = site.json(&["trace", "items", "119999"]);
        assert_eq!(trace[0]["versions"][0]["blob"].as_str().unwrap(), sha256(&content));
    }
}

#[test]
fn a_slow_server_is_waited_for_and_a_dead_one_is_not() {
    let ftpd = Ftpd::start(&["explicit"]);
    let site = reading(&ftpd, &format!("{}\ntimeout = \"5s\"", ftpd.ca("ca.pem")));
    ftpd.deliver("items1.csv", &items(0..150_000));
    ftpd.limit("{\"pause\": 0.1}");
    let started = Instant::now();
    let (run, code, said) = sync(&site);
    assert_eq!((staged(&run), code), (150_000, 0), "{run}\n{said}");
    assert!(started.elapsed() > Duration::from_secs(5), "{:?}", started.elapsed());

    ftpd.deliver("items2.csv", &items(0..50_000));
    ftpd.limit("{\"silent\": 200000}");
    let started = Instant::now();
    let (run, code, said) = sync(&site);
    assert_eq!((run["state"].as_str(), code), (Some("failed"), 3), "{run}\n{said}");
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
    assert!(run["error"].as_str().unwrap().contains("did not answer in time"), "{run}");
}

#[test]
fn a_file_that_cannot_be_moved_is_not_read_again() {
    let ftpd = Ftpd::start(&["explicit"]);
    let site = reading(&ftpd, &format!("{}\npoll = \"200ms\"", ftpd.ca("ca.pem")));
    // Only what stood still for some seconds is known by its seconds.
    let config = std::fs::read_to_string(site.path("tollbridge.toml")).unwrap();
    site.write("tollbridge.toml", config.replace("\"0s\"", "\"2s\"").as_bytes());
    std::fs::write(ftpd.path("home/archive"), "in the way").unwrap();
    ftpd.deliver("items1.csv", &items(0..4));
    let (run, code, said) = sync(&site);
    assert_eq!((staged(&run), code), (4, 0), "{run}\n{said}");
    assert!(said.contains("will not be read again"), "{said}");
    assert_eq!(sync(&site).0["state"], "idle");
    std::fs::remove_file(ftpd.path("home/archive")).unwrap();
    sync(&site);
    assert_eq!((ftpd.listing("outbox"), ftpd.listing("archive")), (vec![], vec!["items1.csv".to_owned()]));
}

#[test]
fn no_level_of_logging_shows_the_password() {
    let ftpd = Ftpd::start(&["explicit"]);
    let site = reading(&ftpd, &ftpd.ca("ca.pem"));
    let mapping = std::fs::read_to_string(site.path("mappings/items.v1.toml")).unwrap();
    let often = mapping.replace("backend = \"erp\"", "backend = \"erp\"\nschedule = \"watch\"");
    site.write("mappings/items.v1.toml", often.as_bytes());
    ftpd.deliver("items1.csv", &items(0..4));
    let mut command = site.command(&["serve"]);
    command.env("TOLLBRIDGE__TELEMETRY__LEVEL", "trace");
    command.env("TOLLBRIDGE__SERVER__LISTEN", "127.0.0.1:0").env("TOLLBRIDGE__SERVER__ADMIN_LISTEN", "127.0.0.1:0");
    let log = std::fs::File::create(site.path("log")).unwrap();
    let mut child = command.stdout(std::process::Stdio::null()).stderr(log).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while ftpd.listing("archive").is_empty() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(50));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let log = std::fs::read_to_string(site.path("log")).unwrap();
    assert_eq!(ftpd.listing("archive"), ["items1.csv"], "{log}");
    assert!(log.contains("TRACE") || log.contains("DEBUG"), "{log}");
    assert!(!log.contains(PASSWORD) && !log.contains("Zollbr"), "the log has the password");
}
