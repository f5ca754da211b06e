//! What single cells hold, and from that what a column does: numbers with their marks, dates with their form, text.

/// What a cell holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    Empty,
    /// Digits, perhaps with a sign.
    Integer {
        leading_zero: bool,
    },
    /// Digits with marks between them.
    Number {
        point: Option<char>,
        grouping: Option<char>,
    },
    /// Digits with one mark before the last three: `1.234` is a thousand and some, or one and some.
    Unclear(char),
    /// A date, time or both, with its format.
    Moment(&'static str),
    Boolean,
    Text,
    /// Text with marks in it that speak against the way it was cut.
    Odd,
}

/// Forms of dates and times, `d` for a digit, with what they mean.
const MOMENTS: &[(&str, &str)] = &[
    ("dddd-dd-dd", "%Y-%m-%d"),
    ("dd.dd.dddd", "%d.%m.%Y"),
    ("d.d.dddd", "%d.%m.%Y"),
    ("d.dd.dddd", "%d.%m.%Y"),
    ("dd.d.dddd", "%d.%m.%Y"),
    ("dd.dd.dd", "%d.%m.%y"),
    ("dddd/dd/dd", "%Y/%m/%d"),
    ("dd/dd/dddd", "%d/%m/%Y"),
    ("dd-dd-dddd", "%d-%m-%Y"),
    ("dd:dd", "%H:%M"),
    ("dd:dd:dd", "%H:%M:%S"),
    ("dddd-dd-dd dd:dd:dd", "%Y-%m-%d %H:%M:%S"),
    ("dddd-dd-ddTdd:dd:dd", "%Y-%m-%dT%H:%M:%S"),
    ("dddd-dd-ddTdd:dd:ddZ", "%Y-%m-%dT%H:%M:%SZ"),
    ("dd.dd.dddd dd:dd:dd", "%d.%m.%Y %H:%M:%S"),
    ("dd.dd.dddd dd:dd", "%d.%m.%Y %H:%M"),
];

impl Cell {
    pub(super) fn of(text: &str) -> Cell {
        let text = text.trim();
        if text.is_empty() {
            return Cell::Empty;
        }
        if text.len() <= 20 && text.bytes().any(|byte| byte.is_ascii_digit()) {
            let form: String = text.chars().map(|char| if char.is_ascii_digit() { 'd' } else { char }).collect();
            if let Some((_, format)) = MOMENTS.iter().find(|(known, _)| *known == form) {
                return Cell::Moment(format);
            }
            if let Some(number) = number(text) {
                return number;
            }
        }
        if ["true", "false", "yes", "no", "y", "n"].iter().any(|word| text.eq_ignore_ascii_case(word)) {
            return Cell::Boolean;
        }
        let is_plain = |char: char| char.is_alphanumeric() || " .,-_/&()'+#@%:*!?§°\n\r".contains(char);
        if text.chars().all(is_plain) { Cell::Text } else { Cell::Odd }
    }
}

fn number(text: &str) -> Option<Cell> {
    let bare = text.strip_prefix(['-', '+']).or_else(|| text.strip_suffix(['-', '+'])).unwrap_or(text);
    if !bare.starts_with(|char: char| char.is_ascii_digit()) {
        return None;
    }
    let marks: Vec<(usize, char)> = bare.char_indices().filter(|(_, char)| !char.is_ascii_digit()).collect();
    let Some(&(last, mark)) = marks.last() else {
        return Some(Cell::Integer { leading_zero: bare.len() > 1 && bare.starts_with('0') });
    };
    if marks.iter().any(|(_, char)| !matches!(char, '.' | ',' | '\'' | ' ' | '\u{a0}')) {
        return None;
    }
    let grouped = |text: &str, grouping: char| {
        let mut groups = text.split(grouping);
        let first = groups.next().unwrap_or_default().len();
        (1..=3).contains(&first)
            && groups.all(|group| group.len() == 3 && group.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let behind = bare.get(last + mark.len_utf8()..)?;
    let before = bare.get(..last)?;
    match marks.iter().rev().nth(1) {
        None if behind.len() == 3 && !before.starts_with('0') && before.len() <= 3 && matches!(mark, '.' | ',') => {
            Some(Cell::Unclear(mark))
        }
        None if !behind.is_empty() && matches!(mark, '.' | ',') => {
            Some(Cell::Number { point: Some(mark), grouping: None })
        }
        None if grouped(bare, mark) => Some(Cell::Number { point: None, grouping: Some(mark) }),
        None => None,
        Some(&(_, grouping)) if grouping == mark => {
            grouped(bare, mark).then_some(Cell::Number { point: None, grouping: Some(mark) })
        }
        Some(&(_, grouping)) => {
            let point = Some(mark).filter(|mark| matches!(mark, '.' | ','));
            (point.is_some() && !behind.is_empty() && grouped(before, grouping))
                .then_some(Cell::Number { point, grouping: Some(grouping) })
        }
    }
}

/// What a column holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name, from the header or `column_1`.
    pub name: String,
    /// `string`, `integer`, `decimal(9,2)`, `date`, `time`, `datetime`, `boolean` or `empty`.
    pub kind: String,
    /// The format of dates and times.
    pub format: Option<String>,
    /// The decimal point and what groups digits.
    pub marks: (Option<char>, Option<char>),
    /// Cells that were looked at, those among them that are blank, and those that are not of the kind.
    pub cells: usize,
    /// See `cells`.
    pub blank: usize,
    /// See `cells`.
    pub others: usize,
    /// The most characters of a cell.
    pub longest: usize,
    /// The first cell that is not blank.
    pub example: String,
}

impl Column {
    pub(super) fn of(name: String, cells: &[&str]) -> Column {
        let found: Vec<Cell> = cells.iter().map(|cell| Cell::of(cell)).collect();
        let count = |is: &dyn Fn(&Cell) -> bool| found.iter().filter(|cell| is(cell)).count();
        let blank = count(&|cell| *cell == Cell::Empty);
        let filled = cells.len() - blank;
        let is_number = |cell: &Cell| matches!(cell, Cell::Integer { .. } | Cell::Number { .. } | Cell::Unclear(_));
        let mut column = Column {
            name,
            kind: "string".to_owned(),
            format: None,
            marks: (None, None),
            cells: cells.len(),
            blank,
            others: 0,
            longest: cells.iter().map(|cell| cell.chars().count()).max().unwrap_or(0),
            example: cells.iter().map(|cell| cell.trim()).find(|cell| !cell.is_empty()).unwrap_or_default().to_owned(),
        };
        if filled == 0 {
            column.kind = "empty".to_owned();
            return column;
        }
        // A kind is taken where nearly all cells are of it.
        let nearly = |part: usize| part * 20 >= filled * 19;
        let mut days = cells.iter().map(|cell| cell.trim()).filter(|cell| !cell.is_empty());
        let is_compact_date = days.all(is_compact_date);
        if let Some(format) =
            found.iter().find_map(|cell| if let Cell::Moment(format) = cell { Some(*format) } else { None })
            && nearly(count(&|cell| matches!(cell, Cell::Moment(_))))
        {
            let format = month_first(format, cells);
            column.kind = match (format.contains("%Y") || format.contains("%y"), format.contains("%H")) {
                (true, true) => "datetime",
                (true, false) => "date",
                _ => "time",
            }
            .to_owned();
            column.others = filled - count(&|cell| matches!(cell, Cell::Moment(_)));
            column.format = Some(format.to_owned());
        } else if is_compact_date {
            column.kind = "date".to_owned();
            column.format = Some("%Y%m%d".to_owned());
        } else if nearly(count(&is_number)) {
            column.others = filled - count(&is_number);
            column.number(&found, cells);
        } else if count(&|cell| *cell == Cell::Boolean) == filled {
            column.kind = "boolean".to_owned();
        }
        column
    }

    fn number(&mut self, found: &[Cell], cells: &[&str]) {
        for cell in found {
            if let Cell::Number { point, grouping } = cell {
                self.marks = (self.marks.0.or(*point), self.marks.1.or(*grouping));
            }
        }
        for cell in found {
            match (cell, self.marks) {
                (Cell::Unclear(mark), (point, None)) if point != Some(*mark) && point.is_some() => {
                    self.marks.1 = Some(*mark)
                }
                // With nothing to tell it by, the mark is a point.
                (Cell::Unclear(mark), (None, grouping)) if grouping != Some(*mark) => self.marks.0 = Some(*mark),
                _ => {}
            }
        }
        let has_zeros = found.iter().any(|cell| matches!(cell, Cell::Integer { leading_zero: true }));
        let Some(point) = self.marks.0 else {
            // A number that begins with zeros is a key or a code: as a number it would lose them.
            self.kind = if has_zeros { "string" } else { "integer" }.to_owned();
            return;
        };
        let (mut whole, mut scale) = (1, 0);
        for cell in cells {
            let digits = |text: &str| text.bytes().filter(u8::is_ascii_digit).count();
            let (before, behind) = cell.rsplit_once(point).unwrap_or((cell, ""));
            (whole, scale) = (whole.max(digits(before)), scale.max(digits(behind)));
        }
        self.kind = format!("decimal({},{scale})", whole + scale);
    }
}

/// Eight digits that are a day: of the 20th or 21st century.
fn is_compact_date(cell: &str) -> bool {
    let part = |from: usize, to: usize| cell.get(from..to).and_then(|part| part.parse::<u32>().ok()).unwrap_or(0);
    let digits = cell.len() == 8 && cell.bytes().all(|byte| byte.is_ascii_digit());
    digits && (1900..2100).contains(&part(0, 4)) && (1..=12).contains(&part(4, 6)) && (1..=31).contains(&part(6, 8))
}

/// Where a day stands where the month should, the month comes first.
fn month_first(format: &'static str, cells: &[&str]) -> &'static str {
    let second = |cell: &&str| cell.trim().get(3..5).and_then(|part| part.parse::<u32>().ok());
    match format {
        "%d/%m/%Y" if cells.iter().filter_map(second).any(|month| month > 12) => "%m/%d/%Y",
        "%d-%m-%Y" if cells.iter().filter_map(second).any(|month| month > 12) => "%m-%d-%Y",
        format => format,
    }
}

#[cfg(test)]
mod tests {
    use super::{Cell, Column};

    #[test]
    fn cells() {
        let check = |text: &str, expected: Cell| assert_eq!(Cell::of(text), expected, "{text}");
        check(" ", Cell::Empty);
        check("-12", Cell::Integer { leading_zero: false });
        check("0012-", Cell::Integer { leading_zero: true });
        check("12,5", Cell::Number { point: Some(','), grouping: None });
        check("1.234.567,89", Cell::Number { point: Some(','), grouping: Some('.') });
        check("1'234.50", Cell::Number { point: Some('.'), grouping: Some('\'') });
        check("1.234.567", Cell::Number { point: None, grouping: Some('.') });
        check("1.234", Cell::Unclear('.'));
        check("0.234", Cell::Number { point: Some('.'), grouping: None });
        check("192.168.0.1", Cell::Text);
        check("31.10.2026", Cell::Moment("%d.%m.%Y"));
        check("N", Cell::Boolean);
        check("Müller & Söhne", Cell::Text);
        check("a;b", Cell::Odd);
        check("\"a\"", Cell::Odd);
    }

    #[test]
    fn columns() {
        let check = |cells: &[&str], kind: &str, format: Option<&str>, marks: (Option<char>, Option<char>)| {
            let column = Column::of("x".to_owned(), cells);
            assert_eq!((&column.kind[..], column.format.as_deref(), column.marks), (kind, format, marks), "{cells:?}");
        };
        check(&["1", "22", ""], "integer", None, (None, None));
        check(&["001", "022"], "string", None, (None, None));
        check(&["1.024,50", "12,9", "-3,00"], "decimal(6,2)", None, (Some(','), Some('.')));
        check(&["1.234", "12,5"], "decimal(5,1)", None, (Some(','), Some('.')));
        check(&["1.234", "2.500"], "decimal(4,3)", None, (Some('.'), None));
        check(&["20261031", "20260101"], "date", Some("%Y%m%d"), (None, None));
        check(&["20261031", "99999999"], "integer", None, (None, None));
        check(&["01/02/2026", "01/31/2026"], "date", Some("%m/%d/%Y"), (None, None));
        check(&["Y", "N", ""], "boolean", None, (None, None));
        check(&["a", "1"], "string", None, (None, None));
        check(&["", " "], "empty", None, (None, None));
    }
}
