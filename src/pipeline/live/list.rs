//! Lists read at a database while somebody waits: what is asked for by the declared filters, in the order of the key, page by
//! page behind the last key.

use std::io::Cursor;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::drift::explained;
use super::place::{self, Place};
use super::rows::{Table, of};
use super::{Ask, Live, LiveError, condition};
use crate::decode::{Item, Resume};
use crate::mapping::{Mapped, Plan};
use crate::pipeline::read;
use crate::pipeline::world::{Callee, Way};
use crate::record::{Reject, ResourceId};
use crate::staging::{Balance, Condition, Filter};

/// A page of records as their backend has just said them.
#[derive(Clone, Debug)]
pub struct LivePage {
    /// The records.
    pub documents: Vec<Bytes>,
    /// Where the next page begins, for [`LiveQuery::after`]; `None` on the last one.
    pub next: Option<String>,
    /// Records that break the mapping, and are not among them.
    pub rejected: usize,
    /// How long the call waited for its place.
    pub waited: Duration,
    /// How long the backend took.
    pub took: Duration,
}

/// What a list is asked for.
#[derive(Clone, Debug, Default)]
pub struct LiveQuery {
    /// All of these hold.
    pub filters: Vec<Filter>,
    /// All of these hold, too.
    pub groups: Vec<Condition>,
    /// What its caller sees: all of these hold, too, whoever asks for what.
    pub only: Vec<Filter>,
    /// Where a page before it said that it begins.
    pub after: Option<String>,
    /// So many at most.
    pub limit: usize,
}

impl Live {
    /// Reads a page.
    pub async fn list(&self, resource: &ResourceId, query: &LiveQuery, ask: &Ask) -> Result<LivePage, LiveError> {
        let (plan, callee) = self.bridge.world.load().callee(resource).ok_or(LiveError::Reloaded)?;
        let page = self.page((&plan, &callee), query, ask).await;
        page.inspect_err(|error| self.seen.failed(&plan, error))
    }

    async fn page(
        &self,
        (plan, callee): (&Plan, &Callee),
        query: &LiveQuery,
        ask: &Ask,
    ) -> Result<LivePage, LiveError> {
        let Way::Rows(database, rows) = &callee.way else { return Err(LiveError::Reloaded) };
        let live = rows.live.as_ref().ok_or(LiveError::Reloaded)?;
        let table = Table::of(&self.bridge, plan, database, &callee.gate, rows).await?;
        // Of what no record can have the backend is not asked.
        let Some(mut conditions) = condition::all(&table, live, query)? else { return Ok(empty()) };
        let keys = live.key_columns();
        let after = match &query.after {
            Some(after) => Some(Place::read(after, keys.len()).ok_or(LiveError::NoRecord { other: None })?),
            None => None,
        };
        if let Some(Place::Key(key)) = &after {
            conditions.push(condition::behind(&table, live, key).ok_or(LiveError::NoRecord { other: None })?);
        }
        let behind = if let Some(Place::Row(cells)) = &after { Some(cells.as_slice()) } else { None };
        // One more than the page has, to know whether there is a next one.
        let most = u32::try_from(query.limit.saturating_add(1)).unwrap_or(u32::MAX);
        let timeout = callee.timeout();
        let question = table.query(table.page(conditions, (&keys, behind), most), most, timeout);
        let permit = callee.gate.admit(ask.at_gate(callee.gate.queue_timeout(), callee.longest())).await;
        let permit = permit.map_err(|reason| LiveError::Refused { reason })?;
        let (waited, since) = (permit.waited(), Instant::now());
        // Whoever leaves lets go of the question, and the database is told to stop.
        let mut answer = match database.query(permit, question).await {
            Ok(answer) => answer,
            Err(error) => {
                return Err(explained(&self.bridge, plan, (database, &callee.gate), rows, (&error, timeout)).await);
            }
        };
        self.seen.answered(plan, &answer.columns);
        let mut page = empty();
        let (mut last, mut keyless, mut read) = (None, None, 0usize);
        let mut at = (Bytes::new(), 0u64);
        while let Some(batch) = answer.batches.recv().await {
            let batch = batch.map_err(|error| of(&error, timeout))?;
            let room = query.limit.saturating_sub(read);
            let taken = documents(plan, batch.bytes.clone(), room)?;
            read += taken.read;
            if taken.read > 0 {
                at = (batch.bytes, taken.read as u64);
            }
            last = taken.last.or(last);
            keyless = taken.keyless.or(keyless);
            page.rejected += taken.rejected;
            page.documents.extend(taken.documents);
            if taken.is_more {
                let row = Some(at).filter(|_| table.tells_kinds(live));
                page.next = row.and_then(|(bytes, number)| place::of_row(&bytes, &keys, number)).or(last);
                // Without a key there is no way to what stands behind it, and it must not look like the end.
                if let (None, Some(reject)) = (&page.next, keyless) {
                    return Err(LiveError::Rejected(Box::new(reject)));
                }
                break;
            }
        }
        (page.waited, page.took) = (waited, since.elapsed());
        let dead = page.rejected as u64;
        self.bridge.count(&plan.exposure.id, Balance { read: dead, dead, ..Balance::default() });
        Ok(page)
    }
}

fn empty() -> LivePage {
    LivePage { documents: Vec::new(), next: None, rejected: 0, waited: Duration::ZERO, took: Duration::ZERO }
}

/// What a batch holds for a page with so much room.
struct Taken {
    documents: Vec<Bytes>,
    read: usize,
    rejected: usize,
    /// The key of the last record that has one.
    last: Option<String>,
    /// The last record that has none.
    keyless: Option<Reject>,
    is_more: bool,
}

fn documents(plan: &Plan, bytes: Bytes, room: usize) -> Result<Taken, LiveError> {
    let io = |error: std::io::Error| LiveError::Internal { message: format!("reading an answer: {error}") };
    let broken = |fault| -> Result<LiveError, LiveError> {
        Ok(LiveError::Rejected(Box::new(read::file_reject(fault).map_err(io)?)))
    };
    let mut reader = match plan.decoder.reader(Cursor::new(bytes), Resume::default()) {
        Ok(reader) => reader,
        Err(fault) => return Err(broken(fault)?),
    };
    let mut mapper = plan.mapper();
    let mut taken = Taken { documents: Vec::new(), read: 0, rejected: 0, last: None, keyless: None, is_more: false };
    loop {
        let item = match reader.next() {
            Ok(Some(item)) => item,
            Ok(None) => return Ok(taken),
            Err(fault) => return Err(broken(fault)?),
        };
        if taken.read == room {
            taken.is_more = true;
            return Ok(taken);
        }
        taken.read += 1;
        let (mapped, skipped) = match item {
            Item::Skipped => continue,
            Item::Reject(reject) => (Mapped::Reject(reject), None),
            Item::Record(record) => {
                let mapped = mapper.map(&record);
                let skipped = matches!(mapped, Mapped::Skipped).then(|| mapper.key_of(&record));
                (mapped, skipped)
            }
        };
        // The next page begins behind it as well: of a whole page nothing may be for anybody.
        match skipped {
            Some(Ok(key)) => taken.last = Some(key),
            Some(Err(reject)) => taken.keyless = Some(*reject),
            None => {}
        }
        match mapped {
            Mapped::Document(document) => {
                taken.documents.push(document.payload.into());
                taken.last = Some(document.key);
            }
            Mapped::Reject(reject) => {
                taken.rejected += 1;
                match reject.key.clone() {
                    Some(key) => taken.last = Some(key),
                    None => taken.keyless = Some(reject),
                }
            }
            _ => {}
        }
    }
}
