//! The README and the pages of `docs` keep what they promise: its example is laid out and run, its samples are what the program says.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::site::Site;

/// The README and the pages of `docs`, one after the other.
pub(crate) fn readme() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    pages().iter().map(|page| std::fs::read_to_string(root.join(page)).unwrap()).collect()
}

/// The paths of what users read.
pub(crate) fn pages() -> Vec<String> {
    let docs = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")).unwrap();
    let mut pages: Vec<_> = docs.map(|page| format!("docs/{}", page.unwrap().file_name().display())).collect();
    pages.sort();
    pages.insert(0, "README.md".to_owned());
    pages
}

/// The fenced block that follows `marker`.
pub(crate) fn block_after<'a>(text: &'a str, marker: &str) -> &'a str {
    let from = marker.len() + text.find(marker).unwrap_or_else(|| panic!("the README has no {marker}"));
    let fence = from + text[from..].find("```").unwrap();
    let start = fence + text[fence..].find('\n').unwrap() + 1;
    &text[start..start + text[start..].find("```").unwrap()]
}

/// The files of the example: name -> content.
fn files(text: &str) -> BTreeMap<String, String> {
    let names = text.lines().filter_map(|line| line.strip_prefix("<!-- file: ")?.strip_suffix(" -->"));
    names.map(|name| (name.to_owned(), block_after(text, &format!("<!-- file: {name} -->")).to_owned())).collect()
}

#[test]
fn the_way_to_ones_own_file_is_walkable() {
    let text = readme();
    let site = Site::new();
    let files = files(&text);
    assert_eq!(files.len(), 3, "{:?}", files.keys());
    for (name, content) in &files {
        site.write(name, content.as_bytes());
    }

    let (report, exit) = site.json(&["check", "--offline"]);
    assert_eq!((exit, &report[0]["resources"]), (0, &json!(["articles.v1"])), "{report:?}");

    let promised = block_after(&text, "/v1/articles/4712\n```").trim().to_owned();
    let preview = site.run(&["preview", "articles.v1", "inbox/articles.csv"]);
    let documents = String::from_utf8(preview.stdout).unwrap();
    assert_eq!(documents.lines().nth(1), Some(promised.as_str()), "{documents}");
    assert_eq!(documents.lines().count(), 2, "{documents}");
    assert!(String::from_utf8_lossy(&preview.stderr).contains("price"));

    let (runs, exit) = site.json(&["sync", "articles.v1"]);
    assert_eq!((exit, &runs[0]["staged"], &runs[0]["dead"]), (1, &json!(2), &json!(1)), "{runs:?}");
    let (letters, _) = site.json(&["dead-letters", "list"]);
    assert_eq!((&letters[0]["field"], &letters[0]["key"]), (&json!("price"), &json!("4713")), "{letters:?}");
    assert!(site.path("archive/articles.csv").is_file());

    let (made, _) = site.json(&["keys", "create", "me", "--scope", "read"]);
    let service = site.serve();
    let served = service.until(|| service.get("/v1/articles/4712", made[0]["key"].as_str().unwrap()).ok());
    assert_eq!(served, promised);
    assert_eq!(service.get("/v1/articles/4712", "wrong"), Err(401));
}

#[test]
fn the_sample_order_is_the_demos() {
    let sample: String = block_after(&readme(), "/v1/orders/2026000003\n```").lines().map(str::trim).collect();
    let expected = include_str!("../../fixtures/demo/expected.ndjson");
    assert!(expected.contains(&format!("\"document\":{sample}}}\n")), "{sample}");
}

/// Each command of the program has a row, and each row is a command.
#[test]
fn the_commands_are_those_of_the_program() {
    let help = Command::new(env!("CARGO_BIN_EXE_tollbridge")).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let listed = commands
        .lines()
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let mut offered: Vec<_> =
        listed.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").collect();

    let text = readme();
    let (_, table) = text.split_once("| command | does |\n| --- | --- |\n").unwrap();
    let rows = table.lines().take_while(|line| line.starts_with('|'));
    let mut written: Vec<_> = rows.filter_map(|row| row.strip_prefix("| `")?.split([' ', '`']).next()).collect();
    offered.sort_unstable();
    written.sort_unstable();
    assert_eq!(written, offered);
}

/// Every example of a request is answered by the demo's mappings: fields that it filters and sorts by are declared.
#[test]
fn requests_shown_use_declared_fields() {
    for line in readme().lines().filter(|line| line.starts_with("get '/v1/") && line.contains('?')) {
        let (name, query) = line.split_once("/v1/").and_then(|(_, rest)| rest.split_once('?')).unwrap();
        let query = query.split_once('\'').unwrap().0;
        let mapping = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/demo/mappings/{name}.v1.toml"));
        let mapping: toml::Table = std::fs::read_to_string(mapping).unwrap().parse().unwrap();
        let declared = |list: &str, field: &str| {
            mapping["serve"][list].as_array().unwrap().iter().any(|f| f.as_str() == Some(field))
        };
        for (parameter, value) in query.split('&').filter_map(|part| part.split_once('=')) {
            match parameter.split('[').next().unwrap() {
                "limit" | "count" | "fields" => {}
                "sort" => assert!(declared("sort", value.trim_start_matches('-')), "{line}"),
                // The one that shows a problem.
                "colour" => assert!(!declared("filter", "colour")),
                field => assert!(declared("filter", field), "{line}"),
            }
        }
    }
}

/// Ten lines, and the demo's copybook is an API over the demo's data.
#[test]
fn a_copybook_becomes_an_api_in_ten_lines() {
    let readme = readme();
    let mapping = block_after(&readme, "<!-- copybook to api -->");
    assert_eq!(mapping.lines().count(), 10);
    let site = Site::with_mappings(&[("orders.v1.toml", mapping)]);
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/demo");
    site.copy(&demo.join("mappings/orders.cpy"), "mappings/orders.cpy");
    site.deliver("ORD1.DAT", &std::fs::read(demo.join("data/ORD20261031.DAT")).unwrap());
    let (summary, _) = site.json(&["sync", "orders"]);
    assert!(summary[0]["staged"].as_u64().unwrap() >= 2000, "{summary:?}");
    let (trace, _) = site.json(&["trace", "orders", "2026000003"]);
    assert!(trace[0]["document"]["lines"].as_array().is_some_and(|lines| !lines.is_empty()), "{trace:?}");
}

/// What a heading is called in a link.
fn anchor(heading: &str) -> String {
    let plain = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
    plain.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect()
}

/// The lines of a page that are not in a fenced block.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut is_fenced = false;
    text.lines().filter(move |line| {
        is_fenced ^= line.trim_start().starts_with("```");
        !is_fenced
    })
}

#[test]
fn links_lead_to_a_page_and_a_heading() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut links = 0;
    for page in pages() {
        let text = std::fs::read_to_string(root.join(&page)).unwrap();
        let folder = root.join(&page).parent().unwrap().to_owned();
        for link in prose(&text).flat_map(|line| line.split("](").skip(1)).filter_map(|rest| rest.split_once(')')) {
            let (target, anchored) = link.0.split_once('#').unwrap_or((link.0, ""));
            if target.starts_with("http") {
                continue;
            }
            links += 1;
            let path = if target.is_empty() { root.join(&page) } else { folder.join(target) };
            assert!(path.exists(), "{page}: {target} is not there");
            if !anchored.is_empty() {
                let there = std::fs::read_to_string(&path).unwrap();
                let is_there = prose(&there).any(|line| line.starts_with('#') && anchor(line) == anchored);
                assert!(is_there, "{page}: {target} has no heading for #{anchored}");
            }
        }
    }
    assert!(links > 10, "{links}");
}
