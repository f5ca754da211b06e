//! Where closures are kept, so that a service starts without fetching anything, and so that a WSDL that cannot be had or
//! read any more leaves the last good import in force. Documents lie under their SHA-256; a manifest for each backend
//! names them. What is found not to be what was stored is not read.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::closure::{Closure, Fetched, Source};
use super::finding::FindingCode;
use super::location::Location;

/// A folder of closures.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
}

/// A closure as it is kept.
#[derive(Debug)]
pub struct Stored {
    pub(in crate::wsdl) root: Location,
    documents: HashMap<Location, Fetched>,
}

/// A closure cannot be kept or read.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {message}")]
pub struct StoreFault {
    /// The file.
    pub path: String,
    /// What is wrong with it.
    pub message: String,
}

/// Manifests of other forms are not read.
const FORM: u64 = 1;

impl Store {
    /// A store in a folder, which is made when something is kept.
    pub fn new(folder: &Path) -> Store {
        Store { folder: folder.to_owned() }
    }

    fn manifest(&self, name: &str) -> PathBuf {
        // Names of backends are plain; of others no path may come.
        let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '_' };
        self.folder.join(format!("{}.json", name.chars().map(plain).collect::<String>()))
    }

    fn document(&self, sha256: &str) -> PathBuf {
        self.folder.join("documents").join(sha256)
    }

    /// Keeps a closure under a name, in the place of what was kept before.
    pub fn keep(&self, name: &str, closure: &Closure) -> Result<(), StoreFault> {
        let mut documents = Vec::new();
        for document in &closure.documents {
            let sha256 = hex(&document.sha256);
            let path = self.document(&sha256);
            if !fs::read(&path).is_ok_and(|own| own == document.bytes) {
                write_whole(&path, &document.bytes).map_err(|error| fault(&path, error))?;
            }
            let is_url = matches!(document.location, Location::Url(_));
            documents.push(json!({
                "location": document.location.to_string(), "url": is_url, "sha256": sha256, "charset": document.charset,
            }));
        }
        let manifest = json!({ "form": FORM, "documents": documents });
        let path = self.manifest(name);
        let mut text = serde_json::to_vec_pretty(&manifest).map_err(|error| fault(&path, error))?;
        text.push(b'\n');
        write_whole(&path, &text).map_err(|error| fault(&path, error))
    }

    /// What is kept under a name; `None` where nothing is.
    pub fn load(&self, name: &str) -> Result<Option<Stored>, StoreFault> {
        let path = self.manifest(name);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(fault(&path, error)),
        };
        let manifest: Value = serde_json::from_slice(&text).map_err(|error| fault(&path, error))?;
        if manifest["form"].as_u64() != Some(FORM) {
            return Err(fault(&path, "it is of another form"));
        }
        let (mut root, mut documents) = (None, HashMap::new());
        for entry in manifest["documents"].as_array().into_iter().flatten() {
            let (Some(location), Some(sha256)) = (entry["location"].as_str(), entry["sha256"].as_str()) else {
                return Err(fault(&path, "a document lacks its place or its hash"));
            };
            if sha256.len() != 64 || !sha256.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(fault(&path, "a hash is none"));
            }
            let location = match entry["url"].as_bool() {
                Some(true) => Location::Url(location.to_owned()),
                _ => Location::File(location.to_owned()),
            };
            let file = self.document(sha256);
            let bytes = fs::read(&file).map_err(|error| fault(&file, error))?;
            if hex(&Sha256::digest(&bytes).into()) != sha256 {
                return Err(fault(&file, "it is not what was kept"));
            }
            root.get_or_insert_with(|| location.clone());
            documents.insert(location, Fetched { bytes, charset: entry["charset"].as_str().map(str::to_owned) });
        }
        let root = root.ok_or_else(|| fault(&path, "it names no document"))?;
        Ok(Some(Stored { root, documents }))
    }
}

impl Stored {
    /// Whether a closure has the same documents.
    pub fn is_same(&self, closure: &Closure) -> bool {
        closure.documents.len() == self.documents.len()
            && closure
                .documents
                .iter()
                .all(|document| self.documents.get(&document.location).is_some_and(|own| own.bytes == document.bytes))
    }
}

impl Source for &Stored {
    fn read(&mut self, location: &Location, _: u64) -> Result<Fetched, (FindingCode, String)> {
        let missing = || (FindingCode::MissingDocument, "it was not to be had when the WSDL was imported".to_owned());
        self.documents.get(location).cloned().ok_or_else(missing)
    }
}

/// Reads from outside; what the web does not give any more is what it gave last time.
pub(in crate::wsdl) struct Remembering<'s, S> {
    pub(in crate::wsdl) source: S,
    pub(in crate::wsdl) last: Option<&'s Stored>,
}

impl<S: Source> Source for Remembering<'_, S> {
    fn read(&mut self, location: &Location, most: u64) -> Result<Fetched, (FindingCode, String)> {
        let read = self.source.read(location, most);
        match (&read, location, self.last) {
            // The WSDL itself is asked for to be read anew.
            (Err((FindingCode::MissingDocument, _)), Location::Url(_), Some(last)) if *location != last.root => {
                last.documents.get(location).cloned().map_or(read, Ok)
            }
            _ => read,
        }
    }
}

fn fault(path: &Path, message: impl ToString) -> StoreFault {
    StoreFault { path: path.display().to_string(), message: message.to_string() }
}

fn hex(bytes: &[u8; 32]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes a file so that it is there whole or not at all.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let partial = folder.join(format!(".{name}.{}.partial", std::process::id()));
    let mut file = fs::File::create(&partial)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&partial, path)?;
    fs::File::open(folder)?.sync_all()
}
