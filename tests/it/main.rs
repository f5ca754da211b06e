//! Everything that needs more than one module: a file or folder a capability, in one binary.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod architecture;
mod broken;
mod cobol_matrix;
mod code_pages;
mod config;
mod console;
mod decode;
mod demo;
mod facade;
mod gnucobol;
mod kill;
mod mapping;
mod readme;
mod reference;
mod service;
mod site;
mod staging;
mod systemd;
