//! What goes wrong on purpose. All of it may be changed while the server runs; a request meets what is set as it comes.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Faults; none by default.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    /// Only requests whose text has this in it are met by what follows up to `trouble`; behind a `=`, those whose text it is.
    pub(crate) only: Option<String>,
    /// Before the answer begins.
    pub(crate) stall: Duration,
    /// Before that: until so many requests have been at work at once.
    pub(crate) gathers: Option<usize>,
    /// Before that, too: until this is true.
    pub(crate) until: Option<Arc<AtomicBool>>,
    /// After so many rows, for so long.
    pub(crate) stall_mid_rows: Option<(u64, Duration)>,
    /// After so many rows, in the midst of the next one.
    pub(crate) cut_after_rows: Option<u64>,
    /// After so many rows a token comes that there is not.
    pub(crate) bad_token_after_rows: Option<u64>,
    /// Text is longer than its column.
    pub(crate) too_long: bool,
    /// The first wide text of each row has half a surrogate pair at its end.
    pub(crate) invalid_utf16: bool,
    /// The requests that meet a trouble: how many go well before, and what comes then. It is gone when it has come.
    pub(crate) trouble: Vec<(u64, Trouble)>,
    /// Between an attention and its acknowledgement.
    pub(crate) attention_delay: Duration,
    pub(crate) ignore_attention: bool,
    pub(crate) login: Option<LoginTrouble>,
    /// More sessions are refused.
    pub(crate) max_sessions: Option<usize>,
}

/// What a request may meet.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Trouble {
    /// Error 1205: its transaction is undone.
    Deadlock,
    /// Error 596, and the end of the connection.
    Killed,
    /// The end of the connection, without a word. What the request does is done nevertheless.
    Cut,
    /// An error of this number, class and text.
    Error(i32, u8, String),
}

/// Why a login is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoginTrouble {
    /// 18456.
    Refused,
    /// 18487.
    Expired,
    /// 18488.
    MustChange,
    /// 4060, and 18456.
    NoDatabase,
    /// 924: somebody else is in the database.
    SingleUser,
    /// Nothing is answered at all.
    Silent,
}

impl Faults {
    /// What a request of this text meets, and its trouble where its turn has come.
    pub(crate) fn meet(&mut self, text: &str) -> (Faults, Option<Trouble>) {
        let is_meant = |only: &String| match only.strip_prefix('=') {
            Some(whole) => text == whole,
            None => text.contains(only.as_str()),
        };
        if self.only.as_ref().is_some_and(|only| !is_meant(only)) {
            return (Faults::default(), None);
        }
        let mut met = None;
        for (left, trouble) in &mut self.trouble {
            if *left == 0 && met.is_none() {
                met = Some(trouble.clone());
            }
            *left = left.wrapping_sub(1);
        }
        self.trouble.retain(|(left, _)| *left != u64::MAX);
        (self.clone(), met)
    }
}
