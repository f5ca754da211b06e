//! What old systems write where they have no value, as defaults of a mapping's fields: `preset = "nav"`.
//!
//! A rule that a field says itself takes the place of the preset's: `null_if` that of the empty dates, `blank`, `trim`,
//! `true_if` and `false_if` each their own.

use jiff::civil::Date;

use super::convert::Matches;
use super::types::Type;
use crate::diagnostic::{Node, Written, nearest};
use crate::record::{Decimal, FieldKind};

/// The habits of a system.
#[derive(Debug, PartialEq, Eq)]
pub struct Preset {
    /// As written in a mapping.
    pub name: &'static str,
    /// Whose habits they are.
    pub system: &'static str,
    /// Days that stand for none, with the reason; years, months, days.
    empty_days: &'static [(i16, i8, i8)],
    /// What stands in the place of a date that is none, where it is no date at all.
    empty_texts: &'static [&'static str],
    /// The same in columns of numbers.
    empty_numbers: &'static [i64],
    /// Texts are filled with blanks to the width of their columns.
    is_padded: bool,
    /// An empty text is no text.
    empty_text_is_null: bool,
    truths: &'static [&'static str],
    falsehoods: &'static [&'static str],
    /// The code page of files that say none, by their format.
    code_pages: &'static [(&'static str, &'static str)],
    /// Why it is so, for the reference.
    because: &'static str,
}

/// Every preset.
pub static PRESETS: &[Preset] = &[
    Preset {
        name: "nav",
        system: "Microsoft Dynamics NAV",
        empty_days: &[(1753, 1, 1)],
        empty_texts: &[],
        empty_numbers: &[],
        is_padded: false,
        empty_text_is_null: false,
        truths: &["1", "Yes", "yes", "Ja", "ja", "true"],
        falsehoods: &["0", "No", "no", "Nein", "nein", "false"],
        code_pages: &[("csv", "cp850"), ("fixed_width", "cp850")],
        because: "its 0D is the first day of SQL Server's `datetime`; booleans are `tinyint`, in exports words; dataports write in the OEM code page",
    },
    Preset {
        name: "ax",
        system: "Microsoft Dynamics AX",
        empty_days: &[(1900, 1, 1), (2154, 12, 31)],
        empty_texts: &[],
        empty_numbers: &[],
        is_padded: false,
        empty_text_is_null: false,
        truths: &["1", "Yes", "yes"],
        falsehoods: &["0", "No", "no"],
        code_pages: &[("csv", "windows-1252"), ("fixed_width", "windows-1252")],
        because: "`dateNull()` is stored as its first day, and its last day means never; `NoYes` is 0 and 1; its files are in the ANSI code page",
    },
    Preset {
        name: "as400",
        system: "IBM i (AS/400)",
        empty_days: &[(1, 1, 1), (9999, 12, 31)],
        empty_texts: &[],
        empty_numbers: &[0, 99_999_999, 999_999],
        is_padded: true,
        empty_text_is_null: false,
        truths: &["1", "Y", "y", "J", "j"],
        falsehoods: &["0", "N", "n"],
        code_pages: &[("csv", "windows-1252"), ("fixed_width", "cp037"), ("cobol", "cp037")],
        because: "`*LOVAL` and `*HIVAL` of a date; dates in numbers are 0 or nines; `CHAR` is padded; files are in EBCDIC, but those that `CPYTOIMPF` writes",
    },
    Preset {
        name: "oracle-forms",
        system: "Oracle Forms",
        empty_days: &[(4712, 12, 31), (9999, 12, 31)],
        empty_texts: &[],
        empty_numbers: &[],
        is_padded: true,
        empty_text_is_null: true,
        truths: &["Y", "y", "J", "j", "1", "T", "t"],
        falsehoods: &["N", "n", "0", "F", "f"],
        code_pages: &[("csv", "windows-1252"), ("fixed_width", "windows-1252")],
        because: "the ends of time that are written for no end; to Oracle an empty text is NULL; check boxes are letters; `TEXT_IO` writes in the ANSI code page of Windows",
    },
    Preset {
        name: "vfp",
        system: "Visual FoxPro",
        empty_days: &[(1899, 12, 30)],
        empty_texts: &["/  /", "-  -", ".  ."],
        empty_numbers: &[0],
        is_padded: true,
        empty_text_is_null: false,
        truths: &["T", "t", "Y", "y", ".T.", "1", "-1"],
        falsehoods: &["F", "f", "N", "n", ".F.", "0"],
        code_pages: &[("csv", "windows-1252"), ("fixed_width", "windows-1252")],
        because: "its drivers give an empty date as day 0 of OLE; exports have the separators alone; logical fields are letters, and -1 through OLE; tables are in code page 1252 where they say no other",
    },
    Preset {
        name: "sap-idoc",
        system: "SAP, in IDocs",
        empty_days: &[(9999, 12, 31)],
        empty_texts: &["/"],
        empty_numbers: &[0],
        is_padded: true,
        empty_text_is_null: false,
        truths: &["X", "x"],
        falsehoods: &["", "-"],
        code_pages: &[],
        because: "an initial `DATS` is 00000000, one without end 99991231, and `/` says no data; a flag is X or blank",
    },
];

impl Preset {
    /// The preset with this name, else what to say.
    pub(super) fn find(name: &str) -> Result<&'static Preset, String> {
        let names = || PRESETS.iter().map(|preset| preset.name);
        PRESETS.iter().find(|preset| preset.name == name).ok_or_else(|| match nearest(name, names()) {
            Some(near) => format!("there is no preset `{name}`; did you mean `{near}`?"),
            None => format!("there is no preset `{name}`; there are {}", names().collect::<Vec<_>>().join(", ")),
        })
    }

    fn days(&self) -> impl Iterator<Item = Date> {
        self.empty_days.iter().filter_map(|(year, month, day)| Date::new(*year, *month, *day).ok())
    }

    /// Days that are null, where the field does not say itself what is.
    pub(super) fn empty_days(&self, value_type: Type) -> Vec<Date> {
        match value_type {
            Type::Date | Type::Datetime => self.days().collect(),
            _ => Vec::new(),
        }
    }

    /// What else is null there. A time of 0 is midnight.
    pub(super) fn null_if(&self, value_type: Type, kind: FieldKind) -> Matches {
        let mut matches = Matches::default();
        if !matches!(value_type, Type::Date | Type::Datetime) {
            return matches;
        }
        matches.numbers.extend(self.empty_numbers.iter().map(|number| Decimal::from_i64(*number)));
        if matches!(kind, FieldKind::Text { .. }) {
            matches.texts.extend(self.empty_texts.iter().map(|text| (*text).to_owned()));
        }
        matches
    }

    /// The words and numbers that are null in a text, where the field does not say itself what is.
    pub(super) fn empty_words(&self, value_type: Type) -> (&'static [&'static str], &'static [i64]) {
        match value_type {
            Type::Date | Type::Datetime => (self.empty_texts, self.empty_numbers),
            _ => (&[], &[]),
        }
    }

    /// Whether a blank is null where neither the field nor its other rules say what it is.
    pub(super) fn blank_is_null(&self, value_type: Type) -> bool {
        self.empty_text_is_null || !matches!(value_type, Type::String | Type::Any)
    }

    /// Whether blanks behind a text are padding.
    pub(super) fn is_padded(&self) -> bool {
        self.is_padded
    }

    /// What means true, and what false.
    pub(super) fn truths(&self) -> (Matches, Matches) {
        let matches = |words: &[&str]| Matches {
            texts: words.iter().map(|word| (*word).to_owned()).collect(),
            numbers: words.iter().filter_map(|word| Decimal::parse(word, b'.', None).ok()).collect(),
        };
        (matches(self.truths), matches(self.falsehoods))
    }

    /// What it does, in one line.
    pub fn summary(&self) -> String {
        let mut parts = Vec::new();
        let days: Vec<_> = self.days().map(|day| day.to_string()).collect();
        let numbers = self.empty_numbers.iter().map(ToString::to_string);
        let texts = self.empty_texts.iter().map(|text| format!("`{text}`"));
        let empty: Vec<_> = days.into_iter().chain(numbers).chain(texts).collect();
        parts.push(format!("dates that are null: {}", empty.join(", ")));
        parts.push(match self.empty_text_is_null {
            true => "any blank is null".to_owned(),
            false => "blank dates, numbers and flags are null".to_owned(),
        });
        if self.is_padded {
            parts.push("blanks behind a text are padding".to_owned());
        }
        let mut pages: Vec<(&str, Vec<&str>)> = Vec::new();
        for (format, page) in self.code_pages {
            match pages.iter_mut().find(|(known, _)| known == page) {
                Some((_, formats)) => formats.push(format),
                None => pages.push((page, vec![format])),
            }
        }
        parts.extend(pages.iter().map(|(page, formats)| format!("`encoding` of {}: {page}", formats.join(", "))));
        let words = |words: &[&str]| {
            let shown = |word: &&str| if word.is_empty() { "blank".to_owned() } else { (*word).to_owned() };
            words.iter().map(shown).collect::<Vec<_>>().join(" ")
        };
        parts.push(format!("true: {}; false: {}", words(self.truths), words(self.falsehoods)));
        parts.join("; ")
    }
}

/// The mapping with the code page of its preset, where its file says none.
pub(super) fn with_code_page(mut mapping: Node) -> Node {
    let Written::Table(entries) = &mut mapping.value else { return mapping };
    let named = entries.get("preset").and_then(Node::as_str).and_then(|name| Preset::find(name).ok());
    let Some(preset) = named else { return mapping };
    let Some(Node { value: Written::Table(source), .. }) = entries.get_mut("source") else { return mapping };
    for (format, page) in preset.code_pages {
        let Some(file) = source.get_mut(*format) else { continue };
        // Faults of it are the format's.
        let page = Node { value: Written::String((*page).to_owned()), ..file.clone() };
        if let Written::Table(keys) = &mut file.value {
            keys.entry("encoding".to_owned()).or_insert(page);
        }
    }
    mapping
}

/// The table of the reference.
pub fn reference() -> String {
    let mut text = "| preset | system | what it does | because |\n| --- | --- | --- | --- |\n".to_owned();
    for preset in PRESETS {
        let Preset { name, system, because, .. } = preset;
        text.push_str(&format!("| `{name}` | {system} | {} | {because} |\n", preset.summary()));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{PRESETS, Preset, with_code_page};
    use crate::decode::Format;
    use crate::decode::code_page::CodePage;
    use crate::diagnostic::{Faults, Node, SourceText, parse};
    use crate::mapping::testing::{Double, Held, map, text, unsigned};

    fn mapped(preset: &str, rules: &str, held: Held) -> Result<String, String> {
        let mut double = Double::new(vec![("F", held)]);
        double.preset = Some(Preset::find(preset).unwrap());
        let mapped = map(&double, &format!("[fields]\nf = {{ from = 'F', {rules} }}"))?;
        Ok(mapped.trim_start_matches("{\"f\":").trim_end_matches('}').to_owned())
    }

    fn check(preset: &str, rules: &str, held: Held, expected: &str) {
        assert_eq!(mapped(preset, rules, held.clone()).as_deref(), Ok(expected), "{preset} {rules} {held:?}");
    }

    #[test]
    fn empty_dates_are_null_however_they_are_written() {
        let compact = "type = 'date', format = '%Y%m%d'";
        check("nav", "type = 'date'", text("1753-01-01"), "null");
        check("nav", "type = 'datetime', format = '%Y-%m-%d %H:%M:%S'", text("1753-01-01 00:00:00"), "null");
        check("nav", "type = 'date', format = '%d.%m.%Y'", text("01.01.1753"), "null");
        check("nav", "type = 'date'", text("1753-01-02"), "\"1753-01-02\"");
        check("nav", "type = 'date'", text("1900-01-01"), "\"1900-01-01\"");
        // In a zone the day is that of the source, not of UTC.
        check("nav", "type = 'datetime', zone = 'Europe/Berlin'", text("1753-01-01T00:00:00"), "null");
        check("ax", "type = 'date'", text("1900-01-01"), "null");
        check("ax", "type = 'datetime'", text("2154-12-31T23:59:59"), "null");
        check("vfp", "type = 'date'", text("1899-12-30"), "null");
        check("vfp", "type = 'date', format = '%d/%m/%Y'", text("  /  /    "), "null");
        check("as400", "type = 'date'", text("0001-01-01"), "null");
        check("as400", "type = 'date'", text("9999-12-31"), "null");
        check("as400", "type = 'date'", unsigned(0, 8), "null");
        check("as400", "type = 'date'", unsigned(99_999_999, 8), "null");
        check("as400", compact, text("00000000"), "null");
        check("as400", "type = 'date'", unsigned(20_261_128, 8), "\"2026-11-28\"");
        check("sap-idoc", compact, text("00000000"), "null");
        check("sap-idoc", compact, text("99991231"), "null");
        check("oracle-forms", "type = 'date'", text("4712-12-31"), "null");
        // A time of 0 is midnight, and what is no date is not touched.
        check("as400", "type = 'time', format = '%H%M%S'", text("000000"), "\"00:00:00\"");
        check("as400", "", unsigned(0, 8), "0");
        check("nav", "", text("1753-01-01"), "\"1753-01-01\"");
    }

    #[test]
    fn rules_of_a_field_go_before_the_preset() {
        check("nav", "type = 'date', null_if = []", text("1753-01-01"), "\"1753-01-01\"");
        check("nav", "type = 'date', null_if = ['2000-01-01']", text("2000-01-01"), "null");
        check("nav", "type = 'date', default = '1970-01-01'", text("1753-01-01"), "\"1970-01-01\"");
        let missing = mapped("nav", "type = 'date', required = true", text("1753-01-01")).unwrap_err();
        assert!(missing.starts_with("value.missing"), "{missing}");
        assert!(mapped("nav", "type = 'date', blank = 'reject'", text("")).unwrap_err().starts_with("value.blank"));
        check("as400", "trim = 'left'", text(" a "), "\"a \"");
        check("vfp", "type = 'boolean', true_if = ['X'], false_if = ['O']", text("X"), "true");
        assert!(mapped("vfp", "type = 'boolean', true_if = ['X'], false_if = ['O']", text("T")).is_err());
    }

    #[test]
    fn blanks_padding_and_flags() {
        check("nav", "type = 'date'", text("  "), "null");
        check("nav", "type = 'integer'", text(""), "null");
        check("nav", "", text(""), "\"\"");
        check("oracle-forms", "", text(" "), "null");
        check("nav", "", text("a "), "\"a \"");
        check("as400", "", text(" a  "), "\" a\"");
        for (preset, truth, expected) in [
            ("nav", "1", "true"),
            ("nav", "Nein", "false"),
            ("ax", "0", "false"),
            ("as400", "J", "true"),
            ("as400", "N", "false"),
            ("oracle-forms", "Y", "true"),
            ("vfp", ".T.", "true"),
            ("vfp", "-1", "true"),
            ("vfp", "F", "false"),
            ("vfp", "", "null"),
            ("sap-idoc", "X", "true"),
            ("sap-idoc", " ", "false"),
        ] {
            check(preset, "type = 'boolean'", text(truth), expected);
        }
        check("nav", "type = 'boolean'", unsigned(1, 1), "true");
        check("nav", "type = 'boolean'", unsigned(0, 1), "false");
        assert!(mapped("nav", "type = 'boolean'", unsigned(2, 1)).unwrap_err().starts_with("value.unknown"));
    }

    #[test]
    fn files_that_say_no_code_page_have_the_presets() {
        let encoding = |preset: &str, rest: &str| {
            let text = format!("preset = '{preset}'\n[source.fixed_width]\n{rest}");
            let faults = Faults::new();
            let root = parse(&SourceText::new(Path::new("m.toml"), text), &faults);
            let root = with_code_page(root);
            let table = |node: &Node, name: &str| node.as_table().unwrap().get(name).cloned();
            let file = table(&table(&root, "source").unwrap(), "fixed_width").unwrap();
            table(&file, "encoding").and_then(|node| node.as_str().map(str::to_owned))
        };
        assert_eq!(encoding("nav", "").as_deref(), Some("cp850"));
        assert_eq!(encoding("as400", "").as_deref(), Some("cp037"));
        assert_eq!(encoding("vfp", "encoding = 'cp437'").as_deref(), Some("cp437"));
        assert_eq!((encoding("sap-idoc", ""), encoding("nonsense", "")), (None, None));
        for (format, page) in PRESETS.iter().flat_map(|preset| preset.code_pages) {
            assert!(Format::section(format).unwrap().key("encoding").is_some(), "{format}");
            assert!(CodePage::find(page).is_ok(), "{page}");
        }
    }

    #[test]
    fn names_are_distinct_and_days_exist() {
        for preset in PRESETS {
            assert_eq!(Preset::find(preset.name), Ok(preset));
            assert_eq!(preset.days().count(), preset.empty_days.len(), "{}", preset.name);
        }
        assert_eq!(Preset::find("navi").unwrap_err(), "there is no preset `navi`; did you mean `nav`?");
        assert!(Preset::find("xyz").unwrap_err().contains("there are nav, ax, as400, oracle-forms, vfp, sap-idoc"));
    }
}
