//! Logging in by the Kerberos ticket of the system. The library that has it (GSSAPI) finds ticket, key table and domain by
//! its own rules: `/etc/krb5.conf`, and the variables `KRB5_CONFIG`, `KRB5CCNAME` and `KRB5_CLIENT_KTNAME`.

use std::future::ready;
use std::thread::Builder;

use tiberius::error::Error;
use tiberius::{AuthMethod, Client, Config};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};
use tokio_util::compat::TokioAsyncWriteCompatExt;

use super::connect::{Behind, Driver};
use super::fault;
use super::line::Line;
use crate::adapters::sql::{Certainty, SqlError, SqlErrorKind};

/// What the driver is told; a phrase where it cannot do it.
#[cfg(feature = "kerberos")]
pub(super) fn method() -> Result<AuthMethod, String> {
    Ok(AuthMethod::Integrated)
}

/// What the driver is told; a phrase where it cannot do it.
#[cfg(not(feature = "kerberos"))]
pub(super) fn method() -> Result<AuthMethod, String> {
    Err("this build has no Kerberos; build it with the feature `kerberos`, or reach the server by `odbc`".to_owned())
}

/// Connects on a thread of its own, which may wait: GSSAPI asks the domain's servers, and while it does nothing else goes on
/// there, nor can it be ended. Where the deadline comes first, what is left is the thread at work: until it is over the server
/// may let us in, so that the place of the call is not to be given to another. A program that ends does not wait for it.
pub(super) async fn connect(settings: Config, line: Line, deadline: Instant) -> Result<Result<Driver, Error>, Behind> {
    let runtime = Handle::current();
    let (done, mut over) = oneshot::channel();
    let thread = Builder::new().name("kerberos".to_owned()).spawn(move || {
        // Its clock is the runtime's, which is there inside only.
        let connected =
            runtime.block_on(async { timeout_at(deadline, Client::connect(settings, line.compat_write())).await });
        // Where nobody listens any more the connection is closed.
        drop(done.send(connected.ok()));
    });
    if let Err(fault) = thread {
        return Ok(Err(Error::Protocol(format!("no thread to log in by: {fault}").into())));
    }
    match timeout_at(deadline, &mut over).await {
        Ok(Ok(Some(connected))) => Ok(connected),
        Ok(Ok(None)) => Err(Box::pin(ready(()))),
        Ok(Err(_)) => Ok(Err(Error::Protocol("the thread that logs in has died".into()))),
        Err(_) => Err(Box::pin(async move { drop(over.await) })),
    }
}

/// What GSSAPI or the server says of a ticket: words of it, what is wrong, and what to do. The first that fits counts.
#[rustfmt::skip]
const SAID: &[(&[&str], SqlErrorKind, &str, &str)] = &[
    (
        &["clock skew", "not yet valid"], SqlErrorKind::Login,
        "this machine's clock and that of the domain are too far apart",
        "have both take their time from the same servers (NTP); Kerberos bears five minutes",
    ),
    (
        &["password has expired"], SqlErrorKind::PasswordExpired,
        "the password of our account has expired",
        "give the account a new one, and write its key table anew",
    ),
    (
        &["entry in database has expired", "credentials have been revoked"], SqlErrorKind::Login,
        "the domain has closed our account",
        "have whoever keeps the domain open it again",
    ),
    (
        &["expired"], SqlErrorKind::Login,
        "our Kerberos ticket has expired",
        "renew it (kinit), or name a key table by KRB5_CLIENT_KTNAME, from which new tickets are taken by themselves",
    ),
    (
        &["not found in kerberos database"], SqlErrorKind::Login,
        "the domain knows no such service or account",
        "look at `spn_host` and `host`, which must be the server's full name, and at the names of its account: setspn -L",
    ),
    (
        &["cannot contact any kdc"], SqlErrorKind::Own,
        "no server of the domain answers",
        "look whether port 88 of the domain's servers can be reached, and at [realms] in krb5.conf",
    ),
    (
        &["cannot find kdc", "cannot determine realm"], SqlErrorKind::Login,
        "nothing says where the domain's servers are",
        "write the realm under [realms] in krb5.conf, or look at the name servers of this machine",
    ),
    (
        &["default realm"], SqlErrorKind::Login,
        "this machine is told of no domain",
        "write default_realm under [libdefaults] in /etc/krb5.conf, or name another file by KRB5_CONFIG",
    ),
    (
        &["preauthentication failed", "password incorrect", "integrity check failed"], SqlErrorKind::Login,
        "the domain does not take the key of our key table",
        "write the key table anew: the account's password has changed since",
    ),
    (
        &["client keytab", "key table", "keytab"], SqlErrorKind::Login,
        "the key table has no key that can be used",
        "look at the file that KRB5_CLIENT_KTNAME names, and whether the service's user may read it (klist -k)",
    ),
    (
        &["no kerberos credentials", "no credentials", "credentials cache"], SqlErrorKind::Login,
        "there is no Kerberos ticket",
        "get one as the service's user (kinit), or name a key table by KRB5_CLIENT_KTNAME; KRB5CCNAME says where tickets are",
    ),
];

/// Why the ticket does not let us in.
pub(super) fn fault(place: &str, host: &str, port: u16, error: &Error) -> SqlError {
    let own = |kind, said: String| fault::own(place, kind, Certainty::NotBegun, said);
    if let Error::Server(said) = error {
        // An untrusted domain, a login that is not known: of a ticket the server says no more.
        let mut told = fault::of(place, Certainty::NotBegun, error);
        if matches!(said.code(), 18_452 | 18_456) {
            let message = told.message.split("; ").next().unwrap_or_default().to_owned();
            told.message = format!(
                "{message}; see that the ticket's account has a login at the server (CREATE LOGIN [DOMAIN\\name] FROM WINDOWS), \
                 that its service account has the key of MSSQLSvc/{host}:{port}, and that the clocks agree"
            );
        }
        return told;
    }
    let said = error.to_string();
    let small = said.to_lowercase();
    let known = SAID.iter().find(|(words, ..)| words.iter().any(|word| small.contains(word)));
    match known {
        Some((_, kind, what, remedy)) => own(*kind, format!("{what} (MSSQLSvc/{host}:{port}: {said}); {remedy}")),
        None if is_of_library(error) => own(
            SqlErrorKind::Login,
            format!(
                "Kerberos fails for MSSQLSvc/{host}:{port} ({said}); look at ticket and domain with klist and kvno"
            ),
        ),
        None => fault::of(place, Certainty::NotBegun, error),
    }
}

#[cfg(feature = "kerberos")]
fn is_of_library(error: &Error) -> bool {
    matches!(error, Error::Gssapi(_))
}

#[cfg(not(feature = "kerberos"))]
fn is_of_library(_: &Error) -> bool {
    false
}
