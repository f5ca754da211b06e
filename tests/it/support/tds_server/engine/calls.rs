//! Calls of procedures: those of the server, and those that are declared.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::types::Value;

use super::sink::Sink;
use super::{Engine, Frame, Prepared, Stop};
use crate::support::tds_server::catalog::procedures;
use crate::support::tds_server::error::SqlFault;
use crate::support::tds_server::schema::Procedure;
use crate::support::tds_server::sql::statement::Argument;
use crate::support::tds_server::value::cast::plain;
use crate::support::tds_server::value::types::SqlType;
use crate::support::tds_server::wire::decode::Parameter;
use crate::support::tds_server::wire::request::Call;
use crate::support::tds_server::wire::tokens::{self, Done};

/// What came out of a call: its code, and the values of its parameters.
type Outcome = (i32, Vec<(String, SqlType, Value)>);

fn missing(name: &str) -> SqlFault {
    SqlFault::new(2812, format!("Could not find stored procedure '{name}'.")).class(16)
}

fn parts(name: &str) -> Vec<String> {
    name.split('.').map(|part| part.trim_matches(['[', ']', '"']).to_owned()).collect()
}

impl Engine {
    /// A call by RPC.
    pub(super) fn call(&mut self, call: Call, sink: &mut Sink) -> Result<(), Stop> {
        let Call { name, parameters } = call;
        let short = parts(&name).pop().unwrap_or_default().to_ascii_lowercase();
        let (code, outs) = match short.as_str() {
            "sp_executesql" => self.execute_sql(&parameters, sink)?,
            "sp_prepare" => {
                let handle = self.prepare(parameters.get(1), parameters.get(2))?;
                (0, vec![(name_of(parameters.first()), SqlType::Int, Value::Integer(handle.into()))])
            }
            "sp_prepexec" => {
                let handle = self.prepare(parameters.get(1), parameters.get(2))?;
                let (code, mut outs) = self.execute_prepared(handle, parameters.get(3..).unwrap_or_default(), sink)?;
                outs.insert(0, (name_of(parameters.first()), SqlType::Int, Value::Integer(handle.into())));
                (code, outs)
            }
            "sp_execute" => {
                let handle = parameters.first().map(|first| first.value.clone());
                let Some(Value::Integer(handle)) = handle else { return Err(missing(&name).into()) };
                self.execute_prepared(handle as i32, parameters.get(1..).unwrap_or_default(), sink)?
            }
            "sp_unprepare" => {
                if let Some(Value::Integer(handle)) = parameters.first().map(|first| &first.value) {
                    self.prepared.remove(&(*handle as i32));
                }
                (0, Vec::new())
            }
            "sp_reset_connection" => {
                self.reset();
                (0, Vec::new())
            }
            _ => self.declared_procedure(&name, parameters, sink)?,
        };
        tokens::return_status(code, sink.token());
        for (at, (name, declared, value)) in outs.iter().enumerate() {
            tokens::return_value(at as u16, name, declared, value.into(), sink.token())?;
        }
        sink.done(Done::Procedure, 0, 0, 0);
        Ok(())
    }

    fn execute_sql(&mut self, parameters: &[Parameter], sink: &mut Sink) -> Result<Outcome, Stop> {
        let text = parameters.first().map(|first| plain(&first.value)).unwrap_or_default();
        let declared = match parameters.get(1) {
            Some(second) if second.value != Value::Null => self.declared(&plain(&second.value))?,
            _ => Vec::new(),
        };
        self.execute_text(&text, &declared, parameters.get(2..).unwrap_or_default(), sink)
    }

    fn prepare(&mut self, declared: Option<&Parameter>, text: Option<&Parameter>) -> Result<i32, Stop> {
        let parameters = match declared {
            Some(declared) if declared.value != Value::Null => self.declared(&plain(&declared.value))?,
            _ => Vec::new(),
        };
        self.handles += 1;
        let text = text.map(|text| plain(&text.value)).unwrap_or_default();
        self.prepared.insert(self.handles, Prepared { text, parameters });
        Ok(self.handles)
    }

    fn execute_prepared(&mut self, handle: i32, values: &[Parameter], sink: &mut Sink) -> Result<Outcome, Stop> {
        let Some(prepared) = self.prepared.get(&handle) else {
            return Err(SqlFault::new(8179, format!("Could not find prepared statement with handle {handle}.")).into());
        };
        let (text, declared) = (prepared.text.clone(), prepared.parameters.clone());
        self.execute_text(&text, &declared, values, sink)
    }

    fn execute_text(
        &mut self,
        text: &str,
        declared: &[(String, SqlType)],
        values: &[Parameter],
        sink: &mut Sink,
    ) -> Result<Outcome, Stop> {
        let mut variables = HashMap::new();
        let mut outs = Vec::new();
        for (at, (name, declared)) in declared.iter().enumerate() {
            let named = values.iter().find(|value| value.name.eq_ignore_ascii_case(name));
            let given = named.or_else(|| values.get(at).filter(|value| value.name.is_empty()));
            let Some(given) = given else {
                let message =
                    format!("The parameterized query expects the parameter '{name}', which was not supplied.");
                return Err(SqlFault::new(8178, message).into());
            };
            if given.is_out {
                outs.push((name.clone(), *declared));
            }
            variables.insert(name.clone(), (*declared, Engine::cast(given.value.clone(), declared)?));
        }
        let mut frame = Frame { variables, done: Done::InProcedure, procedure: String::new(), depth: 1 };
        let code = match self.text(text, &mut frame, sink) {
            Err(Stop::Returned(code)) => code,
            other => other.map(|()| 0)?,
        };
        let value = |name: &str| frame.variables.get(name).map_or(Value::Null, |(_, value)| value.clone());
        Ok((code, outs.iter().map(|(name, declared)| (name.clone(), *declared, value(name))).collect()))
    }

    fn declared_procedure(&mut self, name: &str, parameters: Vec<Parameter>, sink: &mut Sink) -> Result<Outcome, Stop> {
        if let Some(made) = self.of_server(name, &parameters, Done::InProcedure, sink)? {
            return Ok((made, Vec::new()));
        }
        let procedure = self.shared.schema().procedure(&parts(name)).ok_or_else(|| missing(name))?;
        let wants: Vec<bool> = parameters.iter().map(|parameter| parameter.is_out).collect();
        let names: Vec<String> = parameters.iter().map(|parameter| parameter.name.clone()).collect();
        let values = parameters.into_iter().map(|parameter| (parameter.name, parameter.value)).collect();
        let (code, frame) = self.run_procedure(&procedure, values, 1, sink)?;
        let mut outs = Vec::new();
        for (at, parameter) in procedure.parameters.iter().enumerate().filter(|(_, parameter)| parameter.is_out) {
            let place = names.iter().position(|name| name.eq_ignore_ascii_case(&parameter.name)).unwrap_or(at);
            if wants.get(place) == Some(&true) {
                let value = frame.variables.get(&parameter.name).map_or(Value::Null, |(_, value)| value.clone());
                outs.push((parameter.name.clone(), parameter.declared, value));
            }
        }
        Ok((code, outs))
    }

    /// Runs a procedure with its arguments, by name or in order.
    fn run_procedure(
        &mut self,
        procedure: &Arc<Procedure>,
        values: Vec<(String, Value)>,
        depth: u32,
        sink: &mut Sink,
    ) -> Result<(i32, Frame), Stop> {
        if depth > 32 {
            return Err(SqlFault::new(217, "Maximum stored procedure nesting level exceeded (limit 32).").into());
        }
        let mut given: HashMap<String, Value> = HashMap::new();
        for (at, (name, value)) in values.into_iter().enumerate() {
            let known = if name.is_empty() {
                procedure.parameters.get(at)
            } else {
                procedure.parameters.iter().find(|parameter| parameter.name.eq_ignore_ascii_case(&name))
            };
            let Some(known) = known else {
                let message = format!("Procedure or function {} has too many arguments specified.", procedure.name);
                return Err(SqlFault::new(8144, message).into());
            };
            given.insert(known.name.clone(), Engine::cast(value, &known.declared)?);
        }
        let mut frame =
            Frame { variables: HashMap::new(), done: Done::InProcedure, procedure: procedure.name.clone(), depth };
        for parameter in &procedure.parameters {
            let value = match (given.remove(&parameter.name), &parameter.default) {
                (Some(value), _) => value,
                (None, Some(default)) => self.default(default, &parameter.declared)?,
                (None, None) => {
                    let message = format!(
                        "Procedure or function '{}' expects parameter '{}', which was not supplied.",
                        procedure.name, parameter.name
                    );
                    return Err(SqlFault::new(201, message).into());
                }
            };
            frame.variables.insert(parameter.name.clone(), (parameter.declared, value));
        }
        let code = match self.tokens(&procedure.body, &mut frame, sink) {
            Err(Stop::Returned(code)) => code,
            other => other.map(|()| 0)?,
        };
        Ok((code, frame))
    }

    fn default(
        &mut self,
        tokens: &[crate::support::tds_server::sql::lexer::Token],
        to: &SqlType,
    ) -> Result<Value, Stop> {
        let facts = self.facts.clone();
        let mut parser = crate::support::tds_server::sql::parser::Parser::new(
            tokens,
            self.shared.schema(),
            &[],
            &facts,
            HashMap::new(),
        );
        let sql = parser.expression()?.cast(to);
        let frame = Frame { variables: HashMap::new(), done: Done::Batch, procedure: String::new(), depth: 0 };
        self.evaluate(&sql, &frame)
    }

    /// EXEC.
    pub(super) fn execute(
        &mut self,
        name: &[String],
        arguments: &[Argument],
        status: Option<String>,
        frame: &mut Frame,
        sink: &mut Sink,
    ) -> Result<(), Stop> {
        let mut values = Vec::new();
        for argument in arguments {
            values.push((argument.name.clone(), self.evaluate(&argument.value, frame)?));
        }
        let written = name.join(".");
        let as_parameter = |(name, value): &(String, Value)| Parameter {
            name: name.clone(),
            is_out: false,
            declared: SqlType::TEXT,
            value: value.clone(),
        };
        let parameters: Vec<Parameter> = values.iter().map(as_parameter).collect();
        let code = if name.last().is_some_and(|name| name.eq_ignore_ascii_case("sp_executesql")) {
            self.execute_sql(&parameters, sink)?.0
        } else {
            if let Some(code) = self.of_server(&written, &parameters, frame.done, sink)? {
                sink.done(frame.done, 0, 0, 0);
                return self.take_status(code, status, frame);
            }
            let procedure = self.shared.schema().procedure(name).ok_or_else(|| missing(&written))?;
            let (code, inner) = self.run_procedure(&procedure, values, frame.depth + 1, sink)?;
            for (at, argument) in arguments.iter().enumerate() {
                let Some(out) = &argument.out else { continue };
                let parameter = match argument.name.as_str() {
                    "" => procedure.parameters.get(at),
                    name => procedure.parameters.iter().find(|parameter| parameter.name == name),
                };
                let value = parameter.and_then(|parameter| inner.variables.get(&parameter.name));
                if let (Some((_, value)), Some(variable)) = (value, frame.variables.get_mut(out)) {
                    variable.1 = Engine::cast(value.clone(), &variable.0)?;
                }
            }
            code
        };
        tokens::return_status(code, sink.token());
        let kind = if frame.done == Done::Batch { Done::Procedure } else { Done::InProcedure };
        sink.done(kind, 0, 0, 0);
        self.take_status(code, status, frame)
    }

    fn take_status(&mut self, code: i32, status: Option<String>, frame: &mut Frame) -> Result<(), Stop> {
        if let Some(variable) = status.and_then(|status| frame.variables.get_mut(&status)) {
            variable.1 = Engine::cast(Value::Integer(code.into()), &variable.0)?;
        }
        Ok(())
    }

    /// The server's own procedures; `None` where it has none of that name.
    fn of_server(
        &mut self,
        name: &str,
        parameters: &[Parameter],
        done: Done,
        sink: &mut Sink,
    ) -> Result<Option<i32>, Stop> {
        let named = |wanted: &str| {
            let found = parameters.iter().find(|parameter| parameter.name.eq_ignore_ascii_case(wanted));
            found.map(|parameter| plain(&parameter.value))
        };
        let short = parts(name).pop().unwrap_or_default().to_ascii_lowercase();
        let schema = self.shared.schema();
        let by_place_or_name = |at: usize, name: &str| {
            let by_place = parameters.get(at).filter(|parameter| parameter.name.is_empty());
            let found = parameters.iter().find(|parameter| parameter.name.eq_ignore_ascii_case(name)).or(by_place);
            found.filter(|parameter| parameter.value != Value::Null).map(|parameter| plain(&parameter.value))
        };
        let given = procedures::Given { database: &self.facts.database.clone(), named: &by_place_or_name };
        if let Some((columns, rows)) = procedures::listing(&short, &schema, &given)? {
            self.rows(&columns, &rows, done, sink)?;
            return Ok(Some(0));
        }
        match short.as_str() {
            "sp_cdc_enable_db" => Ok(Some(0)),
            "sp_describe_first_result_set" => {
                let text = named("@tsql").or_else(|| parameters.first().map(|first| plain(&first.value)));
                let declared = named("@params").unwrap_or_default();
                self.describe_result(&text.unwrap_or_default(), &declared, done, sink)?;
                Ok(Some(0))
            }
            "sp_describe_undeclared_parameters" => {
                let text = named("@tsql").or_else(|| parameters.first().map(|first| plain(&first.value)));
                self.describe_parameters(&text.unwrap_or_default(), done, sink)?;
                Ok(Some(0))
            }
            "sp_cdc_enable_table" => {
                let owner = named("@source_schema").unwrap_or_else(|| "dbo".to_owned());
                let table = named("@source_name").unwrap_or_default();
                let instance = named("@capture_instance").unwrap_or_else(|| format!("{owner}_{table}"));
                self.capture(&owner, &table, &instance)?;
                Ok(Some(0))
            }
            "sp_set_session_context" => Ok(Some(0)),
            "sp_getapplock" | "sp_releaseapplock" => {
                let name = named("@Resource").unwrap_or_default();
                let owner = named("@LockOwner").unwrap_or_else(|| "Transaction".to_owned());
                let of_transaction = owner.eq_ignore_ascii_case("transaction");
                if of_transaction && self.transactions() == 0 {
                    let message =
                        "You attempted to acquire a transactional application lock without an active transaction.";
                    return Err(SqlFault::new(3623, message).class(16).into());
                }
                if short == "sp_getapplock" {
                    return Ok(Some(self.shared.lock(&name, self.facts.spid, of_transaction)));
                }
                if !self.shared.unlock(&name, self.facts.spid) {
                    let message = "Cannot release the application lock because it is not currently held.";
                    return Err(SqlFault::new(1223, message).class(16).into());
                }
                Ok(Some(0))
            }
            _ => Ok(None),
        }
    }
}

fn name_of(parameter: Option<&Parameter>) -> String {
    parameter.map(|parameter| parameter.name.clone()).unwrap_or_default()
}
