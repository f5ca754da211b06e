//! Who must not wait, or not any longer: how long the queue may be, and whom it would serve in vain.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::line::{Fate, Line};
use super::order::{last_line_of, line_of, lines_of};
use super::patience::Patience;
use super::{Ask, Core, Moment, PASSED_OVER, Ticket, Verdict, Waiting};
use crate::gate::{Lane, Refused};

/// The working bound of the queue is at least this, however slow the backend is.
pub(super) const LEAST_QUEUE: usize = 4;

/// Clients whose patience is remembered.
const KNOWN_CLIENTS: usize = 4096;

/// Of those who have waited as long as the head of the queue, this share must be expected to stay until the answer:
/// a call for somebody who leaves is work for nobody.
const WORTH_IT: f64 = 0.5;

impl Core {
    /// How long it takes until somebody of this lane who comes now is served, as far as one can tell.
    pub(super) fn expected_wait(&self, lane: Lane) -> Duration {
        let ahead: usize = self.lines.iter().take(last_line_of(lane) + 1).map(Line::len).sum();
        self.service.waiting_for(ahead + 1, self.cap())
    }

    /// Whether the wait, as measured, is longer than the one who asks can wait: then it is kinder to say so at once.
    pub(super) fn too_long(&self, number: usize, ask: &Ask, now: Moment) -> Option<Refused> {
        let in_line = self.lines[number].ahead_of(&ask.client, ask.weight);
        let before: usize = self.lines[..number].iter().map(Line::len).sum();
        // Better lines go first, but not for ever.
        let ahead = in_line + before.min((in_line + 1) * PASSED_OVER as usize);
        let wait = self.service.waiting_for(ahead, self.cap());
        let answered = now + wait + self.service.estimate().unwrap_or_default();
        let in_time = now + wait <= ask.wait_until && ask.answer_by.is_none_or(|limit| answered <= limit);
        (!in_time).then(|| Refused::TooLong { retry_after: self.expected_wait(ask.lane) })
    }

    /// Sees that the queue has room for one more: it is full at what the backend serves within the time to wait. Whoever
    /// has most waiting for its weight gives way.
    pub(super) fn make_room(
        &mut self,
        number: usize,
        ask: &Ask,
        now: Moment,
        verdicts: &mut Vec<Verdict>,
    ) -> Result<(), Refused> {
        let full = Refused::QueueFull { retry_after: self.expected_wait(ask.lane) };
        let in_lane: usize = lines_of(ask.lane).map(|other| self.lines[other].len()).sum();
        let bound = match ask.lane {
            Lane::Interactive => {
                let target = self.pressure.target(self.limits.target_wait, now);
                self.service.served_within(target, self.cap()).min(self.limits.queue)
            }
            Lane::Health | Lane::Operator | Lane::Sync => self.limits.queue,
        };
        // A few of every line may always wait: a crowd in a better line must not shut them out.
        if in_lane < bound || self.lines[number].len() < LEAST_QUEUE.min(self.limits.queue) {
            return Ok(());
        }
        // Only the line itself and those behind it give way.
        for behind in lines_of(ask.lane).rev().take_while(|other| *other >= number) {
            let share = (behind == number).then_some((&ask.client, ask.weight));
            let Some(ticket) = self.lines[behind].evict(share, |ticket| self.waiting.contains_key(&ticket)) else {
                continue;
            };
            self.waiting.remove(&ticket);
            verdicts.push(Verdict { ticket, outcome: Err(full) });
            return Ok(());
        }
        Err(full)
    }

    /// What is to become of somebody at the head of its line.
    pub(super) fn fate(&self, waiting: &HashMap<Ticket, Waiting>, ticket: Ticket, now: Moment) -> Fate {
        let Some(Waiting { ask, asked }) = waiting.get(&ticket) else { return Fate::Left };
        if !self.is_free(ask.serial.as_ref()) {
            return Fate::Stays;
        }
        if now >= ask.wait_until {
            return Fate::Refused(Refused::Deadline);
        }
        let Some(service) = self.service.estimate() else { return Fate::Goes };
        if ask.answer_by.is_some_and(|limit| now + service > limit) {
            return Fate::Refused(Refused::Deadline);
        }
        // A call for somebody who will have left is work for nobody.
        let waited = now.saturating_sub(*asked);
        let patience = self.patience.get(&ask.client).filter(|_| ask.lane == Lane::Interactive);
        match patience.and_then(|patience| patience.stays(waited, waited + service)) {
            Some(stays) if stays < WORTH_IT => self.impatient(ask, waited),
            _ => Fate::Goes,
        }
    }

    /// Somebody who is expected to leave. Waiting longer does not bring back what is lost; but where whoever comes later
    /// would be no better off (callers who leave at once, all of them), it goes all the same.
    fn impatient(&self, ask: &Ask, waited: Duration) -> Fate {
        let fresh = self.patience.get(&ask.client).and_then(|patience| {
            let service = self.service.estimate()?;
            patience.stays(Duration::ZERO, service)
        });
        if waited > Duration::ZERO && fresh.is_none_or(|fresh| fresh >= WORTH_IT) {
            Fate::Refused(Refused::TooLong { retry_after: self.expected_wait(ask.lane) })
        } else {
            Fate::Goes
        }
    }

    pub(super) fn learn(&mut self, client: &Arc<str>, event: impl FnOnce(&mut Patience)) {
        if !self.patience.contains_key(client) {
            if self.patience.len() >= KNOWN_CLIENTS {
                self.patience.clear();
            }
            self.patience.insert(Arc::clone(client), Patience::default());
        }
        if let Some(patience) = self.patience.get_mut(client) {
            event(patience);
        }
    }
}
