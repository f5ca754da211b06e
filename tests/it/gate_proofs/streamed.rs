//! Answers that are read while they come: whoever leaves in their middle, and answers that break off there.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tollbridge::adapters::soap::{Config, Request, SECTION, Service, Trouble, Version};
use tollbridge::diagnostic::{Faults, SourceText, Table, parse};
use tollbridge::gate::{self, Gate, Lane};

use crate::support::erp::{Erp, Manner, Settings};

fn service(erp: &Erp) -> Arc<Service> {
    let faults = Faults::new();
    let text = format!("endpoint = \"{}\"", erp.url());
    let root = parse(&SourceText::new(Path::new("tollbridge.toml"), text), &faults);
    let table = Table::new(&root, &SECTION, &faults).unwrap();
    Arc::new(Service::new(Config::read(&table, Path::new("/")).unwrap()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaving_in_the_middle_and_half_an_answer() {
    let erp = Erp::start(Settings { note: 400_000, ..Settings::default() });
    let service = service(&erp);
    let settings = gate::Config {
        max_in_flight: 8,
        queue: 1000,
        queue_timeout: Duration::from_secs(60),
        settle: Duration::from_millis(300),
        breaker: gate::Breaker { failures: 0, ..gate::Breaker::default() },
        ..gate::Config::default()
    };
    let gate = Gate::new("erp", settings, None);
    let calls: Vec<_> = (0..60)
        .map(|number| {
            let (service, gate) = (Arc::clone(&service), Arc::clone(&gate));
            tokio::spawn(async move {
                let permit = gate.acquire(Lane::Interactive, Some(Duration::from_secs(60))).await.unwrap();
                let envelope = format!(
                    "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body><GetOrder xmlns=\"urn:erp\">\
                     <OrderNo>{number}</OrderNo></GetOrder></s:Body></s:Envelope>"
                );
                let request =
                    Request { envelope: Bytes::from(envelope), action: "GetOrder".into(), addressing_action: "".into(), version: Version::V11, is_one_way: false, attachments: Vec::new(), is_package: false, trouble: Trouble::default(), is_strict: false };
                let mut answer = service.stream(permit, request).await.ok()?;
                let mut bytes = 0;
                while let Some(piece) = answer.next().await {
                    bytes += piece.ok()?.len();
                    // A third leaves with the first piece in the hand.
                    if number % 3 == 0 {
                        return None;
                    }
                }
                Some(bytes)
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(250)).await;
    erp.set(Manner { half_a_body: true, ..Manner::default() });
    tokio::time::sleep(Duration::from_millis(150)).await;
    erp.set(Manner::default());
    let mut whole = 0;
    for call in calls {
        if let Some(bytes) = call.await.unwrap() {
            // What was read to an end is all of it.
            assert!(bytes > 400_000, "{bytes}");
            whole += 1;
        }
    }
    let trace = erp.at_rest();
    assert!(trace.most <= 8 && trace.most_by_the_clock() <= 8, "{} at work", trace.most);
    assert_eq!((trace.calls.len(), trace.halts), (60, 0));
    assert!((1..=40).contains(&whole), "{whole}");
    let patience = std::time::Instant::now() + Duration::from_secs(30);
    loop {
        let status = gate.status();
        if status.active.iter().sum::<usize>() == 0 && status.lingering == 0 {
            assert!(status.high_water <= 8);
            return;
        }
        assert!(std::time::Instant::now() < patience, "{status:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
