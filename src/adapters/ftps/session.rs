//! A connection to the server, logged in, with the few commands that an inbox takes.

use std::io::{self, Read};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::SystemTime;

use suppaftp::list::ListParser;
use suppaftp::types::FileType;
use suppaftp::{FtpError, Mode, RustlsConnector, RustlsFtpStream, Status, TlsConnector, TransferStream};

use super::config::{Config, Tls};
use super::tls::{self, Connector};
use crate::adapters::inbox::{InboxError, Stamp};

/// A listing longer than this is not one.
const LONGEST_LISTING: u64 = 256 << 20;

/// Bytes of a file on their way.
pub(super) type Transfer = TransferStream<<RustlsConnector as TlsConnector>::Stream>;

/// An open session. Dropping it ends the connection.
pub(super) struct Session {
    ftp: RustlsFtpStream,
    /// Whether the server lists in a form made for programs (RFC 3659).
    has_facts: bool,
}

/// An entry of a folder.
pub(super) struct Listed {
    pub(super) name: String,
    pub(super) is_file: bool,
    pub(super) is_folder: bool,
    stamp: Stamp,
}

impl Session {
    /// Connects, makes sure who is there, and logs in.
    pub(super) fn open(config: &Config, place: &str) -> Result<Session, InboxError> {
        let refused = |reason: String| InboxError::Login { place: place.to_owned(), reason };
        let mut ftp = connect(config, place)?;
        let user = config.account.username.as_str();
        let password = config.password.reveal().map_err(|error| refused(error.to_string()))?;
        ftp.login(user, password.reveal()).map_err(|error| match error {
            FtpError::UnexpectedResponse(answer) => refused(format!(
                "the password in {} does not let {user} in; the server says {}",
                config.password,
                text(&answer.body)
            )),
            other => fault(place, &other),
        })?;
        ftp.transfer_type(FileType::Binary).map_err(|error| fault(place, &error))?;
        let has_facts = match ftp.feat() {
            Ok(features) => features.keys().any(|name| name.eq_ignore_ascii_case("MLST")),
            // A server that does not know FEAT does not know what it would list.
            Err(FtpError::UnexpectedResponse(_) | FtpError::BadResponse) => false,
            Err(error) => return Err(fault(place, &error)),
        };
        Ok(Session { ftp, has_facts })
    }

    /// The entries of a folder. Those that cannot be understood are left out.
    pub(super) fn list(&mut self, folder: &str) -> Result<Vec<Listed>, FtpError> {
        let lines = if self.has_facts {
            self.lines(&format!("MLSD {folder}"))?
        } else {
            // A path behind LIST is an option, a pattern or a path, as the server likes; a folder to be in is none.
            self.ftp.cwd(folder)?;
            self.lines("LIST")?
        };
        let is_itself = |line: &&String| {
            let facts = line.split(' ').next().unwrap_or_default().to_lowercase();
            facts.split(';').any(|fact| fact == "type=cdir" || fact == "type=pdir")
        };
        let parse = |line: &String| {
            let entry = if self.has_facts {
                ListParser::parse_mlsd(line)
            } else {
                ListParser::parse_posix(line).or_else(|_| ListParser::parse_dos(line))
            };
            entry.ok().map(|entry| Listed {
                name: entry.name().to_owned(),
                is_file: entry.is_file(),
                is_folder: entry.is_directory(),
                stamp: stamp(entry.size() as u64, seconds(entry.modified())),
            })
        };
        Ok(lines.iter().filter(|line| !is_itself(line)).filter_map(parse).collect())
    }

    /// The state of a file that was just listed: a listing made for people has no seconds.
    pub(super) fn state_of_listed(&mut self, path: &str, listed: &Listed) -> Result<Stamp, FtpError> {
        if self.has_facts { Ok(listed.stamp) } else { self.state(path) }
    }

    /// The state of a file.
    pub(super) fn state(&mut self, path: &str) -> Result<Stamp, FtpError> {
        if self.has_facts {
            let line = self.ftp.mlst(Some(path))?;
            let entry = ListParser::parse_mlst(&line).map_err(|_| FtpError::BadResponse)?;
            return Ok(stamp(entry.size() as u64, seconds(entry.modified())));
        }
        let size = self.ftp.size(path)? as u64;
        let modified = match self.ftp.mdtm(path) {
            Ok(modified) => modified.and_utc().timestamp(),
            // Not every server knows it: then the size alone has to stand still.
            Err(FtpError::UnexpectedResponse(_) | FtpError::BadResponse) => 0,
            Err(error) => return Err(error),
        };
        Ok(stamp(size, modified))
    }

    /// Begins to send a file, from this offset on.
    pub(super) fn retrieve(&mut self, path: &str, from: u64) -> Result<Transfer, FtpError> {
        let from = usize::try_from(from).map_err(|_| FtpError::BadResponse)?;
        self.ftp.resume_transfer(from)?;
        self.ftp.retr_as_stream(path)
    }

    /// Whether there is something of this name.
    pub(super) fn exists(&mut self, path: &str) -> Result<bool, FtpError> {
        match self.state(path) {
            Ok(_) => Ok(true),
            Err(FtpError::UnexpectedResponse(_) | FtpError::BadResponse) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Renames.
    pub(super) fn rename(&mut self, from: &str, to: &str) -> Result<(), FtpError> {
        self.ftp.rename(from, to)
    }

    /// Makes a folder with those above it; what is there already is no fault, and what cannot be made shows when
    /// something is moved into it.
    pub(super) fn make_folder(&mut self, folder: &str) -> Result<(), FtpError> {
        let ends = folder.match_indices('/').map(|(at, _)| at).filter(|at| *at > 0);
        for end in ends.chain([folder.len()]) {
            match self.ftp.mkdir(&folder[..end]) {
                Ok(()) | Err(FtpError::UnexpectedResponse(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Says goodbye.
    pub(super) fn close(mut self) {
        // Whether it hears us or not, the connection ends with us.
        let _ = self.ftp.quit();
    }

    fn lines(&mut self, command: &str) -> Result<Vec<String>, FtpError> {
        let (_, stream) = self.ftp.custom_data_command(command, &[Status::AboutToSend, Status::AlreadyOpen])?;
        let mut content = Vec::new();
        let mut limited = stream.take(LONGEST_LISTING);
        match limited.read_to_end(&mut content) {
            // Many servers just hang up; that all of it came is what their last word says.
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => return Err(FtpError::ConnectionError(error)),
            _ => {}
        }
        limited.into_inner().finish()?;
        Ok(text(&content).lines().map(str::to_owned).filter(|line| !line.trim().is_empty()).collect())
    }
}

fn connect(config: &Config, place: &str) -> Result<RustlsFtpStream, InboxError> {
    let (host, limit) = (config.account.host.as_str(), config.account.timeout);
    let unreachable = |reason: String| InboxError::Unreachable { place: place.to_owned(), reason };
    let addresses = (host, config.account.port).to_socket_addrs().map_err(|error| unreachable(error.to_string()))?;
    let address = addresses.into_iter().next().ok_or_else(|| unreachable(format!("{host} has no address")))?;
    let connector = || match tls::settings(config.ca.as_deref()) {
        Ok(settings) => Ok(Connector::new(settings, limit)),
        Err(reason) => Err(InboxError::Untrusted { place: place.to_owned(), reason }),
    };
    let secure_fault = |error: FtpError| match error {
        FtpError::UnexpectedResponse(answer) => unreachable(format!(
            "it does not do TLS: {}; only where nothing secret goes over the line, write tls = \"off\"",
            text(&answer.body)
        )),
        other => fault(place, &other),
    };
    let mut ftp = match config.tls {
        Tls::Implicit => {
            let mut ftp =
                RustlsFtpStream::connect_secure_implicit(address, connector()?, host).map_err(secure_fault)?;
            for command in ["PBSZ 0", "PROT P"] {
                ftp.custom_command(command, &[Status::CommandOk]).map_err(secure_fault)?;
            }
            ftp
        }
        Tls::Explicit | Tls::Off => {
            let stream = TcpStream::connect_timeout(&address, limit).map_err(|error| unreachable(error.to_string()))?;
            tls::patient(&stream, limit).map_err(|error| unreachable(error.to_string()))?;
            let ftp = RustlsFtpStream::connect_with_stream(stream).map_err(|error| fault(place, &error))?;
            match config.tls {
                Tls::Off => ftp,
                _ => ftp.into_secure(connector()?, host).map_err(secure_fault)?,
            }
        }
    };
    // Data comes from the server we talk to, whatever address it names: behind NAT it may not know its own, and
    // nobody sends us elsewhere.
    ftp.set_passive_nat_workaround(true);
    if address.is_ipv6() {
        ftp.set_mode(Mode::ExtendedPassive);
    }
    Ok(ftp.passive_stream_builder(move |address: SocketAddr| {
        let stream = TcpStream::connect_timeout(&address, limit).map_err(FtpError::ConnectionError)?;
        tls::patient(&stream, limit).map_err(FtpError::ConnectionError)?;
        Ok(stream)
    }))
}

/// The fault of a connection. What TLS finds wrong with the server is a matter of trust.
pub(super) fn fault(place: &str, error: &FtpError) -> InboxError {
    let (place, reason) = (place.to_owned(), reason(error));
    let untrusted = ["certificate", "CertificateError", "UnknownIssuer"].iter().any(|word| reason.contains(word));
    if untrusted { InboxError::Untrusted { place, reason } } else { InboxError::Unreachable { place, reason } }
}

/// Why, in the server's own words where it has any.
fn reason(error: &FtpError) -> String {
    match error {
        FtpError::UnexpectedResponse(answer) => format!("the server says {}", text(&answer.body)),
        FtpError::ConnectionError(error) if is_late(error) => "the server did not answer in time".to_owned(),
        FtpError::ConnectionError(error) => error.to_string(),
        FtpError::BadResponse => "the server's answer cannot be understood".to_owned(),
        other => other.to_string(),
    }
}

/// An answer of the server as a fault of the operating system; `None` when it is no answer of the server.
pub(super) fn io_fault(error: &FtpError) -> Option<io::Error> {
    let kind = match error {
        FtpError::UnexpectedResponse(answer) => match answer.status {
            // 550 is said of what is not there as of what is not allowed: the words tell, where they do.
            Status::FileUnavailable if is_missing(&text(&answer.body)) => io::ErrorKind::NotFound,
            Status::FileUnavailable | Status::BadFilename => io::ErrorKind::PermissionDenied,
            _ => io::ErrorKind::Other,
        },
        FtpError::BadResponse => io::ErrorKind::InvalidData,
        _ => return None,
    };
    Some(io::Error::new(kind, reason(error)))
}

fn is_missing(words: &str) -> bool {
    let words = words.to_lowercase();
    ["no such", "not found", "does not exist", "cannot find", "not retrievable", "can't check"]
        .iter()
        .any(|missing| words.contains(missing))
}

fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}

fn seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).map(|since| since.as_secs()).unwrap_or_default();
    i64::try_from(since).unwrap_or_default()
}

fn stamp(size: u64, modified: i64) -> Stamp {
    Stamp { size, modified: (modified, 0), ..Stamp::default() }
}
