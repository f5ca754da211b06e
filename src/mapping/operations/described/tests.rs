//! What a schema permits is taken, and can be sent; what people send is permitted.

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::Value;

use super::has_short_year;
use crate::decode::Json;
use crate::diagnostic::{Faults, SourceText};
use crate::mapping::operations::WriteOperation;
use crate::mapping::operations::tests::{ACCEPTED, one};
use crate::mapping::{ServiceWsdl, Services, compile_with};
use crate::record::Decimal;
use crate::wsdl::{Choice, Offline, Settings, Wsdl, import};

/// An operation with its schema, as a validator that nobody here wrote has it.
struct Taken {
    write: Arc<WriteOperation>,
    schema: Value,
    schemas: boon::Schemas,
    index: boon::SchemaIndex,
}

impl Taken {
    fn by(write: Arc<WriteOperation>) -> Taken {
        let schema = write.exposed.body.clone().unwrap();
        let mut compiler = boon::Compiler::new();
        compiler.set_default_draft(boon::Draft::V2020_12);
        compiler.enable_format_assertions();
        compiler.add_resource("http://localhost/schema", schema.clone()).unwrap();
        let mut schemas = boon::Schemas::new();
        let index = compiler.compile("http://localhost/schema", &mut schemas).unwrap();
        Taken { write, schema, schemas, index }
    }

    /// Whether a body is permitted; it must be taken then, and can be sent.
    #[track_caller]
    fn permits(&self, name: &str, value: &str) -> bool {
        let body = format!("{{\"{name}\":{value}}}");
        let Ok(document) = serde_json::from_str::<Value>(&body) else { return false };
        // What cannot be said is told beside the rest.
        assert!(self.schema["properties"][name].get("x-pattern").is_none(), "{:#}", self.schema["properties"][name]);
        if self.schemas.validate(&document, self.index).is_err() || is_finer(&self.schema["properties"][name], value) {
            return false;
        }
        let asked = self.write.read(Some(&Json::parse(&body).unwrap()), None);
        let asked = asked.unwrap_or_else(|fault| panic!("{body} is permitted by {:#}: {fault:?}", self.schema));
        if let Some(service) = self.write.service() {
            let sent = service.call.message(&self.write.given(&asked, "k", "id", "web", ACCEPTED));
            assert!(sent.is_ok(), "{body} is permitted by {:#}: {sent:?}", self.schema);
        }
        true
    }

    fn names(&self) -> Vec<&str> {
        self.schema["properties"].as_object().unwrap().keys().map(String::as_str).collect()
    }
}

/// Whether a number has more digits behind the point than `x-scale` says, or lies beyond its limits by less than the validator
/// sees, which reckons in floats.
fn is_finer(schema: &Value, value: &str) -> bool {
    let Ok(number) = Decimal::parse_json(value) else { return false };
    let limit = |name: &str| schema.get(name).and_then(|limit| Decimal::parse_json(&limit.to_string()).ok());
    let scale = schema["x-scale"].as_u64().and_then(|scale| u8::try_from(scale).ok());
    scale.is_some_and(|scale| number.rescale(scale).is_err())
        || limit("minimum").is_some_and(|least| number < least)
        || limit("maximum").is_some_and(|most| number > most)
}

/// A value of every kind, with every rule.
const KINDS: &str = r#"
[operations.create]
sql = "insert into t values (:a, :b, :c, :d, :e, :f, :g, :h, :i, :j, :k, :l, :m, :n, :o, :p, :q, :r, :s, :t, :u, :v, :w, :x)"
[operations.create.body]
a = { type = "string", required = false }
b = { type = "string", required = false, min_length = 2, max_length = 4, nullable = true }
c = { type = "string", required = false, pattern = "^[A-Z]{2}\\d+$" }
d = { type = "string", required = false, pattern = "[^x]$" }
e = { type = "integer", required = false }
f = { type = "integer", required = false, min = 1, max = 99, nullable = true }
g = { type = "number", required = false, min = -0.5 }
h = { type = "decimal(5,2)", required = false }
i = { type = "decimal(5,2)", required = false, min = 0, nullable = true }
j = { type = "decimal(5,2)", required = false, min = 0.5, max = 99.5 }
k = { type = "decimal(3,3)", required = false }
l = { type = "decimal(38,0)", required = false }
m = { type = "boolean", required = false, nullable = true }
n = { type = "date", required = false }
o = { type = "date", required = false, min = "2024-02-29", max = "2026-10-31", nullable = true }
p = { type = "date", required = false, format = "%y%m%d" }
q = { type = "time", required = false, min = "08:00:00", max = "16:30:00" }
r = { type = "datetime", required = false, min = "2024-02-29T12:30:00", max = "2026-01-01T00:00:00" }
s = { type = "datetime", required = false, zone = "Europe/Berlin", format = "%Y%m%d%H%M%S" }
t = { type = "bytes", required = false }
u = { type = "integer", required = false, values = { 30 = "S", 720 = "L" }, nullable = true }
v = { type = "boolean", required = false, values = { true = "Y", false = "N" } }
w = { type = "decimal(3,1)", required = false, values = { "19.0" = "N", "7.0" = "R" } }
x = { type = "string", required = false, values = { open = "OP", closed = "CL" } }
"#;

/// What somebody may send: the corners of every kind.
const CORNERS: &[&str] = &[
    "null",
    "true",
    "false",
    "0",
    "-0",
    "0.0",
    "-0.0",
    "1",
    "1.0",
    "1e0",
    "1e2",
    "12E-1",
    "-1",
    "30",
    "30.0",
    "720",
    "99",
    "100",
    "0.5",
    "0.05",
    "-0.5",
    "-0.51",
    "99.5",
    "99.51",
    "999.99",
    "-999.99",
    "1000",
    "0.999",
    "-0.999",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "1e37",
    "1e38",
    "-1e40",
    "1e308",
    "12345678901234567890123456789012345678",
    "\"\"",
    "\" \"",
    "\"a\"",
    "\"ab\"",
    "\"abcd\"",
    "\"abcde\"",
    "\"\\u0000\"",
    "\"a\\u0000\"",
    "\"\\b\"",
    "\"\\u001f\"",
    "\"\\ufffe\"",
    "\"\\n\"",
    "\"AB1\"",
    "\"AB1\\n\"",
    "\"AB\\u0661\"",
    "\"x\"",
    "\"xy\\u0000\"",
    "\"\\ud83d\\ude00\\ud83d\\ude00\\ud83d\\ude00\\ud83d\\ude00\"",
    "\"1\"",
    "\"-1\"",
    "\"1.50\"",
    "\"001.5\"",
    "\"-0\"",
    "\"+1\"",
    "\"1e2\"",
    "\"999.99\"",
    "\"0.999\"",
    "\".5\"",
    "\"19.0\"",
    "\"19\"",
    "\"true\"",
    "\"open\"",
    "\"OP\"",
    "\"30\"",
    "\"2023-02-29\"",
    "\"2024-02-29\"",
    "\"2024-02-28\"",
    "\"2026-10-31\"",
    "\"2026-11-01\"",
    "\"1900-02-29\"",
    "\"0000-01-01\"",
    "\"0001-01-01\"",
    "\"9999-12-31\"",
    "\"1968-12-31\"",
    "\"1969-01-01\"",
    "\"2068-12-31\"",
    "\"2069-01-01\"",
    "\"07:59:59.999\"",
    "\"08:00:00\"",
    "\"16:30:00\"",
    "\"16:30:00.000\"",
    "\"16:30:00.001\"",
    "\"23:59:60\"",
    "\"24:00:00\"",
    "\"12:00:00Z\"",
    "\"2024-02-29T12:29:59\"",
    "\"2024-02-29T12:30:00\"",
    "\"2024-02-29 12:30:00.5\"",
    "\"2026-01-01T00:00:00\"",
    "\"2026-01-01T00:00:00.5\"",
    "\"2023-02-29T12:30:00\"",
    "\"2025-01-01T00:00:00Z\"",
    "\"2025-01-01t00:00:00z\"",
    "\"2025-01-01T00:00:00+02:00\"",
    "\"2025-01-01T00:00:00-23:59\"",
    "\"1998-12-31T23:59:60Z\"",
    "\"0000-01-01T00:00:00Z\"",
    "\"QQ==\"",
    "\"QR==\"",
    "\"QUI=\"",
    "\"QUJD\"",
    "\"QUJ\"",
    "\"QU=D\"",
    "\"QUJD\\n\"",
    "\"A\"",
    "\"B\"",
    "\"C\"",
    "\"ABCDEF\"",
    "\"de-DE\"",
    "\"--02-28\"",
    "\"P1DT2S\"",
    "\"0aF0\"",
    "\"2026\"",
    "\"2026-10\"",
    "\"127\"",
    "\"128\"",
    "\"99999\"",
    "\"a b\"",
    "\"INF\"",
    "[]",
    "{}",
    "[1]",
];

#[test]
fn what_is_permitted_is_taken() {
    let taken = Taken::by(one(KINDS));
    for name in taken.names() {
        let count = CORNERS.iter().filter(|value| taken.permits(name, value)).count();
        assert!((1..CORNERS.len() - 2).contains(&count), "`{name}` permits {count}");
    }
}

/// A schema that permitted hardly anything would be no lie either: what people send is in it.
#[test]
fn what_people_send_is_permitted() {
    let taken = Taken::by(one(KINDS));
    for (name, values) in [
        ("a", &["\"\"", "\"\u{e4} \\n \u{1f600}\"", "\"\\u0001\""][..]),
        ("b", &["null", "\"ab\"", "\"\u{1f600}\u{1f600}\u{1f600}\u{1f600}\""]),
        ("c", &["\"AB1\"", "\"ZZ0099\""]),
        ("e", &["0", "-5", "9223372036854775807"]),
        ("f", &["null", "1", "99"]),
        ("g", &["-0.5", "1e10", "3"]),
        ("h", &["1e2", "-999.99", "\"12.50\"", "\"-1\"", "\"001.5\""]),
        ("i", &["null", "0", "0.01", "\"0.00\"", "999.99"]),
        ("j", &["0.5", "99.5", "7"]),
        ("k", &["0.999", "-0.5", "\"0.125\""]),
        ("l", &["12345678901234567890", "\"12345678901234567890123456789012345678\""]),
        ("n", &["\"2024-02-29\"", "\"0001-01-01\"", "\"9999-12-31\""]),
        ("o", &["null", "\"2024-02-29\"", "\"2025-06-15\"", "\"2026-10-31\""]),
        ("p", &["\"1969-01-01\"", "\"2068-12-31\""]),
        ("q", &["\"08:00:00\"", "\"12:34:56.789\"", "\"16:30:00\""]),
        ("r", &["\"2024-02-29T12:30:00\"", "\"2025-01-01 00:00:00.5\"", "\"2026-01-01T00:00:00.0\""]),
        ("s", &["\"2025-01-01T00:00:00Z\"", "\"2025-01-01T00:00:00.5+02:00\""]),
        ("t", &["\"\"", "\"QQ==\"", "\"QUI=\"", "\"QUJD\""]),
        ("u", &["null", "30", "720"]),
        ("v", &["true", "false"]),
        ("w", &["\"19.0\"", "\"7.0\""]),
        ("x", &["\"open\"", "\"closed\""]),
    ] {
        for value in values {
            assert!(taken.permits(name, value), "{value} of {name}: {:#}", taken.schema["properties"][name]);
        }
    }
}

/// A number is the same however it is written, also where its values are listed.
#[test]
fn numbers_are_taken_as_numbers() {
    let taken = Taken::by(one(KINDS));
    let text = |name: &str, value: &str| {
        let body = format!("{{\"{name}\":{value}}}");
        let asked = taken.write.read(Some(&Json::parse(&body).unwrap()), None).unwrap();
        let steps = taken.write.steps(&taken.write.given(&asked, "k", "id", "web", ACCEPTED));
        format!("{:?}", steps[0].action)
    };
    for (name, plain, others) in [
        ("u", "30", ["30.0", "3e1", "300E-1"]),
        ("h", "100", ["1e2", "100.00", "1000.0e-1"]),
        ("e", "-5", ["-5.0", "-0.5e1", "-50e-1"]),
    ] {
        for other in others {
            assert_eq!(text(name, plain), text(name, other), "{name} {other}");
        }
    }
    let reads = |body: &str| taken.write.read(Some(&Json::parse(body).unwrap()), None).is_ok();
    assert!(!reads("{\"u\":31}"));
    // One of more than 64 bits is a text, as it is where records have it.
    assert!(reads("{\"e\":\"9223372036854775808\"}") && !reads("{\"e\":9223372036854775808}"));
    assert!(reads("{\"e\":-9223372036854775808}") && !reads("{\"e\":-9223372036854775809}"));
}

/// What JSON numbers cannot hold is no limit: the next one within is.
#[test]
fn limits_of_many_digits_are_within() {
    for (limit, most) in [
        ("19.99", "19.99"),
        ("9223372036854775807", "9223372036854775807"),
        ("99999999999999999999999999999999999999", "9.999999999999998e+37"),
        ("9999999999999999.99", "9999999999999998.0"),
    ] {
        let limit = Decimal::parse(limit, b'.', None).unwrap();
        let written = |is_least| super::bound(limit, is_least).unwrap();
        assert_eq!(written(false), serde_json::from_str::<Value>(most).unwrap(), "{limit}");
        for is_least in [false, true] {
            let written = Decimal::parse_json(&written(is_least).to_string());
            let is_within =
                written.map_or(is_least, |written| if is_least { written >= limit } else { written <= limit });
            assert!(is_within, "{limit} {is_least}");
        }
    }
}

/// Characters that no text may have are told where a pattern lets them in, and not where it does not.
#[test]
fn a_pattern_that_the_schema_cannot_have_is_told_beside_it() {
    let write = one("[operations.create]\nsql = \"insert into t values (:a, :b, :c)\"\n[operations.create.body]\n\
         a = { type = \"string\", pattern = \"(?i)^[a-z]+$\" }\nb = { type = \"string\", pattern = \"^[a-z]+$\" }\n\
         c = { type = \"string\", pattern = \"^.+$\" }\n");
    let properties = write.exposed.body.clone().unwrap()["properties"].clone();
    assert_eq!(
        properties,
        serde_json::json!({
            "a": { "type": "string", "x-pattern": "(?i)^[a-z]+$" },
            "b": { "type": "string", "pattern": "^[a-z]+$" },
            "c": { "type": "string", "pattern": "^[^\\n]+$", "allOf": [{ "pattern": "^[^\\x00]*$" }] },
        })
    );
}

#[test]
fn years_of_two_digits_are_found_in_a_form() {
    for (form, expected) in
        [("%y%m%d", true), ("%d.%m.%-y", true), ("%D", true), ("%Y-%m-%d", false), ("%d day", false)]
    {
        assert_eq!(has_short_year(form), expected, "{form}");
    }
}

const WSDL: &str = r#"<definitions name="S" targetNamespace="urn:s" xmlns="http://schemas.xmlsoap.org/wsdl/"
  xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:t="urn:s" xmlns:xs="http://www.w3.org/2001/XMLSchema"><types>
<xs:schema targetNamespace="urn:s" elementFormDefault="qualified">
<xs:element name="Put"><xs:complexType><xs:sequence>ELEMENTS
<xs:element name="Upper" minOccurs="0"><xs:simpleType><xs:restriction base="xs:string"><xs:pattern value="\p{Lu}+"/></xs:restriction></xs:simpleType></xs:element>
<xs:element name="Line" minOccurs="0" maxOccurs="unbounded"><xs:complexType><xs:sequence><xs:element name="Sku"><xs:simpleType>
<xs:restriction base="xs:string"><xs:maxLength value="3"/></xs:restriction></xs:simpleType></xs:element></xs:sequence></xs:complexType></xs:element>
</xs:sequence></xs:complexType></xs:element>
<xs:element name="PutResponse"><xs:complexType><xs:sequence><xs:element name="No" type="xs:int"/></xs:sequence></xs:complexType></xs:element>
</xs:schema></types>
<message name="In"><part name="p" element="t:Put"/></message><message name="Out"><part name="p" element="t:PutResponse"/></message>
<portType name="P"><operation name="Put"><input message="t:In"/><output message="t:Out"/></operation></portType>
<binding name="B" type="t:P"><soap:binding style="document" transport="http://schemas.xmlsoap.org/soap/http"/>
<operation name="Put"><soap:operation soapAction="put"/><input><soap:body use="literal"/></input><output><soap:body use="literal"/></output></operation></binding>
<service name="S"><port name="B" binding="t:B"><soap:address location="http://127.0.0.1:9/s"/></port></service></definitions>"#;

/// The types of a service's elements, each with the type of the body's field that is sent there.
const ELEMENTS: &[(&str, &str)] = &[
    ("<xs:restriction base='xs:string'><xs:minLength value='2'/><xs:maxLength value='5'/></xs:restriction>", "string"),
    ("<xs:restriction base='xs:token'><xs:minLength value='2'/><xs:maxLength value='5'/></xs:restriction>", "string"),
    (
        "<xs:restriction base='xs:string'><xs:enumeration value='A'/><xs:enumeration value='B'/></xs:restriction>",
        "string",
    ),
    (
        "<xs:restriction base='xs:string'><xs:pattern value='[A-Z]{2}\\d+'/><xs:pattern value='x'/></xs:restriction>",
        "string",
    ),
    (
        "<xs:restriction base='xs:decimal'><xs:totalDigits value='4'/><xs:fractionDigits value='1'/></xs:restriction>",
        "decimal(5,2)",
    ),
    (
        "<xs:restriction base='xs:decimal'><xs:minExclusive value='0'/><xs:maxInclusive value='99.5'/></xs:restriction>",
        "decimal(5,2)",
    ),
    (
        "<xs:restriction base='xs:integer'><xs:minInclusive value='1'/><xs:maxExclusive value='99'/></xs:restriction>",
        "integer",
    ),
    ("<xs:restriction base='xs:integer'><xs:totalDigits value='2'/></xs:restriction>", "integer"),
    ("<xs:restriction base='xs:byte'/>", "integer"),
    ("<xs:restriction base='xs:unsignedLong'/>", "integer"),
    ("<xs:restriction base='xs:negativeInteger'/>", "integer"),
    ("<xs:restriction base='xs:int'/>", "string"),
    ("<xs:restriction base='xs:byte'/>", "string"),
    ("<xs:restriction base='xs:positiveInteger'/>", "string"),
    ("<xs:restriction base='xs:decimal'/>", "string"),
    ("<xs:restriction base='xs:double'/>", "string"),
    ("<xs:restriction base='xs:boolean'/>", "string"),
    ("<xs:restriction base='xs:boolean'/>", "boolean"),
    ("<xs:restriction base='xs:date'/>", "string"),
    ("<xs:restriction base='xs:date'/>", "date"),
    ("<xs:restriction base='xs:dateTime'/>", "string"),
    ("<xs:restriction base='xs:dateTime'/>", "datetime"),
    ("<xs:restriction base='xs:time'/>", "string"),
    ("<xs:restriction base='xs:gYear'/>", "string"),
    ("<xs:restriction base='xs:gYearMonth'/>", "string"),
    ("<xs:restriction base='xs:gMonthDay'/>", "string"),
    ("<xs:restriction base='xs:duration'/>", "string"),
    ("<xs:restriction base='xs:hexBinary'/>", "string"),
    ("<xs:restriction base='xs:base64Binary'/>", "string"),
    ("<xs:restriction base='xs:base64Binary'/>", "bytes"),
    ("<xs:restriction base='xs:language'/>", "string"),
    ("<xs:restriction base='xs:NCName'/>", "string"),
    ("<xs:restriction base='xs:NMTOKEN'/>", "string"),
    ("<xs:restriction base='xs:anyURI'/>", "string"),
];

struct Known(Arc<Wsdl>);

impl Services for Known {
    fn wsdl(&self, _: &str) -> ServiceWsdl {
        ServiceWsdl::Read { wsdl: Arc::clone(&self.0), hash: "h".into(), choice: Choice::default() }
    }
}

/// An operation that calls the service, with these fields of the body and what is sent of them; or the faults.
fn served(fields: &str, sent: &str) -> Result<Arc<WriteOperation>, String> {
    let elements = ELEMENTS.iter().enumerate().map(|(number, (restriction, _))| {
        format!("<xs:element name='E{number}' minOccurs='0'><xs:simpleType>{restriction}</xs:simpleType></xs:element>")
    });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.wsdl");
    std::fs::write(&path, WSDL.replace("ELEMENTS", &elements.collect::<String>())).unwrap();
    let imported = import(&path.to_string_lossy(), &Settings::default(), &mut Offline).unwrap();
    let mapping = format!(
        "resource = \"puts\"\nversion = 1\nkey = [\"no\"]\n[source]\nbackend = \"files\"\n[source.csv]\nfiles = \"*.csv\"\n\
         [fields]\nno = {{ from = \"NO\" }}\n[operations.create]\nbackend = \"svc\"\nbody = {{ {fields} }}\n\
         soap = {{ operation = \"Put\", body = {{ {sent} }} }}\n"
    );
    let faults = Faults::new();
    let source = SourceText::new(Path::new("m.toml"), mapping);
    match compile_with(&source, &|_| None, &Known(Arc::new(imported.wsdl)), &faults) {
        Some(plan) => Ok(Arc::clone(&plan.operations[0])),
        None => Err(faults.into_sorted().iter().map(|fault| format!("{fault}\n")).collect()),
    }
}

fn called() -> Taken {
    let fields = ELEMENTS
        .iter()
        .enumerate()
        .map(|(number, (_, of))| format!("f{number} = {{ type = \"{of}\", required = false }}"));
    let sent = (0..ELEMENTS.len()).map(|number| format!("E{number} = \"{{f{number}}}\""));
    let (fields, sent): (Vec<_>, Vec<_>) = (fields.collect(), sent.collect());
    Taken::by(served(&fields.join(", "), &sent.join(", ")).unwrap())
}

#[test]
fn what_is_permitted_is_what_the_service_takes() {
    let taken = called();
    for (name, (restriction, of)) in taken.names().into_iter().zip(ELEMENTS) {
        let count = CORNERS.iter().filter(|value| taken.permits(name, value)).count();
        assert!(count > 0, "{restriction} of {of} permits nothing: {:#}", taken.schema["properties"][name]);
    }
    for (name, value) in [
        ("f0", "\"ab\""),
        ("f3", "\"AB12\""),
        ("f3", "\"x\""),
        ("f4", "999.9"),
        ("f5", "99.5"),
        ("f6", "98"),
        ("f7", "-99"),
        ("f8", "127"),
        ("f10", "-1"),
        ("f11", "\"-999999999\""),
        ("f19", "\"2024-02-29\""),
    ] {
        assert!(taken.permits(name, value), "{value}: {:#}", taken.schema["properties"][name]);
    }
}

#[test]
fn what_the_service_does_not_take_is_a_fault_of_the_body_at_its_place() {
    let taken = called();
    let faults = |body: &str| match taken.write.read(Some(&Json::parse(body).unwrap()), None) {
        Err(crate::mapping::NotARequest::Body(faults)) => {
            faults.into_iter().map(|fault| format!("{} {}", fault.pointer, fault.detail)).collect::<Vec<_>>()
        }
        other => panic!("{body}: {other:?}"),
    };
    assert_eq!(
        faults("{\"f0\":\"abcdef\",\"f2\":\"C\",\"f8\":128,\"f11\":\"x\"}"),
        [
            "/f0 expected at most 5 characters, found \"abcdef\"",
            "/f2 expected one of `A`, `B`, found \"C\"",
            "/f8 expected a whole number from -128 to 127, found 128",
            "/f11 expected a whole number, found \"x\"",
        ]
    );
    let lines = served(
        "lines = { max_items = 3, each = { sku = \"string\" } }",
        "Line = { each = \"lines\", item = { Sku = \"{sku}\" } }",
    );
    let lines = lines.unwrap();
    let schema = lines.exposed.body.clone().unwrap();
    assert_eq!(schema["properties"]["lines"]["items"]["properties"]["sku"]["maxLength"], 3, "{schema:#}");
    let body = Json::parse("{\"lines\":[{\"sku\":\"abc\"},{\"sku\":\"abcd\"}]}").unwrap();
    let fault = lines.read(Some(&body), None).unwrap_err();
    assert!(format!("{fault:?}").contains("/lines/1/sku"), "{fault:?}");
}

#[test]
fn a_pattern_of_the_service_that_the_schema_cannot_have_is_told_beside_it() {
    let write = served("f = \"string\"", "Upper = \"{f}\"").unwrap();
    let schema = write.exposed.body.clone().unwrap()["properties"]["f"].clone();
    assert_eq!(schema["x-pattern"], "\\p{Lu}+", "{schema:#}");
    assert!(write.read(Some(&Json::parse("{\"f\":\"ÄB\"}").unwrap()), None).is_ok());
    let fault = write.read(Some(&Json::parse("{\"f\":\"ab\"}").unwrap()), None).unwrap_err();
    assert!(format!("{fault:?}").contains("a text that fits"), "{fault:?}");
}

#[test]
fn values_that_the_service_never_takes_are_told_by_check() {
    let fault = served("f = { values = { open = \"A\", closed = \"X\" } }", "E2 = \"{f}\"").unwrap_err();
    assert!(
        fault.contains("`E2`: the service takes one of `A`, `B`, and `f` of the body can be \"closed\""),
        "{fault}"
    );
    let fault = served("f = { type = \"string\", required = false, default = \"C\" }", "E2 = \"{f}\"").unwrap_err();
    assert!(fault.contains("`f` of the body can be its default"), "{fault}");
}

#[test]
fn stamps_are_sent_in_the_forms_that_the_service_takes() {
    let stamped = |stamp: &str, sent: &str| {
        served(
            &format!("f = {{ type = \"string\", required = false }} }}\nstamps = {{ s = {stamp}"),
            &format!("{sent}, E0 = \"{{f}}\""),
        )
    };
    for (stamp, element, written) in [
        ("{ type = \"date\", zone = \"Europe/Berlin\" }", "E19", "2026-03-29"),
        ("{}", "E21", "2026-03-29T01:00:05"),
        ("\"%Y-%m-%dT%H:%M:%SZ\"", "E20", "2026-03-29T01:00:05Z"),
        ("{ type = \"time\" }", "E22", "01:00:05"),
        ("\"%Y\"", "E23", "2026"),
    ] {
        let write = stamped(stamp, &format!("{element} = \"{{s}}\"")).unwrap_or_else(|faults| panic!("{faults}"));
        let asked = write.read(None, None).unwrap();
        let sent = write.service().unwrap().call.message(&write.given(&asked, "k", "id", "web", ACCEPTED)).unwrap();
        let text = sent.envelope;
        assert!(text.contains(&format!("{element}>{written}</")), "{text}");
    }
    let fault = stamped("\"%Y%m%d\"", "E19 = \"{s}\"").unwrap_err();
    assert!(
        fault.contains("`E19`: the service takes") && fault.contains("the stamp `s` is not of that form"),
        "{fault}"
    );
}

proptest! {
    #[test]
    fn whatever_is_permitted_is_taken(
        text in prop_oneof![any::<String>(), "\\PC{0,6}", "[A-Z]{1,3}[0-9]{0,3}", "[0-9]{4}-[01][0-9]-[0-3][0-9](T[0-2][0-9]:[0-5][0-9]:00Z?)?", "-?[0-9]{1,5}(\\.[0-9]{1,3})?", "[A-Za-z0-9+/]{0,6}={0,2}"],
        number in prop_oneof![any::<i64>().prop_map(|number| number.to_string()), (any::<i32>(), -4i32..4).prop_map(|(units, exponent)| format!("{units}e{exponent}")), (-2000i32..2000).prop_map(|units| format!("{}", f64::from(units) / 10.0))],
    ) {
        thread_local! {
            static TAKEN: [Taken; 2] = [Taken::by(one(KINDS)), called()];
        }
        let text = Value::from(text).to_string();
        TAKEN.with(|both| for taken in both {
            for name in taken.names() {
                taken.permits(name, &text);
                taken.permits(name, &number);
            }
        });
    }
}
