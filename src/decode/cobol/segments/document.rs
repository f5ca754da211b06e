//! The records that belong to one document, gathered one after another.

use std::io::Read;

use super::super::framing::{Bad, Frame, Framer, Place, Step};
use super::super::gaps::Gaps;
use super::super::hints::foreign_record;
use super::{ANY, Segments, Unknown, Unroutable};
use crate::decode::MAX_RECORD;
use crate::decode::reader::StreamFault;
use crate::decode::window::Window;
use crate::record::{Part, RejectCode, Scope};

/// The most records of one document.
const MAX_PARTS: usize = 100_000;

/// Why something is no document, or no part of one.
pub(in crate::decode::cobol) struct Wrong {
    pub(in crate::decode::cobol) code: RejectCode,
    pub(in crate::decode::cobol) expected: String,
    pub(in crate::decode::cobol) found: String,
}

impl From<Unroutable> for Wrong {
    fn from(unroutable: Unroutable) -> Wrong {
        Wrong { code: unroutable.code, expected: unroutable.expected, found: unroutable.found }
    }
}

/// What the records at the start of the window make.
pub(in crate::decode::cobol) enum Gathered {
    /// A document; its parts are with the gatherer.
    Document(Span),
    /// Bytes that are none.
    Wrong(Span, Wrong),
    /// The filters leave it out, or its type is to be passed over.
    LeftOut(Span),
}

/// Bytes of the window.
#[derive(Clone, Copy)]
pub(in crate::decode::cobol) struct Span {
    /// Where the first record begins, and where the last one ends.
    pub(in crate::decode::cobol) start: usize,
    pub(in crate::decode::cobol) end: usize,
    /// Where the last frame ends.
    pub(in crate::decode::cobol) total: usize,
    /// Behind the last frame.
    pub(in crate::decode::cobol) place: Place,
    /// Lines up to the first record's.
    pub(in crate::decode::cobol) lines: u64,
}

/// Gathers documents; keeps its room from one to the next.
#[derive(Default)]
pub(in crate::decode::cobol) struct Gatherer {
    pub(in crate::decode::cobol) parts: Vec<Part>,
    /// The records that later ones may hang below, from the outside in: kind and part. A part that a filter left out has
    /// no index.
    open: Vec<(u16, Option<u32>)>,
    /// The next free number for a scope.
    scope: u32,
    /// Records that filters have left out, and those of unknown types that are passed over.
    pub(in crate::decode::cobol) left_out: u64,
    /// Whether this is more than a document may be.
    full: Option<Wrong>,
}

impl Gatherer {
    /// Gathers the document that begins with this frame at the start of the window.
    pub(in crate::decode::cobol) fn gather<R: Read>(
        &mut self,
        framer: &Framer,
        segments: &Segments,
        window: &mut Window,
        input: &mut R,
        frame: Frame,
    ) -> Gathered {
        let plan = &framer.plan;
        let (start, end) = (frame.before, frame.before + frame.length);
        let mut span = Span { start, end, total: frame.total(), place: frame.place, lines: frame.place.lines };
        let bytes = window.first(end).get(start..).unwrap_or_default();
        let kind = match segments.route(plan, bytes) {
            Ok(kind) => kind,
            Err(unroutable) if is_passed_over(segments, &unroutable) => {
                self.left_out += 1;
                return Gathered::LeftOut(span);
            }
            Err(unroutable) => {
                let mut wrong = Wrong::from(unroutable);
                if wrong.code == RejectCode::UnknownType
                    && let Some(hint) = foreign_record(plan, bytes)
                {
                    wrong.found = format!("{}; {hint}", wrong.found);
                }
                return Gathered::Wrong(span, wrong);
            }
        };
        if segments.nested && segments.kinds[usize::from(kind)].parent.is_some() {
            return Gathered::Wrong(span, orphan(segments, kind));
        }
        let mut broken = too_long(framer, segments, kind, bytes);
        let passes = !segments.has_filters() || segments.passes(plan, kind, bytes);
        self.left_out += u64::from(!passes);
        self.parts.clear();
        self.open.clear();
        (self.scope, self.full) = (0, None);
        self.add(segments, kind, None, 0, frame.length);
        self.open.push((kind, passes.then_some(0)));
        if !segments.kinds[usize::from(kind)].children.is_empty() {
            self.follow(framer, segments, window, input, &mut span, &mut broken);
        }
        self.close(0);
        match self.full.take().or(broken) {
            Some(wrong) => Gathered::Wrong(span, wrong),
            None if passes => Gathered::Document(span),
            None => Gathered::LeftOut(span),
        }
    }

    /// Takes what belongs to the document that was begun.
    fn follow<R: Read>(
        &mut self,
        framer: &Framer,
        segments: &Segments,
        window: &mut Window,
        input: &mut R,
        span: &mut Span,
        broken: &mut Option<Wrong>,
    ) {
        let (mut at, mut place) = (span.total, span.place);
        // A record that belongs to no document. When records of this one follow, it lay in its middle.
        let mut foreign: Option<Wrong> = None;
        // Records that are passed over: they are this document's when others of it follow, else their own.
        let mut passed = 0;
        while at - span.start <= 2 * MAX_RECORD {
            let frame = match framer.find(window, input, at, place) {
                Ok(Step::Record(frame)) => frame,
                Ok(Step::End) => return,
                Ok(Step::Blank { total, place: behind, counted }) => {
                    passed += u64::from(counted);
                    (at, place) = (at + total, behind);
                    continue;
                }
                Ok(Step::Bad(bad)) if bad.endless => return,
                Ok(Step::Bad(bad)) if bad.code == RejectCode::Truncated => {
                    self.cut(framer, segments, window, at, bad, span, broken);
                    return;
                }
                Ok(Step::Bad(bad)) => {
                    (at, place) = (at + bad.total, bad.place);
                    foreign.get_or_insert(Wrong { code: bad.code, expected: bad.expected, found: bad.found });
                    continue;
                }
                Err(fault) => {
                    // Whether the document ends here cannot be known.
                    if broken.is_none() {
                        *broken = Some(lost_behind(&fault));
                    }
                    return;
                }
            };
            let (from, to) = (at + frame.before, at + frame.before + frame.length);
            let bytes = window.first(to).get(from..).unwrap_or_default();
            let kind = match segments.route(&framer.plan, bytes) {
                Ok(kind) if segments.kinds[usize::from(kind)].parent.is_none() => return,
                Ok(kind) => kind,
                Err(unroutable) => {
                    match is_passed_over(segments, &unroutable) {
                        true => passed += 1,
                        false => _ = foreign.get_or_insert(unroutable.into()),
                    }
                    (at, place) = (at + frame.total(), frame.place);
                    continue;
                }
            };
            let parent = segments.kinds[usize::from(kind)].parent;
            let Some(depth) = self.open.iter().rposition(|(open, _)| Some(*open) == parent) else {
                foreign.get_or_insert(orphan(segments, kind));
                (at, place) = (at + frame.total(), frame.place);
                continue;
            };
            if broken.is_none() {
                *broken = foreign.take().or_else(|| too_long(framer, segments, kind, bytes));
            }
            let parent = self.open.get(depth).and_then(|(_, part)| *part);
            let stays = parent.is_some() && (!segments.has_filters() || segments.passes(&framer.plan, kind, bytes));
            self.left_out += std::mem::take(&mut passed) + u64::from(!stays);
            self.close(depth + 1);
            let index = stays.then(|| self.add(segments, kind, parent, from - span.start, frame.length)).flatten();
            self.open.push((kind, index));
            (at, place) = (at + frame.total(), frame.place);
            (span.end, span.total, span.place) = (to, at, frame.place);
            if to - span.start > MAX_RECORD {
                self.full = Some(Wrong {
                    code: RejectCode::RecordTooLong,
                    expected: format!("a document of at most {MAX_RECORD} bytes"),
                    found: format!("more, after {} records", self.parts.len()),
                });
            }
            if self.full.is_some() {
                return;
            }
        }
    }

    /// The file ends in the middle of a record. Unless that begins another document, it belongs to this one.
    #[expect(clippy::too_many_arguments, reason = "what following has at hand")]
    fn cut(
        &self,
        framer: &Framer,
        segments: &Segments,
        window: &Window,
        at: usize,
        bad: Bad,
        span: &mut Span,
        broken: &mut Option<Wrong>,
    ) {
        let held = window.first(at + bad.total);
        let record = held.get(at + framer.head()..).unwrap_or_default();
        if segments.route(&framer.plan, record).is_ok_and(|kind| segments.kinds[usize::from(kind)].parent.is_none()) {
            return;
        }
        (span.end, span.total, span.place) = (at + bad.total, at + bad.total, bad.place);
        *broken = Some(Wrong { code: bad.code, expected: bad.expected, found: bad.found });
    }

    /// Adds a part; `None` when there are too many.
    fn add(
        &mut self,
        segments: &Segments,
        kind: u16,
        parent: Option<u32>,
        offset: usize,
        length: usize,
    ) -> Option<u32> {
        let index = u32::try_from(self.parts.len()).ok()?;
        let room = segments.kinds[usize::from(kind)].length.max(length) + 1;
        let scope = Scope(self.scope);
        let next = u32::try_from(room).ok().and_then(|room| self.scope.checked_add(room));
        match next {
            // The last numbers stand for no record.
            Some(next) if self.parts.len() < MAX_PARTS && next < u32::MAX - 2 => self.scope = next,
            _ => {
                self.full = Some(Wrong {
                    code: RejectCode::TooManyParts,
                    expected: format!("a document of at most {MAX_PARTS} records"),
                    found: format!("more than {} records", self.parts.len()),
                });
                return None;
            }
        }
        self.parts.push(Part {
            record: segments.slot(kind),
            scope,
            offset: u32::try_from(offset).unwrap_or(u32::MAX),
            length: u32::try_from(length).unwrap_or(u32::MAX),
            parent: parent.unwrap_or(0),
            end: index + 1,
        });
        Some(index)
    }

    /// Closes the open records from this depth on: what comes next is not below them.
    fn close(&mut self, depth: usize) {
        let end = u32::try_from(self.parts.len()).unwrap_or(u32::MAX);
        for (_, part) in self.open.drain(depth.min(self.open.len())..) {
            if let Some(part) = part.and_then(|part| self.parts.get_mut(part as usize)) {
                part.end = end;
            }
        }
    }
}

/// Moves the window to the next record that begins a document, or to whatever ends this one: for a document that was
/// larger than one may be. Answers what is known of that place.
pub(in crate::decode::cobol) fn pass_over<R: Read>(
    framer: &Framer,
    segments: &Segments,
    window: &mut Window,
    input: &mut R,
    mut place: Place,
) -> Place {
    loop {
        let behind = match framer.find(window, input, 0, place) {
            Ok(Step::Record(frame)) => {
                let bytes = window.first(frame.before + frame.length).get(frame.before..).unwrap_or_default();
                let kind = segments.route(&framer.plan, bytes).unwrap_or(ANY);
                match segments.kinds.get(usize::from(kind)) {
                    Some(kind) if kind.parent.is_some() => (frame.total(), frame.place),
                    _ => return place,
                }
            }
            Ok(Step::Blank { total, place, .. }) => (total, place),
            Ok(Step::Bad(_) | Step::End) | Err(_) => return place,
        };
        window.consume(behind.0);
        place = behind.1;
    }
}

fn is_passed_over(segments: &Segments, unroutable: &Unroutable) -> bool {
    segments.unknown == Unknown::Skip && unroutable.code == RejectCode::UnknownType
}

#[cold]
fn orphan(segments: &Segments, kind: u16) -> Wrong {
    let kind = &segments.kinds[usize::from(kind)];
    let parent = kind.parent.and_then(|parent| segments.kinds.get(usize::from(parent)));
    Wrong {
        code: RejectCode::Orphan,
        expected: format!("a record {} before it", parent.map_or("above", |parent| parent.name.as_str())),
        found: format!("a record {} below none", kind.name),
    }
}

#[cold]
fn lost_behind(fault: &StreamFault) -> Wrong {
    Wrong {
        code: RejectCode::BadLength,
        expected: "a sound record or the end of the file behind the document".to_owned(),
        found: fault.to_string(),
    }
}

/// Bytes behind the layout that are no padding. Where all records have one length, the area behind a shorter type is no
/// part of it.
#[inline]
fn too_long(framer: &Framer, segments: &Segments, kind: u16, bytes: &[u8]) -> Option<Wrong> {
    if framer.has_one_length() {
        return None;
    }
    let (plan, kind_of) = (&framer.plan, &segments.kinds[usize::from(kind)]);
    let longest = kind_of.length;
    let length = match plan.settings.moves_items() && plan.ends_early(kind_of.record) {
        true => Gaps::due_length(plan, bytes, kind_of.record),
        false => longest,
    };
    if bytes.len() <= length {
        return None;
    }
    let surplus = bytes.get(length..).unwrap_or_default();
    (!framer.plan.is_padding(surplus)).then(|| Wrong {
        code: RejectCode::RecordTooLong,
        expected: format!("a record {} of {length} bytes", segments.kinds[usize::from(kind)].name),
        found: format!("{} bytes", bytes.len()),
    })
}
