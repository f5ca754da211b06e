//! A handover that dies at any of its steps, once and twice, before a backend that takes what it sees at once.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::{Folder, NotDelivered, Outbox, OutboxError, Outgoing, Shelf};
use crate::adapters::inbox::InboxError;
use crate::adapters::inbox::server::Fault;
use crate::gate::{self, Gate, Lane, Permit};

/// What is on the disk, and what the backend has taken from it.
#[derive(Default)]
struct Disk {
    work: Option<BTreeMap<String, Vec<u8>>>,
    outbox: BTreeMap<String, Vec<u8>>,
    taken: Vec<(String, Vec<u8>)>,
    /// So many steps are done until everything ends.
    left: Option<usize>,
    /// What becomes of the last of them.
    last: Last,
    /// All steps so far.
    steps: usize,
    /// The system says no to this step.
    says_no: Option<&'static str>,
    /// Whether everything has lain there for long.
    is_old: bool,
}

/// What becomes of the step at which everything ends.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Last {
    #[default]
    Nothing,
    /// Of a file that is written its first half.
    Half,
    All,
}

/// An outbox of its own, with a name that no other has.
#[derive(Clone)]
struct Place(Arc<Mutex<Disk>>, String);

impl Default for Place {
    fn default() -> Place {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        Place(Arc::default(), format!("made up {}", NUMBER.fetch_add(1, Ordering::Relaxed)))
    }
}

fn lost() -> Fault {
    Fault::Lost(InboxError::Unreachable { place: "made up".to_owned(), reason: "silence".to_owned() })
}

impl Place {
    /// A step; the answer is lost where it is the last one.
    fn step<T>(&self, name: &'static str, does: impl FnOnce(&mut Disk, bool) -> Result<T, Fault>) -> Result<T, Fault> {
        let mut disk = self.0.lock();
        match disk.left {
            Some(0) => return Err(lost()),
            Some(1) => {
                disk.left = Some(0);
                let last = disk.last;
                if last != Last::Nothing {
                    let _ = does(&mut disk, last == Last::Half);
                }
                return Err(lost());
            }
            Some(left) => disk.left = Some(left - 1),
            None => {}
        }
        disk.steps += 1;
        if disk.says_no == Some(name) {
            return Err(io::Error::from(io::ErrorKind::PermissionDenied).into());
        }
        does(&mut disk, false)
    }
}

fn work(disk: &mut Disk) -> Result<&mut BTreeMap<String, Vec<u8>>, Fault> {
    disk.work.as_mut().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound).into())
}

impl Folder for Place {
    fn place(&self) -> String {
        self.1.clone()
    }

    fn work(&self) -> String {
        format!("work folder of {}", self.1)
    }

    fn open(&self) -> Result<Box<dyn Shelf>, InboxError> {
        match self.step("open", |_, _| Ok(())) {
            Ok(()) => Ok(Box::new(self.clone())),
            Err(Fault::Lost(error)) => Err(error),
            Err(Fault::Refused(source)) => Err(InboxError::Outbox { place: self.place(), source }),
        }
    }
}

impl Shelf for Place {
    fn make_work(&mut self) -> Result<(), Fault> {
        self.step("make", |disk, _| {
            disk.work.get_or_insert_default();
            Ok(())
        })
    }

    fn named(&mut self, prefix: &str) -> Result<Vec<String>, Fault> {
        self.step("named", |disk, _| Ok(work(disk)?.keys().filter(|name| name.starts_with(prefix)).cloned().collect()))
    }

    fn is_taken(&mut self, shown: &str) -> Result<bool, Fault> {
        self.step("is_taken", |disk, _| Ok(disk.outbox.contains_key(shown)))
    }

    fn read(&mut self, name: &str) -> Result<Option<Vec<u8>>, Fault> {
        self.step("read", |disk, _| Ok(work(disk)?.get(name).cloned()))
    }

    fn write(&mut self, name: &str, content: &[u8]) -> Result<(), Fault> {
        self.step("write", |disk, is_half| {
            let length = if is_half { content.len() / 2 } else { content.len() };
            work(disk)?.insert(name.to_owned(), content[..length].to_vec());
            Ok(())
        })
    }

    fn remove(&mut self, name: &str) -> Result<(), Fault> {
        self.step("remove", |disk, _| {
            work(disk)?.remove(name);
            Ok(())
        })
    }

    fn show(&mut self, name: &str, shown: &str) -> Result<(), Fault> {
        self.step("show", |disk, _| {
            if disk.outbox.contains_key(shown) {
                return Err(io::Error::from(io::ErrorKind::AlreadyExists).into());
            }
            let content = work(disk)?.remove(name).ok_or(io::ErrorKind::NotFound).map_err(io::Error::from)?;
            disk.outbox.insert(shown.to_owned(), content);
            Ok(())
        })
    }

    fn hide(&mut self, name: &str, hidden: &str) -> Result<(), Fault> {
        self.step("hide", |disk, _| {
            let content = work(disk)?.remove(name).ok_or(io::ErrorKind::NotFound).map_err(io::Error::from)?;
            work(disk)?.insert(hidden.to_owned(), content);
            Ok(())
        })
    }

    fn settle(&mut self) -> Result<(), Fault> {
        self.step("settle", |_, _| Ok(()))
    }

    fn older(&mut self, _: Duration) -> Result<Vec<String>, Fault> {
        self.step("older", |disk, _| {
            let is_old = disk.is_old;
            Ok(work(disk)?.keys().filter(|_| is_old).cloned().collect())
        })
    }
}

/// How an operation stands in the database.
#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Received,
    Running,
    Done,
    Failed,
}

/// One life of a process: what it does with an operation that stands so.
fn live(place: &Place, permit: &Permit, state: State, files: &[Outgoing]) -> State {
    let outbox = Outbox::new(place.clone());
    let mut state = state;
    if state == State::Running {
        match outbox.look(permit, "7") {
            Ok(Some(names)) => {
                assert_eq!(names, files.iter().map(|file| file.name.clone()).collect::<Vec<_>>());
                return State::Done;
            }
            // That is kept before it is begun again.
            Ok(None) => state = State::Received,
            Err(OutboxError::Untraced { .. }) => panic!("it was prepared"),
            Err(_) => return State::Running,
        }
    }
    let Ok(prepared) = outbox.prepare(permit, "7", files) else { return state };
    match outbox.deliver(permit, prepared) {
        Ok(_) => State::Done,
        Err(NotDelivered { may_be_done: true, .. }) => State::Running,
        Err(NotDelivered { may_be_done: false, .. }) => State::Failed,
    }
}

fn take(place: &Place) {
    let mut disk = place.0.lock();
    let seen = std::mem::take(&mut disk.outbox);
    disk.taken.extend(seen);
}

/// What is in the work folder, without what tells one try from another.
fn left(place: &Place) -> Vec<String> {
    let short = |name: &String| {
        let parts: Vec<&str> = name.split('.').collect();
        match parts.as_slice() {
            [id, _, kind] => format!("{id}.{kind}"),
            _ => name.clone(),
        }
    };
    let mut left: Vec<String> = place.0.lock().work.iter().flatten().map(|(name, _)| short(name)).collect();
    left.sort();
    left
}

fn files() -> Vec<Outgoing> {
    [("order.dat", "4711;12"), ("order.dat.done", "")]
        .map(|(name, content)| Outgoing { name: name.to_owned(), content: content.as_bytes().to_vec() })
        .into()
}

async fn permit() -> Permit {
    let gate = Gate::new("erp", gate::Config::default(), None);
    gate.acquire(Lane::Interactive, None).await.unwrap()
}

#[tokio::test]
async fn whatever_dies_each_file_appears_once_and_whole() {
    let permit = permit().await;
    let files = files();
    let plain = Place::default();
    assert_eq!(live(&plain, &permit, State::Received, &files), State::Done);
    let all = plain.0.lock().steps;
    assert!(all > 8, "{all}");
    for last in [Last::Nothing, Last::Half, Last::All] {
        for takes_at_once in [true, false] {
            for first in 1..=all + 1 {
                for second in 1..=all + 4 {
                    let place = Place::default();
                    let mut state = State::Received;
                    for left in [Some(first), Some(second), None] {
                        {
                            let mut disk = place.0.lock();
                            (disk.left, disk.last) = (left, last);
                        }
                        // From the moment at which everything is ready on, it counts as begun.
                        let is_ready = |place: &Place| {
                            let disk = place.0.lock();
                            let receipt = disk.work.as_ref().and_then(|work| work.get("7.whole"));
                            receipt.is_some_and(|receipt| receipt.ends_with(b"}"))
                        };
                        if state != State::Done {
                            let before = state;
                            state = live(&place, &permit, state, &files);
                            if state == State::Received && before != State::Done && is_ready(&place) {
                                // Whether that was kept before everything ended, nobody knows: both must do.
                                state = if second % 2 == 0 { State::Running } else { State::Received };
                            }
                        }
                        if takes_at_once {
                            take(&place);
                        }
                    }
                    let told = format!("{last:?} {takes_at_once} {first} {second}");
                    assert_eq!(state, State::Done, "{told}");
                    take(&place);
                    let taken = place.0.lock().taken.clone();
                    let expected: Vec<_> = files.iter().map(|file| (file.name.clone(), file.content.clone())).collect();
                    assert_eq!(taken, expected, "{told}");
                    // Nothing is left but the receipt.
                    assert_eq!(left(&place), ["7.whole"], "{told}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_no_leaves_nothing_and_a_name_that_is_taken_waits() {
    let permit = permit().await;
    let files = files();
    let place = Place::default();
    place.0.lock().says_no = Some("show");
    assert_eq!(live(&place, &permit, State::Received, &files), State::Failed);
    // It is held back, until that is kept elsewhere.
    assert_eq!(left(&place), ["7.1", "7.back", "7.whole"]);
    place.0.lock().says_no = None;
    place.0.lock().outbox.insert("order.dat".to_owned(), b"older".to_vec());
    let outbox = Outbox::new(place.clone());
    let prepared = outbox.prepare(&permit, "7", &files).unwrap();
    let refused = outbox.deliver(&permit, prepared).err().unwrap();
    assert!(!refused.may_be_done);
    assert!(matches!(refused.error, OutboxError::Taken { ref name, .. } if name == "order.dat"), "{refused}");
    assert_eq!(left(&place), ["7.1", "7.back", "7.whole"]);
    assert_eq!(place.0.lock().outbox["order.dat"], b"older");
    take(&place);
    assert_eq!(live(&place, &permit, State::Received, &files), State::Done);

    // The done file finds its name taken: nothing appears before both can.
    let place = Place::default();
    place.0.lock().outbox.insert("order.dat.done".to_owned(), Vec::new());
    assert_eq!(live(&place, &permit, State::Received, &files), State::Failed);
    assert_eq!(place.0.lock().outbox.len(), 1);
    take(&place);
    assert_eq!(live(&place, &permit, State::Received, &files), State::Done);
    take(&place);
    let names: Vec<_> = place.0.lock().taken.iter().map(|(name, _)| name.clone()).collect();
    assert_eq!(names, ["order.dat.done", "order.dat", "order.dat.done"]);
}

#[tokio::test]
async fn what_is_kept_elsewhere_goes_and_what_is_held_back_stays_back() {
    let permit = permit().await;
    let files = files();
    let place = Place::default();
    let outbox = Outbox::new(place.clone());
    for id in ["1", "2"] {
        let named = |file: &Outgoing| Outgoing { name: format!("{id}-{}", file.name), content: file.content.clone() };
        let files: Vec<_> = files.iter().map(named).collect();
        let prepared = outbox.prepare(&permit, id, &files).unwrap();
        outbox.deliver(&permit, prepared).unwrap();
        outbox.kept(id);
    }
    assert_eq!(left(&place), ["2.whole"]);
    // What was looked for and not found does not come any more, whatever an earlier try does yet.
    let late = outbox.prepare(&permit, "3", &files).unwrap();
    assert_eq!(left(&place), ["3.0", "3.1", "3.whole"]);
    assert_eq!(outbox.look(&permit, "3").unwrap(), None);
    assert_eq!(outbox.look(&permit, "3").unwrap(), None);
    let again = outbox.prepare(&permit, "3", &files).unwrap();
    let refused = outbox.deliver(&permit, late).err().unwrap();
    assert!(refused.may_be_done && place.0.lock().outbox.len() == 4, "{refused}");
    drop(again);
    assert_eq!(outbox.look(&permit, "3").unwrap(), None);
    assert_eq!(left(&place), ["3.1", "3.back", "3.whole"]);
    outbox.kept("3");
    drop(outbox.prepare(&permit, "5", &files).unwrap());
    assert_eq!(left(&place), ["5.0", "5.1", "5.whole"]);
    // What somebody has cleared away is not taken for done.
    let cleared = outbox.prepare(&permit, "5", &files).unwrap();
    place.0.lock().work.as_mut().unwrap().clear();
    let refused = outbox.deliver(&permit, cleared).err().unwrap();
    assert!(refused.may_be_done && matches!(refused.error, OutboxError::Untraced { .. }), "{refused}");
    // It has appeared, and a person has found that the backend has nothing of it: it is begun anew, as a whole.
    let prepared = outbox.prepare(&permit, "4", &files).unwrap();
    outbox.deliver(&permit, prepared).unwrap();
    take(&place);
    let prepared = outbox.prepare(&permit, "4", &files).unwrap();
    outbox.deliver(&permit, prepared).unwrap();
    take(&place);
    assert_eq!(place.0.lock().taken.len(), 8);
    // What is worked on is not cleared away.
    outbox.kept("4");
    let at_work = outbox.turn("4");
    drop(outbox.prepare(&permit, "6", &files).unwrap());
    assert!(left(&place).contains(&"4.whole".to_owned()));
    drop(at_work);
    drop(outbox.prepare(&permit, "6", &files).unwrap());
    assert!(!left(&place).contains(&"4.whole".to_owned()));
    // One at a time, whoever asks.
    let turn = outbox.turn("4");
    assert!(turn.is_some() && Outbox::new(place.clone()).turn("4").is_none() && outbox.turn("5").is_some());
    drop(turn);
    assert!(outbox.turn("4").is_some());
    // Of what there is no trace of nothing is concluded: it may be another folder that is mounted there.
    assert!(matches!(outbox.look(&permit, "3"), Err(OutboxError::Untraced { .. })));
    place.0.lock().work = None;
    assert!(matches!(outbox.look(&permit, "3"), Err(OutboxError::Untraced { .. })));
    // Nor is the folder made again in the life of this process: another one may be mounted in its place.
    let gone = outbox.prepare(&permit, "8", &files);
    assert!(matches!(gone, Err(OutboxError::WorkGone { .. })) && place.0.lock().work.is_none());
}

#[tokio::test]
async fn a_disk_that_is_full_does_not_stay_full_because_of_us() {
    let permit = permit().await;
    let place = Place::default();
    place.0.lock().says_no = Some("write");
    let outbox = Outbox::new(place.clone());
    place.0.lock().work.get_or_insert_default().insert("7.0".to_owned(), b"half".to_vec());
    assert!(outbox.prepare(&permit, "7", &files()).is_err());
    assert!(place.0.lock().work.as_ref().is_some_and(BTreeMap::is_empty));
}

/// Only what this has put there is ever cleared away, however old the rest is.
#[tokio::test]
async fn what_is_forgotten_goes_and_what_is_others_stays() {
    let permit = permit().await;
    let place = Place::default();
    let id = "0190b1d2-7c3e-7a4b-8c5d-6e7f8091a2b3";
    let part = "0190b1d27c3e7a4b8c5d6e7f8091a2b3";
    let names = [format!("{id}.{part}.0"), format!("{id}.whole"), format!("{id}.{part}.back"), format!("{id}.trial")];
    let others = [&format!("{id}.dat"), "orders.0", "a.whole", "readme"].map(str::to_owned);
    for name in names.iter().chain(&others) {
        place.0.lock().work.get_or_insert_default().insert(name.clone(), Vec::new());
    }
    place.0.lock().is_old = true;
    drop(Outbox::new(place.clone()).prepare(&permit, "7", &files()).unwrap());
    assert_eq!(left(&place), [&format!("{id}.dat"), "7.0", "7.1", "7.whole", "a.whole", "orders.0", "readme"]);
}
