//! Where something is on the web.

use hyper::header::HeaderValue;
use hyper::http::uri::Uri;

/// Where a service is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Over TLS.
    pub is_secure: bool,
    /// The host's name or address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Host and port as they are sent.
    pub authority: HeaderValue,
    /// Path and query.
    pub path: Uri,
}

impl Endpoint {
    /// Reads a URL.
    pub fn parse(text: &str) -> Result<Endpoint, String> {
        const SHAPE: &str = "write it like \"https://erp.example:8443/services/orders\"";
        let uri: Uri = text.parse().map_err(|_| format!("`{text}` is no URL; {SHAPE}"))?;
        let is_secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(format!("`{text}` is no URL of HTTP; {SHAPE}")),
        };
        let authority = uri.authority().ok_or_else(|| format!("`{text}` names no host; {SHAPE}"))?;
        if authority.as_str().contains('@') {
            return Err("an account does not belong into the URL: say it by `basic` or `bearer`".to_owned());
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = authority.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
        let sent = HeaderValue::from_str(authority.as_str()).map_err(|_| format!("`{text}` is no URL; {SHAPE}"))?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let path = path.parse().map_err(|_| format!("`{text}` is no URL; {SHAPE}"))?;
        Ok(Endpoint { is_secure, host, port, authority: sent, path })
    }

    /// For people.
    pub fn describe(&self) -> String {
        let scheme = if self.is_secure { "https" } else { "http" };
        format!("{scheme}://{}{}", self.authority.to_str().unwrap_or(&self.host), self.path)
    }

    /// Whether it is on this machine.
    pub fn is_local(&self) -> bool {
        self.host == "localhost" || self.host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}
