//! How large an .xls file is once the library has read it: two cells in opposite corners make a reader that lays all cells
//! out ask for half a gigabyte, a small file has room for many such sheets, and a text of one letter, four bytes in the file,
//! takes ten times as much in memory.
//!
//! Looks at the container ([MS-CFB]) only as far as the stream with the workbook, and at that ([MS-XLS]) only for the
//! places of its cells and the lengths of its texts.

use calamine::{Cell, Data};

/// Sectors with special meanings begin here.
const LAST_SECTOR: u32 = 0xFFFF_FFFA;

/// The kind of records that go on with the one before them.
const CONTINUE: u16 = 0x003C;

/// What the sheets of a file take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size {
    /// How many cells all sheets span together, each from its first to its last one, or as it says.
    pub(super) cells: u64,
    /// Bytes of memory that the library takes for them and for their texts, about.
    pub(super) bytes: u64,
    /// Those of `bytes` that go to the longest list of a sheet's cells: each is gone when the next is made.
    listed: u64,
    /// Everything was looked at.
    pub(super) is_whole: bool,
}

/// What the sheets of a file take; `None` when the container cannot be followed. Looking ends where there are more than
/// `max_bytes`.
pub(super) fn size(file: &[u8], max_bytes: u64) -> Option<Size> {
    let stream = workbook(file)?;
    let (mut size, mut sheet) = (Size::default(), Extent::default());
    // Bytes that each text takes which cells share.
    let mut texts: Vec<u32> = Vec::new();
    let mut rest = stream.as_slice();
    while let Some((kind, data)) = next(&mut rest) {
        match kind {
            // The beginning of a part: of the globals, or of a sheet.
            0x0809 | 0x0409 | 0x0209 | 0x0009 => size.add(&std::mem::take(&mut sheet)),
            // What the sheet says of its own size, for which room is made at once.
            0x0200 => sheet.declared = sheet.declared.max(declared(data)?),
            // Formulas, blanks, numbers, texts, booleans and errors; the last column of the repeating kinds is at their end.
            0x0006 | 0x0206 | 0x0406 | 0x0001..=0x0005 | 0x0201 | 0x0203..=0x0205 | 0x027E | 0x00FD | 0x00D6 => {
                sheet.add(short(data, 0), short(data, 2));
                sheet.texts += match kind {
                    0x00FD => {
                        let text = long(data, 6).and_then(|number| texts.get(number as usize));
                        text.map_or(0, |bytes| u64::from(*bytes))
                    }
                    0x0204 | 0x00D6 => heap(2 * data.len()),
                    0x0006 | 0x0206 | 0x0406 => {
                        sheet.formulas = true;
                        heap(4 * data.len())
                    }
                    _ => 0,
                };
            }
            0x00BD | 0x00BE => {
                sheet.add(short(data, 0), short(data, 2));
                sheet.add(short(data, 0), short(data, data.len().saturating_sub(2)));
                sheet.count += data.len() as u64 / 6;
            }
            // What a formula ended in, where that is a text.
            0x0207 => sheet.texts += heap(2 * data.len()),
            0x00FC => {
                let mut parts = vec![data];
                while let Some((CONTINUE, data)) = next(&mut { rest }) {
                    parts.push(data);
                    next(&mut rest);
                }
                texts = Vec::new();
                for bytes in (Texts { parts, part: 0, at: 8 }) {
                    size.bytes += bytes + std::mem::size_of::<String>() as u64;
                    texts.push(u32::try_from(bytes).unwrap_or(u32::MAX));
                    if size.bytes > max_bytes {
                        return Some(size);
                    }
                }
            }
            _ => {}
        }
        if size.bytes.saturating_add(sheet.texts) > max_bytes {
            size.add(&sheet);
            return Some(size);
        }
    }
    size.add(&sheet);
    Some(Size { is_whole: true, ..size })
}

/// The next record: its kind and its data.
fn next<'a>(rest: &mut &'a [u8]) -> Option<(u16, &'a [u8])> {
    let (head, behind) = rest.split_first_chunk::<4>()?;
    let length = usize::from(u16::from_le_bytes([head[2], head[3]])).min(behind.len());
    let (data, behind) = behind.split_at(length);
    *rest = behind;
    Some((u16::from_le_bytes([head[0], head[1]]), data))
}

/// Bytes that so many take on the heap: no allocator gives out less than a few.
fn heap(length: usize) -> u64 {
    (length as u64).next_multiple_of(16)
}

/// The bytes that each of the texts takes which cells share, which lie in a record and those that go on with it.
struct Texts<'a> {
    parts: Vec<&'a [u8]>,
    part: usize,
    at: usize,
}

impl Texts<'_> {
    /// Passes over so many bytes, wherever they lie; fewer where there are no more.
    fn skip(&mut self, mut count: usize) -> Option<()> {
        loop {
            let left = self.parts.get(self.part)?.len().saturating_sub(self.at);
            if count <= left {
                self.at += count;
                return Some(());
            }
            count -= left;
            (self.part, self.at) = (self.part + 1, 0);
        }
    }
}

impl Iterator for Texts<'_> {
    type Item = u64;

    /// Stops where the records are cut: whoever reads them says so.
    fn next(&mut self) -> Option<u64> {
        while self.parts.get(self.part)?.len() <= self.at {
            (self.part, self.at) = (self.part + 1, 0);
        }
        let head = self.parts.get(self.part)?.get(self.at..)?;
        let (mut units, mut flags) = (usize::from(short(head, 0)?), *head.get(2)?);
        let mut length = 3;
        let (mut runs, mut more) = (0, 0);
        if flags & 8 != 0 {
            runs = usize::from(short(head, length)?);
            length += 2;
        }
        if flags & 4 != 0 {
            more = usize::try_from(long(head, length)?).ok()?;
            length += 4;
        }
        self.at += length;
        // Room is made for as many bytes as there are units, and for more where letters take more.
        let mut bytes = heap(units);
        while units > 0 {
            let wide = usize::from(flags & 1) + 1;
            let left = self.parts.get(self.part)?.get(self.at..)?;
            let here = (left.len() / wide).min(units);
            let plain = wide == 1 && left[..here].is_ascii();
            if !plain && here > 0 {
                bytes = bytes.max(heap(2 * wide * units));
            }
            self.at += here * wide;
            units -= here;
            if units > 0 {
                // What goes on in another record says anew how its letters are written.
                (self.part, self.at) = (self.part + 1, 1);
                flags = *self.parts.get(self.part)?.first()?;
            }
        }
        self.skip(4 * runs)?;
        self.skip(more)?;
        Some(bytes)
    }
}

impl Size {
    fn add(&mut self, sheet: &Extent) {
        self.cells = self.cells.saturating_add(sheet.laid_out().max(sheet.declared));
        // Laid out they take room where nothing is, and those of formulas once more; before that they are in a list. Room that
        // is made for more cells than there are is never touched.
        let (mut each, mut in_list) = (std::mem::size_of::<Data>(), std::mem::size_of::<Cell<Data>>());
        if sheet.formulas {
            each += std::mem::size_of::<String>();
            in_list += std::mem::size_of::<Cell<String>>();
        }
        let listed = sheet.count.saturating_mul(in_list as u64);
        let more = listed.saturating_sub(self.listed);
        self.listed += more;
        let laid_out = sheet.laid_out().saturating_mul(each as u64);
        self.bytes = self.bytes.saturating_add(laid_out).saturating_add(more + sheet.texts);
    }
}

/// From the first to the last row and column that has a cell.
#[derive(Default)]
struct Extent {
    rows: Option<(u16, u16)>,
    columns: Option<(u16, u16)>,
    /// As many cells as it says.
    declared: u64,
    /// Cells that there are.
    count: u64,
    /// Bytes that their texts take.
    texts: u64,
    /// Whether some have formulas.
    formulas: bool,
}

/// The cells between the first and the last row and column of a DIMENSIONS record; `None` where the last is before the
/// first.
fn declared(data: &[u8]) -> Option<u64> {
    let (first, last, from, to) = if data.len() == 10 {
        (short(data, 0)?.into(), short(data, 2)?.into(), short(data, 4)?, short(data, 6)?)
    } else {
        (long(data, 0)?, long(data, 4)?, short(data, 8)?, short(data, 10)?)
    };
    if last > 0 && last < first {
        return None;
    }
    // Some programs write a first column behind the last: then all columns count.
    let from = if from > 0xFF || to < from { 0 } else { from };
    Some((u64::from(last.saturating_sub(first)) + 1) * (u64::from(to.saturating_sub(from)) + 1))
}

impl Extent {
    fn add(&mut self, row: Option<u16>, column: Option<u16>) {
        let (Some(row), Some(column)) = (row, column) else { return };
        let wider = |known: Option<(u16, u16)>, at: u16| {
            let (first, last) = known.unwrap_or((at, at));
            Some((first.min(at), last.max(at)))
        };
        (self.rows, self.columns) = (wider(self.rows, row), wider(self.columns, column));
        self.count += 1;
    }

    /// The cells between the outermost ones that there are.
    fn laid_out(&self) -> u64 {
        let count = |known: Option<(u16, u16)>| known.map_or(0, |(first, last)| u64::from(last - first) + 1);
        count(self.rows) * count(self.columns)
    }
}

/// The stream called Workbook, or Book in older files.
fn workbook(file: &[u8]) -> Option<Vec<u8>> {
    let container = Container::open(file)?;
    let directory = container.chain(long(file, 48)?, usize::MAX)?;
    let entries = directory.chunks_exact(128);
    let named = |name: &str| {
        let wanted: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        entries.clone().find(|entry| {
            // The length counts the zero at the end; what a stream is called does not go by case.
            let length = usize::from(short(entry, 64).unwrap_or(0)).saturating_sub(2);
            entry.get(..length).is_some_and(|own| own.eq_ignore_ascii_case(&wanted))
        })
    };
    let entry = named("Workbook").or_else(|| named("Book"))?;
    let (start, size) = (long(entry, 116)?, usize::try_from(long(entry, 120)?).ok()?);
    if size >= usize::try_from(long(file, 56)?).ok()? {
        return container.chain(start, size);
    }
    // Small streams lie in sectors of 64 bytes, in the stream of the root entry.
    let root = directory.chunks_exact(128).next()?;
    let small = container.chain(long(root, 116)?, usize::try_from(long(root, 120)?).ok()?)?;
    let table = container.chain(long(file, 60)?, usize::MAX)?;
    let mut content = Vec::new();
    let mut sector = start;
    while sector < LAST_SECTOR && content.len() < size {
        let at = usize::try_from(sector).ok()? * 64;
        content.extend_from_slice(small.get(at..(at + 64).min(small.len()))?);
        sector = long(&table, usize::try_from(sector).ok()? * 4)?;
    }
    content.truncate(size);
    Some(content)
}

/// The sectors of a file and which follows which.
struct Container<'a> {
    file: &'a [u8],
    sector: usize,
    next: Vec<u32>,
}

impl<'a> Container<'a> {
    fn open(file: &'a [u8]) -> Option<Container<'a>> {
        let sector = 1usize << short(file, 30).filter(|shift| (7..=16).contains(shift))?;
        let mut container = Container { file, sector, next: Vec::new() };
        // The first 109 sectors of the table are named in the header, the others in sectors of their own.
        let mut tables: Vec<u32> = (0..109).map_while(|index| long(file, 76 + 4 * index)).collect();
        let (mut more, mut steps) = (long(file, 68)?, 0);
        while more < LAST_SECTOR {
            let list = container.at(more)?;
            let (names, last) = list.split_at(sector - 4);
            tables.extend(names.chunks_exact(4).filter_map(|name| long(name, 0)));
            more = long(last, 0)?;
            steps += 1;
            if steps > file.len() / sector {
                return None;
            }
        }
        for table in tables.into_iter().filter(|table| *table < LAST_SECTOR) {
            let sectors = container.at(table)?;
            container.next.extend(sectors.chunks_exact(4).filter_map(|next| long(next, 0)));
            if container.next.len() > file.len() {
                return None;
            }
        }
        Some(container)
    }

    fn at(&self, sector: u32) -> Option<&'a [u8]> {
        let start = usize::try_from(sector).ok()?.checked_add(1)?.checked_mul(self.sector)?;
        self.file.get(start..start.checked_add(self.sector)?)
    }

    /// The bytes of the sectors that follow each other from `sector` on. The last sector of a file may be cut.
    fn chain(&self, mut sector: u32, size: usize) -> Option<Vec<u8>> {
        let mut content = Vec::new();
        while sector < LAST_SECTOR && content.len() < size {
            match self.at(sector) {
                Some(bytes) => content.extend_from_slice(bytes),
                None => {
                    let start = usize::try_from(sector).ok()?.checked_add(1)?.checked_mul(self.sector)?;
                    content.extend_from_slice(self.file.get(start..)?);
                }
            }
            // A ring has no end.
            if content.len() > self.file.len() {
                return None;
            }
            sector = *self.next.get(usize::try_from(sector).ok()?)?;
        }
        content.truncate(size);
        Some(content)
    }
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|bytes| u16::from_le_bytes(*bytes))
}

fn long(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::{Size, Texts, size};

    fn cells(file: &[u8]) -> Option<u64> {
        size(file, u64::MAX).map(|size| size.cells)
    }

    const ROWS: &[u8] = include_bytes!("../../../fixtures/decode/excel/rows.xls");
    /// Two sheets, each with one cell in the first and one in the last place that there is.
    const CORNERS: &[u8] = include_bytes!("../../../fixtures/decode/excel/corners.xls");

    #[test]
    fn cells_are_counted_by_sheet() {
        // One cell, eight columns by ten rows, and two by three; with what the sheets say of themselves a few more.
        let found = cells(ROWS).unwrap();
        assert!((87..200).contains(&found), "{found}");
        assert!(cells(CORNERS).unwrap() >= 2 * 65_536 * 256);
    }

    /// The lists of texts by hand: plain, wide, with formats and what is behind them, and parted where records end.
    #[test]
    fn texts_take_what_their_letters_do() {
        let weights = |parts: &[&[u8]]| Texts { parts: parts.to_vec(), part: 0, at: 0 }.collect::<Vec<_>>();
        let plain = |text: &[u8]| [&(text.len() as u16).to_le_bytes()[..], &[0], text].concat();
        let list = [plain(b"a"), plain(b""), plain(b"seventeen letters")].concat();
        assert_eq!(weights(&[&list]), [16, 0, 32]);
        // Three letters of two bytes, of which the first are in one record and the last in the next, now of one byte.
        assert_eq!(weights(&[&[3, 0, 1, 0x3B, 4], &[1, 0x30, 4, 0x31, 4, 1, 0, 0, b'x']]), [16, 16]);
        assert_eq!(weights(&[&[3, 0, 1, 0x3B, 4], &[0, b'a', b'b', 1, 0, 0, b'x']]), [16, 16]);
        // A letter beyond ASCII takes more, and the room grows.
        assert_eq!(weights(&[&plain(&[0xE4; 30])]), [64]);
        // Two formats and five bytes of something else, which end in another record.
        let rich = [1u8, 0, 0x0C, 2, 0, 5, 0, 0, 0, b'a', 0, 0, 0, 0];
        assert_eq!(weights(&[&rich, &[[0u8; 9].as_slice(), &plain(b"next")].concat()]), [16, 16]);
        for cut in [[1u8, 0].as_slice(), &[9, 0, 0, b'a'], &[1, 0, 8], &[1, 0, 4, 0, 0]] {
            assert_eq!(weights(&[cut]), Vec::<u64>::new());
        }
        // Looking ends where there is more than there may be.
        let all = size(ROWS, u64::MAX).unwrap();
        assert!(all.bytes > 2000 && all.bytes < 100_000 && all.is_whole, "{all:?}");
        assert!(size(ROWS, 100).is_some_and(|size: Size| size.bytes > 100 && !size.is_whole));
    }

    /// A number takes what it takes in the list of its sheet's cells and then, laid out; a sheet's list is gone when the next
    /// one's is made.
    #[test]
    fn a_number_takes_no_more_than_it_does() {
        let sheet = |rows: u16, columns: u16| {
            let mut sheet = super::Extent::default();
            for row in 0..rows {
                for column in 0..columns {
                    sheet.add(Some(row), Some(column));
                }
            }
            sheet
        };
        let mut size = Size::default();
        size.add(&sheet(100, 10));
        assert_eq!((size.cells, size.bytes), (1000, 1000 * (32 + 40)));
        // Of another one of the same size only what stays; of a larger one what its list takes beyond the first.
        size.add(&sheet(100, 10));
        assert_eq!(size.bytes, 1000 * (32 + 40) + 1000 * 32);
        size.add(&sheet(100, 20));
        assert_eq!((size.cells, size.bytes), (4000, 4000 * 32 + 2000 * 40));
        // Room that a sheet asks for and does not fill is room that nobody touches; but it is asked for.
        size.add(&super::Extent { declared: 1_000_000, ..sheet(1, 1) });
        assert_eq!((size.cells, size.bytes), (1_004_000, 4001 * 32 + 2000 * 40));
        size.add(&super::Extent { formulas: true, ..sheet(100, 30) });
        assert_eq!(size.bytes, 4001 * 32 + 3000 * (32 + 24) + 3000 * (40 + 32));
    }

    #[test]
    fn what_a_sheet_says_of_its_size_counts() {
        let record = |rows: (u32, u32), columns: (u16, u16)| {
            let rows = [rows.0.to_le_bytes(), rows.1.to_le_bytes()].concat();
            [rows, columns.0.to_le_bytes().to_vec(), columns.1.to_le_bytes().to_vec(), vec![0; 2]].concat()
        };
        assert_eq!(super::declared(&record((0, 10), (0, 8))), Some(99));
        assert_eq!(super::declared(&record((0, 0), (0, 0))), Some(1));
        assert_eq!(super::declared(&record((0, 0xD000_0001), (0, 1))), Some(0xD000_0002 * 2));
        assert_eq!(super::declared(&record((0, 1), (9, 1))), Some(2 * 2));
        assert_eq!(super::declared(&record((9, 1), (0, 1))), None);
        assert_eq!(super::declared(&[0; 3]), None);
    }

    #[test]
    fn damage_is_told_and_never_followed_forever() {
        assert_eq!(cells(&ROWS[..1000]), None);
        for at in (0..512).chain(512..ROWS.len()).step_by(3) {
            for byte in [0, 1, 0xFF] {
                let mut changed = ROWS.to_vec();
                changed[at] = byte;
                cells(&changed);
            }
        }
    }
}
