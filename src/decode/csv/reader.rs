//! Rows become records. A row with wrong quotes costs its first line only: reading goes on at the next line, so that
//! one stray quote does not swallow the rest of the file.

use std::cell::RefCell;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::sync::Arc;

use super::charset::{Charset, Rewriting, Utf16};
use super::columns::{Columns, MARK, View};
use super::footer::start_of_last;
use super::glued::{CTRL_Z, Glue, is_unclear, look};
use super::row::{Cells, MAX_COLUMNS, Row};
use super::settings::{Nul, RepeatedHeader, Settings};
use super::utf16::Input;
use super::write_json;
use crate::decode::reader::{Item, Resume, StreamFault, length32, reject};
use crate::decode::window::Window;
use crate::decode::{HEAD, JsonOptions, MAX_RECORD};
use crate::record::{FieldFault, Position, RawRecord, Reject, RejectCode, Scope, Slot, Value};

/// Reads the rows of one input.
pub struct Reader<R> {
    input: Input<R>,
    current: RowFields,
    /// Bytes of the window that are done with: consumed with the next call.
    pending: usize,
    /// Offset in the file of the window's start.
    offset: u64,
    records: u64,
    lines: u64,
    /// Blank lines, comments and repeated headers that were passed over behind the header.
    left_out: u64,
    /// Byte order marks at the beginning of lines within the file, which were passed over: each is that of a file which was
    /// appended to another.
    marks: u64,
}

/// One row, as a mapping reads it.
struct RowFields {
    columns: Arc<Columns>,
    window: Window,
    cells: Cells,
    content: usize,
    /// The row's bytes in the file, where they are not those of the window.
    raw: Vec<u8>,
}

/// Writes rows that were copied out of their reader. Each thread has a clone, and with it a list of cells.
pub(in crate::decode) struct Rows(Arc<Columns>, RefCell<Cells>);

/// A row that was found, or what to do with what is none.
enum Found {
    Cells {
        content: usize,
        total: usize,
        lines: u64,
    },
    Blank {
        total: usize,
    },
    /// A line that is no row, without and with its line end: what was expected, what was found.
    Bad {
        content: usize,
        total: usize,
        expected: &'static str,
        found: String,
    },
    /// A line that is too long to hold.
    Endless,
}

impl<R: Read + Seek> Reader<R> {
    pub(super) fn open(
        settings: &Settings,
        wanted: Vec<String>,
        mut file: R,
        from: Resume,
    ) -> Result<Reader<R>, StreamFault> {
        let (start, encoding) = sniff(&mut file, settings)?;
        let limit = match settings.footer_lines {
            0 => u64::MAX,
            count => {
                let (limit, lines) = start_of_last(&mut file, count, settings.line_end, encoding.rewriting())?;
                if lines < count {
                    let plural = if lines == 1 { "line" } else { "lines" };
                    let message = format!("{lines} {plural}: too few for {count} at its end that are no records");
                    return Err(refused(format!("the file has {message}"), 0, 1));
                }
                limit
            }
        };
        file.seek(SeekFrom::Start(start))?;
        let input = Input::new(file, encoding.rewriting().cloned(), limit.saturating_sub(start));
        let mut columns = Columns::new(settings, encoding, wanted);
        // The names are known once the header is read; until then no one else has a share in them.
        let current = RowFields {
            columns: Arc::new(Columns::new(settings, columns.encoding.clone(), Vec::new())),
            window: Window::new(0, u64::MAX),
            cells: Cells::default(),
            content: 0,
            raw: Vec::new(),
        };
        let mut reader =
            Reader { input, current, pending: 0, offset: start, records: 0, lines: 0, left_out: 0, marks: 0 };
        for _ in 0..settings.preamble_lines {
            if !reader.skip_line()? {
                let (preamble, footer) = (settings.preamble_lines, settings.footer_lines);
                let message = format!("the file is too short for {preamble} lines before its header");
                let more = if footer > 0 { format!(" and {footer} lines at its end") } else { String::new() };
                return Err(reader.refuse(message + &more));
            }
        }
        let names = match (&settings.columns, settings.header) {
            (_, true) => {
                let mut names: Vec<String> = Vec::new();
                for _ in 0..settings.header_rows {
                    let (row, more) = reader.read_header(settings.footer_lines)?;
                    columns.header.push(row);
                    names.resize(names.len().max(more.len()), String::new());
                    for (name, more) in names.iter_mut().zip(more).filter(|(_, more)| !more.is_empty()) {
                        *name = if name.is_empty() { more } else { format!("{name} {more}") };
                    }
                }
                names
            }
            (Some(names), false) => names.clone(),
            (None, false) => (1..=reader.count_columns(limit)?).map(|number| format!("column_{number}")).collect(),
        };
        columns.bind(names, settings).map_err(|message| reader.refuse(message))?;
        reader.current.columns = Arc::new(columns);
        if from.offset > reader.resume_point().offset {
            reader.input.seek(from.offset, limit)?;
            reader.current.window = Window::new(0, u64::MAX);
            (reader.offset, reader.pending) = (from.offset, 0);
            (reader.records, reader.lines) = (from.records, from.line);
        }
        Ok(reader)
    }

    fn refuse(&self, message: String) -> StreamFault {
        let Resume { offset, line, .. } = self.resume_point();
        refused(message, offset, line + 1)
    }

    /// Reads the next row that is not blank: its bytes, and in them the names of the columns.
    fn read_header(&mut self, footer: u64) -> Result<(Vec<u8>, Vec<String>), StreamFault> {
        loop {
            let expected = match self.find()? {
                None if footer > 0 => format!(
                    "the file has no more than {footer} lines at its end that are no records: a header with the names of \
                     the columns is due before them"
                ),
                None => "the file is empty: a header with the names of the columns is due".to_owned(),
                Some(Found::Blank { total }) => {
                    self.pending = total;
                    self.lines += 1;
                    continue;
                }
                Some(Found::Bad { expected, found, .. }) => {
                    format!("the header cannot be read: expected {expected}, found {found}")
                }
                Some(Found::Endless) => format!("the header has no end within {MAX_RECORD} bytes"),
                Some(Found::Cells { .. }) if self.current.cells.count() > MAX_COLUMNS => {
                    format!("the header has more than {MAX_COLUMNS} columns")
                }
                Some(Found::Cells { content, total, lines }) => {
                    self.current.content = content;
                    let names = self.current.view().names().map_err(|fault| {
                        let FieldFault { expected, found, .. } = fault;
                        self.refuse(format!("the header cannot be read: expected {expected}, found {found}"))
                    })?;
                    let header = self.current.window.first(content).to_vec();
                    self.pending = total;
                    self.lines += lines;
                    return Ok((header, names));
                }
            };
            return Err(self.refuse(expected));
        }
    }

    /// How many columns the first row has, of a file where nothing else says.
    fn count_columns(&mut self, limit: u64) -> Result<usize, StreamFault> {
        /// Lines that are no rows are passed over, but not for ever.
        const MOST_BAD: usize = 100;
        let (begin, marks) = (self.resume_point(), self.marks);
        let (mut bad, mut blank) = (0, 0);
        let count = loop {
            match self.find()? {
                Some(Found::Blank { total }) => {
                    self.pending = total;
                    blank += 1;
                }
                Some(Found::Bad { total, .. }) if bad < MOST_BAD => {
                    self.pending = total;
                    bad += 1;
                }
                Some(Found::Cells { .. }) => break self.current.cells.count().min(MAX_COLUMNS),
                _ => break 1,
            }
        };
        if bad + blank > 0 {
            // They are told and counted when they are read.
            self.input.seek(begin.offset, limit)?;
            self.current.window = Window::new(0, u64::MAX);
            (self.offset, self.pending, self.lines) = (begin.offset, 0, begin.line);
            self.marks = marks;
        }
        Ok(count)
    }

    /// Moves the start of the window behind what is done with.
    fn advance(&mut self) {
        let window = &mut self.current.window;
        let length = std::mem::take(&mut self.pending);
        self.offset += match self.input.rewriting() {
            None => length as u64,
            Some(rewriting) => rewriting.length_in_file(window.first(length)) as u64,
        };
        window.consume(length);
    }

    /// Looks at the next row without consuming it.
    fn find(&mut self) -> io::Result<Option<Found>> {
        self.advance();
        while self.current.begins_with_mark(&mut self.input)? {
            self.pending = MARK.len();
            self.advance();
            self.marks += 1;
        }
        let RowFields { window, cells, columns, .. } = &mut self.current;
        let mut ended = !window.fill(&mut self.input, 1)?;
        if ended {
            return Ok(None);
        }
        loop {
            let bytes = window.bytes();
            let row = columns.marks.row(bytes, ended, cells);
            match look(columns, bytes, ended, row, cells) {
                Glue::Ends { content, lines } => {
                    return Ok(Some(Found::Cells { content, total: content, lines }));
                }
                Glue::Undecided if bytes.len() <= MAX_RECORD => {
                    ended = !window.grow(&mut self.input)?;
                    continue;
                }
                Glue::Undecided | Glue::None => {}
            }
            let quoted = match row {
                Row::Cells { content, .. } if content > MAX_RECORD => true,
                Row::Cells { content, total, lines } => return Ok(Some(Found::Cells { content, total, lines })),
                Row::Blank { total } => return Ok(Some(Found::Blank { total })),
                Row::Broken { found, .. } => {
                    let found = format!("{} after a closing quote", shown(found));
                    return self.bad("a delimiter or the line's end", found).map(Some);
                }
                Row::Incomplete { .. } if bytes.len() <= MAX_RECORD && !ended => {
                    ended = !window.grow(&mut self.input)?;
                    continue;
                }
                Row::Incomplete { quoted } => quoted,
            };
            if quoted {
                let found = if ended { "the end of the file" } else { "no quote within 16 MiB" }.to_owned();
                return self.bad("a closing quote", found).map(Some);
            }
            return Ok(Some(Found::Endless));
        }
    }

    /// The line at the start of the window, as one that is no row.
    fn bad(&mut self, expected: &'static str, found: String) -> io::Result<Found> {
        let RowFields { window, columns, .. } = &mut self.current;
        let mut ended = false;
        loop {
            match columns.marks.first_line(window.bytes(), ended) {
                Some((content, _)) if content > MAX_RECORD => return Ok(Found::Endless),
                Some((content, total)) => return Ok(Found::Bad { content, total, expected, found }),
                None if window.bytes().len() > MAX_RECORD => return Ok(Found::Endless),
                None => ended = !window.grow(&mut self.input)?,
            }
        }
    }

    /// Passes over a line, however long it is and whatever quotes it has; false at the end of the file.
    fn skip_line(&mut self) -> io::Result<bool> {
        self.advance();
        let mut ended = !self.current.window.fill(&mut self.input, 1)?;
        if ended {
            return Ok(false);
        }
        loop {
            let RowFields { window, columns, .. } = &mut self.current;
            let held = window.bytes().len();
            if let Some((_, total)) = columns.marks.first_line(window.bytes(), ended) {
                self.pending = total;
                self.lines += 1;
                return Ok(true);
            }
            // The last byte may be the first of a line end of two.
            self.pending = held.saturating_sub(1);
            self.advance();
            ended = !self.current.window.fill(&mut self.input, 2)?;
        }
    }

    pub(in crate::decode) fn next(&mut self) -> Result<Option<Item<'_>>, StreamFault> {
        let Some(found) = self.find()? else { return Ok(None) };
        match found {
            Found::Blank { total } => {
                self.pending = total;
                self.lines += 1;
                self.left_out += 1;
                Ok(Some(Item::Skipped))
            }
            Found::Bad { content, total, expected, found } => {
                self.records += 1;
                let item = self.reject(RejectCode::BadQuote, expected, found, content);
                self.pending = total;
                self.lines += 1;
                Ok(Some(Item::Reject(item)))
            }
            Found::Endless => {
                self.records += 1;
                let found = format!("more than {MAX_RECORD} bytes");
                let item = self.reject(RejectCode::RecordTooLong, "a row", found, HEAD);
                self.skip_line()?;
                Ok(Some(Item::Reject(item)))
            }
            Found::Cells { content, total, lines } => Ok(Some(self.row(content, total, lines))),
        }
    }

    fn row(&mut self, content: usize, total: usize, lines: u64) -> Item<'_> {
        self.pending = total;
        self.current.content = content;
        let bytes = self.current.window.first(content);
        let is_end_mark = bytes.iter().all(|byte| *byte == CTRL_Z) && !bytes.is_empty();
        let repeats = match self.current.columns.is_header(bytes) {
            true => self.current.columns.repeated_header,
            false => RepeatedHeader::Keep,
        };
        if is_end_mark || repeats == RepeatedHeader::Skip {
            self.lines += lines;
            self.left_out += u64::from(!is_end_mark);
            return Item::Skipped;
        }
        self.records += 1;
        let misfit = match self.current.columns.misfit(&self.current.cells) {
            Some((due, there)) => Some((format!("{due} columns"), format!("{there} columns"))),
            None if is_unclear(&self.current.columns, bytes, &self.current.cells) => {
                Some(("one row".to_owned(), "a byte order mark in it, where a line end may be missing".to_owned()))
            }
            None => None,
        };
        if repeats == RepeatedHeader::Reject || misfit.is_some() {
            let item = match misfit.filter(|_| repeats != RepeatedHeader::Reject) {
                Some((expected, found)) => self.reject(RejectCode::ColumnCount, &expected, found, content),
                None => {
                    let found = "the header once more".to_owned();
                    self.reject(RejectCode::RepeatedHeader, "a record", found, content)
                }
            };
            self.lines += lines;
            return Item::Reject(item);
        }
        if let Some(rewriting) = self.input.rewriting() {
            self.current.raw.clear();
            rewriting.to_file(self.current.window.first(content), &mut self.current.raw);
        }
        let position = self.position(self.raw(content).len());
        self.lines += lines;
        Item::Record(RawRecord { raw: self.raw(content), position, fields: &self.current })
    }

    /// The bytes of a row in the file. Those of a file that is rewritten have to be in `raw` already.
    fn raw(&self, content: usize) -> &[u8] {
        if self.input.rewriting().is_some() { &self.current.raw } else { self.current.window.first(content) }
    }

    /// A reject of what stands at the start of the window.
    fn reject(&self, code: RejectCode, expected: &str, found: String, content: usize) -> Reject {
        let bytes = self.current.window.first(content);
        let mut raw = Vec::new();
        match self.input.rewriting() {
            Some(rewriting) => rewriting.to_file(bytes, &mut raw),
            None => raw.extend_from_slice(bytes),
        }
        reject(code, expected, found, self.position(raw.len()), &raw)
    }

    /// The position of a row that begins at the start of the window.
    fn position(&self, length: usize) -> Position {
        Position { record: self.records, offset: self.offset, length: length32(length), line: Some(self.lines + 1) }
    }

    pub(in crate::decode) fn resume_point(&self) -> Resume {
        let pending = match self.input.rewriting() {
            None => self.pending,
            Some(rewriting) => rewriting.length_in_file(self.current.window.first(self.pending)),
        };
        Resume { offset: self.offset + pending as u64, records: self.records, line: self.lines }
    }

    /// See [`Reader::left_out`](crate::decode::Reader::left_out).
    pub(in crate::decode) fn left_out(&self) -> u64 {
        self.left_out
    }

    /// See [`Reader::marks_within`](crate::decode::Reader::marks_within).
    pub(in crate::decode) fn marks_within(&self) -> u64 {
        self.marks
    }

    /// The next whole rows of about so many bytes, unread, and where they begin; `None` where they cannot be told apart
    /// without reading them. Their records and lines are not counted.
    pub(in crate::decode) fn stretch(&mut self, size: usize) -> io::Result<Option<(Vec<u8>, u64)>> {
        // What is passed over is counted here, not by those who read the stretch.
        let counts = self.current.columns.repeated_header == RepeatedHeader::Skip;
        if self.input.rewriting().is_some() || counts {
            return Ok(None);
        }
        self.advance();
        let RowFields { window, columns, .. } = &mut self.current;
        window.fill(&mut self.input, size)?;
        let Some(length) = columns.marks.whole_rows(window.first(size)) else { return Ok(None) };
        let part = window.first(length);
        // A byte order mark is counted here too.
        if columns.encoding.page().is_utf8() && memchr::memmem::find(part, MARK).is_some() {
            return Ok(None);
        }
        let part = (part.to_vec(), self.offset);
        self.pending = length;
        self.advance();
        Ok(Some(part))
    }

    /// What writes records of this file that were copied out of the reader. Rows of a file that is rewritten are not what
    /// it has.
    pub(in crate::decode) fn rows(&self) -> Option<Rows> {
        self.input.rewriting().is_none().then(|| Rows(Arc::clone(&self.current.columns), RefCell::default()))
    }
}

fn refused(message: String, offset: u64, line: u64) -> StreamFault {
    StreamFault::Layout { code: RejectCode::FileUnreadable, message, offset, line: Some(line) }
}

/// Where the text of a file begins and what it is in, by its byte order mark. Refuses what is plainly no text of the
/// declared kind.
fn sniff<R: Read + Seek>(file: &mut R, settings: &Settings) -> Result<(u64, Charset), StreamFault> {
    file.seek(SeekFrom::Start(0))?;
    let mut bytes = [0; 4];
    let mut read = 0;
    while read < bytes.len() {
        match file.read(&mut bytes[read..]) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    let declared = &settings.encoding;
    if let Some(Rewriting::Ebcdic(ebcdic)) = declared.rewriting() {
        file.seek(SeekFrom::Start(0))?;
        return Ok((0, declared.rewritten(Rewriting::Ebcdic(ebcdic.seen(file)?))));
    }
    let is_unicode = declared.page().is_utf8();
    let is_text = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
    let message = match bytes.get(..read).unwrap_or_default() {
        [0xFF, 0xFE, ..] if is_unicode => return Ok((2, declared.rewritten(Rewriting::Utf16(Utf16::Little)))),
        [0xFE, 0xFF, ..] if is_unicode => return Ok((2, declared.rewritten(Rewriting::Utf16(Utf16::Big)))),
        _ if declared.rewriting().is_some() => return Ok((0, declared.clone())),
        [0xEF, 0xBB, 0xBF, ..] => return Ok((3, declared.clone())),
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => format!("is UTF-16 and not {} as declared", declared.name()),
        [0x1F, 0x8B, ..] => "is compressed (gzip); have it sent as plain text".to_owned(),
        [b'P', b'K', 3, 4] => "is a zip archive or an Excel workbook; have it sent as plain text".to_owned(),
        [a, 0, b, 0] | [0, a, 0, b] if is_text(a) && is_text(b) && settings.nul == Nul::Reject => {
            let order = if bytes[0] == 0 { "utf-16be" } else { "utf-16le" };
            format!("looks like UTF-16: declare its encoding as {order}")
        }
        _ => return Ok((0, declared.clone())),
    };
    Err(refused(format!("the file {message}"), 0, 1))
}

/// A byte, for messages.
fn shown(byte: u8) -> String {
    if byte.is_ascii_graphic() { format!("`{}`", char::from(byte)) } else { format!("byte {byte:02X}") }
}

impl Clone for Rows {
    fn clone(&self) -> Rows {
        Rows(Arc::clone(&self.0), RefCell::default())
    }
}

impl Rows {
    /// Reads the rows of a part of the file; their records and lines are counted from its beginning.
    pub(in crate::decode) fn reader(&self, bytes: Vec<u8>, offset: u64) -> Reader<io::Empty> {
        let current = RowFields {
            columns: Arc::clone(&self.0),
            window: Window::of(bytes, 0),
            cells: Cells::default(),
            content: 0,
            raw: Vec::new(),
        };
        let input = Input::new(io::empty(), None, 0);
        Reader { input, current, pending: 0, offset, records: 0, lines: 0, left_out: 0, marks: 0 }
    }

    /// As [`Decoder::write_json`](crate::decode::Decoder::write_json), from a record's raw bytes and position.
    pub(in crate::decode) fn write_json(
        &self,
        raw: &[u8],
        position: Position,
        options: &JsonOptions,
        out: &mut Vec<u8>,
    ) -> Result<(), Reject> {
        let cells = &mut *self.1.borrow_mut();
        match self.0.marks.row(raw, true, cells) {
            Row::Cells { .. } => {
                let view = View { columns: &self.0, bytes: raw, content: raw.len(), cells: cells.list() };
                write_json(&RawRecord { raw, position, fields: &view }, options, out)
            }
            _ => Err(reject(RejectCode::BadQuote, "a row", "another line".to_owned(), position, raw)),
        }
    }
}

impl RowFields {
    /// Whether the window begins with a byte order mark, which is one in Unicode only.
    fn begins_with_mark<R: Read>(&mut self, input: &mut Input<R>) -> io::Result<bool> {
        let may_be = self.window.fill(input, 1)? && self.window.bytes()[0] == MARK[0];
        if !may_be || !self.columns.encoding.page().is_utf8() {
            return Ok(false);
        }
        self.window.fill(input, MARK.len())?;
        Ok(self.window.bytes().starts_with(MARK))
    }

    fn view(&self) -> View<'_> {
        View { columns: &self.columns, bytes: self.window.bytes(), content: self.content, cells: self.cells.list() }
    }
}

impl crate::record::Fields for RowFields {
    fn read(&self, slot: Slot, _scope: Scope) -> Result<Value<'_>, FieldFault> {
        self.view().read(slot)
    }

    fn write_text(&self, slot: Slot, _scope: Scope, out: &mut Vec<u8>) -> bool {
        self.view().write_text(slot, out)
    }

    fn count(&self, slot: Slot, scope: Scope) -> Result<usize, FieldFault> {
        crate::record::Fields::count(&self.view(), slot, scope)
    }

    fn element(&self, _slot: Slot, scope: Scope, _index: usize) -> Scope {
        scope
    }

    fn span(&self, slot: Slot, _scope: Scope) -> Option<(u32, u32)> {
        self.view().span(slot)
    }

    fn name(&self, slot: Slot) -> &str {
        self.view().name(slot)
    }
}
