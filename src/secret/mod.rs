//! Secrets are named, never written: `{ env = "ERP_PASSWORD" }`, `{ file = "/run/secrets/erp" }` or
//! `{ credential = "erp" }` (systemd). A reference is read anew whenever the secret is needed, so that a changed
//! one is in force without a restart, and what was read prints nothing.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Node, SourceText, Table, Written};

/// What a key that takes a reference looks like, for the reference tables.
pub const SHAPE: &str = "{ env = \"NAME\" } | { file = \"path\" } | { credential = \"name\" }";

/// Where a secret is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretRef {
    /// In this variable of the environment.
    Env(String),
    /// In this file; one line end at its end does not belong to it.
    File(PathBuf),
    /// In the systemd credential of this name.
    Credential(String),
}

/// A secret in memory. It shows itself only on demand.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The secret itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Why a secret cannot be read. Says where it should be, never what it is.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// No such variable, or it is no text.
    #[error("the environment has no variable {0}")]
    Variable(String),
    /// No such file, or no right to read it.
    #[error("the secret in {path} cannot be read: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The service was not started by systemd with credentials.
    #[error("there is no credential {0}: the service was started without $CREDENTIALS_DIRECTORY")]
    NoCredentials(String),
    /// There is nothing in it.
    #[error("the secret in {0} is empty")]
    Empty(String),
}

impl SecretRef {
    /// Reads a reference from a key of the configuration; relative paths start at `base`. The answer is `None`
    /// when the key is absent or, after the fault was reported, wrong: `table.failed()` tells which.
    pub fn read(table: &Table<'_>, name: &str, base: &Path) -> Option<SecretRef> {
        if let Some(node) = table.get(name)
            && let Some(fault) = SecretRef::literal(name, node)
        {
            table.fail(fault);
            return None;
        }
        table.read(name, |node| SecretRef::parse(node, base))
    }

    /// The fault of a secret that is written out as the value of `name`; `None` where it is no text. The fault is shown
    /// with its line, so the line is shown without the secret.
    pub fn literal(name: &str, node: &Node) -> Option<Diagnostic> {
        let literal = node.as_str()?;
        let fault = literal_fault(node, literal, format!("`{name}`: a secret is not written here"));
        Some(fault.help("say where it is, like { env = \"NAME\" }, { file = \"path\" } or { credential = \"name\" }"))
    }

    /// Reads a reference from a value; relative paths start at `base`. The error says what is wrong with it.
    pub fn parse(node: &Node, base: &Path) -> Result<SecretRef, String> {
        let entries = match &node.value {
            Written::Table(entries) => entries,
            _ => return Err(format!("expected {SHAPE}, found {}", node.kind())),
        };
        let mut entries = entries.iter();
        let (Some((kind, place)), None) = (entries.next(), entries.next()) else {
            return Err(format!("expected exactly one of {SHAPE}"));
        };
        let place = place.as_str().filter(|place| !place.is_empty()).ok_or_else(|| format!("expected {SHAPE}"))?;
        match kind.as_str() {
            "env" => Ok(SecretRef::Env(place.to_owned())),
            "file" => Ok(SecretRef::File(base.join(place))),
            "credential" if !place.contains('/') && !place.starts_with('.') => {
                Ok(SecretRef::Credential(place.to_owned()))
            }
            "credential" => Err(format!("`{place}` is no credential's name")),
            other => Err(format!("`{other}` is no place for secrets; expected {SHAPE}")),
        }
    }

    /// Reads the secret.
    pub fn reveal(&self) -> Result<Secret, SecretError> {
        let text = match self {
            SecretRef::Env(name) => std::env::var(name).map_err(|_| SecretError::Variable(name.clone()))?,
            SecretRef::File(path) => from_file(path)?,
            SecretRef::Credential(name) => {
                let folder = std::env::var_os("CREDENTIALS_DIRECTORY")
                    .ok_or_else(|| SecretError::NoCredentials(name.clone()))?;
                from_file(&Path::new(&folder).join(name))?
            }
        };
        if text.is_empty() { Err(SecretError::Empty(self.to_string())) } else { Ok(Secret(text)) }
    }
}

/// A fault at a value that is a secret, or has one in it. It is shown with its line, and the line without the secret.
pub fn literal_fault(node: &Node, secret: &str, message: impl Into<String>) -> Diagnostic {
    let mut text = node.source.text.clone();
    let span = node.span.start.min(text.len())..node.span.end.min(text.len());
    text.replace_range(span.clone(), &"*".repeat(span.len()));
    let text = if secret.is_empty() { text } else { text.replace(secret, &"*".repeat(secret.len())) };
    let source = Arc::new(SourceText { name: node.source.name.clone(), text });
    Diagnostic::new(&source, span, message)
}

impl fmt::Display for SecretRef {
    /// Where it is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SecretRef::Env(name) => write!(f, "${name}"),
            SecretRef::File(path) => write!(f, "{}", path.display()),
            SecretRef::Credential(name) => write!(f, "credential {name}"),
        }
    }
}

fn from_file(path: &Path) -> Result<String, SecretError> {
    let text = std::fs::read_to_string(path).map_err(|source| SecretError::File { path: path.to_owned(), source })?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{Faults, Key, Presence, Section, SourceText, parse};

    static SECTION: Section = Section {
        path: "x",
        doc: "",
        keys: &[Key { name: "password", shape: SHAPE, presence: Presence::Optional, doc: "" }],
    };

    fn read(written: &str) -> Result<Option<SecretRef>, String> {
        let source = SourceText::new(Path::new("t.toml"), format!("password = {written}"));
        let faults = Faults::new();
        let root = parse(&source, &faults);
        let table = Table::new(&root, &SECTION, &faults).unwrap();
        let found = SecretRef::read(&table, "password", Path::new("/etc/tollbridge"));
        let faults = faults.into_sorted();
        if faults.is_empty() { Ok(found) } else { Err(format!("{} {}", faults[0], faults[0].render(false))) }
    }

    #[test]
    fn is_only_ever_a_reference() {
        assert_eq!(read("{ env = 'P' }"), Ok(Some(SecretRef::Env("P".to_owned()))));
        assert_eq!(read("{ file = 'p' }"), Ok(Some(SecretRef::File("/etc/tollbridge/p".into()))));
        assert_eq!(read("{ credential = 'erp' }"), Ok(Some(SecretRef::Credential("erp".to_owned()))));
        for (written, words) in [
            ("'hunter2'", "a secret is not written here"),
            ("{ env = 'A', file = 'b' }", "exactly one of"),
            ("{ value = 'x' }", "`value` is no place for secrets"),
            ("{ credential = '../x' }", "no credential's name"),
            ("{ env = '' }", "expected"),
            ("3", "expected"),
        ] {
            let fault = read(written).unwrap_err();
            assert!(fault.contains(words), "{written}: {fault}");
            assert!(!fault.contains("hunter2"), "{fault}");
        }
    }

    #[test]
    fn is_read_without_its_line_end_and_never_printed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p");
        for (content, secret) in [("geheim\n", "geheim"), ("geheim\r\n", "geheim"), (" with spaces ", " with spaces ")]
        {
            std::fs::write(&path, content).unwrap();
            let read = SecretRef::File(path.clone()).reveal().unwrap();
            assert_eq!(read.reveal(), secret);
            assert_eq!(format!("{read:?}"), "Secret");
        }
        std::fs::write(&path, "\n").unwrap();
        assert!(matches!(SecretRef::File(path).reveal(), Err(SecretError::Empty(_))));
        assert!(matches!(SecretRef::Env("NO_SUCH_VARIABLE_9".to_owned()).reveal(), Err(SecretError::Variable(_))));
        let missing = SecretRef::File(folder.path().join("q")).reveal().unwrap_err().to_string();
        assert!(missing.contains("cannot be read"), "{missing}");
    }
}
