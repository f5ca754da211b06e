//! What a caller may see of a resource, once its scope lets it in: the one place that decides it, for every read.

use serde_json::Value;

use super::catalog::{Catalog, Published};
use super::retire::Met;
use super::value;
use crate::http::{Caller, Problem, Reason};
use crate::mapping::RowBound;
use crate::pipeline::operate::{FieldBound, Within};
use crate::staging::{Comparison, Filter, Scalar};

/// A claim may have so many values.
const MOST_VALUES: usize = 100;

/// A read of a resource: who reads, what is published, and what of it they may see.
pub(super) struct View<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) published: &'a Published,
    pub(super) caller: &'a Caller,
    /// Told which versions the answer is of.
    pub(super) met: &'a Met,
    pub(super) sight: Sight,
}

/// What a caller may see of one resource.
#[derive(Clone, Debug, Default)]
pub(super) struct Sight {
    /// Only records for which all of these hold; for the caller the others do not exist. Passed to every read of staging.
    /// Paths are of declared fields, and of [`ResourceSpec::bounds`](crate::staging::ResourceSpec::bounds).
    pub(super) only: Vec<Filter>,
    /// The same, for what did not come from staging.
    pub(super) within: Within,
}

impl Sight {
    /// What `caller` may see, who has the resource's scope.
    pub(super) fn of(published: &Published, caller: &Caller) -> Result<Sight, Problem> {
        let exposure = &published.exposure;
        let rows = &exposure.access.rows;
        if rows.is_empty() || caller.has(&format!("{}:all", exposure.id.name())) {
            return Ok(Sight::default());
        }
        let bounds = rows.iter().map(|row| bound(published, row, caller)).collect::<Result<Vec<_>, Problem>>()?;
        let filter = |bound: &FieldBound| Filter {
            path: bound.path.clone(),
            comparison: Comparison::In,
            values: bound.values.clone(),
        };
        Ok(Sight { only: bounds.iter().map(filter).collect(), within: Within::new(bounds) })
    }

    /// Whether a document that did not come from staging, which knows of [`Sight::only`], may be seen. What cannot be judged
    /// is not shown.
    pub(super) fn shows(&self, document: &[u8]) -> bool {
        self.within.shows(document)
    }
}

/// What a bound lets a caller see.
fn bound(published: &Published, row: &RowBound, caller: &Caller) -> Result<FieldBound, Problem> {
    let RowBound { field, claim } = row;
    let refused = |what: &str| {
        let detail =
            format!("what you see of {} depends on your claim `{}`, {what}", published.exposure.id, claim.join("."));
        let hint = format!(
            "ask the operator for a key with it (tollbridge keys create NAME --claim {}=...), or the issuer for a token",
            claim.join(".")
        );
        Reason::InsufficientScope.because(detail).why("claim").hint(hint)
    };
    let said = caller.claim(claim).ok_or_else(|| refused("which you do not have"))?;
    let single = std::slice::from_ref(said);
    let several = said.as_array().map_or(single, Vec::as_slice);
    let scalar = |said: &Value| match said {
        Value::String(text) => value::parse(field.field_type, text).ok(),
        Value::Number(number) => value::parse(field.field_type, &number.to_string()).ok(),
        Value::Bool(truth) => value::parse(field.field_type, if *truth { "true" } else { "false" }).ok(),
        _ => None,
    };
    let values: Option<Vec<Scalar>> = several.iter().take(MOST_VALUES + 1).map(scalar).collect();
    match (values, value::column_of(field.field_type)) {
        (Some(values), Some(column)) if (1..=MOST_VALUES).contains(&values.len()) => {
            Ok(FieldBound { path: field.path.clone(), column, values })
        }
        _ => Err(refused("which says nothing that a record could have")),
    }
}
