//! The layout as a table for people.

use std::collections::HashMap;

use super::plan::Plan;
use crate::decode::LayoutRow;
use crate::record::FieldKind;

impl Plan {
    pub(super) fn describe(&self) -> Vec<LayoutRow> {
        let mut renames: HashMap<usize, Vec<usize>> = HashMap::new();
        for (index, item) in self.items.iter().enumerate().filter(|(_, item)| item.level == 66) {
            renames.entry(item.parent.unwrap_or(index)).or_default().push(index);
        }
        let mut rows = Vec::new();
        for &record in &self.records {
            self.describe_below(record, 0, &renames, &mut rows);
        }
        rows
    }

    fn describe_below(
        &self,
        index: usize,
        depth: usize,
        renames: &HashMap<usize, Vec<usize>>,
        rows: &mut Vec<LayoutRow>,
    ) {
        let item = &self.items[index];
        let inner = if item.level == 0 { depth } else { depth + 1 };
        if item.level != 0 {
            let name_of = |index: usize| self.items[index].name.clone().unwrap_or_else(|| "FILLER".to_owned());
            let occurs = item.occurs.as_ref().map(|occurs| match occurs.depending {
                Some(counter) => format!("{}-{} by {}", occurs.min, occurs.max, name_of(counter)),
                None => occurs.max.to_string(),
            });
            rows.push(LayoutRow {
                depth,
                level: Some(item.level),
                name: name_of(index),
                picture: item.picture.clone(),
                kind: match self.kind(index) {
                    FieldKind::Group => "group".to_owned(),
                    FieldKind::Number { digits, scale: 0, .. } => format!("integer({digits})"),
                    FieldKind::Number { digits, scale, .. } => format!("decimal({digits},{scale})"),
                    FieldKind::Float => "float".to_owned(),
                    FieldKind::Text { .. } | FieldKind::Bytes { .. } => "text".to_owned(),
                },
                offset: Some(item.offset),
                length: Some(item.length),
                occurs,
                redefines: item.redefines.map(name_of),
            });
        }
        for named in &item.values {
            rows.push(LayoutRow {
                depth: inner,
                level: Some(88),
                name: named.name.clone(),
                picture: named.values.clone(),
                kind: "value".to_owned(),
                offset: None,
                length: None,
                occurs: None,
                redefines: None,
            });
        }
        let renaming = renames.get(&index).map(Vec::as_slice).unwrap_or_default();
        for &below in item.children.iter().chain(renaming) {
            self.describe_below(below, inner, renames, rows);
        }
    }
}
