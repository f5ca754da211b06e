//! A SQL Server whose TLS ends at 1.0: what is told of it, and the way out through FreeTDS.

use super::sql_server::{ITEMS, legacy, table};
use super::{FIELDS, Legacy, counts};
use crate::support::tds_server::old_tls::OldTls;
use crate::support::tds_server::{Encryption, Settings, TdsServer};

fn old_server() -> (TdsServer, OldTls) {
    let settings = Settings { encryption: Encryption::NotSupported, ..Settings::default() };
    let server = TdsServer::with(settings, ITEMS);
    let front = OldTls::before(server.port());
    (server, front)
}

/// The door to SQL Server says what is wrong and which way leads out; nothing is sent to it below TLS 1.2.
#[test]
fn our_own_door_tells_the_way_out() {
    let (server, front) = old_server();
    let old = legacy(&server, &table("snapshot = true"));
    old.reconfigure(&format!("port = {}", server.port()), &format!("port = {}", front.port()));
    // Without encryption nobody is let in.
    assert!(old.fails().contains("insists on encryption"));
    old.reconfigure("encryption = \"off\"", "encryption = \"required\"\ntrust_server_certificate = true");
    let said = old.fails();
    assert!(said.contains("offers no TLS 1.2") && said.contains("`odbc`") && said.contains("FreeTDS"), "{said}");
    let (told, code) = old.site.json(&["doctor", "old"]);
    let told = format!("{told:?}");
    assert!(code != 0 && told.contains("offers no TLS 1.2") && told.contains("`odbc`"), "{told}");
    assert!(front.handshakes().len() >= 2 && front.handshakes().iter().all(|version| version == "refused"));
    let report = server.report();
    assert_eq!((report.sessions.len(), report.refused_logins), (0, 0), "nobody has logged in");
}

/// FreeTDS as Debian has it speaks TLS 1.0 without being asked to.
#[test]
fn freetds_reads_from_it() {
    let (server, front) = old_server();
    let backend = format!(
        "connection = \"Driver=FreeTDS;Server=127.0.0.1;Port={};Database=erp;Encryption=require\"\nusername = \"bridge\"\n\
         password = {{ file = \"password\" }}",
        front.port()
    );
    let source = "[source.query]\nsql = 'SELECT NO, NAME, QTY FROM dbo.ITEMS ORDER BY NO'\nsnapshot = true\n";
    let old = Legacy::with_backend(&backend, source, FIELDS);
    old.site.write("password", b"Pa$$w0rd");
    assert_eq!(counts(&old.sync()), [4, 4, 0, 0], "{:?}", front.handshakes());
    assert!(!front.handshakes().is_empty() && front.handshakes().iter().all(|version| version == "TLSv1"));
    assert!(!server.report().sessions.is_empty());
}
