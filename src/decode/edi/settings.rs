//! The keys of `[source.edi]`.

use crate::decode::CodePage;
use crate::decode::code_page::Family;
use crate::decode::format::{FILES, Place, SKIP, TRAILER, read_encoding};
use crate::diagnostic::{Key, Presence, Section, Table};

/// What a person wrote.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The code page, where the interchange is not to be asked: EDIFACT says it by its syntax level, X12 is taken for
    /// UTF-8.
    pub encoding: Option<CodePage>,
    /// Path of the schema, as written, and where it is written.
    pub schema: Option<(String, Place)>,
}

pub(in crate::decode) static SECTION: Section = Section {
    path: "source.edi",
    doc: "Interchanges of X12 and EDIFACT; one record is one transaction set or message.",
    keys: &[
        FILES,
        Key {
            name: "encoding",
            shape: "code page",
            presence: Presence::Optional,
            doc: "code page of the data; when absent as the syntax level of UNB says (UNOC is iso-8859-1), and UTF-8 for X12",
        },
        Key {
            name: "schema",
            shape: "path",
            presence: Presence::Optional,
            doc: "file that describes the message's segments and loops; without one, names are like `BEG.03`",
        },
        SKIP,
        TRAILER,
    ],
};

impl Settings {
    pub(in crate::decode) fn read(table: &Table<'_>) -> Option<Settings> {
        let encoding = read_encoding(table);
        let schema = table.filled("schema").zip(table.get("schema").map(Place::of));
        if let Some(message) = encoding.as_ref().and_then(Settings::unfit)
            && let Some(node) = table.get("encoding")
        {
            table.fail(node.fault(message));
        }
        (!table.failed()).then_some(Settings { encoding, schema })
    }

    /// Why a code page cannot be that of an interchange.
    pub fn unfit(encoding: &CodePage) -> Option<String> {
        let name = encoding.name();
        (encoding.family() != Family::Ascii)
            .then(|| format!("an interchange cannot be in {name}: its separators are looked for in ASCII"))
    }
}
