//! Framing `auto`: which framing consumes the file exactly, and why.
//!
//! Every framing that the layout permits goes through the whole file. One that comes out at its end without a fault, and
//! under which most of a sample of records hold what the copybook says, explains the file. Only when exactly one does is
//! it taken; else the evidence is the answer.

use std::fmt;
use std::io::{Read, Seek, SeekFrom};

use super::super::Compiled;
use super::super::reader::bounds;
use super::super::settings::{Framing, Odo};
use super::{Convention, Framer, Measure, Place, Spanned, Step};
use crate::decode::LARGE;
use crate::decode::blank_lines::BlankRun;
use crate::decode::json::{Blank, JsonOptions};
use crate::decode::lines::is_blank;
use crate::decode::reader::StreamFault;
use crate::decode::window::Window;
use crate::record::{Position, RejectCode};

/// How many records of a framing are held against the copybook.
const SAMPLE: u64 = 1000;

/// What speaks for and against every framing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The framings in the order in which they were tried.
    pub candidates: Vec<Candidate>,
    /// The one that explains the file, when there is exactly one.
    pub chosen: Option<usize>,
    /// Size of the input in bytes.
    pub size: u64,
}

/// A framing and how far it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// As options say it: `rdw-be, rdw_adjust -4`.
    pub name: String,
    /// Whether it consumes the file to its last byte.
    pub consumes: bool,
    /// Records up to the end, or to the fault.
    pub records: u64,
    /// Of the records that were looked at, how many hold what the copybook says.
    pub fitting: u64,
    /// How many were looked at.
    pub sample: u64,
    /// Why it does not consume the file.
    pub fault: Option<String>,
    convention: Convention,
}

impl Candidate {
    /// Whether it explains the file: all of its bytes, and most of its records.
    pub fn explains(&self) -> bool {
        self.consumes && self.fitting * 2 > self.sample
    }
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.name)?;
        match &self.fault {
            Some(fault) => write!(f, "stops after {} records: {fault}", self.records),
            None => write!(
                f,
                "consumes the file exactly, {} records; {} of the first {} are as the copybook says",
                self.records, self.fitting, self.sample
            ),
        }
    }
}

impl Evidence {
    /// The convention that was found; a fault with the evidence when there is none, or more than one.
    pub(in crate::decode::cobol) fn settle(&self) -> Result<Convention, StreamFault> {
        let chosen = self.chosen.and_then(|chosen| self.candidates.get(chosen));
        chosen.map(|chosen| chosen.convention).ok_or_else(|| StreamFault::Layout {
            code: RejectCode::FileUnreadable,
            message: self.verdict(),
            offset: 0,
            line: None,
        })
    }

    /// One sentence on what was found; where nothing was, with the evidence, a line each, the likeliest first.
    pub fn verdict(&self) -> String {
        let shown = |mut candidates: Vec<&Candidate>| {
            // What comes to the end of the file, with the most records that fit, and then what comes furthest.
            candidates.sort_by_key(|c| std::cmp::Reverse((c.consumes, c.fitting, c.records)));
            candidates.iter().map(|candidate| format!("\n  {candidate}")).collect::<String>()
        };
        match self.chosen.and_then(|chosen| self.candidates.get(chosen)) {
            Some(_) if self.size == 0 => "the file is empty, which every framing explains".to_owned(),
            Some(chosen) => format!("framing {chosen}; no other does both"),
            None => {
                let explaining: Vec<&Candidate> = self.candidates.iter().filter(|c| c.explains()).collect();
                if explaining.is_empty() {
                    format!("no framing explains the file:{}", shown(self.candidates.iter().collect()))
                } else {
                    format!(
                        "more than one framing explains the file: say which it is by `framing`:{}",
                        shown(explaining)
                    )
                }
            }
        }
    }
}

/// Tries every framing on the whole input.
pub(in crate::decode::cobol) fn detect<R: Read + Seek>(
    compiled: &Compiled,
    input: &mut R,
) -> Result<Evidence, StreamFault> {
    let settings = &compiled.plan.settings;
    let (first, limit) = bounds(input, settings.header_bytes, settings.footer_bytes)?;
    let mut candidates = Vec::new();
    for (name, convention) in conventions(compiled) {
        let framer = compiled.framer(convention);
        if convention.framing != Framing::Spanned {
            candidates.push(attempt(&framer, compiled, input, (first, limit), name)?);
            continue;
        }
        let mut spanned = Spanned::new(&mut *input, first, limit);
        let mut candidate = attempt(&framer, compiled, &mut spanned, (0, u64::MAX), name)?;
        if candidate.consumes && spanned.joined == 0 {
            candidate.consumes = false;
            candidate.fault =
                Some("no record goes on from one block to the next, so they are those of `bdw`".to_owned());
        }
        candidates.push(candidate);
    }
    // Of a pipe the size is not known; records of one length find nothing where nothing is.
    let is_empty = candidates.first().is_some_and(|fixed| fixed.consumes && fixed.records == 0);
    let size = if is_empty { 0 } else { limit - first };
    let mut explaining = (0..candidates.len()).filter(|&index| candidates[index].explains());
    let chosen = match (explaining.next(), explaining.next()) {
        _ if size == 0 => Some(0),
        (Some(one), None) => Some(one),
        _ => None,
    };
    Ok(Evidence { candidates, chosen, size })
}

/// Every framing that the settings permit.
fn conventions(compiled: &Compiled) -> Vec<(String, Convention)> {
    let settings = &compiled.plan.settings;
    let plain = |framing: Framing| (framing.word().to_owned(), Convention { framing, rdw_adjust: 0, bdw_adjust: 0 });
    let rdw: Vec<i64> = settings.rdw_adjust.map_or(vec![0, -4], |adjust| vec![adjust]);
    let bdw: Vec<i64> = settings.bdw_adjust.map_or(vec![-4, 0], |adjust| vec![adjust]);
    let mut all = vec![plain(Framing::Fixed), plain(Framing::Line)];
    for framing in [Framing::RdwBig, Framing::RdwLittle] {
        for &rdw_adjust in &rdw {
            let name = format!("{}, rdw_adjust {rdw_adjust}", framing.word());
            all.push((name, Convention { framing, rdw_adjust, bdw_adjust: 0 }));
        }
    }
    for &bdw_adjust in &bdw {
        for &rdw_adjust in &rdw {
            let name = format!("bdw, bdw_adjust {bdw_adjust}, rdw_adjust {rdw_adjust}");
            all.push((name, Convention { framing: Framing::Blocks, rdw_adjust, bdw_adjust }));
        }
    }
    all.push(plain(Framing::Spanned));
    if settings.frame_header.is_some() {
        all.push(plain(Framing::Header));
    }
    if compiled.measure.has_item() {
        all.push(plain(Framing::LengthField));
    }
    // Records whose tables always take their whole room all have one length.
    if Measure::varies(&compiled.plan) && settings.odo != Some(Odo::Fixed) {
        all.push(plain(Framing::Odo));
    }
    all
}

fn attempt<R: Read + Seek>(
    framer: &Framer,
    compiled: &Compiled,
    input: &mut R,
    (first, limit): (u64, u64),
    name: String,
) -> Result<Candidate, StreamFault> {
    let mut window = Window::new(first, limit);
    input.seek(SeekFrom::Start(first))?;
    let mut candidate = Candidate {
        name,
        consumes: false,
        records: 0,
        fitting: 0,
        sample: 0,
        fault: None,
        convention: framer.convention,
    };
    let mut place = Place { lines: 0, block_end: first, blanks: BlankRun::default() };
    let mut json = Vec::new();
    loop {
        match framer.find(&mut window, input, 0, place) {
            Ok(Step::End) => {
                candidate.consumes = true;
                return Ok(candidate);
            }
            Ok(Step::Blank { total, place: behind, .. }) => {
                window.consume(total);
                place = behind;
            }
            Ok(Step::Bad(bad)) => {
                let offset = window.offset();
                candidate.fault = Some(format!("at byte {offset} expected {}, found {}", bad.expected, bad.found));
                return Ok(candidate);
            }
            Err(StreamFault::Layout { message, .. }) => {
                candidate.fault = Some(message);
                return Ok(candidate);
            }
            Err(fault) => return Err(fault),
            Ok(Step::Record(frame)) => {
                let bytes = window.first(frame.before + frame.length).get(frame.before..).unwrap_or_default();
                let layout = compiled.plan.length;
                if bytes.len() > layout && !compiled.plan.is_padding(bytes.get(layout..).unwrap_or_default()) {
                    let offset = window.offset() + frame.before as u64;
                    let found = bytes.len();
                    candidate.fault =
                        Some(format!("the record at byte {offset} has {found} bytes, the longest layout {layout}"));
                    return Ok(candidate);
                }
                candidate.records += 1;
                // A line of blanks says nothing for or against the copybook.
                let is_sound = !(framer.is_text() && is_blank(bytes, compiled.plan.encoding.blank()));
                if is_sound && candidate.sample < SAMPLE {
                    candidate.sample += 1;
                    candidate.fitting += u64::from(fits(compiled, bytes, framer.is_text(), &mut json));
                }
                window.consume(frame.total());
                place = frame.place;
            }
        }
    }
}

/// Whether a record's bytes hold what the copybook says: numbers are numbers, and texts have no control characters, which
/// are what lengths and line ends look like when they are taken for text.
fn fits(compiled: &Compiled, bytes: &[u8], is_text: bool, json: &mut Vec<u8>) -> bool {
    // Low values throughout are a record in no framing more than in another.
    if bytes.iter().all(|byte| *byte == 0) {
        return false;
    }
    let options = JsonOptions { blank: Blank::Null, fillers: true, ..JsonOptions::default() };
    json.clear();
    let position = Position { record: 1, offset: 0, length: 0, line: is_text.then_some(1) };
    let part;
    let parts: &[crate::record::Part] = match &compiled.segments {
        None => &[],
        Some(segments) => match segments.route(&compiled.plan, bytes) {
            Ok(kind) => {
                part = segments.part(kind, bytes.len());
                std::slice::from_ref(&part)
            }
            Err(_) => return false,
        },
    };
    let mut controls = Controls::default();
    if bytes.len() > LARGE {
        let mut sink = |piece: &[u8]| {
            controls.see(piece);
            Ok(())
        };
        let written = compiled.write_pieces(bytes, parts, position, &options, &mut sink);
        return written.is_ok() && !controls.seen;
    }
    let written = compiled.write_json(bytes, parts, position, &options, json);
    controls.see(json);
    written.is_ok() && !controls.seen
}

/// Control characters in JSON text: those below the blank are escaped, those from U+0080 to U+009F are two bytes.
#[derive(Default)]
struct Controls {
    seen: bool,
    /// The byte before, where it says what the next one means.
    before: u8,
}

impl Controls {
    fn see(&mut self, json: &[u8]) {
        for &byte in json {
            let (seen, before) = match (self.before, byte) {
                (b'\\', b'"' | b'\\') => (false, 0),
                (b'\\', _) => (true, 0),
                (0xC2, 0x80..=0x9F) => (true, 0),
                _ => (false, byte),
            };
            self.seen |= seen;
            self.before = before;
        }
    }
}
