//! The history of a gate: what is told of each call, and what is left of it on disk.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use super::testing::Kept;
use super::{Fate, Outcome, PastCall, Recorder, read};
use crate::gate::{Ask, Config, Gate, Lane, Observer, Priority, Refused};

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn files_of(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "ndjson"))
        .collect();
    files.sort();
    files
}

#[tokio::test(start_paused = true)]
async fn every_call_is_told_once_with_what_became_of_it() {
    let kept = Arc::new(Kept::default());
    let config = Config { max_in_flight: 1, queue: 1, ..Config::default() };
    let gate = Gate::new("erp", config, Some(Arc::clone(&kept) as Arc<dyn Observer>));
    let ask = |client: &str| Ask::new(Lane::Interactive).of(client, 3, Priority::High);
    let held = gate.admit(ask("one").serial("4711").within(ms(2000))).await.unwrap();
    let call = held.begin();
    let waits = tokio::spawn({
        let (gate, ask) = (Arc::clone(&gate), ask("two").wait(ms(5000)));
        async move { gate.admit(ask).await.map(|permit| permit.begin().failed()) }
    });
    tokio::time::sleep(ms(100)).await;
    assert!(matches!(gate.admit(ask("two")).await.err(), Some(Refused::QueueFull { .. })));
    held.caller_left();
    tokio::time::sleep(ms(200)).await;
    held.caller_left();
    call.answered();
    drop(held);
    waits.await.unwrap().unwrap();

    let held = gate.admit(Ask::new(Lane::Sync)).await.unwrap();
    let leaves = tokio::spawn({
        let (gate, ask) = (Arc::clone(&gate), ask("three"));
        async move { gate.admit(ask).await.map(drop) }
    });
    tokio::time::sleep(ms(40)).await;
    leaves.abort();
    assert!(leaves.await.is_err());
    held.begin().lost();
    drop(held);

    let late = gate.admit(ask("four").wait(ms(60_000))).await.unwrap();
    let call = late.begin();
    tokio::time::sleep(ms(500)).await;
    call.overdue();
    tokio::time::sleep(ms(200)).await;
    call.overdue();
    call.answered();
    drop(late);

    let told = kept.0.lock().clone();
    let fates: Vec<(&str, &Fate)> = told.iter().map(|call| (&*call.client, &call.fate)).collect();
    let served = |waited, took, outcome, left| {
        let (waited, took, overdue) = (ms(waited), ms(took), (outcome == Outcome::Late).then_some(ms(500)));
        Fate::Served { waited, took, outcome, left, overdue }
    };
    assert_eq!(
        fates,
        [
            ("two", &Fate::Refused("queue_full".to_owned())),
            ("one", &served(0, 300, Outcome::Answered, Some(ms(100)))),
            ("two", &served(300, 0, Outcome::Failed, None)),
            ("three", &Fate::Left(ms(40))),
            ("", &served(0, 40, Outcome::Lost, None)),
            ("four", &served(5000, 700, Outcome::Late, None)),
        ]
    );
    let one = &told[1];
    assert_eq!((one.lane, one.weight, one.priority, one.wait), (Lane::Interactive, 3, Priority::High, None));
    assert_eq!((one.patience, one.serial.is_some(), told[2].wait), (Some(ms(2000)), true, Some(ms(5000))));
    assert_eq!((told[2].serial, told[3].came - one.came), (None, ms(300)));
}

fn call(number: u64, fate: Fate) -> PastCall {
    PastCall {
        came: ms(1_700_000_000_000 + number),
        lane: Lane::ALL[number as usize % 4],
        client: Arc::from("webshop \"ü\"\n"),
        weight: 2,
        priority: Priority::Low,
        serial: number.is_multiple_of(2).then_some(u64::MAX - number),
        wait: number.is_multiple_of(3).then_some(ms(number)),
        patience: (number % 3 == 1).then_some(ms(number)),
        fate,
    }
}

fn fates(number: u64) -> Fate {
    let served = |outcome, left| {
        let overdue = matches!(outcome, Outcome::Late | Outcome::Lost).then_some(ms(number / 2));
        Fate::Served { waited: ms(number), took: Duration::from_micros(number), outcome, left, overdue }
    };
    match number % 8 {
        6 => served(Outcome::Late, None),
        0 => served(Outcome::Answered, None),
        1 => served(Outcome::Failed, Some(ms(3))),
        2 => served(Outcome::Lost, None),
        3 => served(Outcome::Unseen, None),
        4 => served(Outcome::Unused, None),
        5 => Fate::Refused("queue_full".to_owned()),
        _ => Fate::Left(ms(number)),
    }
}

#[test]
fn what_is_written_is_read_back_also_after_a_torn_line() {
    let folder = tempfile::tempdir().unwrap();
    let history = folder.path().join("erp");
    assert_eq!(read(&history, Duration::ZERO).unwrap(), (Vec::new(), 0));
    let calls: Vec<PastCall> = (0..50).map(|number| call(number, fates(number))).collect();
    for part in calls.chunks(30) {
        let recorder = Recorder::start(&history, 1 << 20).unwrap();
        part.iter().for_each(|call| recorder.note(call.clone()));
    }
    assert_eq!(read(&history, Duration::ZERO).unwrap(), (calls.clone(), 0));
    // Who calls is nobody's business.
    let mode =
        |file: &std::path::PathBuf| std::os::unix::fs::PermissionsExt::mode(&file.metadata().unwrap().permissions());
    assert!(files_of(&history).iter().all(|file| mode(file) & 0o777 == 0o600));
    assert_eq!(read(&history, calls[40].came).unwrap().0, calls[40..]);
    // A crash in the middle of a line; the places of the gate lie in the same folder.
    std::fs::write(history.join("00000"), b"R").unwrap();
    let first = files_of(&history).remove(0);
    let length = std::fs::metadata(&first).unwrap().len();
    std::fs::OpenOptions::new().write(true).open(&first).unwrap().set_len(length - 7).unwrap();
    let mut second = std::fs::OpenOptions::new().append(true).open(files_of(&history).remove(1)).unwrap();
    second.write_all(b"[1,\"interactive\"]\n\xff\xfe\n[17000000").unwrap();
    let (left, unreadable) = read(&history, Duration::ZERO).unwrap();
    assert_eq!((left.len(), unreadable), (49, 4));
    assert_eq!(left, [&calls[..29], &calls[30..]].concat());
}

#[test]
fn the_newest_are_kept_within_the_bound() {
    let folder = tempfile::tempdir().unwrap();
    let bound = 64 << 10;
    let most = |folder: &std::path::Path| -> u64 {
        files_of(folder).iter().map(|file| std::fs::metadata(file).unwrap().len()).sum()
    };
    for round in 0..3 {
        let recorder = Recorder::start(folder.path(), bound).unwrap();
        for number in 0..1500 {
            recorder.note(call(round * 1500 + number, fates(number)));
            if number % 500 == 0 {
                std::thread::sleep(ms(20));
            }
        }
        drop(recorder);
        // A file may be a line longer than its part.
        assert!(most(folder.path()) <= bound + 8 * 200, "{}", most(folder.path()));
    }
    let (calls, unreadable) = read(folder.path(), Duration::ZERO).unwrap();
    assert_eq!((calls.last().unwrap().came, unreadable), (call(4499, fates(0)).came, 0));
    // The newest, without a gap.
    assert!(calls.len() > 300, "{}", calls.len());
    assert!(calls.windows(2).all(|pair| pair[1].came - pair[0].came == ms(1)));
    // Many starts leave no more files than that.
    for number in 0..80 {
        Recorder::start(folder.path(), bound).unwrap().note(call(number, fates(0)));
    }
    assert!(files_of(folder.path()).len() <= 64);
}
