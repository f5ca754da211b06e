//! An issuer that signs anything, and publishes any keys.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize, PublicKeyComponents};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use serde_json::{Value, json};

/// What is asked of it: the path, and the body of the answer; `None` is a 503.
type Answers = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// The issuer's server.
pub(crate) struct Forger {
    port: u16,
    keys: Arc<Mutex<Option<Value>>>,
    asked: Arc<AtomicU64>,
}

impl Forger {
    /// Publishes these keys.
    pub(crate) fn publishing(keys: &[Value]) -> Forger {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let published = Arc::new(Mutex::new(Some(json!({ "keys": keys }))));
        let asked = Arc::new(AtomicU64::new(0));
        let (of, count) = (Arc::clone(&published), Arc::clone(&asked));
        let issuer = format!("http://127.0.0.1:{port}");
        let answers: Answers = Arc::new(move |path| match path {
            "/.well-known/openid-configuration" => of
                .lock()
                .as_ref()
                .map(|_| json!({ "issuer": issuer, "jwks_uri": format!("{issuer}/keys") }).to_string()),
            "/keys" => {
                count.fetch_add(1, Ordering::SeqCst);
                of.lock().as_ref().map(Value::to_string)
            }
            _ => None,
        });
        // It ends with the tests.
        std::thread::spawn(move || serve(&listener, &answers));
        Forger { port, keys: published, asked }
    }

    pub(crate) fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Publishes others; `None` is as if it were down.
    pub(crate) fn publish(&self, keys: Option<&[Value]>) {
        *self.keys.lock() = keys.map(|keys| json!({ "keys": keys }));
    }

    /// How often it was asked for its keys.
    pub(crate) fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }
}

fn serve(listener: &TcpListener, answers: &Answers) {
    for socket in listener.incoming() {
        let (Ok(mut socket), answers) = (socket, Arc::clone(answers)) else { continue };
        std::thread::spawn(move || {
            let (mut head, mut byte) = (Vec::new(), [0]);
            while !head.ends_with(b"\r\n\r\n") && matches!(socket.read(&mut byte), Ok(1)) {
                head.push(byte[0]);
            }
            let head = String::from_utf8_lossy(&head).into_owned();
            let (status, body) = match answers(head.split(' ').nth(1).unwrap_or("")) {
                Some(body) => ("200 OK", body),
                None => ("503 Service Unavailable", String::new()),
            };
            let length = body.len();
            let _ = write!(socket, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
        });
    }
}

/// A key that signs.
pub(crate) enum Signer {
    Rsa(Box<RsaKeyPair>),
    P256(EcdsaKeyPair),
    /// RSA of 1024 bits, which no library makes any more: its PEM file.
    Weak(tempfile::NamedTempFile),
}

impl Signer {
    pub(crate) fn rsa() -> Signer {
        Signer::Rsa(Box::new(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()))
    }

    pub(crate) fn p256() -> Signer {
        Signer::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    pub(crate) fn weak() -> Signer {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut making = Command::new("openssl");
        making.args(["genrsa", "-out"]).arg(file.path()).arg("1024").stderr(Stdio::null());
        assert!(making.status().unwrap().success());
        Signer::Weak(file)
    }

    /// The public key, as it is published.
    pub(crate) fn jwk(&self, kid: &str) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Signer::Rsa(pair) => {
                let public = PublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                json!({ "kty": "RSA", "kid": kid, "use": "sig", "n": text(&public.n), "e": text(&public.e) })
            }
            Signer::P256(pair) => {
                let point = pair.public_key().as_ref();
                json!({ "kty": "EC", "crv": "P-256", "kid": kid, "x": text(&point[1..33]), "y": text(&point[33..]) })
            }
            Signer::Weak(file) => {
                let told = Command::new("openssl").args(["rsa", "-noout", "-modulus", "-in"]).arg(file.path()).output();
                let told = String::from_utf8(told.unwrap().stdout).unwrap();
                let digits = told.trim().strip_prefix("Modulus=").unwrap();
                let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
                let modulus: Vec<u8> = (0..digits.len()).step_by(2).map(byte).collect();
                json!({ "kty": "RSA", "kid": kid, "n": text(&modulus), "e": "AQAB" })
            }
        }
    }

    /// Signs by the algorithm that it is for: RS256 or ES256.
    pub(crate) fn sign(&self, text: &[u8]) -> Vec<u8> {
        match self {
            Signer::Rsa(pair) => rsa(pair, &RSA_PKCS1_SHA256, text),
            Signer::P256(pair) => pair.sign(&SystemRandom::new(), text).unwrap().as_ref().to_vec(),
            Signer::Weak(file) => {
                let mut signing = Command::new("openssl")
                    .args(["dgst", "-sha256", "-sign"])
                    .arg(file.path())
                    .stdin(Stdio::piped())
                    .stdout(Stdio::piped())
                    .spawn()
                    .unwrap();
                signing.stdin.take().unwrap().write_all(text).unwrap();
                signing.wait_with_output().unwrap().stdout
            }
        }
    }

    /// Signs by PS256.
    pub(crate) fn sign_pss(&self, text: &[u8]) -> Vec<u8> {
        match self {
            Signer::Rsa(pair) => rsa(pair, &RSA_PSS_SHA256, text),
            _ => panic!("only RSA"),
        }
    }

    /// A token with this header and these claims.
    pub(crate) fn token(&self, header: &Value, claims: &Value) -> String {
        jwt(&header.to_string(), &claims.to_string(), |text| self.sign(text))
    }
}

fn rsa(pair: &RsaKeyPair, padding: &'static dyn RsaEncoding, text: &[u8]) -> Vec<u8> {
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(padding, &SystemRandom::new(), text, &mut signature).unwrap();
    signature
}

/// A token of any text, signed in any way.
pub(crate) fn jwt(header: &str, claims: &str, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let text = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = URL_SAFE_NO_PAD.encode(sign(text.as_bytes()));
    format!("{text}.{signature}")
}
