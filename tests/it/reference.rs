//! The reference tables of `docs` are those of the code: same keys, shapes, defaults, words.
//!
//! `UPDATE_REFERENCE=1 cargo test --test it reference` writes them anew.

use std::path::Path;

use tollbridge::config::{config_reference, mapping_reference};
use tollbridge::mapping::preset_reference;

fn check(page: &str, name: &str, expected: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(page);
    let text = std::fs::read_to_string(&path).unwrap();
    let (begin, end) = (format!("<!-- reference:{name}:begin -->"), format!("<!-- reference:{name}:end -->"));
    let start = text.find(&begin).unwrap_or_else(|| panic!("{page} has no {begin}")) + begin.len();
    let stop = text.find(&end).unwrap_or_else(|| panic!("{page} has no {end}"));
    let wanted = format!("\n\n{expected}\n");
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        std::fs::write(&path, format!("{}{wanted}{}", &text[..start], &text[stop..])).unwrap();
        return;
    }
    assert_eq!(&text[start..stop], wanted, "run: UPDATE_REFERENCE=1 cargo test --test it reference");
}

#[test]
fn every_key_and_default_stands_in_the_reference() {
    check("configuration.md", "config", &config_reference());
    check("mapping.md", "mapping", &mapping_reference());
    check("mapping.md", "presets", &preset_reference());
}
