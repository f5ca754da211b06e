//! What this machine, and not the backend, lacks for a gate to let calls through: told once when it begins and once when it
//! is over, however many calls meet it.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::core::Moment;

/// A trouble that no call has met for so long is taken to be over, although no call has shown it.
const STALE: Duration = Duration::from_secs(10);

/// What is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lack {
    /// The files of the places cannot be written, locked or read.
    Places,
    /// Descriptors, memory, local ports, name servers.
    Resources,
}

impl Lack {
    const ALL: [Lack; 2] = [Lack::Places, Lack::Resources];

    /// What a person can do.
    const fn remedy(self) -> &'static str {
        match self {
            Lack::Places => {
                "see that the disk of the gates' folder, beside the staging database, has room and may be written by the \
                 service's user"
            }
            Lack::Resources => {
                "raise the limit of open files (`LimitNOFILE`) or free memory; where it is a name, look at this machine's \
                 name servers"
            }
        }
    }
}

/// One that goes on.
struct Trouble {
    what: String,
    last: Moment,
    met: u64,
}

/// The troubles of one gate.
#[derive(Default)]
pub(super) struct Troubles {
    going_on: [Mutex<Option<Trouble>>; Lack::ALL.len()],
    /// So that a call that goes well costs nothing.
    is_any: [AtomicBool; Lack::ALL.len()],
}

impl Troubles {
    /// A call has met it.
    pub(super) fn met(&self, backend: &str, lack: Lack, what: &dyn fmt::Display, now: Moment) {
        let mut going_on = self.going_on[lack as usize].lock();
        let known = going_on.take().filter(|known| lack == Lack::Places || now.saturating_sub(known.last) < STALE);
        let is_new = known.is_none();
        let met = known.map_or(1, |known| known.met + 1);
        let what = what.to_string();
        if is_new {
            tracing::error!(
                backend,
                error = what,
                remedy = lack.remedy(),
                "calls are refused for a fault of this machine; it goes on by itself when that is mended"
            );
        }
        *going_on = Some(Trouble { what, last: now, met });
        self.is_any[lack as usize].store(true, Ordering::Release);
    }

    /// It was not met although it would have been.
    pub(super) fn over(&self, backend: &str, lack: Lack) {
        if !self.goes_on(lack) {
            return;
        }
        self.is_any[lack as usize].store(false, Ordering::Release);
        if let Some(trouble) = self.going_on[lack as usize].lock().take() {
            tracing::info!(backend, error = trouble.what, met = trouble.met, "the fault of this machine is mended");
        }
    }

    pub(super) fn goes_on(&self, lack: Lack) -> bool {
        self.is_any[lack as usize].load(Ordering::Acquire)
    }

    /// What is the matter and what to do, as a sentence.
    pub(super) fn sentence(&self, backend: &str, now: Moment) -> Option<String> {
        Lack::ALL.into_iter().find_map(|lack| {
            let going_on = self.going_on[lack as usize].lock();
            let is_fresh = |trouble: &&Trouble| lack == Lack::Places || now.saturating_sub(trouble.last) < STALE;
            let Trouble { what, .. } = going_on.as_ref().filter(is_fresh)?;
            Some(format!("calls to {backend} are refused: {what}; {}", lack.remedy()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Lack, STALE, Troubles};
    use std::time::Duration;

    #[test]
    fn a_trouble_goes_on_until_it_is_over_or_forgotten() {
        let (troubles, at) = (Troubles::default(), Duration::from_secs);
        assert_eq!(troubles.sentence("erp", at(0)), None);
        troubles.met("erp", Lack::Places, &"no space", at(1));
        troubles.met("erp", Lack::Resources, &"too many files", at(1));
        let said = troubles.sentence("erp", at(1000)).unwrap();
        assert!(said.starts_with("calls to erp are refused: no space; see that the disk"), "{said}");
        troubles.over("erp", Lack::Places);
        assert!(!troubles.goes_on(Lack::Places));
        assert!(troubles.sentence("erp", at(1) + STALE / 2).unwrap().contains("too many files"));
        assert_eq!(troubles.sentence("erp", at(1) + STALE), None, "nobody has met it for long");
        troubles.met("erp", Lack::Resources, &"too many files", at(60));
        troubles.over("erp", Lack::Resources);
        troubles.over("erp", Lack::Resources);
        assert_eq!(troubles.sentence("erp", at(60)), None);
    }
}
