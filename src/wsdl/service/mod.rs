//! A WSDL with everything it needs, imported: its operations with their plans, and what was found on the way.

mod declared;
#[cfg(test)]
mod hostile;
mod messages;
mod operations;
mod policy;
mod reach;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use declared::Declared;

use super::import::{
    Closure, Finding, FindingCode, ImportFault, Location, Outside, Remembering, Settings, Source, Store, StoreFault,
    Stored, Web,
};
use super::schema::{At, Compiler, Schemas};
use super::{Operation, Plan, SoapVersion, Types};

/// An imported WSDL.
#[derive(Clone, Debug)]
pub struct Wsdl {
    /// Where it was.
    pub location: Location,
    /// Its operations, by service and port. Of a service with a port for SOAP 1.1 and one for 1.2 each is there twice.
    pub operations: Vec<Arc<Operation>>,
    /// The types of all of them.
    pub types: Arc<Types>,
    /// What is missing or odd.
    pub findings: Vec<Finding>,
    /// How many more findings there are, beyond what is told.
    pub untold: usize,
}

/// What an import gives.
#[derive(Debug)]
pub struct Imported {
    /// The WSDL.
    pub wsdl: Wsdl,
    /// The documents it was made of.
    pub closure: Closure,
}

/// Why there is no such plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPlan {
    /// No operation has this name.
    #[error("there is no operation `{name}`{}", nearest.as_ref().map_or(String::new(), |near| format!("; did you mean `{near}`?")))]
    Unknown {
        /// The name.
        name: String,
        /// The nearest one that there is.
        nearest: Option<String>,
    },
    /// Several ports that differ in more than their version have it.
    #[error("several ports have the operation `{name}`: {}", ports.join(", "))]
    Ambiguous {
        /// The name.
        name: String,
        /// The ports, as `Service.Port`.
        ports: Vec<String>,
    },
}

/// Which port an operation is called at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// The port's name; any when absent.
    pub port: Option<String>,
    /// The version of SOAP; any when absent, 1.1 rather than 1.2.
    pub version: Option<SoapVersion>,
}

/// Imports a WSDL from a file or an address (`http`, `https`).
///
/// What is missing or odd is a finding of the result, and degrades only the operations that reach it. The faults are
/// those that leave nothing to be imported: the WSDL itself cannot be had or read, or offers no operation over SOAP; and
/// all findings that are faults, where the settings are strict.
pub fn import(root: &str, settings: &Settings, web: &mut dyn Web) -> Result<Imported, Vec<ImportFault>> {
    import_beside(root, settings, web, None)
}

/// An import with a store behind it.
#[derive(Debug)]
pub struct Kept {
    /// The WSDL as it is, or as it was last.
    pub wsdl: Wsdl,
    /// Why it is the last one; empty when it is the one of now.
    pub faults: Vec<ImportFault>,
    /// Whether it differs from what was kept before.
    pub is_new: bool,
    /// The store failed; what is imported is in force all the same.
    pub store_fault: Option<StoreFault>,
}

/// Imports a WSDL and keeps its documents under a name. Where it cannot be had or read any more, the last import that
/// could stays, and the faults say so; a document of the web that is not to be had is the one of last time.
pub fn import_kept(
    root: &str,
    settings: &Settings,
    web: &mut dyn Web,
    store: &Store,
    name: &str,
) -> Result<Kept, Vec<ImportFault>> {
    import_or_last(root, settings, web, (store, name), true)
}

/// The same without writing anything: what is in force, for whoever only looks.
pub fn import_unkept(
    root: &str,
    settings: &Settings,
    web: &mut dyn Web,
    store: &Store,
    name: &str,
) -> Result<Kept, Vec<ImportFault>> {
    import_or_last(root, settings, web, (store, name), false)
}

fn import_or_last(
    root: &str,
    settings: &Settings,
    web: &mut dyn Web,
    (store, name): (&Store, &str),
    is_kept: bool,
) -> Result<Kept, Vec<ImportFault>> {
    let (last, mut store_fault) = match store.load(name) {
        Ok(last) => (last, None),
        Err(fault) => (None, Some(fault)),
    };
    match import_beside(root, settings, web, last.as_ref()) {
        Ok(Imported { wsdl, closure }) => {
            let is_new = last.is_none_or(|last| !last.is_same(&closure));
            if is_new && is_kept {
                store_fault = store.keep(name, &closure).err().or(store_fault);
            }
            Ok(Kept { wsdl, faults: Vec::new(), is_new, store_fault })
        }
        Err(faults) => {
            let Some(last) = last else { return Err(faults) };
            let settings = Settings { is_strict: false, ..settings.clone() };
            match import_from(&last.root, &settings, &mut &last) {
                Ok(Imported { wsdl, .. }) => Ok(Kept { wsdl, faults, is_new: false, store_fault }),
                Err(_) => Err(faults),
            }
        }
    }
}

/// Imports what is kept under a name, without looking outside; `None` where nothing is kept.
pub fn import_stored(store: &Store, name: &str, settings: &Settings) -> Result<Option<Wsdl>, Vec<ImportFault>> {
    let fault = |fault: StoreFault| vec![ImportFault { document: fault.path, line: 0, message: fault.message }];
    let Some(last) = store.load(name).map_err(fault)? else { return Ok(None) };
    import_from(&last.root, settings, &mut &last).map(|imported| Some(imported.wsdl))
}

/// Imports with what is known from last time.
fn import_beside(
    root: &str,
    settings: &Settings,
    web: &mut dyn Web,
    last: Option<&Stored>,
) -> Result<Imported, Vec<ImportFault>> {
    let whole = |message: &str| vec![ImportFault { document: root.to_owned(), line: 0, message: message.to_owned() }];
    if let Some(location) = Location::url(root) {
        let folder = settings.folder.clone().unwrap_or_default();
        let source = Outside { folder, root: location.clone(), settings, web };
        let mut source = Remembering { source, last };
        return import_from(&location, settings, &mut source);
    }
    let path = Path::new(root);
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = settings.folder.clone().unwrap_or_else(|| parent.to_owned());
    let below = match &settings.folder {
        Some(folder) => path.strip_prefix(folder).map_err(|_| whole("the WSDL does not lie in its folder"))?,
        None => Path::new(path.file_name().ok_or_else(|| whole("it is no file"))?),
    };
    let below = below.to_str().ok_or_else(|| whole("the name of the file is not UTF-8"))?;
    let location = Location::File(below.replace('\\', "/"));
    let source = Outside { folder, root: location.clone(), settings, web };
    let mut source = Remembering { source, last };
    import_from(&location, settings, &mut source)
}

/// Imports a WSDL whose documents come from anywhere.
pub(super) fn import_from(
    root: &Location,
    settings: &Settings,
    source: &mut dyn Source,
) -> Result<Imported, Vec<ImportFault>> {
    let mut closure = Closure::collect(root, settings, source).map_err(|fault| vec![fault])?;
    let wsdl = compile(&mut closure)?;
    if settings.is_strict {
        let faults = wsdl.findings.iter().filter(|finding| finding.code.is_fault());
        let faults: Vec<ImportFault> = faults
            .map(|finding| ImportFault {
                document: finding.document.to_string(),
                line: finding.line,
                message: finding.message.clone(),
            })
            .collect();
        if !faults.is_empty() {
            return Err(faults);
        }
    }
    Ok(Imported { wsdl, closure })
}

/// Compiles a closure.
fn compile(closure: &mut Closure) -> Result<Wsdl, Vec<ImportFault>> {
    let (mut types, mut findings) = (Types::default(), std::mem::take(&mut closure.findings));
    let mut schemas = Schemas::of(closure, &mut types.names, &mut findings);
    let declared = Declared::of(closure, &mut schemas);
    let mut importer = Importer { compiler: Compiler::new(schemas, types, findings), declared };
    importer.compiler.compile_all();
    let mut operations = importer.operations();
    let (types, mut findings, faulty) = importer.compiler.finish();
    if operations.is_empty() {
        let fault =
            |document: &str, line, message: String| ImportFault { document: document.to_owned(), line, message };
        let name = closure.documents[0].name.to_string();
        let mut faults = vec![fault(&name, 0, "there is no operation over SOAP in it".to_owned())];
        let causes = findings.all.iter().filter(|finding| finding.code != FindingCode::RenamedMember).take(20);
        faults.extend(causes.map(|finding| fault(&finding.document, finding.line, finding.message.clone())));
        return Err(faults);
    }
    reach::enter(&mut operations, &types, &mut findings.all, &faulty);
    Ok(Wsdl {
        location: closure.documents[0].location.clone(),
        operations: operations.into_iter().map(Arc::new).collect(),
        types: Arc::new(types),
        findings: findings.all,
        untold: findings.untold,
    })
}

/// Compiles operations.
struct Importer<'a> {
    compiler: Compiler<'a>,
    declared: Declared<'a>,
}

impl Importer<'_> {
    fn note(&mut self, code: FindingCode, at: At<'_>, message: impl Into<String>) {
        self.compiler.note_apart(code, at, message);
    }
}

impl Wsdl {
    /// The plan of an operation. Where ports of both versions of SOAP have it, SOAP 1.1 is spoken unless asked otherwise.
    pub fn plan(&self, name: &str, choice: &Choice) -> Result<Plan, NoPlan> {
        let is_chosen = |operation: &&Arc<Operation>| {
            choice.port.as_ref().is_none_or(|port| **port == *operation.port)
                && choice.version.is_none_or(|version| version == operation.version)
        };
        let named = || self.operations.iter().filter(|operation| &*operation.name == name).filter(is_chosen);
        let Some(first) = named().min_by_key(|operation| operation.version) else {
            let names = self.operations.iter().map(|operation| &*operation.name);
            let nearest = crate::diagnostic::nearest(name, names).filter(|near| *near != name).map(str::to_owned);
            return Err(NoPlan::Unknown { name: name.to_owned(), nearest });
        };
        // Ports of one binding, or of one interface in both versions, are alike.
        let is_other = |other: &&Arc<Operation>| other.version == first.version && other.binding != first.binding;
        if named().any(|other| is_other(&other)) {
            let ports = named().map(|operation| format!("{}.{}", operation.service, operation.port)).collect();
            return Err(NoPlan::Ambiguous { name: name.to_owned(), ports });
        }
        Ok(self.plan_of(first))
    }

    /// The names of its ports that have operations, each once.
    pub fn ports(&self) -> impl Iterator<Item = &str> {
        let names = self.operations.iter().map(|operation| &*operation.port);
        names
            .enumerate()
            .filter(|(at, name)| !self.operations[..*at].iter().any(|other| *other.port == **name))
            .map(|(_, name)| name)
    }

    /// The same for a version of SOAP that is only wished for: where the operation is there in the other alone, that is
    /// spoken.
    pub fn plan_preferring(&self, name: &str, choice: &Choice) -> Result<Plan, NoPlan> {
        match self.plan(name, choice) {
            Err(NoPlan::Unknown { .. }) if choice.version.is_some() => {
                self.plan(name, &Choice { version: None, ..choice.clone() })
            }
            result => result,
        }
    }

    /// The plan of one of its operations.
    pub fn plan_of(&self, operation: &Arc<Operation>) -> Plan {
        Plan { types: Arc::clone(&self.types), operation: Arc::clone(operation) }
    }
}
