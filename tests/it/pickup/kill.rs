//! SIGKILL while files are downloaded and moved, then a restart, ends as if nothing had happened.

use std::process::Stdio;
use std::time::Duration;

use super::proxy::Proxy;
use super::sshd::Sshd;
use super::{items, letters, site, sync};
use crate::site::Site;

/// Numbers that look random, from a seed that the tests show.
struct Random(u64);

impl Random {
    fn new() -> Random {
        let seed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64 | 1;
        Random(seed)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// Starts runs and kills them, until one ends by itself; answers how many died. The first die early, however fast the
/// machine is; later ones within `reach`.
fn disturb(site: &Site, random: &mut Random, reach: Duration) -> u32 {
    for killed in 0..200 {
        let mut child = site.command(&["sync", "items"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let within = reach * (killed + 1).min(20) / 20;
        std::thread::sleep(Duration::from_micros(random.below(within.as_micros() as u64)));
        let ended = child.try_wait().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        if ended.is_some() {
            return killed;
        }
    }
    panic!("it never came to its end");
}

/// Every record once, nothing refused.
fn assert_whole(site: &Site, records: u64) {
    let (run, code, said) = sync(site);
    assert_eq!(code, 0, "{run}\n{said}");
    assert_eq!(letters(site), []);
    let output = site.run(&["trace", "items", &(records - 1).to_string(), "--json"]);
    let trace: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(trace["versions"].as_array().unwrap().len(), 1, "{trace}");
}

#[test]
fn downloads_survive_being_killed() {
    let sshd = Sshd::start();
    let proxy = Proxy::to(sshd.port);
    // Slow enough for a run to be killed in the middle of it.
    proxy.pause(Duration::from_millis(8));
    let site = site(&sshd.backend(proxy.port, &sshd.trusted()));
    let content = items(0..60_000);
    sshd.deliver("items1.csv", &content);
    let mut random = Random::new();
    println!("seed {}", random.0);
    let killed = disturb(&site, &mut random, Duration::from_millis(1500));
    assert!(killed > 0, "nothing was killed");
    proxy.pause(Duration::ZERO);
    assert_whole(&site, 60_000);
    assert_eq!((sshd.listing("outbox"), sshd.listing("archive")), (vec![], vec!["items1.csv".to_owned()]));
    assert_eq!(std::fs::read(sshd.path("archive/items1.csv")).unwrap(), content);
    assert_eq!(site.listing("var/landing/incoming"), Vec::<String>::new());
}

#[test]
fn a_service_that_is_told_to_stop_does_not_wait_for_a_download() {
    let sshd = Sshd::start();
    let proxy = Proxy::to(sshd.port);
    let site = site(&sshd.backend(proxy.port, &sshd.trusted()));
    let mapping = std::fs::read_to_string(site.path("mappings/items.v1.toml")).unwrap();
    let often = mapping.replace("backend = \"erp\"", "backend = \"erp\"\nschedule = \"watch\"");
    site.write("mappings/items.v1.toml", often.as_bytes());
    // At this pace it would take minutes.
    proxy.pause(Duration::from_millis(1000));
    sshd.deliver("items1.csv", &items(0..150_000));
    let service = site.serve();
    let part = || {
        let mut parts = std::fs::read_dir(site.path("var/landing/incoming")).ok()?;
        parts.find_map(|part| part.ok()?.metadata().ok().filter(|part| part.len() > 0).map(|part| part.len()))
    };
    service.until(part);
    let told = std::time::Instant::now();
    service.signal("TERM");
    assert_eq!(service.wait(), Some(0));
    assert!(told.elapsed() < Duration::from_secs(20), "{:?}", told.elapsed());
    proxy.pause(Duration::ZERO);
    let whole = proxy.passed();
    assert_whole(&site, 150_000);
    assert!(whole > 0 && proxy.passed() < 4_000_000);
}

#[test]
fn moves_to_another_file_system_survive_being_killed() {
    let other = tempfile::tempdir_in("/dev/shm").unwrap();
    let archive = other.path().join("archive");
    let site = site(&format!(
        "[backends.erp.files]\ninbox = \"inbox\"\nstable_for = \"0s\"\narchive = \"{}\"\n",
        archive.display()
    ));
    let mut random = Random::new();
    println!("seed {}", random.0);
    let mut killed = 0;
    for round in 0..8 {
        let content = items(round * 1000..round * 1000 + 1000);
        let name = format!("items{round}.csv");
        site.deliver(&name, &content);
        killed += disturb(&site, &mut random, Duration::from_millis(120));
        sync(&site);
        assert_eq!(std::fs::read(archive.join(&name)).unwrap(), content, "round {round}");
        assert!(!archive.join(format!("{name}.2")).exists(), "round {round}: moved twice");
    }
    println!("killed {killed}");
    assert!(killed > 0, "nothing was killed");
    assert_eq!(site.listing("inbox"), Vec::<String>::new());
    assert_eq!(std::fs::read_dir(&archive).unwrap().count(), 8);
    assert_whole(&site, 8000);
}
