//! Answers that are read while they come.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use encoding_rs::Decoder;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};

use super::answer::ending::{self, Ending};
use super::answer::{Answer, Head, Leniency, Parts, envelope, multipart, odd_head, weigh};
use super::body::Body;
use super::guard::Turn;
use super::pass::Pass;
use super::{Request, Service, SoapError, borne, end, mask};
use crate::gate::{Call, Permit};

/// So much of an answer is looked at before it is known what it is.
const LOOK: usize = 64 << 10;

/// The most pieces that wait for whoever reads them.
const WAITING: usize = 4;

/// An answer that is being read. Whoever drops it leaves: the answer is read to its end all the same, and its place at the
/// gate kept until then.
pub struct Streamed {
    /// What comes beside the envelope. An answer in parts is read whole before it is given out.
    pub parts: Parts,
    /// What was not as it should be, as far as its beginning says.
    pub leniencies: Vec<Leniency>,
    late: Late,
    pieces: mpsc::Receiver<Result<Bytes, SoapError>>,
}

/// What turned out not to be as it should be when the answer had been read to its end.
#[derive(Clone, Default)]
pub struct Late(Arc<AtomicBool>);

impl Late {
    /// It; `None` as long as the answer is being read.
    pub fn leniency(&self) -> Option<Leniency> {
        self.0.load(Ordering::Acquire).then_some(Leniency::Junk)
    }
}

impl Streamed {
    /// What will be known at its end.
    pub fn late(&self) -> Late {
        self.late.clone()
    }

    /// The next piece of the envelope, in UTF-8; `None` at its end. After an error there is nothing more, and what came
    /// before it is not the whole.
    pub async fn next(&mut self) -> Option<Result<Bytes, SoapError>> {
        self.pieces.recv().await
    }

    /// The envelope for those who read on a thread of their own. What breaks off is an error of kind `UnexpectedEof` with
    /// the [`SoapError`] in it, never an end. Reading panics within a task of the runtime.
    pub fn into_reader(self) -> StreamReader {
        StreamReader { pieces: self.pieces, current: Bytes::new() }
    }
}

/// Reads a streamed envelope, waiting for it.
pub struct StreamReader {
    pieces: mpsc::Receiver<Result<Bytes, SoapError>>,
    current: Bytes,
}

impl io::Read for StreamReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.pieces.blocking_recv() {
                None => return Ok(0),
                Some(Ok(piece)) => self.current = piece,
                Some(Err(error)) => {
                    let kind = match &error {
                        SoapError::Cut { .. } | SoapError::Lost { .. } | SoapError::Silent { .. } => {
                            io::ErrorKind::UnexpectedEof
                        }
                        _ => io::ErrorKind::InvalidData,
                    };
                    return Err(io::Error::new(kind, error));
                }
            }
        }
        let length = self.current.len().min(buffer.len());
        buffer[..length].copy_from_slice(&self.current.split_to(length));
        Ok(length)
    }
}

/// What is told when it is known what an answer is.
type Begun = Result<(Parts, Vec<Leniency>), SoapError>;

/// Where an answer goes.
struct Outlet {
    begun: Option<oneshot::Sender<Begun>>,
    pieces: mpsc::Sender<Result<Bytes, SoapError>>,
    late: Late,
}

impl Outlet {
    fn begin(&mut self, begun: Begun) {
        if let Some(sender) = self.begun.take() {
            // Whoever has left hears nothing.
            let _ = sender.send(begun);
        }
    }

    /// Whoever has left gets nothing more; the answer is read on.
    async fn give(&self, text: Vec<u8>) {
        if !text.is_empty() {
            let _ = self.pieces.send(Ok(Bytes::from(text))).await;
        }
    }
}

impl Service {
    /// Calls the operation and answers as soon as it is known that a message comes; its envelope follows piece by piece.
    /// Faults, and all that is no envelope, are errors as of [`Service::call`].
    ///
    /// A task of its own holds the permit until the answer is read to its end, whoever leaves; and since a piece is read
    /// only when the ones before it were taken, a slow reader holds the place as long. Between two pieces the service may
    /// take as long as `timeout`; its beginning is waited for `late` longer. The gate is told of a service that stands still
    /// for as long as `timeout`, as of [`Service::call`].
    ///
    /// What stands behind the envelope is not given out.
    pub async fn stream(self: &Arc<Self>, permit: Permit, request: Request) -> Result<Streamed, SoapError> {
        let (begun, told) = oneshot::channel();
        let (sender, pieces) = mpsc::channel(WAITING);
        let (service, late) = (Arc::clone(self), Late::default());
        let mut outlet = Outlet { begun: Some(begun), pieces: sender, late: late.clone() };
        tokio::spawn(async move {
            if let Err(error) = service.flow(&permit, &request, &mut outlet).await {
                match outlet.begun.take() {
                    Some(begun) => drop(begun.send(Err(error))),
                    None => drop(outlet.pieces.send(Err(error)).await),
                }
            }
            // Whoever has read to the end may count on it that the place is free.
            drop(permit);
            drop(outlet);
        });
        let ended = || SoapError::Lost { endpoint: self.place(), reason: "the call ended unexpectedly".to_owned() };
        let (parts, leniencies) = told.await.map_err(|_| ended())??;
        Ok(Streamed { parts, leniencies, late, pieces })
    }

    async fn flow(&self, permit: &Permit, request: &Request, outlet: &mut Outlet) -> Result<(), SoapError> {
        let deadline = Instant::now() + self.longest();
        let (mut has_tried, mut turn) = (false, None);
        loop {
            let entered = timeout_at(deadline, self.enter(permit, deadline)).await.map_err(|_| self.silent())??;
            let pass = Pass { may_be_over: !has_tried, ..entered };
            self.turn(&mut turn, request, deadline).await?;
            let prepared = self.prepare(request, &pass)?;
            let call = permit.begin();
            let result = self.flow_once(prepared, request, deadline, outlet, (&call, &mut turn)).await;
            self.learn(&mut turn, result.as_ref().err(), pass.may_be_over());
            end(call, result.as_ref().err(), &request.trouble);
            match result {
                Err(error) if !has_tried && outlet.begun.is_some() && self.is_over(&error, &pass).await => {
                    has_tried = true;
                    // Logging in has a turn of its own.
                    turn.take_if(|_| pass.session.is_some());
                }
                result => return result,
            }
        }
    }

    async fn flow_once(
        &self,
        prepared: hyper::Request<http_body_util::Full<Bytes>>,
        request: &Request,
        deadline: Instant,
        outlet: &mut Outlet,
        (call, turn): (&Call<'_>, &mut Option<Turn>),
    ) -> Result<(), SoapError> {
        let looking = async {
            let (response, mut line) = self.lines.send(prepared, deadline).await?;
            // While whoever reads it takes its time, nobody waits for it.
            line.by_itself();
            let mut body = match Body::new(response) {
                Ok(body) => body,
                Err((incoming, error)) => {
                    super::body::drain(incoming).await?;
                    return Err(error);
                }
            };
            let begun = self.recognized(&mut body, request).await;
            Ok::<_, SoapError>((line, body, begun))
        };
        let looked = self.in_time(call, deadline, looking).await;
        let (line, mut body, begun) = looked.unwrap_or_else(|| Err(self.silent()))?;
        let begun = match begun {
            Ok(begun) => begun,
            Err(error) => return self.after(call, body, error, deadline).await,
        };
        // The others need not wait for all of it.
        self.learn(turn, None, false);
        let (mut decoder, first) = match begun {
            Looked::Whole(answer) => {
                outlet.begin(Ok((answer.parts, answer.leniencies)));
                outlet.give(answer.envelope.to_vec()).await;
                self.lines.keep(line).await;
                return Ok(());
            }
            Looked::Begun { first, decoder, leniencies } => {
                outlet.begin(Ok((Parts::default(), leniencies)));
                (decoder, first)
            }
        };
        let mut ending = Ending::of(&first);
        outlet.give(ending.within(first)).await;
        loop {
            let mut piece = Vec::new();
            let more = timeout(self.config.timeout, body.more(&mut piece, self.config.max_stream)).await;
            let is_more = match more {
                Ok(Ok(is_more)) => is_more,
                Ok(Err(error)) => return self.after(call, body, error, Instant::now() + self.longest()).await,
                Err(_) => {
                    call.overdue();
                    return Err(SoapError::Silent { endpoint: self.place(), after: self.config.timeout });
                }
            };
            let text = match &mut decoder {
                Some(decoder) => decoded(decoder, &piece, !is_more)?,
                None => piece,
            };
            outlet.give(ending.within(text)).await;
            if !is_more {
                break;
            }
        }
        self.lines.keep(line).await;
        if !ending.has_junk() {
            return Ok(());
        }
        borne(&[Leniency::Junk], &body.head(request.version), request)?;
        outlet.late.0.store(true, Ordering::Release);
        Ok(())
    }

    /// An answer that is no good is read to its end where it has one.
    async fn after(&self, call: &Call<'_>, body: Body, error: SoapError, deadline: Instant) -> Result<(), SoapError> {
        if !matches!(error, SoapError::Cut { .. } | SoapError::Lost { .. }) {
            self.in_time(call, deadline, body.drain()).await.unwrap_or_else(|| Err(self.silent()))?;
        }
        Err(error)
    }

    /// Reads so much of an answer that it is known what it is.
    async fn recognized(&self, body: &mut Body, request: &Request) -> Result<Looked, SoapError> {
        let mut begun = Vec::new();
        let mut is_over = false;
        while begun.len() < LOOK && !is_over {
            is_over = !body.more(&mut begun, self.config.max_stream).await?;
        }
        let must_be_whole = is_over
            || self.config.wsse.as_ref().is_some_and(|wsse| wsse.verify.is_some())
            || body.media_type().is_some_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with("multipart/"))
            || multipart::begins(&begun);
        if !must_be_whole {
            let head = body.head(request.version);
            if let Some(looked) = recognized_by(&begun, &head, &self.secret_names()) {
                if let Looked::Begun { leniencies, .. } = &looked {
                    borne(leniencies, &head, request)?;
                }
                return Ok(looked);
            }
        }
        body.rest(&mut begun, self.config.max_answer as u64).await?;
        let head = body.head(request.version);
        let weighed = weigh(Bytes::from(begun), &head);
        self.judged(weighed, &head, request).map(|answer| Looked::Whole(self.masked(answer)))
    }
}

/// What an answer is by its beginning; `None` where that does not say, or says that it is no message.
fn recognized_by(begun: &[u8], head: &Head<'_>, secret_names: &[&str]) -> Option<Looked> {
    let charset = head.media_type.and_then(super::answer::charset);
    let (text, decoder, mut leniencies) = beginning(begun, charset)?;
    let at = envelope::begin(&text)?;
    let verdict = envelope::judge(&text[at..]);
    if !matches!(verdict, envelope::Verdict::Message(_)) {
        return None;
    }
    if !ending::may_stand_around(&text[..at]) {
        leniencies.push(Leniency::Junk);
    }
    if head.was_compressed {
        leniencies.push(Leniency::Compressed);
    }
    leniencies.extend(odd_head(&verdict, head));
    let text = &text[at..];
    let first =
        mask::reply(text.as_bytes(), secret_names).map_or_else(|| text.as_bytes().to_vec(), |masked| masked.to_vec());
    Some(Looked::Begun { first, decoder, leniencies })
}

/// What a look has found.
enum Looked {
    /// All of it.
    Whole(Answer),
    /// Its beginning, and what turns the rest into UTF-8 where it is not.
    Begun { first: Vec<u8>, decoder: Option<Decoder>, leniencies: Vec<Leniency> },
}

type Beginning = (String, Option<Decoder>, Vec<Leniency>);

/// The beginning of an answer as text, as [`envelope::text`] has a whole one.
fn beginning(begun: &[u8], charset: Option<&'static encoding_rs::Encoding>) -> Option<Beginning> {
    let bare = begun.strip_prefix(b"\xef\xbb\xbf").unwrap_or(begun);
    let whole = match std::str::from_utf8(bare) {
        Ok(_) => bare.len(),
        // A character may be cut.
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        Err(_) => 0,
    };
    let marked = encoding_rs::Encoding::for_bom(begun).map(|(encoding, _)| encoding);
    let said = marked.or(charset).or_else(|| envelope::declared(bare));
    let is_utf8 = said.is_none_or(|said| said == encoding_rs::UTF_8);
    // Of a beginning in ASCII nobody knows how it goes on: then what is said counts.
    let is_plainly =
        whole > 0 && !bare[..whole].is_ascii() && said.is_some_and(encoding_rs::Encoding::is_ascii_compatible);
    if is_utf8 || is_plainly {
        let leniencies = if is_utf8 { Vec::new() } else { vec![Leniency::Encoding] };
        let decoder = encoding_rs::UTF_8.new_decoder_without_bom_handling();
        return decode_first(decoder, bare).map(|(text, decoder)| (text, Some(decoder), leniencies));
    }
    let decoder = said?.new_decoder_with_bom_removal();
    decode_first(decoder, begun).map(|(text, decoder)| (text, Some(decoder), Vec::new()))
}

fn decode_first(mut decoder: Decoder, bytes: &[u8]) -> Option<(String, Decoder)> {
    let text = decoded(&mut decoder, bytes, false).ok()?;
    Some((String::from_utf8(text).ok()?, decoder))
}

/// A piece in UTF-8. What is no text in its encoding breaks the answer off: nobody guesses.
fn decoded(decoder: &mut Decoder, bytes: &[u8], is_last: bool) -> Result<Vec<u8>, SoapError> {
    let broken = || SoapError::Cut { reason: "its text is not in the encoding that it began in".to_owned() };
    let room = decoder.max_utf8_buffer_length_without_replacement(bytes.len());
    let mut text = String::with_capacity(room.unwrap_or(bytes.len()));
    let (result, _) = decoder.decode_to_string_without_replacement(bytes, &mut text, is_last);
    match result {
        encoding_rs::DecoderResult::InputEmpty => Ok(text.into_bytes()),
        encoding_rs::DecoderResult::OutputFull | encoding_rs::DecoderResult::Malformed(..) => Err(broken()),
    }
}
