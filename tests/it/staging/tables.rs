//! Cases of the conformance suite about tables and their rows.

use std::sync::Arc;

use tollbridge::record::BlobId;
use tollbridge::staging::{ColumnType, Comparison, ListQuery, PAGE_BYTES, Scalar, Staging};

use super::conformance::{FIELDS, filter, six_orders};
use super::support::{Reading, id, spec};

pub(super) async fn what_is_ensured_stays_as_it_is(staging: Arc<dyn Staging>) {
    let orders = id("orders.v1");
    six_orders(&staging).await;
    staging.prepare(&spec(&orders, FIELDS)).await.unwrap();
    let stock = id("stock.v1");
    staging.ensure(&[spec(&orders, &[]), spec(&stock, &[("n", ColumnType::Integer)])]).await.unwrap();
    let filters = vec![filter("count", Comparison::Equal, vec![Scalar::Integer(3)])];
    let query = ListQuery { filters, limit: 9, ..ListQuery::default() };
    assert_eq!(staging.list(&orders, query).await.unwrap().rows.len(), 2);
    assert_eq!(staging.status(&stock).await.unwrap().documents, 0);
}

pub(super) async fn a_page_has_so_many_bytes_at_most(staging: Arc<dyn Staging>) {
    let orders = id("orders.v1");
    let text = "x".repeat(PAGE_BYTES / 3);
    let payload = |size: &str| format!(r#"{{"t":"{size}"}}"#);
    let rows: Vec<_> = ["a", "b", "c", "d"].iter().map(|key| (*key, payload(&text))).collect();
    let large = ("e", payload(&text.repeat(4)));
    let rows: Vec<_> = rows.iter().chain([&large]).map(|(key, payload)| (*key, payload.as_str())).collect();
    staging.prepare(&spec(&orders, &[])).await.unwrap();
    Reading::of_file(&staging, &orders, "f", BlobId([1; 32])).await.stage(&rows).await;
    let mut query = ListQuery { limit: 100, ..ListQuery::default() };
    let mut lengths = Vec::new();
    loop {
        let page = staging.list(&orders, query.clone()).await.unwrap();
        lengths.push(page.rows.len());
        query.after = page.next;
        if query.after.is_none() {
            break;
        }
    }
    assert_eq!(lengths, [2, 2, 1]);
}
