//! From what was found to what can be pasted: a `[source]` table and a command.

use super::charset::Guess;
use super::dialect::Dialect;
use super::lines::{Fixed, LineEnds};
use super::records::{chain, lengths};
use super::table::Table;
use super::{Report, Sample};
use crate::decode::code_page::Family;
use crate::decode::{CodePage, MAX_RECORD};

/// How the proposed tables begin; the name of the backend is for a person to put in.
const SOURCE: &str = "[source]\nbackend = \"BACKEND\"\n";

/// A setting as a mapping's key and as an option, both with their values as they are written.
struct Setting {
    key: &'static str,
    toml: String,
    option: String,
}

/// Settings that differ from what holds without them.
#[derive(Default)]
struct Settings(Vec<Setting>);

impl Settings {
    fn add(&mut self, key: &'static str, toml: String, option: String) {
        self.0.push(Setting { key, toml, option });
    }

    /// A key whose option is called like it.
    fn text(&mut self, key: &'static str, value: &str) {
        self.add(key, toml_string(value), format!("--{} {}", key.replace('_', "-"), shell_word(value)));
    }

    fn number(&mut self, key: &'static str, value: u64) {
        self.add(key, value.to_string(), format!("--{} {value}", key.replace('_', "-")));
    }

    fn toml(&self) -> String {
        self.0
            .iter()
            .filter(|setting| !setting.toml.is_empty())
            .map(|Setting { key, toml, .. }| format!("{key} = {toml}\n"))
            .collect()
    }

    fn options(&self) -> String {
        self.0
            .iter()
            .filter(|setting| !setting.option.is_empty())
            .map(|setting| format!(" {}", setting.option))
            .collect()
    }
}

/// A TOML basic string.
fn toml_string(text: &str) -> String {
    let mut quoted = String::from("\"");
    for char in text.chars() {
        match char {
            '"' | '\\' => quoted.extend(['\\', char]),
            '\t' => quoted.push_str("\\t"),
            char if char.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(char))),
            char => quoted.push(char),
        }
    }
    quoted + "\""
}

/// A word as a shell takes it.
fn shell_word(text: &str) -> String {
    let is_plain = |char: char| char.is_ascii_alphanumeric() || "-_./,=".contains(char);
    match text {
        "\t" => "tab".to_owned(),
        text if !text.is_empty() && text.chars().all(is_plain) => text.to_owned(),
        text if text.chars().any(char::is_control) => {
            let escaped: String = text.chars().map(|char| format!("\\x{:02x}", u32::from(char))).collect();
            format!("$'{escaped}'")
        }
        text => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

/// A pattern for files like this one: its name with `*` for the first digit and all behind it.
fn pattern(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    let (stem, ending) = name.rsplit_once('.').map_or((name, ""), |(stem, ending)| (stem, ending));
    let letters = stem.split(|char: char| char.is_ascii_digit()).next().unwrap_or_default();
    let start = letters.trim_end_matches(['_', '-', '.', ' ']);
    let dot = if ending.is_empty() { "" } else { "." };
    if start.is_empty() { format!("*{dot}{ending}") } else { format!("{start}*{dot}{ending}") }
}

/// How to read an XML file.
pub(super) struct XmlAdvice<'a> {
    pub(super) record_path: &'a str,
    pub(super) arrays: &'a [&'a str],
}

pub(super) fn xml(report: &mut Report, sample: &Sample<'_>, found: &XmlAdvice<'_>) {
    let mut settings = Settings::default();
    settings.text("record_path", found.record_path);
    if !found.arrays.is_empty() {
        let arrays: Vec<String> = found.arrays.iter().map(|name| toml_string(name)).collect();
        let options: Vec<String> = found.arrays.iter().map(|name| format!("--array {}", shell_word(name))).collect();
        settings.add("arrays", format!("[{}]", arrays.join(", ")), options.join(" "));
    }
    let files = toml_string(&pattern(sample.path));
    report.toml = Some(format!("{SOURCE}[source.xml]\nfiles = {files}\n{}", settings.toml()));
    report.command = Some(format!("tollbridge decode {}{}", shell_word(sample.path), settings.options()));
}

/// How to read a sheet of a workbook; `range` begins with the row of names. Of both what is not taken without being said.
pub(super) fn excel(
    report: &mut Report,
    path: &str,
    (sheet, range): (Option<&str>, Option<&str>),
    max_mib: Option<u64>,
) {
    let mut settings = Settings::default();
    if let Some(sheet) = sheet {
        settings.text("sheet", sheet);
    }
    // The first row is taken for that of the names without being asked.
    if let Some(range) = range.filter(|range| !range.starts_with("A1:")) {
        settings.text("range", range);
    }
    if let Some(mib) = max_mib {
        settings.number("max_mib", mib);
    }
    let files = toml_string(&pattern(path));
    report.toml = Some(format!("{SOURCE}[source.excel]\nfiles = {files}\n{}", settings.toml()));
    report.command = Some(format!("tollbridge decode {} --format excel{}", shell_word(path), settings.options()));
}

/// How to read files of a format that needs no settings.
pub(super) fn plain(report: &mut Report, sample: &Sample<'_>, format: &str) {
    let files = toml_string(&pattern(sample.path));
    report.toml = Some(format!("{SOURCE}[source.{format}]\nfiles = {files}\n"));
    report.command = Some(format!("tollbridge decode {} --format {format}", shell_word(sample.path)));
}

pub(super) fn csv(
    report: &mut Report,
    sample: &Sample<'_>,
    guess: &Guess,
    ends: &LineEnds,
    dialect: Dialect,
    table: Table,
    has_nuls: bool,
) {
    (report.kind, report.title) = ("csv", "delimited text".to_owned());
    let written = &dialect.settings;
    let shown = match written.delimiter.as_str() {
        "\t" => "tab".to_owned(),
        text if text.chars().any(char::is_control) => format!("{text:?}"),
        text => text.to_owned(),
    };
    let next =
        dialect.next.as_ref().map(|(other, score)| format!(", next best {other:?} {score:.3}")).unwrap_or_default();
    let regular =
        format!("{} cells in {} of {} rows (score {:.3}{next})", table.width, table.regular, table.rows, dialect.score);
    report.add("delimiter", shown, regular);
    let quote = written.quote.map_or("none".to_owned(), |quote| char::from(quote).to_string());
    let because = match (dialect.quoted_rows, written.quote) {
        _ if dialect.is_unsure => {
            "not sure: a quote is not closed in one of few rows; if it is text, say that there is none".to_owned()
        }
        (_, None) => "quotes stand inside cells and not around them".to_owned(),
        (0, _) => "none seen; the usual one does no harm".to_owned(),
        (rows, _) => format!("{rows} rows have cells in quotes"),
    };
    report.add("quote", quote, because);
    if let Some(escape) = written.escape {
        report.add("escape", char::from(escape), "stands before quotes and delimiters that are text");
    }
    if table.preamble_lines > 0 {
        let because = format!("line {} is the first of {} cells", table.preamble_lines + 1, table.width);
        report.add("preamble", format!("{} lines", table.preamble_lines), because);
    }
    if let Some(comment) = &table.comment {
        report.add("comments", comment, "all lines that are no rows begin so");
    }
    report.add("header", if table.header.is_some() { "yes" } else { "no" }, &table.header_because);
    if table.footer_lines > 0 {
        report.add("footer", format!("{} lines", table.footer_lines), "behind the last row of this width");
    }
    if table.ragged > 0 {
        let because = "`ragged` says what becomes of them; without it they are rejected";
        report.add("ragged", format!("{} rows of other widths", table.ragged), because);
    }
    if table.repeated > 0 {
        report.add("repeated header", format!("{} rows", table.repeated), "the header comes again between the rows");
    }

    let mut settings = Settings::default();
    if guess.name != "utf-8" {
        settings.text("encoding", &guess.name);
    }
    if written.delimiter != "," {
        settings.text("delimiter", &written.delimiter);
    }
    if written.quote != Some(b'"') {
        settings.text("quote", &written.quote.map(|quote| char::from(quote).to_string()).unwrap_or_default());
    }
    if let Some(escape) = written.escape {
        settings.text("escape", &char::from(escape).to_string());
    }
    let columns: Vec<&str> = report_names(&table);
    if table.header.is_none() {
        settings.add("header", "false".to_owned(), "--no-header".to_owned());
    }
    for (key, lines) in [("preamble_lines", table.preamble_lines), ("footer_lines", table.footer_lines)] {
        if lines > 0 {
            settings.number(key, lines);
        }
    }
    if let Some(comment) = &table.comment {
        settings.text("comment", comment);
    }
    if table.repeated > 0 {
        settings.text("repeated_header", "skip");
    }
    if has_nuls {
        settings.text("nul", "strip");
    }
    // Encoding has to know what decoding takes of itself.
    match ends {
        _ if ends.is_ebcdic() => {}
        LineEnds { crlf: 0, cr: 0, lf: 1.., .. } => settings.add("line_end", String::new(), "--line-end lf".to_owned()),
        LineEnds { crlf: 0, lf: 0, cr: 1.., .. } => settings.add("line_end", String::new(), "--line-end cr".to_owned()),
        _ => {}
    }
    let names: Vec<String> = columns.iter().map(|name| toml_string(name)).collect();
    let is_whole_header = columns.iter().collect::<std::collections::HashSet<_>>().len() == columns.len();
    if is_whole_header {
        settings.add("columns", format!("[{}]", names.join(", ")), String::new());
    }
    if table.header.is_some() && is_whole_header {
        settings.add("header_match", "\"identical\"".to_owned(), String::new());
    }
    let (point, grouping) = table
        .columns
        .iter()
        .fold((None, None), |(point, grouping), column| (point.or(column.marks.0), grouping.or(column.marks.1)));
    let mut common = String::new();
    if point == Some(',') {
        common.push_str("decimal_point = \",\"\n");
    }
    if let Some(grouping) = grouping {
        common.push_str(&format!("grouping = {}\n", toml_string(&grouping.to_string())));
    }
    let source = format!("{SOURCE}{common}");
    let files = toml_string(&pattern(sample.path));
    report.toml = Some(format!("{source}[source.csv]\nfiles = {files}\n{}", settings.toml()));
    report.command = Some(format!("tollbridge decode {} --format csv{}", shell_word(sample.path), settings.options()));
    report.columns = table.columns;
}

/// The names as a mapping would declare them.
fn report_names(table: &Table) -> Vec<&str> {
    match &table.header {
        // A blank name is none to declare.
        Some(names) => names.iter().map(String::as_str).filter(|name| !name.is_empty()).collect(),
        None => table.columns.iter().map(|column| column.name.as_str()).collect(),
    }
}

pub(super) fn fixed(report: &mut Report, sample: &Sample<'_>, guess: &Guess, fixed: &Fixed) {
    (report.kind, report.title) = ("fixed_width", "text in fixed columns".to_owned());
    let because = format!("{} of {} lines are so long", fixed.regular, fixed.lines);
    report.add("line length", format!("{} characters", fixed.length), because);
    report.add(
        "columns",
        format!("{} at least", fixed.columns.len()),
        "so many are set apart by blanks in every line; those that touch one another show as one",
    );
    report.spec = fixed
        .columns
        .iter()
        .zip(1..)
        .map(|((start, length), number)| format!("field_{number},{start},{length}"))
        .collect();
    let mut settings = Settings::default();
    settings.text("spec", "fields.spec");
    if guess.name != "utf-8" {
        settings.text("encoding", &guess.name);
    }
    if fixed.header_lines > 0 {
        settings.number("header_lines", fixed.header_lines as u64);
    }
    let files = toml_string(&pattern(sample.path));
    report.toml = Some(format!("{SOURCE}[source.fixed_width]\nfiles = {files}\n{}", settings.toml()));
    report.command = Some(format!("tollbridge decode {}{}", shell_word(sample.path), settings.options()));
}

/// Records without lines: how long they are.
pub(super) fn records(report: &mut Report, sample: &Sample<'_>, encoding: &str, whole: bool) {
    let mut settings = Settings::default();
    settings.add("copybook", "\"COPYBOOK\"".to_owned(), "--copybook COPYBOOK".to_owned());
    if !encoding.is_empty() && encoding != "cp037" {
        settings.text("encoding", encoding);
    }
    let is_ebcdic = CodePage::find(encoding).is_ok_and(|page| page.family() == Family::Ebcdic);
    let found = lengths(sample.start, sample.size);
    if let Some(chain) = chain(sample.start, whole) {
        let own = if chain.counts_itself { "counting" } else { "not counting" };
        let because = format!("{} records follow one another by their lengths, {own} the word itself", chain.records);
        report.add("framing", chain.framing, because);
        settings.text("framing", chain.framing);
    } else if found.is_empty() {
        report.add(
            "record length",
            "unknown",
            format!("the bytes do not repeat themselves at any distance up to {}", 4096.min(MAX_RECORD)),
        );
    }
    for length in &found {
        let size = if length.divides { "divides" } else { "does not divide" };
        let because = format!(
            "{:.0} % of all bytes are the same so much further on; it {size} the size of the file",
            length.alike * 100.0
        );
        report.add("record length", format!("{} bytes", length.bytes), because);
    }
    if is_ebcdic {
        let files = toml_string(&pattern(sample.path));
        report.toml = Some(format!("{SOURCE}[source.cobol]\nfiles = {files}\n{}", settings.toml()));
        report.command = Some(format!("tollbridge decode {}{}", shell_word(sample.path), settings.options()));
    }
}

#[cfg(test)]
mod tests {
    use super::{pattern, shell_word, toml_string};

    #[test]
    fn words_as_they_are_pasted() {
        assert_eq!(
            [pattern("in/customers_20261031.csv"), pattern("ORD0001.DAT"), pattern("x"), pattern("1.txt")],
            ["customers*.csv", "ORD*.DAT", "x*", "*.txt"]
        );
        assert_eq!(
            [
                shell_word(";"),
                shell_word("\t"),
                shell_word("a.csv"),
                shell_word("it's"),
                shell_word("\u{1}"),
                shell_word("")
            ],
            ["';'", "tab", "a.csv", "'it'\\''s'", "$'\\x01'", "''"]
        );
        assert_eq!(toml_string("a\"\t\u{1f}\\"), r#""a\"\t\u001F\\""#);
    }
}
