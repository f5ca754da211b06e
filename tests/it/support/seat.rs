//! The service in its seat between callers and the ERP: a folder with its configuration, keys, and the program.

use std::net::SocketAddr;

use serde_json::Value;

use super::erp::Erp;
use super::load::{Coming, Kind, Via};
use crate::site::{Service, Site};

/// One order of the ERP, called for when it is asked for.
pub(crate) const MAPPING: &str = r#"
resource = "orders"
version = 1
key = ["order_no"]
[source]
backend = "erp"
[source.soap]
operation = "GetOrder"
envelope = '''
<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>\
<GetOrder xmlns="urn:erp"><OrderNo>{order_no}</OrderNo></GetOrder></soap:Body></soap:Envelope>'''
record_path = "//GetOrderResponse/Order"
[fields]
order_no = { from = "OrderNo" }
status = { from = "Status" }
amount = { from = "Amount", type = "decimal(9,2)" }
note = { from = "Note" }
"#;

/// A folder in which the service stands before one ERP.
pub(crate) struct Seat {
    pub(crate) site: Site,
    endpoint: String,
    /// Other keys of `[backends.erp.soap]`.
    soap: String,
    /// Other sections of the configuration.
    others: String,
}

impl Seat {
    /// With these keys of `[backends.erp.gate]`, as TOML.
    pub(crate) fn before(erp: &Erp, gate: &str) -> Seat {
        Seat::with(erp, gate, "")
    }

    /// The same with other sections.
    pub(crate) fn with(erp: &Erp, gate: &str, others: &str) -> Seat {
        let seat = Seat { site: Site::new(), endpoint: erp.url(), soap: String::new(), others: others.to_owned() };
        seat.map(1, MAPPING);
        seat.set(gate);
        seat
    }

    /// Writes a version of the mapping.
    pub(crate) fn map(&self, version: u32, mapping: &str) {
        let mapping = mapping.replace("\\\n", "").replace("version = 1", &format!("version = {version}"));
        self.site.write(&format!("mappings/orders.v{version}.toml"), mapping.as_bytes());
    }

    /// The same with these keys of `[backends.erp.soap]`.
    pub(crate) fn calling(erp: &Erp, soap: &str, gate: &str) -> Seat {
        let mut seat = Seat::with(erp, gate, "");
        soap.clone_into(&mut seat.soap);
        seat.set(gate);
        seat
    }

    /// Writes the configuration anew; a running service takes it over at its next SIGHUP.
    pub(crate) fn set(&self, gate: &str) {
        let config = format!(
            "[backends.erp.soap]\nendpoint = \"{}\"\n{}\n[backends.erp.gate]\n{gate}\n[telemetry]\nlog = \"text\"\nlevel = \"warn\"\n{}\n",
            self.endpoint, self.soap, self.others
        );
        self.site.write("tollbridge.toml", config.as_bytes());
    }

    /// A new API key of this name.
    pub(crate) fn key(&self, name: &str) -> String {
        let (made, code) = self.site.json(&["keys", "create", name, "--scope", "read"]);
        assert_eq!(code, 0, "{made:?}");
        made[0]["key"].as_str().unwrap().to_owned()
    }

    /// Starts the service and waits until it answers.
    pub(crate) fn serve(&self) -> Service {
        ready(self.site.serve())
    }

    /// Kills the service and starts it again at once, where it was.
    pub(crate) fn kill_and_serve(&self, service: &Service) -> Service {
        service.signal("KILL");
        service.wait();
        ready(self.site.serve_again(service))
    }

    /// A kind of caller of this name, with a key of its own.
    pub(crate) fn kind(&self, service: &Service, client: &'static str, coming: Coming) -> Kind {
        Kind::new(client, address(service), Via::Rest(self.key(client)), coming)
    }
}

fn ready(service: Service) -> Service {
    service.until(|| (service.admin("GET", "/health/ready").0 == 200).then_some(()));
    service
}

/// Where the facade listens.
pub(crate) fn address(service: &Service) -> SocketAddr {
    service.address().parse().unwrap()
}

/// How the gate of the ERP stands, as the service says.
pub(crate) fn gate(service: &Service) -> Value {
    let (status, body) = service.admin("GET", "/admin/v1/gates");
    assert_eq!(status, 200, "{body}");
    let gates: Value = serde_json::from_str(&body).unwrap();
    gates["data"][0].clone()
}
