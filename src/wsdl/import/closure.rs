//! The closure of a WSDL: every document that it needs, from the folder it lies in, from the web as far as that is
//! allowed, from a catalogue, or from a store of what was fetched before. After this nothing is fetched any more.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::dom::{Dom, Node};
use super::finding::{FindingCode, Findings};
use super::location::{Location, NoPlace};
use super::well_known::{WSDL, is_well_known};
use crate::markup;

/// What an import may not exceed.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of a document.
    pub document: u64,
    /// Bytes of all.
    pub total: u64,
    /// How many documents.
    pub documents: usize,
    /// How deep elements lie in one another.
    pub depth: usize,
    /// Elements of a document.
    pub elements: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { document: 10 << 20, total: 50 << 20, documents: 500, depth: 100, elements: 1_000_000 }
    }
}

/// How a WSDL is imported.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Files that stand for addresses or namespaces; they may lie anywhere.
    pub catalogue: BTreeMap<String, PathBuf>,
    /// Hosts (`host` or `host:port`) from which documents may be fetched, beside that of the WSDL itself.
    pub hosts: Vec<String>,
    /// The folder that files may lie in, when it is not that of the WSDL. The WSDL lies below it.
    pub folder: Option<PathBuf>,
    /// Whether findings are faults ([`FindingCode::is_fault`](super::FindingCode::is_fault)).
    pub is_strict: bool,
    /// What may not be exceeded.
    pub limits: Limits,
}

/// Fetches documents of the web. Whoever implements it decides how (proxy, certificates, credentials) and does not
/// follow a redirect to another host.
pub trait Web {
    /// The document at an address, of `most` bytes at most; or why it is not to be had, as a phrase.
    fn get(&mut self, url: &str, most: u64) -> Result<Fetched, String>;
}

/// What the web answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The document.
    pub bytes: Vec<u8>,
    /// The encoding that the header `Content-Type` names.
    pub charset: Option<String>,
}

/// Nothing is fetched.
#[derive(Clone, Copy, Debug, Default)]
pub struct Offline;

impl Web for Offline {
    fn get(&mut self, _: &str, _: u64) -> Result<Fetched, String> {
        Err("it would have to be fetched, and this is offline".to_owned())
    }
}

/// A document of a closure.
#[derive(Debug)]
pub struct Document {
    /// Where it was.
    pub location: Location,
    /// The same, as findings name it.
    pub name: Arc<str>,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Their SHA-256.
    pub sha256: [u8; 32],
    /// The encoding that was said beside it.
    pub charset: Option<String>,
    pub(in crate::wsdl) dom: Dom,
}

/// All documents of a WSDL. The first is the WSDL itself.
#[derive(Debug)]
pub struct Closure {
    /// The documents.
    pub documents: Vec<Document>,
    /// Where a reference leads, by document and element.
    pub(in crate::wsdl) edges: HashMap<(usize, u32), usize>,
    pub(in crate::wsdl) findings: Findings,
}

/// Why a WSDL cannot be imported at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{document}{}: {message}", if *.line == 0 { String::new() } else { format!(":{line}") })]
pub struct ImportFault {
    /// The document.
    pub document: String,
    /// The line, from 1; 0 where it is about the whole document.
    pub line: u32,
    /// What is wrong, as a sentence without a full stop.
    pub message: String,
}

/// Where documents come from.
pub(in crate::wsdl) trait Source {
    fn read(&mut self, location: &Location, most: u64) -> Result<Fetched, (FindingCode, String)>;
}

/// Files below a folder, the catalogue, and the web.
pub(in crate::wsdl) struct Outside<'s> {
    pub(in crate::wsdl) folder: PathBuf,
    pub(in crate::wsdl) root: Location,
    pub(in crate::wsdl) settings: &'s Settings,
    pub(in crate::wsdl) web: &'s mut dyn Web,
}

impl Source for Outside<'_> {
    fn read(&mut self, location: &Location, most: u64) -> Result<Fetched, (FindingCode, String)> {
        let missing = |message: String| (FindingCode::MissingDocument, message);
        if let Some(path) = self.settings.catalogue.get(&location.to_string()) {
            return file(path, most).map_err(missing);
        }
        match location {
            Location::File(path) => {
                let path = self.folder.join(path);
                // A link may lead out of the folder.
                let real = path.canonicalize().map_err(|error| missing(error.to_string()))?;
                let folder = self.folder.canonicalize().map_err(|error| missing(error.to_string()))?;
                if !real.starts_with(&folder) {
                    return Err((FindingCode::RefusedDocument, "it leads out of the folder of the WSDL".to_owned()));
                }
                file(&real, most).map_err(missing)
            }
            Location::Url(url) => {
                let authority = location.authority().unwrap_or_default();
                let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
                let is_allowed = self.root.authority() == Some(authority)
                    || self.settings.hosts.iter().any(|own| own.eq_ignore_ascii_case(authority) || own == host);
                if !is_allowed {
                    let message = format!("documents are not fetched from `{authority}`, which is not allowed");
                    return Err((FindingCode::RefusedDocument, message));
                }
                self.web.get(url, most).map_err(missing)
            }
        }
    }
}

/// A file of at most so many bytes, and one more to tell.
fn file(path: &Path, most: u64) -> Result<Fetched, String> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
        return Err("it is no file".to_owned());
    }
    file.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    Ok(Fetched { bytes, charset: None })
}

impl Closure {
    /// Collects all documents, from the WSDL on.
    pub(in crate::wsdl) fn collect(
        root: &Location,
        settings: &Settings,
        source: &mut dyn Source,
    ) -> Result<Closure, ImportFault> {
        let mut closure = Closure { documents: Vec::new(), edges: HashMap::new(), findings: Findings::default() };
        let mut total = 0;
        let first = closure.read(root, settings, source, &mut total).map_err(|(_, line, message)| ImportFault {
            document: root.to_string(),
            line,
            message,
        })?;
        let mut known = HashMap::from([(root.clone(), Ok(first))]);
        let mut next = 0;
        while next < closure.documents.len() {
            closure.follow(next, settings, source, &mut known, &mut total);
            next += 1;
        }
        Ok(closure)
    }

    fn read(
        &mut self,
        location: &Location,
        settings: &Settings,
        source: &mut dyn Source,
        total: &mut u64,
    ) -> Result<usize, (FindingCode, u32, String)> {
        let limits = &settings.limits;
        let Fetched { bytes, charset } =
            source.read(location, limits.document).map_err(|(code, message)| (code, 0, message))?;
        let unreadable = |line, message: String| (FindingCode::UnreadableDocument, line, message);
        *total += bytes.len() as u64;
        if bytes.len() as u64 > limits.document {
            return Err(unreadable(0, format!("it has more than {} bytes", limits.document)));
        }
        if *total > limits.total {
            return Err(unreadable(0, format!("all documents have more than {} bytes", limits.total)));
        }
        if self.documents.len() >= limits.documents {
            return Err(unreadable(0, format!("there are more than {} documents", limits.documents)));
        }
        let text = markup::text(&bytes, charset.as_deref()).map_err(|message| unreadable(0, message))?;
        let dom = Dom::parse(&text, limits).map_err(|fault| unreadable(fault.line, fault.message))?;
        let sha256 = Sha256::digest(&bytes).into();
        let name = location.to_string().into();
        self.documents.push(Document { location: location.clone(), name, bytes, sha256, charset, dom });
        Ok(self.documents.len() - 1)
    }

    /// Reads what a document refers to.
    fn follow(
        &mut self,
        index: usize,
        settings: &Settings,
        source: &mut dyn Source,
        known: &mut HashMap<Location, Result<usize, (FindingCode, u32, String)>>,
        total: &mut u64,
    ) {
        let document = &self.documents[index];
        let (base, name) = (document.location.clone(), Arc::clone(&document.name));
        for reference in references(&document.dom) {
            let Some(target) = reference.location.as_deref().map(str::trim).filter(|target| !target.is_empty()) else {
                continue;
            };
            let is_known_namespace = reference.namespace.as_deref().is_some_and(is_well_known);
            let catalogued = [Some(target), reference.namespace.as_deref()].into_iter().flatten();
            let catalogued = catalogued.into_iter().find(|key| settings.catalogue.contains_key(*key));
            let location = match (catalogued, base.join(target)) {
                (Some(key), _) => Ok(Location::Url(key.to_owned())),
                // Standards are built in, and not fetched.
                (None, Ok(Location::Url(_))) if is_known_namespace => continue,
                (None, Ok(location)) => Ok(location),
                (None, Err(_)) if is_known_namespace => continue,
                (None, Err(NoPlace::Outside)) => {
                    Err((FindingCode::RefusedDocument, 0, "it leads out of the folder of the WSDL".to_owned()))
                }
                (None, Err(NoPlace::Scheme(scheme))) => {
                    Err((FindingCode::RefusedDocument, 0, format!("`{scheme}:` is not read")))
                }
            };
            let read = location.and_then(|location| match known.get(&location) {
                Some(read) => read.clone(),
                None => {
                    let read = self.read(&location, settings, source, total);
                    known.insert(location, read.clone());
                    read
                }
            });
            match read {
                Ok(target) => {
                    self.edges.insert((index, reference.node), target);
                }
                Err(_) if is_known_namespace => {}
                Err((code, line, message)) => {
                    let at = if line > 0 { format!(" (line {line})") } else { String::new() };
                    let message = format!("`{target}` is left out: {message}{at}");
                    self.findings.push(code, &name, reference.line, message);
                }
            }
        }
    }
}

/// A reference of a document to another.
struct Reference {
    node: u32,
    line: u32,
    location: Option<String>,
    namespace: Option<String>,
}

fn references(dom: &Dom) -> Vec<Reference> {
    let mut found = Vec::new();
    let mut push = |node: Node<'_>, location: &str| {
        let (location, namespace) = (node.attr(location), node.attr("namespace"));
        found.push(Reference {
            node: node.id(),
            line: node.line(),
            location: location.map(str::to_owned),
            namespace: namespace.map(|uri| uri.trim().to_owned()),
        });
    };
    let root = dom.root();
    let mut schemas = Vec::new();
    if root.is_xsd("schema") {
        schemas.push(root);
    }
    for child in root.children().filter(|_| root.is(WSDL, "definitions")) {
        if child.is(WSDL, "import") {
            push(child, "location");
        }
        if child.is(WSDL, "types") {
            // Some write imports of schemas directly in `types`.
            child.xsd_children("import").for_each(|import| push(import, "schemaLocation"));
            schemas.extend(child.xsd_children("schema"));
        }
    }
    for schema in schemas {
        for child in schema.children().filter(|child| matches!(child.xsd(), "import" | "include" | "redefine")) {
            push(child, "schemaLocation");
        }
    }
    found
}
