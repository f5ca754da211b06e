//! A small T-SQL: tokens, and statements turned into SQLite's with the types of what they bring.

pub(crate) mod data;
pub(crate) mod ddl;
pub(crate) mod expression;
pub(crate) mod functions;
pub(crate) mod lexer;
pub(crate) mod parser;
pub(crate) mod select;
pub(crate) mod statement;
pub(crate) mod tables;
