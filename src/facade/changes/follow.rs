//! A feed as it happens: as server-sent events, or as lines.
//!
//! While a follower waits it holds nothing but its connection: no reader of the database, no place at a backend. It reads the
//! next changes when the last ones are taken, so one who is slow is behind, and nobody else.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{Stream, unfold};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::hub::{Follower, Hub};
use super::position::Position;
use super::{Entries, is_too_old};
use crate::http::Pass;
use crate::staging::{FeedPage, StagingError};

/// Changes that are read at a time.
const CHUNK: usize = 500;

/// What a client of events waits before it comes again, in milliseconds.
const RETRY: u32 = 3000;

/// A stream of events ends after so long, and its client comes again: then its key is looked at anew.
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// How a feed is told.
pub(super) enum Manner {
    /// Server-sent events, with a sign of life in between; for ever, as far as the client is concerned.
    Events { heartbeat: Duration },
    /// A line for each change: all that there are, or where there is none yet, the first that come by then.
    Lines { until: Instant },
}

/// Tells a feed from a place on; where there is a limit, no more than so many changes.
pub(super) fn follow(
    hub: &Arc<Hub>,
    entries: Entries,
    (from, limit): (Position, Option<usize>),
    manner: Manner,
    (closing, pass): (CancellationToken, Pass),
) -> impl Stream<Item = io::Result<Bytes>> + Send + use<> {
    let follower = hub.follow(&entries.resource, &entries.only);
    // Those who came together do not all come again together.
    let spread = Duration::from_secs((follower.number % 60) as u64);
    let following = Following {
        ends_at: match manner {
            Manner::Events { .. } => Instant::now() + LONGEST + spread,
            Manner::Lines { until } => until,
        },
        follower,
        entries,
        position: from,
        left: limit.unwrap_or(usize::MAX),
        manner,
        closing,
        pass,
        is_at_end: false,
        has_told: false,
        has_begun: false,
        is_over: false,
    };
    unfold(following, |mut following| async move { following.next().await.map(|told| (told, following)) })
}

struct Following {
    follower: Follower,
    entries: Entries,
    position: Position,
    /// Changes that may still be told.
    left: usize,
    manner: Manner,
    closing: CancellationToken,
    /// Its reader is looked at again and again.
    pass: Pass,
    ends_at: Instant,
    is_at_end: bool,
    has_told: bool,
    has_begun: bool,
    is_over: bool,
}

impl Following {
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        if let (Manner::Events { .. }, false) = (&self.manner, self.has_begun) {
            self.has_begun = true;
            // An id without data is remembered, and tells nobody anything.
            let cursor = self.entries.cursor(self.position);
            return Some(Ok(Bytes::from(format!("retry: {RETRY}\nid: {cursor}\n\n"))));
        }
        loop {
            if self.is_over || self.closing.is_cancelled() {
                return None;
            }
            if !self.pass.holds().await {
                return None;
            }
            // Whoever has reached the end reads again when there is something: so all at the end ask for the same.
            if !self.is_at_end || self.follower.end() > self.position.sequence {
                match self.read().await {
                    Ok(None) if self.is_over => return None,
                    Ok(None) if !self.is_at_end => continue,
                    Ok(None) => {}
                    Ok(Some(told)) => return Some(Ok(told)),
                    Err(fault) => {
                        tracing::error!(resource = %self.entries.resource, cause = %fault, "a feed broke off");
                        self.is_over = true;
                        return Some(Err(io::Error::other(fault)));
                    }
                }
            }
            let heartbeat = match self.manner {
                Manner::Lines { .. } if self.has_told => return None,
                Manner::Lines { .. } => Duration::MAX,
                Manner::Events { heartbeat } => heartbeat,
            };
            tokio::select! {
                biased;
                () = self.closing.cancelled() => return None,
                () = sleep_until(self.ends_at) => return None,
                () = self.follower.beyond(self.position.sequence) => {}
                () = sleep_until(self.pass.next_look()) => {}
                () = sleep(heartbeat) => return Some(Ok(Bytes::from_static(b": still here\n\n"))),
            }
        }
    }

    /// Reads on; the changes that came, if any.
    async fn read(&mut self) -> Result<Option<Bytes>, StagingError> {
        let from = self.position;
        let chunk = self.left.min(CHUNK);
        let page = match self.is_at_end {
            true => self.follower.read_end(from.sequence, chunk).await?,
            false => self.follower.read(from.sequence, chunk).await?,
        };
        if is_too_old(from, &page) {
            // Who comes again with this place is told why.
            self.is_over = true;
            return Ok(None);
        }
        self.position = Position { sequence: page.reached, forgotten: page.forgotten };
        self.is_at_end = self.position.sequence >= page.sequence;
        if page.changes.is_empty() {
            return Ok(None);
        }
        self.has_told = true;
        self.left -= page.changes.len().min(self.left);
        self.is_over = self.left == 0;
        Ok(Some(self.tell(from, &page)))
    }

    /// The changes of a page.
    fn tell(&self, from: Position, page: &FeedPage) -> Bytes {
        let mut told = Vec::with_capacity(page.changes.len() * 320);
        for change in &page.changes {
            let at = Position { sequence: change.sequence, forgotten: page.forgotten.max(from.forgotten) };
            let entry = self.entries.write(change, at).to_string();
            match self.manner {
                Manner::Events { .. } => {
                    let cursor = self.entries.cursor(at);
                    told.extend_from_slice(format!("id: {cursor}\ndata: {entry}\n\n").as_bytes());
                }
                Manner::Lines { .. } => {
                    told.extend_from_slice(entry.as_bytes());
                    told.push(b'\n');
                }
            }
        }
        Bytes::from(told)
    }
}
