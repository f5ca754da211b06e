//! The backend as an operator meets it: settings, `check`, health, TLS, the end of the service.

use std::process::{Child, Command, Stdio};

use super::erp::{Erp, Reply, order};
use super::site::{LiveSite, ms};
use crate::site::Site;

fn said(site: &Site, arguments: &[&str]) -> (String, i32) {
    let output = site.run(arguments);
    (String::from_utf8_lossy(&output.stderr).into_owned(), output.status.code().unwrap())
}

#[test]
fn every_fault_of_the_settings_is_told_at_once() {
    let more = "timeout = \"0s\"\nlate = \"soon\"\nmax_answer_mib = 0\nbasic = { username = \"a:b\", password = \"hunter2\" }\n\
                bearer = { env = \"T\" }\nca = \"ca.pem\"\nheaders = { Host = \"x\", \"X-A\" = 1 }\nretries = 3";
    let site = LiveSite::new("ftp://erp/x").soap(more).gate("retry = { attempts = 0, bugdet = 0.5 }").write();
    let (faults, code) = said(&site, &["check", "--offline"]);
    assert_eq!(code, 2, "{faults}");
    for expected in [
        "tollbridge.toml:2:12",
        "no URL of HTTP",
        "must be longer than nothing",
        "`late`",
        "`max_answer_mib`: 0 is outside 1 to 1024",
        "expected a name without `:`",
        "a secret is not written here",
        "`basic` or `bearer`, not both",
        "`Host` is written by the service itself",
        "expected a string or {",
        "unknown key `retries`",
        "`attempts`: 0 is outside 1 to 5",
        "did you mean `budget`?",
    ] {
        assert!(faults.contains(expected), "no {expected} in\n{faults}");
    }
    assert!(!faults.contains("hunter2"), "{faults}");
    for (endpoint, words) in [
        ("http://me:pw@erp/x", "an account does not belong into the URL"),
        ("erp", "no URL of HTTP"),
        ("http:///x", "no URL"),
    ] {
        let (faults, code) = said(&LiveSite::new(endpoint).write(), &["check", "--offline"]);
        assert!(code == 2 && faults.contains(words), "{endpoint}: {faults}");
    }
}

#[test]
fn one_service_has_one_gate() {
    let mut site = LiveSite::new("http://127.0.0.1:1/erp");
    site.more = "[backends.shop.soap]\nendpoint = \"http://127.0.0.1:1/erp\"\n".to_owned();
    let (faults, code) = said(&site.write(), &["check", "--offline"]);
    assert!(code == 2 && faults.contains("backend `erp` calls the same service"), "{faults}");
}

#[test]
fn a_mapping_and_its_backend_are_of_one_kind() {
    let site = LiveSite::new("http://127.0.0.1:1/erp").write();
    let called = std::fs::read_to_string(site.path("mappings/orders.v1.toml")).unwrap();
    let files = "resource = \"items\"\nversion = 1\nkey = [\"id\"]\n[source]\nbackend = \"erp\"\n[source.csv]\n\
                 files = \"*.csv\"\n[fields]\nid = { from = \"ID\" }\n";
    site.write("mappings/items.v1.toml", files.as_bytes());
    let (faults, code) = said(&site, &["check", "--offline"]);
    assert!(code == 2 && faults.contains("items.v1.toml:5:11"), "{faults}");
    assert!(faults.contains("backend `erp` has no files: it is called (`soap`)"), "{faults}");

    let site = Site::with_mappings(&[("orders.v1.toml", &called)]);
    let (faults, code) = said(&site, &["check", "--offline"]);
    assert!(code == 2 && faults.contains("backend `erp` is no SOAP service: it has an inbox (`files`)"), "{faults}");
}

#[test]
fn check_reaches_the_service_through_its_gate() {
    let erp = Erp::start(|call| match call.head.starts_with("GET /erp ") {
        true => Reply::Answer(405, "text/plain", "use POST".to_owned()),
        false => Reply::order(&call.order_no, "1.00"),
    });
    let site = LiveSite::new(&erp.url()).write();
    let (report, code) = site.json(&["check"]);
    assert_eq!((code, &report[0]["backends"][0]["reachable"]), (0, &true.into()), "{report:?}");
    assert_eq!(erp.count(), 0, "a look is no call");
    erp.script(|_| Reply::Answer(404, "text/plain", "where?".to_owned()));
    let (doubts, code) = said(&site, &["check"]);
    assert!(code == 1 && doubts.contains("is the path of `endpoint` right?"), "{doubts}");
    // There are no files to read, and that is no failure of a run of all.
    assert_eq!(said(&site, &["sync", "--all"]).1, 0);
    let (fault, code) = said(&site, &["sync", "orders"]);
    assert!(code == 2 && fault.contains("record by record"), "{fault}");
    // What a service answered can be mapped by hand.
    site.write("answer.xml", order("9", "3.00").as_bytes());
    let shown = site.run(&["preview", "orders", "answer.xml"]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains("\"amount\":3.00"), "{shown:?}");

    let url = erp.url();
    drop(erp);
    let (fault, code) = said(&LiveSite::new(&url).write(), &["check"]);
    assert!(code == 3 && fault.contains("cannot be reached"), "{fault}");
}

#[test]
fn health_tells_which_services_can_be_reached() {
    let erp = Erp::with_every_order();
    let site = LiveSite::new(&erp.url()).start();
    let found = site.get("/health/backends").json();
    let backend = &found["data"][0];
    assert_eq!((&backend["backend"], &backend["reachable"]), (&"erp".into(), &true.into()), "{found}");
    assert_eq!((&backend["breaker"], &backend["reason"]), (&"closed".into(), &serde_json::Value::Null));
    // The finding holds for a while, however many ask.
    assert_eq!(site.get("/health/backends").json()["data"][0]["looked_at"], backend["looked_at"]);
    let site = LiveSite::new("http://127.0.0.1:1/erp").start();
    let found = site.get("/health/backends").json();
    assert_eq!(found["data"][0]["reason"], "unreachable", "{found}");
    assert_eq!(site.service.get("/health/backends", "wrong"), Err(401));
}

#[test]
fn account_and_header_fields_are_sent_and_secrets_read_anew() {
    let erp = Erp::with_every_order();
    let soap = "basic = { username = \"svc\", password = { file = \"secret\" } }\nheaders = { \"X-Tenant\" = \"01\" }";
    let site = LiveSite::new(&erp.url()).soap(soap);
    let written = site.write();
    written.write("secret", b"geheim\n");
    let site = site.start_in(written);
    assert_eq!(site.get("/v1/orders/1").status, 200);
    site.site.write("secret", b"neu\n");
    assert_eq!(site.get("/v1/orders/2").status, 200);
    std::fs::remove_file(site.site.path("secret")).unwrap();
    site.get("/v1/orders/3").problem(500, "internal");
    let calls = erp.calls();
    let sent: Vec<_> = calls.iter().map(|call| call.field("authorization").unwrap()).collect();
    // printf svc:geheim | base64
    assert_eq!(sent, ["Basic c3ZjOmdlaGVpbQ==", "Basic c3ZjOm5ldQ=="]);
    assert_eq!(calls[0].field("x-tenant"), Some("01"));
}

/// What is right and all the same not meant: a clear word each, and no fault.
#[test]
fn check_has_a_word_for_what_is_hardly_meant() {
    let offline = |site: &Site| said(site, &["check", "--offline"]);
    let mut site = LiveSite::new("http://127.0.0.1:1/x");
    assert_eq!(offline(&site.write()).0, "");
    site.more = "[server]\nrequest_timeout = \"5s\"\n[clients.defualt]\nweight = 2\n[clients.webshop]\n".to_owned();
    site.gate = "calendar = [{ closed = \"00:00-24:00\", reason = \"museum\" }]\n".to_owned();
    let written = site.write();
    let (words, code) = offline(&written);
    assert_eq!(code, 0, "{words}");
    for expected in [
        "a call may wait 500ms and take 10s, but `server.request_timeout` ends a request after 5s",
        "`[clients.defualt]`: no API key has this name; did you mean `[clients.default]`?",
        "its calendar never opens (now: museum)",
    ] {
        assert!(words.contains(expected), "no {expected} in\n{words}");
    }
    assert!(!words.contains("webshop"), "{words}");
    // A backend that is closed was not reached.
    let output = written.run(&["check"]);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && told.contains("1 backends (0 reached, 1 closed)"), "{told}");
    assert_eq!(written.json(&["check"]).0[0]["backends"][0]["reachable"], serde_json::Value::Null);
    // Somebody may be called so.
    super::site::new_key(&written, "defualt");
    let (words, _) = offline(&written);
    assert!(!words.contains("defualt") && words.contains("museum"), "{words}");
}

#[test]
fn a_key_in_a_header_field_is_a_secret_that_is_named() {
    let erp = Erp::with_every_order();
    let soap = "headers = { \"X-Api-Key\" = { file = \"key\" }, \"X-Tenant\" = \"01\" }";
    let written = LiveSite::new(&erp.url()).soap(soap).write();
    let (fault, code) = said(&written, &["check"]);
    assert!(code == 3 && fault.contains("cannot be read"), "{fault}");
    written.write("key", b"k-4711\n");
    let site = LiveSite::new(&erp.url()).soap(soap).start_in(written);
    assert_eq!(site.get("/v1/orders/1").status, 200);
    site.site.write("key", b"k-4712\n");
    assert_eq!(site.get("/v1/orders/2").status, 200);
    // What no field can have is no call, and is told without it.
    site.site.write("key", b"k\n1");
    let answer = site.get("/v1/orders/3");
    assert!(answer.status == 503 && !answer.text().contains("k\\n1"), "{answer:?}");
    let calls = erp.calls();
    let sent: Vec<_> = calls.iter().map(|call| (call.field("x-api-key"), call.field("x-tenant"))).collect();
    assert_eq!(sent, [(Some("k-4711"), Some("01")), (Some("k-4712"), Some("01"))]);
}

#[test]
fn what_looks_like_a_credential_is_not_written_out() {
    for header in ["X-Api-Key", "Ocp-Apim-Subscription-Key", "x-auth-token", "Cookie", "Client-Secret", "X-APIKEY"] {
        let soap = format!("headers = {{ \"{header}\" = \"hunter2\" }}");
        let (fault, code) = said(&LiveSite::new("http://127.0.0.1:1/x").soap(&soap).write(), &["check", "--offline"]);
        assert!(code == 2 && fault.contains("tollbridge.toml:3:") && fault.contains("{ env ="), "{header}: {fault}");
        assert!(!fault.contains("hunter2"), "{fault}");
    }
    let check = |headers: &str, words: &str| {
        let soap = format!("headers = {headers}");
        let (fault, code) = said(&LiveSite::new("http://127.0.0.1:1/x").soap(&soap).write(), &["check", "--offline"]);
        assert!(code == 2 && fault.contains(words) && !fault.contains("aHVudGVyMg"), "{headers}: {fault}");
    };
    check("{ \"X-Forward\" = \"Basic aHVudGVyMg==\" }", "a secret is not written here");
    check("{ \"X-Api-Key\" = { vault = \"a\" } }", "`vault` is no place for secrets");
    check("{ Authorization = { env = \"A\" } }", "`Authorization` is written by the service itself");
    let plain = "headers = { \"X-Tenant\" = \"01\", \"X-Author\" = \"bridge\", \"Idempotency-Key\" = \"a\" }";
    let (said, code) = said(&LiveSite::new("http://127.0.0.1:1/x").soap(plain).write(), &["check", "--offline"]);
    assert_eq!(code, 0, "{said}");
    // Sent in the clear, it is told.
    let far = LiveSite::new("http://erp.example/x").soap("headers = { \"X-Api-Key\" = { env = \"A\" } }").write();
    let (doubts, _) = self::said(&far, &["check", "--offline"]);
    assert!(doubts.contains("password, token or key can be read on the way"), "{doubts}");
}

#[test]
fn a_service_ends_only_when_its_calls_have() {
    let erp = Erp::start(|call| Reply::order(&call.order_no, "1.00").after(ms(1500)));
    let site = LiveSite::new(&erp.url()).start();
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| site.get("/v1/orders/1").status);
        site.until(|| (erp.in_flight() == 1).then_some(()));
        site.service.signal("TERM");
        assert_eq!(asked.join().unwrap(), 200);
    });
    assert_eq!((site.service.wait(), erp.in_flight()), (Some(0), 0));
}

/// A service of Python's own behind TLS, with a certificate that vouches for itself.
struct Tls {
    folder: tempfile::TempDir,
    child: Child,
    port: u16,
}

impl Tls {
    fn start() -> Tls {
        let folder = tempfile::tempdir().unwrap();
        let made = Command::new("openssl")
            .current_dir(folder.path())
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"])
            .args([
                "-keyout",
                "key.pem",
                "-out",
                "ca.pem",
                "-subj",
                "/CN=erp",
                "-addext",
                "subjectAltName=IP:127.0.0.1",
            ])
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        std::fs::write(folder.path().join("erp"), order("7", "12.50")).unwrap();
        let script = "import http.server, ssl\n\
            class H(http.server.BaseHTTPRequestHandler):\n\
            \x20 protocol_version = 'HTTP/1.1'\n\
            \x20 def do_POST(self):\n\
            \x20  self.rfile.read(int(self.headers['content-length']))\n\
            \x20  body = open('erp', 'rb').read()\n\
            \x20  self.send_response(200); self.send_header('Content-Type', 'text/xml')\n\
            \x20  self.send_header('Content-Length', str(len(body))); self.end_headers(); self.wfile.write(body)\n\
            s = http.server.ThreadingHTTPServer(('127.0.0.1', 0), H)\n\
            c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); c.load_cert_chain('ca.pem', 'key.pem')\n\
            s.socket = c.wrap_socket(s.socket, server_side=True)\n\
            print(s.server_address[1], flush=True)\n\
            s.serve_forever()\n";
        let mut child = Command::new("python3")
            .current_dir(folder.path())
            .args(["-c", script])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut line).unwrap();
        Tls { port: line.trim().parse().unwrap(), folder, child }
    }
}

impl Drop for Tls {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_service_behind_tls_is_one_that_somebody_vouches_for() {
    let tls = Tls::start();
    let endpoint = format!("https://127.0.0.1:{}/erp", tls.port);
    let ca = format!("ca = \"{}\"", tls.folder.path().join("ca.pem").display());
    let site = LiveSite::new(&endpoint).soap(&ca).start();
    assert_eq!(site.get("/v1/orders/7").text(), r#"{"order_no":"7","amount":12.50,"status":"open"}"#);
    assert_eq!(site.get("/v1/orders/7").status, 200);
    // Without the authority nobody vouches for it, and nothing is sent.
    let site = LiveSite::new(&endpoint).start();
    let refused = site.get("/v1/orders/7");
    refused.problem(503, "backend-unavailable");
    assert_eq!(refused.json()["reason"], "unreachable");
}
