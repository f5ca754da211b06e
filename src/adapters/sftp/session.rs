//! A connection to the server, from its first byte to its last.

use std::borrow::Cow;
use std::io::{self, ErrorKind, Read, SeekFrom};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use russh::client::{self, AuthResult, Handle, KeyboardInteractiveAuthResponse};
use russh::keys::{PrivateKeyWithHashAlg, load_secret_key};
use russh::{Disconnect, MethodKind, Preferred};
use russh_sftp::client::error::Error as SftpError;
use russh_sftp::client::fs::{File, Metadata};
use russh_sftp::client::{RawSftpSession, SftpSession};
use russh_sftp::protocol::{Packet, StatusCode};
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use tokio::runtime::Handle as Runtime;

use super::config::{Config, Login};
use super::trust::Verifier;
use crate::adapters::inbox::server::{Entry, Fault, Kind, Session, Transfer};
use crate::adapters::inbox::{InboxError, Stamp};

/// Pieces of a file, of a quarter of a megabyte at most, that are asked for at once: enough to keep a line busy,
/// and few enough for a slow one to bring the last of them in time.
const READS_AHEAD: usize = 2;

/// Bytes a second that the slowest line brings on their way.
const SLOWEST: u64 = 16 << 10;

/// The extension that renames in one step.
const POSIX_RENAME: &str = "posix-rename@openssh.com";

/// An open session.
struct Sftp {
    /// What renames in one step, once it was asked for.
    mover: Option<Mover>,
    ssh: Handle<Verifier>,
    files: SftpSession,
    runtime: Runtime,
    limit: Duration,
    place: String,
}

/// Connects, makes sure who is there, and logs in.
pub(super) fn open(config: &Config, place: &str, runtime: Runtime) -> Result<Box<dyn Session>, InboxError> {
    let unreachable = |reason: String| InboxError::Unreachable { place: place.to_owned(), reason };
    let limit = config.account.timeout;
    let late = |what: &str| unreachable(format!("{what} took longer than {} s", limit.as_secs()));
    let opened = runtime.block_on(async {
        let mut ssh = tokio::time::timeout(limit, connect(config, place)).await.map_err(|_| late("connecting"))??;
        let login = tokio::time::timeout(limit, log_in(config, &mut ssh, place));
        login.await.map_err(|_| late("logging in"))??;
        let start = async {
            let channel = ssh.channel_open_session().await.map_err(|error| error.to_string())?;
            channel.request_subsystem(true, "sftp").await.map_err(|error| error.to_string())?;
            let settings = russh_sftp::client::Config {
                request_timeout_secs: limit.as_secs(),
                max_concurrent_reads: READS_AHEAD,
                ..Default::default()
            };
            SftpSession::new_with_config(channel.into_stream(), settings).await.map_err(|error| error.to_string())
        };
        let files = tokio::time::timeout(limit, start).await.map_err(|_| late("starting SFTP"))?;
        let files = files.map_err(|reason| unreachable(format!("SFTP cannot be started: {reason}")))?;
        Ok((ssh, files))
    });
    let (ssh, files) = opened?;
    Ok(Box::new(Sftp { mover: None, ssh, files, runtime, limit, place: place.to_owned() }))
}

/// A line of its own for what the session has no words for; `None` where the server does not know it.
struct Mover(Option<RawSftpSession>);

impl Mover {
    async fn open(ssh: &Handle<Verifier>, limit: Duration) -> Result<Mover, SftpError> {
        let opened = async {
            let channel = match ssh.channel_open_session().await {
                Ok(channel) => channel,
                // One that lets nobody have two has none to spare.
                Err(_) if !ssh.is_closed() => return Ok(Mover(None)),
                Err(error) => return Err(SftpError::IO(error.to_string())),
            };
            let asked = channel.request_subsystem(true, "sftp").await;
            asked.map_err(|error| SftpError::IO(error.to_string()))?;
            let raw = RawSftpSession::new(channel.into_stream());
            raw.set_timeout(limit.as_secs());
            let version = raw.init().await?;
            Ok(Mover(version.extensions.contains_key(POSIX_RENAME).then_some(raw)))
        };
        tokio::time::timeout(limit, opened).await.map_err(|_| SftpError::Timeout)?
    }
}

/// Renames in one step; what has the name is replaced.
async fn renamed(raw: &RawSftpSession, from: &str, to: &str) -> Result<(), SftpError> {
    let mut data = Vec::with_capacity(from.len() + to.len() + 8);
    for path in [from, to] {
        let length = u32::try_from(path.len()).map_err(|_| SftpError::UnexpectedBehavior("a long path".to_owned()))?;
        data.extend_from_slice(&length.to_be_bytes());
        data.extend_from_slice(path.as_bytes());
    }
    match raw.extended(POSIX_RENAME, data).await? {
        Packet::Status(status) if status.status_code == StatusCode::Ok => Ok(()),
        Packet::Status(status) => Err(SftpError::Status(status)),
        _ => Err(SftpError::UnexpectedPacket),
    }
}

impl Sftp {
    fn fault(&self, error: SftpError) -> Fault {
        let kind = match &error {
            SftpError::Status(status) => match status.status_code {
                StatusCode::NoSuchFile => ErrorKind::NotFound,
                StatusCode::PermissionDenied => ErrorKind::PermissionDenied,
                StatusCode::OpUnsupported => ErrorKind::Unsupported,
                // Over is over, however the server says it.
                StatusCode::ConnectionLost | StatusCode::NoConnection => return self.lost(&error),
                _ => ErrorKind::Other,
            },
            _ => return self.lost(&error),
        };
        Fault::Refused(io::Error::new(kind, error.to_string()))
    }

    fn lost(&self, error: &SftpError) -> Fault {
        let reason = match error {
            SftpError::Timeout => "the server did not answer in time".to_owned(),
            other => other.to_string(),
        };
        Fault::Lost(InboxError::Unreachable { place: self.place.clone(), reason })
    }

    /// Waits for an answer.
    fn ask<T>(&self, question: impl Future<Output = Result<T, SftpError>>) -> Result<T, Fault> {
        self.files.set_timeout(self.limit.as_secs());
        self.runtime.block_on(question).map_err(|error| self.fault(error))
    }
}

impl Session for Sftp {
    fn list(&mut self, folder: &str) -> Result<Vec<Entry>, Fault> {
        let entries = self.ask(self.files.read_dir(folder))?;
        let entry = |name: String, meta: Metadata| {
            // A link says that it is one; what says nothing is asked for.
            let Some(_) = meta.permissions else { return Entry { name, kind: Kind::File, stamp: None } };
            let kind = match meta.file_type() {
                kind if kind.is_file() => Kind::File,
                kind if kind.is_dir() => Kind::Folder,
                _ => Kind::Other,
            };
            Entry { name, kind, stamp: Some(stamp(&meta)) }
        };
        Ok(entries.map(|found| entry(found.file_name(), found.metadata())).collect())
    }

    fn state(&mut self, path: &str) -> Result<Stamp, Fault> {
        self.ask(self.files.symlink_metadata(path)).map(|meta| stamp(&meta))
    }

    fn retrieve(&mut self, path: &str, from: u64) -> Result<Box<dyn Transfer>, Fault> {
        let mut file = self.ask(self.files.open(path))?;
        // One piece is waited for as long as any answer; what was asked for behind it comes behind it.
        self.files.set_timeout(self.limit.as_secs() * (READS_AHEAD as u64 + 1));
        // This only says from where the next read is.
        self.runtime.block_on(file.seek(SeekFrom::Start(from))).map_err(Fault::Refused)?;
        Ok(Box::new(Download { file, runtime: self.runtime.clone(), limit: self.limit }))
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), Fault> {
        self.ask(self.files.rename(from, to))
    }

    /// SFTP's own rename is two steps at OpenSSH, a second name and then the end of the first. Its extension is one.
    fn move_at_once(&mut self, from: &str, to: &str) -> Result<(), Fault> {
        self.files.set_timeout(self.limit.as_secs());
        if self.mover.is_none() {
            self.mover =
                Some(self.runtime.block_on(Mover::open(&self.ssh, self.limit)).map_err(|error| self.fault(error))?);
        }
        match &self.mover {
            Some(Mover(Some(raw))) => self.runtime.block_on(renamed(raw, from, to)).map_err(|error| self.fault(error)),
            _ => self.rename(from, to),
        }
    }

    fn store(&mut self, path: &str, content: &[u8]) -> Result<(), Fault> {
        let mut file = self.ask(self.files.create(path))?;
        let written = async {
            file.write_all(content).await?;
            file.flush().await?;
            file.sync_all().await.map_err(io::Error::other)?;
            file.close().await
        };
        let limit = self.limit.saturating_add(Duration::from_secs(content.len() as u64 / SLOWEST));
        let written = self.runtime.block_on(async { tokio::time::timeout(limit, written).await });
        match written {
            Ok(Ok(())) => Ok(()),
            // A no of the server is told in its words.
            Ok(Err(error)) if error.kind() == ErrorKind::Other && !self.ssh.is_closed() => Err(Fault::Refused(error)),
            Ok(Err(error)) => Err(self.lost(&SftpError::IO(error.to_string()))),
            Err(_) => Err(self.lost(&SftpError::Timeout)),
        }
    }

    fn remove(&mut self, path: &str) -> Result<(), Fault> {
        self.ask(self.files.remove_file(path))
    }

    fn make_folder(&mut self, folder: &str) -> Result<(), Fault> {
        self.ask(self.files.create_dir(folder))
    }

    fn is_closed(&self) -> bool {
        self.ssh.is_closed()
    }

    fn close(self: Box<Self>) {
        let goodbye = self.ssh.disconnect(Disconnect::ByApplication, "", "en");
        // Whether it hears us or not, the connection ends with us.
        let _ = self.runtime.block_on(async { tokio::time::timeout(Duration::from_secs(2), goodbye).await });
    }
}

/// A file on its way.
struct Download {
    file: File,
    runtime: Runtime,
    limit: Duration,
}

impl Read for Download {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = async { tokio::time::timeout(self.limit, self.file.read(buffer)).await };
        let late = |_| io::Error::new(ErrorKind::TimedOut, "the server did not answer in time");
        self.runtime.block_on(read).map_err(late)?
    }
}

impl Transfer for Download {
    fn finish(self: Box<Self>) -> Result<(), Fault> {
        // The server closes it with the connection if it does not now.
        let Download { file, runtime, limit } = *self;
        let _ = runtime.block_on(async { tokio::time::timeout(limit, file.close()).await });
        Ok(())
    }
}

/// What SFTP knows of a file's state.
fn stamp(meta: &Metadata) -> Stamp {
    let modified = (meta.mtime.map_or(0, i64::from), 0);
    Stamp { size: meta.size.unwrap_or(0), modified, ..Stamp::default() }
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
