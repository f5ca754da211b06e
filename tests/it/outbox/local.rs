//! An outbox that is a folder of this machine.

use std::os::unix::fs::MetadataExt;

use serde_json::json;

use super::{BODY, CONTENT, FOLDERS, ORDERS, running, site, start};
use crate::facade::client::Answer;
use crate::pickup::local::serve_with_share;
use crate::pickup::sshd::root;
use crate::site::Site;

#[test]
fn a_write_is_a_file_that_appears_once() {
    let running = running(ORDERS);
    let made = running.create("a", BODY);
    let files = running.outbox();
    let [(name, content)] = files.as_slice() else { panic!("{files:?} {made:?}") };
    let id = &running.operations()[0]["id"];
    assert_eq!((name.as_str(), content.as_str()), (format!("new-{}.csv", id.as_str().unwrap()).as_str(), CONTENT));
    assert_eq!((made.status, made.json()), (201, json!({ "order_no": "4711", "file": name })), "{made:?}");
    assert_eq!(made.field("location"), Some("/v1/orders/4711"));
    let state = std::fs::metadata(running.site.path("outbox").join(name)).unwrap();
    assert_eq!(state.mode() & 0o777, 0o640);

    // Taken by the backend, and asked for again: it is told, and nothing comes.
    std::fs::remove_file(running.site.path("outbox").join(name)).unwrap();
    let again = running.create("a", BODY);
    assert_eq!((again.status, again.text(), again.field("idempotent-replayed")), (201, made.text(), Some("true")));
    running.create("a", r#"{"order_no":"4711","amount":13}"#).problem(422, "idempotency-key-reused");
    assert_eq!(running.outbox(), []);

    // The receipt goes with the next one.
    assert_eq!(running.work(), [format!("{}.whole", id.as_str().unwrap())]);
    assert_eq!(running.create("b", r#"{"order_no":"4712","amount":1,"status":"closed"}"#).status, 201);
    assert_eq!(running.outbox()[0].1, "NO;STATUS;AMOUNT\r\n4712;CL;1.00\r\n");
    assert_eq!(running.work().len(), 1);
    let (audit, _) = running.site.json(&["operations", "audit"]);
    assert_eq!(audit.len(), 2, "{audit:?}");
}

#[test]
fn a_bulk_is_a_file_a_line() {
    let running = running(ORDERS);
    let lines: String =
        (1..=30).map(|number| format!("{{\"body\":{{\"order_no\":\"{number}\",\"amount\":{number}}}}}\n")).collect();
    let media = [("Content-Type", "application/x-ndjson")];
    for round in 0..2 {
        let bearer = format!("Bearer {}", running.key);
        let fields = [("Authorization", bearer.as_str()), ("Idempotency-Key", "\"b\""), media[0]];
        let request = crate::facade::client::request("POST", "/v1/orders", &fields, lines.as_bytes());
        let answer = crate::facade::client::exchange(running.address(), &request).expect("an answer");
        let done = answer.text().lines().filter(|line| line.contains("\"status\":201")).count();
        assert_eq!(done, 30, "{round}: {answer:?}");
        let files = running.outbox();
        assert_eq!(files.len(), 30);
        assert!(files.iter().any(|(_, content)| content.ends_with("\r\n17;OP;17.00\r\n")), "{files:?}");
    }
}

#[test]
fn a_done_file_comes_behind_its_file_and_a_name_that_is_taken_waits() {
    let mapping = ORDERS.replace("name = \"new-{operation_id}.csv\"", "name = \"NEW.CSV\", done_file = \"NEW.DONE\"");
    let running = running(&mapping);
    let shown = |answer: &Answer| answer.json()["file"].as_str().map(str::to_owned);
    assert_eq!(shown(&running.create("a", BODY)).as_deref(), Some("NEW.CSV"));
    let names = || running.outbox().into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(names(), ["NEW.CSV", "NEW.DONE"]);
    let other = r#"{"order_no":"1","amount":1}"#;
    let refused = running.create("b", other);
    assert!(refused.problem(503, "backend-unavailable").contains("has not taken the last file"), "{refused:?}");
    assert_eq!(running.outbox()[0].1, CONTENT);
    assert_eq!(running.operations()[0]["reason"], "busy");
    // The backend takes its file and is on its way to the other: nothing appears between.
    std::fs::remove_file(running.site.path("outbox/NEW.CSV")).unwrap();
    running.create("b", other).problem(503, "backend-unavailable");
    assert_eq!(names(), ["NEW.DONE"]);
    std::fs::remove_file(running.site.path("outbox/NEW.DONE")).unwrap();
    let done = || Some(running.create("b", other)).filter(|answer| answer.status == 201);
    running.service.until(done);
    assert_eq!(running.outbox()[0].1, "NO;STATUS;AMOUNT\r\n1;OP;1.00\r\n");
    assert_eq!(names(), ["NEW.CSV", "NEW.DONE"]);
}

/// Only a folder that is there is written to: what is missing may be what is to be mounted there.
#[test]
fn an_outbox_that_is_not_there_is_not_made() {
    let running = running(ORDERS);
    std::fs::rename(running.site.path("outbox"), running.site.path("away")).unwrap();
    running.create("a", BODY).problem(503, "backend-unavailable");
    assert!(!running.site.path("outbox").exists());
    let checked = running.site.run(&["check"]);
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(said.contains("cannot be opened") && said.contains("mounted"), "{said}");
    let (steps, code) = running.site.json(&["doctor", "erp"]);
    let steps = steps[0]["steps"].as_array().unwrap();
    let outbox = steps.iter().find(|step| step["step"] == "outbox").unwrap();
    assert_eq!((outbox["ok"].as_bool(), code), (Some(false), 1), "{steps:?}");
    std::fs::rename(running.site.path("away"), running.site.path("outbox")).unwrap();
    assert_eq!(running.create("a", BODY).status, 201);
    assert_eq!(running.outbox().len(), 1);
    let (steps, code) = running.site.json(&["doctor", "erp"]);
    assert_eq!(code, 0, "{steps:?}");
    assert_eq!(running.work().len(), 1, "the trial is gone");
}

/// A disk that is full, and then one that may not be written to.
#[test]
fn a_disk_that_takes_nothing_leaves_nothing_half() {
    let site = site(FOLDERS, ORDERS);
    let outbox = site.path("outbox");
    let mount = |arguments: &[&str]| {
        assert!(root("mount").args(arguments).arg(&outbox).status().unwrap().success());
    };
    mount(&["-t", "tmpfs", "-o", "size=64k,mode=777", "tmpfs"]);
    let running = start(site, None);
    let ballast = outbox.join("ballast");
    let _ = std::fs::write(&ballast, vec![b'x'; 1 << 20]);
    let refused = running.create("a", BODY);
    let said = refused.problem(503, "backend-unavailable");
    let seen = || running.outbox().into_iter().map(|(name, _)| name).filter(|name| name != "ballast").count();
    assert_eq!(seen(), 0, "{said}");
    assert!(said.contains("no room"), "{said}");
    std::fs::remove_file(&ballast).unwrap();
    assert_eq!(running.create("a", BODY).status, 201);
    assert_eq!(seen(), 1);

    mount(&["-o", "remount,ro"]);
    let refused = running.create("b", r#"{"order_no":"1","amount":1}"#);
    assert_eq!((refused.status / 100, seen()), (5, 1), "{refused:?}");
    mount(&["-o", "remount,rw"]);
    assert_eq!(running.create("b", r#"{"order_no":"1","amount":1}"#).status, 201);
    assert_eq!(seen(), 2);
    drop(running);
    assert!(root("umount").arg(&outbox).status().unwrap().success());
}

/// A share that answers nothing any more does not keep a process from its end: the thread that waits for it ends with it.
#[test]
fn a_silent_share_does_not_keep_the_process() {
    let site = site(FOLDERS, ORDERS);
    let key = crate::operate::new_key(&site, "test", &["*"]);
    let config = std::fs::read_to_string(site.path("tollbridge.toml")).unwrap();
    site.write("tollbridge.toml", format!("{config}[server]\nshutdown_timeout = \"1s\"\n").as_bytes());
    let service = serve_with_share(&site, "outbox");
    service.until(|| (service.admin("GET", "/health/ready").0 == 200).then_some(()));
    let running = super::Running { service, site, key };
    running.site.write("silent", b"");
    assert_eq!(running.create_with("a", &[("Prefer", "respond-async")], BODY).status, 202);
    let asked = || {
        let metrics = running.service.admin("GET", "/metrics").1;
        let is_busy =
            |line: &str| line.starts_with("tollbridge_gate_in_flight{backend=\"erp\"") && line.ends_with(" 1");
        metrics.lines().any(is_busy).then_some(())
    };
    running.service.until(asked);
    running.service.signal("TERM");
    running.service.wait();
    std::fs::remove_file(running.site.path("silent")).unwrap();
}

/// However many ask, and whatever the gate lets through: each write is one file.
#[test]
fn many_at_once_are_one_file_each() {
    let running = running(ORDERS);
    std::thread::scope(|scope| {
        for caller in 0..8 {
            let running = &running;
            scope.spawn(move || {
                for number in 0..10 {
                    let body = format!(r#"{{"order_no":"{number}","amount":{caller}}}"#);
                    // Every second caller asks under the key of its neighbour, at the same time.
                    let key = format!("{}-{number}", caller / 2);
                    let answer = running.create(&key, &body);
                    assert!(matches!(answer.status, 201 | 409 | 422), "{answer:?}");
                }
            });
        }
    });
    assert_eq!(running.outbox().len(), 40);
}

/// The group of the folder is that of its files where it says so; and a work folder on another disk is told beforehand.
#[test]
fn rights_and_disks_of_the_folders() {
    let site = site(FOLDERS, ORDERS);
    let group = String::from_utf8(std::process::Command::new("id").arg("-G").output().unwrap().stdout).unwrap();
    let outbox = site.path("outbox");
    // As root any group will do, else one of ours.
    let group =
        if group.split_whitespace().any(|id| id == "0") { "1" } else { group.split_whitespace().last().unwrap() };
    assert!(std::process::Command::new("chgrp").arg(group).arg(&outbox).status().unwrap().success());
    assert!(std::process::Command::new("chmod").arg("2775").arg(&outbox).status().unwrap().success());
    let running = start(site, None);
    assert_eq!(running.create("a", BODY).status, 201);
    let name = running.outbox()[0].0.clone();
    let state = std::fs::metadata(outbox.join(name)).unwrap();
    assert_eq!((state.gid().to_string().as_str(), state.mode() & 0o777), (group, 0o640));

    let elsewhere = tempfile::tempdir_in("/dev/shm").unwrap();
    let work = format!("{FOLDERS}outbox_work = \"{}\"\n", elsewhere.path().display());
    let running = start(super::site(&work, ORDERS), None);
    let refused = running.create("a", BODY);
    assert_eq!((refused.status, running.outbox().len()), (502, 0), "{refused:?}");
    let (steps, _) = running.site.json(&["doctor", "erp"]);
    let steps = steps[0]["steps"].as_array().unwrap();
    let outbox = steps.iter().find(|step| step["step"] == "outbox").unwrap();
    assert!(outbox["remedy"].as_str().unwrap().contains("on the file system of the outbox"), "{steps:?}");
}

/// Who takes files from the outbox can put links there: none of them leads elsewhere.
#[test]
fn links_in_the_outbox_lead_nowhere() {
    let running = running(ORDERS);
    let elsewhere = running.site.path("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, running.site.path("outbox/.tollbridge")).unwrap();
    running.create("a", BODY).problem(503, "backend-unavailable");
    assert_eq!(running.site.listing("elsewhere"), Vec::<String>::new());
    std::fs::remove_file(running.site.path("outbox/.tollbridge")).unwrap();
    assert_eq!(running.create("a", BODY).status, 201);
    // What has the name of a file is not written through, either.
    let mapping = ORDERS.replace("new-{operation_id}.csv", "NEW.CSV");
    running.site.write("mappings/orders.v1.toml", mapping.as_bytes());
    running.service.signal("HUP");
    std::os::unix::fs::symlink(elsewhere.join("x"), running.site.path("outbox/NEW.CSV")).unwrap();
    let number = std::cell::Cell::new(0);
    let refused = || {
        number.set(number.get() + 1);
        Some(running.create(&format!("b{}", number.get()), BODY)).filter(|answer| answer.status == 503)
    };
    running.service.until(refused);
    assert_eq!(running.site.listing("elsewhere"), Vec::<String>::new());
}

/// A backend that only takes files; its writes wait while it is closed.
#[test]
fn an_outbox_alone_is_a_backend() {
    let mapping = ORDERS.replace("[operations.create]", "[operations.create]\nbackend = \"out\"");
    let site: Site = site(
        &format!("{}[backends.out.files]\noutbox = \"outbox\"\n", FOLDERS.replace("outbox = \"outbox\"\n", "")),
        &mapping,
    );
    // Whoever looks leaves nothing behind: it would be theirs, and not the service's.
    let (steps, code) = site.json(&["doctor", "out"]);
    assert_eq!((code, site.listing("outbox")), (0, Vec::new()), "{steps:?}");
    let running = start(site, None);
    assert_eq!(running.create("a", BODY).status, 201);
    assert_eq!(running.outbox().len(), 1);
    let (steps, code) = running.site.json(&["doctor", "out"]);
    assert_eq!((code, running.work().len()), (0, 1), "{steps:?}");
    let read = running.site.run(&["sync", "orders", "--json"]);
    assert_eq!(read.status.code(), Some(0), "{read:?}");
}
