//! The command line: one file a command, each a thin shell around the part that does the work.
//!
//! Results go to stdout, in words or with `--json` as JSON; logs, faults and progress go to stderr. Exit codes:
//! 0 done, 1 done but something was rejected or failed, 2 wrong usage, configuration or mapping, 3 backend not
//! reachable.

mod check;
mod data_file;
mod database;
mod dead_letters;
mod decode;
mod doctor;
mod encode;
mod gate;
mod infer;
mod inspect;
mod json_line;
mod keys;
mod openapi;
mod operations;
mod output;
mod preview;
mod serve;
mod simulate;
mod sync;
mod trace;
mod wsdl;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::app;
use crate::config::{self, Config, LoadError, Loaded};
use crate::pipeline::{Bridge, PipelineError};
use crate::staging::Staging;
use crate::telemetry;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// All went well.
    Done = 0,
    /// It went through, but something was rejected or failed.
    Incomplete = 1,
    /// The command, the configuration or a mapping is wrong.
    Usage = 2,
    /// A backend cannot be reached.
    Unreachable = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// A bridge between legacy systems and modern applications.
#[derive(Debug, Parser)]
#[command(name = "tollbridge", version, about, disable_help_subcommand = true)]
struct Arguments {
    /// The configuration; else $TOLLBRIDGE_CONFIG, ./tollbridge.toml, /etc/tollbridge/tollbridge.toml
    #[arg(long, global = true, value_name = "PATH", env = "TOLLBRIDGE_CONFIG")]
    config: Option<PathBuf>,
    /// Print the result as JSON on stdout
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
#[allow(clippy::large_enum_variant, reason = "there is one a run")]
enum Command {
    /// Run schedules, the API and the console until SIGTERM; SIGHUP reloads the configuration
    Serve,
    /// Check the configuration and all mappings, then reach every backend
    Check(check::Options),
    /// Look step by step for what keeps us out of a backend, or keeps tokens from being taken, each with its cause and what
    /// to do
    Doctor(doctor::Options),
    /// Show a resource's records as they would be staged; stages nothing
    Preview(preview::Options),
    /// Read what is new for a resource now
    Sync(sync::Options),
    /// Decode a legacy file by its layout alone, one JSON object a record
    Decode(Box<decode::DecodeArgs>),
    /// Write a legacy file from JSON, one object a record, by its layout: the twin of decode
    Encode(Box<encode::EncodeArgs>),
    /// Show the layout of a copybook, what a file of data looks like, or the tables of a backend
    Inspect(inspect::InspectArgs),
    /// Propose a complete mapping for a table, with the reason for each proposal
    Infer(infer::Options),
    /// Print the description of the API in OpenAPI 3.1, as the service serves it
    Openapi,
    /// List, show, replay or discard records that were rejected
    #[command(subcommand)]
    DeadLetters(dead_letters::Action),
    /// Show a record's whole life: where each version came from, and what was rejected
    Trace(trace::Options),
    /// Show how much load the backends may see, and change it while the service runs
    Gate(gate::Options),
    /// List writes to backends, and settle those of which nobody knows
    #[command(subcommand)]
    Operations(operations::Action),
    /// Make, rotate, list and revoke API keys
    #[command(subcommand)]
    Keys(keys::Action),
}

/// Runs the command in the process's arguments.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let context = Context { config: arguments.config, json: arguments.json };
    let exit = match arguments.command {
        // These need no configuration.
        Command::Decode(options) => return decode::run(&options),
        Command::Encode(options) => return encode::run(&options),
        Command::Inspect(inspect::InspectArgs { backend: Some(backend), table, wsdl, .. }) => {
            context.block_on(database::show(&context, &backend, table.as_deref(), &wsdl))
        }
        Command::Inspect(options) => match options.file.as_deref().and_then(wsdl::is_url) {
            Some(url) => context.block_on(wsdl::run_url(url, &options.wsdl, context.json)),
            None => return inspect::run(&options, context.json),
        },
        Command::Openapi => openapi::run(&context),
        Command::Serve => context.block_on(serve::run(&context)),
        Command::Check(options) => context.block_on(check::run(&context, &options)),
        Command::Doctor(options) => context.block_on(doctor::run(&context, &options)),
        Command::Infer(options) => context.block_on(infer::run(&context, &options)),
        Command::Preview(options) => context.block_on(preview::run(&context, &options)),
        Command::Sync(options) => context.block_on(sync::run(&context, &options)),
        Command::DeadLetters(action) => context.block_on(dead_letters::run(&context, &action)),
        Command::Trace(options) => context.block_on(trace::run(&context, &options)),
        Command::Gate(options) => context.block_on(gate::run(&context, &options)),
        Command::Operations(action) => context.block_on(operations::run(&context, &action)),
        Command::Keys(action) => context.block_on(keys::run(&context, &action)),
    };
    leave(exit, CLOSING);
    exit.into()
}

/// How long the process waits at its end for its connections to be closed in order.
const CLOSING: Duration = Duration::from_secs(2);

/// Sees to it that no driver is at work when the process ends, or ends it here; see [`crate::adapters::odbc::leave`].
fn leave(exit: Exit, most: Duration) {
    #[cfg(feature = "odbc")]
    crate::adapters::odbc::leave(exit as u8, most);
    #[cfg(not(feature = "odbc"))]
    let _ = (exit, most);
}

/// Ends the process in the midst of its work.
fn leave_at_once(exit: Exit) -> ! {
    #[cfg(feature = "odbc")]
    crate::adapters::odbc::leave_at_once(exit as u8);
    #[cfg(not(feature = "odbc"))]
    std::process::exit(exit as i32);
}

/// What all commands that work with a configuration have in common.
struct Context {
    config: Option<PathBuf>,
    json: bool,
}

impl Context {
    fn block_on(&self, command: impl Future<Output = Exit>) -> Exit {
        match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
            Ok(runtime) => {
                let exit = runtime.block_on(command);
                // A thread that waits for a share or server that does not answer is not waited for: it ends with the process.
                runtime.shutdown_timeout(CLOSING);
                exit
            }
            Err(error) => {
                output::fault(&format!("the runtime cannot start: {error}"));
                Exit::Incomplete
            }
        }
    }

    /// Reads configuration and mappings; prints every fault.
    fn load(&self) -> Result<Loaded, Exit> {
        let loaded = config::find(self.config.as_deref()).and_then(|path| config::load(&path, config::environment()));
        loaded.map_err(|error| report(&error))
    }

    /// Reads the configuration alone; prints every fault.
    fn load_alone(&self) -> Result<Config, Exit> {
        let config =
            config::find(self.config.as_deref()).and_then(|path| config::load_alone(&path, config::environment()));
        config.map_err(|error| report(&error))
    }

    /// Whether the configuration has a backend of this name; one that cannot be read has none.
    fn has_backend(&self, name: &str) -> bool {
        let config =
            config::find(self.config.as_deref()).and_then(|path| config::load_alone(&path, config::environment()));
        config.is_ok_and(|config| config.backends.contains_key(name))
    }

    /// Reads the configuration alone and opens staging: for what must go on when a mapping is broken.
    fn open_staging(&self) -> Result<Arc<dyn Staging>, Exit> {
        let config = self.load_alone()?;
        telemetry::init(&telemetry::Config { level: "warn".to_owned(), ..config.telemetry.clone() });
        app::open_staging(&config).map_err(|error| {
            output::fault(&error.to_string());
            Exit::Incomplete
        })
    }

    /// Opens staging and landing for a command beside, or without, a running service.
    async fn open(&self) -> Result<Arc<Bridge>, Exit> {
        let loaded = self.load()?;
        telemetry::init(&telemetry::Config { level: "warn".to_owned(), ..loaded.config.telemetry.clone() });
        app::open(&loaded).await.map_err(|error| {
            output::fault(&error.to_string());
            Exit::Incomplete
        })
    }
}

/// Prints why there is no configuration.
fn report(error: &LoadError) -> Exit {
    if let LoadError::Faults(faults) = error {
        faults.iter().for_each(output::diagnostic);
    }
    output::fault(&error.to_string());
    Exit::Usage
}

/// The exit code of a fault in the corridor.
fn exit_of(error: &PipelineError) -> Exit {
    match error {
        PipelineError::UnknownResource { .. }
        | PipelineError::UnknownBackend { .. }
        | PipelineError::NoDatabase { .. }
        | PipelineError::NoService { .. }
        | PipelineError::Open { .. }
        | PipelineError::NoInbox { .. } => Exit::Usage,
        PipelineError::Sql(error) if !error.kind.is_outage() => Exit::Incomplete,
        PipelineError::Inbox(_)
        | PipelineError::Soap(_)
        | PipelineError::Sql(_)
        | PipelineError::NotNow { .. }
        | PipelineError::Gate { .. }
        | PipelineError::Closed { .. } => Exit::Unreachable,
        _ => Exit::Incomplete,
    }
}

/// Prints the fault and answers its exit code.
fn fail(error: &PipelineError) -> Exit {
    output::fault(&error.chain());
    exit_of(error)
}
