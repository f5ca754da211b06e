//! The running service: listeners, schedules, signals, and an orderly end.
//!
//! Listeners are bound before anything else starts, so that a second start ends at once and harms nothing. On
//! SIGTERM readiness goes first, then listeners close and finish what is in flight, then runs stop at their
//! next commit; what is not finished is taken up by the next start.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use sd_notify::NotifyState;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::demo_key::{DemoKeyError, demo_key};
use super::housekeeping::housekeeping;
use super::{AppError, open, put_in_force};
use crate::config::{self, LoadError, Loaded};
use crate::facade::{self, Catalog};
use crate::pipeline::Bridge;
use crate::pipeline::scheduler::Scheduler;
use crate::{console, http};

/// Why the service did not start, or ended with a fault.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A listener cannot be bound.
    #[error("cannot listen on {address} (`server.{key}`): {source}; is another Tollbridge running?")]
    Listen {
        /// The key in the configuration.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// Staging or landing.
    #[error(transparent)]
    Open(#[from] AppError),
    /// The demo key.
    #[error(transparent)]
    DemoKey(#[from] DemoKeyError),
    /// The operating system refuses signals.
    #[error("signals cannot be received: {0}")]
    Signals(std::io::Error),
}

/// What the service can do to itself while it runs.
pub struct Service {
    /// The corridor.
    pub bridge: Arc<Bridge>,
    /// The configuration's file, read again by [`Service::reload`].
    path: PathBuf,
    catalog: Arc<ArcSwap<Catalog>>,
    scheduler: Mutex<Scheduler>,
    /// One reload at a time.
    reloading: tokio::sync::Mutex<()>,
}

impl Service {
    /// Reads configuration and mappings again. When all is right they are in force at once, and no request or
    /// run is dropped; when anything is wrong, all stays as it is.
    pub async fn reload(&self) -> Result<Vec<String>, LoadError> {
        let _one = self.reloading.lock().await;
        let loaded = match config::load(&self.path, std::env::vars()) {
            Ok(loaded) => loaded,
            Err(error) => {
                if let LoadError::Faults(faults) = &error {
                    faults.iter().for_each(|fault| tracing::error!(fault = %fault, "configuration not taken over"));
                }
                tracing::error!(error = %error, "the configuration was not reloaded; the one in force stays");
                return Err(error);
            }
        };
        if let Err(error) = put_in_force(&self.bridge, &loaded).await {
            tracing::error!(error = %error, "the configuration was not reloaded; the one in force stays");
            return Err(LoadError::Refused(error.to_string()));
        }
        self.catalog.store(Arc::new(catalog(&loaded)));
        *self.scheduler.lock() = Scheduler::start(&self.bridge);
        let resources = loaded.plans.iter().map(|plan| plan.exposure.id.to_string()).collect::<Vec<_>>();
        tracing::info!(resources = resources.join(", "), "configuration and mappings are reloaded");
        Ok(resources)
    }
}

/// Where the service is to be found, for the person who started it.
#[derive(Clone, Debug)]
pub struct Announcement {
    /// The facade's address.
    pub api: SocketAddr,
    /// The console's address.
    pub admin: SocketAddr,
    /// A key that works, in a demo.
    pub demo_key: Option<String>,
    /// The resources.
    pub resources: Vec<String>,
}

/// Runs until SIGTERM or SIGINT. `announce` is told once, when requests are answered.
pub async fn serve(loaded: Loaded, announce: impl FnOnce(&Announcement, &Arc<Bridge>)) -> Result<(), ServeError> {
    let server = loaded.config.server.clone();
    let api_listener = bind("listen", server.listen).await?;
    let admin_listener = bind("admin_listen", server.admin_listen).await?;
    let mut hangup = signal(SignalKind::hangup()).map_err(ServeError::Signals)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(ServeError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(ServeError::Signals)?;

    let bridge = open(&loaded).await?;
    let key = match &loaded.config.auth.demo_key {
        Some(path) => Some(demo_key(&loaded.config.beside(path), &*bridge.staging).await?),
        None => None,
    };
    let catalog_now = Arc::new(ArcSwap::from_pointee(catalog(&loaded)));
    let service = Arc::new(Service {
        path: loaded.config.path.clone(),
        catalog: Arc::clone(&catalog_now),
        scheduler: Mutex::new(Scheduler::start(&bridge)),
        reloading: tokio::sync::Mutex::default(),
        bridge: Arc::clone(&bridge),
    });
    let draining = Arc::new(AtomicBool::new(false));
    todo_wire!();
    Ok(())
}

async fn bind(key: &'static str, address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).await.map_err(|source| ServeError::Listen { key, address, source })
}
