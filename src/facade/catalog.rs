//! The resources that are published at one moment. A reload makes a new catalog and swaps it in.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use hyper::header::HeaderValue;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::conditional::Freshness;
use super::openapi::{self, About};
use super::projection::Projection;
use super::retire::Retiring;
use super::route::{Route, Target};
use crate::http::{Caller, Problem, Reason};
use crate::mapping::Exposure;
use crate::record::ResourceId;

/// A resource with what its answers need, made once.
#[derive(Debug)]
pub(super) struct Published {
    pub(super) exposure: Exposure,
    /// Its path: `/v1/orders`.
    pub(super) path: String,
    /// `Cache-Control` of its records.
    pub(super) cache_control: HeaderValue,
    /// `Age` and `Cache-Status` of its answers.
    pub(super) freshness: Freshness,
    /// What answers of a version say that comes to its end.
    pub(super) retiring: Option<Retiring>,
    /// The fields that are left, where this is what somebody sees who lacks the scopes of others (`masked`).
    pub(super) mask: Option<Projection>,
    /// The name of the view that this is, where callers see a part: for the tags of records.
    pub(super) view: Option<String>,
    /// What those see, by the fields that they lack.
    pub(super) variants: Mutex<Vec<(Vec<String>, Arc<Published>)>>,
}

/// All of them, by version and name.
pub(super) struct Catalog {
    versions: BTreeMap<u32, HashMap<String, Arc<Published>>>,
    /// `/openapi.json`, made once.
    pub(super) openapi: openapi::Document,
    /// `/docs`, made of it.
    pub(super) docs: String,
    /// Whether these two are served.
    has_docs: bool,
}

impl Catalog {
    /// Publishes `exposures`; `about` is what they are described with.
    pub(super) fn new(exposures: Vec<Exposure>, about: &About) -> Catalog {
        let mut versions: BTreeMap<u32, HashMap<String, Arc<Published>>> = BTreeMap::new();
        for exposure in exposures {
            let resources = versions.entry(exposure.id.version()).or_default();
            resources.insert(exposure.id.name().to_owned(), Arc::new(Published::new(exposure)));
        }
        let sorted = in_order(&versions);
        let (openapi, docs) = openapi::Document::new(&sorted, about);
        Catalog { versions, openapi, docs, has_docs: about.docs }
    }

    /// How many.
    pub(super) fn len(&self) -> usize {
        self.versions.values().map(HashMap::len).sum()
    }

    /// Whether something is there. Which records and operations are is another question.
    pub(super) fn has(&self, route: &Route<'_>) -> bool {
        match (route, route.target()) {
            (_, Some(target)) => self.find(target).is_ok(),
            (Route::Index(version), _) => self.versions.contains_key(version),
            (Route::Docs | Route::OpenApi, _) => self.has_docs,
            (Route::Unknown, _) => false,
            _ => true,
        }
    }

    /// The problem of a path at which nothing is.
    pub(super) fn no_such_path(&self) -> Problem {
        let problem = Reason::NoSuchPath.because("nothing is served at this path");
        problem.hint(if self.has_docs { "GET / lists what is; /docs explains it" } else { "GET / lists what is" })
    }

    /// The same, with what was meant where it can be told.
    pub(super) fn nothing_at(&self, path: &str) -> Problem {
        match Route::without_slashes(path).filter(|shorter| self.has(&Route::of(shorter))) {
            Some(shorter) => self.no_such_path().hint(format!("leave out the slash at the end: {shorter}")),
            None => self.no_such_path(),
        }
    }

    /// All, by name and version.
    pub(super) fn all(&self) -> Vec<&Published> {
        in_order(&self.versions)
    }

    /// The resource with this name and version.
    pub(super) fn get(&self, id: &ResourceId) -> Option<&Arc<Published>> {
        self.versions.get(&id.version())?.get(id.name())
    }

    /// The resource that a path names.
    pub(super) fn find(&self, target: Target<'_>) -> Result<&Published, Problem> {
        let found = self.versions.get(&target.version).and_then(|resources| resources.get(target.name));
        found.map(Arc::as_ref).ok_or_else(|| {
            let problem = Reason::NoSuchResource
                .because(format!("no resource `{}` is published in version {}", target.name, target.version));
            let others: Vec<String> = self
                .versions
                .iter()
                .filter(|(_, resources)| resources.contains_key(target.name))
                .map(|(version, _)| format!("/v{version}/{}", target.name))
                .collect();
            match others.is_empty() {
                true => problem.hint(format!("GET /v{} lists the resources", target.version)),
                false => problem.hint(format!("there is {}", others.join(", "))),
            }
        })
    }

    /// What `caller` may read, of one version or of all.
    pub(super) fn index(&self, version: Option<u32>, caller: &Caller) -> Value {
        let resources: Vec<Value> = self
            .all()
            .into_iter()
            .filter(|published| version.is_none_or(|version| published.exposure.id.version() == version))
            .filter(|published| caller.may(&published.exposure.read_scope))
            .map(|published| published.seen_by(caller).map_or_else(|| published.summary(), |seen| seen.summary()))
            .collect();
        match self.has_docs {
            true => json!({ "resources": resources, "openapi": "/openapi.json", "docs": "/docs" }),
            false => json!({ "resources": resources }),
        }
    }
}

impl Published {
    pub(super) fn new(exposure: Exposure) -> Published {
        let path = format!("/v{}/{}", exposure.id.version(), exposure.id.name());
        // The age of an answer counts from when the source last said so, so this lifetime is the mapping's.
        let lifetime = match exposure.max_age {
            Some(age) => format!("private, max-age={}", age.as_secs()),
            None => "private, no-cache".to_owned(),
        };
        let cache_control = HeaderValue::from_str(&lifetime).unwrap_or(HeaderValue::from_static("private, no-cache"));
        let (freshness, retiring) = (Freshness::default(), Retiring::of(&exposure));
        Published {
            exposure,
            path,
            cache_control,
            freshness,
            retiring,
            mask: None,
            view: None,
            variants: Mutex::default(),
        }
    }

    /// Whether anything can be written to it.
    pub(super) fn takes_writes(&self) -> bool {
        !self.exposure.operations.is_empty()
    }

    fn summary(&self) -> Value {
        let exposure = &self.exposure;
        let names = |fields: &[crate::mapping::QueryField]| -> Vec<String> {
            fields.iter().map(|field| field.path.clone()).collect()
        };
        json!({
            "name": exposure.id.name(),
            "version": exposure.id.version(),
            "title": exposure.title,
            "description": exposure.description,
            "href": self.path,
            "key": exposure.key,
            "filter": names(&exposure.filter),
            "sort": names(&exposure.sort),
            "relations": exposure.relations.iter().map(|relation| relation.name.as_str()).collect::<Vec<_>>(),
            "mode": exposure.mode.as_str(),
            "max_age_seconds": exposure.max_age.map(|age| age.as_secs()),
            "deprecated": exposure.retirement.deprecated.map(|moment| moment.to_string()),
            "sunset": exposure.retirement.sunset.map(|moment| moment.to_string()),
            "successor": self.retiring.as_ref().and_then(|retiring| retiring.successor.as_deref()),
        })
    }
}

fn in_order(versions: &BTreeMap<u32, HashMap<String, Arc<Published>>>) -> Vec<&Published> {
    let mut all: Vec<&Published> = versions.values().flat_map(HashMap::values).map(Arc::as_ref).collect();
    all.sort_by(|a, b| a.exposure.id.cmp(&b.exposure.id));
    all
}

#[cfg(test)]
pub(super) mod tests {
    use super::{About, Catalog, Published};
    use crate::facade::route::Target;
    use crate::http::Caller;
    use crate::http::clients::{Client, ClientConfig};
    use crate::mapping::{ExposedRelation, Exposure, FieldType, QueryField, RelationLink};
    use crate::record::ResourceId;
    use serde_json::json;
    use std::sync::Arc;

    fn field(path: &str, field_type: FieldType) -> QueryField {
        QueryField { path: path.to_owned(), field_type }
    }

    pub(in crate::facade) fn exposure(name: &str, version: u32) -> Exposure {
        let amount = field("amount", FieldType::Decimal { precision: 11, scale: 2, as_string: false });
        let day = field("ordered_on", FieldType::Date);
        Exposure {
            id: ResourceId::new(name, version).unwrap(),
            title: "Sales orders".to_owned(),
            description: None,
            key: vec!["order_no".to_owned()],
            filter: vec![
                field("status", FieldType::String),
                day.clone(),
                amount.clone(),
                field("customer.vip", FieldType::Boolean),
            ],
            sort: vec![day, amount],
            relations: Vec::new(),
            access: Default::default(),
            read_scope: format!("{name}:read"),
            mode: crate::mapping::Mode::Staged,
            max_age: None,
            stale_if_error: None,
            lists: false,
            operations: Vec::new(),
            retirement: crate::mapping::Retirement::default(),
            fault_statuses: Vec::new(),
            example: None,
            schema: json!({ "type": "object", "properties": {
                "order_no": { "type": "string" },
                "status": { "type": ["string", "null"] },
                "ordered_on": { "type": "string", "format": "date" },
                "amount": { "type": "number" },
                "customer": { "type": "object", "properties": { "vip": { "type": "boolean" } } },
            } }),
        }
    }

    /// A catalog with one resource to ask questions of.
    pub(in crate::facade) fn catalog() -> Catalog {
        let mut orders = exposure("orders", 1);
        let link = RelationLink::One { key: vec!["customer_no".to_owned()] };
        orders.relations.push(relation("customer", "customers.v1", link));
        let mut customers = exposure("customers", 1);
        let link = RelationLink::Many { key: "order_no".to_owned(), field: "status".to_owned(), limit: 5 };
        customers.relations.push(relation("orders", "orders.v1", link));
        Catalog::new(vec![orders, customers], &About::default())
    }

    fn relation(name: &str, resource: &str, link: RelationLink) -> ExposedRelation {
        ExposedRelation { name: name.to_owned(), resource: resource.parse().unwrap(), link }
    }

    pub(in crate::facade) fn caller(scopes: &[&str]) -> Caller {
        let client = Arc::new(Client::new("web", &ClientConfig::default()));
        Caller::new("1", client, scopes.iter().map(|scope| (*scope).to_owned()).collect())
    }

    /// A resource to ask questions of.
    pub(in crate::facade) fn published() -> Published {
        Published::new(exposure("orders", 1))
    }

    #[test]
    fn resources_are_found_by_version_and_name() {
        let catalog =
            Catalog::new(vec![exposure("orders", 1), exposure("orders", 3), exposure("stock", 1)], &About::default());
        let find = |version, name| catalog.find(Target { version, name }).map(|published| published.path.clone());
        assert_eq!(find(3, "orders").unwrap(), "/v3/orders");
        let missing = find(2, "orders").unwrap_err().into_response("/", "id").into_body();
        assert!(String::from_utf8(missing).unwrap().contains("there is /v1/orders, /v3/orders"));
        assert_eq!(catalog.len(), 3);
        let index = catalog.index(Some(1), &caller(&["orders:read"]));
        assert_eq!(index["resources"].as_array().map(Vec::len), Some(1), "{index}");
        assert_eq!(index["resources"][0]["href"], "/v1/orders");
    }
}
