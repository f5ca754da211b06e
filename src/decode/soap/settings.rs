//! How answers of an operation are read.

use encoding_rs::Encoding;

use super::numbers::Numbers;

/// What a person wrote of it.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The WSDL's file, as it was written.
    pub wsdl: String,
    /// The operation's name.
    pub operation: String,
    /// Which elements are records, like `/ListOrdersResponse/Orders/Order`; without it the whole answer is one. A path that
    /// goes on below an element with text leads through the XML that the text is.
    pub record_path: Option<String>,
    /// Prefix = namespace, for the path.
    pub namespaces: Vec<(String, String)>,
    /// What the schema does not allow rejects its record. Else it is taken where it can be, and counted.
    pub strict: bool,
    /// How numbers are written that a double may not hold.
    pub numbers: Numbers,
    /// A type that does nothing but hold a list is the list: `"Lines":[…]` for `"Lines":{"Line":[…]}`.
    pub unwrap_lists: bool,
    /// Adds `_choice`, the order in which elements came, where the schema leaves that open.
    pub choice: bool,
    /// Keeps elements that the schema does not have, as `_extra`.
    pub extra: bool,
    /// The encoding, where what the answer says of itself is wrong.
    pub encoding: Option<&'static Encoding>,
}

impl Settings {
    /// With everything else at its default.
    pub fn new(wsdl: String, operation: String) -> Settings {
        Settings { wsdl, operation, ..Settings::default() }
    }
}
