//! Cases of the conformance suite about single records that are found gone or written to.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tollbridge::record::{BlobId, ContentHash};
use tollbridge::staging::{
    AuditFilter, Begun, ChangeKind, Done, LiveAbsence, LiveRead, NewOperation, OperationState, OperationStep,
    RunOutcome, RunState, Staging,
};

use super::support::{Reading, document, id};

fn ago(seconds: i64) -> Timestamp {
    Timestamp::now() - SignedDuration::from_secs(seconds)
}

fn absence(key: &str, as_of: Timestamp) -> LiveAbsence {
    LiveAbsence { resource: id("orders.v1"), mapping: "m".to_owned(), key: key.to_owned(), as_of }
}

fn live(key: &str, payload: &str, as_of: Timestamp) -> LiveRead {
    LiveRead {
        resource: id("orders.v1"),
        mapping: "m".to_owned(),
        document: document(key, payload, 0),
        as_of,
        path: "live call".to_owned(),
        blob: BlobId([3; 32]),
        size: 9,
    }
}

async fn is_there(staging: &Arc<dyn Staging>, key: &str) -> bool {
    staging.document(&id("orders.v1"), key).await.unwrap().is_some()
}

/// A write that is done now; answers the operation's id. `told` is its record's key where only its answer says it.
async fn written(
    staging: &Arc<dyn Staging>,
    name: &str,
    key: Option<&str>,
    told: Option<&str>,
    can_look: bool,
) -> String {
    let new = NewOperation {
        resource: id("orders.v1"),
        name: name.to_owned(),
        client: "webshop".to_owned(),
        principal: "webshop".to_owned(),
        is_of_client: false,
        caller: "k1".to_owned(),
        idempotency_key: format!("{name}-{key:?}"),
        request_hash: ContentHash::of(b"{}"),
        record_key: key.map(str::to_owned),
        condition: None,
        within: None,
        request: "{}".to_owned(),
        backend: "erp".to_owned(),
        mapping: "m".to_owned(),
        is_parked: false,
    };
    let Begun::New(operation) = staging.begin_operation(new).await.unwrap() else { panic!("known") };
    let is_deleted = name == "delete";
    let done = Done { at: Timestamp::now(), key: told.map(str::to_owned), is_deleted, can_look };
    let step = OperationStep {
        from: &[OperationState::Received],
        to: OperationState::Succeeded,
        may_repeat: false,
        outcome: Some("{}".to_owned()),
        problem: None,
        done: Some(done),
    };
    assert!(staging.advance_operation(&operation.id, step).await.unwrap());
    operation.id
}

pub(super) async fn what_its_backend_has_not_is_deleted(staging: Arc<dyn Staging>) {
    let orders = id("orders.v1");
    let mut reading = Reading::begin(&staging, "orders.v1").await;
    reading.stage(&[("A", "{\"a\":1}"), ("B", "{\"b\":1}")]).await;
    staging.finish_run(&reading.run, RunOutcome::Succeeded).await.unwrap();
    // Asked before it was staged: that says nothing.
    assert!(!staging.stage_absence(absence("A", ago(60))).await.unwrap());
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    let asked_at = Timestamp::now();
    assert!(staging.stage_absence(absence("A", asked_at)).await.unwrap());
    assert!(!is_there(&staging, "A").await && is_there(&staging, "B").await);
    assert!(staging.tombstone(&orders, "A").await.unwrap().is_some());
    assert_eq!(staging.status(&orders).await.unwrap().documents, 1);
    let last = staging.feed(&orders, 0, 10).await.unwrap().changes.pop().unwrap();
    assert_eq!((last.kind, last.key.as_str(), last.input), (ChangeKind::Deleted, "A", None));
    let run = staging.run(&last.run).await.unwrap().unwrap();
    assert_eq!((run.trigger.as_str(), run.state, run.balance.deleted), ("live", RunState::Succeeded, 1));
    assert!(run.balance.holds());
    // A second look, and one at a key that never was, find nothing to do.
    assert!(!staging.stage_absence(absence("A", Timestamp::now())).await.unwrap());
    assert!(!staging.stage_absence(absence("Z", Timestamp::now())).await.unwrap());
    // A call that began before brings nothing back; one that began later does.
    assert!(!staging.stage_live_read(live("A", "{\"a\":1}", ago(30))).await.unwrap());
    assert!(staging.stage_live_read(live("A", "{\"a\":2}", Timestamp::now())).await.unwrap());
    assert!(is_there(&staging, "A").await);
}

pub(super) async fn an_older_reading_does_not_bring_back_what_is_deleted(staging: Arc<dyn Staging>) {
    let orders = id("orders.v1");
    let mut reading = Reading::begin(&staging, "orders.v1").await;
    reading.stage(&[("A", "{\"a\":1}"), ("B", "{\"b\":1}")]).await;
    staging.finish_run(&reading.run, RunOutcome::Succeeded).await.unwrap();
    // The next one has asked, and what it has read is not there yet.
    let since = Timestamp::now();
    let id_of_delete = written(&staging, "delete", Some("A"), None, true).await;
    written(&staging, "delete", Some("B"), None, false).await;
    let last = staging.feed(&orders, 0, 10).await.unwrap().changes;
    assert_eq!(last[2].run.to_string(), id_of_delete);
    assert_eq!(staging.run(&last[2].run).await.unwrap().unwrap().trigger, "operation");
    let mut reading = Reading::of_file(&staging, &orders, "in/ORD2.DAT", BlobId([8; 32])).await;
    staging.finish_run(&reading.run, RunOutcome::Failed("for another".to_owned())).await.unwrap();
    reading.run = staging.begin_run_since(&orders, "schedule", "m", since).await.unwrap();
    let committed = reading.stage(&[("A", "{\"a\":1}"), ("B", "{\"b\":1}"), ("C", "{}")]).await;
    // Of B nobody could be asked: the source is believed.
    assert_eq!((committed.balance.staged, committed.balance.skipped), (2, 1));
    assert!(committed.balance.holds() && !is_there(&staging, "A").await && is_there(&staging, "B").await);
    staging.finish_run(&reading.run, RunOutcome::Succeeded).await.unwrap();
    // It is asked for once more: it is there, or it is not.
    assert_eq!(staging.doubted(10).await.unwrap(), [(orders.clone(), "A".to_owned())]);
    assert!(!staging.stage_absence(absence("A", Timestamp::now())).await.unwrap());
    assert_eq!(staging.doubted(10).await.unwrap(), []);
    // What is read later is believed.
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    let mut reading = Reading::of_file(&staging, &orders, "in/ORD3.DAT", BlobId([9; 32])).await;
    assert_eq!(reading.stage(&[("A", "{\"a\":3}")]).await.balance.staged, 1);
    assert!(is_there(&staging, "A").await);
}

pub(super) async fn a_write_makes_what_was_said_before_outdated(staging: Arc<dyn Staging>) {
    let orders = id("orders.v1");
    Reading::begin(&staging, "orders.v1").await;
    assert!(staging.stage_live_read(live("A", "{\"a\":1}", Timestamp::now())).await.unwrap());
    let is_outdated = async || staging.live_document(&orders, "A").await.unwrap().unwrap().is_outdated;
    assert!(!is_outdated().await);
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    // Its key is known by its answer only.
    written(&staging, "create", None, Some("A"), true).await;
    assert!(is_outdated().await);
    let is_written =
        async |must_differ| staging.is_written_since_read(&orders, "A", "another", must_differ).await.unwrap();
    assert!(is_written(true).await && is_written(false).await);
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    assert!(staging.note_live_read(&orders, "A", ContentHash::of(b"{\"a\":1}"), Timestamp::now()).await.unwrap());
    assert!(!is_outdated().await && !is_written(true).await && !is_written(false).await);
    // Writes have an audit of their own.
    let audit = async |is_of_writes| {
        staging.audit(&AuditFilter { is_of_writes, limit: 9, ..AuditFilter::default() }).await.unwrap()
    };
    let [entry] = &audit(true).await[..] else { panic!("one entry") };
    assert_eq!((entry.author.as_str(), entry.reason.as_str()), ("webshop", "create orders.v1/A at erp"));
    assert_eq!(audit(false).await, []);
    assert_eq!(staging.purge_audit_of_writes(Timestamp::now() + SignedDuration::from_secs(1)).await.unwrap(), 1);
    assert_eq!(audit(true).await, []);
}
