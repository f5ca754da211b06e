//! What a data file looks like, with the evidence: encoding, line ends, delimiter, header, columns; or fixed columns; or
//! records without lines. It looks at the beginning of a file and at its size, opens nothing, and only proposes: what
//! it finds is for a person to judge.

mod advice;
mod charset;
mod dialect;
mod interchange;
mod kinds;
mod lines;
mod magic;
mod outline;
mod records;
mod table;

use self::lines::LineEnds;
use super::excel;

pub use kinds::Column;

/// So many bytes of a file are worth looking at; more make it slower, not better.
pub const SAMPLE: usize = 1 << 20;

/// What is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// The beginning of the file, at most [`SAMPLE`] bytes.
    pub start: &'a [u8],
    /// How long the whole file is.
    pub size: u64,
    /// What it is called, for the proposals.
    pub path: &'a str,
}

/// Something that was found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// What it is about: `encoding`, `delimiter`.
    pub about: &'static str,
    /// What was found.
    pub found: String,
    /// What it was concluded from.
    pub because: String,
}

/// All that was found out about a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// `csv`, `fixed_width`, `records`, `text`, `binary`, `empty`, or the name of a known format: `gzip`, `excel`, `xml`, `x12`.
    pub kind: &'static str,
    /// The same in words.
    pub title: String,
    /// What was found, in the order in which people ask.
    pub evidence: Vec<Evidence>,
    /// The columns of a CSV file.
    pub columns: Vec<Column>,
    /// The lines `name,start,length` of fixed columns.
    pub spec: Vec<String>,
    /// The `[source]` tables of a mapping for such files.
    pub toml: Option<String>,
    /// The command that decodes the file.
    pub command: Option<String>,
}

impl Report {
    fn add(&mut self, about: &'static str, found: impl Into<String>, because: impl Into<String>) {
        self.evidence.push(Evidence { about, found: found.into(), because: because.into() });
    }
}

/// Adds what the sheets of a workbook look like, which cannot be seen at its beginning; `max_mib` is what let it be looked at.
pub fn workbook(report: &mut Report, sheets: &[excel::Outline], path: &str, max_mib: Option<u64>) {
    (report.kind, report.title) = ("excel", "a workbook".to_owned());
    for sheet in sheets {
        let because = match (&sheet.area, sheet.header_row) {
            (None, _) => "it has no cells".to_owned(),
            (Some(area), None) => format!("{} rows in {area}; no row is plainly one of names", sheet.rows),
            (Some(area), Some(header)) => {
                format!("{} rows in {area}; the names of {} columns in row {header}", sheet.rows, sheet.columns.len())
            }
        };
        report.add("sheet", &sheet.name, because);
    }
    // The one with the most cells is the one that people mean.
    let Some((index, sheet)) = sheets
        .iter()
        .enumerate()
        .filter(|(_, sheet)| sheet.header_row.is_some())
        .max_by_key(|(index, sheet)| (sheet.rows * sheet.columns.len(), usize::MAX - index))
    else {
        return;
    };
    report.columns = sheet
        .columns
        .iter()
        .map(|(name, cells)| Column::of(name.clone(), &cells.iter().map(String::as_str).collect::<Vec<_>>()))
        .collect();
    let sheet = ((index > 0).then_some(sheet.name.as_str()), sheet.range.as_deref());
    advice::excel(report, path, sheet, max_mib);
}

/// Looks at a file.
pub fn sniff(sample: &Sample<'_>) -> Report {
    let mut report = Report::default();
    let bytes = sample.start;
    let whole = bytes.len() as u64 >= sample.size;
    if bytes.is_empty() {
        (report.kind, report.title) = ("empty", "an empty file".to_owned());
        return report;
    }
    if let Some(known) = magic::kind(bytes) {
        (report.kind, report.title) = (known.kind, known.what.to_owned());
        report.add("format", known.what, known.because);
        match known.kind {
            "xml" => outline::report(&mut report, sample, whole),
            "x12" | "edifact" => interchange::edi(&mut report, sample, whole),
            "idoc" => interchange::idoc(&mut report, sample, whole),
            _ => {}
        }
        return report;
    }
    if !whole {
        report.add("looked at", format!("the first {} bytes", bytes.len()), format!("the file has {}", sample.size));
    }
    let Some(guess) = charset::guess(bytes, whole) else {
        (report.kind, report.title) = ("binary", "binary records".to_owned());
        report.add("encoding", "none", "too many bytes are control characters for a text");
        advice::records(&mut report, sample, "", whole);
        return report;
    };
    report.add("encoding", &guess.name, &guess.because);
    let nuls = bytes.iter().filter(|byte| **byte == 0).count();
    let ends = LineEnds::of(bytes, &guess);
    if guess.is_ebcdic && !ends.are_lines(bytes) {
        (report.kind, report.title) = ("records", "EBCDIC records without lines".to_owned());
        advice::records(&mut report, sample, &guess.name, whole);
        return report;
    }
    ends.report(&mut report);
    let has_nuls = nuls > 0 && !guess.name.starts_with("utf-16");
    if has_nuls {
        report.add("NUL", format!("{nuls} characters"), "`nul` says what becomes of them");
    }
    // Of EBCDIC what ends lines has a character of its own.
    let dialect = if guess.is_ebcdic {
        dialect::guess(&guess.text.replace('\u{85}', "\n"), whole)
    } else {
        dialect::guess(&guess.text, whole)
    };
    let fixed = lines::fixed(&guess, whole);
    let table = dialect.as_ref().and_then(|dialect| {
        let lines = whole.then(|| lines::count(&guess.text));
        let table = table::find(&dialect.rows, lines)?;
        // Text with a comma here and there is no table, and blanks in fixed columns are no delimiters.
        let is_blank = dialect.settings.delimiter == " ";
        let needed = if is_blank { 9 } else { 5 };
        (table.regular * 10 >= table.rows * needed && !(is_blank && fixed.is_some())).then_some(table)
    });
    match (dialect, table, fixed) {
        (Some(dialect), Some(table), _) => advice::csv(&mut report, sample, &guess, &ends, dialect, table, has_nuls),
        (_, _, Some(fixed)) => advice::fixed(&mut report, sample, &guess, &fixed),
        _ => {
            (report.kind, report.title) = ("text", "text of lines".to_owned());
            report.add("delimiter", "none", "no character cuts most lines into the same number of cells");
        }
    }
    report
}

#[cfg(test)]
mod tests {
    use super::{Sample, sniff};
    use proptest::prelude::*;

    #[test]
    fn an_unclosed_quote_in_few_rows_changes_neither_quote_nor_header() {
        let bytes = b"no,name,price\n1,Hammer,10\n2,\"Saw,5\n3,Axe,7\n";
        let report = sniff(&Sample { start: bytes, size: bytes.len() as u64, path: "x.csv" });
        let toml = report.toml.unwrap();
        assert!(!toml.contains("header = false") && !toml.contains("quote ="), "{toml}");
    }

    proptest! {
        /// Whatever a file holds, looking at it ends with an answer.
        #[test]
        fn any_bytes_have_an_answer(
            bytes in prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..300),
                "[a-c1-3,;|\"'\\\\\n\r #.\u{e4}]{0,200}".prop_map(String::into_bytes),
                proptest::collection::vec(proptest::sample::select(&b"\xC1\xF1\x40\x15\x25\x0C\0"[..]), 0..300),
            ],
            more in 0u64..2,
        ) {
            let size = bytes.len() as u64 + more;
            let report = sniff(&Sample { start: &bytes, size, path: "x.csv" });
            prop_assert!(!report.kind.is_empty() && !report.title.is_empty());
        }
    }
}
