//! The WSDLs of the backends: read from their files, or as they were kept when they could be read last.
//!
//! A WSDL with all documents that it needs is kept in a folder of its own beside the staging database ([`keep`]), each
//! document under its SHA-256, with an index. Nothing is fetched here: what lies in the web was fetched and kept before, or
//! is not there. A WSDL that cannot be read and was never kept is told, and takes away no more than what needs it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::BackendConfig;
use crate::adapters::{AdapterConfig, soap};
use crate::mapping::{ServiceWsdl, Services};
use crate::wsdl::{self, Closure, Imported, Offline, Wsdl};

/// The name of the index in a folder of what is kept.
const INDEX: &str = "index.json";

/// The form of the index. Another form is as if nothing had been kept.
const FORM: u32 = 1;

/// The WSDLs of all backends that name one.
#[derive(Clone, Debug, Default)]
pub struct Wsdls(BTreeMap<String, WsdlState>);

/// How the WSDL of a backend stands.
#[derive(Clone, Debug)]
pub struct WsdlState {
    /// Where it is, as the configuration says.
    pub source: String,
    /// What it says, where that is known.
    pub wsdl: Option<Arc<Wsdl>>,
    /// The hash of all that it was made of; empty where it is not known.
    pub hash: Arc<str>,
    /// Why what is in force is what was kept, or nothing.
    pub fault: Option<String>,
    /// What is to be kept: its documents, where they are others than those that are.
    pub fresh: Option<Arc<Kept>>,
}

/// A WSDL with its documents.
#[derive(Debug)]
pub struct Kept {
    index: Index,
    /// Bytes by their hash.
    documents: Vec<(String, Vec<u8>)>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Index {
    form: u32,
    /// What the WSDL was read from.
    root: String,
    documents: Vec<Entry>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    location: String,
    sha256: String,
}

impl Wsdls {
    /// Those of the backends, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &WsdlState)> {
        self.0.iter().map(|(name, state)| (name.as_str(), state))
    }

    /// That of a backend.
    pub fn get(&self, backend: &str) -> Option<&WsdlState> {
        self.0.get(backend)
    }

    /// Reads them all. `folder` is where they are kept.
    pub(super) fn read(backends: &BTreeMap<String, BackendConfig>, folder: &Path) -> Wsdls {
        let mut all = BTreeMap::new();
        for (name, backend) in backends {
            if let AdapterConfig::Soap(config) = &backend.adapter
                && let Some(source) = &config.wsdl
            {
                all.insert(name.clone(), state(config, source, &folder_of(folder, name)));
            }
        }
        Wsdls(all)
    }
}

impl Services for Wsdls {
    fn wsdl(&self, backend: &str) -> ServiceWsdl {
        match self.0.get(backend) {
            // Whether it is a service at all is looked at elsewhere.
            None => ServiceWsdl::None,
            Some(WsdlState { wsdl: Some(wsdl), hash, .. }) => {
                ServiceWsdl::Read { wsdl: Arc::clone(wsdl), hash: Arc::clone(hash) }
            }
            Some(state) => ServiceWsdl::Unreadable(state.fault.clone().unwrap_or_default()),
        }
    }
}

/// Where the WSDLs of a configuration are kept.
pub fn folder(staging: &Path) -> PathBuf {
    staging.parent().unwrap_or(Path::new("")).join("wsdl")
}

fn folder_of(folder: &Path, backend: &str) -> PathBuf {
    // A name is any text; a folder's is not.
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let name: String =
        backend.chars().map(|c| if plain(c) { c.to_string() } else { format!("-{:x}-", c as u32) }).collect();
    folder.join(name)
}

/// The address or path of a WSDL, as an import takes it.
pub fn root(source: &soap::Wsdl) -> String {
    match source {
        soap::Wsdl::File(path) => path.display().to_string(),
        soap::Wsdl::Url(endpoint) => endpoint.describe(),
    }
}

/// How a WSDL of these settings is imported.
pub fn settings(config: &soap::Config) -> wsdl::Settings {
    wsdl::Settings { hosts: config.wsdl_hosts.clone(), ..wsdl::Settings::default() }
}

fn state(config: &soap::Config, source: &soap::Wsdl, folder: &Path) -> WsdlState {
    let root = root(source);
    let kept = kept(folder, &root);
    let unread = |fault: String| WsdlState {
        source: root.clone(),
        wsdl: None,
        hash: Arc::from(""),
        fault: Some(fault),
        fresh: None,
    };
    // What is of the web is as it was kept; what is a file is as it is now.
    let (catalogue, is_web) = match (&kept, source) {
        (Some((catalogue, _)), soap::Wsdl::File(_)) => {
            let web = |(location, _): &(&String, &PathBuf)| location.contains("://");
            let web = catalogue.iter().filter(web).map(|(location, path)| (location.clone(), path.clone()));
            (web.collect(), false)
        }
        (None, soap::Wsdl::File(_)) => (BTreeMap::new(), false),
        (Some((catalogue, _)), soap::Wsdl::Url(_)) => (catalogue.clone(), true),
        (None, soap::Wsdl::Url(_)) => return unread("it has not been fetched yet".to_owned()),
    };
    let with = |catalogue: BTreeMap<String, PathBuf>| {
        wsdl::import(&root, &wsdl::Settings { catalogue, ..settings(config) }, &mut Offline)
    };
    let told = |faults: &[wsdl::ImportFault]| {
        faults.iter().take(3).map(ToString::to_string).collect::<Vec<_>>().join("; ")
    };
    match (with(catalogue), kept) {
        (Ok(imported), kept) => {
            let fresh = Kept::of(&root, &imported.closure);
            let is_known = is_web || kept.is_some_and(|(_, index)| index == fresh.index);
            let hash = fresh.hash();
            let fresh = (!is_known).then(|| Arc::new(fresh));
            WsdlState { source: root, wsdl: Some(Arc::new(imported.wsdl)), hash, fault: None, fresh }
        }
        (Err(faults), Some((catalogue, index))) if !is_web => match with(catalogue) {
            Ok(imported) => {
                let hash = Kept { index, documents: Vec::new() }.hash();
                let fault = format!("{}; as it was read last stays in force", told(&faults));
                WsdlState {
                    source: root,
                    wsdl: Some(Arc::new(imported.wsdl)),
                    hash,
                    fault: Some(fault),
                    fresh: None,
                }
            }
            Err(_) => unread(told(&faults)),
        },
        (Err(faults), _) => unread(told(&faults)),
    }
}

/// What is kept of a WSDL: where its documents lie, by location. Documents that are not as they were kept are none.
fn kept(folder: &Path, root: &str) -> Option<(BTreeMap<String, PathBuf>, Index)> {
    let index: Index = serde_json::from_slice(&fs::read(folder.join(INDEX)).ok()?).ok()?;
    if index.form != FORM || index.root != root {
        return None;
    }
    let mut catalogue = BTreeMap::new();
    for entry in &index.documents {
        let path = folder.join(format!("{}.xml", entry.sha256));
        let bytes = fs::read(&path).ok()?;
        if hex(&Sha256::digest(&bytes)) != entry.sha256 {
            return None;
        }
        catalogue.insert(entry.location.clone(), path);
    }
    Some((catalogue, index))
}

impl Kept {
    /// Of what was imported.
    pub fn of(root: &str, closure: &Closure) -> Kept {
        let entry = |document: &wsdl::Document| Entry {
            location: document.location.to_string(),
            sha256: hex(&document.sha256),
        };
        let index =
            Index { form: FORM, root: root.to_owned(), documents: closure.documents.iter().map(entry).collect() };
        let documents =
            closure.documents.iter().map(|document| (hex(&document.sha256), document.bytes.clone())).collect();
        Kept { index, documents }
    }

    /// The hash of all documents, whatever their order.
    fn hash(&self) -> Arc<str> {
        let mut all: Vec<String> =
            self.index.documents.iter().map(|entry| format!("{}\n{}", entry.location, entry.sha256)).collect();
        all.sort();
        hex(&Sha256::digest(all.join("\n"))).into()
    }
}

/// Keeps the documents of a backend's WSDL. A process that dies meanwhile leaves what was kept before.
pub fn keep(folder: &Path, backend: &str, kept: &Kept) -> io::Result<()> {
    let folder = folder_of(folder, backend);
    fs::create_dir_all(&folder)?;
    for (hash, bytes) in &kept.documents {
        let path = folder.join(format!("{hash}.xml"));
        if !path.exists() {
            write(&folder, &path, bytes)?;
        }
    }
    let index = serde_json::to_vec_pretty(&kept.index)?;
    write(&folder, &folder.join(INDEX), &index)?;
    let is_old = |path: &Path| {
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        path.extension().is_some_and(|extension| extension == "xml")
            && !kept.documents.iter().any(|(hash, _)| hash == name)
    };
    for entry in fs::read_dir(&folder)?.flatten().filter(|entry| is_old(&entry.path())) {
        // It is only in the way.
        let _ = fs::remove_file(entry.path());
    }
    Ok(())
}

fn write(folder: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = tempfile_in(folder)?;
    file.0.write_all(bytes)?;
    file.0.sync_all()?;
    fs::rename(&file.1, path)
}

fn tempfile_in(folder: &Path) -> io::Result<(fs::File, PathBuf)> {
    let path = folder.join(format!(".{}-{}", std::process::id(), INDEX));
    Ok((fs::File::create(&path)?, path))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Imports from the web, for whoever keeps it then; blocking.
pub fn fetch(config: &soap::Config, web: &mut dyn wsdl::Web) -> Option<Result<Imported, Vec<wsdl::ImportFault>>> {
    let source = config.wsdl.as_ref()?;
    let is_web = matches!(source, soap::Wsdl::Url(_)) || !config.wsdl_hosts.is_empty();
    is_web.then(|| wsdl::import(&root(source), &settings(config), web))
}
