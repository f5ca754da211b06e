//! Readings of a scripted database, statement by statement.
