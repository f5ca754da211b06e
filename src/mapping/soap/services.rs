//! What the configuration's services say of themselves, as far as mappings need it.

use std::sync::Arc;

use crate::wsdl::{Choice, Wsdl};

/// The SOAP services of the configuration, by backend.
pub trait Services {
    /// What is known of a backend.
    fn wsdl(&self, backend: &str) -> ServiceWsdl;
}

/// What is known of a backend's WSDL.
#[derive(Clone, Debug)]
pub enum ServiceWsdl {
    /// There is no such backend, or it is no SOAP service: whoever puts the mapping together with it says so.
    Unknown,
    /// It names none.
    None,
    /// It cannot be read, for this reason.
    Unreadable(String),
    /// It was read.
    Read {
        /// It.
        wsdl: Arc<Wsdl>,
        /// Of all that it was made of.
        hash: Arc<str>,
        /// Which of its ports is called; of its SOAPs the one that is spoken where it has both.
        choice: Choice,
    },
}

/// There are no services.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoServices;

impl Services for NoServices {
    fn wsdl(&self, _: &str) -> ServiceWsdl {
        ServiceWsdl::Unknown
    }
}
