//! `tollbridge.toml` and the mappings beside it, read and checked as one: every fault of every file in one go.
//!
//! Each part of the service owns its own settings and their keys; here they are composed, overridden from the
//! environment, and checked against each other. Reading files, and keeping what was read of WSDLs, is all the I/O there is:
//! nothing is opened, bound or reached. Paths are relative to the configuration file.

mod mappings;
mod overlay;
mod reference;
mod relations;
mod sections;
pub mod wsdls;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use crate::adapters::AdapterConfig;
use crate::diagnostic::{Diagnostic, Faults, Node, SourceText, Table, parse};
use crate::mapping::Plan;
use crate::{gate, http, landing, telemetry};

pub use reference::{config_reference, mapping_reference};
pub use sections::StagingConfig;
use wsdls::Keeping;
pub use wsdls::{WsdlState, Wsdls};

/// Where the configuration lies when nobody says so, in order.
pub const DEFAULT_PATHS: [&str; 2] = ["tollbridge.toml", "/etc/tollbridge/tollbridge.toml"];

/// One backend's settings.
#[derive(Clone, Debug, PartialEq)]
pub struct BackendConfig {
    /// The adapter's.
    pub adapter: AdapterConfig,
    /// The gate's.
    pub gate: gate::Config,
    /// The gate's as they are written.
    pub gate_values: gate::tuning::Values,
}

/// The whole configuration, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file it was read from.
    pub path: PathBuf,
    /// The mappings' folder.
    pub mappings: PathBuf,
    /// The listeners and their limits.
    pub server: http::ServerConfig,
    /// Who may read.
    pub auth: http::AuthConfig,
    /// What each caller may have.
    pub clients: http::ClientsConfig,
    /// The staging database.
    pub staging: StagingConfig,
    /// The store of raw input.
    pub landing: landing::Config,
    /// The legacy systems.
    pub backends: BTreeMap<String, BackendConfig>,
    /// Logs.
    pub telemetry: telemetry::Config,
}

impl Config {
    /// The sections that a running service cannot change, where they differ.
    pub fn sections_that_differ(&self, new: &Config) -> Vec<&'static str> {
        let differs = [
            ("server", self.server != new.server),
            ("auth", self.auth != new.auth),
            ("staging", self.staging != new.staging),
            ("landing", self.landing != new.landing),
            ("telemetry", self.telemetry != new.telemetry),
        ];
        differs.into_iter().filter_map(|(section, differs)| differs.then_some(section)).collect()
    }

    /// A path written in the configuration, from the folder of the configuration.
    pub fn beside(&self, path: &str) -> PathBuf {
        base(&self.path).join(path)
    }
}

/// A configuration with its mappings, ready to put in force.
#[derive(Clone)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// The mappings, compiled, by resource.
    pub plans: Vec<Arc<Plan>>,
    /// The WSDLs of the backends.
    pub wsdls: Wsdls,
    /// Mappings that are left out because the WSDL that they need cannot be read.
    pub withheld: Vec<Withheld>,
}

/// A mapping that is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withheld {
    /// Its file.
    pub mapping: String,
    /// The backend whose WSDL it needs.
    pub backend: String,
    /// Why that cannot be read.
    pub reason: String,
}

impl std::fmt::Display for Withheld {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Withheld { mapping, backend, reason } = self;
        write!(f, "{mapping} is left out: the WSDL of backend {backend} cannot be read: {reason}")
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// No file.
    #[error("no configuration: {} not found; name one with --config or in TOLLBRIDGE_CONFIG", tried.join(" and "))]
    NotFound {
        /// The places looked at.
        tried: Vec<String>,
    },
    /// The file is there but cannot be read.
    #[error("configuration {path} cannot be read: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is right, but could not be put in force.
    #[error("{0}")]
    Refused(String),
    /// Something in it is wrong.
    #[error("{} fault{} in the configuration", .0.len(), if .0.len() == 1 { "" } else { "s" })]
    Faults(Vec<Diagnostic>),
}

/// Finds the file: as named, else the first default that exists.
pub fn find(named: Option<&Path>) -> Result<PathBuf, LoadError> {
    if let Some(path) = named {
        let tried = vec![path.display().to_string()];
        return if path.is_file() { Ok(path.to_owned()) } else { Err(LoadError::NotFound { tried }) };
    }
    let found = DEFAULT_PATHS.iter().map(PathBuf::from).find(|path| path.is_file());
    found.ok_or_else(|| LoadError::NotFound { tried: DEFAULT_PATHS.map(str::to_owned).to_vec() })
}

/// The variables of the process's environment. Ours are text; what is none in another's is of no interest.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    let text = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.to_string_lossy().into()));
    std::env::vars_os().filter_map(text)
}

/// Reads the configuration without the mappings, for what has nothing to do with them and must go on when they are
/// broken.
pub fn load_alone(path: &Path, environment: impl IntoIterator<Item = (String, String)>) -> Result<Config, LoadError> {
    let faults = Faults::new();
    let root = parse_file(path, environment, &faults)?;
    read(path, &root, &faults).filter(|_| faults.is_empty()).ok_or_else(|| LoadError::Faults(faults.into_sorted()))
}

/// The file as a tree. Where it is no TOML, everything else that could be said of it would only hide that.
fn parse_file(
    path: &Path,
    environment: impl IntoIterator<Item = (String, String)>,
    faults: &Faults,
) -> Result<Node, LoadError> {
    let text = fs::read_to_string(path).map_err(|source| LoadError::Unreadable { path: path.to_owned(), source })?;
    let mut root = parse(&SourceText::new(path, text), faults);
    if !faults.is_empty() {
        return Err(LoadError::Faults(faults.take_sorted()));
    }
    overlay::apply(&mut root, environment, faults);
    Ok(root)
}

/// How the WSDL of a backend stands, whatever the mappings are like; `None` where it names none.
pub fn wsdl_of(config: &Config, backend: &str) -> Option<WsdlState> {
    Wsdls::read(&config.backends, &config.staging.sqlite, Keeping::Look).get(backend).cloned()
}

/// Has sessions log in as the WSDLs say, whatever the mappings are like.
pub fn settle_logins(config: &mut Config) {
    if !wsdls::has_unsettled_logins(&config.backends) {
        return;
    }
    let wsdls = Wsdls::read(&config.backends, &config.staging.sqlite, Keeping::Look);
    wsdls::settle_logins(&mut config.backends, &wsdls);
}

/// Reads the configuration and all mappings. `environment` are the variables that may override values.
pub fn load(path: &Path, environment: impl IntoIterator<Item = (String, String)>) -> Result<Loaded, LoadError> {
    load_keeping(path, environment, Keeping::Keep)
}

/// The same for whoever only looks: nothing is written.
pub fn look(path: &Path, environment: impl IntoIterator<Item = (String, String)>) -> Result<Loaded, LoadError> {
    load_keeping(path, environment, Keeping::Look)
}

fn load_keeping(
    path: &Path,
    environment: impl IntoIterator<Item = (String, String)>,
    keeping: Keeping,
) -> Result<Loaded, LoadError> {
    let faults = Faults::new();
    let root = parse_file(path, environment, &faults)?;
    let mut config = read(path, &root, &faults);
    // The mappings are judged even where the configuration has faults of its own.
    let folder = base(path).join(sections::mappings_folder(&root));
    let wsdls = match &mut config {
        Some(config) => {
            let wsdls = Wsdls::read(&config.backends, &config.staging.sqlite, keeping);
            wsdls::settle_logins(&mut config.backends, &wsdls);
            wsdls
        }
        None => Wsdls::default(),
    };
    let (plans, withheld) = mappings::load(&folder, &sections::known_backends(&root), &wsdls, &faults);
    match config {
        Some(config) if faults.is_empty() => Ok(Loaded { config, plans, wsdls, withheld }),
        _ => Err(LoadError::Faults(faults.into_sorted())),
    }
}

/// The folder that relative paths start from.
fn base(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Reads every section before giving up on any.
fn read(path: &Path, root: &Node, faults: &Faults) -> Option<Config> {
    let base = base(path);
    let table = Table::new(root, &sections::ROOT, faults)?;
    let mappings = table.filled("mappings").map(|folder| base.join(folder));
    let server = sections::part(&table, "server", &http::SERVER, faults, |t| http::ServerConfig::read(t, base));
    let auth = sections::part(&table, "auth", &http::AUTH, faults, |t| http::AuthConfig::read(t, base));
    let staging = sections::part(&table, "staging", &sections::STAGING, faults, |t| StagingConfig::read(t, base));
    let landing = sections::part(&table, "landing", &sections::LANDING, faults, |t| sections::landing(t, base));
    let telemetry = sections::part(&table, "telemetry", &telemetry::SECTION, faults, telemetry::Config::read);
    let clients = http::ClientsConfig::read(table.free("clients"), faults);
    let backends = sections::backends(&table, base, faults);
    let config = Config {
        path: path.to_owned(),
        mappings: mappings?,
        server: server?,
        auth: auth?,
        clients,
        staging: staging?,
        landing: landing?,
        backends,
        telemetry: telemetry?,
    };
    for refusal in http::check_listeners(&config.server, &config.auth) {
        let (section, key) = refusal.key();
        let written = table.get(section).and_then(|node| node.as_table()?.get(key).or(Some(node)));
        table.fail(written.unwrap_or(root).fault(refusal.to_string()));
    }
    Some(config)
}
