//! The running service: listeners, schedules, signals, and an orderly end.
//!
//! Listeners are bound and the staging database is taken before anything else starts, so that a second start ends at once and
//! harms nothing. On
//! SIGTERM readiness goes first, then listeners close and finish what is in flight, then runs stop at their
//! next commit; what is not finished is taken up by the next start.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use sd_notify::NotifyState;
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::alone::{AloneError, alone};
use super::demo_key::{DemoKeyError, demo_key};
use super::housekeeping::{EVERY, housekeeping, observe};
use super::secret::secret;
use super::{AppError, Keeping, open_to_serve, put_in_force, specs, wsdl};
use crate::config::{self, Config, LoadError, Loaded};
use crate::console::{self, Console};
use crate::facade::{self, Facade};
use crate::http::{self, Clients, ConnectionLimits, Health, Tls};
use crate::mapping::{Exposure, Mode};
use crate::pipeline::Bridge;
use crate::pipeline::live::Live;
use crate::pipeline::operate::{Operate, Veil};
use crate::pipeline::scheduler::Scheduler;
use crate::pipeline::tuning;
use crate::record::ResourceId;

/// Why the service did not start, or ended with a fault.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A listener cannot be bound.
    #[error("cannot listen on {address} (`server.{key}`): {source}{}", listening(source))]
    Listen {
        /// The key in the configuration.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// Another one serves the same.
    #[error(transparent)]
    Alone(#[from] AloneError),
    /// Staging or landing.
    #[error(transparent)]
    Open(#[from] AppError),
    /// The demo key.
    #[error(transparent)]
    DemoKey(#[from] DemoKeyError),
    /// The installation's secret.
    #[error("the secret beside the staging database cannot be read or made: {0}")]
    Secret(std::io::Error),
    /// What TLS needs.
    #[error("`server.tls`: {0}")]
    Tls(String),
    /// The operating system refuses signals.
    #[error("signals cannot be received: {0}")]
    Signals(std::io::Error),
}

/// The running service, as far as it can act on itself.
pub(super) struct Service {
    /// The corridor.
    pub(super) bridge: Arc<Bridge>,
    /// The configuration as it was at the start; its file is read again by a reload.
    config: Config,
    facade: Arc<Facade>,
    clients: Arc<Clients>,
    health: Arc<Health>,
    /// The newest last; of those before it only runs are left that were going on when it came.
    schedulers: Mutex<Vec<Scheduler>>,
    /// What the listeners speak TLS with.
    tls: Option<Arc<Tls>>,
    /// One reload at a time.
    reloading: tokio::sync::Mutex<()>,
}

impl Service {
    /// Reads configuration and mappings again. When all is right they are in force at once, and no request or
    /// run is dropped; when anything is wrong, all stays as it is. Listeners keep their addresses.
    pub(super) async fn reload(&self) -> Result<Vec<ResourceId>, LoadError> {
        let _one = self.reloading.lock().await;
        // Whatever else is wrong: certificates end on their day.
        match self.tls.as_ref().map(|tls| tls.reload()) {
            Some(Ok(())) => tracing::info!("the certificates of `server.tls` are read again"),
            Some(Err(error)) => tracing::error!(error, "the certificates of `server.tls` stay as they were"),
            None => {}
        }
        let loaded = match load_anew(&self.config.path).await {
            Ok(loaded) => loaded,
            Err(error) => {
                if let LoadError::Faults(faults) = &error {
                    faults.iter().for_each(|fault| tracing::error!(fault = %fault, "configuration not taken over"));
                }
                tracing::error!(error = %error, "the configuration was not reloaded; the one in force stays");
                return Err(error);
            }
        };
        if let Err(error) = self.bridge.staging.prepare_all(&specs(&loaded)).await {
            tracing::error!(error = %error, "the configuration was not reloaded; the one in force stays");
            return Err(LoadError::Refused(error.to_string()));
        }
        if let Err(error) = put_in_force(&self.bridge, &loaded, Keeping::Calls).await {
            tracing::error!(error = %error, "the configuration was not reloaded; the one in force stays");
            return Err(LoadError::Refused(error.to_string()));
        }
        let kept = self.config.sections_that_differ(&loaded.config);
        if !kept.is_empty() {
            tracing::warn!(sections = kept.join(", "), "these sections have changed and need a restart to be in force");
        }
        self.clients.reconfigure(loaded.config.clients.clone());
        self.facade.publish(exposures(&loaded));
        self.health.left_out(loaded.withheld.len());
        self.start_schedules();
        let resources: Vec<_> = loaded.plans.iter().map(|plan| plan.exposure.id.clone()).collect();
        let names: Vec<_> = resources.iter().map(ResourceId::to_string).collect();
        tracing::info!(resources = names.join(", "), "configuration and mappings are reloaded");
        Ok(resources)
    }

    /// Starts the schedules of the configuration in force; those of the one before end, their runs go on.
    fn start_schedules(&self) {
        let mut schedulers = self.schedulers.lock();
        schedulers.iter().for_each(Scheduler::retire);
        schedulers.retain(|before| !before.is_over());
        schedulers.push(Scheduler::start(&self.bridge));
    }
}

/// Where the service is to be found, for the person who started it.
#[derive(Clone, Debug)]
pub struct Announcement {
    /// The facade's address.
    pub api: SocketAddr,
    /// The console's address.
    pub admin: SocketAddr,
    /// Whether the facade and the console speak TLS.
    pub tls: (bool, bool),
    /// Whether `/docs` is served.
    pub has_docs: bool,
    /// A key that works, in a demo.
    pub demo_key: Option<String>,
    /// Path of one resource, to try.
    pub example: Option<String>,
}

/// Runs until SIGTERM or SIGINT. `announce` is told once, when requests are answered.
pub async fn serve(loaded: Loaded, announce: impl FnOnce(&Announcement, &Arc<Bridge>)) -> Result<(), ServeError> {
    let loaded = with_wsdls(loaded).await;
    let server = loaded.config.server.clone();
    // Before the ports, which tell less of who has them.
    let _alone = alone(&loaded.config.staging.sqlite)?;
    let api_listener = bind("listen", server.listen)?;
    let admin_listener = bind("admin_listen", server.admin_listen)?;
    let tls = match &server.tls {
        Some(config) => Some(Arc::new(Tls::load(config).map_err(ServeError::Tls)?)),
        None => None,
    };
    let mut signals = Signals::new().map_err(ServeError::Signals)?;

    let bridge = open_to_serve(&loaded).await?;
    let cursor_secret = secret(&loaded.config.staging.sqlite).map_err(ServeError::Secret)?;
    let demo_key = match &loaded.config.auth.demo_key {
        Some(path) => Some(demo_key(&loaded.config.beside(path), &*bridge.staging).await?),
        None => None,
    };
    let health = Arc::new(Health::new(Arc::clone(&bridge.staging)).lacking(lacks(&bridge)));
    let closing = CancellationToken::new();
    let clients = Arc::new(Clients::new(loaded.config.clients.clone(), Arc::clone(&bridge.metrics), closing.clone()));
    let live = Arc::new(Live::new(Arc::clone(&bridge)));
    let operate = Arc::new(Operate::new(Arc::clone(&bridge), Arc::clone(&live), Veil::new(cursor_secret)));
    operate.start().await.map_err(AppError::from)?;
    let facade = Arc::new(Facade::new(facade::Setup {
        staging: Arc::clone(&bridge.staging),
        server: server.clone(),
        auth: loaded.config.auth.clone(),
        clients: Arc::clone(&clients),
        cursor_secret,
        metrics: Arc::clone(&bridge.metrics),
        health: Arc::clone(&health),
        live: Arc::clone(&live),
        operate: Arc::clone(&operate),
    }));
    facade.publish(exposures(&loaded));
    health.left_out(loaded.withheld.len());
    let service = Arc::new(Service {
        health: Arc::clone(&health),
        bridge: Arc::clone(&bridge),
        config: loaded.config.clone(),
        facade: Arc::clone(&facade),
        clients: Arc::clone(&clients),
        schedulers: Mutex::default(),
        tls: tls.clone(),
        reloading: tokio::sync::Mutex::default(),
    });
    let console = Arc::new(Console::new(console::Setup {
        staging: Arc::clone(&bridge.staging),
        operator: Arc::clone(&service) as Arc<dyn console::Operator>,
        server: server.clone(),
        auth: loaded.config.auth.clone(),
        clients,
        metrics: Arc::clone(&bridge.metrics),
        health: Arc::clone(&health),
    }));

    let mut announcement = Announcement {
        api: api_listener.local_addr().unwrap_or(server.listen),
        admin: admin_listener.local_addr().unwrap_or(server.admin_listen),
        tls: (false, false),
        has_docs: server.docs,
        demo_key,
        // A live resource shows nothing without a key.
        example: exposures(&loaded)
            .iter()
            .find(|exposure| exposure.mode != Mode::Live)
            .map(|first| format!("/v{}/{}", first.id.version(), first.id.name())),
    };
    let limits = ConnectionLimits::from(&server);
    // What does not leave the machine needs no TLS.
    let admin_tls = tls.clone().filter(|_| !server.admin_listen.ip().to_canonical().is_loopback());
    announcement.tls = (tls.is_some(), admin_tls.is_some());
    let (api_closing, admin_closing) = (closing.clone().cancelled_owned(), closing.clone().cancelled_owned());
    let api = tokio::spawn(http::serve_with(api_listener, tls, facade::service(facade), api_closing, limits));
    let console = console::router(console);
    let admin = tokio::spawn(http::serve_with(admin_listener, admin_tls, console, admin_closing, limits));
    service.start_schedules();
    let (keep, staged) = (loaded.config.landing.keep, loaded.config.staging.clone());
    let upkeep = [
        tokio::spawn(housekeeping(Arc::clone(&bridge), keep, staged, EVERY)),
        tokio::spawn(observe(Arc::clone(&bridge))),
        tokio::spawn(tuning::keep(Arc::downgrade(&bridge), true)),
        tokio::spawn(watchdog(Arc::clone(&bridge))),
    ];
    announce(&announcement, &bridge);
    tracing::info!(api = %announcement.api, admin = %announcement.admin, "ready");
    notify(&[NotifyState::Ready]);

    while let Asked::Reload = signals.next().await {
        // What is wrong was logged; the service goes on with what it has.
        let _ = service.reload().await;
    }

    let patience_until = Instant::now() + server.shutdown_timeout;
    tracing::info!("stopping: finishing what is in flight");
    notify(&[NotifyState::Stopping]);
    health.drain();
    bridge.stop.cancel();
    closing.cancel();
    for listener in [api, admin] {
        match listener.await {
            Ok(drained) if drained.cut > 0 => {
                tracing::warn!(connections = drained.cut, "connections were cut because they did not finish in time");
            }
            Ok(_) => {}
            Err(error) => tracing::error!(error = %error, "a listener ended unexpectedly"),
        }
    }
    let schedulers = std::mem::take(&mut *service.schedulers.lock());
    for scheduler in schedulers {
        scheduler.finish(patience_until.saturating_duration_since(Instant::now())).await;
    }
    for backend in bridge.world.load().backends.values() {
        backend.gate.close();
    }
    // What a backend has begun is waited for: its place is free when it is done. What is left keeps its place, as that of
    // a process that died.
    let calls = operate.finish(patience_until.saturating_duration_since(Instant::now())).await
        + live.finish(patience_until.saturating_duration_since(Instant::now())).await;
    if calls > 0 {
        tracing::warn!(
            calls,
            "backends have not answered in time; the places of these calls settle after the next start"
        );
    }
    upkeep.iter().for_each(tokio::task::JoinHandle::abort);
    tracing::info!("stopped");
    Ok(())
}

/// What this machine lacks for calls to the backends.
fn lacks(bridge: &Arc<Bridge>) -> http::Lacks {
    let bridge = Arc::clone(bridge);
    Box::new(move || {
        let world = bridge.world.load();
        let mut lacks: Vec<_> = world.backends.values().filter_map(|backend| backend.gate.trouble()).collect();
        lacks.sort();
        lacks
    })
}

/// Reads the configuration, with WSDLs as they are in the web now.
async fn load_anew(path: &Path) -> Result<Loaded, LoadError> {
    Ok(with_wsdls(config::load(path, config::environment())?).await)
}

/// The same configuration with WSDLs as they are in the web now. What cannot be had stays as it was.
async fn with_wsdls(loaded: Loaded) -> Loaded {
    let refreshed = wsdl::refresh(&loaded.config).await;
    refreshed.faults.iter().for_each(|fault| tracing::warn!("{fault}"));
    if !refreshed.is_new {
        return loaded;
    }
    match config::load(&loaded.config.path, config::environment()) {
        Ok(again) => again,
        Err(error) => {
            if let LoadError::Faults(faults) = &error {
                faults.iter().for_each(|fault| tracing::error!(fault = %fault, "the mappings do not fit a new WSDL"));
            }
            tracing::error!(error = %error, "what was read before a WSDL was fetched stays in force");
            loaded
        }
    }
}

fn exposures(loaded: &Loaded) -> Vec<Exposure> {
    loaded.plans.iter().map(|plan| plan.exposure.clone()).collect()
}

/// Connections that the kernel keeps until they are accepted. Of a burst beyond that each would wait a second for its
/// next try; the kernel has a bound of its own (`net.core.somaxconn`).
const BACKLOG: u32 = 4096;

/// What to do about an address that cannot be listened on.
fn listening(source: &std::io::Error) -> &'static str {
    match source.kind() {
        std::io::ErrorKind::AddrInUse => {
            "; another program has it, perhaps a Tollbridge with another staging database: stop it, or choose another port"
        }
        std::io::ErrorKind::PermissionDenied => "; ports below 1024 take a right of their own: choose another port",
        std::io::ErrorKind::AddrNotAvailable => "; this machine has no such address",
        _ => "",
    }
}

fn bind(key: &'static str, address: SocketAddr) -> Result<TcpListener, ServeError> {
    let listen = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // A start right after an end: connections of the process before may hold the port for a while.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    listen().map_err(|source| ServeError::Listen { key, address, source })
}

/// What a signal asks for.
enum Asked {
    Reload,
    Stop,
}

struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Signals> {
        Ok(Signals {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.hangup.recv() => Asked::Reload,
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.interrupt.recv() => Asked::Stop,
        }
    }
}

/// Tells systemd, where it listens.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(error = %error, "systemd cannot be notified");
    }
}

/// Tells systemd's watchdog that the service lives, as long as the staging database answers.
async fn watchdog(bridge: Arc<Bridge>) {
    let Some(interval) = sd_notify::watchdog_enabled() else { return };
    loop {
        match tokio::time::timeout(interval / 2, bridge.staging.ping()).await {
            Ok(Ok(())) => notify(&[NotifyState::Watchdog]),
            Ok(Err(error)) => tracing::error!(error = %error, "the staging database does not answer"),
            Err(_) => tracing::error!("the staging database does not answer in time"),
        }
        tokio::time::sleep(interval / 3).await;
    }
}
