//! Runs, files, dead letters and keys as JSON, one function each; commands print the same.

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::pipeline::operate::{Failure, Outcome};
use crate::pipeline::trace::Trace;
use crate::staging::{ApiKey, AuditEntry, Change, DeadLetter, FileEntry, Operation, Run};

/// A run with its balance.
pub fn run(run: &Run) -> Value {
    let balance = run.balance;
    json!({
        "id": run.id.to_string(),
        "resource": run.resource.to_string(),
        "trigger": run.trigger,
        "state": run.state.as_str(),
        "started_at": run.started_at.to_string(),
        "finished_at": run.finished_at.map(|moment| moment.to_string()),
        "read": balance.read,
        "staged": balance.staged,
        "unchanged": balance.unchanged,
        "dead": balance.dead,
        "skipped": balance.skipped,
        "refused_records": balance.refused,
        "deleted": balance.deleted,
        "balanced": balance.holds(),
        "files": run.files,
        "mapping": run.mapping,
        "error": run.error,
        "read_together_with": run.read_with.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

/// A ledger entry.
pub fn file(file: &FileEntry) -> Value {
    json!({
        "id": file.id.0,
        "resource": file.resource.to_string(),
        "path": file.path,
        "size": file.size,
        "blob": file.blob.to_string(),
        "state": file.state.as_str(),
        "records": file.checkpoint.records,
        "offset": file.checkpoint.offset,
        "claimed_at": file.claimed_at.to_string(),
        "finished_at": file.finished_at.map(|moment| moment.to_string()),
    })
}

/// A dead letter without its raw bytes.
pub fn dead_letter(letter: &DeadLetter) -> Value {
    let reject = &letter.reject;
    json!({
        "id": letter.id,
        "resource": letter.resource.to_string(),
        "state": letter.state.as_str(),
        "code": reject.code.as_str(),
        "summary": reject.code.summary().trim(),
        "key": reject.key,
        "field": reject.field,
        "field_offset": reject.field_span.map(|(offset, _)| offset),
        "field_length": reject.field_span.map(|(_, length)| length),
        "expected": reject.expected,
        "found": reject.found,
        "file": letter.path,
        "blob": letter.blob.to_string(),
        "record": reject.position.record,
        "offset": reject.position.offset,
        "length": reject.position.length,
        "line": reject.position.line,
        "run": letter.run.to_string(),
        "created_at": letter.created_at.to_string(),
        "resolved_at": letter.resolved_at.map(|moment| moment.to_string()),
        "attempts": letter.attempts,
    })
}

/// A dead letter with its raw bytes in hexadecimal; of a very long record the first ones, and how many there are.
pub fn dead_letter_with_raw(letter: &DeadLetter) -> Value {
    let mut view = dead_letter(letter);
    view["raw"] = Value::String(letter.reject.raw_hex());
    if let Some(length) = letter.reject.cut_from() {
        view["raw_length"] = Value::from(length);
    }
    view
}

/// A key, of which only the hash is stored anyway.
pub fn key(key: &ApiKey) -> Value {
    json!({
        "id": key.id,
        "name": key.name,
        "scopes": key.scopes,
        "claims": key.claims,
        "created_at": key.created_at.to_string(),
        "revoked_at": key.revoked_at.map(|moment| moment.to_string()),
        "expires_at": key.expires_at.map(|moment| moment.to_string()),
        "last_used_at": key.last_used_at.map(|moment| moment.to_string()),
        "replaced_by": key.replaced_by,
    })
}

/// An entry of the audit.
pub fn audit_entry(entry: &AuditEntry) -> Value {
    // Both are objects that this program has written.
    let object = |text: &str| serde_json::from_str(text).unwrap_or(Value::Null);
    json!({
        "id": entry.id,
        "at": entry.at.to_string(),
        "author": entry.author,
        "action": entry.action,
        "subject": entry.subject,
        "reason": entry.reason,
        "before": object(&entry.before),
        "after": object(&entry.after),
        "expires_at": entry.expires_at.map(|end| end.to_string()),
    })
}

/// All that is known of a write. What was sent is business data: it is for operators alone.
pub fn operation(operation: &Operation) -> Value {
    let asked = &operation.asked;
    let failure = operation.problem.as_deref().and_then(Failure::from_json);
    let outcome = operation.outcome.as_deref().and_then(Outcome::from_json);
    let unfinished = outcome.as_ref().and_then(|outcome| outcome.unfinished.clone());
    let body = outcome.and_then(|outcome| outcome.body).and_then(|body| serde_json::from_str(body.get()).ok());
    json!({
        "id": operation.id,
        "state": operation.state.as_str(),
        "resource": asked.resource.to_string(),
        "operation": asked.name,
        "record": asked.record_key,
        "client": asked.client,
        "caller": asked.caller,
        "idempotency_key": asked.idempotency_key,
        "backend": asked.backend,
        "request": serde_json::from_str::<Value>(&asked.request).unwrap_or_default(),
        "attempts": operation.attempts,
        "may_repeat": operation.may_repeat,
        "result": body.unwrap_or(Value::Null),
        "unfinished": unfinished,
        "reason": failure.as_ref().map(|failure| failure.why.clone()),
        "detail": failure.as_ref().map(|failure| failure.detail.clone()),
        "cause": failure.and_then(|failure| failure.cause),
        "created_at": operation.created_at.to_string(),
        "changed_at": operation.changed_at.to_string(),
    })
}

/// One version of a record: where it came from and by which run.
pub fn change(change: &Change) -> Value {
    let (input, position) = (change.input.as_ref(), change.input.as_ref().map(|input| input.position));
    json!({
        "version": change.version,
        "sequence": change.sequence,
        "kind": change.kind.as_str(),
        "changed_at": change.changed_at.to_string(),
        "file": input.map(|input| input.path.as_str()),
        "blob": input.map(|input| input.blob.to_string()),
        "record": position.map(|position| position.record),
        "offset": position.map(|position| position.offset),
        "length": position.map(|position| position.length),
        "line": position.and_then(|position| position.line),
        "run": change.run.to_string(),
    })
}

/// A record's whole life.
#[derive(Serialize)]
pub struct TraceView {
    resource: String,
    key: String,
    /// What is served now, as its bytes are, so that decimals keep their digits.
    document: Option<Box<RawValue>>,
    /// Newest first.
    versions: Vec<Value>,
    /// Records of this key that were rejected, newest first.
    dead_letters: Vec<Value>,
}

/// A trace; fails only when what is staged is no JSON.
pub fn trace(trace: &Trace) -> serde_json::Result<TraceView> {
    let payload = trace.document.as_ref().map(|document| String::from_utf8_lossy(&document.payload).into_owned());
    Ok(TraceView {
        resource: trace.resource.to_string(),
        key: trace.key.clone(),
        document: payload.map(RawValue::from_string).transpose()?,
        versions: trace.versions.iter().map(change).collect(),
        dead_letters: trace.dead_letters.iter().map(dead_letter).collect(),
    })
}
