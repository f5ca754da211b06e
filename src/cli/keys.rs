//! `keys`: who may call the API. A key is shown once, when it is made; only its hash is stored.

use std::collections::BTreeSet;
use std::time::Duration;

use clap::Subcommand;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{Context, Exit, fail, output};
use crate::config;
use crate::console::view;
use crate::diagnostic::{nearest, parse_duration};
use crate::http;
use crate::mapping::Exposure;
use crate::staging::{ApiKey, NewApiKey};

#[derive(Debug, Subcommand)]
pub(super) enum Action {
    /// Make a key and show it, once
    Create {
        /// Whose it is
        name: String,
        /// What it may do: `orders:read`, `read` for all reading, `admin` for the console, `*` for all; may be repeated
        #[arg(long = "scope", default_value = "read")]
        scopes: Vec<String>,
        /// After how long it ends: `90d`; never when absent
        #[arg(long, value_name = "DURATION", value_parser = length)]
        expires: Option<Duration>,
        /// What is known of its bearer, for rows that are bounded by it: `customer=4711`; may be repeated
        #[arg(long = "claim", value_name = "NAME=VALUE", value_parser = claim)]
        claims: Vec<(String, String)>,
    },
    /// Make a key in the place of another: the same name, scopes and claims; the old one goes on for a while
    Rotate {
        /// The name that the old key was made for, or its id
        name: String,
        /// For how long the old key goes on
        #[arg(long, value_name = "DURATION", default_value = "7d", value_parser = length)]
        overlap: Duration,
        /// After how long the new one ends; as long as the old one was made for when absent
        #[arg(long, value_name = "DURATION", value_parser = length)]
        expires: Option<Duration>,
    },
    /// List all keys
    List,
    /// Revoke a key
    Revoke {
        /// Its id
        id: String,
    },
}

/// Says of scopes that nothing takes: a key with a misspelt one may do nothing. It is made all the same, since the mapping that
/// takes it may be yet to come.
fn warn_of_scopes(context: &Context, scopes: &[String]) {
    let loaded = config::find(context.config.as_deref()).and_then(|path| config::look(&path, config::environment()));
    // What is wrong with the mappings is told by `check`; what those that are left out would take is not known.
    let Ok(loaded) = loaded else { return };
    if !loaded.withheld.is_empty() {
        return;
    }
    let known = known_scopes(loaded.plans.iter().map(|plan| &plan.exposure));
    for scope in scopes.iter().filter(|scope| !known.contains(scope.as_str())) {
        let help = match nearest(scope, known.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => {
                "a scope is `read`, `write`, `admin`, `*`, or one that a mapping names, like `orders:read`".to_owned()
            }
        };
        output::note(format!("warning: nothing takes the scope `{scope}`; {help}"));
    }
}

/// The scopes that mean something where these resources are served.
fn known_scopes<'e>(exposures: impl Iterator<Item = &'e Exposure>) -> BTreeSet<String> {
    let mut known: BTreeSet<String> = ["read", "write", "admin", "*"].map(str::to_owned).into();
    for exposure in exposures {
        let name = exposure.id.name();
        known.insert(exposure.read_scope.clone());
        if !exposure.access.rows.is_empty() {
            known.insert(format!("{name}:all"));
        }
        known.extend(exposure.access.mask.iter().map(|masked| masked.scope.clone()));
        for operation in &exposure.operations {
            known.extend([operation.scope.clone(), format!("{name}:op:{}", operation.name)]);
        }
    }
    known
}

pub(super) async fn run(context: &Context, action: &Action) -> Exit {
    let staging = match context.open_staging() {
        Ok(staging) => staging,
        Err(exit) => return exit,
    };
    match action {
        Action::Create { name, scopes, expires, claims } => {
            match context.load_alone() {
                Ok(config) if config.auth.is_of_tokens(name) => {
                    return wrong(&format!("`{name}` cannot be a key's name: the clients of tokens are called so"));
                }
                Ok(_) => {}
                Err(exit) => return exit,
            }
            let (key, stored) = match http::generate_key(name, scopes) {
                Ok(made) => made,
                Err(error) => return wrong(&error.to_string()),
            };
            warn_of_scopes(context, scopes);
            let Ok(expires_at) = expires.map(from_now).transpose() else { return wrong(TOO_LONG) };
            let stored = NewApiKey { expires_at, claims: claims.iter().cloned().collect(), ..stored };
            match staging.add_api_key(stored).await {
                Ok(stored) => tell(context, &key, &stored, None),
                Err(error) => fail(&error.into()),
            }
        }
        Action::Rotate { name, overlap, expires } => {
            let old = match staging.api_keys().await {
                Ok(keys) => match to_rotate(keys, name) {
                    Ok(old) => old,
                    Err(why) => return wrong(&why),
                },
                Err(error) => return fail(&error.into()),
            };
            let (key, stored) = match http::generate_key(&old.name, &old.scopes) {
                Ok(made) => made,
                Err(error) => return wrong(&error.to_string()),
            };
            let as_before = old.expires_at.and_then(|end| Duration::try_from(end.duration_since(old.created_at)).ok());
            let Ok(expires_at) = expires.or(as_before).map(from_now).transpose() else { return wrong(TOO_LONG) };
            let Ok(ends_at) = from_now(*overlap) else { return wrong(TOO_LONG) };
            let stored = NewApiKey { expires_at, claims: old.claims.clone(), ..stored };
            match staging.replace_api_key(&old.id, stored, ends_at).await {
                Ok(Some(stored)) => tell(context, &key, &stored, Some((&old, ends_at))),
                Ok(None) => wrong(&format!("key {} was revoked or replaced just now", old.id)),
                Err(error) => fail(&error.into()),
            }
        }
        Action::List => match staging.api_keys().await {
            Ok(keys) if context.json => {
                keys.iter().for_each(|key| output::json(&view::key(key)));
                Exit::Done
            }
            Ok(keys) => {
                let row = |key: &ApiKey| {
                    let moment = |at: Option<Timestamp>| at.map(|at| at.to_string()).unwrap_or_default();
                    let claims: Vec<String> = key.claims.iter().map(|(name, text)| format!("{name}={text}")).collect();
                    vec![
                        key.id.clone(),
                        key.name.clone(),
                        key.scopes.join(" "),
                        claims.join(" "),
                        key.created_at.to_string(),
                        moment(key.last_used_at),
                        moment(key.expires_at),
                        moment(key.revoked_at),
                    ]
                };
                output::table(
                    &["ID", "NAME", "SCOPES", "CLAIMS", "CREATED", "LAST USED", "ENDS", "REVOKED"],
                    &keys.iter().map(row).collect::<Vec<_>>(),
                );
                Exit::Done
            }
            Err(error) => fail(&error.into()),
        },
        Action::Revoke { id } => match staging.revoke_api_key(id).await {
            Ok(true) => {
                if context.json {
                    output::json(&json!({"id": id, "revoked": true}));
                } else {
                    output::line(format!("key {id} is revoked"));
                }
                Exit::Done
            }
            Ok(false) => {
                output::fault(&format!("there is no valid key {id}; `tollbridge keys list` shows all"));
                Exit::Usage
            }
            Err(error) => fail(&error.into()),
        },
    }
}

const TOO_LONG: &str = "that is longer than the calendar goes";

fn wrong(message: &str) -> Exit {
    output::fault(message);
    Exit::Usage
}

/// A length of time as it is written on the command line.
fn length(text: &str) -> Result<Duration, String> {
    let length =
        parse_duration(text).ok_or_else(|| format!("`{text}` is no length of time like \"12h\" or \"90d\""))?;
    if length.is_zero() { Err("must be longer than nothing".to_owned()) } else { Ok(length) }
}

fn claim(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !name.contains('.') => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("`{text}` is no claim like \"customer=4711\"")),
    }
}

fn from_now(length: Duration) -> Result<Timestamp, jiff::Error> {
    Timestamp::now().checked_add(SignedDuration::try_from(length)?)
}

/// The key that is to be replaced: the one of this name, or with this id, that may be used and was not replaced yet.
fn to_rotate(keys: Vec<ApiKey>, name: &str) -> Result<ApiKey, String> {
    let now = Timestamp::now();
    let stands = |key: &ApiKey| key.is_valid_at(now) && key.replaced_by.is_none();
    let mut fitting: Vec<ApiKey> =
        keys.into_iter().filter(|key| stands(key) && (key.name == name || key.id == name)).collect();
    match (fitting.pop(), fitting.is_empty()) {
        (None, _) => {
            Err(format!("there is no valid key {name} that was not replaced; `tollbridge keys list` shows all"))
        }
        (Some(one), true) => Ok(one),
        (Some(last), false) => {
            let ids: Vec<&str> = fitting.iter().chain([&last]).map(|key| key.id.as_str()).collect();
            Err(format!("{name} has several keys: name one by its id: {}", ids.join(", ")))
        }
    }
}

/// Shows a key, once, and what became of the one before.
fn tell(context: &Context, key: &str, stored: &ApiKey, old: Option<(&ApiKey, Timestamp)>) -> Exit {
    let ends = |key: &ApiKey, at: Timestamp| key.expires_at.map_or(at, |end| end.min(at));
    if context.json {
        let replaces = old.map(|(old, at)| json!({"id": old.id, "expires_at": ends(old, at).to_string()}));
        output::json(&json!({
            "id": stored.id,
            "key": key,
            "scopes": stored.scopes,
            "claims": stored.claims,
            "expires_at": stored.expires_at.map(|at| at.to_string()),
            "replaces": replaces,
        }));
        return Exit::Done;
    }
    output::line(key);
    let until = stored.expires_at.map(|at| format!(", good until {at}")).unwrap_or_default();
    let scopes = stored.scopes.join(", ");
    output::note(format!("key {} for {} with scope {scopes}{until}; it is not shown again", stored.id, stored.name));
    if let Some((old, at)) = old {
        output::note(format!("key {} goes on until {}", old.id, ends(old, at)));
    }
    Exit::Done
}
