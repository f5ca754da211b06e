//! A call as it is sent: the envelope with what the settings put into its header, and the fields of HTTP.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use hyper::{Method, Request as HttpRequest};
use jiff::{SignedDuration, Timestamp};
use quick_xml::escape::escape;

use super::answer::{Answer, Part};
use super::config::{Field, Login};
use super::package;
use super::pass::Pass;
use super::security::{Identity, Secured, WSU};
use super::splice::with_blocks;
use super::{Request, Service, SoapError, Version};
use crate::wsdl::Attached;

/// The namespace of WS-Addressing 1.0.
const ADDRESSING: &str = "http://www.w3.org/2005/08/addressing";

/// Ids of the headers of WS-Addressing, for a signature.
const ADDRESSED: [&str; 4] = ["tb-to", "tb-action", "tb-message", "tb-reply"];

impl Service {
    pub(super) fn prepare(&self, request: &Request, pass: &Pass) -> Result<HttpRequest<Full<Bytes>>, SoapError> {
        let signs = self.config.wsse.as_ref().is_some_and(|wsse| wsse.sign.is_some());
        // A signature is of the envelope with its bytes in it: they stay there.
        let gathered = if signs { gathered(request)? } else { None };
        let (envelope, attachments) = match &gathered {
            Some((envelope, beside)) => (envelope, beside.as_slice()),
            None => (&request.envelope, request.attachments.as_slice()),
        };
        let envelope = self.envelope(envelope, request, pass)?;
        let mut head = self.head(Method::POST, pass)?;
        // An action is a URI; what cannot stand in a header field was refused where it is written.
        let action = request.action.replace(['"', '\r', '\n'], "");
        if request.version == Version::V11 {
            head = head.header("SOAPAction", format!("\"{action}\""));
        }
        let content_type = match request.version {
            Version::V11 => "text/xml; charset=utf-8".to_owned(),
            Version::V12 if action.is_empty() => "application/soap+xml; charset=utf-8".to_owned(),
            Version::V12 => format!("application/soap+xml; charset=utf-8; action=\"{action}\""),
        };
        let (content_type, body) = package::packed(content_type, envelope, attachments, request.is_package);
        head.header(CONTENT_TYPE, content_type).body(Full::new(body)).map_err(|error| unsendable(&error))
    }

    /// What every request to the service begins with, without our account.
    pub(super) fn bare_head(&self, method: Method) -> Result<hyper::http::request::Builder, SoapError> {
        let endpoint = &self.config.endpoint;
        let coding = if self.config.takes_compressed { "gzip, deflate" } else { "identity" };
        let mut head = HttpRequest::builder()
            .method(method)
            .uri(endpoint.path.clone())
            .header(HOST, endpoint.authority.clone())
            .header(USER_AGENT, HeaderValue::from_static(concat!("tollbridge/", env!("CARGO_PKG_VERSION"))))
            // Services of the Metro family send parts as such only to those who name them.
            .header(ACCEPT, HeaderValue::from_static("text/xml, application/soap+xml, multipart/related"))
            .header(ACCEPT_ENCODING, HeaderValue::from_static(coding));
        for (name, field) in &self.config.headers {
            head = match field {
                Field::Text(value) => head.header(name, value),
                Field::Secret(secret) => head.header(name, self.sensitive(secret.reveal()?.reveal())?),
            };
        }
        Ok(head)
    }

    /// The same with our account. Secrets are read anew each time.
    pub(super) fn head(&self, method: Method, pass: &Pass) -> Result<hyper::http::request::Builder, SoapError> {
        let mut head = self.bare_head(method)?;
        for (name, value) in pass.session.iter().flat_map(|session| &session.fields) {
            head = head.header(name, value);
        }
        let credentials = match &self.config.login {
            // Of a Windows account the connection knows.
            Login::None | Login::OAuth2(_) | Login::Ntlm(_) => pass.authorization(),
            Login::Basic { username, password } => {
                let account = format!("{username}:{}", password.reveal()?.reveal());
                Some(self.sensitive(&format!("Basic {}", STANDARD.encode(account)))?)
            }
            Login::Bearer(token) => Some(self.sensitive(&format!("Bearer {}", token.reveal()?.reveal()))?),
        };
        Ok(match credentials {
            Some(credentials) => head.header(AUTHORIZATION, credentials),
            None => head,
        })
    }

    /// A value that nobody prints.
    fn sensitive(&self, text: &str) -> Result<HeaderValue, SoapError> {
        let mut value = HeaderValue::from_str(text).map_err(|_| SoapError::Unreachable {
            endpoint: self.place(),
            reason: "a secret cannot stand in a header field".to_owned(),
        })?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// This envelope with the blocks of its header.
    fn envelope(&self, envelope: &Bytes, request: &Request, pass: &Pass) -> Result<Bytes, SoapError> {
        let mut blocks = String::new();
        if self.config.addressing {
            blocks.push_str(&self.addressing(request));
        }
        if let Some(account) = &self.config.account {
            let password = account.password.reveal()?;
            let values = [("username", account.username.as_str()), ("password", password.reveal())];
            blocks.push_str(&account.element.filled(&values));
        }
        blocks.push_str(pass.block());
        let wsse = self.config.wsse.as_ref().filter(|wsse| wsse.writes());
        if wsse.is_none() && blocks.is_empty() {
            return Ok(envelope.clone());
        }
        let text = std::str::from_utf8(envelope).map_err(|error| unsendable(&error))?;
        let Some(wsse) = wsse else {
            let written = with_blocks(text, &blocks, None).ok_or_else(|| unsendable(&"it is no envelope"))?;
            return Ok(Bytes::from(written.0));
        };
        let password = match &wsse.account {
            Some((username, password, token)) => Some((username, password.reveal()?, *token)),
            None => None,
        };
        let identity = match &wsse.sign {
            Some(pem) => {
                let read = || Identity::read(&pem.certificate, &pem.key);
                Some(self.identity.get(read).map_err(|reason| unsendable(&reason))?)
            }
            None => None,
        };
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).map_err(|error| unsendable(&error))?;
        let secured = Secured {
            account: password
                .as_ref()
                .map(|(username, password, token)| (username.as_str(), password.reveal(), *token)),
            good_for: wsse.timestamp.and_then(|timestamp| SignedDuration::try_from(timestamp).ok()),
            must_understand: wsse.must_understand,
            identity: identity.as_deref(),
            now: self.their_now(),
            nonce,
        };
        let ids: &[&str] = if self.config.addressing { &ADDRESSED } else { &[] };
        let written = secured.apply(text, request.version, &blocks, ids).map_err(|reason| unsendable(&reason))?;
        Ok(Bytes::from(written))
    }

    /// Now, as the service's clock has it.
    pub(super) fn their_now(&self) -> Timestamp {
        let offset = self.config.wsse.as_ref().map_or(SignedDuration::ZERO, |wsse| wsse.clock_offset);
        Timestamp::now().checked_add(offset).unwrap_or(Timestamp::MAX)
    }

    fn addressing(&self, request: &Request) -> String {
        let to = self.config.endpoint.describe();
        let is_signed = self.config.wsse.as_ref().is_some_and(|wsse| wsse.sign.is_some());
        let anonymous = format!("<wsa:Address>{ADDRESSING}/anonymous</wsa:Address>");
        let message = format!("urn:uuid:{}", uuid::Uuid::now_v7());
        let of_addressing = Some(&request.addressing_action).filter(|action| !action.is_empty());
        let action = of_addressing.unwrap_or(&request.action);
        let values = [
            ("To", escape(to.as_str()).into_owned()),
            ("Action", escape(&**action).into_owned()),
            ("MessageID", message),
            ("ReplyTo", anonymous),
        ];
        let mut blocks = String::new();
        for ((name, value), id) in values.iter().zip(ADDRESSED) {
            let id = if is_signed { format!(" xmlns:wsu=\"{WSU}\" wsu:Id=\"{id}\"") } else { String::new() };
            blocks.push_str(&format!("<wsa:{name} xmlns:wsa=\"{ADDRESSING}\"{id}>{value}</wsa:{name}>"));
        }
        blocks
    }
}

/// The envelope of an XOP package with its bytes in it, and what is beside it all the same; none where nothing was taken out.
fn gathered(request: &Request) -> Result<Option<(Bytes, Vec<Attached>)>, SoapError> {
    let (taken, beside): (Vec<&Attached>, Vec<&Attached>) =
        request.attachments.iter().partition(|attached| attached.id.is_some());
    if taken.is_empty() {
        return Ok(None);
    }
    let part = |attached: &&Attached| Part {
        id: attached.id.as_deref().unwrap_or_default().to_owned(),
        location: String::new(),
        content_type: attached.content_type.to_string(),
        content: Bytes::copy_from_slice(&attached.bytes),
    };
    let answer =
        Answer { envelope: request.envelope.clone(), parts: taken.iter().map(part).collect(), leniencies: Vec::new() };
    let whole = answer.inlined(usize::MAX).ok_or_else(|| unsendable(&"its bytes do not go into its envelope"))?;
    Ok(Some((whole, beside.into_iter().cloned().collect())))
}

fn unsendable(reason: &dyn std::fmt::Display) -> SoapError {
    SoapError::Unsendable { reason: reason.to_string() }
}
