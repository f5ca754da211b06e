//! `[serve.relations.NAME]`: what `check` says of relations that do not fit.

use crate::site::Site;

const CUSTOMERS: &str = r#"
resource = "customers"
version = 1
key = ["no"]
[source]
backend = "erp"
schedule = "manual"
[source.csv]
files = "customers*.csv"
columns = ["NO", "NAME", "SINCE", "RANK"]
header = false
[fields]
no = { from = "NO" }
name = { from = "NAME" }
since = { from = "SINCE", type = "date", format = "%Y%m%d" }
rank = { from = "RANK", type = "integer", max = 9 }
[serve]
filter = ["name", "rank"]
"#;

const ORDERS: &str = r#"
resource = "orders"
version = 1
key = ["no"]
[source]
backend = "erp"
schedule = "manual"
[source.csv]
files = "orders*.csv"
columns = ["NO", "CUST", "QTY"]
header = false
[fields]
no = { from = "NO" }
buyer = { object = { no = { from = "CUST" } } }
quantity = { from = "QTY", type = "integer", max = 99 }
[serve.relations.customer]
"#;

fn said(relation: &str) -> (String, i32) {
    let orders = format!("{ORDERS}{relation}\n");
    let site = Site::with_mappings(&[("customers.v1.toml", CUSTOMERS), ("orders.v1.toml", &orders)]);
    let output = site.run(&["check", "--offline"]);
    (String::from_utf8_lossy(&output.stderr).into_owned(), output.status.code().unwrap())
}

#[track_caller]
fn refused(relation: &str, part: &str) {
    let (said, code) = said(relation);
    assert!(code == 2 && said.contains(part), "{relation}: {code}\n{said}");
}

#[test]
fn relations_that_fit_are_taken() {
    for relation in [
        "resource = \"customers\"\nkey = \"buyer.no\"",
        "resource = \"customers.v1\"\nkey = [\"buyer.no\"]",
        "resource = \"customers\"\nfield = \"name\"",
        "resource = \"customers\"\nfield = \"rank\"\nkey = \"quantity\"\nlimit = 5",
    ] {
        let (said, code) = said(relation);
        assert_eq!(code, 0, "{relation}\n{said}");
    }
}

#[test]
fn relations_that_do_not_fit_are_faults_at_their_lines() {
    refused("key = \"buyer.no\"", "has no `resource`");
    refused("resource = \"customers\"", "neither `key` nor `field`");
    refused("resource = \"customer\"\nkey = \"buyer.no\"", "there is no resource customer.v1");
    refused("resource = \"customer\"\nkey = \"buyer.no\"", "orders.v1.toml:17:12");
    refused("resource = \"customers.v2\"\nkey = \"buyer.no\"", "there is no resource customers.v2");
    refused("resource = \"customers\"\nkey = \"buyer\"", "`buyer` is no single value");
    refused("resource = \"customers\"\nkey = \"buyer.nr\"", "did you mean `buyer.no`?");
    refused(
        "resource = \"customers\"\nkey = [\"buyer.no\", \"no\"]",
        "the key of customers.v1 has 1 parts (no), and not 2",
    );
    refused(
        "resource = \"customers\"\nkey = \"quantity\"",
        "`quantity` is a integer, and `no` of customers.v1 is a string",
    );
    refused(
        "resource = \"customers\"\nfield = \"since\"",
        "`since` is not among the filters of customers.v1, which are: name, rank",
    );
    refused("resource = \"customers\"\nfield = \"rank\"", "`no` is a string, and `rank` of customers.v1 is a integer");
    refused("resource = \"customers\"\nkey = \"buyer.no\"\nlimit = 5", "`limit` has no meaning here");
    refused("resource = \"customers\"\nfield = \"name\"\nlimit = 1001", "1001 is outside 1 to 1000");
    refused("resource = \"customers\"\nkey = \"buyer.no\"\nmany = true", "unknown key `many`");
    refused(
        "resource = \"customers\"\nkey = \"buyer.no\"\n[serve.relations.buyer]\nresource = \"customers\"\nkey = \"no\"",
        "there is a field `buyer` already",
    );
    refused(
        "resource = \"customers\"\nkey = \"buyer.no\"\n[serve.relations.\"a.b\"]\nresource = \"customers\"\nkey = \"no\"",
        "`a.b` is no name of a relation",
    );
}
