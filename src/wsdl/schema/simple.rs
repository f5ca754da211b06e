//! Simple types: restriction over any number of steps, lists and unions.

use super::compiler::{At, Compiler};
use super::pattern;
use crate::wsdl::import::finding::FindingCode;
use crate::wsdl::{Builtin, Facets, Pattern, Simple, TypeId, TypeKind, Variety, WhiteSpace};

/// So many patterns are tried at import; the rest is compiled when first asked.
const TRIED_PATTERNS: usize = 300;

impl<'a> Compiler<'a> {
    /// A simple type: its base and what it is like.
    pub(super) fn simple(&mut self, at: At<'a>) -> (Option<TypeId>, Simple) {
        let text = Simple::of(Builtin::String);
        let child = at.node.children().find(|child| matches!(child.xsd(), "restriction" | "list" | "union"));
        let Some(child) = child else {
            self.note(FindingCode::Odd, at, "the simple type says nothing; it is taken as text");
            return (None, text);
        };
        let at = at.to(child);
        match child.xsd() {
            "list" => {
                let item = match child.attr("itemType") {
                    Some(name) => self.type_of(at, name),
                    None => self.inner_types(at).into_iter().next().unwrap_or_else(|| self.builtin(Builtin::AnySimple)),
                };
                let simple = Simple { variety: Variety::List(item), white_space: WhiteSpace::Collapse, facets: None };
                (None, simple)
            }
            "union" => {
                let names = child.attr("memberTypes").unwrap_or_default();
                let mut members: Vec<TypeId> = names.split_whitespace().map(|name| self.type_of(at, name)).collect();
                members.extend(self.inner_types(at));
                // Each is compiled before: a union that contains itself would never end.
                let count = members.len();
                members.retain(|member| self.ensure(*member));
                if members.len() < count {
                    self.note(FindingCode::Circular, at, "the union contains itself; there it is left out");
                }
                (None, Simple { variety: Variety::Union(members), white_space: WhiteSpace::Preserve, facets: None })
            }
            _ => {
                let base = match child.attr("base") {
                    Some(name) => Some(self.type_of(at, name)),
                    None => self.inner_types(at).into_iter().next(),
                };
                let Some(base) = base else {
                    self.note(FindingCode::Odd, at, "the simple type restricts nothing; it is taken as text");
                    return (None, text);
                };
                if !self.ensure(base) {
                    self.note(FindingCode::Circular, at, "the type is derived from itself; it is taken as text");
                    return (None, text);
                }
                let mut simple = self.types.simple(base).cloned().unwrap_or(text);
                self.facets(&mut simple, at);
                (Some(base), simple)
            }
        }
    }

    fn inner_types(&mut self, at: At<'a>) -> Vec<TypeId> {
        at.node.xsd_children("simpleType").map(|inner| self.inline(at.to(inner))).collect()
    }

    /// The type of a text that is restricted beside its attributes.
    pub(super) fn restricted_text(&mut self, at: At<'a>, base: TypeId) -> TypeId {
        let base = self.inner_types(at).into_iter().next().unwrap_or(base);
        if !self.ensure(base) {
            return base;
        }
        let has_facets = at.node.children().any(|child| child.attr("value").is_some());
        let Some(mut simple) = self.types.simple(base).cloned().filter(|_| has_facets) else { return base };
        self.facets(&mut simple, at);
        self.push(None, Some(base), TypeKind::Simple(simple))
    }

    /// Adds the facets of one step.
    fn facets(&mut self, simple: &mut Simple, at: At<'a>) {
        let (mut own, mut enumeration, mut patterns) = (None::<Box<Facets>>, Vec::new(), Vec::new());
        let known = simple.facets.as_deref();
        for child in at.node.children() {
            let Some(value) = child.attr("value") else { continue };
            let at = at.to(child);
            let facets = own.get_or_insert_with(|| Box::new(known.cloned().unwrap_or_default()));
            match child.xsd() {
                "enumeration" => enumeration.push(value.into()),
                "pattern" => patterns.push(self.pattern(at, value)),
                "whiteSpace" => match value {
                    "preserve" => simple.white_space = WhiteSpace::Preserve,
                    "replace" => simple.white_space = WhiteSpace::Replace,
                    _ => simple.white_space = WhiteSpace::Collapse,
                },
                "length" => {
                    let length = self.count(at, value);
                    (facets.min_length, facets.max_length) = (length, length);
                }
                "minLength" => facets.min_length = self.count(at, value),
                "maxLength" => facets.max_length = self.count(at, value),
                "minInclusive" => facets.min = Some((value.into(), true)),
                "minExclusive" => facets.min = Some((value.into(), false)),
                "maxInclusive" => facets.max = Some((value.into(), true)),
                "maxExclusive" => facets.max = Some((value.into(), false)),
                "totalDigits" => facets.total_digits = self.count(at, value).map(|count| count.min(9999) as u32),
                "fractionDigits" => facets.fraction_digits = self.count(at, value).map(|count| count.min(9999) as u32),
                _ => {}
            }
        }
        if let Some(mut facets) = own {
            // A step that enumerates narrows what the steps before it allow; one that does not leaves it.
            if !enumeration.is_empty() {
                facets.enumeration = enumeration;
            }
            if !patterns.is_empty() {
                facets.patterns.push(patterns);
            }
            let cost = facets.enumeration.len() + facets.patterns.len();
            if self.spend(cost) {
                simple.facets = Some(facets);
            } else {
                self.note(FindingCode::TooLarge, at, "all types have too many facets together; these are not checked");
            }
        }
    }

    fn count(&mut self, at: At<'_>, value: &str) -> Option<u64> {
        let count = value.trim().parse().ok();
        if count.is_none() {
            self.note(FindingCode::Odd, at, format!("`{value}` is no number; the facet is not checked"));
        }
        count
    }

    fn pattern(&mut self, at: At<'_>, text: &str) -> Pattern {
        if let Some(known) = self.patterns.get(text) {
            return known.clone();
        }
        let translated = pattern::translate(text).map(|translated| Pattern::new(text.into(), Some(translated.into())));
        // Compiling all of many thousands would take seconds.
        let tried = if self.patterns.len() < TRIED_PATTERNS {
            translated.and_then(|pattern| pattern.compiled().map(|_| pattern.clone()))
        } else {
            translated
        };
        let pattern = tried.unwrap_or_else(|reason| {
            let message = format!("the pattern `{text}` is not checked: {reason}");
            self.note_apart(FindingCode::UncheckedPattern, at, message);
            Pattern::new(text.into(), None)
        });
        self.patterns.insert(text.into(), pattern.clone());
        pattern
    }
}

impl Simple {
    /// A built-in type.
    pub(in crate::wsdl) fn of(builtin: Builtin) -> Simple {
        Simple { variety: Variety::Atomic(builtin), white_space: builtin.white_space(), facets: None }
    }
}
