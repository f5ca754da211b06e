//! Documents that describe a service: its WSDL and schemas, fetched when they are imported.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ACCEPT_ENCODING, HOST, HeaderValue, USER_AGENT};
use hyper::{Method, Request as HttpRequest};
use tokio::time::Instant;

use super::config::Endpoint;
use super::connection::Lines;
use super::pass::Pass;
use super::{Service, SoapError, Trouble, body, end};
use crate::gate::Permit;
use crate::wsdl::Fetched;

impl Service {
    /// Fetches the document at a URL, of `most` bytes at most. What is the service's own host is asked with its account; no
    /// redirect is followed. The fault is a phrase.
    pub async fn document(&self, permit: &Permit, url: &str, most: u64) -> Result<Fetched, String> {
        let endpoint = Endpoint::parse(url)?;
        let own = &self.config.endpoint;
        let is_own = endpoint.is_secure == own.is_secure && endpoint.authority == own.authority;
        let deadline = Instant::now() + self.longest();
        let told = |error: SoapError| error.to_string();
        let guard = if is_own { self.guard_of_get().map_err(told)? } else { None };
        let mut turn = match guard {
            Some(guard) => {
                let turn = guard.enter(&format!("GET {}", endpoint.path), deadline).await;
                Some(turn.map_err(|barred| told(self.barred(&barred)))?)
            }
            None => None,
        };
        let head = match is_own {
            true => {
                let pass = Pass { token: self.token().await.map_err(told)?, ..Pass::default() };
                self.head(Method::GET, &pass).map_err(told)?.uri(endpoint.path.clone())
            }
            false => HttpRequest::builder()
                .method(Method::GET)
                .uri(endpoint.path.clone())
                .header(HOST, endpoint.authority.clone())
                .header(USER_AGENT, HeaderValue::from_static(concat!("tollbridge/", env!("CARGO_PKG_VERSION"))))
                .header(ACCEPT_ENCODING, HeaderValue::from_static("gzip, deflate")),
        };
        let request = head.body(Full::<Bytes>::default()).map_err(|error| error.to_string())?;
        let own_certificate = self.config.mtls.as_ref().filter(|_| is_own);
        let lines = Lines::new(&endpoint, self.config.ca.as_ref(), own_certificate, self.config.timeout);
        let lines = lines.with_ntlm(self.lines.ntlm.clone().filter(|_| is_own));
        let call = permit.begin();
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let asked = async {
            let (response, line) = lines.send(request, deadline).await?;
            body::whole(response, line, &lines, most).await
        };
        let result = self.in_time(&call, deadline, asked).await.unwrap_or_else(|| Err(self.silent()));
        end(call, result.as_ref().err(), &Trouble::default());
        let (bytes, body) = result.map_err(|error: SoapError| error.to_string())?;
        if body.status() == 401 {
            let denied = SoapError::Denied { endpoint: endpoint.describe(), status: 401 };
            self.learn(&mut turn, Some(&denied), self.giver.is_some());
        }
        match body.status() {
            200 => {}
            status @ (301 | 302 | 303 | 307 | 308) => {
                return Err(format!("it was moved (status {status}): name the address where it is"));
            }
            status => return Err(format!("the server answers status {status}")),
        }
        let charset = body.media_type().and_then(|media_type| {
            media_type.split(';').skip(1).find_map(|part| {
                let (name, value) = part.split_once('=')?;
                name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"').to_owned())
            })
        });
        Ok(Fetched { bytes: bytes.to_vec(), charset })
    }
}
