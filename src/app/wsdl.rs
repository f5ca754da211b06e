//! WSDLs that lie in the web: fetched when the configuration is read, through the gate of their backend, and kept.

use std::sync::Arc;

use super::Entrance;
use crate::adapters::AdapterConfig;
use crate::adapters::soap::{self, Service};
use crate::config::{Config, Loaded, wsdls};
use crate::gate::{self, Gate, Lane, Permit};
use crate::telemetry::Metrics;
use crate::wsdl::{self, Fetched, ImportFault, Imported, Web};

/// What came of fetching.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refreshed {
    /// Whether anything is another than before: then the configuration is to be read again.
    pub is_new: bool,
    /// What could not be had, a sentence each.
    pub faults: Vec<String>,
}

/// Fetches the WSDLs of all backends that have them in the web. What cannot be had stays as it was kept; no backend waits
/// for another longer than its calls may take.
pub async fn refresh(config: &Config) -> Refreshed {
    let mut refreshed = Refreshed::default();
    for (name, backend) in &config.backends {
        let AdapterConfig::Soap(soap) = &backend.adapter else { continue };
        if !wsdls::is_fetched(soap) {
            continue;
        }
        match one(config, name).await {
            Ok(is_new) => refreshed.is_new |= is_new,
            Err(reason) => refreshed.faults.push(format!("backend {name}: its WSDL cannot be fetched: {reason}")),
        }
    }
    refreshed
}

async fn one(config: &Config, name: &str) -> Result<bool, String> {
    let entrance = Entrance::to(config, name).await.map_err(|error| error.chain())?;
    let (service, permit) = entrance.service().await.map_err(|error| error.chain())?;
    let (name, staging) = (name.to_owned(), config.staging.sqlite.clone());
    let runtime = tokio::runtime::Handle::current();
    let fetched = tokio::task::spawn_blocking(move || {
        let mut web = Asked { service: Arc::clone(&service), permit, runtime };
        wsdls::fetch(service.config(), &mut web, &staging, &name)
    });
    fetched.await.unwrap_or_else(|error| Err(error.to_string()))
}

/// Imports the WSDL at an address that a person names, for a look at it: from its host and the `hosts` that are named, alone,
/// without an account, over one place that nobody else has.
pub async fn import_from_web(url: &str, settings: wsdl::Settings) -> Result<Imported, Vec<ImportFault>> {
    let fault = |message: String| vec![ImportFault { document: url.to_owned(), line: 0, message }];
    let service = Arc::new(Service::new(soap::Config::of_endpoint(url).map_err(fault)?));
    let gate = Gate::new("web", gate::Config { max_in_flight: 1, ..gate::Config::default() }, None);
    let permit = gate.acquire(Lane::Operator, None).await.map_err(|refused| fault(refused.to_string()))?;
    let (runtime, url) = (tokio::runtime::Handle::current(), url.to_owned());
    let (root, dead) = (url.clone(), url.clone());
    let imported =
        tokio::task::spawn_blocking(move || wsdl::import(&root, &settings, &mut Asked { service, permit, runtime }));
    imported
        .await
        .unwrap_or_else(|error| Err(vec![ImportFault { document: dead, line: 0, message: error.to_string() }]))
}

/// The web, asked by the service's own adapter.
struct Asked {
    service: Arc<Service>,
    permit: Permit,
    runtime: tokio::runtime::Handle,
}

impl Web for Asked {
    fn get(&mut self, url: &str, most: u64) -> Result<Fetched, String> {
        self.runtime.block_on(self.service.document(&self.permit, url, most))
    }
}

/// Tells logs and metrics how the WSDLs stand.
pub(super) fn tell(loaded: &Loaded, metrics: &Metrics) {
    for (backend, state) in loaded.wsdls.iter() {
        metrics.wsdl(backend, state.findings(), state.fault.is_some());
    }
    loaded.wsdls.doubts().iter().for_each(|doubt| tracing::warn!("{doubt}"));
    loaded.withheld.iter().for_each(|withheld| tracing::error!("{withheld}"));
}
