//! The description of the API is true: it is valid, what it promises is kept and nothing else is done, programs are made from
//! it that work, and people can read and use it.

mod browser;
mod clients;
mod fuzz;
mod page;
mod site;
mod valid;

use std::path::PathBuf;
use std::process::{Command, Output};

use crate::support;

/// A program of the Python packages that `scripts/setup test` keeps.
fn python(program: &str) -> Command {
    let path = support::npm("openapi-python").join("bin").join(program);
    assert!(path.exists(), "{} is not there: scripts/setup test installs it", path.display());
    Command::new(path)
}

/// Files beside the tests.
fn source(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/support/openapi").join(name)
}

/// What a command says, and that it ends well.
#[track_caller]
fn done(command: &mut Command) -> String {
    let output =
        command.output().unwrap_or_else(|fault| panic!("{command:?}: {fault}: scripts/setup test installs it"));
    assert!(output.status.success(), "{command:?}\n{}", said(&output));
    said(&output)
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
