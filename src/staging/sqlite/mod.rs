//! The embedded default: staging in one SQLite file beside the service.
//!
//! One thread writes, pooled read-only connections read their own snapshots beside it, a third thread moves the
//! write-ahead log into the file. `synchronous=FULL`: what a commit answered is on the disk, because a checkpoint
//! lost to a power failure would contradict the files that were already archived. Several processes may use the
//! file at once (the service and a command).
//!
//! A statement that walks the tables of a resource never meets another's: each has its own pair of tables.

mod bounds;
mod checkpoint;
mod column;
mod commit;
mod config;
mod connection;
mod convert;
mod dead_letters;
mod documents;
mod fault;
mod feed;
mod files;
mod filter;
mod gone;
mod keys;
mod list;
mod lock;
mod mended;
mod operations;
mod readers;
mod reads;
mod relations;
mod resource;
mod runs;
mod schema;
mod snapshot;
mod source;
mod sweep;
mod tuning;
mod vanished;
mod work;
mod write;
mod writer;
mod written;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::Connection;

use self::checkpoint::Checkpointer;
use self::documents::{by_fields, document, status};
use self::fault::Fault;
use self::list::Aids;
use self::readers::{Readers, Watch};
use self::resource::Registry;
use self::writer::Writer;
use super::{
    ApiKey, AuditEntry, AuditFilter, Batch, Change, Committed, DeadLetter, DeadLetterFilter, DeadLetterState, Decision,
    Ends, FeedPage, FileEntry, FileId, FileSequence, Filter, Include, Included, KnownBad, ListQuery, NewApiKey,
    NewFile, Noted, Page, ResourceSpec, ResourceStatus, Run, RunId, RunLock, RunOutcome, SnapshotId, SourcePosition,
    StagedDocument, Staging, StagingError, Swept, Tombstone, Tuned, Unfound, Unrepeated,
};
use crate::record::{BlobId, Reject, RejectCode, ResourceId};

pub use self::config::Config;

/// Staging in a SQLite file. Dropping it ends its threads after the writes already sent.
pub struct SqliteStaging {
    path: PathBuf,
    registry: Arc<Registry>,
    // The readers go first, so that the writer, closing last, leaves one file without a log.
    readers: Readers,
    writer: Writer,
}

impl SqliteStaging {
    /// Opens the database; makes its folder, the file and the tables when they are missing. Blocks.
    pub fn open(path: &Path, config: &Config) -> Result<SqliteStaging, StagingError> {
        let refuse = |reason: String| StagingError::Open { path: path.display().to_string(), reason };
        let mut writer = connection::open_writer(path, config)?;
        let checkpointer = connection::open_checkpointer(path, config).map_err(|cause| refuse(cause.to_string()))?;
        let checkpointer = Checkpointer::start(checkpointer, &mut writer, config).map_err(refuse)?;
        let writer = Writer::start(writer, checkpointer).map_err(|cause| refuse(cause.to_string()))?;
        let readers = Readers::new(path, config).map_err(refuse)?;
        Ok(SqliteStaging { path: path.to_owned(), registry: Arc::default(), readers, writer })
    }
}

/// The resource's number, when one is asked for.
fn number(registry: &Registry, connection: &Connection, resource: Option<&ResourceId>) -> Result<Option<i64>, Fault> {
    resource.map(|id| registry.find(connection, id).map(|resource| resource.number)).transpose()
}

#[async_trait]
impl Staging for SqliteStaging {
    async fn prepare_all(&self, specs: &[ResourceSpec]) -> Result<(), StagingError> {
        let doing = "prepare the tables of the resources";
        let wanted = specs.to_vec();
        let unprepared = self.read_aside(doing, move |connection, _| resource::unprepared(connection, wanted)).await?;
        if !unprepared.is_empty() {
            self.write(doing, move |connection| resource::prepare(connection, &unprepared)).await?;
        }
        self.look_up(doing, specs).await
    }

    async fn ensure(&self, specs: &[ResourceSpec]) -> Result<(), StagingError> {
        let doing = "make the tables of the resources";
        let wanted = specs.to_vec();
        let unknown = self.read_aside(doing, move |connection, _| resource::unknown(connection, wanted)).await?;
        if !unknown.is_empty() {
            self.write(doing, move |connection| resource::prepare(connection, &unknown)).await?;
        }
        self.look_up(doing, specs).await
    }

    async fn document_within(
        &self,
        resource: &ResourceId,
        key: &str,
        only: &[Filter],
    ) -> Result<Option<StagedDocument>, StagingError> {
        let read = |connection: &mut Connection| match only.is_empty() {
            true => document(connection, &*self.registry.find(connection, resource)?, key),
            false => by_fields(connection, &self.registry, resource, |resource| {
                bounds::document(connection, resource, key, only)
            }),
        };
        self.read("read a document", read).await
    }

    async fn document_with(
        &self,
        resource: &ResourceId,
        key: &str,
        only: &[Filter],
        include: &[Include],
    ) -> Result<Option<(StagedDocument, Vec<Included>)>, StagingError> {
        let (id, key, only, include) = (resource.clone(), key.to_owned(), only.to_vec(), include.to_vec());
        let read = move |connection: &mut Connection, registry: &Registry| {
            documents::with_related(connection, registry, (&id, &key), (&only, &include))
        };
        self.read_aside("read a document with what belongs to it", read).await
    }

    async fn list(&self, resource: &ResourceId, query: ListQuery) -> Result<Page, StagingError> {
        let (id, registry) = (resource.clone(), self.registry.clone());
        // What is counted or joined, or read to the end, is no matter of a moment.
        let is_long = query.whole || query.count || !query.include.is_empty();
        let read = move |connection: &mut Connection, watch: &Watch| {
            by_fields(connection, &registry, &id, |resource| {
                list::page(connection, resource, &query, &Aids { registry: &registry, watch })
            })
        };
        let page = match is_long {
            true => self.readers.aside(read).await,
            false => self.readers.in_place_or_aside(read).await,
        };
        page.map_err(|fault| fault.told("list documents", &self.path))
    }

    async fn feed_within(
        &self,
        resource: &ResourceId,
        since: u64,
        limit: usize,
        only: &[Filter],
    ) -> Result<FeedPage, StagingError> {
        let (id, only) = (resource.clone(), only.to_vec());
        let read = move |connection: &mut Connection, registry: &Registry| {
            by_fields(connection, registry, &id, |resource| feed::page(connection, resource, (since, limit), &only))
        };
        self.read_aside("read the feed", read).await
    }

    async fn feed_ends(&self) -> Result<Vec<(ResourceId, u64)>, StagingError> {
        self.read("see how far the feeds are", |connection| feed::ends(connection)).await
    }

    async fn forget_overtaken(&self, resource: &ResourceId, before: Timestamp) -> Result<u64, StagingError> {
        self.forget_changes(resource, before).await
    }

    async fn history_within(
        &self,
        resource: &ResourceId,
        key: &str,
        only: &[Filter],
    ) -> Result<Vec<Change>, StagingError> {
        let (id, key, only) = (resource.clone(), key.to_owned(), only.to_vec());
        let read = move |connection: &mut Connection, registry: &Registry| match only.is_empty() {
            true => feed::history(connection, &*registry.find(connection, &id)?, &key),
            false => {
                by_fields(connection, registry, &id, |resource| bounds::history(connection, resource, &key, &only))
            }
        };
        self.read_aside("read a document's history", read).await
    }

    async fn tombstone_within(
        &self,
        resource: &ResourceId,
        key: &str,
        only: &[Filter],
    ) -> Result<Option<Tombstone>, StagingError> {
        let read = |connection: &mut Connection| match only.is_empty() {
            true => gone::find(connection, &*self.registry.find(connection, resource)?, key),
            false => by_fields(connection, &self.registry, resource, |resource| {
                bounds::tombstone(connection, resource, key, only)
            }),
        };
        self.read("look for a deleted document", read).await
    }

    async fn forget_deleted(&self, resource: &ResourceId, before: Timestamp) -> Result<u64, StagingError> {
        self.forget_gone(resource, before).await
    }

    async fn status(&self, resource: &ResourceId) -> Result<ResourceStatus, StagingError> {
        let id = resource.clone();
        let read = move |connection: &mut Connection, registry: &Registry| {
            status(connection, &*registry.find(connection, &id)?)
        };
        self.read_aside("count a resource", read).await
    }

    async fn ping(&self) -> Result<(), StagingError> {
        let doing = "answer a ping";
        if !self.writer.lives() {
            let fault = Fault::Broken("the staging writer has ended; restart the service".to_owned());
            return Err(fault.told(doing, &self.path));
        }
        let read = |connection: &mut Connection| {
            Ok(connection.prepare_cached("SELECT count(*) FROM resource")?.query_row([], |_| Ok(()))?)
        };
        self.read(doing, read).await
    }

    async fn lock_run(&self, resource: &ResourceId) -> Result<RunLock, StagingError> {
        lock::take(&self.path, resource).map_err(|fault| fault.told("lock a resource for a run", &self.path))
    }

    async fn begin_run(&self, resource: &ResourceId, trigger: &str, mapping: &str) -> Result<RunId, StagingError> {
        let (trigger, mapping) = (trigger.to_owned(), mapping.to_owned());
        self.write_to("open a run", resource, move |connection, resource| {
            runs::begin(connection, resource, &trigger, &mapping, None)
        })
        .await
    }

    async fn commit(&self, batch: Batch) -> Result<Committed, StagingError> {
        let resource = batch.resource.clone();
        let (batch, order) = self.sorted(batch).await?;
        self.write_to(commit::DOING, &resource, move |connection, resource| {
            commit::commit(connection, resource, &batch, &order)
        })
        .await
    }

    async fn commit_together(&self, batches: Vec<(NewFile, Batch)>) -> Result<Vec<Committed>, StagingError> {
        let mut sorted = Vec::with_capacity(batches.len());
        for (file, batch) in batches {
            sorted.push((file, self.sorted(batch).await?));
        }
        let registry = self.registry.clone();
        self.write(commit::DOING, move |connection| commit::commit_together(connection, &registry, sorted)).await
    }

    async fn finish_run(&self, run: &RunId, outcome: RunOutcome) -> Result<Run, StagingError> {
        let run = run.clone();
        self.write("close a run", move |connection| runs::finish(connection, &run, &outcome)).await
    }

    async fn note_checked(&self, resource: &ResourceId) -> Result<(), StagingError> {
        self.write_to("note a check of the source", resource, |connection, resource| {
            runs::note_checked(connection, resource)
        })
        .await
    }

    async fn runs(&self, resource: Option<&ResourceId>, limit: usize) -> Result<Vec<Run>, StagingError> {
        let id = resource.cloned();
        let read = move |connection: &mut Connection, registry: &Registry| {
            runs::list(connection, number(registry, connection, id.as_ref())?, limit)
        };
        self.read_aside("list runs", read).await
    }

    async fn run(&self, run: &RunId) -> Result<Option<Run>, StagingError> {
        self.read("read a run", |connection| runs::one(connection, run)).await
    }

    async fn source_position(&self, resource: &ResourceId) -> Result<Option<SourcePosition>, StagingError> {
        let read = |connection: &mut Connection| source::get(connection, &*self.registry.find(connection, resource)?);
        self.read("read how far a source is read", read).await
    }

    async fn set_source_position(
        &self,
        resource: &ResourceId,
        position: Option<&SourcePosition>,
    ) -> Result<(), StagingError> {
        let position = position.cloned();
        self.write_to("note how far a source is read", resource, move |connection, resource| {
            source::set(connection, resource, position.as_ref())
        })
        .await
    }

    async fn set_source_positions(&self, positions: Vec<(ResourceId, SourcePosition)>) -> Result<(), StagingError> {
        let registry = self.registry.clone();
        self.write("note how far sources are read", move |connection| {
            source::set_all(connection, &registry, &positions)
        })
        .await
    }

    async fn begin_snapshot(&self, resource: &ResourceId) -> Result<SnapshotId, StagingError> {
        self.write_to("begin a snapshot", resource, snapshot::begin).await
    }

    async fn note_seen(
        &self,
        snapshot: SnapshotId,
        keys: Vec<String>,
        nameless: u64,
        known: KnownBad,
    ) -> Result<Noted, StagingError> {
        let doing = "note what a snapshot has seen";
        let resource = self.read(doing, |connection| snapshot::resource(connection, snapshot)).await?;
        // Neighbours in the index of keys are met one after the other.
        let mut order: Vec<usize> = (0..keys.len()).collect();
        order.sort_by(|&one, &other| keys.get(one).cmp(&keys.get(other)));
        self.write_to(doing, &resource, move |connection, resource| {
            snapshot::note_seen(connection, resource, snapshot, (&keys, &order), (nameless, &known))
        })
        .await
    }

    async fn note_reread(&self, snapshot: SnapshotId) -> Result<(), StagingError> {
        self.write("begin a part of a snapshot anew", move |connection| snapshot::forget_brought(connection, snapshot))
            .await
    }

    async fn finish_snapshot(
        &self,
        run: &RunId,
        snapshot: SnapshotId,
        max_share: f64,
        then: Option<Ends>,
    ) -> Result<Swept, StagingError> {
        self.sweep(run, snapshot, max_share, then).await
    }

    async fn drop_snapshot(&self, snapshot: SnapshotId) -> Result<bool, StagingError> {
        self.write("end a snapshot", move |connection| snapshot::give_up(connection, snapshot)).await
    }

    async fn claim_file(
        &self,
        resource: &ResourceId,
        path: &str,
        size: u64,
        blob: BlobId,
    ) -> Result<FileEntry, StagingError> {
        let path = path.to_owned();
        self.write_to("enter a file into the ledger", resource, move |connection, resource| {
            files::claim(connection, resource, &path, size, blob)
        })
        .await
    }

    async fn deliver_file(
        &self,
        resource: &ResourceId,
        file: NewFile,
        blob: BlobId,
        delivery: &str,
        anew: bool,
    ) -> Result<FileEntry, StagingError> {
        let delivery = delivery.to_owned();
        self.write_to("enter a delivered file into the ledger", resource, move |connection, resource| {
            files::deliver(connection, resource, (&file, blob), &delivery, anew)
        })
        .await
    }

    async fn file(
        &self,
        resource: &ResourceId,
        path: &str,
        size: u64,
        blob: BlobId,
    ) -> Result<Option<FileEntry>, StagingError> {
        let read = |connection: &mut Connection| {
            files::find(connection, &*self.registry.find(connection, resource)?, path, size, blob)
        };
        self.read("look a file up in the ledger", read).await
    }

    async fn delivered_file(
        &self,
        resource: &ResourceId,
        path: &str,
        size: u64,
        delivery: &str,
    ) -> Result<Option<FileEntry>, StagingError> {
        self.read("look a delivery up", |connection| {
            let resource = self.registry.find(connection, resource)?;
            files::find_delivery(connection, &resource, path, size, delivery)
        })
        .await
    }

    async fn unfinished_files(&self, resource: &ResourceId) -> Result<Vec<FileEntry>, StagingError> {
        self.read("look for unfinished files", |connection| {
            files::unfinished(connection, &*self.registry.find(connection, resource)?)
        })
        .await
    }

    async fn file_entry(&self, file: FileId) -> Result<Option<FileEntry>, StagingError> {
        self.read("read an entry of the ledger", |connection| files::one(connection, file)).await
    }

    async fn files_after(&self, file: FileId, limit: usize) -> Result<Vec<FileEntry>, StagingError> {
        self.read_aside("list later files", move |connection, _| files::after(connection, file, limit)).await
    }

    async fn same_content(&self, file: FileId) -> Result<Option<FileEntry>, StagingError> {
        self.read("look for the same content", |connection| files::same_content(connection, file)).await
    }

    async fn reopen_file(&self, file: FileId) -> Result<(), StagingError> {
        self.write("reopen a file", move |connection| files::reopen(connection, file)).await
    }

    async fn note_delivery(&self, file: FileId, delivery: &str, mapping: &str) -> Result<(), StagingError> {
        let (delivery, mapping) = (delivery.to_owned(), mapping.to_owned());
        let write = move |connection: &mut Connection| files::note_delivery(connection, file, &delivery, &mapping);
        self.write("note a file's delivery", write).await
    }

    async fn file_sequence(&self, resource: &ResourceId, file: FileId) -> Result<FileSequence, StagingError> {
        let id = resource.clone();
        let read = move |connection: &mut Connection| {
            files::sequence(connection, &*self.registry.find(connection, &id)?, file)
        };
        self.read("look a file's number up", read).await
    }

    async fn note_file_sequence(&self, file: FileId, number: i64) -> Result<(), StagingError> {
        let write = move |connection: &mut Connection| files::note_sequence(connection, file, number);
        self.write("note a file's number", write).await
    }

    async fn needed_blobs(&self) -> Result<Vec<BlobId>, StagingError> {
        self.read("list needed input", |connection| files::needed_blobs(connection)).await
    }

    async fn files(&self, resource: Option<&ResourceId>, limit: usize) -> Result<Vec<FileEntry>, StagingError> {
        let id = resource.cloned();
        let read = move |connection: &mut Connection, registry: &Registry| {
            files::list(connection, number(registry, connection, id.as_ref())?, limit)
        };
        self.read_aside("list files", read).await
    }

    async fn files_to_feed(
        &self,
        own: &ResourceId,
        from: &ResourceId,
        since: u64,
        all: bool,
    ) -> Result<Vec<FileEntry>, StagingError> {
        let (own, from) = (own.clone(), from.clone());
        let read = move |connection: &mut Connection, registry: &Registry| {
            let own = number(registry, connection, Some(&own))?;
            files::to_feed(connection, own, (number(registry, connection, Some(&from))?, since), all)
        };
        self.read_aside("hold two ledgers against each other", read).await
    }

    async fn dead_letters(&self, filter: &DeadLetterFilter) -> Result<Vec<DeadLetter>, StagingError> {
        let filter = filter.clone();
        let read = move |connection: &mut Connection, registry: &Registry| {
            let resource = number(registry, connection, filter.resource.as_ref())?;
            dead_letters::list(connection, &filter, resource)
        };
        self.read_aside("list dead letters", read).await
    }

    async fn dead_letter(&self, id: i64) -> Result<Option<DeadLetter>, StagingError> {
        self.read_aside("read a dead letter", move |connection, _| dead_letters::one(connection, id)).await
    }

    async fn dead_letter_counts(&self, resource: &ResourceId) -> Result<Vec<(RejectCode, u64)>, StagingError> {
        let id = resource.clone();
        let read = move |connection: &mut Connection, registry: &Registry| {
            dead_letters::counts(connection, registry.find(connection, &id)?.number)
        };
        self.read_aside("count dead letters", read).await
    }

    async fn repeated_keys(&self, resource: &ResourceId, limit: usize) -> Result<Vec<String>, StagingError> {
        let id = resource.clone();
        let read = move |connection: &mut Connection, registry: &Registry| {
            dead_letters::repeated_keys(connection, &*registry.find(connection, &id)?, limit)
        };
        self.read_aside("look for repeated keys", read).await
    }

    async fn close_unrepeated(&self, resource: &ResourceId, which: Unrepeated) -> Result<u64, StagingError> {
        self.write_to("close dead letters of repeated keys", resource, move |connection, resource| {
            dead_letters::close_unrepeated(connection, resource, &which)
        })
        .await
    }

    async fn bad_keys(&self, resource: &ResourceId, limit: usize) -> Result<Vec<String>, StagingError> {
        let id = resource.clone();
        let read = move |connection: &mut Connection, registry: &Registry| {
            mended::bad_keys(connection, &*registry.find(connection, &id)?, limit)
        };
        self.read_aside("look for keys of dead letters", read).await
    }

    async fn close_unfound(&self, resource: &ResourceId, which: Unfound) -> Result<u64, StagingError> {
        self.write_to("close dead letters that were not found again", resource, move |connection, resource| {
            mended::close_unfound(connection, resource, &which)
        })
        .await
    }

    async fn resolve_dead_letter(&self, id: i64, state: DeadLetterState) -> Result<bool, StagingError> {
        self.write("close a dead letter", move |connection| dead_letters::resolve(connection, id, state)).await
    }

    async fn retry_failed(&self, id: i64, reject: &Reject) -> Result<(), StagingError> {
        let reject = reject.clone();
        self.write("note a failed replay", move |connection| dead_letters::retry_failed(connection, id, &reject)).await
    }

    async fn add_api_key(&self, key: NewApiKey) -> Result<ApiKey, StagingError> {
        self.write("store an API key", move |connection| keys::add(connection, &key)).await
    }

    async fn api_keys(&self) -> Result<Vec<ApiKey>, StagingError> {
        self.read_aside("list API keys", |connection, _| keys::list(connection)).await
    }

    async fn api_key(&self, hash: &[u8; 32]) -> Result<Option<ApiKey>, StagingError> {
        self.read("look an API key up", |connection| keys::find(connection, hash)).await
    }

    async fn revoke_api_key(&self, id: &str) -> Result<bool, StagingError> {
        let id = id.to_owned();
        self.write("revoke an API key", move |connection| keys::revoke(connection, &id)).await
    }

    async fn replace_api_key(
        &self,
        id: &str,
        new: NewApiKey,
        ends_at: Timestamp,
    ) -> Result<Option<ApiKey>, StagingError> {
        let id = id.to_owned();
        self.write("replace an API key", move |connection| keys::replace(connection, &id, &new, ends_at)).await
    }

    async fn note_key_used(&self, id: &str, at: Timestamp) -> Result<(), StagingError> {
        let id = id.to_owned();
        self.write("note a key's use", move |connection| keys::note_used(connection, &id, at)).await
    }

    async fn tuned(&self, subject: &str) -> Result<Tuned, StagingError> {
        self.read("read what was decided", |connection| tuning::tuned(connection, subject)).await
    }

    async fn decide(&self, decision: &Decision) -> Result<AuditEntry, StagingError> {
        let decision = decision.clone();
        self.write("note a decision", move |connection| tuning::decide(connection, &decision)).await
    }

    async fn audit(&self, filter: &AuditFilter) -> Result<Vec<AuditEntry>, StagingError> {
        let filter = filter.clone();
        self.read_aside("list the audit", move |connection, _| tuning::audit(connection, &filter)).await
    }
}
