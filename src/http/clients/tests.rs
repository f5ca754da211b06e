//! Clients and their budgets, without sockets.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::{Client, ClientConfig, Clients, ClientsConfig, MANY, Rate};
use crate::gate::{self, Gate, Priority, Refused};
use crate::http::Reason;
use crate::telemetry::Metrics;
use tokio_util::sync::CancellationToken;

fn settings(rate: &str, weight: u32) -> ClientConfig {
    ClientConfig { rate: Some(Rate::parse(rate).unwrap()), weight, ..ClientConfig::default() }
}

fn clients(sections: &[(&str, ClientConfig)]) -> ClientsConfig {
    ClientsConfig::new(sections.iter().map(|(name, config)| ((*name).to_owned(), config.clone())))
}

fn service(config: ClientsConfig) -> Clients {
    Clients::new(config, Arc::new(Metrics::new()), CancellationToken::new())
}

/// How many of `count` requests are let through.
fn good(client: &Client, count: usize) -> usize {
    (0..count).filter(|_| client.ask().is_ok()).count()
}

#[test]
fn each_client_has_a_budget_of_its_own() {
    let clients = service(clients(&[("webshop", settings("1/h burst 3", 2)), ("default", settings("1/h burst 2", 1))]));
    assert_eq!(good(&clients.of("webshop"), 9), 3);
    assert_eq!((good(&clients.of("crm"), 9), good(&clients.of("bi"), 9)), (2, 2));
    // The same name is the same client.
    assert!(Arc::ptr_eq(&clients.of("crm"), &clients.of("crm")));
    assert_eq!(good(&clients.of("crm"), 9), 0);
    assert_eq!(clients.of("webshop").weight, 2);
}

#[test]
fn without_a_rate_there_is_no_end() {
    let clients = service(ClientsConfig::default());
    let client = clients.of("crm");
    assert!((0..10_000).all(|_| client.ask() == Ok(None)));
}

#[test]
fn a_reload_forgets_nothing_that_was_used() {
    let all = service(clients(&[("webshop", settings("1/h burst 10", 1))]));
    let generation = all.generation();
    let before = all.of("webshop");
    assert_eq!(good(&before, 4), 4);

    // Another weight, the same rate: one budget, for those too who still have the client as it was.
    all.reconfigure(clients(&[("webshop", ClientConfig { priority: Priority::High, ..settings("1/h burst 10", 7) })]));
    let after = all.of("webshop");
    assert_ne!(all.generation(), generation);
    assert_eq!((after.weight, after.priority), (7, Priority::High));
    assert_eq!(good(&before, 2), 2);
    assert_eq!(good(&after, 9), 4);

    // Another rate: less what was used.
    all.reconfigure(clients(&[("webshop", settings("1/h burst 13", 1))]));
    assert_eq!(good(&all.of("webshop"), 9), 3);
    // No section any more: as all others.
    all.reconfigure(ClientsConfig::default());
    assert_eq!(all.of("webshop").ask(), Ok(None));
    let status = &all.status(9)[0];
    assert_eq!((status.name.as_str(), status.configured, status.requests_total), ("webshop", false, 4 + 2 + 9 + 9 + 1));
}

#[test]
fn a_reload_under_load_gives_nothing_away() {
    let configs =
        [clients(&[("webshop", settings("1/h burst 500", 1))]), clients(&[("webshop", settings("1/h burst 500", 2))])];
    let all = service(configs[0].clone());
    let taken: usize = std::thread::scope(|scope| {
        let callers: Vec<_> =
            (0..4).map(|_| scope.spawn(|| (0..1000).filter(|_| all.of("webshop").ask().is_ok()).count())).collect();
        for round in 0..200 {
            all.reconfigure(configs[round % 2].clone());
        }
        callers.into_iter().map(|caller| caller.join().unwrap()).sum()
    });
    assert_eq!(taken, 500);
}

#[test]
fn a_million_idle_clients_are_not_kept() {
    let all = service(clients(&[("webshop", settings("1/h burst 10", 1))]));
    assert_eq!(good(&all.of("webshop"), 3), 3);
    for number in 0..1_000_000 {
        assert!(all.of(&format!("key {number}")).ask().is_ok());
    }
    let known = all.state.lock().known.len();
    assert!(known <= MANY + 1, "{known}");
    assert_eq!(good(&all.of("webshop"), 10), 7);
}

#[test]
fn who_has_used_something_is_not_forgotten() {
    let all = service(clients(&[("default", settings("1/h burst 2", 1))]));
    let first = all.of("key 0");
    assert_eq!(good(&first, 2), 2);
    drop(first);
    for number in 0..3 * MANY {
        assert!(all.of(&format!("key {number}")).ask().is_ok() == (number != 0), "{number}");
    }
    assert_eq!(good(&all.of("key 0"), 1), 0);
    // Weighed when all of a million keys of the database call within the hour.
    assert!(size_of::<Client>() <= 128, "{}", size_of::<Client>());
}

#[test]
fn a_refusal_says_why_and_until_when() {
    let client = Client::new("web \"shop\"", &settings("2/m burst 1", 1));
    assert!(client.ask().is_ok());
    let problem = client.over_its_rate(client.ask().unwrap_err());
    assert_eq!((problem.reason(), problem.refusal()), (Reason::RateLimited, Some("rate")));
    assert!(problem.detail().contains("2/m burst 1"), "{}", problem.detail());
    let response = problem.into_response("/v1", "id");
    assert_eq!(response.headers()["retry-after"], "30");
    let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
    assert_eq!((body["reason"].as_str(), body["code"].as_str()), (Some("rate"), Some("rate-limited")));
}

#[test]
fn failed_logins_share_one_modest_budget() {
    let all = service(ClientsConfig::default());
    let answers: Vec<_> =
        (0..1000).map(|_| all.failed_login(Reason::Unauthenticated.because("no key"), None, None)).collect();
    let told = answers.iter().filter(|problem| problem.reason() == Reason::Unauthenticated).count();
    assert!((200..260).contains(&told), "{told}");
    assert_eq!(answers.last().and_then(|problem| problem.refusal()), Some("failed_logins"));
}

#[tokio::test]
async fn a_client_brings_its_bound_to_a_gate() {
    let client = Client::new("bulk", &ClientConfig { max_in_flight: Some(1), ..ClientConfig::default() });
    let gate = Gate::new("erp", gate::Config::default(), None);
    let held = gate.admit(client.at_gate()).await.unwrap();
    assert_eq!(gate.admit(client.at_gate()).await.err(), Some(Refused::ClientBusy));
    drop(held);
    assert!(gate.admit(client.at_gate()).await.is_ok());
}

/// In what order a busy gate serves twelve calls of each of two clients.
async fn served(one: ClientConfig, other: ClientConfig) -> Vec<Arc<str>> {
    let config = gate::Config { max_in_flight: 1, queue_timeout: Duration::from_secs(60), ..gate::Config::default() };
    let gate = Gate::new("erp", config, None);
    let held = gate.admit(Client::new("first", &ClientConfig::default()).at_gate()).await.unwrap();
    let (one, other) = (Client::new("one", &one), Client::new("other", &other));
    let order = Arc::new(Mutex::new(Vec::new()));
    let calls: Vec<_> = (0..12)
        .flat_map(|_| [&one, &other])
        .map(|client| {
            let (gate, ask, name, order) = (gate.clone(), client.at_gate(), client.name.clone(), order.clone());
            tokio::spawn(async move {
                let permit = gate.admit(ask).await.unwrap();
                order.lock().push(name);
                permit.begin().answered();
            })
        })
        .collect();
    while gate.status().queued.iter().sum::<usize>() < 24 {
        tokio::task::yield_now().await;
    }
    drop(held);
    for call in calls {
        call.await.unwrap();
    }
    Arc::into_inner(order).unwrap().into_inner()
}

#[tokio::test]
async fn a_client_brings_its_weight_and_priority_to_a_gate() {
    let of_one = |order: &[Arc<str>]| order.iter().filter(|name| &***name == "one").count();
    let weight = |weight| ClientConfig { weight, ..ClientConfig::default() };
    assert_eq!(of_one(&served(weight(3), weight(1)).await[..8]), 6);
    assert_eq!(of_one(&served(weight(1), weight(1)).await[..8]), 4);
    let priority = |priority| ClientConfig { priority, ..ClientConfig::default() };
    assert_eq!(of_one(&served(priority(Priority::Low), priority(Priority::High)).await[..8]), 0);
}
