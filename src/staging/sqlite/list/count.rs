//! How many documents match: counted, or estimated where counting would take too long.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params_from_iter};

use super::super::convert;
use super::super::fault::Fault;
use super::super::filter::{Sql, judged, render_all};
use super::super::readers::Watch;
use super::access::{self, Access, Known, Lead};
use super::{Question, statement};
use crate::staging::{Page, Total};

/// Documents looked at for an estimate.
const SAMPLE: u64 = 2000;

/// Counts what matches.
pub(super) fn total(
    connection: &Connection,
    question: &Question<'_>,
    known: &Known<'_>,
    page: &Page,
    watch: &Watch,
) -> Result<Total, Fault> {
    let number = question.resource.number;
    let documents = || -> Result<u64, Fault> {
        let mut select = statement(connection, "SELECT documents FROM resource WHERE id = ?1")?;
        Ok(select.query_row([number], |row| convert::count(row, 0))?)
    };
    if question.conditions.is_empty() {
        return Ok(Total::Exact(documents()?));
    }
    let counted = watch.for_a_while(|| match &known.access {
        Access::Led(lead) => count(connection, question, lead).map(Some),
        _ => match access::narrowest(connection, question.resource, &known.leads)? {
            Some(lead) => count(connection, question, &lead).map(Some),
            None => Ok(None),
        },
    })?;
    if let Some(total) = counted.flatten() {
        return Ok(Total::Exact(total));
    }
    // What is known beyond doubt: what is on the page, and what was met when the index was chosen.
    let alone = if let [only] = known.leads.as_slice() { only.rest.is_empty() && !only.overlaps } else { false };
    let least = page.rows.len().max(if alone { known.fewest } else { 0 }) as u64;
    Ok(Total::Estimate(estimate(connection, question, documents()?)?.max(least)))
}

fn count(connection: &Connection, question: &Question<'_>, lead: &Lead<'_>) -> Result<u64, Fault> {
    if lead.searches.is_empty() {
        return Ok(0);
    }
    let number = question.resource.number;
    let rest = lead.judged();
    let mut sql = Sql::default();
    sql.push("SELECT count(*) FROM (");
    sql.add(&lead.select(question.resource, "id"));
    sql.push(")");
    if !rest.text.is_empty() {
        sql.push(&format!(" AS found CROSS JOIN doc_{number} AS d ON d.id = found.id WHERE "));
        sql.add(&rest);
    }
    Ok(statement(connection, &sql.text)?.query_row(params_from_iter(sql.values), |row| convert::count(row, 0))?)
}

/// The share of a sample that matches, of all documents. The sample is spread evenly over the rows and is the same each
/// time, so that an estimate does not flicker.
fn estimate(connection: &Connection, question: &Question<'_>, documents: u64) -> Result<u64, Fault> {
    let number = question.resource.number;
    let last: Option<i64> =
        statement(connection, &format!("SELECT max(id) FROM doc_{number}"))?.query_row([], |row| row.get(0))?;
    let Some(last) = last.and_then(|last| u64::try_from(last).ok()) else { return Ok(0) };
    let mut sql = Sql::default();
    sql.push("SELECT coalesce(");
    sql.add(&render_all(&question.conditions, &judged));
    sql.push(&format!(", 0) FROM doc_{number} WHERE id >= ? ORDER BY id LIMIT 1"));
    let mut select = statement(connection, &sql.text)?;
    let (mut looked, mut matching, mut dice) = (0u64, 0u64, 0x9E37_79B9_7F4A_7C15_u64);
    for part in 0..SAMPLE.min(last) {
        let (from, to) = (part * last / SAMPLE.min(last) + 1, (part + 1) * last / SAMPLE.min(last));
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let id = from + (dice >> 33) % (to - from + 1);
        let values = sql.values.iter().cloned().chain([Value::Integer(id as i64)]);
        let found: Option<bool> = select.query_row(params_from_iter(values), |row| row.get(0)).optional()?;
        looked += u64::from(found.is_some());
        matching += u64::from(found == Some(true));
    }
    let share = u128::from(documents) * u128::from(matching) / u128::from(looked.max(1));
    Ok(u64::try_from(share).unwrap_or(u64::MAX))
}
