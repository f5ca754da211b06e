#!/usr/bin/env python3
"""Write tables.rs: the single-byte code pages, one string of characters a page.

    python3 generate.py > tables.rs

Every page is taken from Python's codecs, or where Python lacks it from glibc's iconv. Pages that both know are compared
byte for byte; a difference ends the run unless it is named in KNOWN_DIFFERENCES with the side that is right.
"""
import codecs
import subprocess
import sys

UNDEFINED = 0xFFFD

EBCDIC = """037 273 274 275 277 278 280 281 284 285 290 297 420 423 424 500 803 870 871 875 880 905 918 1025 1026 1047
1097 1112 1122 1123 1130 1132 1137 1140 1141 1142 1143 1144 1145 1146 1147 1148 1149 1153 1154 1155 1156 1157 1158 1160
1164 1166""".split()
DOS = "437 737 775 850 851 852 855 856 857 858 860 861 862 863 865 866 868 869 874 1125".split()
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


def iconv_page(name: str) -> list[int] | None:
    known = subprocess.run(["iconv", "-l"], capture_output=True, text=True, check=True).stdout.replace("//", "").split()
    if name not in known:
        return None
    page = []
    for byte in range(256):
        done = subprocess.run(["iconv", "-f", name, "-t", "UTF-16BE"], input=bytes([byte]), capture_output=True)
        if done.returncode != 0 or len(done.stdout) != 2:
            page.append(UNDEFINED)
        else:
            page.append(int.from_bytes(done.stdout, "big"))
    return page


def page_of(python_name: str, iconv_name: str) -> list[int]:
    ours, theirs = python_page(python_name), iconv_page(iconv_name)
    if ours is None and theirs is None:
        sys.exit(f"{python_name}: neither Python nor iconv has it")
    page = list(ours or theirs)
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
    pages.append(("Ascii", ["us-ascii", "ascii"], page_of("ascii", "ASCII")))

    controls = pages[0][2][:0x40]
    print("//! The single-byte code pages, written by `generate.py`: do not edit by hand.")
    print("//!")
    print("//! One string of characters a page: an EBCDIC page from byte 0x40 (the controls are the same on")
    print("//! all of them), an ASCII page from byte 0x80. U+FFFD marks bytes that a page does not have.")
    print()
    print("use super::{Family, Page};")
    print()
    print("/// Bytes 0x00 to 0x3F of EBCDIC.")
    print(f'pub(super) const EBCDIC_CONTROLS: &str = "{quoted(controls)}";')
    print()
    print("/// Every page that is known.")
    print("#[rustfmt::skip]")
    print("pub(super) static PAGES: &[Page] = &[")
    for family, names, page in pages:
        if family == "Ebcdic":
            if page[:0x40] != controls:
                sys.exit(f"{names[0]}: its controls are not those of the other pages")
            chars = page[0x40:]
        else:
            if any(page[byte] != byte for byte in range(0x80)):
                sys.exit(f"{names[0]}: its lower half is not ASCII")
            chars = page[0x80:]
        spelled = ", ".join(f'"{name}"' for name in names)
        print(f"    Page {{ family: Family::{family}, names: &[{spelled}],")
        print(f'        chars: "{quoted(chars)}" }},')
    print("];")


main()
