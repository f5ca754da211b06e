//! `inspect FILE.wsdl`: what a SOAP service offers, what its messages are as JSON, and what is missing or odd in its WSDL.

use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::{Exit, output};
use crate::app;
use crate::wsdl::{Choice, ImportFault, Imported, Offline, Operation, Plan, Settings, SoapVersion, Wsdl, import};

/// Options of `inspect` for WSDLs.
#[derive(Args, Debug, Default)]
pub(super) struct WsdlArgs {
    /// The operation whose request and response are shown, as JSON
    #[arg(long, value_name = "NAME", help_heading = "WSDL")]
    pub operation: Option<String>,
    /// The port that the operation is called at, where several have it
    #[arg(long, value_name = "NAME", requires = "operation", help_heading = "WSDL")]
    pub port: Option<String>,
    /// The version of SOAP, where the operation is there in both: 1.1, 1.2
    #[arg(long, value_name = "VERSION", requires = "operation", value_parser = version, help_heading = "WSDL")]
    pub soap: Option<SoapVersion>,
    /// A file that stands for an address or a namespace that the WSDL imports, as ADDRESS=FILE; more than once
    #[arg(long, value_name = "ADDRESS=FILE", help_heading = "WSDL")]
    pub catalogue: Vec<String>,
    /// Of a WSDL in the web: a host beside its own from which schemas may be fetched that it imports; more than once
    #[arg(long, value_name = "HOST", help_heading = "WSDL")]
    pub host: Vec<String>,
    /// Fail when anything is missing or odd
    #[arg(long, help_heading = "WSDL")]
    pub strict: bool,
}

fn version(text: &str) -> Result<SoapVersion, String> {
    match text {
        "1.1" => Ok(SoapVersion::V11),
        "1.2" => Ok(SoapVersion::V12),
        _ => Err("it is 1.1 or 1.2".to_owned()),
    }
}

/// Whether a file is a WSDL, by its first bytes or its name.
pub(super) fn is_wsdl(path: &Path, start: &[u8]) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("wsdl"))
        || memchr::memmem::find(start, b"http://schemas.xmlsoap.org/wsdl/")
            .is_some_and(|_| memchr::memmem::find(start, b"definitions").is_some())
}

/// Shows a WSDL. 0: shown; 1: shown, and there are operations with untyped places; 2: it cannot be imported, or has no such
/// operation.
pub(super) fn run(path: &Path, args: &WsdlArgs, json: bool) -> ExitCode {
    match settings(args) {
        Ok(settings) => shown(import(&path.to_string_lossy(), &settings, &mut Offline), args, json),
        Err(code) => code,
    }
}

/// The same of a WSDL in the web.
pub(super) async fn run_url(url: &str, args: &WsdlArgs, json: bool) -> Exit {
    let settings = match settings(args) {
        Ok(settings) => Settings { hosts: args.host.clone(), ..settings },
        Err(_) => return Exit::Usage,
    };
    match shown(app::import_from_web(url, settings).await, args, json) {
        code if code == ExitCode::SUCCESS => Exit::Done,
        code if code == ExitCode::from(1) => Exit::Incomplete,
        _ => Exit::Usage,
    }
}

/// Whether a WSDL is named by its address in the web.
pub(super) fn is_url(path: &Path) -> Option<&str> {
    path.to_str().filter(|path| path.starts_with("http://") || path.starts_with("https://"))
}

fn settings(args: &WsdlArgs) -> Result<Settings, ExitCode> {
    let mut settings = Settings { is_strict: args.strict, ..Settings::default() };
    for entry in &args.catalogue {
        let Some((address, file)) = entry.split_once('=') else {
            output::fault(&format!("`{entry}` is not of the form ADDRESS=FILE"));
            return Err(ExitCode::from(2));
        };
        settings.catalogue.insert(address.to_owned(), file.into());
    }
    Ok(settings)
}

fn shown(imported: Result<Imported, Vec<ImportFault>>, args: &WsdlArgs, json: bool) -> ExitCode {
    let Imported { wsdl, closure } = match imported {
        Ok(imported) => imported,
        Err(faults) => {
            faults.iter().for_each(|fault| output::fault(&fault.to_string()));
            return ExitCode::from(2);
        }
    };
    let documents = closure.documents.iter().map(|document| {
        let sha256: String = document.sha256.iter().map(|byte| format!("{byte:02x}")).collect();
        json!({ "location": document.location.to_string(), "bytes": document.bytes.len(), "sha256": sha256 })
    });
    show(&wsdl, args, documents.collect(), json)
}

/// Shows what was imported, or one operation of it.
pub(super) fn show(wsdl: &Wsdl, args: &WsdlArgs, documents: Vec<Value>, json: bool) -> ExitCode {
    if let Some(name) = &args.operation {
        let choice = Choice { port: args.port.clone(), version: args.soap };
        return match wsdl.plan(name, &choice) {
            Ok(plan) => one(wsdl, &plan, json),
            Err(fault) => {
                output::fault(&fault.to_string());
                ExitCode::from(2)
            }
        };
    }
    if json {
        output::json(&json!({
            "documents": documents,
            "operations": wsdl.operations.iter().map(|operation| {
                let mut shown = described(wsdl, operation);
                shown["request"] = members(&wsdl.plan_of(operation).request_skeleton()).into();
                shown["response"] = members(&wsdl.plan_of(operation).response_skeleton()).into();
                shown
            }).collect::<Vec<_>>(),
            "findings": findings(wsdl, None),
            "untold": wsdl.untold,
        }));
    } else {
        table(wsdl);
    }
    if wsdl.operations.iter().any(|operation| operation.is_degraded) { ExitCode::from(1) } else { ExitCode::SUCCESS }
}

fn table(wsdl: &Wsdl) {
    let rows = wsdl.operations.iter().map(|operation| {
        let plan = wsdl.plan_of(operation);
        let response = match &operation.output {
            Some(_) => members(&plan.response_skeleton()),
            None => "nothing (one-way)".to_owned(),
        };
        let mark = if operation.is_degraded { " (in part untyped)" } else { "" };
        vec![
            format!("{}{mark}", operation.name),
            format!("{}{}", operation.style.as_str(), if operation.requires_mtom { ", MTOM" } else { "" }),
            operation.version.as_str().to_owned(),
            output::plain(&operation.action).into_owned(),
            members(&plan.request_skeleton()),
            response,
        ]
    });
    let rows: Vec<Vec<String>> = rows.collect();
    output::table(&["OPERATION", "STYLE", "SOAP", "ACTION", "REQUEST", "RESPONSE"], &rows);
    told(wsdl, None);
}

/// One operation: its messages as JSON.
fn one(wsdl: &Wsdl, plan: &Plan, json: bool) -> ExitCode {
    let operation = &plan.operation;
    if json {
        let mut shown = described(wsdl, operation);
        shown["request"] = plan.request_skeleton();
        shown["response"] = plan.response_skeleton();
        shown["request_schema"] = plan.request_schema();
        shown["response_schema"] = plan.response_schema().unwrap_or_default();
        shown["findings"] = findings(wsdl, Some(operation)).into();
        output::json(&shown);
    } else {
        if let Some(text) = &operation.documentation {
            output::line(output::plain(text));
            output::line("");
        }
        let action = if operation.action.is_empty() { "none".to_owned() } else { format!("`{}`", operation.action) };
        let (style, version) = (operation.style.as_str(), operation.version.as_str());
        output::line(output::plain(&format!("{}: {style}, SOAP {version}, action {action}", operation.name)));
        if let Some(address) = &operation.address {
            output::line(output::plain(&format!("at {address}, as the WSDL says")));
        }
        if operation.requires_mtom {
            output::line("its policy demands MTOM: each call is sent as an XOP package");
        }
        output::line(format!("\nrequest:\n{:#}", plan.request_skeleton()));
        match &operation.output {
            Some(_) => output::line(format!("\nresponse:\n{:#}", plan.response_skeleton())),
            None => output::line("\nresponse: none (one-way)"),
        }
        for fault in &operation.faults {
            let detail = fault.detail.as_ref().map_or(Value::Null, |detail| plan.types.skeleton(detail.ty));
            output::line(format!("\nfault {}:\n{detail:#}", output::plain(&fault.name)));
        }
        told(wsdl, Some(operation));
    }
    if operation.is_degraded { ExitCode::from(1) } else { ExitCode::SUCCESS }
}

fn described(wsdl: &Wsdl, operation: &Operation) -> Value {
    let names = &wsdl.types.names;
    let fault = |fault: &crate::wsdl::Fault| {
        let element = fault.detail.as_ref().map(|detail| names.display(detail.name));
        json!({ "name": fault.name, "element": element })
    };
    json!({
        "name": operation.name,
        "service": operation.service,
        "port": operation.port,
        "style": operation.style.as_str(),
        "soap": operation.version.as_str(),
        "action": operation.action,
        "address": operation.address,
        "one_way": operation.output.is_none(),
        "mtom": operation.requires_mtom,
        "headers": operation.input.headers.iter().map(|header| &header.json).collect::<Vec<_>>(),
        "faults": operation.faults.iter().map(fault).collect::<Vec<_>>(),
        "degraded": operation.is_degraded,
        "documentation": operation.documentation,
    })
}

/// The members of a message in a line: `Total: integer, Orders: {…}`.
fn members(skeleton: &Value) -> String {
    const LONGEST: usize = 70;
    let short = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => match items.first() {
            Some(Value::String(text)) => format!("[{text}]"),
            _ => "[{…}]".to_owned(),
        },
        Value::Object(_) => "{…}".to_owned(),
        _ => String::new(),
    };
    let text = match skeleton {
        Value::Object(members) => {
            let all: Vec<String> = members.iter().map(|(name, value)| format!("{name}: {}", short(value))).collect();
            all.join(", ")
        }
        other => short(other),
    };
    let text = output::plain(&text).into_owned();
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

/// The findings, of all or of one operation.
fn findings(wsdl: &Wsdl, operation: Option<&Operation>) -> Vec<Value> {
    let is_wanted = |index: usize| operation.is_none_or(|operation| operation.findings.contains(&index));
    let name = |number: &u32| wsdl.operations.get(*number as usize).map(|operation| &operation.name);
    let found = wsdl.findings.iter().enumerate().filter(|(index, _)| is_wanted(*index));
    found
        .map(|(_, finding)| {
            json!({
                "code": finding.code.as_str(),
                "document": *finding.document,
                "line": finding.line,
                "message": finding.message,
                "degrades": finding.degrades.iter().filter_map(name).collect::<Vec<_>>(),
            })
        })
        .collect()
}

fn told(wsdl: &Wsdl, operation: Option<&Operation>) {
    let is_wanted = |index: usize| operation.is_none_or(|operation| operation.findings.contains(&index));
    for (_, finding) in wsdl.findings.iter().enumerate().filter(|(index, _)| is_wanted(*index)) {
        let degrades = match finding.degrades.len() {
            0 => String::new(),
            1 => " (1 operation)".to_owned(),
            count => format!(" ({count} operations)"),
        };
        output::note(output::plain(&format!("{}: {finding}{degrades}", finding.code.as_str())));
    }
    if wsdl.untold > 0 && operation.is_none() {
        output::note(format!("and {} findings more", wsdl.untold));
    }
}
