//! Where a document is, and where a reference in it leads. A file's place is its path below the folder of the WSDL, so
//! that nothing depends on where that folder lies.

use std::fmt;

/// The place of a document.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Location {
    /// A file: its path below the folder of the WSDL, with `/` between names and without `.` and `..`.
    File(String),
    /// A document of the web: `http` or `https`, without a fragment.
    Url(String),
}

/// Why a reference leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::wsdl) enum NoPlace {
    /// It leads out of the folder, or from the web to a file.
    Outside,
    /// It is of a kind that is not read (`ftp:`, `jar:`, …).
    Scheme(String),
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::File(text) | Location::Url(text) => f.write_str(text),
        }
    }
}

impl Location {
    /// The document of the web at an address; `None` when it is not `http` or `https`.
    pub fn url(address: &str) -> Option<Location> {
        let (scheme, rest) = address.trim().split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        if !matches!(scheme.as_str(), "http" | "https") {
            return None;
        }
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        // A name before the host would say who is asking.
        if authority.is_empty() || authority.contains('@') || authority.contains(char::is_whitespace) {
            return None;
        }
        let slash = if path.starts_with('/') { "" } else { "/" };
        Some(Location::Url(format!("{scheme}://{}{slash}{path}", authority.to_ascii_lowercase())))
    }

    /// The host with its port where it says one; `None` for files.
    pub fn authority(&self) -> Option<&str> {
        let Location::Url(url) = self else { return None };
        url.split_once("://")?.1.split(['/', '?']).next()
    }

    /// Where a reference in this document leads.
    pub(in crate::wsdl) fn join(&self, reference: &str) -> Result<Location, NoPlace> {
        let reference = reference.trim().split('#').next().unwrap_or_default();
        if let Some((scheme, _)) = reference.split_once("://").filter(|(scheme, _)| is_scheme(scheme)) {
            return match Location::url(reference) {
                Some(location) => Ok(location),
                None if scheme.eq_ignore_ascii_case("file") => Err(NoPlace::Outside),
                None => Err(NoPlace::Scheme(scheme.to_owned())),
            };
        }
        // A drive's letter is no scheme.
        if let Some((scheme, _)) = reference.split_once(':').filter(|(scheme, _)| scheme.len() > 1 && is_scheme(scheme))
        {
            return Err(NoPlace::Scheme(scheme.to_owned()));
        }
        match self {
            Location::File(path) => {
                let reference = percent_encoding::percent_decode_str(reference).decode_utf8_lossy().replace('\\', "/");
                let is_absolute = reference.starts_with('/') || reference.as_bytes().get(1) == Some(&b':');
                if is_absolute || reference.contains('\0') {
                    return Err(NoPlace::Outside);
                }
                let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
                Ok(Location::File(normalized(folder, &reference).ok_or(NoPlace::Outside)?))
            }
            Location::Url(url) => {
                let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
                if let Some(other) = reference.strip_prefix("//") {
                    return Location::url(&format!("{scheme}://{other}")).ok_or(NoPlace::Outside);
                }
                let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                let path = path.split('?').next().unwrap_or_default();
                let (target, query) = match reference.split_once('?') {
                    Some((target, query)) => (target, format!("?{query}")),
                    None => (reference, String::new()),
                };
                let target = match target {
                    "" => path.trim_start_matches('/').to_owned(),
                    // What leads above the root stays at the root (RFC 3986, 5.2.4).
                    _ if target.starts_with('/') => clamped("", target),
                    _ => clamped(path.rsplit_once('/').map_or("", |(folder, _)| folder), target),
                };
                Ok(Location::Url(format!("{scheme}://{authority}/{target}{query}")))
            }
        }
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

/// A path below a folder, without `.` and `..`; `None` when it leads out.
fn normalized(folder: &str, path: &str) -> Option<String> {
    let (names, leads_out) = names(folder, path);
    (!names.is_empty() && !leads_out).then(|| names.join("/"))
}

/// The same, where what leads out stays at the root.
fn clamped(folder: &str, path: &str) -> String {
    names(folder, path).0.join("/")
}

/// The names on a path below a folder, and whether it led out on the way.
fn names<'p>(folder: &'p str, path: &'p str) -> (Vec<&'p str>, bool) {
    let (mut names, mut leads_out) = (Vec::new(), false);
    for name in folder.split('/').chain(path.split('/')) {
        match name {
            "" | "." => {}
            ".." => leads_out |= names.pop().is_none(),
            name => names.push(name),
        }
    }
    (names, leads_out)
}

#[cfg(test)]
mod tests {
    use super::{Location, NoPlace};

    fn file(base: &str, reference: &str) -> Result<String, NoPlace> {
        Location::File(base.to_owned()).join(reference).map(|location| location.to_string())
    }

    fn url(base: &str, reference: &str) -> Result<String, NoPlace> {
        Location::url(base).unwrap().join(reference).map(|location| location.to_string())
    }

    #[test]
    fn references_in_files_stay_in_the_folder() {
        assert_eq!(file("erp.wsdl", "types.xsd"), Ok("types.xsd".to_owned()));
        assert_eq!(file("a/erp.wsdl", "../b/./types%20x.xsd#frag"), Ok("b/types x.xsd".to_owned()));
        assert_eq!(file("a/erp.wsdl", r"..\b.xsd"), Ok("b.xsd".to_owned()));
        assert_eq!(file("erp.wsdl", "http://Host.Example/x.xsd"), Ok("http://host.example/x.xsd".to_owned()));
        for outside in
            ["../x.xsd", "a/../../x.xsd", "%2e%2e/x.xsd", "/etc/passwd", "C:\\x.xsd", "file:///etc/passwd", ""]
        {
            assert_eq!(file("erp.wsdl", outside), Err(NoPlace::Outside), "{outside}");
        }
        assert_eq!(file("erp.wsdl", "ftp://h/x"), Err(NoPlace::Scheme("ftp".to_owned())));
        assert_eq!(file("erp.wsdl", "classpath:x.xsd"), Err(NoPlace::Scheme("classpath".to_owned())));
    }

    #[test]
    fn references_in_documents_of_the_web() {
        let base = "https://erp.example:8443/ws/orders?wsdl";
        assert_eq!(url(base, "orders?xsd=1"), Ok("https://erp.example:8443/ws/orders?xsd=1".to_owned()));
        assert_eq!(url(base, "?xsd=1"), Ok("https://erp.example:8443/ws/orders?xsd=1".to_owned()));
        assert_eq!(url(base, "/a/../../b.xsd"), Ok("https://erp.example:8443/b.xsd".to_owned()));
        assert_eq!(url(base, "../../x.xsd"), Ok("https://erp.example:8443/x.xsd".to_owned()));
        assert_eq!(url(base, "//other.example/x.xsd"), Ok("https://other.example/x.xsd".to_owned()));
        assert_eq!(url("http://h", "x.xsd"), Ok("http://h/x.xsd".to_owned()));
        assert_eq!(url(base, "file:///etc/passwd"), Err(NoPlace::Outside));
        assert_eq!(Location::url(base).unwrap().authority(), Some("erp.example:8443"));
        for bad in ["ftp://h/x", "http://", "http://user@h/x", "erp.wsdl", "http://a b/"] {
            assert_eq!(Location::url(bad), None, "{bad}");
        }
    }
}
