//! The string that tells the driver manager whom to connect to: `Driver=...;Server=...;Database=...`.
//!
//! Its rules: pairs are separated by `;`, a value that begins with `{` ends at a single `}`, and `}}` inside is one `}`
//! (Microsoft, ODBC Programmer's Reference, `SQLDriverConnect`). Of a key that comes twice the first one counts.

/// A connection string, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionString {
    pairs: Vec<(String, String)>,
}

/// Keys whose values are secrets, in lower case.
const SECRETS: [&str; 8] =
    ["pwd", "password", "pass", "passwd", "passphrase", "accesstoken", "sslpassword", "newpassword"];

impl ConnectionString {
    /// Takes it apart; answers what is wrong with it in one sentence.
    pub fn parse(text: &str) -> Result<ConnectionString, String> {
        let (mut pairs, mut rest) = (Vec::new(), text.trim_start());
        while !rest.is_empty() {
            if let Some(next) = rest.strip_prefix(';') {
                rest = next.trim_start();
                continue;
            }
            let Some((key, after)) = rest.split_once('=') else {
                return Err("every part is written `Key=value`, and the last one here has no `=`".to_owned());
            };
            let key = key.trim();
            if key.is_empty() || key.contains([';', '{', '}']) {
                return Err("every part is written `Key=value`, with `;` between the parts".to_owned());
            }
            let (value, next) = value_at(after.trim_start()).map_err(|fault| format!("`{key}`: {fault}"))?;
            pairs.push((key.to_owned(), value));
            rest = next;
        }
        Ok(ConnectionString { pairs })
    }

    /// The value of a key, whatever its case.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.pairs.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value.as_str())
    }

    /// The value of the first of some keys that is there.
    pub fn first(&self, keys: &[&str]) -> Option<&str> {
        keys.iter().find_map(|key| self.get(key))
    }

    /// The key of a secret that is written here, and its value.
    pub fn secret(&self) -> Option<(&str, &str)> {
        let is_secret = |key: &str| SECRETS.iter().any(|secret| key.eq_ignore_ascii_case(secret));
        self.pairs.iter().find(|(key, _)| is_secret(key)).map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Sets a key unless it is there already.
    pub fn default(&mut self, key: &str, value: &str) {
        if self.get(key).is_none() {
            self.pairs.push((key.to_owned(), value.to_owned()));
        }
    }

    /// Sets bits of a number that has one of some names. What is no number is left for the driver to judge. It comes first:
    /// drivers take its bits for what their single options are called, and those that come later count.
    pub fn set_bits(&mut self, names: &[&str], bits: u64) {
        let is_one = |name: &str| names.iter().any(|known| name.eq_ignore_ascii_case(known));
        match (self.pairs.iter_mut().find(|(name, _)| is_one(name)), names.first()) {
            (Some((_, value)), _) => {
                if let Ok(number) = value.trim().parse::<u64>() {
                    *value = (number | bits).to_string();
                }
            }
            (None, Some(name)) => {
                // Behind the driver or data source, which must be known before anything else is.
                let at = self.pairs.len().min(1);
                self.pairs.insert(at, ((*name).to_owned(), bits.to_string()));
            }
            (None, None) => {}
        }
    }

    /// Gives a key that is there another value.
    pub fn replace(&mut self, key: &str, value: String) {
        if let Some((_, old)) = self.pairs.iter_mut().find(|(name, _)| name.eq_ignore_ascii_case(key)) {
            *old = value;
        }
    }
}

impl std::fmt::Display for ConnectionString {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, (key, value)) in self.pairs.iter().enumerate() {
            write!(f, "{}{key}={}", if index > 0 { ";" } else { "" }, escaped(value))?;
        }
        Ok(())
    }
}

/// A value as it stands in a connection string, so that nothing in it is taken for more than a value. It stands in braces
/// only where it must, since FreeTDS takes them for a part of it. `+` and `%` are among those that must: psqlodbc decodes
/// them outside of braces.
pub(super) fn escaped(value: &str) -> String {
    let is_meant = value.contains([';', '{', '}', '=', '+', '%', '[', ']', '(', ')']) || value.trim() != value;
    if is_meant { format!("{{{}}}", value.replace('}', "}}")) } else { value.to_owned() }
}

/// A value, and what follows it.
fn value_at(text: &str) -> Result<(String, &str), &'static str> {
    let Some(inner) = text.strip_prefix('{') else {
        let end = text.find(';').unwrap_or(text.len());
        return Ok((text[..end].trim_end().to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut rest = inner;
    loop {
        let end = rest.find('}').ok_or("what begins with `{` has no `}`")?;
        value.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('}') {
            Some(next) => {
                value.push('}');
                rest = next;
            }
            None => break,
        }
    }
    let rest = rest.trim_start();
    if rest.is_empty() || rest.starts_with(';') { Ok((value, rest)) } else { Err("after `}` comes `;` or the end") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_keep_what_would_separate() {
        let string = ConnectionString::parse("Driver={PostgreSQL Unicode}; Server = db ;UID={a;b}}c};Empty=;").unwrap();
        assert_eq!(string.get("driver"), Some("PostgreSQL Unicode"));
        assert_eq!(string.get("server"), Some("db"));
        assert_eq!(string.get("uid"), Some("a;b}c"));
        assert_eq!(string.get("empty"), Some(""));
        assert_eq!(string.to_string(), "Driver=PostgreSQL Unicode;Server=db;UID={a;b}}c};Empty=");
    }

    #[test]
    fn bits_are_set_besides_those_of_the_user() {
        for (written, expected) in [
            ("Driver=x;Server=y", "Driver=x;OPTION=2;Server=y"),
            ("Driver=x;options=9", "Driver=x;options=11"),
            ("Driver=x;Option=many", "Driver=x;Option=many"),
        ] {
            let mut string = ConnectionString::parse(written).unwrap();
            string.set_bits(&["OPTION", "OPTIONS"], 2);
            assert_eq!(string.to_string(), expected);
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for value in ["", "plain", "p+w", "a=b;c", "}", "{", "{x}", " blank ", "100%", "ä;€", "}}", "a\"b'"] {
            let string = ConnectionString::parse(&format!("Key={};Next=1", escaped(value))).unwrap();
            assert_eq!((string.get("key"), string.get("next")), (Some(value), Some("1")), "{value}");
        }
    }

    #[test]
    fn faults_and_secrets_are_found() {
        assert!(ConnectionString::parse("Driver").unwrap_err().contains('='));
        assert!(ConnectionString::parse("Driver={x").unwrap_err().contains('}'));
        assert!(ConnectionString::parse("Driver={x}y").is_err());
        let string = ConnectionString::parse("DSN=old;Pwd={s;3}").unwrap();
        assert_eq!(string.secret(), Some(("Pwd", "s;3")));
    }
}
