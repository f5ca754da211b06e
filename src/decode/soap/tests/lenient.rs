//! What services do that their schema, or SOAP, does not allow: taken and counted, or refused.

use super::{Leniency, SOAP11, envelope, plan, read, soap};

const SCHEMA: &str = r#"<x:element name="GetResponse"><x:complexType><x:sequence>
 <x:element name="A" type="x:int"/><x:element name="B" type="x:string" minOccurs="0"/><x:element name="D" type="x:date" minOccurs="0"/>
 <x:element name="S" minOccurs="0"><x:simpleType><x:restriction base="x:string"><x:enumeration value="open"/></x:restriction></x:simpleType></x:element>
 </x:sequence><x:attribute name="id" type="x:int"/></x:complexType></x:element>"#;

/// The answer is taken as `expected` with one leniency counted, and refused where everything is strict.
#[track_caller]
fn taken(answer: &str, kind: Leniency, expected: &str) {
    let plan = plan(SCHEMA);
    let found = read(&soap(&plan, |_| ()), answer);
    assert_eq!((found.lost, found.lines, found.counts), (None, vec![expected.to_owned()], vec![(kind, 1)]));
    let strict = read(&soap(&plan, |settings| settings.strict = true), answer);
    let is_refused = strict.lost.is_some() || strict.lines.iter().all(|line| !line.starts_with('{'));
    assert!(is_refused && strict.counts.is_empty(), "{strict:?}");
}

#[test]
fn what_the_schema_does_not_allow() {
    let inside = |inner: &str| envelope(&format!("<GetResponse>{inner}</GetResponse>"));
    for (inner, kind, expected) in [
        ("<B>b</B><A>1</A>", Leniency::OutOfOrder, r#"{"A":1,"B":"b"}"#),
        ("<A>1</A><X><Y/></X><B>b</B>", Leniency::UnknownElement, r#"{"A":1,"B":"b"}"#),
        ("<A xmlns=''>1</A>", Leniency::WrongNamespace, r#"{"A":1}"#),
        ("<q:A>1</q:A>", Leniency::WrongNamespace, r#"{"A":1}"#),
        ("<A xmlns='urn:other'>1</A>", Leniency::WrongNamespace, r#"{"A":1}"#),
        ("<B>b</B>", Leniency::Missing, r#"{"B":"b"}"#),
        ("<A i:nil='true'/>", Leniency::Nil, r#"{"A":null}"#),
        ("<A/>", Leniency::Empty, r#"{"A":null}"#),
        ("<A>1</A><D> </D>", Leniency::Empty, r#"{"A":1,"D":null}"#),
        ("<A>1</A><D>28.11.2026</D>", Leniency::OddValue, r#"{"A":1,"D":"28.11.2026"}"#),
        ("<A>1</A><S>closed</S>", Leniency::OddValue, r#"{"A":1,"S":"closed"}"#),
        ("<A z='1'>1</A>", Leniency::UnknownAttribute, r#"{"A":1}"#),
        ("<A>1</A>text", Leniency::StrayText, r#"{"A":1}"#),
        ("<A>1</A><B>b<c/></B>", Leniency::UnknownElement, r#"{"A":1,"B":"b"}"#),
    ] {
        taken(&inside(inner), kind, expected);
    }
    taken(&envelope("<GetResponse zz='1'><A>1</A></GetResponse>"), Leniency::UnknownAttribute, r#"{"A":1}"#);
    taken(&envelope("<GetResponse t:id='5'><A>1</A></GetResponse>"), Leniency::WrongNamespace, r#"{"@id":5,"A":1}"#);
}

/// What the schema asks of a value beyond its type: bounds, digits, patterns, the values of a list whatever their form.
#[test]
fn facets_of_values() {
    let restricted = |base: &str, facets: &str, value: &str| {
        let schema = format!(
            "<x:element name='GetResponse'><x:complexType><x:sequence><x:element name='V'><x:simpleType>\
             <x:restriction base='x:{base}'>{facets}</x:restriction></x:simpleType></x:element></x:sequence></x:complexType></x:element>"
        );
        let plan = plan(&schema);
        let answer = envelope(&format!("<GetResponse><V>{value}</V></GetResponse>"));
        let lenient = read(&soap(&plan, |_| ()), &answer);
        let strict = read(&soap(&plan, |settings| settings.strict = true), &answer);
        assert_eq!((lenient.lines.len(), &lenient.lost), (1, &None), "{lenient:?}");
        (lenient.lines[0].clone(), lenient.counts, strict.lines[0].clone())
    };
    for (base, facets, good, bad, wanted) in [
        ("decimal", "<x:fractionDigits value='2'/>", "10.100", "10.101", "at most 2 digits behind the point"),
        ("decimal", "<x:totalDigits value='4'/>", "0012.34", "123.45", "at most 4 digits"),
        ("int", "<x:minInclusive value='0'/>", "0", "-1", "at least 0"),
        ("int", "<x:maxExclusive value='10'/>", "9", "10", "less than 10"),
        ("string", "<x:pattern value='[A-Z]{2}\\d+'/>", "AB12", "AB", "a text that fits `[A-Z]{2}\\d+`"),
        ("date", "<x:minInclusive value='2000-01-01'/>", "2000-01-01", "1999-12-31", "at least 2000-01-01"),
        ("decimal", "<x:enumeration value='1.0'/>", "1.00", "1.01", "one of `1.0`"),
        ("boolean", "<x:pattern value='true|1'/>", "true", "false", "a text that fits `true|1`"),
        ("double", "<x:maxInclusive value='1E3'/>", "1000.0", "1000.5", "at most 1E3"),
        ("string", "<x:maxLength value='3'/>", "äöü", "äöüx", "at most 3 characters"),
    ] {
        let (line, counts, strict) = restricted(base, facets, good);
        assert!(counts.is_empty() && strict == line, "{base} {facets} {good}: {line} {counts:?} {strict}");
        let (line, counts, strict) = restricted(base, facets, bad);
        assert!(line.starts_with("{\"V\":"), "{line}");
        assert_eq!(counts, vec![(Leniency::OddValue, 1)], "{base} {facets} {bad}");
        assert_eq!(strict, format!("value.bad_type V: xs:{base}, {wanted} / `{bad}`"));
    }
}

#[test]
fn what_soap_does_not_allow() {
    let sound = envelope("<GetResponse><A>1</A></GetResponse>");
    let json = r#"{"A":1}"#;
    let plan = plan(SCHEMA);
    for text in
        [sound.clone(), format!("\n  {sound}\r\n\0"), sound.replace(SOAP11, "http://www.w3.org/2003/05/soap-envelope")]
    {
        let found = read(&soap(&plan, |settings| settings.strict = true), text);
        assert_eq!((found.lost, found.lines), (None, vec![json.to_owned()]));
    }
    taken(&format!("<br />\n<b>Notice</b>: Undefined index < in x.php & so on\n{sound}"), Leniency::Junk, json);
    taken(&format!("{sound}<!-- took 3 ms --><script>a < b</script>"), Leniency::Junk, json);
    taken(&sound.replace(SOAP11, "urn:none"), Leniency::Envelope, json);
    taken("<GetResponse xmlns='urn:t'><A>1</A></GetResponse>", Leniency::Envelope, json);
    taken(&envelope("<Get_Answer><A>1</A></Get_Answer>"), Leniency::BodyName, json);
    taken(&envelope("<GetResponse xmlns=''><A xmlns='urn:t'>1</A></GetResponse>"), Leniency::WrongNamespace, json);
    taken(&envelope("<GetResponse><A>1</A></GetResponse><Trace/>"), Leniency::UnknownElement, json);
}

#[test]
fn an_empty_body_is_counted() {
    let found = read(&soap(&plan(SCHEMA), |_| ()), envelope(""));
    assert_eq!((found.lost, found.lines.len(), found.counts), (None, 0, vec![(Leniency::Missing, 1)]));
    assert!(read(&soap(&plan(SCHEMA), |settings| settings.strict = true), envelope("")).lost.is_some());
}

#[test]
fn unknown_elements_are_kept_if_asked_for() {
    let soap = soap(&plan(SCHEMA), |settings| settings.extra = true);
    let found = read(&soap, envelope("<GetResponse><X>1</X><A>1</A><Y><z>2</z></Y><B>b</B></GetResponse>"));
    assert_eq!(found.lines, [r#"{"A":1,"B":"b","_extra":[{"X":"1"},{"Y":{"z":"2"}}]}"#]);
}

#[test]
fn one_element_twice_is_never_taken() {
    let soap = soap(&plan(SCHEMA), |_| ());
    for inner in ["<A>1</A><A>2</A>", "<A>1</A><B/><A>2</A>"] {
        let found = read(&soap, envelope(&format!("<GetResponse>{inner}</GetResponse>")));
        assert_eq!(found.lines, ["structure.bad_count : one `A` / several of them"]);
    }
}

#[test]
fn what_is_no_soap_says_so() {
    let soap = soap(&plan(SCHEMA), |_| ());
    let lost = |text: &str| read(&soap, text).lost.unwrap_or_default();
    assert!(
        lost("<!DOCTYPE html><html><h1>502 Bad Gateway</h1>")
            .contains("there is no SOAP envelope; the answer begins with `<!DOCTYPE html><html><h1>502")
    );
    assert!(lost("<html><body>Sorry</body></html>").contains("begins with `<html><body>Sorry"));
    assert!(lost("  \n").contains("the answer is empty"));
    assert!(lost("{\"error\":5}").contains("begins with `{\"error\":5}`"));
    let doctype = format!("<!DOCTYPE e [<!ENTITY a 'b'>]>{}", envelope("<GetResponse><A>1</A></GetResponse>"));
    assert!(lost(&doctype).contains("DOCTYPE"));
    let inner = envelope("<GetResponse><A>1</A><B>&a;</B></GetResponse>");
    assert_eq!(
        read(&soap, inner).lines,
        ["structure.malformed B: well-formed XML / the entity `a`, which XML does not have"]
    );
}
