//! A list's query string, checked against what the resource declares, into a question for staging.
//!
//! Nothing is guessed: an unknown parameter, field or operator, a value that is not of its field's type and a
//! parameter given twice are refused, and the refusal names what is allowed. The [`PARAMETERS`] are ours; a field of
//! such a name is reached by an operator (`limit[in]=5`).

mod filter;
mod group;
mod include;

use self::filter::Test;
use super::catalog::Published;
use super::cursor::Seal;
use super::projection::Projection;
use super::shape::Shape;
use super::sight::View;
use crate::http::parameters::{Parameter, decode, pairs, push_harmless};
use crate::http::{Problem, Reason, ServerConfig};
use crate::mapping::{Exposure, FieldType, QueryField};
use crate::staging::{Comparison, Filter, Include, ListQuery, SortKey};

pub(super) use self::filter::{Doubt, DoubtTest, MAX_VALUES, operators_of};

/// The parameters of a list besides its filters.
pub(super) const PARAMETERS: [&str; 8] = ["or", "and", "sort", "limit", "cursor", "fields", "count", "include"];

/// Those that a list of this resource takes.
fn parameters_of(exposure: &Exposure) -> impl Iterator<Item = &'static str> {
    PARAMETERS.into_iter().filter(|name| match *name {
        "or" | "and" => !exposure.filter.is_empty(),
        // A backend is not counted.
        "count" => !exposure.has_live_list(),
        "sort" => !exposure.sort.is_empty(),
        "include" => !exposure.relations.is_empty(),
        _ => true,
    })
}

/// The operators that it takes of a field: a backend is asked for the beginnings of texts alone.
pub(super) fn operators_taken(
    exposure: &Exposure,
    field: &QueryField,
) -> impl Iterator<Item = &'static (&'static str, Comparison)> {
    let is_live = exposure.has_live_list();
    let has_no_beginning = is_live && field.field_type != FieldType::String;
    operators_of(field).filter(move |(_, comparison)| !(has_no_beginning && *comparison == Comparison::Prefix))
}

/// A list question with what shapes its answer.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) query: ListQuery,
    /// Values that are taken or not by what is staged.
    pub(super) doubts: Vec<Doubt>,
    /// The limit as the caller wrote it.
    pub(super) limit: Option<usize>,
    /// The form of each record.
    pub(super) shape: Shape,
    /// The parameters without the cursor, to be carried to the next page.
    pub(super) carried: String,
}

/// How the limit is bounded.
#[derive(Clone, Copy, Debug)]
pub(super) enum Paging {
    /// A page has this many by default, and at most so many.
    Pages { default: usize, most: usize },
    /// Everything is streamed; a limit ends the stream.
    Stream,
}

impl Paging {
    pub(super) fn pages(config: &ServerConfig) -> Paging {
        Paging::Pages { default: config.page_size, most: config.max_page_size }
    }
}

/// Reads a list's query string.
pub(super) fn parse(view: &View<'_>, raw: &str, (paging, seal): (Paging, &Seal)) -> Result<Asked, Problem> {
    let published = view.published;
    let whole = matches!(paging, Paging::Stream);
    let query = ListQuery { only: view.sight.only.clone(), whole, ..ListQuery::default() };
    let mut asked = Asked { query, doubts: Vec::new(), limit: None, shape: Shape::default(), carried: String::new() };
    let (mut cursor, mut include, mut fields_beside) = (None, None, Vec::new());
    for Parameter { name, raw_value, written } in &pairs(raw)? {
        if let Some(of) = fields_of(name) {
            fields_beside.push((of.to_owned().into(), decode(raw_value)?));
        }
        match name.as_ref() {
            _ if fields_of(name).is_some() => {}
            "cursor" => {
                cursor = Some(decode(raw_value)?);
                continue;
            }
            "limit" => asked.limit = Some(limit(&decode(raw_value)?, paging)?),
            "or" | "and" => {
                asked.query.groups.push(group::parse(published, name, &decode(raw_value)?, &mut asked.doubts)?)
            }
            "sort" => asked.query.sort = sort(published, &decode(raw_value)?)?,
            "include" => include = Some(decode(raw_value)?),
            "fields" => asked.shape.fields = Some(fields(published, &decode(raw_value)?)?),
            "count" => asked.query.count = count(&decode(raw_value)?, (paging, published.exposure.has_live_list()))?,
            _ => asked.query.filters.push(filter(published, name, raw_value, &mut asked.doubts)?),
        }
        if !asked.carried.is_empty() {
            asked.carried.push('&');
        }
        push_harmless(written, &mut asked.carried);
    }
    asked.shape.fields = published.fields(asked.shape.fields.take());
    (asked.query.include, asked.shape.beside) = include::parse(view, include.as_deref(), &fields_beside)?;
    asked.query.limit = match paging {
        Paging::Pages { default, .. } => asked.limit.unwrap_or(default),
        Paging::Stream => asked.limit.unwrap_or(usize::MAX),
    };
    if let Some(cursor) = cursor {
        asked.query.after = Some(seal.open(&published.exposure, &asked.query, &cursor)?);
        // The question was answered before: what is left of the answer may be nothing, but it is no mistake.
        asked.doubts.clear();
    }
    Ok(asked)
}

fn limit(text: &str, paging: Paging) -> Result<usize, Problem> {
    let number = text.parse::<usize>().ok().filter(|limit| *limit > 0 && !text.starts_with('+'));
    match (number, paging) {
        (Some(limit), Paging::Pages { most, .. }) if limit > most => Err(Reason::InvalidParameter
            .because(format!("`limit` is {limit}; the most is {most}"))
            .hint("take smaller pages and follow `page.next`, or stream with `Accept: application/x-ndjson`")),
        (Some(limit), _) => Ok(limit),
        (None, Paging::Pages { most, .. }) => {
            Err(Reason::InvalidParameter.because(format!("`limit` must be a whole number from 1 to {most}")))
        }
        (None, Paging::Stream) => Err(Reason::InvalidParameter.because("`limit` must be a whole number from 1")),
    }
}

fn count(text: &str, (paging, is_live): (Paging, bool)) -> Result<bool, Problem> {
    match (text, paging) {
        ("true", _) if is_live => Err(Reason::InvalidParameter
            .because("`count`: a list that is read from the backend is not counted")
            .hint("`page.complete` says whether there is more")),
        ("true", Paging::Stream) => Err(Reason::InvalidParameter.because("`count` is only for pages of JSON")),
        ("true", _) => Ok(true),
        ("false", _) => Ok(false),
        _ => Err(Reason::InvalidParameter.because("`count` must be true or false")),
    }
}

/// Refuses a list parameter of which an element says nothing: whoever sent it meant something.
fn check_list(parameter: &str, text: &str) -> Result<(), Problem> {
    let fault = match text {
        "" => "it is empty",
        _ if text.split(',').any(str::is_empty) => "there is nothing before or behind a comma",
        _ => return Ok(()),
    };
    let hint = format!("leave `{parameter}` out, or write names with commas between them: `{parameter}=a,b`");
    Err(Reason::InvalidParameter.because(format!("`{parameter}`: {fault}")).hint(hint))
}

fn sort(published: &Published, text: &str) -> Result<Vec<SortKey>, Problem> {
    let allowed = &published.exposure.sort;
    let mut keys: Vec<SortKey> = Vec::new();
    check_list("sort", text)?;
    for written in text.split(',') {
        let (path, descending) = match written.strip_prefix('-') {
            Some(path) => (path, true),
            None => (written, false),
        };
        if !allowed.iter().any(|field| field.path == path) {
            let problem = Reason::UnknownParameter.because(format!("`sort`: `{path}` is no field to sort by"));
            return Err(problem.hint(match published.exposure.has_live_list() {
                true => "a list that is read from the backend comes in the order of its key".to_owned(),
                false => names_of(allowed, "fields to sort by"),
            }));
        }
        if keys.iter().any(|key| key.path == path) {
            return Err(Reason::InvalidParameter.because(format!("`sort`: `{path}` is there twice")));
        }
        keys.push(SortKey { path: path.to_owned(), descending });
    }
    Ok(keys)
}

fn fields(published: &Published, text: &str) -> Result<Projection, Problem> {
    check_list("fields", text)?;
    Projection::parse(&published.exposure.schema, text)
}

/// The path in `fields[path]`.
fn fields_of(name: &str) -> Option<&str> {
    name.strip_prefix("fields[")?.strip_suffix(']')
}

/// Reads `fields`, `include` and `fields[...]`, the parameters of a single record.
pub(super) fn of_record(view: &View<'_>, raw: Option<&str>) -> Result<(Vec<Include>, Shape), Problem> {
    let Some(raw) = raw else {
        return Ok((Vec::new(), Shape { fields: view.published.fields(None), ..Shape::default() }));
    };
    let (mut shape, mut include, mut fields_beside) = (Shape::default(), None, Vec::new());
    for Parameter { name, raw_value, .. } in &pairs(raw)? {
        match (name.as_ref(), fields_of(name)) {
            ("fields", _) => {
                shape.fields = Some(fields(view.published, &decode(raw_value)?)?);
            }
            ("include", _) => include = Some(decode(raw_value)?),
            (_, Some(of)) => fields_beside.push((of.to_owned().into(), decode(raw_value)?)),
            _ => {
                let problem = Reason::UnknownParameter.because(format!("`{name}` is no parameter of a record"));
                return Err(problem.hint(match view.published.exposure.relations.is_empty() {
                    true => "parameters of a record: fields",
                    false => "parameters of a record: fields, include, fields[...]",
                }));
            }
        }
    }
    shape.fields = view.published.fields(shape.fields);
    let (include, beside) = include::parse(view, include.as_deref(), &fields_beside)?;
    shape.beside = beside;
    Ok((include, shape))
}

/// A filter with values as they were sent.
fn filter(published: &Published, name: &str, raw_value: &str, doubts: &mut Vec<Doubt>) -> Result<Filter, Problem> {
    let test = Test::parse(published, name)?;
    let text = decode(raw_value)?;
    match test.takes_several() {
        true => test.with(&group::list(published, name, &text)?, doubts),
        false => test.with(&[text], doubts),
    }
}

fn names_of(fields: &[QueryField], what: &str) -> String {
    if fields.is_empty() {
        return format!("this resource declares no {what}");
    }
    let names: Vec<&str> = fields.iter().map(|field| field.path.as_str()).collect();
    format!("{what}: {}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::{Asked, Paging, parse};
    use crate::facade::catalog::tests::{caller, catalog};
    use crate::facade::cursor::Seal;
    use crate::facade::retire::Met;
    use crate::facade::sight::{Sight, View};
    use crate::http::{Problem, Reason};
    use crate::staging::{Comparison, Scalar};
    use proptest::prelude::*;

    fn ask(raw: &str) -> Result<Asked, Problem> {
        let paging = Paging::Pages { default: 100, most: 1000 };
        let (catalog, caller) = (catalog(), caller(&["read"]));
        let published = catalog.get(&"orders.v1".parse().unwrap()).unwrap();
        let met = Met::new();
        let view = View { catalog: &catalog, published, caller: &caller, met: &met, sight: Sight::default() };
        parse(&view, raw, (paging, &Seal::new([0; 32])))
    }

    fn filter(raw: &str, path: &str, comparison: Comparison, values: &[Scalar]) {
        let asked = ask(raw).unwrap();
        let [filter] = asked.query.filters.as_slice() else { panic!("{asked:?}") };
        assert_eq!((filter.path.as_str(), filter.comparison, filter.values.as_slice()), (path, comparison, values));
    }

    fn refused(raw: &str, reason: Reason, part: &str) {
        let problem = ask(raw).unwrap_err();
        assert_eq!(problem.reason(), reason, "{raw}: {}", problem.detail());
        let body = String::from_utf8(problem.into_response("/", "id").into_body()).unwrap();
        assert!(body.contains(part), "{raw}: {body}");
    }

    #[test]
    fn filters() {
        let text = |text: &str| Scalar::Text(text.to_owned());
        filter("status=open", "status", Comparison::Equal, &[text("open")]);
        filter("status=", "status", Comparison::Equal, &[text("")]);
        filter("status=a+b%26c", "status", Comparison::Equal, &[text("a b&c")]);
        filter("status%5Bne%5D=open", "status", Comparison::NotEqual, &[text("open")]);
        // However a client encodes it.
        for list in ["a,b", "a%2Cb", "(a,b)", "%28a%2Cb%29", "\"a\",b"] {
            filter(&format!("status[in]={list}"), "status", Comparison::In, &[text("a"), text("b")]);
        }
        filter("status[in]=\"New York, NY\",b", "status", Comparison::In, &[text("New York, NY"), text("b")]);
        filter("status[in]=", "status", Comparison::In, &[text("")]);
        filter("status[nin]=a,b", "status", Comparison::NotIn, &[text("a"), text("b")]);
        filter("status[prefix]=op", "status", Comparison::Prefix, &[text("op")]);
        filter("status[null]=true", "status", Comparison::Equal, &[Scalar::Null]);
        filter("status[null]=false", "status", Comparison::NotEqual, &[Scalar::Null]);
        filter("ordered_on[gte]=2024-02-01", "ordered_on", Comparison::GreaterOrEqual, &[text("2024-02-01")]);
        filter("ordered_on[prefix]=2024-02", "ordered_on", Comparison::Prefix, &[text("2024-02")]);
        filter("amount[lt]=12.50", "amount", Comparison::Less, &[Scalar::Number(12.5)]);
        filter("customer.vip=true", "customer.vip", Comparison::Equal, &[Scalar::Integer(1)]);
        assert_eq!(ask("amount[gt]=1&amount[lt]=5").unwrap().query.filters.len(), 2);
        let grouped = ask("or=%28status%3Dopen%2Camount%5Bgt%5D%3D5%29&and=(status[ne]=x)&status[prefix]=o").unwrap();
        assert_eq!((grouped.query.groups.len(), grouped.query.filters.len()), (2, 1));
        assert_eq!(grouped.query.groups, ask("or=(status=open,amount[gt]=5)&and=(status[ne]=x)").unwrap().query.groups);
    }

    #[test]
    fn what_is_not_declared_is_refused_and_names_what_is() {
        refused("color=red", Reason::UnknownParameter, "status, ordered_on, amount, customer.vip");
        refused("page=2", Reason::UnknownParameter, "where `page.next` leads; fields to filter by: status");
        refused("status[like]=x", Reason::UnknownParameter, "ne, gt, gte, lt, lte, in, nin, prefix, null");
        refused("customer.vip[gt]=true", Reason::UnknownParameter, "ne, in, nin, null");
        refused("amount[prefix]=1", Reason::UnknownParameter, "ne, gt");
        refused("sort=color", Reason::UnknownParameter, "ordered_on, amount");
        refused("fields=color", Reason::UnknownParameter, "order_no");
        refused("status[=x", Reason::UnknownParameter, "no parameter");
    }

    #[test]
    fn bad_values_say_what_is_expected() {
        refused("amount=1.005", Reason::InvalidParameter, "2 behind it");
        refused("ordered_on=yesterday", Reason::InvalidParameter, "a date like");
        refused("customer.vip=1", Reason::InvalidParameter, "true or false");
        refused("limit=0", Reason::InvalidParameter, "from 1 to 1000");
        refused("limit=1001", Reason::InvalidParameter, "the most is 1000");
        refused("limit=-1", Reason::InvalidParameter, "from 1 to 1000");
        refused("limit=%2B5", Reason::InvalidParameter, "from 1 to 1000");
        refused("count=yes", Reason::InvalidParameter, "true or false");
        refused("sort=amount,-amount", Reason::InvalidParameter, "twice");
        for name in ["sort", "fields", "include"] {
            refused(&format!("{name}="), Reason::InvalidParameter, &format!("`{name}`: it is empty"));
            refused(&format!("{name}=status,"), Reason::InvalidParameter, "behind a comma");
        }
        refused("include=customer&fields[customer]=", Reason::InvalidParameter, "`fields[customer]`: it is empty");
        refused("status=a&status=b", Reason::InvalidParameter, "given twice");
        refused("status=%zz", Reason::InvalidParameter, "hexadecimal");
        refused("status=%ff", Reason::InvalidParameter, "`status`: its value `%ff` cannot be read");
        refused("%ff=1", Reason::InvalidParameter, "the name of a parameter, `%ff`, cannot be read");
        refused("status=%ff", Reason::InvalidParameter, "UTF-8");
        refused("cursor=AAAA", Reason::InvalidCursor, "page.next");
        refused("or=(status=open", Reason::InvalidParameter, "at character 13");
        refused(&format!("status[in]=a{}", ",a".repeat(200)), Reason::InvalidParameter, "more than 200");
        refused("status[null]=maybe", Reason::InvalidParameter, "true or false");
    }

    #[test]
    fn the_next_page_carries_the_question() {
        let asked = ask("status=open&cursor_=1").map(|_| ()).unwrap_err();
        assert_eq!(asked.reason(), Reason::UnknownParameter);
        let asked = ask("sort=-amount&limit=5&status=o%20p\"en").unwrap();
        assert_eq!(asked.carried, "sort=-amount&limit=5&status=o%20p%22en");
        assert_eq!(asked.query.limit, 5);
        assert!(asked.query.sort[0].descending);
    }

    proptest! {
        #[test]
        fn no_query_string_panics(raw in "[ -~]{0,60}") {
            let _ = ask(&raw);
        }
    }
}
