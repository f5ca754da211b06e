//! A sheet out of a workbook: which kind of file it is, whether it may be opened, and how its cells are read.
//!
//! The library reads .xlsx and .xlsb files cell by cell, so that memory follows only the list of the workbook's texts; .xls
//! and .ods files it reads as a whole. What could make that expensive is looked at before: the size of the file, what its
//! archive unpacks to, how many texts and formats it has ([`Parts`]), how often an .ods file repeats its cells, and what the
//! cells and texts of an .xls file take.

use std::collections::HashSet;
use std::io::{Cursor, Read, Seek, SeekFrom};

use calamine::{
    Data, DataRef, Dimensions, Ods, Range, Reader, Xls, Xlsb, XlsbError, Xlsx, XlsxError, XlsxFormulaMetadata,
};

use super::cell::{Cell, of_reference, place};
use super::held::Held;
use super::ods::Shown;
use super::records::id_of;
use super::seen::Parts;
use super::settings::{Area, MAX_MIB, Settings, Sheet};
use super::survey::Survey;
use super::weight::Judgement;
use super::worksheet::{part_of, part_of_id};
use crate::decode::compression;
use crate::decode::reader::StreamFault;
use crate::record::RejectCode;

/// Bytes of cells that are handed on at a time.
const BATCH: u64 = 64 << 10;

/// Cells that are held at once, and those that an area filled with them may have.
pub(super) const MAX_CELLS: usize = 5_000_000;

/// Why a workbook cannot be read: the message for the operator.
pub(super) struct Unfit(pub(super) RejectCode, pub(super) String);

impl Unfit {
    pub(super) fn unreadable(message: impl Into<String>) -> Unfit {
        Unfit(RejectCode::FileUnreadable, message.into())
    }

    pub(super) fn too_large(message: String) -> Unfit {
        Unfit(RejectCode::TooLarge, message)
    }
}

impl From<Judgement> for Unfit {
    fn from(judgement: Judgement) -> Unfit {
        match judgement {
            Judgement::Damaged(message) => Unfit::unreadable(message),
            Judgement::TooLarge(message) => Unfit::too_large(message),
        }
    }
}

impl From<Unfit> for StreamFault {
    fn from(Unfit(code, message): Unfit) -> StreamFault {
        StreamFault::Layout { code, message, offset: 0, line: None }
    }
}

/// Why reading ends before the last cell.
pub(super) enum Stop {
    Unfit(Unfit),
    /// Nobody wants the cells any more.
    Unheard,
}

impl From<Unfit> for Stop {
    fn from(unfit: Unfit) -> Stop {
        Stop::Unfit(unfit)
    }
}

/// What is read of a sheet: first its name with what it looks like, then its cells by rows and columns.
pub(super) enum Piece {
    Sheet(String, Box<Survey>),
    Cells(Vec<Cell>),
}

/// Where the pieces go.
type Sink<'s> = dyn FnMut(Piece) -> Result<(), Stop> + 's;

/// What to do about a workbook that takes more than it may.
const RAISE: &str = "raise `max_mib`";

pub(super) fn too_large(verb: &str, settings: &Settings) -> Unfit {
    let mib = settings.max_bytes >> 20;
    Unfit::too_large(format!(
        "the workbook {verb} more than {mib} MiB, and may have no more: {RAISE}, or have it sent as CSV"
    ))
}

/// The list of sheets of a workbook, and which part each is.
const LISTS: [(&str, &str); 2] =
    [("xl/workbook.xml", "xl/_rels/workbook.xml.rels"), ("xl/workbook.bin", "xl/_rels/workbook.bin.rels")];

/// The kinds of workbooks.
enum Kind {
    /// The whole file: the library wants it so.
    Xls(Vec<u8>),
    Xlsx(Looked),
    Xlsb(Looked),
    /// With the cells that show errors.
    Ods(Vec<Shown>),
}

/// What was seen of an .xlsx or .xlsb file while it was unpacked.
struct Looked {
    parts: Parts,
    workbook: Vec<u8>,
    relationships: Vec<u8>,
}

impl Looked {
    /// The cells of a sheet with errors that the library does not read; an error where the sheet is damaged.
    fn odd(&mut self, sheet: &str, is_binary: bool) -> Result<Vec<Cell>, Unfit> {
        let part = match is_binary {
            false => part_of(sheet, &self.workbook, &self.relationships),
            true => id_of(sheet, &self.workbook).and_then(|id| part_of_id(&id, &self.relationships)),
        };
        let Some(seen) = part.and_then(|part| self.parts.sheet(&part)) else { return Ok(Vec::new()) };
        match seen.fault {
            Some(fault) => Err(Unfit::unreadable(format!("the workbook is damaged: in sheet `{sheet}` {fault}"))),
            None => Ok(seen.odd),
        }
    }
}

/// Finds out which kind of workbook it is, and whether it may be opened.
fn kind<R: Read + Seek>(input: &mut R, settings: &Settings) -> Result<Kind, Unfit> {
    let mut start = Vec::new();
    input.by_ref().take(8).read_to_end(&mut start).map_err(damaged)?;
    if start == [0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1] {
        input.read_to_end(&mut start).map_err(damaged)?;
        return old_kind(start, settings);
    }
    if !start.starts_with(b"PK") {
        return Err(Unfit::unreadable("the file is no workbook (.xlsx, .xlsb, .xls or .ods)"));
    }
    let mut seen = Parts::default();
    let wanted = |name: &str| {
        let lists = LISTS.iter().flat_map(|(workbook, relationships)| [*workbook, *relationships]);
        lists.chain(["content.xml"]).any(|wanted| name.eq_ignore_ascii_case(wanted))
    };
    let unpacked =
        compression::unpack_all(&mut *input, settings.max_bytes, wanted, |name, piece| seen.see(name, piece));
    let unpacked = unpacked.map_err(|error| Unfit::unreadable(error.to_string()))?;
    if unpacked.is_cut {
        return Err(too_large("unpacks to", settings));
    }
    if let Some(judgement) = seen.fault(settings.max_bytes) {
        return Err(judgement.into());
    }
    let (names, mut parts) = (unpacked.names, unpacked.wanted);
    let mut part = |name: &str| {
        let found = parts.iter().position(|(own, _)| own.eq_ignore_ascii_case(name))?;
        Some(parts.swap_remove(found).1)
    };
    let has = |name: &str| names.iter().any(|own| own.eq_ignore_ascii_case(name));
    let is_binary = has("xl/workbook.bin");
    if is_binary || names.iter().any(|name| name.starts_with("xl/")) {
        let (workbook, relationships) = LISTS[usize::from(is_binary)];
        let (workbook, relationships) = (part(workbook).unwrap_or_default(), part(relationships).unwrap_or_default());
        let looked = Looked { parts: seen, workbook, relationships };
        Ok(if is_binary { Kind::Xlsb(looked) } else { Kind::Xlsx(looked) })
    } else if let Some(document) = part("content.xml") {
        Ok(Kind::Ods(super::ods::check(&document, settings)?))
    } else {
        Err(Unfit::unreadable("the file is a zip archive, and no workbook"))
    }
}

/// Which kind a file is that is a container of the old sort.
fn old_kind(bytes: Vec<u8>, settings: &Settings) -> Result<Kind, Unfit> {
    // A workbook with a password is a container of the same kind as an old workbook, with its parts in UTF-16.
    let name: Vec<u8> = "EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes).collect();
    if memchr::memmem::find(&bytes, &name).is_some() {
        return Err(Unfit::unreadable("the workbook has a password: have it sent without"));
    }
    let size = super::xls::size(&bytes, settings.max_bytes);
    let size = size.ok_or_else(|| Unfit::unreadable("the workbook is damaged: it cannot be followed"))?;
    if size.cells > MAX_CELLS as u64 {
        return Err(Unfit::too_large(format!(
            "the sheets of the workbook span {} cells, and {MAX_CELLS} are read at most: have it sent as CSV",
            size.cells
        )));
    }
    if size.bytes > settings.max_bytes {
        let Unfit(code, message) = too_large("has texts and cells that take", settings);
        // Where all of it was looked at, it is known what would do.
        let mib = (size.bytes >> 20) + 1;
        let enough =
            if size.is_whole && mib <= MAX_MIB { format!("raise `max_mib` to {mib}") } else { RAISE.to_owned() };
        return Err(Unfit(code, message.replace(RAISE, &enough)));
    }
    Ok(Kind::Xls(bytes))
}

/// Reads the sheet that the settings mean.
pub(super) fn read<R: Read + Seek>(mut input: R, settings: &Settings, sink: &mut Sink<'_>) -> Result<(), Stop> {
    let kind = kind(&mut input, settings)?;
    input.seek(SeekFrom::Start(0)).map_err(damaged)?;
    let merged_unknown = |what: &str| {
        Err(Unfit::unreadable(format!("which cells of {what} file are merged is not known: take `fill_merged` out")))
    };
    match kind {
        Kind::Xlsx(mut looked) => {
            let mut book: Xlsx<_> = Xlsx::new(input).map_err(damaged)?;
            let sheet = choose(&book.sheet_names(), &settings.sheet)?;
            let odd = looked.odd(&sheet, false)?;
            drop(looked);
            let merged = match settings.fill_merged {
                true => book.merge_cells_by_sheet_name(&sheet).map_err(damaged)?,
                false => Vec::new(),
            };
            pass_on(&mut Book::Xlsx(Box::new(book), odd), sheet, &merged, settings, sink)
        }
        Kind::Xlsb(mut looked) => {
            let book: Xlsb<_> = Xlsb::new(input).map_err(damaged)?;
            let sheet = choose(&book.sheet_names(), &settings.sheet)?;
            let odd = looked.odd(&sheet, true)?;
            drop(looked);
            if settings.fill_merged {
                merged_unknown("an .xlsb")?;
            }
            pass_on(&mut Book::Xlsb(Box::new(book), odd), sheet, &[], settings, sink)
        }
        Kind::Xls(bytes) => {
            let mut book: Xls<_> = Xls::new(Cursor::new(bytes)).map_err(damaged)?;
            let sheet = choose(&book.sheet_names(), &settings.sheet)?;
            let merged = match settings.fill_merged {
                true => book.merge_cells_by_sheet_name(&sheet).map_err(damaged)?,
                false => Vec::new(),
            };
            let range = book.worksheet_range(&sheet).map_err(damaged)?;
            drop(book);
            of_range(&range, sheet, &merged, &|_| false, settings, sink)
        }
        Kind::Ods(shown) => {
            let mut book: Ods<_> = Ods::new(input).map_err(damaged)?;
            let sheet = choose(&book.sheet_names(), &settings.sheet)?;
            if settings.fill_merged {
                merged_unknown("an .ods")?;
            }
            let range = book.worksheet_range(&sheet).map_err(damaged)?;
            drop(book);
            let own = shown.iter().filter(|shown| shown.sheet == sheet);
            let errors: HashSet<_> = own.flat_map(Shown::places).collect();
            of_range(&range, sheet, &[], &|place| errors.contains(&place), settings, sink)
        }
    }
}

/// A workbook whose cells the library reads one by one, and those of the sheet with errors that it does not read.
enum Book<R: Read + Seek> {
    Xlsx(Box<Xlsx<R>>, Vec<Cell>),
    Xlsb(Box<Xlsb<R>>, Vec<Cell>),
}

impl<R: Read + Seek> Book<R> {
    /// Visits the cells of a sheet that are not empty and lie in the range that is looked at, in the file's order.
    fn each(
        &mut self,
        sheet: &str,
        settings: &Settings,
        visit: &mut dyn FnMut(Cell) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        let mut visit = |cell: Cell| match admits(sheet, settings, (cell.row, cell.column))? {
            true => visit(cell),
            false => Ok(()),
        };
        let cell = |place: (u32, u32), value: &DataRef<'_>, has_formula: bool| {
            let content = of_reference(value, has_formula)?;
            Some(Cell { row: place.0, column: place.1, content })
        };
        match self {
            Book::Xlsx(book, odd) => {
                let mut odd = odd.iter();
                let mut cells = book.worksheet_cells_reader(sheet).map_err(damaged)?;
                loop {
                    match cells.next_cell_with_formula_metadata() {
                        Ok(Some(found)) => {
                            let has_formula = found.formula.as_ref().is_some_and(says_something);
                            cell(found.pos, &found.value, has_formula).map_or(Ok(()), &mut visit)?;
                        }
                        Ok(None) => return Ok(()),
                        // The reader stands behind the value of the cell that shows the error.
                        Err(XlsxError::CellError(text)) => match odd.next() {
                            Some(cell) => visit(cell.clone())?,
                            None => return Err(damaged(XlsxError::CellError(text)).into()),
                        },
                        Err(error) => return Err(damaged(error).into()),
                    }
                }
            }
            Book::Xlsb(book, odd) => {
                let mut odd = odd.iter().peekable();
                let mut cells = book.worksheet_cells_reader(sheet).map_err(damaged)?;
                loop {
                    let found = match cells.next_cell() {
                        Ok(found) => found,
                        // It is one of the cells that were seen before.
                        Err(XlsbError::CellError(_)) => continue,
                        Err(error) => return Err(damaged(error).into()),
                    };
                    let place = found.as_ref().map(|found| found.get_position());
                    while let Some(cell) = odd.next_if(|cell| place.is_none_or(|place| (cell.row, cell.column) < place))
                    {
                        visit(cell.clone())?;
                    }
                    let Some(found) = found else { return Ok(()) };
                    cell(found.get_position(), found.get_value(), false).map_or(Ok(()), &mut visit)?;
                }
            }
        }
    }
}

/// Whether there is a formula, and not only the place for one.
fn says_something(formula: &XlsxFormulaMetadata) -> bool {
    match formula {
        XlsxFormulaMetadata::Normal { formula } | XlsxFormulaMetadata::Shared { formula, .. } => !formula.is_empty(),
        _ => true,
    }
}

/// Hands the cells of a sheet on as they are read, where their order allows it.
fn pass_on<R: Read + Seek>(
    book: &mut Book<R>,
    sheet: String,
    merged: &[Dimensions],
    settings: &Settings,
    sink: &mut Sink<'_>,
) -> Result<(), Stop> {
    let mut survey = Survey::new(settings);
    book.each(&sheet, settings, &mut |cell| {
        survey.see(&cell);
        if survey.largest_row > settings.max_bytes {
            return Err(too_large("has a row whose cells take", settings).into());
        }
        Ok(())
    })?;
    if !survey.is_in_order || !merged.is_empty() {
        let mut held = Held::new(&sheet, settings);
        book.each(&sheet, settings, &mut |cell| Ok(held.add(cell)?))?;
        let cells = held.finish(merged)?;
        return whole(sheet, cells, settings, sink);
    }
    sink(Piece::Sheet(sheet.clone(), Box::new(survey)))?;
    let (mut cells, mut size) = (Vec::new(), 0);
    book.each(&sheet, settings, &mut |cell| {
        size += cell.size();
        cells.push(cell);
        if size < BATCH {
            return Ok(());
        }
        size = 0;
        sink(Piece::Cells(std::mem::take(&mut cells)))
    })?;
    sink(Piece::Cells(cells))
}

/// The cells of a sheet that the library has read as a whole.
fn of_range(
    range: &Range<Data>,
    sheet: String,
    merged: &[Dimensions],
    is_error: &dyn Fn((u32, u32)) -> bool,
    settings: &Settings,
    sink: &mut Sink<'_>,
) -> Result<(), Stop> {
    let mut held = Held::new(&sheet, settings);
    held.add_range(range, is_error)?;
    let cells = held.finish(merged)?;
    whole(sheet, cells, settings, sink)
}

fn whole(sheet: String, cells: Vec<Cell>, settings: &Settings, sink: &mut Sink<'_>) -> Result<(), Stop> {
    let mut survey = Survey::new(settings);
    cells.iter().for_each(|cell| survey.see(cell));
    sink(Piece::Sheet(sheet, Box::new(survey)))?;
    sink(Piece::Cells(cells))
}

/// Whether a cell lies in the range that is looked at; an error where no sheet has such a place.
pub(super) fn admits(sheet: &str, settings: &Settings, (row, column): (u32, u32)) -> Result<bool, Unfit> {
    if !Area::ALL.has(row, column) {
        let place = place(row, column);
        let message = format!("the workbook is damaged: sheet `{sheet}` has a cell {place}, which no sheet has");
        return Err(Unfit::unreadable(message));
    }
    Ok(settings.range.has(row, column))
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
