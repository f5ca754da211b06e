//! Which options belong to which formats.

use clap::ValueEnum;

use super::Failure;
use super::options::{FormatName, LayoutArgs};

/// An option that the format does not have is a mistake that would otherwise go unseen.
pub(super) fn refuse_foreign_options(args: &LayoutArgs, name: FormatName) -> Result<(), Failure> {
    use FormatName::{Cobol, Csv, Edi, Excel, FixedWidth, Idoc, Soap, Xml};
    let given: &[(&str, bool, &[FormatName])] = &[
        ("--trim", args.trim.is_some(), &[Cobol, FixedWidth, Xml]),
        ("--copybook", !args.copybook.is_empty(), &[Cobol]),
        ("--length-field", args.length_field.is_some(), &[Cobol]),
        ("--frame-header", args.frame_header.is_some(), &[Cobol]),
        ("--length-adjust", args.length_adjust.is_some(), &[Cobol]),
        ("--segment-field", args.segment_field.is_some(), &[Cobol, FixedWidth]),
        ("--segment-map", !args.segment_map.is_empty(), &[Cobol, FixedWidth]),
        ("--segment-children", !args.segment_children.is_empty(), &[Cobol, FixedWidth]),
        ("--segment-unknown", args.segment_unknown.is_some(), &[Cobol, FixedWidth]),
        ("--filter", !args.filter.is_empty(), &[Cobol, FixedWidth]),
        ("--source-format", args.source_format.is_some(), &[Cobol]),
        ("--record", args.record.is_some(), &[Cobol]),
        ("--framing", args.framing.is_some(), &[Cobol]),
        ("--rdw-adjust", args.rdw_adjust.is_some(), &[Cobol]),
        ("--bdw-adjust", args.bdw_adjust.is_some(), &[Cobol]),
        ("--header-bytes", args.header_bytes.is_some(), &[Cobol]),
        ("--footer-bytes", args.footer_bytes.is_some(), &[Cobol]),
        ("--record-prefix", args.record_prefix.is_some(), &[Cobol]),
        ("--record-suffix", args.record_suffix.is_some(), &[Cobol]),
        ("--float", args.float.is_some(), &[Cobol]),
        ("--comp5", args.comp5.is_some(), &[Cobol]),
        ("--odo", args.odo.is_some(), &[Cobol]),
        ("--fillers", args.fillers.is_some(), &[Cobol]),
        ("--blank", args.blank.is_some(), &[Cobol, FixedWidth]),
        ("--delimiter", args.delimiter.is_some(), &[Csv]),
        ("--quote", args.quote.is_some(), &[Csv]),
        ("--escape", args.escape.is_some(), &[Csv]),
        ("--line-end", args.line_end.is_some(), &[Csv, FixedWidth]),
        ("--comment", args.comment.is_some(), &[Csv]),
        ("--header-rows", args.header_rows.is_some(), &[Csv]),
        ("--columns", args.columns.is_some(), &[Csv]),
        ("--header-match", args.header_match.is_some(), &[Csv]),
        ("--repeated-header", args.repeated_header.is_some(), &[Csv]),
        ("--preamble-lines", args.preamble_lines.is_some(), &[Csv]),
        ("--footer-lines", args.footer_lines.is_some(), &[Csv, FixedWidth, Excel]),
        ("--header-lines", args.header_lines.is_some(), &[FixedWidth]),
        ("--blank-lines", args.blank_lines.is_some(), &[Cobol, FixedWidth]),
        ("--ragged", args.ragged.is_some(), &[Csv]),
        ("--nul", args.nul.is_some(), &[Csv, FixedWidth]),
        ("--record-length", args.record_length.is_some(), &[FixedWidth]),
        ("--no-header", args.no_header, &[Csv, Excel]),
        ("--encoding", args.encoding.is_some(), &[Cobol, Csv, FixedWidth, Edi, Idoc, Xml, Soap]),
        ("--sheet", args.sheet.is_some(), &[Excel]),
        ("--range", args.range.is_some(), &[Excel]),
        ("--max-mib", args.max_mib.is_some(), &[Excel]),
        ("--record-path", args.record_path.is_some(), &[Xml, Soap]),
        ("--namespace", !args.namespace.is_empty(), &[Xml, Soap]),
        ("--array", !args.array.is_empty(), &[Xml]),
        ("--parent", !args.parent.is_empty(), &[Xml]),
        ("--spec", args.spec.is_some(), &[FixedWidth]),
        ("--pad", args.pad, &[FixedWidth]),
        ("--schema", args.schema.is_some(), &[Edi]),
        ("--segments", args.segments.is_some(), &[Idoc]),
        ("--form", args.form.is_some(), &[Idoc]),
    ];
    let given: Vec<_> = given
        .iter()
        .copied()
        .chain(args.cobol.given().map(|(option, given)| {
            (option, given, if option == "--sign" { &[Cobol, FixedWidth][..] } else { &[Cobol] })
        }))
        .collect();
    let foreign = given.iter().find(|(_, given, formats)| *given && !formats.contains(&name));
    match foreign {
        Some((option, _, formats)) => {
            let names: Vec<_> = formats.iter().filter_map(FormatName::to_possible_value).collect();
            let names: Vec<_> = names.iter().map(|name| name.get_name().to_owned()).collect();
            Err(Failure::Usage(format!("{option} belongs to --format {}", names.join(" or "))))
        }
        None => Ok(()),
    }
}
