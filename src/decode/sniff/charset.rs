//! In which encoding some bytes are: by mark, by form, and for single-byte pages by which of them makes words of the bytes
//! that they read differently.

use crate::decode::CodePage;

/// An encoding, why it is likely, and the text read with it.
#[derive(Clone, Debug)]
pub(super) struct Guess {
    pub(super) name: String,
    pub(super) because: String,
    pub(super) text: String,
    pub(super) is_ebcdic: bool,
}

/// Pages that bytes above 0x7F are read with to see which fits; of equal ones the first is taken.
const ASCII_PAGES: &[&str] = &[
    "windows-1252",
    "cp850",
    "windows-1250",
    "cp852",
    "windows-1251",
    "koi8-r",
    "cp866",
    "windows-1253",
    "windows-1254",
    "windows-1257",
    "cp437",
];

/// The same for files of mainframes.
const EBCDIC_PAGES: &[&str] = &["cp037", "cp1141", "cp500", "cp278", "cp277", "cp280", "cp284", "cp285", "cp297"];

/// Letters that are common in the languages of Europe: a page that reads a byte as one of them is more likely than one
/// that reads it as a rare one. Capitals count like the small letters.
const COMMON: &str = "äöüßéèêëàâáçñóíúåøæôîïûùãõœłąęśżźćńščřžýěůőűşğıđ";

/// The encoding of the bytes, if they are text; `whole` when the file has no more.
pub(super) fn guess(bytes: &[u8], whole: bool) -> Option<Guess> {
    let found = |name: &str, because: String, text: String| {
        Some(Guess { name: name.to_owned(), because, text, is_ebcdic: false })
    };
    let utf16 = |bytes: &[u8], big: bool| -> String {
        let units = bytes
            .as_chunks::<2>()
            .0
            .iter()
            .map(|pair| if big { u16::from_be_bytes(*pair) } else { u16::from_le_bytes(*pair) });
        char::decode_utf16(units).map(|char| char.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
    };
    match bytes {
        [0xEF, 0xBB, 0xBF, rest @ ..] => {
            return found("utf-8", "a UTF-8 byte order mark".to_owned(), String::from_utf8_lossy(rest).into_owned());
        }
        [0xFF, 0xFE, rest @ ..] => {
            return found("utf-16", "a byte order mark, low byte first".to_owned(), utf16(rest, false));
        }
        [0xFE, 0xFF, rest @ ..] => {
            return found("utf-16", "a byte order mark, high byte first".to_owned(), utf16(rest, true));
        }
        _ => {}
    }
    let pairs = bytes.as_chunks::<2>().0;
    let nul = |place: usize| share(pairs.iter().filter(|pair| pair[place] == 0).count(), pairs.len());
    let (first, second) = (nul(0), nul(1));
    if pairs.len() >= 4 && first.max(second) > 0.4 && first.min(second) < 0.05 {
        let (name, place) = if first > second { ("utf-16be", "first") } else { ("utf-16le", "second") };
        let because = format!("{:.0} % of all pairs of bytes have NUL as the {place} byte", first.max(second) * 100.0);
        return found(name, because, utf16(bytes, first > second));
    }
    if let Some(guess) = ebcdic(bytes) {
        return Some(guess);
    }
    let is_control = |byte: &&u8| **byte < 0x20 && !matches!(**byte, b'\t' | b'\n' | b'\r' | 0x0C | 0x1A | 0x1C..=0x1F);
    if share(bytes.iter().filter(is_control).count(), bytes.len()) > 0.1 {
        return None;
    }
    if bytes.is_ascii() {
        let text = String::from_utf8_lossy(bytes).into_owned();
        return found("utf-8", "all bytes are ASCII, so that any code page but EBCDIC reads them".to_owned(), text);
    }
    let high = bytes.iter().filter(|byte| !byte.is_ascii()).count();
    let valid = match std::str::from_utf8(bytes) {
        Ok(text) => Some(text),
        // The last character of a part of a file may be cut.
        Err(error) if !whole && error.error_len().is_none() => std::str::from_utf8(&bytes[..error.valid_up_to()]).ok(),
        Err(_) => None,
    };
    if let Some(text) = valid {
        return found("utf-8", format!("{high} bytes above 0x7F, and all of them are valid UTF-8"), text.to_owned());
    }
    let best = best_page(ASCII_PAGES, bytes, |_| true)?;
    let because = format!("{high} bytes above 0x7F are no UTF-8; {}", best.because);
    found(best.name, because, read(&best.chars, bytes))
}

/// Letters, digits, the blank and some marks, which all EBCDIC pages have in the same places.
pub(super) fn is_ebcdic_text(byte: u8) -> bool {
    let is_letter = matches!(byte, 0xC1..=0xC9 | 0xD1..=0xD9 | 0xE2..=0xE9 | 0x81..=0x89 | 0x91..=0x99 | 0xA2..=0xA9);
    is_letter || matches!(byte, 0x40 | 0x4B | 0x60 | 0x61 | 0x6B | 0xF0..=0xF9)
}

/// Mainframe text, by the blank at 0x40 where ASCII has the rare `@`.
fn ebcdic(bytes: &[u8]) -> Option<Guess> {
    let part = |is: fn(u8) -> bool| share(bytes.iter().filter(|byte| is(**byte)).count(), bytes.len());
    let blanks = part(|byte| byte == 0x40);
    let text = part(is_ebcdic_text);
    let digits = part(|byte| matches!(byte, 0xF0..=0xF9));
    let ascii = part(|byte| matches!(byte, b' '..=b'?' | b'A'..=b'Z' | b'a'..=b'z'));
    if text < 0.4 || text < 2.0 * ascii || (blanks < 0.02 && digits < 0.3) {
        return None;
    }
    // Between packed and binary numbers any byte may stand: only those within text tell pages apart.
    let best = best_page(EBCDIC_PAGES, bytes, is_ebcdic_text)?;
    let because = format!(
        "{:.0} % of all bytes are EBCDIC letters, digits and blanks ({:.0} % are the blank 0x40), {:.0} % would be ASCII; {}",
        text * 100.0,
        blanks * 100.0,
        ascii * 100.0,
        best.because
    );
    let text = read(&best.chars, bytes);
    Some(Guess { name: best.name.to_owned(), because, text, is_ebcdic: true })
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

type Chars = [Option<char>; 256];

struct Best {
    name: &'static str,
    chars: Chars,
    because: String,
}

/// The page under which the bytes that the pages read differently look most like parts of words.
fn best_page(pages: &[&'static str], bytes: &[u8], is_text: fn(u8) -> bool) -> Option<Best> {
    let tables: Vec<(&'static str, Chars)> = pages.iter().filter_map(|name| Some((*name, chars(name)?))).collect();
    let (_, reference) = tables.first()?;
    let mut differs = [false; 256];
    for (byte, differs) in differs.iter_mut().enumerate() {
        *differs = tables.iter().any(|(_, chars)| chars[byte] != reference[byte]);
    }
    let mut scores: Vec<(i64, &(&'static str, Chars))> =
        tables.iter().map(|table| (score(&table.1, &differs, bytes, is_text), table)).collect();
    // A stable sort: of equal ones the first stays first.
    scores.sort_by_key(|(score, _)| -score);
    let (score, (name, chars)) = scores.first()?;
    let shown = most_common(bytes, &differs).and_then(|byte| Some((byte, chars[usize::from(byte)]?)));
    let because = match (shown, scores.get(1)) {
        (Some((byte, char)), Some((second, (other, _)))) if score > second => {
            format!(
                "as {name} they make the best words, like 0x{byte:02X} = `{char}` (score {score}, {other} {second})"
            )
        }
        (Some(_), Some((_, (other, _)))) => format!("{name} and {other} fit them alike: compare some names"),
        _ => format!("nothing in them tells {name} from its relatives"),
    };
    Some(Best { name, chars: *chars, because })
}

fn chars(name: &str) -> Option<Chars> {
    let page = CodePage::find(name).ok()?;
    let mut chars = [None; 256];
    for (byte, char) in (0u8..=255).zip(&mut chars) {
        *char = page.decode(&[byte]).ok().and_then(|text| text.chars().next());
    }
    Some(chars)
}

fn most_common(bytes: &[u8], among: &[bool; 256]) -> Option<u8> {
    let mut counts = [0usize; 256];
    bytes.iter().filter(|byte| among[usize::from(**byte)]).for_each(|byte| counts[usize::from(*byte)] += 1);
    (0u8..=255).rev().filter(|byte| counts[usize::from(*byte)] > 0).max_by_key(|byte| counts[usize::from(*byte)])
}

/// How much the bytes in question look like parts of words. Only those between text count.
fn score(chars: &Chars, differs: &[bool; 256], bytes: &[u8], is_text: fn(u8) -> bool) -> i64 {
    let is_latin = |char: char| u32::from(char) < 0x250;
    let mut score = 0;
    for (at, &byte) in bytes.iter().enumerate().filter(|(_, byte)| differs[usize::from(**byte)]) {
        let around = [at.checked_sub(1), Some(at + 1)].into_iter().flatten().filter_map(|at| bytes.get(at));
        if around.clone().any(|byte| !is_text(*byte) && !differs[usize::from(*byte)]) {
            continue;
        }
        let neighbour = |at: Option<usize>| {
            let byte = *bytes.get(at?)?;
            chars[usize::from(byte)].filter(|char| char.is_alphabetic())
        };
        let (before, behind) = (neighbour(at.checked_sub(1)), neighbour(Some(at + 1)));
        score += match chars[usize::from(byte)] {
            None => -10,
            Some(char) if char.is_control() => -5,
            Some(char) if char.is_alphabetic() => {
                let near = [before, behind].into_iter().flatten();
                if near.clone().any(|other| is_latin(other) != is_latin(char)) {
                    -3
                } else if char.is_uppercase() && before.is_some_and(char::is_lowercase) {
                    -2
                } else {
                    let is_common = match is_latin(char) {
                        true => char.to_lowercase().all(|char| COMMON.contains(char)),
                        false => char.is_lowercase(),
                    };
                    if near.count() > 0 { 1 + i64::from(is_common) } else { 0 }
                }
            }
            Some('\u{2500}'..='\u{259F}') => -3,
            Some(_) if before.is_some() && behind.is_some() => -3,
            Some('€') => 1,
            Some(_) => 0,
        };
    }
    score
}

/// The text, with what the page does not have as a replacement character.
fn read(chars: &Chars, bytes: &[u8]) -> String {
    bytes.iter().map(|byte| chars[usize::from(*byte)].unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

#[cfg(test)]
mod tests {
    use super::guess;

    fn check(bytes: &[u8], expected: &str) {
        let found = guess(bytes, true).map(|guess| guess.name);
        assert_eq!(found.as_deref(), Some(expected), "{}", String::from_utf8_lossy(bytes));
    }

    /// Bytes as Python's codecs write them.
    #[test]
    fn encodings_by_their_words() {
        check(b"name;town\nM\xFCller;K\xF6ln\n\xC4rger & S\xF6hne;Z\xFCrich\n", "windows-1252");
        check(b"name;town\nM\x81ller;K\x94ln\n\x8Erger & S\x94hne;Z\x81rich\n", "cp850");
        check(b"\xA3\xF3d\x9F, Wroc\xB3aw, Krak\xF3w, Cz\xEAstochowa, Gda\xF1sk\n", "windows-1250");
        check(b"\xCF\xF0\xE8\xE2\xE5\xF2, \xEC\xE8\xF0; \xCC\xEE\xF1\xEA\xE2\xE0\n", "windows-1251");
        check(b"\xF0\xD2\xC9\xD7\xC5\xD4, \xCD\xC9\xD2; \xED\xCF\xD3\xCB\xD7\xC1\n", "koi8-r");
        check("Müller;Köln\n".as_bytes(), "utf-8");
        check(b"plain,text\n", "utf-8");
        check(b"\xEF\xBB\xBFa,b\n", "utf-8");
        check(b"\xFF\xFEa\0,\0", "utf-16");
        check(b"a\0,\0b\0\n\0\xE4\0,\x001\0", "utf-16le");
        check(b"\0a\0,\0b\0\n\0\xE4\0,\x001", "utf-16be");
        // "MUELLER   KOELN  0042" and "Müller Köln" in the German page.
        check(b"\xD4\xE4\xC5\xD3\xD3\xC5\xD9\x40\x40\x40\xD2\xD6\xC5\xD3\xD5\x40\x40\xF0\xF0\xF4\xF2", "cp037");
        check(b"\xD4\xD0\x93\x93\x85\x99\x40\xD2\x6A\x93\x95\x40\x40\xF1\xF2", "cp1141");
        assert!(guess(b"\x01\x02\x03\0\x05\x06\xFF\x80\x90\x00\x01\x02", true).is_none());
        assert!(guess(b"", true).is_some());
    }
}
