//! Statements as this server wants them.

/// The statement with `@P1`, `@P2`, ... in the place of `?`. `narrow` says of which of them the column is `varchar`: text
/// travels as `nvarchar`, and a column that has to be turned into that cannot be found by its index.
pub(super) fn numbered(sql: &str, narrow: &[bool]) -> String {
    let mut out = String::with_capacity(sql.len() + 16);
    let (mut rest, mut number) = (sql, 0);
    while let Some(at) = rest.find(['?', '\'', '"', '[', '-', '/']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let length = if rest.starts_with('?') {
            number += 1;
            match narrow.get(number - 1) {
                Some(true) => out.push_str(&format!("CAST(@P{number} AS varchar(8000))")),
                _ => out.push_str(&format!("@P{number}")),
            }
            rest = &rest[1..];
            continue;
        } else if rest.starts_with("--") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            comment(rest)
        } else if let Some(quote @ (b'\'' | b'"')) = rest.bytes().next() {
            // One that is doubled ends a part and begins the next.
            rest[1..].find(char::from(quote)).map_or(rest.len(), |end| end + 2)
        } else if rest.starts_with('[') {
            bracketed(rest)
        } else {
            1
        };
        out.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    out.push_str(rest);
    out
}

/// How long a name in brackets is; `]]` is one of its characters.
fn bracketed(text: &str) -> usize {
    let mut at = 1;
    while let Some(end) = text[at..].find(']') {
        at += end + 1;
        if !text[at..].starts_with(']') {
            return at;
        }
        at += 1;
    }
    text.len()
}

/// How long a comment is; here they nest.
fn comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    let bytes = text.as_bytes();
    while at < bytes.len() {
        match bytes.get(at..at + 2) {
            Some(b"/*") => {
                depth += 1;
                at += 2;
            }
            Some(b"*/") => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    text.len()
}

/// A text as it is written in SQL.
pub(super) fn quoted(text: &str) -> String {
    format!("N'{}'", text.replace('\'', "''"))
}

/// The statement, with the types of its result as they are to travel (`WITH RESULT SETS`, SQL Server 2012).
pub(super) fn retyped(sql: &str, declarations: &str, parameters: usize, types: &str) -> String {
    let mut out = format!("EXEC sp_executesql {}", quoted(sql));
    if parameters > 0 {
        out.push_str(", ");
        out.push_str(&quoted(declarations));
        for number in 1..=parameters {
            out.push_str(&format!(", @P{number}"));
        }
    }
    out.push_str(&format!(" WITH RESULT SETS (({types}))"));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_numbered_where_they_are_some() {
        let sql =
            "SELECT '?', \"?\", [a?]]?], a-?, b/? -- ?\n/* ? /* ? */ ? */ FROM t WHERE x = ? AND y = 'it''s ?' AND z=?";
        assert_eq!(
            numbered(sql, &[false, false, true]),
            "SELECT '?', \"?\", [a?]]?], a-@P1, b/@P2 -- ?\n/* ? /* ? */ ? */ FROM t WHERE x = CAST(@P3 AS varchar(8000)) \
             AND y = 'it''s ?' AND z=@P4"
        );
        for open in ["'?", "[?", "/* ?", "-- ?", "\"?", "?"] {
            let _ = numbered(open, &[]);
        }
    }

    #[test]
    fn a_statement_is_quoted_whole() {
        assert_eq!(
            retyped("SELECT 'a', @P1", "@P1 bigint", 1, "[c1] int NULL"),
            "EXEC sp_executesql N'SELECT ''a'', @P1', N'@P1 bigint', @P1 WITH RESULT SETS (([c1] int NULL))"
        );
        assert_eq!(retyped("SELECT 1", "", 0, "x"), "EXEC sp_executesql N'SELECT 1' WITH RESULT SETS ((x))");
    }
}
