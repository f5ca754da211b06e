//! Moments of the write itself: what a backend wants to know of when it was sent, and callers have no say in.

use std::sync::Arc;

use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use super::bound::{Bound, single_type};
use super::input::Input;
use super::keys::STAMP;
use super::rules;
use super::steps::{BUILT_IN, Origin, VERSION};
use crate::decode::rows::ColumnKind;
use crate::diagnostic::{Faults, Node, Table, Written};
use crate::mapping::is_name;
use crate::mapping::types::Type;

/// A time of the longest words and numbers, by which layouts are judged: a Wednesday in September.
pub(super) const SOME_TIME: Timestamp = Timestamp::constant(1_790_808_299, 999_000_000);

/// When a write was accepted, in one form.
#[derive(Debug)]
pub(super) struct Stamp {
    value_type: Type,
    /// As text of this form.
    format: Option<String>,
    zone: TimeZone,
}

impl Stamp {
    /// The value for a write that was accepted then. It is the same however often the write is tried.
    pub(super) fn value(&self, accepted: Timestamp) -> Bound {
        let local = accepted.to_zoned(self.zone.clone());
        let written = self.format.as_deref().and_then(|format| strtime::format(format, &local).ok());
        match written {
            Some(text) => Bound::Text(text),
            None => self.canonical(&local),
        }
    }

    /// Without a form of its own: to the second, which is what every column of its type holds.
    fn canonical(&self, local: &Zoned) -> Bound {
        let time = local.time();
        let second = jiff::civil::time(time.hour(), time.minute(), time.second(), 0);
        match self.value_type {
            Type::Date => Bound::Written(ColumnKind::Date, local.date().to_string()),
            Type::Time => Bound::Written(ColumnKind::Time, second.to_string()),
            _ => Bound::Written(ColumnKind::DateTime, local.date().to_datetime(second).to_string()),
        }
    }
}

/// Compiles `stamps` of an operation: names, and what they stand for.
pub(super) fn compile(table: &Table<'_>, input: &Input, key: &[String], faults: &Faults) -> Vec<(String, Origin)> {
    let mut stamps = Vec::new();
    for (name, node) in table.free("stamps") {
        let is_known = input.find(name).is_some()
            || key.iter().any(|field| field == name)
            || BUILT_IN.contains(&name)
            || name == VERSION;
        if is_known || !is_name(name) || name.contains('-') {
            let why = if is_known { "is known already" } else { "is no name for a value" };
            table.fail(node.key_fault(format!("`{name}` {why}")));
            continue;
        }
        stamps.extend(stamp(node, faults).map(|stamp| (name.to_owned(), Origin::Stamp(Arc::new(stamp)))));
    }
    stamps
}

fn stamp(node: &Node, faults: &Faults) -> Option<Stamp> {
    let mut node = node.clone();
    if let Written::String(_) = node.value {
        let format = node.clone();
        node.value = Written::Table([("format".to_owned(), format)].into_iter().collect());
    }
    let inner = Table::new(&node, &STAMP, faults)?;
    let value_type = inner.read("type", |node| match single_type(node)? {
        moment if moment.is_moment() => Ok(moment),
        other => Err(format!("a stamp is a date, time or datetime, not of type `{}`", other.name())),
    });
    let zone = inner.read("zone", rules::zone);
    let format = match inner.get("format") {
        None => None,
        Some(_) => Some(inner.read("format", |node| {
            let text = node.as_str().ok_or_else(|| format!("expected a string, found {}", node.kind()))?;
            match strtime::format(text, &SOME_TIME.to_zoned(TimeZone::UTC)) {
                Ok(written) if !written.is_empty() => Ok(text.to_owned()),
                Ok(_) => Err("it is empty".to_owned()),
                Err(error) => Err(format!("`{text}` is no form of a time: {error}")),
            }
        })?),
    };
    Some(Stamp { value_type: value_type?, format, zone: zone? })
}
