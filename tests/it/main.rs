//! Everything that needs more than one module: a file a capability, in one binary.

mod architecture;
mod systemd;
