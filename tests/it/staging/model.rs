//! Random batches against a model that is too simple to be wrong.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use tollbridge::record::{BlobId, ContentHash, Document, Reject, RejectCode, ResourceId};
use tollbridge::staging::{Balance, Checkpoint, DeadLetterFilter, DeadLetterState, RunOutcome, Staging};

use super::support::{Reading, at, block_on, document, id, reject, spec, sqlite};

/// A change as the feed must show it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) version: u64,
    pub(crate) hash: ContentHash,
    pub(crate) offset: u64,
}

/// A dead letter as it must stand.
#[derive(Clone, Debug, PartialEq)]
struct Letter {
    state: DeadLetterState,
    attempts: u32,
    run: usize,
}

/// What a staging must hold after the same commits.
#[derive(Clone, Default)]
pub(crate) struct Model {
    documents: BTreeMap<String, (Vec<u8>, u64)>,
    pub(crate) feed: Vec<Entry>,
    letters: BTreeMap<u64, Letter>,
    run: usize,
}

impl Model {
    pub(crate) fn commit(&mut self, documents: &[Document], rejects: &[Reject], skipped: u64) -> Balance {
        let mut balance = Balance { skipped, dead: rejects.len() as u64, ..Balance::default() };
        let mut sorted: Vec<&Document> = documents.iter().collect();
        sorted.sort_by_key(|document| document.key.clone());
        for document in sorted {
            let version = match self.documents.get(&document.key) {
                Some((payload, _)) if *payload == document.payload => {
                    balance.unchanged += 1;
                    continue;
                }
                Some((_, version)) => version + 1,
                None => 1,
            };
            balance.staged += 1;
            self.documents.insert(document.key.clone(), (document.payload.clone(), version));
            let (key, offset) = (document.key.clone(), document.position.offset);
            self.feed.push(Entry { key, version, hash: document.hash, offset });
        }
        for document in documents {
            if let Some(letter) = self.letters.get_mut(&document.position.offset)
                && letter.state == DeadLetterState::Open
            {
                letter.state = DeadLetterState::Replayed;
            }
        }
        for reject in rejects {
            let new = Letter { state: DeadLetterState::Open, attempts: 0, run: self.run };
            let letter = self.letters.entry(reject.position.offset).or_insert(new);
            letter.attempts += 1;
            if letter.run != self.run {
                (letter.run, letter.state) = (self.run, DeadLetterState::Open);
            }
        }
        balance.read = documents.len() as u64 + balance.dead + skipped;
        balance
    }

    /// Compares everything that can be asked.
    pub(crate) async fn assert_equals(&self, staging: &Arc<dyn Staging>, resource: &ResourceId) {
        let changes = staging.feed(resource, 0, usize::MAX).await.unwrap().changes;
        for (n, change) in changes.iter().enumerate() {
            assert_eq!(change.sequence, n as u64 + 1);
            let position = change.input.as_ref().unwrap().position;
            assert_eq!(position, at(position.offset));
        }
        let entry = |change: &tollbridge::staging::Change| Entry {
            key: change.key.clone(),
            version: change.version,
            hash: change.hash,
            offset: change.input.as_ref().unwrap().position.offset,
        };
        assert_eq!(changes.iter().map(entry).collect::<Vec<_>>(), self.feed);
        for (key, (payload, version)) in &self.documents {
            let found = staging.document(resource, key).await.unwrap().unwrap();
            assert_eq!((&found.payload, found.version), (payload, *version));
            assert_eq!(found.hash, ContentHash::of(payload));
            let history = staging.history(resource, key).await.unwrap();
            let expected: Vec<_> = changes.iter().rev().filter(|change| change.key == *key).cloned().collect();
            assert_eq!(history, expected);
        }
        let open = self.letters.values().filter(|letter| letter.state == DeadLetterState::Open).count();
        let status = staging.status(resource).await.unwrap();
        assert_eq!(status.documents, self.documents.len() as u64);
        assert_eq!(status.sequence, self.feed.len() as u64);
        assert_eq!(status.dead_letters, open as u64);
        let letters = staging.dead_letters(&of(resource)).await.unwrap();
        let found = letters.iter().map(|letter| (letter.reject.position.offset, (letter.state, letter.attempts)));
        let expected = self.letters.iter().map(|(offset, letter)| (*offset, (letter.state, letter.attempts)));
        assert_eq!(found.collect::<BTreeMap<_, _>>(), expected.collect::<BTreeMap<_, _>>());
        for run in staging.runs(Some(resource), usize::MAX).await.unwrap() {
            assert!(run.balance.holds(), "{run:?}");
        }
    }
}

fn of(resource: &ResourceId) -> DeadLetterFilter {
    DeadLetterFilter { resource: Some(resource.clone()), limit: usize::MAX, ..DeadLetterFilter::default() }
}

#[derive(Clone, Debug)]
enum Record {
    Good { key: u16, value: u8 },
    Bad,
    Skipped,
}

#[derive(Clone, Debug)]
enum Step {
    Commit(Vec<Record>),
    /// A full run reads the file again from its beginning.
    StartOver,
    /// A person discards a letter.
    Discard(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let record = prop_oneof![
        6 => (0u16..12, 0u8..3).prop_map(|(key, value)| Record::Good { key, value }),
        1 => Just(Record::Bad),
        1 => Just(Record::Skipped),
    ];
    // Many that are mostly new, as in a first load, and some of them twice.
    let crowd = (0u16..200, 1u16..3, 1usize..80, 0usize..80).prop_map(|(first, step, count, again)| {
        let keys = (0..count as u16).map(|n| first + n * step);
        let twice = keys.clone().skip(again).take(1);
        Step::Commit(keys.chain(twice).map(|key| Record::Good { key, value: 0 }).collect())
    });
    let step = prop_oneof![
        3 => crowd,
        6 => proptest::collection::vec(record, 0..25).prop_map(Step::Commit),
        1 => Just(Step::StartOver),
        1 => (0usize..5).prop_map(Step::Discard),
    ];
    proptest::collection::vec(step, 1..14)
}

async fn check(staging: Arc<dyn Staging>, steps: Vec<Step>) {
    let resource = id("orders.v1");
    staging.prepare(&spec(&resource, &[])).await.unwrap();
    let blob = BlobId([7; 32]);
    let mut reading = Reading::of_file(&staging, &resource, "f", blob).await;
    let mut model = Model::default();
    for step in steps {
        match step {
            Step::Commit(records) => {
                let (mut documents, mut rejects, mut skipped) = (vec![], vec![], 0);
                for (n, record) in records.iter().enumerate() {
                    let offset = reading.checkpoint.offset + 10 * n as u64;
                    match record {
                        Record::Good { key, value } => {
                            documents.push(document(&format!("k{key}"), &format!("{{\"v\":{value}}}"), offset));
                        }
                        Record::Bad => rejects.push(reject(RejectCode::BadDigit, offset)),
                        Record::Skipped => skipped += 1,
                    }
                }
                let expected = model.commit(&documents, &rejects, skipped);
                let committed = reading.commit(documents, rejects, skipped).await;
                assert_eq!(committed.balance, expected);
                assert_eq!(committed.sequence, model.feed.len() as u64);
            }
            Step::StartOver => {
                staging.finish_run(&reading.run, RunOutcome::Succeeded).await.unwrap();
                staging.reopen_file(reading.file).await.unwrap();
                reading = Reading::of_file(&staging, &resource, "f", blob).await;
                assert_eq!(reading.checkpoint, Checkpoint::default());
                model.run += 1;
            }
            Step::Discard(n) => {
                let letters = staging.dead_letters(&of(&resource)).await.unwrap();
                if let Some(letter) = letters.get(n) {
                    let was_open = staging.resolve_dead_letter(letter.id, DeadLetterState::Discarded).await.unwrap();
                    let modelled = model.letters.get_mut(&letter.reject.position.offset).unwrap();
                    assert_eq!(was_open, modelled.state == DeadLetterState::Open);
                    if was_open {
                        modelled.state = DeadLetterState::Discarded;
                    }
                }
            }
        }
    }
    model.assert_equals(&staging, &resource).await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sqlite_holds_what_the_model_holds(steps in steps()) {
        let (staging, _alive) = sqlite();
        block_on(check(staging, steps));
    }
}
