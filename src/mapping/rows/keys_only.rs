//! The part of a mapping that makes the key, for readings that bring the columns of the key alone.

use std::sync::Arc;

use super::columns::Heard;
use crate::decode::{Decoder, Format};
use crate::diagnostic::{Entries, Table};
use crate::mapping::field::{Context, compile_fields};
use crate::mapping::place::Surroundings;
use crate::mapping::plan::Rules;
use crate::mapping::{serve, source};

/// What reads and maps keys.
pub(in crate::mapping) struct KeysOnly {
    pub(in crate::mapping) decoder: Decoder,
    pub(in crate::mapping) rules: Arc<Rules>,
    /// The columns that the key is made of.
    pub(in crate::mapping) columns: Vec<String>,
    /// These, and those by which `skip` leaves rows out.
    pub(in crate::mapping) compared: Vec<String>,
}

impl KeysOnly {
    /// Compiles the fields of the key once more, on a layout that has to know no other columns. All of it has compiled
    /// before, so that nothing new can be wrong.
    pub(in crate::mapping) fn compile(
        table: &Table<'_>,
        fields: &Entries,
        key: &[String],
        (format, inner): (&Format, Option<&Table<'_>>),
        context: &Context<'_>,
    ) -> Option<KeysOnly> {
        let is_of_key = |name: &str| key.iter().any(|path| path.split('.').next() == Some(name));
        let entries: Entries = fields
            .iter()
            .filter(|(name, _)| is_of_key(name))
            .map(|(name, node)| (name.clone(), node.clone()))
            .collect();
        let decoder = format.compile(&|_| None, context.faults)?;
        let heard = Heard::new(decoder.layout());
        let mut compiled = compile_fields(&entries, &Surroundings::record(&heard), context);
        serve::key(table, &mut compiled.fields, &compiled.shape)?;
        let columns = heard.names();
        let skip = inner.map(|inner| source::skip(inner, &heard, context.style, context.faults)).unwrap_or_default();
        let compared = heard.names();
        let rules = Rules {
            fields: compiled.fields,
            key_parts: key.len(),
            skip,
            trailer: None,
            controls: Vec::new(),
            operation: None,
        };
        Some(KeysOnly { decoder, rules: Arc::new(rules), columns, compared })
    }
}
