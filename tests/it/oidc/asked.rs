//! Tokens that an issuer is asked about: where, and by whom how many at once.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use serde_json::json;
use tollbridge::diagnostic::{Faults, SourceText, Table, parse};
use tollbridge::http::{SERVER, ServerConfig};

use super::auth;
use crate::facade::app::{Options, TestApp};
use crate::facade::client::Answer;

/// An issuer that knows every token that begins with `good`; of others it says nothing until it is let.
#[derive(Default)]
struct Issuer {
    asked: Mutex<HashMap<String, usize>>,
    is_let: Mutex<bool>,
    lets: Condvar,
}

impl Issuer {
    /// Its address.
    fn serve(self: &Arc<Issuer>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let issuer = Arc::clone(self);
        // It ends with the tests.
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let issuer = Arc::clone(&issuer);
                std::thread::spawn(move || issuer.answer(socket));
            }
        });
        address
    }

    fn answer(&self, mut socket: TcpStream) {
        let (mut reader, mut length, mut line) = (BufReader::new(socket.try_clone().unwrap()), 0, String::new());
        while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            line.clear();
        }
        let mut form = vec![0; length];
        reader.read_exact(&mut form).unwrap();
        let form = String::from_utf8(form).unwrap();
        let token = form.split('&').find_map(|pair| pair.strip_prefix("token=")).unwrap().to_owned();
        let is_good = token.starts_with("good");
        *self.asked.lock().unwrap().entry(token).or_default() += 1;
        if !is_good {
            drop(self.lets.wait_while(self.is_let.lock().unwrap(), |is_let| !*is_let).unwrap());
        }
        let body = json!({ "active": is_good, "client_id": "web", "scope": "read", "sub": "s" }).to_string();
        let length = body.len();
        let _ = write!(socket, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    }

    fn let_go(&self) {
        *self.is_let.lock().unwrap() = true;
        self.lets.notify_all();
    }

    /// How many tokens that are not good it was asked about.
    fn bad(&self) -> usize {
        self.asked.lock().unwrap().keys().filter(|token| !token.starts_with("good")).count()
    }
}

/// Behind a proxy on this machine, which says where callers are.
fn app(issuer: &str) -> (TestApp, tempfile::NamedTempFile) {
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), "s3cret\n").unwrap();
    let auth = auth(&format!(
        "[oidc]\nissuer = \"{issuer}\"\naudience = \"tollbridge\"\ntimeout = \"60s\"\n[oidc.introspection]\n\
         url = \"{issuer}/asked\"\nclient_id = \"me\"\nclient_secret = {{ file = \"{}\" }}\n",
        secret.path().display()
    ));
    let source = SourceText::new(std::path::Path::new("t.toml"), "trusted_proxies = [\"127.0.0.1\"]".to_owned());
    let faults = Faults::new();
    let root = parse(&source, &faults);
    let server =
        Table::new(&root, &SERVER, &faults).and_then(|table| ServerConfig::read(&table, "/".as_ref())).unwrap();
    (TestApp::with(Options { auth, server, ..Options::default() }), secret)
}

fn ask(app: &TestApp, from: &str, token: &str) -> Answer {
    let bearer = format!("Bearer {token}");
    app.send_as_is("GET", "/v1", &[("Authorization", &bearer), ("X-Forwarded-For", from)], b"")
}

#[test]
fn the_configuration_may_say_where_is_asked() {
    let issuer = Arc::new(Issuer::default());
    let (app, _secret) = app(&issuer.serve());
    issuer.let_go();
    assert_eq!(ask(&app, "203.0.113.8", "good1").status, 200);
    ask(&app, "203.0.113.8", "bad1").problem(401, "unauthenticated");
    let asked = issuer.asked.lock().unwrap().clone();
    assert_eq!(asked, HashMap::from([("good1".to_owned(), 1), ("bad1".to_owned(), 1)]));
}

/// Whoever sends invented tokens, and the issuer takes its time, does not keep others from being asked about.
#[test]
fn invented_tokens_of_one_address_leave_room_for_those_of_others() {
    const INVENTED: usize = 60;
    let issuer = Arc::new(Issuer::default());
    let (app, _secret) = app(&issuer.serve());
    let told = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for number in 0..INVENTED {
            let (app, told) = (&app, &told);
            scope.spawn(move || {
                let answer = ask(app, "203.0.113.7", &format!("bad{number}"));
                assert_ne!(answer.status, 200, "{}", answer.text());
                told.fetch_add(1, Ordering::SeqCst);
            });
        }
        // Each is being asked about, or was refused.
        crate::support::postgres::until("all have come", || issuer.bad() + told.load(Ordering::SeqCst) >= INVENTED);
        let asked_about = issuer.bad();
        let good = ask(&app, "203.0.113.8", "good1");
        let near = ask(&app, "2001:db8::1", "good2");
        issuer.let_go();
        assert_eq!((good.status, near.status), (200, 200), "{} {}", good.text(), near.text());
        assert!((1..=8).contains(&asked_about), "{asked_about}");
    });
}
