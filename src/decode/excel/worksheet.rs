//! What the library that reads .xlsx files does not tell: a reference like `ABCD5` that is none of a sheet, a cell that says
//! another row than the one it lies in, a text that goes by no number. Such cells would come out at another place, or
//! with another text.
//!
//! Parts of the archive are looked at as they are unpacked ([`Worksheets::see`]), and only then is it known which part
//! the wanted sheet is ([`part_of`]).

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::settings::{MAX_COLUMNS, MAX_ROWS};

/// A tag of a cell or row has no more bytes than this; what is longer is not looked at.
const MAX_TAG: usize = 4096;

/// The first fault of every part that has one.
#[derive(Default)]
pub(super) struct Worksheets {
    faults: Vec<(String, String)>,
    scan: Scan,
}

impl Worksheets {
    /// Looks at the next piece of a part; an empty one ends it.
    pub(super) fn see(&mut self, part: &str, piece: &[u8]) {
        if piece.is_empty() {
            if let Some(fault) = std::mem::take(&mut self.scan).fault {
                self.faults.push((part.to_ascii_lowercase(), fault));
            }
        } else if self.scan.fault.is_none() {
            self.scan.see(piece);
        }
    }

    /// What is wrong with a part.
    pub(super) fn fault(&self, part: &str) -> Option<&str> {
        let part = part.to_ascii_lowercase();
        self.faults.iter().find(|(own, _)| *own == part).map(|(_, fault)| fault.as_str())
    }
}

/// Follows the tags of one worksheet.
#[derive(Default)]
struct Scan {
    /// What was seen of a tag, from its `<` on; empty outside of tags.
    tag: Vec<u8>,
    /// The text since the last tag, where it is that of a number.
    text: Option<Vec<u8>>,
    /// The row that is open, as it is written.
    row: Option<u32>,
    /// The cell that is open, as it is written, and whether its value is the number of a text.
    cell: (String, bool),
    fault: Option<String>,
}

impl Scan {
    fn see(&mut self, mut piece: &[u8]) {
        while self.fault.is_none() && !piece.is_empty() {
            if self.tag.is_empty() {
                let start = memchr::memchr(b'<', piece);
                let text = &piece[..start.unwrap_or(piece.len())];
                if let Some(kept) = self.text.as_mut().filter(|kept| kept.len() < MAX_TAG) {
                    kept.extend_from_slice(text);
                }
                let Some(start) = start else { return };
                self.tag.push(b'<');
                piece = &piece[start + 1..];
                continue;
            }
            let end = memchr::memchr(b'>', piece);
            let part = &piece[..end.unwrap_or(piece.len())];
            if self.tag.len() < MAX_TAG {
                self.tag.extend_from_slice(part);
            }
            let Some(end) = end else { return };
            piece = &piece[end + 1..];
            let tag = std::mem::take(&mut self.tag);
            if tag.len() < MAX_TAG {
                self.fault = self.tag(&tag).err();
            }
            self.tag = tag;
            self.tag.clear();
        }
    }

    /// A tag without its `>`.
    fn tag(&mut self, tag: &[u8]) -> Result<(), String> {
        let text = self.text.take();
        let inner = tag.get(1..).unwrap_or_default();
        let inner = inner.strip_suffix(b"/").unwrap_or(inner);
        let name_end = inner.iter().position(|byte| byte.is_ascii_whitespace()).unwrap_or(inner.len());
        let (name, attributes) = inner.split_at(name_end);
        let local = name.rsplit(|byte| *byte == b':').next().unwrap_or_default();
        match (inner.first(), local) {
            (Some(b'/'), b"v") | (Some(b'/'), b"/v") => self.value(text.as_deref()),
            (Some(b'/'), b"row" | b"/row") => {
                self.row = None;
                Ok(())
            }
            (_, b"row") => {
                self.row = None;
                let Some(written) = attribute(attributes, b"r") else { return Ok(()) };
                match reference(written) {
                    Some((None, row)) => self.row = Some(row),
                    _ => return Err(format!("a row says that it is row `{}`", shown(written))),
                }
                Ok(())
            }
            (_, b"c") => {
                let written = attribute(attributes, b"r");
                let is_text = attribute(attributes, b"t") == Some(b"s");
                self.cell = (written.map(shown).unwrap_or_else(|| "without a name".to_owned()), is_text);
                let Some(written) = written else { return Ok(()) };
                match reference(written) {
                    Some((Some(_), row)) if self.row.is_none_or(|own| own == row) => Ok(()),
                    Some((Some(_), _)) => {
                        Err(format!("the cell {} lies in row {}", shown(written), self.row.unwrap_or_default()))
                    }
                    _ => Err(format!("a cell says that it is `{}`, which no sheet has", shown(written))),
                }
            }
            (_, b"v") if self.cell.1 => {
                self.text = Some(Vec::new());
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn value(&self, text: Option<&[u8]>) -> Result<(), String> {
        match text {
            Some(text) if !text.iter().all(u8::is_ascii_digit) => {
                Err(format!("the cell {} has the text number `{}`", self.cell.0, shown(text)))
            }
            _ => Ok(()),
        }
    }
}

fn shown(written: &[u8]) -> String {
    String::from_utf8_lossy(&written[..written.len().min(40)]).into_owned()
}

/// The value of an attribute among those of a tag, as it is written.
fn attribute<'t>(mut attributes: &'t [u8], wanted: &[u8]) -> Option<&'t [u8]> {
    loop {
        attributes = attributes.trim_ascii_start();
        let equals = memchr::memchr(b'=', attributes)?;
        let name = attributes[..equals].trim_ascii_end();
        let value = attributes[equals + 1..].trim_ascii_start();
        let quote = *value.first().filter(|quote| matches!(quote, b'"' | b'\''))?;
        let end = memchr::memchr(quote, &value[1..])? + 1;
        if name == wanted {
            return Some(&value[1..end]);
        }
        attributes = &value[end + 1..];
    }
}

/// `B5` as column and row, `5` as row, both from 1; `None` for what no sheet has.
fn reference(written: &[u8]) -> Option<(Option<u32>, u32)> {
    let letters = written.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let (letters, digits) = written.split_at(letters);
    if letters.len() > 3 || digits.is_empty() || digits.len() > 7 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let column =
        letters.iter().fold(0, |column, letter| column * 26 + u32::from(letter.to_ascii_uppercase() - b'A') + 1);
    let row = digits.iter().fold(0, |row, digit| row * 10 + u32::from(digit - b'0'));
    let fits = (1..=MAX_ROWS).contains(&row) && column <= MAX_COLUMNS;
    fits.then_some(((column > 0).then_some(column), row))
}

/// The part of the archive that a sheet is, by the workbook's list of sheets and its relationships.
pub(super) fn part_of(sheet: &str, workbook: &[u8], relationships: &[u8]) -> Option<String> {
    let own = |tag: &BytesStart<'_>, name: &str| {
        let attribute = tag.attributes().flatten().find(|attribute| attribute.key.local_name().into_inner() == name)?;
        quick_xml::escape::unescape(&attribute.value).ok().map(|value| value.into_owned())
    };
    let named = |tag: &BytesStart<'_>| own(tag, "name").is_some_and(|name| name == sheet);
    let id = first(workbook, "sheet", |tag| named(tag).then(|| own(tag, "id")).flatten())?;
    let is_it = |tag: &BytesStart<'_>| own(tag, "Id").is_some_and(|own| own == id);
    let target = first(relationships, "Relationship", |tag| is_it(tag).then(|| own(tag, "Target")).flatten())?;
    Some(match target.strip_prefix('/') {
        Some(absolute) => absolute.to_owned(),
        None => format!("xl/{target}"),
    })
}

/// The first element with the name of which `read` makes something.
fn first<T>(document: &[u8], name: &str, read: impl Fn(&BytesStart<'_>) -> Option<T>) -> Option<T> {
    let mut reader = Reader::from_reader(document);
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        match reader.read_event_into(&mut buffer).ok()? {
            Event::Start(tag) | Event::Empty(tag) if tag.local_name().into_inner() == name => {
                if let Some(found) = read(&tag) {
                    return Some(found);
                }
            }
            Event::Eof => return None,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Worksheets, part_of, reference};

    /// The fault of a sheet, whatever pieces it comes in.
    fn fault(sheet: &str) -> Option<String> {
        let found = |size: usize| {
            let mut worksheets = Worksheets::default();
            sheet.as_bytes().chunks(size).for_each(|piece| worksheets.see("xl/worksheets/Sheet1.xml", piece));
            worksheets.see("xl/worksheets/Sheet1.xml", b"");
            worksheets.fault("xl/worksheets/sheet1.xml").map(str::to_owned)
        };
        let whole = found(1 << 20);
        for size in [1, 2, 3, 7, 64] {
            assert_eq!(found(size), whole, "{sheet}");
        }
        whole
    }

    #[test]
    fn references() {
        assert_eq!(reference(b"A1"), Some((Some(1), 1)));
        assert_eq!(reference(b"xfd1048576"), Some((Some(16_384), 1_048_576)));
        assert_eq!(reference(b"7"), Some((None, 7)));
        for wrong in ["", "A", "A0", "0", "XFE1", "A1048577", "AAAA1", "A12345678", "A-1", "$A$1", "A1B", "99999999999"]
        {
            assert_eq!(reference(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn cells_that_are_at_no_place() {
        let sheet = |rows: &str| format!("<worksheet><sheetData>{rows}</sheetData></worksheet>");
        let good = r#"<row r="2" spans="1:2"><c r="A2" s='1' t="s"><v>0</v></c><c t="n"><v>1.5</v></c><c r='C2' t="str"><v>x &gt; y</v></c><c r="D2"/></row><row><c><v>x</v></c></row>"#;
        assert_eq!(fault(&sheet(good)), None);
        assert_eq!(fault(&sheet(good).replace("<c", "<x:c").replace("<row", "<x:row").replace("</c", "</x:c")), None);
        let check = |rows: &str, expected: &str| assert_eq!(fault(&sheet(rows)).as_deref(), Some(expected), "{rows}");
        check(r#"<row r="1"><c r="XFE1"/></row>"#, "a cell says that it is `XFE1`, which no sheet has");
        check(r#"<row r="1"><c r="AAAAAAAAA1"/></row>"#, "a cell says that it is `AAAAAAAAA1`, which no sheet has");
        check(r#"<x:row r="1"><x:c r="B2"/></x:row>"#, "the cell B2 lies in row 1");
        check(r#"<row r="4294967297"><c><v>1</v></c></row>"#, "a row says that it is row `4294967297`");
        check(r#"<row><c r="B2" t="s"><f>1</f><v>1e1</v></c></row>"#, "the cell B2 has the text number `1e1`");
        check(r#"<row r="1"/><row/><row r="7"><c r="B1"/></row>"#, "the cell B1 lies in row 7");
        check(r#"<row><c t="s"><v> 1</v></c></row>"#, "the cell without a name has the text number ` 1`");
    }

    #[test]
    fn sheets_are_found_by_their_relationships() {
        let workbook = br#"<x:workbook xmlns:r="u"><x:sheets><x:sheet name="A &amp; B" sheetId="7" r:id="rId9"/><x:sheet name="C" r:id="rId1"></x:sheet></x:sheets></x:workbook>"#;
        let relationships = br#"<Relationships><Relationship Id="rId1" Target="/xl/worksheets/sheet3.xml"/><Relationship Target="worksheets/sheet1.xml" Id="rId9"/></Relationships>"#;
        let part = |sheet: &str| part_of(sheet, workbook, relationships);
        assert_eq!(part("A & B").as_deref(), Some("xl/worksheets/sheet1.xml"));
        assert_eq!(part("C").as_deref(), Some("xl/worksheets/sheet3.xml"));
        assert_eq!(part("D"), None);
        assert_eq!(part_of("C", b"<a", b""), None);
    }
}
