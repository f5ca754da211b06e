//! The console over real sockets and a real SQLite file, with an operator that notes what it is asked.

mod act;
mod app;
mod gates;
mod guard;
mod read;
