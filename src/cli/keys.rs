//! `keys`: who may call the API. A key is shown once, when it is made; only its hash is stored.

use clap::Subcommand;
use serde_json::json;

use super::{Context, Exit, fail, output};
use crate::console::view;
use crate::http;

#[derive(Debug, Subcommand)]
pub(super) enum Action {
    /// Make a key and show it, once
    Create {
        /// Whose it is
        name: String,
        /// What it may do: `orders:read`, `read` for all reading, `admin` for the console, `*` for all; may be repeated
        #[arg(long = "scope", default_value = "read")]
        scopes: Vec<String>,
    },
    /// List all keys
    List,
    /// Revoke a key
    Revoke {
        /// Its id
        id: String,
    },
}

pub(super) async fn run(context: &Context, action: &Action) -> Exit {
    let staging = match context.open_staging() {
        Ok(staging) => staging,
        Err(exit) => return exit,
    };
    match action {
        Action::Create { name, scopes } => {
            let (key, stored) = match http::generate_key(name, scopes) {
                Ok(made) => made,
                Err(error) => {
                    output::fault(&error.to_string());
                    return Exit::Usage;
                }
            };
            let stored = match staging.add_api_key(stored).await {
                Ok(stored) => stored,
                Err(error) => return fail(&error.into()),
            };
            if context.json {
                output::json(&json!({"id": stored.id, "key": key, "scopes": stored.scopes}));
            } else {
                output::line(&key);
                output::note(format!(
                    "key {} for {} with scope {}; it is not shown again",
                    stored.id,
                    stored.name,
                    stored.scopes.join(", ")
                ));
            }
            Exit::Done
        }
        Action::List => match staging.api_keys().await {
            Ok(keys) if context.json => {
                keys.iter().for_each(|key| output::json(&view::key(key)));
                Exit::Done
            }
            Ok(keys) => {
                let row = |key: &crate::staging::ApiKey| {
                    let revoked = key.revoked_at.map(|at| at.to_string()).unwrap_or_default();
                    vec![key.id.clone(), key.name.clone(), key.scopes.join(" "), key.created_at.to_string(), revoked]
                };
                output::table(
                    &["ID", "NAME", "SCOPES", "CREATED", "REVOKED"],
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
