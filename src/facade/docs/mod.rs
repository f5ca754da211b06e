//! `/docs`: the description of the API as one page, made of the very document that programs read, and a script that sends
//! what the reader fills in. It is all in the page: nothing is loaded from anywhere. Without the script it is the same page
//! without its buttons.

mod schema;

use std::fmt::Write;
use std::sync::LazyLock;

use axum::body::Body;
use axum::response::Response;
use hyper::http::request::Parts;
use serde_json::{Map, Value};

use super::catalog::Catalog;
use crate::http::{Reason, Script, escape, host_of};

/// Sends what is filled in.
static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("try.js")));

/// Where the reader reached us stands in the place of this.
const HERE: &str = "\u{1}";

pub(super) fn answer(catalog: &Catalog, request: &Parts) -> Response {
    let page = catalog.docs.replace(HERE, &escape(&base_url(request)));
    SCRIPT.page("API", &page).map(Body::from)
}

/// Where the reader reached us, as it can stand in a line of a shell. A host of other letters is not shown, though it is a host.
fn base_url(request: &Parts) -> String {
    let plain = |host: &&str| host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._~%:-[]".contains(&byte));
    let scheme = if crate::http::Peer::of(request).is_some_and(|peer| peer.is_secure) { "https" } else { "http" };
    match host_of(request).filter(plain) {
        Some(host) => format!("{scheme}://{host}"),
        None => format!("{scheme}://HOST"),
    }
}

/// The page of a document.
pub(super) fn page(document: &Value) -> String {
    let page = Page { document };
    let mut body = String::with_capacity(64 * 1024);
    body.push_str("<h1>API</h1>\n<nav aria-label=\"Parts of this page\">");
    let tags: Vec<(&str, &str)> = document["tags"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|tag| (tag["name"].as_str().unwrap_or_default(), tag["description"].as_str().unwrap_or_default()))
        .collect();
    for (name, _) in &tags {
        let name = escape(name);
        put(&mut body, format_args!("<a href=\"#{name}\">{name}</a>"));
    }
    body.push_str(
        "<a href=\"#schemas\">schemas</a><a href=\"#problems\">problems</a><a href=\"/openapi.json\">openapi.json</a></nav>\n",
    );
    put(&mut body, format_args!("{}\n", words(document["info"]["description"].as_str().unwrap_or_default())));
    page.callers(&mut body);
    if tags.len() < 2 {
        body.push_str("<p>No resource is published yet.</p>\n");
    }
    for (name, description) in tags {
        let (id, title) = (escape(name), words(description));
        put(&mut body, format_args!("<h2 id=\"{id}\">{id}</h2>\n{title}\n"));
        page.operations_of(&mut body, name);
    }
    page.schemas(&mut body);
    problems(&mut body);
    body
}

struct Page<'d> {
    document: &'d Value,
}

impl<'d> Page<'d> {
    /// What a reference leads to; the value itself where it is none.
    fn resolve(&self, value: &'d Value) -> &'d Value {
        let target = value.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix('#'));
        target.and_then(|target| self.document.pointer(target)).unwrap_or(value)
    }

    /// How callers show who they are, and the key that is sent from this page.
    fn callers(&self, body: &mut String) {
        body.push_str("<h2 id=\"callers\">Who may call</h2>\n<ul>\n");
        let schemes = self.document["components"]["securitySchemes"].as_object();
        for (name, scheme) in schemes.into_iter().flatten() {
            let text = words_inline(scheme["description"].as_str().unwrap_or_default());
            put(body, format_args!("<li><code>{}</code>: {text}</li>\n", escape(name)));
        }
        body.push_str("</ul>\n<p>In the examples the address and the key are variables of the shell:</p>\n");
        put(body, format_args!("<pre>URL={HERE}\nKEY=tb_...</pre>\n"));
        body.push_str(
            "<form class=\"try\" id=\"key-form\" hidden><label for=\"key\">Key or token for requests from this page; it is kept \
             until the page is closed</label><input class=\"wide\" id=\"key\" type=\"password\" autocomplete=\"off\" \
             spellcheck=\"false\"></form>\n",
        );
    }

    fn operations_of(&self, body: &mut String, tag: &str) {
        let paths = self.document["paths"].as_object();
        for (path, methods) in paths.into_iter().flatten() {
            for (method, operation) in methods.as_object().into_iter().flatten() {
                let tags = operation["tags"].as_array().into_iter().flatten();
                if tags.filter_map(Value::as_str).any(|known| known == tag) {
                    self.operation(body, path, method, operation);
                }
            }
        }
    }

    fn operation(&self, body: &mut String, path: &str, method: &str, operation: &'d Value) {
        let text = |name: &str| operation[name].as_str().unwrap_or_default();
        let (id, method, shown) = (escape(text("operationId")), method.to_uppercase(), escape(path));
        let old = if operation["deprecated"] == true { " <span class=\"bad\">deprecated</span>" } else { "" };
        put(
            body,
            format_args!(
                "<details class=\"operation\" id=\"{id}\"><summary><b>{method}</b> <code>{shown}</code> {}{old}</summary>\n{}\n",
                escape(text("summary")),
                words(text("description"))
            ),
        );
        put(body, format_args!("<form data-method=\"{method}\" data-path=\"{shown}\">\n"));
        self.parameters(body, &id, operation);
        self.bodies(body, &id, operation);
        self.accepts(body, &id, operation);
        body.push_str(
            "<p class=\"try\" hidden><button type=\"submit\">Send</button></p></form>\n\
             <div class=\"try\" hidden><pre class=\"curl\" tabindex=\"0\" aria-label=\"As a command\"></pre>\
             <pre class=\"answer\" tabindex=\"0\" role=\"status\" aria-live=\"polite\" aria-label=\"Answer\"></pre></div>\n",
        );
        self.answers(body, operation);
        body.push_str("</details>\n");
    }

    fn parameters(&self, body: &mut String, id: &str, operation: &'d Value) {
        let parameters: Vec<&Value> =
            operation["parameters"].as_array().into_iter().flatten().map(|one| self.resolve(one)).collect();
        if parameters.is_empty() {
            return;
        }
        body.push_str(
            "<table><thead><tr><th>parameter</th><th>in</th><th>type</th><th></th><th class=\"try\" hidden>value</th></tr></thead>\n",
        );
        for parameter in parameters {
            let text = |name: &str| escape(parameter[name].as_str().unwrap_or_default());
            let (name, place) = (text("name"), text("in"));
            let needed = if parameter["required"] == true { " <strong>required</strong>" } else { "" };
            let example = parameter.get("example").map(plain).unwrap_or_default();
            let shown = match example.is_empty() {
                true => String::new(),
                false => format!("<br>For example <code>{}</code>", escape(&example)),
            };
            // What a request cannot do without is there to begin with, but for a key of which each write has its own.
            let is_new_each_time = name == "Idempotency-Key";
            let value =
                if parameter["required"] == true && !is_new_each_time { escape(&example) } else { String::new() };
            let (each, shown, example) = match is_new_each_time {
                true => {
                    (" data-each=\"uuid\"", "<br>Left empty, it is a new one for each Send".to_owned(), String::new())
                }
                false => ("", shown, example),
            };
            put(
                body,
                format_args!(
                    "<tr><td><code>{name}</code>{needed}</td><td>{place}</td><td>{}</td><td>{}{shown}</td><td class=\"try\" hidden>\
                     <input aria-label=\"{name} in {place}\" name=\"{id}-{name}\" data-name=\"{name}\" data-in=\"{place}\"{each} \
                     value=\"{value}\" placeholder=\"{}\" spellcheck=\"false\"></td></tr>\n",
                    schema::of(&parameter["schema"]),
                    words_inline(parameter["description"].as_str().unwrap_or_default()),
                    escape(&example),
                ),
            );
        }
        body.push_str("</table>\n");
    }

    fn bodies(&self, body: &mut String, id: &str, operation: &'d Value) {
        let Some(content) = operation["requestBody"]["content"].as_object() else { return };
        let mut example = String::new();
        body.push_str("<p>Body:</p><ul>\n");
        for (media_type, entry) in content {
            self.media_type(body, media_type, entry);
            if example.is_empty() {
                example = entry.get("example").map(pretty).unwrap_or_default();
            }
        }
        body.push_str("</ul>\n<div class=\"try\" hidden>");
        choice(body, &format!("{id}-type"), "Content-Type", content);
        put(
            body,
            format_args!(
                "<label for=\"{id}-body\">Body</label><textarea id=\"{id}-body\" data-in=\"body\" rows=\"6\" spellcheck=\"false\">\n{}\
                 </textarea></div>\n",
                escape(&example)
            ),
        );
    }

    /// Which of the media types is asked for.
    fn accepts(&self, body: &mut String, id: &str, operation: &'d Value) {
        let answers = operation["responses"].as_object().into_iter().flatten();
        let mut types = Map::new();
        for (_, answer) in answers.filter(|(status, _)| status.starts_with('2')) {
            types.extend(
                answer["content"].as_object().into_iter().flatten().map(|(name, _)| (name.clone(), Value::Null)),
            );
        }
        if types.len() > 1 {
            body.push_str("<div class=\"try\" hidden>");
            choice(body, &format!("{id}-accept"), "Accept", &types);
            body.push_str("</div>\n");
        }
    }

    fn media_type(&self, body: &mut String, media_type: &str, entry: &Value) {
        let lines = match entry.get("x-itemSchema") {
            Some(item) => format!(", each {}", schema::of(item)),
            None => String::new(),
        };
        put(body, format_args!("<li><code>{}</code>: {}{lines}", escape(media_type), schema::of(&entry["schema"])));
        if let Some(example) = entry.get("example") {
            put(body, format_args!("<pre tabindex=\"0\">{}</pre>", escape(&pretty(example))));
        }
        body.push_str("</li>\n");
    }

    fn answers(&self, body: &mut String, operation: &'d Value) {
        body.push_str("<table><thead><tr><th>status</th><th>answer</th></tr></thead>\n");
        for (status, answer) in operation["responses"].as_object().into_iter().flatten() {
            let found = self.resolve(answer);
            put(body, format_args!("<tr><td>{}</td><td>", escape(status)));
            let content = found["content"].as_object();
            if content.is_some_and(|content| content.contains_key("application/problem+json"))
                && content.is_some_and(|c| c.len() == 1)
            {
                // Their codes are explained in one place.
                let examples = found["content"]["application/problem+json"]["examples"].as_object();
                let links: Vec<String> = examples
                    .into_iter()
                    .flatten()
                    .map(|(code, _)| format!("<a href=\"#{0}\"><code>{0}</code></a>", escape(code)))
                    .collect();
                match links.is_empty() {
                    true => body.push_str(&words(found["description"].as_str().unwrap_or_default())),
                    false => put(body, format_args!("problem: {}", links.join(", "))),
                }
            } else {
                put(body, format_args!("{}\n", words(found["description"].as_str().unwrap_or_default())));
                let headers: Vec<String> = found["headers"]
                    .as_object()
                    .into_iter()
                    .flatten()
                    .map(|(name, header)| {
                        let about = escape(self.resolve(header)["description"].as_str().unwrap_or_default());
                        format!("<code title=\"{about}\">{}</code>", escape(name))
                    })
                    .collect();
                if let Some(content) = content {
                    body.push_str("<ul>\n");
                    content.iter().for_each(|(media_type, entry)| self.media_type(body, media_type, entry));
                    body.push_str("</ul>\n");
                }
                if !headers.is_empty() {
                    put(body, format_args!("<p class=\"dim\">with {}</p>", headers.join(", ")));
                }
            }
            body.push_str("</td></tr>\n");
        }
        body.push_str("</table>\n");
    }

    fn schemas(&self, body: &mut String) {
        body.push_str("<h2 id=\"schemas\">Schemas</h2>\n");
        for (name, one) in self.document["components"]["schemas"].as_object().into_iter().flatten() {
            let shown = escape(name);
            put(
                body,
                format_args!(
                    "<details id=\"schema-{shown}\"><summary><code>{shown}</code></summary>\n{}\n",
                    words(one["description"].as_str().unwrap_or_default())
                ),
            );
            schema::table(body, one);
            if let Some(example) = one["examples"].as_array().and_then(|examples| examples.first()) {
                put(body, format_args!("<pre tabindex=\"0\">{}</pre>\n", escape(&pretty(example))));
            }
            body.push_str("</details>\n");
        }
    }
}

/// A choice of media types.
fn choice(body: &mut String, id: &str, name: &str, types: &Map<String, Value>) {
    put(body, format_args!("<label for=\"{id}\">{name}</label><select id=\"{id}\" data-in=\"{name}\">"));
    types.keys().for_each(|media_type| put(body, format_args!("<option>{}</option>", escape(media_type))));
    body.push_str("</select>");
}

/// A value as it is filled in.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A value for the eye.
fn pretty(value: &Value) -> String {
    match value {
        Value::String(text) => text.trim_end().to_owned(),
        other => serde_json::to_string_pretty(other).unwrap_or_default(),
    }
}

/// Text with `code` in it, and lists of lines that begin with a dash.
fn words(text: &str) -> String {
    let mut html = String::new();
    for paragraph in text.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty()) {
        let is_list = paragraph.lines().all(|line| line.starts_with("- "));
        if is_list {
            let lines: Vec<String> = paragraph
                .lines()
                .map(|line| format!("<li>{}</li>", words_inline(line.trim_start_matches("- "))))
                .collect();
            put(&mut html, format_args!("<ul>{}</ul>", lines.join("")));
        } else {
            put(&mut html, format_args!("<p>{}</p>", words_inline(paragraph)));
        }
    }
    html
}

fn words_inline(text: &str) -> String {
    let mut html = String::new();
    for (number, piece) in text.split('`').enumerate() {
        match number % 2 {
            0 => html.push_str(&escape(piece)),
            _ => put(&mut html, format_args!("<code>{}</code>", escape(piece))),
        }
    }
    html
}

fn problems(body: &mut String) {
    body.push_str(
        "<h2 id=\"problems\">Problems</h2>\n<p>Errors are <code>application/problem+json</code> (RFC 9457).</p>\n",
    );
    body.push_str("<table><tr><th class=\"n\">status</th><th>code</th><th>when</th></tr>\n");
    for reason in Reason::ALL {
        let (status, code) = (reason.status().as_u16(), reason.code());
        let doc = words_inline(reason.doc().trim());
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

#[cfg(test)]
mod tests {
    use super::{page, words};
    use serde_json::json;

    #[test]
    fn text_of_mappings_is_harmless() {
        assert_eq!(
            words("a <b> `c<d`\n\n- e\n- f"),
            "<p>a &lt;b&gt; <code>c&lt;d</code></p><ul><li>e</li><li>f</li></ul>"
        );
        let document = json!({
            "info": { "description": "" },
            "tags": [{ "name": "x.v1", "description": "<script>alert(1)</script>" }],
            "paths": { "/v1/x": { "get": {
                "operationId": "a", "tags": ["x.v1"], "summary": "<img src=x>", "responses": {},
                "parameters": [{ "name": "q\"", "in": "query", "example": "\"><script>", "schema": { "type": "string" } }],
            } } },
            "components": { "schemas": { "X": { "properties": { "<b>": { "enum": ["<i>"] } } } } },
        });
        let html = page(&document);
        for bad in ["<script", "<img", "<b>:", "<i>", "q\""] {
            assert!(!html.replace("<b>GET</b>", "").contains(bad), "{bad}: {html}");
        }
    }
}
