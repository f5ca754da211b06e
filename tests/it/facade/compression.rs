//! `Accept-Encoding`

use std::io::Read;

use super::app::{TestApp, order};
use super::client::{Answer, request};

fn decoded(answer: &Answer) -> Vec<u8> {
    let mut plain = Vec::new();
    match answer.field("content-encoding") {
        Some("gzip") => drop(flate2::read::MultiGzDecoder::new(&answer.body[..]).read_to_end(&mut plain).unwrap()),
        Some("zstd") => zstd::stream::copy_decode(&answer.body[..], &mut plain).unwrap(),
        Some("br") => drop(brotli::Decompressor::new(&answer.body[..], 4096).read_to_end(&mut plain).unwrap()),
        other => panic!("{other:?}"),
    }
    plain
}

#[test]
fn each_coding_gives_the_same_bytes() {
    let app = TestApp::start();
    app.stage_orders(2500);
    let forms = ["application/json", "application/x-ndjson", "text/csv", "application/cbor", "application/cbor-seq"];
    for accept in forms {
        for path in ["/v1/orders?limit=200", "/v1/orders?limit=200&sort=-amount"] {
            let plain = app.get_with(path, &[("Accept", accept)]);
            assert_eq!((plain.status, plain.field("content-encoding")), (200, None));
            assert!(plain.field("vary").unwrap().contains("Accept-Encoding"));
            for (wanted, coding) in [("gzip", "gzip"), ("br", "br"), ("zstd", "zstd"), ("gzip;q=0.1, br;q=0.2", "br")] {
                let coded = app.get_with(path, &[("Accept", accept), ("Accept-Encoding", wanted)]);
                assert_eq!((coded.status, coded.field("content-encoding")), (200, Some(coding)), "{accept}");
                assert!(coded.body.len() * 3 < plain.body.len(), "{accept} {coding}: {}", coded.body.len());
                let same = decoded(&coded);
                // `as_of` stands still: nothing runs.
                assert!(same == plain.body, "{accept} {coding}");
            }
        }
    }
    let stream = app.get_with("/v1/orders", &[("Accept", "application/x-ndjson"), ("Accept-Encoding", "gzip")]);
    let expected: String = (1..=2500).map(|number| order(number).1 + "\n").collect();
    assert_eq!(String::from_utf8(decoded(&stream)).unwrap(), expected);
}

#[test]
fn small_answers_problems_and_strangers_get_plain_ones() {
    let app = TestApp::start();
    app.stage_orders(100);
    let plain = |path: &str, fields: &[(&str, &str)]| {
        let mut all = vec![("Accept-Encoding", "gzip, br, zstd")];
        all.extend(fields);
        let answer = app.get_with(path, &all);
        assert_eq!(answer.field("content-encoding"), None, "{path} {fields:?}");
    };
    plain("/v1/orders/0001", &[]);
    plain(&format!("/v1/orders?colour={}", "x".repeat(2000)), &[]);
    plain("/v1/orders", &[("Sec-Fetch-Site", "cross-site")]);
    plain("/v1/orders", &[("Sec-Fetch-Site", "cross-site"), ("Origin", "https://evil.example")]);
    let own = [("Accept-Encoding", "gzip"), ("Sec-Fetch-Site", "same-origin")];
    assert_eq!(app.get_with("/v1/orders", &own).field("content-encoding"), Some("gzip"));
    // Who takes nothing plain gets nothing plain.
    let strict = app.get_with("/v1/orders/0001", &[("Accept-Encoding", "gzip, identity;q=0")]);
    assert_eq!((strict.field("content-encoding"), decoded(&strict)), (Some("gzip"), order(1).1.into_bytes()));
}

/// What was read is sent, before anything more is read.
#[test]
fn a_coded_stream_comes_page_by_page() {
    let app = TestApp::start();
    app.stage_orders(3000);
    let mut connection = app.connect();
    let bearer = format!("Bearer {}", app.key);
    let fields = [("Authorization", bearer.as_str()), ("Accept", "application/x-ndjson"), ("Accept-Encoding", "gzip")];
    connection.send(&request("GET", "/v1/orders", &fields, b""));
    let head = connection.receive(false).unwrap();
    assert_eq!(head.field("content-encoding"), Some("gzip"));
    let mut decoder = flate2::write::GzDecoder::new(Vec::new());
    let first = connection.chunk().unwrap();
    std::io::Write::write_all(&mut decoder, &first).unwrap();
    std::io::Write::flush(&mut decoder).unwrap();
    // All of the first page can be read from the first chunks.
    let mut plain = decoder.get_ref().len();
    let page: usize = (1..=500).map(|number| order(number).1.len() + 1).sum();
    let mut chunks = 1;
    while plain < page {
        std::io::Write::write_all(&mut decoder, &connection.chunk().unwrap()).unwrap();
        std::io::Write::flush(&mut decoder).unwrap();
        plain = decoder.get_ref().len();
        chunks += 1;
    }
    assert!(chunks <= 4 && plain <= page, "{chunks} chunks, {plain} of {page}");
}

/// Asking for the description takes no key, and coding it costs far more than asking.
#[test]
fn the_description_is_coded_for_everybody_no_more_than_so_often() {
    let app = TestApp::start();
    app.stage_orders(100);
    let plain = app.send_as_is("GET", "/openapi.json", &[], b"");
    let began = std::time::Instant::now();
    let mut coded = 0;
    for number in 0..200 {
        // Nor does it help to take nothing else.
        let wish = if number % 2 == 0 { "gzip" } else { "gzip, identity;q=0" };
        let answer = app.send_as_is("GET", "/openapi.json", &[("Accept-Encoding", wish)], b"");
        assert_eq!(answer.status, 200);
        let is_coded = answer.field("content-encoding").is_some();
        coded += u32::from(is_coded);
        assert!(if is_coded { decoded(&answer) == plain.body } else { answer.body == plain.body }, "{number}");
    }
    let most = 51 + 5 * began.elapsed().as_secs() as u32 + 5;
    assert!((50..=most).contains(&coded), "{coded} of {most}");
    // Whoever is known is not held to that.
    assert_eq!(app.get_with("/v1/orders", &[("Accept-Encoding", "gzip")]).field("content-encoding"), Some("gzip"));
}
