//! Cases of the conformance suite about operations.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tollbridge::record::ContentHash;
use tollbridge::staging::{
    AuditFilter, Begun, NewOperation, Operation, OperationFilter, OperationState, OperationStep, Owner, Resolution,
    Staging,
};

use OperationState::{Failed, Parked, Received, Running, Succeeded, Unknown};

fn new(key: &str, request: &str) -> NewOperation {
    NewOperation {
        resource: "orders.v1".parse().unwrap(),
        name: "create".to_owned(),
        client: "webshop".to_owned(),
        principal: "webshop".to_owned(),
        is_of_client: false,
        caller: "k1".to_owned(),
        idempotency_key: key.to_owned(),
        request_hash: ContentHash::of(request.as_bytes()),
        record_key: None,
        condition: None,
        within: None,
        request: request.to_owned(),
        backend: "erp".to_owned(),
        mapping: "m".to_owned(),
        is_parked: false,
    }
}

fn step(from: &'static [OperationState], to: OperationState) -> OperationStep {
    OperationStep { from, to, may_repeat: false, outcome: None, problem: None, done: None }
}

async fn begun(staging: &Arc<dyn Staging>, key: &str) -> Operation {
    match staging.begin_operation(new(key, "{}")).await.unwrap() {
        Begun::New(operation) => operation,
        Begun::Known(known) => panic!("{known:?}"),
    }
}

async fn state(staging: &Arc<dyn Staging>, id: &str) -> OperationState {
    staging.operation(id).await.unwrap().unwrap().state
}

pub(super) async fn a_key_names_one_operation(staging: Arc<dyn Staging>) {
    let first = begun(&staging, "a").await;
    assert_eq!((first.state, first.attempts, first.asked.clone()), (Received, 0, new("a", "{}")));
    assert_eq!(staging.operation(&first.id).await.unwrap().as_ref(), Some(&first));
    assert_eq!(staging.operation("nobody").await.unwrap(), None);
    // Whatever is asked for under it.
    assert_eq!(staging.begin_operation(new("a", "{}")).await.unwrap(), Begun::Known(first.clone()));
    assert_eq!(staging.begin_operation(new("a", "[]")).await.unwrap(), Begun::Known(first.clone()));
    let of_key = async |principal: &str, name: &str| {
        let whose = Owner { client: "webshop", principal };
        let found = staging.operation_of_key(whose, &first.asked.resource, name, "a").await.unwrap();
        found.map(|operation| operation.id)
    };
    assert_eq!(of_key("webshop", "create").await.as_ref(), Some(&first.id));
    assert_eq!((of_key("crm", "create").await, of_key("webshop", "update").await), (None, None));
    // Of another caller, resource or operation it is another key.
    for other in [
        NewOperation { principal: "crm".to_owned(), within: Some("[]".to_owned()), ..new("a", "{}") },
        NewOperation { resource: "orders.v2".parse().unwrap(), ..new("a", "{}") },
        NewOperation { name: "cancel".to_owned(), record_key: Some("4711".to_owned()), ..new("a", "{}") },
    ] {
        match staging.begin_operation(other.clone()).await.unwrap() {
            Begun::New(made) => assert_eq!((made.asked, made.id == first.id), (other, false)),
            Begun::Known(known) => panic!("{known:?}"),
        }
    }
}

pub(super) async fn many_at_once_begin_one(staging: Arc<dyn Staging>) {
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let staging = Arc::clone(&staging);
            tokio::spawn(async move { staging.begin_operation(new("same", "{}")).await.unwrap() })
        })
        .collect();
    let (mut made, mut ids) = (0, Vec::new());
    for task in tasks {
        let (Begun::New(operation) | Begun::Known(operation), is_new) = match task.await.unwrap() {
            begun @ Begun::New(_) => (begun, 1),
            begun @ Begun::Known(_) => (begun, 0),
        };
        made += is_new;
        ids.push(operation.id);
    }
    ids.dedup();
    assert_eq!((made, ids.len()), (1, 1));
}

pub(super) async fn steps_are_taken_from_where_it_stands(staging: Arc<dyn Staging>) {
    let id = begun(&staging, "a").await.id;
    let take = async |step: OperationStep| staging.advance_operation(&id, step).await.unwrap();
    assert!(!take(step(&[Running], Succeeded)).await);
    assert_eq!(state(&staging, &id).await, Received);
    assert!(take(step(&[Received, Parked], Running)).await);
    assert!(!take(step(&[Received, Parked], Running)).await, "one of two begins it");
    assert!(take(step(&[Running], Received)).await && take(step(&[Received], Running)).await);
    let done = OperationStep { outcome: Some("{\"status\":200}".to_owned()), ..step(&[Running], Succeeded) };
    assert!(take(done).await);
    assert!(!take(step(&[Running, Unknown], Failed)).await, "what is over stays");
    let found = staging.operation(&id).await.unwrap().unwrap();
    assert_eq!((found.state, found.attempts, found.outcome.as_deref()), (Succeeded, 2, Some("{\"status\":200}")));
    assert!(found.changed_at >= found.created_at);
    assert!(!staging.advance_operation("nobody", step(&[Received], Running)).await.unwrap());
}

pub(super) async fn what_was_not_begun_may_be_tried_again(staging: Arc<dyn Staging>) {
    let first = begun(&staging, "a").await;
    let failed = OperationStep {
        may_repeat: true,
        problem: Some("{\"code\":\"backend-busy\"}".to_owned()),
        ..step(&[Received], Failed)
    };
    assert!(staging.advance_operation(&first.id, failed).await.unwrap());
    // Another request under the same key is a mistake all the same.
    match staging.begin_operation(new("a", "[]")).await.unwrap() {
        Begun::Known(known) => assert_eq!((known.state, known.may_repeat), (Failed, true)),
        Begun::New(made) => panic!("{made:?}"),
    }
    let again = begun(&staging, "a").await;
    assert_eq!((&again.id, again.state, again.may_repeat, &again.problem), (&first.id, Received, false, &None));
    // A failure that stands is the answer.
    let final_one = OperationStep { problem: Some("{}".to_owned()), ..step(&[Received], Failed) };
    assert!(staging.advance_operation(&first.id, final_one).await.unwrap());
    match staging.begin_operation(new("a", "{}")).await.unwrap() {
        Begun::Known(known) => assert_eq!((known.state, known.may_repeat), (Failed, false)),
        Begun::New(made) => panic!("{made:?}"),
    }
}

pub(super) async fn broken_calls_are_unknown_and_the_rest_is_seen_to(staging: Arc<dyn Staging>) {
    let (running, received) = (begun(&staging, "a").await.id, begun(&staging, "b").await.id);
    let parked = staging.begin_operation(NewOperation { is_parked: true, ..new("c", "{}") }).await.unwrap();
    let Begun::New(parked) = parked else { panic!("{parked:?}") };
    let over = begun(&staging, "d").await.id;
    for (id, to) in [(&running, Running), (&over, Succeeded)] {
        assert!(staging.advance_operation(id, step(&[Received], to)).await.unwrap());
    }
    let mut counts = staging.operation_counts().await.unwrap();
    counts.sort_by_key(|(state, _)| state.as_str());
    assert_eq!(counts, [(Parked, 1), (Received, 1), (Running, 1)]);
    assert_eq!(staging.recover_operations().await.unwrap(), 1);
    assert_eq!(staging.recover_operations().await.unwrap(), 0);
    let open: Vec<_> = staging.open_operations().await.unwrap().into_iter().map(|o| (o.id, o.state)).collect();
    assert_eq!(open, [(running.clone(), Unknown), (received, Received), (parked.id, Parked)]);

    let filter = |filter: OperationFilter| {
        let staging = Arc::clone(&staging);
        async move { staging.operations(&filter).await.unwrap().into_iter().map(|o| o.id).collect::<Vec<_>>() }
    };
    let unknown = OperationFilter { state: Some(Unknown), limit: 10, ..OperationFilter::default() };
    assert_eq!(filter(unknown).await, std::slice::from_ref(&running));
    let page = OperationFilter { limit: 1, before: Some(over.clone()), ..OperationFilter::default() };
    assert_eq!(filter(page).await.len(), 1);
    let other = OperationFilter { resource: Some("stock.v1".parse().unwrap()), limit: 9, ..OperationFilter::default() };
    assert!(filter(other).await.is_empty());
}

pub(super) async fn a_person_resolves_what_nobody_knows(staging: Arc<dyn Staging>) {
    let id = begun(&staging, "a").await.id;
    let resolution =
        |is_done| Resolution { id: id.clone(), is_done, author: "anna".to_owned(), reason: "looked it up".to_owned() };
    assert!(!staging.resolve_operation(&resolution(true), "{}").await.unwrap(), "it is not unknown");
    assert!(staging.advance_operation(&id, step(&[Received], Running)).await.unwrap());
    staging.recover_operations().await.unwrap();
    assert!(staging.resolve_operation(&resolution(false), "{\"code\":\"resolved\"}").await.unwrap());
    let found = staging.operation(&id).await.unwrap().unwrap();
    assert_eq!((found.state, found.may_repeat), (Failed, true));
    assert_eq!(found.problem.as_deref(), Some("{\"code\":\"resolved\"}"));
    let audit = staging.audit(&AuditFilter { limit: 5, ..AuditFilter::default() }).await.unwrap();
    let [entry] = audit.as_slice() else { panic!("{audit:?}") };
    let said = [&entry.author, &entry.action, &entry.subject, &entry.reason, &entry.before, &entry.after];
    let subject = format!("operations/{id}");
    let expected = ["anna", "resolve", &subject, "looked it up", "{\"state\":\"unknown\"}", "{\"state\":\"failed\"}"];
    assert_eq!(said.map(String::as_str), expected);
}

pub(super) async fn what_is_over_is_removed_in_time(staging: Arc<dyn Staging>) {
    let (over, open) = (begun(&staging, "a").await.id, begun(&staging, "b").await.id);
    assert!(staging.advance_operation(&over, step(&[Received], Succeeded)).await.unwrap());
    let (past, future) =
        (Timestamp::now() - SignedDuration::from_secs(60), Timestamp::now() + SignedDuration::from_secs(60));
    assert_eq!(staging.purge_operations(past).await.unwrap(), 0);
    assert_eq!(staging.purge_operations(future).await.unwrap(), 1);
    assert_eq!(staging.operation(&over).await.unwrap(), None);
    assert_eq!(state(&staging, &open).await, Received);
    assert_eq!(begun(&staging, "a").await.state, Received);
}
