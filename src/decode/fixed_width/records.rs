//! Fixed columns that are more than the text of lines: several record types, numbers, records without line ends.
//!
//! Each type is compiled to a record of items, as a copybook would have them, so that telling types apart, nesting, numbers
//! and controls are those of [`cobol`]. Columns count bytes here, so the code page must have one byte a character; of
//! UTF-8 that is the part which is ASCII.

use super::{Field, Settings, Type, spec};
use crate::decode::CodePage;
use crate::decode::cobol::{self, ByteOrder, Cobol, FloatFormat, Framing};
use crate::decode::copybook::{Column, ColumnRecord};
use crate::decode::csv::Nul;
use crate::decode::format::Place;
use crate::diagnostic::Faults;

/// Compiles a layout of several record types, numbers, or records without line ends.
pub(in crate::decode) fn compile(settings: &Settings, fields: Vec<Field>, faults: &Faults) -> Option<Cobol> {
    let place = settings.place.clone().unwrap_or_else(|| Place::command_line("fixed-width"));
    let fail = |message: String, help: &str| {
        faults.push(place.fault(message).help(help));
        None
    };
    let encoding = if settings.encoding.is_utf8() { CodePage::find("ascii").ok()? } else { settings.encoding.clone() };
    if encoding.tables().is_none() {
        let name = encoding.name();
        let message = format!("record types and numbers need a code page of one byte a character, not {name}");
        return fail(message, "say `encoding = \"ascii\"`, or the code page of the file");
    }
    if let Some(nul) = settings.nul {
        let word = Nul::WORDS.iter().find(|(_, own)| *own == nul).map_or("", |(word, _)| *word);
        let help = "with record types, numbers or `record_length` NUL characters pad, as low values do in COBOL";
        return fail(format!("`nul = \"{word}\"` is for lines of text alone"), help);
    }
    let binary = fields.iter().find(|field| field.form.kind.is_binary());
    if let (Some(field), None) = (binary, settings.record_length) {
        let message = format!("`{}` is no text, and its bytes may be line ends", field.name);
        return fail(message, "say with `record_length` how many bytes a record has; it then has no line end");
    }
    let end = fields.iter().map(|field| field.start + field.length).max().unwrap_or_default();
    if let Some(length) = settings.record_length.filter(|length| *length < end) {
        return fail(format!("fields lie behind the {length} bytes of a record"), "raise `record_length`");
    }
    if settings.record_length.is_some() && (settings.header_lines > 0 || settings.footer_lines > 0 || settings.pad) {
        let message = "header_lines, footer_lines and pad are for files of lines".to_owned();
        return fail(message, "`record_length` says that there are none");
    }
    let float = match float_format(&fields) {
        Ok(float) => float,
        Err(name) => {
            let message = format!("`{name}` is another kind of floating point than the fields before it");
            return fail(message, "one file has one kind of them");
        }
    };
    let column = |field: &Field| {
        // What does not fit was told where it is written.
        let (data, picture) = field.form.data(field.length).ok()?;
        Some(Column { name: field.name.clone(), offset: field.start, length: field.length, data, picture })
    };
    let length = settings.record_length;
    let mut records: Vec<ColumnRecord> = Vec::new();
    match &settings.segments {
        Some(segments) => {
            for (_, record) in &segments.map {
                if records.iter().any(|known| known.name.eq_ignore_ascii_case(record)) {
                    continue;
                }
                let columns = fields
                    .iter()
                    .filter(|field| field.record.as_ref().is_none_or(|own| own.eq_ignore_ascii_case(record)));
                let columns: Vec<_> = columns.filter_map(column).collect();
                if columns.is_empty() {
                    faults.push(place.fault(format!("the record type `{record}` has no fields")));
                    return None;
                }
                records.push(ColumnRecord { name: record.clone(), columns, length });
            }
            let known = |record: &String| records.iter().any(|known| known.name.eq_ignore_ascii_case(record));
            if let Some(stray) = fields.iter().filter_map(|field| field.record.as_ref()).find(|record| !known(record)) {
                faults.push(
                    place.fault(format!("fields are of a record type `{stray}` that `segment_map` does not have")),
                );
                return None;
            }
        }
        None => {
            if let Some(record) = fields.iter().find_map(|field| field.record.as_ref()) {
                let (message, help) = spec::untold(record);
                return fail(message, &help);
            }
            let columns = fields.iter().filter_map(column).collect();
            records.push(ColumnRecord { name: "LINE".to_owned(), columns, length });
        }
    }
    let reading = cobol::Reading { overpunch: settings.sign, ..cobol::Reading::default() };
    let settings = cobol::Settings {
        reading,
        framing: if settings.record_length.is_some() { Framing::Fixed } else { Framing::Line },
        float,
        comp5: Some(ByteOrder::Little),
        crlf: settings.crlf,
        header_lines: settings.header_lines,
        footer_lines: settings.footer_lines,
        blank_lines: settings.blank_lines,
        pad_lines: settings.pad,
        trim: settings.trim,
        segments: settings.segments.clone(),
        filter: settings.filter.clone(),
        places: settings.places.clone(),
        ..cobol::Settings::new(String::new(), encoding, place)
    };
    Cobol::of_columns(records, &settings, faults)
}

/// Whether the settings ask for it.
pub(in crate::decode) fn wanted(settings: &Settings, fields: &[Field]) -> bool {
    let is_text = |field: &Field| field.form.kind == Type::Text;
    settings.segments.is_some()
        || !settings.filter.is_empty()
        || settings.record_length.is_some()
        || !fields.iter().all(is_text)
}

/// The kind of floating point that the fields have, or the name of the first one that has another.
fn float_format(fields: &[Field]) -> Result<Option<FloatFormat>, &str> {
    let mut found = None;
    for field in fields {
        let own = match field.form.kind {
            Type::FloatIbm => FloatFormat::Ibm,
            Type::FloatIeee => FloatFormat::Ieee,
            Type::FloatLittle => FloatFormat::IeeeLittle,
            _ => continue,
        };
        if *found.get_or_insert(own) != own {
            return Err(&field.name);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::path::Path;
    use std::sync::Arc;

    use super::super::tests::read_from;
    use crate::decode::{Decoder, Format, Json, Resume};
    use crate::diagnostic::{Faults, SourceText, Table, parse};

    const SPEC: &str = "name,start,length,record\nT,1,1\nDAY,2,8,HEAD\nNO,2,3,ORDER\nWHO,5,6,ORDER\nNO,2,3,LINE\n\
                        SKU,5,4,LINE\nQTY,9,2,LINE\nCNT,2,3,TAIL\n";
    const SOURCE: &str = "files = 'x'\nspec = 's'\nencoding = 'windows-1252'\nsegment_field = 'T'\n\
                          segment_map = { H = 'HEAD', O = 'ORDER', L = 'LINE', Z = 'TAIL' }\n";

    fn compile(source: &str, spec: &str) -> Result<Decoder, Vec<String>> {
        let faults = Faults::new();
        let root = parse(&SourceText::new(Path::new("t.toml"), source.to_owned()), &faults);
        let spec = SourceText::new(Path::new("s"), spec.to_owned());
        let decoder = Format::section("fixed_width")
            .and_then(|section| Table::new(&root, section, &faults))
            .and_then(|table| Format::read("fixed_width", &table))
            .and_then(|format| format.compile(&|_| Some(Arc::clone(&spec)), &faults));
        decoder.ok_or_else(|| faults.into_sorted().iter().map(ToString::to_string).collect())
    }

    const DATA: &[u8] =
        b"report of today\nH20261031\nO001M\xFCller\r\nL001SAW1 2\nL001NAIL99\nO002Ann   \nX\nZ002\nend of report\n";

    #[test]
    fn lines_of_several_types_nest() {
        let more = "header_lines = 1\nfooter_lines = 1\nsegment_children = { ORDER = 'LINE' }\n";
        let decoder = compile(&format!("{SOURCE}{more}"), SPEC).unwrap();
        let expected = [
            "skipped",
            r#"{"T":"H","DAY":"20261031"}"#,
            r#"{"T":"O","NO":"001","WHO":"Müller","LINE":[{"T":"L","NO":"001","SKU":"SAW1","QTY":"2"},{"T":"L","NO":"001","SKU":"NAIL","QTY":"99"}]}"#,
            r#"{"T":"O","NO":"002","WHO":"Ann","LINE":[]}"#,
            r#"structure.unknown_type: record 4 at byte 71 (line 7): expected a known record type in T, found "X" (58)"#,
            r#"{"T":"Z","CNT":"002"}"#,
            "skipped",
        ];
        assert_eq!(read_from(&decoder, DATA, Resume::default()), expected);
        let mut reader = decoder.reader(Cursor::new(DATA), Resume::default()).unwrap();
        for done in 0..=expected.len() {
            assert_eq!(read_from(&decoder, DATA, reader.resume_point()), expected[done..], "after {done}");
            let _ = reader.next();
        }
    }

    #[test]
    fn short_lines_are_padded_only_where_that_is_said() {
        let short = b"O001\n";
        let fault = "framing.record_too_short: record 1 at byte 0 (line 1): field WHO: expected PIC X(6) at bytes 5 to 10, found a record of 4 bytes";
        assert_eq!(read_from(&compile(SOURCE, SPEC).unwrap(), short, Resume::default()), [fault]);
        let padded = compile(&format!("{SOURCE}pad = true\n"), SPEC).unwrap();
        assert_eq!(read_from(&padded, short, Resume::default()), [r#"{"T":"O","NO":"001","WHO":""}"#]);
        let long =
            "framing.record_too_long: record 1 at byte 0 (line 1): expected a record ORDER of 10 bytes, found 11 bytes";
        assert_eq!(read_from(&padded, b"O001Mueller\n", Resume::default()), [long]);
    }

    /// The file of these documents; the fault of each that cannot be written stands in its place.
    fn write(decoder: &Decoder, documents: &[&str]) -> (Vec<u8>, Vec<String>) {
        let mut encoder = decoder.encoder().unwrap();
        let (mut out, mut faults) = (Vec::new(), Vec::new());
        for document in documents {
            let written = encoder.record(&Json::parse(document).unwrap(), &mut out);
            faults.extend(written.err().map(|fault| fault.to_string()));
        }
        encoder.finish(&mut out).unwrap();
        (out, faults)
    }

    #[test]
    fn documents_become_lines() {
        let more = "header_lines = 1\nfooter_lines = 2\nsegment_children = { ORDER = 'LINE' }\n";
        let documents = [
            r#"{"T":"H","DAY":"20261031"}"#,
            r#"{"T":"O","NO":"001","WHO":"Mül","LINE":[{"T":"L","NO":"001","SKU":"SAW1","QTY":"2"}]}"#,
            r#"{"T":"Z","CNT":"002"}"#,
        ];
        let whole = compile(&format!("{SOURCE}{more}"), SPEC).unwrap();
        let lines = b"\r\nH20261031\r\nO001M\xFCl   \r\nL001SAW12 \r\nZ002\r\n\r\n\r\n";
        assert_eq!(write(&whole, &documents), (lines.to_vec(), vec![]));
        let read: Vec<_> = read_from(&whole, lines, Resume::default());
        assert_eq!(read.into_iter().filter(|line| line != "skipped").collect::<Vec<_>>(), documents);
        let padded = compile(&format!("{SOURCE}{more}pad = true\n"), SPEC).unwrap();
        let lines = b"\r\nH20261031\r\nO001M\xFCl\r\nL001SAW12\r\nZ002\r\n\r\n\r\n";
        assert_eq!(write(&padded, &documents), (lines.to_vec(), vec![]));
    }

    #[test]
    fn columns_that_share_bytes_must_agree() {
        let source = "files = 'x'\nspec = 's'\nencoding = 'ascii'\nfilter = 'A=x'\n";
        let decoder = compile(source, "A,1,1\nB,4,2\nC,4,1\n").unwrap();
        let (out, faults) = write(&decoder, &[r#"{"A":"x","B":"yz","C":"q"}"#, r#"{"A":"x","B":"yz","C":"y"}"#]);
        assert_eq!(out, b"x  yz\r\n");
        assert!(faults[0].starts_with("/B: ") && faults[0].contains("share its bytes"), "{faults:?}");
    }

    #[test]
    fn filters_need_no_types() {
        let source = "files = 'x'\nspec = 's'\nencoding = 'ascii'\nfilter = 'A=x'\n";
        let decoder = compile(source, "A,1,1\nB,2,2\n").unwrap();
        assert_eq!(read_from(&decoder, b"x12\ny34\n", Resume::default()), [r#"{"A":"x","B":"12"}"#, "skipped"]);
    }

    #[test]
    fn settings_that_do_not_fit() {
        let check = |source: &str, spec: &str, expected: &str| {
            let found = compile(source, spec).err().unwrap();
            assert!(found.iter().any(|fault| fault.contains(expected)), "{found:?}");
        };
        check(&SOURCE.replace("windows-1252", "shift_jis"), SPEC, "need a code page of one byte a character");
        check(SOURCE, "T,1,1,HEAD\n", "the record type `ORDER` has no fields");
        check(SOURCE, &format!("{SPEC}X,1,1,NONE\n"), "a record type `NONE` that `segment_map` does not have");
        check(SOURCE, &format!("{SPEC}NO,1,1,LINE\n"), "there is another field `NO`");
        check(
            "files = 'x'\nspec = 's'\n",
            SPEC,
            "`HEAD` is no type of a field, and a record type needs `segment_field`",
        );
        check("files = 'x'\nspec = 's'\nsegment_field = 'T'\n", SPEC, "`segment_map` is missing");
    }
}
