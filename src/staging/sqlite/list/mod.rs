//! A page of documents: filters, order, and going on after a row.
//!
//! "After this row" for an order of several columns, some descending, with nulls, is not one condition that an
//! index can serve. It is cut into segments that follow one another in the order ([`segments`]): the rows equal in all
//! columns but with a greater key, then those equal in all but the last column and beyond it there, and so on. Each segment
//! is a range of an index; the page is filled from one after the other, all in one snapshot. Nothing is skipped by
//! counting, so page 500 costs what page 1 costs.

mod access;
mod count;
mod segments;
#[cfg(test)]
mod tests;

use rusqlite::types::Value;
use rusqlite::{CachedStatement, Connection, Row, params_from_iter};

use self::access::{Access, Lead};
use self::segments::Segment;
use super::column::Column;
use super::convert::timestamp_or_null;
use super::fault::Fault;
use super::filter::{Sql, Tree, all_of, column, judged};
use super::readers::Watch;
use super::relations;
use super::resource::{Registry, Resource};
use crate::staging::{ListQuery, PAGE_BYTES, Page, Scalar, StagingError};

/// Looks ([`Watch`]) that a walk along the order may take before the filter leads: some ten thousand rows.
const WALK: u64 = 40;

/// Rows for which a walk gets one look more.
const ROWS_OF_A_LOOK: usize = 50;

/// A sort criterion with its column.
struct Criterion<'r> {
    column: &'r Column,
    descending: bool,
}

/// A question, checked.
struct Question<'a> {
    resource: &'a Resource,
    /// All must hold.
    conditions: Vec<Tree<'a>>,
    order: Vec<Criterion<'a>>,
    query: &'a ListQuery,
}

/// What reading a page needs besides the question.
#[derive(Clone, Copy)]
pub(super) struct Aids<'a> {
    /// Finds the resources of what is included.
    pub(super) registry: &'a Registry,
    pub(super) watch: &'a Watch,
}

/// Reads a page.
pub(super) fn page(
    connection: &Connection,
    resource: &Resource,
    query: &ListQuery,
    aids: &Aids<'_>,
) -> Result<Page, Fault> {
    let watch = aids.watch;
    let question = Question::new(resource, query)?;
    let snapshot = connection.unchecked_transaction()?;
    let known = access::choose(&snapshot, resource, &question.conditions, question.first())?;
    // Whatever the walk has to judge row by row may be met late.
    let walks = matches!(&known.access, Access::Order | Access::Point(_)) && !known.leads.is_empty() && !query.whole;
    let mut page = if walks {
        let looks = WALK + (query.limit / ROWS_OF_A_LOOK) as u64;
        match watch.for_looks(looks, || question.read(&snapshot, &known.access))? {
            Some(page) => page,
            None => {
                let lead = access::narrowest(&snapshot, resource, &known.leads)?;
                question.read(&snapshot, &lead.map_or(Access::Order, Access::Led))?
            }
        }
    } else {
        question.read(&snapshot, &known.access)?
    };
    if query.count {
        page.total = Some(count::total(&snapshot, &question, &known, &page, watch)?);
    }
    page.included = relations::include(&snapshot, aids.registry, &page.rows, &query.include)?;
    let state = "SELECT as_of, sequence FROM resource WHERE id = ?1";
    (page.as_of, page.sequence) = snapshot
        .prepare_cached(state)?
        .query_row([resource.number], |row| Ok((timestamp_or_null(row, 0)?, super::convert::count(row, 1)?)))?;
    Ok(page)
}

/// Takes a row's id and payload; answers whether it wants no more.
type Take<'t> = dyn FnMut(i64, &[u8]) -> bool + 't;

impl<'a> Question<'a> {
    fn new(resource: &'a Resource, query: &'a ListQuery) -> Result<Question<'a>, StagingError> {
        let mut conditions = all_of(resource, &query.filters)?;
        conditions.extend(all_of(resource, &query.only)?);
        for group in &query.groups {
            match Tree::new(resource, group)? {
                Tree::All(trees) => conditions.extend(trees),
                tree => conditions.push(tree),
            }
        }
        let mut order: Vec<Criterion<'_>> = Vec::new();
        for sort in &query.sort {
            order.push(Criterion { column: column(resource, &sort.path)?, descending: sort.descending });
        }
        Ok(Question { resource, conditions, order, query })
    }

    /// The first sort column.
    fn first(&self) -> Option<&str> {
        self.order.first().map(|criterion| criterion.column.name.as_str())
    }

    /// Fills a page from one segment after the other.
    fn read(&self, connection: &Connection, access: &Access<'_>) -> Result<Page, Fault> {
        let limit = self.query.limit.max(1);
        let mut page = Page::default();
        let mut last_row = None;
        // One row more than asked for tells whether there is a next page.
        let mut is_full = false;
        let mut take = |id: i64, payload: &[u8]| {
            let fits = page.rows.is_empty() || page.rows.bytes() + payload.len() <= PAGE_BYTES;
            if page.rows.len() < limit && fits {
                page.rows.push(payload, (limit - 1).saturating_sub(page.rows.len()));
                last_row = Some(id);
                return false;
            }
            is_full = true;
            true
        };
        match access {
            Access::Led(lead) => self.read_led(connection, lead, limit.saturating_add(1), &mut take)?,
            Access::Order => self.read_along(connection, self.first(), limit.saturating_add(1), &mut take)?,
            Access::Point(column) => self.read_along(connection, Some(column), limit.saturating_add(1), &mut take)?,
        }
        if is_full {
            page.next = last_row.map(|id| self.place(connection, id)).transpose()?;
        }
        Ok(page)
    }

    /// Reads along the index of `leading` or of the key, `wanted` rows at most.
    fn read_along(
        &self,
        connection: &Connection,
        leading: Option<&str>,
        wanted: usize,
        take: &mut Take<'_>,
    ) -> Result<(), Fault> {
        let filters = self.filters(leading);
        let mut left = wanted;
        for segment in segments::of(self, false)? {
            let mut ended = false;
            let mut taken = 0;
            self.read_segment(connection, &filters, &segment, left, &mut |id, payload| {
                taken += 1;
                ended = take(id, payload);
                ended
            })?;
            left = left.saturating_sub(taken);
            if ended {
                break;
            }
        }
        Ok(())
    }

    /// All conditions, of which only those of `leading` may use an index.
    fn filters(&self, leading: Option<&str>) -> Sql {
        let mut sql = Sql::default();
        for tree in &self.conditions {
            let leads = matches!(tree, Tree::Leaf(leaf) if leaf.stretches.len() == 1 && Some(leaf.column) == leading);
            let mut condition = Sql::default();
            match leads {
                true => tree.render(&str::to_owned, &mut condition),
                false => tree.render(&judged, &mut condition),
            }
            sql.also(" WHERE ", &condition);
        }
        sql
    }

    /// Gives rows of a segment in order, `wanted` at most, until no more are taken.
    fn read_segment(
        &self,
        connection: &Connection,
        filters: &Sql,
        segment: &Segment<'_>,
        wanted: usize,
        take: &mut Take<'_>,
    ) -> Result<(), Fault> {
        match segment.order {
            [last] if last.descending => self.read_downwards(connection, filters, segment, last, wanted, take),
            _ => self.read_straight(connection, filters, segment, wanted, take),
        }
    }

    fn read_straight(
        &self,
        connection: &Connection,
        filters: &Sql,
        segment: &Segment<'_>,
        wanted: usize,
        take: &mut Take<'_>,
    ) -> Result<(), Fault> {
        let order = criteria(segment.order, "");
        let sql = self.select("id, payload", filters, segment, &format!("{order}key"), wanted);
        let mut select = statement(connection, &sql.text)?;
        let mut rows = select.query(params_from_iter(sql.values))?;
        while let Some(row) = rows.next()? {
            if take(row.get(0)?, row.get_ref(1)?.as_bytes().map_err(rusqlite::Error::from)?) {
                break;
            }
        }
        Ok(())
    }

    /// Reads a segment that is ordered by one column downwards and then by the key upwards. The index read backwards
    /// has both downwards, so each run of equal values is turned round here; a run that the limit cuts is read
    /// again from its right end. Left to SQLite, a run (perhaps half of all rows) would be read whole and sorted.
    fn read_downwards(
        &self,
        connection: &Connection,
        filters: &Sql,
        segment: &Segment<'_>,
        last: &Criterion<'_>,
        wanted: usize,
        take: &mut Take<'_>,
    ) -> Result<(), Fault> {
        let name = &last.column.name;
        let what = format!("id, payload, {name}");
        let sql = self.select(&what, filters, segment, &format!("{name} DESC, key DESC"), wanted);
        let mut select = statement(connection, &sql.text)?;
        let rows = select.query_map(params_from_iter(sql.values), |row| {
            let payload = row.get_ref(1)?.as_bytes()?.to_vec();
            Ok((row.get::<_, i64>(0)?, payload, row.get::<_, Value>(2)?))
        })?;
        let rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
        let is_cut = rows.len() == wanted;
        let mut left = wanted;
        let mut runs = rows.chunk_by(|one, next| one.2 == next.2).peekable();
        while let Some(run) = runs.next() {
            if let (true, None, Some((_, _, value))) = (is_cut, runs.peek(), run.first()) {
                let mut place = segment.place.clone();
                place.also("", &segments::equal(name, value));
                return self.read_straight(connection, filters, &Segment { place, order: &[] }, left, take);
            }
            left -= run.len();
            for (id, payload, _) in run.iter().rev() {
                if take(*id, payload) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn select(&self, what: &str, filters: &Sql, segment: &Segment<'_>, order: &str, wanted: usize) -> Sql {
        let mut sql = filters.clone();
        if !segment.place.text.is_empty() {
            sql.also(" WHERE ", &segment.place);
        }
        sql.values.push(limit(wanted));
        sql.text = format!("SELECT {what} FROM doc_{}{} ORDER BY {order} LIMIT ?", self.resource.number, sql.text);
        sql
    }

    /// Reads what a filter finds: numbers of rows first, in order, then the documents that are wanted.
    fn read_led(
        &self,
        connection: &Connection,
        lead: &Lead<'_>,
        wanted: usize,
        take: &mut Take<'_>,
    ) -> Result<(), Fault> {
        if lead.searches.is_empty() {
            return Ok(());
        }
        let sql = self.led(lead, wanted)?;
        let mut select = statement(connection, &sql.text)?;
        let mut ids = select.query(params_from_iter(sql.values))?;
        let mut payload =
            statement(connection, &format!("SELECT payload FROM doc_{} WHERE id = ?1", self.resource.number))?;
        while let Some(row) = ids.next()? {
            let id: i64 = row.get(0)?;
            let mut found = payload.query([id])?;
            if let Some(row) = found.next()?
                && take(id, row.get_ref(0)?.as_bytes().map_err(rusqlite::Error::from)?)
            {
                break;
            }
        }
        Ok(())
    }

    /// The numbers of the rows that a filter finds, in order.
    fn led(&self, lead: &Lead<'_>, wanted: usize) -> Result<Sql, StagingError> {
        let place = segments::anywhere(self)?;
        let rest = lead.judged();
        let number = self.resource.number;
        let mut sql = Sql::default();
        if self.order.is_empty() && rest.text.is_empty() {
            // The index has the key as well, so no row is looked at.
            sql.push("SELECT id FROM (");
            sql.add(&lead.select(self.resource, "id, key"));
            sql.push(")");
        } else {
            sql.push("SELECT d.id FROM (");
            sql.add(&lead.select(self.resource, "id"));
            sql.push(&format!(") AS found CROSS JOIN doc_{number} AS d ON d.id = found.id"));
        }
        let mut conditions = Sql::default();
        for condition in [&rest, &place] {
            if !condition.text.is_empty() {
                conditions.also(" WHERE ", condition);
            }
        }
        sql.add(&conditions);
        sql.push(&format!(" ORDER BY {}+key LIMIT ?", criteria(&self.order, "+")));
        sql.values.push(limit(wanted));
        Ok(sql)
    }

    /// The sort values and the key of a row: where the next page goes on.
    fn place(&self, connection: &Connection, id: i64) -> Result<Vec<Scalar>, Fault> {
        let columns: String = self.order.iter().map(|criterion| format!("{}, ", criterion.column.name)).collect();
        let sql = format!("SELECT {columns}key FROM doc_{} WHERE id = ?1", self.resource.number);
        let read = |row: &Row<'_>| (0..=self.order.len()).map(|index| row.get(index).map(scalar)).collect();
        let place: rusqlite::Result<Vec<Scalar>> = statement(connection, &sql)?.query_row([id], read);
        Ok(place?)
    }
}

/// Sort columns as `ORDER BY` has them, before the key.
fn criteria(order: &[Criterion<'_>], plus: &str) -> String {
    let one = |criterion: &Criterion<'_>| {
        format!("{plus}{}{}", criterion.column.name, if criterion.descending { " DESC, " } else { ", " })
    };
    order.iter().map(one).collect()
}

/// A number of rows as it is bound.
fn limit(rows: usize) -> Value {
    Value::Integer(i64::try_from(rows).unwrap_or(i64::MAX))
}

fn scalar(value: Value) -> Scalar {
    match value {
        Value::Null | Value::Blob(_) => Scalar::Null,
        Value::Integer(integer) => Scalar::Integer(integer),
        Value::Real(number) => Scalar::Number(number),
        Value::Text(text) => Scalar::Text(text),
    }
}

/// A statement that reads for a page. A test may look at each that was run.
pub(super) fn statement<'c>(connection: &'c Connection, sql: &str) -> rusqlite::Result<CachedStatement<'c>> {
    #[cfg(test)]
    tests::SEEN.with_borrow_mut(|seen| seen.push(sql.to_owned()));
    connection.prepare_cached(sql)
}
