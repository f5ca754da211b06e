//! WSDLs of strangers' making and our own: what is written, held against what zeep and PHP write of the same, and the
//! command `inspect`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tollbridge::wsdl::{Choice, Input, Offline, Plan, Settings, SoapVersion, import};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/wsdl").join(name)
}

fn plan(name: &str, operation: &str, version: SoapVersion) -> Plan {
    let path = fixture(name);
    let imported = import(path.to_str().unwrap(), &Settings::default(), &mut Offline).unwrap();
    assert_eq!(imported.wsdl.findings, []);
    imported.wsdl.plan(operation, &Choice { port: None, version: Some(version) }).unwrap()
}

fn written(plan: &Plan, value: &Value) -> String {
    plan.request(&Input::from(value)).unwrap().to_text(&[], "")
}

/// Runs a program with a text as its standard input.
fn run(program: &str, arguments: &[&str], input: &str) -> String {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}; see scripts/setup test"));
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A WSDL, its port, the operation, the version, our JSON, and zeep's arguments.
type Case = (&'static str, &'static str, &'static str, SoapVersion, Value, &'static str);

fn cases() -> Vec<Case> {
    let order = json!({"Order": {
        "@id": 7, "@status": "closed", "@channel": "web",
        "Line": [
            {"@type": "Goods", "@no": 1, "Sku": "S1", "Quantity": 2, "Price": {"@currency": "EUR", "value": "10.10"}},
            {"@type": "Service", "Sku": "S2", "Hours": "PT2H"},
        ],
        "ShipOn": null, "By": "me", "At": "2026-11-28T12:00:00", "Customer": {"Vat": "X1", "Name": "A & <B>"},
        "Note": {"value": "h\u{f6}her", "@lang": "de"}, "Card": "1234 5678 1234 5678",
    }});
    let arguments = "Order=dict(id=7, status='closed', channel='web', Customer=dict(Name='A & <B>', Vat='X1'),
        Card='1234 5678 1234 5678', Line=[
            t('urn:shop:types', 'Goods')(no=1, Sku='S1', Quantity=2, Price=dict(currency='EUR', _value_1=Decimal('10.10'))),
            t('urn:shop:types', 'Service')(Sku='S2', Hours='PT2H')],
        ShipOn=xsd.Nil, Note=dict(lang='de', _value_1='h\u{f6}her'), By='me', At=datetime(2026, 11, 28, 12))";
    let mut with_more = order.clone();
    with_more["Priority"] = json!(4);
    with_more["_any"] = json!([{"{urn:x}Extra": {"@a": "1", "Inner": ["p", "q"]}}]);
    let header = json!({"headers": {"Session": {"Token": "abc"}}, "body": with_more});
    let (v11, v12) = (SoapVersion::V11, SoapVersion::V12);
    vec![
        ("shop.wsdl", "Shop11", "Place", v11, order.clone(), arguments),
        ("shop.wsdl", "Shop12", "Place", v12, order, arguments),
        (
            "shop.wsdl",
            "Shop11",
            "Place",
            v11,
            header,
            "_soapheaders={'session': {'Token': 'abc'}}, Priority=4, _value_1=[etree.XML(
                '<e:Extra xmlns:e=\"urn:x\" a=\"1\"><e:Inner>p</e:Inner><e:Inner>q</e:Inner></e:Extra>')],
             Order=dict(id=7, status='closed', channel='web', Customer=dict(Name='A & <B>', Vat='X1'),
             Card='1234 5678 1234 5678', Line=[
                t('urn:shop:types', 'Goods')(no=1, Sku='S1', Quantity=2,
                    Price=dict(currency='EUR', _value_1=Decimal('10.10'))),
                t('urn:shop:types', 'Service')(Sku='S2', Hours='PT2H')],
             ShipOn=xsd.Nil, Note=dict(lang='de', _value_1='h\u{f6}her'), By='me', At=datetime(2026, 11, 28, 12))",
        ),
        ("shop.wsdl", "Shop11", "Ping", v11, json!({}), ""),
        (
            "ledger.wsdl",
            "Ledger",
            "book",
            v11,
            json!({"dry": true, "entry": {"amount": "1.50", "account": "x", "booked": "2026-11-28"}}),
            "entry=dict(account='x', amount=Decimal('1.50'), booked=date(2026, 11, 28)), dry=True",
        ),
        ("bare.wsdl", "Bare", "FindOrder", v11, json!("47 & <11>"), "'47 & <11>'"),
        ("bare.wsdl", "Bare", "ListOrders", v11, json!("2026-11-28"), "date(2026, 11, 28)"),
        (
            "bare.wsdl",
            "Bare",
            "SubmitOrder",
            v11,
            json!({"@status": "new", "Amount": "1.50", "OrderNo": "1", "Line": [{"Sku": "a"}, {"Sku": "b"}]}),
            "OrderNo='1', Amount=Decimal('1.50'), status='new', Line=[dict(Sku='a'), dict(Sku='b')]",
        ),
    ]
}

#[test]
fn zeep_writes_the_same() {
    let cases: Vec<Value> = cases()
        .into_iter()
        .map(|(file, port, operation, version, value, arguments)| {
            let envelope = written(&plan(file, operation, version), &value);
            json!({"wsdl": fixture(file), "port": port, "operation": operation, "arguments": arguments, "envelope": envelope})
        })
        .collect();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/wsdl/peer.py");
    // Debian's own python has zeep.
    let answer = run("/usr/bin/python3", &[script.to_str().unwrap()], &Value::from(cases.clone()).to_string());
    let pairs: Vec<(String, String)> = serde_json::from_str(&answer).unwrap();
    assert_eq!(pairs.len(), cases.len());
    for (theirs, ours) in pairs {
        assert_eq!(ours, theirs);
    }
}

/// What `decode` makes of an answer with this in its body.
fn read(file: &str, operation: &str, envelope: &str) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let answer = folder.path().join("answer.xml");
    std::fs::write(&answer, envelope).unwrap();
    let (answer, wsdl) = (answer.to_str().unwrap(), fixture(file));
    let output = Command::new(env!("CARGO_BIN_EXE_tollbridge"))
        .args(["decode", answer, "--wsdl", wsdl.to_str().unwrap(), "--operation", operation, "--strict"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{operation}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// As zeep writes it: attributes are called like elements, and decimals are texts there.
fn as_zeep_has_it(ours: &Value) -> Value {
    match ours {
        Value::Object(members) => {
            let plain =
                members.iter().map(|(name, value)| (name.trim_start_matches('@').into(), as_zeep_has_it(value)));
            Value::Object(plain.collect())
        }
        Value::Array(items) => items.iter().map(as_zeep_has_it).collect(),
        // All decimals here have two digits behind the point.
        Value::Number(number) if number.is_f64() => format!("{:.2}", number.as_f64().unwrap()).into(),
        other => other.clone(),
    }
}

/// Answers of document/literal bare and of rpc/literal, each with where zeep's answer is in ours: it takes off what has one
/// member only.
#[test]
fn zeep_reads_the_same() {
    let order = "<b:Order status='open'><b:OrderNo>4711</b:OrderNo><b:Amount>12.50</b:Amount><b:Line><b:Sku>S1</b:Sku></b:Line>\
        <b:Line><b:Sku>S &amp; 2</b:Sku></b:Line></b:Order>";
    let envelope = |body: &str| {
        format!(
            "<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/' xmlns:b='urn:bare' xmlns:l='urn:ledger:calls'>\
             <s:Body>{body}</s:Body></s:Envelope>"
        )
    };
    let cases = [
        ("bare.wsdl", "Bare", "FindOrder", envelope(order), ""),
        ("bare.wsdl", "Bare", "ListOrders", envelope(&format!("<b:Orders>{order}{order}</b:Orders>")), "/Order"),
        ("ledger.wsdl", "Ledger", "book", envelope("<l:bookResponse><number>7</number></l:bookResponse>"), "/number"),
    ];
    let asked: Value = cases
        .iter()
        .map(|(file, port, operation, answer, _)| {
            json!({"wsdl": fixture(file), "port": port, "operation": operation, "answer": answer})
        })
        .collect();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/wsdl/peer.py");
    let theirs = run("/usr/bin/python3", &[script.to_str().unwrap()], &asked.to_string());
    let theirs: Vec<Value> = serde_json::from_str(&theirs).unwrap();
    assert_eq!(theirs.len(), cases.len());
    for ((file, _, operation, answer, place), theirs) in cases.iter().zip(theirs) {
        let ours = as_zeep_has_it(&read(file, operation, answer));
        assert_eq!(ours.pointer(place), Some(&theirs), "{operation}: {ours}");
    }
}

#[test]
fn php_encodes_the_same() {
    let value = json!({
        "checks": [],
        "journal": {"entries": [{"account": "a", "amount": "1.50", "booked": "2026-11-28"}], "title": "t"},
    });
    let ours = written(&plan("ledger.wsdl", "post", SoapVersion::V11), &value);
    let script = r#"
class Client extends SoapClient {
    public string $sent = '';
    function __doRequest($request, $location, $action, $version, $oneWay = false): ?string { $this->sent = $request; return ''; }
}
$client = new Client($argv[1], ['cache_wsdl' => WSDL_CACHE_NONE]);
try {
    $entry = ['account' => 'a', 'amount' => '1.50', 'booked' => '2026-11-28'];
    $client->__soapCall('post', [['title' => 't', 'entries' => [$entry]], []]);
} catch (SoapFault $fault) {
}
echo $client->sent;
"#;
    let theirs = run("php", &["-r", script, fixture("ledger.wsdl").to_str().unwrap()], "");
    let meaning = "
import runpy, sys
from lxml import etree
sys.argv = sys.argv[1:]
XSI, ENC = '{http://www.w3.org/2001/XMLSchema-instance}', '{http://schemas.xmlsoap.org/soap/encoding/}'
def show(element):
    attributes = {}
    for name, value in element.attrib.items():
        if name.endswith('}encodingStyle'):
            continue  # PHP says it at the envelope, we at the call.
        if name in (XSI + 'type', ENC + 'arrayType'):
            prefix, _, local = value.rpartition(':')
            value = '{%s}%s' % (element.nsmap[prefix or None], local)
        attributes[name] = value
    return [element.tag, sorted(attributes.items()), (element.text or '').strip(), [show(child) for child in element]]
ours, theirs = sys.stdin.read().split('\\f')
print(show(etree.fromstring(ours.encode())) == show(etree.fromstring(theirs.encode())))
";
    let same = run("/usr/bin/python3", &["-c", meaning], &format!("{ours}\u{c}{theirs}"));
    assert_eq!(same.trim(), "True", "ours: {ours}\ntheirs: {theirs}");
}

#[test]
fn elements_that_substitute_and_pairs_that_repeat() {
    let value = json!({
        "Value": ["1", null], "Key": ["a", "b"], "circle": [{"Radius": 1.5}],
        "square": [{"Side": "2.50", "Colour": "red"}, {"Side": 3}],
    });
    assert_eq!(
        written(&plan("shop.wsdl", "Draw", SoapVersion::V12), &value),
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <soap:Envelope xmlns:soap=\"http://www.w3.org/2003/05/soap-envelope\" xmlns:ns1=\"urn:shop:messages\" \
         xmlns:ns2=\"urn:shop:types\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><soap:Body><ns1:Draw>\
         <ns2:circle><Radius>1.5</Radius></ns2:circle><ns2:square><Colour>red</Colour><Side>2.50</Side></ns2:square>\
         <ns2:square><Side>3</Side></ns2:square><ns1:Key>a</ns1:Key><ns1:Value>1</ns1:Value><ns1:Key>b</ns1:Key>\
         <ns1:Value xsi:nil=\"true\"/></ns1:Draw></soap:Body></soap:Envelope>"
    );
}

#[test]
fn every_fault_of_a_request_is_told_at_once() {
    let value = json!({
        "Order": {
            "@status": "lost", "Customer": {"Name": ""}, "Card": "12", "Invoice": true,
            "Line": [{"Sku": "S1"}, {"@type": "Good", "Sku": 1}], "ShipOn": "29.11.2026", "Nte": 1,
        },
        "_any": [{"Place": {}}, 1, {"{urn:x}b": 1}],
    });
    let faults = plan("shop.wsdl", "Place", SoapVersion::V11).request(&Input::from(&value)).unwrap_err();
    let pointers: Vec<&str> = faults.iter().map(|fault| fault.pointer.as_str()).collect();
    assert_eq!(
        pointers,
        [
            "/Order/@id",
            "/Order/@status",
            "/Order/Nte",
            "/Order/Customer/Name",
            "/Order/Invoice",
            "/Order/Card",
            "/Order/Line/0",
            "/Order/Line/1/@type",
            "/Order/ShipOn",
            "/_any/0/Place",
            "/_any/1",
            "/_any",
        ]
    );
}

fn schema_takes(schema: &Value, value: &Value) -> bool {
    let mut compiler = boon::Compiler::new();
    compiler.add_resource("mem:///schema.json", schema.clone()).unwrap();
    let mut schemas = boon::Schemas::new();
    let index = compiler.compile("mem:///schema.json", &mut schemas).unwrap();
    schemas.validate(value, index).is_ok()
}

#[test]
fn the_json_schema_takes_what_the_writer_takes() {
    for (file, _, operation, version, value, _) in cases() {
        let plan = plan(file, operation, version);
        let schema = plan.request_schema();
        let is_apart = value.get("headers").is_some();
        let has_headers = !plan.operation.input.headers.is_empty();
        let value = if has_headers && !is_apart { json!({"body": value}) } else { value };
        assert!(schema_takes(&schema, &value), "{operation}: {value}\n{schema:#}");
    }
    let schema = plan("ledger.wsdl", "book", SoapVersion::V11).request_schema();
    assert!(!schema_takes(&schema, &json!({"dry": true})));
    assert!(!schema_takes(&schema, &json!({"dry": "maybe", "entry": {"account": "x", "amount": "1"}})));
    assert!(!schema_takes(&schema, &json!({"dry": true, "entry": {"account": "x", "amount": "1", "more": 1}})));
    let schema = plan("shop.wsdl", "Place", SoapVersion::V11).response_schema().unwrap();
    assert!(schema_takes(&schema, &json!({"Number": "7", "Order": []})));
    assert!(!schema_takes(&schema, &json!({"Number": "7", "Order": {}})));
}

fn inspected(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tollbridge")).arg("inspect").args(arguments).output().unwrap()
}

#[test]
fn inspect_shows_what_a_service_offers() {
    let shop = fixture("shop.wsdl");
    let output = inspected(&[shop.to_str().unwrap()]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
    let row = text.lines().find(|line| line.starts_with("Draw")).unwrap();
    let cells: Vec<&str> = row.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
    let request = "circle: [{…}], square: [{…}], Key: [string], Value: [string or null]";
    assert_eq!(cells, ["Draw", "document/literal wrapped", "1.1", "urn:shop/Draw", request, "nothing (one-way)"]);

    let output = inspected(&[shop.to_str().unwrap(), "--operation", "Place", "--soap", "1.2", "--json"]);
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(shown["soap"], "1.2");
    assert_eq!(shown["documentation"], "Places an order.");
    assert_eq!(shown["faults"], json!([{"name": "Refused", "element": "{urn:shop:messages}Refused"}]));
    assert_eq!(shown["request"]["headers"], json!({"Session": {"Token": "string"}}));
    assert_eq!(shown["response"]["Order"][0]["Line"], json!([{"Sku": "string"}]));

    let output = inspected(&[shop.to_str().unwrap(), "--operation", "Plase"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(said.contains("did you mean `Place`?"), "{said}");
}

#[test]
fn inspect_says_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let shop = std::fs::read_to_string(fixture("shop.wsdl")).unwrap();
    let path = folder.path().join("shop.wsdl");
    std::fs::create_dir(folder.path().join("shop")).unwrap();
    std::fs::write(&path, shop).unwrap();
    for name in ["messages.xsd", "types.xsd", "base.xsd"] {
        std::fs::copy(fixture("shop").join(name), folder.path().join("shop").join(name)).unwrap();
    }
    let output = inspected(&[path.to_str().unwrap()]);
    let (text, said) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("missing_document: shop/types.xsd:6: `common.xsd` is left out"), "{said}");
    assert!(said.contains("unknown_name: shop/types.xsd"), "{said}");
    assert!(text.lines().any(|line| line.starts_with("Place (in part untyped)")), "{text}");
    assert!(text.lines().any(|line| line.starts_with("Draw  ")), "{text}");
    assert_eq!(inspected(&[path.to_str().unwrap(), "--strict"]).status.code(), Some(2));
    let common = format!("common.xsd={}", fixture("shop/common.xsd").display());
    let output = inspected(&[path.to_str().unwrap(), "--strict", "--catalogue", &common]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}
