//! `infer --backend B --table T`: a complete mapping for a table, with the reason for each proposal as a comment.

use clap::Args;

use super::{Context, Exit, fail, output};
use crate::adapters::sql::{Isolation, Query, TableInfo, TableName};
use crate::app::Entrance;
use crate::config::Config;
use crate::pipeline::PipelineError;
use crate::pipeline::propose::{Sample, first_rows, propose};

/// So many rows are looked at by default.
const SAMPLE: u32 = 1000;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The backend that has the table
    #[arg(long, value_name = "BACKEND")]
    backend: String,
    /// The table or view, perhaps with its schema: `dbo.ITEMS`
    #[arg(long, value_name = "TABLE")]
    table: String,
    /// Look at so many rows for what types alone do not say (0 for none)
    #[arg(long, value_name = "N", default_value_t = SAMPLE, value_parser = clap::value_parser!(u32).range(..=100_000))]
    sample: u32,
}

pub(super) async fn run(context: &Context, options: &Options) -> Exit {
    let config = match context.load_alone() {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let name = match TableName::parse(&options.table) {
        Ok(name) => name,
        Err(reason) => {
            output::fault(&format!("--table: {reason}"));
            return Exit::Usage;
        }
    };
    match proposal(&config, options, name).await {
        Ok(text) => {
            if context.json {
                output::json(&serde_json::json!({"mapping": text}));
            } else {
                output::line(text.trim_end());
            }
            Exit::Done
        }
        Err(error) => fail(&error),
    }
}

async fn proposal(config: &Config, options: &Options, name: TableName) -> Result<String, PipelineError> {
    let entrance = Entrance::to(config, &options.backend).await?;
    let info = entrance.table(name).await?;
    let mut sample = Sample::new(&info);
    if options.sample > 0 {
        look(&entrance, &info, options.sample, &mut sample).await?;
    }
    Ok(propose(&options.backend, &info, &sample))
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
