//! Operations as people write them, and what callers send.
