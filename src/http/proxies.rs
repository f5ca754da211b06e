//! Whose request it is where proxies stand in between.
//!
//! What a request says of its way is worth as much as who said it. Only proxies that the configuration names are believed,
//! and of what they say only the part that they have written themselves: the list is read from its right end, where the
//! nearest proxy has put whom it talked to, and no further than to the first address that is none of ours.

use std::net::IpAddr;

use hyper::header::{FORWARDED, HeaderMap, HeaderName};

use crate::diagnostic::Node;

/// What proxies without a standard write.
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The field that trusted proxies write. Only one is read: the other may be the caller's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Told {
    /// `X-Forwarded-For`.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// The proxies that are believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    networks: Vec<Network>,
    told: Told,
}

/// Addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    fn parse(text: &str) -> Option<Network> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u32>().ok()?)),
            None => (text, None),
        };
        let address = address.parse::<IpAddr>().ok()?.to_canonical();
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(most);
        (bits <= most).then_some(Network { address, bits })
    }

    fn has(&self, address: IpAddr) -> bool {
        let differs = match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                u128::from(own.to_bits() ^ other.to_bits()).checked_shr(32 - self.bits).unwrap_or(0)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                (own.to_bits() ^ other.to_bits()).checked_shr(128 - self.bits).unwrap_or(0)
            }
            _ => 1,
        };
        differs == 0
    }
}

impl Proxies {
    /// Reads `trusted_proxies`: an array of addresses and networks. The fault is a phrase.
    pub fn read(node: &Node, told: Told) -> Result<Proxies, String> {
        let elements = node.as_array().ok_or_else(|| format!("expected an array of strings, found {}", node.kind()))?;
        let network = |element: &Node| {
            let text = element.as_str().ok_or_else(|| format!("expected a string, found {}", element.kind()))?;
            Network::parse(text).ok_or_else(|| format!("`{text}` is no address or network like \"10.0.0.0/8\""))
        };
        let networks: Result<Vec<Network>, String> = elements.iter().map(network).collect();
        Ok(Proxies { networks: networks?, told })
    }

    fn trust(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.has(address))
    }

    /// Whose request it is that came from `peer` with these fields.
    pub fn caller(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut nearest = peer.to_canonical();
        if !self.trust(nearest) {
            return nearest;
        }
        let name = match self.told {
            Told::XForwardedFor => X_FORWARDED_FOR,
            Told::Forwarded => FORWARDED,
        };
        for field in headers.get_all(name).iter().rev() {
            let text = field.to_str().unwrap_or("");
            for element in text.rsplit(',') {
                let said = match self.told {
                    Told::XForwardedFor => Some(element.trim()),
                    Told::Forwarded => forwarded_for(element),
                };
                // Who hides, or is not written rightly, is known by the proxy that told of it.
                let Some(address) = said.and_then(address) else { return nearest };
                nearest = address;
                if !self.trust(nearest) {
                    return nearest;
                }
            }
        }
        nearest
    }
}

/// `for` of an element of `Forwarded`.
fn forwarded_for(element: &str) -> Option<&str> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then(|| value.trim().trim_matches('"'))
    })
}

/// An address, perhaps with a port: `10.0.0.1`, `10.0.0.1:80`, `2001:db8::1`, `[2001:db8::1]:80`.
fn address(text: &str) -> Option<IpAddr> {
    let bare = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map(|(inner, _)| inner)?,
        None if text.matches(':').count() == 1 => text.split_once(':').map(|(inner, _)| inner)?,
        None => text,
    };
    bare.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::{Network, Proxies, Told};
    use hyper::header::{HeaderMap, HeaderValue};

    fn check(told: Told, peer: &str, fields: &[&str], expected: &str) {
        let networks = ["10.0.0.0/8", "127.0.0.1", "fd00::/8"].map(|text| Network::parse(text).unwrap());
        let proxies = Proxies { networks: networks.to_vec(), told };
        let mut headers = HeaderMap::new();
        let name = if told == Told::Forwarded { "forwarded" } else { "x-forwarded-for" };
        for field in fields {
            headers.append(name, HeaderValue::from_str(field).unwrap());
        }
        let found = proxies.caller(peer.parse().unwrap(), &headers);
        assert_eq!(found.to_string(), expected, "{peer} {fields:?}");
    }

    #[test]
    fn only_what_our_proxies_say_counts() {
        let told = Told::XForwardedFor;
        check(told, "127.0.0.1", &["203.0.113.7"], "203.0.113.7");
        check(told, "127.0.0.1", &["198.51.100.1, 203.0.113.7"], "203.0.113.7");
        check(told, "127.0.0.1", &["198.51.100.1", "203.0.113.7, 10.1.2.3"], "203.0.113.7");
        check(told, "127.0.0.1", &["10.9.9.9, 10.1.2.3"], "10.9.9.9");
        check(told, "127.0.0.1", &[], "127.0.0.1");
        check(told, "127.0.0.1", &["unknown"], "127.0.0.1");
        check(told, "127.0.0.1", &["203.0.113.7, nonsense, 10.1.2.3"], "10.1.2.3");
        check(told, "::ffff:127.0.0.1", &["203.0.113.7:4711"], "203.0.113.7");
        check(told, "fd00::1", &["[2001:db8::1]:80"], "2001:db8::1");
        check(told, "fd00::1", &["2001:db8::1"], "2001:db8::1");
        // Somebody who is no proxy of ours says what they like.
        check(told, "203.0.113.9", &["198.51.100.1"], "203.0.113.9");
        check(told, "11.0.0.1", &["198.51.100.1"], "11.0.0.1");
    }

    #[test]
    fn the_standard_field() {
        let told = Told::Forwarded;
        check(told, "127.0.0.1", &["for=203.0.113.7;proto=https"], "203.0.113.7");
        check(told, "127.0.0.1", &["For=198.51.100.1, by=x;for=\"[2001:db8::1]:80\""], "2001:db8::1");
        check(told, "127.0.0.1", &["for=_hidden"], "127.0.0.1");
        check(told, "127.0.0.1", &["proto=https"], "127.0.0.1");
    }

    #[test]
    fn networks() {
        for text in ["10.0.0.0/33", "x", "10.0.0.0/", "::/129", ""] {
            assert_eq!(Network::parse(text), None, "{text}");
        }
        let all = Network::parse("0.0.0.0/0").unwrap();
        assert!(all.has("203.0.113.7".parse().unwrap()) && !all.has("::1".parse().unwrap()));
    }
}
