//! Content negotiation (RFC 9110, section 12.5.1) between the few media types we have.

use hyper::header::{ACCEPT, HeaderMap};

use crate::http::{Problem, Reason};

pub(super) const JSON: &str = "application/json";
pub(super) const NDJSON: &str = "application/x-ndjson";
pub(super) const CSV: &str = "text/csv";
pub(super) const CBOR: &str = "application/cbor";
pub(super) const CBOR_SEQUENCE: &str = "application/cbor-seq";

/// How records are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// RFC 8259.
    Json,
    /// One JSON object a line.
    Ndjson,
    /// RFC 4180.
    Csv,
    /// RFC 8949.
    Cbor,
    /// RFC 8742: one CBOR item after the other.
    CborSequence,
}

impl Format {
    /// In the order in which they are preferred where the caller does not mind.
    pub(super) const ALL: [Format; 5] = [Format::Json, Format::Ndjson, Format::Csv, Format::Cbor, Format::CborSequence];

    pub(super) const fn media_type(self) -> &'static str {
        match self {
            Format::Json => JSON,
            Format::Ndjson => NDJSON,
            Format::Csv => CSV,
            Format::Cbor => CBOR,
            Format::CborSequence => CBOR_SEQUENCE,
        }
    }

    /// What tells its entity tags from those of JSON.
    pub(super) const fn suffix(self) -> Option<&'static str> {
        match self {
            Format::Json => None,
            Format::Ndjson => Some("ndjson"),
            Format::Csv => Some("csv"),
            Format::Cbor => Some("cbor"),
            Format::CborSequence => Some("cborseq"),
        }
    }
}

/// What a caller chose, with the parameters of its choice: `cursors=true` of `application/x-ndjson; cursors=true`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chosen {
    pub(super) media_type: &'static str,
    parameters: Vec<(String, String)>,
}

impl Chosen {
    /// The value of a parameter, in lower case.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The format of records.
    pub(super) fn format(&self) -> Format {
        Format::ALL.into_iter().find(|format| format.media_type() == self.media_type).unwrap_or(Format::Json)
    }
}

/// The one of `available` that the caller likes best; the first where they do not mind. 406 when none will do.
pub(super) fn require(headers: &HeaderMap, available: &[&'static str]) -> Result<&'static str, Problem> {
    if !headers.contains_key(ACCEPT) {
        return Ok(available.first().copied().unwrap_or(JSON));
    }
    choose(headers, available).map(|chosen| chosen.media_type)
}

/// As [`require`], with the parameters of the choice.
pub(super) fn choose(headers: &HeaderMap, available: &[&'static str]) -> Result<Chosen, Problem> {
    let mut fields = headers.get_all(ACCEPT).iter().peekable();
    let first = available.first().copied().unwrap_or(JSON);
    if fields.peek().is_none() {
        return Ok(Chosen { media_type: first, parameters: Vec::new() });
    }
    let wishes: Vec<&str> = fields.filter_map(|field| field.to_str().ok()).flat_map(|text| text.split(',')).collect();
    // A list of no types asks for none in particular, as if it were not there.
    if wishes.iter().all(|wish| wish.trim().is_empty()) {
        return Ok(Chosen { media_type: first, parameters: Vec::new() });
    }
    let mut best: Option<(f32, &'static str, &str)> = None;
    for &media_type in available {
        let (liking, wish) = liking(&wishes, media_type);
        if liking > 0.0 && best.is_none_or(|(most, ..)| liking > most) {
            best = Some((liking, media_type, wish));
        }
    }
    let chosen = best.map(|(_, media_type, wish)| Chosen { media_type, parameters: parameters(wish) });
    chosen.ok_or_else(|| {
        Reason::NotAcceptable
            .because("none of the media types in `Accept` can be had here")
            .hint(format!("available: {}", available.join(", ")))
    })
}

/// The parameters of a wish, but for its weight.
fn parameters(wish: &str) -> Vec<(String, String)> {
    let written = wish.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
    let plain = |text: &str| text.trim().trim_matches('"').to_ascii_lowercase();
    written.map(|(name, value)| (plain(name), plain(value))).filter(|(name, _)| name != "q").collect()
}

/// The weight that the most specific matching wish gives, and that wish.
fn liking<'w>(wishes: &[&'w str], media_type: &str) -> (f32, &'w str) {
    let mut found = (0, 0.0, "");
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
            found = (specificity, weight, wish);
        }
    }
    (found.1, found.2)
}

#[cfg(test)]
mod tests {
    use super::{CSV, JSON, NDJSON, choose, require};
    use hyper::header::{ACCEPT, HeaderMap, HeaderValue};

    fn headers(accept: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for field in accept {
            headers.append(ACCEPT, HeaderValue::from_str(field).unwrap());
        }
        headers
    }

    fn check(accept: &[&str], expected: Option<&str>) {
        assert_eq!(require(&headers(accept), &[JSON, NDJSON]).ok(), expected, "{accept:?}");
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
        check(&[""], Some(JSON));
        check(&[" , "], Some(JSON));
        check(&["", "text/csv"], None);
        check(&["application/json;q=nonsense"], None);
    }

    #[test]
    fn the_choice_has_its_parameters() {
        let chosen = |accept: &str| choose(&headers(&[accept]), &[JSON, NDJSON, CSV]).unwrap();
        let csv = chosen("application/json;q=0.1, text/csv; Header=\"ABSENT\"; q=0.9;formulas=raw");
        assert_eq!(
            (csv.media_type, csv.parameter("header"), csv.parameter("formulas")),
            (CSV, Some("absent"), Some("raw"))
        );
        assert_eq!((csv.parameter("q"), csv.parameter("cursors")), (None, None));
        assert_eq!(chosen("*/*; cursors=true").media_type, JSON);
        assert_eq!(chosen("application/x-ndjson;cursors=true").parameter("cursors"), Some("true"));
    }
}
