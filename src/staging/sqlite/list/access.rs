//! Which index a list is read along.
//!
//! A list is read along its order, where a page ends as soon as it is full, or it is led by a filter: the rows that pass it
//! are found in its index and then sorted. SQLite keeps no statistics here, so left alone it guesses: with a filter and an
//! order on two columns it may walk a million rows along the order to find the three that match. So the choice is made
//! by counting, at most [`FEW`] entries of an index: a filter that few rows pass leads. One that many pass is met soon along the order,
//! as a rule; where it is not (what is asked for lies at the other end), the walk ends after a bounded number of rows and the
//! filter leads after all. Work grows with the rows that match, not with those that are there.
//!
//! Every condition can lead: groups of alternatives by the searches of all of them together.

use rusqlite::{Connection, params_from_iter};

use super::super::fault::Fault;
use super::super::filter::{Leaf, Sql, Stretch, Tree, judged, render_all};
use super::super::resource::Resource;
use super::{limit, statement};

/// Up to this many rows are sorted rather than walking along the order.
pub(super) const FEW: usize = 5000;

/// Entries counted at most when it has turned out that the order leads nowhere.
const MANY: usize = 1 << 20;

/// Stretches of one column's index that are looked through together.
#[derive(Clone, Debug)]
pub(super) struct Search<'f> {
    column: &'f str,
    /// All must hold.
    stretches: Vec<&'f Stretch>,
}

/// Searches that find every row that can match.
#[derive(Clone, Debug)]
pub(super) struct Lead<'f> {
    /// One or several, whose rows are joined.
    pub(super) searches: Vec<Search<'f>>,
    /// Whether a row may be found by more than one.
    pub(super) overlaps: bool,
    /// What the searches do not say already.
    pub(super) rest: Vec<&'f Tree<'f>>,
}

/// Which index a list is read along.
#[derive(Clone, Debug)]
pub(super) enum Access<'f> {
    /// Of the first sort column, or of the key.
    Order,
    /// Of this column, where one value is asked for: in the order of the key.
    Point(&'f str),
    /// Of these filters; what is found is sorted.
    Led(Lead<'f>),
}

impl Search<'_> {
    /// The condition, which the index of the column serves.
    fn condition(&self) -> Sql {
        let mut sql = Sql::default();
        for stretch in &self.stretches {
            sql.also("", &stretch.render(self.column));
        }
        sql
    }

    /// The rows found: `what` of each.
    fn select(&self, resource: &Resource, what: &str) -> Sql {
        let (number, column) = (resource.number, self.column);
        let mut sql = Sql::default();
        sql.push(&format!("SELECT {what} FROM doc_{number} INDEXED BY doc_{number}_{column} WHERE "));
        sql.add(&self.condition());
        sql
    }
}

impl<'f> Lead<'f> {
    /// The rows found by all searches: `what` of each, each once.
    pub(super) fn select(&self, resource: &Resource, what: &str) -> Sql {
        let between = if self.overlaps { " UNION " } else { " UNION ALL " };
        let mut sql = Sql::default();
        for search in &self.searches {
            if !sql.text.is_empty() {
                sql.push(between);
            }
            sql.add(&search.select(resource, what));
        }
        sql
    }

    /// What is left to be judged row by row.
    pub(super) fn judged(&self) -> Sql {
        let mut sql = Sql::default();
        for tree in &self.rest {
            sql.also("", &render_all(std::slice::from_ref(*tree), &judged));
        }
        sql
    }

    /// How many entries the searches have, counted up to `most`.
    fn count(&self, connection: &Connection, resource: &Resource, most: usize) -> Result<usize, Fault> {
        let mut found = 0;
        for search in &self.searches {
            let Sql { text, mut values } = search.select(resource, "1");
            values.push(limit(most));
            let sql = format!("SELECT count(*) FROM ({text} LIMIT ?)");
            let count = statement(connection, &sql)?.query_row(params_from_iter(values), |row| row.get::<_, i64>(0))?;
            found += usize::try_from(count).unwrap_or(0);
            if found >= most {
                return Ok(most);
            }
        }
        Ok(found)
    }
}

/// Every way to be led by conditions that must all hold.
pub(super) fn leads<'f>(conditions: &'f [Tree<'f>]) -> Vec<Lead<'f>> {
    let mut leads = Vec::new();
    let mut columns: Vec<&str> = Vec::new();
    for tree in conditions {
        match tree {
            Tree::Leaf(leaf) if columns.contains(&leaf.column) => {}
            Tree::Leaf(leaf) => {
                columns.push(leaf.column);
                leads.push(lead_of_column(conditions, leaf.column));
            }
            tree => {
                let rest =
                    |is_exact: bool| conditions.iter().filter(move |other| !is_exact || !std::ptr::eq(*other, tree));
                if let Some((searches, is_exact)) = cover(tree) {
                    leads.push(Lead { searches, overlaps: true, rest: rest(is_exact).collect() });
                }
            }
        }
    }
    leads
}

/// Led by the conditions on one column: those of one stretch together, else one of several stretches.
fn lead_of_column<'f>(conditions: &'f [Tree<'f>], column: &str) -> Lead<'f> {
    let on_column = |tree: &'f Tree<'f>| match tree {
        Tree::Leaf(leaf) if leaf.column == column => Some(leaf),
        _ => None,
    };
    let single = |leaf: &Leaf<'_>| leaf.stretches.len() == 1;
    let used: Vec<&Leaf<'f>> = match conditions.iter().filter_map(on_column).filter(|leaf| single(leaf)).count() {
        0 => conditions.iter().filter_map(on_column).take(1).collect(),
        _ => conditions.iter().filter_map(on_column).filter(|leaf| single(leaf)).collect(),
    };
    let is_used =
        |tree: &'f Tree<'f>| on_column(tree).is_some_and(|leaf| used.iter().any(|used| std::ptr::eq(*used, leaf)));
    let rest = conditions.iter().filter(|tree| !is_used(tree)).collect();
    let searches = match used.as_slice() {
        [only] => searches_of(only),
        many => {
            let stretches = many.iter().flat_map(|leaf| &leaf.stretches).collect();
            many.first().map(|leaf| Search { column: leaf.column, stretches }).into_iter().collect()
        }
    };
    Lead { searches, overlaps: false, rest }
}

fn searches_of<'f>(leaf: &'f Leaf<'f>) -> Vec<Search<'f>> {
    leaf.stretches.iter().map(|stretch| Search { column: leaf.column, stretches: vec![stretch] }).collect()
}

/// Searches that find all rows for which a condition can hold, and whether they find no others.
fn cover<'f>(tree: &'f Tree<'f>) -> Option<(Vec<Search<'f>>, bool)> {
    match tree {
        Tree::Leaf(leaf) => Some((searches_of(leaf), true)),
        Tree::Any(trees) => {
            let (mut searches, mut is_exact) = (Vec::new(), true);
            for tree in trees {
                let (found, exact) = cover(tree)?;
                searches.extend(found);
                is_exact &= exact;
            }
            Some((searches, is_exact))
        }
        // One of them is enough to find all; the narrowest by its looks.
        Tree::All(trees) => {
            let rank = |searches: &[Search<'_>]| {
                let points = searches.iter().all(|search| search.stretches.iter().any(|stretch| stretch.is_point));
                (!points, searches.len())
            };
            let found = leads(trees).into_iter().min_by_key(|lead| rank(&lead.searches))?;
            Some((found.searches, found.rest.is_empty()))
        }
    }
}

/// What is known when a list is read.
pub(super) struct Known<'f> {
    pub(super) access: Access<'f>,
    /// The other ways to be led, should the order lead nowhere.
    pub(super) leads: Vec<Lead<'f>>,
    /// At least so many rows pass the filter that the fewest pass, where it was counted.
    pub(super) fewest: usize,
}

/// Chooses the index; `first` is the first sort column.
pub(super) fn choose<'f>(
    connection: &Connection,
    resource: &Resource,
    conditions: &'f [Tree<'f>],
    first: Option<&str>,
) -> Result<Known<'f>, Fault> {
    let leads = leads(conditions);
    let known = |access: Access<'f>, leads: Vec<Lead<'f>>, fewest: usize| Ok(Known { access, leads, fewest });
    if let ([Tree::Leaf(only)], [stretch]) = (conditions, stretches_of(conditions)) {
        match (first, stretch.is_point) {
            (None, true) => return known(Access::Point(only.column), leads, 0),
            (Some(first), _) if first == only.column => return known(Access::Order, leads, 0),
            _ => {}
        }
    }
    let (fewest, best) = smallest(connection, resource, &leads, FEW)?;
    match best {
        Some(best) if fewest < FEW => known(Access::Led(best), leads, fewest),
        _ if first.is_some() => known(Access::Order, leads, fewest),
        _ => {
            let point = conditions.iter().find_map(|tree| match tree {
                Tree::Leaf(leaf) => matches!(leaf.stretches.as_slice(), [one] if one.is_point).then_some(leaf.column),
                _ => None,
            });
            known(point.map_or(Access::Order, Access::Point), leads, fewest)
        }
    }
}

/// The stretches of the first condition, if it is on one column.
fn stretches_of<'f>(conditions: &'f [Tree<'f>]) -> &'f [Stretch] {
    match conditions {
        [Tree::Leaf(leaf), ..] => &leaf.stretches,
        _ => &[],
    }
}

/// The lead that finds the fewest rows, when it has turned out that none finds few.
pub(super) fn narrowest<'f>(
    connection: &Connection,
    resource: &Resource,
    leads: &[Lead<'f>],
) -> Result<Option<Lead<'f>>, Fault> {
    match leads {
        [only] => Ok(Some(only.clone())),
        several => Ok(smallest(connection, resource, several, MANY)?.1),
    }
}

fn smallest<'f>(
    connection: &Connection,
    resource: &Resource,
    leads: &[Lead<'f>],
    most: usize,
) -> Result<(usize, Option<Lead<'f>>), Fault> {
    let (mut fewest, mut best) = (most, None);
    for lead in leads {
        let found = lead.count(connection, resource, fewest)?;
        if best.is_none() || found < fewest {
            (fewest, best) = (found, Some(lead));
        }
    }
    Ok((fewest, best.cloned()))
}
