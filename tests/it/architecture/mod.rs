//! The repository held to its own map (`src/ARCHITECTURE.md`): floors, what is absent where, sizes of files.
//!
//! The floors are read from the map's table, so that the page people read and the rule that is checked are
//! one. Every finding names file and line.

mod source;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use source::Source;

/// Files above 600 lines, with the lines they may have. The list only gets shorter: take a file off it, or
/// lower its number, when it shrinks.
const LARGE_FILES: &[(&str, usize)] = &[];

const MOST_LINES: usize = 600;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All files below `folder`, as paths below the repository, sorted.
fn files(folder: &str) -> Vec<PathBuf> {
    let (mut found, mut open) = (Vec::new(), vec![root().join(folder)]);
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.push(path.strip_prefix(root()).unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

fn rust_files(folder: &str) -> Vec<PathBuf> {
    files(folder).into_iter().filter(|path| path.extension().is_some_and(|ext| ext == "rs")).collect()
}

fn sources() -> Vec<Source> {
    rust_files("src").iter().map(|path| source::read(&root(), path)).collect()
}

/// The top-level module a file of `src` belongs to; `None` for `lib.rs` and `main.rs`.
fn module(path: &Path) -> Option<String> {
    let first = path.strip_prefix("src").ok()?.iter().next()?.to_string_lossy().into_owned();
    let name = first.strip_suffix(".rs").unwrap_or(&first).to_owned();
    (name != "lib" && name != "main").then_some(name)
}

/// Module -> floor, from the table of the map: rows `| 3 | `staging` | ... |`.
fn floors() -> BTreeMap<String, usize> {
    let map = std::fs::read_to_string(root().join("src/ARCHITECTURE.md")).unwrap();
    let mut floors = BTreeMap::new();
    for line in map.lines() {
        let mut cells = line.split('|').map(str::trim).skip(1);
        if let (Some(Ok(floor)), Some(name)) = (cells.next().map(str::parse::<usize>), cells.next()) {
            floors.insert(name.trim_matches('`').to_owned(), floor);
        }
    }
    assert!(floors.len() > 5, "src/ARCHITECTURE.md has no table of floors");
    floors
}

/// Fails with every finding on a line of its own.
fn nothing(findings: &[String], rule: &str) {
    assert!(findings.is_empty(), "{rule}:\n{}\n", findings.join("\n"));
}

fn at(source: &Source, line: usize) -> String {
    format!("  {}:{line}", source.path.display())
}

/// A file that holds only tests beside the module it tests.
fn is_test_file(path: &Path) -> bool {
    path.iter().any(|part| part == "tests" || part == "tests.rs")
}

/// True when `path` is `wanted` or lies below it.
fn below(path: &str, wanted: &str) -> bool {
    path.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Every place outside tests where a file of one of `modules` (of all others, if `!inside`) names something
/// that `forbidden` is true of.
fn uses(modules: &[&str], inside: bool, forbidden: impl Fn(&str) -> bool) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources() {
        let Some(module) = module(&source.path) else { continue };
        if modules.contains(&module.as_str()) != inside || is_test_file(&source.path) {
            continue;
        }
        for path in source.paths.iter().filter(|path| !path.test && forbidden(&path.text)) {
            findings.push(format!("{}: {}", at(&source, path.line), path.text));
        }
    }
    findings
}

#[test]
fn every_module_is_on_the_map() {
    let floors = floors();
    let missing: Vec<_> = rust_files("src")
        .iter()
        .filter_map(|path| Some((module(path)?, path)))
        .filter(|(module, _)| !floors.contains_key(module))
        .map(|(module, path)| format!("  {}:1: `{module}` has no row", path.display()))
        .collect();
    nothing(&missing, "src/ARCHITECTURE.md names every module with its floor");
}

#[test]
fn a_module_uses_only_lower_floors() {
    let floors = floors();
    let mut findings = Vec::new();
    for source in sources() {
        let Some(user) = module(&source.path) else { continue };
        for path in &source.paths {
            let Some(used) = path.text.strip_prefix("crate::").and_then(|rest| rest.split("::").next()) else {
                continue;
            };
            let (Some(here), Some(there)) = (floors.get(&user), floors.get(used)) else { continue };
            if used != user && there >= here {
                let place = at(&source, path.line);
                findings.push(format!("{place}: `{user}` (floor {here}) uses `{used}` (floor {there})"));
            }
        }
    }
    nothing(&findings, "a module uses only lower floors, and neighbours do not know each other");
}

#[test]
fn http_is_served_in_few_places() {
    let http = |path: &str| ["axum", "hyper", "hyper_util", "tower"].iter().any(|name| below(path, name));
    let mut findings = uses(&["http", "facade", "console", "app"], false, http);
    // Spoken, not served.
    findings
        .retain(|finding| !["src/adapters/soap/", "src/web/"].iter().any(|at| finding.trim_start().starts_with(at)));
    nothing(&findings, "HTTP belongs to http, facade, console and app; it is spoken in adapters::soap and web");
}

#[test]
fn sql_stands_in_staging() {
    let mut findings = uses(&["staging"], false, |path| below(path, "rusqlite"));
    let statements = ["SELECT ", "INSERT INTO ", "INSERT OR ", "UPDATE ", "DELETE FROM ", "CREATE TABLE ", "PRAGMA "];
    for source in sources() {
        // What a SQL Server is asked about itself is no SQL of ours.
        let is_catalog = source.path.starts_with("src/adapters/sql_server");
        if is_catalog || module(&source.path).is_some_and(|module| module == "staging") {
            continue;
        }
        let sql = source.strings.iter().filter(|s| statements.iter().any(|word| s.text.trim_start().starts_with(word)));
        findings.extend(sql.map(|string| format!("{}: SQL in a string", at(&source, string.line))));
    }
    nothing(&findings, "SQL for staging stands only in staging");
}

#[test]
fn unsafe_code_stands_in_one_file() {
    let mut findings = Vec::new();
    for path in ["src", "tests", "benches"].into_iter().flat_map(rust_files) {
        let is_the_one = path == Path::new("src/adapters/odbc/raw.rs");
        let text = std::fs::read_to_string(root().join(&path)).unwrap();
        for (index, line) in text.lines().enumerate() {
            let allows = line.contains("allow(") && line.contains(concat!("unsafe", "_code"));
            if allows && !is_the_one {
                findings.push(format!("  {}:{}", path.display(), index + 1));
            }
        }
        let reasons = text.matches("// SAFETY: ").count();
        let uses = text.matches(concat!("unsafe", " {")).count() + text.matches(concat!("unsafe", " impl")).count();
        if is_the_one && reasons < uses {
            findings.push(format!("  {}: {uses} uses of `unsafe`, {reasons} reasons", path.display()));
        }
    }
    nothing(&findings, "`unsafe` stands in adapters::odbc::raw, each use with the reason why it is sound");
}

#[test]
fn decoding_and_mapping_are_pure() {
    let impure = |path: &str| {
        let outside = [
            "std::fs",
            "std::net",
            "std::process",
            "std::env",
            "std::thread",
            "std::time::Instant",
            "std::time::SystemTime",
        ];
        let clock = path.ends_with("Timestamp::now") || path.ends_with("Zoned::now");
        clock || below(path, "tokio") || outside.iter().any(|name| below(path, name))
    };
    // A thread that is given bytes and gives cells: it stands in for a coroutine, and reads nothing by itself.
    let is_coroutine =
        |finding: &String| finding.contains("src/decode/excel/producer.rs") && finding.contains("std::thread");
    let mut findings = uses(&["decode", "mapping", "record", "diagnostic"], true, impure);
    findings.retain(|finding| !is_coroutine(finding));
    nothing(&findings, "decode, mapping and below do no I/O and have no clock");
}

#[test]
fn the_served_side_knows_no_source() {
    let source = |path: &str| {
        ["crate::adapters", "crate::landing", "crate::decode", "crate::staging::sqlite"]
            .iter()
            .any(|name| below(path, name))
    };
    nothing(
        &uses(&["http", "facade", "console"], true, source),
        "facade and console name no adapter, no landing and no concrete staging",
    );
}

#[test]
fn adapters_know_neither_mapping_nor_staging_nor_http() {
    let forbidden =
        |path: &str| ["crate::mapping", "crate::staging", "crate::landing"].iter().any(|name| below(path, name));
    nothing(&uses(&["adapters"], true, forbidden), "adapters are doors only");
}

#[test]
fn every_file_says_what_it_is_for() {
    let mut findings = Vec::new();
    for path in rust_files("src") {
        let is_root = path == Path::new("src/lib.rs") || path == Path::new("src/main.rs");
        let text = std::fs::read_to_string(root().join(&path)).unwrap();
        if !is_root && !text.starts_with("//! ") {
            findings.push(format!("  {}:1", path.display()));
        }
    }
    nothing(&findings, "every file opens with `//!`: what it is for, why it is so, what it does not know");
}

#[test]
fn files_are_of_a_size_to_read() {
    let mut findings = Vec::new();
    let mut lengths = BTreeMap::new();
    for path in
        ["src", "tests", "benches"].iter().filter(|folder| root().join(folder).is_dir()).flat_map(|f| rust_files(f))
    {
        let lines = std::fs::read_to_string(root().join(&path)).unwrap().lines().count();
        lengths.insert(path.display().to_string(), lines);
        let allowed =
            LARGE_FILES.iter().find(|(name, _)| Path::new(name) == path).map_or(MOST_LINES, |(_, lines)| *lines);
        if lines > allowed {
            findings.push(format!("  {}:{lines}: more than {allowed} lines: is it one idea?", path.display()));
        }
    }
    for (name, allowed) in LARGE_FILES {
        match lengths.get(*name) {
            Some(lines) if lines == allowed && *lines > MOST_LINES => {}
            Some(lines) => {
                findings.push(format!("  {name}: has {lines} lines; the list of large files says {allowed}"))
            }
            None => findings.push(format!("  {name}: is gone; take it off the list of large files")),
        }
    }
    nothing(&findings, "no file is longer than 600 lines");
}

#[test]
fn a_folder_has_its_mod_file() {
    let mut findings = Vec::new();
    for path in rust_files("src") {
        let twin = root().join(path.with_extension(""));
        if twin.is_dir() && rust_files("src").iter().any(|other| other.starts_with(path.with_extension(""))) {
            findings.push(format!("  {}:1: belongs into {}/mod.rs", path.display(), path.with_extension("").display()));
        }
    }
    nothing(&findings, "a module with files of its own lies in its folder's mod.rs");
}

/// What a fresh clone on another machine cannot have.
#[test]
fn nothing_names_the_machine_it_was_written_on() {
    // Spelled in halves, so that this file does not name them either.
    let foreign = [["/ho", "me/"], ["/ro", "ot/"], ["/wo", "rk/"], ["/Us", "ers/"], ["bash_", "jobs"]]
        .map(|halves| halves.concat());
    let skipped = ["target", "var", ".git"];
    let mut findings = Vec::new();
    for path in files_outside(&skipped) {
        // Data of legacy systems is not text of ours.
        let Ok(text) = std::fs::read_to_string(root().join(&path)) else { continue };
        for (number, line) in text.lines().enumerate() {
            if let Some(name) = foreign.iter().find(|name| names_path(line, name)) {
                findings.push(format!("  {}:{}: {name}", path.display(), number + 1));
            }
        }
    }
    nothing(&findings, "no path of one machine in the project");
}

/// All files of the repository outside folders with these names.
fn files_outside(skipped: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if skipped.contains(&name.as_str()) {
            continue;
        }
        if path.is_dir() {
            found.extend(files(&name).into_iter().filter(|f| !f.iter().any(|part| skipped.iter().any(|s| part == *s))));
        } else {
            found.push(PathBuf::from(name));
        }
    }
    found
}

/// True when the line has the absolute path, not a longer one that merely ends so (`/api/home/x`).
fn names_path(line: &str, name: &str) -> bool {
    let before_is_path =
        |at: usize| line[..at].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '}' | ')'));
    line.match_indices(name).any(|(at, _)| !before_is_path(at))
}
