//! What answers become.
