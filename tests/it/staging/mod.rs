//! Staging: one conformance suite over the contract, then what is the embedded default's own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's way to fail")]

mod bounds;
mod conformance;
mod crash;
mod decisions;
mod deliveries;
mod gone;
mod letters;
mod meanwhile;
mod model;
mod operations;
mod paging;
mod processes;
mod reads;
mod snapshots;
mod sqlite;
mod suite;
mod support;
mod tables;
