//! Times in which the backend is not called at all. The core has no clock: it is told when one begins and ends, and
//! when the end is expected.

use std::time::Duration;

use super::{Core, Moment, Verdict};
use crate::gate::Refused;

/// A time without calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// When it ends, as far as is known.
    until: Option<Moment>,
}

impl Core {
    /// Nobody goes until [`Core::reopen`]; who waits is refused. Calls in flight go on. Telling it again, with another
    /// end, is harmless.
    pub(in crate::gate) fn shut(&mut self, until: Option<Moment>, now: Moment, verdicts: &mut Vec<Verdict>) {
        self.window = Some(Window { until });
        if let Some(refused) = self.shut_out(now) {
            self.drain(refused, verdicts);
        }
    }

    /// Calls may go again: one, then more, as after the breaker; who stood before the door must not all go at once.
    pub(in crate::gate) fn reopen(&mut self) {
        if self.window.take().is_some() {
            self.breaker.slow_start();
        }
    }

    /// Why nobody may go now, if it is for a window.
    pub(in crate::gate) fn shut_out(&self, now: Moment) -> Option<Refused> {
        let retry_after = |until: Moment| -> Duration { until.saturating_sub(now) };
        self.window.map(|window| Refused::Window { retry_after: window.until.map(retry_after) })
    }

    /// The calls that may be in flight now: none in a window.
    pub(in crate::gate) fn limit(&self) -> usize {
        if self.window.is_some() { 0 } else { self.cap() }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use proptest::prelude::*;

    use crate::gate::core::{Arrival, Ask, BreakerSettings, Core, End, Grant, Limits, Ticket};
    use crate::gate::{Adapt, Lane, Priority, Refused};

    #[derive(Clone, Debug)]
    enum Step {
        Arrive(usize),
        End(usize, bool),
        Shut(Option<u64>),
        Reopen,
        Pass(u64),
        Limit(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => (0..4usize).prop_map(Step::Arrive),
            4 => (0..9usize, any::<bool>()).prop_map(|(call, seen)| Step::End(call, seen)),
            1 => proptest::option::of(0..5000u64).prop_map(Step::Shut),
            1 => Just(Step::Reopen),
            3 => (0..400u64).prop_map(Step::Pass),
            1 => (1..6usize).prop_map(Step::Limit),
        ]
    }

    fn limits(max_in_flight: usize) -> Limits {
        Limits {
            max_in_flight,
            sync_places: max_in_flight,
            queue: 20,
            newest_first: false,
            target_wait: Duration::from_secs(10),
            settle: Duration::from_secs(1),
            breaker: BreakerSettings {
                failures: 3,
                window: Duration::from_secs(30),
                cool_down: Duration::from_secs(2),
            },
            adapt: Adapt::Off,
            min_in_flight: 1,
        }
    }

    proptest! {
        /// Whatever happens: nobody goes and nobody waits while it is shut, all who waited got one answer, and after it
        /// has opened everybody is served in the end.
        #[test]
        fn nobody_goes_while_it_is_shut(steps in proptest::collection::vec(step(), 1..200)) {
            let mut core = Core::new(limits(3));
            let mut now = Duration::ZERO;
            let mut shut = false;
            let mut running: Vec<Grant> = Vec::new();
            let mut waiting: Vec<Ticket> = Vec::new();
            let mut verdicts = Vec::new();
            for step in steps {
                let before = running.len();
                match step {
                    Step::Arrive(lane) => {
                        let ask = Ask {
                            lane: Lane::ALL[lane],
                            client: Arc::from("a"),
                            weight: 1,
                            priority: Priority::Normal,
                            serial: None,
                            wait_until: now + Duration::from_secs(3600),
                            answer_by: None,
                        };
                        match core.arrive(ask, now, &mut verdicts) {
                            Arrival::Granted(grant) => running.push(grant),
                            Arrival::Queued(ticket) => waiting.push(ticket),
                            Arrival::Refused(refused) => {
                                prop_assert_eq!(shut, matches!(refused, Refused::Window { .. }));
                            }
                        }
                    }
                    Step::End(call, seen) => {
                        if !running.is_empty() {
                            let grant = running.swap_remove(call % running.len());
                            core.end(&grant, if seen { End::Answered } else { End::Unseen }, true, now);
                            core.pump(now, &mut verdicts);
                        }
                    }
                    Step::Shut(end) => {
                        shut = true;
                        core.shut(end.map(|end| now + Duration::from_millis(end)), now, &mut verdicts);
                    }
                    Step::Reopen => {
                        shut = false;
                        core.reopen();
                        core.pump(now, &mut verdicts);
                    }
                    Step::Pass(time) => {
                        now += Duration::from_millis(time);
                        core.pump(now, &mut verdicts);
                    }
                    Step::Limit(cap) => {
                        core.set_limits(limits(cap));
                        core.pump(now, &mut verdicts);
                    }
                }
                for verdict in verdicts.drain(..) {
                    let place = waiting.iter().position(|ticket| *ticket == verdict.ticket);
                    prop_assert!(place.is_some(), "an answer for nobody");
                    waiting.swap_remove(place.unwrap());
                    running.extend(verdict.outcome.ok());
                }
                if shut {
                    prop_assert!(running.len() <= before && waiting.is_empty() && core.limit() == 0);
                }
            }
            core.reopen();
            for _ in 0..200 {
                now += Duration::from_secs(40);
                for grant in running.drain(..) {
                    core.end(&grant, End::Answered, true, now);
                }
                core.pump(now, &mut verdicts);
                for verdict in verdicts.drain(..) {
                    waiting.retain(|ticket| *ticket != verdict.ticket);
                    running.extend(verdict.outcome.ok());
                }
            }
            prop_assert!(waiting.is_empty() && running.is_empty() && core.in_flight() == 0);
            prop_assert!(core.limit() > 0);
        }
    }
}
