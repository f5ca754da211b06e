//! TLS of the API's listener with certificates that callers show, spoken by curl and made by openssl.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::config::MAPPING;
use crate::site::{Service, Site};

/// An authority and what it vouches for, in a folder of its own.
struct Authority {
    folder: PathBuf,
}

fn openssl(folder: &Path, arguments: &[&str]) {
    let ran = Command::new("openssl").current_dir(folder).args(arguments).output().unwrap();
    assert!(ran.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
}

const KEY: [&str; 6] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-batch"];

impl Authority {
    fn new(folder: &Path) -> Authority {
        std::fs::create_dir_all(folder).unwrap();
        let own = ["-x509", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=authority"];
        openssl(folder, &[&["req"], KEY.as_slice(), &own].concat());
        Authority { folder: folder.to_owned() }
    }

    /// A certificate with this common name and these alternative names: `NAME.pem` and `NAME.key`.
    fn vouch(&self, name: &str, common_name: &str, names: &str) {
        let (key, request, certificate) = (format!("{name}.key"), format!("{name}.csr"), format!("{name}.pem"));
        let subject = format!("/CN={common_name}");
        let asking = ["-keyout", &key, "-out", &request, "-subj", &subject];
        openssl(&self.folder, &[&["req"], KEY.as_slice(), &asking].concat());
        std::fs::write(self.folder.join("extensions"), format!("subjectAltName={names}\n")).unwrap();
        let signing = ["x509", "-req", "-in", &request, "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"];
        let more = ["-out", &certificate, "-days", "2", "-extfile", "extensions"];
        openssl(&self.folder, &[signing.as_slice(), &more].concat());
    }

    /// The same with one that ends in so many seconds.
    fn vouch_for_a_while(&self, name: &str, names: &str, seconds: i64) {
        self.vouch(name, name, names);
        let config = format!(
            "[ca]\ndefault_ca = own\n[own]\ndatabase = index\nnew_certs_dir = .\nrand_serial = yes\ncertificate = ca.pem\n\
             private_key = ca.key\ndefault_md = sha256\npolicy = any\nunique_subject = no\nx509_extensions = names\n\
             [any]\ncommonName = supplied\n[names]\nsubjectAltName = {names}\n"
        );
        std::fs::write(self.folder.join("ca.cnf"), config).unwrap();
        std::fs::write(self.folder.join("index"), "").unwrap();
        let end = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds);
        let end = end.strftime("%Y%m%d%H%M%SZ").to_string();
        let (request, certificate) = (format!("{name}.csr"), format!("{name}.pem"));
        let signing = ["ca", "-batch", "-notext", "-config", "ca.cnf", "-in", &request, "-out", &certificate];
        openssl(&self.folder, &[signing.as_slice(), &["-startdate", "20200101000000Z", "-enddate", &end]].concat());
    }

    fn file(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }
}

/// Asks with curl, which trusts `authority`; more of its options behind.
fn curl(service: &Service, authority: &Authority, path: &str, more: &[&str]) -> Output {
    let url = format!("https://{}{path}", service.address());
    Command::new("curl").args(["-s", "-i", "--cacert", &authority.file("ca.pem"), &url]).args(more).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The status of an answer; 0 without one.
fn status(output: &Output) -> u16 {
    said(output).split(' ').nth(1).and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn configure(site: &Site, tls: &str, auth: &str) {
    let config = format!(
        "[server.tls]\ncert = \"tls/server.pem\"\nkey = \"tls/server.key\"\n{tls}\n{auth}\n\
         [backends.erp.files]\ninbox = \"inbox\"\n[telemetry]\nlog = \"text\"\n"
    );
    site.write("tollbridge.toml", config.as_bytes());
}

const TABLE: &str = "[[auth.certificates]]\ndns = \"shop.example\"\nclient = \"webshop\"\nscopes = [\"items:read\"]\n\
                     [[auth.certificates]]\ncommon_name = \"the boss\"\nclient = \"boss\"\nscopes = [\"*\"]\n";

/// Something to write.
const PRAISE: &str =
    "[operations.praise]\nbackend = \"shop\"\nsql = \"insert into praise (id) values (:key)\"\nexpect = 1\n";

#[test]
fn certificates_say_who_calls() {
    let site = Site::with_mappings(&[("items.v1.toml", MAPPING)]);
    let authority = Authority::new(&site.path("tls"));
    authority.vouch("server", "server", "IP:127.0.0.1");
    authority.vouch("shop", "shop", "DNS:shop.example");
    authority.vouch("boss", "the boss", "DNS:boss.example");
    authority.vouch("nobody", "nobody", "DNS:other.example");
    let others = Authority::new(&site.path("others"));
    others.vouch("shop", "shop", "DNS:shop.example");
    configure(&site, "client_ca = \"tls/ca.pem\"", TABLE);
    let (made, _) = site.json(&["keys", "create", "me", "--scope", "read"]);
    let key = made[0]["key"].as_str().unwrap().to_owned();
    let service = site.serve();
    service.until(|| (status(&curl(&service, &authority, "/health/ready", &[])) > 0).then_some(()));

    let by = |of: &Authority, name: &str, path: &str, more: &[&str]| {
        let (certificate, key) = (of.file(&format!("{name}.pem")), of.file(&format!("{name}.key")));
        let shown = ["--cert", certificate.as_str(), "--key", key.as_str()];
        curl(&service, &authority, path, &[shown.as_slice(), more].concat())
    };
    let shop = by(&authority, "shop", "/v1/items", &[]);
    assert_eq!(status(&shop), 200, "{}", said(&shop));
    assert!(said(&shop).starts_with("HTTP/2 200") && said(&shop).contains("strict-transport-security: max-age="));
    assert_eq!(status(&by(&authority, "shop", "/health/backends", &["--http1.1"])), 200);
    assert_eq!(status(&by(&authority, "boss", "/v1/items", &[])), 200);
    // What it vouches for is somebody, and not somebody here.
    let nobody = by(&authority, "nobody", "/v1/items", &[]);
    assert_eq!(status(&nobody), 401);
    assert!(said(&nobody).contains("nobody's here") && said(&nobody).contains("www-authenticate: Bearer"));
    // A key counts more than a certificate.
    let bearer = format!("Authorization: Bearer {key}");
    assert_eq!(status(&by(&authority, "nobody", "/v1/items", &["-H", &bearer])), 200);
    assert_eq!(status(&by(&authority, "boss", "/v1/items", &["-H", "Authorization: Bearer wrong"])), 401);
    assert_eq!(status(&curl(&service, &authority, "/v1/items", &["-H", &bearer])), 200);
    assert_eq!(status(&curl(&service, &authority, "/v1/items", &[])), 401);
    // Somebody else's authority vouches for nothing, whatever is written in the certificate.
    let foreign = by(&others, "shop", "/v1/items", &[]);
    assert!(status(&foreign) == 0 && !foreign.status.success(), "{}", said(&foreign));
    // Who speaks no TLS is told nothing.
    assert!(service.get("/v1", &key).is_err());
    let (_, clients) = service.admin("GET", "/admin/v1/clients");
    assert!(clients.contains("\"webshop\"") && clients.contains("\"boss\""), "{clients}");
}

#[test]
fn a_certificate_that_ends_is_nobodys_on_the_connection_that_it_has_begun() {
    let site = Site::with_mappings(&[("items.v1.toml", MAPPING)]);
    let authority = Authority::new(&site.path("tls"));
    authority.vouch("server", "server", "IP:127.0.0.1");
    configure(&site, "client_ca = \"tls/ca.pem\"", TABLE);
    let service = site.serve();
    service.until(|| (status(&curl(&service, &authority, "/health/ready", &[])) > 0).then_some(()));
    // A feed that goes on until the certificate ends, and a question on the same connection behind it.
    let asked = |seconds: i64| {
        authority.vouch_for_a_while("brief", "DNS:shop.example", seconds);
        let (url, most) = (format!("https://{}/v1/items", service.address()), (seconds + 90).to_string());
        let (ca, certificate, key) =
            (authority.file("ca.pem"), authority.file("brief.pem"), authority.file("brief.key"));
        let feed = format!("{url}/changes");
        let common = ["-s", "-i", "--cacert", &ca, "--cert", &certificate, "--key", &key, "--max-time", &most];
        let events = ["-N", "-H", "Accept: text/event-stream", &feed, "--next"];
        Command::new("curl").args(common).args(events).args(common).arg(&url).output().unwrap()
    };
    // On a machine that is busy it may have ended before the connection has begun.
    let answers = [8, 30, 120].into_iter().map(asked).find(|answers| status(answers) == 200).unwrap();
    let (both, code) = (said(&answers), answers.status.code());
    assert!(both.starts_with("HTTP/2 200") && both.contains("retry: 3000"), "{both}");
    assert_eq!((both.matches("HTTP/2 401").count(), code), (1, Some(0)), "{both}");
    assert!(both.contains("the certificate that was shown has ended"), "{both}");
}

#[test]
fn without_a_certificate_there_is_no_connection_where_it_is_required() {
    let site = Site::with_mappings(&[("items.v1.toml", MAPPING)]);
    let authority = Authority::new(&site.path("tls"));
    authority.vouch("server", "server", "IP:127.0.0.1");
    authority.vouch("shop", "shop", "DNS:shop.example");
    configure(&site, "client_ca = \"tls/ca.pem\"\nclient_certificates = \"required\"", TABLE);
    let service = site.serve();
    let (certificate, key) = (authority.file("shop.pem"), authority.file("shop.key"));
    let shown = ["--cert", certificate.as_str(), "--key", key.as_str()];
    service.until(|| (status(&curl(&service, &authority, "/v1/items", &shown)) == 200).then_some(()));
    assert_eq!(status(&curl(&service, &authority, "/v1/items", &[])), 0);
}

#[test]
fn a_renewed_certificate_is_in_force_after_sighup() {
    let site = Site::with_mappings(&[("items.v1.toml", MAPPING)]);
    let authority = Authority::new(&site.path("tls"));
    authority.vouch("server", "first", "IP:127.0.0.1");
    configure(&site, "", "");
    let service = site.serve();
    service.until(|| (status(&curl(&service, &authority, "/health/live", &[])) == 200).then_some(()));
    let name = || said(&curl(&service, &authority, "/health/live", &["-w", "%{certs}"]));
    assert!(name().contains("CN = first"), "{}", name());
    authority.vouch("server", "second", "IP:127.0.0.1");
    // The key and the certificate of before, until told.
    assert!(name().contains("CN = first"));
    service.signal("HUP");
    service.until(|| name().contains("CN = second").then_some(()));
    // What cannot be used is not taken.
    site.write("tls/server.pem", b"nonsense");
    service.signal("HUP");
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert!(name().contains("CN = second"));
    let (lines, code) = site.json(&["check"]);
    assert_eq!(code, 1);
    assert!(lines[0]["doubts"].to_string().contains("server.tls"), "{}", lines[0]);
}

#[test]
fn certificates_that_nobody_vouches_for_are_a_fault() {
    let site = Site::with_mappings(&[("items.v1.toml", MAPPING)]);
    configure(&site, "", TABLE);
    let output = site.run(&["check", "--offline"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("needs `server.tls` with a `client_ca`"), "{said}");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn pages_that_are_named_act_with_their_users_certificate() {
    let site = Site::with_mappings(&[("items.v1.toml", &format!("{MAPPING}\n{PRAISE}"))]);
    let authority = Authority::new(&site.path("tls"));
    authority.vouch("server", "server", "IP:127.0.0.1");
    authority.vouch("boss", "the boss", "DNS:boss.example");
    std::fs::create_dir_all(site.path("var")).unwrap();
    rusqlite::Connection::open(site.path("var/shop.db"))
        .unwrap()
        .execute_batch("create table praise (id text)")
        .unwrap();
    let database = "[backends.shop.odbc]\nconnection = \"Driver=SQLite3;Database=var/shop.db\"\n";
    let cors = "[server.cors]\norigins = [\"https://shop.example\"]\n";
    let (certificate, key) = (authority.file("boss.pem"), authority.file("boss.key"));
    let praise = |service: &Service, origin: &str, site: &str, number: &str| {
        let (origin, site) = (format!("Origin: {origin}"), format!("Sec-Fetch-Site: {site}"));
        let idempotency = format!("Idempotency-Key: praise-{number}");
        let shown = ["--cert", certificate.as_str(), "--key", key.as_str(), "-X", "POST"];
        let fields = ["-H", origin.as_str(), "-H", site.as_str(), "-H", idempotency.as_str()];
        curl(service, &authority, "/v1/items/1/praise", &[shown.as_slice(), &fields].concat())
    };
    let (shop, evil) = ("https://shop.example", "https://evil.example");
    let credentials = format!("{cors}credentials = true\n{database}");
    configure(&site, "client_ca = \"tls/ca.pem\"", &format!("{TABLE}{credentials}"));
    {
        let service = site.serve();
        service.until(|| (status(&curl(&service, &authority, "/health/ready", &[])) > 0).then_some(()));
        let done = praise(&service, shop, "cross-site", "1");
        assert_eq!(status(&done), 200, "{}", said(&done));
        assert!(said(&done).contains("access-control-allow-credentials: true"), "{}", said(&done));
        for (origin, site) in [(evil, "cross-site"), ("null", "cross-site"), (evil, "same-site")] {
            let refused = praise(&service, origin, site, "2");
            assert_eq!(status(&refused), 403, "{}", said(&refused));
            assert!(
                said(&refused).contains("cross-origin") && said(&refused).contains("[server.cors]"),
                "{}",
                said(&refused)
            );
            assert!(!said(&refused).contains("console"), "{}", said(&refused));
        }
    }
    // To be named is not enough: browsers send no certificates then, and what comes with one is not meant.
    configure(&site, "client_ca = \"tls/ca.pem\"", &format!("{TABLE}{cors}{database}"));
    let service = site.serve();
    service.until(|| (status(&curl(&service, &authority, "/health/ready", &[])) > 0).then_some(()));
    assert_eq!(status(&praise(&service, shop, "cross-site", "3")), 403);
    let praised: i64 = rusqlite::Connection::open(site.path("var/shop.db"))
        .unwrap()
        .query_row("select count(*) from praise", [], |row| row.get(0))
        .unwrap();
    assert_eq!(praised, 1);
}
