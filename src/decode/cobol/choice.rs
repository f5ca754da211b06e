//! The settings that name fields of the copybook: what a counter's values stand for, and which of several items that share
//! bytes is meant.

use super::plan::{Plan, Rule};
use super::settings::Settings;
use crate::decode::copybook::Data;
use crate::diagnostic::Faults;

/// Resolves `odo_map` and `views` against the copybook; false after a fault.
pub(super) fn resolve(plan: &mut Plan, settings: &Settings, faults: &Faults) -> bool {
    let before = faults.len();
    for map in &settings.reading.odo_map {
        let counts = |counter: usize| plan.items.iter().any(|item| counted_by(item, counter));
        match plan.find(&map.field) {
            Ok(counter) if counts(counter) => {
                plan.counter_maps.insert(counter, map.counts.clone());
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

fn counted_by(item: &crate::decode::copybook::Item, counter: usize) -> bool {
    item.occurs.as_ref().is_some_and(|occurs| occurs.depending == Some(counter))
}

fn views(plan: &mut Plan, settings: &Settings, faults: &Faults) {
    for view in &settings.reading.views {
        let (item, field) = match (plan.find(&view.item), plan.find(&view.field)) {
            (Ok(item), Ok(field)) => (item, field),
            (item, field) => {
                for reason in item.err().into_iter().chain(field.err()) {
                    faults.push(settings.place.fault(format!("views: {reason}")));
                }
                continue;
            }
        };
        let shares =
            plan.items[item].redefines.is_some() || plan.items.iter().any(|other| other.redefines == Some(item));
        let shared_tables = plan.tables_around(item).starts_with(plan.tables_around(field));
        let apart = settings.segments.is_some() && plan.record_of(item) != plan.record_of(field);
        let fault = if apart {
            format!("views: `{}` and `{}` are in different records", view.item, view.field)
        } else if !shares {
            format!("views: `{}` shares its bytes with no other item", view.item)
        } else if plan.items[field].data.is_none() || plan.items[field].occurs.is_some() || !shared_tables {
            format!("views: `{}` is not one value for `{}`", view.field, view.item)
        } else {
            plan.rules.insert(item, Rule::When(field, view.values.clone()));
            continue;
        };
        faults.push(settings.place.fault(fault));
    }
    // The items of a group without a rule are meant where no rule of the group holds.
    for item in 0..plan.items.len() {
        if plan.rules.contains_key(&item) {
            continue;
        }
        let first = plan.first_of(item);
        let ruled =
            |other: &usize| plan.first_of(*other) == first && matches!(plan.rules.get(other), Some(Rule::When(..)));
        let others: Vec<usize> = (0..plan.items.len()).filter(ruled).collect();
        if !others.is_empty() {
            plan.rules.insert(item, Rule::Else(others));
        }
    }
    if plan.rules.is_empty() {
        return;
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
    /// The item that an item redefines, perhaps through others; itself where it redefines none.
    pub(super) fn first_of(&self, index: usize) -> usize {
        let mut first = index;
        while let Some(next) = self.items[first].redefines {
            first = next;
        }
        first
    }

    /// The item of a name, which may be inside of tables.
    fn find(&self, name: &str) -> Result<usize, String> {
        match self.named(name).as_slice() {
            [one] => Ok(*one),
            [] => Err(format!("the copybook has no `{name}`")),
            _ => Err(format!("`{name}` is ambiguous: qualify it, like `GROUP.NAME`")),
        }
    }
}
