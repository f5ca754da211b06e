//! A connection: its login, then one request after the other.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::Shared;
use super::engine::control::Control;
use super::engine::sink::Piece;
use super::engine::{Engine, Job};
use super::error::SqlFault;
use super::faults::LoginTrouble;
use super::monitor::{End, Session};
use super::sql::parser::Facts;
use super::wire::login::{self, Login};
use super::wire::packet::{self, Message, Writer};
use super::wire::prelogin::{self, Cover};
use super::wire::tokens::{self, Done, done};
use super::wire::{request, tls};

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// What a client sends, as it comes.
enum Incoming {
    Message(Message),
    Attention,
}

/// Serves a connection to its end.
pub(super) async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    // How a connection ends is the other side's business.
    let _ = connection(stream, shared).await;
}

async fn connection(mut stream: TcpStream, shared: Arc<Shared>) -> io::Result<()> {
    if shared.faults().login == Some(LoginTrouble::Silent) {
        let _ = stream.read_to_end(&mut Vec::new()).await;
        return Ok(());
    }
    let first = packet::read(&mut stream).await?;
    if first.kind != packet::PRELOGIN {
        return Ok(());
    }
    let wrong = |fault: SqlFault| io::Error::new(io::ErrorKind::InvalidData, fault.message);
    let hello = prelogin::read(&first.payload).map_err(wrong)?;
    let (answer, cover) = prelogin::agree(hello.encryption, shared.settings.encryption);
    let mut writer = Writer::new(4096, 0);
    writer.push(&mut stream, &prelogin::answer(answer, super::VERSION)).await?;
    writer.end(&mut stream).await?;
    let (message, mut stream): (Message, Box<dyn Stream>) = match cover {
        Cover::Disagreed => return Ok(()),
        Cover::Nothing => (packet::read(&mut stream).await?, Box::new(stream)),
        _ if shared.settings.old_tls => return tls::refuse(&mut stream).await,
        Cover::Login => {
            let mut covered = tls::accept(stream).await?;
            let message = packet::read(&mut covered).await?;
            (message, Box::new(covered.into_inner().0.into_inner()))
        }
        Cover::Everything => {
            let mut covered = tls::accept(stream).await?;
            (packet::read(&mut covered).await?, Box::new(covered))
        }
    };
    if message.kind != packet::LOGIN7 {
        return Ok(());
    }
    let mut login = login::read(&message.payload).map_err(wrong)?;
    let spid = shared.next_spid();
    let known = match login.integrated.take() {
        Some(token) => integrated(&mut stream, token, spid, &shared).await?,
        None => Known::Not,
    };
    if let Known::As(name) = &known {
        login.user = name.clone();
    }
    let (reader, mut out) = tokio::io::split(stream);
    match admit(&login, &known, spid, cover, &shared) {
        Err(faults) => {
            shared.report().refused_logins += 1;
            let mut bytes = Vec::new();
            faults.iter().for_each(|fault| tokens::error(fault, &shared.settings.name, &mut bytes));
            tokens::done(Done::Batch, done::ERROR, 0, 0, &mut bytes);
            let mut writer = Writer::new(4096, spid);
            writer.push(&mut out, &bytes).await?;
            writer.end(&mut out).await
        }
        Ok((facts, size)) => {
            let mut writer = Writer::new(4096, spid);
            writer.push(&mut out, &welcome(&login, &facts, size, &shared)).await?;
            writer.end(&mut out).await?;
            writer.size = size;
            let served = Served { shared: Arc::clone(&shared), writer, out, facts };
            served.requests(reader).await
        }
    }
}

/// What integrated authentication says of a client.
enum Known {
    /// It was not used.
    Not,
    /// This name.
    As(String),
    Refused,
}

/// Asks whoever accepts tokens, and carries what is said to and fro. What the client is told in the end it does not answer: the
/// answer to its login is the next message, as the driver tiberius wants it, which was made at real servers.
async fn integrated(
    stream: &mut Box<dyn Stream>,
    mut token: Vec<u8>,
    spid: u16,
    shared: &Arc<Shared>,
) -> io::Result<Known> {
    let refused = Ok(Known::Refused);
    let Some(acceptor) = shared.settings.acceptor.clone() else { return refused };
    loop {
        let (asked, acceptor) = (token, Arc::clone(&acceptor));
        let Some(step) = tokio::task::spawn_blocking(move || acceptor.step(spid, &asked)).await? else {
            return refused;
        };
        if !step.token.is_empty() {
            let mut bytes = Vec::new();
            tokens::sspi(&step.token, &mut bytes);
            let mut writer = Writer::new(4096, spid);
            writer.push(stream, &bytes).await?;
            writer.end(stream).await?;
        }
        if let Some(name) = step.name {
            return Ok(Known::As(name));
        }
        let message = packet::read(stream).await?;
        // Some send it as a login, as of old.
        if !matches!(message.kind, packet::SSPI | packet::LOGIN7) {
            return refused;
        }
        token = message.payload;
    }
}

/// Lets a login in, or says why not.
fn admit(
    login: &Login,
    known: &Known,
    spid: u16,
    cover: Cover,
    shared: &Shared,
) -> Result<(Facts, usize), Vec<SqlFault>> {
    let refused = || SqlFault::new(18_456, format!("Login failed for user '{}'.", login.user)).class(14);
    let faults = shared.faults().clone();
    let trouble = match faults.login {
        Some(LoginTrouble::Refused) => Some(vec![refused()]),
        Some(LoginTrouble::Expired) => {
            let reason = "Reason: The password of the account has expired.";
            let message = format!("Login failed for user '{}'.  {reason}", login.user);
            Some(vec![SqlFault::new(18_487, message).class(14), refused()])
        }
        Some(LoginTrouble::MustChange) if login.new_password.is_none() => {
            let reason = "Reason: The password of the account must be changed.";
            let message = format!("Login failed for user '{}'.  {reason}", login.user);
            Some(vec![SqlFault::new(18_488, message).class(14), refused()])
        }
        Some(LoginTrouble::NoDatabase) => Some(vec![no_database(login), refused()]),
        Some(LoginTrouble::SingleUser) => {
            let message = format!(
                "Database '{}' is already open and can only have one user at a time.",
                shared.settings.database
            );
            Some(vec![SqlFault::new(924, message).class(14), refused()])
        }
        _ => None,
    };
    if let Some(faults) = trouble {
        return Err(faults);
    }
    if matches!(known, Known::Refused) {
        let message =
            "Login failed. The login is from an untrusted domain and cannot be used with Windows authentication.";
        return Err(vec![SqlFault::new(18_452, message).class(14)]);
    }
    // Of an account of a domain the ticket says enough.
    let is_one = |(user, password): &(String, String)| {
        *user == login.user && (matches!(known, Known::As(_)) || *password == login.password)
    };
    if !shared.settings.logins.iter().any(is_one) {
        return Err(vec![refused()]);
    }
    let database = match login.database.as_str() {
        "" => shared.settings.database.clone(),
        name => shared.database_named(name).ok_or_else(|| vec![no_database(login), refused()])?,
    };
    let mut report = shared.report();
    if faults.max_sessions.is_some_and(|most| report.open_sessions() >= most) {
        let message = format!(
            "Could not connect because the maximum number of '{}' user connections has already been reached.",
            report.open_sessions()
        );
        return Err(vec![SqlFault::new(17_809, message).class(20)]);
    }
    let size = (login.packet_size as usize).clamp(512, shared.settings.packet_size);
    let facts = Facts {
        spid,
        database: database.clone(),
        user: login.user.clone(),
        application: login.application.clone(),
        host: login.host.clone(),
        encrypted: cover == Cover::Everything,
    };
    report.open(Session {
        spid,
        user: login.user.clone(),
        application: login.application.clone(),
        host: login.host.clone(),
        database,
        read_only: login.read_only,
        encrypted: cover == Cover::Everything,
        login_encrypted: cover != Cover::Nothing,
        version: login.version,
        packet_size: size,
        is_open: true,
        ..Session::default()
    });
    Ok((facts, size))
}

fn no_database(login: &Login) -> SqlFault {
    let message = format!("Cannot open database \"{}\" requested by the login. The login failed.", login.database);
    SqlFault::new(4060, message).class(11)
}

/// What a client that is let in is told.
fn welcome(login: &Login, facts: &Facts, size: usize, shared: &Shared) -> Vec<u8> {
    let (server, mut out) = (&shared.settings.name, Vec::new());
    tokens::changed(1, &facts.database, "master", &mut out);
    tokens::info(5701, 0, &format!("Changed database context to '{}'.", facts.database), server, &mut out);
    tokens::changed_bytes(7, &super::value::collation::Collation::DEFAULT.wire, &[], &mut out);
    tokens::changed(2, "us_english", "", &mut out);
    tokens::info(5703, 0, "Changed language setting to us_english.", server, &mut out);
    tokens::login_ack(super::VERSION, &mut out);
    tokens::changed(4, &size.to_string(), "4096", &mut out);
    if login.features.contains(&login::UTF8) {
        tokens::features(&[(login::UTF8, &[1])], &mut out);
    }
    tokens::done(Done::Batch, 0, 0, 0, &mut out);
    out
}

/// Reads what the client sends for as long as it does.
async fn listen(mut reader: ReadHalf<Box<dyn Stream>>, incoming: mpsc::Sender<Incoming>) {
    while let Ok(message) = packet::read(&mut reader).await {
        let one = if message.kind == packet::ATTENTION { Incoming::Attention } else { Incoming::Message(message) };
        if incoming.send(one).await.is_err() {
            return;
        }
    }
}

/// How a request came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Answered,
    Cancelled,
    /// Its connection is to be closed.
    Closing,
    /// Its connection is gone.
    Lost,
}

struct Served {
    shared: Arc<Shared>,
    writer: Writer,
    out: WriteHalf<Box<dyn Stream>>,
    facts: Facts,
}

impl Served {
    async fn requests(mut self, reader: ReadHalf<Box<dyn Stream>>) -> io::Result<()> {
        let control = Arc::new(Control::default());
        let (jobs, work) = std::sync::mpsc::channel::<Job>();
        let spid = self.facts.spid;
        let (shared, facts, of_thread) = (Arc::clone(&self.shared), self.facts.clone(), Arc::clone(&control));
        std::thread::Builder::new().name(format!("tds {spid}")).spawn(move || {
            let mut engine = Engine::new(Arc::clone(&shared), facts, of_thread).unwrap();
            while let Ok(job) = work.recv() {
                engine.work(job);
            }
            engine.undo();
            if let Some(session) = shared.report().session(spid) {
                session.is_open = false;
            }
            shared.forget(spid);
        })?;
        let killed = self.shared.register(spid, Arc::clone(&control));
        let (sender, mut incoming) = mpsc::channel(8);
        let listening = tokio::spawn(listen(reader, sender));
        let served = self.loop_over(&mut incoming, &jobs, &control, killed).await;
        listening.abort();
        control.cancel();
        drop(jobs);
        served
    }

    async fn loop_over(
        &mut self,
        incoming: &mut mpsc::Receiver<Incoming>,
        jobs: &std::sync::mpsc::Sender<Job>,
        control: &Arc<Control>,
        killed: Arc<tokio::sync::Notify>,
    ) -> io::Result<()> {
        let mut waiting = std::collections::VecDeque::new();
        loop {
            let next = match waiting.pop_front() {
                Some(message) => Some(Incoming::Message(message)),
                None => tokio::select! {
                    next = incoming.recv() => next,
                    () = killed.notified() => return self.say_killed().await,
                },
            };
            match next {
                None => return Ok(()),
                Some(Incoming::Attention) => {
                    if let Some(session) = self.shared.report().session(self.facts.spid) {
                        session.attentions += 1;
                    }
                    self.acknowledge().await?;
                }
                Some(Incoming::Message(message)) => {
                    let outcome = self.request(message, incoming, jobs, control, &mut waiting).await?;
                    if matches!(outcome, Outcome::Closing | Outcome::Lost) {
                        return Ok(());
                    }
                }
            }
        }
    }

    async fn say_killed(&mut self) -> io::Result<()> {
        let mut bytes = Vec::new();
        tokens::error(&SqlFault::killed(), &self.shared.settings.name, &mut bytes);
        tokens::done(Done::Batch, done::ERROR | done::SERVER_ERROR, 0, 0, &mut bytes);
        self.writer.push(&mut self.out, &bytes).await?;
        self.writer.end(&mut self.out).await
    }

    async fn acknowledge(&mut self) -> io::Result<()> {
        let mut bytes = Vec::new();
        tokens::done(Done::Batch, done::ATTENTION, 0, 0, &mut bytes);
        self.writer.push(&mut self.out, &bytes).await?;
        self.writer.end(&mut self.out).await
    }

    /// One request, from its arrival to the end of its answer.
    async fn request(
        &mut self,
        message: Message,
        incoming: &mut mpsc::Receiver<Incoming>,
        jobs: &std::sync::mpsc::Sender<Job>,
        control: &Arc<Control>,
        waiting: &mut std::collections::VecDeque<Message>,
    ) -> io::Result<Outcome> {
        let resets = message.resets;
        let read = match request::read(&message) {
            Ok(read) => read,
            Err(fault) => {
                let mut bytes = Vec::new();
                tokens::error(&fault, &self.shared.settings.name, &mut bytes);
                tokens::done(Done::Batch, done::ERROR, 0, 0, &mut bytes);
                self.writer.push(&mut self.out, &bytes).await?;
                self.writer.end(&mut self.out).await?;
                return Ok(Outcome::Answered);
            }
        };
        drop(message);
        let text = read.text();
        let (faults, trouble) = self.shared.faults().meet(&text);
        let now = self.shared.now();
        let statement = self.shared.report().begin(self.facts.spid, text, now);
        if resets && let Some(session) = self.shared.report().session(self.facts.spid) {
            session.resets += 1;
        }
        control.go_on();
        let (sender, mut pieces) = mpsc::channel(4);
        if jobs.send(Job { request: read, resets, faults, trouble, pieces: sender }).is_err() {
            return Ok(Outcome::Closing);
        }
        let outcome = self.answer(statement, &mut pieces, incoming, control, waiting).await;
        // Whatever happened, the thread comes to the end of this request before it counts as ended.
        let outcome = outcome.unwrap_or(Outcome::Lost);
        let end = match outcome {
            Outcome::Answered | Outcome::Closing => End::Done,
            Outcome::Cancelled => End::Cancelled,
            Outcome::Lost => {
                // It goes on for a while, as undoing takes its time.
                tokio::time::sleep(self.shared.settings.lingers).await;
                control.cancel();
                while pieces.recv().await.is_some() {}
                End::Lost
            }
        };
        let now = self.shared.now();
        self.shared.report().end(statement, end, now);
        Ok(outcome)
    }

    /// Writes an answer while it is made, and minds what comes meanwhile.
    async fn answer(
        &mut self,
        statement: usize,
        pieces: &mut mpsc::Receiver<Piece>,
        incoming: &mut mpsc::Receiver<Incoming>,
        control: &Arc<Control>,
        waiting: &mut std::collections::VecDeque<Message>,
    ) -> io::Result<Outcome> {
        loop {
            tokio::select! {
                biased;
                next = incoming.recv() => match next {
                    None => return Ok(Outcome::Lost),
                    Some(Incoming::Message(message)) => waiting.push_back(message),
                    Some(Incoming::Attention) => {
                        if let Some(session) = self.shared.report().session(self.facts.spid) {
                            session.attentions += 1;
                        }
                        let (ignores, delay) = {
                            let faults = self.shared.faults();
                            (faults.ignore_attention, faults.attention_delay)
                        };
                        if !ignores {
                            return self.cancelled(pieces, incoming, control, delay).await;
                        }
                    }
                },
                piece = pieces.recv() => match piece {
                    None => {
                        self.writer.end(&mut self.out).await?;
                        return Ok(Outcome::Answered);
                    }
                    Some(Piece::Bytes(bytes)) => self.writer.push(&mut self.out, &bytes).await?,
                    Some(Piece::Rows(rows)) => self.shared.report().statements[statement].rows = rows,
                    Some(Piece::Show) => self.writer.flush(&mut self.out).await?,
                    Some(Piece::Tear) => {
                        self.writer.tear(&mut self.out).await?;
                        return Ok(Outcome::Closing);
                    }
                    Some(Piece::Close(is_told)) => {
                        if is_told {
                            self.writer.end(&mut self.out).await?;
                        }
                        return Ok(Outcome::Closing);
                    }
                },
            }
        }
    }

    /// Ends what runs, and says so when it has ended.
    async fn cancelled(
        &mut self,
        pieces: &mut mpsc::Receiver<Piece>,
        incoming: &mut mpsc::Receiver<Incoming>,
        control: &Arc<Control>,
        delay: Duration,
    ) -> io::Result<Outcome> {
        let until = tokio::time::Instant::now() + delay;
        if delay.is_zero() {
            control.cancel();
        }
        // The client may leave while it waits.
        let mut is_gone = false;
        while !delay.is_zero() && !is_gone {
            tokio::select! {
                () = tokio::time::sleep_until(until) => break,
                next = incoming.recv() => is_gone = next.is_none(),
            }
        }
        control.cancel();
        let mut whole = Vec::new();
        while let Some(piece) = pieces.recv().await {
            if let Piece::Bytes(bytes) = piece {
                whole.push(bytes);
            }
        }
        if is_gone {
            return Ok(Outcome::Lost);
        }
        // What was made before is told: rows are whole.
        for bytes in whole {
            self.writer.push(&mut self.out, &bytes).await?;
        }
        self.acknowledge().await?;
        Ok(Outcome::Cancelled)
    }
}
