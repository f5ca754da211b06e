//! How long a large WSDL takes to import, and a request to be written.
//!
//!     cargo bench --bench wsdl
//!
//! The WSDL has 1,500 operations and more than 3 MB. Prints CPU seconds of the best round, and their ratio to a bare walk
//! over the events of quick-xml; of requests, how many are written in a CPU second.

#![expect(clippy::expect_used, clippy::print_stdout, reason = "a benchmark prints, and has sound inputs")]

#[path = "support/clock.rs"]
mod clock;

use std::fmt::Write as _;
use std::hint::black_box;

use clock::cpu;
use quick_xml::NsReader;
use quick_xml::events::Event;
use serde_json::json;
use tollbridge::wsdl::{Choice, Fetched, Input, Settings, Web, import};

const OPERATIONS: usize = 1_500;
const ROUNDS: usize = 5;
const REQUESTS: usize = 20_000;

/// The best CPU time of some rounds.
fn best(mut work: impl FnMut()) -> f64 {
    let mut round = || {
        let before = cpu();
        work();
        (cpu() - before).as_secs_f64()
    };
    (0..ROUNDS).map(|_| round()).fold(f64::INFINITY, f64::min).max(0.005)
}

/// Types that extend and contain one another, codes with patterns, and an operation for each.
fn large() -> String {
    let mut text = String::from(
        "<w:definitions xmlns:w='http://schemas.xmlsoap.org/wsdl/' xmlns:s='http://schemas.xmlsoap.org/wsdl/soap/' \
         xmlns:x='http://www.w3.org/2001/XMLSchema' xmlns:t='urn:large' targetNamespace='urn:large'>\
         <w:types><x:schema targetNamespace='urn:large' elementFormDefault='qualified'>\n",
    );
    for number in 0..OPERATIONS {
        let _ = write!(
            text,
            "<x:simpleType name='Code{number}'><x:restriction base='x:string'><x:maxLength value='20'/>\
             <x:pattern value='[A-Z]{{1,{}}}\\d*'/></x:restriction></x:simpleType>\n<x:complexType name='Data{number}'>",
            number % 30 + 1
        );
        let extends = number % 10 > 0;
        if extends {
            let base = number - number % 10;
            let _ = write!(text, "<x:complexContent><x:extension base='t:Data{base}'>");
        }
        text.push_str("<x:sequence>");
        for field in 0..14 {
            let ty = match field % 6 {
                0 => "x:string".to_owned(),
                1 => "x:int".to_owned(),
                2 => "x:decimal".to_owned(),
                3 => "x:dateTime".to_owned(),
                4 => format!("t:Code{number}"),
                _ => format!("t:Data{}", (number * 7 + field) % OPERATIONS),
            };
            let _ = writeln!(text, "<x:element minOccurs='0' maxOccurs='1' name='Field{field}_{number}' type='{ty}'/>");
        }
        text.push_str(if extends { "</x:sequence></x:extension></x:complexContent>" } else { "</x:sequence>" });
        let _ = write!(
            text,
            "</x:complexType>\n<x:element name='Op{number}'><x:complexType><x:sequence><x:element name='Request' \
             type='t:Data{number}'/></x:sequence></x:complexType></x:element>\n<x:element name='Op{number}Response'>\
             <x:complexType><x:sequence><x:element name='Result' minOccurs='0' maxOccurs='unbounded' type='t:Data{number}'/>\
             </x:sequence></x:complexType></x:element>\n"
        );
    }
    text.push_str("</x:schema></w:types>");
    let each = |text: &mut String, line: &dyn Fn(usize) -> String| {
        (0..OPERATIONS).for_each(|number| text.push_str(&line(number)));
    };
    each(&mut text, &|n| {
        format!(
            "<w:message name='In{n}'><w:part name='parameters' element='t:Op{n}'/></w:message>\
             <w:message name='Out{n}'><w:part name='parameters' element='t:Op{n}Response'/></w:message>\n"
        )
    });
    text.push_str("<w:portType name='P'>");
    each(&mut text, &|n| {
        format!("<w:operation name='Op{n}'><w:input message='t:In{n}'/><w:output message='t:Out{n}'/></w:operation>\n")
    });
    text.push_str("</w:portType><w:binding name='B' type='t:P'><s:binding/>");
    each(&mut text, &|n| {
        format!(
            "<w:operation name='Op{n}'><s:operation soapAction='urn:large/Op{n}'/><w:input><s:body use='literal'/></w:input>\
             <w:output><s:body use='literal'/></w:output></w:operation>\n"
        )
    });
    text.push_str("</w:binding></w:definitions>");
    text
}

struct Memory<'a>(&'a str);

impl Web for Memory<'_> {
    fn get(&mut self, _: &str, _: u64) -> Result<Fetched, String> {
        Ok(Fetched { bytes: self.0.as_bytes().to_vec(), charset: None })
    }
}

fn main() {
    let text = large();
    let scan = best(|| {
        let mut reader = NsReader::from_str(&text);
        while !matches!(reader.read_event().expect("it is XML"), Event::Eof) {}
    });
    let read = || import("http://large/?wsdl", &Settings::default(), &mut Memory(&text)).expect("it is a WSDL");
    let imported = best(|| {
        black_box(read());
    });
    let wsdl = read().wsdl;
    assert!(wsdl.operations.len() == OPERATIONS && wsdl.findings.is_empty(), "{:?}", wsdl.findings.first());
    println!(
        "import: {:.1} MB, {OPERATIONS} operations, {} types: {imported:.2} s, {:.1} times a bare scan ({scan:.3} s)",
        text.len() as f64 / 1e6,
        wsdl.types.len(),
        imported / scan
    );
    let plan = wsdl.plan("Op17", &Choice::default()).expect("there is one");
    let value = json!({"Request": {"Field0_10": "a & b", "Field1_10": 7, "Field2_17": "10.50", "Field4_17": "AB12",
        "Field5_17": {"Field3_120": "2026-11-28T12:00:00Z"}}});
    let input = Input::from(&value);
    let seconds = best(|| {
        for _ in 0..REQUESTS {
            black_box(plan.request(&input).expect("it is sound").to_text(&[], ""));
        }
    });
    println!("requests: {:.0} a CPU second", REQUESTS as f64 / seconds);
}
