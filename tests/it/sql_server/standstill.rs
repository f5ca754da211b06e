//! What the gate's breaker learns of a server that stands still, and of one that is slow.

use std::sync::Arc;

use super::Site;
use crate::support::standstill;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stands_still_is_left_alone() {
    let site = Site::new(standstill::SCRIPT);
    standstill::stands_still(Arc::clone(&site.door) as _, site.server()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_slow_and_stops_when_it_is_told_to_is_not() {
    let site = Site::new(standstill::SCRIPT);
    standstill::is_slow(Arc::clone(&site.door) as _, site.server()).await;
}
