//! Record types that are alternatives within one record: groups of one level 01 that redefine one another.
//!
//! Each becomes a record of its own: what the record has beside the alternatives, and the one alternative, all where they
//! were. From there on nothing tells such a type from one that has a level 01.

use std::collections::HashMap;

use super::settings::MAP;
use crate::decode::cobol::settings::Settings;
use crate::decode::copybook::{Copybook, Item, record_of, tables_above};
use crate::diagnostic::Faults;

/// Makes records of the groups that `segment_map` names; the records that they are in stay only where it names them too.
pub(in crate::decode::cobol) fn split(mut copybook: Copybook, settings: &Settings, faults: &Faults) -> Copybook {
    let Some(segments) = &settings.segments else { return copybook };
    let mut made: Vec<(usize, usize)> = Vec::new();
    let mut kept = Vec::new();
    for (_, wanted) in &segments.map {
        let wanted = wanted.trim();
        if let Some(record) = named(&copybook.items, &copybook.records, wanted) {
            kept.push(record);
            continue;
        }
        let groups = alternatives(&copybook, wanted);
        match groups.as_slice() {
            // What is in no record is said where records are looked for.
            [] => {}
            [group] if made.iter().any(|(known, _)| known == group) => {}
            [group] => {
                if let Some(behind) = behind_of_varying(&copybook.items, *group).filter(|_| settings.moves_items()) {
                    let behind = copybook.items[behind].name.as_deref().unwrap_or("FILLER");
                    let message = format!(
                        "the alternative `{wanted}` has a table of varying length, and `{behind}` lies behind it"
                    );
                    let help = "choose the alternative by `views`: what lies behind all of them stays where it is";
                    faults.push(settings.place_of(MAP.name).fault(message).help(help));
                }
                made.push((*group, record_of(&copybook.items, *group)));
            }
            _ => {
                let message = format!("`segment_map` names `{wanted}`, which is ambiguous");
                let fault = settings.place_of(MAP.name).fault(message);
                faults.push(fault.help("qualify it, like `RECORD.GROUP`"));
            }
        }
    }
    copybook.records.retain(|record| kept.contains(record) || !made.iter().any(|(_, of)| of == record));
    for (group, record) in made {
        let clone = alone(&mut copybook.items, record, group);
        copybook.records.push(clone);
    }
    copybook
}

/// The record of this name.
fn named(items: &[Item], records: &[usize], wanted: &str) -> Option<usize> {
    let is_named = |record: &usize| items[*record].name.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(wanted));
    records.iter().copied().find(is_named)
}

/// What lies behind an alternative that has a table of varying length: it would move with the table.
fn behind_of_varying(items: &[Item], group: usize) -> Option<usize> {
    let is_below =
        |index: usize| std::iter::successors(Some(index), |&at| items[at].parent).any(|above| above == group);
    let varies = |index: usize| items[index].occurs.as_ref().is_some_and(|occurs| occurs.depending.is_some());
    (0..items.len()).find(|&index| varies(index) && is_below(index))?;
    let mut at = group;
    while let Some(parent) = items[at].parent {
        if let Some(behind) = items[parent].children.iter().find(|child| items[**child].offset > items[group].offset) {
            return Some(*behind);
        }
        at = parent;
    }
    None
}

/// The items of this name, perhaps qualified, that share their bytes with others and are in no table.
fn alternatives(copybook: &Copybook, wanted: &str) -> Vec<usize> {
    let items = &copybook.items;
    let mut shares = vec![false; items.len()];
    for (index, item) in items.iter().enumerate() {
        if let Some(target) = item.redefines {
            (shares[index], shares[target]) = (true, true);
        }
    }
    let names: Vec<&str> = wanted.rsplit('.').map(str::trim).collect();
    let is_named =
        |index: usize, name: &str| items[index].name.as_deref().is_some_and(|n| n.eq_ignore_ascii_case(name));
    let fits = |index: usize| {
        let mut names = names.iter();
        let mut at = items[index].parent;
        names.next().is_some_and(|name| is_named(index, name))
            && names.all(|name| {
                while let Some(above) = at {
                    at = items[above].parent;
                    if is_named(above, name) {
                        return true;
                    }
                }
                false
            })
    };
    (0..items.len())
        .filter(|&index| shares[index] && items[index].parent.is_some() && fits(index))
        .filter(|&index| items[index].occurs.is_none() && tables_above(items, index).is_empty())
        .filter(|&index| copybook.records.contains(&record_of(items, index)))
        .collect()
}

/// Appends the record with this one of the alternatives that share its bytes; answers the new record.
fn alone(items: &mut Vec<Item>, record: usize, group: usize) -> usize {
    let mut firsts: Vec<usize> = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        firsts.push(item.redefines.and_then(|target| firsts.get(target).copied()).unwrap_or(index));
    }
    let left_out = |index: usize| index != group && firsts[index] == firsts[group];
    // By item of the old record the one of the new; what is below an alternative that is left out has none.
    let mut clones: HashMap<usize, usize> = HashMap::new();
    let mut order = Vec::new();
    let mut open = vec![record];
    while let Some(index) = open.pop() {
        clones.insert(index, items.len() + order.len());
        order.push(index);
        open.extend(items[index].children.iter().rev().copied().filter(|&child| !left_out(child)));
    }
    let is_renamed = |item: &Item| {
        item.renames.is_some_and(|(first, last)| clones.contains_key(&first) && clones.contains_key(&last))
    };
    let renames: Vec<usize> = (0..items.len()).filter(|&index| is_renamed(&items[index])).collect();
    order.extend(renames);
    let start = items.len();
    for index in order {
        let mut item = items[index].clone();
        item.parent = item.parent.and_then(|parent| clones.get(&parent).copied());
        item.children = item.children.iter().filter_map(|child| clones.get(child).copied()).collect();
        // The counter of a table that is in another alternative stays there, which is a fault of its own.
        if let Some(occurs) = &mut item.occurs {
            occurs.depending = occurs.depending.map(|counter| clones.get(&counter).copied().unwrap_or(counter));
        }
        item.redefines = item.redefines.and_then(|target| clones.get(&target).copied());
        item.renames = item.renames.and_then(|(first, last)| Some((*clones.get(&first)?, *clones.get(&last)?)));
        items.push(item);
    }
    if let Some(of) = clones.get(&group).copied() {
        items[of].redefines = None;
        items[start].name = items[group].name.clone();
        shorten(items, of);
    }
    start
}

/// The groups around an item end where their last child ends.
fn shorten(items: &mut [Item], of: usize) {
    let mut at = items[of].parent;
    while let Some(group) = at {
        let end = |&child: &usize| {
            let item = &items[child];
            item.offset + item.occurs.as_ref().map_or(item.length, |occurs| occurs.stride * occurs.max)
        };
        let end = items[group].children.iter().map(end).max().unwrap_or_default();
        items[group].length = end.saturating_sub(items[group].offset);
        at = items[group].parent;
    }
}
