//! Callers' keys, as stored.

use std::collections::BTreeMap;

use jiff::Timestamp;

/// A key to store. The secret itself is never here.
#[derive(Clone, Debug)]
pub struct NewApiKey {
    /// Public id, part of the key's text.
    pub id: String,
    /// Whose it is.
    pub name: String,
    /// SHA-256 of the whole key text.
    pub hash: [u8; 32],
    /// What it may do; `*` is all.
    pub scopes: Vec<String>,
    /// What is known of its bearer beside: rows may be bounded by it.
    pub claims: BTreeMap<String, String>,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
}

/// A stored key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Public id.
    pub id: String,
    /// Whose it is.
    pub name: String,
    /// What it may do; `*` is all.
    pub scopes: Vec<String>,
    /// What is known of its bearer beside.
    pub claims: BTreeMap<String, String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// When it ends, or has ended.
    pub expires_at: Option<Timestamp>,
    /// When it was used last, a minute more or less.
    pub last_used_at: Option<Timestamp>,
    /// The id of the key that was made in its place.
    pub replaced_by: Option<String>,
}

impl ApiKey {
    /// Whether it may be used at a moment.
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}
