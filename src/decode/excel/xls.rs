//! How large the sheets of an .xls file are: two cells in opposite corners make a reader that lays all cells out ask for
//! half a gigabyte, and a small file has room for many such sheets.
//!
//! Looks at the container ([MS-CFB]) only as far as the stream with the workbook, and at that ([MS-XLS]) only for the
//! places of its cells.

/// Sectors with special meanings begin here.
const LAST_SECTOR: u32 = 0xFFFF_FFFA;

/// How many cells all sheets span together, each from its first to its last one; `None` when the container cannot be
/// followed.
pub(super) fn cells(file: &[u8]) -> Option<u64> {
    let stream = workbook(file)?;
    let mut total = 0u64;
    let mut sheet = Extent::default();
    let mut rest = stream.as_slice();
    while let Some((head, behind)) = rest.split_first_chunk::<4>() {
        let kind = u16::from_le_bytes([head[0], head[1]]);
        let length = usize::from(u16::from_le_bytes([head[2], head[3]])).min(behind.len());
        let (data, next) = behind.split_at(length);
        match kind {
            // The beginning of a part: of the globals, or of a sheet.
            0x0809 | 0x0409 | 0x0209 | 0x0009 => {
                total = total.saturating_add(sheet.cells());
                sheet = Extent::default();
            }
            // What the sheet says of its own size, for which room is made at once.
            0x0200 => sheet.declared = sheet.declared.max(declared(data)?),
            // Formulas, blanks, numbers, texts, booleans and errors; the last column of the repeating kinds is at their end.
            0x0006 | 0x0206 | 0x0406 | 0x0001..=0x0005 | 0x0201 | 0x0203..=0x0205 | 0x027E | 0x00FD | 0x00D6 => {
                sheet.add(short(data, 0), short(data, 2));
            }
            0x00BD | 0x00BE => {
                sheet.add(short(data, 0), short(data, 2));
                sheet.add(short(data, 0), short(data, data.len().saturating_sub(2)));
            }
            _ => {}
        }
        rest = next;
    }
    Some(total.saturating_add(sheet.cells()))
}

/// From the first to the last row and column that has a cell.
#[derive(Default)]
struct Extent {
    rows: Option<(u16, u16)>,
    columns: Option<(u16, u16)>,
    /// As many cells as it says.
    declared: u64,
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
    }

    fn cells(&self) -> u64 {
        let count = |known: Option<(u16, u16)>| known.map_or(0, |(first, last)| u64::from(last - first) + 1);
        (count(self.rows) * count(self.columns)).max(self.declared)
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
    use super::cells;

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
