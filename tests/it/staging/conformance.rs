//! What every staging has to do, told against `dyn Staging`; `suite` runs it.

use std::sync::Arc;

use jiff::Timestamp;
use tollbridge::record::{BlobId, RejectCode};
use tollbridge::staging::{
    Balance, Batch, Change, ChangeInput, Checkpoint, ColumnType, Comparison, DeadLetterFilter, DeadLetterState, FileId,
    FileSequence, FileState, Filter, ListQuery, NewApiKey, RunId, RunOutcome, RunState, Scalar, SortKey, Staging,
    StagingError, Total,
};

use super::support::{Reading, at, document, id, reject, spec};

fn text(payload: &[u8]) -> &str {
    std::str::from_utf8(payload).unwrap()
}

fn letters(state: Option<DeadLetterState>) -> DeadLetterFilter {
    DeadLetterFilter { state, limit: 100, ..DeadLetterFilter::default() }
}

/// The input of a change that has one.
fn input(change: &Change) -> &ChangeInput {
    change.input.as_ref().unwrap()
}

pub(super) async fn every_question_about_an_unknown_resource_says_so(staging: Arc<dyn Staging>) {
    let nobody = id("nobody.v1");
    let unknown = |result: Result<(), StagingError>| {
        assert!(matches!(&result, Err(StagingError::UnknownResource(id)) if *id == nobody), "{result:?}");
    };
    unknown(staging.document(&nobody, "1").await.map(drop));
    unknown(staging.list(&nobody, ListQuery { limit: 1, ..ListQuery::default() }).await.map(drop));
    unknown(staging.feed(&nobody, 0, 1).await.map(drop));
    unknown(staging.history(&nobody, "1").await.map(drop));
    unknown(staging.status(&nobody).await.map(drop));
    unknown(staging.begin_run(&nobody, "command", "m").await.map(drop));
    unknown(staging.note_checked(&nobody).await);
    unknown(staging.claim_file(&nobody, "f", 1, BlobId([0; 32])).await.map(drop));
    unknown(staging.file(&nobody, "f", 1, BlobId([0; 32])).await.map(drop));
    unknown(staging.runs(Some(&nobody), 1).await.map(drop));
    unknown(staging.files(Some(&nobody), 1).await.map(drop));
    unknown(staging.files_to_feed(&nobody, &nobody, 0, false).await.map(drop));
    unknown(staging.dead_letter_counts(&nobody).await.map(drop));
    assert!(staging.runs(None, 9).await.unwrap().is_empty());
    staging.ping().await.unwrap();
}

pub(super) async fn documents_are_new_then_unchanged_then_changed(staging: Arc<dyn Staging>) {
    let before = Timestamp::now();
    let mut reading = Reading::begin(&staging, "orders.v1").await;
    let first = reading.stage(&[("2", r#"{"n":2}"#), ("1", r#"{"n":1}"#)]).await;
    assert_eq!(first.balance, Balance { read: 2, staged: 2, ..Balance::default() });
    assert_eq!(first.sequence, 2);

    let second = reading.stage(&[("1", r#"{"n":1}"#), ("2", r#"{"n":22}"#), ("3", r#"{"n":3}"#)]).await;
    assert_eq!(second.balance, Balance { read: 3, staged: 2, unchanged: 1, ..Balance::default() });
    assert_eq!(second.sequence, 4);

    let orders = &reading.resource.clone();
    let two = staging.document(orders, "2").await.unwrap().unwrap();
    assert_eq!((text(&two.payload), two.version), (r#"{"n":22}"#, 2));
    assert_eq!(two.hash, document("2", r#"{"n":22}"#, 0).hash);
    assert!(two.changed_at.as_second() >= before.as_second() && two.changed_at <= Timestamp::now());
    assert_eq!(two.as_of, None);
    assert_eq!(staging.document(orders, "1").await.unwrap().unwrap().version, 1);
    assert_eq!(staging.document(orders, "4").await.unwrap(), None);

    // Two versions of one key within a batch: both are in the feed, in the order of the file.
    let third =
        reading.stage(&[("9", r#"{"n":"a"}"#), ("5", "{}"), ("9", r#"{"n":"b"}"#), ("9", r#"{"n":"b"}"#)]).await;
    assert_eq!(third.balance, Balance { read: 4, staged: 3, unchanged: 1, ..Balance::default() });
    assert_eq!(text(&staging.document(orders, "9").await.unwrap().unwrap().payload), r#"{"n":"b"}"#);

    let changes = staging.feed(orders, 0, 100).await.unwrap().changes;
    let sequences: Vec<u64> = changes.iter().map(|change| change.sequence).collect();
    assert_eq!(sequences, (1..=7).collect::<Vec<u64>>());
    let of_nine: Vec<(u64, u64)> =
        changes.iter().filter(|change| change.key == "9").map(|c| (c.version, input(c).position.offset)).collect();
    assert_eq!(of_nine, [(1, 50), (2, 70)]);
    assert!(changes.iter().all(|change| change.run == reading.run
        && input(change).path == "in/ORD1.DAT"
        && input(change).blob == reading.blob));

    assert_eq!(staging.feed(orders, 5, 1).await.unwrap().changes[0].sequence, 6);
    assert!(staging.feed(orders, 7, 100).await.unwrap().changes.is_empty());
    assert!(staging.feed(orders, u64::MAX, 100).await.unwrap().changes.is_empty());

    let history = staging.history(orders, "2").await.unwrap();
    let versions: Vec<u64> = history.iter().map(|change| change.version).collect();
    assert_eq!(versions, [2, 1]);
    assert_eq!(input(&history[0]).position, at(30));
    assert_eq!(input(&history[1]).position, at(0));
    assert_eq!(history[1].hash, document("2", r#"{"n":2}"#, 0).hash);
    assert!(staging.history(orders, "4").await.unwrap().is_empty());

    let status = staging.status(orders).await.unwrap();
    assert_eq!((status.documents, status.sequence, status.dead_letters, status.as_of), (5, 7, 0, None));
    let run = staging.run(&reading.run).await.unwrap().unwrap();
    assert_eq!(run.balance, Balance { read: 9, staged: 7, unchanged: 2, ..Balance::default() });
}

pub(super) async fn resources_do_not_see_each_other(staging: Arc<dyn Staging>) {
    let mut orders = Reading::begin(&staging, "orders.v1").await;
    orders.stage(&[("1", r#"{"of":"orders"}"#)]).await;
    let mut newer = Reading::begin(&staging, "orders.v2").await;
    newer.stage(&[("1", r#"{"of":"newer"}"#), ("2", "{}")]).await;
    assert_eq!(text(&staging.document(&orders.resource, "1").await.unwrap().unwrap().payload), r#"{"of":"orders"}"#);
    assert_eq!(staging.status(&orders.resource).await.unwrap().sequence, 1);
    assert_eq!(staging.status(&newer.resource).await.unwrap().sequence, 2);
    assert_eq!(staging.runs(Some(&newer.resource), 9).await.unwrap().len(), 1);
    assert_eq!(staging.runs(None, 9).await.unwrap().len(), 2);
    assert_eq!(staging.files(Some(&orders.resource), 9).await.unwrap().len(), 1);
}

pub(super) async fn a_batch_that_does_not_fit_is_refused_whole(staging: Arc<dyn Staging>) {
    let mut reading = Reading::begin(&staging, "orders.v1").await;
    reading.stage(&[("1", "{}"), ("2", "{}")]).await;
    let other = Reading::begin(&staging, "others.v1").await;
    let next = || reading.batch(vec![document("3", "{}", 20)], vec![reject(RejectCode::BadSign, 30)], 1);

    let mut backwards = next();
    backwards.checkpoint = Checkpoint { offset: 10, records: 1, line: 1 };
    let mut fewer_records = next();
    fewer_records.checkpoint.records = 1;
    let mut other_file = next();
    other_file.file = other.file;
    let mut other_content = next();
    other_content.blob = BlobId([9; 32]);
    for batch in [backwards, fewer_records, other_file, other_content] {
        let refused = staging.commit(batch).await.unwrap_err();
        assert!(matches!(refused, StagingError::OutOfStep { .. }), "{refused}");
    }
    let mut no_file = next();
    no_file.file = FileId(999);
    assert!(matches!(staging.commit(no_file).await, Err(StagingError::UnknownFile(FileId(999)))));
    let mut no_run = next();
    no_run.run = RunId("nobody".to_owned());
    assert!(matches!(staging.commit(no_run).await, Err(StagingError::NotRunning(_))));
    let mut run_of_another = next();
    run_of_another.run = other.run.clone();
    assert!(matches!(staging.commit(run_of_another).await, Err(StagingError::NotRunning(_))));

    let mut last = next();
    last.file_state = FileState::Staged;
    staging.commit(last).await.unwrap();
    let finished = staging.commit(next()).await.unwrap_err();
    assert!(matches!(&finished, StagingError::OutOfStep { reason, .. } if reason.contains("staged")), "{finished}");
    staging.finish_run(&reading.run, RunOutcome::Succeeded).await.unwrap();
    assert!(matches!(staging.commit(next()).await, Err(StagingError::NotRunning(_))));
    assert!(matches!(staging.finish_run(&reading.run, RunOutcome::Succeeded).await, Err(StagingError::NotRunning(_))));

    let status = staging.status(&reading.resource).await.unwrap();
    assert_eq!((status.documents, status.sequence, status.dead_letters), (3, 3, 1));
    let balance = staging.run(&reading.run).await.unwrap().unwrap().balance;
    assert_eq!(balance, Balance { read: 5, staged: 3, unchanged: 0, dead: 1, skipped: 1, ..Balance::default() });
}

pub(super) async fn a_file_is_known_by_path_size_and_content(staging: Arc<dyn Staging>) {
    let mut reading = Reading::begin(&staging, "orders.v1").await;
    let orders = reading.resource.clone();
    let (path, blob) = ("in/ORD1.DAT", reading.blob);
    let entry = staging.file(&orders, path, 1000, blob).await.unwrap().unwrap();
    assert_eq!((entry.id, entry.state, entry.checkpoint), (reading.file, FileState::Claimed, Checkpoint::default()));
    assert_eq!(staging.file(&orders, path, 1001, blob).await.unwrap(), None);
    assert_eq!(staging.file(&orders, path, 1000, BlobId([8; 32])).await.unwrap(), None);
    assert_eq!(staging.file(&orders, "other", 1000, blob).await.unwrap(), None);

    reading.stage(&[("1", "{}")]).await;
    let again = staging.claim_file(&orders, path, 1000, blob).await.unwrap();
    assert_eq!((again.id, again.checkpoint), (reading.file, Checkpoint { offset: 10, records: 1, line: 1 }));
    assert_eq!(again.claimed_at, entry.claimed_at);

    let mut last = reading.batch(vec![], vec![], 1);
    last.file_state = FileState::Staged;
    staging.commit(last).await.unwrap();
    let finished = staging.claim_file(&orders, path, 1000, blob).await.unwrap();
    assert_eq!(finished.state, FileState::Staged);
    assert!(finished.finished_at.is_some());
    assert_eq!(staging.run(&reading.run).await.unwrap().unwrap().files, 1);

    staging.reopen_file(reading.file).await.unwrap();
    let reopened = staging.claim_file(&orders, path, 1000, blob).await.unwrap();
    assert_eq!(
        (reopened.state, reopened.checkpoint, reopened.finished_at),
        (FileState::Claimed, Checkpoint::default(), None)
    );
    assert!(matches!(staging.reopen_file(FileId(999)).await, Err(StagingError::UnknownFile(_))));

    let second = staging.claim_file(&orders, path, 2000, blob).await.unwrap();
    let ledger: Vec<FileId> = staging.files(None, 9).await.unwrap().iter().map(|entry| entry.id).collect();
    assert_eq!(ledger, [second.id, reading.file]);
    assert_eq!(staging.files(Some(&orders), 1).await.unwrap().len(), 1);
}

pub(super) async fn a_file_has_a_number_that_counts_once_it_is_staged(staging: Arc<dyn Staging>) {
    let first = Reading::begin(&staging, "orders.v1").await;
    let orders = first.resource.clone();
    let second = staging.claim_file(&orders, "in/ORD2.DAT", 1000, BlobId([8; 32])).await.unwrap().id;
    let other = Reading::begin(&staging, "other.v1").await;
    let known = async |file| staging.file_sequence(&orders, file).await.unwrap();
    let sequence = |own, previous| FileSequence { own, previous };
    assert_eq!(known(first.file).await, sequence(None, None));
    staging.note_file_sequence(first.file, 41).await.unwrap();
    staging.note_file_sequence(other.file, 99).await.unwrap();
    assert_eq!(known(first.file).await, sequence(Some(41), None));
    // Nothing of it is staged yet.
    assert_eq!(known(second).await, sequence(None, None));
    for reading in [&first, &other] {
        let batch = Batch { file_state: FileState::Staged, ..reading.batch(vec![], vec![], 1) };
        staging.commit(batch).await.unwrap();
    }
    assert_eq!(known(second).await, sequence(None, Some(41)));
    assert_eq!(known(first.file).await, sequence(Some(41), None));
    staging.note_file_sequence(first.file, 42).await.unwrap();
    assert_eq!(known(second).await, sequence(None, Some(42)));
    let unknown = staging.note_file_sequence(FileId(999), 1).await;
    assert!(matches!(unknown, Err(StagingError::UnknownFile(_))));
}

pub(super) async fn runs_are_closed_by_their_end_or_by_the_next(staging: Arc<dyn Staging>) {
    let mut crashed = Reading::begin(&staging, "orders.v1").await;
    crashed.stage(&[("1", "{}")]).await;
    let orders = crashed.resource.clone();
    let good = staging.begin_run(&orders, "schedule", "hash").await.unwrap();

    let interrupted = staging.run(&crashed.run).await.unwrap().unwrap();
    assert_eq!((interrupted.state, interrupted.balance.staged), (RunState::Interrupted, 1));
    assert!(interrupted.finished_at.is_some() && interrupted.error.is_some());
    assert!(matches!(staging.commit(crashed.batch(vec![], vec![], 1)).await, Err(StagingError::NotRunning(_))));

    let open = staging.run(&good).await.unwrap().unwrap();
    assert_eq!((open.state, open.trigger.as_str(), open.mapping.as_str()), (RunState::Running, "schedule", "hash"));
    assert_eq!((open.finished_at, open.error.as_ref()), (None, None));
    assert_eq!(staging.status(&orders).await.unwrap().as_of, None);
    let closed = staging.finish_run(&good, RunOutcome::Succeeded).await.unwrap();
    assert_eq!(closed.state, RunState::Succeeded);
    let as_of = staging.status(&orders).await.unwrap().as_of;
    assert_eq!(as_of, closed.finished_at);
    assert_eq!(staging.document(&orders, "1").await.unwrap().unwrap().as_of, as_of);

    let bad = staging.begin_run(&orders, "command", "hash").await.unwrap();
    let failed = staging.finish_run(&bad, RunOutcome::Failed("the file changed".to_owned())).await.unwrap();
    assert_eq!((failed.state, failed.error.as_deref()), (RunState::Failed, Some("the file changed")));
    let replay = staging.begin_run(&orders, "replay", "hash").await.unwrap();
    staging.finish_run(&replay, RunOutcome::Succeeded).await.unwrap();
    assert_eq!(staging.status(&orders).await.unwrap().as_of, as_of, "neither says anything of the source");

    std::thread::sleep(std::time::Duration::from_millis(3));
    staging.note_checked(&orders).await.unwrap();
    assert!(staging.status(&orders).await.unwrap().as_of > as_of);

    let newest: Vec<RunId> = staging.runs(Some(&orders), 3).await.unwrap().into_iter().map(|run| run.id).collect();
    assert_eq!(newest, [replay, bad, good]);
    assert_eq!(staging.run(&RunId("nobody".to_owned())).await.unwrap(), None);
}

pub(super) async fn a_resource_is_locked_by_one_run(staging: Arc<dyn Staging>) {
    let (orders, stock) = (id("orders.v1"), id("stock.v1"));
    let held = staging.lock_run(&orders).await.unwrap();
    assert!(matches!(staging.lock_run(&orders).await, Err(StagingError::Locked(id)) if id == orders));
    let other = staging.lock_run(&stock).await.unwrap();
    drop(held);
    drop(staging.lock_run(&orders).await.unwrap());
    drop(other);
}

pub(super) async fn a_bad_record_is_one_dead_letter(staging: Arc<dyn Staging>) {
    let mut reading = Reading::begin(&staging, "orders.v1").await;
    let bad = reject(RejectCode::BadSign, 10);
    let committed = reading.commit(vec![document("1", "{}", 0)], vec![bad.clone()], 2).await;
    assert_eq!(
        committed.balance,
        Balance { read: 4, staged: 1, unchanged: 0, dead: 1, skipped: 2, ..Balance::default() }
    );

    let listed = staging.dead_letters(&letters(None)).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert!(listed[0].reject.raw.is_empty(), "a list does not carry raw bytes");
    let letter = staging.dead_letter(listed[0].id).await.unwrap().unwrap();
    assert_eq!(letter.reject, bad);
    assert_eq!((letter.state, letter.attempts, letter.resolved_at), (DeadLetterState::Open, 1, None));
    assert_eq!((&letter.run, letter.file, letter.blob), (&reading.run, reading.file, reading.blob));
    assert_eq!((letter.path.as_str(), &letter.resource), ("in/ORD1.DAT", &reading.resource));

    // Read again by a full run, with another finding.
    staging.reopen_file(reading.file).await.unwrap();
    let mut again = Reading::of_file(&staging, &reading.resource, "in/ORD1.DAT", reading.blob).await;
    let mut other = reject(RejectCode::BadDigit, 10);
    (other.field, other.field_span) = (None, None);
    again.commit(vec![], vec![other.clone()], 0).await;
    let letter = staging.dead_letter(letter.id).await.unwrap().unwrap();
    assert_eq!((&letter.reject, letter.attempts, &letter.run), (&other, 2, &again.run));
    assert_eq!(staging.dead_letter_counts(&reading.resource).await.unwrap(), [(RejectCode::BadDigit, 1)]);

    assert!(staging.resolve_dead_letter(letter.id, DeadLetterState::Discarded).await.unwrap());
    assert!(!staging.resolve_dead_letter(letter.id, DeadLetterState::Replayed).await.unwrap(), "it is closed");
    assert!(!staging.resolve_dead_letter(999, DeadLetterState::Discarded).await.unwrap());
    let closed = staging.dead_letter(letter.id).await.unwrap().unwrap();
    assert_eq!(closed.state, DeadLetterState::Discarded);
    assert!(closed.resolved_at.is_some());
    assert_eq!(staging.status(&reading.resource).await.unwrap().dead_letters, 0);

    // Found again by the run that it was discarded under: stays discarded. By a later one: opened again.
    again.commit(vec![], vec![other.clone()], 0).await;
    assert_eq!(staging.dead_letter(letter.id).await.unwrap().unwrap().state, DeadLetterState::Discarded);
    staging.reopen_file(reading.file).await.unwrap();
    let mut later = Reading::of_file(&staging, &reading.resource, "in/ORD1.DAT", reading.blob).await;
    later.commit(vec![], vec![other], 0).await;
    let opened = staging.dead_letter(letter.id).await.unwrap().unwrap();
    assert_eq!((opened.state, opened.resolved_at, opened.attempts), (DeadLetterState::Open, None, 4));
    assert_eq!(staging.dead_letter(999).await.unwrap(), None);
}

pub(super) async fn dead_letters_are_found_by_each_mark(staging: Arc<dyn Staging>) {
    let mut orders = Reading::begin(&staging, "orders.v1").await;
    let rejects = vec![reject(RejectCode::BadSign, 0), reject(RejectCode::Blank, 10), reject(RejectCode::Blank, 20)];
    orders.commit(vec![], rejects, 0).await;
    let mut stock = Reading::begin(&staging, "stock.v1").await;
    stock.blob = BlobId([3; 32]);
    stock.file = staging.claim_file(&stock.resource, "in/STOCK", 5, stock.blob).await.unwrap().id;
    stock.commit(vec![], vec![reject(RejectCode::Blank, 0)], 0).await;
    let newest = staging.dead_letters(&letters(None)).await.unwrap();
    staging.resolve_dead_letter(newest[1].id, DeadLetterState::Replayed).await.unwrap();

    let count = async |filter: DeadLetterFilter| staging.dead_letters(&filter).await.unwrap().len();
    assert_eq!(newest.iter().map(|letter| letter.reject.position.offset).collect::<Vec<_>>(), [0, 20, 10, 0]);
    assert_eq!(count(letters(Some(DeadLetterState::Open))).await, 3);
    assert_eq!(count(letters(Some(DeadLetterState::Replayed))).await, 1);
    assert_eq!(count(DeadLetterFilter { code: Some(RejectCode::Blank), ..letters(None) }).await, 3);
    assert_eq!(count(DeadLetterFilter { blob: Some(stock.blob), ..letters(None) }).await, 1);
    assert_eq!(count(DeadLetterFilter { limit: 2, ..letters(None) }).await, 2);
    let all = DeadLetterFilter {
        resource: Some(orders.resource.clone()),
        state: Some(DeadLetterState::Open),
        code: Some(RejectCode::Blank),
        blob: Some(orders.blob),
        limit: 10,
        ..DeadLetterFilter::default()
    };
    assert_eq!(count(all).await, 1);
    let counts = staging.dead_letter_counts(&orders.resource).await.unwrap();
    assert_eq!(counts, [(RejectCode::BadSign, 1), (RejectCode::Blank, 1)]);
}

pub(super) async fn findings_about_one_place_stay_apart(staging: Arc<dyn Staging>) {
    let mut reading = Reading::begin(&staging, "orders.v1").await;
    let mut count_differs = reject(RejectCode::ControlTotal, 0);
    count_differs.field = Some("TRL-COUNT".to_owned());
    let mut sum_differs = count_differs.clone();
    sum_differs.field = Some("TRL-TOTAL".to_owned());
    let mut refused = reject(RejectCode::FileRefused, 0);
    refused.field = None;
    let rejects = vec![reject(RejectCode::Blank, 0), count_differs, sum_differs, refused];
    assert_eq!(reading.commit(vec![], rejects, 0).await.balance.dead, 4);
    assert_eq!(staging.dead_letters(&letters(None)).await.unwrap().len(), 4);

    // Read again and well: nothing of it is left open.
    staging.reopen_file(reading.file).await.unwrap();
    let again = Reading::of_file(&staging, &reading.resource, "in/ORD1.DAT", reading.blob).await;
    let mut last = again.batch(vec![document("1", "{}", 0)], vec![], 0);
    last.file_state = FileState::Staged;
    staging.commit(last).await.unwrap();
    assert_eq!(staging.dead_letters(&letters(Some(DeadLetterState::Replayed))).await.unwrap().len(), 4);
}

pub(super) async fn a_replay_settles_its_letter_and_leaves_the_file_alone(staging: Arc<dyn Staging>) {
    let mut reading = Reading::begin(&staging, "orders.v1").await;
    reading.commit(vec![], vec![reject(RejectCode::Blank, 0), reject(RejectCode::BadDate, 10)], 0).await;
    let mut last = reading.batch(vec![document("3", "{}", 20)], vec![], 0);
    last.file_state = FileState::Staged;
    staging.commit(last).await.unwrap();
    staging.finish_run(&reading.run, RunOutcome::Succeeded).await.unwrap();
    let before = staging.files(None, 1).await.unwrap();
    let open = staging.dead_letters(&letters(Some(DeadLetterState::Open))).await.unwrap();
    let (date, blank) = (open[0].id, open[1].id);

    let mut replay = Reading::of_file(&staging, &reading.resource, "in/ORD1.DAT", reading.blob).await;
    replay.checkpoint = Checkpoint::default();
    let mut batch = replay.batch(vec![document("1", r#"{"mended":true}"#, 0)], vec![], 0);
    batch.resolves = Some(blank);
    assert_eq!(staging.commit(batch).await.unwrap().balance, Balance { read: 1, staged: 1, ..Balance::default() });
    staging.retry_failed(date, &reject(RejectCode::Missing, 10)).await.unwrap();

    assert_eq!(staging.files(None, 1).await.unwrap(), before);
    assert_eq!(staging.dead_letter(blank).await.unwrap().unwrap().state, DeadLetterState::Replayed);
    let failed = staging.dead_letter(date).await.unwrap().unwrap();
    assert_eq!((failed.state, failed.attempts, failed.reject.code), (DeadLetterState::Open, 2, RejectCode::Missing));
    assert_eq!(failed.reject.raw, reject(RejectCode::BadDate, 10).raw, "what was read stays");
    assert!(staging.document(&reading.resource, "1").await.unwrap().is_some());
}

pub(super) async fn api_keys_are_found_by_hash_until_revoked(staging: Arc<dyn Staging>) {
    let key = |id: &str, byte: u8| NewApiKey {
        id: id.to_owned(),
        name: format!("name of {id}"),
        hash: [byte; 32],
        scopes: vec!["orders:read".to_owned(), "*".to_owned()],
        claims: [("customer".to_owned(), "4711".to_owned())].into(),
        expires_at: None,
    };
    let made = staging.add_api_key(key("a", 1)).await.unwrap();
    staging.add_api_key(key("b", 2)).await.unwrap();
    assert_eq!((made.id.as_str(), made.name.as_str(), made.revoked_at), ("a", "name of a", None));
    assert_eq!(made.scopes, ["orders:read", "*"]);
    assert!(staging.add_api_key(key("a", 3)).await.is_err());
    assert!(staging.add_api_key(key("c", 1)).await.is_err());
    assert_eq!(staging.api_key(&[1; 32]).await.unwrap(), Some(made));
    assert_eq!(staging.api_key(&[9; 32]).await.unwrap(), None);

    assert!(staging.revoke_api_key("a").await.unwrap());
    assert!(!staging.revoke_api_key("a").await.unwrap());
    assert!(!staging.revoke_api_key("nobody").await.unwrap());
    assert_eq!(staging.api_key(&[1; 32]).await.unwrap(), None);
    let keys = staging.api_keys().await.unwrap();
    assert_eq!(keys.iter().map(|key| key.id.as_str()).collect::<Vec<_>>(), ["b", "a"]);
    assert!(keys[1].revoked_at.is_some());
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
    let past = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(1);
    staging.add_api_key(NewApiKey { expires_at: Some(past), ..key("d", 4) }).await.unwrap();
    assert_eq!(staging.api_key(&[4; 32]).await.unwrap(), None);
    staging.note_key_used("b", past).await.unwrap();
    staging.note_key_used("b", past - jiff::SignedDuration::from_secs(5)).await.unwrap();
    let replaced = staging.replace_api_key("b", key("e", 5), soon).await.unwrap().unwrap();
    assert_eq!((replaced.id.as_str(), replaced.claims["customer"].as_str()), ("e", "4711"));
    let old = staging.api_key(&[2; 32]).await.unwrap().unwrap();
    let millis = |at: Option<jiff::Timestamp>| at.map(jiff::Timestamp::as_millisecond);
    assert_eq!((old.replaced_by.as_deref(), millis(old.expires_at)), (Some("e"), millis(Some(soon))));
    assert_eq!(millis(old.last_used_at), millis(Some(past)));
    // One that is not there, is revoked, has ended, or was replaced is not replaced, and nothing is stored.
    for id in ["nobody", "a", "d", "b"] {
        assert_eq!(staging.replace_api_key(id, key("f", 6), soon).await.unwrap(), None, "{id}");
    }
    assert_eq!(staging.api_keys().await.unwrap().len(), 4);
}

pub(super) const FIELDS: &[(&str, ColumnType)] = &[
    ("status", ColumnType::Text),
    ("customer.crm id", ColumnType::Text),
    ("count", ColumnType::Integer),
    ("weight", ColumnType::Number),
    ("amount", ColumnType::ScaledInteger { scale: 2 }),
    ("paid", ColumnType::Boolean),
];

/// Keys of the documents that match, in the order asked.
async fn keys(staging: &Arc<dyn Staging>, filters: Vec<Filter>, sort: &str) -> String {
    let criterion = |text: &str| {
        let path = text.trim_start_matches('-');
        SortKey { path: path.to_owned(), descending: path != text }
    };
    let sort = sort.split(',').filter(|text| !text.is_empty()).map(criterion).collect();
    let query = ListQuery { filters, sort, limit: 100, count: true, ..ListQuery::default() };
    let page = staging.list(&id("orders.v1"), query).await.unwrap();
    assert_eq!(page.total, Some(Total::Exact(page.rows.len() as u64)));
    let key = |payload: &[u8]| {
        serde_json::from_slice::<serde_json::Value>(payload).unwrap()["k"].as_str().unwrap().to_owned()
    };
    page.rows.iter().map(key).collect()
}

pub(super) fn filter(path: &str, comparison: Comparison, values: Vec<Scalar>) -> Filter {
    Filter { path: path.to_owned(), comparison, values }
}

pub(super) async fn six_orders(staging: &Arc<dyn Staging>) {
    staging.prepare(&spec(&id("orders.v1"), FIELDS)).await.unwrap();
    let blob = BlobId([1; 32]);
    let mut reading = Reading::of_file(staging, &id("orders.v1"), "f", blob).await;
    let row = |key: &'static str, rest: &str| (key, format!(r#"{{"k":"{key}",{rest}}}"#));
    let rows = [
        row("a", r#""status":"open","customer":{"crm id":"x1"},"count":3,"weight":1.5,"amount":"10.00","paid":true"#),
        row("b", r#""status":"closed","customer":{"crm id":"x2"},"count":-1,"weight":2,"amount":"9.99","paid":false"#),
        row("c", r#""status":null,"customer":null,"count":null,"weight":null,"amount":null,"paid":null"#),
        row("d", r#""status":"open","customer":{"crm id":"ä"},"count":3,"weight":0.10,"amount":"-0.05","paid":true"#),
        row(
            "e",
            r#""status":"opening","customer":{},"count":9007199254740993,"weight":1e3,"amount":"1234567890123456.78","paid":false"#,
        ),
        row("f", r#""customer":{"crm id":"X1"}"#),
    ];
    let rows: Vec<(&str, &str)> = rows.iter().map(|(key, payload)| (*key, payload.as_str())).collect();
    reading.stage(&rows).await;
}

pub(super) async fn lists_filter_by_every_operator_and_type(staging: Arc<dyn Staging>) {
    use Comparison::{Equal, Greater, GreaterOrEqual, In, Less, LessOrEqual, NotEqual, Prefix};
    six_orders(&staging).await;
    let text = |value: &str| Scalar::Text(value.to_owned());
    for (path, comparison, values, expected) in [
        ("status", Equal, vec![text("open")], "ad"),
        ("status", Equal, vec![Scalar::Null], "cf"),
        ("status", NotEqual, vec![text("open")], "bcef"),
        ("status", NotEqual, vec![Scalar::Null], "abde"),
        ("status", In, vec![text("closed"), text("opening")], "be"),
        ("status", In, vec![text("closed"), Scalar::Null], "bcf"),
        ("status", In, vec![], ""),
        ("status", Prefix, vec![text("open")], "ade"),
        ("status", Prefix, vec![text("")], "abde"),
        ("status", Equal, vec![text("x' OR 1=1 --")], ""),
        ("customer.crm id", Prefix, vec![text("x")], "ab"),
        ("customer.crm id", Greater, vec![text("x1")], "bd"),
        ("count", Equal, vec![Scalar::Integer(3)], "ad"),
        ("count", GreaterOrEqual, vec![Scalar::Integer(9007199254740993)], "e"),
        ("count", Less, vec![Scalar::Integer(3)], "b"),
        ("count", In, vec![Scalar::Integer(3), Scalar::Integer(-1)], "abd"),
        ("weight", LessOrEqual, vec![Scalar::Number(1.5)], "ad"),
        ("weight", Greater, vec![Scalar::Integer(1)], "abe"),
        ("weight", Equal, vec![Scalar::Number(0.1)], "d"),
        ("amount", Equal, vec![Scalar::Integer(1000)], "a"),
        ("amount", Less, vec![Scalar::Integer(999)], "d"),
        ("amount", GreaterOrEqual, vec![Scalar::Integer(123456789012345678)], "e"),
        ("paid", Equal, vec![Scalar::Integer(1)], "ad"),
        ("paid", NotEqual, vec![Scalar::Integer(1)], "bcef"),
    ] {
        let found = keys(&staging, vec![filter(path, comparison, values.clone())], "").await;
        assert_eq!(found, expected, "{path} {comparison:?} {values:?}");
    }
    let both = vec![filter("status", Equal, vec![text("open")]), filter("amount", Less, vec![Scalar::Integer(0)])];
    assert_eq!(keys(&staging, both, "").await, "d");
}

pub(super) async fn lists_sort_nulls_first_upwards_and_last_downwards(staging: Arc<dyn Staging>) {
    six_orders(&staging).await;
    for (sort, expected) in [
        ("", "abcdef"),
        ("status", "cfbade"),
        ("-status", "eadbcf"),
        ("amount", "cfdbae"),
        ("-count,status", "eadbcf"),
        ("paid,-weight", "cfebad"),
        ("-paid,weight", "dabecf"),
    ] {
        assert_eq!(keys(&staging, vec![], sort).await, expected, "{sort}");
    }
}

pub(super) async fn a_question_that_does_not_fit_is_refused(staging: Arc<dyn Staging>) {
    use Comparison::{Equal, Less, Prefix};
    six_orders(&staging).await;
    let orders = id("orders.v1");
    let base = ListQuery { limit: 1, ..ListQuery::default() };
    let undeclared = ListQuery { filters: vec![filter("k", Equal, vec![Scalar::Null])], ..base.clone() };
    assert!(
        matches!(staging.list(&orders, undeclared).await, Err(StagingError::UndeclaredField { path, .. }) if path == "k")
    );
    let sort = vec![SortKey { path: "payload; DROP TABLE resource".to_owned(), descending: false }];
    assert!(matches!(
        staging.list(&orders, ListQuery { sort, ..base.clone() }).await,
        Err(StagingError::UndeclaredField { .. })
    ));
    for filters in [
        vec![filter("count", Equal, vec![Scalar::Text("3".to_owned())])],
        vec![filter("status", Equal, vec![Scalar::Integer(3)])],
        vec![filter("status", Equal, vec![])],
        vec![filter("status", Less, vec![Scalar::Null])],
        vec![filter("count", Prefix, vec![Scalar::Integer(1)])],
        vec![filter("weight", Equal, vec![Scalar::Number(f64::NAN)])],
        vec![filter("count", Equal, vec![Scalar::Integer(1), Scalar::Integer(2)])],
    ] {
        let refused = staging.list(&orders, ListQuery { filters: filters.clone(), ..base.clone() }).await;
        assert!(matches!(refused, Err(StagingError::BadQuery { .. })), "{filters:?}");
    }
    for after in [vec![], vec![Scalar::Integer(1)], vec![Scalar::Null, Scalar::Text("a".to_owned())]] {
        let refused = staging.list(&orders, ListQuery { after: Some(after.clone()), ..base.clone() }).await;
        assert!(matches!(refused, Err(StagingError::BadQuery { .. })), "{after:?}");
    }
}

pub(super) async fn declared_fields_follow_the_mapping(staging: Arc<dyn Staging>) {
    let orders = id("orders.v1");
    six_orders(&staging).await;
    let ask = async |path: &str, value: Scalar| {
        let filters = vec![filter(path, Comparison::Equal, vec![value])];
        staging.list(&orders, ListQuery { filters, limit: 9, ..ListQuery::default() }).await.map(|page| page.rows.len())
    };
    staging.prepare(&spec(&orders, FIELDS)).await.unwrap();
    assert_eq!(ask("count", Scalar::Integer(3)).await.unwrap(), 2);

    // One field goes, one changes its type, one is new over rows that are there.
    let changed = [("status", ColumnType::Text), ("count", ColumnType::Text), ("k", ColumnType::Text)];
    staging.prepare(&spec(&orders, &changed)).await.unwrap();
    assert!(matches!(ask("paid", Scalar::Integer(1)).await, Err(StagingError::UndeclaredField { .. })));
    assert_eq!(ask("count", Scalar::Text("3".to_owned())).await.unwrap(), 2);
    assert_eq!(ask("k", Scalar::Text("e".to_owned())).await.unwrap(), 1);
    assert_eq!(staging.status(&orders).await.unwrap().documents, 6);

    staging.prepare(&spec(&orders, FIELDS)).await.unwrap();
    assert_eq!(ask("paid", Scalar::Integer(1)).await.unwrap(), 2);
}
