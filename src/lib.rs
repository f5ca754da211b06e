#![doc = include_str!("ARCHITECTURE.md")]

pub mod record;

pub mod diagnostic;
pub mod markup;

pub mod secret;
pub mod sql;
pub mod telemetry;
pub mod web;
pub mod wsdl;

pub mod decode;
pub mod gate;

pub mod adapters;
pub mod landing;
pub mod mapping;
pub mod staging;

pub mod pipeline;

pub mod http;

pub mod console;
pub mod facade;

pub mod config;

pub mod app;

pub mod cli;
