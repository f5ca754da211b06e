//! The parts of an .xlsx or .xlsb archive, as they are seen while they are unpacked: whether it may be opened, and what the
//! library will not tell of each sheet.

use super::cell::Cell;
use super::weight::{Judgement, Weight, too_many};
use super::workbook::MAX_CELLS;
use super::{records, worksheet};

/// Cells of a workbook that show what the library does not read, at most.
const MAX_ODD: usize = 1_000_000;

/// What was seen of all parts.
#[derive(Default)]
pub(super) struct Parts {
    texts: Weight,
    /// Texts of an .xlsb file.
    records: u64,
    styles: Weight,
    sheets: Vec<Sheet>,
    odd: usize,
    current: Option<Current>,
}

/// What was seen of a part that may be a sheet.
pub(super) struct Sheet {
    /// Its name in small letters.
    part: String,
    pub(super) fault: Option<String>,
    /// Cells with errors that the library does not read, in the file's order.
    pub(super) odd: Vec<Cell>,
}

/// The part that is being unpacked.
enum Current {
    Texts,
    Styles,
    Markup(Box<worksheet::Scan>),
    Records(Box<records::Scan>),
}

impl Parts {
    /// Looks at the next piece of a part; an empty one ends it.
    pub(super) fn see(&mut self, part: &str, piece: &[u8]) {
        let current = self.current.get_or_insert_with(|| Current::of(part));
        if !piece.is_empty() {
            return match current {
                Current::Texts => self.texts.see(piece),
                Current::Styles => self.styles.see(piece),
                Current::Markup(scan) => scan.see(piece),
                Current::Records(scan) => scan.see(piece),
            };
        }
        let (mut fault, mut odd) = match self.current.take() {
            Some(Current::Markup(scan)) => scan.finish(),
            Some(Current::Records(scan)) => {
                self.records = self.records.max(scan.texts());
                scan.finish()
            }
            _ => return,
        };
        self.odd += odd.len();
        if self.odd > MAX_ODD {
            odd = Vec::new();
            fault = fault.or(Some(format!("more than {MAX_ODD} cells show errors")));
        }
        if fault.is_some() || !odd.is_empty() {
            self.sheets.push(Sheet { part: part.to_ascii_lowercase(), fault, odd });
        }
    }

    /// Why the workbook is not to be opened.
    pub(super) fn fault(&self, max_bytes: u64) -> Option<Judgement> {
        let styles = self.styles.styles();
        let many = (self.records > MAX_CELLS as u64).then(|| too_many(self.records));
        self.texts.fault().or(many).or_else(|| self.styles.fault()).or_else(|| {
            (styles > max_bytes).then(|| {
                let (takes, most) = (styles >> 20, max_bytes >> 20);
                Judgement::TooLarge(format!(
                    "the workbook has formats that take up to {takes} MiB, and may have no more than {most}: raise \
                     `max_mib`, or have it sent as CSV"
                ))
            })
        })
    }

    /// What was seen of a sheet, if anything is to be told of it.
    pub(super) fn sheet(&mut self, part: &str) -> Option<Sheet> {
        let part = part.to_ascii_lowercase();
        let found = self.sheets.iter().position(|sheet| sheet.part == part)?;
        Some(self.sheets.swap_remove(found))
    }
}

impl Current {
    fn of(part: &str) -> Current {
        let part = part.to_ascii_lowercase();
        if part.ends_with("sharedstrings.xml") {
            Current::Texts
        } else if part.ends_with("styles.xml") {
            Current::Styles
        } else if part.ends_with(".bin") {
            Current::Records(Box::default())
        } else {
            Current::Markup(Box::default())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Judgement, Parts};

    /// What the texts of an .xlsb file take is bounded as well: each is a record in a part of their own.
    #[test]
    fn texts_of_binary_workbooks_are_counted() {
        let fault = |count: usize| {
            let mut parts = Parts::default();
            let list = [&[0x9F, 1, 0][..], &[0x13, 0].repeat(count), &[0xA0, 1, 0]].concat();
            list.chunks(64 << 10).for_each(|piece| parts.see("xl/sharedStrings.bin", piece));
            parts.see("xl/sharedStrings.bin", b"");
            parts.fault(u64::MAX)
        };
        assert_eq!(fault(5_000_000), None);
        let expected = "the workbook has 5000001 texts, and 5000000 are read at most";
        assert_eq!(fault(5_000_001), Some(Judgement::TooLarge(expected.to_owned())));
    }
}
