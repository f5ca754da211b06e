//! Content negotiation (RFC 9110, section 12.5.1) between the few media types we have.

use hyper::header::{ACCEPT, HeaderMap};

use crate::http::{Problem, Reason};

pub(super) const JSON: &str = "application/json";
pub(super) const NDJSON: &str = "application/x-ndjson";

/// The one of `available` that the caller likes best; the first where they do not mind. 406 when none will do.
pub(super) fn require(headers: &HeaderMap, available: &[&'static str]) -> Result<&'static str, Problem> {
    let mut fields = headers.get_all(ACCEPT).iter().peekable();
    let first = available.first().copied().unwrap_or(JSON);
    if fields.peek().is_none() {
        return Ok(first);
    }
    let wishes: Vec<&str> = fields.filter_map(|field| field.to_str().ok()).flat_map(|text| text.split(',')).collect();
    let mut best: Option<(f32, &'static str)> = None;
    for &media_type in available {
        let liking = liking(&wishes, media_type);
        if liking > 0.0 && best.is_none_or(|(most, _)| liking > most) {
            best = Some((liking, media_type));
        }
    }
    best.map(|(_, media_type)| media_type).ok_or_else(|| {
        Reason::NotAcceptable
            .because("none of the media types in `Accept` can be had here")
            .hint(format!("available: {}", available.join(", ")))
    })
}

/// The weight that the most specific matching wish gives.
fn liking(wishes: &[&str], media_type: &str) -> f32 {
    let mut found = (0, 0.0);
    for wish in wishes {
        let mut parts = wish.split(';').map(str::trim);
        let range = parts.next().unwrap_or("");
        let specificity = match range {
            "*/*" => 1,
            _ if range.strip_suffix("/*").is_some_and(|kind| media_type.split('/').next() == Some(kind)) => 2,
            _ if range.eq_ignore_ascii_case(media_type) => 3,
            _ => continue,
        };
        let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        let weight = weight.map_or(1.0, |q| q.parse::<f32>().unwrap_or(0.0));
        if specificity > found.0 {
            found = (specificity, weight);
        }
    }
    found.1
}

#[cfg(test)]
mod tests {
    use super::{JSON, NDJSON, require};
    use hyper::header::{ACCEPT, HeaderMap, HeaderValue};

    fn check(accept: &[&str], expected: Option<&str>) {
        let mut headers = HeaderMap::new();
        for field in accept {
            headers.append(ACCEPT, HeaderValue::from_str(field).unwrap());
        }
        assert_eq!(require(&headers, &[JSON, NDJSON]).ok(), expected, "{accept:?}");
    }

    #[test]
    fn negotiation() {
        check(&[], Some(JSON));
        check(&["*/*"], Some(JSON));
        check(&["application/*"], Some(JSON));
        check(&["application/x-ndjson"], Some(NDJSON));
        check(&["Application/JSON; charset=utf-8"], Some(JSON));
        check(&["application/json;q=0.5, application/x-ndjson"], Some(NDJSON));
        check(&["application/json;q=0.5", "application/x-ndjson;q=0.1"], Some(JSON));
        check(&["text/html,application/xhtml+xml,*/*;q=0.8"], Some(JSON));
        check(&["*/*;q=0.1, application/json;q=0"], Some(NDJSON));
        check(&["text/csv"], None);
        check(&["application/json;q=0"], None);
        check(&[""], None);
        check(&["application/json;q=nonsense"], None);
    }
}
