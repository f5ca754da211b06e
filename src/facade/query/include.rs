//! `include=customer,lines.article`: related records, and theirs; `fields[customer]=name` cuts them.

use std::borrow::Cow;
use std::sync::Arc;

use super::check_list;
use crate::facade::catalog::Published;
use crate::facade::projection::Projection;
use crate::facade::shape::{Beside, Shape};
use crate::facade::sight::{Sight, View};
use crate::http::{Problem, Reason};
use crate::mapping::{ExposedRelation, RelationLink};
use crate::record::key::encode_part;
use crate::staging::{Include, Link};

/// Relations of relations at most.
const MAX_DEPTH: usize = 3;

/// Relations in one question at most.
const MAX_RELATIONS: usize = 8;

/// A relation that is wanted, with those below it.
struct Wanted {
    relation: ExposedRelation,
    /// As the caller sees it.
    target: Arc<Published>,
    sight: Sight,
    fields: Option<Projection>,
    /// As they were asked for.
    written_fields: Option<String>,
    below: Vec<Wanted>,
}

/// Reads `include`, and `fields[...]` of what is included.
pub(super) fn parse(
    view: &View<'_>,
    include: Option<&str>,
    fields: &[(Cow<'_, str>, Cow<'_, str>)],
) -> Result<(Vec<Include>, Vec<Beside>), Problem> {
    let mut wanted: Vec<Wanted> = Vec::new();
    let mut count = 0;
    if let Some(text) = include {
        check_list("include", text)?;
    }
    for path in include.into_iter().flat_map(|text| text.split(',')) {
        let (mut level, mut of) = (&mut wanted, view.published);
        for (depth, name) in path.split('.').enumerate() {
            if depth == MAX_DEPTH {
                let detail = format!("`include`: `{path}` goes deeper than {MAX_DEPTH} relations");
                return Err(Reason::InvalidParameter.because(detail));
            }
            let known = level.iter().position(|known| known.relation.name == name);
            let at = match known {
                Some(at) => at,
                None => {
                    count += 1;
                    if count > MAX_RELATIONS {
                        let detail = format!("`include`: more than {MAX_RELATIONS} relations");
                        return Err(Reason::InvalidParameter.because(detail));
                    }
                    level.push(find(view, of, path, name)?);
                    level.len() - 1
                }
            };
            let Some(found) = level.get_mut(at) else { break };
            (level, of) = (&mut found.below, found.target.as_ref());
        }
    }
    for (path, text) in fields {
        let Some(found) = at_path(&mut wanted, path) else {
            let detail = format!("`fields[{path}]`: there is no `include={path}` in this request");
            return Err(Reason::InvalidParameter.because(detail));
        };
        let schema = &found.target.exposure.schema;
        check_list(&format!("fields[{path}]"), text)?;
        found.fields =
            Some(Projection::parse(schema, text).map_err(|problem| problem.at(&format!("`fields[{path}]`")))?);
        found.written_fields = Some(text.as_ref().to_owned());
    }
    Ok(wanted.into_iter().map(Wanted::split).unzip())
}

/// The relation of this name, if the caller may read what is at its other end.
fn find(view: &View<'_>, of: &Published, path: &str, name: &str) -> Result<Wanted, Problem> {
    let relations = &of.exposure.relations;
    let Some(relation) = relations.iter().find(|relation| relation.name == name) else {
        let id = &of.exposure.id;
        let problem = Reason::UnknownParameter.because(format!("`include`: `{path}`: {id} has no relation `{name}`"));
        let names: Vec<&str> = relations.iter().map(|relation| relation.name.as_str()).collect();
        return Err(match names.is_empty() {
            true => problem.hint(format!("{id} declares no relations")),
            false => problem.hint(format!("relations of {id}: {}", names.join(", "))),
        });
    };
    let Some(target) = view.catalog.get(&relation.resource) else {
        let detail = format!("`include`: {} is not published at the moment", relation.resource);
        return Err(Reason::Unavailable.because(detail).retry_after(5));
    };
    view.caller.require(&target.exposure.read_scope)?;
    view.met.meet_beside(target).map_err(|gone| gone.at(&format!("`include`: `{path}`")))?;
    let sight = Sight::of(target, view.caller)?;
    let target = target.seen_by(view.caller).unwrap_or_else(|| Arc::clone(target));
    // Who is beside a record would tell the value by which it stands there.
    if let RelationLink::Many { field, .. } = &relation.link
        && !target.exposure.filter.iter().any(|declared| declared.path == *field)
    {
        let detail = format!("`include`: `{path}`: you may not see the field of {} that links it", relation.resource);
        return Err(Reason::InsufficientScope.because(detail));
    }
    let relation = relation.clone();
    Ok(Wanted { relation, target, sight, fields: None, written_fields: None, below: Vec::new() })
}

fn at_path<'w>(wanted: &'w mut [Wanted], path: &str) -> Option<&'w mut Wanted> {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    let found = wanted.iter_mut().find(|wanted| wanted.relation.name == name)?;
    match rest {
        None => Some(found),
        Some(rest) => at_path(&mut found.below, rest),
    }
}

impl Wanted {
    /// What a request to the relation's own resource asks for, to get its records in this form.
    fn form(&self) -> String {
        let mut parameters = Vec::new();
        let mut push = |name: &str, value: &str| {
            let mut written = name.to_owned() + "=";
            encode_part(value, &mut written);
            parameters.push(written);
        };
        if let Some(fields) = &self.written_fields {
            push("fields", fields);
        }
        let mut below = Vec::new();
        self.below.iter().for_each(|wanted| wanted.paths("", &mut below));
        if !below.is_empty() {
            push("include", &below.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>().join(","));
        }
        for (path, fields) in &below {
            if let Some(fields) = fields {
                push(&format!("fields%5B{path}%5D"), fields);
            }
        }
        parameters.join("&")
    }

    /// The paths of a relation and of those below it, with the fields that are wanted of each.
    fn paths<'w>(&'w self, above: &str, out: &mut Vec<(String, Option<&'w str>)>) {
        let path = format!("{above}{}", self.relation.name);
        let within = format!("{path}.");
        out.push((path, self.written_fields.as_deref()));
        self.below.iter().for_each(|wanted| wanted.paths(&within, out));
    }

    /// What staging is asked for, and how the answer is written.
    fn split(self) -> (Include, Beside) {
        let form = self.form();
        let (include, beside): (Vec<Include>, Vec<Beside>) = self.below.into_iter().map(Wanted::split).unzip();
        let link = match &self.relation.link {
            RelationLink::One { key } => Link::Key(key.clone()),
            RelationLink::Many { key, field, limit } => {
                Link::Field { from: key.clone(), field: field.clone(), limit: *limit }
            }
        };
        let field = match &self.relation.link {
            RelationLink::One { .. } => None,
            RelationLink::Many { field, .. } => Some(field.clone()),
        };
        let beside = Beside {
            name: self.relation.name.clone(),
            shape: Shape { fields: self.target.fields(self.fields), beside },
            target: self.target,
            only: self.sight.only.clone(),
            field,
            form,
        };
        (Include { resource: self.relation.resource.clone(), link, only: self.sight.only, include }, beside)
    }
}
