//! One reading of one file on the server.

use std::io::{self, Read};

use super::Server;
use super::session::{Session, Transfer};
use crate::adapters::inbox::{Candidate, Claim, InboxError, Stamp};
use crate::gate::{Call, Permit};

/// A file of the server, on its way. Given up before its end, its connection ends with it.
pub(super) struct Download<'p> {
    server: &'p Server,
    name: String,
    stamp: Stamp,
    read: u64,
    open: Option<(Transfer, Session)>,
    call: Option<Call<'p>>,
}

impl<'p> Download<'p> {
    /// Opens it, unless it is another than the one that was found.
    pub(super) fn open(
        server: &'p Server,
        permit: &'p Permit,
        candidate: &Candidate,
        from: u64,
    ) -> Result<Download<'p>, InboxError> {
        let call = permit.begin();
        let name = &candidate.name;
        let opened = server.session().and_then(|mut session| {
            let path = server.path(name);
            if session.state(&path).map_err(|error| server.of_file(name, &error))? != candidate.stamp {
                server.put_back(session);
                return Err((InboxError::Changed { place: server.place_of(name) }, true));
            }
            let transfer = session.retrieve(&path, from).map_err(|error| server.of_file(name, &error))?;
            Ok((transfer, session))
        });
        match opened {
            Ok(open) => {
                let (name, stamp, open) = (name.clone(), candidate.stamp, Some(open));
                Ok(Download { server, name, stamp, read: from, open, call: Some(call) })
            }
            Err((error, is_answered)) => {
                if is_answered {
                    call.answered();
                }
                Err(error)
            }
        }
    }

    /// The server is done with it: it said so, or the connection is over.
    fn answered(&mut self) {
        if let Some(call) = self.call.take() {
            call.answered();
        }
    }
}

impl Read for Download<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some((transfer, _)) = &mut self.open else { return Err(io::ErrorKind::NotConnected.into()) };
        let count = match transfer.read(buffer) {
            // Many servers just hang up at the end; elsewhere it is a line that broke.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && self.read == self.stamp.size => 0,
            // The end of the stream before the end of the file is a line that broke as well.
            Ok(0) if self.read < self.stamp.size && !buffer.is_empty() => {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection ended before the file did"));
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the server did not answer in time"));
            }
            other => other?,
        };
        self.read += count as u64;
        Ok(count)
    }
}

impl Claim for Download<'_> {
    fn finish(mut self: Box<Self>) -> Result<(), InboxError> {
        let Some((transfer, mut session)) = self.open.take() else {
            return Err(InboxError::Changed { place: self.server.place_of(&self.name) });
        };
        let path = self.server.path(&self.name);
        // The server's word on the transfer, then the file's state after it.
        let found = transfer.finish().and_then(|()| session.state(&path));
        match found {
            Ok(stamp) => {
                self.answered();
                self.server.put_back(session);
                if stamp == self.stamp && self.read == self.stamp.size {
                    Ok(())
                } else {
                    Err(InboxError::Changed { place: self.server.place_of(&self.name) })
                }
            }
            Err(error) => {
                let (error, is_answered) = self.server.of_file(&self.name, &error);
                if is_answered {
                    self.answered();
                }
                Err(error)
            }
        }
    }
}

impl Drop for Download<'_> {
    /// Given up half-way: both connections end, and the server has nothing more to do for us.
    fn drop(&mut self) {
        if let Some((transfer, session)) = self.open.take() {
            drop(transfer);
            drop(session);
            self.answered();
        }
    }
}
