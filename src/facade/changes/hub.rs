//! Followers of feeds, woken by one watcher.
//!
//! However many wait, the database is asked once in [`LOOK_EVERY`] how far all feeds are, and not at all while nobody waits.
//! Runs of other processes are seen like those of this one. Those who waited at the end of a feed want the same changes then:
//! the first reads them, the others get what it read.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::record::ResourceId;
use crate::staging::{FeedPage, Filter, Staging, StagingError};
use crate::telemetry::Metrics;

/// How late a follower may hear of a change.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// All feeds that are or were followed.
pub(in crate::facade) struct Hub {
    staging: Arc<dyn Staging>,
    metrics: Arc<Metrics>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    feeds: HashMap<ResourceId, Arc<Feed>>,
    followers: usize,
    is_watching: bool,
}

/// One feed.
struct Feed {
    /// The newest number that the watcher has seen.
    end: watch::Sender<u64>,
    /// What was last read at the end, with the place it was read from and how much was wanted.
    last: tokio::sync::Mutex<Option<(u64, usize, Arc<FeedPage>)>>,
}

impl Hub {
    pub(in crate::facade) fn new(staging: Arc<dyn Staging>, metrics: Arc<Metrics>) -> Hub {
        Hub { staging, metrics, state: Mutex::default() }
    }

    /// Begins to follow a feed.
    pub(super) fn follow(self: &Arc<Hub>, resource: &ResourceId, only: &[Filter]) -> Follower {
        let mut state = self.state.lock();
        let feed = state
            .feeds
            .entry(resource.clone())
            .or_insert_with(|| Arc::new(Feed { end: watch::Sender::new(0), last: tokio::sync::Mutex::default() }));
        let (feed, ends) = (Arc::clone(feed), feed.end.subscribe());
        state.followers += 1;
        if !state.is_watching {
            state.is_watching = true;
            tokio::spawn(watch(Arc::downgrade(self)));
        }
        let number = state.followers;
        drop(state);
        self.metrics.feed_followed(&resource.to_string(), true);
        Follower { hub: Arc::clone(self), resource: resource.clone(), only: only.to_vec(), feed, ends, number }
    }

    /// Changes behind a place, as many as wanted, of those that a reader may see.
    pub(super) async fn read(
        &self,
        of: &ResourceId,
        (since, limit): (u64, usize),
        only: &[Filter],
    ) -> Result<Arc<FeedPage>, StagingError> {
        self.metrics.feed_read(&of.to_string());
        self.staging.feed_within(of, since, limit, only).await.map(Arc::new)
    }

    /// Looks once how far the feeds are; answers whether anybody still waits.
    async fn look(&self) -> bool {
        {
            let mut state = self.state.lock();
            if state.followers == 0 {
                state.is_watching = false;
                return false;
            }
        }
        self.metrics.feed_looked();
        match self.staging.feed_ends().await {
            Ok(ends) => {
                let state = self.state.lock();
                for (resource, end) in ends {
                    if let Some(feed) = state.feeds.get(&resource) {
                        feed.end.send_if_modified(|known| std::mem::replace(known, end) != end);
                    }
                }
            }
            Err(error) => tracing::warn!(error = %error, "it is not known how far the feeds are; looking again"),
        }
        true
    }
}

/// Looks again and again while somebody waits.
async fn watch(hub: Weak<Hub>) {
    loop {
        let Some(hub) = hub.upgrade() else { return };
        if !hub.look().await {
            return;
        }
        drop(hub);
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Somebody who waits for changes of a feed, until it is dropped.
pub(super) struct Follower {
    hub: Arc<Hub>,
    resource: ResourceId,
    /// What of the feed it may see.
    only: Vec<Filter>,
    feed: Arc<Feed>,
    ends: watch::Receiver<u64>,
    /// How many followed when this one came.
    pub(super) number: usize,
}

impl Follower {
    /// How far the watcher has seen the feed to be.
    pub(super) fn end(&self) -> u64 {
        *self.ends.borrow()
    }

    /// Waits until the feed goes beyond this number.
    pub(super) async fn beyond(&mut self, number: u64) {
        // The sender lives as long as the feed.
        let _ = self.ends.wait_for(|end| *end > number).await;
    }

    /// Changes behind a place somewhere in the feed.
    pub(super) async fn read(&self, since: u64, limit: usize) -> Result<Arc<FeedPage>, StagingError> {
        self.hub.read(&self.resource, (since, limit), &self.only).await
    }

    /// Changes behind a place that was the end of the feed: read by the first who asks.
    pub(super) async fn read_end(&self, since: u64, limit: usize) -> Result<Arc<FeedPage>, StagingError> {
        if !self.only.is_empty() {
            // What it sees is its own.
            return self.read(since, limit).await;
        }
        let mut last = self.feed.last.lock().await;
        let end = self.end();
        if let Some((from, wanted, page)) = last.as_ref()
            && (*from, *wanted) == (since, limit)
            && page.sequence >= end
        {
            return Ok(Arc::clone(page));
        }
        let page = self.read(since, limit).await?;
        *last = Some((since, limit, Arc::clone(&page)));
        Ok(page)
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.hub.state.lock().followers -= 1;
        self.hub.metrics.feed_followed(&self.resource.to_string(), false);
    }
}
