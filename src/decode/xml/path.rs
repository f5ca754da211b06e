//! Paths: which elements are records, and where in a record, or before it, a value stands.

use super::settings::Settings;

/// Steps that a record path may have: as many as a mask has bits, less one.
const MAX_STEPS: usize = 30;

/// Which elements are records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RecordPath {
    pub(super) steps: Vec<Step>,
}

/// One step of a record path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// The element's name; `None` for `*`.
    pub(super) name: Option<String>,
    /// Any number of elements may lie before it (`//`).
    pub(super) anywhere: bool,
}

impl RecordPath {
    /// Reads `/Orders/Order`, `Orders/Order` (the same) or `//Order`, with `*` for any one element.
    pub(super) fn parse(text: &str, settings: &Settings) -> Result<RecordPath, String> {
        let mut steps = Vec::new();
        let mut anywhere = false;
        let relative = text.strip_prefix('/').unwrap_or(text);
        if relative.is_empty() {
            return Err("names no element; write it like `/Orders/Order`".to_owned());
        }
        let count = relative.split('/').count();
        for (index, part) in relative.split('/').enumerate() {
            match part {
                "" if anywhere || index + 1 == count => {
                    return Err(format!("`{text}` has a step without a name; write it like `/Orders/Order`"));
                }
                "" => anywhere = true,
                part => {
                    let name = if part == "*" { None } else { Some(part.to_owned()) };
                    if part.starts_with('@') || part.starts_with('#') {
                        return Err(format!("`{part}` is no element, and records are elements"));
                    }
                    if part.contains(['[', '(']) {
                        return Err(format!("`{part}`: a record path has names and `*`; leave records out by `skip`"));
                    }
                    name.as_ref().map_or(Ok(()), |name| settings.check_name(name))?;
                    steps.push(Step { name, anywhere });
                    anywhere = false;
                }
            }
        }
        if steps.len() > MAX_STEPS {
            return Err(format!("more than {MAX_STEPS} steps"));
        }
        Ok(RecordPath { steps })
    }

    /// What fits so far below an element for which `parent` fits: bit i says that the first i steps fit. At the
    /// document itself that is bit 0. `fits` tells whether the element has the name of a step.
    pub(super) fn advance(&self, parent: u32, fits: impl Fn(usize) -> bool) -> u32 {
        let mut mask = 0;
        for (index, step) in self.steps.iter().enumerate() {
            if parent & 1 << index != 0 {
                if step.anywhere {
                    mask |= 1 << index;
                }
                if fits(index) {
                    mask |= 1 << (index + 1);
                }
            }
        }
        mask
    }

    /// The bit that says that an element is a record.
    pub(super) fn whole(&self) -> u32 {
        1 << self.steps.len()
    }

    /// Whether one of the elements that lie within each other so is a record.
    pub(super) fn meets<'n>(&self, names: impl Iterator<Item = &'n str>) -> bool {
        let mut mask = 1;
        for name in names {
            let fits = |step: usize| {
                self.steps.get(step).is_some_and(|step| step.name.as_deref().is_none_or(|own| own == name))
            };
            mask = self.advance(mask, fits);
            if mask & self.whole() != 0 {
                return true;
            }
        }
        false
    }

    /// The names from the document's element to the record's, where they are fixed.
    pub(super) fn fixed(&self) -> Option<Vec<&str>> {
        self.steps.iter().map(|step| step.name.as_deref().filter(|_| !step.anywhere)).collect()
    }
}

/// Where a value stands: names of elements from outside in, and at last perhaps `@attribute` or `#text`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub(super) struct FieldPath(pub(super) Vec<String>);

impl FieldPath {
    /// Reads `Header.Date`, `Line.@no`, `#text`. Names that have points themselves are parted by `/`.
    pub(super) fn parse(text: &str, settings: &Settings) -> Result<FieldPath, String> {
        let separator = if text.contains('/') { '/' } else { '.' };
        let parts: Vec<&str> = text.split(separator).collect();
        for (index, part) in parts.iter().enumerate() {
            let is_last = index + 1 == parts.len();
            match part.strip_prefix('@') {
                Some(name) if is_last => settings.check_name(name)?,
                None if *part == "#text" && is_last => {}
                None if !part.starts_with('#') => settings.check_name(part)?,
                _ => return Err(format!("`{part}` can only be the last part of a path")),
            }
        }
        Ok(FieldPath(parts.into_iter().map(str::to_owned).collect()))
    }

    /// Reads a path from the document's element: `/Orders/@batch`, `/Orders/Header/Date`.
    pub(super) fn absolute(text: &str, settings: &Settings) -> Result<FieldPath, String> {
        let Some(relative) = text.strip_prefix('/') else {
            return Err(format!("`{text}` must begin with `/`: it is a path from the document's element"));
        };
        let mut path = Vec::new();
        // Points are part of names here.
        let parts: Vec<&str> = relative.split('/').collect();
        for (index, part) in parts.iter().enumerate() {
            let is_last = index + 1 == parts.len();
            match part.strip_prefix('@') {
                Some(name) if is_last && index > 0 => settings.check_name(name)?,
                None if *part == "#text" && is_last && index > 0 => continue,
                _ => settings.check_name(part)?,
            }
            path.push((*part).to_owned());
        }
        Ok(FieldPath(path))
    }

    /// True when it names an attribute or the text of an element, which have nothing below them.
    pub(super) fn is_value(&self) -> bool {
        self.0.last().is_some_and(|last| last.starts_with('@') || last.starts_with('#'))
    }
}

impl std::fmt::Display for FieldPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let has_points = self.0.iter().any(|part| part.contains('.'));
        f.write_str(&self.0.join(if has_points { "/" } else { "." }))
    }
}

#[cfg(test)]
mod tests {
    use super::{FieldPath, RecordPath};
    use crate::decode::xml::Settings;

    fn settings() -> Settings {
        Settings { namespaces: vec![("o".into(), "urn:o".into())], ..Settings::new("/x".into()) }
    }

    /// Which of some documents' paths are records.
    fn check(path: &str, documents: &[(&str, bool)]) {
        let path = RecordPath::parse(path, &settings()).unwrap();
        for (document, expected) in documents {
            let mut mask = 1;
            for name in document.split('/') {
                mask = path.advance(mask, |step| path.steps[step].name.as_deref().is_none_or(|own| own == name));
            }
            assert_eq!(mask & path.whole() != 0, *expected, "{path:?} {document}");
        }
    }

    #[test]
    fn record_paths() {
        check("/a/b", &[("a/b", true), ("a", false), ("a/b/b", false), ("b", false), ("x/a/b", false)]);
        check("a/b", &[("a/b", true), ("x/a/b", false)]);
        check("//b", &[("b", true), ("a/b", true), ("a/x/y/b", true), ("b/a", false), ("b/b", true)]);
        check("/a//b", &[("a/b", true), ("a/x/b", true), ("x/b", false), ("b/a/b", false)]);
        check("/a/*/b", &[("a/x/b", true), ("a/b", false), ("a/x/y/b", false)]);
        check("//a/b", &[("a/b", true), ("x/a/a/b", true), ("a/x/b", false)]);
        check("//o:a", &[("o:a", true), ("a", false)]);
    }

    #[test]
    fn what_is_no_path() {
        for broken in ["", "/", "a//", "a///b", "/a/@b", "a/b[1]", "/p:a", "a b", "/a/#text", "/1a"] {
            assert!(RecordPath::parse(broken, &settings()).is_err(), "{broken}");
        }
        for broken in ["", "a..b", "@a.b", "#text.a", "a.#b", "p:a", "a/@b/c"] {
            assert!(FieldPath::parse(broken, &settings()).is_err(), "{broken}");
        }
        for broken in ["a", "/", "/@a", "/a/@b/c", "/a//b"] {
            assert!(FieldPath::absolute(broken, &settings()).is_err(), "{broken}");
        }
    }

    #[test]
    fn field_paths() {
        let path = |text: &str| FieldPath::parse(text, &settings()).unwrap().0;
        assert_eq!(path("a.b.@c"), ["a", "b", "@c"]);
        assert_eq!(path("a.b/#text"), ["a.b", "#text"]);
        assert_eq!(path("o:a.@xml:lang"), ["o:a", "@xml:lang"]);
        assert_eq!(FieldPath::absolute("/a/b/#text", &settings()).unwrap().0, ["a", "b"]);
    }
}
