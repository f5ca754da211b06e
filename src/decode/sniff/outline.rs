//! What an XML file is made of: its elements by path, how often each comes, and which of them are records.

use indexmap::IndexMap;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::advice::{self, XmlAdvice};
use super::{Report, Sample};

/// The most paths that are told apart, and how deep they are followed.
const MOST_PATHS: usize = 500;
const DEEPEST: usize = 32;
/// The most of them that are shown.
const SHOWN: usize = 40;

/// An element, wherever it comes at a path.
#[derive(Default)]
struct Element {
    count: usize,
    /// The most of them within one parent.
    most: usize,
    attributes: Vec<String>,
    /// How many elements lie in it, over all of them.
    children: usize,
}

/// Reports the elements of the file, and proposes how to read it.
pub(super) fn report(report: &mut Report, sample: &Sample<'_>, whole: bool) {
    let text = text_of(sample.start);
    let (elements, is_cut) = elements(&text);
    let shown = elements.iter().take(SHOWN);
    for (path, element) in shown {
        let times = if element.count == 1 { "once".to_owned() } else { format!("{} times", element.count) };
        let most = if element.most > 1 { format!(", up to {} in one element", element.most) } else { String::new() };
        let attributes = match element.attributes.as_slice() {
            [] => String::new(),
            names => format!("; attributes {}", names.join(", ")),
        };
        report.add("element", path, format!("{times}{most}{attributes}"));
    }
    if elements.len() > SHOWN {
        report.add("element", format!("and {} more", elements.len() - SHOWN), "they come behind these");
    }
    if is_cut && whole {
        report.add("content", "not well-formed", "what is said here is of what comes before the fault");
    }
    if elements.keys().any(|path| path.ends_with("/IDOC/EDI_DC40")) {
        (report.kind, report.title) = ("idoc", "SAP IDocs as XML".to_owned());
        return advice::plain(report, sample, "idoc");
    }
    let Some((path, record)) = records(&elements) else { return };
    let because = format!("the outermost element that repeats: {} of them were looked at", record.count);
    report.add("record_path", path, because);
    // Below a record, what comes several times in one and only once in another is an array in both.
    let inner = elements.iter().filter(|(own, element)| own.starts_with(&format!("{path}/")) && element.most > 1);
    let arrays: Vec<&str> =
        inner.filter_map(|(own, _)| own.get(path.len() + 1..)).filter(|own| !own.contains('/')).collect();
    advice::xml(report, sample, &XmlAdvice { record_path: path, arrays: &arrays });
}

/// The records: the element that comes most often in one parent, of those that lie outermost.
fn records(elements: &IndexMap<String, Element>) -> Option<(&str, &Element)> {
    let depth = |path: &str| path.matches('/').count();
    let repeating = elements.iter().filter(|(path, element)| element.most > 1 && depth(path) > 1);
    let found = repeating.min_by_key(|(path, element)| (depth(path), usize::MAX - element.most));
    // A file of one record has its record in the document's element.
    let only = || elements.iter().find(|(path, element)| depth(path) == 2 && element.children > 0);
    found.or_else(only).map(|(path, element)| (path.as_str(), element))
}

/// Every path with what is at it, in the order in which they come; and whether the text breaks off or is broken.
fn elements(text: &str) -> (IndexMap<String, Element>, bool) {
    let mut elements: IndexMap<String, Element> = IndexMap::new();
    let mut reader = Reader::from_str(text);
    // The open elements: their paths, and how many of each name lie in them so far.
    let mut open: Vec<(String, IndexMap<String, usize>)> = Vec::new();
    loop {
        match reader.read_event() {
            Ok(Event::Start(tag)) => enter(&tag, &mut open, &mut elements, true),
            Ok(Event::Empty(tag)) => enter(&tag, &mut open, &mut elements, false),
            Ok(Event::End(_)) => {
                open.pop();
            }
            Ok(Event::Eof) => return (elements, !open.is_empty()),
            Ok(_) => {}
            Err(_) => return (elements, true),
        }
    }
}

fn enter(
    tag: &BytesStart<'_>,
    open: &mut Vec<(String, IndexMap<String, usize>)>,
    elements: &mut IndexMap<String, Element>,
    stays: bool,
) {
    // What lies deeper is only counted, so that a path takes no more room than its element.
    if open.len() >= DEEPEST {
        if stays {
            open.push((String::new(), IndexMap::new()));
        }
        return;
    }
    let name = tag.local_name().into_inner().to_owned();
    let (path, inside) = match open.last_mut() {
        None => (format!("/{name}"), 1),
        Some((above, names)) => {
            let inside = names.entry(name.clone()).or_default();
            *inside += 1;
            (format!("{above}/{name}"), *inside)
        }
    };
    if let Some((above, _)) = open.last()
        && let Some(above) = elements.get_mut(above)
    {
        above.children += 1;
    }
    if elements.len() < MOST_PATHS || elements.contains_key(&path) {
        let element = elements.entry(path.clone()).or_default();
        element.count += 1;
        element.most = element.most.max(inside);
        for attribute in tag.attributes().flatten() {
            let name = attribute.key.into_inner();
            let is_new = !element.attributes.iter().any(|own| own == name) && !name.starts_with("xmlns");
            if is_new && element.attributes.len() < 20 {
                element.attributes.push(name.to_owned());
            }
        }
    }
    if stays {
        open.push((path, IndexMap::new()));
    }
}

/// The text as far as it can be read: by its byte order mark, or as it declares itself, else UTF-8.
fn text_of(bytes: &[u8]) -> String {
    let declared = || {
        let head = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
        let (_, rest) = head.split_once("encoding=")?;
        let quote = rest.chars().next()?;
        let (label, _) = rest.get(1..)?.split_once(quote)?;
        encoding_rs::Encoding::for_label(label.as_bytes())
    };
    let encoding = match encoding_rs::Encoding::for_bom(bytes) {
        Some((encoding, _)) => encoding,
        None => declared().unwrap_or(encoding_rs::UTF_8),
    };
    encoding.decode(bytes).0.into_owned()
}

#[cfg(test)]
mod tests {
    use super::super::{Sample, sniff};

    fn found(xml: &[u8]) -> (String, Vec<String>, Option<String>) {
        let report = sniff(&Sample { start: xml, size: xml.len() as u64, path: "in/orders_7.xml" });
        let elements = report.evidence.iter().filter(|evidence| evidence.about != "format");
        let lines = elements.map(|evidence| format!("{} {}: {}", evidence.about, evidence.found, evidence.because));
        (report.kind.to_owned(), lines.collect(), report.command)
    }

    #[test]
    fn the_outermost_element_that_repeats_is_the_record() {
        let xml = br#"<?xml version="1.0"?><o:Orders xmlns:o="urn:o" batch="7"><Head><Date>1</Date></Head>
            <o:Order no="1"><Line/><Line/><Line/></o:Order><o:Order no="2" x="y"><Line n="1"/></o:Order></o:Orders>"#;
        let (kind, lines, command) = found(xml);
        assert_eq!(kind, "xml");
        assert_eq!(
            lines,
            [
                "element /Orders: once; attributes batch",
                "element /Orders/Head: once",
                "element /Orders/Head/Date: once",
                "element /Orders/Order: 2 times, up to 2 in one element; attributes no, x",
                "element /Orders/Order/Line: 4 times, up to 3 in one element; attributes n",
                "record_path /Orders/Order: the outermost element that repeats: 2 of them were looked at",
            ]
        );
        assert_eq!(
            command.as_deref(),
            Some("tollbridge decode in/orders_7.xml --record-path /Orders/Order --array Line")
        );
        let report = sniff(&Sample { start: xml, size: xml.len() as u64, path: "in/orders_7.xml" });
        let toml = "[source]\nbackend = \"BACKEND\"\n[source.xml]\nfiles = \"orders*.xml\"\nrecord_path = \"/Orders/Order\"\narrays = [\"Line\"]\n";
        assert_eq!(report.toml.as_deref(), Some(toml));
    }

    #[test]
    fn files_that_are_cut_broken_or_in_other_encodings() {
        let (_, lines, command) = found(b"<a><b><c>1</c></b><b><c>");
        assert!(lines.iter().any(|line| line.starts_with("content not well-formed")), "{lines:?}");
        assert_eq!(command.as_deref(), Some("tollbridge decode in/orders_7.xml --record-path /a/b"));
        let wide: Vec<u8> =
            "\u{feff}<\u{e4}><b x=''/><b/></\u{e4}>".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(
            found(&wide).1.contains(&"element /\u{e4}/b: 2 times, up to 2 in one element; attributes x".to_owned())
        );
        let latin = b"<?xml version='1.0' encoding='iso-8859-1'?><a><\xE4/></a>";
        assert!(found(latin).1.contains(&"element /a/\u{e4}: once".to_owned()));
        assert_eq!(found(b"<a/>").2, None);
        assert_eq!(
            found(b"<a><b><c/></b></a>").2.as_deref(),
            Some("tollbridge decode in/orders_7.xml --record-path /a/b")
        );
        let deep = [b"<a>".repeat(300_000), b"</a>".repeat(300_000)].concat();
        assert_eq!(found(&deep).1.len(), super::DEEPEST + 1);
        let (kind, _, command) = found(b"<ORDERS05><IDOC BEGIN='1'><EDI_DC40 SEGMENT='1'/></IDOC></ORDERS05>");
        assert_eq!(
            (kind.as_str(), command.as_deref()),
            ("idoc", Some("tollbridge decode in/orders_7.xml --format idoc"))
        );
    }
}
