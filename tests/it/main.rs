//! Everything that needs more than one module: a file or folder a capability, in one binary.

mod architecture;
mod facade;
mod staging;
mod systemd;
