//! The double-byte characters of the mixed EBCDIC pages of East Asia, from a packed table made by
//! `scripts/code-pages.py`, which says how it is packed.

use std::collections::HashMap;

static PACKED: &[u8] = include_bytes!("double_byte.bin");

/// The lowest and the highest byte of a code.
const FIRST: usize = 0x40;
const LAST: usize = 0xFE;
const WIDTH: usize = LAST - FIRST + 1;

/// Marks in the packed table: the character that follows is two, or is only read.
const PAIR: u16 = 0xDC00;
const ONLY_READ: u16 = 0xDC01;

/// The characters of one page, both ways.
pub(super) struct DoubleByte {
    /// By code; '\0' where there is none.
    chars: Vec<char>,
    /// Codes whose character is two.
    pairs: HashMap<u16, [char; 2]>,
    codes: HashMap<char, [u8; 2]>,
    pair_codes: HashMap<[char; 2], [u8; 2]>,
}

/// Reads the packed tables.
struct Packed<'a>(&'a [u8]);

impl Packed<'_> {
    fn number(&mut self) -> usize {
        let (mut number, mut shift) = (0, 0);
        while let Some((&byte, rest)) = self.0.split_first() {
            self.0 = rest;
            number |= usize::from(byte & 0x7F) << shift;
            shift += 7;
            if byte < 0x80 {
                break;
            }
        }
        number
    }

    fn unit(&mut self) -> u16 {
        match self.0.split_first_chunk::<2>() {
            Some((unit, rest)) => {
                self.0 = rest;
                u16::from_le_bytes(*unit)
            }
            None => 0,
        }
    }

    fn char(&mut self, first: u16) -> char {
        let units = if (0xD800..0xDC00).contains(&first) { [first, self.unit()] } else { [first, 0] };
        char::decode_utf16(units).next().and_then(Result::ok).unwrap_or('\0')
    }
}

impl DoubleByte {
    /// The table with this number; an empty one where there is none.
    pub(super) fn load(table: u8) -> DoubleByte {
        let mut packed = Packed(PACKED);
        for _ in 0..table {
            DoubleByte::read(&mut packed);
        }
        DoubleByte::read(&mut packed)
    }

    fn read(packed: &mut Packed<'_>) -> DoubleByte {
        let mut page = DoubleByte {
            chars: vec!['\0'; WIDTH * WIDTH],
            pairs: HashMap::new(),
            codes: HashMap::new(),
            pair_codes: HashMap::new(),
        };
        let mut code = 0;
        for _ in 0..packed.number() {
            code += packed.number();
            let count = packed.number();
            let (count, following) = (count / 2, count % 2 == 1);
            let mut char = '\0';
            for index in 0..count {
                if following && index > 0 {
                    char = char::from_u32(u32::from(char) + 1).unwrap_or('\0');
                    page.insert(code, char, None, true);
                } else {
                    let mut unit = packed.unit();
                    let written = unit != ONLY_READ;
                    if !written {
                        unit = packed.unit();
                    }
                    let is_pair = unit == PAIR;
                    if is_pair {
                        unit = packed.unit();
                    }
                    char = packed.char(unit);
                    let second = is_pair.then(|| {
                        let unit = packed.unit();
                        packed.char(unit)
                    });
                    page.insert(code, char, second, written);
                }
                code += 1;
            }
        }
        page
    }

    fn insert(&mut self, code: usize, char: char, second: Option<char>, written: bool) {
        let bytes = [(code >> 8) as u8, code as u8];
        if let Some(slot) = index(bytes).and_then(|index| self.chars.get_mut(index)) {
            *slot = char;
        }
        match second {
            Some(second) => {
                self.pairs.insert(u16::from_be_bytes(bytes), [char, second]);
                self.pair_codes.insert([char, second], bytes);
            }
            None if written => {
                self.codes.insert(char, bytes);
            }
            None => {}
        }
    }

    /// Appends the character of a code; false where the page has none.
    pub(super) fn decode(&self, code: [u8; 2], text: &mut String) -> bool {
        match index(code).and_then(|index| self.chars.get(index)) {
            None | Some('\0') => false,
            Some(char) => {
                match self.pairs.get(&u16::from_be_bytes(code)) {
                    Some(pair) => text.extend(pair),
                    None => text.push(*char),
                }
                true
            }
        }
    }

    /// The code of the character that `chars` begins with, and whether it takes the next one too.
    pub(super) fn encode(&self, char: char, next: Option<char>) -> Option<([u8; 2], bool)> {
        if let Some(code) = next.and_then(|next| self.pair_codes.get(&[char, next])) {
            return Some((*code, true));
        }
        self.codes.get(&char).map(|code| (*code, false))
    }
}

/// A code's place in the table.
fn index([lead, trail]: [u8; 2]) -> Option<usize> {
    let within = |byte: u8| usize::from(byte).checked_sub(FIRST).filter(|place| *place < WIDTH);
    Some(within(lead)? * WIDTH + within(trail)?)
}
