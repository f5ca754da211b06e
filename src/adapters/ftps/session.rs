//! A connection to the server, logged in, with the few commands that an inbox takes.

use std::io::{self, Read};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::SystemTime;

use encoding_rs::Encoding;
use suppaftp::list::{File as ListedFile, ListParser};
use suppaftp::types::FileType;
use suppaftp::{FtpError, Mode, RustlsConnector, RustlsFtpStream, Status, TlsConnector, TransferStream};

use super::config::{Config, Tls};
use super::tls::{self, Connector};
use crate::adapters::inbox::remote::join;
use crate::adapters::inbox::server::{Entry, Fault, Kind, Session, Transfer};
use crate::adapters::inbox::{InboxError, Stamp};

/// A listing longer than this is not one.
const LONGEST_LISTING: u64 = 256 << 20;

/// An open session.
struct Ftp {
    ftp: RustlsFtpStream,
    place: String,
    /// Whether the server lists in a form made for programs (RFC 3659).
    has_facts: bool,
    /// Where we are after the login, at a server whose folders have to be entered to be listed: paths start there.
    home: String,
    encoding: &'static Encoding,
}

/// Connects, makes sure who is there, and logs in.
pub(super) fn open(config: &Config, place: &str) -> Result<Box<dyn Session>, InboxError> {
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
        other => lost(place, &other),
    })?;
    ftp.transfer_type(FileType::Binary).map_err(|error| lost(place, &error))?;
    let has_facts = match ftp.feat() {
        Ok(features) => features.keys().any(|name| name.eq_ignore_ascii_case("MLST")),
        // A server that does not know FEAT does not know what it would list.
        Err(FtpError::UnexpectedResponse(_) | FtpError::BadResponse) => false,
        Err(error) => return Err(lost(place, &error)),
    };
    ftp.set_encoding(Names(config.encoding));
    let home = match has_facts {
        true => String::new(),
        // A server that does not say where we are knows nothing else, either.
        false => ftp.pwd().map_err(|error| lost(place, &error)).unwrap_or_default(),
    };
    Ok(Box::new(Ftp { ftp, place: place.to_owned(), has_facts, home, encoding: config.encoding }))
}

impl Session for Ftp {
    fn list(&mut self, folder: &str) -> Result<Vec<Entry>, Fault> {
        let folder = &*self.at(folder);
        let entries = if self.has_facts { self.list_facts(folder) } else { self.list_for_people(folder) };
        entries.map_err(|error| self.fault(&error))
    }

    fn state(&mut self, path: &str) -> Result<Stamp, Fault> {
        self.look_at(&self.at(path)).map_err(|error| self.fault(&error))
    }

    fn retrieve(&mut self, path: &str, from: u64) -> Result<Box<dyn Transfer>, Fault> {
        let begun = usize::try_from(from).map_err(|_| FtpError::BadResponse).and_then(|from| {
            self.ftp.resume_transfer(from)?;
            self.ftp.retr_as_stream(self.at(path))
        });
        let stream = begun.map_err(|error| self.fault(&error))?;
        Ok(Box::new(Download { stream, place: self.place.clone() }))
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), Fault> {
        let (from, to) = (self.at(from), self.at(to));
        self.ftp.rename(from, to).map_err(|error| self.fault(&error))
    }

    fn store(&mut self, path: &str, content: &[u8]) -> Result<(), Fault> {
        self.ftp.put_file(self.at(path), &mut io::Cursor::new(content)).map(drop).map_err(|error| self.fault(&error))
    }

    fn remove(&mut self, path: &str) -> Result<(), Fault> {
        self.ftp.rm(self.at(path)).map_err(|error| self.fault(&error))
    }

    fn make_folder(&mut self, folder: &str) -> Result<(), Fault> {
        self.ftp.mkdir(self.at(folder)).map_err(|error| self.fault(&error))
    }

    fn close(mut self: Box<Self>) {
        // Whether it hears us or not, the connection ends with us.
        let _ = self.ftp.quit();
    }
}

/// File names in the encoding that the server has them in.
#[derive(Debug)]
struct Names(&'static Encoding);

impl suppaftp::Encoding for Names {
    fn decode(&self, bytes: &[u8]) -> String {
        self.0.decode_without_bom_handling(bytes).0.into_owned()
    }

    fn encode(&self, text: &str) -> io::Result<Vec<u8>> {
        match self.0.encode(text) {
            (bytes, _, false) => Ok(bytes.into_owned()),
            _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "the name has letters that its encoding has not")),
        }
    }
}

/// A file on its way.
struct Download {
    stream: TransferStream<<RustlsConnector as TlsConnector>::Stream>,
    place: String,
}

impl Read for Download {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer).map_err(|error| match is_late(&error) {
            true => io::Error::new(io::ErrorKind::TimedOut, "the server did not answer in time"),
            false => error,
        })
    }
}

impl Transfer for Download {
    fn finish(self: Box<Self>) -> Result<(), Fault> {
        let Download { stream, place } = *self;
        stream.finish().map_err(|error| fault(&place, &error))
    }
}

impl Ftp {
    /// A path as it is wherever we are.
    fn at(&self, path: &str) -> String {
        match path.starts_with('/') || self.home.is_empty() {
            true => path.to_owned(),
            false => join(&self.home, path),
        }
    }

    fn fault(&self, error: &FtpError) -> Fault {
        fault(&self.place, error)
    }

    /// A listing for programs. Lines that cannot be understood are left out, and so is the folder itself.
    fn list_facts(&mut self, folder: &str) -> Result<Vec<Entry>, FtpError> {
        let lines = self.lines(&format!("MLSD {folder}"))?;
        let is_itself = |line: &str| {
            let facts = line.split(' ').next().unwrap_or_default().to_lowercase();
            facts.split(';').any(|fact| fact == "type=cdir" || fact == "type=pdir")
        };
        let others = lines.iter().filter(|line| !is_itself(line));
        Ok(others.filter_map(|line| ListParser::parse_mlsd(line).ok()).map(|file| entry(&file, true)).collect())
    }

    /// A listing as `ls` or `dir` makes it. It has no seconds, so every file is asked for; and where it is of
    /// another make, the server is asked for bare names.
    fn list_for_people(&mut self, folder: &str) -> Result<Vec<Entry>, FtpError> {
        // A path behind LIST is an option, a pattern or a path, as the server likes; a folder to be in is none.
        self.ftp.cwd(folder)?;
        let lines = self.lines("LIST")?;
        let is_sum = |line: &&String| line.trim_start().to_lowercase().starts_with("total ");
        let parse = |line: &String| ListParser::parse_posix(line).or_else(|_| ListParser::parse_dos(line)).ok();
        let files: Option<Vec<ListedFile>> = lines.iter().filter(|line| !is_sum(line)).map(parse).collect();
        if let Some(files) = files {
            return Ok(files.iter().map(|file| entry(file, false)).collect());
        }
        let names = match self.lines("NLST") {
            Ok(names) => names,
            // So some servers say that there is none.
            Err(FtpError::UnexpectedResponse(answer)) if answer.status == Status::FileUnavailable => Vec::new(),
            Err(error) => return Err(error),
        };
        // Folders among them show when they are asked for their size: they have none.
        let bare = |name: &String| name.rsplit('/').next().unwrap_or(name).to_owned();
        Ok(names.iter().map(|name| Entry { name: bare(name), kind: Kind::File, stamp: None }).collect())
    }

    fn look_at(&mut self, path: &str) -> Result<Stamp, FtpError> {
        if self.has_facts {
            let line = self.ftp.mlst(Some(path))?;
            let file = ListParser::parse_mlst(&line).map_err(|_| FtpError::BadResponse)?;
            return Ok(stamp(file.size() as u64, seconds(file.modified())));
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
        let (content, _) = self.encoding.decode_without_bom_handling(&content);
        Ok(content.lines().map(str::to_owned).filter(|line| !line.trim().is_empty()).collect())
    }
}

fn connect(config: &Config, place: &str) -> Result<RustlsFtpStream, InboxError> {
    let (host, limit) = (config.account.host.as_str(), config.account.timeout);
    let unreachable = |reason: String| InboxError::Unreachable { place: place.to_owned(), reason };
    let addresses = (host, config.account.port).to_socket_addrs().map_err(|error| unreachable(error.to_string()))?;
    let address = addresses.into_iter().next().ok_or_else(|| unreachable(format!("{host} has no address")))?;
    let connector = || match crate::adapters::tls::settings(config.ca.as_deref()) {
        Ok(settings) => Ok(Connector::new(settings, limit)),
        Err(reason) => Err(InboxError::Untrusted { place: place.to_owned(), reason }),
    };
    let secure_fault = |error: FtpError| match error {
        FtpError::UnexpectedResponse(answer) => unreachable(format!(
            "it does not do TLS: {}; only where nothing secret goes over the line, write tls = \"off\"",
            text(&answer.body)
        )),
        other => lost(place, &other),
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
            let ftp = RustlsFtpStream::connect_with_stream(stream).map_err(|error| lost(place, &error))?;
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

/// The end of a connection. What TLS finds wrong with the server is a matter of trust.
fn lost(place: &str, error: &FtpError) -> InboxError {
    let (place, reason) = (place.to_owned(), reason(error));
    let is_untrusted = ["certificate", "UnknownIssuer"].iter().any(|word| reason.contains(word));
    if is_untrusted { InboxError::Untrusted { place, reason } } else { InboxError::Unreachable { place, reason } }
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

/// An answer of the server that is a no, or none at all.
fn fault(place: &str, error: &FtpError) -> Fault {
    let kind = match error {
        FtpError::UnexpectedResponse(answer) => match answer.status {
            // 550 is said of what is not there as of what is not allowed: the words tell, where they do.
            Status::FileUnavailable if is_missing(&text(&answer.body)) => io::ErrorKind::NotFound,
            Status::FileUnavailable | Status::BadFilename => io::ErrorKind::PermissionDenied,
            // 421: the server is about to hang up.
            Status::NotAvailable => return Fault::Lost(lost(place, error)),
            _ => io::ErrorKind::Other,
        },
        FtpError::BadResponse => io::ErrorKind::InvalidData,
        _ => return Fault::Lost(lost(place, error)),
    };
    Fault::Refused(io::Error::new(kind, reason(error)))
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

fn entry(file: &ListedFile, has_seconds: bool) -> Entry {
    let kind = match (file.is_file(), file.is_directory()) {
        (true, _) => Kind::File,
        (_, true) => Kind::Folder,
        _ => Kind::Other,
    };
    let stamp = has_seconds.then(|| stamp(file.size() as u64, seconds(file.modified())));
    Entry { name: file.name().to_owned(), kind, stamp }
}

fn seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).map(|since| since.as_secs()).unwrap_or_default();
    i64::try_from(since).unwrap_or_default()
}

fn stamp(size: u64, modified: i64) -> Stamp {
    Stamp { size, modified: (modified, 0), ..Stamp::default() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn listings_of_several_makes() {
        let facts = "type=file;modify=20261031120000.250;size=1234;perm=adfrw; ORD 1;a.DAT";
        let posix = "-rw-r--r--   1 erp      users        1234 Oct 31 12:00 ORD1.DAT";
        let dos = "10-31-26  12:00PM                 1234 ORD1.DAT";
        let file = ListParser::parse_mlsd(facts).unwrap();
        assert_eq!((file.name(), file.size(), file.is_file()), ("ORD 1;a.DAT", 1234, true));
        assert_eq!(seconds(file.modified()), 1_793_448_000);
        for line in [ListParser::parse_posix(posix), ListParser::parse_dos(dos)] {
            let file = line.unwrap();
            assert_eq!((file.name(), file.size(), file.is_file()), ("ORD1.DAT", 1234, true));
        }
        for odd in
            ["QSYS 1234 31.10.26 12:00:00 *STMF ORD1.DAT", "Volume Unit Referred Ext Used Recfm Lrecl BlkSz Dsorg"]
        {
            assert!(ListParser::parse_posix(odd).or_else(|_| ListParser::parse_dos(odd)).is_err(), "{odd}");
        }
    }

    proptest! {
        #[test]
        fn no_line_of_a_server_is_too_odd(
            line in prop_oneof![
                any::<String>(),
                "[-dl]?[rwx-]{0,10} {0,3}[0-9]{0,25} {1,2}[a-z]{0,4} +[a-z]{0,4} +[0-9]{0,25} [A-Z]?[a-z]{0,3} {0,2}[0-9]{0,3} [0-9:]{0,6} .{0,6}",
                "[0-9/-]{0,10} {0,2}[0-9:]{0,7}[AP]?M? {1,9}(<DIR>|[0-9]{0,25}) .{0,6}",
                "((type|modify|size|UNIX.mode|perm)=[a-z0-9.]{0,25};){0,4} .{0,6}",
            ]
        ) {
            let _ = ListParser::parse_mlsd(&line).map(|file| entry(&file, true).stamp);
            let _ = ListParser::parse_mlst(&line).map(|file| seconds(file.modified()));
            let _ = ListParser::parse_posix(&line).map(|file| entry(&file, false).name);
            let _ = ListParser::parse_dos(&line).map(|file| entry(&file, false).name);
        }
    }
}
