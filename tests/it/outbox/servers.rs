//! Outboxes on servers: OpenSSH's own, and an FTP server written by others.

use std::path::{Path, PathBuf};

use super::{BODY, CONTENT, ORDERS, Running, seen, site, start};
use crate::pickup::ftpd::{Ftpd, PASSWORD};
use crate::pickup::sshd::Sshd;

/// A server with the folder `in` that the backend takes files from.
trait Server {
    fn folder(&self) -> PathBuf;
    fn backend(&self) -> String;
}

impl Server for Sshd {
    fn folder(&self) -> PathBuf {
        self.path("in")
    }

    fn backend(&self) -> String {
        let outbox = format!("outbox = \"{}\"\n{}", self.path("in").display(), self.trusted());
        Sshd::backend(self, self.port, &outbox)
    }
}

impl Server for (Ftpd, &str) {
    fn folder(&self) -> PathBuf {
        self.0.path("home/in")
    }

    fn backend(&self) -> String {
        let trust = if self.1 == "off" { String::new() } else { self.0.ca("ca.pem") };
        self.0.backend(&format!("outbox = \"/in\"\ntls = \"{}\"\n{trust}", self.1))
    }
}

fn running(server: &impl Server, halt: Option<&str>) -> Running {
    std::fs::create_dir_all(server.folder()).unwrap();
    let site = site(&server.backend(), ORDERS);
    site.write("secret", format!("{PASSWORD}\n").as_bytes());
    start(site, halt)
}

fn hands_over(server: &impl Server) {
    let running = running(server, None);
    let made = running.create("a", BODY);
    assert_eq!(made.status, 201, "{made:?}");
    let name = made.json()["file"].as_str().unwrap().to_owned();
    assert_eq!(seen(&server.folder()), [(name.clone(), CONTENT.to_owned())]);
    std::fs::remove_file(server.folder().join(&name)).unwrap();
    assert_eq!(running.create("a", BODY).field("idempotent-replayed"), Some("true"));
    assert_eq!(running.create("b", r#"{"order_no":"1","amount":1}"#).status, 201);
    assert_eq!(seen(&server.folder()).len(), 1);
    assert_eq!(std::fs::read_dir(server.folder().join(".tollbridge")).unwrap().count(), 1, "one receipt");
    let (steps, code) = running.site.json(&["doctor", "erp"]);
    assert!(steps[0]["steps"].as_array().unwrap().iter().any(|step| step["step"] == "outbox"), "{steps:?}");
    assert_eq!(code, 0, "{steps:?}");

    // A folder that is not there is not made.
    let away = server.folder().with_file_name("away");
    std::fs::rename(server.folder(), &away).unwrap();
    running.create("c", r#"{"order_no":"2","amount":1}"#).problem(503, "backend-unavailable");
    assert!(!server.folder().exists());
    std::fs::rename(&away, server.folder()).unwrap();
    assert_eq!(running.create("c", r#"{"order_no":"2","amount":1}"#).status, 201);
    assert_eq!(seen(&server.folder()).len(), 2);
}

fn take(folder: &Path, taken: &mut Vec<(String, String)>) {
    for file in seen(folder) {
        std::fs::remove_file(folder.join(&file.0)).unwrap();
        taken.push(file);
    }
}

fn hands_over_once(make: impl Fn() -> Box<dyn Fn(Option<&str>) -> (Running, PathBuf)>) {
    for point in ["written_down", "before_running", "running", "answered"] {
        let (running, folder) = make()(Some(point));
        let halted = running.site.path("halted");
        running.send_and_leave("a", BODY, || halted.exists());
        let mut taken = Vec::new();
        take(&folder, &mut taken);
        let running = running.kill_and_restart();
        let done = || Some(running.create("a", BODY)).filter(|answer| answer.status == 201);
        running.service.until(done);
        take(&folder, &mut taken);
        assert_eq!(taken.len(), 1, "{point}: {taken:?}");
        assert_eq!(taken[0].1, CONTENT, "{point}");
    }
}

#[test]
fn sftp() {
    hands_over(&Sshd::start());
}

/// A server that lets nobody have two channels is renamed at by SFTP's own words.
#[test]
fn sftp_with_one_channel() {
    hands_over(&Sshd::configured("MaxSessions 1"));
}

#[test]
fn sftp_hands_over_once_whatever_dies() {
    let sshd = std::sync::Arc::new(Sshd::start());
    hands_over_once(|| {
        let sshd = std::sync::Arc::clone(&sshd);
        Box::new(move |halt| (running(&*sshd, halt), sshd.folder()))
    });
}

/// What has the name at the server is not written over.
#[test]
fn a_name_that_is_taken_at_a_server_waits() {
    let sshd = Sshd::start();
    std::fs::create_dir_all(sshd.folder()).unwrap();
    let mapping = ORDERS.replace("new-{operation_id}.csv", "NEW.CSV");
    let site = site(&Server::backend(&sshd), &mapping);
    let running = start(site, None);
    std::fs::write(sshd.folder().join("NEW.CSV"), "older").unwrap();
    running.create("a", BODY).problem(503, "backend-unavailable");
    assert_eq!(seen(&sshd.folder()), [("NEW.CSV".to_owned(), "older".to_owned())]);
    std::fs::remove_file(sshd.folder().join("NEW.CSV")).unwrap();
    assert_eq!(running.create("a", BODY).status, 201);
    assert_eq!(seen(&sshd.folder()), [("NEW.CSV".to_owned(), CONTENT.to_owned())]);
}

#[test]
fn ftps() {
    for options in
        [&["explicit"][..], &["implicit"], &["explicit", "nofacts"], &["off"], &["off", "nofacts", "oddlist"]]
    {
        hands_over(&(Ftpd::start(options), options[0]));
    }
}

/// A server that can only list: paths that begin nowhere begin where the login ends, and what has a name is found by the list.
#[test]
fn a_server_that_knows_little_does() {
    let ftpd = Ftpd::start(&["off", "nofacts", "nosize"]);
    std::fs::create_dir_all(ftpd.path("home/in")).unwrap();
    let backend = ftpd.backend("outbox = \"in\"\ntls = \"off\"");
    let site = site(&backend, &ORDERS.replace("new-{operation_id}.csv", "NEW.CSV"));
    site.write("secret", format!("{PASSWORD}\n").as_bytes());
    let running = start(site, None);
    assert_eq!(running.create("a", BODY).status, 201);
    running.create("b", r#"{"order_no":"1","amount":1}"#).problem(503, "backend-unavailable");
    assert_eq!(seen(&ftpd.path("home/in")), [("NEW.CSV".to_owned(), CONTENT.to_owned())]);
}

/// Several who write under one name, and a backend that takes each file as soon as it sees it: nothing is written over.
#[test]
fn one_name_for_all_is_given_once_at_a_time() {
    let sshd = Sshd::start();
    let folder = sshd.folder();
    std::fs::create_dir_all(&folder).unwrap();
    let site = site(&Server::backend(&sshd), &ORDERS.replace("new-{operation_id}.csv", "NEW.CSV"));
    let running = start(site, None);
    let is_over = std::sync::atomic::AtomicBool::new(false);
    let mut taken = Vec::new();
    let done = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..6)
            .map(|caller| {
                let running = &running;
                scope.spawn(move || {
                    let body = |number| format!(r#"{{"order_no":"{caller}{number}","amount":1}}"#);
                    let create = |number| running.create(&format!("{caller}-{number}"), &body(number)).status;
                    (0..6).filter(|number| create(*number) == 201).count()
                })
            })
            .collect();
        let (is_over, folder, taken) = (&is_over, &folder, &mut taken);
        let taker = scope.spawn(move || {
            while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                // Away in one step, so that what comes meanwhile is another file.
                let away = folder.with_file_name("taken");
                if std::fs::rename(folder.join("NEW.CSV"), &away).is_ok() {
                    taken.push(std::fs::read_to_string(&away).unwrap());
                }
            }
        });
        let done: usize = callers.into_iter().map(|caller| caller.join().unwrap()).sum();
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        taker.join().unwrap();
        done
    });
    taken.extend(seen(&folder).into_iter().map(|(_, content)| content));
    assert_eq!(taken.len(), done, "{taken:?}");
    taken.sort();
    taken.dedup();
    assert!(taken.len() == done && done > 0, "{done}");
}

#[test]
fn ftps_hands_over_once_whatever_dies() {
    let ftpd = std::sync::Arc::new((Ftpd::start(&["explicit"]), "explicit"));
    hands_over_once(|| {
        let ftpd = std::sync::Arc::clone(&ftpd);
        Box::new(move |halt| (running(&*ftpd, halt), ftpd.folder()))
    });
}

/// A line that breaks while a file is sent leaves nothing in the outbox; one that breaks while it is renamed leaves it open
/// whether it is there, which is found out, and it comes once.
#[test]
fn a_line_that_breaks_is_made_good() {
    for (limits, status) in [(r#"{"cut_in": 3}"#, 503), (r#"{"lost": "undone"}"#, 504), (r#"{"lost": "done"}"#, 201)] {
        let server = (Ftpd::start(&["off"]), "off");
        let running = running(&server, None);
        server.0.limit(limits);
        let broken = running.create("a", BODY);
        assert_eq!(broken.status, status, "{limits}: {broken:?}");
        let mut taken = Vec::new();
        take(&server.folder(), &mut taken);
        assert_eq!(taken.len(), usize::from(status == 201), "{limits}");
        server.0.limit("{}");
        let done = || Some(running.create("a", BODY)).filter(|answer| answer.status == 201);
        running.service.until(done);
        take(&server.folder(), &mut taken);
        assert_eq!(taken.len(), 1, "{limits}");
        assert_eq!(taken[0].1, CONTENT, "{limits}");
    }
}
