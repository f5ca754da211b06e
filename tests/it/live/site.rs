//! A service with a live resource, ready to be asked: `LiveSite::new(&erp.url()).start()`.

use std::net::SocketAddr;
use std::time::Duration;

use crate::facade::client::{Answer, exchange, request};
use crate::site::{Service, Site};

/// `orders.v1`: one order an operation call, by its number.
pub(crate) const ORDERS: &str = r#"
resource = "orders"
version = 1
key = ["order_no"]
[source]
backend = "erp"
[source.soap]
operation = "urn:erp/GetOrder"
envelope = '''
<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>
<GetOrder xmlns="urn:erp"><OrderNo>{order_no}</OrderNo></GetOrder>
</s:Body></s:Envelope>'''
record_path = "//GetOrderResponse/Order"
[fields]
order_no = { from = "OrderNo" }
amount = { from = "Amount", type = "decimal(9,2)" }
status = { from = "Status", values = { OP = "open", CL = "closed" } }
"#;

/// What a site is made of; `start` writes it down and starts the service.
pub(crate) struct LiveSite {
    endpoint: String,
    /// Lines of `[backends.erp.soap]` beyond the endpoint.
    pub(crate) soap: String,
    /// Lines of `[backends.erp.gate]`.
    pub(crate) gate: String,
    /// Further sections of `tollbridge.toml`.
    pub(crate) more: String,
    /// Lines of the mapping's `[serve]`.
    pub(crate) serve: String,
}

impl LiveSite {
    /// The service at this endpoint is backend `erp`, its gate as by default but for a short `settle`.
    pub(crate) fn new(endpoint: &str) -> LiveSite {
        let text = String::new;
        let gate = "settle = \"300ms\"\n".to_owned();
        LiveSite { endpoint: endpoint.to_owned(), soap: text(), gate, more: text(), serve: text() }
    }

    pub(crate) fn soap(mut self, lines: &str) -> LiveSite {
        self.soap = format!("{lines}\n");
        self
    }

    /// Replaces all that is said of the gate.
    pub(crate) fn gate(mut self, lines: &str) -> LiveSite {
        self.gate = format!("{lines}\n");
        self
    }

    pub(crate) fn serve(mut self, lines: &str) -> LiveSite {
        self.serve = format!("[serve]\n{lines}\n");
        self
    }

    /// Writes configuration and mapping.
    pub(crate) fn write(&self) -> Site {
        let site = Site::new();
        let config = format!(
            "[backends.erp.soap]\nendpoint = \"{}\"\n{}[backends.erp.gate]\n{}{}[telemetry]\nlog = \"text\"\n",
            self.endpoint, self.soap, self.gate, self.more
        );
        site.write("tollbridge.toml", config.as_bytes());
        site.write("mappings/orders.v1.toml", format!("{ORDERS}{}", self.serve).as_bytes());
        site
    }

    /// Starts the service, and waits until it answers.
    pub(crate) fn start(&self) -> Running {
        self.start_in(self.write())
    }

    /// The same, where it was written.
    pub(crate) fn start_in(&self, site: Site) -> Running {
        let key = new_key(&site, "test");
        let service = site.serve();
        service.until(|| service.get("/health/ready", &key).ok());
        Running { service, site, key }
    }
}

/// A new key for reading.
pub(crate) fn new_key(site: &Site, name: &str) -> String {
    let (made, code) = site.json(&["keys", "create", name, "--scope", "read"]);
    assert_eq!(code, 0, "{made:?}");
    made[0]["key"].as_str().unwrap().to_owned()
}

/// A running service with a live resource.
pub(crate) struct Running {
    // It ends before its folder goes.
    pub(crate) service: Service,
    pub(crate) site: Site,
    /// A key for reading.
    pub(crate) key: String,
}

impl Running {
    pub(crate) fn address(&self) -> SocketAddr {
        self.service.address().parse().unwrap()
    }

    /// The bytes of a GET with the site's key.
    pub(crate) fn request(&self, path: &str, fields: &[(&str, &str)]) -> Vec<u8> {
        let bearer = format!("Bearer {}", self.key);
        let mut all = vec![("Authorization", bearer.as_str())];
        all.extend(fields);
        request("GET", path, &all, b"")
    }

    /// GET with the site's key.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.get_with(path, &[])
    }

    #[track_caller]
    pub(crate) fn get_with(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        exchange(self.address(), &self.request(path, fields)).expect("an answer")
    }

    /// How the gate of `erp` stands, as the admin API says.
    pub(crate) fn gate(&self) -> serde_json::Value {
        let (status, body) = self.service.admin("GET", "/admin/v1/gates");
        assert_eq!(status, 200, "{body}");
        let gates: serde_json::Value = serde_json::from_str(&body).unwrap();
        gates["data"][0].clone()
    }

    /// All metrics.
    pub(crate) fn metrics(&self) -> String {
        self.service.admin("GET", "/metrics").1
    }

    /// Waits for something that is certain to come.
    pub(crate) fn until<T>(&self, ask: impl Fn() -> Option<T>) -> T {
        self.service.until(ask)
    }
}

/// A little while.
pub(crate) const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}
