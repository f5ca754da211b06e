//! Cases of the conformance suite about readers who may see some documents only.

use std::sync::Arc;

use tollbridge::record::BlobId;
use tollbridge::staging::{
    ChangeKind, ColumnType, Comparison, Filter, ListQuery, ResourceSpec, Scalar, Staging, StagingError, Total,
};

use super::conformance::filter;
use super::support::{Reading, id, spec};

const FIELDS: &[(&str, ColumnType)] = &[
    ("of.owner", ColumnType::Text),
    ("of.site", ColumnType::Integer),
    ("open", ColumnType::Boolean),
    ("amount", ColumnType::ScaledInteger { scale: 2 }),
];

fn bounded(paths: &[&str]) -> ResourceSpec {
    ResourceSpec { bounds: paths.iter().map(|path| (*path).to_owned()).collect(), ..spec(&id("orders.v1"), FIELDS) }
}

fn of(owner: &str) -> Vec<Filter> {
    vec![filter("of.owner", Comparison::Equal, vec![Scalar::Text(owner.to_owned())])]
}

fn order(owner: &str, site: i64) -> String {
    format!(r#"{{"of":{{"owner":"{owner}","site":{site}}},"open":true,"amount":"{site}.50"}}"#)
}

async fn begin(staging: &Arc<dyn Staging>, paths: &[&str]) -> Reading {
    staging.prepare(&bounded(paths)).await.unwrap();
    Reading::of_file(staging, &id("orders.v1"), "f", BlobId([1; 32])).await
}

/// The feed as a reader hears it: key and kind.
async fn heard(staging: &Arc<dyn Staging>, only: &[Filter]) -> String {
    let feed = staging.feed_within(&id("orders.v1"), 0, 100, only).await.unwrap();
    let status = staging.status(&id("orders.v1")).await.unwrap();
    assert!(feed.sequence == status.sequence && feed.reached == status.sequence, "{feed:?}");
    let word = |kind| match kind {
        ChangeKind::Created => '+',
        ChangeKind::Updated => '=',
        ChangeKind::Deleted => '-',
    };
    feed.changes.iter().map(|change| format!("{}{}", change.key, word(change.kind))).collect::<Vec<_>>().join(" ")
}

/// The versions of a document that a reader is told of, newest first.
async fn versions(staging: &Arc<dyn Staging>, key: &str, only: &[Filter]) -> Vec<u64> {
    let history = staging.history_within(&id("orders.v1"), key, only).await.unwrap();
    history.iter().map(|change| change.version).collect()
}

pub(super) async fn a_bounded_reader_knows_of_what_it_may_see_only(staging: Arc<dyn Staging>) {
    let orders = id("orders.v1");
    let mut reading = begin(&staging, &["of.owner"]).await;
    let (x, y) = (order("x", 1), order("y", 2));
    reading.stage(&[("a", &x), ("b", &y), ("c", r#"{"of":null}"#)]).await;

    for (key, owner, is_there) in [("a", "x", true), ("a", "y", false), ("c", "x", false), ("d", "x", false)] {
        let found = staging.document_within(&orders, key, &of(owner)).await.unwrap();
        assert_eq!(found.is_some(), is_there, "{key} for {owner}");
    }
    let list = ListQuery { only: of("x"), limit: 9, count: true, ..ListQuery::default() };
    let page = staging.list(&orders, list.clone()).await.unwrap();
    assert_eq!((page.rows.len(), page.total), (1, Some(Total::Exact(1))));
    // What is asked for can only narrow what may be seen.
    let asked = ListQuery { filters: of("y"), ..list };
    assert_eq!(staging.list(&orders, asked).await.unwrap().rows.len(), 0);

    assert_eq!(heard(&staging, &[]).await, "a+ b+ c+");
    assert_eq!(heard(&staging, &of("x")).await, "a+");
    assert_eq!(heard(&staging, &of("nobody")).await, "");
    assert_eq!(versions(&staging, "a", &of("x")).await, [1]);
    assert!(versions(&staging, "a", &of("y")).await.is_empty());
    let both = [of("x"), vec![filter("of.site", Comparison::Equal, vec![Scalar::Integer(1)])]].concat();
    assert!(staging.document_within(&orders, "a", &both).await.unwrap().is_some());
    assert!(matches!(staging.feed_within(&orders, 0, 9, &both).await, Err(StagingError::BadQuery { .. })));
    let unknown = vec![filter("nothing", Comparison::Equal, vec![Scalar::Null])];
    assert!(staging.document_within(&orders, "a", &unknown).await.is_err());
    assert!(staging.history_within(&orders, "a", &unknown).await.is_err());
}

pub(super) async fn a_bounded_reader_hears_what_goes_out_of_its_sight(staging: Arc<dyn Staging>) {
    let orders = id("orders.v1");
    let mut reading = begin(&staging, &["of.owner"]).await;
    let (x, y, richer) = (order("x", 1), order("y", 2), order("x", 9));
    reading.stage(&[("a", &x), ("b", &y), ("c", &y)]).await;
    reading.stage(&[("a", &richer)]).await;
    reading.stage(&[("b", &x)]).await;
    reading.stage(&[("a", &y)]).await;
    reading.delete(&["b", "c"]).await;
    assert_eq!(heard(&staging, &[]).await, "a+ b+ c+ a= b= a= b- c-");
    assert_eq!(heard(&staging, &of("x")).await, "a+ a= b+ a- b-");
    assert_eq!(heard(&staging, &of("y")).await, "b+ c+ b- a+ c-");

    // Of what it became the one who lost it learns nothing.
    let feed = staging.feed_within(&orders, 0, 100, &of("x")).await.unwrap();
    let lost = feed.changes.iter().find(|change| change.key == "a" && change.kind == ChangeKind::Deleted).unwrap();
    let whole = staging.feed(&orders, 0, 100).await.unwrap().changes;
    let before = whole.iter().find(|change| change.key == "a" && change.version == 2).unwrap();
    assert_eq!((lost.hash, &lost.input), (before.hash, &None));

    assert!(versions(&staging, "a", &of("x")).await.is_empty());
    assert_eq!(versions(&staging, "a", &of("y")).await, [3]);
    assert_eq!(versions(&staging, "b", &of("x")).await, [3, 2]);
    assert!(versions(&staging, "b", &of("y")).await.is_empty());
    assert_eq!(versions(&staging, "c", &of("y")).await, [2, 1]);
    let gone = async |key: &str, owner: &str| {
        staging.tombstone_within(&orders, key, &of(owner)).await.unwrap().map(|tombstone| tombstone.version)
    };
    assert_eq!((gone("b", "x").await, gone("b", "y").await), (Some(3), None));
    assert_eq!((gone("c", "x").await, gone("c", "y").await, gone("a", "x").await), (None, Some(2), None));

    // It comes back to somebody else.
    reading.stage(&[("b", &y)]).await;
    assert_eq!(heard(&staging, &of("x")).await, "a+ a= b+ a- b-");
    assert_eq!(heard(&staging, &of("y")).await, "b+ c+ b- a+ c- b+");
}

pub(super) async fn a_bounded_feed_is_read_on_from_where_it_was_left(staging: Arc<dyn Staging>) {
    let orders = id("orders.v1");
    let mut reading = begin(&staging, &["of.owner"]).await;
    for n in 0..40 {
        let (key, payload) = (format!("{n:02}"), order(["x", "y", "y"][n % 3], n as i64));
        reading.stage(&[(&key, &payload)]).await;
    }
    let (mut since, mut keys, mut complete) = (0, Vec::new(), false);
    while !complete {
        let feed = staging.feed_within(&orders, since, 4, &of("x")).await.unwrap();
        assert!(feed.changes.len() <= 4 && (feed.reached == feed.sequence || feed.reached > since));
        keys.extend(feed.changes.iter().map(|change| change.key.clone()));
        (since, complete) = (feed.reached, feed.reached == feed.sequence);
    }
    let expected: Vec<String> = (0..40).step_by(3).map(|n| format!("{n:02}")).collect();
    assert_eq!((since, keys), (40, expected));
    let end = staging.feed_within(&orders, u64::MAX, 4, &of("x")).await.unwrap();
    assert!(end.reached == end.sequence && end.changes.is_empty());
}

pub(super) async fn fields_that_bound_readers_may_be_declared_later(staging: Arc<dyn Staging>) {
    let mut reading = begin(&staging, &[]).await;
    let (x, y) = (order("x", 1), order("y", 2));
    reading.stage(&[("a", &x), ("b", &y), ("c", &x)]).await;
    reading.stage(&[("a", &y)]).await;
    reading.delete(&["c"]).await;
    let refused = staging.feed_within(&id("orders.v1"), 0, 9, &of("x")).await;
    assert!(matches!(refused, Err(StagingError::BadQuery { .. })), "{refused:?}");

    // What was is not known any more; what is, is.
    staging.prepare(&bounded(&["of.owner"])).await.unwrap();
    assert_eq!(heard(&staging, &of("x")).await, "");
    assert_eq!(heard(&staging, &of("y")).await, "b+ a+");
    reading.stage(&[("a", &x)]).await;
    assert_eq!(heard(&staging, &of("x")).await, "a+");
    assert_eq!(heard(&staging, &of("y")).await, "b+ a+ a-");

    staging.prepare(&bounded(&["of.owner", "of.site", "open", "amount"])).await.unwrap();
    let all = [
        filter("of.owner", Comparison::Equal, vec![Scalar::Text("x".to_owned())]),
        filter("of.site", Comparison::In, vec![Scalar::Integer(1), Scalar::Integer(7)]),
        filter("open", Comparison::Equal, vec![Scalar::Integer(1)]),
        filter("amount", Comparison::GreaterOrEqual, vec![Scalar::Integer(150)]),
    ];
    assert_eq!(heard(&staging, &all).await, "a+");
    assert_eq!(heard(&staging, &all[1..]).await, "a+");
    staging.prepare(&bounded(&[])).await.unwrap();
    assert!(staging.feed_within(&id("orders.v1"), 0, 9, &of("x")).await.is_err());
    reading.stage(&[("d", &x)]).await;
    let missing = staging.prepare(&bounded(&["nothing"])).await;
    assert!(matches!(missing, Err(StagingError::UndeclaredField { .. })), "{missing:?}");
}
