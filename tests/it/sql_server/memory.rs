//! What a long value costs: no more than is read of it, and the rows behind it come all the same.

use std::process::Command;
use std::sync::Arc;

use super::rows::Cell;
use super::{Site, config, gathered, query};
use crate::support::tds_server::{Encryption, Settings, TdsServer};

/// Where a child finds its server, and how much of a value it reads.
const ASK: &str = "TOLLBRIDGE_TEST_SQL_SERVER_MEMORY";

/// 64 MB in UTF-16, as the server sends it.
const CHARACTERS: usize = 32_000_000;

/// As the child: reads, and tells what it had in memory at most.
fn as_child() -> bool {
    let Ok(ask) = std::env::var(ASK) else { return false };
    let (port, most) = ask.split_once(' ').unwrap();
    let (port, most): (u16, usize) = (port.parse().unwrap(), most.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let mut config = config(folder.path(), port, "Pa$$w0rd");
        config.max_value_bytes = most;
        let site = Site::behind(None, config, 1, folder);
        let rows = gathered(site.ask(query("SELECT id, v FROM dbo.long ORDER BY id")).await.unwrap()).await.unwrap();
        assert_eq!(rows.len(), 3);
        match &rows[0][1] {
            Cell::Value(value) => assert_eq!((value.len(), most > CHARACTERS), (CHARACTERS, true)),
            Cell::Fault(_, kept) => assert!(most < CHARACTERS && kept.len() <= 4096, "{}", kept.len()),
            Cell::Null => panic!("it is gone"),
        }
        assert_eq!(rows[1..], [[Cell::of("2"), Cell::of("short")], [Cell::of("3"), Cell::Null]]);
    });
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let highest = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kib: u64 = highest.trim().trim_end_matches("kB").trim().parse().unwrap();
    std::io::Write::write_all(&mut std::io::stderr(), format!("highest: {}\n", kib / 1024).as_bytes()).unwrap();
    true
}

#[test]
fn a_value_of_64_mb_costs_what_is_read_of_it() {
    if as_child() {
        return;
    }
    let settings = Settings { encryption: Encryption::NotSupported, ..Settings::default() };
    let script = format!(
        "CREATE TABLE dbo.long (id int NOT NULL PRIMARY KEY, v nvarchar(max) NULL)\nGO\n\
         INSERT INTO dbo.long VALUES (1, REPLICATE(CAST(N'x' AS nvarchar(max)), {CHARACTERS}))\nGO\n\
         INSERT INTO dbo.long VALUES (2, N'short'), (3, NULL)"
    );
    let server = Arc::new(TdsServer::with(settings, &script));
    let highest = |most: usize| -> u64 {
        let run = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "sql_server::memory::a_value_of_64_mb_costs_what_is_read_of_it", "--nocapture"])
            .env(ASK, format!("{} {most}", server.port()))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stderr).into_owned();
        assert!(run.status.success(), "{said}{}", String::from_utf8_lossy(&run.stdout));
        let told = said.lines().find_map(|line| line.split("highest: ").nth(1)).unwrap_or_else(|| panic!("{said}"));
        told.trim().parse().unwrap()
    };
    let short = highest(1 << 20);
    assert!(short < 64, "{short} MiB");
    // The figure means something: who wants it whole has it, and pays for it.
    let whole = highest(1 << 28);
    assert!(whole > 64, "{whole} MiB");
    println!("{short} MiB, {whole} MiB");
}
