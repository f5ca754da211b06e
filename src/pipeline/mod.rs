//! The corridor: the only place where gate, adapter, landing, mapping and staging meet.
//!
//! A record's way, one function a stage: [`sync`] finds the files of a resource that are due and holds the run;
//! `left` remembers those that need no reading now;
//! `file` takes one file from the inbox through landing into staging; `read` turns its bytes into batches on a
//! thread of its own, while the staging writer commits the batch before. [`replay`] sends a dead letter the same
//! way again, [`preview`] shows it without staging, [`scheduler`] decides when.
//!
//! The promise: read = staged + unchanged + dead + skipped, for every run, whenever it stops.

mod admission;
mod error;
mod fault;
mod file;
mod left;
pub mod live;
pub mod operate;
mod polls;
pub mod preview;
pub mod progress;
pub mod propose;
mod read;
pub mod replay;
mod retry;
pub mod scheduler;
pub mod sync;
mod tables;
mod tidy;
pub mod trace;
pub mod tuning;
mod versions;
mod world;

pub use error::PipelineError;
pub use fault::ServiceFault;
pub use tables::judge::{Judgement, judge, table_of};
pub use versions::read_apart;
pub use world::{Backend, Bridge, Files, Reach, World, patterns_of};
