//! The same of a database behind a driver: SQL Server's protocol through FreeTDS.

use std::sync::Arc;

use super::freetds::site;
use crate::support::standstill;
use crate::support::tds_server::TdsServer;

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_stands_still_is_left_alone() {
    let server = TdsServer::start(standstill::SCRIPT);
    let folder = tempfile::tempdir().unwrap();
    standstill::stands_still(Arc::clone(&site(&server, &folder).source) as _, &server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_slow_and_stops_when_it_is_told_to_is_not() {
    let server = TdsServer::start(standstill::SCRIPT);
    let folder = tempfile::tempdir().unwrap();
    standstill::is_slow(Arc::clone(&site(&server, &folder).source) as _, &server).await;
}
