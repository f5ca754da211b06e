//! Steps of a diagnosis: what keeps us out of a backend, or what is to be known of it although nothing does.

use std::io::ErrorKind;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

/// A step of a diagnosis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at: of a server `secret`, `certificate`, `driver`, `resolve`, `browser`, `connect`, `greeting`, `tls`, `trust`, `login`,
    /// `database`, `rights`, `version`, `encoding`, `clock`, `answer`; of an inbox `inbox`.
    pub step: &'static str,
    /// What was found, or what is wrong with its plain cause.
    pub said: String,
    /// What to do where it is wrong.
    pub remedy: Option<String>,
    /// Whether it is well.
    pub is_well: bool,
}

impl Finding {
    /// The step went through.
    pub fn well(step: &'static str, said: impl Into<String>) -> Finding {
        Finding { step, said: said.into(), remedy: None, is_well: true }
    }

    /// The step failed, for a plain cause; this is what to do.
    pub fn wrong(step: &'static str, said: impl Into<String>, remedy: impl Into<String>) -> Finding {
        Finding { step, said: said.into(), remedy: Some(remedy.into()), is_well: false }
    }
}

/// Finds the addresses of a host and connects to it; ends at the first step that fails. The connection is closed again.
pub(in crate::adapters) async fn reach(host: &str, port: u16, patience: Duration) -> Vec<Finding> {
    let addresses = match timeout(patience, lookup_host((host, port))).await {
        Ok(Ok(addresses)) => addresses.collect::<Vec<_>>(),
        Ok(Err(error)) => {
            let said = format!("the name `{host}` is not known: {error}");
            return vec![Finding::wrong("resolve", said, "correct the host, or have it entered into the name service")];
        }
        Err(_) => {
            let said = format!("the name service did not answer for `{host}` within {} s", patience.as_secs_f32());
            return vec![Finding::wrong("resolve", said, "look at this machine's name service (/etc/resolv.conf)")];
        }
    };
    let shown: Vec<_> = addresses.iter().map(|address| address.ip().to_string()).collect();
    let mut findings = vec![Finding::well("resolve", format!("{host} is {}", shown.join(", ")))];
    let connected = timeout(patience, TcpStream::connect(&*addresses)).await;
    findings.push(match connected {
        Ok(Ok(stream)) => {
            let peer = stream.peer_addr().map(|peer| peer.to_string()).unwrap_or_else(|_| format!("{host}:{port}"));
            Finding::well("connect", format!("{peer} takes connections"))
        }
        Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => Finding::wrong(
            "connect",
            format!("nothing listens at port {port} of {host}"),
            "correct the port, or start the server there and let it listen to the network",
        ),
        Ok(Err(error)) => Finding::wrong(
            "connect",
            format!("{host}:{port} cannot be reached: {error}"),
            "look at routes and firewalls between this machine and the server",
        ),
        Err(_) => Finding::wrong(
            "connect",
            format!("{host}:{port} did not answer within {} s", patience.as_secs_f32()),
            "a firewall drops the connection silently, or the host is down: have the port opened for this machine",
        ),
    });
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_way_not_to_be_reached_has_its_own_words() {
        let patience = Duration::from_secs(5);
        let found = reach("no-such-host.invalid", 1, patience).await;
        assert_eq!(
            found.iter().map(|finding| (finding.step, finding.is_well)).collect::<Vec<_>>(),
            [("resolve", false)]
        );
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(reach("127.0.0.1", port, patience).await.iter().all(|finding| finding.is_well));
        drop(listener);
        let found = reach("127.0.0.1", port, patience).await;
        assert_eq!(found[1].said, format!("nothing listens at port {port} of 127.0.0.1"));
        assert!(found[1].remedy.is_some());
    }
}
