//! Which elements a document has, for the message when none of them is a record: a namespace that is another than the
//! declared one looks like a path that finds nothing.

use super::names::{Name, Names};
use super::path::RecordPath;

/// Paths that a message lists.
const LISTED: usize = 20;

const NOWHERE: usize = usize::MAX;

/// What was seen until the first record.
#[derive(Debug, Default)]
pub(super) struct SeenPaths {
    /// Each with the place of the path to the element around it here; [`NOWHERE`] around the document's own.
    paths: Vec<(usize, Name)>,
    /// The places of the elements that are open; [`NOWHERE`] of those that are not listed.
    open: Vec<usize>,
    is_more: bool,
    /// The element that holds the records was there: then there may well be none in it.
    has_holder: bool,
    /// An element that would be a record if namespaces and case did not count.
    alike: Option<Name>,
}

impl SeenPaths {
    /// Whether an element's name is a step's but for namespace and case.
    pub(super) fn is_alike(names: &Names, step: Option<Name>, name: Name) -> bool {
        step.is_none_or(|step| {
            let local = |name: Name| names.parts(names.shown(name)).1;
            local(step).eq_ignore_ascii_case(local(name))
        })
    }

    pub(super) fn begin(&mut self, name: Name, mask: u32, loose: u32, path: &RecordPath, depth: usize) {
        self.open.truncate(depth);
        let holder = path.whole() >> 1;
        // Of a path that may begin anywhere the document itself would be the holder, which says nothing.
        self.has_holder |= path.steps.len() > 1 && mask & holder != 0;
        if loose & path.whole() != 0 {
            self.alike.get_or_insert(name);
        }
        let step = (self.open.last().copied().unwrap_or(NOWHERE), name);
        let known = self.paths.iter().position(|path| *path == step);
        let has_room = self.paths.len() < LISTED;
        self.is_more |= !has_room;
        self.open.push(match known {
            Some(place) => place,
            None if has_room => {
                self.paths.push(step);
                self.paths.len() - 1
            }
            None => NOWHERE,
        });
    }

    /// A path as it is shown.
    fn shown(&self, names: &Names, place: usize) -> String {
        let (mut steps, mut place) = (Vec::new(), place);
        while let Some((around, name)) = self.paths.get(place) {
            steps.push(names.shown(*name));
            place = *around;
        }
        steps.reverse();
        format!("/{}", steps.join("/"))
    }

    pub(super) fn end(&mut self, depth: usize) {
        self.open.truncate(depth);
    }

    /// What to say of a document without a record; nothing where that may well be.
    pub(super) fn nothing_found(&self, names: &Names, path: &RecordPath) -> Option<String> {
        if self.alike.is_none() && self.has_holder {
            return None;
        }
        // A document of one empty element has nothing in it, under whatever path.
        if self.alike.is_none() && self.paths.len() == 1 && path.steps.first().is_some_and(|step| step.anywhere) {
            return None;
        }
        let steps: Vec<String> = path
            .steps
            .iter()
            .map(|step| {
                let name = step.name.as_deref().unwrap_or("*");
                if step.anywhere { format!("//{name}") } else { format!("/{name}") }
            })
            .collect();
        let wanted = steps.concat();
        let mut message = format!("no element fits the record path `{wanted}`; the document has ");
        let shown = (0..self.paths.len()).map(|place| format!("`{}`", self.shown(names, place)));
        let shown: Vec<String> = shown.collect();
        message.push_str(&shown.join(", "));
        if self.is_more {
            message.push_str(" and more");
        }
        let step = path.steps.last().and_then(|step| step.name.as_deref());
        if let (Some(alike), Some(step)) = (self.alike, step) {
            let ((found, local), (declared, own)) = (names.parts(names.shown(alike)), names.parts(step));
            if local != own {
                message.push_str(&format!("; `{own}` is written `{local}` there"));
            } else if found != declared {
                let of =
                    |uri: Option<&str>| uri.map_or("no namespace".to_owned(), |uri| format!("the namespace \"{uri}\""));
                message.push_str(&format!(
                    "; `{local}` is in {} there, and in {} in the path",
                    of(found),
                    of(declared)
                ));
            }
        }
        Some(message)
    }
}
