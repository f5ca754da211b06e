//! One reading of one file on the server.

use std::io::{self, Read, SeekFrom};

use russh_sftp::client::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio::runtime::Handle;

use super::session::Session;
use super::{Server, in_time, stamp};
use crate::adapters::inbox::{Candidate, Claim, InboxError, Stamp};
use crate::gate::{Call, Permit};

/// A file of the server, open. Given up before its end, its connection ends with it.
pub(super) struct Download<'p> {
    server: &'p Server,
    runtime: Handle,
    name: String,
    stamp: Stamp,
    read: u64,
    open: Option<(Session, File)>,
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
        let runtime = server.runtime()?;
        let call = permit.begin();
        let opened = runtime.block_on(async {
            let session = match server.take() {
                Some(session) => session,
                None => Session::open(&server.config, &server.place).await.map_err(|error| (error, true))?,
            };
            let (path, name) = (server.path(&candidate.name), &candidate.name);
            let found = session.files.symlink_metadata(path.as_str()).await;
            if stamp(&found.map_err(|error| server.of_file(name, error))?) != candidate.stamp {
                server.put_back(session);
                return Err((InboxError::Changed { place: server.place_of(name) }, true));
            }
            let mut file = session.files.open(path).await.map_err(|error| server.of_file(name, error))?;
            let sought = file.seek(SeekFrom::Start(from)).await;
            sought.map_err(|source| (InboxError::File { place: server.place_of(name), source }, true))?;
            Ok((session, file))
        });
        let (session, file) = match opened {
            Ok(opened) => opened,
            Err((error, is_answered)) => {
                if is_answered {
                    call.answered();
                }
                return Err(error);
            }
        };
        Ok(Download {
            server,
            runtime,
            name: candidate.name.clone(),
            stamp: candidate.stamp,
            read: from,
            open: Some((session, file)),
            call: Some(call),
        })
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
        let Some((_, file)) = &mut self.open else { return Err(io::ErrorKind::NotConnected.into()) };
        let limit = self.server.config.account.timeout;
        let count = self.runtime.block_on(in_time(limit, file.read(buffer)))?;
        self.read += count as u64;
        Ok(count)
    }
}

impl Claim for Download<'_> {
    fn finish(mut self: Box<Self>) -> Result<(), InboxError> {
        let Some((session, file)) = self.open.take() else {
            return Err(InboxError::Changed { place: self.server.place_of(&self.name) });
        };
        let path = self.server.path(&self.name);
        let found = self.runtime.block_on(async {
            // The server closes it with the connection if it does not now.
            let _ = in_time(self.server.config.account.timeout, file.close()).await;
            session.files.symlink_metadata(path).await
        });
        match found {
            Ok(meta) => {
                self.answered();
                self.server.put_back(session);
                if stamp(&meta) == self.stamp && self.read == self.stamp.size {
                    Ok(())
                } else {
                    Err(InboxError::Changed { place: self.server.place_of(&self.name) })
                }
            }
            Err(error) => {
                let (error, is_answered) = self.server.of_file(&self.name, error);
                if is_answered {
                    self.answered();
                }
                Err(error)
            }
        }
    }
}

impl Drop for Download<'_> {
    /// Given up half-way: the connection ends with the session, and the server has nothing more to do for us.
    fn drop(&mut self) {
        if let Some((session, file)) = self.open.take() {
            drop(file);
            self.runtime.block_on(session.close());
            self.answered();
        }
    }
}
