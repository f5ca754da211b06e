//! Whether a backend cannot be reached for something that this machine lacks. That says nothing of the backend, and must not
//! make its gate leave it alone.
//!
//! Descriptors, memory, buffers and local ports are ours; so are name servers that do not answer. A name that they say does
//! not exist is none of these, nor is a network that has no way to the backend: who can mend that nobody here can tell.

use std::fs::File;
use std::io;

use rustix::io::Errno;

/// What the resolver says when no name server has answered (`gai_strerror` of EAI_AGAIN, in glibc and in musl), or memory is
/// short (EAI_MEMORY). The standard library hands its words on, not its numbers.
const RESOLVER: [&str; 4] =
    ["Temporary failure in name resolution", "Try again", "Memory allocation failure", "Out of memory"];

/// What this machine lacks, if that is why a connection could not be made.
pub(super) fn lack(error: &io::Error) -> Option<String> {
    let is_ours = match Errno::from_io_error(error) {
        Some(errno) => [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::NOBUFS, Errno::ADDRNOTAVAIL].contains(&errno),
        None => {
            let said = error.to_string();
            RESOLVER.iter().any(|words| said.ends_with(words))
        }
    };
    if is_ours { Some(error.to_string()) } else { no_descriptor() }
}

/// Whether there is no descriptor left, where a library has kept that to itself: the resolver finds no names then, and
/// drivers no servers.
pub(super) fn no_descriptor() -> Option<String> {
    let error = File::open("/dev/null").err()?;
    matches!(Errno::from_io_error(&error), Some(Errno::MFILE | Errno::NFILE)).then(|| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::lack;
    use rustix::io::Errno;
    use std::io;

    #[test]
    fn what_is_ours_is_told_from_what_is_the_backends() {
        for errno in [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::NOBUFS, Errno::ADDRNOTAVAIL] {
            assert!(lack(&errno.into()).is_some(), "{errno}");
        }
        for errno in [Errno::CONNREFUSED, Errno::TIMEDOUT, Errno::CONNRESET, Errno::HOSTUNREACH, Errno::NETUNREACH] {
            assert_eq!(lack(&errno.into()), None, "{errno}");
        }
        let resolver = |said: &str| io::Error::other(format!("failed to lookup address information: {said}"));
        assert!(lack(&resolver("Temporary failure in name resolution")).is_some());
        assert_eq!(lack(&resolver("Name or service not known")), None);
    }
}
