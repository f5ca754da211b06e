//! What a backend is told as `:idempotency_key`.
//!
//! A key belongs to one of those who call through a client, and another of them may send the same. A backend that keeps the
//! key with a row, and is asked by it whether a write is done, must not take one caller's write for another's. So where the
//! client alone does not say who calls, the backend is told something else in the key's place: a UUID that is made of both, and
//! so is the same whenever the write is begun or asked for, has the length of the keys that most send, and is nobody else's.
//!
//! Keys of other clients, resources and operations are not told apart by it; an operation's id is.

use std::borrow::Cow;

use sha2::{Digest, Sha256};
use uuid::Builder;

use crate::mapping::{OfCaller, WriteOperation, WriteRequest};
use crate::staging::NewOperation;

/// What stands for the idempotency key of an operation at its backend.
pub(super) fn of(asked: &NewOperation) -> Cow<'_, str> {
    // What was begun when keys were the client's may be at the backend already, under the key as it was sent.
    if asked.is_of_client {
        return Cow::Borrowed(&asked.idempotency_key);
    }
    standing((&asked.client, &asked.principal), &asked.idempotency_key)
}

/// What stands for a caller's key: of a client, and who of it.
fn standing<'k>((client, principal): (&str, &str), idempotency_key: &'k str) -> Cow<'k, str> {
    if principal == client {
        return Cow::Borrowed(idempotency_key);
    }
    let mut digest = Sha256::new();
    // No principal has the character that stands between.
    digest.update(principal.as_bytes());
    digest.update([0]);
    digest.update(idempotency_key.as_bytes());
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(digest.finalize()).for_each(|(byte, own)| *byte = own);
    Cow::Owned(Builder::from_custom_bytes(bytes).into_uuid().to_string())
}

/// What a backend does not take of a caller, whatever the body says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// The idempotency key as it was sent.
    #[error("the backend is told the `Idempotency-Key` and takes {0}, which this one is not; nothing was begun")]
    Key(String),
    /// What stands for the key.
    #[error(
        "the backend is told a UUID in place of the `Idempotency-Key`, since several callers share the client, and takes {0}, \
         which no UUID is; nothing was begun"
    )]
    Standing(String),
    /// The client's name.
    #[error("the backend is told the client's name and takes {0}, which this client's is not; nothing was begun")]
    Client(String),
}

/// What the backend of a write does not take of its caller: a client, and who of it, with a key.
pub(super) fn refused(
    write: &WriteOperation,
    request: &WriteRequest,
    caller: (&str, &str),
    idempotency_key: &str,
) -> Option<NotTaken> {
    let standing = standing(caller, idempotency_key);
    let (of, wanted) = write.refuses(request, &standing, caller.0)?;
    Some(match (of, standing) {
        (OfCaller::Client, _) => NotTaken::Client(wanted),
        (OfCaller::IdempotencyKey, Cow::Borrowed(_)) => NotTaken::Key(wanted),
        (OfCaller::IdempotencyKey, Cow::Owned(_)) => NotTaken::Standing(wanted),
    })
}

#[cfg(test)]
mod tests {
    use super::of;
    use crate::record::ContentHash;
    use crate::staging::NewOperation;

    fn asked(principal: &str, key: &str) -> NewOperation {
        NewOperation {
            resource: "orders.v1".parse().unwrap(),
            name: "create".to_owned(),
            client: "web".to_owned(),
            principal: principal.to_owned(),
            is_of_client: false,
            caller: "k1".to_owned(),
            idempotency_key: key.to_owned(),
            request_hash: ContentHash::of(b"{}"),
            record_key: None,
            condition: None,
            within: None,
            request: "{}".to_owned(),
            backend: "erp".to_owned(),
            mapping: "m".to_owned(),
            is_parked: false,
        }
    }

    #[test]
    fn keys_of_those_who_share_a_client_are_told_apart() {
        assert_eq!(of(&asked("web", "1")), "1");
        let (a, b) = (asked("web\na", "1"), asked("web\nb", "1"));
        assert_ne!(of(&a), of(&b));
        assert_ne!(of(&a), of(&asked("web\na", "2")));
        // Nor do a name and a key that are cut elsewhere make the same.
        assert_ne!(of(&asked("web\na", "1")), of(&asked("web\na1", "")));
        // It stays the same for ever: it is at backends. A UUID of version 8 (RFC 9562), whatever the key's length.
        assert_eq!(of(&a), of(&asked("web\na", "1")));
        assert_eq!(of(&a), "98a92d3b-4e89-8dd0-b2f7-7a625f71963a");
        assert_eq!(of(&asked("web\na", &"k".repeat(255))).len(), 36);
        // What was begun before goes on as it was.
        assert_eq!(of(&NewOperation { is_of_client: true, ..a }), "1");
    }
}
