//! Dead letters of sources that are read a part at a time: a row is one letter, and none when it is mended.

use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;
use tollbridge::record::{BlobId, Document, Reject, RejectCode};
use tollbridge::staging::{Batch, DeadLetter, DeadLetterFilter, DeadLetterState, SourcePosition, Staging};

use super::support::{Reading, block_on, document, id, open, reject};

/// Commits a part of the source, an input of its own; no two of its records have one key.
async fn part(staging: &Arc<dyn Staging>, number: u8, documents: Vec<Document>, rejects: Vec<Reject>) {
    let path = format!("part {number}");
    let mut reading = Reading::of_file(staging, &id("items.v1"), &path, BlobId([number; 32])).await;
    reading.checkpoint.offset = 0;
    let source = Some(SourcePosition { text: format!("{{\"part\":{number}}}") });
    let batch = Batch { source, is_keyed: true, ..reading.batch(documents, rejects, 0) };
    staging.commit(batch).await.unwrap();
    staging.finish_run(&reading.run, tollbridge::staging::RunOutcome::Succeeded).await.unwrap();
}

fn bad(key: &str, code: RejectCode, field: &str, offset: u64) -> Reject {
    Reject { key: Some(key.to_owned()), field: Some(field.to_owned()), ..reject(code, offset) }
}

async fn letters(staging: &Arc<dyn Staging>, state: DeadLetterState) -> Vec<DeadLetter> {
    let filter = DeadLetterFilter { state: Some(state), limit: usize::MAX, ..DeadLetterFilter::default() };
    staging.dead_letters(&filter).await.unwrap()
}

async fn prepared(path: &Path) -> Arc<dyn Staging> {
    let staging = open(path);
    staging.prepare(&super::support::spec(&id("items.v1"), &[])).await.unwrap();
    staging
}

#[test]
fn a_row_is_one_letter_whatever_is_at_fault_with_it() {
    let folder = tempfile::tempdir().unwrap();
    block_on(async {
        let staging = prepared(&folder.path().join("staging.db")).await;
        part(
            &staging,
            1,
            vec![],
            vec![bad("a", RejectCode::BadType, "qty", 0), bad("b", RejectCode::BadType, "qty", 10)],
        )
        .await;
        part(&staging, 2, vec![], vec![bad("a", RejectCode::BadDate, "due", 0)]).await;
        let open = letters(&staging, DeadLetterState::Open).await;
        let found: Vec<_> = open.iter().map(|letter| (letter.reject.key.as_deref(), letter.reject.code)).collect();
        assert_eq!(found, [(Some("b"), RejectCode::BadType), (Some("a"), RejectCode::BadDate)]);
        assert_eq!((open[1].attempts, open[1].blob), (2, BlobId([2; 32])));
        part(&staging, 3, vec![document("a", "{}", 0)], vec![]).await;
        let open = letters(&staging, DeadLetterState::Open).await;
        assert_eq!(open.iter().map(|letter| letter.reject.key.as_deref()).collect::<Vec<_>>(), [Some("b")]);
    });
}

/// Versions before this one left a letter for each fault that a row ever had.
#[test]
fn letters_that_an_older_version_left_of_one_row_become_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("staging.db");
    let doubled = |key: &str| {
        let sql = format!(
            "insert into dead_letter select null, resource, run, file, zeroblob(32), \"offset\", subject, record, length, \
             line, 'value.bad_date', 'due', span_offset, span_length, expected, found, key, state, created_at, resolved_at, \
             attempts, raw, randomblob(16) from dead_letter where key = '{key}'"
        );
        assert_eq!(Connection::open(&path).unwrap().execute(&sql, []).unwrap(), 1);
    };
    block_on(async {
        let staging = prepared(&path).await;
        part(
            &staging,
            1,
            vec![],
            vec![bad("a", RejectCode::BadType, "qty", 0), bad("b", RejectCode::BadType, "qty", 10)],
        )
        .await;
        doubled("a");
        doubled("b");
        assert_eq!(letters(&staging, DeadLetterState::Open).await.len(), 4);
        // Found again it is one, mended it is none.
        part(&staging, 2, vec![document("b", "{}", 10)], vec![bad("a", RejectCode::BadType, "qty", 0)]).await;
        let open = letters(&staging, DeadLetterState::Open).await;
        assert_eq!(open.iter().map(|letter| letter.reject.key.as_deref()).collect::<Vec<_>>(), [Some("a")]);
        assert_eq!(letters(&staging, DeadLetterState::Replayed).await.len(), 3);
        part(&staging, 3, vec![document("a", "{}", 0)], vec![]).await;
        assert!(letters(&staging, DeadLetterState::Open).await.is_empty());
    });
}

/// A table whose every row was bad, as after a wrong mapping: whichever rows come first, each that is mended is closed.
#[test]
fn what_is_mended_is_closed_however_many_letters_wait() {
    const ROWS: u64 = 12_000;
    let folder = tempfile::tempdir().unwrap();
    block_on(async {
        let staging = prepared(&folder.path().join("staging.db")).await;
        let key = |row: u64| format!("{row:05}");
        let rejects = (0..ROWS).map(|row| bad(&key(row), RejectCode::BadType, "qty", 10 * row)).collect();
        part(&staging, 1, vec![], rejects).await;
        let mended =
            |rows: std::ops::Range<u64>| rows.map(|row| document(&key(row), "{}", 10 * row)).collect::<Vec<_>>();
        // The last first, few and many; then all of them at once.
        part(&staging, 2, mended(ROWS - 3..ROWS), vec![]).await;
        assert_eq!(letters(&staging, DeadLetterState::Open).await.len() as u64, ROWS - 3);
        part(&staging, 3, mended(500..1000), vec![]).await;
        assert_eq!(letters(&staging, DeadLetterState::Open).await.len() as u64, ROWS - 503);
        part(&staging, 4, mended(0..ROWS), vec![]).await;
        assert_eq!(letters(&staging, DeadLetterState::Open).await.len(), 0);
    });
}
