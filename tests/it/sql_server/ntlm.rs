//! NTLM is the business of FreeTDS, by `odbc`: what the documentation says of it, against gss-ntlmssp at the server.

use std::path::Path;
use std::sync::Arc;

use crate::site::Site;
use crate::support::tds_server::{Acceptor, Encryption, Settings, TdsServer};

const NTLMSSP: &str = "1.3.6.1.4.1.311.2.2.10";

#[test]
fn an_account_of_windows_logs_in_by_odbc_and_freetds() {
    let folder = tempfile::tempdir().unwrap();
    let accounts = folder.path().join("accounts");
    std::fs::write(&accounts, "CORP:svc:s3cret\n").unwrap();
    let variables: [(&str, &Path); 3] = [
        ("NTLM_USER_FILE", &accounts),
        ("NETBIOS_DOMAIN_NAME", Path::new("CORP")),
        ("NETBIOS_COMPUTER_NAME", Path::new("SQL1")),
    ];
    let settings = Settings {
        logins: vec![("CORP\\svc".to_owned(), String::new())],
        encryption: Encryption::NotSupported,
        acceptor: Some(Arc::new(Acceptor::start(NTLMSSP, &variables))),
        ..Settings::default()
    };
    let server = TdsServer::with(settings, "CREATE TABLE dbo.orders (no int NOT NULL PRIMARY KEY)");
    for (password, is_well) in [("s3cret", true), ("wrong", false)] {
        let site = Site::new();
        std::fs::write(site.path("password"), password).unwrap();
        let config = format!(
            "[backends.erp.odbc]\nconnection = 'Driver=FreeTDS;Server=127.0.0.1;Port={};TDS_Version=7.4;Database=erp;\
             UseNTLMv2=yes'\nusername = 'CORP\\svc'\npassword = {{ file = \"password\" }}\n[telemetry]\nlog = \"text\"\n",
            server.port()
        );
        site.write("tollbridge.toml", config.as_bytes());
        let before = server.report().sessions.len();
        let (lines, code) = site.json(&["doctor", "erp"]);
        assert_eq!(code == 0, is_well, "{lines:?}");
        let sessions = server.report().sessions;
        let users: Vec<&str> = sessions[before..].iter().map(|session| session.user.as_str()).collect();
        assert_eq!(users.is_empty(), !is_well, "{lines:?}");
        assert!(users.iter().all(|user| *user == "CORP\\svc"), "{users:?}");
    }
}
