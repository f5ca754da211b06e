//! Pages one behind the other are the whole sorted answer, whatever is sorted by, wherever the cuts are, and
//! whoever inserts other documents meanwhile.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use proptest::prelude::*;
use tollbridge::record::BlobId;
use tollbridge::staging::{ColumnType, Comparison, Filter, ListQuery, Scalar, SortKey, Staging};

use super::support::{Reading, block_on, id, spec, sqlite};

/// A document's three fields; few values, so that many are equal, and nulls.
type Row = (Option<u8>, Option<i8>, Option<i8>);

const PATHS: [&str; 3] = ["text", "deep.count", "amount"];
const COLUMNS: [(&str, ColumnType); 3] = [
    ("text", ColumnType::Text),
    ("deep.count", ColumnType::Integer),
    ("amount", ColumnType::ScaledInteger { scale: 1 }),
];

#[derive(Clone, Debug)]
struct Case {
    rows: Vec<Row>,
    /// Inserted one by one between the pages.
    others: Vec<Row>,
    /// Which field, descending or not.
    sort: Vec<(usize, bool)>,
    /// Only this value of a field.
    filter: Option<usize>,
    limit: usize,
}

fn cases() -> impl Strategy<Value = Case> {
    let row = || (proptest::option::of(0u8..3), proptest::option::of(-1i8..2), proptest::option::of(-2i8..3));
    let sort = proptest::collection::vec((0usize..3, any::<bool>()), 0..4);
    let rows = proptest::collection::vec(row(), 0..40);
    let others = proptest::collection::vec(row(), 0..10);
    (rows, others, sort, proptest::option::weighted(0.3, 0usize..3), 1usize..12)
        .prop_map(|(rows, others, sort, filter, limit)| Case { rows, others, sort, filter, limit })
}

/// A field as the index compares it: null is less than everything.
fn value(row: &Row, field: usize) -> Option<i64> {
    match field {
        0 => row.0.map(i64::from),
        1 => row.1.map(i64::from),
        _ => row.2.map(i64::from),
    }
}

fn scalar(row: &Row, field: usize) -> Scalar {
    match (field, value(row, field)) {
        (_, None) => Scalar::Null,
        (0, Some(text)) => Scalar::Text(format!("t{text}")),
        (_, Some(number)) => Scalar::Integer(number),
    }
}

fn payload(key: &str, (text, count, amount): &Row) -> String {
    let text = text.map_or("null".to_owned(), |text| format!("\"t{text}\""));
    let count = count.map_or(String::new(), |count| format!("\"count\":{count}"));
    let amount = amount.map_or("null".to_owned(), |amount| {
        format!("\"{}0.{}\"", if amount < 0 { "-" } else { "" }, amount.unsigned_abs())
    });
    format!(r#"{{"key":"{key}","text":{text},"deep":{{{count}}},"amount":{amount}}}"#)
}

/// Keys that are not in the order of the rows.
fn key(n: usize) -> String {
    format!("{:03}", (n * 37) % 101)
}

fn compare(case: &Case, (one_key, one): &(String, Row), (other_key, other): &(String, Row)) -> Ordering {
    for &(field, descending) in &case.sort {
        let order = value(one, field).cmp(&value(other, field));
        let order = if descending { order.reverse() } else { order };
        if order.is_ne() {
            return order;
        }
    }
    one_key.cmp(other_key)
}

async fn check(staging: Arc<dyn Staging>, case: Case) {
    let resource = id("orders.v1");
    staging.prepare(&spec(&resource, &COLUMNS)).await.unwrap();
    let mut reading = Reading::of_file(&staging, &resource, "f", BlobId([1; 32])).await;
    let rows: Vec<(String, Row)> = case.rows.iter().enumerate().map(|(n, row)| (key(n), *row)).collect();
    let staged: Vec<(String, String)> = rows.iter().map(|(key, row)| (key.clone(), payload(key, row))).collect();
    reading.stage(&staged.iter().map(|(key, payload)| (key.as_str(), payload.as_str())).collect::<Vec<_>>()).await;

    let wanted = case.filter.and_then(|field| case.rows.first().map(|row| (field, *row)));
    let mut expected: Vec<(String, Row)> = rows
        .iter()
        .filter(|(_, row)| wanted.is_none_or(|(field, like)| value(row, field) == value(&like, field)))
        .cloned()
        .collect();
    expected.sort_by(|one, other| compare(&case, one, other));
    let expected: Vec<String> = expected.into_iter().map(|(key, _)| key).collect();

    let equal = |(field, like): (usize, Row)| Filter {
        path: PATHS[field].to_owned(),
        comparison: Comparison::Equal,
        values: vec![scalar(&like, field)],
    };
    let sort =
        case.sort.iter().map(|&(field, descending)| SortKey { path: PATHS[field].to_owned(), descending }).collect();
    let mut query = ListQuery {
        filters: wanted.into_iter().map(equal).collect(),
        sort,
        after: None,
        limit: case.limit,
        count: false,
    };
    let mut others = case.others.iter().enumerate();
    let mut found = Vec::new();
    let mut sizes = Vec::new();
    loop {
        let page = staging.list(&resource, query.clone()).await.unwrap();
        for payload in page.rows.iter() {
            let read: HashMap<String, serde_json::Value> = serde_json::from_slice(payload).unwrap();
            let key = read["key"].as_str().unwrap().to_owned();
            if !key.starts_with('~') {
                found.push(key);
            }
        }
        sizes.push(page.rows.len());
        let Some(next) = page.next else { break };
        query.after = Some(next);
        if let Some((n, row)) = others.next() {
            // Sorts behind all original keys where all else is equal.
            let key = format!("~{n}");
            reading.stage(&[(&key, &payload(&key, row))]).await;
        }
    }
    assert_eq!(found, expected, "{case:?}");
    let (last, full) = sizes.split_last().unwrap();
    assert!(full.iter().all(|size| *size == case.limit) && *last <= case.limit);

    query.after = None;
    query.count = true;
    let page = staging.list(&resource, query.clone()).await.unwrap();
    query.limit = usize::MAX;
    assert_eq!(page.total, Some(staging.list(&resource, query).await.unwrap().rows.len() as u64));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sqlite_pages_join_to_the_whole(case in cases()) {
        let (staging, _alive) = sqlite();
        block_on(check(staging, case));
    }
}
