//! Statements as people write them: with names in the place of values.

use super::Dialect;

/// A statement with `:name` where a value is bound. Names in texts, quoted identifiers and comments are none, nor is `::`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedSql {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Name(String),
}

/// Why a text is no statement with names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NamedSqlFault {
    /// A quote or comment has no end.
    #[error("what begins with {opening} at byte {offset} has no end")]
    Open {
        /// What begins it.
        opening: &'static str,
        /// Where.
        offset: usize,
    },
    /// A placeholder without a name.
    #[error("`?` at byte {offset} has no name; write `:name` for a value that is bound")]
    Nameless {
        /// Where.
        offset: usize,
    },
    /// More than one statement.
    #[error("a `;` at byte {offset} ends the statement before its text ends; write one statement")]
    Several {
        /// Where.
        offset: usize,
    },
}

impl NamedSql {
    /// Reads one statement. A `;` at its very end is left out.
    pub fn parse(text: &str) -> Result<NamedSql, NamedSqlFault> {
        let bytes = text.as_bytes();
        let (mut pieces, mut from, mut at) = (Vec::new(), 0, 0);
        while let Some(byte) = bytes.get(at) {
            let rest = &text[at..];
            match byte {
                b'\'' => at += skip(rest, "'", "'", at)?,
                b'"' => at += skip(rest, "\"", "\"", at)?,
                b'`' => at += skip(rest, "`", "`", at)?,
                b'[' => at += skip(rest, "[", "]", at)?,
                b'/' if rest.starts_with("/*") => at += skip(rest, "/*", "*/", at)?,
                b'-' if rest.starts_with("--") => at += rest.find('\n').unwrap_or(rest.len()),
                b':' if rest.starts_with("::") => at += 2,
                b':' => {
                    let name = name_at(&rest[1..]);
                    if name.is_empty() {
                        at += 1;
                        continue;
                    }
                    pieces.push(Piece::Text(text[from..at].to_owned()));
                    pieces.push(Piece::Name(name.to_owned()));
                    at += 1 + name.len();
                    from = at;
                }
                b'?' => return Err(NamedSqlFault::Nameless { offset: at }),
                b';' if rest[1..].trim().is_empty() => {
                    pieces.push(Piece::Text(text[from..at].to_owned()));
                    return Ok(NamedSql { pieces });
                }
                b';' => return Err(NamedSqlFault::Several { offset: at }),
                _ => at += 1,
            }
        }
        pieces.push(Piece::Text(text[from..].to_owned()));
        Ok(NamedSql { pieces })
    }

    /// The names, in the order of their places; one that is used twice comes twice.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Name(name) => Some(name.as_str()),
            Piece::Text(_) => None,
        })
    }

    /// The statement with the placeholders of a dialect, one a place: values are bound in the order of
    /// [`NamedSql::names`].
    pub fn written(&self, dialect: Dialect) -> String {
        let (mut out, mut place) = (String::new(), 0);
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Name(_) => {
                    place += 1;
                    out.push_str(&dialect.placeholder(place));
                }
            }
        }
        out
    }
}

/// How many bytes what is quoted has, both quotes included. Of quotes that are alike, one twice inside is skipped as two
/// quoted parts; a closing bracket twice stands for itself.
fn skip(rest: &str, opening: &'static str, closing: &str, offset: usize) -> Result<usize, NamedSqlFault> {
    let mut length = opening.len();
    loop {
        let inner = rest.get(length..).unwrap_or_default();
        let end = inner.find(closing).ok_or(NamedSqlFault::Open { opening, offset })?;
        length += end + closing.len();
        if closing != "]" || !rest[length..].starts_with(closing) {
            return Ok(length);
        }
        length += closing.len();
    }
}

fn name_at(text: &str) -> &str {
    let is_first = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    let bytes = text.as_bytes();
    if !bytes.first().is_some_and(|byte| is_first(*byte)) {
        return "";
    }
    let end = bytes.iter().position(|byte| !is_first(*byte) && !byte.is_ascii_digit()).unwrap_or(bytes.len());
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bound_where_they_are_names() {
        let text = "select a::int, ':no', \"c:d\", [x:y] -- :none\n from t /* :nor */ where k = :key and (b > :key or c = :_2);";
        let sql = NamedSql::parse(text).unwrap();
        assert_eq!(sql.names().collect::<Vec<_>>(), ["key", "key", "_2"]);
        assert_eq!(
            sql.written(Dialect::Generic),
            "select a::int, ':no', \"c:d\", [x:y] -- :none\n from t /* :nor */ where k = ? and (b > ? or c = ?)"
        );
    }

    #[test]
    fn what_is_no_single_statement_is_told() {
        let fault = |text: &str| NamedSql::parse(text).unwrap_err();
        assert_eq!(fault("select 'a"), NamedSqlFault::Open { opening: "'", offset: 7 });
        assert_eq!(fault("select ?"), NamedSqlFault::Nameless { offset: 7 });
        assert_eq!(fault("select 1; drop table t"), NamedSqlFault::Several { offset: 8 });
        assert_eq!(NamedSql::parse("select 'it''s :x'").unwrap().names().count(), 0);
        assert_eq!(NamedSql::parse("select [a]]:b] from t where c = :d").unwrap().names().collect::<Vec<_>>(), ["d"]);
    }
}
