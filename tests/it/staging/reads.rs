//! Documents that are read from their backend one by one.

use jiff::Timestamp;
use tollbridge::record::{BlobId, ContentHash};
use tollbridge::staging::{FileState, LiveRead, RunState};

use super::support::{block_on, document, id, spec};

fn moment(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn read(key: &str, payload: &str, second: i64) -> LiveRead {
    LiveRead {
        resource: id("orders.v1"),
        mapping: "mapping".to_owned(),
        document: document(key, payload, 0),
        as_of: moment(second),
        path: "live call urn:x/Get".to_owned(),
        blob: BlobId([u8::try_from(second).unwrap(); 32]),
        size: 80,
    }
}

#[test]
fn a_document_is_as_of_when_its_backend_last_said_it() {
    let (staging, _alive) = super::support::sqlite();
    block_on(async {
        let orders = id("orders.v1");
        staging.prepare(&spec(&orders, &[])).await.unwrap();
        let (one, two) = (r#"{"a":1}"#, r#"{"a":2}"#);
        let hash = |payload: &str| ContentHash::of(payload.as_bytes());
        assert!(!staging.note_live_read(&orders, "A", hash(one), moment(1)).await.unwrap());
        assert_eq!(staging.live_document(&orders, "A").await.unwrap(), None);
        assert!(staging.stage_live_read(read("A", one, 10)).await.unwrap());
        let found = async || staging.live_document(&orders, "A").await.unwrap().unwrap();
        assert_eq!((found().await.payload.as_slice(), found().await.as_of), (one.as_bytes(), Some(moment(10))));

        // Said again: younger, and no new version. Something else is not noted.
        assert!(staging.note_live_read(&orders, "A", hash(one), moment(20)).await.unwrap());
        assert!(!staging.note_live_read(&orders, "A", hash(two), moment(30)).await.unwrap());
        assert_eq!((found().await.version, found().await.as_of), (1, Some(moment(20))));
        // A call that began before the one that was staged comes too late.
        assert!(!staging.stage_live_read(read("A", two, 15)).await.unwrap());
        assert!(staging.note_live_read(&orders, "A", hash(one), moment(12)).await.unwrap());
        assert_eq!((found().await.payload.as_slice(), found().await.as_of), (one.as_bytes(), Some(moment(20))));
        assert!(staging.stage_live_read(read("A", two, 25)).await.unwrap());
        assert!(staging.stage_live_read(read("A", one, 26)).await.unwrap());
        assert_eq!((found().await.version, found().await.as_of), (3, Some(moment(26))));
        // The resource as a whole was not looked at.
        assert_eq!(staging.document(&orders, "A").await.unwrap().unwrap().as_of, None);

        let history = staging.history(&orders, "A").await.unwrap();
        let origins: Vec<_> = history
            .iter()
            .map(|change| change.input.as_ref().unwrap())
            .map(|input| (input.path.as_str(), input.blob.0[0]))
            .collect();
        assert_eq!(origins, [("live call urn:x/Get", 26), ("live call urn:x/Get", 25), ("live call urn:x/Get", 10)]);
        let runs = staging.runs(Some(&orders), 10).await.unwrap();
        assert_eq!(runs.len(), 3);
        for run in runs {
            assert_eq!(
                (run.trigger.as_str(), run.state, run.balance.read, run.files),
                ("live", RunState::Succeeded, 1, 1)
            );
            assert!(run.balance.holds());
        }
        let files = staging.files(Some(&orders), 10).await.unwrap();
        assert!(files.iter().all(|file| file.state == FileState::Staged && file.checkpoint.records == 1), "{files:?}");
        assert_eq!(staging.unfinished_files(&orders).await.unwrap(), []);
    });
}
