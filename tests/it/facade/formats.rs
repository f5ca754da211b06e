//! `Accept`: CSV, CBOR and sequences, and going on where a stream broke off.

use serde_json::Value;

use super::app::{TestApp, order};

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn csv_has_a_column_for_each_field_and_harmless_cells() {
    let app = TestApp::start();
    let evil = r#"{"order_no":"1","status":"=cmd|' /C calc'!A0","ordered_on":"2026-01-02","amount":-10.50,"customer":{"name":"-1, \"x\"","vip":true}}"#;
    app.stage(
        "orders.v1",
        &[
            ("1", evil),
            ("2", r#"{"order_no":"2","status":null,"ordered_on":"2026-01-03","amount":1.00,"customer":null}"#),
        ],
    );
    let csv = app.get_with("/v1/orders", &[("Accept", "text/csv")]);
    assert_eq!(csv.field("content-type"), Some("text/csv; charset=utf-8; header=present"));
    let expected = "order_no,status,ordered_on,amount,customer.name,customer.vip\r\n\
                    1,'=cmd|' /C calc'!A0,2026-01-02,-10.50,\"'-1, \"\"x\"\"\",true\r\n\
                    2,,2026-01-03,1.00,,\r\n";
    assert_eq!(csv.text(), expected);
    let raw = app
        .get_with("/v1/orders?fields=order_no,status&limit=1", &[("Accept", "text/csv; formulas=raw; header=absent")]);
    assert_eq!(raw.field("content-type"), Some("text/csv; charset=utf-8; header=absent"));
    assert_eq!(raw.text(), "1,=cmd|' /C calc'!A0\r\n");
    let one = app.get_with("/v1/orders/2?fields=amount", &[("Accept", "text/csv")]);
    assert_eq!(one.text(), "amount\r\n1.00\r\n");
}

/// A reader of the CBOR that we write, made from the standard alone; decimal fractions become their digits.
fn item(bytes: &mut &[u8]) -> Value {
    let first = take(bytes, 1)[0];
    let number = match first & 31 {
        small @ 0..=23 => u64::from(small),
        more @ 24..=27 => take(bytes, 1 << (more - 24)).iter().fold(0, |number, byte| number << 8 | u64::from(*byte)),
        odd => panic!("{odd}"),
    };
    match first >> 5 {
        0 => number.into(),
        1 => (-1 - i64::try_from(number).unwrap()).into(),
        3 => String::from_utf8(take(bytes, number as usize).to_vec()).unwrap().into(),
        4 => (0..number).map(|_| item(bytes)).collect(),
        5 => Value::Object((0..number).map(|_| (item(bytes).as_str().unwrap().to_owned(), item(bytes))).collect()),
        6 => {
            assert_eq!(number, 4);
            let fraction = item(bytes);
            format!("{}e{}", fraction[1], fraction[0]).into()
        }
        7 => match number {
            20 => false.into(),
            21 => true.into(),
            22 => Value::Null,
            odd => panic!("{odd}"),
        },
        odd => panic!("{odd}"),
    }
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at(count);
    *bytes = rest;
    taken
}

#[test]
fn cbor_says_the_same_without_a_float() {
    let app = TestApp::start();
    app.stage_orders(700);
    let record = app.get_with("/v1/orders/0007", &[("Accept", "application/cbor")]);
    assert_eq!(record.field("content-type"), Some("application/cbor"));
    let expected = |number: u32| {
        let mut document: Value = serde_json::from_str(&order(number).1).unwrap();
        // 10.50 is 1050 hundredths.
        document["amount"] = format!("{}e-2", number * 1000 + 50).into();
        document
    };
    let mut bytes = record.body.as_slice();
    assert_eq!((item(&mut bytes), bytes.len()), (expected(7), 0));

    let page = app.get_with("/v1/orders?limit=2", &[("Accept", "application/cbor")]);
    let page = item(&mut page.body.as_slice());
    assert_eq!((&page["data"][1], page["page"]["limit"].as_u64()), (&expected(2), Some(2)));
    let next = page["page"]["next"].as_str().unwrap();
    assert_eq!(app.get(next).json()["data"][0]["order_no"], "0003");

    let all = app.get_with("/v1/orders", &[("Accept", "application/cbor-seq")]);
    assert_eq!(all.field("content-type"), Some("application/cbor-seq"));
    let mut bytes = all.body.as_slice();
    for number in 1..=700 {
        assert_eq!(item(&mut bytes), expected(number));
    }
    assert!(bytes.is_empty());
}

/// A client that breaks off anywhere goes on behind the last cursor that it has, and has every record in the end.
#[test]
fn a_stream_that_broke_off_goes_on_by_its_cursors() {
    let app = TestApp::start();
    app.stage_orders(1800);
    let form = [("Accept", "application/x-ndjson; cursors=true")];
    for (question, expected) in [("", 1800), ("?status=open&sort=-amount", 960), ("?limit=1300", 1300)] {
        let whole = app.get_with(&format!("/v1/orders{question}"), &form);
        assert_eq!(whole.field("content-type"), Some("application/x-ndjson"));
        let all: Vec<Value> = lines(whole.text());
        let records = |lines: &[Value]| -> Vec<String> {
            let records = lines.iter().filter(|line| line.get("$next").is_none());
            records.map(|line| line["order_no"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(records(&all).len(), expected, "{question}");
        assert_eq!(all.last().unwrap()["$next"], Value::Null);
        // Each try is cut behind some lines; what came behind the last cursor is thrown away.
        let mut next = Some(format!("/v1/orders{question}"));
        let mut got = Vec::new();
        let mut cuts = [700, 501, 3, 1100].into_iter();
        while let Some(address) = next.take() {
            let mut came = lines(app.get_with(&address, &form).text());
            came.truncate(cuts.next().unwrap_or(usize::MAX));
            let Some(last) = came.iter().rposition(|line| line.get("$next").is_some()) else {
                next = Some(address);
                continue;
            };
            got.extend(records(&came[..last]));
            next = came[last]["$next"].as_str().map(str::to_owned);
        }
        assert_eq!(got, records(&all), "{question}");
    }
    // Who does not ask for them has records only.
    assert!(!app.get_with("/v1/orders", &[("Accept", "application/x-ndjson")]).text().contains("$next"));
}
