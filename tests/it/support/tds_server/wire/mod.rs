//! What travels: packets, the steps of a login, tokens, types and values (MS-TDS 2.2).

pub(crate) mod decode;
pub(crate) mod encode;
pub(crate) mod login;
pub(crate) mod packet;
pub(crate) mod prelogin;
pub(crate) mod read;
pub(crate) mod request;
pub(crate) mod tls;
pub(crate) mod tokens;
