//! A resource with a run and a file, to commit to.

use std::any::Any;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;

use tollbridge::record::{BlobId, ContentHash, Document, Position, Reject, RejectCode, ResourceId};
use tollbridge::staging::sqlite::{Config, SqliteStaging};
use tollbridge::staging::{
    Batch, Checkpoint, ColumnType, Committed, Deletion, FileId, FileState, IndexedField, ResourceSpec, RunId, Staging,
};

/// A staging and what keeps it alive.
pub(crate) type Made = (Arc<dyn Staging>, Box<dyn Any>);

/// SQLite in a fresh folder.
pub(crate) fn sqlite() -> Made {
    let folder = tempfile::tempdir().unwrap();
    let staging = open(&folder.path().join("staging.db"));
    (staging, Box::new(folder))
}

pub(crate) fn open(path: &Path) -> Arc<dyn Staging> {
    Arc::new(SqliteStaging::open(path, &Config::default()).unwrap())
}

/// Runs a test to its end, on threads as the service has them.
pub(crate) fn block_on<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(test)
}

pub(crate) fn id(text: &str) -> ResourceId {
    text.parse().unwrap()
}

pub(crate) fn spec(resource: &ResourceId, fields: &[(&str, ColumnType)]) -> ResourceSpec {
    let field = |&(path, column): &(&str, ColumnType)| IndexedField { path: path.to_owned(), column };
    ResourceSpec { id: resource.clone(), indexed: fields.iter().map(field).collect(), bounds: Vec::new() }
}

/// A document whose record lies at `offset`.
pub(crate) fn document(key: &str, payload: &str, offset: u64) -> Document {
    Document {
        key: key.to_owned(),
        payload: payload.as_bytes().to_vec(),
        hash: ContentHash::of(payload.as_bytes()),
        position: at(offset),
    }
}

pub(crate) fn at(offset: u64) -> Position {
    Position { record: offset / 10 + 1, offset, length: 10, line: offset.is_multiple_of(20).then_some(offset / 10 + 1) }
}

pub(crate) fn reject(code: RejectCode, offset: u64) -> Reject {
    Reject {
        code,
        field: Some("amount".to_owned()),
        field_span: Some((3, 4)),
        expected: "a packed number".to_owned(),
        found: "bytes 40 40".to_owned(),
        key: None,
        position: at(offset),
        raw: vec![0x40, 0x00, 0xff, offset as u8],
    }
}

/// A file being read by a run.
pub(crate) struct Reading {
    pub(crate) staging: Arc<dyn Staging>,
    pub(crate) resource: ResourceId,
    pub(crate) run: RunId,
    pub(crate) file: FileId,
    pub(crate) blob: BlobId,
    pub(crate) checkpoint: Checkpoint,
}

impl Reading {
    /// Prepares the resource without fields, opens a run, enters a file.
    pub(crate) async fn begin(staging: &Arc<dyn Staging>, resource: &str) -> Reading {
        let resource = id(resource);
        staging.prepare(&spec(&resource, &[])).await.unwrap();
        Reading::of_file(staging, &resource, "in/ORD1.DAT", BlobId([7; 32])).await
    }

    pub(crate) async fn of_file(
        staging: &Arc<dyn Staging>,
        resource: &ResourceId,
        path: &str,
        blob: BlobId,
    ) -> Reading {
        let run = staging.begin_run(resource, "command", "mapping-hash").await.unwrap();
        let entry = staging.claim_file(resource, path, 1000, blob).await.unwrap();
        let (staging, resource) = (staging.clone(), resource.clone());
        Reading { staging, resource, run, file: entry.id, blob, checkpoint: entry.checkpoint }
    }

    /// The batch that comes next.
    pub(crate) fn batch(&self, documents: Vec<Document>, rejects: Vec<Reject>, skipped: u64) -> Batch {
        let records = (documents.len() + rejects.len()) as u64 + skipped;
        let Checkpoint { offset, records: before, line } = self.checkpoint;
        Batch {
            run: self.run.clone(),
            resource: self.resource.clone(),
            file: self.file,
            blob: self.blob,
            documents,
            rejects,
            skipped,
            refused: 0,
            checkpoint: Checkpoint { offset: offset + records * 10, records: before + records, line: line + records },
            file_state: FileState::Claimed,
            resolves: None,
            deletions: Vec::new(),
            source: None,
            snapshot: None,
            keyless: 0,
            is_keyed: false,
            once: None,
        }
    }

    /// Commits the next batch.
    pub(crate) async fn commit(&mut self, documents: Vec<Document>, rejects: Vec<Reject>, skipped: u64) -> Committed {
        let batch = self.batch(documents, rejects, skipped);
        self.checkpoint = batch.checkpoint;
        self.staging.commit(batch).await.unwrap()
    }

    /// Commits documents given as key and payload.
    pub(crate) async fn stage(&mut self, rows: &[(&str, &str)]) -> Committed {
        let start = self.checkpoint.offset;
        let documents = rows.iter().enumerate();
        let documents = documents.map(|(n, (key, payload))| document(key, payload, start + 10 * n as u64)).collect();
        self.commit(documents, vec![], 0).await
    }

    /// Commits deletions of these keys.
    pub(crate) async fn delete(&mut self, keys: &[&str]) -> Committed {
        let start = self.checkpoint.offset;
        let deletion =
            |(n, key): (usize, &&str)| Deletion { key: (*key).to_owned(), position: at(start + 10 * n as u64) };
        let deletions: Vec<Deletion> = keys.iter().enumerate().map(deletion).collect();
        let batch = Batch { deletions, ..self.batch(vec![], vec![], keys.len() as u64) };
        self.checkpoint = batch.checkpoint;
        self.staging.commit(Batch { skipped: 0, ..batch }).await.unwrap()
    }
}
