//! Content codings (RFC 9110 section 12.5.3): which the caller takes.

use hyper::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue};

/// A coding that answers can be sent in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// RFC 8878, with a window that RFC 9659 allows.
    Zstd,
    /// RFC 7932.
    Brotli,
    /// RFC 1952.
    Gzip,
}

impl Coding {
    /// Where the caller likes several alike, the first of these: by how small it makes an answer in how little time.
    const ALL: [Coding; 3] = [Coding::Zstd, Coding::Brotli, Coding::Gzip];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Coding::Zstd => "zstd",
            Coding::Brotli => "br",
            Coding::Gzip => "gzip",
        }
    }

    pub(super) fn value(self) -> HeaderValue {
        HeaderValue::from_static(self.name())
    }
}

/// What a caller takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    /// The coding that it likes at least as much as none.
    pub(super) coding: Option<Coding>,
    /// Whether it takes an answer without one.
    pub(super) plain: bool,
}

/// What `Accept-Encoding` says. Without it an answer has no coding. Where it allows nothing that there is, it is passed over.
pub(super) fn taken(headers: &HeaderMap) -> Taken {
    let mut fields = headers.get_all(ACCEPT_ENCODING).iter().peekable();
    if fields.peek().is_none() {
        return Taken { coding: None, plain: true };
    }
    let mut weights = [None; 4];
    let mut others = None;
    for wish in fields.filter_map(|field| field.to_str().ok()).flat_map(|field| field.split(',')) {
        let mut parts = wish.split(';').map(str::trim);
        let name = parts.next().unwrap_or("");
        let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        let weight = weight.map_or(1.0, |q| q.trim().parse::<f32>().unwrap_or(0.0)).clamp(0.0, 1.0);
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        match Coding::ALL.iter().position(|coding| is(coding.name())) {
            Some(at) => weights[at] = Some(weight),
            None if is("x-gzip") => weights[2] = Some(weight),
            None if is("identity") => weights[3] = Some(weight),
            None if name == "*" => others = Some(weight),
            None => {}
        }
    }
    let [.., identity] = weights;
    // What is not named has the weight of `*`; without that a coding is not taken, and none at all is.
    let plain = identity.or(others).is_none_or(|weight| weight > 0.0);
    let mut best: Option<(f32, Coding)> = None;
    for (coding, weight) in Coding::ALL.into_iter().zip(weights) {
        let weight = weight.or(others).unwrap_or(0.0);
        let is_wanted = weight > 0.0 && weight >= identity.unwrap_or(0.0);
        if is_wanted && best.is_none_or(|(most, _)| weight > most) {
            best = Some((weight, coding));
        }
    }
    Taken { coding: best.map(|(_, coding)| coding), plain: plain || best.is_none() }
}

#[cfg(test)]
mod tests {
    use super::{Coding, Taken, taken};
    use hyper::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue};

    #[test]
    fn weights_decide() {
        let check = |fields: &[&str], coding: Option<Coding>, plain: bool| {
            let mut headers = HeaderMap::new();
            for field in fields {
                headers.append(ACCEPT_ENCODING, HeaderValue::from_str(field).unwrap());
            }
            assert_eq!(taken(&headers), Taken { coding, plain }, "{fields:?}");
        };
        check(&[], None, true);
        check(&[""], None, true);
        check(&["gzip, deflate, br, zstd"], Some(Coding::Zstd), true);
        check(&["gzip, deflate, br"], Some(Coding::Brotli), true);
        check(&["gzip;q=1.0, br;q=0.8"], Some(Coding::Gzip), true);
        check(&["gzip", "br;q=0"], Some(Coding::Gzip), true);
        check(&["X-GZIP"], Some(Coding::Gzip), true);
        check(&["deflate, compress"], None, true);
        check(&["*"], Some(Coding::Zstd), true);
        check(&["zstd;q=0, *;q=0.5"], Some(Coding::Brotli), true);
        check(&["identity"], None, true);
        check(&["identity;q=0.9, gzip;q=0.5"], None, true);
        check(&["gzip, identity;q=0"], Some(Coding::Gzip), false);
        check(&["*;q=0"], None, true);
        check(&["gzip, *;q=0"], Some(Coding::Gzip), false);
        check(&["gzip;q=nonsense"], None, true);
    }
}
