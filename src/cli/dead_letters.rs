//! `dead-letters`: the way back for records that were rejected.

use std::num::NonZeroUsize;

use clap::{Args, Subcommand};
use serde_json::json;

use super::{Context, Exit, fail, output};
use crate::console::view;
use crate::pipeline::replay::Replayed;
use crate::pipeline::{Bridge, PipelineError};
use crate::record::RejectCode;
use crate::staging::{Balance, DeadLetter, DeadLetterFilter, DeadLetterState};

#[derive(Debug, Subcommand)]
pub(super) enum Action {
    /// List them, newest first
    List(List),
    /// Show one with its raw bytes
    Show {
        /// Its number
        id: i64,
    },
    /// Read them again with the mapping in force now
    Replay {
        /// Their numbers
        #[arg(required = true)]
        ids: Vec<i64>,
    },
    /// Close them without staging them
    Discard {
        /// Their numbers
        #[arg(required = true)]
        ids: Vec<i64>,
    },
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// Of this resource only
    #[arg(long)]
    resource: Option<String>,
    /// With this reason code only: `numeric.bad_digit`
    #[arg(long)]
    code: Option<String>,
    /// Also those that were replayed or discarded
    #[arg(long)]
    all: bool,
    /// At most this many
    #[arg(long, value_name = "N", default_value = "100")]
    limit: NonZeroUsize,
}

pub(super) async fn run(context: &Context, action: &Action) -> Exit {
    let bridge = match context.open().await {
        Ok(bridge) => bridge,
        Err(exit) => return exit,
    };
    match action {
        Action::List(list) => {
            // One more than asked for tells whether there are more.
            let most = list.limit.get();
            let mut filter = DeadLetterFilter { limit: most.saturating_add(1), ..DeadLetterFilter::default() };
            filter.state = (!list.all).then_some(DeadLetterState::Open);
            if let Some(wanted) = &list.resource {
                match bridge.world.load().plan(wanted) {
                    Ok(plan) => filter.resource = Some(plan.exposure.id.clone()),
                    Err(error) => return fail(&error),
                }
            }
            if let Some(code) = &list.code {
                filter.code = RejectCode::from_text(code);
                if filter.code.is_none() {
                    let known: Vec<_> = RejectCode::ALL.iter().map(|code| code.as_str()).collect();
                    output::fault(&format!("there is no reason code `{code}`; the codes are: {}", known.join(", ")));
                    return Exit::Usage;
                }
            }
            match bridge.staging.dead_letters(&filter).await {
                Ok(letters) => {
                    print_list(context, &letters[..letters.len().min(most)]);
                    if letters.len() > most {
                        output::note(format!("there are more than these {most}: see --limit, --resource, --code"));
                    }
                }
                Err(error) => return fail(&error.into()),
            }
            Exit::Done
        }
        Action::Show { id } => match bridge.staging.dead_letter(*id).await {
            Ok(Some(letter)) => {
                print_one(context, &letter);
                Exit::Done
            }
            Ok(None) => fail(&PipelineError::DeadLetter { id: *id, reason: "does not exist".to_owned() }),
            Err(error) => fail(&error.into()),
        },
        Action::Replay { ids } => {
            let mut exit = Exit::Done;
            for &id in ids {
                exit = exit.max(match bridge.replay(id).await {
                    Ok(replayed) => told(context, id, &replayed),
                    Err(error) => failed(context, &bridge, id, &error).await,
                });
            }
            exit
        }
        Action::Discard { ids } => {
            let mut exit = Exit::Done;
            for &id in ids {
                exit = exit.max(match bridge.discard(id).await {
                    Ok(()) => done(context, &json!({"id": id, "state": "discarded", "key": null}), ""),
                    Err(error) => failed(context, &bridge, id, &error).await,
                });
            }
            exit
        }
    }
}

/// Says what became of a dead letter that was replayed.
fn told(context: &Context, id: i64, replayed: &Replayed) -> Exit {
    match replayed {
        Replayed::Staged { key } => {
            let said = json!({"id": id, "state": "replayed", "key": key});
            done(context, &said, &format!(": staged under key {}", output::plain(key)))
        }
        Replayed::Skipped => {
            let said = json!({"id": id, "state": "discarded", "key": null});
            done(context, &said, ": the mapping leaves the record out now")
        }
        Replayed::File { name, balance } => {
            let Balance { read, staged, unchanged, dead, skipped, refused, deleted: _ } = balance;
            let counts = json!({"read": read, "staged": staged, "unchanged": unchanged, "dead": dead, "skipped": skipped,
                "refused_records": refused});
            let said = json!({"id": id, "state": "replayed", "key": null, "file": name, "balance": counts});
            let text = format!(
                ": {} was read as a whole: {read} read, {staged} staged, {unchanged} unchanged, {dead} dead, {skipped} skipped",
                output::plain(name)
            );
            done(context, &said, &text)
        }
    }
}

fn done(context: &Context, said: &serde_json::Value, more: &str) -> Exit {
    if context.json {
        output::json(said);
    } else {
        output::line(format!("dead letter {} {}{more}", said["id"], said["state"].as_str().unwrap_or_default()));
    }
    Exit::Done
}

async fn failed(context: &Context, bridge: &Bridge, id: i64, error: &PipelineError) -> Exit {
    if context.json {
        let letter = bridge.staging.dead_letter(id).await.ok().flatten();
        let state = letter.map(|letter| letter.state.as_str());
        output::json(&json!({"id": id, "state": state, "error": error.chain()}));
        return super::exit_of(error);
    }
    fail(error)
}

fn print_list(context: &Context, letters: &[DeadLetter]) {
    if context.json {
        letters.iter().for_each(|letter| output::json(&view::dead_letter(letter)));
        return;
    }
    if letters.is_empty() {
        output::line("no dead letters");
        return;
    }
    let rows: Vec<Vec<String>> = letters
        .iter()
        .map(|letter| {
            let reject = &letter.reject;
            vec![
                letter.id.to_string(),
                letter.resource.to_string(),
                letter.state.as_str().to_owned(),
                letter.path.clone(),
                reject.position.record.to_string(),
                reject.position.line.map(|line| line.to_string()).unwrap_or_default(),
                reject.code.as_str().to_owned(),
                reject.field.clone().unwrap_or_default(),
                reject.key.clone().unwrap_or_default(),
                reject.found.chars().take(60).collect(),
            ]
        })
        .collect();
    output::table(&["ID", "RESOURCE", "STATE", "FILE", "RECORD", "LINE", "CODE", "FIELD", "KEY", "FOUND"], &rows);
}

fn print_one(context: &Context, letter: &DeadLetter) {
    if context.json {
        output::json(&view::dead_letter_with_raw(letter));
        return;
    }
    let reject = &letter.reject;
    let field = match (&reject.field, reject.field_span) {
        (Some(field), Some((offset, length))) => {
            format!("{field} (bytes {offset} to {} of the record)", offset + length)
        }
        (Some(field), None) => field.clone(),
        (None, _) => "the whole record".to_owned(),
    };
    for (name, value) in [
        ("dead letter", letter.id.to_string()),
        ("resource", letter.resource.to_string()),
        ("state", format!("{}, {} attempt(s)", letter.state.as_str(), letter.attempts)),
        ("file", letter.path.clone()),
        ("position", reject.position.to_string()),
        ("key", reject.key.clone().unwrap_or_else(|| "unknown".to_owned())),
        ("reason", format!("{} — {}", reject.code.as_str(), reject.code.summary().trim())),
        ("field", field),
        ("expected", reject.expected.clone()),
        ("found", reject.found.clone()),
        ("last found", letter.created_at.to_string()),
        ("run", letter.run.to_string()),
        ("landed as", letter.blob.to_string()),
    ] {
        output::line(format!("{name:12} {}", output::plain(&value)));
    }
    output::line("raw bytes");
    for (row, bytes) in reject.shown().chunks(16).enumerate() {
        let hex: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let text: String =
            bytes.iter().map(|&b| if b.is_ascii_graphic() || b == b' ' { char::from(b) } else { '.' }).collect();
        output::line(format!("  {:06x}  {:47}  {text}", row * 16, hex.join(" ")));
    }
    if let Some(length) = reject.cut_from() {
        output::note(format!("these are the first {} of {length} bytes", reject.shown().len()));
    }
    if letter.state == DeadLetterState::Open {
        output::note(format!(
            "mend what is wrong, then `tollbridge dead-letters replay {0}`; or `tollbridge dead-letters discard {0}`",
            letter.id
        ));
    }
}
