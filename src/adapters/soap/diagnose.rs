//! What keeps us out of a service, step by step.

use std::time::Duration;

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::Method;
use hyper::header::DATE;
use jiff::{SignedDuration, Timestamp};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::time::{Instant, timeout};

use super::answer::envelope::NAMESPACES;
use super::config::{Login, Pem};
use super::error::Fault;
use super::pass::Pass;
use super::security::{Identity, Trusted, validity};
use super::{Request, Service, SoapError, Trouble, Version};
use crate::adapters::finding::{Finding, reach};
use crate::gate::Permit;
use crate::secret::SecretRef;

/// How long a step is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Clocks that differ by less are right.
const SKEW: SignedDuration = SignedDuration::from_secs(30);

impl Service {
    /// Looks step by step for what keeps us out; ends at the first step that fails. What is called is harmless: a plain GET,
    /// the login where there is one, and an
    /// operation that no service has where WS-Security has an account.
    pub async fn diagnose(&self, permit: &Permit) -> Vec<Finding> {
        if let Some(finding) = self.unreadable() {
            return vec![finding];
        }
        let endpoint = &self.config.endpoint;
        let mut findings = reach(&endpoint.host, endpoint.port, PATIENCE).await;
        if findings.iter().any(|finding| !finding.is_well) {
            return findings;
        }
        if endpoint.is_secure {
            match timeout(PATIENCE, self.lines.open()).await {
                Ok(Ok(_)) => findings.push(Finding::well("tls", "its certificate is good, and a cipher is agreed on")),
                Ok(Err(none)) => {
                    findings.push(untrusted(&none.reason));
                    return findings;
                }
                Err(_) => {
                    let said = format!("it did not finish the TLS handshake within {} s", PATIENCE.as_secs());
                    let remedy = "is it a port of TLS at all? a plain HTTP port stays silent; then write http://";
                    findings.push(Finding::wrong("tls", said, remedy));
                    return findings;
                }
            }
        }
        let headers = match self.look(permit).await {
            Ok((doubts, headers)) if doubts.is_empty() => {
                findings.push(Finding::well("answer", "it answers HTTP"));
                if let Login::Ntlm(_) = self.config.login {
                    findings.push(Finding::well("login", "it takes our Windows account"));
                }
                headers
            }
            Ok((doubts, _)) => {
                let remedy = match self.config.login {
                    Login::Ntlm(_) => {
                        "hold name, domain and password against what the domain's owner says, and look whether the account \
                         is locked or may not use the service; the log of IIS has the reason as sc-substatus"
                    }
                    _ => "hold `endpoint` and the account against what the service's owner says",
                };
                let remedy = self.with_word_on_trying(remedy);
                findings.extend(doubts.into_iter().map(|doubt| Finding::wrong("answer", doubt, remedy.as_str())));
                return findings;
            }
            Err(error) => {
                let mut finding = unanswered(&error);
                let does = match &error {
                    SoapError::Lost { .. } | SoapError::Cut { .. } => Some("close the connection"),
                    SoapError::Silent { .. } => Some("say nothing"),
                    _ => None,
                };
                if let (Login::Ntlm(_), Some(does)) = (&self.config.login, does) {
                    let remedy = format!(
                        "some servers {does} where they refuse a Windows account: hold name, domain and password against \
                         what the domain's owner says"
                    );
                    finding.remedy = Some(remedy);
                }
                findings.push(finding);
                return findings;
            }
        };
        let clock = self.clock(&headers);
        let is_well = clock.as_ref().is_none_or(|clock| clock.is_well);
        findings.extend(clock);
        if is_well {
            findings.extend(self.let_in(permit).await);
        }
        findings
    }

    /// A secret, key or certificate that cannot be read or is over.
    fn unreadable(&self) -> Option<Finding> {
        if let Err(error) = self.head(Method::GET, &Pass::default()) {
            return Some(no_secret(error.to_string()));
        }
        let config = &self.config;
        let wsse = config.wsse.as_ref();
        let secrets: [Option<&SecretRef>; 6] = [
            match &config.login {
                Login::OAuth2(oauth2) => Some(&oauth2.client_secret),
                Login::Ntlm(account) => Some(&account.password),
                _ => None,
            },
            wsse.and_then(|wsse| wsse.account.as_ref()).map(|(_, password, _)| password),
            wsse.and_then(|wsse| wsse.sign.as_ref()).map(|sign| &sign.key),
            config.session.as_ref().and_then(|session| session.password.as_ref()),
            config.account.as_ref().map(|account| &account.password),
            config.mtls.as_ref().map(|mtls| &mtls.key),
        ];
        if let Some(error) = secrets.into_iter().flatten().find_map(|secret| secret.reveal().err()) {
            return Some(no_secret(error.to_string()));
        }
        let signing = wsse.and_then(|wsse| wsse.sign.as_ref());
        for (pem, what) in [(config.mtls.as_ref(), "mtls"), (signing, "wsse.sign")] {
            let Some(pem) = pem else { continue };
            if let Some(said) = over(pem, Timestamp::now()) {
                let remedy = format!("have a new certificate issued, and name its file by `{what}`");
                return Some(Finding::wrong("certificate", format!("our certificate of `{what}` {said}"), remedy));
            }
        }
        let signs = signing.map(|pem| Identity::read(&pem.certificate, &pem.key).map(drop));
        let verifies =
            wsse.and_then(|wsse| wsse.verify.as_ref()).map(|verify| Trusted::read(&verify.certificate).map(drop));
        let reason = [signs, verifies].into_iter().flatten().find_map(Result::err)?;
        Some(Finding::wrong(
            "certificate",
            reason,
            "name PEM files that belong together, with RSA keys, by `wsse.sign` and `wsse.verify`",
        ))
    }

    /// How far its clock is from ours, where that matters.
    fn clock(&self, headers: &HeaderMap) -> Option<Finding> {
        let wsse = self.config.wsse.as_ref()?;
        let says_time = wsse.timestamp.is_some() || wsse.account.as_ref().is_some_and(|(.., token)| token.has_created);
        if !says_time && wsse.verify.is_none() {
            return None;
        }
        let date = headers.get(DATE)?.to_str().ok()?;
        let theirs = jiff::fmt::rfc2822::parse(date).ok()?.timestamp();
        let apart = theirs.duration_since(self.their_now());
        if apart.abs() < SKEW {
            return Some(Finding::well("clock", "its clock goes like ours, `clock_offset` counted in"));
        }
        let offset = theirs.duration_since(Timestamp::now()).as_secs();
        let (direction, remedy) = (if apart.is_positive() { "ahead of" } else { "behind" }, format!("{offset}s"));
        Some(Finding::wrong(
            "clock",
            format!(
                "its clock is {} s {direction} ours: it takes our messages for outdated or from the future",
                apart.abs().as_secs()
            ),
            format!("have both clocks set by NTP, or write wsse.clock_offset = \"{remedy}\""),
        ))
    }

    /// Whether our account is taken.
    async fn let_in(&self, permit: &Permit) -> Option<Finding> {
        let deadline = Instant::now() + self.config.timeout;
        let pass = match timeout(self.config.timeout, self.enter(permit, deadline)).await {
            Ok(Ok(pass)) => pass,
            Ok(Err(error)) => {
                let mut remedy =
                    "hold account, secret and the login's envelope against what the service's owner says".to_owned();
                if self.refused_until().is_some() {
                    remedy.push_str(
                        "; a service that runs tries it ever more seldom, up to 5 minutes apart, and at once when the \
                         secret is another, its configuration is read again or `tollbridge gate login` asks for it",
                    );
                }
                return Some(Finding::wrong("login", error.to_string(), remedy));
            }
            Err(_) => return Some(unanswered(&self.silent())),
        };
        let writes_wsse = self.config.wsse.as_ref().is_some_and(|wsse| wsse.writes());
        // Many a service looks at no account where it is asked by a GET.
        let has_account = matches!(self.config.login, Login::Basic { .. }) || self.config.account.is_some();
        if !writes_wsse && !has_account {
            let is_in = pass.session.is_some() || pass.token.is_some();
            return is_in.then(|| Finding::well("login", "it lets us in"));
        }
        let what = if writes_wsse { "our WS-Security header" } else { "our account" };
        let request = Request {
            envelope: Bytes::from(format!(
                "<s:Envelope xmlns:s=\"{}\"><s:Body><Hello xmlns=\"urn:tollbridge:doctor\"/></s:Body>\
                 </s:Envelope>",
                NAMESPACES[usize::from(self.config.soap_version == Version::V12)]
            )),
            action: "".into(),
            version: self.config.soap_version,
            addressing_action: "".into(),
            is_one_way: false,
            attachments: Vec::new(),
            is_package: false,
            trouble: Trouble::default(),
            is_strict: false,
        };
        match self.attempt(permit, &request, &pass, &mut None, deadline).await {
            Err(error) if self.is_refusal(&error) && !writes_wsse => {
                let remedy = "hold the account's name and password against what the service's owner says";
                Some(Finding::wrong("login", error.to_string(), self.with_word_on_trying(remedy)))
            }
            Err(SoapError::Fault(fault)) if writes_wsse => {
                let mut finding = refused(&fault);
                finding.remedy = finding.remedy.map(|remedy| self.with_word_on_trying(&remedy));
                Some(finding)
            }
            Err(SoapError::Fault(_)) => Some(Finding::well("login", "it says nothing against our account")),
            Ok(_) => Some(Finding::well("login", format!("it takes {what}"))),
            // An operation that it does not know is too much for many a service.
            Err(SoapError::NoEnvelope { status: 415 | 500.., found }) => Some(Finding::well(
                "login",
                format!("it says nothing against {what}; to an operation that it does not have it answers {found}"),
            )),
            Err(error) => Some(unanswered(&error)),
        }
    }
}

impl Service {
    /// A remedy, with what a service that runs does meanwhile where it does not take our account.
    fn with_word_on_trying(&self, remedy: &str) -> String {
        let is_refused = self.guard().ok().flatten().is_some_and(|guard| guard.refused_until().is_some());
        match is_refused {
            true => format!(
                "{remedy}; a service that runs leaves an account alone that is refused, so that it is not locked: it tries it \
                 again after 5 s, after 2½ minutes, and then every quarter of an hour, and at once when the secret is another or \
                 `tollbridge gate login` asks for it"
            ),
            false => remedy.to_owned(),
        }
    }
}

/// What a fault says of our account. A fault about the operation says nothing.
fn refused(fault: &Fault) -> Finding {
    let said: Vec<String> =
        fault.subcodes.iter().chain([&fault.code, &fault.reason]).map(|word| word.to_ascii_lowercase()).collect();
    let has = |words: &[&str]| words.iter().any(|word| said.iter().any(|said| said.contains(word)));
    let told = format!("{}: {}", fault.code, fault.reason);
    if has(&["messageexpired", "expired", "timestamp", "created", "clock"]) {
        let remedy =
            "compare the clocks, and write the difference as wsse.clock_offset; some services take one nonce once only";
        return Finding::wrong("login", format!("it takes our message for outdated ({told})"), remedy);
    }
    if has(&["failedauthentication", "failedcheck", "authentication", "invalid username", "password", "unauthorized"]) {
        let remedy =
            "check wsse.username and wsse.password; try wsse.digest = false (or true): services take one of them";
        return Finding::wrong("login", format!("it does not take our account ({told})"), remedy);
    }
    if has(&["invalidsecurity", "securitytoken", "security"]) {
        let remedy =
            "services differ in what they want of wsse: try nonce, created, timestamp and must_understand one by one";
        return Finding::wrong("login", format!("it does not take our WS-Security header ({told})"), remedy);
    }
    Finding::well("login", "it says nothing against our WS-Security header")
}

/// Why a certificate of ours is no good at a time.
fn over(pem: &Pem, now: Timestamp) -> Option<String> {
    let text = match std::fs::read(&pem.certificate) {
        Ok(text) => text,
        Err(error) => return Some(format!("cannot be read in {}: {error}", pem.certificate.display())),
    };
    let Some(Ok(first)) = CertificateDer::pem_slice_iter(&text).next() else {
        return Some(format!("is not in {}", pem.certificate.display()));
    };
    let (not_before, not_after) = validity(&first)?;
    if now > not_after {
        return Some(format!("has expired on {}", not_after.strftime("%Y-%m-%d")));
    }
    (now < not_before).then(|| format!("is good from {} on only", not_before.strftime("%Y-%m-%d")))
}

fn no_secret(reason: String) -> Finding {
    let remedy = "see that the secret is where the configuration says, and that the service's user may read it";
    Finding::wrong("secret", reason, remedy)
}

fn untrusted(reason: &str) -> Finding {
    let (said, remedy) = if reason.contains("UnknownIssuer") {
        ("nobody whom we trust vouches for its certificate", "name the PEM file of its authority by `ca`")
    } else if reason.contains("not valid for name") || reason.contains("NotValidForName") {
        ("its certificate is for another name", "write the host in `endpoint` as the certificate has it")
    } else if reason.contains("certificate expired") || reason.contains("Expired") {
        ("its certificate has expired", "have the certificate renewed; also check this machine's clock")
    } else if reason.contains("our certificate") {
        ("our own certificate cannot be used", "name a certificate and its key, both in PEM, by `mtls`")
    } else if reason.contains("ProtocolVersion") || reason.contains("protocol version") {
        (
            "it speaks only a TLS older than 1.2",
            "have TLS 1.2 enabled at the service, or put a proxy that has it beside it",
        )
    } else if reason.contains("InvalidContentType") || reason.contains("corrupt message") {
        ("it does not speak TLS at this port", "write http://, or the port that has TLS")
    } else {
        ("the TLS handshake failed", "hold the service's TLS settings against TLS 1.2 or newer")
    };
    Finding::wrong("tls", format!("{said} ({reason})"), remedy)
}

fn unanswered(error: &SoapError) -> Finding {
    let remedy = match error {
        SoapError::Unreachable { reason, .. } if reason.contains("CertificateRequired") => {
            "it wants a certificate of ours: name it by `mtls`"
        }
        SoapError::Unreachable { reason, .. } if reason.contains("refused our TLS") => {
            "it does not take our certificate: have one issued by whom it trusts, and see that it has not expired"
        }
        SoapError::Silent { .. } => "it takes connections and says nothing: its own log may tell what it waits for",
        SoapError::Lost { .. } | SoapError::Cut { .. } => "something between here and there closes the connection",
        SoapError::Login { reason, .. } if reason.contains("not NTLM") => {
            "write the way in that it names: `basic` for Basic; for Kerberos alone put a proxy in front that speaks it"
        }
        SoapError::Login { reason, .. }
            if [
                "so that the domain does not lock it, it is not tried",
                "so that the account is not locked, it is not",
            ]
            .iter()
            .any(|words| reason.contains(words)) =>
        {
            "correct name or password; a new password is tried at once"
        }
        SoapError::Login { .. } => "hold the account against what the service's or the token server's owner says",
        SoapError::Unreachable { reason, .. } if reason.contains("messages of NTLM") => {
            "have the proxy keep one connection to the service for each of ours, or call the service past it"
        }
        SoapError::NoEnvelope { found, .. } if found.contains("HTML") => {
            "a page is no service: hold the path of `endpoint` against the address in its WSDL"
        }
        _ => "hold `endpoint` against what the service's owner says",
    };
    Finding::wrong("answer", error.to_string(), remedy)
}
