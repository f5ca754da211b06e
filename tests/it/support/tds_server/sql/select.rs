//! Queries.

use super::expression::{Expression, order_of};
use super::lexer::Token;
use super::parser::{Parser, Source, quoted};
use crate::support::tds_server::error::SqlFault;
use crate::support::tds_server::value::types::SqlType;
use crate::support::tds_server::wire::tokens::Column;

/// A query in SQLite's text, and what it brings.
#[derive(Clone, Debug, Default)]
pub(crate) struct Select {
    pub(crate) sql: String,
    pub(crate) columns: Vec<Column>,
    /// The columns by which it is ordered, from 1; empty where it is by something else.
    pub(crate) order: Vec<u16>,
    /// Variables that take the values of its columns.
    pub(crate) variables: Vec<String>,
    /// The temporary table that takes its rows.
    pub(crate) into: Option<String>,
    /// Whether it reads one table whose rows are made.
    pub(crate) generated: Option<Generated>,
}

/// A query of a table whose rows are made: its columns, and where it ends.
#[derive(Clone, Debug)]
pub(crate) struct Generated {
    pub(crate) table: std::sync::Arc<crate::support::tds_server::schema::Table>,
    pub(crate) columns: Vec<usize>,
    pub(crate) limit: Option<u64>,
}

impl Parser<'_> {
    /// A query, with what stands before and behind it.
    pub(crate) fn select(&mut self) -> Result<Select, SqlFault> {
        let named_before = self.named.len();
        let mut with = String::new();
        if self.takes("with") {
            with = format!("WITH RECURSIVE {} ", self.common()?);
        }
        let mut query = self.body()?;
        self.named.truncate(named_before);
        query.sql = with + &query.sql;
        Ok(query)
    }

    /// The queries with a name before a query.
    fn common(&mut self) -> Result<String, SqlFault> {
        let mut all = Vec::new();
        loop {
            let name = self.name()?;
            let mut names = Vec::new();
            if self.takes_sign("(") {
                names = self.name_list()?;
            }
            self.expect("as")?;
            self.expect_sign("(")?;
            let query = self.select()?;
            self.expect_sign(")")?;
            let mut columns = query.columns;
            for (column, name) in columns.iter_mut().zip(&names) {
                column.name.clone_from(name);
            }
            let list: Vec<String> = columns.iter().map(|column| quoted(&column.name)).collect();
            all.push(format!("{}({}) AS ({})", quoted(&name), list.join(", "), query.sql));
            self.named.push(Source { alias: name, columns });
            if !self.takes_sign(",") {
                return Ok(all.join(", "));
            }
        }
    }

    /// Names up to the closing parenthesis.
    pub(super) fn name_list(&mut self) -> Result<Vec<String>, SqlFault> {
        let mut names = vec![self.name()?];
        while self.takes_sign(",") {
            names.push(self.name()?);
        }
        self.expect_sign(")")?;
        Ok(names)
    }

    fn body(&mut self) -> Result<Select, SqlFault> {
        self.scopes.push(Vec::new());
        let made = self.body_in_scope();
        self.scopes.pop();
        made
    }

    fn body_in_scope(&mut self) -> Result<Select, SqlFault> {
        let (mut query, mut limit) = self.core()?;
        let mut is_compound = false;
        while self.sees_any(&["union", "except", "intersect"]) {
            let word = self.name()?.to_ascii_uppercase();
            let all = if self.takes("all") { " ALL" } else { "" };
            if let Some(scope) = self.scopes.last_mut() {
                scope.clear();
            }
            let (next, next_limit) = if self.takes_sign("(") {
                let inner = self.select()?;
                self.expect_sign(")")?;
                (inner, None)
            } else {
                self.core()?
            };
            for (column, other) in query.columns.iter_mut().zip(&next.columns) {
                column.declared =
                    super::expression::wider(Some(column.declared), Some(other.declared)).unwrap_or(column.declared);
                column.nullable |= other.nullable;
            }
            let closed = |sql: &str, limit: Option<&String>| match limit {
                Some(limit) => format!("SELECT * FROM ({sql} LIMIT {limit})"),
                None => sql.to_owned(),
            };
            query.sql = format!(
                "{} {word}{all} {}",
                closed(&query.sql, limit.as_ref()),
                closed(&next.sql, next_limit.as_ref())
            );
            query.generated = None;
            (limit, is_compound) = (None, true);
        }
        if is_compound {
            // Behind it only the columns of the whole have names.
            let whole = Source { alias: String::new(), columns: query.columns.clone() };
            if let Some(scope) = self.scopes.last_mut() {
                *scope = vec![whole.clone()];
            }
        }
        if self.takes("order") {
            self.expect("by")?;
            query.generated = None;
            self.order(&mut query)?;
        }
        if self.takes("offset") {
            let skipped = self.expression()?.sql;
            let _ = self.takes("rows") || self.takes("row");
            let mut most = "-1".to_owned();
            if self.takes("fetch") {
                let _ = self.takes("next") || self.takes("first");
                most = self.expression()?.sql;
                let _ = self.takes("rows") || self.takes("row");
                self.expect("only")?;
            }
            limit = Some(format!("{most} OFFSET {skipped}"));
        }
        if let Some(limit) = &limit {
            query.sql += &format!(" LIMIT {limit}");
            if let Some(generated) = &mut query.generated {
                generated.limit = limit.trim_matches(['(', ')']).parse().ok();
            }
        }
        if self.takes("option") {
            self.expect_sign("(")?;
            self.skip_parentheses()?;
        }
        if self.takes("for") {
            return Err(SqlFault::new(102, "FOR XML and FOR JSON are not served here."));
        }
        Ok(query)
    }

    fn order(&mut self, query: &mut Select) -> Result<(), SqlFault> {
        let mut terms = Vec::new();
        let mut is_plain = true;
        loop {
            let alias = match self.peek() {
                Some(Token::Word(name) | Token::Name(name))
                    if !matches!(self.peek_at(1), Some(Token::Sign("." | "("))) =>
                {
                    query.columns.iter().position(|column| column.name.eq_ignore_ascii_case(name))
                }
                Some(Token::Number(number)) => number.parse::<usize>().ok().and_then(|at| at.checked_sub(1)),
                _ => None,
            };
            let collated = |declared: Option<SqlType>| match declared.as_ref().and_then(order_of) {
                Some(order) => format!(" COLLATE {order}"),
                None => String::new(),
            };
            let (mut term, place) = match alias {
                Some(at) if at < query.columns.len() => {
                    self.at += 1;
                    (format!("{}{}", at + 1, collated(Some(query.columns[at].declared))), Some(at))
                }
                _ => {
                    let by = self.expression()?;
                    let name = by.column.as_ref().map(|column| column.name.clone());
                    let place = name.and_then(|name| query.columns.iter().position(|column| column.name == name));
                    // NULL orders by nothing: `ORDER BY (SELECT NULL)`.
                    (format!("{}{}", by.sql, collated(by.declared)), place)
                }
            };
            if self.takes("desc") {
                term += " DESC";
            } else {
                self.takes("asc");
            }
            match place {
                Some(at) => query.order.push(at as u16 + 1),
                None => is_plain = false,
            }
            terms.push(term);
            if !self.takes_sign(",") {
                break;
            }
        }
        if !is_plain {
            query.order.clear();
        }
        query.sql += &format!(" ORDER BY {}", terms.join(", "));
        Ok(())
    }

    /// A query up to its ORDER BY, and its TOP.
    fn core(&mut self) -> Result<(Select, Option<String>), SqlFault> {
        self.expect("select")?;
        let distinct = if self.takes("distinct") { "DISTINCT " } else { "" };
        self.takes("all");
        let limit = self.top()?;
        let items = self.at;
        // FROM comes first here, as the types of all else come from it.
        let mut from = String::new();
        let mut end = self.find_from();
        let mut only = None;
        if let Some(at) = end {
            self.at = at + 1;
            (from, only) = self.from()?;
            end = Some(self.at);
        }
        self.at = items;
        let mut query = Select::default();
        let mut made = Vec::new();
        loop {
            self.item(&mut query, &mut made)?;
            if !self.takes_sign(",") {
                break;
            }
        }
        if self.takes("into") {
            query.into = Some(self.name()?);
        }
        if let Some(end) = end {
            if !self.sees("from") {
                return Err(self.syntax());
            }
            self.at = end;
        }
        let mut sql = format!("SELECT {distinct}{}", made.join(", "));
        if !from.is_empty() {
            sql += &format!(" FROM {from}");
        }
        let mut is_whole = distinct.is_empty();
        if self.takes("where") {
            sql += &format!(" WHERE {}", self.expression()?.sql);
            is_whole = false;
        }
        if self.takes("group") {
            self.expect("by")?;
            let mut by = vec![self.expression()?.sql];
            while self.takes_sign(",") {
                by.push(self.expression()?.sql);
            }
            sql += &format!(" GROUP BY {}", by.join(", "));
            is_whole = false;
        }
        if self.takes("having") {
            sql += &format!(" HAVING {}", self.expression()?.sql);
        }
        if let (Some(table), true) = (only, is_whole) {
            let place = |column: &Column| table.columns.iter().position(|found| found.column.name == column.name);
            let columns: Option<Vec<usize>> = query.columns.iter().map(place).collect();
            query.generated = columns.map(|columns| Generated { table, columns, limit: None });
        }
        // Rows of one side may lack the other.
        if self.scopes.last().is_some_and(|scope| scope.len() > 1) {
            query.columns.iter_mut().for_each(|column| column.nullable = true);
        }
        query.sql = sql;
        Ok((query, limit))
    }

    /// `TOP (n)`.
    pub(super) fn top(&mut self) -> Result<Option<String>, SqlFault> {
        if !self.takes("top") {
            return Ok(None);
        }
        let number = if self.takes_sign("(") {
            let number = self.expression()?.sql;
            self.expect_sign(")")?;
            number
        } else {
            self.number()?.to_string()
        };
        if self.sees("percent") || self.sees("with") {
            return Err(SqlFault::new(102, "TOP PERCENT and WITH TIES are not served here."));
        }
        Ok(Some(number))
    }

    /// Where the FROM of this query stands.
    fn find_from(&self) -> Option<usize> {
        let mut depth = 0;
        for (at, token) in self.tokens.iter().enumerate().skip(self.at) {
            match token {
                Token::Sign("(") => depth += 1,
                Token::Sign(")") if depth == 0 => return None,
                Token::Sign(")") => depth -= 1,
                Token::Sign(";") if depth == 0 => return None,
                Token::Word(word) if depth == 0 => {
                    if word.eq_ignore_ascii_case("from") {
                        return Some(at);
                    }
                    let ends =
                        ["where", "union", "select", "order", "group", "insert", "update", "delete", "set", "exec"];
                    if ends.iter().any(|end| word.eq_ignore_ascii_case(end)) {
                        return None;
                    }
                }
                _ => {}
            }
        }
        None
    }

    /// One or, with a star, several columns.
    fn item(&mut self, query: &mut Select, made: &mut Vec<String>) -> Result<(), SqlFault> {
        let star_of = match (self.peek(), self.peek_at(1), self.peek_at(2)) {
            (Some(Token::Sign("*")), ..) => Some((1, None)),
            (Some(Token::Word(alias) | Token::Name(alias)), Some(Token::Sign(".")), Some(Token::Sign("*"))) => {
                Some((3, Some(alias)))
            }
            _ => None,
        };
        if let Some((length, alias)) = star_of {
            self.at += length;
            let scope = self.scopes.last().cloned().unwrap_or_default();
            let wanted = |source: &&Source| alias.is_none_or(|alias| source.alias.eq_ignore_ascii_case(alias));
            for source in scope.iter().filter(wanted) {
                for column in &source.columns {
                    made.push(format!("{}.{}", quoted(&source.alias), quoted(&column.name)));
                    query.columns.push(column.clone());
                }
            }
            return if query.columns.is_empty() { Err(self.syntax()) } else { Ok(()) };
        }
        if let (Some(Token::Variable(_)), Some(Token::Sign("="))) = (self.peek(), self.peek_at(1)) {
            let name = self.variable()?;
            self.at += 1;
            let value = self.expression()?;
            let declared = *self
                .variables
                .get(&name)
                .ok_or_else(|| SqlFault::new(137, format!("Must declare the scalar variable \"{name}\".")))?;
            made.push(value.cast(&declared));
            query.columns.push(Column::new("", declared));
            query.variables.push(name);
            return Ok(());
        }
        // `name = expression` is an alias as well.
        let mut alias = None;
        if let (Some(Token::Word(name) | Token::Name(name)), Some(Token::Sign("="))) = (self.peek(), self.peek_at(1)) {
            alias = Some(name.clone());
            self.at += 2;
        }
        let value = self.expression()?;
        if self.takes("as") {
            alias = Some(match self.peek() {
                Some(Token::Text(text, _)) => {
                    self.at += 1;
                    text.clone()
                }
                _ => self.name()?,
            });
        } else if let Some(name) = self.bare_alias() {
            alias = Some(name);
        }
        let Expression { sql, declared, column } = value;
        let mut column = column.unwrap_or_else(|| Column::new("", declared.unwrap_or(SqlType::Int)));
        if let Some(alias) = alias {
            column.name = alias;
        }
        made.push(if column.name.is_empty() { sql } else { format!("{sql} AS {}", quoted(&column.name)) });
        query.columns.push(column);
        Ok(())
    }

    /// A name that follows without AS.
    pub(super) fn bare_alias(&mut self) -> Option<String> {
        const RESERVED: [&str; 25] = [
            "from",
            "where",
            "order",
            "group",
            "having",
            "union",
            "except",
            "intersect",
            "into",
            "on",
            "inner",
            "left",
            "right",
            "full",
            "cross",
            "outer",
            "join",
            "with",
            "option",
            "for",
            "offset",
            "fetch",
            "values",
            "output",
            "when",
        ];
        if self.begins_statement() {
            return None;
        }
        match self.peek() {
            Some(Token::Name(name)) => {
                self.at += 1;
                Some(name.clone())
            }
            Some(Token::Word(word)) if !RESERVED.iter().any(|reserved| word.eq_ignore_ascii_case(reserved)) => {
                self.at += 1;
                Some(word.clone())
            }
            _ => None,
        }
    }
}
