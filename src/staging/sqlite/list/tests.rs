//! Pages, and the indexes that they are read along.

use std::cell::RefCell;
use std::time::Duration;

use super::super::{resource, schema};
use super::*;
use crate::staging::{
    ColumnType, Comparison, Condition, Filter, Include, IndexedField, Link, ResourceSpec, SortKey, Total,
};

thread_local! {
    /// The statements that were run on this thread.
    pub(super) static SEEN: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

fn seen(run: impl FnOnce()) -> Vec<String> {
    SEEN.take();
    run();
    SEEN.take()
}

/// A resource with four declared fields and no rows.
fn prepared() -> (Connection, Resource) {
    let mut connection = Connection::open_in_memory().unwrap();
    schema::migrate(&mut connection).unwrap();
    let field = |path: &str, column| IndexedField { path: path.to_owned(), column };
    let indexed = vec![
        field("status", ColumnType::Text),
        field("customer.crm_id", ColumnType::Text),
        field("amount", ColumnType::ScaledInteger { scale: 2 }),
        field("weight", ColumnType::Number),
    ];
    let spec = ResourceSpec { id: "orders.v1".parse().unwrap(), indexed, bounds: Vec::new() };
    resource::prepare(&mut connection, std::slice::from_ref(&spec)).unwrap();
    let resource = resource::load(&connection, &spec.id).unwrap().unwrap();
    (connection, resource)
}

/// `count` orders: the key rises with `n`, and so does the amount.
fn fill(connection: &Connection, count: u32) {
    connection.execute_batch("BEGIN").unwrap();
    let mut insert = connection
        .prepare("INSERT INTO doc_1 (key, hash, version, sequence, changed_at, payload) VALUES (?1, x'', 1, 1, 1, ?2)")
        .unwrap();
    for n in 0..count {
        let status = ["\"open\"", "\"closed\"", "null"][(n % 3) as usize];
        let payload = format!(
            r#"{{"n":{n},"status":{status},"amount":"{}.00","weight":{},"customer":{{"crm_id":"C{}"}}}}"#,
            n / 7,
            n % 10,
            (n * 11) % 17
        );
        insert.execute([format!("{n:06}"), payload]).unwrap();
    }
    drop(insert);
    connection.execute("UPDATE resource SET documents = ?1", [count]).unwrap();
    connection.execute_batch("COMMIT").unwrap();
}

/// How SQLite runs a statement, in its words.
fn explain(connection: &Connection, sql: &str) -> Vec<String> {
    let mut explain = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    // What is bound makes no difference to the plan.
    let mut lines = explain.raw_query();
    let mut said = Vec::new();
    while let Some(line) = lines.next().unwrap() {
        said.push(line.get(3).unwrap());
    }
    said
}

/// No line walks over a table or a whole index of it.
#[track_caller]
fn searches_only(connection: &Connection, sql: &str) {
    let plan = explain(connection, sql);
    let is_walk = |line: &String| line.starts_with("SCAN doc_") || line.starts_with("SCAN d ") || line == "SCAN d";
    assert!(!plan.is_empty() && !plan.iter().any(is_walk), "{sql}\n{plan:#?}");
}

/// Whether no column is read from the row that an entry of the index points to: SQLite puts the seek off, and never makes up
/// for it.
fn looks_at_the_index_only(connection: &Connection, sql: &str) -> bool {
    let mut explain = connection.prepare(&format!("EXPLAIN {sql}")).unwrap();
    let mut rows = explain.raw_query();
    let mut program: Vec<(String, i64, i64)> = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        program.push((row.get(1).unwrap(), row.get(2).unwrap(), row.get(4).unwrap()));
    }
    let put_off: Vec<i64> =
        program.iter().filter(|(name, ..)| name == "DeferredSeek").map(|(_, _, table)| *table).collect();
    let reads = |(name, cursor, _): &(String, i64, i64)| name == "Column" && put_off.contains(cursor);
    !put_off.is_empty() && !program.iter().any(|step| reads(step) || step.0 == "FinishSeek")
}

fn unwatched() -> Watch {
    Watch::new(Duration::MAX)
}

fn ask(connection: &Connection, resource: &Resource, query: &ListQuery, watch: &Watch) -> Result<Page, Fault> {
    page(connection, resource, query, &Aids { registry: &Registry::default(), watch })
}

fn filter(path: &str, comparison: Comparison, values: Vec<Scalar>) -> Filter {
    Filter { path: path.to_owned(), comparison, values }
}

fn text(text: &str) -> Scalar {
    Scalar::Text(text.to_owned())
}

/// One filter of each operator, on columns of each type.
fn of_every_operator() -> Vec<Filter> {
    let texts = || vec![text("open"), text("closed")];
    let mut filters = vec![
        filter("status", Comparison::Equal, vec![Scalar::Null]),
        filter("status", Comparison::NotEqual, vec![Scalar::Null]),
        filter("status", Comparison::In, texts()),
        filter("status", Comparison::In, vec![text("open"), Scalar::Null]),
        filter("status", Comparison::NotIn, texts()),
        filter("status", Comparison::NotIn, vec![text("open"), Scalar::Null]),
        filter("status", Comparison::Prefix, vec![text("op")]),
        filter("status", Comparison::Prefix, vec![text("")]),
        filter("amount", Comparison::In, vec![Scalar::Integer(700), Scalar::Integer(100), Scalar::Integer(700)]),
        filter("weight", Comparison::NotIn, vec![Scalar::Number(3.0), Scalar::Number(1.0)]),
    ];
    for comparison in [
        Comparison::Equal,
        Comparison::NotEqual,
        Comparison::Greater,
        Comparison::GreaterOrEqual,
        Comparison::Less,
        Comparison::LessOrEqual,
    ] {
        filters.push(filter("customer.crm_id", comparison, vec![text("C3")]));
        filters.push(filter("amount", comparison, vec![Scalar::Integer(500)]));
        filters.push(filter("weight", comparison, vec![Scalar::Number(4.0)]));
    }
    filters
}

fn of_every_order() -> Vec<Vec<SortKey>> {
    let criterion = |path: &str, descending| SortKey { path: path.to_owned(), descending };
    vec![
        vec![],
        vec![criterion("amount", true)],
        vec![criterion("status", true)],
        vec![criterion("status", false)],
        vec![criterion("customer.crm_id", false), criterion("amount", true)],
        vec![criterion("weight", true), criterion("status", false)],
    ]
}

fn groups() -> Vec<Condition> {
    let field = |path: &str, comparison, value| Condition::Field(filter(path, comparison, vec![value]));
    let open = || field("status", Comparison::Equal, text("open"));
    let rich = || field("amount", Comparison::Greater, Scalar::Integer(4000));
    let heavy = || field("weight", Comparison::GreaterOrEqual, Scalar::Number(8.0));
    let other = || field("customer.crm_id", Comparison::NotEqual, text("C3"));
    vec![
        Condition::Any(vec![open(), rich()]),
        Condition::Any(vec![open(), Condition::All(vec![rich(), heavy()])]),
        Condition::Any(vec![other(), heavy(), Condition::All(vec![Condition::Any(vec![open(), rich()]), heavy()])]),
        Condition::All(vec![Condition::Any(vec![open(), heavy()]), Condition::Any(vec![rich(), other()])]),
        Condition::Any(vec![]),
    ]
}

/// Every question with one filter or one group, in every order.
fn questions() -> Vec<ListQuery> {
    let one = of_every_operator().into_iter().map(|filter| ListQuery { filters: vec![filter], ..ListQuery::default() });
    let group = groups().into_iter().map(|group| ListQuery { groups: vec![group], ..ListQuery::default() });
    let several = [
        ListQuery { filters: of_every_operator().into_iter().skip(10).take(3).collect(), ..ListQuery::default() },
        ListQuery {
            filters: vec![
                filter("amount", Comparison::Greater, vec![Scalar::Integer(300)]),
                filter("amount", Comparison::LessOrEqual, vec![Scalar::Integer(900)]),
                filter("amount", Comparison::NotEqual, vec![Scalar::Integer(500)]),
            ],
            only: vec![filter("status", Comparison::NotEqual, vec![text("open")])],
            groups: groups().into_iter().take(1).collect(),
            ..ListQuery::default()
        },
    ];
    let all: Vec<ListQuery> = one.chain(group).chain(several).collect();
    let in_order = |sort: Vec<SortKey>| all.iter().map(move |query| ListQuery { sort: sort.clone(), ..query.clone() });
    of_every_order().into_iter().flat_map(in_order).collect()
}

#[test]
fn whatever_is_declared_can_lead_and_no_table_is_walked() {
    let (connection, resource) = prepared();
    let mut led = 0;
    for query in questions() {
        for after in [false, true] {
            let place = query.sort.iter().map(|_| Scalar::Null).chain([text("k")]).collect();
            let query = ListQuery { after: after.then_some(place), limit: 10, ..query.clone() };
            let question = Question::new(&resource, &query).unwrap();
            let leads = access::leads(&question.conditions);
            assert!(!leads.is_empty(), "{query:?}");
            for lead in leads.iter().filter(|lead| !lead.searches.is_empty()) {
                searches_only(&connection, &question.led(lead, 11).unwrap().text);
                led += 1;
            }
            // As few rows pass: all that is run is the counting of index entries, the lead, and counting what it finds.
            let query = ListQuery { count: true, ..query };
            for sql in seen(|| drop(ask(&connection, &resource, &query, &unwatched()).unwrap())) {
                searches_only(&connection, &sql);
            }
        }
    }
    assert!(led > 400, "{led}");
}

#[test]
fn a_sorted_page_is_read_along_an_index_from_where_the_last_one_ended() {
    let (connection, resource) = prepared();
    fill(&connection, 100);
    for sort in of_every_order().into_iter().filter(|sort| sort.len() < 2) {
        let mut query = ListQuery { sort, limit: 7, ..ListQuery::default() };
        let mut after_first = Vec::new();
        loop {
            let mut next = None;
            let sql = seen(|| next = ask(&connection, &resource, &query, &unwatched()).unwrap().next);
            if query.after.is_some() {
                after_first.extend(sql);
            }
            query.after = next;
            if query.after.is_none() {
                break;
            }
        }
        assert!(after_first.len() > 20);
        for sql in after_first {
            searches_only(&connection, &sql);
            let plan = explain(&connection, &sql).join("; ");
            assert!(!plan.contains("TEMP B-TREE"), "{sql}: {plan}");
        }
    }
}

#[test]
fn what_is_not_met_soon_along_the_order_is_found_by_its_filter() {
    let (mut connection, resource) = prepared();
    fill(&connection, 60_000);
    let watch = unwatched();
    watch.over(&mut connection).unwrap();
    // The last tenth of all amounts, and so of all keys.
    let filters = vec![filter("amount", Comparison::GreaterOrEqual, vec![Scalar::Integer(54_000 / 7 * 100)])];
    let query = ListQuery { filters, limit: 10, ..ListQuery::default() };
    let mut found = Page::default();
    let sql = seen(|| found = ask(&connection, &resource, &query, &watch).unwrap());
    assert!(found.rows.iter().next().unwrap().starts_with(br#"{"n":53998,"#), "{found:?}");
    let led = sql.last().unwrap();
    let from_index = sql.iter().find(|sql| sql.starts_with("SELECT id FROM (SELECT id, key FROM doc_1 INDEXED BY"));
    assert!(from_index.is_some(), "{led}");
    assert!(looks_at_the_index_only(&connection, from_index.unwrap()), "{sql:#?}");
    // Half of all rows pass: they are met at once.
    let filters = vec![filter("weight", Comparison::Less, vec![Scalar::Number(5.0)])];
    let query = ListQuery { filters, limit: 10, ..ListQuery::default() };
    let sql = seen(|| drop(ask(&connection, &resource, &query, &watch).unwrap()));
    assert!(!sql.iter().any(|sql| sql.contains("SELECT id, key")), "{sql:#?}");
    // Whoever reads all of it looks at every row once.
    let filters = vec![filter("amount", Comparison::GreaterOrEqual, vec![Scalar::Integer(54_000 / 7 * 100)])];
    let query = ListQuery { filters, limit: 10, whole: true, ..ListQuery::default() };
    let mut whole = Page::default();
    let sql = seen(|| whole = ask(&connection, &resource, &query, &watch).unwrap());
    assert!(!sql.iter().any(|sql| sql.contains("SELECT id, key")), "{sql:#?}");
    assert_eq!(whole.rows, found.rows);
}

#[test]
fn counting_that_takes_long_becomes_an_estimate_near_the_truth() {
    let (mut connection, resource) = prepared();
    fill(&connection, 60_000);
    let hurried = Watch::new(Duration::ZERO);
    hurried.over(&mut connection).unwrap();
    let of = |filters: Vec<Filter>, groups: Vec<Condition>| ListQuery {
        filters,
        groups,
        limit: 10,
        count: true,
        ..ListQuery::default()
    };
    let check = |query: ListQuery, truth: u64| {
        let patient = unwatched();
        let exact = ask(&connection, &resource, &query, &patient).unwrap().total;
        assert_eq!(exact, Some(Total::Exact(truth)), "{query:?}");
        match ask(&connection, &resource, &query, &hurried).unwrap().total {
            Some(Total::Estimate(estimate)) => {
                assert!(estimate.abs_diff(truth) <= truth / 10, "{estimate} for {truth}: {query:?}");
            }
            other => panic!("{other:?}: {query:?}"),
        }
    };
    check(of(vec![filter("weight", Comparison::Less, vec![Scalar::Number(5.0)])], vec![]), 30_000);
    check(of(vec![filter("status", Comparison::Equal, vec![text("open")])], vec![]), 20_000);
    check(of(vec![filter("status", Comparison::NotEqual, vec![text("open")])], vec![]), 40_000);
    check(of(vec![], groups().into_iter().take(1).collect()), 59_809);
    // What is counted quickly is exact however little time there is.
    let all = ListQuery { limit: 1, count: true, ..ListQuery::default() };
    assert_eq!(ask(&connection, &resource, &all, &hurried).unwrap().total, Some(Total::Exact(60_000)));
    let none = of(vec![filter("amount", Comparison::Less, vec![Scalar::Integer(0)])], vec![]);
    assert_eq!(ask(&connection, &resource, &none, &hurried).unwrap().total, Some(Total::Exact(0)));
}

#[test]
fn a_relation_is_one_question_whatever_the_number_of_records() {
    let (connection, resource) = prepared();
    fill(&connection, 300);
    let orders = resource.id.clone();
    let by = |from: &str, include: Vec<Include>| {
        let link = Link::Field { from: from.to_owned(), field: "customer.crm_id".to_owned(), limit: 3 };
        Include {
            resource: orders.clone(),
            link,
            only: vec![filter("status", Comparison::Equal, vec![text("open")])],
            include,
        }
    };
    let by_key = Include { link: Link::Key(vec!["n".to_owned()]), ..by("status", vec![]) };
    let include = vec![by("customer.crm_id", vec![by("customer.crm_id", vec![])]), by_key];
    for limit in [1, 100] {
        let query = ListQuery { limit, include: include.clone(), ..ListQuery::default() };
        let alone =
            seen(|| drop(ask(&connection, &resource, &ListQuery { include: vec![], ..query.clone() }, &unwatched())));
        let mut page = Page::default();
        let sql = seen(|| page = ask(&connection, &resource, &query, &unwatched()).unwrap());
        assert_eq!((page.included.len(), page.included[0].included.len()), (2, 1));
        assert_eq!(page.included[0].of[0].rows.len(), 3);
        assert_eq!(sql.len(), alone.len() + 3, "{sql:#?}");
        sql.iter().filter(|sql| sql.contains("json_each")).for_each(|sql| searches_only(&connection, sql));
    }
}

#[test]
fn no_value_is_ever_in_the_statement() {
    let evil = "x' OR '1'='1";
    let (connection, resource) = prepared();
    let mut query = ListQuery { after: Some(vec![text(evil), text(evil)]), limit: 5, ..ListQuery::default() };
    query.filters = vec![
        filter("status", Comparison::Prefix, vec![text(evil)]),
        filter("status", Comparison::In, vec![text(evil)]),
        filter("status", Comparison::NotIn, vec![text(evil), text("y")]),
    ];
    query.groups = vec![Condition::Any(query.filters.iter().cloned().map(Condition::Field).collect())];
    query.sort = vec![SortKey { path: "customer.crm_id".to_owned(), descending: true }];
    for whole in [false, true] {
        query.whole = whole;
        let sql = seen(|| drop(ask(&connection, &resource, &query, &unwatched()).unwrap()));
        assert!(!sql.is_empty());
        for sql in sql {
            assert!(!sql.contains("OR '1'"), "{sql}");
        }
    }
}

/// A page's payloads, read along `access`.
fn along(connection: &Connection, question: &Question<'_>, access: &Access<'_>) -> Vec<String> {
    let page = question.read(connection, access).unwrap();
    page.rows.iter().map(|payload| String::from_utf8(payload.to_vec()).unwrap()).collect()
}

#[test]
fn whichever_index_leads_the_answer_is_the_same() {
    let (connection, resource) = prepared();
    fill(&connection, 300);
    let mut compared = 0;
    for query in questions() {
        for limit in [7, 1000] {
            let mut query = ListQuery { limit, ..query.clone() };
            for _ in 0..3 {
                let question = Question::new(&resource, &query).unwrap();
                let by_order = along(&connection, &question, &Access::Order);
                for lead in access::leads(&question.conditions) {
                    let led = along(&connection, &question, &Access::Led(lead));
                    assert_eq!(by_order, led, "{query:?}");
                    compared += usize::from(!led.is_empty());
                }
                let found = ask(&connection, &resource, &query, &unwatched()).unwrap();
                assert_eq!(found.rows.len(), by_order.len(), "{query:?}");
                let next = found.next;
                if next.is_none() {
                    break;
                }
                query.after = next;
            }
        }
    }
    assert!(compared > 500, "{compared}");
}
