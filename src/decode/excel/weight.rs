//! What the texts and formats of an .xlsx file take in memory, before the library makes room for all of them at once: a
//! text of five bytes in the file takes twenty-four there, and each format takes copies of the names that it goes by.

use super::tags::{KEPT, Seen, Tags, attribute, parts};
use super::workbook::MAX_CELLS;

/// Bytes that an element of the styles takes, at most; and a format besides the names that are copied into it.
const ELEMENT: u64 = 160;
const FORMAT: u64 = 400;

/// What was seen of the list of texts, or of the styles.
#[derive(Default)]
pub(super) struct Weight {
    tags: Tags,
    /// Texts that there are, and those that the list says it has.
    texts: u64,
    declared: u64,
    /// Elements, and those of them that are formats.
    elements: u64,
    formats: u64,
    /// The longest name that a format may go by.
    longest: u64,
    fault: Option<&'static str>,
}

impl Weight {
    pub(super) fn see(&mut self, piece: &[u8]) {
        let mut tags = std::mem::take(&mut self.tags);
        tags.see(piece, |seen| match seen {
            Seen::Tag(tag, length) => self.tag(tag, length),
            Seen::Type => self.fault = Some("has a document type, which no workbook has"),
            Seen::Text(_) | Seen::Other => {}
        });
        self.tags = tags;
    }

    fn tag(&mut self, tag: &[u8], length: u64) {
        let (name, attributes, is_end) = parts(tag);
        if is_end {
            return;
        }
        self.elements += 1;
        match name {
            b"si" => self.texts += 1,
            b"sst" if length > KEPT as u64 => self.fault = Some("has a list of texts that cannot be judged"),
            b"sst" => {
                let digits = attribute(attributes, b"uniqueCount").unwrap_or_default().iter();
                let digits = digits.filter(|byte| byte.is_ascii_digit());
                let count =
                    digits.fold(0u64, |count, digit| count.saturating_mul(10).saturating_add(u64::from(digit - b'0')));
                self.declared = self.declared.max(count);
            }
            b"xf" => self.formats += 1,
            b"numFmt" | b"name" => self.longest = self.longest.max(length),
            _ => {}
        }
    }

    /// What is wrong with it: it is damaged, or has more than there may be.
    pub(super) fn fault(&self) -> Option<Judgement> {
        if let Some(fault) = self.fault {
            return Some(Judgement::Damaged(format!("the workbook {fault}")));
        }
        if self.declared > MAX_CELLS as u64 {
            return Some(Judgement::TooLarge(format!("the workbook says that it has {} texts", self.declared)));
        }
        (self.texts > MAX_CELLS as u64).then(|| too_many(self.texts))
    }

    /// Bytes that the styles take.
    pub(super) fn styles(&self) -> u64 {
        let format = FORMAT.saturating_add(self.longest.saturating_mul(2));
        (self.elements * ELEMENT).saturating_add(self.formats.saturating_mul(format))
    }
}

/// The judgement on a workbook with so many texts that cells share.
pub(super) fn too_many(texts: u64) -> Judgement {
    Judgement::TooLarge(format!("the workbook has {texts} texts, and {MAX_CELLS} are read at most"))
}

/// Why a workbook is not read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    Damaged(String),
    TooLarge(String),
}

#[cfg(test)]
mod tests {
    use super::{Judgement, Weight};

    fn of(document: &str) -> Weight {
        let mut weight = Weight::default();
        let size = if document.len() > 1 << 20 { 1 << 16 } else { 7 };
        document.as_bytes().chunks(size).for_each(|piece| weight.see(piece));
        weight
    }

    #[test]
    fn texts_are_counted_as_they_are_and_as_they_are_said() {
        assert_eq!(of("<sst uniqueCount='2'><si><t>uniqueCount=9999999</t></si><x:si/></sst>").texts, 2);
        assert_eq!(of("<sst uniqueCount='2'><si><t>uniqueCount=9999999</t></si><x:si/></sst>").fault(), None);
        let told = |count: &str| Some(Judgement::TooLarge(format!("the workbook says that it has {count} texts")));
        assert_eq!(of("<x:sst count='1' a='>' uniqueCount = \"9999999999\">").fault(), told("9999999999"));
        assert_eq!(of("<!-- <sst> ' --><sst uniqueCount='5000001'/>").fault(), told("5000001"));
        let many = of(&"<si/>".repeat(5_000_001));
        let expected = "the workbook has 5000001 texts, and 5000000 are read at most";
        assert_eq!(many.fault(), Some(Judgement::TooLarge(expected.to_owned())));
        let hidden = format!("<sst a='{}' uniqueCount='9999999'>", "x".repeat(5000));
        assert!(matches!(of(&hidden).fault(), Some(Judgement::Damaged(_))));
        assert!(matches!(of("<!DOCTYPE sst [<!-- ' -->]><sst>").fault(), Some(Judgement::Damaged(_))));
    }

    #[test]
    fn formats_take_the_names_that_they_go_by() {
        let styles = |name: usize, formats: usize| {
            let code = "0".repeat(name);
            let xfs = "<xf numFmtId='164'/>".repeat(formats);
            of(&format!(
                "<styleSheet><numFmts><numFmt numFmtId='164' formatCode='{code}'/></numFmts>{xfs}</styleSheet>"
            ))
        };
        assert!(styles(10, 10).styles() < 10_000);
        // A thousand copies of a megabyte.
        let large = styles(1_000_000, 1000).styles();
        assert!((2_000_000_000..2_100_000_000).contains(&large), "{large}");
        // And more formats than any workbook has, which are within bounds.
        assert!(styles(200, 64_000).styles() < 64 << 20);
    }
}
