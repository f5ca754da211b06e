//! Gates on the overview: how they stand, and a form to set or freeze one. It works without scripts; what it sends goes
//! the way of any decision.

use std::collections::HashMap;
use std::fmt::Write;

use axum::body::Body;
use axum::response::Response;
use hyper::header::{HeaderValue, LOCATION};
use hyper::http::request::Parts;
use hyper::{Response as Answer, StatusCode};
use serde_json::{Map, Value};

use super::{Console, GateStatus, gates};
use crate::http::{Problem, Reason, escape, page_with_forms, parameters};
use crate::pipeline::tuning::{Act, End, TuneError, Wish};
use crate::record::key::encode_part;

/// Settings that the form has; the admin API has all.
const SETTINGS: [&str; 3] = ["max_in_flight", "queue", "queue_timeout"];

/// The other fields of the form.
const FIELDS: [&str; 5] = ["act", "reason", "for", "author", "seen"];

/// Puts the gates on the page.
pub(super) fn section(body: &mut String, console: &Console) {
    body.push_str(
        "<h2>Gates</h2>\n<table><tr><th>backend</th><th>state</th><th class=\"n\">cap</th><th>adaptive</th><th class=\"n\">interactive</th>\
         <th class=\"n\">sync</th><th class=\"n\">elsewhere</th><th class=\"n\">lingering</th><th class=\"n\">waiting</th><th class=\"n\">queue</th>\
         <th class=\"n\">granted</th><th class=\"n\">rejected</th></tr>\n",
    );
    let gates = console.operator.gates();
    for gate in &gates {
        let _ = write!(body, "<tr><td>{}</td><td>{}</td>", escape(&gate.backend), state(gate));
        let cap = match gate.limit {
            limit if limit == gate.max_in_flight => limit.to_string(),
            limit => format!("{limit} of {}", gate.max_in_flight),
        };
        let cap = match gate.own_max_in_flight {
            own if own > gate.max_in_flight => format!("{cap}, as another process has announced; {own} here"),
            _ => cap,
        };
        let adaptive = match (gate.adaptive_limit, gate.adaptive) {
            (Some(limit), "on") => limit.to_string(),
            (Some(limit), _) => format!("would be {limit}"),
            (None, _) => "off".to_owned(),
        };
        let _ = write!(body, "<td class=\"n\">{cap}</td><td>{adaptive}</td>");
        let (here, elsewhere) = ([gate.interactive_in_flight, gate.sync_in_flight], gate.held_elsewhere);
        for number in here.into_iter().chain([elsewhere, gate.lingering, gate.queued, gate.queue]) {
            let _ = write!(body, "<td class=\"n\">{number}</td>");
        }
        for number in [gate.granted_total, gate.rejected_total] {
            let _ = write!(body, "<td class=\"n\">{number}</td>");
        }
        body.push_str("</tr>\n");
    }
    body.push_str("</table>\n");
    for gate in &gates {
        decided(body, gate);
        form(body, gate);
    }
}

fn text<'v>(value: &'v Value, member: &str) -> &'v str {
    value.get(member).and_then(Value::as_str).unwrap_or("")
}

/// Open or closed, why, until when; and what comes next.
fn state(gate: &GateStatus) -> String {
    let mut said = String::new();
    let until = |value: &Value| match text(value, "until") {
        "" => "until an operator opens it".to_owned(),
        until => format!("until {}", escape(until)),
    };
    if gate.closed.is_null() {
        match gate.breaker {
            "open" => said.push_str("<span class=\"bad\">left alone after failures</span>"),
            "half-open" => said.push_str("being tried after failures"),
            _ => said.push_str("open"),
        }
    } else {
        let what = if text(&gate.closed, "kind") == "freeze" { "frozen" } else { "closed" };
        let reason = escape(text(&gate.closed, "reason"));
        let _ = write!(said, "<span class=\"bad\">{what}</span> {}: {reason}", until(&gate.closed));
    }
    if let Some(at) = &gate.next_login_at {
        let _ = write!(said, "<br><span class=\"bad\">our account is refused</span>, tried again at {}", escape(at));
    }
    if !gate.next_window.is_null() {
        let (from, reason) = (escape(text(&gate.next_window, "from")), escape(text(&gate.next_window, "reason")));
        let _ = write!(
            said,
            "<br><span class=\"dim\">next closed from {from} {}: {reason}</span>",
            until(&gate.next_window)
        );
    }
    said
}

/// What operators have decided about a gate.
fn decided(body: &mut String, gate: &GateStatus) {
    let settings = gate.settings.as_object().into_iter().flatten();
    for (name, setting) in settings.filter(|(_, setting)| !setting["override"].is_null()) {
        let set = &setting["override"];
        let end = match text(set, "expires_at") {
            "" => String::new(),
            end => format!(" until {}", escape(end)),
        };
        let _ = writeln!(
            body,
            "<p>{}: <code>{}</code> is <strong>{}</strong> instead of {}{end}, by {} since {}: {}</p>",
            escape(&gate.backend),
            escape(name),
            escape(&setting["value"].to_string()),
            escape(&setting["config"].to_string()),
            escape(text(set, "author")),
            escape(text(set, "since")),
            escape(text(set, "reason")),
        );
    }
    if let Some(trouble) = &gate.trouble {
        let _ = writeln!(body, "<p class=\"bad\">{}</p>", escape(trouble));
    }
    for fault in &gate.unfit {
        let _ = writeln!(body, "<p class=\"bad\">{}: not in force: {}</p>", escape(&gate.backend), escape(fault));
    }
}

fn form(body: &mut String, gate: &GateStatus) {
    let mut path = String::new();
    encode_part(&gate.backend, &mut path);
    let _ = write!(
        body,
        "<details><summary>Set or freeze {}</summary><form method=\"post\" action=\"/gates/{}\">\
         <input type=\"hidden\" name=\"seen\" value=\"{}\">",
        escape(&gate.backend),
        escape(&path),
        gate.revision
    );
    for name in SETTINGS {
        let now = match &gate.settings[name]["value"] {
            Value::String(text) => escape(text),
            other => other.to_string(),
        };
        let _ = write!(body, "<label>{name}<input name=\"{name}\" placeholder=\"{now}\"></label>");
    }
    body.push_str(
        "<label>for<input name=\"for\" placeholder=\"2h; empty: until taken back\"></label>\
         <label>your name<input name=\"author\"></label>\
         <label>reason<input class=\"wide\" name=\"reason\" required></label>\
         <button name=\"act\" value=\"set\">Set</button><button name=\"act\" value=\"freeze\">Freeze</button>",
    );
    if text(&gate.closed, "kind") == "freeze" {
        body.push_str("<button name=\"act\" value=\"thaw\">Thaw</button>");
    }
    if gate.next_login_at.is_some() {
        body.push_str("<button name=\"act\" value=\"login\">Have the account tried once</button>");
    }
    body.push_str("<button name=\"act\" value=\"reset\">Back to the configuration</button></form></details>\n");
}

/// What the form sends: done, and back to the overview; or a page that says what is wrong.
pub(super) async fn submit(
    console: &Console,
    request: &Parts,
    body: Body,
    backend: &str,
    caller: &str,
) -> Result<Response, Problem> {
    let sent = console.edge.read_form(request, body).await?;
    let wish = wish(&sent, caller)?;
    match console.operator.tune(&gates::name(backend)?, &wish).await {
        Ok(_) => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::SEE_OTHER;
            response.headers_mut().insert(LOCATION, HeaderValue::from_static("/"));
            Ok(response)
        }
        Err(TuneError::Staging(fault)) => Err(gates::problem(TuneError::Staging(fault))),
        Err(error) => Ok(refused(error).map(Body::from)),
    }
}

/// Reads the form's fields.
fn wish(sent: &str, caller: &str) -> Result<Wish, Problem> {
    let mut fields = HashMap::new();
    let mut values = Map::new();
    for parameter in parameters::pairs(sent)? {
        let value = parameters::decode(parameter.raw_value)?.trim().to_owned();
        let name = parameter.name.into_owned();
        if SETTINGS.contains(&name.as_str()) {
            let number = value.parse::<i64>().map(Value::from);
            let value = number.unwrap_or_else(|_| Value::from(value));
            if value != "" {
                values.insert(name, value);
            }
        } else if FIELDS.contains(&name.as_str()) {
            fields.insert(name, value);
        } else {
            return Err(Reason::UnknownParameter.because(format!("`{name}` is no field of this form")));
        }
    }
    let mut field = |name: &str| fields.remove(name).filter(|value| !value.is_empty());
    let act = match field("act").as_deref() {
        Some("set") => Act::Set(values),
        Some("freeze") => Act::Freeze,
        Some("thaw") => Act::Thaw,
        Some("reset") => Act::Reset,
        Some("login") => Act::Login,
        _ => return Err(Reason::InvalidParameter.because("`act` is one of set, freeze, thaw, reset, login")),
    };
    let author = field("author").map_or_else(|| caller.to_owned(), |author| format!("{author} ({caller})"));
    let length = field("for").filter(|_| matches!(act, Act::Set(_) | Act::Freeze));
    let seen = field("seen").map(|seen| seen.parse().unwrap_or(u64::MAX));
    Ok(Wish { author, reason: field("reason").unwrap_or_default(), act, end: length.map_or(End::Open, End::For), seen })
}

fn refused(error: TuneError) -> Answer<Vec<u8>> {
    let mut body = format!("<h1>Not done</h1>\n<p>{}</p>\n", escape(&error.to_string()));
    if let TuneError::Faults(faults) = &error {
        body.push_str("<ul>\n");
        faults.iter().for_each(|fault| body.push_str(&format!("<li>{}</li>\n", escape(fault))));
        body.push_str("</ul>\n");
    }
    body.push_str("<p><a href=\"/\">back</a></p>\n");
    let mut response = page_with_forms("Not done", &body);
    *response.status_mut() = gates::problem(error).reason().status();
    response
}
