//! What is written around the records of a document: the elements that hold them, with the attributes and elements that the
//! first record says.
//!
//! It is all judged before any of it is written. Values of one element stand in one: the reader takes the next element of a
//! name for another one, in which what the last one had is no more.

use std::borrow::Cow;
use std::fmt::Write;

use super::names::MAX_NAME;
use super::outside::MAX_VALUE;
use super::path::{FieldPath, RecordPath};
use super::reader::MAX_DEPTH;
use super::settings::Settings;
use crate::decode::encode::EncodeFault;

/// The document's element where nothing says how it is called.
const DOCUMENT: &str = "Records";

/// An element around the records, or beside them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) name: String,
    attributes: Vec<(String, String)>,
    text: Option<String>,
    elements: Vec<Element>,
}

/// The elements that hold the records, from the document's to the innermost; none where the record is the document's own.
/// `values` are members that begin with `/`, with their texts.
pub(super) fn holders(
    path: &RecordPath,
    settings: &Settings,
    values: &[(String, String)],
) -> Result<Vec<Element>, EncodeFault> {
    let mut judged = Vec::with_capacity(values.len());
    for (member, value) in values {
        let steps = judge(path, settings, member, value).map_err(|fault| fault.below(member))?;
        judged.push((member, steps, value));
    }
    let names: Vec<Cow<'_, str>> = match path.steps.as_slice() {
        // `//Order` says nothing of what is around it, and a document has one element.
        [only] if only.anywhere => {
            let first = judged.first().and_then(|(_, steps, _)| steps.first());
            vec![first.map_or(Cow::Borrowed(DOCUMENT), |name| Cow::Owned(name.clone()))]
        }
        [holders @ .., _] => holders.iter().filter_map(|step| step.name.as_deref()).map(Cow::Borrowed).collect(),
        [] => Vec::new(),
    };
    let mut holders: Vec<Element> = names.iter().map(|name| Element::new(name)).collect();
    for (member, steps, value) in &judged {
        let shared = steps.iter().zip(&names).take_while(|(step, name)| *step == *name).count();
        let (to, rest) = steps.split_at(shared);
        let holder = to.len().checked_sub(1).and_then(|last| holders.get_mut(last));
        let put = match (holder, names.first()) {
            (None, Some(document)) => Err(EncodeFault::here(
                format!("a path that begins with the document's element, `/{document}`"),
                *member,
            )),
            (None, None) => Err(EncodeFault::here("no value around a record that is the document's element", *member)),
            // The reader finds all that stands between the records in it, too.
            (Some(_), _) if rest.is_empty() => {
                Err(EncodeFault::here("a path to another text than that of an element around the records", *member))
            }
            (Some(holder), _) => holder.put(rest, value),
        };
        put.map_err(|fault| fault.below(member))?;
    }
    Ok(holders)
}

/// The steps of a path to a value, which can be written and is read again.
fn judge(path: &RecordPath, settings: &Settings, member: &str, value: &str) -> Result<Vec<String>, EncodeFault> {
    let FieldPath(steps) = FieldPath::absolute(member, settings)
        .map_err(|reason| EncodeFault::here("a path to a value before the records", reason))?;
    let elements = || steps.iter().map(String::as_str).filter(|step| !step.starts_with('@'));
    if elements().count() > MAX_DEPTH {
        return Err(too_deep());
    }
    if path.meets(elements()) {
        return Err(EncodeFault::here("a path to a value that is not within a record", member));
    }
    for step in &steps {
        check_length_of(step.trim_start_matches('@'))?;
    }
    if value.len() > MAX_VALUE {
        let expected = format!("a value before the records of at most {} KiB", MAX_VALUE >> 10);
        return Err(EncodeFault::here(expected, format!("one of {} bytes", value.len())));
    }
    Ok(steps)
}

impl Element {
    fn new(name: &str) -> Element {
        Element { name: name.to_owned(), attributes: Vec::new(), text: None, elements: Vec::new() }
    }

    /// Takes a value that stands below the element.
    fn put(&mut self, path: &[String], value: &str) -> Result<(), EncodeFault> {
        let twice = || Err(EncodeFault::here("one value at this path", "two"));
        let Some((step, rest)) = path.split_first() else {
            return match self.text.replace(value.to_owned()) {
                None => Ok(()),
                Some(_) => twice(),
            };
        };
        if let Some(attribute) = step.strip_prefix('@') {
            if self.attributes.iter().any(|(own, _)| own == attribute) {
                return twice();
            }
            self.attributes.push((attribute.to_owned(), value.to_owned()));
            return Ok(());
        }
        let known = self.elements.iter().position(|element| element.name == *step);
        let at = known.unwrap_or(self.elements.len());
        if known.is_none() {
            self.elements.push(Element::new(step));
        }
        self.elements.get_mut(at).map_or(Ok(()), |element| element.put(rest, value))
    }

    /// Appends its tag, with `more` in it, and what stands in it before the records.
    pub(super) fn open(&self, more: &str, out: &mut String) {
        let _ = write!(out, "<{}{more}", self.name);
        for (name, value) in &self.attributes {
            let _ = write!(out, " {name}=\"{}\"", escaped(value, true));
        }
        out.push('>');
        out.push_str(&escaped(self.text.as_deref().unwrap_or_default(), false));
        for element in &self.elements {
            element.open("", out);
            let _ = write!(out, "</{}>", element.name);
        }
    }
}

/// What lies deeper is not read again.
pub(super) fn too_deep() -> EncodeFault {
    EncodeFault::here(format!("elements that lie at most {MAX_DEPTH} deep"), "more")
}

/// A longer name is not read again.
pub(super) fn check_length_of(name: &str) -> Result<(), EncodeFault> {
    if name.len() <= MAX_NAME {
        return Ok(());
    }
    let expected = format!("a name of an element or attribute, of at most {MAX_NAME} bytes");
    Err(EncodeFault::here(expected, format!("a name of {} bytes", name.len())))
}

/// With references for what has a meaning, and for the white space that a reader would change.
pub(in crate::decode) fn escaped(text: &str, is_attribute: bool) -> Cow<'_, str> {
    let needs = |c: char| match c {
        '&' | '<' | '>' | '\r' => true,
        '"' | '\t' | '\n' => is_attribute,
        _ => false,
    };
    if !text.contains(needs) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' if is_attribute => out.push_str("&quot;"),
            c if needs(c) => {
                let _ = write!(out, "&#{};", u32::from(c));
            }
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use crate::decode::testing::read;
    use crate::decode::{Decoder, Format};
    use crate::diagnostic::Faults;

    fn encode(decoder: &Decoder, records: &[&str]) -> Result<String, String> {
        let records: Vec<String> = records.iter().map(|record| (*record).to_owned()).collect();
        let written = crate::decode::testing::encode(decoder, &records).map_err(|fault| fault.to_string())?;
        Ok(String::from_utf8(written).unwrap())
    }

    /// What decoding reads before the records is written there once, whatever shape the record path has.
    #[test]
    fn what_stands_around_the_records_comes_back() {
        let with = |record_path: &str, parent: &[&str]| {
            let parent = parent.iter().map(|path| (*path).to_owned()).collect();
            let settings = Settings { parent, ..Settings::new(record_path.to_owned()) };
            settings.check().unwrap();
            Format::Xml(settings).compile(&|_| None, &Faults::new()).unwrap()
        };
        let comes_back = |decoder: &Decoder, records: &[&str]| {
            let written = encode(decoder, records).unwrap();
            assert_eq!(read(decoder, written.as_bytes()), records, "{written}");
            written
        };
        // Two values of one element stand in one; those of the holders stand there.
        let paths = ["/a/@v", "/a/h/d", "/a/h/e", "/a/h/@f", "/a/b/@w", "/a/b/c/d"];
        let record = r#"{"/a/@v":"1","/a/h/d":"2","/a/h/e":"3","/a/h/@f":"4","/a/b/@w":"5","/a/b/c/d":"6","x":"y"}"#;
        let written = comes_back(&with("/a/b/r", &paths), &[record, record]);
        assert_eq!((written.matches("<h ").count(), written.matches("<b ").count()), (1, 1), "{written}");
        // Where the path does not say how the document's element is called, the values do.
        let record = r#"{"/Orders/@batch":"7","/Orders/Head/Date":"2026-01-02","No":"1"}"#;
        let anywhere = with("//Order", &["/Orders/@batch", "/Orders/Head/Date"]);
        let written = comes_back(&anywhere, &[record, record]);
        assert!(written.contains(" batch=\"7\"><Head><Date>2026-01-02</Date></Head>\n  <Order>"), "{written}");
        assert!(encode(&with("//Order", &[]), &["{}"]).unwrap().contains("<Records "));
        // A record that is the document's element stands alone.
        let alone = with("/Order", &[]);
        assert!(comes_back(&alone, &[r#"{"@no":"1","x":"y"}"#]).contains("\n<Order xmlns:xsi="));
        let fault = |decoder: &Decoder, records: &[&str]| encode(decoder, records).unwrap_err();
        assert!(fault(&alone, &["{}", "{}"]).contains("expected one record, which is the document's element"));
        assert!(fault(&alone, &[]).contains("expected a record, which is the document's element"));
        assert!(fault(&alone, &[r#"{"/Orders/@batch":"7"}"#]).contains("no value around a record"));
        // What has no place there is not passed over.
        for (path, value, expected) in [
            ("/a/r", "/b/@v", "/~1b~1@v: expected a path that begins with the document's element, `/a`, found /b/@v"),
            ("//b/r", "/a/b/@v", "begins with the document's element, `/b`"),
            ("/a/r", "/a", "another text than that of an element around the records"),
            ("/a/b/r", "/a/b/#text", "another text than that of an element around the records"),
        ] {
            let found = fault(&with(path, &[]), &[&format!("{{\"{value}\":\"1\"}}")]);
            assert!(found.contains(expected), "{path} {value}: {found}");
        }
        let two = r#"{"/Orders/@batch":"7","/Lines/@no":"1"}"#;
        assert!(fault(&anywhere, &[two]).contains("begins with the document's element, `/Orders`"));
        let twice = r#"{"/a/h":"1","/a/h/#text":"2"}"#;
        assert!(fault(&with("/a/r", &[]), &[twice]).contains("one value at this path, found two"));
        let long = format!("{{\"/a/@v\":\"{}\"}}", "x".repeat((64 << 10) + 1));
        assert!(fault(&with("/a/r", &[]), &[&long]).contains("at most 64 KiB"));
        // Later records say the same, in any order, or nothing is written of them.
        let (first, moved) = (r#"{"/a/@v":"1","/a/@w":"2"}"#, r#"{"/a/@w":"2","/a/@v":"1"}"#);
        assert!(encode(&with("/a/r", &[]), &[first, moved]).is_ok());
        assert!(fault(&with("/a/r", &[]), &[first, r#"{"/a/@v":"1"}"#]).ends_with("before all of them, found none"));
    }

    proptest::proptest! {
        /// Whatever is asked for around the records: it is refused, or reads back.
        #[test]
        fn what_is_written_is_what_reads_back(
            record_path in proptest::sample::select(vec!["/a/r", "/a/b/r", "//r", "//b/r", "/r", "/a//r"]),
            around in proptest::collection::btree_set("/[abr](/[abh]){0,3}(/@[xy]|/#text)?", 0..6),
        ) {
            let parent: Vec<String> = around.into_iter().collect();
            let settings = Settings { parent: parent.clone(), ..Settings::new(record_path.to_owned()) };
            proptest::prop_assume!(settings.check().is_ok());
            let decoder = Format::Xml(settings).compile(&|_| None, &Faults::new()).unwrap();
            let members: Vec<String> =
                parent.iter().enumerate().map(|(number, path)| format!("\"{path}\":\"{number}\"")).collect();
            let record = format!("{{{}}}", members.join(","));
            if let Ok(written) = encode(&decoder, &[&record]) {
                proptest::prop_assert_eq!(read(&decoder, written.as_bytes()), [record], "{}", written);
            }
        }
    }
}
