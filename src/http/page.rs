//! The frame of our few HTML pages: one style sheet, at most one script of ours, and a content security policy that permits
//! exactly that, so that text from an old system can never act in a browser.

use std::sync::OnceLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::Response;
use hyper::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, REFERRER_POLICY};
use sha2::{Digest, Sha256};

const STYLE: &str = "\
:root{color-scheme:light dark;--edge:#8884}\
body{font:16px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.6rem}h2{margin-top:2.5rem;font-size:1.25rem}\
table{border-collapse:collapse;width:100%;margin:.5rem 0 1rem}\
th,td{text-align:left;vertical-align:top;padding:.3rem .7rem;border-bottom:1px solid var(--edge)}\
th{font-weight:600}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}\
code,pre{font:14px/1.45 ui-monospace,monospace}\
pre{padding:.7rem 1rem;overflow-x:auto;border:1px solid var(--edge);border-radius:.3rem}\
.bad{color:#c22;font-weight:600}.dim{opacity:.7}nav a{margin-right:1rem}\
form{display:flex;flex-wrap:wrap;gap:.5rem 1rem;align-items:end;padding:.5rem 0}label{display:block;font-size:.85rem}\
input{font:inherit;width:10rem}input.wide{width:20rem}button{font:inherit}\
details{border:1px solid var(--edge);border-radius:.3rem;margin:.4rem 0;padding:0 .8rem}details details{margin:.3rem 0}\
summary{padding:.4rem 0;cursor:pointer}summary b{display:inline-block;min-width:4.5rem}textarea{font:14px/1.45 ui-monospace,monospace;width:100%}\
td input{width:100%;min-width:8rem;box-sizing:border-box}td p,td pre{margin:.2rem 0}td code{overflow-wrap:anywhere}pre.answer{max-height:30rem;overflow:auto}\
:focus-visible{outline:3px solid #48f;outline-offset:1px}";

/// A whole page. `title` is text; `body` is HTML whose variable parts went through [`escape`].
pub fn page(title: &str, body: &str) -> Response<Vec<u8>> {
    framed(title, body, "'none'", "no-referrer")
}

/// As [`page`], with forms that go to our own listener. A browser then says where a form comes from, which
/// [`refuse_cross_origin`](super::refuse_cross_origin) asks for.
pub fn page_with_forms(title: &str, body: &str) -> Response<Vec<u8>> {
    framed(title, body, "'self'", "same-origin")
}

/// A script of ours, with the hash by which the policy names it.
#[derive(Debug)]
pub struct Script {
    text: &'static str,
    hash: String,
}

impl Script {
    /// Of this text.
    pub fn new(text: &'static str) -> Script {
        Script { text, hash: STANDARD.encode(Sha256::digest(text.as_bytes())) }
    }

    /// As [`page`], with this script, which may call our own listener and nobody else.
    pub fn page(&self, title: &str, body: &str) -> Response<Vec<u8>> {
        let body = format!("{body}\n<script>{}</script>", self.text);
        let mut response = page(title, &body);
        let more = format!("; script-src 'sha256-{}'; connect-src 'self'", self.hash);
        let policy = response.headers().get(CONTENT_SECURITY_POLICY).and_then(|policy| policy.to_str().ok());
        let policy = policy.and_then(|policy| HeaderValue::from_str(&(policy.to_owned() + &more)).ok());
        // Without it the script does not run, and the page shows what it shows.
        if let Some(policy) = policy {
            response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
        }
        response
    }
}

fn framed(title: &str, body: &str, form_action: &'static str, referrer: &'static str) -> Response<Vec<u8>> {
    let title = escape(title);
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    );
    let mut response = Response::new(html.into_bytes());
    let fields = response.headers_mut();
    fields.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    fields.insert(CONTENT_SECURITY_POLICY, policy(form_action));
    fields.insert(REFERRER_POLICY, HeaderValue::from_static(referrer));
    fields.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Nothing is loaded or framed, and forms go nowhere but where they are said to; the one style sheet is named by its
/// hash.
fn policy(form_action: &str) -> HeaderValue {
    static HASH: OnceLock<String> = OnceLock::new();
    let hash = HASH.get_or_init(|| STANDARD.encode(Sha256::digest(STYLE.as_bytes())));
    let text = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action {form_action}; \
         frame-ancestors 'none'"
    );
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

/// Makes text harmless in HTML, within elements and within quoted attributes.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::{Script, escape, page};

    #[test]
    fn text_is_harmless() {
        assert_eq!(escape("<a href='x'>\"&\"</a>"), "&lt;a href=&#39;x&#39;&gt;&quot;&amp;&quot;&lt;/a&gt;");
        let response = page("<script>", "");
        assert!(!String::from_utf8_lossy(response.body()).contains("<script>"));
        let policy = response.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert!(!policy.contains("script-src"), "{policy}");
    }

    #[test]
    fn a_script_is_named_by_its_hash() {
        let response = Script::new("alert(1)").page("API", "");
        let policy = response.headers()["content-security-policy"].to_str().unwrap();
        // As `printf 'alert(1)' | openssl dgst -sha256 -binary | base64` has it.
        let script = "script-src 'sha256-bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI='; connect-src 'self'";
        assert!(policy.ends_with(script) && !policy.contains("unsafe"), "{policy}");
        assert!(String::from_utf8_lossy(response.body()).contains("<script>alert(1)</script>"));
    }
}
