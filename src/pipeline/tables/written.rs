//! Records that were written to through this service. Where a program keeps a watermark, it is its statements that set it: a
//! write whose statement does not is passed over by every reading that follows the watermark. So the rows that we know to
//! have written to are asked for by their keys, unless the reading has brought them.

use super::compare::{MOST_BOUND, MOST_FETCHED};
use super::reading::{Question, Reading};
use crate::adapters::sql::Value;
use crate::mapping::{Changes, LiveRows, Relation};
use crate::pipeline::PipelineError;
use crate::pipeline::operate::value;

impl Reading<'_> {
    /// Sees to it that what is staged of records that were written to before this reading began is from behind the write.
    /// `is_all` says that it has read all that there is.
    pub(super) async fn see_to_written(&mut self, is_all: bool) -> Result<(), PipelineError> {
        let (mut written, mut conditions) = (Vec::new(), Vec::new());
        for member in self.members() {
            let of_one = self.bridge.staging.written(member.id(), self.started_at, MOST_FETCHED).await?;
            if let (true, Some(live)) = (!is_all && self.may_pass_over(), &member.rows.live) {
                let passed = of_one.iter().filter(|one| !one.is_brought);
                conditions.extend(passed.filter_map(|one| self.is_this(live, &one.key)));
            }
            written.push(of_one);
        }
        let at_a_time = (MOST_BOUND / self.rows.key_columns.len().max(1)).max(1);
        for some in conditions.chunks(at_a_time) {
            self.fetch_these(some).await?;
        }
        for (member, written) in self.members().zip(written).filter(|(_, written)| !written.is_empty()) {
            let keys = written.into_iter().map(|one| one.key).collect();
            self.bridge.staging.settle_written(member.id(), keys, self.started_at).await?;
        }
        Ok(())
    }

    /// Whether a good reading may have passed over rows that have changed.
    fn may_pass_over(&self) -> bool {
        matches!(self.source().relation, Relation::Table { .. })
            && matches!(&self.source().changes, Changes::Watermark(watermark) if !watermark.is_rowversion)
    }

    /// The condition for the row with this key.
    fn is_this(&self, live: &LiveRows, key: &str) -> Option<(String, Vec<Value>)> {
        let bound = live.of_key(key)?;
        let terms: Vec<String> = bound.iter().map(|(column, _)| format!("{} = ?", self.shape.quoted(column))).collect();
        Some((format!("({})", terms.join(" and ")), bound.iter().map(|(_, bound)| value(bound)).collect()))
    }

    async fn fetch_these(&mut self, some: &[(String, Vec<Value>)]) -> Result<(), PipelineError> {
        loop {
            let any: Vec<&str> = some.iter().map(|(condition, _)| condition.as_str()).collect();
            let values = some.iter().flat_map(|(_, values)| values.iter().cloned());
            let select = self.selected().only(format!("({})", any.join(" or ")), values);
            let (sql, parameters) = select.ordered(&self.steady_order()).build();
            let once = self.tells_apart();
            let question = Question { sql, parameters, watched: &[], snapshot: None, ids: None, once };
            match self.take(question, |_, _| ()).await {
                Ok(_) => return Ok(()),
                Err(error) if self.tries_again(&error).await || self.orders_less(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }
}
