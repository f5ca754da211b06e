//! Schemas of standards that WSDLs refer to and that nobody should have to fetch: the parts of them that occur in
//! messages, written anew from the standards. What XML Schema and SOAP's encoding declare is known to the compiler itself.

/// WSDL 1.1.
pub(in crate::wsdl) const WSDL: &str = "http://schemas.xmlsoap.org/wsdl/";
/// XML Schema 1.0.
pub(in crate::wsdl) const XSD: &str = "http://www.w3.org/2001/XMLSchema";
/// What instances of schemas say of themselves.
pub(in crate::wsdl) const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";
/// The prefix `xml`.
pub(in crate::wsdl) const XML: &str = "http://www.w3.org/XML/1998/namespace";
/// WSDL's binding for SOAP 1.1.
pub(in crate::wsdl) const SOAP_11: &str = "http://schemas.xmlsoap.org/wsdl/soap/";
/// WSDL's binding for SOAP 1.2.
pub(in crate::wsdl) const SOAP_12: &str = "http://schemas.xmlsoap.org/wsdl/soap12/";
/// WSDL's binding for parts of MIME.
pub(in crate::wsdl) const MIME: &str = "http://schemas.xmlsoap.org/wsdl/mime/";
/// Apache's XML-SOAP, whose `Map` PHP and Axis send.
pub(in crate::wsdl) const APACHE: &str = "http://xml.apache.org/xml-soap";

/// The encodings of SOAP.
pub(in crate::wsdl) const ENCODINGS: [&str; 2] =
    ["http://schemas.xmlsoap.org/soap/encoding/", "http://www.w3.org/2003/05/soap-encoding"];

/// Namespace, and what it declares.
pub(in crate::wsdl) static SCHEMAS: &[(&str, &str)] = &[
    (XML, include_str!("well_known/xml.xsd")),
    ("http://schemas.xmlsoap.org/soap/envelope/", include_str!("well_known/soap11.xsd")),
    ("http://www.w3.org/2003/05/soap-envelope", include_str!("well_known/soap12.xsd")),
    ("http://www.w3.org/2005/05/xmlmime", include_str!("well_known/xmlmime.xsd")),
    ("http://www.w3.org/2004/11/xmlmime", include_str!("well_known/xmlmime.xsd")),
    ("http://www.w3.org/2004/08/xop/include", include_str!("well_known/xop.xsd")),
    ("http://www.w3.org/2005/08/addressing", include_str!("well_known/addressing.xsd")),
    ("http://schemas.xmlsoap.org/ws/2004/08/addressing", include_str!("well_known/addressing.xsd")),
    (
        "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd",
        include_str!("well_known/wsse.xsd"),
    ),
    (
        "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd",
        include_str!("well_known/wsu.xsd"),
    ),
    ("http://schemas.microsoft.com/2003/10/Serialization/", include_str!("well_known/ms_serialization.xsd")),
    ("http://microsoft.com/wsdl/types/", include_str!("well_known/ms_types.xsd")),
];

/// Whether a namespace is built in.
pub(in crate::wsdl) fn is_well_known(uri: &str) -> bool {
    uri == XSD || uri == XSI || uri == APACHE || ENCODINGS.contains(&uri) || SCHEMAS.iter().any(|(own, _)| *own == uri)
}
