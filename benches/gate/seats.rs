//! Who sits between the callers and the ERP.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::site::Service;
use crate::support::erp::Erp;
use crate::support::load::{Coming, Kind, Via};
use crate::support::seat::Seat;

/// The cap of every seat.
pub(crate) const CAP: usize = 8;

/// Classes of callers, for those seats that know such.
pub(crate) const HIGH: &str = "people";
pub(crate) const LOW: &str = "bulk";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Direct,
    HaProxy,
    Ours,
}

impl Name {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Name::Direct => "direct",
            Name::HaProxy => "HAProxy",
            Name::Ours => "ours",
        }
    }
}

/// A seat that is taken.
pub(crate) enum Taken {
    Direct(SocketAddr),
    HaProxy(HaProxy),
    Ours(Box<Ours>),
}

pub(crate) struct Ours {
    seat: Seat,
    service: Service,
}

impl Taken {
    pub(crate) fn take(name: Name, erp: &Erp) -> Taken {
        match name {
            Name::Direct => Taken::Direct(erp.address()),
            Name::HaProxy => Taken::HaProxy(HaProxy::start(erp.address())),
            Name::Ours => {
                let gate = format!("max_in_flight = {CAP}\nqueue = 2000\nqueue_timeout = \"500ms\"");
                let clients = format!("[clients.{HIGH}]\npriority = \"high\"\n[clients.{LOW}]\npriority = \"low\"");
                let seat = Seat::with(erp, &gate, &clients);
                let service = seat.serve();
                Taken::Ours(Box::new(Ours { seat, service }))
            }
        }
    }

    /// A kind of caller before this seat.
    pub(crate) fn kind(&self, client: &'static str, coming: Coming) -> Kind {
        match self {
            Taken::Direct(address) => Kind::new(client, *address, Via::Soap, coming),
            Taken::HaProxy(proxy) => Kind::new(client, proxy.address, Via::Soap, coming),
            Taken::Ours(ours) => ours.seat.kind(&ours.service, client, coming),
        }
    }

    /// Reads its configuration again.
    pub(crate) fn reload(&mut self) {
        match self {
            Taken::Direct(_) => {}
            Taken::HaProxy(proxy) => proxy.reload(),
            Taken::Ours(ours) => ours.service.signal("HUP"),
        }
    }

    /// Is killed and started anew at once, where it was.
    pub(crate) fn kill_and_start(&mut self) {
        match self {
            Taken::Direct(_) => {}
            Taken::HaProxy(proxy) => proxy.kill_and_start(),
            Taken::Ours(ours) => ours.service = ours.seat.kill_and_serve(&ours.service),
        }
    }
}

/// A running HAProxy.
pub(crate) struct HaProxy {
    folder: tempfile::TempDir,
    children: Vec<Child>,
    address: SocketAddr,
}

impl HaProxy {
    fn start(erp: SocketAddr) -> HaProxy {
        let folder = tempfile::tempdir().unwrap();
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        let config = format!(
            "global\n maxconn 8000\ndefaults\n mode http\n timeout connect 1s\n timeout client 30s\n \
             timeout server 30s\n timeout queue 500ms\nfrontend in\n bind {address}\n \
             http-request set-priority-class int(1) if {{ req.hdr(x-client) {LOW} }}\n default_backend erp\n\
             backend erp\n server erp {erp} maxconn {CAP} maxqueue 32\n"
        );
        std::fs::write(folder.path().join("haproxy.cfg"), config).unwrap();
        let mut proxy = HaProxy { folder, children: Vec::new(), address };
        proxy.spawn(&[]);
        proxy.answers();
        proxy
    }

    fn spawn(&mut self, more: &[String]) {
        let program =
            ["/usr/sbin/haproxy", "/usr/local/sbin/haproxy"].into_iter().find(|p| std::path::Path::new(p).exists());
        let child = Command::new(program.unwrap_or("haproxy"))
            .arg("-db")
            .arg("-f")
            .arg(self.folder.path().join("haproxy.cfg"))
            .args(more)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.children.push(child.expect("HAProxy is missing: run scripts/setup bench"));
    }

    fn answers(&self) {
        let patience = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(self.address).is_err() {
            assert!(Instant::now() < patience, "HAProxy does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// As an operator does it: a new process takes over, the old one finishes what it has.
    fn reload(&mut self) {
        let old = self.children.last().unwrap().id().to_string();
        self.spawn(&["-sf".to_owned(), old]);
    }

    fn kill_and_start(&mut self) {
        let child = self.children.last_mut().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        self.spawn(&[]);
        self.answers();
    }
}

impl Drop for HaProxy {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
