//! Expressions: SQLite's text of them, and the type that SQL Server gives them.

use super::lexer::Token;
use super::parser::{Parser, literal, quoted};
use crate::support::tds_server::error::SqlFault;
use crate::support::tds_server::value::collation::Collation;
use crate::support::tds_server::value::types::{Family, SqlType};
use crate::support::tds_server::wire::tokens::Column;

/// An expression.
#[derive(Clone, Debug)]
pub(crate) struct Expression {
    pub(crate) sql: String,
    /// `None` of a NULL without type.
    pub(crate) declared: Option<SqlType>,
    /// The column that it is.
    pub(crate) column: Option<Column>,
}

impl Expression {
    pub(crate) fn new(sql: impl Into<String>, declared: SqlType) -> Expression {
        Expression { sql: sql.into(), declared: Some(declared), column: None }
    }

    fn family(&self) -> Option<Family> {
        self.declared.map(|declared| declared.family())
    }

    /// Turned into a type.
    pub(crate) fn cast(&self, to: &SqlType) -> String {
        format!("ts_cast({}, {})", self.sql, literal(&name_with_collation(to)))
    }
}

/// A type's name, with its collation where it has one.
pub(crate) fn name_with_collation(declared: &SqlType) -> String {
    match declared.collation() {
        Some(collation) => format!("{declared} COLLATE {}", collation.name),
        None => declared.to_string(),
    }
}

/// The collation of SQLite in which a type's values are compared.
pub(crate) fn order_of(declared: &SqlType) -> Option<&'static str> {
    match declared.family() {
        Family::Exact => Some("ts_number"),
        Family::Temporal => Some("ts_moment"),
        Family::Text if declared.collation().is_some_and(|collation| collation.is_binary()) => Some("ts_binary"),
        Family::Text => Some("ts_text"),
        _ => None,
    }
}

const COMPARISONS: [&str; 8] = ["=", "<>", "!=", "<", ">", "<=", ">=", "!<"];

impl Parser<'_> {
    /// An expression of any kind, conditions included.
    pub(crate) fn expression(&mut self) -> Result<Expression, SqlFault> {
        let mut left = self.conjunction()?;
        while self.takes("or") {
            let right = self.conjunction()?;
            left = Expression::new(format!("{} OR {}", left.sql, right.sql), SqlType::Bit);
        }
        Ok(left)
    }

    fn conjunction(&mut self) -> Result<Expression, SqlFault> {
        let mut left = self.negation()?;
        while self.takes("and") {
            let right = self.negation()?;
            left = Expression::new(format!("{} AND {}", left.sql, right.sql), SqlType::Bit);
        }
        Ok(left)
    }

    fn negation(&mut self) -> Result<Expression, SqlFault> {
        if self.takes("not") {
            let inner = self.negation()?;
            return Ok(Expression::new(format!("NOT {}", inner.sql), SqlType::Bit));
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Result<Expression, SqlFault> {
        let left = self.sum()?;
        if let Some(sign) = COMPARISONS.into_iter().find(|sign| self.sees_sign(sign)) {
            self.at += 1;
            let right = self.sum()?;
            return Ok(Expression::new(compared(&left, if sign == "!<" { ">=" } else { sign }, &right), SqlType::Bit));
        }
        if self.takes("is") {
            let not = if self.takes("not") { "NOT " } else { "" };
            self.expect("null")?;
            return Ok(Expression::new(format!("{} IS {not}NULL", left.sql), SqlType::Bit));
        }
        let not =
            if self.sees("not") && (self.sees_at(1, "in") || self.sees_at(1, "like") || self.sees_at(1, "between")) {
                self.at += 1;
                "NOT "
            } else {
                ""
            };
        if self.takes("between") {
            let low = self.sum()?;
            self.expect("and")?;
            let high = self.sum()?;
            let both = format!("{} AND {}", compared(&left, ">=", &low), compared(&left, "<=", &high));
            return Ok(Expression::new(format!("{not}({both})"), SqlType::Bit));
        }
        if self.takes("like") {
            let pattern = self.sum()?;
            let escape = if self.takes("escape") { self.sum()?.sql } else { "''".to_owned() };
            let like = format!("{not}ts_like({}, {}, {escape})", left.sql, pattern.sql);
            return Ok(Expression::new(like, SqlType::Bit));
        }
        if self.takes("in") {
            self.expect_sign("(")?;
            if self.sees("select") || self.sees("with") {
                let query = self.select()?;
                self.expect_sign(")")?;
                return Ok(Expression::new(format!("{} {not}IN ({})", left.sql, query.sql), SqlType::Bit));
            }
            let mut any = Vec::new();
            loop {
                let item = self.sum()?;
                any.push(compared(&left, "=", &item));
                if !self.takes_sign(",") {
                    break;
                }
            }
            self.expect_sign(")")?;
            return Ok(Expression::new(format!("{not}({})", any.join(" OR ")), SqlType::Bit));
        }
        Ok(left)
    }

    pub(super) fn sum(&mut self) -> Result<Expression, SqlFault> {
        let mut left = self.product()?;
        loop {
            let Some(sign) = ["+", "-", "&", "|", "^"].into_iter().find(|sign| self.sees_sign(sign)) else {
                return Ok(left);
            };
            self.at += 1;
            let right = self.product()?;
            left = calculated(&left, sign, &right);
        }
    }

    fn product(&mut self) -> Result<Expression, SqlFault> {
        let mut left = self.unary()?;
        loop {
            let Some(sign) = ["*", "/", "%"].into_iter().find(|sign| self.sees_sign(sign)) else {
                return Ok(left);
            };
            self.at += 1;
            let right = self.unary()?;
            left = calculated(&left, sign, &right);
        }
    }

    fn unary(&mut self) -> Result<Expression, SqlFault> {
        if self.takes_sign("-") {
            let inner = self.unary()?;
            let declared = inner.declared.unwrap_or(SqlType::Int);
            // Before digits it is part of the number.
            let text = match inner.sql.strip_prefix('\'').filter(|_| inner.family() == Some(Family::Exact)) {
                Some(digits) => format!("'-{digits}"),
                None if inner.family() == Some(Family::Exact) => {
                    format!("ts_calculate('-', '0', {}, {})", inner.sql, declared.digits().1)
                }
                None => format!("-{}", inner.sql),
            };
            return Ok(Expression::new(text, declared));
        }
        if self.takes_sign("+") {
            return self.unary();
        }
        if self.takes_sign("~") {
            let inner = self.unary()?;
            return Ok(Expression::new(format!("~{}", inner.sql), inner.declared.unwrap_or(SqlType::Int)));
        }
        let mut value = self.primary()?;
        while self.takes("collate") {
            let collation = self.collation()?;
            let declared = match value.declared {
                Some(SqlType::VarChar(n, _)) => SqlType::VarChar(n, collation),
                Some(SqlType::Char(n, _)) => SqlType::Char(n, collation),
                Some(SqlType::NChar(n, _)) => SqlType::NChar(n, collation),
                Some(SqlType::NVarChar(n, _)) => SqlType::NVarChar(n, collation),
                other => other.unwrap_or(SqlType::TEXT),
            };
            let order = order_of(&declared).unwrap_or("ts_text");
            value = Expression::new(format!("{} COLLATE {order}", value.sql), declared);
        }
        Ok(value)
    }

    fn primary(&mut self) -> Result<Expression, SqlFault> {
        match self.next()? {
            Token::Number(number) => Ok(number_literal(number)),
            Token::Text(text, wide) => {
                let units = u16::try_from(text.encode_utf16().count().clamp(1, 4000)).unwrap_or(4000);
                let declared = if *wide {
                    SqlType::NVarChar(units, Collation::DEFAULT)
                } else {
                    SqlType::VarChar(units, Collation::DEFAULT)
                };
                Ok(Expression::new(literal(text), declared))
            }
            Token::Bytes(bytes) => {
                let hex: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
                Ok(Expression::new(format!("x'{hex}'"), SqlType::VarBinary(bytes.len().clamp(1, 8000) as u16)))
            }
            Token::Variable(name) => {
                let name = name.to_ascii_lowercase();
                let declared = *self.variables.get(&name).ok_or_else(|| {
                    SqlFault::new(137, format!("Must declare the scalar variable \"{name}\".")).class(15)
                })?;
                Ok(Expression::new(name, declared))
            }
            Token::System(name) => self.system(name),
            Token::Sign("(") => {
                if self.sees("select") || self.sees("with") {
                    let query = self.select()?;
                    self.expect_sign(")")?;
                    let declared = query.columns.first().map(|column| column.declared);
                    return Ok(Expression { sql: format!("({})", query.sql), declared, column: None });
                }
                let inner = self.expression()?;
                self.expect_sign(")")?;
                Ok(Expression { sql: format!("({})", inner.sql), declared: inner.declared, column: None })
            }
            Token::Sign("{") => {
                // ODBC's {d '...'}, {ts '...'}, {fn ...}.
                let kind = self.name()?;
                let inner = self.expression()?;
                self.expect_sign("}")?;
                Ok(if kind.eq_ignore_ascii_case("fn") { inner } else { Expression::new(inner.sql, SqlType::DateTime) })
            }
            Token::Word(word) if word.eq_ignore_ascii_case("null") => {
                Ok(Expression { sql: "NULL".to_owned(), declared: None, column: None })
            }
            Token::Word(word) if word.eq_ignore_ascii_case("case") => self.case(),
            Token::Word(word) if word.eq_ignore_ascii_case("exists") => {
                self.expect_sign("(")?;
                let query = self.select()?;
                self.expect_sign(")")?;
                Ok(Expression::new(format!("EXISTS ({})", query.sql), SqlType::Bit))
            }
            Token::Word(_) | Token::Name(_) => {
                self.at -= 1;
                self.named_thing()
            }
            Token::Sign(_) => {
                self.at -= 1;
                Err(self.syntax())
            }
        }
    }

    /// A column or a call.
    fn named_thing(&mut self) -> Result<Expression, SqlFault> {
        let parts = self.names()?;
        if self.sees_sign("(") || (parts.len() == 1 && super::functions::is_without_parentheses(&parts[0])) {
            return self.call(&parts);
        }
        self.column(&parts)
    }

    /// The column of a name; of the innermost query that has it.
    fn column(&self, parts: &[String]) -> Result<Expression, SqlFault> {
        let (name, before) = parts.split_last().ok_or_else(|| self.syntax())?;
        let qualifier = before.last();
        for scope in self.scopes.iter().rev() {
            for source in scope {
                if qualifier.is_some_and(|qualifier| !source.alias.eq_ignore_ascii_case(qualifier)) {
                    continue;
                }
                if let Some(column) = source.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name)) {
                    let sql = if source.alias.is_empty() {
                        quoted(&column.name)
                    } else {
                        format!("{}.{}", quoted(&source.alias), quoted(&column.name))
                    };
                    return Ok(Expression { sql, declared: Some(column.declared), column: Some(column.clone()) });
                }
            }
        }
        Err(match qualifier {
            Some(_) => {
                SqlFault::new(4104, format!("The multi-part identifier \"{}\" could not be bound.", parts.join(".")))
            }
            None => SqlFault::new(207, format!("Invalid column name '{name}'.")),
        })
    }

    fn case(&mut self) -> Result<Expression, SqlFault> {
        let mut sql = "CASE".to_owned();
        let mut declared = None;
        let subject = if self.sees("when") { None } else { Some(self.expression()?) };
        while self.takes("when") {
            let condition = self.expression()?;
            let condition = match &subject {
                Some(subject) => compared(subject, "=", &condition),
                None => condition.sql,
            };
            self.expect("then")?;
            let value = self.expression()?;
            declared = wider(declared, value.declared);
            sql += &format!(" WHEN {condition} THEN {}", value.sql);
        }
        if self.takes("else") {
            let value = self.expression()?;
            declared = wider(declared, value.declared);
            sql += &format!(" ELSE {}", value.sql);
        }
        self.expect("end")?;
        Ok(Expression { sql: format!("{sql} END"), declared, column: None })
    }
}

fn number_literal(number: &str) -> Expression {
    if number.contains(['e', 'E']) {
        return Expression::new(number, SqlType::Float);
    }
    if number.contains('.') || number.parse::<i64>().is_err() {
        let digits = number.bytes().filter(u8::is_ascii_digit).count().clamp(1, 38) as u8;
        let scale = number.split_once('.').map_or(0, |(_, fraction)| fraction.len()) as u8;
        return Expression::new(literal(number), SqlType::Numeric(digits, scale.min(digits)));
    }
    let is_small = number.parse::<i32>().is_ok();
    Expression::new(number, if is_small { SqlType::Int } else { SqlType::BigInt })
}

/// The type of a place that may be of either.
pub(super) fn wider(a: Option<SqlType>, b: Option<SqlType>) -> Option<SqlType> {
    let (Some(a), Some(b)) = (a, b) else { return a.or(b) };
    let rank = |declared: &SqlType| match declared.family() {
        Family::Bytes => 0,
        Family::Text => 1,
        Family::Whole => 2,
        Family::Exact => 3,
        Family::Binary64 => 4,
        Family::Temporal => 5,
        Family::Variant => 6,
    };
    if rank(&a) != rank(&b) {
        return Some(if rank(&a) > rank(&b) { a } else { b });
    }
    let unbounded = |declared: &SqlType| if declared.bytes() < 0 { i64::MAX } else { declared.bytes() };
    Some(if unbounded(&a) >= unbounded(&b) { a } else { b })
}

/// A comparison by the rules of the types that meet.
pub(super) fn compared(left: &Expression, sign: &str, right: &Expression) -> String {
    let families = (left.family(), right.family());
    let either = |family: Family| families.0 == Some(family) || families.1 == Some(family);
    let (a, b) = (&left.sql, &right.sql);
    if either(Family::Temporal) {
        return format!("{a} COLLATE ts_moment {sign} {b}");
    }
    if either(Family::Exact) {
        return format!("CAST({a} AS TEXT) COLLATE ts_number {sign} CAST({b} AS TEXT)");
    }
    if either(Family::Text) && (either(Family::Whole) || either(Family::Binary64)) {
        return format!("CAST({a} AS NUMERIC) {sign} CAST({b} AS NUMERIC)");
    }
    if either(Family::Text) {
        let declared = if families.0 == Some(Family::Text) { &left.declared } else { &right.declared };
        let order = declared.as_ref().and_then(order_of).unwrap_or("ts_text");
        return format!("{a} COLLATE {order} {sign} {b}");
    }
    if either(Family::Bytes) && either(Family::Whole) {
        let bytes = |side: &Expression| match side.family() {
            Some(Family::Whole) => side.cast(&SqlType::Binary(8)),
            _ => side.sql.clone(),
        };
        return format!("{} {sign} {}", bytes(left), bytes(right));
    }
    format!("{a} {sign} {b}")
}

fn calculated(left: &Expression, sign: &str, right: &Expression) -> Expression {
    let families = (left.family(), right.family());
    let either = |family: Family| families.0 == Some(family) || families.1 == Some(family);
    let declared = wider(left.declared, right.declared).unwrap_or(SqlType::Int);
    let (a, b) = (&left.sql, &right.sql);
    if sign == "+" && families.0 == Some(Family::Text) && families.1.is_none_or(|family| family == Family::Text) {
        let wide = left.declared.is_some_and(|d| d.is_wide()) || right.declared.is_some_and(|d| d.is_wide());
        let units = |side: &Expression| match side.declared {
            Some(SqlType::NVarChar(n, _) | SqlType::NChar(n, _) | SqlType::VarChar(n, _) | SqlType::Char(n, _)) => n,
            _ => 4000,
        };
        let collation = left.declared.and_then(|declared| declared.collation()).unwrap_or(Collation::DEFAULT);
        let sum = units(left).saturating_add(units(right));
        let declared = if wide {
            SqlType::NVarChar(if units(left).max(units(right)) == 0xFFFF { sum } else { sum.min(4000) }, collation)
        } else {
            SqlType::VarChar(if units(left).max(units(right)) == 0xFFFF { sum } else { sum.min(8000) }, collation)
        };
        return Expression::new(format!("({a} || {b})"), declared);
    }
    if either(Family::Bytes) && sign == "+" {
        return Expression::new(format!("ts_joined({a}, {b})"), SqlType::VarBinary(8000));
    }
    if either(Family::Temporal) {
        return Expression::new(format!("ts_add_days({a}, {}{b})", if sign == "-" { "-" } else { "" }), declared);
    }
    if either(Family::Exact) && !either(Family::Binary64) && ["+", "-", "*", "/"].contains(&sign) {
        let scale = |side: &Expression| side.declared.map_or(0, |declared| declared.digits().1);
        let scale = match sign {
            "*" => (scale(left) + scale(right)).min(12),
            "/" => scale(left).max(6),
            _ => scale(left).max(scale(right)),
        };
        return Expression::new(
            format!("ts_calculate({}, {a}, {b}, {scale})", literal(sign)),
            SqlType::Decimal(38, scale),
        );
    }
    let sql = match sign {
        "^" => format!("(({a} | {b}) - ({a} & {b}))"),
        _ => format!("({a} {sign} {b})"),
    };
    Expression::new(sql, declared)
}
