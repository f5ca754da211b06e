//! Configurations that do not work: each has its cause in one sentence, and a remedy.

use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::time::Duration;

use tollbridge::adapters::sql::{Database, Finding, SqlErrorKind};
use tollbridge::adapters::sql_server::{Config, Encryption, Login, Trust};

use super::{Site, config};
use crate::support::tds_server::{self, LoginTrouble, Settings, TdsServer, Trouble};

/// Looks at a server that is not ours, or not there.
async fn found(change: impl FnOnce(&mut Config)) -> (Vec<Finding>, SqlErrorKind) {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path(), 9, "Pa$$w0rd");
    config.connect_timeout = Duration::from_secs(2);
    change(&mut config);
    let site = Site::behind(None, config, 2, folder);
    looked(&site).await
}

async fn looked(site: &Site) -> (Vec<Finding>, SqlErrorKind) {
    let findings = site.door.diagnose(site.permit().await).await;
    let error = site.door.probe(site.permit().await).await.map(drop).unwrap_err();
    assert!(!error.message.contains("Pa$$w0rd") && !findings.iter().any(|finding| finding.said.contains("Pa$$w0rd")));
    (findings, error.kind)
}

/// The last step failed, and says so in these words.
fn check((findings, kind): (Vec<Finding>, SqlErrorKind), step: &str, said: &str, remedy: &str, expected: SqlErrorKind) {
    let last = findings.last().unwrap();
    assert!(!last.is_well, "{findings:?}");
    assert_eq!(last.step, step, "{findings:?}");
    assert!(last.said.contains(said), "{last:?}");
    assert!(last.remedy.as_deref().unwrap_or_default().contains(remedy), "{last:?}");
    assert_eq!(kind, expected);
    assert!(findings[..findings.len() - 1].iter().all(|finding| finding.is_well), "{findings:?}");
}

#[tokio::test]
async fn nobody_is_there() {
    let typo = found(|config| config.host = "no-such-host.invalid".to_owned()).await;
    check(typo, "resolve", "is not known", "look at `host`", SqlErrorKind::Unreachable);

    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let refused = found(|config| config.port = Some(closed)).await;
    check(refused, "connect", "nothing listens at port", "TCP/IP is switched on", SqlErrorKind::Unreachable);

    // It takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let quiet = found(|config| config.port = Some(port)).await;
    check(quiet, "greeting", "nothing came", "overloaded", SqlErrorKind::Unreachable);

    // Another service.
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in other.incoming().take(2) {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 512]);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let foreign = found(|config| config.port = Some(port)).await;
    check(foreign, "greeting", "no SQL Server", "another service", SqlErrorKind::Unreachable);
}

#[tokio::test]
async fn an_instance_that_nobody_knows() {
    // Nobody listens to UDP port 1434 here; if somebody does, he knows no such instance.
    let browser = found(|config| {
        config.port = None;
        config.host = "127.0.0.1".to_owned();
        config.instance = Some("NOBODY".to_owned());
        config.connect_timeout = Duration::from_secs(4);
    })
    .await;
    check(browser, "browser", "SQL Browser", "`port`", SqlErrorKind::Unreachable);
    drop(UdpSocket::bind("127.0.0.1:0"));
}

fn secured(settings: Settings, change: impl FnOnce(&TdsServer, &mut Config)) -> Site {
    let server = TdsServer::with(settings, "");
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path(), server.port(), "Pa$$w0rd");
    config.encryption = Encryption::Required;
    change(&server, &mut config);
    Site::behind(Some(server), config, 2, folder)
}

/// Who has signed the server's certificate.
fn authority() -> std::path::PathBuf {
    tds_server::wire::tls::certificates().join("ca.pem")
}

fn settings(encryption: tds_server::Encryption) -> Settings {
    Settings { encryption, ..Settings::default() }
}

#[tokio::test]
async fn encryption_is_what_is_written() {
    use tds_server::Encryption::{NotSupported, Off, Required};
    // What works, and how much is encrypted then.
    for (offered, written, login, all) in [
        (Off, Encryption::Required, true, true),
        (Required, Encryption::Required, true, true),
        (Off, Encryption::LoginOnly, true, false),
        (NotSupported, Encryption::Off, false, false),
    ] {
        let site = secured(settings(offered), |_, config| {
            config.encryption = written;
            if written != Encryption::Off {
                config.trust = Trust::File(authority());
            }
        });
        let server = site.door.probe(site.permit().await).await.unwrap();
        assert!(server.product.contains("2019"), "{server:?}");
        let report = site.server().report();
        let session = report.sessions.last().unwrap();
        assert_eq!((session.login_encrypted, session.encrypted), (login, all), "{offered:?} {written:?}");
        assert_eq!(session.application, "tollbridge");
    }
    // What does not: never more and never less than is written.
    for (offered, written, said, remedy) in [
        (NotSupported, Encryption::Required, "offers no encryption", "certificate"),
        (NotSupported, Encryption::LoginOnly, "offers no encryption", "certificate"),
        (Required, Encryption::Off, "insists on encryption", "required"),
        (Required, Encryption::LoginOnly, "insists on encrypting everything", "required"),
    ] {
        let site = secured(settings(offered), |_, config| {
            config.encryption = written;
            config.trust = Trust::File(authority());
        });
        check(looked(&site).await, "tls", said, remedy, SqlErrorKind::Tls);
        assert_eq!(site.server().report().sessions.len(), 0, "nobody has logged in");
    }
}

#[tokio::test]
async fn certificates_that_are_not_good() {
    let off = || settings(tds_server::Encryption::Off);
    let unknown = secured(off(), |_, _| {});
    check(looked(&unknown).await, "tls", "nobody whom we trust", "`ca`", SqlErrorKind::Tls);
    let name = secured(off(), |_, config| {
        config.trust = Trust::File(authority());
        config.certificate_host = Some("erp.example".to_owned());
    });
    check(looked(&name).await, "tls", "another name", "`certificate_host`", SqlErrorKind::Tls);
    let missing = secured(off(), |_, config| config.trust = Trust::File("/nowhere/ca.pem".into()));
    check(looked(&missing).await, "tls", "cannot be read", "`ca`", SqlErrorKind::Tls);
    // The server's own certificate may be named as well.
    let own = secured(off(), |_, config| {
        config.trust = Trust::File(tds_server::wire::tls::certificates().join("cert.pem"));
    });
    assert!(own.door.probe(own.permit().await).await.is_ok());
    // Whoever takes anybody is told so.
    let anybody = secured(off(), |_, config| config.trust = Trust::Anybody);
    assert!(anybody.door.probe(anybody.permit().await).await.is_ok());
    let old = secured(Settings { old_tls: true, ..off() }, |_, config| {
        config.trust = Trust::File(authority());
    });
    check(looked(&old).await, "tls", "TLS", "`odbc`", SqlErrorKind::Tls);
}

#[tokio::test]
async fn logins_that_are_refused() {
    for (trouble, said, remedy, kind) in [
        (LoginTrouble::Refused, "Login failed", "`username`", SqlErrorKind::Login),
        (LoginTrouble::Expired, "expired", "new password", SqlErrorKind::PasswordExpired),
        (LoginTrouble::MustChange, "changed", "new password", SqlErrorKind::PasswordExpired),
        (LoginTrouble::NoDatabase, "Cannot open database", "`database`", SqlErrorKind::Missing),
        (LoginTrouble::SingleUser, "", "ask later", SqlErrorKind::Busy),
    ] {
        let site = Site::new("");
        site.server().faults(|faults| faults.login = Some(trouble));
        check(looked(&site).await, "login", said, remedy, kind);
    }
    let wrong = Site::new("");
    let folder = tempfile::tempdir().unwrap();
    let password = Site::behind(None, config(folder.path(), wrong.server().port(), "wrong"), 2, folder);
    check(looked(&password).await, "login", "Login failed", "`password`", SqlErrorKind::Login);
    let folder = tempfile::tempdir().unwrap();
    let mut nowhere = config(folder.path(), wrong.server().port(), "x");
    nowhere.login = Login::Sql {
        username: "bridge".to_owned(),
        password: tollbridge::secret::SecretRef::File("/nowhere/password".into()),
    };
    let (findings, kind) = looked(&Site::behind(None, nowhere, 2, folder)).await;
    assert_eq!((findings.last().unwrap().step, kind), ("login", SqlErrorKind::Secret));
}

#[tokio::test]
async fn a_good_server_is_told_step_by_step() {
    let site = Site::new("CREATE TABLE t (a int)");
    let findings = site.door.diagnose(site.permit().await).await;
    let steps: Vec<_> = findings.iter().map(|finding| finding.step).collect();
    let expected =
        ["resolve", "connect", "greeting", "tls", "login", "database", "rights", "version", "encoding", "clock"];
    assert_eq!(steps, expected, "{findings:?}");
    assert!(findings.iter().all(|finding| finding.is_well), "{findings:?}");
    // Something that may not be asked is told, and is no reason to end.
    site.server().faults(|faults| {
        faults.only = Some("HAS_PERMS".to_owned());
        faults.trouble = vec![(0, Trouble::Error(229, 14, "The SELECT permission was denied.".to_owned()))];
    });
    let findings = site.door.diagnose(site.permit().await).await;
    assert!(findings.iter().any(|finding| finding.step == "rights" && !finding.is_well), "{findings:?}");
}
