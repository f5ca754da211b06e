//! `schemathesis` sends what the description permits and what it forbids, and looks whether the answers are as described.

use super::site::Described;
use super::{python, said, source};

/// All its checks and phases: examples, the corners of each parameter, random requests, and operations one after the other.
/// What it sends is the same each time.
#[test]
fn the_service_does_what_is_described_and_nothing_else() {
    let described = Described::start();
    let url = format!("http://{}", described.service.address());
    let mut command = python("schemathesis");
    command.arg("--config-file").arg(source("python/schemathesis.toml"));
    command.arg("run").arg(format!("{url}/openapi.json")).current_dir(described.site.path(""));
    command
        .env("TOLLBRIDGE_KEY", &described.key)
        .env("SCHEMATHESIS_HOOKS", "hooks")
        .env("PYTHONPATH", source("python"));
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    // It has not been content with a few.
    let told = said(&output);
    let cases = told.lines().find_map(|line| line.trim().split_once(" generated,")?.0.parse().ok());
    assert!(cases.is_some_and(|cases: u32| cases > 1000), "{told}");
}
