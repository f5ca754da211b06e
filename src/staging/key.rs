//! Callers' keys, as stored.

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
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}
