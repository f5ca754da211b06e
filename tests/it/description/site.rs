//! A running service with a resource of every kind: files (CSV, COBOL, columns), tables that are staged, live and hybrid, a SOAP
//! service, two versions, relations either way, masks, and writes of every kind to a database and a service.

use std::path::PathBuf;

use serde_json::Value;

use crate::demo::demo_with_orders;
use crate::operate::new_key;
use crate::site::{Service, Site};

/// Articles in a database that is written to.
const ARTICLES: &str = r#"
resource = "articles"
version = 1
title = "Articles"
description = "What is sold. Written to the shop's own database."
example = "articles.example.json"
key = ["article_no"]
[source]
backend = "shop"
schedule = "every 1s"
[source.table]
table = "articles"
snapshot = true
[fields]
article_no = { from = "no", type = "string" }
name = { from = "name", type = "string", title = "Name" }
price = { from = "price", type = "decimal(9,2)", min = 0 }
cost = { from = "cost", type = "decimal(9,2)", description = "What was paid for it." }
status = { from = "status", type = "string", values = { A = "active", X = "discontinued" } }
changed_at = { from = "changed", type = "datetime" }
shelf_life = { from = "life", type = "integer", values = { S = 30, L = 720 } }
vat = { from = "vat", type = "decimal(3,1)", values = { N = "19.0", R = "7.0" } }
[serve]
filter = ["article_no", "name", "price", "status", "changed_at", "shelf_life", "vat"]
sort = ["article_no", "price"]
mask = { cost = "costs:read" }

[operations.create]
title = "A new article"
sql = "insert into articles (no, name, price, cost, status, changed, ref) values (:article_no, :name, :price, :cost, :status, :changed_at, :idempotency_key)"
expect = 1
problems = { constraint = { status = 409, detail = "there is such an article already" } }
reconcile = { sql = "select no as article_no from articles where ref = :idempotency_key" }
answer = "record"
[operations.create.body]
article_no = { field = "article_no", pattern = "^[0-9]{1,6}$" }
name = { field = "name", pattern = "^[A-Za-z0-9 ]{1,40}$" }
price = { field = "price" }
cost = { field = "cost", required = false, nullable = true }
status = { field = "status", required = false, default = "active" }
changed_at = { field = "changed_at", required = false, nullable = true, format = "%Y-%m-%dT%H:%M:%S" }

[operations.update]
title = "Change an article"
sql = "update articles set name = coalesce(:name, name), price = coalesce(:price, price) where no = :key"
expect = 1
problems = { unexpected = { status = 404, detail = "there is no such article" } }
[operations.update.body]
name = { field = "name", required = false, pattern = "^[A-Za-z0-9 ]{1,40}$" }
price = { field = "price", required = false }

[operations.delete]
sql = "delete from articles where no = :key"
expect = [0, 1]

[operations.discontinue]
title = "Take it out of the catalogue"
description = "It stays for those who have it."
sql = "update articles set status = 'X' where no = :key"
expect = 1
require_match = true
problems = { unexpected = { status = 404, detail = "there is no such article" } }
"#;

/// What a body can have, of every kind and with every rule.
const SAMPLES: &str = r#"
resource = "samples"
version = 1
title = "Samples"
key = ["id"]
[source]
backend = "shop"
schedule = "every 1s"
[source.table]
table = "samples"
snapshot = true
[fields]
id = { from = "id", type = "string" }
words = { from = "words", type = "string" }
whole = { from = "whole", type = "integer" }
code = { from = "code", type = "string" }

[operations.create]
sql = "insert into samples (id, words, code, tail, whole, few, ratio, money, share, much, is_good, day, short_day, hour, place_time, moment, bytes, size) values (:id, :words, :code, :tail, :whole, :few, :ratio, :money, :share, :much, :is_good, :day, :short_day, :hour, :place_time, :moment, :bytes, :size)"
expect = 1
problems = { constraint = { status = 409, detail = "there is such a sample already" } }
answer = "record"
[operations.create.body]
id = { type = "string", pattern = "^[0-9]{1,9}$" }
words = { type = "string", required = false, min_length = 1, max_length = 20, nullable = true }
code = { type = "string", required = false, pattern = "^(?P<class>[A-Z]{2})-\\d+\\z" }
tail = { type = "string", required = false, pattern = "[^x]$" }
whole = { type = "integer", required = false }
few = { type = "integer", required = false, min = 1, max = 99, nullable = true }
ratio = { type = "number", required = false, min = 0, max = 1 }
money = { type = "decimal(9,2)", required = false, min = 0 }
share = { type = "decimal(5,2)", required = false, min = 0.5, max = 99.5 }
much = { type = "decimal(30,0)", required = false }
is_good = { type = "boolean", required = false, nullable = true }
day = { type = "date", required = false, min = "2024-02-29", max = "2026-10-31" }
short_day = { type = "date", required = false, format = "%y%m%d" }
hour = { type = "time", required = false, min = "08:00:00", max = "16:30:00" }
place_time = { type = "datetime", required = false, min = "2024-02-29T12:30:00" }
moment = { type = "datetime", required = false, zone = "Europe/Berlin", format = "%Y%m%d%H%M%S" }
bytes = { type = "bytes", required = false }
size = { type = "integer", required = false, values = { 30 = "S", 720 = "L" }, nullable = true }
"#;

/// The same table, asked each time.
const SHELF: &str = r#"
resource = "shelf"
version = 1
title = "Articles, as they are at this moment"
key = ["article_no"]
[source]
backend = "shop"
[source.table]
table = "articles"
snapshot = true
[fields]
article_no = { from = "no", type = "string" }
name = { from = "name", type = "string" }
price = { from = "price", type = "decimal(9,2)" }
[serve]
mode = "live"
filter = ["article_no", "price"]
"#;

/// And asked when what is staged is old.
const COUNTER: &str = r#"
resource = "counter"
version = 1
title = "Articles, a minute old at most"
key = ["article_no"]
[source]
backend = "shop"
[source.table]
table = "articles"
snapshot = true
[fields]
article_no = { from = "no", type = "string" }
name = { from = "name", type = "string" }
[serve]
mode = "hybrid"
max_age = "1m"
filter = ["name"]
sort = ["name"]
"#;

const TABLES: &str = "create table articles (no varchar(10) primary key, name varchar(40), price numeric(9,2), \
    cost numeric(9,2), status varchar(1), changed varchar(19), ref varchar(100) unique, life varchar(1), vat varchar(1));
    insert into articles values ('4711', 'Hammer', 12.50, 7.25, 'A', '2026-10-01T08:30:00', 'r1', 'L', 'N'),
    ('4712', 'Saw', 31.99, null, 'A', null, 'r2', null, 'N'),
    ('4713', 'Nail', 0.05, 0.01, 'X', '2026-10-02T09:00:00', 'r3', 'S', 'R');
    create table samples (id varchar(9) primary key, words varchar(40), code varchar(40), tail varchar(40), whole bigint, few integer,
    ratio double, money numeric(9,2), share numeric(5,2), much varchar(40), is_good integer, day varchar(10), short_day varchar(6),
    hour varchar(20), place_time varchar(30), moment varchar(14), bytes blob, size varchar(1));
    insert into samples (id, words, whole, code) values ('1', 'one', 1, 'AB-1');";

/// What the second version of orders has beside the first.
const RELATIONS: &str = "[serve.relations.customer]\nresource = \"customers.v1\"\nkey = \"customer_no\"\n";

/// What customers have.
const BACK: &str = "mask = { balance = \"money:read\", \"address.street\" = \"pii:read\" }\n\
    [serve.relations.orders]\nresource = \"orders.v2\"\nfield = \"customer_no\"\nkey = \"customer_no\"\nlimit = 5\n";

pub(super) struct Described {
    // It ends before its folder goes.
    pub(super) service: Service,
    pub(super) site: Site,
    /// A key that may do everything.
    pub(super) key: String,
}

/// The demo with more beside it, and its SOAP service running.
pub(super) fn site() -> Site {
    let site = demo_with_orders();
    let path = site.path("var/shop.sqlite");
    rusqlite::Connection::open(&path).unwrap().execute_batch(TABLES).unwrap();
    let config = std::fs::read_to_string(site.path("tollbridge.toml")).unwrap();
    let config = config.replace("demo_key = \"var/demo.key\"\n", "");
    let shop = "[backends.shop.odbc]\nconnection = \"Driver=SQLite3;Database=var/shop.sqlite;Timeout=10000\"\n\
         [backends.shop.gate]\nsettle = \"300ms\"\nqueue_timeout = \"20s\"\n";
    site.write("tollbridge.toml", format!("{config}\n{shop}").as_bytes());
    site.write("mappings/articles.v1.toml", ARTICLES.as_bytes());
    let example = r#"{"article_no":"4711","name":"Hammer","price":12.50,"cost":7.25,"status":"active","changed_at":"2026-10-01T08:30:00","shelf_life":720,"vat":19.0}"#;
    site.write("mappings/articles.example.json", example.as_bytes());
    site.write("mappings/samples.v1.toml", SAMPLES.as_bytes());
    site.write("mappings/shelf.v1.toml", SHELF.as_bytes());
    site.write("mappings/counter.v1.toml", COUNTER.as_bytes());
    // Orders come to their end, and their second version knows its customers.
    let orders = std::fs::read_to_string(site.path("mappings/orders.v1.toml")).unwrap();
    let second = orders.replace("version = 1", "version = 2") + RELATIONS;
    site.write("mappings/orders.v2.toml", second.as_bytes());
    let ending = "deprecated = \"2026-01-01\"\nsunset = \"2099-01-01\"\nsuccessor = 2\nnotice = \"https://example.com/moving\"\n";
    site.write("mappings/orders.v1.toml", (orders + ending).as_bytes());
    let customers = std::fs::read_to_string(site.path("mappings/customers.v1.toml")).unwrap();
    let customers = customers.replace("filter = [\"segment\"", "filter = [\"customer_no\", \"segment\"");
    site.write("mappings/customers.v1.toml", (customers + BACK).as_bytes());
    site
}

impl Described {
    /// Starts it, and waits until all that is staged is there.
    pub(super) fn start() -> Described {
        let site = site();
        let key = new_key(&site, "test", &["*"]);
        let service = site.serve();
        for path in ["orders", "customers", "stock", "prices", "articles", "samples"] {
            service.until(|| {
                let page = service.get(&format!("/v1/{path}?limit=1"), &key).ok()?;
                serde_json::from_str::<Value>(&page).ok()?["data"].get(0).cloned()
            });
        }
        Described { service, site, key }
    }

    /// Its description, in a file of the folder.
    pub(super) fn description(&self) -> PathBuf {
        let document = self.service.get("/openapi.json", &self.key).unwrap();
        self.site.write("openapi.json", document.as_bytes());
        self.site.path("openapi.json")
    }
}
