//! `[clients.NAME]`: what each caller may have of the service.

use std::collections::BTreeMap;

use super::rate::Rate;
use crate::diagnostic::{Faults, Key, Node, Presence, Section, Table};
use crate::gate::Priority;

/// Keys of `[clients.NAME]`.
pub static SECTION: Section = Section {
    path: "clients.NAME",
    doc: "A caller of the REST API, and what it may have where there is not enough for all. The API keys that were made \
          for NAME belong to it, all together. Callers without a key are the one client `anonymous`. \
          `[clients.default]` is for each client that has no section of its own.",
    keys: &[
        Key {
            name: "weight",
            shape: "integer",
            presence: Presence::Default("1"),
            doc: "share of a busy backend among clients of the same priority, 1 to 100: weight 3 is served three times \
                  as often as weight 1, however many requests each sends",
        },
        Key {
            name: "priority",
            shape: "\"high\" | \"normal\" | \"low\"",
            presence: Presence::Default("\"normal\""),
            doc: "at a busy backend the better class goes first; the others are never passed over for long",
        },
        Key {
            name: "rate",
            shape: "rate",
            presence: Presence::Optional,
            doc: "most requests: \"200/s burst 400\" is 200 a second in the long run and 400 at once after a pause; also \
                  \"100/m\" and \"1000/h\"; without `burst` as many at once as the number before the `/`. Who asks for \
                  more gets a 429 problem with `Retry-After`. Unlimited when absent",
        },
        Key {
            name: "max_in_flight",
            shape: "integer",
            presence: Presence::Optional,
            doc: "most places of one backend that the client may hold or wait for at once, 1 to 10000; only the \
                  backend's own gate bounds it when absent",
        },
    ],
};

/// One client's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientConfig {
    /// Share among clients of the same priority.
    pub weight: u32,
    /// Its class.
    pub priority: Priority,
    /// Most requests over time.
    pub rate: Option<Rate>,
    /// Most places of one backend, held or waited for.
    pub max_in_flight: Option<usize>,
}

impl Default for ClientConfig {
    /// As the keys' defaults.
    fn default() -> ClientConfig {
        ClientConfig { weight: 1, priority: Priority::Normal, rate: None, max_in_flight: None }
    }
}

impl ClientConfig {
    /// Reads `[clients.NAME]`; `None` after a fault was reported.
    fn read(table: &Table<'_>) -> Option<ClientConfig> {
        let weight = table.integer("weight", 1..=100);
        let priority = table.one_of("priority", Priority::WORDS);
        let rate = table.read("rate", |node| {
            let text = node.as_str().ok_or_else(|| format!("expected a string, found {}", node.kind()))?;
            Rate::parse(text)
        });
        let max_in_flight = table.integer("max_in_flight", 1..=10_000);
        if table.failed() {
            return None;
        }
        Some(ClientConfig {
            weight: u32::try_from(weight?).ok()?,
            priority: priority?,
            rate,
            max_in_flight: max_in_flight.and_then(|most| usize::try_from(most).ok()),
        })
    }
}

/// All of `[clients]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientsConfig(BTreeMap<String, ClientConfig>);

impl ClientsConfig {
    /// The section for all who have none of their own.
    pub const DEFAULT: &str = "default";

    /// Reads the sections, each by the name that its keys have; those with faults are left out.
    pub fn read<'a>(sections: impl Iterator<Item = (&'a str, &'a Node)>, faults: &Faults) -> ClientsConfig {
        let mut clients = BTreeMap::new();
        for (name, node) in sections {
            if !crate::http::auth::is_key_name(name) {
                let fault = node.key_fault(format!("no API key can have the name {name:?}"));
                faults.push(fault.help("a client's name is that of its keys: 1 to 100 printable characters"));
                continue;
            }
            if let Some(client) = Table::new(node, &SECTION, faults).and_then(|table| ClientConfig::read(&table)) {
                clients.insert(name.to_owned(), client);
            }
        }
        ClientsConfig(clients)
    }

    /// These settings by name.
    pub fn new(clients: impl IntoIterator<Item = (String, ClientConfig)>) -> ClientsConfig {
        ClientsConfig(clients.into_iter().collect())
    }

    /// The settings of the client with this name: its own, else `default`'s, else the keys' defaults.
    pub fn of(&self, name: &str) -> ClientConfig {
        self.0.get(name).or_else(|| self.0.get(Self::DEFAULT)).cloned().unwrap_or_default()
    }

    /// Whether it has a section of its own.
    pub fn names(&self, name: &str) -> bool {
        name != Self::DEFAULT && self.0.contains_key(name)
    }

    /// The clients with a section of their own.
    pub fn named(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str).filter(|name| *name != Self::DEFAULT)
    }
}

#[cfg(test)]
mod tests {
    use super::{ClientConfig, ClientsConfig};
    use crate::diagnostic::{Faults, SourceText, parse};
    use crate::gate::Priority;
    use std::path::Path;

    fn read(text: &str) -> Result<ClientsConfig, Vec<String>> {
        let source = SourceText::new(Path::new("t.toml"), text.to_owned());
        let faults = Faults::new();
        let root = parse(&source, &faults);
        let sections = root.as_table().unwrap().iter().map(|(name, node)| (name.as_str(), node));
        let clients = ClientsConfig::read(sections, &faults);
        let faults: Vec<_> = faults.into_sorted().iter().map(ToString::to_string).collect();
        if faults.is_empty() { Ok(clients) } else { Err(faults) }
    }

    #[test]
    fn a_client_has_its_own_section_or_the_default_one() {
        let clients = read(
            "[webshop]\nweight = 3\npriority = \"high\"\nrate = \"200/s burst 400\"\nmax_in_flight = 4\n\
             [default]\nweight = 2\n",
        )
        .unwrap();
        let webshop = clients.of("webshop");
        assert_eq!((webshop.weight, webshop.priority, webshop.max_in_flight), (3, Priority::High, Some(4)));
        assert_eq!(webshop.rate.map(|rate| rate.to_string()).as_deref(), Some("200/s burst 400"));
        assert_eq!(clients.of("crm"), ClientConfig { weight: 2, ..ClientConfig::default() });
        assert_eq!((clients.names("webshop"), clients.names("crm"), clients.names("default")), (true, false, false));
        assert_eq!(read("").unwrap().of("crm"), ClientConfig::default());
        // A section's missing keys have the keys' defaults, not those of `default`.
        assert_eq!(read("[a]\n[default]\nweight = 9\n").unwrap().of("a").weight, 1);
    }

    #[test]
    fn faults_have_their_place() {
        let check = |text: &str, expected: &str| {
            let faults = read(text).unwrap_err();
            assert!(faults.iter().any(|fault| fault.starts_with(expected)), "{text}: {faults:?}");
        };
        check("[a]\nweight = 0", "t.toml:2:10: `weight`: 0 is outside 1 to 100");
        check("[a]\nweight = 101", "t.toml:2:10: `weight`: 101 is outside 1 to 100");
        check("[a]\npriority = \"urgent\"", "t.toml:2:12: `priority`: \"urgent\" is not one of \"high\", \"normal\"");
        check("[a]\nrate = \"fast\"", "t.toml:2:8: `rate`: `fast` is no rate");
        check("[a]\nrate = 5", "t.toml:2:8: `rate`: expected a string");
        check("[a]\nmax_in_flight = 0", "t.toml:2:17: `max_in_flight`: 0 is outside 1 to 10000");
        check("[a]\nwieght = 2", "t.toml:2:1: unknown key `wieght` in `clients.NAME` (did you mean `weight`?)");
        check("[\"\"]\nweight = 2", "t.toml:1:");
        check("[\"a\\u0007\"]\nweight = 2", "t.toml:1:");
        check("a = 1", "t.toml:1:5: `clients.NAME` must be a table");
    }
}
