//! `[source]`: which backend, when, how strictly, and in which format; and, once the layout is compiled,
//! which of its records are left out and what its trailer promises.

use super::condition::Condition;
use super::controls::{Sum, Trailer};
use super::expect::Expectation;
use super::number::NumberStyle;
use super::place::Surroundings;
use super::rows;
use super::rules::{decimal_point, grouping};
use super::schedule::Schedule;
use super::sections::{SOURCE, SUM, TRAILER};
use super::soap;
use crate::decode::{Compression, Decoder, Format, Packing};
use crate::diagnostic::{self, Faults, Node, Table};
use crate::record::{FieldKind, Layout, Slot};

/// What a bad record means for its file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OnReject {
    /// It becomes a dead letter; the rest of the file is staged.
    Record,
    /// Nothing of the file is staged.
    File,
    /// Nothing of the file is staged when more than so many percent of its records are bad.
    MaxPercent(f64),
}

/// What becomes of the records before the place where a compressed file is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDamage {
    /// Nothing of the file is staged: it is read to its end before anything of it is.
    Refuse,
    /// They are staged.
    Keep,
}

/// Where the records come from, before it is compiled.
pub(super) enum Written {
    /// Files of these names.
    Files(String),
    /// An operation that is called.
    Call(Box<soap::Written>),
    /// A table or a query.
    Rows(Box<rows::Written>),
}

/// What means nothing where a service is called or a database asked.
const OF_FILES: [&str; 7] =
    ["expect_every", "on_reject", "damaged", "compression", "member", "max_unpacked_mib", "max_unpack_ratio"];

/// What `[source]` says.
pub(super) struct Source<'a> {
    pub(super) backend: Option<String>,
    pub(super) schedule: Option<Schedule>,
    pub(super) expect: Option<Expectation>,
    pub(super) on_reject: Option<OnReject>,
    pub(super) on_damage: Option<OnDamage>,
    pub(super) compression: Option<Compression>,
    pub(super) style: NumberStyle,
    pub(super) origin: Option<Written>,
    /// The table of the format, for `skip` and `trailer`.
    pub(super) table: Option<Table<'a>>,
    pub(super) format: Option<Format>,
    /// The key of that table.
    pub(super) kind: &'static str,
    /// What reads the records, where that needs no more to be compiled.
    pub(super) decoder: Option<Decoder>,
    /// How single records of a service are asked for that is polled.
    pub(super) by_key: Option<ByKey>,
}

/// How single records are asked for.
pub(super) struct ByKey {
    pub(super) written: soap::Written,
    pub(super) layout: soap::SoapLayout,
}

impl ByKey {
    /// Reads `by_key` of `[source.soap]`.
    fn read(table: &Table<'_>, backend: Option<&str>, services: &dyn soap::Services, faults: &Faults) -> Option<ByKey> {
        let inner = table.table("by_key", &soap::BY_KEY)?;
        let written = soap::Written::read(&inner, backend, services, faults)?;
        let layout = written.layout(&inner)?;
        Some(ByKey { written, layout })
    }
}

impl<'a> Source<'a> {
    pub(super) fn read(node: &'a Node, services: &dyn soap::Services, faults: &'a Faults) -> Option<Source<'a>> {
        let table = Table::new(node, &SOURCE, faults)?;
        let backend = table.filled("backend");
        let schedule = table.read("schedule", Schedule::read);
        let expect = table.read("expect_every", Expectation::read);
        let on_reject = table.read("on_reject", on_reject);
        let on_damage = table.one_of("damaged", &[("refuse", OnDamage::Refuse), ("keep", OnDamage::Keep)]);
        let compression = compression(&table);
        let point = table.read("decimal_point", decimal_point).unwrap_or(b'.');
        let grouping = table.read("grouping", grouping).flatten();
        if grouping == Some(point)
            && let Some(node) = table.get("grouping")
        {
            table.fail(node.fault("decimal point and grouping are the same"));
        }
        let style = NumberStyle { point, grouping, implied_scale: None };
        let (mut origin, mut format, mut decoder, mut format_table, mut by_key) = (None, None, None, None, None);
        let kinds = [Format::KINDS, &[soap::KIND], rows::KINDS].concat();
        let kind = table.exactly_one(&kinds);
        match kind {
            Some(soap::KIND) => {
                if let Some(inner) = table.table(soap::KIND, &soap::SECTION) {
                    let written = soap::Written::read(&inner, backend.as_deref(), services, faults);
                    let is_polled = written.as_ref().is_some_and(soap::Written::is_polled);
                    refuse_for_service(&table, is_polled, schedule.as_ref());
                    if let Some(node) = inner.get("by_key") {
                        if is_polled {
                            by_key = ByKey::read(&inner, backend.as_deref(), services, faults);
                        } else if written.is_some() {
                            let fault = node.key_fault("this is for a service that is polled");
                            table.fail(fault.help("what is called by key is said in `[source.soap]` itself"));
                        }
                    }
                    match written.as_ref().and_then(|written| written.layout(&inner)) {
                        Some(soap::SoapLayout::Settings(settings)) => format = Some(*settings),
                        Some(soap::SoapLayout::Decoder(ready)) => decoder = Some(ready),
                        None => {}
                    }
                    origin = written.map(|written| Written::Call(Box::new(written)));
                    format_table = Some(inner);
                }
            }
            Some(kind) if rows::KINDS.contains(&kind) => {
                for node in OF_FILES.iter().filter_map(|name| table.get(name)) {
                    table.fail(node.key_fault("this has no meaning for rows of a database: it is for files"));
                }
                if let (Some(Schedule::Watch), Some(node)) = (&schedule, table.get("schedule")) {
                    let fault = node.fault("a database does not ring when something changes");
                    table.fail(fault.help("say how often it is asked, like \"every 30s\""));
                }
                if let Some(inner) = table.table(kind, rows::section(kind)) {
                    origin = rows::read(kind, &inner).map(|written| Written::Rows(Box::new(written)));
                    format = Some(rows::format());
                    format_table = Some(inner);
                }
            }
            Some(kind) => {
                if let Some(inner) = Format::section(kind).and_then(|section| table.table(kind, section)) {
                    origin = inner.read("files", file_pattern).map(Written::Files);
                    format = Format::read(kind, &inner);
                    format_table = Some(inner);
                }
            }
            None => {}
        }
        Some(Source {
            backend,
            schedule,
            expect,
            on_reject,
            on_damage,
            compression,
            style,
            origin,
            table: format_table,
            format,
            kind: kind.unwrap_or_default(),
            decoder,
            by_key,
        })
    }
}

/// What means nothing for a service.
fn refuse_for_service(table: &Table<'_>, is_polled: bool, schedule: Option<&Schedule>) {
    for node in OF_FILES.iter().filter_map(|name| table.get(name)) {
        table.fail(node.key_fault("this has no meaning for a service that is called: it is for files"));
    }
    match (is_polled, schedule, table.get("schedule")) {
        (false, _, Some(node)) => {
            let fault = node.key_fault("this has no meaning for a service that is called record by record");
            table.fail(fault.help("to have it polled, say in `[source.soap]` how what changed is found: `watermark`, `window` or `snapshot`"));
        }
        (true, Some(Schedule::Watch), Some(node)) => {
            let fault = node.fault("a service does not ring when something changes");
            table.fail(fault.help("say how often it is asked, like \"every 30s\""));
        }
        _ => {}
    }
}

fn compression(table: &Table<'_>) -> Option<Compression> {
    let packing = table.one_of("compression", Packing::WORDS);
    let member = table.read("member", |node| match node.as_str() {
        Some(text) => Compression::parse_member(text),
        None => Err(format!("expected a string, found {}", node.kind())),
    });
    if let (Some(packing), Some(node)) = (packing, table.get("member"))
        && !matches!(packing, Packing::Auto | Packing::Zip)
    {
        let fault = format!("`member` has no place beside `compression` = \"{}\"", packing.name());
        table.fail(node.key_fault(fault).help("only a zip archive has members"));
    }
    let max_unpacked = table.integer("max_unpacked_mib", 1..=1 << 40);
    let max_ratio = table.integer("max_unpack_ratio", 1..=i64::MAX);
    Some(Compression {
        packing: packing?,
        member,
        max_unpacked: u64::try_from(max_unpacked?).ok()? << 20,
        max_ratio: u64::try_from(max_ratio?).ok()?,
    })
}

fn on_reject(node: &Node) -> Result<OnReject, String> {
    const CHOICES: &str = "expected \"record\", \"file\" or { max_percent = 1.0 }";
    match &node.value {
        diagnostic::Written::String(text) if text == "record" => Ok(OnReject::Record),
        diagnostic::Written::String(text) if text == "file" => Ok(OnReject::File),
        diagnostic::Written::Table(entries) if entries.len() == 1 => {
            let percent = match entries.get("max_percent").map(|node| &node.value) {
                Some(diagnostic::Written::Integer(number)) => *number as f64,
                Some(diagnostic::Written::Float(text)) => text.parse().map_err(|_| CHOICES.to_owned())?,
                _ => return Err(CHOICES.to_owned()),
            };
            if (0.0..=100.0).contains(&percent) {
                Ok(OnReject::MaxPercent(percent))
            } else {
                Err("max_percent lies between 0 and 100".to_owned())
            }
        }
        _ => Err(CHOICES.to_owned()),
    }
}

/// A pattern for names, not paths: what lies beside the inbox is none of this mapping's business.
fn file_pattern(node: &Node) -> Result<String, String> {
    let text = node.as_str().ok_or_else(|| format!("expected a string, found {}", node.kind()))?;
    if text.is_empty() {
        return Err("must not be empty".to_owned());
    }
    if text.contains(['/', '\\']) || text == "." || text == ".." {
        return Err(format!("`{text}` is a path; write a file name with `*` or `?`, as the backend says the folder"));
    }
    if text.contains("**") {
        return Err("`**` is for folders; one `*` stands for any part of a name".to_owned());
    }
    match glob::Pattern::new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!("`{text}` is no file name pattern: {}", error.msg)),
    }
}

/// The conditions of `skip`.
pub(super) fn skip(table: &Table<'_>, layout: &dyn Layout, style: NumberStyle, faults: &Faults) -> Vec<Condition> {
    let Some(node) = table.get("skip") else { return Vec::new() };
    let within = Surroundings::record(layout);
    let single = std::slice::from_ref(node);
    let written = node.as_array().unwrap_or(single);
    written.iter().filter_map(|node| Condition::compile(node, &within, style, faults)).collect()
}

/// The control totals of `trailer`.
pub(super) fn trailer(table: &Table<'_>, layout: &dyn Layout, style: NumberStyle, faults: &Faults) -> Option<Trailer> {
    let node = table.get("trailer")?;
    let inner = Table::new(node, &TRAILER, faults)?;
    let when = inner.read("when", |_| Ok(())).and_then(|()| inner.get("when"));
    let when = when.and_then(|node| Condition::compile(node, &Surroundings::record(layout), style, faults));
    let count = inner.get("count").map(|node| number_field(&inner, node, layout));
    let mut sums = Vec::new();
    if let Some(node) = inner.get("sum") {
        let single = std::slice::from_ref(node);
        for node in node.as_array().unwrap_or(single) {
            let Some(sum) = Table::new(node, &SUM, faults) else { continue };
            let slot = |name: &str| {
                sum.filled(name)?;
                number_field(&sum, sum.get(name)?, layout)
            };
            if let (Some(field), Some(equals), Some(name)) = (slot("field"), slot("equals"), sum.string("field")) {
                sums.push(Sum { field, name, equals });
            }
        }
    }
    let sequence = match inner.get("sequence") {
        Some(node) => number_field(&inner, node, layout).zip(inner.string("sequence")),
        None => None,
    };
    Some(Trailer { when: when?, count: count.flatten(), sums, sequence, style })
}

/// A single field of the layout that can be read as a number.
fn number_field(table: &Table<'_>, node: &Node, layout: &dyn Layout) -> Option<Slot> {
    let Some(name) = node.as_str() else {
        table.fail(node.fault(format!("expected the name of a layout field, found {}", node.kind())));
        return None;
    };
    match layout.resolve(None, name) {
        Ok(resolved) if resolved.repeats => {
            table.fail(node.fault(format!("`{name}` repeats; a control total takes a single field")));
            None
        }
        Ok(resolved) if matches!(resolved.kind, FieldKind::Text { .. } | FieldKind::Number { .. }) => {
            Some(resolved.slot)
        }
        Ok(_) => {
            table.fail(node.fault(format!("`{name}` is no exact number")));
            None
        }
        Err(unresolved) => {
            let fault = node.fault(unresolved.reason);
            table.fail(match unresolved.nearest {
                Some(near) => fault.help(format!("did you mean `{near}`?")),
                None => fault,
            });
            None
        }
    }
}
