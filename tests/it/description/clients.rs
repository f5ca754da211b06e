//! Programs that are made from the description: they are right by their types, and work.

use std::process::Command;

use super::site::Described;
use super::{done, python, source};
use crate::support;

/// `openapi-typescript` makes the types, `tsc` checks a program that uses them, and the program calls the service.
#[test]
fn a_client_in_typescript_works() {
    let described = Described::start();
    let document = described.description();
    let packages = support::npm("openapi-peer").join("node_modules");
    let folder = described.site.path("typescript");
    std::fs::create_dir(&folder).unwrap();
    std::os::unix::fs::symlink(&packages, folder.join("node_modules")).unwrap();
    for file in ["client.ts", "tsconfig.json", "package.json"] {
        std::fs::copy(source("typescript").join(file), folder.join(file)).unwrap();
    }
    let node = |tool: &str| {
        let mut command = Command::new("node");
        command.arg(packages.join(tool)).current_dir(&folder);
        command
    };
    done(node("openapi-typescript/bin/cli.js").arg(&document).args(["--output", "api.ts"]));
    // With the checks for mistakes that are to be found (`@ts-expect-error`) among them.
    done(&mut node("typescript/bin/tsc"));
    let url = format!("http://{}", described.service.address());
    let told = done(Command::new("node").arg(folder.join("out/client.js")).args([&url, &described.key]));
    assert_eq!(told.trim(), "all is well");
}

/// `openapi-python-client` makes a package, `mypy` checks it and a program that uses it, and the program calls the service.
#[test]
fn a_client_in_python_works() {
    let described = Described::start();
    let document = described.description();
    let folder = described.site.path("python");
    std::fs::create_dir(&folder).unwrap();
    let mut generate = python("openapi-python-client");
    generate.args(["generate", "--meta", "none", "--output-path", "tollbridge_client", "--path"]).arg(&document);
    // What it makes is formatted by a tool that stands beside it.
    let beside = support::npm("openapi-python").join("bin");
    let path = format!("{}:{}", beside.display(), std::env::var("PATH").unwrap_or_default());
    done(generate.current_dir(&folder).env("PATH", &path));
    for file in ["client.py", "mypy.ini"] {
        std::fs::copy(source("python").join(file), folder.join(file)).unwrap();
    }
    done(python("mypy").arg("client.py").current_dir(&folder));
    let url = format!("http://{}", described.service.address());
    let told = done(python("python").arg("client.py").args([&url, &described.key]).current_dir(&folder));
    assert_eq!(told.trim(), "all is well");
}
