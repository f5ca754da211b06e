//! Configurations that do not work: each has its cause in one sentence, and a remedy.

use std::net::TcpListener;

use tollbridge::adapters::sql::{Database, Finding};

use super::Site;
use super::sqlite::file;
use crate::support::postgres::Postgres;

async fn found(connection: &str, settings: &str) -> Vec<Finding> {
    let site = Site::new(connection, settings);
    let findings = site.source.diagnose(site.permit().await).await;
    site.settled().await;
    findings
}

/// One step is wrong, and says so in these words. All before it are well.
async fn check(connection: &str, settings: &str, step: &str, said: &str, remedy: &str) {
    let findings = found(connection, settings).await;
    let at = findings.iter().position(|finding| !finding.is_well).unwrap_or_else(|| panic!("{findings:?}"));
    let wrong = &findings[at];
    assert_eq!(wrong.step, step, "{findings:?}");
    assert!(wrong.said.contains(said), "{wrong:?}");
    assert!(wrong.remedy.as_deref().unwrap_or_default().contains(remedy), "{wrong:?}");
    assert_eq!(findings.iter().filter(|finding| !finding.is_well).count(), 1, "{findings:?}");
    // One sentence, and no word of the driver's about itself.
    assert!(!wrong.said.contains('\n') && !wrong.said.contains("[unixODBC]"), "{wrong:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_or_a_file_that_is_not_there() {
    check("Driver=No Such Driver;Database=x", "", "driver", "no driver `No Such Driver`", "SQLite3").await;
    check("Driver=/nowhere/lib.so;Database=x", "", "driver", "there is no file /nowhere/lib.so", "install").await;
    check("DSN=no-such-source", "", "driver", "no data source `no-such-source`", "odbc.ini").await;
    check("Driver=SQLite3;Database=/nowhere/x.sqlite", "", "connect", "cannot be read", "path").await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("letter.sqlite");
    std::fs::write(&path, "Dear Sir or Madam, ".repeat(100)).unwrap();
    let letter = format!("Driver=SQLite3;Database={}", path.display());
    check(&letter, "", "connect", "no database", "encrypted").await;
    let (_folder, empty) = file("");
    check(&empty, "", "rights", "sees no table", "another database").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_let_us_in() {
    let server = Postgres::shared();
    let database = server.database("doctor_server", "");
    server.sql(&database, "create table t (i int)");
    let right = server.connection(&database);
    let with_port = |port: u16| right.replace(&format!("Port={}", server.port), &format!("Port={port}"));
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    check(&with_port(closed), "", "connect", "nothing listens at port", "").await;
    let typo = right.replace("127.0.0.1", "no-such-host.invalid");
    check(&typo, "", "resolve", "is not known", "").await;
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    std::fs::write(&password, "wrong").unwrap();
    let account = format!("username = 'careful'\npassword = {{ file = '{}' }}", password.display());
    let careful = right.replace(";UID=tb", "");
    check(&careful, &account, "login", "password authentication failed", "`password`").await;
    std::fs::remove_file(&password).unwrap();
    check(&careful, &account, "login", "password", "").await;
    check(&server.connection("nowhere"), "", "login", "nowhere", "").await;
    let findings = found(&right, "").await;
    assert!(findings.iter().all(|finding| finding.is_well), "{findings:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encoding_that_texts_speak_against() {
    let (_folder, old) =
        file("create table t (i int, n text); insert into t values (1, 'plain'), (2, cast(x'4dfc6c6c6572' as text));");
    check(&old, "", "encoding", "`t.n` is not in utf-8: it has the bytes fc", "windows-1252").await;
    let findings = found(&old, "encoding = 'windows-1252'").await;
    assert!(findings.iter().any(|finding| finding.is_well && finding.said.contains("`Müller`")), "{findings:?}");
    let (_folder, new) = file("create table t (i int, n text); insert into t values (1, 'plain'), (2, 'Müller');");
    check(&new, "encoding = 'windows-1252'", "encoding", "is UTF-8, and in windows-1252 reads `MÃ¼ller`", "leave")
        .await;
    let findings = found(&new, "").await;
    assert!(findings.iter().any(|finding| finding.is_well && finding.said.contains("`Müller`")), "{findings:?}");
    // What is plain ASCII speaks for all of them.
    let (_folder, plain) = file("create table t (n text); insert into t values ('plain');");
    let findings = found(&plain, "encoding = 'windows-1252'").await;
    assert!(findings.iter().all(|finding| finding.is_well), "{findings:?}");
    // PostgreSQL translates for its driver.
    let server = Postgres::shared();
    let database = server.database("doctor_pages", "encoding 'LATIN1' locale 'C' template template0");
    server.sql(&database, "create table t (n text); insert into t values ('Grüße')");
    let right = server.connection(&database);
    check(&right, "encoding = 'windows-1252'", "encoding", "is UTF-8", "leave").await;
}
