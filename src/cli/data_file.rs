//! `inspect FILE` for a file of data: what it looks like, what speaks for that, and what to paste.

use std::fmt::Write;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use serde_json::json;

use super::decode::Input;
use crate::decode::sniff::{self, Column, Evidence, Report, SAMPLE, Sample};
use crate::decode::{Compression, StreamFault, excel};

/// The beginning of a file, and its size.
fn beginning(input: &mut Input, size: u64) -> io::Result<(Vec<u8>, u64)> {
    let mut bytes = Vec::new();
    input.take(SAMPLE as u64).read_to_end(&mut bytes)?;
    input.seek(SeekFrom::Start(0))?;
    // A pipe has no size; it is then taken for what was read of it.
    let size = size.max(bytes.len() as u64);
    Ok((bytes, size))
}

/// True for text that is plainly a copybook: a level number before a name, and a picture.
fn looks_like_a_copybook(path: &Path, bytes: &[u8]) -> bool {
    let endings = ["cpy", "cbl", "cob", "copy", "cobol", "inc"];
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_lowercase();
    if endings.contains(&ending.as_str()) {
        return true;
    }
    let text = String::from_utf8_lossy(bytes);
    let is_item = |line: &str| {
        // Past the columns of sequence numbers, where there are some.
        let code = line.get(6..).filter(|_| line.bytes().take(6).all(|byte| byte.is_ascii_digit() || byte == b' '));
        let mut words = code.unwrap_or(line).split_whitespace();
        let is_level = |word: &str| word.len() <= 2 && word.parse::<u8>().is_ok_and(|level| (1..=88).contains(&level));
        let is_name = |word: &str| word.starts_with(|char: char| char.is_ascii_alphabetic());
        words.next().is_some_and(is_level) && words.next().is_some_and(is_name)
    };
    let has_picture = text
        .split(|char: char| char.is_whitespace())
        .any(|word| word.eq_ignore_ascii_case("pic") || word.eq_ignore_ascii_case("picture"));
    has_picture && text.lines().any(is_item)
}

/// How long the file is and what it looks like, unpacked where it is packed; `None` for a copybook. A workbook may have so many
/// MiB.
pub(super) fn look(
    path: &Path,
    input: &mut Input,
    size: u64,
    max_mib: Option<u64>,
) -> Result<Option<(u64, Report)>, String> {
    let shown = path.display().to_string();
    let unreadable = |error: io::Error| format!("cannot read {shown}: {error}");
    let (bytes, size) = beginning(input, size).map_err(unreadable)?;
    let look = |bytes: &[u8], size| sniff::sniff(&Sample { start: bytes, size, path: &shown });
    let report = look(&bytes, size);
    // An .ods file is a zip archive too, and what is one is known by its parts.
    if ["xlsx", "ole", "zip"].contains(&report.kind) {
        match excel::outline(&mut *input, max_mib) {
            Ok(sheets) => {
                let mut report = report;
                sniff::workbook(&mut report, &sheets, &shown, max_mib);
                return Ok(Some((size, report)));
            }
            Err(StreamFault::Io(error)) => return Err(unreadable(error)),
            Err(StreamFault::Layout { message, .. }) if report.kind != "zip" => {
                let mut report = report;
                report.evidence.push(Evidence {
                    about: "content",
                    found: "not looked at".to_owned(),
                    because: message,
                });
                return Ok(Some((size, report)));
            }
            Err(StreamFault::Layout { .. }) => {}
        }
    }
    if !["gzip", "zip", "zstd", "bzip2"].contains(&report.kind) {
        return Ok((!looks_like_a_copybook(path, &bytes)).then_some((size, report)));
    }
    input.seek(SeekFrom::Start(0)).map_err(unreadable)?;
    let (bytes, unpacked) = match Compression::default().beginning(&mut *input, SAMPLE as u64) {
        Ok(Some(unpacked)) => unpacked,
        Ok(None) => return Ok(Some((size, report))),
        Err(StreamFault::Io(error)) => return Err(unreadable(error)),
        Err(StreamFault::Layout { message, .. }) => {
            let mut report = report;
            report.evidence.push(Evidence { about: "content", found: "not looked at".to_owned(), because: message });
            return Ok(Some((size, report)));
        }
    };
    if looks_like_a_copybook(&path.with_extension(""), &bytes) {
        return Ok(None);
    }
    let mut inside = look(&bytes, unpacked);
    let because = format!("its first bytes; what is said here is of the {unpacked} bytes that it unpacks to");
    inside.evidence.insert(0, Evidence { about: "packed", found: report.kind.to_owned(), because });
    Ok(Some((size, inside)))
}

/// For programs.
pub(super) fn as_json(report: &Report) -> String {
    let evidence: Vec<_> = report
        .evidence
        .iter()
        .map(|evidence| json!({ "about": evidence.about, "found": evidence.found, "because": evidence.because }))
        .collect();
    let columns: Vec<_> = report
        .columns
        .iter()
        .map(|column| {
            json!({
                "name": column.name,
                "type": column.kind,
                "format": column.format,
                "decimal_point": column.marks.0,
                "grouping": column.marks.1,
                "cells": column.cells,
                "blank": column.blank,
                "others": column.others,
                "longest": column.longest,
                "example": column.example,
            })
        })
        .collect();
    let value = json!({
        "kind": report.kind,
        "title": report.title,
        "evidence": evidence,
        "columns": columns,
        "spec": report.spec,
        "toml": report.toml,
        "command": report.command,
    });
    format!("{value}\n")
}

/// For people.
pub(super) fn as_text(path: &Path, size: u64, report: &Report) -> String {
    let mut text = format!("{}: {}, {size} bytes\n\n", path.display(), report.title);
    let widths = |cells: &dyn Fn(&Evidence) -> usize| report.evidence.iter().map(cells).max().unwrap_or(0);
    let (about, found) = (widths(&|e| e.about.chars().count()), widths(&|e| e.found.chars().count()));
    for evidence in &report.evidence {
        let _ = writeln!(text, "{:about$}  {:found$}  {}", evidence.about, evidence.found, evidence.because);
    }
    if !report.columns.is_empty() {
        let rows: Vec<[String; 5]> = report.columns.iter().map(row).collect();
        let head = ["COLUMN", "TYPE", "LONGEST", "BLANK", "EXAMPLE"].map(str::to_owned);
        let all: Vec<&[String; 5]> = std::iter::once(&head).chain(&rows).collect();
        let mut widths = [0; 5];
        for row in &all {
            widths.iter_mut().zip(row.iter()).for_each(|(width, cell)| *width = (*width).max(cell.chars().count()));
        }
        text.push('\n');
        for [name, kind, longest, blank, example] in all {
            let [a, b, c, d, _] = widths;
            let line = format!("{name:a$}  {kind:b$}  {longest:>c$}  {blank:>d$}  {example}");
            let _ = writeln!(text, "{}", line.trim_end());
        }
    }
    if !report.spec.is_empty() {
        let _ = write!(text, "\nfields.spec:\n\n{}\n", report.spec.join("\n"));
    }
    if let Some(toml) = &report.toml {
        let _ = write!(text, "\nIn a mapping:\n\n{toml}");
    }
    if let Some(command) = &report.command {
        let _ = write!(text, "\nTo decode it:\n\n{command}\n");
    }
    text
}

fn row(column: &Column) -> [String; 5] {
    let format = column.format.as_ref().map(|format| format!(" {format}")).unwrap_or_default();
    let others = if column.others > 0 { format!(", {} others", column.others) } else { String::new() };
    let marks = match column.marks {
        (Some(point), Some(grouping)) if (point, grouping) != ('.', ',') => format!(" {grouping}000{point}00"),
        (Some(','), None) => " 0,00".to_owned(),
        _ => String::new(),
    };
    let example: String =
        column.example.chars().map(|char| if char.is_control() { ' ' } else { char }).take(40).collect();
    [
        column.name.clone(),
        format!("{}{format}{marks}{others}", column.kind),
        column.longest.to_string(),
        column.blank.to_string(),
        example,
    ]
}
