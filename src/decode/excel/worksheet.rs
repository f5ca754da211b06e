//! What the library that reads .xlsx files does not tell: a reference like `ABCD5` that is none of a sheet, a cell that says
//! another row than the one it lies in, a text that goes by no number, a value in a form of which a part would be lost.
//! Such cells would come out at another place, or with another value. And what it takes for damage of the whole file though
//! it is none: an error that it does not know.
//!
//! Parts of the archive are looked at as they are unpacked ([`Scan::see`]), and only then is it known which part the
//! wanted sheet is ([`part_of`]).

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::cell::{Cell, Content};
use super::settings::{MAX_COLUMNS, MAX_ROWS};
use super::tags::{KEPT, Seen, Tags, attribute, parts};

/// Errors that the library knows; it refuses a file with others.
const ERRORS: [&[u8]; 7] = [b"#DIV/0!", b"#N/A", b"#NAME?", b"#NULL!", b"#NUM!", b"#REF!", b"#VALUE!"];

/// Follows the tags of one worksheet.
#[derive(Default)]
pub(super) struct Scan {
    tags: Tags,
    sheet: Sheet,
}

impl Scan {
    /// Looks at the next piece.
    pub(super) fn see(&mut self, piece: &[u8]) {
        if self.sheet.fault.is_none() {
            self.tags.see(piece, |seen| self.sheet.see(seen));
        }
    }

    /// The first fault, and the cells with errors that the library does not know, in the file's order.
    pub(super) fn finish(self) -> (Option<String>, Vec<Cell>) {
        (self.sheet.fault, self.sheet.odd)
    }
}

/// What was seen of a worksheet.
#[derive(Default)]
struct Sheet {
    /// The row that is open, as it is written.
    row: Option<u32>,
    /// The cell that is open.
    cell: Open,
    /// Its value, as far as it was read.
    value: Option<Vec<u8>>,
    odd: Vec<Cell>,
    fault: Option<String>,
}

/// A cell as its tag has it.
#[derive(Default)]
struct Open {
    name: String,
    place: Option<(u32, u32)>,
    kind: Kind,
}

/// How the value of a cell is written.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Kind {
    /// The number of a text.
    Numbered,
    Error,
    /// A number or a boolean.
    #[default]
    Plain,
    /// A text, of which every reference to a character is read.
    Text,
}

impl Sheet {
    fn see(&mut self, seen: Seen<'_>) {
        if self.fault.is_some() {
            return;
        }
        let judged = match seen {
            Seen::Text(text) => {
                if let Some(value) = self.value.as_mut().filter(|value| value.len() < KEPT) {
                    value.extend_from_slice(text);
                }
                Ok(())
            }
            Seen::Other if self.value.is_some() => Err(self.in_parts()),
            Seen::Other => Ok(()),
            Seen::Type => Err("there is a document type, which no sheet has".to_owned()),
            Seen::Tag(tag, length) => self.tag(tag, length),
        };
        self.fault = judged.err();
    }

    fn in_parts(&self) -> String {
        format!("the value of the cell {} is more than plain text", self.cell.name)
    }

    fn tag(&mut self, tag: &[u8], length: u64) -> Result<(), String> {
        let (name, attributes, is_end) = parts(tag);
        if let Some(value) = self.value.take() {
            return if is_end && name == b"v" { self.value(&value) } else { Err(self.in_parts()) };
        }
        match name {
            b"row" | b"c" | b"v" if length > KEPT as u64 => {
                Err(format!("a tag has {length} bytes, and no more than {KEPT} are due"))
            }
            b"row" => {
                self.row = None;
                let written = attribute(attributes, b"r").filter(|_| !is_end);
                let Some(written) = written else { return Ok(()) };
                match reference(written) {
                    Some((None, row)) => self.row = Some(row),
                    _ => return Err(format!("a row says that it is row `{}`", shown(written))),
                }
                Ok(())
            }
            b"c" if !is_end => {
                let written = attribute(attributes, b"r");
                let place = written.and_then(reference).and_then(|(column, row)| Some((row - 1, column? - 1)));
                let kind = match attribute(attributes, b"t") {
                    Some(b"s") => Kind::Numbered,
                    Some(b"e") => Kind::Error,
                    None | Some(b"n" | b"b") => Kind::Plain,
                    Some(_) => Kind::Text,
                };
                let name = written.map(shown).unwrap_or_else(|| "without a name".to_owned());
                self.cell = Open { name, place, kind };
                match (written, place) {
                    (Some(_), None) => Err(format!("a cell says that it is `{}`, which no sheet has", self.cell.name)),
                    (_, Some((row, _))) if self.row.is_some_and(|own| own != row + 1) => {
                        Err(format!("the cell {} lies in row {}", self.cell.name, self.row.unwrap_or_default()))
                    }
                    _ => Ok(()),
                }
            }
            b"v" if !is_end && !tag.ends_with(b"/") => {
                self.value = Some(Vec::new());
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The value of the open cell.
    fn value(&mut self, value: &[u8]) -> Result<(), String> {
        let name = &self.cell.name;
        match self.cell.kind {
            Kind::Numbered if !value.iter().all(u8::is_ascii_digit) => {
                Err(format!("the cell {name} has the text number `{}`", shown(value)))
            }
            // Of these only what stands before the first reference to a character would be read.
            Kind::Plain | Kind::Error if value.contains(&b'&') => Err(self.in_parts()),
            Kind::Error if !value.is_empty() && !ERRORS.contains(&value) => {
                let Some((row, column)) = self.cell.place else {
                    return Err(format!("the cell {name} shows the error `{}`", shown(value)));
                };
                self.odd.push(Cell { row, column, content: Content::Error(shown(value).into()) });
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

fn shown(written: &[u8]) -> String {
    String::from_utf8_lossy(&written[..written.len().min(40)]).into_owned()
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
    let named = |tag: &BytesStart<'_>| own(tag, "name").is_some_and(|name| name == sheet);
    let id = first(workbook, "sheet", |tag| named(tag).then(|| own(tag, "id")).flatten())?;
    part_of_id(&id, relationships)
}

/// The part that goes by an id in the workbook's relationships.
pub(super) fn part_of_id(id: &str, relationships: &[u8]) -> Option<String> {
    let is_it = |tag: &BytesStart<'_>| own(tag, "Id").is_some_and(|own| own == id);
    let target = first(relationships, "Relationship", |tag| is_it(tag).then(|| own(tag, "Target")).flatten())?;
    Some(match target.strip_prefix('/') {
        Some(absolute) => absolute.to_owned(),
        None => format!("xl/{target}"),
    })
}

/// The value of an attribute by its name without a prefix.
fn own(tag: &BytesStart<'_>, name: &str) -> Option<String> {
    let attribute = tag.attributes().flatten().find(|attribute| attribute.key.local_name().into_inner() == name)?;
    quick_xml::escape::unescape(&attribute.value).ok().map(|value| value.into_owned())
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
    use super::{Scan, part_of, reference};

    /// The fault of a sheet, and its cells with errors, whatever pieces it comes in.
    fn scanned(sheet: &str) -> (Option<String>, Vec<String>) {
        let found = |size: usize| {
            let mut scan = Scan::default();
            sheet.as_bytes().chunks(size).for_each(|piece| scan.see(piece));
            let (fault, odd) = scan.finish();
            (fault, odd.iter().map(|cell| format!("{},{} {:?}", cell.row, cell.column, cell.content)).collect())
        };
        let whole = found(1 << 20);
        for size in [1, 2, 3, 7, 64] {
            assert_eq!(found(size), whole, "{sheet}");
        }
        whole
    }

    fn fault(sheet: &str) -> Option<String> {
        scanned(sheet).0
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
        // What stands in attributes and comments is no tag.
        assert_eq!(fault(&sheet(r#"<row><!-- <c r="XFE1"/> --><c r="B1" x='<c r="XFE1">'/></row>"#)), None);
        let long = format!(r#"<row><c x="{}" r="XFE1"/></row>"#, "x".repeat(4100));
        check(&long, "a tag has 4116 bytes, and no more than 4096 are due");
        check("<!DOCTYPE a>", "there is a document type, which no sheet has");
    }

    /// Of these values the library would read a part, or nothing.
    #[test]
    fn values_in_parts() {
        let in_parts = Some("the value of the cell B2 is more than plain text".to_owned());
        for value in ["1&#50;", "1<!-- -->2", "<![CDATA[12]]>", "<x>1</x>", "1<x/>"] {
            for kind in ["", " t='n'", " t='b'", " t='e'"] {
                assert_eq!(fault(&format!("<row><c r='B2'{kind}><v>{value}</v></c></row>")), in_parts, "{value}");
            }
            let text = fault(&format!("<row><c r='B2' t='str'><f>1&amp;2</f><v>{value}</v></c></row>"));
            assert_eq!(text, if value.contains('<') { in_parts.clone() } else { None });
        }
        assert_eq!(
            fault("<row><c r='B2' t='str'><v/></c><c r='C2' t='inlineStr'><is><t>a<!-- -->b</t></is></c></row>"),
            None
        );
    }

    #[test]
    fn errors_that_the_library_does_not_know() {
        let cells = "<c r='A7' t='e'><v>#N/A</v></c><c r='B7' t='e'><v>#SPILL!</v></c><c t='e'><v></v></c>";
        let row = |cells: &str| format!("<row r='7'>{cells}</row>");
        assert_eq!(scanned(&row(cells)), (None, vec!["6,1 Error(\"#SPILL!\")".to_owned()]));
        let unnamed = row("<c t='e'><v>#BUSY!</v></c>");
        assert_eq!(fault(&unnamed).as_deref(), Some("the cell without a name shows the error `#BUSY!`"));
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
