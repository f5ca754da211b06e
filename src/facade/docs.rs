//! `/docs`: the resources, their fields and ready-to-paste examples, as one page without scripts.

use std::fmt::Write;

use axum::body::Body;
use axum::response::Response;
use hyper::http::request::Parts;
use serde_json::Value;

use super::catalog::{Catalog, Published};
use super::query::operators_of;
use crate::http::{Reason, escape, host_of, page};
use crate::mapping::Mode;

pub(super) fn answer(catalog: &Catalog, request: &Parts) -> Response {
    let base = base_url(request);
    let mut body = String::with_capacity(16 * 1024);
    body.push_str("<h1>API</h1>\n<nav>");
    for published in catalog.all() {
        let id = escape(&published.exposure.id.to_string());
        put(&mut body, format_args!("<a href=\"#{id}\">{id}</a>"));
    }
    body.push_str("<a href=\"#problems\">problems</a><a href=\"/openapi.json\">openapi.json</a></nav>\n");
    body.push_str(
        "<p>Send <code>Authorization: Bearer KEY</code> with every request. The operator makes keys with \
         <code>tollbridge keys create NAME</code>. In the examples the key is in <code>$KEY</code>.</p>\n",
    );
    if catalog.len() == 0 {
        body.push_str("<p>No resource is published yet.</p>\n");
    }
    for published in catalog.all() {
        resource(&mut body, published, &base);
    }
    problems(&mut body);
    page("API", &body).map(Body::from)
}

/// Where the reader reached us. Anything but a plain host falls back to a relative address.
fn base_url(request: &Parts) -> String {
    let plain = |host: &&str| host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".:-[]".contains(&byte));
    match host_of(request).filter(plain) {
        Some(host) => format!("http://{host}"),
        None => String::new(),
    }
}

fn resource(body: &mut String, published: &Published, base: &str) {
    let exposure = &published.exposure;
    let (id, title, path) = (escape(&exposure.id.to_string()), escape(&exposure.title), escape(&published.path));
    put(body, format_args!("<h2 id=\"{id}\">{title} <code>{path}</code></h2>\n"));
    if let Some(description) = &exposure.description {
        put(body, format_args!("<p>{}</p>\n", escape(description)));
    }
    let (key, scope) = (escape(&exposure.key.join("~")), escape(&exposure.read_scope));
    put(body, format_args!("<p>Key: <code>{key}</code>. Scope: <code>{scope}</code>.</p>\n"));

    let curl =
        |address: &str| format!("curl -g -H \"Authorization: Bearer $KEY\" '{base}{}{address}'\n", published.path);
    let mut examples = curl(if exposure.mode == Mode::Live { "/KEY" } else { "?limit=10" });
    if let Some(field) = exposure.filter.first() {
        examples.push_str(&curl(&format!("?{}[ne]=VALUE", field.path)));
    }
    if let Some(field) = exposure.sort.first() {
        examples.push_str(&curl(&format!("?sort=-{}", field.path)));
    }
    examples.push_str(&curl("/KEY"));
    examples.push_str(&curl("/KEY/history"));
    examples.push_str(&curl("/KEY/lineage"));
    examples.push_str(&curl("/changes?since=0"));
    put(body, format_args!("<pre>{}</pre>\n", escape(&examples)));

    body.push_str("<table><tr><th>field</th><th>type</th><th>filter</th><th>sort</th><th></th></tr>\n");
    fields(body, published, &exposure.schema, "");
    body.push_str("</table>\n");
}

fn fields(body: &mut String, published: &Published, schema: &Value, above: &str) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    let exposure = &published.exposure;
    for (name, schema) in properties {
        let path = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
        let filter = exposure.filter.iter().find(|field| field.path == path).map(|field| {
            let operators: Vec<&str> = operators_of(field).map(|(name, _)| *name).collect();
            format!("= {} null", operators.join(" "))
        });
        let sort = if exposure.sort.iter().any(|field| field.path == path) { "yes" } else { "" };
        let about = schema.get("description").and_then(Value::as_str).unwrap_or("");
        put(
            body,
            format_args!(
                "<tr><td><code>{}</code></td><td>{}</td><td>{}</td><td>{sort}</td><td>{}</td></tr>\n",
                escape(&path),
                escape(&type_of(schema)),
                filter.unwrap_or_default(),
                escape(about)
            ),
        );
        fields(body, published, schema, &path);
        if let Some(items) = schema.get("items") {
            fields(body, published, items, &format!("{path}[]"));
        }
    }
}

/// A schema's type in words: `string (date) or null`.
fn type_of(schema: &Value) -> String {
    let mut text = match schema.get("type") {
        Some(Value::String(name)) => name.clone(),
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
        _ => "any".to_owned(),
    };
    if let Some(format) = schema.get("format").and_then(Value::as_str) {
        put(&mut text, format_args!(" ({format})"));
    }
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        let words: Vec<String> = words.iter().map(Value::to_string).collect();
        put(&mut text, format_args!(": {}", words.join(", ")));
    }
    text
}

fn problems(body: &mut String) {
    body.push_str(
        "<h2 id=\"problems\">Problems</h2>\n<p>Errors are <code>application/problem+json</code> (RFC 9457).</p>\n",
    );
    body.push_str("<table><tr><th class=\"n\">status</th><th>code</th><th>when</th></tr>\n");
    for reason in Reason::ALL {
        let (status, code) = (reason.status().as_u16(), reason.code());
        let doc = escape(reason.doc().trim());
        put(
            body,
            format_args!(
                "<tr><td class=\"n\">{status}</td><td id=\"{code}\"><code>{code}</code></td><td>{doc}</td></tr>\n"
            ),
        );
    }
    body.push_str("</table>\n");
}

fn put(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = text.write_fmt(arguments);
}
