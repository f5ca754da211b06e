//! A connection to the server, from its first byte to its last.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use russh::client::{self, AuthResult, Handle, KeyboardInteractiveAuthResponse};
use russh::keys::{PrivateKeyWithHashAlg, load_secret_key};
use russh::{Disconnect, MethodKind, Preferred};
use russh_sftp::client::SftpSession;
use russh_sftp::client::error::Error as SftpError;

use super::config::{Config, Login};
use super::trust::Verifier;
use crate::adapters::inbox::InboxError;

/// An open session. Dropping it ends the connection.
pub(super) struct Session {
    ssh: Handle<Verifier>,
    pub(super) files: SftpSession,
}

impl Session {
    /// Connects, makes sure who is there, and logs in.
    pub(super) async fn open(config: &Config, place: &str) -> Result<Session, InboxError> {
        let unreachable = |reason: String| InboxError::Unreachable { place: place.to_owned(), reason };
        let limit = config.account.timeout;
        let late = |what: &str| unreachable(format!("{what} took longer than {} s", limit.as_secs()));

        let mut ssh = tokio::time::timeout(limit, connect(config, place)).await.map_err(|_| late("connecting"))??;
        let login = tokio::time::timeout(limit, log_in(config, &mut ssh, place));
        login.await.map_err(|_| late("logging in"))??;
        let start = async {
            let channel = ssh.channel_open_session().await.map_err(|error| error.to_string())?;
            channel.request_subsystem(true, "sftp").await.map_err(|error| error.to_string())?;
            let settings = russh_sftp::client::Config { request_timeout_secs: limit.as_secs(), ..Default::default() };
            SftpSession::new_with_config(channel.into_stream(), settings).await.map_err(|error| error.to_string())
        };
        let files = tokio::time::timeout(limit, start).await.map_err(|_| late("starting SFTP"))?;
        let files = files.map_err(|reason| unreachable(format!("SFTP cannot be started: {reason}")))?;
        Ok(Session { ssh, files })
    }

    /// Whether the connection is over.
    pub(super) fn is_closed(&self) -> bool {
        self.ssh.is_closed()
    }

    /// Says goodbye.
    pub(super) async fn close(self) {
        let goodbye = self.ssh.disconnect(Disconnect::ByApplication, "", "en");
        // Whether it hears us or not, the connection ends with us.
        let _ = tokio::time::timeout(Duration::from_secs(2), goodbye).await;
    }
}

async fn connect(config: &Config, place: &str) -> Result<Handle<Verifier>, InboxError> {
    let (host, port) = (config.account.host.clone(), config.account.port);
    let mut preferred = Preferred::default();
    let known = config.trust.algorithms(&host, port);
    if !known.is_empty() {
        preferred.key = Cow::Owned(known);
    }
    let settings = client::Config {
        keepalive_interval: Some(config.keepalive),
        keepalive_max: 3,
        nodelay: true,
        preferred,
        ..client::Config::default()
    };
    let refusal = Arc::new(Mutex::new(None));
    let trust = config.trust.clone();
    let verifier = Verifier { trust, host: host.clone(), port, refusal: Arc::clone(&refusal) };
    let connected = client::connect(Arc::new(settings), (host.as_str(), port), verifier).await;
    connected.map_err(|error| match refusal.lock().take() {
        Some(reason) => InboxError::Untrusted { place: place.to_owned(), reason },
        None => InboxError::Unreachable { place: place.to_owned(), reason: error.to_string() },
    })
}

async fn log_in(config: &Config, ssh: &mut Handle<Verifier>, place: &str) -> Result<(), InboxError> {
    let user = config.account.username.as_str();
    let refused = |reason: String| InboxError::Login { place: place.to_owned(), reason };
    let broken = |error: russh::Error| InboxError::Unreachable { place: place.to_owned(), reason: error.to_string() };
    let (result, tried) = match &config.login {
        Login::Password(secret) => {
            let password = secret.reveal().map_err(|error| refused(error.to_string()))?;
            let mut result = ssh.authenticate_password(user, password.reveal()).await.map_err(broken)?;
            if let AuthResult::Failure { remaining_methods, .. } = &result
                && !remaining_methods.contains(&MethodKind::Password)
                && remaining_methods.contains(&MethodKind::KeyboardInteractive)
            {
                result = answer_prompts(ssh, user, password.reveal()).await.map_err(broken)?;
            }
            (result, format!("the password in {secret}"))
        }
        Login::Key { path, passphrase } => {
            let passphrase = passphrase.as_ref().map(|secret| secret.reveal()).transpose();
            let passphrase = passphrase.map_err(|error| refused(error.to_string()))?;
            let key = load_secret_key(path, passphrase.as_ref().map(|secret| secret.reveal()));
            let key = key.map_err(|error| refused(format!("the key {} cannot be used: {error}", path.display())))?;
            let hash = ssh.best_supported_rsa_hash().await.map_err(broken)?.flatten();
            let key = PrivateKeyWithHashAlg::new(Arc::new(key), hash);
            (ssh.authenticate_publickey(user, key).await.map_err(broken)?, format!("the key {}", path.display()))
        }
    };
    match result {
        AuthResult::Success => Ok(()),
        AuthResult::Failure { remaining_methods, .. } => {
            let methods: Vec<&str> = remaining_methods.iter().map(Into::into).collect();
            Err(refused(format!("{tried} does not let {user} in; the server takes {}", methods.join(", "))))
        }
    }
}

/// Servers that know passwords only as answers to a prompt.
async fn answer_prompts(ssh: &mut Handle<Verifier>, user: &str, password: &str) -> Result<AuthResult, russh::Error> {
    let mut response = ssh.authenticate_keyboard_interactive_start(user, None::<String>).await?;
    let mut is_answered = false;
    loop {
        match response {
            KeyboardInteractiveAuthResponse::Success => return Ok(AuthResult::Success),
            KeyboardInteractiveAuthResponse::Failure { remaining_methods, partial_success } => {
                return Ok(AuthResult::Failure { remaining_methods, partial_success });
            }
            KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. } => {
                // The password answers one prompt, once; nothing else is ours to answer.
                let answers: Vec<String> = match prompts.len() {
                    1 if !is_answered => vec![password.to_owned()],
                    count => vec![String::new(); count],
                };
                is_answered |= !prompts.is_empty();
                response = ssh.authenticate_keyboard_interactive_respond(answers).await?;
            }
        }
    }
}

/// A fault of SFTP as one of the operating system; and whether the server said so itself.
pub(super) fn io_fault(error: SftpError) -> (std::io::Error, bool) {
    use russh_sftp::protocol::StatusCode;
    use std::io::{Error, ErrorKind};
    match error {
        SftpError::Status(status) => {
            let kind = match status.status_code {
                StatusCode::NoSuchFile => ErrorKind::NotFound,
                StatusCode::PermissionDenied => ErrorKind::PermissionDenied,
                StatusCode::OpUnsupported => ErrorKind::Unsupported,
                _ => ErrorKind::Other,
            };
            (Error::new(kind, status.error_message), true)
        }
        SftpError::Timeout => (Error::new(ErrorKind::TimedOut, "the server did not answer in time"), false),
        other => (Error::other(other.to_string()), false),
    }
}
