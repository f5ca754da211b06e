//! Tables that translate values between systems, read from CSV files when the mapping is compiled.

use std::collections::HashMap;
use std::sync::Arc;

use csv_core::ReadRecordResult;

use super::sections::{LOOKUP, NOT_IN_LOOKUP, without_unavailable};
use crate::diagnostic::{Diagnostic, Faults, Node, SourceText, Table, nearest};

/// What happens to a value that a table does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    Reject,
    Null,
    Keep,
}

pub(super) const MISSING: &[(&str, Missing)] =
    &[("reject", Missing::Reject), ("null", Missing::Null), ("keep", Missing::Keep)];

/// A table, ready to be asked.
#[derive(Debug)]
pub(super) struct Lookup {
    /// Its name in the mapping.
    pub(super) name: String,
    /// What happens to a value that it does not have.
    pub(super) missing: Missing,
    entries: HashMap<String, String>,
}

impl Lookup {
    /// What `key` is translated to.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.entries.get(key).map(String::as_str)
    }

    /// Reads `[lookups.NAME]` and the file it names.
    pub(super) fn compile(
        name: &str,
        node: &Node,
        texts: &dyn Fn(&str) -> Option<Arc<SourceText>>,
        faults: &Faults,
    ) -> Option<Lookup> {
        let node = without_unavailable(node, "lookups.NAME", NOT_IN_LOOKUP, faults);
        let table = Table::new(&node, &LOOKUP, faults)?;
        let path = table.filled("csv");
        let delimiter = table.read("delimiter", |node| match node.as_str().map(str::as_bytes) {
            Some([byte]) if byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r') => Ok(*byte),
            _ => Err("one ASCII character is wanted, like \";\"".to_owned()),
        });
        let (key, value) = (table.filled("key"), table.filled("value"));
        let missing = table.one_of("missing", MISSING)?;
        let (path, delimiter, key, value) = (path?, delimiter?, key?, value?);
        let Some(text) = texts(&path) else {
            if let Some(node) = table.get("csv") {
                table.fail(
                    node.fault(format!("the file `{path}` cannot be read"))
                        .help("paths are relative to the mapping file"),
                );
            }
            return None;
        };
        let rows = rows(&text.text, delimiter);
        let Some((_, header)) = rows.first() else {
            faults.push(Diagnostic::new(&text, 0..0, "the file is empty").help("its first row names the columns"));
            return None;
        };
        let column = |wanted: &str, place: &str| {
            let found = header.iter().position(|column| column == wanted);
            if found.is_none()
                && let Some(node) = table.get(place)
            {
                let fault = node.fault(format!("`{path}` has no column `{wanted}`"));
                let names = header.iter().map(String::as_str);
                table.fail(match nearest(wanted, names.clone()) {
                    Some(near) => fault.help(format!("did you mean `{near}`?")),
                    None => fault.help(format!("its columns are: {}", names.collect::<Vec<_>>().join(", "))),
                });
            }
            found
        };
        let (key, value) = (column(&key, "key"), column(&value, "value"));
        let (key, value) = (key?, value?);
        let mut entries: HashMap<String, String> = HashMap::new();
        let mut sound = true;
        for (start, row) in &rows[1..] {
            let fault = match (row.get(key), row.get(value)) {
                (Some(key), Some(value)) => match entries.insert(key.clone(), value.clone()) {
                    Some(other) if other != *value => format!("`{key}` is translated to `{other}` and to `{value}`"),
                    _ => continue,
                },
                _ => format!("the row has {} columns, the header has {}", row.len(), header.len()),
            };
            sound = false;
            faults.push(Diagnostic::new(&text, *start..*start, fault));
        }
        sound.then(|| Lookup { name: name.to_owned(), missing, entries })
    }
}

/// All rows with the byte at which each begins. Blank lines are no rows.
fn rows(text: &str, delimiter: u8) -> Vec<(usize, Vec<String>)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = csv_core::ReaderBuilder::new().delimiter(delimiter).build();
    let mut rows = Vec::new();
    let (mut output, mut ends) = (vec![0u8; text.len() + 1], vec![0usize; text.len() + 2]);
    let mut at = 0;
    loop {
        let input = &text.as_bytes()[at..];
        // One record is never larger than the whole text, so the buffers suffice.
        let (mut read, mut written, mut fields) = (0, 0, 0);
        let result = loop {
            let (result, r, w, f) = reader.read_record(&input[read..], &mut output[written..], &mut ends[fields..]);
            read += r;
            written += w;
            fields += f;
            if !matches!(result, ReadRecordResult::InputEmpty) {
                break result;
            }
        };
        if !matches!(result, ReadRecordResult::Record) {
            return rows;
        }
        let blank = input.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let mut row = Vec::with_capacity(fields);
        let mut start = 0;
        for &end in &ends[..fields] {
            row.push(String::from_utf8_lossy(&output[start..end]).into_owned());
            start = end;
        }
        rows.push((at + blank, row));
        at += read;
    }
}

#[cfg(test)]
mod tests {
    use super::Lookup;
    use crate::diagnostic::{Faults, SourceText, parse};
    use std::path::Path;

    const TABLE: &str = "csv = \"ids.csv\"\ndelimiter = \";\"\nkey = \"erp_no\"\nvalue = \"uuid\"\n";

    fn compile(mapping: &str, csv: &str) -> Result<Lookup, Vec<String>> {
        let source = SourceText::new(Path::new("m.toml"), mapping.to_owned());
        let file = SourceText::new(Path::new("ids.csv"), csv.to_owned());
        let faults = Faults::new();
        let root = parse(&source, &faults);
        let texts = |path: &str| (path == "ids.csv").then(|| file.clone());
        Lookup::compile("ids", &root, &texts, &faults)
            .ok_or_else(|| faults.into_sorted().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn translates() {
        let lookup = compile(TABLE, "\u{feff}uuid;erp_no\r\na-1;1\r\n\r\n\"b;\"\"2\";2").unwrap();
        assert_eq!(lookup.get("1"), Some("a-1"));
        assert_eq!(lookup.get("2"), Some("b;\"2"));
        assert_eq!(lookup.get("3"), None);
    }

    #[test]
    fn faults() {
        let fault = |mapping: &str, csv: &str| compile(mapping, csv).unwrap_err().join("\n");
        assert!(fault(TABLE, "uuid;erp\na;1\n").contains("no column `erp_no`"));
        assert!(fault(TABLE, "uuid;erp_no\na;1\nb;1\n").contains("ids.csv:3:1: `1` is translated to `a` and to `b`"));
        assert!(fault(TABLE, "uuid;erp_no\na\n").contains("ids.csv:2:1: the row has 1 columns"));
        assert!(fault(TABLE, "").contains("the file is empty"));
        assert!(fault(&TABLE.replace("ids.csv", "other.csv"), "").contains("cannot be read"));
    }
}
