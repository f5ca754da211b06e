//! Ways to a server: an instance by its name, what a login says of itself, and a server that is named by its address.

use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};

use super::{Site, config};
use crate::support::tds_server::{Encryption, Settings, TdsServer};

/// Another address of this machine, at which nobody else is.
const OTHER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// Takes connections at the other address and hands them on.
fn forwarder(to: u16) -> u16 {
    let listener = TcpListener::bind((OTHER, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (Ok(client), Ok(server)) = (client, TcpStream::connect(("127.0.0.1", to))) else { return };
            let pair = (client.try_clone().unwrap(), server.try_clone().unwrap());
            for (mut from, mut to) in [(client, server), (pair.1, pair.0)] {
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(std::net::Shutdown::Both);
                });
            }
        }
    });
    port
}

#[tokio::test]
async fn an_instance_is_found_by_its_name() {
    let server = TdsServer::with(Settings { encryption: Encryption::NotSupported, ..Settings::default() }, "");
    let port = forwarder(server.port());
    // SQL Browser ([MC-SQLR] 2.2.5): the byte 5, a length, and what it knows of the instance.
    let browser = UdpSocket::bind((OTHER, 1434)).unwrap();
    let asked = std::thread::spawn(move || {
        let mut question = [0; 64];
        let (length, from) = browser.recv_from(&mut question).unwrap();
        let text = format!("ServerName;OLD;InstanceName;NAV;IsClustered;No;Version;15.0.2000.5;tcp;{port};;");
        let answer = [&[5, text.len() as u8, 0], text.as_bytes()].concat();
        browser.send_to(&answer, from).unwrap();
        question[..length].to_vec()
    });
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path(), 0, "Pa$$w0rd");
    (config.host, config.port, config.instance) = (OTHER.to_string(), None, Some("NAV".to_owned()));
    let site = Site::behind(None, config, 1, folder);
    assert_eq!(site.one("SELECT 7 AS a").await, "7");
    // CLNT_UCAST_INST ([MC-SQLR] 2.2.3): the byte 4 and the name.
    assert_eq!(asked.join().unwrap(), b"\x04NAV");
}

#[tokio::test]
async fn a_login_says_what_it_is_for() {
    let settings = Settings { encryption: Encryption::NotSupported, ..Settings::default() };
    for read_intent in [false, true] {
        let site = Site::of(settings.clone(), "", |config| {
            config.read_intent = read_intent;
            config.application_name = "tollbridge for the till".to_owned();
        });
        site.one("SELECT 1 AS a").await;
        let session = &site.server().report().sessions[0];
        assert_eq!((session.read_only, session.application.as_str()), (read_intent, "tollbridge for the till"));
    }
}

/// The tests that are done at a server which the environment names are done at ours by its address, as they would be there.
#[test]
fn a_server_that_the_environment_names_is_asked() {
    const NAMED: &str = "TOLLBRIDGE_TEST_MSSQL_URL";
    for encryption in [Encryption::Off, Encryption::NotSupported] {
        let server = TdsServer::with(Settings { encryption, ..Settings::default() }, "");
        let before = server.report().sessions.len();
        let run = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["sql_server::work::", "sql_server::types::", "--test-threads=1"])
            .env(NAMED, format!("mssql://bridge:Pa$$w0rd@127.0.0.1:{}/erp", server.port()))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stdout);
        assert!(run.status.success(), "{encryption:?}: {said}{}", String::from_utf8_lossy(&run.stderr));
        let sessions = server.report().sessions.len() - before;
        assert!(sessions >= 8, "only {sessions} sessions were the named server's");
    }
}
