//! A page of documents: filters, order, and going on after a row.
//!
//! "After this row" for an order of several columns, some descending, with nulls, is not one condition that an
//! index can serve. It is cut into segments that follow one another in the order: the rows equal in all columns
//! but with a greater key, then those equal in all but the last column and beyond it there, and so on. Each segment
//! is a range of an index; the page is filled from one after the other, all in one snapshot. Nothing is skipped by
//! counting, so page 500 costs what page 1 costs.
//!
//! Values are always bound, never written into the statement; the only names in it are columns made by
//! [`column`](super::column).

use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

use super::column::Column;
use super::convert::timestamp_or_null;
use super::fault::Fault;
use super::filter::{Access, Conditions, Filters, bad, bound, column};
use super::resource::Resource;
use crate::staging::{ListQuery, PAGE_BYTES, Page, Scalar, StagingError};

/// A sort criterion with its column.
struct Criterion<'r> {
    column: &'r Column,
    descending: bool,
}

/// A stretch of the answer that one statement reads.
struct Segment<'a> {
    conditions: Conditions,
    /// What is left to order by, before the key.
    order: &'a [Criterion<'a>],
}

/// Everything the segments of a page have in common.
struct Plan<'a> {
    resource: &'a Resource,
    filters: Conditions,
    order: &'a [Criterion<'a>],
    /// Written before columns that are sorted by, and before the key, when another index leads.
    plus_order: &'static str,
    plus_key: &'static str,
}

/// Reads a page.
pub(super) fn page(connection: &Connection, resource: &Resource, query: &ListQuery) -> Result<Page, Fault> {
    let filters = Filters::new(resource, &query.filters)?;
    let order = order(resource, query)?;
    let snapshot = connection.unchecked_transaction()?;
    let first = order.first().map(|criterion| criterion.column.name.as_str());
    let access = filters.access(&snapshot, resource, first)?;
    let mut page = read(&snapshot, &plan(resource, &filters, &order, access), query)?;
    if query.count {
        page.total = Some(total(&snapshot, resource, &filters)?);
    }
    let state = "SELECT as_of, sequence FROM resource WHERE id = ?1";
    (page.as_of, page.sequence) = snapshot
        .prepare_cached(state)?
        .query_row([resource.number], |row| Ok((timestamp_or_null(row, 0)?, super::convert::count(row, 1)?)))?;
    Ok(page)
}

/// Fills a page from one segment after the other.
fn read(connection: &Connection, plan: &Plan<'_>, query: &ListQuery) -> Result<Page, Fault> {
    let limit = query.limit.max(1);
    let mut page = Page::default();
    let mut last_row = None;
    for segment in plan.segments(query.after.as_deref())? {
        // One row more than asked for tells whether there is a next page.
        let wanted = limit.saturating_sub(page.rows.len()).saturating_add(1);
        let is_full = plan.read(connection, &segment, wanted, &mut |id, payload| {
            let fits = page.rows.is_empty() || page.rows.bytes() + payload.len() <= PAGE_BYTES;
            if page.rows.len() < limit && fits {
                page.rows.push(payload, (limit - 1).saturating_sub(page.rows.len()));
                last_row = Some(id);
                return false;
            }
            true
        })?;
        if is_full {
            page.next = last_row.map(|id| plan.place(connection, id)).transpose()?;
            break;
        }
    }
    Ok(page)
}

fn order<'r>(resource: &'r Resource, query: &ListQuery) -> Result<Vec<Criterion<'r>>, StagingError> {
    let mut order: Vec<Criterion<'r>> = Vec::new();
    for sort in &query.sort {
        order.push(Criterion { column: column(resource, &sort.path)?, descending: sort.descending });
    }
    Ok(order)
}

fn total(connection: &Connection, resource: &Resource, filters: &Filters<'_>) -> Result<u64, Fault> {
    let number = resource.number;
    let conditions = filters.free();
    let sql = if filters.is_empty() {
        format!("SELECT documents FROM resource WHERE id = {number}")
    } else {
        format!("SELECT count(*) FROM doc_{number}{}", conditions.clause())
    };
    let values = params_from_iter(conditions.values);
    Ok(connection.prepare_cached(&sql)?.query_row(values, |row| super::convert::count(row, 0))?)
}

fn plan<'a>(resource: &'a Resource, filters: &Filters<'a>, order: &'a [Criterion<'a>], access: Access<'a>) -> Plan<'a> {
    let first = order.first().map(|criterion| criterion.column.name.as_str());
    let (leading, plus_order, plus_key) = match access {
        Access::Order => (first, "", ""),
        Access::Point(column) => (Some(column), "", ""),
        Access::Filter(column) => (Some(column), "+", "+"),
    };
    Plan { resource, filters: filters.led_by(leading), order, plus_order, plus_key }
}

/// Takes a row's id and payload; answers whether it wants no more.
type Take<'t> = dyn FnMut(i64, &[u8]) -> bool + 't;

impl<'a> Plan<'a> {
    /// The segments that follow one another in the asked order.
    fn segments(&self, after: Option<&[Scalar]>) -> Result<Vec<Segment<'a>>, StagingError> {
        let order = self.order;
        let Some(after) = after else { return Ok(vec![Segment { conditions: self.filters.clone(), order }]) };
        let Some((Scalar::Text(key), values)) = after.split_last() else {
            return Err(bad(self.resource, "the place to go on after ends with a key".to_owned()));
        };
        if values.len() != order.len() {
            return Err(bad(self.resource, "the place to go on after belongs to another order".to_owned()));
        }

        // `equal` holds for the columns before the one at hand.
        let mut equal = self.filters.clone();
        let mut beyond = Vec::new();
        for (depth, (criterion, scalar)) in order.iter().zip(values).enumerate() {
            let name = format!("{}{}", self.plus_order, criterion.column.name);
            let value = bound(self.resource, criterion.column, scalar)?;
            let with = |sql: String, values: Vec<Value>, order: &'a [Criterion<'a>]| {
                let mut conditions = equal.clone();
                conditions.add(sql, values);
                Segment { conditions, order }
            };
            let is_null = value == Value::Null;
            beyond.push(match (criterion.descending, is_null) {
                (false, false) => vec![with(format!("{name} > ?"), vec![value.clone()], &order[depth..])],
                (false, true) => vec![with(format!("{name} IS NOT NULL"), vec![], &order[depth..])],
                (true, false) => vec![
                    with(format!("{name} < ?"), vec![value.clone()], &order[depth..]),
                    with(format!("{name} IS NULL"), vec![], &order[depth + 1..]),
                ],
                (true, true) => vec![],
            });
            if is_null {
                equal.add(format!("{name} IS NULL"), []);
            } else {
                equal.add(format!("{name} = ?"), [value]);
            }
        }
        equal.add(format!("{}key > ?", self.plus_key), [Value::Text(key.clone())]);
        let mut segments = vec![Segment { conditions: equal, order: &[] }];
        segments.extend(beyond.into_iter().rev().flatten());
        Ok(segments)
    }

    /// Gives rows of a segment in order, `wanted` at most, until no more are taken; answers whether that happened.
    fn read(
        &self,
        connection: &Connection,
        segment: &Segment<'_>,
        wanted: usize,
        take: &mut Take<'_>,
    ) -> Result<bool, Fault> {
        match segment.order {
            [last] if last.descending && self.plus_order.is_empty() => {
                self.read_downwards(connection, segment, last, wanted, take)
            }
            _ => self.read_straight(connection, segment, wanted, take),
        }
    }

    fn read_straight(
        &self,
        connection: &Connection,
        segment: &Segment<'_>,
        wanted: usize,
        take: &mut Take<'_>,
    ) -> Result<bool, Fault> {
        let mut select = connection.prepare_cached(&self.sql(segment))?;
        let mut rows = select.query(params_from_iter(with_limit(&segment.conditions, wanted)))?;
        while let Some(row) = rows.next()? {
            if take(row.get(0)?, row.get_ref(1)?.as_bytes().map_err(rusqlite::Error::from)?) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Reads a segment that is ordered by one column downwards and then by the key upwards. The index read backwards
    /// has both downwards, so each run of equal values is turned round here; a run that the limit cuts is read
    /// again from its right end. Left to SQLite, a run (perhaps half of all rows) would be read whole and sorted.
    fn read_downwards(
        &self,
        connection: &Connection,
        segment: &Segment<'_>,
        last: &Criterion<'_>,
        wanted: usize,
        take: &mut Take<'_>,
    ) -> Result<bool, Fault> {
        let name = &last.column.name;
        let table = format!("doc_{}", self.resource.number);
        let sql = format!(
            "SELECT id, payload, {name} FROM {table}{} ORDER BY {name} DESC, key DESC LIMIT ?",
            segment.conditions.clause()
        );
        let mut select = connection.prepare_cached(&sql)?;
        let rows = select.query_map(params_from_iter(with_limit(&segment.conditions, wanted)), |row| {
            let payload = row.get_ref(1)?.as_bytes()?.to_vec();
            Ok((row.get::<_, i64>(0)?, payload, row.get::<_, Value>(2)?))
        })?;
        let rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
        let is_cut = rows.len() == wanted;
        let mut left = wanted;
        let mut runs = rows.chunk_by(|one, next| one.2 == next.2).peekable();
        while let Some(run) = runs.next() {
            if let (true, None, Some((_, _, value))) = (is_cut, runs.peek(), run.first()) {
                let mut conditions = segment.conditions.clone();
                match value {
                    Value::Null => conditions.add(format!("{name} IS NULL"), []),
                    value => conditions.add(format!("{name} = ?"), [value.clone()]),
                }
                return self.read_straight(connection, &Segment { conditions, order: &[] }, left, take);
            }
            left -= run.len();
            for (id, payload, _) in run.iter().rev() {
                if take(*id, payload) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    fn sql(&self, segment: &Segment<'_>) -> String {
        let mut criteria = String::new();
        for criterion in segment.order {
            criteria.push_str(self.plus_order);
            criteria.push_str(&criterion.column.name);
            criteria.push_str(if criterion.descending { " DESC, " } else { ", " });
        }
        let (number, plus, clause) = (self.resource.number, self.plus_key, segment.conditions.clause());
        format!("SELECT id, payload FROM doc_{number}{clause} ORDER BY {criteria}{plus}key LIMIT ?")
    }

    /// The sort values and the key of a row: where the next page goes on.
    fn place(&self, connection: &Connection, id: i64) -> Result<Vec<Scalar>, Fault> {
        let columns: String = self.order.iter().map(|criterion| format!("{}, ", criterion.column.name)).collect();
        let sql = format!("SELECT {columns}key FROM doc_{} WHERE id = ?1", self.resource.number);
        let read = |row: &Row<'_>| (0..=self.order.len()).map(|index| row.get(index).map(scalar)).collect();
        let place: rusqlite::Result<Vec<Scalar>> = connection.prepare_cached(&sql)?.query_row([id], read);
        Ok(place?)
    }
}

fn with_limit(conditions: &Conditions, wanted: usize) -> impl Iterator<Item = Value> {
    let wanted = Value::Integer(i64::try_from(wanted).unwrap_or(i64::MAX));
    conditions.values.clone().into_iter().chain([wanted])
}

fn scalar(value: Value) -> Scalar {
    match value {
        Value::Null | Value::Blob(_) => Scalar::Null,
        Value::Integer(integer) => Scalar::Integer(integer),
        Value::Real(number) => Scalar::Number(number),
        Value::Text(text) => Scalar::Text(text),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{resource, schema};
    use super::*;
    use crate::staging::{ColumnType, Comparison, Filter, IndexedField, ResourceSpec, SortKey};

    /// A resource with three declared fields and no rows.
    fn prepared() -> (Connection, Resource) {
        let mut connection = Connection::open_in_memory().unwrap();
        schema::migrate(&mut connection).unwrap();
        let field = |path: &str, column| IndexedField { path: path.to_owned(), column };
        let indexed = vec![
            field("status", ColumnType::Text),
            field("customer.crm_id", ColumnType::Text),
            field("amount", ColumnType::ScaledInteger { scale: 2 }),
        ];
        let spec = ResourceSpec { id: "orders.v1".parse().unwrap(), indexed };
        resource::prepare(&mut connection, std::slice::from_ref(&spec)).unwrap();
        let resource = resource::load(&connection, &spec.id).unwrap().unwrap();
        (connection, resource)
    }

    /// How SQLite would run each statement of the page, in its words.
    fn plans(query: &ListQuery) -> Vec<String> {
        let (connection, resource) = prepared();
        let filters = Filters::new(&resource, &query.filters).unwrap();
        let order = order(&resource, query).unwrap();
        let first = order.first().map(|criterion| criterion.column.name.as_str());
        let access = filters.access(&connection, &resource, first).unwrap();
        let plan = plan(&resource, &filters, &order, access);
        let explain = |segment: Segment<'_>| {
            let mut explain = connection.prepare(&format!("EXPLAIN QUERY PLAN {}", plan.sql(&segment))).unwrap();
            let values = params_from_iter(with_limit(&segment.conditions, 10));
            let lines = explain.query_map(values, |row| row.get::<_, String>(3)).unwrap();
            lines.collect::<rusqlite::Result<Vec<_>>>().unwrap().join("; ")
        };
        plan.segments(query.after.as_deref()).unwrap().into_iter().map(explain).collect()
    }

    fn filter(path: &str, comparison: Comparison, values: Vec<Scalar>) -> Filter {
        Filter { path: path.to_owned(), comparison, values }
    }

    #[test]
    fn every_declared_filter_is_a_search_of_its_index() {
        let text = || Scalar::Text("x".to_owned());
        for asked in [
            filter("status", Comparison::Equal, vec![text()]),
            filter("status", Comparison::Equal, vec![Scalar::Null]),
            filter("status", Comparison::In, vec![text(), text()]),
            filter("status", Comparison::Prefix, vec![text()]),
            filter("customer.crm_id", Comparison::GreaterOrEqual, vec![text()]),
            filter("amount", Comparison::Less, vec![Scalar::Integer(5)]),
        ] {
            for plan in plans(&ListQuery { filters: vec![asked.clone()], ..ListQuery::default() }) {
                assert!(plan.starts_with("SEARCH doc_1 USING INDEX doc_1_f_"), "{asked:?}: {plan}");
            }
        }
    }

    #[test]
    fn a_sorted_page_is_read_along_an_index_from_where_the_last_one_ended() {
        let key = || Scalar::Text("k".to_owned());
        for (path, descending, place) in [
            ("status", false, Scalar::Text("x".to_owned())),
            ("status", false, Scalar::Null),
            ("amount", true, Scalar::Integer(1)),
            ("amount", true, Scalar::Null),
        ] {
            let sort = vec![SortKey { path: path.to_owned(), descending }];
            let query = ListQuery { sort, after: Some(vec![place.clone(), key()]), ..ListQuery::default() };
            for plan in plans(&query) {
                assert!(plan.starts_with("SEARCH doc_1 USING INDEX doc_1_f_"), "{query:?}: {plan}");
                // Within rows that are equal downwards, the key still goes upwards: those are sorted, not all.
                let sorts_all = plan.contains("TEMP B-TREE FOR ORDER BY");
                assert!(!sorts_all, "{query:?}: {plan}");
            }
        }
        let by_key = ListQuery { after: Some(vec![key()]), ..ListQuery::default() };
        assert_eq!(plans(&by_key), ["SEARCH doc_1 USING INDEX sqlite_autoindex_doc_1_1 (key>?)"]);
        let filters = vec![filter("status", Comparison::Equal, vec![Scalar::Text("x".to_owned())])];
        let within = ListQuery { filters, after: Some(vec![key()]), ..ListQuery::default() };
        let plan = plans(&within).remove(0);
        assert!(plan.contains("=? AND key>?") && !plan.contains("TEMP"), "{plan}");
    }

    #[test]
    fn no_value_is_ever_in_the_statement() {
        let evil = "x' OR '1'='1";
        let (connection, resource) = prepared();
        let text = || Scalar::Text(evil.to_owned());
        let mut query = ListQuery { after: Some(vec![text(), text()]), ..ListQuery::default() };
        query.filters =
            vec![filter("status", Comparison::Prefix, vec![text()]), filter("status", Comparison::In, vec![text()])];
        query.sort = vec![SortKey { path: "customer.crm_id".to_owned(), descending: true }];
        let filters = Filters::new(&resource, &query.filters).unwrap();
        let order = order(&resource, &query).unwrap();
        let first = order.first().map(|criterion| criterion.column.name.as_str());
        let access = filters.access(&connection, &resource, first).unwrap();
        let plan = plan(&resource, &filters, &order, access);
        for segment in plan.segments(query.after.as_deref()).unwrap() {
            let sql = plan.sql(&segment);
            assert!(!sql.contains("OR '1'"), "{sql}");
        }
    }

    /// A page's payloads, read along `access`.
    fn along(connection: &Connection, resource: &Resource, query: &ListQuery, access: Access<'_>) -> Vec<String> {
        let filters = Filters::new(resource, &query.filters).unwrap();
        let order = order(resource, query).unwrap();
        let page = read(connection, &plan(resource, &filters, &order, access), query).unwrap();
        page.rows.iter().map(|payload| String::from_utf8(payload.to_vec()).unwrap()).collect()
    }

    #[test]
    fn whichever_index_leads_the_answer_is_the_same() {
        let (connection, resource) = prepared();
        let mut insert = connection
            .prepare(
                "INSERT INTO doc_1 (key, hash, version, sequence, changed_at, payload) VALUES (?1, x'', 1, 1, 1, ?2)",
            )
            .unwrap();
        for n in 0..300u32 {
            let status = ["\"open\"", "\"closed\"", "null"][(n % 3) as usize];
            let amount = (n * 7) % 5;
            let payload = format!(
                r#"{{"n":{n},"status":{status},"amount":"{amount}.00","customer":{{"crm_id":"C{}"}}}}"#,
                (n * 11) % 17
            );
            insert.execute([format!("{:03}", (n * 37) % 300), payload]).unwrap();
        }
        let text = |text: &str| Scalar::Text(text.to_owned());
        let filters = [
            vec![filter("status", Comparison::Equal, vec![text("open")])],
            vec![filter("status", Comparison::NotEqual, vec![text("open")])],
            vec![filter("status", Comparison::In, vec![text("closed"), Scalar::Null])],
            vec![
                filter("status", Comparison::Equal, vec![Scalar::Null]),
                filter("amount", Comparison::GreaterOrEqual, vec![Scalar::Integer(200)]),
            ],
        ];
        let criterion = |path: &str, descending| SortKey { path: path.to_owned(), descending };
        let orders = [
            vec![],
            vec![criterion("amount", true)],
            vec![criterion("status", true)],
            vec![criterion("customer.crm_id", false), criterion("amount", true)],
            vec![criterion("amount", true), criterion("status", false)],
        ];
        for filters in &filters {
            for sort in &orders {
                for limit in [1, 7, 100, 1000] {
                    let mut query =
                        ListQuery { filters: filters.clone(), sort: sort.clone(), limit, ..ListQuery::default() };
                    for _ in 0..4 {
                        let by_order = along(&connection, &resource, &query, Access::Order);
                        let leading = resource.columns.iter().find(|column| column.field.path == "status").unwrap();
                        let by_filter = along(&connection, &resource, &query, Access::Filter(&leading.name));
                        assert_eq!(by_order, by_filter, "{query:?}");
                        assert_eq!(page(&connection, &resource, &query).unwrap().rows.len(), by_order.len());
                        query.after = page(&connection, &resource, &query).unwrap().next;
                    }
                }
            }
        }
    }
}
