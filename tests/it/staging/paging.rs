//! Pages one behind the other are the whole sorted answer, whatever is asked and sorted by, wherever the cuts are, and
//! whoever inserts, changes and deletes other documents meanwhile: what stays as it is comes once.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use proptest::prelude::*;
use tollbridge::record::BlobId;
use tollbridge::staging::{
    ColumnType, Comparison, Condition, Filter, Include, Link, ListQuery, Scalar, SortKey, Staging, Total,
};

use super::support::{Reading, block_on, id, spec, sqlite};

/// A document's three fields; few values, so that many are equal, and nulls.
type Row = (Option<u8>, Option<i8>, Option<i8>);

const PATHS: [&str; 3] = ["text", "deep.count", "amount"];
const COLUMNS: [(&str, ColumnType); 3] = [
    ("text", ColumnType::Text),
    ("deep.count", ColumnType::Integer),
    ("amount", ColumnType::ScaledInteger { scale: 1 }),
];

/// What somebody does between two pages.
#[derive(Clone, Debug)]
enum Change {
    Insert(Row),
    /// The row of this number, of those that are there, becomes another.
    Update(usize, Row),
    Delete(usize),
}

#[derive(Clone, Debug)]
struct Case {
    rows: Vec<Row>,
    /// One by one between the pages.
    changes: Vec<Change>,
    /// Which field, descending or not.
    sort: Vec<(usize, bool)>,
    /// Only the first row's value of a field.
    filter: Option<usize>,
    /// Only the first row's value of one of these, or what is greater than it in the other.
    either: Option<(usize, usize)>,
    /// With the document of the same text beside each.
    includes: bool,
    limit: usize,
}

fn cases() -> impl Strategy<Value = Case> {
    let row = || (proptest::option::of(0u8..3), proptest::option::of(-1i8..2), proptest::option::of(-2i8..3));
    let sort = proptest::collection::vec((0usize..3, any::<bool>()), 0..4);
    let rows = proptest::collection::vec(row(), 0..40);
    let change = prop_oneof![
        row().prop_map(Change::Insert),
        (any::<usize>(), row()).prop_map(|(number, row)| Change::Update(number, row)),
        any::<usize>().prop_map(Change::Delete),
    ];
    let changes = proptest::collection::vec(change, 0..10);
    let either = proptest::option::weighted(0.3, (0usize..3, 0usize..3));
    let filter = proptest::option::weighted(0.3, 0usize..3);
    (rows, changes, sort, filter, either, any::<bool>(), 1usize..12).prop_map(
        |(rows, changes, sort, filter, either, includes, limit)| Case {
            rows,
            changes,
            sort,
            filter,
            either,
            includes,
            limit,
        },
    )
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

    let like = case.rows.first().copied().unwrap_or_default();
    let equal = |field: usize| Filter {
        path: PATHS[field].to_owned(),
        comparison: Comparison::Equal,
        values: vec![scalar(&like, field)],
    };
    // Nothing is greater than null.
    let greater =
        |field: usize| value(&like, field).map(|_| Filter { comparison: Comparison::Greater, ..equal(field) });
    let matches = |row: &Row| {
        let is = |field: usize| value(row, field) == value(&like, field);
        let exceeds = |field: usize| value(&like, field).is_some_and(|least| value(row, field) > Some(least));
        case.filter.is_none_or(is) && case.either.is_none_or(|(one, other)| is(one) || exceeds(other))
    };
    let either = case.either.map(|(one, other)| {
        let any = [Some(equal(one)), greater(other)].into_iter().flatten().map(Condition::Field);
        Condition::Any(any.collect())
    });
    let sort =
        case.sort.iter().map(|&(field, descending)| SortKey { path: PATHS[field].to_owned(), descending }).collect();
    let link = Link::Field { from: "text".to_owned(), field: "text".to_owned(), limit: 2 };
    let include = Include { resource: resource.clone(), link, only: vec![], include: vec![] };
    let mut query = ListQuery {
        filters: case.filter.map(equal).into_iter().collect(),
        groups: either.into_iter().collect(),
        sort,
        limit: case.limit,
        include: if case.includes { vec![include] } else { vec![] },
        ..ListQuery::default()
    };

    let mut changes = case.changes.iter().enumerate();
    // What is as it was at the beginning.
    let mut unchanged: Vec<(String, Row)> = rows.clone();
    let mut found = Vec::new();
    let mut sizes = Vec::new();
    loop {
        let page = staging.list(&resource, query.clone()).await.unwrap();
        for payload in page.rows.iter() {
            let read: HashMap<String, serde_json::Value> = serde_json::from_slice(payload).unwrap();
            found.push(read["key"].as_str().unwrap().to_owned());
        }
        for included in &page.included {
            assert_eq!(included.of.len(), page.rows.len());
            let is_there = |place: &u32| included.rows.get(*place as usize).is_some();
            assert!(included.of.iter().all(|related| related.rows.len() <= 2 && related.rows.iter().all(is_there)));
        }
        sizes.push(page.rows.len());
        let Some(next) = page.next else { break };
        query.after = Some(next);
        match changes.next() {
            None => {}
            Some((n, Change::Insert(row))) => {
                let key = format!("{}{n}", ["~", "0"][n % 2]);
                reading.stage(&[(&key, &payload(&key, row))]).await;
            }
            Some((_, Change::Update(number, row))) if !unchanged.is_empty() => {
                let (key, _) = unchanged.remove(number % unchanged.len());
                reading.stage(&[(&key, &payload(&key, row))]).await;
            }
            Some((_, Change::Delete(number))) if !unchanged.is_empty() => {
                let (key, _) = unchanged.remove(number % unchanged.len());
                reading.delete(&[&key]).await;
            }
            Some(_) => {}
        }
    }
    let mut expected: Vec<(String, Row)> = unchanged.into_iter().filter(|(_, row)| matches(row)).collect();
    expected.sort_by(|one, other| compare(&case, one, other));
    let expected: Vec<String> = expected.into_iter().map(|(key, _)| key).collect();
    // A row that was changed may come at its old and at its new place, or at neither.
    found.retain(|key| expected.contains(key));
    assert_eq!(found, expected, "{case:?}");
    let (last, full) = sizes.split_last().unwrap();
    assert!(full.iter().all(|size| *size == case.limit) && *last <= case.limit);

    query.after = None;
    query.count = true;
    let page = staging.list(&resource, query.clone()).await.unwrap();
    query.limit = usize::MAX;
    let all = staging.list(&resource, query).await.unwrap().rows.len() as u64;
    assert_eq!(page.total, Some(Total::Exact(all)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sqlite_pages_join_to_the_whole(case in cases()) {
        let (staging, _alive) = sqlite();
        block_on(check(staging, case));
    }
}
