//! Code pages against tables that other people keep: Python's codecs, and glibc's iconv for the pages of
//! EBCDIC, of single bytes and mixed.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};

use tollbridge::decode::CodePage;

/// Prints `page byte codepoint` for every byte of every page on stdin that Python has.
const PYTHON: &str = r#"
import codecs, sys
for name in sys.stdin.read().split():
    spelled = {"koi8-r": "koi8_r", "koi8-u": "koi8_u", "macroman": "mac_roman"}.get(name, name)
    try:
        codecs.lookup(spelled)
    except LookupError:
        continue
    for byte in range(256):
        try:
            text = bytes([byte]).decode(spelled)
            print(name, byte, ord(text) if len(text) == 1 and text != "\ufffd" else "-")
        except UnicodeDecodeError:
            print(name, byte, "-")
"#;

/// Bytes that Python reads otherwise, and the JDK as we do; and those that it leaves undefined on one page and fills
/// with controls on another.
const DIFFERENT: &[(&str, &[u8])] = &[
    // The percent sign of Arabic: here it is that of ASCII.
    ("cp864", &[0x25]),
    ("cp273", &[0xBC]),
    ("cp424", &[0x78, 0x8F]),
    ("cp875", &[0x6A, 0x74, 0xDC, 0xDD, 0xE1, 0xEC, 0xED, 0xFC, 0xFD]),
    ("cp1026", &[0x9D, 0xBC]),
    ("cp856", &[0x1A, 0x1C, 0x7F, 0xEE, 0xFA]),
    ("macroman", &[0xC6, 0xF0]),
];

fn ask(program: &str, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}");
    output.stdout
}

#[test]
fn single_byte_pages_are_those_of_python() {
    let names: Vec<&str> = CodePage::tabled().collect();
    let answer = String::from_utf8(ask("python3", &["-c", PYTHON], names.join(" ").as_bytes())).unwrap();
    let mut compared = BTreeSet::new();
    for line in answer.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let (name, byte) = (words[0], words[1].parse::<u8>().unwrap());
        let theirs = words[2].parse::<u32>().ok().and_then(char::from_u32);
        let ours = CodePage::find(name).unwrap().decode(&[byte]).ok().and_then(|text| text.chars().next());
        compared.insert(name.to_owned());
        let known = DIFFERENT.iter().any(|(page, bytes)| *page == name && bytes.contains(&byte));
        // A control where a page has nothing to print is no character of it.
        let control = theirs.is_some_and(|char| ('\u{80}'..='\u{9f}').contains(&char)) && ours.is_none();
        assert!(ours == theirs || known || control, "{name} {byte:02X}: {ours:?}, to Python {theirs:?}");
    }
    assert!(compared.len() > 50, "{compared:?}");
    for name in
        ["cp037", "cp500", "cp1140", "cp850", "windows-1252", "iso-8859-15", "cp864", "cp1006", "mac-greek", "kz1048"]
    {
        assert!(compared.contains(name), "{name}");
    }
}

/// The single-byte pages of mainframes and minis.
const EBCDIC: &str = "037 273 274 275 277 278 280 281 284 285 290 297 420 423 424 500 803 838 870 871 875 880 905 918 924 \
                      1025 1026 1047 1097 1112 1122 1123 1130 1132 1137 1140 1141 1142 1143 1144 1145 1146 1147 1148 \
                      1149 1153 1154 1155 1156 1157 1158 1160 1164 1166";

/// Bytes that glibc reads otherwise than IBM's later tables, which Python has too where it has the page; none of them is a
/// letter or digit.
const DIFFERENT_TO_ICONV: &[(&str, &[u8])] =
    &[("424", &[0x78, 0x8F]), ("875", &[0x6A, 0x74, 0xDD]), ("1026", &[0x9D, 0xBC])];

/// Pages that glibc does not have by their numbers.
const UNKNOWN_TO_ICONV: &[&str] = &["838", "924"];

/// What iconv makes of every byte of a page of single bytes; `None` for a byte that it refuses.
fn by_iconv(number: &str) -> Vec<Option<char>> {
    let bytes: Vec<u8> = (0..=255).collect();
    let mut chars = Vec::new();
    while chars.len() < bytes.len() {
        let mut child = Command::new("iconv")
            .args(["-f", &format!("IBM{number}"), "-t", "UTF-32BE"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A page's bytes are less than a pipe holds.
        child.stdin.take().unwrap().write_all(&bytes[chars.len()..]).unwrap();
        let output = child.wait_with_output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(!told.contains("is not supported"), "{number}: {told}");
        let (codes, _) = output.stdout.as_chunks::<4>();
        chars.extend(codes.iter().map(|code| char::from_u32(u32::from_be_bytes(*code))));
        if !output.status.success() {
            chars.push(None);
        }
    }
    chars
}

/// Python lacks most of the national pages; glibc has them from IBM's own tables.
#[test]
fn single_byte_pages_of_ebcdic_are_those_of_iconv() {
    for number in EBCDIC.split_whitespace().filter(|number| !UNKNOWN_TO_ICONV.contains(number)) {
        let page = CodePage::find(&format!("cp{number}")).unwrap_or_else(|unknown| panic!("{unknown}"));
        let theirs = by_iconv(number);
        assert_eq!(theirs.len(), 256, "{number}");
        let different: Vec<u8> = (0..=255u8)
            .zip(&theirs)
            .filter(|(byte, theirs)| {
                let ours = page.decode(&[*byte]).ok().and_then(|text| text.chars().next());
                ours != **theirs
            })
            .map(|(byte, _)| byte)
            .collect();
        let known = DIFFERENT_TO_ICONV.iter().find(|(page, _)| *page == number).map_or(&[][..], |(_, bytes)| bytes);
        assert_eq!(different, known, "cp{number}");
    }
}

/// Every page that anybody's files are in, as far as Debian's glibc has it or another table could be found.
#[test]
fn the_pages_that_are_in_use() {
    let mixed = "930 933 935 937 939 1364 1371 1388 1390 1399";
    let ascii = "437 737 775 850 852 855 857 858 860 861 862 863 865 866 869 874 720";
    for number in [EBCDIC, mixed, ascii].iter().flat_map(|list| list.split_whitespace()) {
        let page = CodePage::find(&format!("cp{number}")).unwrap_or_else(|unknown| panic!("{unknown}"));
        assert_eq!(page.name(), format!("cp{number}"));
    }
    for label in
        ["shift_jis", "euc-jp", "euc-kr", "gbk", "gb18030", "big5", "x-mac-cyrillic", "iso-8859-8-i", "windows-874"]
    {
        assert!(CodePage::find(label).is_ok(), "{label}");
    }
}

/// Bytes that are read as a character which another byte is written for: `docs/cobol.md` lists them.
#[test]
fn what_one_byte_says_another_does_not_say_too() {
    let listed = include_str!("../../docs/cobol.md");
    let mut found = Vec::new();
    for number in 0..2000 {
        let Ok(page) = CodePage::find(&format!("cp{number}")) else { continue };
        let lost: Vec<String> = (0..=255u8)
            .filter(|byte| {
                let text = page.decode(&[*byte]).map(|text| text.into_owned());
                text.is_ok_and(|text| page.encode(&text).is_ok_and(|back| back != [*byte]))
            })
            .map(|byte| format!("{byte:02X}"))
            .collect();
        if !lost.is_empty() {
            found.push(format!("cp{number}: {}", lost.join(" ")));
        }
    }
    assert!(found.iter().all(|line| listed.contains(line)), "{found:#?}");
    assert!(!found.is_empty());
}

#[test]
fn mixed_pages_are_those_of_iconv() {
    for number in ["930", "933", "935", "937", "939", "1364", "1371", "1388", "1390", "1399"] {
        let page = CodePage::find(&format!("cp{number}")).unwrap();
        // Every double-byte character that we read, one a line, in one text.
        let mut texts: Vec<String> = Vec::new();
        let mut bytes: Vec<u8> = Vec::new();
        for code in 0x4040u16..0xFEFF {
            if let Ok(text) = page.decode_double(&code.to_be_bytes()) {
                bytes.push(0x0E);
                bytes.extend(code.to_be_bytes());
                bytes.extend([0x0F, 0x40]);
                texts.push(text);
            }
        }
        let theirs = ask("iconv", &["-f", &format!("IBM{number}"), "-t", "UTF-8"], &bytes);
        let ours: String = texts.iter().map(|text| format!("{text} ")).collect();
        assert!(theirs == ours.as_bytes(), "{number}");
        // And what iconv has and we do not would be a code that we refuse: it refuses it too.
        let unknown = (0x4040u16..0xFEFF).step_by(37).filter(|code| page.decode_double(&code.to_be_bytes()).is_err());
        for code in unknown.filter(|code| code & 0xFF >= 0x40).take(20) {
            let [lead, trail] = code.to_be_bytes();
            let output = Command::new("sh")
                .args([
                    "-c",
                    &format!(
                        "printf '\\016\\{lead:03o}\\{trail:03o}\\017' | iconv -f IBM{number} -t UTF-8 2>/dev/null"
                    ),
                ])
                .output()
                .unwrap();
            assert!(!output.status.success(), "{number} {code:04X}");
        }
    }
}

/// Prints `name codec` for every name that Python has for a code page, and for every codec `codec bytes text` of each
/// character of two bytes, or `codec byte text` of each of one.
const NAMES: &str = r#"
import encodings.aliases
left_out = {"base64_codec", "bz2_codec", "hex_codec", "quopri_codec", "rot_13", "uu_codec", "zlib_codec", "mbcs", "tactis",
            "idna", "punycode", "utf_7", "utf_16", "utf_16_be", "utf_16_le", "utf_32", "utf_32_be", "utf_32_le", "hz",
            "johab", "euc_jis_2004", "euc_jisx0213", "shift_jis_2004", "shift_jisx0213"}
for name, codec in sorted(encodings.aliases.aliases.items()):
    if codec not in left_out and not codec.startswith("iso2022"):
        print(name, codec)
"#;

/// Names of the Macintosh's multi-byte pages and those that stand for a family: nobody's files are called by them.
const UNKNOWN: &[&str] = &[
    // Big5 of the web has other characters at C6A1 to C8FE.
    "950",
    "ms950",
    "8859",
    "iso8859",
    "iso_8859_1_1987",
    "latin",
    "x_mac_japanese",
    "x_mac_korean",
    "x_mac_simp_chinese",
    "x_mac_trad_chinese",
    "utf8_ucs2",
    "utf8_ucs4",
];

#[test]
fn the_names_that_python_has_are_known() {
    let answer = String::from_utf8(ask("python3", &["-c", NAMES], b"")).unwrap();
    let unknown: Vec<&str> = answer
        .lines()
        .filter_map(|line| line.split(' ').next())
        .filter(|name| !UNKNOWN.contains(name) && CodePage::find(name).is_err())
        .collect();
    assert_eq!(unknown, [""; 0]);
    assert!(answer.lines().count() > 250);
    for (name, page) in [
        ("cp932", "Shift_JIS"),
        ("ms949", "EUC-KR"),
        ("big5hkscs", "Big5"),
        ("CP936", "GBK"),
        ("ISO_8859-5:1988", "iso-8859-5"),
        ("ibm-037", "cp037"),
        ("macGreek", "mac-greek"),
        ("roman8", "hp-roman8"),
    ] {
        assert_eq!(CodePage::find(name).map(|page| page.name()), Ok(page), "{name}");
    }
}

/// Prints every character of two bytes of a codec as `code character`.
const DOUBLE: &str = r#"
import sys
codec = sys.argv[1]
for code in range(0x8140, 0xFF00):
    try:
        text = code.to_bytes(2, "big").decode(codec)
    except UnicodeDecodeError:
        continue
    if len(text) == 1:
        print(code, ord(text))
"#;

/// Characters that the pages of Windows have by Microsoft's tables, and the web's encodings as its standard has them.
#[test]
fn the_multi_byte_pages_of_windows_are_those_of_python() {
    // How many characters Python has, and how many of them are read otherwise or not at all.
    for (codec, least, most_different) in [("cp932", 9_000, 0), ("cp949", 16_000, 0), ("cp936", 21_000, 0)] {
        let answer = String::from_utf8(ask("python3", &["-c", DOUBLE, codec], b"")).unwrap();
        let page = CodePage::find(codec).unwrap();
        let mut different = Vec::new();
        for line in answer.lines() {
            let (code, theirs) = line.split_once(' ').unwrap();
            let code: u16 = code.parse().unwrap();
            let theirs = char::from_u32(theirs.parse().unwrap()).unwrap();
            let ours = page.decode(&code.to_be_bytes()).ok().map(|text| text.into_owned());
            if ours.as_deref() != Some(&*theirs.to_string()) {
                different.push(format!("{code:04X} {ours:?} {theirs:?}"));
            }
        }
        assert!(answer.lines().count() > least, "{codec}: {}", answer.lines().count());
        assert!(different.len() <= most_different, "{codec}: {different:?}");
    }
}
