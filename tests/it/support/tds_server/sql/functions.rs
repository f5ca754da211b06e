//! Functions and `@@` variables.

use super::expression::{Expression, order_of, wider};
use super::parser::{Parser, literal};
use crate::support::tds_server::error::SqlFault;
use crate::support::tds_server::value::collation::Collation;
use crate::support::tds_server::value::types::{Family, MAX, SqlType};

/// Functions that are written like words.
pub(super) fn is_without_parentheses(name: &str) -> bool {
    ["current_timestamp", "system_user", "current_user", "session_user", "user"]
        .iter()
        .any(|known| known.eq_ignore_ascii_case(name))
}

/// Those that SQLite's functions answer, with their names there, and whose type is of the first argument.
const SAME: [(&str, &str); 12] = [
    ("upper", "upper"),
    ("lower", "lower"),
    ("ltrim", "ltrim"),
    ("rtrim", "rtrim"),
    ("trim", "trim"),
    ("replace", "replace"),
    ("abs", "abs"),
    ("isnull", "ifnull"),
    ("coalesce", "coalesce"),
    ("nullif", "nullif"),
    ("min", "min"),
    ("max", "max"),
];

impl Parser<'_> {
    pub(super) fn system(&self, name: &str) -> Result<Expression, SqlFault> {
        let asks = |declared: SqlType| Expression::new(format!("ts_session({})", literal(name)), declared);
        Ok(match name {
            "VERSION" => Expression::new(
                literal(crate::support::tds_server::VERSION_TEXT),
                SqlType::NVarChar(300, Collation::DEFAULT),
            ),
            "SERVERNAME" => Expression::new("'TESTSRV'", SqlType::NAME),
            "LANGUAGE" => Expression::new("'us_english'", SqlType::NAME),
            "SPID" => Expression::new(self.facts.spid.to_string(), SqlType::SmallInt),
            "TRANCOUNT" | "ROWCOUNT" | "ERROR" | "FETCH_STATUS" => asks(SqlType::Int),
            "IDENTITY" => asks(SqlType::Numeric(38, 0)),
            "DBTS" => asks(SqlType::VarBinary(8)),
            "LOCK_TIMEOUT" => asks(SqlType::Int),
            "MAX_PRECISION" => Expression::new("38", SqlType::TinyInt),
            "OPTIONS" => Expression::new("5496", SqlType::Int),
            "DATEFIRST" => Expression::new("7", SqlType::TinyInt),
            "TEXTSIZE" => Expression::new("2147483647", SqlType::Int),
            "MICROSOFTVERSION" => Expression::new("268437456", SqlType::Int),
            _ => return Err(SqlFault::new(137, format!("Must declare the scalar variable \"@@{name}\"."))),
        })
    }

    /// A call, its name read.
    pub(super) fn call(&mut self, parts: &[String]) -> Result<Expression, SqlFault> {
        let name = parts.last().map(|name| name.to_ascii_lowercase()).unwrap_or_default();
        if is_without_parentheses(&name) && !self.sees_sign("(") {
            return Ok(match name.as_str() {
                "current_timestamp" => now(SqlType::DateTime),
                _ => Expression::new(literal(&self.facts.user), SqlType::NAME),
            });
        }
        self.expect_sign("(")?;
        match name.as_str() {
            "cast" | "try_cast" => {
                let value = self.expression()?;
                self.expect("as")?;
                let declared = self.declared()?;
                self.expect_sign(")")?;
                self.note_type(&value, declared);
                return Ok(Expression::new(turned(&value, &declared, &name), declared));
            }
            "convert" | "try_convert" => {
                let declared = self.declared()?;
                self.expect_sign(",")?;
                let value = self.expression()?;
                let style = if self.takes_sign(",") { Some(self.expression()?.sql) } else { None };
                self.expect_sign(")")?;
                self.note_type(&value, declared);
                let is = |family: Family| value.declared.is_some_and(|from| from.family() == family);
                return Ok(match style {
                    Some(style) if is(Family::Bytes) || declared.family() == Family::Bytes => {
                        let sql = format!("ts_hex({}, {style}, {})", value.sql, literal(&declared.to_string()));
                        Expression::new(sql, declared)
                    }
                    Some(style) if is(Family::Temporal) && declared.family() == Family::Text => {
                        let written = Expression::new(format!("ts_style({}, {style})", value.sql), SqlType::TEXT);
                        Expression::new(turned(&written, &declared, &name), declared)
                    }
                    _ => Expression::new(turned(&value, &declared, &name), declared),
                });
            }
            "count" | "count_big" => {
                let declared = if name == "count" { SqlType::Int } else { SqlType::BigInt };
                if self.takes_sign("*") {
                    self.expect_sign(")")?;
                    return self.over(Expression::new("count(*)", declared));
                }
                let distinct = if self.takes("distinct") { "DISTINCT " } else { "" };
                let value = self.expression()?;
                self.expect_sign(")")?;
                return self.over(Expression::new(format!("count({distinct}{})", value.sql), declared));
            }
            "dateadd" | "datediff" | "datediff_big" | "datepart" | "datename" => return self.of_date_part(&name),
            _ => {}
        }
        let mut arguments = Vec::new();
        while !self.takes_sign(")") {
            arguments.push(self.expression()?);
            if !self.sees_sign(")") {
                self.expect_sign(",")?;
            }
        }
        let made = self.scalar(&name, &arguments).ok_or_else(|| {
            SqlFault::new(195, format!("'{}' is not a recognized built-in function name.", parts.join("."))).class(15)
        })?;
        self.over(made)
    }

    /// `OVER (...)` behind a call.
    fn over(&mut self, call: Expression) -> Result<Expression, SqlFault> {
        if !self.takes("over") {
            return Ok(call);
        }
        self.expect_sign("(")?;
        let mut window = Vec::new();
        for word in ["partition", "order"] {
            if !self.takes(word) {
                continue;
            }
            self.expect("by")?;
            let mut terms = Vec::new();
            loop {
                let by = self.expression()?;
                let order =
                    by.declared.as_ref().and_then(order_of).map(|o| format!(" COLLATE {o}")).unwrap_or_default();
                let direction = if self.takes("desc") { " DESC" } else { "" };
                self.takes("asc");
                terms.push(format!("{}{order}{direction}", by.sql));
                if !self.takes_sign(",") {
                    break;
                }
            }
            window.push(format!("{word} BY {}", terms.join(", ")));
        }
        self.expect_sign(")")?;
        Ok(Expression { sql: format!("{} OVER ({})", call.sql, window.join(" ")), ..call })
    }

    fn of_date_part(&mut self, name: &str) -> Result<Expression, SqlFault> {
        let part = literal(&self.name()?.to_ascii_lowercase());
        self.expect_sign(",")?;
        let first = self.expression()?;
        let second = if self.takes_sign(",") { Some(self.expression()?) } else { None };
        self.expect_sign(")")?;
        Ok(match (name, second) {
            ("dateadd", Some(moment)) => {
                let declared = moment.declared.filter(|d| d.family() == Family::Temporal).unwrap_or(SqlType::DateTime);
                let sql = format!("ts_dateadd({part}, {}, {})", first.sql, moment.cast(&declared));
                Expression::new(Expression::new(sql, declared).cast(&declared), declared)
            }
            ("datediff" | "datediff_big", Some(until)) => {
                let declared = if name == "datediff" { SqlType::Int } else { SqlType::BigInt };
                Expression::new(format!("ts_datediff({part}, {}, {})", first.sql, until.sql), declared)
            }
            ("datepart", None) => Expression::new(format!("ts_datepart({part}, {})", first.sql), SqlType::Int),
            _ => return Err(SqlFault::new(174, format!("The {name} function is called with the wrong arguments."))),
        })
    }

    fn scalar(&self, name: &str, arguments: &[Expression]) -> Option<Expression> {
        let list = arguments.iter().map(|argument| argument.sql.as_str()).collect::<Vec<_>>().join(", ");
        let first = arguments.first().and_then(|argument| argument.declared);
        if let Some((_, here)) = SAME.iter().find(|(there, _)| *there == name) {
            let declared = if name == "coalesce" {
                arguments.iter().fold(None, |all, argument| wider(all, argument.declared))
            } else {
                first.or_else(|| arguments.get(1).and_then(|argument| argument.declared))
            };
            let declared = declared.unwrap_or(SqlType::Int);
            let ordered = ["min", "max"].contains(&name).then(|| order_of(&declared)).flatten();
            let list = ordered.map_or_else(|| list.clone(), |order| format!("{list} COLLATE {order}"));
            return Some(Expression::new(format!("{here}({list})"), declared));
        }
        let session = |what: &str, declared: SqlType| {
            let comma = if list.is_empty() { "" } else { ", " };
            Expression::new(format!("ts_session({}{comma}{list})", literal(what)), declared)
        };
        let text = SqlType::NVarChar(4000, Collation::DEFAULT);
        Some(match name {
            "getdate" => now(SqlType::DateTime),
            "getutcdate" => now(SqlType::DateTime),
            "sysdatetime" | "sysutcdatetime" => now(SqlType::DateTime2(7)),
            "sysdatetimeoffset" => now(SqlType::DateTimeOffset(7)),
            "len" => Expression::new(format!("length(rtrim({list}))"), SqlType::Int),
            "datalength" => match arguments.first()?.declared? {
                declared if declared.family() == Family::Text && declared != SqlType::Guid => {
                    let name = literal(&super::expression::name_with_collation(&declared));
                    Expression::new(
                        format!("ts_datalength({list}, {name})"),
                        if declared.bytes() < 0 { SqlType::BigInt } else { SqlType::Int },
                    )
                }
                declared if declared.family() == Family::Bytes => {
                    Expression::new(format!("length({list})"), SqlType::Int)
                }
                declared => Expression::new(declared.bytes().to_string(), SqlType::Int),
            },
            "left" => {
                Expression::new(format!("substr({}, 1, {})", arguments.first()?.sql, arguments.get(1)?.sql), first?)
            }
            "right" => {
                Expression::new(format!("substr({}, -({}))", arguments.first()?.sql, arguments.get(1)?.sql), first?)
            }
            "substring" => Expression::new(format!("substr({list})"), first?),
            "charindex" => {
                Expression::new(format!("instr({}, {})", arguments.get(1)?.sql, arguments.first()?.sql), SqlType::Int)
            }
            "concat" => {
                let parts: Vec<String> = arguments.iter().map(|a| format!("ifnull({}, '')", a.sql)).collect();
                Expression::new(format!("({})", parts.join(" || ")), text)
            }
            "iif" => {
                let declared = wider(arguments.get(1)?.declared, arguments.get(2)?.declared)?;
                Expression::new(format!("iif({list})"), declared)
            }
            "sum" => match first? {
                declared if declared.family() == Family::Exact => {
                    let scale = declared.digits().1;
                    Expression::new(
                        format!("ts_sum({list})"),
                        if scale == 4 { declared } else { SqlType::Decimal(38, scale) },
                    )
                }
                declared => Expression::new(format!("sum({list})"), declared),
            },
            "avg" => Expression::new(format!("avg({list})"), SqlType::Float),
            "row_number" | "rank" | "dense_rank" => Expression::new(format!("{name}()"), SqlType::BigInt),
            "year" | "month" | "day" => {
                Expression::new(format!("ts_datepart({}, {list})", literal(name)), SqlType::Int)
            }
            "newid" => Expression::new("ts_newid()", SqlType::Guid),
            "db_name" => Expression::new(literal(&self.facts.database), SqlType::NAME),
            "db_id" if arguments.is_empty() => Expression::new("5", SqlType::SmallInt),
            "db_id" => session(name, SqlType::SmallInt),
            "suser_sname" | "suser_name" | "original_login" | "user_name" => {
                Expression::new(literal(&self.facts.user), SqlType::NAME)
            }
            "app_name" => Expression::new(literal(&self.facts.application), SqlType::NAME),
            "host_name" => Expression::new(literal(&self.facts.host), SqlType::NAME),
            "is_srvrolemember" | "is_member" | "is_rolemember" => Expression::new("0", SqlType::Int),
            "serverproperty" | "databasepropertyex" | "connectionproperty" => session(name, SqlType::Variant),
            "has_perms_by_name" | "object_id" | "schema_id" | "type_id" | "columnproperty" | "objectproperty"
            | "objectpropertyex" | "col_length" | "collationproperty" | "xact_state" | "has_dbaccess"
            | "applock_test" => session(name, SqlType::Int),
            "object_name" | "object_schema_name" | "schema_name" | "type_name" | "col_name" | "quotename" => {
                session(name, SqlType::NAME)
            }
            "scope_identity" => session("IDENTITY", SqlType::Numeric(38, 0)),
            "ident_current" => session(name, SqlType::Numeric(38, 0)),
            "min_active_rowversion" => session(name, SqlType::Binary(8)),
            "change_tracking_current_version" if self.schema.tracking => {
                Expression::new("(SELECT current FROM \"ct$state\")", SqlType::BigInt)
            }
            "change_tracking_current_version" => Expression::new("NULL", SqlType::BigInt),
            "change_tracking_min_valid_version" => {
                Expression::new(format!("(SELECT version FROM \"ct$valid\" WHERE id = ({list}))"), SqlType::BigInt)
            }
            "fn_cdc_get_max_lsn" => {
                Expression::new("(SELECT ts_lsn(current, 1) FROM \"ct$state\" WHERE current > 0)", SqlType::Binary(10))
            }
            "fn_cdc_get_min_lsn" => {
                let found = format!("SELECT lsn FROM \"cdc$valid\" WHERE instance = ({list}) COLLATE NOCASE");
                Expression::new(format!("ifnull(({found}), zeroblob(10))"), SqlType::Binary(10))
            }
            "fn_cdc_increment_lsn" => Expression::new(format!("ts_lsn_step({list}, 1)"), SqlType::Binary(10)),
            "fn_cdc_decrement_lsn" => Expression::new(format!("ts_lsn_step({list}, -1)"), SqlType::Binary(10)),
            "fn_cdc_map_lsn_to_time" => {
                let found = format!("SELECT tran_end_time FROM \"cdc.lsn_time_mapping\" WHERE start_lsn = ({list})");
                Expression::new(format!("({found})"), SqlType::DateTime)
            }
            "fn_varbintohexstr" => {
                Expression::new(format!("('0x' || lower(hex({list})))"), SqlType::NVarChar(MAX, Collation::DEFAULT))
            }
            "error_message" => session(name, text),
            "error_number" => session(name, SqlType::Int),
            "round" => Expression::new(format!("ts_round({list})"), first?),
            "floor" | "ceiling" => {
                Expression::new(format!("{}({list})", if name == "floor" { "floor" } else { "ceil" }), first?)
            }
            "char" | "nchar" => Expression::new(format!("char({list})"), SqlType::NChar(1, Collation::DEFAULT)),
            "unicode" | "ascii" => Expression::new(format!("unicode({list})"), SqlType::Int),
            "replicate" => Expression::new(format!("ts_replicate({list})"), text_of(first?)),
            _ => return None,
        })
    }
}

/// Text of any length.
fn text_of(declared: SqlType) -> SqlType {
    let collation = declared.collation().unwrap_or(Collation::DEFAULT);
    if declared.is_wide() { SqlType::NVarChar(MAX, collation) } else { SqlType::VarChar(MAX, collation) }
}

fn now(declared: SqlType) -> Expression {
    Expression::new(Expression::new("ts_now()", declared).cast(&declared), declared)
}

fn turned(value: &Expression, declared: &SqlType, by: &str) -> String {
    let tries = by.starts_with("try_");
    let cast = value.cast(declared);
    if tries { cast.replacen("ts_cast(", "ts_try_cast(", 1) } else { cast }
}
