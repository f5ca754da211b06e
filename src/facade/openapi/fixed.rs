//! Routes that are there whatever is published.

use serde_json::{Map, Value, json};

use super::answers::Answers;
use super::parameters;
use super::security::{About, nothing};
use crate::facade::accept;
use crate::facade::catalog::Published;

fn json_of(schema: &str) -> Value {
    json!({ (accept::JSON): { "schema": { "$ref": format!("#/components/schemas/{schema}") } } })
}

pub(super) fn paths(resources: &[&Published], about: &About) -> Map<String, Value> {
    let mut paths = Map::new();
    let index = |id: String, summary: String| {
        json!({ "get": {
            "operationId": id,
            "summary": summary,
            "tags": ["service"],
            "security": about.usual(),
            "responses": Answers::of(None)
                .good(200, "The resources", &["Cache-Control"], json_of("Index"))
                .problems(&[401, 406, 412, 429])
                .done(),
        } })
    };
    paths.insert("/".to_owned(), index("index".to_owned(), "The resources that the caller may read".to_owned()));
    let mut versions: Vec<u32> = resources.iter().map(|published| published.exposure.id.version()).collect();
    versions.sort_unstable();
    versions.dedup();
    for version in versions {
        let summary = format!("The resources of version {version} that the caller may read");
        paths.insert(format!("/v{version}"), index(format!("indexV{version}"), summary));
    }
    paths.insert(
        "/openapi.json".to_owned(),
        open("openapi", "This description", {
            let content = json!({ (accept::JSON): { "schema": { "type": "object" } } });
            Answers::of(None)
                .good(200, "OpenAPI 3.1", &["ETag", "Cache-Control", "Vary", "Content-Encoding"], content)
                .unchanged(&["ETag"])
                .problems(&[406, 412])
        }),
    );
    if let Some(described) = paths.get_mut("/openapi.json") {
        described["get"]["parameters"] = json!(["ifNoneMatch", "ifMatchRead"].map(parameters::reference));
    }
    paths.insert(
        "/docs".to_owned(),
        open("docs", "This description, as a page for people", {
            let content = json!({ "text/html": { "schema": { "type": "string" } } });
            Answers::of(None).good(200, "A page", &["Cache-Control", "Content-Encoding"], content).problems(&[412])
        }),
    );
    paths.insert(
        "/health/live".to_owned(),
        open("live", "Whether the process lives", {
            Answers::of(None).good(200, "It does", &["Cache-Control"], json_of("Health")).problems(&[412])
        }),
    );
    paths.insert(
        "/health/ready".to_owned(),
        open("ready", "Whether it should get requests", {
            Answers::of(None).problems(&[412]).good(200, "It should", &["Cache-Control"], json_of("Health")).good(
                503,
                "It should not: see `parts`",
                &["Cache-Control"],
                json_of("Health"),
            )
        }),
    );
    let backends = json!({ "get": {
        "operationId": "backends",
        "summary": "Whether the backends that are called can be reached, as found in the last few seconds",
        "tags": ["service"],
        "security": about.usual(),
        "responses": Answers::of(None)
            .good(200, "Every backend", &["Cache-Control"], json_of("Backends"))
            .problems(&[401, 412, 429])
            .done(),
    } });
    paths.insert("/health/backends".to_owned(), backends);
    paths.retain(|path, _| about.docs || !matches!(path.as_str(), "/openapi.json" | "/docs"));
    paths
}

/// A route that needs nothing.
fn open(id: &str, summary: &str, answers: Answers) -> Value {
    json!({ "get": {
        "operationId": id,
        "summary": summary,
        "tags": ["service"],
        "security": nothing(),
        "responses": answers.done(),
    } })
}
