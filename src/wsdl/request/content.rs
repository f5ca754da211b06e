//! The content of an element in the schema's order, out of an object that has none.
//!
//! Each member's values wait in a line. The tree of particles is walked, and takes from the lines what stands there; what a
//! particle needs and finds no more is a fault, and so is what is left in a line at the end.

use std::collections::{HashMap, HashSet};

use super::Writer;
use super::input::Input;
use super::text::shown;
use crate::diagnostic::nearest;
use crate::wsdl::{Complex, Elements, Member, Particle, Preset, TYPE, Term, Wildcard, XSI_TYPE};

/// The values of an object that wait to be written.
pub(super) struct Lines<'i, 'a> {
    /// By member: whether it is an array, and the values with those already taken.
    members: Vec<Line<'i, 'a>>,
    any: (&'i [Input<'a>], usize),
    /// Members that more than one particle takes from.
    shared: HashSet<usize>,
}

#[derive(Clone)]
struct Line<'i, 'a> {
    values: Vec<&'i Input<'a>>,
    taken: usize,
}

impl Line<'_, '_> {
    fn left(&self) -> usize {
        self.values.len() - self.taken
    }
}

impl Writer<'_> {
    /// Writes the child elements of an object; its attributes are written already.
    pub(super) fn children(&mut self, complex: &Complex, elements: &Elements, object: &Input<'_>) {
        let Input::Object(members) = object else {
            self.wrong::<()>("an object", object);
            return;
        };
        let count = elements.members.len();
        let by_json: HashMap<&str, usize> =
            elements.members.iter().enumerate().map(|(index, member)| (&*member.json, index)).collect();
        let mut lines = Lines {
            members: vec![Line { values: Vec::new(), taken: 0 }; count],
            any: (&[], 0),
            shared: shared(&elements.tree),
        };
        for (name, value) in members {
            if name.starts_with('@') && self.is_attribute(complex, name) {
                continue;
            }
            if elements.mixed.as_deref() == Some(&**name) {
                let back = self.faults.enter(name);
                if let Some(text) = self.any_text(value) {
                    self.escaped(&text, false);
                }
                self.faults.leave(back);
            } else if elements.any.as_deref() == Some(&**name) {
                match value {
                    Input::Array(values) => lines.any = (values, 0),
                    Input::Null => {}
                    other => {
                        let back = self.faults.enter(name);
                        self.wrong::<()>("an array of objects with one member each", other);
                        self.faults.leave(back);
                    }
                }
            } else if let Some(index) = by_json.get(&**name) {
                lines.members[*index].values = self.line(&elements.members[*index], value);
            } else {
                self.unknown(name, complex, Some(elements));
            }
        }
        self.particle(&elements.tree, elements, &mut lines, &HashMap::new());
        self.leftovers(elements, &mut lines);
    }

    /// The values of a member.
    fn line<'i, 'a>(&mut self, member: &Member, value: &'i Input<'a>) -> Vec<&'i Input<'a>> {
        match value {
            Input::Array(values) if member.is_many => values.iter().collect(),
            // A null in the place of an array, or of what need not be there, is nothing.
            Input::Null if member.is_many || (member.is_optional && !member.element.is_nillable) => Vec::new(),
            other if member.is_many => {
                let back = self.faults.enter(&member.json);
                self.wrong::<()>("an array", other);
                self.faults.leave(back);
                Vec::new()
            }
            value => vec![value],
        }
    }

    /// A member that the type does not have.
    pub(super) fn unknown(&mut self, name: &str, complex: &Complex, elements: Option<&Elements>) {
        let members = elements.map_or(&[][..], |elements| &elements.members);
        let known = || {
            let members = members.iter().map(|member| &*member.json);
            members.chain(complex.attributes.iter().map(|attribute| &*attribute.json))
        };
        const SHOWN: usize = 20;
        let detail = match nearest(name, known()) {
            Some(near) => format!("there is no such member; did you mean `{near}`?"),
            None if known().next().is_none() => "there is no such member; there is none at all".to_owned(),
            None => {
                let names: Vec<&str> = known().take(SHOWN).collect();
                let more = if known().nth(SHOWN).is_some() { ", …" } else { "" };
                format!("there is no such member; there are: {}{more}", names.join(", "))
            }
        };
        self.faults.push_at(name, detail);
    }

    /// Whether a member is an attribute of the type, or names a type.
    fn is_attribute(&self, complex: &Complex, name: &str) -> bool {
        name == XSI_TYPE
            || name == TYPE
            || complex.any_attribute
            || complex.attributes.iter().any(|own| &*own.json == name)
    }

    /// Writes a particle as often as it is due. `later` is what particles behind it need of lines they share.
    fn particle(
        &mut self,
        particle: &Particle,
        elements: &Elements,
        lines: &mut Lines<'_, '_>,
        later: &HashMap<usize, usize>,
    ) {
        if let Term::Member(index) = &particle.term {
            self.member(particle, *index, elements, lines, later);
            return;
        }
        if let Term::Any(wildcard) = &particle.term {
            self.wildcard(particle, wildcard, elements, lines);
            return;
        }
        let mut count = 0;
        while particle.max.is_none_or(|max| count < max) && !self.faults.is_full() {
            let waiting = lines.waiting(&particle.term);
            if count >= particle.min && waiting == 0 {
                break;
            }
            match &particle.term {
                Term::Sequence(parts) | Term::All(parts) => {
                    for (at, part) in parts.iter().enumerate() {
                        if lines.shared.is_empty() {
                            self.particle(part, elements, lines, later);
                        } else {
                            let mut due = later.clone();
                            parts.iter().skip(at + 1).for_each(|part| part.needs(&lines.shared, &mut due));
                            self.particle(part, elements, lines, &due);
                        }
                    }
                }
                Term::Choice(parts) => self.choice(particle, count, parts, elements, lines, later),
                Term::Member(_) | Term::Any(_) => {}
            }
            count += 1;
            // A round that took nothing would be followed by others like it.
            if lines.waiting(&particle.term) == waiting {
                break;
            }
        }
    }

    fn member(
        &mut self,
        particle: &Particle,
        index: usize,
        elements: &Elements,
        lines: &mut Lines<'_, '_>,
        later: &HashMap<usize, usize>,
    ) {
        let (Some(member), Some(line)) = (elements.members.get(index), lines.members.get_mut(index)) else { return };
        let spare = line.left().saturating_sub(later.get(&index).copied().unwrap_or_default());
        let most = particle.max.map_or(usize::MAX, |max| max as usize);
        let least = particle.min as usize;
        let take = spare.max(least.min(line.left())).min(most);
        let from = line.taken;
        line.taken += take;
        let values: Vec<&Input<'_>> = line.values[from..from + take].to_vec();
        let back = self.faults.enter(&member.json);
        for (at, value) in values.iter().enumerate() {
            if member.is_many {
                let back = self.faults.enter_index(from + at);
                self.element(&member.element, value);
                self.faults.leave(back);
            } else {
                self.element(&member.element, value);
            }
        }
        if take < least {
            match &member.element.preset {
                // What has only one value, or one that is meant where none is given, need not be given.
                Some(Preset::Fixed(text) | Preset::Default(text)) if !member.is_many => {
                    let text = text.to_string();
                    self.element(&member.element, &Input::Text(text.into()));
                }
                _ if member.is_many => {
                    self.faults.push(format!("at least {least} must be given, found {}", from + take));
                }
                // As others write it: what must be there, and may say that it is nothing, says so.
                _ if member.element.is_nillable => self.element(&member.element, &Input::Null),
                _ => self.faults.push("it is missing"),
            }
        }
        self.faults.leave(back);
    }

    fn choice(
        &mut self,
        particle: &Particle,
        count: u32,
        parts: &[Particle],
        elements: &Elements,
        lines: &mut Lines<'_, '_>,
        later: &HashMap<usize, usize>,
    ) {
        let covered = |part: &Particle, lines: &Lines<'_, '_>| lines.present(&part.term).len();
        let present: Vec<&Particle> = parts.iter().filter(|part| covered(part, lines) > 0).collect();
        let Some(first) = present.first() else {
            // One that can be empty is chosen by giving nothing.
            if parts.is_empty() || parts.iter().any(|part| part.is_emptiable(elements)) {
                return;
            }
            self.faults.push(format!("one of {} is missing", names(parts, elements)));
            return;
        };
        let is_last = particle.max == Some(count + 1);
        if !is_last || present.len() == 1 {
            self.particle(first, elements, lines, later);
            return;
        }
        // What belongs to several parts does not say which is meant; the part that takes most does.
        let best = present.iter().rev().max_by_key(|part| covered(part, lines)).copied().unwrap_or(first);
        let taken = lines.present(&best.term);
        let others: Vec<usize> =
            present.iter().flat_map(|part| lines.present(&part.term)).filter(|index| !taken.contains(index)).collect();
        for index in others {
            if let (Some(member), Some(line)) = (elements.members.get(index), lines.members.get_mut(index)) {
                if line.left() > 0 {
                    let names = names(parts, elements);
                    self.faults.push_at(&member.json, format!("only one of {names} can be given"));
                }
                line.taken = line.values.len();
            }
        }
        self.particle(best, elements, lines, later);
    }

    fn wildcard(&mut self, particle: &Particle, wildcard: &Wildcard, elements: &Elements, lines: &mut Lines<'_, '_>) {
        let name = elements.any.as_deref().unwrap_or_default();
        let back = self.faults.enter(name);
        let mut count = 0;
        while particle.max.is_none_or(|max| count < max) {
            let Some(value) = lines.any.0.get(lines.any.1) else { break };
            let back = self.faults.enter_index(lines.any.1);
            lines.any.1 += 1;
            count += 1;
            self.any_element(value, wildcard);
            self.faults.leave(back);
        }
        if count < particle.min {
            self.faults.push(format!("at least {} must be given, found {count}", particle.min));
        }
        self.faults.leave(back);
    }

    /// What no particle took.
    fn leftovers(&mut self, elements: &Elements, lines: &mut Lines<'_, '_>) {
        for (member, line) in elements.members.iter().zip(&lines.members) {
            if line.left() == 0 {
                continue;
            }
            let detail = match line.taken {
                0 => "it cannot stand beside the others that are given".to_owned(),
                most => format!("at most {most} can be given, found {}", line.values.len()),
            };
            self.faults.push_at(&member.json, detail);
        }
        if lines.any.1 < lines.any.0.len() {
            let name = elements.any.as_deref().unwrap_or_default();
            self.faults.push_at(name, format!("at most {} can be given, found {}", lines.any.1, lines.any.0.len()));
        }
    }
}

impl Lines<'_, '_> {
    /// How many values wait for a term.
    fn waiting(&self, term: &Term) -> usize {
        match term {
            Term::Member(index) => self.members.get(*index).map_or(0, Line::left),
            Term::Any(_) => self.any.0.len() - self.any.1,
            Term::Sequence(parts) | Term::Choice(parts) | Term::All(parts) => {
                parts.iter().map(|part| self.waiting(&part.term)).sum()
            }
        }
    }

    /// The members with values that wait for a term; for a wildcard a number that no member has.
    fn present(&self, term: &Term) -> Vec<usize> {
        match term {
            Term::Member(index) if self.members.get(*index).is_some_and(|line| line.left() > 0) => vec![*index],
            Term::Any(_) if self.any.1 < self.any.0.len() => vec![usize::MAX],
            Term::Member(_) | Term::Any(_) => Vec::new(),
            Term::Sequence(parts) | Term::Choice(parts) | Term::All(parts) => {
                parts.iter().flat_map(|part| self.present(&part.term)).collect()
            }
        }
    }
}

impl Particle {
    /// Adds what it needs at least of members that several particles take from.
    fn needs(&self, shared: &HashSet<usize>, due: &mut HashMap<usize, usize>) {
        if self.min == 0 {
            return;
        }
        match &self.term {
            Term::Member(index) if shared.contains(index) => *due.entry(*index).or_default() += self.min as usize,
            Term::Sequence(parts) | Term::All(parts) => parts.iter().for_each(|part| part.needs(shared, due)),
            Term::Member(_) | Term::Any(_) | Term::Choice(_) => {}
        }
    }

    fn is_emptiable(&self, elements: &Elements) -> bool {
        self.min == 0
            || match &self.term {
                Term::Member(index) => {
                    elements.members.get(*index).is_some_and(|member| member.element.preset.is_some())
                }
                Term::Any(_) => false,
                Term::Sequence(parts) | Term::All(parts) => parts.iter().all(|part| part.is_emptiable(elements)),
                Term::Choice(parts) => parts.is_empty() || parts.iter().any(|part| part.is_emptiable(elements)),
            }
    }
}

/// The members that more than one particle takes from.
fn shared(tree: &Particle) -> HashSet<usize> {
    fn walk(particle: &Particle, seen: &mut HashSet<usize>, shared: &mut HashSet<usize>) {
        match &particle.term {
            Term::Member(index) => {
                if !seen.insert(*index) {
                    shared.insert(*index);
                }
            }
            Term::Any(_) => {}
            Term::Sequence(parts) | Term::Choice(parts) | Term::All(parts) => {
                parts.iter().for_each(|part| walk(part, seen, shared));
            }
        }
    }
    let (mut seen, mut shared) = (HashSet::new(), HashSet::new());
    walk(tree, &mut seen, &mut shared);
    shared
}

/// The members of a choice, for messages.
fn names(parts: &[Particle], elements: &Elements) -> String {
    fn first<'e>(particle: &Particle, elements: &'e Elements) -> Option<&'e str> {
        match &particle.term {
            Term::Member(index) => elements.members.get(*index).map(|member| &*member.json),
            Term::Any(_) => elements.any.as_deref(),
            Term::Sequence(parts) | Term::Choice(parts) | Term::All(parts) => {
                parts.iter().find_map(|part| first(part, elements))
            }
        }
    }
    const SHOWN: usize = 12;
    let names = parts.iter().filter_map(|part| first(part, elements)).take(SHOWN);
    let names: Vec<String> = names.map(|name| format!("`{}`", shown(name))).collect();
    names.join(", ")
}
