#![doc = include_str!("ARCHITECTURE.md")]

pub mod record;

pub mod diagnostic;

pub mod telemetry;

pub mod mapping;

pub mod landing;

pub mod staging;

pub mod http;

pub mod facade;

pub mod console;
