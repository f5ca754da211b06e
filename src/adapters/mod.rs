//! Doors to legacy systems. An adapter knows how to reach one kind of backend and nothing of what its data
//! mean: neither mapping nor staging.
//!
//! Every call that an adapter makes takes a [`Permit`](crate::gate::Permit) in its signature: an ungated call
//! does not compile.

pub mod files;
