//! `inspect --backend B [--table T]`: the tables of a database, or one of them: its columns, keys and indexes, how it can
//! be kept up to date, and which rights are missing for that.

use std::process::ExitCode;

use serde_json::json;

use super::wsdl::WsdlArgs;
use super::{Context, Exit, fail, output};
use crate::adapters::sql::{TableInfo, TableName};
use crate::app::{self, Entrance};
use crate::config::{self, Config, WsdlState};
use crate::pipeline::propose::{Mode, modes};

/// How the WSDL of a backend stands, fetched anew where it lies in the web.
pub(super) async fn wsdl_of(context: &Context, backend: &str) -> Result<WsdlState, Exit> {
    let config = context.load_alone()?;
    refreshed(&config, backend).await.ok_or_else(|| {
        output::fault(&format!("there is no backend {backend} with a WSDL in the configuration"));
        Exit::Usage
    })
}

async fn refreshed(config: &Config, backend: &str) -> Option<WsdlState> {
    config::wsdl_of(config, backend)?;
    app::refresh(config).await.faults.iter().for_each(output::note);
    config::wsdl_of(config, backend)
}

/// What a service offers, by its WSDL.
fn service_of(context: &Context, state: &WsdlState, args: &WsdlArgs) -> Exit {
    state.fault.iter().for_each(|fault| output::note(format!("{}: {fault}", state.source)));
    match &state.wsdl {
        // As for a file: what is in part untyped is worth a look.
        Some(wsdl) => match super::wsdl::show(wsdl, args, Vec::new(), context.json) {
            code if code == ExitCode::SUCCESS => Exit::Done,
            code if code == ExitCode::from(1) => Exit::Incomplete,
            _ => Exit::Usage,
        },
        None => {
            output::fault("the WSDL cannot be read");
            Exit::Unreachable
        }
    }
}

/// Asks and prints.
pub(super) async fn show(context: &Context, backend: &str, table: Option<&str>, args: &WsdlArgs) -> Exit {
    let config = match context.load_alone() {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    if let Some(state) = refreshed(&config, backend).await {
        return service_of(context, &state, args);
    }
    let entrance = match Entrance::to(&config, backend).await {
        Ok(entrance) => entrance,
        Err(error) => return fail(&error),
    };
    let Some(table) = table else {
        return match entrance.tables().await {
            Ok(tables) => tables_of(context, &tables),
            Err(error) => fail(&error),
        };
    };
    let name = match TableName::parse(table) {
        Ok(name) => name,
        Err(reason) => {
            output::fault(&format!("--table: {reason}"));
            return Exit::Usage;
        }
    };
    match entrance.table(name).await {
        Ok(info) => table_of(context, &info),
        Err(error) => fail(&error),
    }
}

fn tables_of(context: &Context, tables: &[TableName]) -> Exit {
    if context.json {
        output::json(&json!({"tables": tables.iter().map(ToString::to_string).collect::<Vec<_>>()}));
    } else {
        tables.iter().for_each(|table| output::line(output::plain(&table.to_string())));
    }
    if tables.is_empty() {
        output::note("no table can be seen: the login may lack the right to, or another database is meant");
    }
    Exit::Done
}

fn table_of(context: &Context, info: &TableInfo) -> Exit {
    let modes = modes(info);
    if context.json {
        output::json(&as_json(info, &modes));
        return Exit::Done;
    }
    let rows = info.rows.map(|rows| format!(", about {rows} rows")).unwrap_or_default();
    output::line(format!("{} {}{rows}", if info.is_view { "view" } else { "table" }, info.name));
    output::line("");
    let columns: Vec<_> = info
        .columns
        .iter()
        .map(|column| {
            let nullable = match column.column.nullable {
                Some(true) => "yes",
                Some(false) => "no",
                None => "?",
            };
            let key = info.primary_key.iter().position(|name| *name == column.column.name);
            let mut notes = Vec::new();
            notes.extend(key.map(|at| format!("key {}", at + 1)));
            notes.extend(column.is_identity.then(|| "numbered by the database".to_owned()));
            notes.extend(column.is_computed.then(|| "computed".to_owned()));
            notes.extend(column.is_rowversion.then(|| "rowversion".to_owned()));
            notes.extend(column.collation.clone());
            vec![
                column.column.name.clone(),
                column.column.declared.clone(),
                column.column.kind.to_string(),
                nullable.to_owned(),
                notes.join(", "),
            ]
        })
        .collect();
    output::table(&["COLUMN", "DECLARED", "READ AS", "NULL", "NOTES"], &columns);
    if !info.indexes.is_empty() {
        output::line("");
        let indexes: Vec<_> = info
            .indexes
            .iter()
            .map(|index| {
                let unique = if index.is_unique { "unique" } else { "" };
                vec![index.name.clone(), index.columns.join(", "), unique.to_owned()]
            })
            .collect();
        output::table(&["INDEX", "COLUMNS", ""], &indexes);
    }
    output::line("");
    let ways: Vec<_> = modes
        .iter()
        .map(|mode| vec![mode.name.to_owned(), yes(mode.is_possible), mode.deletes.to_owned(), mode.why.clone()])
        .collect();
    output::table(&["KEPT UP TO DATE BY", "POSSIBLE", "SEES DELETES", "WHY"], &ways);
    for missing in &missing_rights(info) {
        output::line(format!("missing right: {}", output::plain(missing)));
    }
    Exit::Done
}

/// The rights that are missing to read all of the table, and to know all about it.
fn missing_rights(info: &TableInfo) -> Vec<String> {
    info.missing_rights.iter().cloned().chain(info.hides(&info.hidden)).collect()
}

fn yes(is: bool) -> String {
    if is { "yes" } else { "no" }.to_owned()
}

fn as_json(info: &TableInfo, modes: &[Mode]) -> serde_json::Value {
    json!({
        "table": info.name.to_string(),
        "view": info.is_view,
        "rows": info.rows,
        "columns": info.columns.iter().map(|column| json!({
            "name": column.column.name,
            "declared": column.column.declared,
            "type": column.column.kind.to_string(),
            "nullable": column.column.nullable,
            "computed": column.is_computed,
            "identity": column.is_identity,
            "rowversion": column.is_rowversion,
            "collation": column.collation,
        })).collect::<Vec<_>>(),
        "key": info.primary_key,
        "indexes": info.indexes.iter().map(|index| json!({
            "name": index.name, "columns": index.columns, "unique": index.is_unique,
        })).collect::<Vec<_>>(),
        "modes": modes.iter().map(|mode| json!({
            "name": mode.name, "possible": mode.is_possible, "deletes": mode.deletes, "why": mode.why,
        })).collect::<Vec<_>>(),
        "missing_rights": missing_rights(info),
    })
}
