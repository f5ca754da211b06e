//! Control totals: what the file's trailer says of its records, against what was really there.
//!
//! Sums are exact. A record that is a dead letter makes a sum unverifiable where its summand cannot be read; the sum is then
//! left unjudged while the count still is. A good record without a readable summand is against the trailer itself.

use std::sync::Arc;

use super::condition::Condition;
use super::number::NumberStyle;
use super::place::Walk;
use super::plan::{Class, Rules};
use super::totals::{Tally, add};
use crate::record::{Decimal, Fields, Position, RawRecord, Reject, RejectCode, Scope, Slot, Value};

/// The compiled `trailer` of a source.
#[derive(Debug)]
pub(super) struct Trailer {
    pub(super) when: Condition,
    pub(super) count: Option<Slot>,
    pub(super) sums: Vec<Sum>,
    /// The field that numbers the records, and its name.
    pub(super) sequence: Option<(Slot, String)>,
    pub(super) style: NumberStyle,
}

/// A total of one field.
#[derive(Debug)]
pub(super) struct Sum {
    pub(super) field: Slot,
    pub(super) name: String,
    pub(super) equals: Slot,
}

/// Counts and sums over one file. A file that is to be judged before anything of it is staged is read with
/// these alone first.
#[derive(Clone, Debug)]
pub struct Controls {
    rules: Arc<Rules>,
    records: u64,
    /// `None` once a total no longer fits 38 digits.
    sums: Vec<Option<Decimal>>,
    unreadable: Vec<u64>,
    /// The first sum to which the record that was counted last has no number, and what it has instead.
    unread: Option<(usize, String, Position)>,
    /// The first good record without a number for a sum.
    unsummed: Option<Box<Reject>>,
    /// The number of the record before, and how many records since then had none that can be read.
    numbered: Option<i64>,
    unnumbered: i64,
    /// The first record that is out of turn.
    gap: Option<Box<Reject>>,
    trailer: Option<Seen>,
    trailers: u64,
    after_trailer: u64,
    last: Position,
    /// What is controlled by record type.
    tally: Option<Tally>,
}

/// The trailer with what it says.
#[derive(Clone, Debug)]
struct Seen {
    position: Position,
    raw: Vec<u8>,
    count: Result<Option<Decimal>, String>,
    sums: Vec<Result<Decimal, String>>,
}

impl Controls {
    pub(super) fn new(rules: &Arc<Rules>) -> Option<Controls> {
        let tally = Tally::new(rules);
        if rules.trailer.is_none() && tally.is_none() {
            return None;
        }
        let sums = rules.trailer.as_ref().map_or(0, |trailer| trailer.sums.len());
        Some(Controls {
            rules: Arc::clone(rules),
            records: 0,
            sums: vec![Some(Decimal::ZERO); sums],
            unreadable: vec![0; sums],
            unread: None,
            unsummed: None,
            numbered: None,
            unnumbered: 0,
            gap: None,
            trailer: None,
            trailers: 0,
            after_trailer: 0,
            last: Position::default(),
            tally,
        })
    }

    /// The number that the file gives itself; `None` when the mapping has no `file_sequence`.
    pub fn file_sequence(&self) -> Option<i64> {
        self.tally.as_ref().and_then(Tally::file_sequence)
    }

    /// Takes a record into account, whatever it is: data, skipped, or the trailer.
    pub fn add(&mut self, record: &RawRecord<'_>) {
        let class = self.rules.classify(&Walk::new(record.fields), &mut Vec::new());
        self.count(record, class);
    }

    /// The same, for a record whose class is known.
    pub(super) fn count(&mut self, record: &RawRecord<'_>, class: Class) {
        if let Some(tally) = &mut self.tally {
            tally.add(record);
        }
        let rules = Arc::clone(&self.rules);
        let Some(trailer) = &rules.trailer else { return };
        self.last = record.position;
        if class == Class::Skipped {
            return;
        }
        if class == Class::Trailer {
            self.trailers += 1;
            let read = |slot: Slot| number(record.fields, slot, trailer.style);
            self.trailer = Some(Seen {
                position: record.position,
                raw: record.raw.to_vec(),
                count: trailer.count.map(read).transpose(),
                sums: trailer.sums.iter().map(|sum| read(sum.equals)).collect(),
            });
            return;
        }
        self.count_one();
        self.unread = None;
        if let Some((slot, name)) = &trailer.sequence {
            self.follow(record, *slot, name, trailer.style);
        }
        for (index, sum) in trailer.sums.iter().enumerate() {
            match number(record.fields, sum.field, trailer.style) {
                Ok(number) => self.sums[index] = self.sums[index].and_then(|total| add(total, number)),
                Err(found) => {
                    self.unreadable[index] += 1;
                    self.unread.get_or_insert((index, found, record.position));
                }
            }
        }
    }

    /// The record that was counted last is good. One of which a sum knows nothing would be staged unseen by it.
    pub(super) fn accept(&mut self, raw: &[u8]) {
        let (Some((index, found, position)), None) = (self.unread.take(), &self.unsummed) else { return };
        let sums = self.rules.trailer.iter().flat_map(|trailer| &trailer.sums);
        let name = sums.map(|sum| sum.name.as_str()).nth(index).unwrap_or_default();
        self.unsummed = Some(Box::new(Reject {
            code: RejectCode::ControlTotal,
            field: Some(name.to_owned()),
            field_span: None,
            expected: format!("a number in {name} of every good record, for the total in the trailer"),
            found,
            key: None,
            position,
            raw: raw.to_vec(),
        }));
    }

    /// Takes a record into account that the decoder refused: it was there, but has no readable fields.
    pub fn add_undecodable(&mut self, position: Position) {
        if let Some(tally) = &mut self.tally {
            tally.add_undecodable(position);
        }
        self.last = position;
        self.unnumbered += 1;
        self.count_one();
        for unreadable in &mut self.unreadable {
            *unreadable += 1;
        }
    }

    /// Checks that a record's number is one more than that of the one before. One that has no number is bad itself; the
    /// next has to be as much further on.
    fn follow(&mut self, record: &RawRecord<'_>, slot: Slot, name: &str, style: NumberStyle) {
        let read = number(record.fields, slot, style).ok().and_then(|number| number.rescale(0).ok()?.to_i64());
        let Some(number) = read else {
            self.unnumbered += 1;
            return;
        };
        let due = self.numbered.and_then(|before| before.checked_add(1 + self.unnumbered));
        if let Some(due) = due.filter(|due| *due != number)
            && self.gap.is_none()
        {
            self.gap = Some(Box::new(Reject {
                code: RejectCode::SequenceGap,
                field: Some(name.to_owned()),
                field_span: None,
                expected: format!("{due} in {name}, one more than before"),
                found: number.to_string(),
                key: None,
                position: record.position,
                raw: record.raw.to_vec(),
            }));
        }
        (self.numbered, self.unnumbered) = (Some(number), 0);
    }

    fn count_one(&mut self) {
        self.records += 1;
        self.after_trailer += u64::from(self.trailer.is_some());
    }

    /// Records counted so far: neither skipped ones nor the trailer.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Totals that could not be judged because records had no readable summand.
    pub fn unverified(&self) -> usize {
        self.unreadable.iter().filter(|count| **count > 0).count()
    }

    /// Judges the whole file, at its end.
    pub fn verdict(&self) -> Result<(), Box<Reject>> {
        self.tally.as_ref().map_or(Ok(()), Tally::verdict)?;
        if self.rules.trailer.is_none() {
            return Ok(());
        }
        let Some(seen) = &self.trailer else {
            let position = Position {
                record: self.last.record + 1,
                offset: self.last.offset + u64::from(self.last.length),
                length: 0,
                line: self.last.line.map(|line| line + 1),
            };
            return Err(Box::new(Reject {
                code: RejectCode::MissingTrailer,
                field: None,
                field_span: None,
                expected: "a trailer record at the end of the file".to_owned(),
                found: format!("the end of the file after {} records", self.records),
                key: None,
                position,
                raw: Vec::new(),
            }));
        };
        let wrong = |field: Option<&str>, expected: String, found: String| {
            Box::new(Reject {
                code: RejectCode::ControlTotal,
                field: field.map(str::to_owned),
                field_span: None,
                expected,
                found,
                key: None,
                position: seen.position,
                raw: seen.raw.clone(),
            })
        };
        if self.trailers > 1 {
            return Err(wrong(None, "one trailer record".to_owned(), format!("{}", self.trailers)));
        }
        if self.after_trailer > 0 {
            let found = format!("{} records behind it", self.after_trailer);
            return Err(wrong(None, "the trailer at the end of the file".to_owned(), found));
        }
        if let Some(gap) = &self.gap {
            return Err(gap.clone());
        }
        match &seen.count {
            Ok(None) => {}
            Ok(Some(count)) if Decimal::new(self.records.into(), 0).is_ok_and(|records| records == *count) => {}
            Ok(Some(count)) => {
                let expected = format!("{count} records, as the trailer says");
                return Err(wrong(None, expected, format!("{} records", self.records)));
            }
            Err(found) => return Err(wrong(None, "the number of records in the trailer".to_owned(), found.clone())),
        }
        if let Some(unsummed) = &self.unsummed {
            return Err(unsummed.clone());
        }
        let sums = self.rules.trailer.iter().flat_map(|trailer| &trailer.sums);
        for (index, (sum, told)) in sums.zip(&seen.sums).enumerate() {
            let name = Some(sum.name.as_str());
            let told = told
                .as_ref()
                .map_err(|found| wrong(name, format!("the total of {} in the trailer", sum.name), found.clone()))?;
            if self.unreadable[index] > 0 {
                continue;
            }
            let found = match self.sums[index] {
                Some(total) if total == *told => continue,
                Some(total) => total.to_string(),
                None => "a total of more than 38 digits".to_owned(),
            };
            return Err(wrong(name, format!("the total {told} of {}, as the trailer says", sum.name), found));
        }
        Ok(())
    }
}

fn number(fields: &dyn Fields, slot: Slot, style: NumberStyle) -> Result<Decimal, String> {
    match fields.read(slot, Scope::ROOT) {
        Ok(Value::Decimal(number)) => Ok(number),
        Ok(Value::Text(text)) => style.parse(&text).map_err(|_| super::convert::shown(&text)),
        Ok(other) => Err(other.kind().to_owned()),
        Err(fault) => Err(fault.found),
    }
}

#[cfg(test)]
mod tests {
    use super::Controls;
    use crate::mapping::testing::{Double, Held, bad, compile, number, text};
    use crate::record::{Position, RejectCode};

    const MAPPING: &str = "[source]\nskip = \"TYPE = 'H'\"\n\
        trailer = { when = \"TYPE = 'T'\", count = \"N\", sum = { field = \"AMOUNT\", equals = \"N2\" } }\n\
        [fields]\na = { from = \"AMOUNT\" }";

    fn record(kind: &str, amount: Held, n: &str, n2: &str) -> Double {
        Double::new(vec![("TYPE", text(kind)), ("AMOUNT", amount), ("N", text(n)), ("N2", number(n2))])
    }

    fn verdict(records: &[Double], undecodable: u64) -> Result<Controls, (RejectCode, String, String)> {
        let (rules, _) = compile(&record("D", number("1"), "", "1"), MAPPING).unwrap();
        let mut controls = Controls::new(&rules).unwrap();
        for record in records {
            controls.add(&record.record());
        }
        for number in 0..undecodable {
            controls.add_undecodable(Position { record: number, ..Position::default() });
        }
        controls.verdict().map_err(|reject| (reject.code, reject.expected, reject.found))?;
        Ok(controls)
    }

    fn data(amount: &str) -> Double {
        record("D", number(amount), "", "0")
    }

    fn trailer(count: &str, total: &str) -> Double {
        record("T", number("0"), count, total)
    }

    #[test]
    fn balanced() {
        let header = record("H", number("99"), "", "0");
        let controls = verdict(&[header, data("0.10"), data("-5"), trailer("002", "-4.9")], 0).unwrap();
        assert_eq!((controls.records(), controls.unverified()), (2, 0));
        assert!(verdict(&[trailer("0", "0")], 0).is_ok());
    }

    #[test]
    fn broken() {
        let check = |records: &[Double], code: RejectCode, words: &str| {
            let (found, expected, there) = verdict(records, 0).unwrap_err();
            assert_eq!(found, code);
            let sentence = format!("{expected} / {there}");
            assert!(sentence.contains(words), "{sentence}");
        };
        check(&[data("1")], RejectCode::MissingTrailer, "after 1 records");
        check(&[data("1"), trailer("2", "1")], RejectCode::ControlTotal, "2 records, as the trailer says / 1 records");
        check(
            &[data("1"), trailer("1", "1.01")],
            RejectCode::ControlTotal,
            "the total 1.01 of AMOUNT, as the trailer says / 1",
        );
        check(&[data("1"), trailer("x", "1")], RejectCode::ControlTotal, "number of records in the trailer");
        check(&[trailer("1", "1"), data("1")], RejectCode::ControlTotal, "1 records behind it");
        check(&[data("1"), trailer("1", "1"), trailer("1", "1")], RejectCode::ControlTotal, "one trailer record / 2");
    }

    #[test]
    fn numbers_without_a_gap() {
        let mapping =
            "[source]\ntrailer = { when = \"TYPE = 'T'\", sequence = \"N\" }\n[fields]\na = { from = \"AMOUNT\" }";
        let (rules, _) = compile(&record("D", number("1"), "", "1"), mapping).unwrap();
        let check = |numbers: &[&str], expected: Option<(&str, &str)>| {
            let mut controls = Controls::new(&rules).unwrap();
            for number_of in numbers {
                match *number_of {
                    "undecodable" => controls.add_undecodable(Position::default()),
                    other => controls.add(&record("D", number("1"), other, "0").record()),
                }
            }
            controls.add(&record("T", number("0"), "", "0").record());
            let wrong = controls.verdict().err().map(|reject| (reject.code, reject.expected, reject.found));
            let expected = expected.map(|(due, found)| {
                (RejectCode::SequenceGap, format!("{due} in N, one more than before"), found.to_owned())
            });
            assert_eq!(wrong, expected, "{numbers:?}");
        };
        check(&["7", "8", "0009"], None);
        check(&["1", "2", "4", "9"], Some(("3", "4")));
        check(&["1", "1"], Some(("2", "1")));
        check(&["1", "undecodable", "x", "4"], None);
        check(&["1", "undecodable", "2"], Some(("3", "2")));
        check(&[], None);
    }

    #[test]
    fn an_unreadable_summand_leaves_the_sum_unjudged_but_counts() {
        let broken = record("D", bad(), "", "0");
        // The layout of the double is that of the first record, so the field is declared a number there.
        let controls = verdict(&[data("1"), broken, trailer("2", "77")], 0).unwrap();
        assert_eq!(controls.unverified(), 1);
        assert!(verdict(&[data("1"), trailer("3", "77")], 0).is_err());
    }

    #[test]
    fn a_good_record_without_a_number_for_a_sum_is_against_the_trailer() {
        let (rules, _) = compile(&record("D", number("1"), "", "1"), MAPPING).unwrap();
        let judge = |is_good: bool| {
            let mut controls = Controls::new(&rules).unwrap();
            let broken = record("D", bad(), "", "0");
            controls.add(&broken.record());
            if is_good {
                controls.accept(b"D?");
            }
            controls.add(&data("1").record());
            controls.accept(b"D1");
            controls.add(&trailer("2", "77").record());
            controls.verdict().map_err(|reject| (reject.code, reject.field, reject.raw))
        };
        assert_eq!(judge(true), Err((RejectCode::ControlTotal, Some("AMOUNT".to_owned()), b"D?".to_vec())));
        assert_eq!(judge(false), Ok(()));
    }

    #[test]
    fn exact_beyond_any_float() {
        let huge = "99999999999999999999999999999999999";
        assert!(
            verdict(&[data(huge), data("0.001"), trailer("2", "99999999999999999999999999999999999.001")], 0).is_ok()
        );
        let nines = "99999999999999999999999999999999999999";
        assert!(verdict(&[data(nines), data(nines), trailer("2", "0")], 0).is_err());
    }
}
