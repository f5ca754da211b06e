//! The mappings' folder: reads every mapping and the files it names, and compiles them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::sections::Known;
use super::{Withheld, Wsdls, relations};
use crate::adapters::AdapterConfig;
use crate::diagnostic::{Diagnostic, Faults, Node, SourceText, nearest, parse, text_of};
use crate::mapping::{self, Origin, Plan, ServiceWsdl, Services};
use crate::record::ResourceId;

/// Compiles all mappings of a folder, in order of their file names.
///
/// Those that need a WSDL which cannot be read are left out, and told beside the others.
pub(super) fn load(
    folder: &Path,
    backends: &[Known],
    wsdls: &Wsdls,
    faults: &Faults,
) -> (Vec<Arc<Plan>>, Vec<Withheld>) {
    let (mut plans, mut withheld, mut sources) = (Vec::new(), Vec::new(), Vec::new());
    let before_all = faults.len();
    let mut seen: HashMap<ResourceId, Arc<SourceText>> = HashMap::new();
    for path in files(folder, faults) {
        let Some(source) = read(&path, faults) else { continue };
        let before = faults.len();
        if let Some(reason) = unread(&source, wsdls) {
            withheld.push(reason);
            continue;
        }
        let Some(plan) = compile(&source, folder, wsdls, faults) else {
            // Never leave a mapping out without a word, should the compiler ever have none.
            if faults.len() == before {
                faults.push(at(&source, &["resource"]).fault("the mapping could not be compiled, for no known reason"));
            }
            continue;
        };
        let id = plan.exposure.id.clone();
        if let Some(other) = seen.get(&id) {
            let message = format!("resource {id} is declared twice: it is in {} too", other.name);
            faults.push(at(&source, &["resource"]).key_fault(message).help("give one of them another name or version"));
            continue;
        }
        seen.insert(id, Arc::clone(&source));
        let Some(known) = backends.iter().find(|known| known.name == plan.backend) else {
            let message = format!("there is no backend `{}` in tollbridge.toml", plan.backend);
            let names = || backends.iter().map(|known| known.name.as_str());
            let help = match nearest(&plan.backend, names()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the backends are: {}", names().collect::<Vec<_>>().join(", ")),
            };
            faults.push(at(&source, &["source", "backend"]).fault(message).help(help));
            continue;
        };
        // Where the kind is not clear that is a fault already.
        if let Some(kind) = known.kind.filter(|kind| !fits(&plan.origin, kind, known.has_inbox)) {
            let has = match kind {
                "soap" => "it is called",
                kind if AdapterConfig::is_database(kind) => "it is asked in SQL",
                _ if known.has_inbox => "it has an inbox",
                _ => "it has an outbox and no `inbox`",
            };
            let lacks = match plan.origin {
                Origin::Files(_) => "has no files",
                Origin::Call(_) => "is no SOAP service",
                Origin::Rows(_) => "is no database",
            };
            let message = format!("backend `{}` {lacks}: {has} (`{kind}`)", plan.backend);
            faults.push(at(&source, &["source", "backend"]).fault(message));
            continue;
        }
        if !operations_fit(&plan, &source, backends, faults) {
            continue;
        }
        plans.push(Arc::new(plan));
        sources.push(source);
    }
    for plan in &plans {
        successor_is_there(plan, &plans, &withheld, &seen, faults);
    }
    let is_complete = withheld.is_empty() && faults.len() == before_all;
    relations::check(&plans, &sources, is_complete, faults);
    (plans, withheld)
}

/// Reports a successor that is not there, or is the version itself. What is left out may be it.
fn successor_is_there(
    plan: &Plan,
    plans: &[Arc<Plan>],
    withheld: &[Withheld],
    sources: &HashMap<ResourceId, Arc<SourceText>>,
    faults: &Faults,
) {
    let id = &plan.exposure.id;
    let Some(successor) = plan.exposure.retirement.successor else { return };
    let is_it = |other: &Arc<Plan>| other.exposure.id.name() == id.name() && other.exposure.id.version() == successor;
    let is_there = successor != id.version() && (plans.iter().any(is_it) || !withheld.is_empty());
    let Some(source) = sources.get(id).filter(|_| !is_there) else { return };
    let message =
        format!("the successor of {id} is to be version {successor}, and there is no other mapping of that version");
    faults.push(at(source, &["serve", "successor"]).fault(message).help("add its mapping, or name another version"));
}

/// The WSDL that a mapping needs and that cannot be read.
fn unread(source: &Arc<SourceText>, wsdls: &Wsdls) -> Option<Withheld> {
    mapping::services_of(source).into_iter().find_map(|backend| match wsdls.wsdl(&backend) {
        ServiceWsdl::Unreadable(reason) => Some(Withheld { mapping: source.name.clone(), backend, reason }),
        _ => None,
    })
}

/// Whether the backends that the operations write to are there, and of the kind that is written to.
fn operations_fit(plan: &Plan, source: &Arc<SourceText>, backends: &[Known], faults: &Faults) -> bool {
    let before = faults.len();
    for operation in &plan.operations {
        let (name, backend) = (operation.exposed.name.as_str(), operation.backend.as_str());
        let place = || operation.backend_node.clone().unwrap_or_else(|| at(source, &["operations", name]));
        let fault = |message: String| match &operation.backend_node {
            Some(node) => node.fault(message),
            None => place().key_fault(message),
        };
        let Some(known) = backends.iter().find(|known| known.name == backend) else {
            let names = || backends.iter().map(|known| known.name.as_str());
            let help = match nearest(backend, names()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the backends are: {}", names().collect::<Vec<_>>().join(", ")),
            };
            faults.push(fault(format!("there is no backend `{backend}` in tollbridge.toml")).help(help));
            continue;
        };
        // Where the kind is not clear that is a fault already.
        let Some(kind) = known.kind else { continue };
        let (fits, lacks, help) = if operation.service().is_some() {
            (kind == "soap", "is no SOAP service", "name a SOAP service by `backend`")
        } else if operation.is_of_database() {
            (AdapterConfig::is_database(kind), "is no database", "name a database by `backend`")
        } else {
            let help =
                "say `outbox` of that backend, the folder that it takes files from, or name another by `backend`";
            (known.has_outbox, "has no outbox", help)
        };
        if !fits {
            let message = format!("operation `{name}` writes to backend `{backend}`, which {lacks} (`{kind}`)");
            faults.push(fault(message).help(help));
        }
    }
    faults.len() == before
}

/// Whether a backend of this kind has what a mapping reads.
fn fits(origin: &Origin, kind: &str, has_inbox: bool) -> bool {
    match origin {
        // That one of files has neither folder is a fault already.
        Origin::Files(_) => kind != "soap" && !AdapterConfig::is_database(kind) && has_inbox,
        Origin::Call(_) => kind == "soap",
        Origin::Rows(_) => AdapterConfig::is_database(kind),
    }
}

/// The mapping files of the folder.
fn files(folder: &Path, faults: &Faults) -> Vec<PathBuf> {
    let listing = fs::read_dir(folder).and_then(|entries| entries.collect::<Result<Vec<_>, _>>());
    let entries = match listing {
        Ok(entries) => entries,
        Err(error) => {
            let source = SourceText::new(folder, String::new());
            let fault = Diagnostic::new(&source, 0..0, format!("the mappings' folder cannot be read: {error}"));
            faults.push(fault.help("`mappings` in tollbridge.toml names the folder"));
            return Vec::new();
        }
    };
    let is_mapping = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "toml");
    let mut paths: Vec<_> = entries.iter().map(fs::DirEntry::path).filter(is_mapping).collect();
    paths.sort();
    if paths.is_empty() {
        let source = SourceText::new(folder, String::new());
        let fault = Diagnostic::new(&source, 0..0, "there is no mapping in the mappings' folder");
        faults.push(fault.help("add a file like `orders.v1.toml`"));
    }
    paths
}

fn read(path: &Path, faults: &Faults) -> Option<Arc<SourceText>> {
    match fs::read(path).map(String::from_utf8) {
        Ok(Ok(text)) => Some(SourceText::new(path, text)),
        Ok(Err(_)) => {
            let source = SourceText::new(path, String::new());
            faults.push(Diagnostic::new(&source, 0..0, "the file is not UTF-8").help("save it as UTF-8"));
            None
        }
        Err(error) => {
            let source = SourceText::new(path, String::new());
            faults.push(Diagnostic::new(&source, 0..0, format!("the file cannot be read: {error}")));
            None
        }
    }
}

/// Compiles one mapping with the copybooks, rulers and tables beside it.
fn compile(source: &Arc<SourceText>, folder: &Path, wsdls: &Wsdls, faults: &Faults) -> Option<Plan> {
    // What cannot be read is missing here, and the compiler says so at the key that names it. What a copybook copies it
    // asks for by plain names, so that nothing outside of its folder is read. Copybooks may come in an old code page;
    // only their ASCII part has a meaning.
    let texts: RefCell<HashMap<String, Option<Arc<SourceText>>>> = RefCell::default();
    let text = |name: &str| {
        if let Some(known) = texts.borrow().get(name) {
            return known.clone();
        }
        let path = folder.join(name);
        let bytes = if path.is_file() { fs::read(&path).ok() } else { None };
        let text = bytes.map(|bytes| SourceText::new(&path, text_of(bytes)));
        texts.borrow_mut().insert(name.to_owned(), text.clone());
        text
    };
    mapping::compile_with(source, &text, wsdls, faults)
}

/// The node at a path of keys, or the nearest one above it.
pub(super) fn at(source: &Arc<SourceText>, path: &[&str]) -> Node {
    let mut node = parse(source, &Faults::new());
    for key in path {
        match node.as_table().and_then(|entries| entries.get(*key)).cloned() {
            Some(below) => node = below,
            None => break,
        }
    }
    node
}
