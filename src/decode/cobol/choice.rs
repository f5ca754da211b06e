//! The settings that name fields of the copybook: what a counter's values stand for, and which of several items that share
//! bytes is meant.

use std::collections::{HashMap, HashSet};

use super::plan::{Plan, Rule};
use super::settings::Settings;
use crate::decode::copybook::Data;
use crate::diagnostic::Faults;

/// Resolves `odo_map` and `views` against the copybook; false after a fault.
pub(super) fn resolve(plan: &mut Plan, settings: &Settings, faults: &Faults) -> bool {
    let before = faults.len();
    let counting = plan.items.iter().filter_map(|item| item.occurs.as_ref()?.depending);
    let counters: HashSet<usize> = counting.collect();
    for map in &settings.reading.odo_map {
        match plan.find(&map.field) {
            Ok(found) if found.iter().any(|counter| counters.contains(counter)) => {
                plan.counter_maps.extend(found.into_iter().map(|counter| (counter, map.counts.clone())));
            }
            Ok(_) => faults.push(settings.place.fault(format!("`{}` counts no table", map.field))),
            Err(reason) => faults.push(settings.place.fault(format!("odo_map: {reason}"))),
        }
    }
    for (table, item) in plan.items.iter().enumerate() {
        let Some(counter) = item.occurs.as_ref().and_then(|occurs| occurs.depending) else { continue };
        if settings.segments.is_some() && plan.record_of(counter) != plan.record_of(table) {
            let (name, table) = (plan.qualified_path(counter), plan.path(table));
            faults.push(item.spot.fault(format!("`{name}`, the counter of `{table}`, is in another record type")));
            continue;
        }
        if plan.items[counter].data == Some(Data::Text) && !plan.counter_maps.contains_key(&counter) {
            let (name, table) = (plan.path(counter), plan.path(table));
            let help = format!("say what its values stand for: odo_map = {{ {name} = {{ A = 0, B = 1 }} }}");
            faults.push(item.spot.fault(format!("`{name}`, the counter of `{table}`, is text")).help(help));
        }
    }
    views(plan, settings, faults);
    faults.len() == before
}

fn views(plan: &mut Plan, settings: &Settings, faults: &Faults) {
    let mut shares = vec![false; plan.items.len()];
    for (item, redefining) in plan.items.iter().enumerate() {
        if let Some(target) = redefining.redefines {
            (shares[item], shares[target]) = (true, true);
        }
    }
    for view in &settings.reading.views {
        let (items, fields) = match (plan.find(&view.item), plan.find(&view.field)) {
            (Ok(items), Ok(fields)) => (items, fields),
            (items, fields) => {
                for reason in items.err().into_iter().chain(fields.err()) {
                    faults.push(settings.place.fault(format!("views: {reason}")));
                }
                continue;
            }
        };
        // Record types that were alternatives of one record each have their own of what they share.
        let several = items.len() > 1;
        for item in items {
            let record = plan.record_of(item);
            let own = fields.iter().copied().find(|&field| plan.record_of(field) == record);
            let fault = match own.or(fields.first().copied().filter(|_| settings.segments.is_none())) {
                None => format!("views: `{}` and `{}` are in different records", view.item, view.field),
                Some(_) if !shares[item] && several => continue,
                Some(_) if !shares[item] => format!("views: `{}` shares its bytes with no other item", view.item),
                Some(field) => {
                    let shared_tables = plan.tables_around(item).starts_with(plan.tables_around(field));
                    if plan.items[field].data.is_some() && plan.items[field].occurs.is_none() && shared_tables {
                        plan.rules.insert(item, Rule::When(field, view.values.clone()));
                        continue;
                    }
                    format!("views: `{}` is not one value for `{}`", view.field, view.item)
                }
            };
            faults.push(settings.place.fault(fault));
        }
    }
    if plan.rules.is_empty() {
        return;
    }
    // The items of a group without a rule are meant where no rule of the group holds.
    let mut ruled: HashMap<usize, Vec<usize>> = HashMap::new();
    for item in (0..plan.items.len()).filter(|item| plan.rules.contains_key(item)) {
        ruled.entry(plan.moving.first[item]).or_default().push(item);
    }
    for item in 0..plan.items.len() {
        if let Some(others) = ruled.get(&plan.moving.first[item]) {
            plan.rules.entry(item).or_insert_with(|| Rule::Else(others.clone()));
        }
    }
    for item in 0..plan.items.len() {
        let mut at = Some(item);
        while let Some(index) = at {
            if plan.rules.contains_key(&index) {
                plan.guards[item].push(index);
            }
            at = plan.items[index].parent;
        }
    }
}

impl Plan {
    /// The item of a name, which may be inside of tables; in each of the record types that were alternatives of one
    /// record.
    fn find(&self, name: &str) -> Result<Vec<usize>, String> {
        let found = self.named(name);
        match found.as_slice() {
            [] => Err(format!("the copybook has no `{name}`")),
            [_] => Ok(found),
            [first, others @ ..]
                if found.iter().map(|&item| self.record_of(item)).collect::<HashSet<usize>>().len() == found.len()
                    && others.iter().all(|&other| self.items[other].spot == self.items[*first].spot) =>
            {
                Ok(found)
            }
            _ => Err(format!("`{name}` is ambiguous: qualify it, like `GROUP.NAME`")),
        }
    }
}
