//! The door to SOAP services, held against services that nobody here wrote, and against answers that services give.

mod accounts;
mod answers;
mod login;
mod peers;
mod raw;
mod signed;
mod stream;
mod windows;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tollbridge::adapters::soap::{Answer, Config, Request, SECTION, Service, SoapError, Trouble, Version};
use tollbridge::diagnostic::{Faults, SourceText, Table, parse};
use tollbridge::gate::{Gate, Lane, Permit};

use crate::support::soap::{PASSWORD, USER};

/// The namespaces of envelopes.
const SOAP: [&str; 2] = ["http://schemas.xmlsoap.org/soap/envelope/", "http://www.w3.org/2003/05/soap-envelope"];

/// A service behind a gate of its own.
struct Door {
    service: Arc<Service>,
    gate: Arc<Gate>,
    // The passwords are in it.
    folder: tempfile::TempDir,
}

/// The settings that a text says; its files are in a folder.
fn settings(text: &str, folder: &Path) -> Result<Config, String> {
    let faults = Faults::new();
    let root = parse(&SourceText::new(Path::new("tollbridge.toml"), text.to_owned()), &faults);
    let config = Table::new(&root, &SECTION, &faults).and_then(|table| Config::read(&table, folder));
    let told: String = faults.into_sorted().iter().map(|fault| fault.render(false)).collect();
    config.filter(|_| told.is_empty()).ok_or(told)
}

impl Door {
    /// With these lines of the settings beside the endpoint. The file `password` has the password.
    fn to(endpoint: &str, lines: &str) -> Door {
        Door::with_cap(endpoint, lines, 4)
    }

    fn with_cap(endpoint: &str, lines: &str, cap: usize) -> Door {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("password"), PASSWORD).unwrap();
        Door::in_folder(folder, endpoint, lines, cap)
    }

    fn in_folder(folder: tempfile::TempDir, endpoint: &str, lines: &str, cap: usize) -> Door {
        let config = settings(&format!("endpoint = \"{endpoint}\"\n{lines}\n"), folder.path());
        let service = Arc::new(Service::new(config.unwrap_or_else(|faults| panic!("{faults}"))));
        let settings = tollbridge::gate::Config {
            max_in_flight: cap,
            queue: 10_000,
            queue_timeout: Duration::from_secs(60),
            settle: Duration::from_millis(300),
            sync_share: 1.0,
            ..tollbridge::gate::Config::default()
        };
        Door { service, gate: Gate::new("erp", settings, None), folder }
    }

    async fn permit(&self) -> Permit {
        self.gate.acquire(Lane::Interactive, Some(Duration::from_secs(60))).await.unwrap()
    }

    async fn call(&self, request: &Request) -> Result<Answer, SoapError> {
        let permit = self.permit().await;
        self.service.call(&permit, request).await
    }

    /// The text of an answer's envelope.
    async fn ask(&self, request: &Request) -> String {
        let answer = self.call(request).await.unwrap_or_else(|error| panic!("{error}"));
        String::from_utf8(answer.envelope.to_vec()).unwrap()
    }

    /// The code, subcodes and reason of a fault.
    async fn fault(&self, request: &Request) -> String {
        match self.call(request).await {
            Err(SoapError::Fault(fault)) => format!("{} {:?} {}", fault.code, fault.subcodes, fault.reason),
            other => panic!("{other:?}"),
        }
    }

    /// Waits until nothing is in flight: then every place is free.
    async fn rests(&self) {
        let patience = tokio::time::Instant::now() + Duration::from_secs(30);
        loop {
            let status = self.gate.status();
            if status.active.iter().sum::<usize>() == 0 && status.lingering == 0 {
                return;
            }
            assert!(tokio::time::Instant::now() < patience, "{status:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// An envelope with this in its body.
fn envelope(version: Version, body: &str) -> String {
    let namespace = SOAP[usize::from(version == Version::V12)];
    format!("<s:Envelope xmlns:s=\"{namespace}\"><s:Body>{body}</s:Body></s:Envelope>")
}

fn request(version: Version, action: &str, body: &str) -> Request {
    let envelope = Bytes::from(envelope(version, body));
    Request {
        envelope,
        action: action.into(),
        version,
        addressing_action: "".into(),
        is_one_way: false,
        attachments: Vec::new(),
        is_package: false,
        trouble: Trouble::default(),
        is_strict: false,
    }
}

/// A call of spyne's service.
fn spyne(operation: &str, inner: &str) -> Request {
    request(Version::V11, operation, &format!("<{operation} xmlns=\"urn:tollbridge:orders\">{inner}</{operation}>"))
}

/// A call of the npm package's service.
fn node(operation: &str, inner: &str) -> Request {
    let body = format!("<{operation} xmlns=\"urn:tollbridge:node\">{inner}</{operation}>");
    request(Version::V11, &format!("urn:tollbridge:node/{operation}"), &body)
}

/// The account of the services as WS-Security's, with further settings.
fn wsse(more: &str) -> String {
    format!("wsse = {{ username = \"{USER}\", password = {{ file = \"password\" }}{more} }}")
}
