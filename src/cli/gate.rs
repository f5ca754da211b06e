//! `gate`: how much load the backends may see, changed while the service runs. All but `simulate` goes through its admin
//! API, so that whoever decides stands in the audit.

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::{Context, Exit, output};
use crate::console::client;

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(subcommand)]
    action: Action,
    /// An API key with the scope `admin`; needed where the admin API is not on a loopback address
    #[arg(long, global = true, env = "TOLLBRIDGE_ADMIN_KEY", hide_env_values = true)]
    key: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show all gates
    List,
    /// Set values of a gate beside the configuration, until they are taken back or their time is over
    Set {
        /// The backend
        backend: String,
        /// What is to hold: `max_in_flight=2`, `queue_timeout=2s`, `breaker.failures=3`
        #[arg(required = true, value_name = "NAME=VALUE")]
        values: Vec<String>,
        #[command(flatten)]
        why: Why,
        /// Fall back to the configuration after this time: `30m`, `2h`
        #[arg(long = "for", value_name = "TIME")]
        length: Option<String>,
    },
    /// Take values back, all of a gate or those named: the configuration holds again
    Reset {
        /// The backend
        backend: String,
        /// Settings: `max_in_flight`, `breaker`
        names: Vec<String>,
        #[command(flatten)]
        why: Why,
    },
    /// Close a backend: no call goes to it, scheduled runs wait
    Freeze {
        /// The backend
        backend: String,
        #[command(flatten)]
        why: Why,
        /// Open it again after this time: `30m`, `2h`
        #[arg(long = "for", value_name = "TIME", conflicts_with = "until")]
        length: Option<String>,
        /// Open it again at this moment: `2026-03-01T04:30:00+01:00`
        #[arg(long, value_name = "MOMENT")]
        until: Option<String>,
    },
    /// Open a frozen backend
    Thaw {
        /// The backend
        backend: String,
        #[command(flatten)]
        why: Why,
    },
    /// Have the account of a service, which is left alone since it was refused, tried once by the next call
    Login {
        /// The backend
        backend: String,
        #[command(flatten)]
        why: Why,
    },
    /// Replay the calls that the service has kept through another cap: waits, refusals
    Simulate(super::simulate::Options),
    /// Show who has decided what, newest first
    Audit {
        /// Of this backend only
        #[arg(long)]
        backend: Option<String>,
        /// So many entries
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
    },
}

#[derive(Debug, Args)]
struct Why {
    /// Why; it stands in the audit
    #[arg(long)]
    reason: String,
    /// Who decides
    #[arg(long, env = "USER", hide_env_values = true)]
    author: Option<String>,
}

impl Why {
    fn body(&self) -> Map<String, Value> {
        let mut body = Map::new();
        body.insert("reason".to_owned(), json!(self.reason));
        if let Some(author) = &self.author {
            body.insert("author".to_owned(), json!(author));
        }
        body
    }
}

pub(super) async fn run(context: &Context, options: &Options) -> Exit {
    if let Action::Simulate(options) = &options.action {
        return super::simulate::run(context, options).await;
    }
    match through_the_service(context, options).await {
        Ok(()) => Exit::Done,
        Err(exit) => exit,
    }
}

/// Asks the running service, and prints its answer.
async fn through_the_service(context: &Context, options: &Options) -> Result<(), Exit> {
    let (method, path, body) = request(&options.action)?;
    let answer = ask(context, options.key.as_deref(), method, &path, body.map(Value::Object)).await?;
    match &options.action {
        Action::List => gates(context, &answer),
        Action::Audit { .. } => audit(context, &answer),
        _ => decision(context, &answer),
    }
    Ok(())
}

/// A request to the admin API: method, path, body.
type Request = (&'static str, String, Option<Map<String, Value>>);

fn request(action: &Action) -> Result<Request, Exit> {
    let gate = |backend: &str, below: &str| format!("/admin/v1/gates/{}{below}", encoded(backend));
    Ok(match action {
        Action::List => ("GET", "/admin/v1/gates".to_owned(), None),
        // It asks nobody.
        Action::Simulate(_) => return Err(Exit::Usage),
        Action::Audit { backend, limit } => {
            let backend = backend.as_deref().map(|name| format!("&backend={}", encoded(name))).unwrap_or_default();
            ("GET", format!("/admin/v1/audit?limit={limit}{backend}"), None)
        }
        Action::Set { backend, values, why, length } => {
            let mut body = why.body();
            for written in values {
                let Some((name, value)) = written.split_once('=').filter(|(name, _)| !name.is_empty()) else {
                    output::fault(&format!("`{written}` is no NAME=VALUE like max_in_flight=2"));
                    return Err(Exit::Usage);
                };
                if matches!(name, "reason" | "author" | "expires_in") {
                    output::fault(&format!("`{name}` is no setting of a gate; it is an option"));
                    return Err(Exit::Usage);
                }
                if body.insert(name.to_owned(), value_of(value)).is_some() {
                    output::fault(&format!("`{name}` is given twice"));
                    return Err(Exit::Usage);
                }
            }
            if let Some(length) = length {
                body.insert("expires_in".to_owned(), json!(length));
            }
            ("PATCH", gate(backend, ""), Some(body))
        }
        Action::Reset { backend, names, why } if names.is_empty() => {
            ("DELETE", gate(backend, "/override"), Some(why.body()))
        }
        Action::Reset { backend, names, why } => {
            let mut body = why.body();
            body.extend(names.iter().map(|name| (name.clone(), Value::Null)));
            ("PATCH", gate(backend, ""), Some(body))
        }
        Action::Freeze { backend, why, length, until } => {
            let mut body = why.body();
            let ends = [("for", length), ("until", until)];
            body.extend(ends.into_iter().filter_map(|(name, end)| Some((name.to_owned(), json!(end.as_ref()?)))));
            ("POST", gate(backend, "/freeze"), Some(body))
        }
        Action::Thaw { backend, why } => ("DELETE", gate(backend, "/freeze"), Some(why.body())),
        Action::Login { backend, why } => ("POST", gate(backend, "/login"), Some(why.body())),
    })
}

fn encoded(name: &str) -> String {
    let mut text = String::new();
    crate::record::key::encode_part(name, &mut text);
    text
}

/// A value as it is typed: a number, a truth, or a text.
fn value_of(text: &str) -> Value {
    let number = || text.parse::<i64>().map(Value::from).ok();
    let part = || text.parse::<f64>().ok().filter(|number| number.is_finite()).map(Value::from);
    let truth = || text.parse::<bool>().map(Value::from).ok();
    number().or_else(part).or_else(truth).unwrap_or_else(|| Value::from(text))
}

/// Asks the running service; prints why it did not do it.
async fn ask(
    context: &Context,
    key: Option<&str>,
    method: &str,
    path: &str,
    body: Option<Value>,
) -> Result<Value, Exit> {
    let config = context.load_alone()?;
    let address = client::reachable(config.server.admin_listen);
    let (status, answer) = client::request(address, method, path, key, body.as_ref()).await.map_err(|error| {
        output::fault(&error.to_string());
        Exit::Unreachable
    })?;
    if (200..300).contains(&status) {
        return Ok(answer);
    }
    if context.json {
        output::json(&answer);
    }
    let said = |member: &str| answer[member].as_str().unwrap_or("").to_owned();
    output::fault(&said("detail"));
    said("hint").lines().for_each(output::note);
    // Another's decision, or a fault of the service, is not the user's.
    Err(if matches!(status, 409 | 412 | 500..) { Exit::Incomplete } else { Exit::Usage })
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// How a gate stands, in words.
fn state(gate: &Value) -> String {
    let closed = &gate["closed"];
    let until = |value: &Value| match text(&value["until"]) {
        open if open.is_empty() => "until it is thawed".to_owned(),
        until => format!("until {until}"),
    };
    match text(&closed["kind"]).as_str() {
        "" if gate["breaker"] == "closed" => "open".to_owned(),
        "" => format!("breaker {}", text(&gate["breaker"])),
        "freeze" => format!("frozen {}: {}", until(closed), text(&closed["reason"])),
        _ => format!("closed {}: {}", until(closed), text(&closed["reason"])),
    }
}

fn gates(context: &Context, answer: &Value) {
    let gates = answer["data"].as_array().map(Vec::as_slice).unwrap_or_default();
    if context.json {
        gates.iter().for_each(output::json);
        return;
    }
    let number = |gate: &Value, name: &str| text(&gate[name]);
    let rows: Vec<Vec<String>> = gates
        .iter()
        .map(|gate| {
            let of = |name: &str| gate[name].as_u64().unwrap_or(0);
            let in_flight = of("interactive_in_flight") + of("sync_in_flight");
            vec![
                number(gate, "backend"),
                number(gate, "max_in_flight"),
                number(gate, "limit"),
                in_flight.to_string(),
                number(gate, "held_elsewhere"),
                number(gate, "lingering"),
                number(gate, "queued"),
                number(gate, "queue"),
                state(gate),
            ]
        })
        .collect();
    output::table(&["BACKEND", "CAP", "NOW", "IN FLIGHT", "ELSEWHERE", "SETTLING", "WAITING", "QUEUE", "STATE"], &rows);
    for gate in gates {
        let settings = gate["settings"].as_object().into_iter().flatten();
        for (name, setting) in settings.filter(|(_, setting)| !setting["override"].is_null()) {
            let set = &setting["override"];
            let end = match text(&set["expires_at"]) {
                open if open.is_empty() => String::new(),
                end => format!(" until {end}"),
            };
            output::note(output::plain(&format!(
                "{}: {name} is {} instead of {}{end}, by {}: {}",
                text(&gate["backend"]),
                text(&setting["value"]),
                text(&setting["config"]),
                text(&set["author"]),
                text(&set["reason"])
            )));
        }
        if let (Some(own), Some(holds)) = (gate["own_max_in_flight"].as_u64(), gate["max_in_flight"].as_u64())
            && own > holds
        {
            output::note(output::plain(&format!(
                "{}: the cap is {holds}, as another process has announced; that of this service is {own}",
                text(&gate["backend"])
            )));
        }
        for held in gate["elsewhere"].as_array().into_iter().flatten() {
            output::note(output::plain(&format!("{}: {}", text(&gate["backend"]), holder(held))));
        }
        if let Some(trouble) = gate["trouble"].as_str() {
            output::note(output::plain(trouble));
        }
        if let Some(at) = gate["next_login_at"].as_str() {
            output::note(output::plain(&format!(
                "{}: it does not take our account, which is left alone until {at}; `gate login` has it tried once at once",
                text(&gate["backend"])
            )));
        }
        let faults = gate["unfit"].as_array().into_iter().flatten();
        faults.for_each(|fault| output::note(format!("{}: not in force: {}", text(&gate["backend"]), text(fault))));
    }
}

/// Which other process has places, in words.
fn holder(held: &Value) -> String {
    let process = match (text(&held["process"]), text(&held["command"])) {
        (number, _) if number.is_empty() => "another process".to_owned(),
        (number, command) if command.is_empty() => format!("process {number}"),
        (number, command) => format!("process {number} ({command})"),
    };
    let until = match text(&held["until"]) {
        unknown if unknown.is_empty() => ", for as long as its calls take".to_owned(),
        until => format!(", until {until} at the longest"),
    };
    format!("{process} has {} of the places since {}{until}", text(&held["places"]), text(&held["since"]))
}

fn audit(context: &Context, answer: &Value) {
    let entries = answer["data"].as_array().map(Vec::as_slice).unwrap_or_default();
    if context.json {
        entries.iter().for_each(output::json);
        return;
    }
    let names = ["id", "at", "author", "action", "subject", "before", "after", "expires_at", "reason"];
    let rows: Vec<Vec<String>> =
        entries.iter().map(|entry| names.iter().map(|name| text(&entry[name])).collect()).collect();
    output::table(&["ID", "AT", "WHO", "WHAT", "OF", "BEFORE", "AFTER", "UNTIL", "WHY"], &rows);
}

fn decision(context: &Context, gate: &Value) {
    if context.json {
        output::json(gate);
        return;
    }
    let (backend, made) = (text(&gate["backend"]), &gate["decision"]);
    if made.is_null() {
        output::line(output::plain(&format!("{backend}: nothing was set beside the configuration")));
        return;
    }
    let end = match text(&made["expires_at"]) {
        open if open.is_empty() => String::new(),
        end => format!(" until {end}"),
    };
    let after = made["after"].as_object().into_iter().flatten();
    for (name, value) in after.filter(|(name, _)| *name != "freeze") {
        let before = text(&made["before"][name]);
        output::line(output::plain(&format!("{backend}: {name} {before} -> {}{end}", text(value))));
    }
    if made["action"] == "freeze" || made["action"] == "thaw" {
        output::line(output::plain(&format!("{backend}: {}", state(gate))));
    }
    if made["action"] == "login" {
        output::line(output::plain(&format!("{backend}: the next call tries our account, once")));
    }
}

#[cfg(test)]
mod tests {
    use super::value_of;
    use serde_json::json;

    #[test]
    fn values_as_they_are_typed() {
        for (typed, value) in [
            ("4", json!(4)),
            ("0.5", json!(0.5)),
            ("500ms", json!("500ms")),
            ("on", json!("on")),
            ("true", json!(true)),
            ("inf", json!("inf")),
            ("", json!("")),
        ] {
            assert_eq!(value_of(typed), value);
        }
    }
}
