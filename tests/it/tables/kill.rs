//! SIGKILL at any moment of a reading, then another reading, ends as if nothing had been.

use std::process::Stdio;
use std::time::{Duration, Instant};

use super::{FIELDS, Legacy};

const TABLE: &str = "[source.table]\ntable = 'ITEMS'\nbatch_rows = 500\nchunk_rows = 1500\n";

fn schema() -> String {
    "create table ITEMS (NO integer primary key, NAME text, QTY integer, SEQ integer);
     with recursive c(i) as (select 1 union all select i + 1 from c where i < 20000)
     insert into ITEMS select i, 'item ' || i, case when i % 997 = 3 then 'x' else i end, i from c;"
        .to_owned()
}

const FIRST: &str =
    "update ITEMS set QTY = 7, SEQ = SEQ + 20000 where NO % 3 = 0; delete from ITEMS where NO % 50 = 7;";

/// Kills readings until so many have died, and lets the last one come to its end.
fn killed(old: &Legacy, times: u32, whole: Duration, seed: &mut u64) {
    let mut killed = 0;
    let mut tries = 0;
    while killed < times && tries < times * 4 {
        tries += 1;
        let mut child =
            old.site.command(&["sync", "items"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        *seed ^= *seed << 13;
        *seed ^= *seed >> 7;
        *seed ^= *seed << 17;
        std::thread::sleep(Duration::from_micros(*seed % whole.as_micros().max(1) as u64));
        killed += u32::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(killed > 0);
    old.sync();
}

fn disturbed(source: &str) {
    let mut seed = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64 | 1;
    std::io::Write::write_all(&mut std::io::stderr(), format!("seed {seed}\n").as_bytes()).unwrap();
    let calm = Legacy::new(source, FIELDS, &schema());
    let began = Instant::now();
    calm.sync();
    let whole = began.elapsed();
    let broken = Legacy::new(source, FIELDS, &schema());
    killed(&broken, 6, whole, &mut seed);
    assert_eq!(broken.documents(), calm.documents());
    calm.sql(FIRST);
    calm.sync();
    broken.sql(FIRST);
    killed(&broken, 6, whole, &mut seed);
    assert_eq!(broken.documents(), calm.documents());
    // 400 were deleted, and of 21 that are no number 7 were mended.
    assert_eq!(calm.documents().len(), 20_000 - 400 - 14);
    let (letters, _) = calm.site.json(&["dead-letters", "list"]);
    let (again, _) = broken.site.json(&["dead-letters", "list"]);
    let keys = |letters: &[serde_json::Value]| {
        let mut keys: Vec<_> = letters.iter().map(|letter| letter["key"].to_string()).collect();
        keys.sort();
        keys.dedup();
        keys
    };
    assert_eq!(keys(&letters), keys(&again));
    // Nothing is left half done.
    super::on_staging(&broken.site.path("var/staging.db"), async |staging| {
        let id = "items.v1".parse().unwrap();
        let begun = tollbridge::staging::Staging::unfinished_files(staging, &id).await.unwrap();
        assert!(begun.is_empty(), "{begun:?}");
    });
}

#[test]
fn a_snapshot_that_is_killed_goes_on() {
    disturbed(&format!("{TABLE}snapshot = true\n"));
}

#[test]
fn a_watermark_that_is_killed_goes_on() {
    disturbed(&format!("{TABLE}watermark = {{ column = 'SEQ' }}\nreconcile = 'every 1ms'\n"));
}
