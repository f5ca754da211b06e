#!/usr/bin/env python3
"""Write the code pages' tables: `tables.rs`, one string of characters a single-byte page, and `double_byte.bin`, the
double-byte characters of the mixed EBCDIC pages of East Asia.

    scripts/code-pages.py           writes both into src/decode/code_page
    scripts/code-pages.py --icu     also counts where ICU's tables (uconv) differ in double-byte characters

Every single-byte page is taken from Python's codecs, or where Python lacks it from glibc's iconv. Pages that both know
are compared byte for byte; a difference ends the run unless it is named in KNOWN_DIFFERENCES with the side that is
right. The mixed pages are glibc's.

`double_byte.bin` holds tables one after another; pages with the same double-byte characters share one. A table is a number of runs and the runs; a run is the gap
from the code behind the last run, twice the number of its codes (plus one where their characters follow one another),
and its characters in UTF-16, one for each code, or the first one only. A character that is two is preceded by 0xDC00; one
that is only read, because another code is written for it, by 0xDC01. Numbers are LEB128, UTF-16 has the low byte first.
"""
import codecs
import ctypes
import pathlib
import subprocess
import sys

UNDEFINED = 0xFFFD

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "src/decode/code_page"

EBCDIC = """037 273 274 275 277 278 280 281 284 285 290 297 420 423 424 500 803 870 838 871 875 880 905 918 924 1025 1026 1047
1097 1112 1122 1123 1130 1132 1137 1140 1141 1142 1143 1144 1145 1146 1147 1148 1149 1153 1154 1155 1156 1157 1158 1160
1164 1166""".split()
DOS = "437 720 737 775 850 851 852 855 856 857 858 860 861 862 863 864 865 866 868 869 874 1006 1125".split()
WINDOWS = "1250 1251 1252 1253 1254 1255 1256 1257 1258".split()
ISO = "1 2 3 4 5 6 7 8 9 10 11 13 14 15 16".split()

COUNTRY = {
    "037": "ebcdic-cp-us", "273": "ebcdic-de", "277": "ebcdic-cp-dk", "278": "ebcdic-cp-fi", "280": "ebcdic-cp-it",
    "284": "ebcdic-cp-es", "285": "ebcdic-cp-gb", "297": "ebcdic-cp-fr", "500": "ebcdic-international",
    "871": "ebcdic-cp-is",
}

# (page, byte): the code point that stands where Python and iconv differ. Decided by a third witness, the JDK's charsets.
KNOWN_DIFFERENCES = {
    ("cp273", 0xBC): 0x00AF, ("cp424", 0x78): 0x2017, ("cp424", 0x8F): 0x00B1, ("cp875", 0x6A): 0x007C,
    ("cp875", 0x74): 0x00A0, ("cp875", 0xDD): 0x0387, ("cp1026", 0x9D): 0x00B8, ("cp1026", 0xBC): 0x00AF,
    ("cp856", 0x1A): 0x001A, ("cp856", 0x1C): 0x001C, ("cp856", 0x7F): 0x007F, ("cp856", 0xEE): 0x203E,
    ("cp856", 0xFA): 0x2022, ("mac_roman", 0xC6): 0x2206, ("mac_roman", 0xF0): 0xF8FF,
}
# Python fills the holes of this page with SUB.
KNOWN_DIFFERENCES |= {("cp875", byte): UNDEFINED for byte in (0xDC, 0xE1, 0xEC, 0xED, 0xFC, 0xFD)}


# The percent sign of Arabic (U+066A) stands where ASCII has its own; pages of ASCII machines are ASCII below 0x80 here.
ALTERED = {("cp864", 0x25): 0x25}


def python_page(name: str) -> list[int] | None:
    try:
        codecs.lookup(name)
    except LookupError:
        return None
    page = []
    for byte in range(256):
        try:
            text = bytes([byte]).decode(name)
            page.append(ord(text) if len(text) == 1 and text != "\ufffd" else UNDEFINED)
        except UnicodeDecodeError:
            page.append(UNDEFINED)
    return page


LIBC = ctypes.CDLL("libc.so.6", use_errno=True)
LIBC.iconv_open.restype = ctypes.c_void_p
LIBC.iconv.argtypes = [ctypes.c_void_p] * 5
LIBC.iconv.restype = ctypes.c_size_t
FAILED = ctypes.c_size_t(-1).value


class Iconv:
    """A conversion of glibc."""

    def __init__(self, source: str, target: str) -> None:
        self.handle = LIBC.iconv_open(target.encode(), source.encode())
        self.known = self.handle not in (None, FAILED)

    def __call__(self, data: bytes) -> bytes | None:
        LIBC.iconv(self.handle, None, None, None, None)
        source, target = ctypes.create_string_buffer(data, len(data)), ctypes.create_string_buffer(64)
        at, to = ctypes.c_void_p(ctypes.addressof(source)), ctypes.c_void_p(ctypes.addressof(target))
        left, room = ctypes.c_size_t(len(data)), ctypes.c_size_t(64)
        pointers = [ctypes.byref(number) for number in (at, left, to, room)]
        if LIBC.iconv(self.handle, *pointers) == FAILED or left.value:
            return None
        # What waits for a character that might follow, and the way back to single bytes.
        LIBC.iconv(self.handle, None, None, pointers[2], pointers[3])
        return target.raw[: 64 - room.value]


def iconv_page(name: str) -> list[int] | None:
    convert = Iconv(name, "UTF-32BE")
    if not convert.known:
        return None
    page = []
    for byte in range(256):
        text = (convert(bytes([byte])) or b"").decode("utf-32-be")
        page.append(ord(text) if len(text) == 1 else UNDEFINED)
    return page


# Pages that neither Python nor glibc has, as another one with some bytes changed: Thai without the euro (glibc's 1160
# has it), and the EBCDIC form of ISO 8859-15 (1047 is that of ISO 8859-1).
DERIVED = {
    "cp838": ("IBM1160", {0xFE: 0x0E4C}),
    "cp924": ("IBM1047", {0x6A: 0x160, 0x9D: 0x17E, 0x9F: 0x20AC, 0xB7: 0x152, 0xB8: 0x153, 0xB9: 0x178, 0xBB: 0x161,
                          0xBE: 0x17D}),
}

# Mixed EBCDIC pages: single bytes, and double-byte characters between SO and SI.
MIXED = "930 933 935 937 939 1364 1371 1388 1390 1399".split()
SO, SI = b"\x0e", b"\x0f"


def double_page(number: str) -> dict[int, str]:
    convert = Iconv(f"IBM{number}", "UTF-32BE")
    page = {}
    for code in range(0x4040, 0xFEFF):
        lead, trail = code >> 8, code & 0xFF
        if 0x40 <= trail <= 0xFE and (text := convert(SO + bytes([lead, trail]) + SI)):
            page[code] = text.decode("utf-32-be")
    return page


def leb128(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(out + bytes([number]))


def packed(number: str, page: dict[int, str]) -> bytes:
    back = Iconv("UTF-32BE", f"IBM{number}")
    written = lambda text: back(text.encode("utf-32-be"))
    only_read = {code for code, text in page.items() if written(text) != SO + code.to_bytes(2, "big") + SI}
    # What no code is written for is written as it is read.
    for code in sorted(only_read):
        if not any(other not in only_read and text == page[code] for other, text in page.items()):
            only_read.discard(code)
    units = lambda code: ((b"\x01\xdc" if code in only_read else b"") + (b"\x00\xdc" if len(page[code]) > 1 else b"")
                          + page[code].encode("utf-16-le"))
    runs = []
    codes = sorted(page)
    at = 0
    follows = lambda code, first, start: (len(page[code]) == 1 and code not in only_read and ord(page[code]) <= 0xFFFF
                                          and ord(page[code]) == first + code - start)
    while at < len(codes):
        start, first = codes[at], ord(page[codes[at]][0])
        end = at
        while end < len(codes) and codes[end] == start + end - at and follows(codes[end], first, start):
            end += 1
        if end - at >= 4:
            runs.append((start, end - at, True, units(start)))
            at = end
        elif runs and not runs[-1][2] and runs[-1][0] + runs[-1][1] == start:
            last = runs[-1]
            runs[-1] = (last[0], last[1] + 1, False, last[3] + units(start))
            at += 1
        else:
            runs.append((start, 1, False, units(start)))
            at += 1
    out = leb128(len(runs))
    behind = 0
    for start, count, following, characters in runs:
        out += leb128(start - behind) + leb128(2 * count + following) + characters
        behind = start + count
    return out


def compare_with_icu(number: str, page: dict[int, str]) -> None:
    differ = missing = 0
    for code, text in page.items():
        data = SO + code.to_bytes(2, "big") + SI
        theirs = subprocess.run(["uconv", "-f", f"ibm-{number}", "-t", "UTF-8", "--from-callback", "skip"], input=data,
                                capture_output=True).stdout.decode()
        missing += not theirs
        differ += bool(theirs) and theirs != text
    print(f"{number}: {len(page)} characters, ICU lacks {missing} and reads {differ} otherwise", file=sys.stderr)


def page_of(python_name: str, iconv_name: str) -> list[int]:
    if python_name in DERIVED:
        base, changes = DERIVED[python_name]
        page = iconv_page(base)
        return [changes.get(byte, point) for byte, point in enumerate(page)]
    ours, theirs = python_page(python_name), iconv_page(iconv_name)
    if ours is None and theirs is None:
        sys.exit(f"{python_name}: neither Python nor iconv has it")
    page = list(ours or theirs)
    for byte in range(256):
        page[byte] = ALTERED.get((python_name, byte), page[byte])
    for byte, (a, b) in enumerate(zip(ours or [], theirs or [])):
        if a == b:
            continue
        # What only one side leaves undefined, and is a control on the other, is undefined in print as well.
        if UNDEFINED in (a, b) and (0x80 <= min(a, b) <= 0x9F):
            page[byte] = UNDEFINED
        elif (python_name, byte) in KNOWN_DIFFERENCES:
            page[byte] = KNOWN_DIFFERENCES[python_name, byte]
        else:
            sys.exit(f"{python_name}: byte {byte:02X} is {a:04X} to Python, {b:04X} to iconv")
    return page


def quoted(points: list[int]) -> str:
    out = []
    for point in points:
        char = chr(point)
        if char in "\"\\":
            out.append("\\" + char)
        elif 0x20 <= point < 0x7F or 0xA1 <= point < 0x250 and point != 0xAD or 0x370 <= point < 0x483:
            out.append(char)
        else:
            out.append(f"\\u{{{point:x}}}")
    return "".join(out)


def main() -> None:
    pages = []
    for number in EBCDIC:
        names = [f"cp{number}", f"ibm{number}", number]
        if number in COUNTRY:
            names.append(COUNTRY[number])
        pages.append(("Ebcdic", names, page_of(f"cp{number}", f"IBM{number}")))
    for number in DOS:
        pages.append(("Ascii", [f"cp{number}", f"ibm{number}", number], page_of(f"cp{number}", f"CP{number}")))
    for number in WINDOWS:
        names = [f"windows-{number}", f"cp{number}", f"win{number}", number]
        pages.append(("Ascii", names, page_of(f"cp{number}", f"CP{number}")))
    for part in ISO:
        names = [f"iso-8859-{part}"] + ({"1": ["latin1", "l1", "cp819", "ibm819", "819"], "2": ["latin2"], "9": ["latin5"],
                                      "15": ["latin9"]}.get(part, []))
        pages.append(("Ascii", names, page_of(f"iso8859_{part}", f"ISO-8859-{part}")))
    pages.append(("Ascii", ["koi8-r"], page_of("koi8_r", "KOI8-R")))
    pages.append(("Ascii", ["koi8-u"], page_of("koi8_u", "KOI8-U")))
    pages.append(("Ascii", ["macroman", "macintosh"], page_of("mac_roman", "MACINTOSH")))
    for name, other in [("cyrillic", []), ("greek", []), ("iceland", []), ("latin2", ["maccentraleurope", "maccenteuro"]),
                        ("turkish", []), ("croatian", []), ("romanian", [])]:
        pages.append(("Ascii", [f"mac-{name}", *other], page_of(f"mac_{name}", "only Python has it as Mac OS 9 did")))
    pages.append(("Ascii", ["hp-roman8", "roman8", "r8", "cp1051", "ibm1051"], page_of("hp_roman8", "HP-ROMAN8")))
    pages.append(("Ascii", ["kz1048", "rk1048", "strk1048-2002"], page_of("kz1048", "RK1048")))
    pages.append(("Ascii", ["ptcp154", "pt154", "cp154", "cyrillic-asian"], page_of("ptcp154", "PT154")))
    pages.append(("Ascii", ["us-ascii", "ascii"], page_of("ascii", "ASCII")))

    for number in MIXED:
        pages.append(("Ebcdic", [f"cp{number}", f"ibm{number}", number], iconv_page(f"IBM{number}")))
    tables: list[bytes] = []
    double_of = {}
    for number in MIXED:
        page = double_page(number)
        if "--icu" in sys.argv:
            compare_with_icu(number, dict(list(page.items())[::40]))
        table = packed(number, page)
        if table not in tables:
            tables.append(table)
        double_of[number] = tables.index(table)
    (FOLDER / "double_byte.bin").write_bytes(b"".join(tables))

    controls = pages[0][2][:0x40]
    lines = [
        "//! The single-byte code pages and the single bytes of the mixed ones, written by `scripts/code-pages.py`: do not",
        "//! edit by hand.",
        "//!",
        "//! One string of characters a page: an EBCDIC page from byte 0x40 (the controls are the same on",
        "//! all of them), an ASCII page from byte 0x80. U+FFFD marks bytes that a page does not have.",
        "",
        "use super::{Family, Page};",
        "",
        "/// Bytes 0x00 to 0x3F of EBCDIC.",
        f'pub(super) const EBCDIC_CONTROLS: &str = "{quoted(controls)}";',
        "",
        "/// Every page that is known; the mixed ones, whose double-byte characters are apart, say which they are.",
        "#[rustfmt::skip]",
        "pub(super) static PAGES: &[Page] = &[",
    ]
    for family, names, page in pages:
        mixed = double_of.get(names[2]) if family == "Ebcdic" else None
        if family == "Ebcdic":
            # SO and SI are no characters of a mixed page.
            differing = [byte for byte in range(0x40) if page[byte] != controls[byte]]
            if differing and not (mixed is not None and differing == [0x0E, 0x0F]):
                sys.exit(f"{names[0]}: its controls are not those of the other pages: {differing}")
            chars = page[0x40:]
        else:
            if any(page[byte] != byte for byte in range(0x80)):
                sys.exit(f"{names[0]}: its lower half is not ASCII")
            chars = page[0x80:]
        spelled = ", ".join(f'"{name}"' for name in names)
        double = "None" if mixed is None else f"Some({mixed})"
        lines.append(f"    Page {{ family: Family::{family}, double: {double}, names: &[{spelled}],")
        lines.append(f'        chars: "{quoted(chars)}" }},')
    lines.append("];")
    (FOLDER / "tables.rs").write_text("\n".join(lines) + "\n")


main()
