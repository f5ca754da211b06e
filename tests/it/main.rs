//! Everything that needs more than one module: a file or folder a capability, in one binary.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod architecture;
mod broken;
mod clients;
mod cobol_matrix;
mod code_pages;
mod config;
mod console;
mod containers;
mod controls;
mod csv;
mod decode;
mod decode_options;
mod demo;
mod doctor;
mod edi;
mod encode;
mod facade;
mod gate_proofs;
mod gnucobol;
mod inspect;
mod kill;
mod left_out;
mod live;
mod mapping;
mod odbc;
mod operate;
mod pickup;
mod readme;
mod reference;
mod replay;
mod rows;
mod segments;
mod service;
mod site;
mod sql_server;
mod staging;
mod support;
mod systemd;
mod tables;
mod tds_peers;
mod tuning;
mod wsdl;
mod xml;
