//! Answers that are read while they come; and their place at the gate, which is kept until they are over.

use std::io::{Read, Write};
use std::time::Duration;

use tollbridge::adapters::soap::{Leniency, Request, SoapError, Streamed, Version};

use super::raw::{Raw, Say, http};
use super::{Door, request, spyne};
use crate::support::soap::SoapServer;

const HEAD: &str = "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body><r>";
const TAIL: &str = "</r></s:Body></s:Envelope>";

fn question() -> Request {
    request(Version::V11, "urn:op", "<q/>")
}

/// An envelope of about so many bytes.
fn large(bytes: usize) -> String {
    let mut text = HEAD.to_owned();
    let mut number = 0;
    while text.len() < bytes {
        text.push_str(&format!("<o n=\"{number}\">M\u{fc}ller &amp; S\u{f6}hne</o>"));
        number += 1;
    }
    text + TAIL
}

async fn all(mut streamed: Streamed) -> (Vec<u8>, Option<SoapError>) {
    let mut bytes = Vec::new();
    while let Some(piece) = streamed.next().await {
        match piece {
            Ok(piece) => bytes.extend_from_slice(&piece),
            Err(error) => return (bytes, Some(error)),
        }
    }
    (bytes, None)
}

async fn streamed(door: &Door) -> Result<Streamed, SoapError> {
    door.service.stream(door.permit().await, question()).await
}

fn pieces(body: &[u8], fields: &str, at: usize, between: Duration) -> Say {
    let whole = http("200 OK", fields, body);
    Say::Pieces(vec![whole[..at].to_vec(), whole[at..].to_vec()], between)
}

#[tokio::test]
async fn an_answer_is_read_while_it_comes() {
    let text = large(20 << 20);
    let raw = Raw::saying(pieces(text.as_bytes(), "Content-Type: text/xml\r\n", 5 << 20, Duration::from_millis(1500)));
    let door = Door::to(&raw.url(), "max_answer_mib = 1\nmax_stream_mib = 64");
    let began = std::time::Instant::now();
    let mut answer = streamed(&door).await.unwrap();
    let first = answer.next().await.unwrap().unwrap();
    assert!(began.elapsed() < Duration::from_millis(1400), "the first piece came when all was there");
    assert!(text.as_bytes().starts_with(&first) && first.len() < 1 << 20, "{}", first.len());
    assert_eq!(door.gate.status().active.iter().sum::<usize>(), 1);
    let (rest, error) = all(answer).await;
    assert!(error.is_none(), "{error:?}");
    assert!([&first[..], &rest].concat() == text.as_bytes());
    door.rests().await;

    // By a thread of its own.
    let answer = streamed(&door).await.unwrap();
    let read = tokio::task::spawn_blocking(move || {
        let mut read = String::new();
        answer.into_reader().read_to_string(&mut read).map(|_| read)
    });
    assert!(read.await.unwrap().unwrap() == text);
}

#[tokio::test]
async fn compressed_and_in_other_encodings() {
    let text = large(3 << 20);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    let latin: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    let wide: Vec<u8> = format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let declared = [b"<?xml version='1.0' encoding='latin1'?>".as_slice(), &latin].concat();
    let junk = format!("Notice: x\n{text}");
    for (body, fields, leniencies) in [
        (gzip.clone(), "Content-Type: text/xml\r\nContent-Encoding: gzip\r\n", &[][..]),
        (gzip, "Content-Type: text/xml\r\n", &[Leniency::Compressed]),
        (latin, "Content-Type: text/xml; charset=iso-8859-1\r\n", &[]),
        (declared, "Content-Type: text/xml\r\n", &[]),
        (wide, "Content-Type: text/xml\r\n", &[]),
        (junk.into_bytes(), "", &[Leniency::Junk, Leniency::ContentType]),
        (text.clone().into_bytes(), "Content-Type: text/xml; charset=iso-8859-1\r\n", &[Leniency::Encoding]),
    ] {
        let raw = Raw::saying(Say::Bytes(http("200 OK", fields, &body)));
        let door = Door::to(&raw.url(), "");
        let answer = streamed(&door).await.unwrap();
        assert_eq!(answer.leniencies, leniencies, "{fields}");
        let (read, error) = all(answer).await;
        assert!(error.is_none(), "{fields}: {error:?}");
        assert!(read == text.as_bytes(), "{fields}: {}", String::from_utf8_lossy(&read[..200]));
        // Nothing of what is odd is given out where nothing odd is taken.
        let strict = Request { is_strict: true, ..question() };
        match (door.service.stream(door.permit().await, strict).await, leniencies) {
            (Ok(answer), []) => drop(all(answer).await),
            (Err(SoapError::Odd { found }), [_, ..]) => assert!(!found.is_empty(), "{fields}"),
            (result, _) => panic!("{fields}: {:?}", result.err()),
        }
        // The service has answered, and is not at work any more.
        door.rests().await;
    }
}

#[tokio::test]
async fn small_answers_parts_and_faults() {
    let server = SoapServer::spyne(&[]);
    let door = Door::to(&server.url("mtom"), "");
    let permit = door.permit().await;
    let answer = door.service.stream(permit, spyne("GetDocument", "<Size>200000</Size>")).await.unwrap();
    assert_eq!(answer.parts.get("cid:part+1@orders.example").unwrap().content.len(), 200_000);
    assert!(String::from_utf8(all(answer).await.0).unwrap().contains(":Include"));
    let door = Door::to(&server.url("soap11"), "");
    let missing = spyne("GetOrder", "<Number>99</Number>");
    match door.service.stream(door.permit().await, missing).await {
        Err(SoapError::Fault(fault)) => assert_eq!((fault.code.as_str(), fault.status), ("Client.NotFound", 500)),
        other => panic!("{:?}", other.err()),
    }
    let raw = Raw::saying(Say::Bytes(http("200 OK", "", &[b"<html>".as_slice(), &vec![b' '; 1 << 20]].concat())));
    let error = streamed(&Door::to(&raw.url(), "")).await.err().unwrap();
    assert!(error.to_string().contains("a page of HTML"), "{error}");
    door.rests().await;
}

#[tokio::test]
async fn half_an_answer_is_none_and_keeps_its_place() {
    let text = large(2 << 20);
    let whole = http("200 OK", "", text.as_bytes());
    let raw = Raw::saying(Say::Bytes(whole[..1 << 20].to_vec()));
    let door = Door::to(&raw.url(), "");
    let (read, error) = all(streamed(&door).await.unwrap()).await;
    assert!(matches!(error, Some(SoapError::Cut { .. } | SoapError::Lost { .. })), "{error:?}");
    assert!(text.as_bytes().starts_with(&read));
    // Nobody knows whether the service goes on.
    assert_eq!(door.gate.status().lingering, 1);
    door.rests().await;
    let answer = streamed(&door).await.unwrap();
    let read = tokio::task::spawn_blocking(move || answer.into_reader().read_to_end(&mut Vec::new()));
    assert_eq!(read.await.unwrap().unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);

    // One that goes silent.
    let raw = Raw::saying(pieces(text.as_bytes(), "", 1 << 20, Duration::from_secs(20)));
    let door = Door::to(&raw.url(), "timeout = \"300ms\"\nlate = \"0s\"");
    let (_, error) = all(streamed(&door).await.unwrap()).await;
    assert!(matches!(error, Some(SoapError::Silent { .. })), "{error:?}");

    // One that is too long, and one whose end is damaged.
    let raw = Raw::saying(Say::Bytes(whole));
    let (_, error) = all(streamed(&Door::to(&raw.url(), "max_stream_mib = 1")).await.unwrap()).await;
    assert!(matches!(error, Some(SoapError::TooLarge { limit: 1_048_576 })), "{error:?}");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    let mut gzip = gzip.finish().unwrap();
    gzip.truncate(gzip.len() - 9);
    let raw = Raw::saying(Say::Bytes(http("200 OK", "Content-Encoding: gzip\r\n", &gzip)));
    let (_, error) = all(streamed(&Door::to(&raw.url(), "")).await.unwrap()).await;
    assert!(error.is_some_and(|error| error.to_string().contains("cannot be unpacked")));
}

#[tokio::test]
async fn whoever_leaves_frees_no_place() {
    let text = large(8 << 20);
    let raw = Raw::saying(pieces(text.as_bytes(), "", 4 << 20, Duration::from_secs(2)));
    let door = Door::with_cap(&raw.url(), "", 1);
    let mut answer = streamed(&door).await.unwrap();
    assert!(answer.next().await.unwrap().is_ok());
    let left = std::time::Instant::now();
    drop(answer);
    // The next waits for the place until the service has said all.
    let permit = door.permit().await;
    assert!(left.elapsed() > Duration::from_millis(1200), "a place was free after {:?}", left.elapsed());
    drop(permit);
    assert_eq!(door.gate.status().lingering, 0);
    assert_eq!(door.gate.status().high_water, 1);
}

/// A service that stands still before its answer begins, or in the middle of it, is left alone before the calls are over: as many
/// in a row as it has places have run past their time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_stands_still_is_left_alone_while_its_answers_are_waited_for() {
    let never = Duration::from_secs(3600);
    let text = large(200 << 10);
    for (is_begun, pieces) in [
        (false, Say::Pieces(vec![Vec::new(), b"HTTP/1.1 200 OK\r\n\r\n".to_vec()], never)),
        (true, pieces(text.as_bytes(), "Content-Type: text/xml\r\n", 150 << 10, never)),
    ] {
        let raw = Raw::saying(pieces);
        let door = Door::with_cap(&raw.url(), "timeout = \"300ms\"\nlate = \"1h\"", 3);
        let mut streams = Vec::new();
        for _ in 0..3 {
            let (service, permit) = (std::sync::Arc::clone(&door.service), door.permit().await);
            streams.push(tokio::spawn(async move {
                match service.stream(permit, question()).await {
                    Ok(answer) => all(answer).await.1,
                    Err(error) => Some(error),
                }
            }));
        }
        let patience = tokio::time::Instant::now() + Duration::from_secs(60);
        while door.gate.status().breaker.as_str() != "open" {
            assert!(tokio::time::Instant::now() < patience, "begun: {is_begun}: {:?}", door.gate.status());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // What has not begun is waited for all the same: the service is at work.
        if !is_begun {
            assert!(streams.iter().all(|stream| !stream.is_finished()));
            continue;
        }
        for stream in streams {
            assert!(matches!(stream.await.unwrap(), Some(SoapError::Silent { .. })));
        }
    }
}

/// An answer that begins late is too late for its gate, and is read all the same.
#[tokio::test]
async fn an_answer_that_begins_too_late_is_read_and_told_to_the_gate() {
    let text = large(200 << 10);
    let whole = http("200 OK", "Content-Type: text/xml\r\n", text.as_bytes());
    let raw = Raw::saying(Say::Pieces(vec![Vec::new(), whole], Duration::from_secs(1)));
    let door = Door::with_cap(&raw.url(), "timeout = \"100ms\"\nlate = \"1h\"", 1);
    let (service, permit) = (std::sync::Arc::clone(&door.service), door.permit().await);
    let streaming = tokio::spawn(async move { service.stream(permit, question()).await });
    let patience = tokio::time::Instant::now() + Duration::from_secs(60);
    while door.gate.status().lingering == 0 && !streaming.is_finished() {
        assert!(tokio::time::Instant::now() < patience, "{:?}", door.gate.status());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(door.gate.status().lingering, 1, "its time is over, and it holds its place");
    let (read, error) = all(streaming.await.unwrap().unwrap()).await;
    assert!(error.is_none() && read == text.as_bytes(), "{error:?}");
    door.rests().await;
}

/// What stands behind an envelope that came piece by piece is found as well, and is not given out.
#[tokio::test]
async fn junk_behind_a_large_answer_is_found() {
    let (text, small) = (large(300 << 10), large(1 << 10));
    let notices = "Notice: x\n".repeat(50_000);
    for (text, behind, is_junk) in [
        (&text, "", false),
        (&text, "\r\n  ", false),
        (&text, "\n<!-- served by x -->\n", false),
        (&text, "<script>x</script>", true),
        (&text, &text, true),
        (&text, &notices, true),
        // What is more than the envelope itself.
        (&small, &notices, true),
        (&small, &" ".repeat(200 << 10), false),
    ] {
        let raw =
            Raw::saying(Say::Bytes(http("200 OK", "Content-Type: text/xml\r\n", format!("{text}{behind}").as_bytes())));
        let door = Door::to(&raw.url(), "");
        let answer = streamed(&door).await.unwrap();
        let late = answer.late();
        assert_eq!((answer.leniencies.len(), late.leniency()), (0, None));
        let (read, error) = all(answer).await;
        assert!(error.is_none() && read == text.as_bytes(), "{error:?}");
        assert_eq!(late.leniency(), is_junk.then_some(Leniency::Junk));
        // What is given out by then is taken back where nothing odd is taken.
        let strict = Request { is_strict: true, ..question() };
        let (_, error) = all(door.service.stream(door.permit().await, strict).await.unwrap()).await;
        match (error, is_junk) {
            (Some(SoapError::Odd { found }), true) => {
                assert!(found.contains("before or behind its envelope"), "{found}")
            }
            (None, false) => {}
            (error, _) => panic!("{error:?}"),
        }
        door.rests().await;
    }
}

/// An answer that does not say how long it is: in chunks, which may end anywhere, compressed or not.
#[tokio::test]
async fn answers_come_in_chunks() {
    let text = large(200 << 10);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    for (body, fields) in [(text.clone().into_bytes(), ""), (gzip.finish().unwrap(), "Content-Encoding: gzip\r\n")] {
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nConnection: close\r\n{fields}Transfer-Encoding: chunked\r\n\r\n"
        );
        let mut whole = head.into_bytes();
        for chunk in body.chunks(997) {
            whole.extend_from_slice(format!("{:x};note=1\r\n", chunk.len()).as_bytes());
            whole.extend_from_slice(chunk);
            whole.extend_from_slice(b"\r\n");
        }
        let cut = whole[..whole.len() - 2].to_vec();
        whole.extend_from_slice(b"0\r\nX-Trailer: 1\r\n\r\n");
        let half = whole.len() / 2;
        let raw =
            Raw::saying(Say::Pieces(vec![whole[..half].to_vec(), whole[half..].to_vec()], Duration::from_millis(20)));
        let door = Door::to(&raw.url(), "");
        let (read, error) = all(streamed(&door).await.unwrap()).await;
        assert!(error.is_none() && read == text.as_bytes(), "{fields}: {error:?}");
        assert!(door.ask(&question()).await == text, "{fields}");
        // One that ends without its last chunk is not whole.
        let door = Door::to(&Raw::saying(Say::Bytes(cut)).url(), "");
        let (_, error) = all(streamed(&door).await.unwrap()).await;
        assert!(matches!(error, Some(SoapError::Cut { .. })), "{fields}: {error:?}");
        assert!(matches!(door.call(&question()).await, Err(SoapError::Cut { .. })), "{fields}");
    }
}
