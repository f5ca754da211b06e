//! `infer --backend B --table T`: a complete mapping for a table, with the reason for each proposal as a comment.
//! `infer --wsdl F --operation OP`: the same for an operation of a SOAP service.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use super::wsdl::is_url;
use super::{Context, Exit, fail, output};
use crate::adapters::sql::{Isolation, Query, TableInfo, TableName};
use crate::app::{self, Entrance};
use crate::config::Config;
use crate::pipeline::PipelineError;
use crate::pipeline::propose::{Sample, first_rows, propose, propose_service};
use crate::wsdl::{Choice, ImportFault, Imported, Offline, Plan, Settings, SoapVersion, import};

/// So many rows are looked at by default.
const SAMPLE: u32 = 1000;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The backend that has the table
    #[arg(long, value_name = "BACKEND", required_unless_present = "wsdl")]
    backend: Option<String>,
    /// The table or view, perhaps with its schema: `dbo.ITEMS`
    #[arg(long, value_name = "TABLE", required_unless_present = "operation", conflicts_with_all = ["operation", "wsdl"])]
    table: Option<String>,
    /// The operation of a SOAP service, as `inspect` names it
    #[arg(long, value_name = "NAME")]
    operation: Option<String>,
    /// The file or URL of its WSDL; that of --backend when absent
    #[arg(long, value_name = "FILE", requires = "operation")]
    wsdl: Option<PathBuf>,
    /// The port of the operation, where several have it; that of the backend when absent
    #[arg(long, value_name = "NAME", requires = "operation")]
    port: Option<String>,
    /// Look at so many rows for what types alone do not say (0 for none)
    #[arg(long, value_name = "N", default_value_t = SAMPLE, value_parser = clap::value_parser!(u32).range(..=100_000))]
    sample: u32,
}

pub(super) async fn run(context: &Context, options: &Options) -> Exit {
    if let Some(operation) = &options.operation {
        return of_service(context, options, operation).await;
    }
    let (Some(backend), Some(table)) = (&options.backend, &options.table) else { return Exit::Usage };
    let config = match context.load_alone() {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let name = match TableName::parse(table) {
        Ok(name) => name,
        Err(reason) => {
            output::fault(&format!("--table: {reason}"));
            return Exit::Usage;
        }
    };
    match proposal(&config, options, backend, name).await {
        Ok(text) => show(context, &text),
        Err(error) => fail(&error),
    }
}

fn show(context: &Context, text: &str) -> Exit {
    if context.json {
        output::json(&serde_json::json!({"mapping": text}));
    } else {
        output::line(text.trim_end());
    }
    Exit::Done
}

/// By the WSDL of a file, or that of a backend of the configuration.
async fn of_service(context: &Context, options: &Options, operation: &str) -> Exit {
    let refused = |reason: &str| {
        output::fault(reason);
        Exit::Usage
    };
    let mut choice = Choice::default();
    let wsdl = match (&options.wsdl, &options.backend) {
        (Some(file), _) => match imported(file).await {
            Ok(imported) => Arc::new(imported.wsdl),
            Err(faults) => {
                faults.iter().for_each(|fault| output::fault(&fault.to_string()));
                return Exit::Usage;
            }
        },
        (None, Some(backend)) => match super::database::wsdl_of(context, backend).await {
            Ok(state) => match state.wsdl {
                Some(wsdl) => {
                    choice = state.choice;
                    wsdl
                }
                None => {
                    return refused(&format!(
                        "the WSDL of {backend} cannot be read: {}",
                        state.fault.unwrap_or_default()
                    ));
                }
            },
            Err(exit) => return exit,
        },
        (None, None) => return refused("name the WSDL by --wsdl, or the backend that has it by --backend"),
    };
    let choice = Choice { port: options.port.clone().or(choice.port), ..choice };
    match wsdl.plan_preferring(operation, &choice) {
        Ok(plan) => {
            let backend = options.backend.as_deref().unwrap_or("erp");
            match propose_service(backend, &plan) {
                Ok(text) => {
                    let wsdl = options.wsdl.as_ref().filter(|_| !context.has_backend(backend));
                    let backend = wsdl.map_or(String::new(), |wsdl| of_backend(backend, wsdl, options, &plan));
                    show(context, &format!("{backend}{text}"))
                }
                Err(reason) => refused(&reason),
            }
        }
        Err(fault) => refused(&fault.to_string()),
    }
}

/// What a configuration that does not know the backend yet would say of it.
fn of_backend(backend: &str, wsdl: &Path, options: &Options, plan: &Plan) -> String {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let operation = &plan.operation;
    let name = match backend.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-') {
        true => backend.to_owned(),
        false => quoted(backend),
    };
    let mut lines = vec![
        "# For tollbridge.toml, which does not have the backend yet (the endpoint is what the WSDL says):".to_owned(),
        format!("#   [backends.{name}.soap]"),
        format!("#   wsdl = {}", quoted(&wsdl.to_string_lossy())),
        format!("#   endpoint = {}", quoted(operation.address.as_deref().unwrap_or("http://..."))),
    ];
    if operation.version == SoapVersion::V12 {
        lines.push("#   soap = \"1.2\"".to_owned());
    }
    lines.extend(options.port.iter().map(|port| format!("#   port = {}", quoted(port))));
    lines.iter().map(|line| format!("{line}\n")).collect::<String>() + "\n"
}

async fn imported(wsdl: &Path) -> Result<Imported, Vec<ImportFault>> {
    match is_url(wsdl) {
        Some(url) => app::import_from_web(url, Settings::default()).await,
        None => import(&wsdl.to_string_lossy(), &Settings::default(), &mut Offline),
    }
}

async fn proposal(config: &Config, options: &Options, backend: &str, name: TableName) -> Result<String, PipelineError> {
    let entrance = Entrance::to(config, backend).await?;
    let info = entrance.table(name).await?;
    let mut sample = Sample::new(&info);
    if options.sample > 0 {
        look(&entrance, &info, options.sample, &mut sample).await?;
    }
    Ok(propose(backend, &info, &sample))
}

/// Reads the first rows. It stops asking when it has enough.
async fn look(entrance: &Entrance, info: &TableInfo, rows: u32, sample: &mut Sample) -> Result<(), PipelineError> {
    let database = entrance.database()?;
    let mut batches = entrance
        .query(Query {
            sql: first_rows(database.dialect(), info, rows),
            parameters: Vec::new(),
            isolation: Isolation::ReadCommitted,
            batch_rows: rows,
            batch_bytes: 8 << 20,
            max_rows_per_second: None,
            timeout: database.timeout(),
        })
        .await?
        .batches;
    while let Some(batch) = batches.recv().await {
        sample.read(&batch?.bytes)?;
    }
    Ok(())
}
