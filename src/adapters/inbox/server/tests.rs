//! A server that is made up: what it may say, and what must not follow from it.

use std::collections::BTreeMap;
use std::io::{self, Cursor, Read};
use std::sync::Arc;
use std::time::Duration;

use glob::Pattern;
use parking_lot::Mutex;

use super::super::remote::Folders;
use super::super::{Door, Duplicates, Empty, Fate, InboxError, Order, Pickup, Stamp};
use super::{Entry, Fault, Kind, Server, Session, Transfer};
use crate::gate::{self, Gate, Lane, Permit};

/// What the server has, by path, and how it behaves.
#[derive(Default)]
struct World {
    files: BTreeMap<String, (Vec<u8>, i64)>,
    /// Named in listings beside the files.
    phantoms: Vec<String>,
    /// No answer comes to this any more.
    deaf_to: Option<&'static str>,
    /// Files change while they are sent.
    restless: bool,
    /// Only so many bytes are sent.
    cut_at: Option<usize>,
    connections: u32,
}

type Shared = Arc<Mutex<World>>;

struct Line(Shared);

impl Line {
    fn ask(&self, what: &str) -> Result<parking_lot::MutexGuard<'_, World>, Fault> {
        let world = self.0.lock();
        if world.deaf_to == Some(what) {
            let reason = "silence".to_owned();
            return Err(Fault::Lost(InboxError::Unreachable { place: "made up".to_owned(), reason }));
        }
        Ok(world)
    }
}

fn missing() -> Fault {
    Fault::Refused(io::ErrorKind::NotFound.into())
}

fn stamp(file: &(Vec<u8>, i64)) -> Stamp {
    Stamp { size: file.0.len() as u64, modified: (file.1, 0), ..Stamp::default() }
}

impl Session for Line {
    fn list(&mut self, folder: &str) -> Result<Vec<Entry>, Fault> {
        let world = self.ask("list")?;
        let prefix = format!("{folder}/");
        let mut entries: BTreeMap<String, Entry> = BTreeMap::new();
        for (path, file) in &world.files {
            let Some(rest) = path.strip_prefix(&prefix) else { continue };
            let (name, kind) = match rest.split_once('/') {
                Some((folder, _)) => (folder, Kind::Folder),
                None => (rest, Kind::File),
            };
            let entry = Entry { name: name.to_owned(), kind, stamp: (kind == Kind::File).then(|| stamp(file)) };
            entries.insert(name.to_owned(), entry);
        }
        let phantom = |name: &String| Entry { name: name.clone(), kind: Kind::File, stamp: None };
        Ok(entries.into_values().chain(world.phantoms.iter().map(phantom)).collect())
    }

    fn state(&mut self, path: &str) -> Result<Stamp, Fault> {
        self.ask("state")?.files.get(path).map(stamp).ok_or_else(missing)
    }

    fn retrieve(&mut self, path: &str, from: u64) -> Result<Box<dyn Transfer>, Fault> {
        let mut world = self.ask("retrieve")?;
        let (restless, cut_at) = (world.restless, world.cut_at);
        let file = world.files.get_mut(path).ok_or_else(missing)?;
        let mut rest = file.0[from as usize..].to_vec();
        rest.truncate(cut_at.unwrap_or(usize::MAX));
        file.1 += i64::from(restless);
        Ok(Box::new(Bytes(Cursor::new(rest))))
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), Fault> {
        let mut world = self.ask("rename")?;
        let file = world.files.remove(from).ok_or_else(missing)?;
        // As some servers do, without a question.
        world.files.insert(to.to_owned(), file);
        Ok(())
    }

    fn store(&mut self, path: &str, content: &[u8]) -> Result<(), Fault> {
        self.ask("store")?.files.insert(path.to_owned(), (content.to_vec(), 1));
        Ok(())
    }

    fn remove(&mut self, path: &str) -> Result<(), Fault> {
        self.ask("remove")?.files.remove(path).map(drop).ok_or_else(missing)
    }

    fn make_folder(&mut self, _: &str) -> Result<(), Fault> {
        drop(self.ask("make")?);
        Err(Fault::Refused(io::ErrorKind::AlreadyExists.into()))
    }

    fn close(self: Box<Self>) {}
}

struct Bytes(Cursor<Vec<u8>>);

impl Read for Bytes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Transfer for Bytes {
    fn finish(self: Box<Self>) -> Result<(), Fault> {
        Ok(())
    }
}

/// A door to a made-up server, its world, and the gate in front of it.
fn site(files: &[(&str, &str)]) -> (Door, Shared, Arc<Gate>) {
    let world = Shared::default();
    world.lock().files =
        files.iter().map(|(path, content)| ((*path).to_owned(), (content.as_bytes().to_vec(), 1000))).collect();
    let folders = Folders { inbox: "in".to_owned(), archive: "archive".to_owned(), rejected: "rejected".to_owned() };
    let pickup = Pickup {
        stable_for: Duration::ZERO,
        done_file: None,
        ignore: Vec::new(),
        trailer_wait: None,
        recursive: true,
        match_case: true,
        order: Order::Name,
        duplicates: Duplicates::Reject,
        empty: Empty::Reject,
        poll: Duration::from_secs(1),
    };
    let shared = Arc::clone(&world);
    let connect = move |_: &str| {
        shared.lock().connections += 1;
        Ok(Box::new(Line(Arc::clone(&shared))) as Box<dyn Session>)
    };
    let server = Server::new("test://u@h:1/in".to_owned(), folders, true, Vec::new(), Box::new(connect));
    let config = gate::Config {
        max_in_flight: 100,
        queue: 1,
        queue_timeout: Duration::from_secs(1),
        settle: Duration::from_secs(60),
        sync_share: 1.0,
        ..gate::Config::default()
    };
    (Door::new(server, pickup), world, Gate::new("test", config, None))
}

fn permit(gate: &Arc<Gate>) -> Permit {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(gate.acquire(Lane::Sync, None)).unwrap()
}

fn all() -> Pattern {
    Pattern::new("*").unwrap()
}

#[test]
fn names_that_lead_elsewhere_are_never_asked_for() {
    let (door, world, gate) = site(&[("in/a.csv", "x"), ("in/2026/b.csv", "y"), ("in/.hidden/c.csv", "z")]);
    world.lock().phantoms =
        ["../secret", "..", "/etc/passwd", "a\nDELE b", "gr\u{fffd}n.csv"].map(str::to_owned).to_vec();
    let scan = door.scan(&permit(&gate), &all(), &[]).unwrap();
    let names: Vec<_> = scan.stable.iter().map(|file| file.name.as_str()).collect();
    // Each of the two folders shows the phantoms; those that begin with a dot are hidden, the others are said.
    assert_eq!((names, scan.closed.len()), (vec!["2026/b.csv", "a.csv"], 6));
    assert!(scan.closed.iter().all(InboxError::is_of_one_file), "{:?}", scan.closed);
}

#[test]
fn nothing_in_the_archive_is_overwritten_even_where_the_server_would() {
    let (door, world, gate) = site(&[("in/a.csv", "new"), ("archive/a.csv", "old"), ("archive/a.csv.2", "older")]);
    let permit = permit(&gate);
    let candidate = door.scan(&permit, &all(), &[]).unwrap().stable.remove(0);
    assert_eq!(door.acknowledge(&permit, &candidate, Fate::Archived).unwrap(), "archive/a.csv.3");
    let world = world.lock();
    let content = |path: &str| String::from_utf8(world.files[path].0.clone()).unwrap();
    assert_eq!((content("archive/a.csv").as_str(), content("archive/a.csv.3").as_str()), ("old", "new"));
    assert_eq!(world.connections, 1);
}

#[test]
fn what_changed_or_vanished_is_neither_read_nor_moved() {
    let (door, world, gate) = site(&[("in/a.csv", "one"), ("in/b.csv", "two"), ("in/c.csv", "three")]);
    let permit = permit(&gate);
    let found = door.scan(&permit, &all(), &[]).unwrap().stable;
    world.lock().files.remove("in/a.csv");
    world.lock().files.insert("in/b.csv".to_owned(), (b"TWO".to_vec(), 1001));
    assert!(matches!(door.claim(&permit, &found[0], 0).map(drop), Err(InboxError::Vanished { .. })));
    assert!(matches!(door.claim(&permit, &found[1], 0).map(drop), Err(InboxError::Changed { .. })));
    assert!(matches!(door.acknowledge(&permit, &found[1], Fate::Archived), Err(InboxError::Changed { .. })));
    world.lock().restless = true;
    let mut claim = door.claim(&permit, &found[2], 0).unwrap();
    claim.read_to_end(&mut Vec::new()).unwrap();
    assert!(matches!(claim.finish(), Err(InboxError::Changed { .. })));
    // The server answered all of it, so nothing lingers, and the connection served for all.
    drop(permit);
    assert_eq!((gate.status().lingering, world.lock().connections), (0, 1));
}

#[test]
fn a_file_that_ends_early_is_a_broken_line() {
    let (door, world, gate) = site(&[("in/a.csv", "0123456789")]);
    let permit = permit(&gate);
    let candidate = door.scan(&permit, &all(), &[]).unwrap().stable.remove(0);
    let mut claim = door.claim(&permit, &candidate, 4).unwrap();
    let mut rest = String::new();
    claim.read_to_string(&mut rest).unwrap();
    claim.finish().unwrap();
    assert_eq!(rest, "456789");
    world.lock().cut_at = Some(3);
    let mut claim = door.claim(&permit, &candidate, 0).unwrap();
    let broken = claim.read_to_string(&mut rest).unwrap_err();
    assert_eq!(broken.kind(), io::ErrorKind::UnexpectedEof);
}

#[test]
fn silence_keeps_the_place_at_the_gate_and_costs_the_connection() {
    for deaf_to in ["list", "state", "retrieve", "rename"] {
        let (door, world, gate) = site(&[("in/a.csv", "x")]);
        let first = permit(&gate);
        let candidate = door.scan(&first, &all(), &[]).unwrap().stable.remove(0);
        drop(first);
        world.lock().deaf_to = Some(deaf_to);
        let second = permit(&gate);
        let fault = match deaf_to {
            "list" => door.scan(&second, &all(), &[]).map(drop),
            "rename" => door.acknowledge(&second, &candidate, Fate::Archived).map(drop),
            _ => door.claim(&second, &candidate, 0).map(drop),
        };
        assert!(matches!(fault, Err(InboxError::Unreachable { .. })), "{deaf_to}: {fault:?}");
        drop(second);
        assert_eq!(gate.status().lingering, 1, "{deaf_to}");
        world.lock().deaf_to = None;
        door.scan(&permit(&gate), &all(), &[]).unwrap();
        assert_eq!(world.lock().connections, 2, "{deaf_to}");
    }
}

#[test]
fn only_what_is_dated_is_known_by_its_date_or_gone_on_with() {
    let (door, world, gate) = site(&[("in/a.csv", "x")]);
    let dated = door.scan(&permit(&gate), &all(), &[]).unwrap().stable.remove(0);
    world.lock().files.insert("in/a.csv".to_owned(), (b"x".to_vec(), 0));
    let undated = door.scan(&permit(&gate), &all(), &[]).unwrap().stable.remove(0);
    assert!(door.resume_mark(&dated).is_some() && door.resume_mark(&undated).is_none());
    assert_eq!(door.pause(), Duration::from_secs(1), "a server is not asked more often than the site says");
    // It stood still for no time at all.
    assert!(!door.tells_deliveries(&dated) && !door.tells_deliveries(&undated));
}
