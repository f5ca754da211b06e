//! What keeps us out of a service, step by step.

use std::time::Duration;

use hyper::Method;
use tokio::time::timeout;

use super::pass::Pass;
use super::{Service, SoapError};
use crate::adapters::finding::{Finding, reach};
use crate::gate::Permit;

/// How long a step is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

impl Service {
    /// Looks step by step for what keeps us out; ends at the first step that fails.
    pub async fn diagnose(&self, permit: &Permit) -> Vec<Finding> {
        let endpoint = &self.config.endpoint;
        if let Err(error) = self.head(Method::GET, &Pass::default()) {
            let remedy = "see that the secret is where the configuration says, and that the service's user may read it";
            return vec![Finding::wrong("secret", error.to_string(), remedy)];
        }
        let mut findings = reach(&endpoint.host, endpoint.port, PATIENCE).await;
        if findings.iter().any(|finding| !finding.is_well) {
            return findings;
        }
        if endpoint.is_secure {
            match timeout(PATIENCE, self.lines.open()).await {
                Ok(Ok(_)) => findings.push(Finding::well("tls", "its certificate is good, and a cipher is agreed on")),
                Ok(Err(reason)) => {
                    findings.push(untrusted(&reason));
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
        match self.probe(permit).await {
            Ok(doubts) if doubts.is_empty() => findings.push(Finding::well("answer", "it answers HTTP")),
            Ok(doubts) => findings.extend(doubts.into_iter().map(|doubt| {
                Finding::wrong("answer", doubt, "hold `endpoint` and the account against what the service's owner says")
            })),
            Err(error) => findings.push(unanswered(&error)),
        }
        findings
    }
}

fn untrusted(reason: &str) -> Finding {
    let (said, remedy) = if reason.contains("UnknownIssuer") {
        ("nobody whom we trust vouches for its certificate", "name the PEM file of its authority by `ca`")
    } else if reason.contains("Expired") {
        ("its certificate has expired", "have the certificate renewed; also check this machine's clock")
    } else if reason.contains("NotValidForName") {
        ("its certificate is for another name", "write the host in `endpoint` as the certificate has it")
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
        SoapError::Silent { .. } => "it takes connections and says nothing: its own log may tell what it waits for",
        SoapError::Lost { .. } | SoapError::Cut { .. } => "something between here and there closes the connection",
        _ => "hold `endpoint` against what the service's owner says",
    };
    Finding::wrong("answer", error.to_string(), remedy)
}
