//! The integration tests: one binary, a file or folder a capability.

mod staging;
