//! The name of a resource at a version.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// `orders.v1`: a REST collection at a version. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResourceId {
    name: Arc<str>,
    version: u32,
}

/// The text is not a resource's name and version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseResourceIdError {
    /// The name breaks the rule.
    #[error("a resource's name is 1 to 48 lower-case letters, digits, `_` or `-`, and starts with a letter")]
    Name,
    /// The version is missing or no number from 1 to 9999.
    #[error("a resource is written NAME.vN with a version N from 1 to 9999, like `orders.v1`")]
    Version,
}

impl ResourceId {
    /// Checks the name: 1 to 48 of `a-z 0-9 _ -`, first a letter (it becomes part of URLs and table names).
    pub fn new(name: &str, version: u32) -> Result<ResourceId, ParseResourceIdError> {
        let valid = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-';
        let starts_well = name.as_bytes().first().is_some_and(u8::is_ascii_lowercase);
        if !starts_well || name.len() > 48 || !name.bytes().all(valid) {
            return Err(ParseResourceIdError::Name);
        }
        if !(1..=9999).contains(&version) {
            return Err(ParseResourceIdError::Version);
        }
        Ok(ResourceId { name: name.into(), version })
    }

    /// The name without the version: `orders`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The version: `1`.
    pub fn version(&self) -> u32 {
        self.version
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.v{}", self.name, self.version)
    }
}

impl fmt::Debug for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ResourceId {
    type Err = ParseResourceIdError;

    fn from_str(text: &str) -> Result<ResourceId, ParseResourceIdError> {
        let (name, version) = text.rsplit_once(".v").ok_or(ParseResourceIdError::Version)?;
        ResourceId::new(name, version.parse().map_err(|_| ParseResourceIdError::Version)?)
    }
}
