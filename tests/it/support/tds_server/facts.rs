//! What the server says of itself, of its session and of what is declared, when functions ask.

use rusqlite::types::Value;

use super::engine::Vars;
use super::schema::{Schema, Table};
use super::value::cast::plain;
use super::{Shared, VERSION};

fn text(text: impl Into<String>) -> Value {
    Value::Text(text.into())
}

fn number(number: impl Into<i64>) -> Value {
    Value::Integer(number.into())
}

fn flag(flag: bool) -> Value {
    number(i64::from(flag))
}

fn named<'s>(schema: &'s Schema, name: &str) -> Option<&'s std::sync::Arc<Table>> {
    let parts: Vec<&str> = name.split('.').map(|part| part.trim_matches(['[', ']', '"'])).collect();
    let (last, before) = parts.split_last()?;
    let owner = before.last().copied().filter(|owner| !owner.is_empty()).unwrap_or("dbo");
    schema.tables.iter().find(|table| table.name.eq_ignore_ascii_case(last) && table.schema.eq_ignore_ascii_case(owner))
}

/// The same in whichever database of the server the name says.
fn known(shared: &Shared, name: &str) -> Option<std::sync::Arc<Table>> {
    let parts: Vec<&str> = name.split('.').map(|part| part.trim_matches(['[', ']', '"'])).collect();
    match parts[..] {
        [database, _, _] if !database.eq_ignore_ascii_case(&shared.settings.database) => {
            named(&shared.beside(database)?.schema(), name).cloned()
        }
        _ => named(&shared.schema(), name).cloned(),
    }
}

/// The answer to one question; NULL where there is none.
pub(crate) fn answer(name: &str, arguments: &[Value], shared: &Shared, vars: &Vars) -> Value {
    let schema = shared.schema();
    let word = |at: usize| arguments.get(at).map(plain).unwrap_or_default();
    let by_id = |at: usize| match arguments.get(at) {
        Some(Value::Integer(id)) => schema.by_id(i32::try_from(*id).unwrap_or(0)).cloned(),
        _ => None,
    };
    match name {
        "TRANCOUNT" => number(vars.transactions),
        "xact_state" => flag(vars.transactions > 0),
        "ROWCOUNT" => number(vars.rows as i64),
        "ERROR" | "error_number" => number(vars.error.as_ref().map_or(0, |fault| fault.number)),
        "error_message" => vars.error.as_ref().map_or(Value::Null, |fault| text(&fault.message)),
        "FETCH_STATUS" => number(-1),
        "IDENTITY" => vars.identity.map_or(Value::Null, |number| text(number.to_string())),
        "LOCK_TIMEOUT" => number(vars.lock_timeout),
        "DBTS" => Value::Blob(shared.last_rowversion().to_be_bytes().to_vec()),
        "min_active_rowversion" => Value::Blob(shared.min_active_rowversion().to_be_bytes().to_vec()),
        "current_transaction_id" => number(1),
        "object_id" => match word(0) {
            temporary if temporary.contains('#') => Value::Null,
            name => known(shared, &name).map_or(Value::Null, |table| number(table.id)),
        },
        // The number of a database; that of its own is 5.
        "db_id" if word(0).eq_ignore_ascii_case(&shared.settings.database) => number(5),
        "db_id" => shared.beside(&word(0)).map_or(Value::Null, |_| number(6)),
        "object_name" => by_id(0).map_or(Value::Null, |table| text(&table.name)),
        "object_schema_name" => by_id(0).map_or(Value::Null, |table| text(&table.schema)),
        "schema_id" => match arguments {
            [] => number(1),
            _ => schema.schema_id(&word(0)).map_or(Value::Null, number),
        },
        "schema_name" => match arguments.first() {
            None => text("dbo"),
            Some(id) => {
                let found = schema.schema_names().into_iter().find(|(known, _)| number(*known) == *id);
                found.map_or(Value::Null, |(_, name)| text(name))
            }
        },
        "type_name" => shared.type_name(&word(0)).map_or(Value::Null, text),
        "col_name" => {
            let at = word(1).parse::<usize>().unwrap_or(0);
            let column = by_id(0).and_then(|table| table.columns.get(at.wrapping_sub(1)).cloned());
            column.map_or(Value::Null, |column| text(column.column.name))
        }
        "col_length" => {
            let found = named(&schema, &word(0)).and_then(|table| table.column(&word(1)).cloned());
            found.map_or(Value::Null, |column| number(column.column.declared.bytes()))
        }
        "columnproperty" => {
            let Some(column) = by_id(0).and_then(|table| table.column(&word(1)).cloned()) else { return Value::Null };
            match word(2).to_ascii_lowercase().as_str() {
                "isidentity" => flag(column.column.identity),
                "iscomputed" => flag(column.computed.is_some()),
                "allowsnull" => flag(column.column.nullable),
                _ => Value::Null,
            }
        }
        "objectproperty" | "objectpropertyex" => match (by_id(0), word(1).to_ascii_lowercase().as_str()) {
            (Some(table), "istable" | "isusertable") => flag(table.view.is_none()),
            (Some(table), "isview") => flag(table.view.is_some()),
            (Some(table), "tablehasprimarykey") => flag(table.key().is_some()),
            _ => Value::Null,
        },
        "quotename" => text(format!("[{}]", word(0).replace(']', "]]"))),
        "has_perms_by_name" => flag(has_right(&schema, arguments)),
        "applock_test" => flag(shared.is_lockable(&word(1), vars.spid)),
        "has_dbaccess" => flag(shared.database_named(&word(0)).is_some()),
        "serverproperty" => match word(0).to_ascii_lowercase().as_str() {
            "productversion" => text(format!("nvarchar(128):{}.{}.{}.0", VERSION[0], VERSION[1], 1000)),
            "productlevel" => text("nvarchar(128):RTM"),
            "edition" => text("nvarchar(128):Developer Edition (64-bit)"),
            "engineedition" => text("int:3"),
            "collation" => text(format!("nvarchar(128):{}", super::value::collation::Collation::DEFAULT.name)),
            "servername" | "machinename" => text("nvarchar(128):TESTSRV"),
            "productmajorversion" => text(format!("nvarchar(128):{}", VERSION[0])),
            "ishadrenabled" | "isclustered" => text("int:0"),
            _ => Value::Null,
        },
        "databasepropertyex" => match word(1).to_ascii_lowercase().as_str() {
            "collation" => text(format!("nvarchar(128):{}", super::value::collation::Collation::DEFAULT.name)),
            "updateability" => text("nvarchar(128):READ_WRITE"),
            "status" => text("nvarchar(128):ONLINE"),
            "useraccess" => text("nvarchar(128):MULTI_USER"),
            _ => Value::Null,
        },
        "connectionproperty" => match word(0).to_ascii_lowercase().as_str() {
            "net_transport" => text("nvarchar(40):TCP"),
            "auth_scheme" => text("nvarchar(40):SQL"),
            _ => Value::Null,
        },
        "collationproperty" => {
            let found = super::value::collation::Collation::named(&word(0));
            match word(1).to_ascii_lowercase().as_str() {
                "codepage" => found.map_or(Value::Null, |collation| number(collation.page)),
                _ => Value::Null,
            }
        }
        _ => Value::Null,
    }
}

/// `HAS_PERMS_BY_NAME(name, class, right)`: all rights but those that tests took away, written `RIGHT`, `RIGHT ON name`
/// or, of a column, `RIGHT ON name(column)`.
fn has_right(schema: &Schema, arguments: &[Value]) -> bool {
    let word = |at: usize| arguments.get(at).map(plain).unwrap_or_default();
    let (on, right) = (word(0).replace(['[', ']'], ""), word(2));
    let denied = |missing: &String| {
        missing.eq_ignore_ascii_case(&right)
            || missing.eq_ignore_ascii_case(&format!("{right} ON {on}"))
            || missing.eq_ignore_ascii_case(&format!("{right} ON {on}({})", word(3)))
    };
    !schema.missing_rights.iter().any(denied)
}
