//! The keys of `[source.idoc]`.

use crate::decode::CodePage;
use crate::decode::code_page::Family;
use crate::decode::format::{FILES, Place, SKIP, TRAILER, read_encoding};
use crate::diagnostic::{Key, Presence, Section, Table};

/// How IDocs are written; what is read says it itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// Records of fixed columns, EDI_DC40 and data records.
    #[default]
    Flat,
    /// Elements, as SAP's XML ports write them.
    Xml,
}

impl Form {
    /// The words for it.
    pub const WORDS: &'static [(&'static str, Form)] = &[("flat", Form::Flat), ("xml", Form::Xml)];
}

/// What a person wrote.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The code page of flat files. XML says its own.
    pub encoding: CodePage,
    /// Path of the list of segments and fields, as written, and where it is written.
    pub segments: Option<(String, Place)>,
    /// How IDocs are written.
    pub form: Form,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { encoding: CodePage::utf8(), segments: None, form: Form::default() }
    }
}

/// The key of what is written, where that is.
pub(in crate::decode) const FORM: Key = Key {
    name: "form",
    shape: "\"flat\" | \"xml\"",
    presence: Presence::Default("\"flat\""),
    doc: "how IDocs are written: as records of fixed columns, or as elements",
};

pub(in crate::decode) static SECTION: Section = Section {
    path: "source.idoc",
    doc: "SAP IDocs, flat (EDI_DC40 and data records) or XML; one record is one IDoc.",
    keys: &[
        FILES,
        Key {
            name: "encoding",
            shape: "code page",
            presence: Presence::Default("\"utf-8\""),
            doc: "code page of flat files, like \"iso-8859-1\"; XML says its own",
        },
        Key {
            name: "segments",
            shape: "path",
            presence: Presence::Optional,
            doc: "file that lists the segments' fields: the parser report of WE60, or lines `SEGMENT TYPE` with indented lines `FIELD LENGTH`; without one a flat segment has the one field SDATA",
        },
        SKIP,
        TRAILER,
    ],
};

impl Settings {
    pub(in crate::decode) fn read(table: &Table<'_>) -> Option<Settings> {
        let encoding = read_encoding(table);
        let segments = table.filled("segments").zip(table.get("segments").map(Place::of));
        let is_written = table.section().key(FORM.name).is_some();
        let form = if is_written { table.one_of(FORM.name, Form::WORDS) } else { Some(Form::default()) };
        if let Some(message) = encoding.as_ref().and_then(Settings::unfit)
            && let Some(node) = table.get("encoding")
        {
            table.fail(node.fault(message));
        }
        (!table.failed()).then_some(Settings { encoding: encoding?, segments, form: form? })
    }

    /// Why a code page cannot be that of a flat file.
    pub fn unfit(encoding: &CodePage) -> Option<String> {
        let name = encoding.name();
        (encoding.family() != Family::Ascii)
            .then(|| format!("an IDoc file cannot be in {name}: its records are told in ASCII"))
    }
}
