//! The process is killed between any two steps of a write, before a backend that takes a file as soon as it sees it.

use super::{BODY, CONTENT, FOLDERS, ORDERS, site, start};

/// Every point between two steps, in their order.
const POINTS: [&str; 6] = ["asked", "written_down", "before_running", "running", "answered", "kept"];

#[test]
fn each_write_is_handed_over_once() {
    let mapping = ORDERS.replace("name =", "done_file = \"{order_no}-{operation_id}.done\", name =");
    for point in POINTS {
        for takes in [true, false] {
            let running = start(site(FOLDERS, &mapping), Some(point));
            let halted = running.site.path("halted");
            running.send_and_leave("a", BODY, || halted.exists());
            let mut taken = Vec::new();
            let mut take = |running: &super::Running| {
                for file in running.outbox() {
                    std::fs::remove_file(running.site.path("outbox").join(&file.0)).unwrap();
                    taken.push(file);
                }
            };
            if takes {
                take(&running);
            }
            let running = running.kill_and_restart();
            let done = || Some(running.create("a", BODY)).filter(|answer| answer.status == 201);
            let told = running.service.until(done);
            assert_eq!(told.field("location"), Some("/v1/orders/4711"), "{point}");
            let again = running.create("a", BODY);
            assert_eq!(again.field("idempotent-replayed"), Some("true"), "{point}");
            take(&running);
            std::thread::sleep(std::time::Duration::from_millis(200));
            take(&running);
            let id = running.operations()[0]["id"].as_str().unwrap().to_owned();
            taken.sort();
            let expected = [(format!("4711-{id}.done"), String::new()), (format!("new-{id}.csv"), CONTENT.to_owned())];
            assert_eq!(taken, expected, "{point} {takes}");
            let named = format!(r#"{{"order_no":"4711","file":"new-{id}.csv"}}"#);
            assert_eq!(told.text(), named, "{point} {takes}");
            assert_eq!(running.operations().len(), 1, "{point}");
        }
    }
}

/// What was prepared is not there any more: another folder is mounted, or somebody has cleared it. Nothing is concluded from
/// that; when the right one is back, it is.
#[test]
fn another_folder_proves_nothing() {
    for point in ["running", "answered"] {
        let running = start(site(FOLDERS, ORDERS), Some(point));
        let halted = running.site.path("halted");
        running.send_and_leave("a", BODY, || halted.exists());
        let (outbox, away) = (running.site.path("outbox"), running.site.path("away"));
        std::fs::rename(&outbox, &away).unwrap();
        std::fs::create_dir(&outbox).unwrap();
        let running = running.kill_and_restart();
        running.service.until(|| (running.operations()[0]["state"] == "unknown").then_some(()));
        for _ in 0..5 {
            running.create("a", BODY).problem(504, "outcome-unknown");
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        assert_eq!(running.outbox(), []);
        std::fs::remove_dir_all(&outbox).unwrap();
        std::fs::rename(&away, &outbox).unwrap();
        let done = || Some(running.create("a", BODY)).filter(|answer| answer.status == 201);
        running.service.until(done);
        assert_eq!(running.outbox().len(), 1, "{point}");
    }
}

/// A person has found that the backend has nothing of a write, whether it was handed over or not: the same key begins it anew,
/// as a whole.
#[test]
fn what_a_person_has_found_not_done_is_begun_anew() {
    for (point, files) in [("running", 1), ("answered", 2)] {
        let running = start(site(FOLDERS, ORDERS), Some(point));
        let halted = running.site.path("halted");
        running.send_and_leave("a", BODY, || halted.exists());
        let (outbox, away) = (running.site.path("outbox"), running.site.path("away"));
        let taken = running.outbox().len();
        for (name, _) in running.outbox() {
            std::fs::remove_file(outbox.join(name)).unwrap();
        }
        std::fs::rename(&outbox, &away).unwrap();
        let running = running.kill_and_restart();
        running.service.until(|| (running.operations()[0]["state"] == "unknown").then_some(()));
        let id = running.operations()[0]["id"].as_str().unwrap().to_owned();
        let resolved =
            running.site.run(&["operations", "resolve", &id, "--not-done", "--reason", "the ERP has nothing"]);
        assert!(resolved.status.success(), "{resolved:?}");
        std::fs::rename(&away, &outbox).unwrap();
        let done = || Some(running.create("a", BODY)).filter(|answer| answer.status == 201);
        running.service.until(done);
        assert_eq!(running.outbox(), [(format!("new-{id}.csv"), CONTENT.to_owned())], "{point}");
        assert_eq!(taken + 1, files, "{point}");
    }
}
