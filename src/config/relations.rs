//! Relations between resources, checked when all mappings are known.

use std::sync::Arc;

use super::mappings::at;
use crate::diagnostic::{Faults, SourceText, nearest};
use crate::mapping::{Plan, misfit};

/// Checks that what relations name is there and fits. `is_complete`: no mapping is missing for another reason.
pub(super) fn check(plans: &[Arc<Plan>], sources: &[Arc<SourceText>], is_complete: bool, faults: &Faults) {
    for (plan, source) in plans.iter().zip(sources) {
        for relation in &plan.exposure.relations {
            let place = |key: &str| at(source, &["serve", "relations", &relation.name, key]);
            let other = plans.iter().find(|other| other.exposure.id == relation.resource);
            let Some(other) = other else {
                if is_complete {
                    let message = format!("there is no resource {}", relation.resource);
                    let names: Vec<String> = plans.iter().map(|plan| plan.exposure.id.to_string()).collect();
                    let wanted = relation.resource.to_string();
                    faults.push(place("resource").fault(message).help(
                        match nearest(&wanted, names.iter().map(String::as_str)) {
                            Some(near) => format!("did you mean `{near}`?"),
                            None => format!("the resources are: {}", names.join(", ")),
                        },
                    ));
                }
                continue;
            };
            if let Some((key, what)) = misfit(&plan.exposure, relation, &other.exposure) {
                faults.push(place(key).fault(format!("the relation `{}` does not fit: {what}", relation.name)));
            }
        }
    }
}
