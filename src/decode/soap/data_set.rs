//! DataSets of .NET: a schema, then rows by that schema, in one element. As JSON an object of tables, each an array of
//! rows, also where it has none.
//!
//! Of the schema the tables, their columns and the columns' types are read; of a diffgram its current rows.

use std::collections::HashMap;
use std::io::Read;

use super::machine::{Machine, Outcome, Piece};
use super::names::{Special, local, split};
use super::object::close;
use super::scalar::{Scalar, Verdict};
use super::shape::key;
use super::tag::Tag;
use super::text::Leaf;
use crate::decode::json::write_string_bytes;
use crate::record::RejectCode;
use crate::wsdl::Builtin;

/// Tables and columns that one DataSet may have.
const MAX_COLUMNS: usize = 10_000;

/// A table of a schema: its columns by their names as elements and attributes have them.
#[derive(Default)]
struct Table {
    name: Vec<u8>,
    columns: HashMap<Vec<u8>, Scalar>,
}

/// What the schema of a DataSet says.
#[derive(Default)]
pub(super) struct Schema {
    tables: Vec<Table>,
    columns: usize,
}

impl Schema {
    fn table(&self, name: &[u8]) -> Option<usize> {
        self.tables.iter().position(|table| table.name == name)
    }
}

impl<R: Read> Machine<R> {
    /// Appends a DataSet.
    pub(super) fn data_set(&mut self, tag: &Tag) -> Outcome<()> {
        let start = self.out.len();
        let mut schema = Schema::default();
        let mut rows: Vec<(usize, Vec<u8>)> = Vec::new();
        self.data_set_level(tag, &mut schema, &mut rows)?;
        // Stable: rows stay in their order.
        rows.sort_by_key(|(table, _)| *table);
        let mut next = rows.iter().peekable();
        for (number, table) in schema.tables.iter().enumerate() {
            self.out.extend_from_slice(&key(&String::from_utf8_lossy(&table.name)));
            self.out.push(b'[');
            let from = self.out.len();
            while let Some((_, row)) = next.next_if(|(table, _)| *table == number) {
                if self.out.len() > from {
                    self.out.push(b',');
                }
                self.out.extend_from_slice(row);
            }
            self.out.push(b']');
        }
        close(start, &mut self.out);
        Ok(())
    }

    /// The elements around the tables: schema, diffgram, the DataSet's own.
    fn data_set_level(&mut self, tag: &Tag, schema: &mut Schema, rows: &mut Vec<(usize, Vec<u8>)>) -> Outcome<()> {
        while let Some(piece) = self.piece_in(tag)? {
            match piece {
                Piece::Start(child) => {
                    let scope = self.names.scope;
                    self.open(&child)?;
                    let resolved = self.resolve(&child)?;
                    let name = local(child.written(self.window.bytes())).to_vec();
                    match (resolved.special, name.as_slice()) {
                        (Special::Schema, b"schema") => self.schema_level(&child, schema, None, 0)?,
                        // What rows were before they were changed, and what is wrong with them.
                        (Special::Diffgram, b"before" | b"errors") => self.skip(&child)?,
                        (Special::Diffgram, _) => {
                            self.deeper(&child)?;
                            self.data_set_level(&child, schema, rows)?;
                            self.depth -= 1;
                        }
                        _ => self.tables(&child, schema, rows)?,
                    }
                    self.names.scope = scope;
                }
                Piece::End { name } => return self.check_end(tag, name),
                Piece::Text(from, to) | Piece::CData(from, to) => self.stray(from, to)?,
                Piece::Remark => {}
            }
        }
        Ok(())
    }

    /// The element that holds the rows, or a row of a DataTable that stands alone.
    fn tables(&mut self, tag: &Tag, schema: &mut Schema, rows: &mut Vec<(usize, Vec<u8>)>) -> Outcome<()> {
        while let Some(piece) = self.piece_in(tag)? {
            match piece {
                Piece::Start(child) => {
                    let scope = self.names.scope;
                    self.open(&child)?;
                    let name = local(child.written(self.window.bytes())).to_vec();
                    let table = match schema.table(&name) {
                        Some(table) => table,
                        // A table that the schema does not have is one all the same.
                        None if schema.columns < MAX_COLUMNS => {
                            schema.columns += 1;
                            schema.tables.push(Table { name: name.clone(), columns: HashMap::new() });
                            schema.tables.len() - 1
                        }
                        None => return Err(self.too_many(child.at)),
                    };
                    let from = self.out.len();
                    let shown = || format!("{}[{}]", String::from_utf8_lossy(&name), rows.len());
                    self.row(&child, schema, table).map_err(|stop| stop.within(shown))?;
                    rows.push((table, self.out.split_off(from)));
                    self.names.scope = scope;
                }
                Piece::End { name } => return self.check_end(tag, name),
                Piece::Text(from, to) | Piece::CData(from, to) => self.stray(from, to)?,
                Piece::Remark => {}
            }
        }
        Ok(())
    }

    /// A row: an object of its columns.
    fn row(&mut self, tag: &Tag, schema: &Schema, table: usize) -> Outcome<()> {
        let start = self.out.len();
        let columns = schema.tables.get(table).map(|table| &table.columns);
        for index in 0..self.attributes.len() {
            let raw = self.attributes[index];
            let resolved = self.attribute(&raw)?;
            let is_own = matches!(resolved.special, Special::Diffgram | Special::DataSet);
            if !is_own && !self.is_technical(&raw)? {
                self.write_free(&raw)?;
            }
        }
        let mut seen = std::collections::HashSet::new();
        while let Some(piece) = self.piece_in(tag)? {
            match piece {
                Piece::Start(child) => {
                    let scope = self.names.scope;
                    self.open(&child)?;
                    let name = local(child.written(self.window.bytes())).to_vec();
                    if !seen.insert(name.clone()) {
                        let shown = self.shown_name(&child);
                        return Err(self.problem(
                            RejectCode::BadCount,
                            child.at,
                            format!("one {shown}"),
                            "several of them",
                        ));
                    }
                    self.out.push(b',');
                    write_string_bytes(decoded(&name).as_bytes(), &mut self.out);
                    self.out.push(b':');
                    let shown = || String::from_utf8_lossy(&name).into_owned();
                    let scalar = columns.and_then(|columns| columns.get(&name));
                    self.cell(&child, scalar).map_err(|stop| stop.within(shown))?;
                    self.names.scope = scope;
                }
                Piece::End { name } => {
                    self.check_end(tag, name)?;
                    break;
                }
                Piece::Text(from, to) | Piece::CData(from, to) => self.stray(from, to)?,
                Piece::Remark => {}
            }
        }
        close(start, &mut self.out);
        Ok(())
    }

    fn cell(&mut self, tag: &Tag, scalar: Option<&Scalar>) -> Outcome<()> {
        let Some(scalar) = scalar else { return self.untyped_cell(tag) };
        if self.given()?.is_nil {
            self.skip(tag)?;
            self.out.extend_from_slice(b"null");
            return Ok(());
        }
        let leaf = self.leaf(tag, scalar.is_binary())?;
        let text = match leaf {
            Leaf::Plain(from, to) => self.window.first(to).get(from..).unwrap_or_default(),
            Leaf::Made => &self.text,
        };
        match scalar.write(text, self.settings.numbers, &mut self.out) {
            Verdict::Sound => Ok(()),
            verdict => {
                let found = format!("`{}`", String::from_utf8_lossy(text).chars().take(80).collect::<String>());
                let expected = scalar.wanted(text).into_owned();
                self.not_sound(verdict, tag.end, &expected, found)
            }
        }
    }

    fn untyped_cell(&mut self, tag: &Tag) -> Outcome<()> {
        self.value(super::shape::ANY, tag, super::element::Declared::default())
    }

    /// Looks for tables in a schema: elements in the choice of the DataSet's own element; and in them for columns.
    fn schema_level(&mut self, tag: &Tag, schema: &mut Schema, table: Option<usize>, elements: usize) -> Outcome<()> {
        self.deeper(tag)?;
        while let Some(piece) = self.piece_in(tag)? {
            match piece {
                Piece::Start(child) => {
                    let scope = self.names.scope;
                    self.open(&child)?;
                    let name = local(child.written(self.window.bytes())).to_vec();
                    match name.as_slice() {
                        b"element" | b"attribute" => self.declaration(&child, schema, table, elements)?,
                        b"complexType" | b"sequence" | b"choice" | b"all" => {
                            self.schema_level(&child, schema, table, elements)?;
                        }
                        _ => self.skip(&child)?,
                    }
                    self.names.scope = scope;
                }
                Piece::End { name } => {
                    self.check_end(tag, name)?;
                    break;
                }
                _ => {}
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// An element of a schema: the DataSet's own, a table, or a column.
    fn declaration(&mut self, tag: &Tag, schema: &mut Schema, table: Option<usize>, elements: usize) -> Outcome<()> {
        let (mut name, mut ty) = (Vec::new(), None);
        for raw in self.attributes.clone() {
            match self.bytes(raw.name) {
                b"name" => name = self.attribute_text(&raw)?.into_bytes(),
                b"type" => ty = Some(self.attribute_text(&raw)?),
                _ => {}
            }
        }
        if schema.columns >= MAX_COLUMNS {
            return Err(self.too_many(tag.at));
        }
        schema.columns += 1;
        match (elements, table) {
            (0, _) => self.schema_level(tag, schema, None, 1),
            (1, _) => {
                schema.tables.push(Table { name, columns: HashMap::new() });
                self.schema_level(tag, schema, Some(schema.tables.len() - 1), 2)
            }
            (_, Some(table)) => {
                let (_, own) = split(ty.as_deref().unwrap_or_default().as_bytes());
                let builtin = Builtin::ALL.iter().find(|builtin| builtin.name().as_bytes() == own);
                if let (Some(builtin), Some(table)) = (builtin, schema.tables.get_mut(table)) {
                    table.columns.insert(name, Scalar::builtin(*builtin));
                }
                self.skip(tag)
            }
            _ => self.skip(tag),
        }
    }
}

/// Names of columns may have characters that names of XML cannot: `Order_x0020_No` is `Order No`.
fn decoded(name: &[u8]) -> String {
    let name = String::from_utf8_lossy(name);
    let mut out = String::new();
    let mut rest = &*name;
    while let Some(at) = rest.find("_x") {
        let code = rest.get(at + 2..at + 6).filter(|_| rest.as_bytes().get(at + 6) == Some(&b'_'));
        let char = code.and_then(|code| u32::from_str_radix(code, 16).ok()).and_then(char::from_u32);
        let (before, behind) = match char {
            Some(_) => (&rest[..at], &rest[at + 7..]),
            None => (&rest[..at + 2], &rest[at + 2..]),
        };
        out.push_str(before);
        out.extend(char);
        rest = behind;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::decoded;

    #[test]
    fn names_of_columns() {
        assert_eq!(decoded(b"Order_x0020_No"), "Order No");
        assert_eq!(
            (decoded(b"_x12"), decoded(b"a_xyz1_"), decoded(b"_x005F_x0020_")),
            ("_x12".into(), "a_xyz1_".into(), "_x0020_".into())
        );
    }
}
