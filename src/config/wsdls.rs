//! The WSDLs of the backends: read from their files, or as they were kept when they could be read last.
//!
//! A WSDL with all documents that it needs is kept beside the staging database. Nothing is fetched here: what lies in the web
//! was fetched before ([`fetch`]), or is not there. A WSDL that cannot be read and was never kept is told, and takes away no
//! more than what needs it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::BackendConfig;
use crate::adapters::{AdapterConfig, soap};
use crate::mapping::{ServiceWsdl, Services};
use crate::wsdl::{self, Choice, ImportFault, Offline, Operation, SoapVersion, Store, Wsdl};

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
    /// The hash of all that it was made of; empty where that is not known.
    pub hash: Arc<str>,
    /// Why what is in force is what was kept, or nothing.
    pub fault: Option<String>,
    /// Which of its ports is called, and which SOAP is spoken where it has both.
    pub choice: Choice,
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

    /// Reads them all. `staging` is the database beside which they are kept, where they are to be.
    pub(super) fn read(backends: &BTreeMap<String, BackendConfig>, staging: &Path, keeping: Keeping) -> Wsdls {
        let store = store(staging);
        let mut all = BTreeMap::new();
        for (name, backend) in backends {
            if let AdapterConfig::Soap(config) = &backend.adapter
                && let Some(source) = &config.wsdl
            {
                all.insert(name.clone(), state(config, source, (&store, keeping), name));
            }
        }
        Wsdls(all)
    }

    /// What a person should know of them although they are in force.
    pub fn doubts(&self) -> Vec<String> {
        let mut doubts = Vec::new();
        for (name, state) in &self.0 {
            if let (Some(fault), Some(_)) = (&state.fault, &state.wsdl) {
                let what = "the WSDL cannot be read, and as it was read last stays in force";
                doubts.push(format!("backend {name}: {what}: {fault}"));
            }
            let Some(wsdl) = &state.wsdl else { continue };
            let odd = || wsdl.findings.iter().filter(|finding| finding.code.is_fault());
            if let Some(first) = odd().next() {
                let count = odd().count() + wsdl.untold;
                doubts.push(format!(
                    "backend {name}: its WSDL has {count} finding{}, the first: {first}; `inspect` shows all",
                    if count == 1 { "" } else { "s" }
                ));
            }
        }
        doubts
    }
}

/// Whether a session does not say how it logs in.
pub(super) fn has_unsettled_logins(backends: &BTreeMap<String, BackendConfig>) -> bool {
    backends.values().any(|backend| match &backend.adapter {
        AdapterConfig::Soap(config) => config.session.as_ref().is_some_and(|session| session.is_package.is_none()),
        _ => false,
    })
}

/// Has each session that does not say it log in by an XOP package (MTOM) where its WSDL demands that.
pub(super) fn settle_logins(backends: &mut BTreeMap<String, BackendConfig>, wsdls: &Wsdls) {
    for (name, backend) in backends {
        if let (AdapterConfig::Soap(config), Some(state)) = (&mut backend.adapter, wsdls.get(name))
            && let Some(session) = &mut config.session
            && session.is_package.is_none()
        {
            session.is_package = Some(state.demands_package(session));
        }
    }
}

impl WsdlState {
    /// Whether a policy demands that one logs in by an XOP package. An operation that the WSDL does not have goes as all others
    /// do.
    fn demands_package(&self, session: &soap::Session) -> bool {
        let Some(wsdl) = &self.wsdl else { return false };
        let at_port =
            |operation: &&Arc<Operation>| self.choice.port.as_ref().is_none_or(|port| **port == *operation.port);
        let element = session.element();
        let is_login = |operation: &&Arc<Operation>| match session.action.as_str() {
            "" => {
                let root = operation.input.body.root.as_ref().map(|root| wsdl.types.names.local(root.name.local));
                root.is_some() && root == element.as_deref()
            }
            action => *operation.action == *action,
        };
        let operations = || wsdl.operations.iter().filter(at_port);
        if operations().any(|operation| is_login(&operation)) {
            return operations().filter(is_login).any(|operation| operation.requires_mtom);
        }
        operations().next().is_some() && operations().all(|operation| operation.requires_mtom)
    }

    /// How many things are missing or odd.
    pub fn findings(&self) -> usize {
        let of =
            |wsdl: &Arc<Wsdl>| wsdl.findings.iter().filter(|finding| finding.code.is_fault()).count() + wsdl.untold;
        self.wsdl.as_ref().map_or(0, of)
    }
}

impl Services for Wsdls {
    fn wsdl(&self, backend: &str) -> ServiceWsdl {
        match self.0.get(backend) {
            // Whether it is a service at all is looked at elsewhere.
            None => ServiceWsdl::None,
            Some(WsdlState { wsdl: Some(wsdl), hash, choice, .. }) => {
                ServiceWsdl::Read { wsdl: Arc::clone(wsdl), hash: Arc::clone(hash), choice: choice.clone() }
            }
            Some(state) => ServiceWsdl::Unreadable(state.fault.clone().unwrap_or_default()),
        }
    }
}

/// Whether what is read is kept for a time when it cannot be read any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keeping {
    /// It is.
    Keep,
    /// Nothing is written: somebody only looks.
    Look,
}

impl Keeping {
    fn import(
        self,
        root: &str,
        settings: &wsdl::Settings,
        store: &Store,
        name: &str,
    ) -> Result<wsdl::Kept, Vec<ImportFault>> {
        match self {
            Keeping::Keep => wsdl::import_kept(root, settings, &mut Offline, store, name),
            Keeping::Look => wsdl::import_unkept(root, settings, &mut Offline, store, name),
        }
    }
}

/// Where WSDLs are kept, beside the staging database.
pub fn store(staging: &Path) -> Store {
    Store::new(&staging.parent().unwrap_or(Path::new("")).join("wsdl"))
}

/// The address or path of a WSDL, as an import takes it.
fn root(source: &soap::Wsdl) -> String {
    match source {
        soap::Wsdl::File(path) => path.display().to_string(),
        soap::Wsdl::Url(endpoint) => endpoint.describe(),
    }
}

fn settings(config: &soap::Config) -> wsdl::Settings {
    wsdl::Settings { hosts: config.wsdl_hosts.clone(), ..wsdl::Settings::default() }
}

fn told(faults: &[ImportFault]) -> String {
    faults.iter().take(3).map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn state(config: &soap::Config, source: &soap::Wsdl, (store, keeping): (&Store, Keeping), name: &str) -> WsdlState {
    let root = root(source);
    let settings = settings(config);
    let (wsdl, fault) = match source {
        soap::Wsdl::File(_) => match keeping.import(&root, &settings, store, name) {
            Ok(kept) => {
                let fault = Some(told(&kept.faults)).filter(|_| !kept.faults.is_empty());
                (Some(kept.wsdl), fault.or(kept.store_fault.map(|fault| format!("it cannot be kept: {fault}"))))
            }
            Err(faults) => (None, Some(told(&faults))),
        },
        soap::Wsdl::Url(_) => match wsdl::import_stored(store, name, &settings) {
            Ok(Some(wsdl)) => (Some(wsdl), None),
            Ok(None) => (None, Some("it has not been fetched yet".to_owned())),
            Err(faults) => (None, Some(told(&faults))),
        },
    };
    let hash = store.hash(name).unwrap_or_default();
    let version = match config.soap_version {
        soap::Version::V11 => SoapVersion::V11,
        soap::Version::V12 => SoapVersion::V12,
    };
    let choice = Choice { port: config.port.clone(), version: Some(version) };
    WsdlState { source: root, wsdl: wsdl.map(Arc::new), hash: hash.into(), fault, choice }
}

/// Whether something of a backend's WSDL lies in the web.
pub fn is_fetched(config: &soap::Config) -> bool {
    match &config.wsdl {
        Some(soap::Wsdl::Url(_)) => true,
        Some(soap::Wsdl::File(_)) => !config.wsdl_hosts.is_empty(),
        None => false,
    }
}

/// Fetches a backend's WSDL and keeps it; answers whether it is another than before. Blocks. The fault says why it could
/// not be had; what was kept stays.
pub fn fetch(config: &soap::Config, web: &mut dyn wsdl::Web, staging: &Path, backend: &str) -> Result<bool, String> {
    let Some(source) = config.wsdl.as_ref() else { return Ok(false) };
    match wsdl::import_kept(&root(source), &settings(config), web, &store(staging), backend) {
        Ok(kept) if kept.faults.is_empty() => match kept.store_fault {
            Some(fault) => Err(format!("it cannot be kept: {fault}")),
            None => Ok(kept.is_new),
        },
        Ok(kept) => Err(told(&kept.faults)),
        Err(faults) => Err(told(&faults)),
    }
}
