//! Tokens that say nothing by themselves: the issuer is asked (RFC 7662).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::StatusCode;
use hyper::header::{AUTHORIZATION, HeaderValue};
use serde_json::Value;

use super::claims::{Grant, Now, Told, judge};
use super::config::IntrospectionConfig;
use super::issuer::Issuer;
use super::{Refusal, strict};
use crate::web::form;

/// A longer token is nobody's.
const LONGEST: usize = 8 * 1024;

/// Asks an issuer about a token.
pub(super) async fn ask(
    issuer: &std::sync::Arc<Issuer>,
    asked: &IntrospectionConfig,
    token: &str,
) -> Result<Grant, Refusal> {
    let is_plain = token.len() <= LONGEST && token.bytes().all(|byte| byte.is_ascii_graphic());
    if token.is_empty() || !is_plain {
        return Err(Refusal::Invalid("it is not written like a token"));
    }
    let known = match &asked.url {
        Some(_) => None,
        None => Some(issuer.known().await?),
    };
    let unavailable =
        |why: String| Refusal::Unavailable(format!("{} cannot be asked about a token: {why}", issuer.config.issuer));
    let at = issuer.introspection(known.as_deref());
    let at = at.ok_or_else(|| unavailable("it does not say where".to_owned()))?;
    let secret = asked.client_secret.reveal().map_err(|error| unavailable(error.to_string()))?;
    // Both are encoded like a form before they are joined (RFC 6749 section 2.3.1).
    let encoded = |text: &str| form(&[("", text)]).trim_start_matches('=').to_owned();
    let login = format!("{}:{}", encoded(&asked.client_id), encoded(secret.reveal()));
    let mut login = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(login)))
        .map_err(|error| unavailable(error.to_string()))?;
    login.set_sensitive(true);
    let question = form(&[("token", token), ("token_type_hint", "access_token")]);
    let answer = issuer.asking.post(at, &[(AUTHORIZATION, login)], question).await.map_err(unavailable)?;
    if answer.status() != StatusCode::OK {
        return Err(unavailable(format!("status {}", answer.status().as_u16())));
    }
    let claims = strict::object(answer.body()).ok_or_else(|| unavailable("the answer is no JSON object".to_owned()))?;
    if claims.get("active").and_then(Value::as_bool) != Some(true) {
        return Err(Refusal::Invalid("the issuer does not know it, or it has ended"));
    }
    judge(&issuer.config, claims, Told::Asked, Now::get())
}
