//! Who must not wait, or not any longer: how long the queue may be, and whom it would serve in vain.

use std::time::Duration;

use super::order::{last_line_of, lines_of};
use super::service::{FirstEnd, served_within};
use super::{Ask, Core, Moment, PASSED_OVER, Ticket, Verdict, Waiting, waiting_for};
use crate::gate::{Lane, Refused};

/// The working bound of the queue is at least this, however slow the backend is.
pub(super) const LEAST_QUEUE: usize = 4;

/// Of those who have waited as long as the head of the queue, this share must be expected to stay until the answer:
/// a call for somebody who leaves is work for nobody.
const WORTH_IT: f64 = 0.5;

impl Core {
    /// Of the places of calls whose end nobody saw, those that still count at this moment.
    pub(super) fn lingering_at(&self, moment: Moment) -> usize {
        let ours = self.lingering.range((moment.saturating_add(Duration::from_nanos(1)), 0)..).count();
        ours + self.foreign.iter().filter(|until| **until > moment).count()
    }

    /// When the first of those places comes free.
    pub(super) fn first_settled(&self) -> Option<Moment> {
        let ours = self.lingering.keys().next().map(|(until, _)| *until);
        ours.into_iter().chain(self.foreign.first().copied()).min()
    }

    /// While no place is left to wait for but such as are held back: when the first of them comes free.
    fn held_back_until(&self) -> Option<Moment> {
        if self.lingering() >= self.cap() { self.first_settled() } else { None }
    }

    /// What is said to whoever has waited in vain: where most places are held back, it is for them.
    pub(in crate::gate) fn too_late(&self, now: Moment) -> Refused {
        match self.first_settled() {
            Some(until) if until > now && 2 * self.lingering() >= self.cap() => {
                Refused::HeldBack { retry_after: until - now }
            }
            _ => Refused::Deadline,
        }
    }

    /// Nobody waits for places that are held back for longer than the wait.
    pub(super) fn refuse_held_back(&mut self, now: Moment, verdicts: &mut Vec<Verdict>) {
        let Some(until) = self.held_back_until() else { return };
        let in_vain = |(ticket, waiting): (&Ticket, &Waiting)| (waiting.ask.wait_until < until).then_some(*ticket);
        let mut tickets: Vec<Ticket> = self.waiting.iter().filter_map(in_vain).collect();
        tickets.sort_unstable();
        for ticket in tickets {
            self.refuse(ticket, Refused::HeldBack { retry_after: until.saturating_sub(now) }, verdicts);
        }
    }

    /// How long it takes until somebody of this lane who comes now is served, as far as one can tell.
    pub(super) fn expected_wait(&self, lane: Lane, now: Moment) -> Duration {
        let ahead: usize = self.lines.iter().take(last_line_of(lane) + 1).map(|line| line.len()).sum();
        let ahead = ahead + self.lacking.iter().sum::<usize>();
        let (each, places) = (self.takes(lane, now).unwrap_or_default(), self.places(lane, Moment::ZERO, now));
        let (FirstEnd::In(first) | FirstEnd::Perhaps(first)) = self.first_free(lane, now);
        first.saturating_add(waiting_for(ahead, places, each))
    }

    /// Whether the wait, as measured, is longer than the one who asks can wait: then it is kinder to say so at once.
    pub(super) fn too_long(&self, line: usize, ask: &Ask, now: Moment) -> Option<Refused> {
        let takes = self.takes(ask.lane, now).unwrap_or_default();
        let is_in_time = |wait: Duration| {
            let answered = now.saturating_add(wait).saturating_add(takes);
            now.saturating_add(wait) <= ask.wait_until && ask.answer_by.is_none_or(|limit| answered <= limit)
        };
        let held_back = self.held_back_until().map(|until| until.saturating_sub(now)).unwrap_or_default();
        if !held_back.is_zero() && !is_in_time(held_back) {
            return Some(Refused::HeldBack { retry_after: held_back });
        }
        let in_line = self.lines[line].ahead_of(&ask.client, ask.weight, self.limits.newest_first);
        let before: usize = self.lines[..line].iter().map(|line| line.len()).sum();
        // Better lines go first, but not for ever.
        let ahead = in_line + before.min((in_line + 1) * PASSED_OVER as usize) + self.lacking.iter().sum::<usize>();
        let places = self.places(ask.lane, ask.wait_until, now);
        // Where calls are later than they used to be nobody knows when a place comes free. A few wait all the same, so that
        // it is used at once.
        let few = self.lines[line].len() < LEAST_QUEUE;
        let measured = self.service_of(ask.lane).estimate().unwrap_or_default();
        let (first, each) = match self.first_free(ask.lane, now) {
            FirstEnd::In(first) | FirstEnd::Perhaps(first) if !few => (first, takes),
            FirstEnd::In(first) => (first, measured),
            FirstEnd::Perhaps(_) => (Duration::ZERO, measured),
        };
        if is_in_time(held_back.saturating_add(first).saturating_add(waiting_for(ahead, places, each))) {
            return None;
        }
        let retry_after = self.expected_wait(ask.lane, now);
        // Whether it is for them that places are missing.
        Some(match self.first_settled().map(|until| until.saturating_sub(now)) {
            Some(settled) if is_in_time(first.saturating_add(waiting_for(ahead, places + self.lingering(), each))) => {
                Refused::HeldBack { retry_after: settled.min(retry_after) }
            }
            _ => Refused::TooLong { retry_after },
        })
    }

    /// Sees that the queue has room for one more: it is full at what the backend serves within the time to wait. Whoever
    /// has most waiting for its weight gives way.
    pub(super) fn make_room(
        &mut self,
        line: usize,
        ask: &Ask,
        now: Moment,
        verdicts: &mut Vec<Verdict>,
    ) -> Result<(), Refused> {
        let full = Refused::QueueFull { retry_after: self.expected_wait(ask.lane, now) };
        let in_lane: usize = lines_of(ask.lane).map(|other| self.lines[other].len()).sum();
        let bound = match ask.lane {
            Lane::Interactive => {
                if in_lane == 0 {
                    self.pressure.drained();
                }
                let target = self.pressure.bound(self.limits.target_wait);
                let places = self.places(ask.lane, ask.wait_until, now);
                served_within(target, places, self.takes(ask.lane, now)).min(self.limits.queue)
            }
            Lane::Health | Lane::Operator | Lane::Sync => self.limits.queue,
        };
        // A few of every line may always wait: a crowd in a better line must not shut them out.
        if in_lane < bound || self.lines[line].len() < LEAST_QUEUE.min(self.limits.queue) {
            return Ok(());
        }
        // Only the line itself and those behind it give way.
        for behind in lines_of(ask.lane).rev().take_while(|other| *other >= line) {
            let against = (behind == line).then_some((&ask.client, ask.weight));
            if behind != line && self.lines[behind].len() <= LEAST_QUEUE {
                continue;
            }
            if let Some(ticket) = self.lines[behind].last(against, self.limits.newest_first) {
                self.refuse(ticket, full, verdicts);
                return Ok(());
            }
        }
        Err(full)
    }

    /// Why a call for the one who is next would be in vain; `None` where it is not.
    pub(super) fn in_vain(&self, Waiting { ask, asked, .. }: &Waiting, now: Moment) -> Option<Refused> {
        if now >= ask.wait_until {
            return Some(self.too_late(now));
        }
        let takes = self.takes(ask.lane, now)?;
        if ask.answer_by.is_some_and(|limit| now.saturating_add(takes) > limit) {
            return Some(self.too_late(now));
        }
        if ask.lane != Lane::Interactive {
            return None;
        }
        // A call for somebody who will have left is work for nobody.
        let (waited, patience) = (now.saturating_sub(*asked), self.known.get(&ask.client)?);
        let service = self.service.most()?;
        if waited == Duration::ZERO || patience.stays(waited, waited + service)? >= WORTH_IT {
            return None;
        }
        // Waiting longer does not bring back what is lost; but where whoever comes later would be no better off (callers
        // who leave at once, all of them), it goes all the same.
        let fresh = patience.stays(Duration::ZERO, service)?;
        (fresh >= WORTH_IT).then(|| Refused::TooLong { retry_after: self.expected_wait(ask.lane, now) })
    }
}
