//! A sheet out of a workbook: which kind of file it is, whether it may be opened, and what its cells hold.
//!
//! Workbooks are read by calamine, which wants the whole file. What could make that expensive is looked at before: the
//! size of the file, what its archive unpacks to, and how often an .ods file repeats its cells.

use std::collections::HashSet;
use std::io::{Cursor, Read, Seek, SeekFrom};

use calamine::{Data, DataRef, Dimensions, ExcelDateTime, Ods, Reader, Xls, Xlsb, Xlsx};

use super::quiet::caught;
use super::settings::{Area, Settings, Sheet, letters};
use super::worksheet::{Worksheets, part_of};
use crate::decode::compression;
use crate::decode::reader::StreamFault;
use crate::record::RejectCode;

/// Cells that are held at once, and those that an area filled with them may have.
const MAX_CELLS: usize = 5_000_000;

/// What a cell holds.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Content {
    Text(Box<str>),
    /// As the file has it: a binary float, of which the shortest decimal is shown that means the same.
    Number(f64),
    Whole(i64),
    Boolean(bool),
    /// A date, time or both in ISO 8601.
    Moment(Box<str>),
    /// `#N/A` and its like.
    Error(Box<str>),
    /// What no cell can hold: reading it rejects the record, whatever is said of errors.
    Wrong(Box<str>),
}

/// A cell, by row and column from 0.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cell {
    pub(super) row: u32,
    pub(super) column: u32,
    pub(super) content: Content,
}

/// The cells of a sheet that are not empty, by rows and columns.
#[derive(Debug)]
pub(super) struct Cells {
    /// The sheet's name.
    pub(super) sheet: String,
    pub(super) cells: Vec<Cell>,
}

/// Why a workbook cannot be read: the message for the operator.
struct Unfit(RejectCode, String);

impl Unfit {
    fn unreadable(message: impl Into<String>) -> Unfit {
        Unfit(RejectCode::FileUnreadable, message.into())
    }

    fn too_large(message: String) -> Unfit {
        Unfit(RejectCode::TooLarge, message)
    }
}

/// Reads the sheet that the settings mean.
pub(super) fn load(mut input: impl Read + Seek, settings: &Settings) -> Result<Cells, StreamFault> {
    let length = input.seek(SeekFrom::End(0))?;
    if length > settings.max_bytes {
        return Err(fault(too_large("has", settings)));
    }
    input.seek(SeekFrom::Start(0))?;
    let mut bytes = Vec::new();
    input.take(settings.max_bytes).read_to_end(&mut bytes)?;
    open(bytes, settings).map_err(fault)
}

fn fault(Unfit(code, message): Unfit) -> StreamFault {
    StreamFault::Layout { code, message, offset: 0, line: None }
}

fn too_large(verb: &str, settings: &Settings) -> Unfit {
    let mib = settings.max_bytes >> 20;
    Unfit::too_large(format!(
        "the workbook {verb} more than {mib} MiB, and a sheet is read as a whole: raise `max_mib`, or have it sent as CSV"
    ))
}

/// The list of sheets of an .xlsx file, and which part each is.
const WORKBOOK: &str = "xl/workbook.xml";
const RELATIONSHIPS: &str = "xl/_rels/workbook.xml.rels";

/// The kinds of workbooks.
enum Kind {
    Xls,
    Xlsx(Looked),
    Xlsb,
    Ods,
}

/// What was seen of an .xlsx file while it was unpacked.
struct Looked {
    worksheets: Worksheets,
    workbook: Vec<u8>,
    relationships: Vec<u8>,
}

fn open(bytes: Vec<u8>, settings: &Settings) -> Result<Cells, Unfit> {
    let kind = kind(&bytes, settings)?;
    // A broken workbook must not end the process, whatever the library makes of it.
    let read = caught(|| read(bytes, kind, settings));
    read.unwrap_or_else(|| Err(Unfit::unreadable("the workbook is damaged: it cannot be read")))
}

fn kind(bytes: &[u8], settings: &Settings) -> Result<Kind, Unfit> {
    if bytes.starts_with(&[0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1]) {
        // A workbook with a password is a container of the same kind as an old workbook, with its parts in UTF-16.
        let name: Vec<u8> = "EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes).collect();
        if memchr::memmem::find(bytes, &name).is_some() {
            return Err(Unfit::unreadable("the workbook has a password: have it sent without"));
        }
        let spanned = super::xls::cells(bytes);
        let spanned = spanned.ok_or_else(|| Unfit::unreadable("the workbook is damaged: it cannot be followed"))?;
        if spanned > MAX_CELLS as u64 {
            return Err(Unfit::too_large(format!(
                "the sheets of the workbook span {spanned} cells, and {MAX_CELLS} are read at most: have it sent as CSV"
            )));
        }
        return Ok(Kind::Xls);
    }
    if !bytes.starts_with(b"PK") {
        return Err(Unfit::unreadable("the file is no workbook (.xlsx, .xlsb, .xls or .ods)"));
    }
    let mut counts = Counts::default();
    let mut worksheets = Worksheets::default();
    let wanted =
        |name: &str| ["content.xml", WORKBOOK, RELATIONSHIPS].iter().any(|wanted| name.eq_ignore_ascii_case(wanted));
    let unpacked = compression::unpack_all(Cursor::new(bytes), settings.max_bytes, wanted, |name, piece| {
        counts.see(piece);
        if name.get(..14).is_some_and(|start| start.eq_ignore_ascii_case("xl/worksheets/")) {
            worksheets.see(name, piece);
        }
    });
    let unpacked = unpacked.map_err(|error| Unfit::unreadable(error.to_string()))?;
    if unpacked.is_cut {
        return Err(too_large("unpacks to", settings));
    }
    if counts.largest > MAX_CELLS as u64 {
        return Err(Unfit::too_large(format!("the workbook says that it has {} texts", counts.largest)));
    }
    let (names, mut parts) = (unpacked.names, unpacked.wanted);
    let mut part = |name: &str| {
        let found = parts.iter().position(|(own, _)| own.eq_ignore_ascii_case(name))?;
        Some(parts.swap_remove(found).1)
    };
    let has = |name: &str| names.iter().any(|own| own.eq_ignore_ascii_case(name));
    if has("xl/workbook.bin") {
        Ok(Kind::Xlsb)
    } else if names.iter().any(|name| name.starts_with("xl/")) {
        let (workbook, relationships) = (part(WORKBOOK).unwrap_or_default(), part(RELATIONSHIPS).unwrap_or_default());
        Ok(Kind::Xlsx(Looked { worksheets, workbook, relationships }))
    } else if let Some(document) = part("content.xml") {
        super::ods::check(&document, MAX_CELLS).map_err(Unfit::too_large)?;
        Ok(Kind::Ods)
    } else {
        Err(Unfit::unreadable("the file is a zip archive, and no workbook"))
    }
}

/// The largest number of texts that a part of the workbook says it has: room is made for all of them at once.
#[derive(Default)]
struct Counts {
    largest: u64,
    /// The end of the piece before.
    tail: Vec<u8>,
}

impl Counts {
    fn see(&mut self, piece: &[u8]) {
        const NAME: &[u8] = b"uniqueCount";
        /// As much as the attribute with its value takes.
        const REACH: usize = 64;
        self.tail.extend_from_slice(piece);
        for at in memchr::memmem::find_iter(&self.tail, NAME) {
            let value = self.tail[at + NAME.len()..].iter().take(REACH);
            let digits = value.skip_while(|byte| !byte.is_ascii_digit()).take_while(|byte| byte.is_ascii_digit());
            let count =
                digits.fold(0u64, |count, digit| count.saturating_mul(10).saturating_add(u64::from(digit - b'0')));
            self.largest = self.largest.max(count);
        }
        let kept = self.tail.len().saturating_sub(NAME.len() + REACH);
        self.tail.drain(..kept);
        if piece.is_empty() {
            self.tail.clear();
        }
    }
}

fn read(bytes: Vec<u8>, kind: Kind, settings: &Settings) -> Result<Cells, Unfit> {
    let bytes = Cursor::new(bytes);
    let merged_unknown = |what: &str| {
        Err(Unfit::unreadable(format!("which cells of {what} file are merged is not known: take `fill_merged` out")))
    };
    match kind {
        Kind::Xlsx(Looked { worksheets, workbook, relationships }) => {
            let mut book: Xlsx<_> = Xlsx::new(bytes).map_err(damaged)?;
            let sheet = choose(&book.sheet_names(), &settings.sheet)?;
            let part = part_of(&sheet, &workbook, &relationships);
            if let Some(fault) = part.as_deref().and_then(|part| worksheets.fault(part)) {
                return Err(Unfit::unreadable(format!("the workbook is damaged: in sheet `{sheet}` {fault}")));
            }
            let mut held = Held::new(sheet, settings);
            if settings.fill_merged {
                held.merged = book.merge_cells_by_sheet_name(&held.sheet).map_err(damaged)?;
            }
            let mut cells = book.worksheet_cells_reader(&held.sheet).map_err(damaged)?;
            while let Some(cell) = cells.next_cell().map_err(damaged)? {
                let value = cell.get_value();
                if matches!(value, DataRef::String(text) if text.is_empty()) {
                    held.blank.insert(cell.get_position());
                }
                held.add(cell.get_position(), of_reference(value))?;
            }
            // A program that does not compute writes formulas without values: that is not the same as an empty cell.
            drop(cells);
            let stored = held.places();
            let mut formulas = book.worksheet_cells_reader(&held.sheet).map_err(damaged)?;
            while let Some(cell) = formulas.next_formula().map_err(damaged)? {
                let place = cell.get_position();
                if !cell.get_value().is_empty() && !stored.contains(&place) && !held.blank.contains(&place) {
                    held.add(place, Some(Content::Error("a formula without a stored value".into())))?;
                }
            }
            held.finish()
        }
        Kind::Xlsb => {
            let mut book: Xlsb<_> = Xlsb::new(bytes).map_err(damaged)?;
            let mut held = Held::new(choose(&book.sheet_names(), &settings.sheet)?, settings);
            if settings.fill_merged {
                return merged_unknown("an .xlsb");
            }
            let mut cells = book.worksheet_cells_reader(&held.sheet).map_err(damaged)?;
            while let Some(cell) = cells.next_cell().map_err(damaged)? {
                held.add(cell.get_position(), of_reference(cell.get_value()))?;
            }
            held.finish()
        }
        Kind::Xls => {
            let mut book: Xls<_> = Xls::new(bytes).map_err(damaged)?;
            let mut held = Held::new(choose(&book.sheet_names(), &settings.sheet)?, settings);
            if settings.fill_merged {
                held.merged = book.merge_cells_by_sheet_name(&held.sheet).map_err(damaged)?;
            }
            let range = book.worksheet_range(&held.sheet).map_err(damaged)?;
            held.add_range(&range)?;
            held.finish()
        }
        Kind::Ods => {
            let mut book: Ods<_> = Ods::new(bytes).map_err(damaged)?;
            let mut held = Held::new(choose(&book.sheet_names(), &settings.sheet)?, settings);
            if settings.fill_merged {
                return merged_unknown("an .ods");
            }
            let range = book.worksheet_range(&held.sheet).map_err(damaged)?;
            held.add_range(&range)?;
            held.finish()
        }
    }
}

fn damaged(error: impl std::error::Error) -> Unfit {
    let text = error.to_string();
    if text.contains("password") {
        return Unfit::unreadable("the workbook has a password: have it sent without");
    }
    Unfit::unreadable(format!("the workbook is damaged: {text}"))
}

fn choose(names: &[String], sheet: &Sheet) -> Result<String, Unfit> {
    let found = match sheet {
        Sheet::At(place) => names.get(place - 1),
        Sheet::Named(name) => names.iter().find(|own| *own == name),
    };
    found.cloned().ok_or_else(|| {
        let wanted = match sheet {
            Sheet::At(place) => format!("sheet number {place}"),
            Sheet::Named(name) => format!("sheet `{name}`"),
        };
        let has: Vec<_> = names.iter().take(20).map(|name| format!("`{name}`")).collect();
        Unfit::unreadable(format!("the workbook has no {wanted}; it has {}", has.join(", ")))
    })
}

/// Cells that were read so far, within bounds.
struct Held<'a> {
    sheet: String,
    settings: &'a Settings,
    cells: Vec<Cell>,
    merged: Vec<Dimensions>,
    /// Places whose value is an empty text.
    blank: HashSet<(u32, u32)>,
    bytes: u64,
}

impl<'a> Held<'a> {
    fn new(sheet: String, settings: &'a Settings) -> Held<'a> {
        Held { sheet, settings, cells: Vec::new(), merged: Vec::new(), blank: HashSet::new(), bytes: 0 }
    }

    fn places(&self) -> HashSet<(u32, u32)> {
        self.cells.iter().map(|cell| (cell.row, cell.column)).collect()
    }

    fn add(&mut self, (row, column): (u32, u32), content: Option<Content>) -> Result<(), Unfit> {
        let Some(content) = content else { return Ok(()) };
        if !Area::ALL.has(row, column) {
            let (sheet, place) = (&self.sheet, place(row, column));
            let message = format!("the workbook is damaged: sheet `{sheet}` has a cell {place}, which no sheet has");
            return Err(Unfit::unreadable(message));
        }
        if !self.settings.range.has(row, column) {
            return Ok(());
        }
        let text = match &content {
            Content::Text(text) | Content::Moment(text) | Content::Error(text) | Content::Wrong(text) => text.len(),
            Content::Number(_) | Content::Whole(_) | Content::Boolean(_) => 0,
        };
        self.bytes += (text + std::mem::size_of::<Cell>()) as u64;
        // One text may stand in a million cells.
        if self.bytes > self.settings.max_bytes || self.cells.len() >= MAX_CELLS {
            return Err(too_large("has cells that take", self.settings));
        }
        self.cells.push(Cell { row, column, content });
        Ok(())
    }

    fn add_range(&mut self, range: &calamine::Range<Data>) -> Result<(), Unfit> {
        let (first_row, first_column) = range.start().unwrap_or_default();
        for (row, column, value) in range.used_cells() {
            let place = (first_row + row as u32, first_column + column as u32);
            self.add(place, of_value(value))?;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Cells, Unfit> {
        let place = |cell: &Cell| (cell.row, cell.column);
        self.cells.sort_by_key(place);
        self.cells.dedup_by(|again, first| {
            let is_again = place(again) == place(first);
            if is_again {
                first.content = Content::Wrong("more than one value".into());
            }
            is_again
        });
        for region in std::mem::take(&mut self.merged) {
            let Ok(first) = self.cells.binary_search_by_key(&region.start, place) else { continue };
            let content = self.cells[first].content.clone();
            for row in region.start.0..=region.end.0 {
                for column in region.start.1..=region.end.1 {
                    // What is read is sorted at the start of the list, and none of it lies within.
                    if (row, column) != region.start {
                        self.add((row, column), Some(content.clone()))?;
                    }
                }
            }
            self.cells.sort_by_key(place);
        }
        self.cells.dedup_by_key(|cell| (cell.row, cell.column));
        Ok(Cells { sheet: self.sheet, cells: self.cells })
    }
}

fn of_reference(value: &DataRef<'_>) -> Option<Content> {
    match value {
        DataRef::SharedString(text) => text_of(text),
        other => of_value(&Data::from(other.clone())),
    }
}

fn text_of(text: &str) -> Option<Content> {
    (!text.is_empty()).then(|| Content::Text(text.into()))
}

fn of_value(value: &Data) -> Option<Content> {
    Some(match value {
        Data::Empty => return None,
        Data::String(text) => return text_of(text),
        Data::Int(number) => Content::Whole(*number),
        Data::Float(number) if !number.is_finite() => Content::Wrong(format!("{number}, which is no number").into()),
        Data::Float(number) => Content::Number(*number),
        Data::Bool(value) => Content::Boolean(*value),
        Data::DateTime(moment) => moment_of(moment),
        Data::DateTimeIso(text) => Content::Moment(text.as_str().into()),
        Data::DurationIso(text) => Content::Moment(time_of(text).unwrap_or_else(|| text.clone()).into()),
        Data::Error(error) => Content::Error(error.to_string().into()),
    })
}

/// Days since the workbook's epoch as a date, a time of day where there is no day, or both; a duration as hours,
/// minutes and seconds.
fn moment_of(moment: &ExcelDateTime) -> Content {
    // Days to be counted up to 9999-12-31.
    const END: f64 = 2_958_466.0;
    let days = moment.as_f64();
    if !days.is_finite() {
        return Content::Wrong(format!("{days}, which is no number").into());
    }
    if !(0.0..END).contains(&days) {
        return Content::Error(format!("{days}, which is no date of a workbook").into());
    }
    if moment.is_duration() {
        let milliseconds = (days * 86_400_000.0).round() as u64;
        let (seconds, rest) = (milliseconds / 1000, milliseconds % 1000);
        let text = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
        return Content::Moment((text + &fraction(rest)).into());
    }
    let (year, month, day, hour, minute, second, milli) = moment.to_ymd_hms_milli();
    let date = format!("{year:04}-{month:02}-{day:02}");
    let time = format!("{hour:02}:{minute:02}:{second:02}{}", fraction(u64::from(milli)));
    let has_time = (hour, minute, second, milli) != (0, 0, 0, 0);
    Content::Moment(if days < 1.0 {
        time.into()
    } else if has_time {
        format!("{date}T{time}").into()
    } else {
        date.into()
    })
}

/// `PT7H5M9S`, as .ods files write times of day and durations, in the way of the other kinds: `07:05:09`.
fn time_of(text: &str) -> Option<String> {
    let mut rest = text.strip_prefix("PT")?;
    let mut part = |unit: char| -> Option<u64> {
        let Some((digits, behind)) = rest.split_once(unit) else { return Some(0) };
        rest = behind;
        digits.parse().ok()
    };
    let (hours, minutes) = (part('H')?, part('M')?);
    let (seconds, digits) = match rest.strip_suffix('S') {
        Some(seconds) => seconds.split_once(['.', ',']).unwrap_or((seconds, "")),
        None if rest.is_empty() => ("0", ""),
        None => return None,
    };
    let seconds: u64 = seconds.parse().ok()?;
    let digits = digits.trim_end_matches('0');
    let point = if digits.is_empty() { "" } else { "." };
    digits
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| format!("{hours:02}:{minutes:02}:{seconds:02}{point}{digits}"))
}

fn fraction(milliseconds: u64) -> String {
    if milliseconds == 0 { String::new() } else { format!(".{milliseconds:03}") }
}

/// `C5`, for messages.
pub(super) fn place(row: u32, column: u32) -> String {
    format!("{}{}", letters(column), row + 1)
}
