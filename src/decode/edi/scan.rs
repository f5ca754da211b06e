//! Segments, found in the window one after another.

use std::io::{self, Read};

use super::segment::{behind_binary, find_end};
use super::syntax::{Separators, may_start};
use crate::decode::MAX_RECORD;
use crate::decode::window::{Window, is_blank};

/// What comes next in the window. Indexes are relative to its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scan {
    /// A segment's bytes without its terminator, and the index behind the terminator.
    Segment { from: usize, to: usize, next: usize },
    /// The input ends in a segment without terminator, which begins here.
    Rest { from: usize, to: usize },
    /// The input ends.
    End,
    /// What the window holds is more than a record may have.
    Endless,
}

/// Finds the segment at or behind index `at`, reading more of the input where that is needed.
pub(super) fn next_segment<R: Read>(
    window: &mut Window,
    input: &mut R,
    at: usize,
    separators: &Separators,
) -> io::Result<Scan> {
    let mut from = at;
    loop {
        let bytes = window.bytes();
        while bytes.get(from).is_some_and(|byte| is_blank(*byte)) {
            from += 1;
        }
        let rest = bytes.get(from..).unwrap_or_default();
        // BIN and BDS can be told from the first bytes, and say how many more are their data.
        let behind = if rest.len() < 4 { Ok(0) } else { behind_binary(rest, separators) };
        if let Ok(behind) = behind
            && let Some(searched) = rest.get(behind..)
            && let Some(end) = find_end(searched, separators)
        {
            let to = from + behind + end;
            if to > MAX_RECORD {
                return Ok(Scan::Endless);
            }
            return Ok(Scan::Segment { from, to, next: to + 1 });
        }
        if bytes.len() > MAX_RECORD {
            return Ok(Scan::Endless);
        }
        if !window.grow(input)? {
            let to = window.bytes().len();
            return Ok(if from < to { Scan::Rest { from, to } } else { Scan::End });
        }
    }
}

/// Moves the window behind the terminator of the segment that it stands in, however far that is.
pub(super) fn skip_segment<R: Read>(window: &mut Window, input: &mut R, separators: &Separators) -> io::Result<()> {
    loop {
        let bytes = window.bytes();
        if let Some(end) = find_end(bytes, separators) {
            window.consume(end + 1);
            return Ok(());
        }
        // A release character at the end of what is here belongs to the byte that comes next.
        let released = bytes.iter().rev().take_while(|byte| Some(**byte) == separators.release).count() % 2;
        let looked = bytes.len() - released;
        window.consume(looked);
        if !window.fill(input, released + 1)? {
            window.consume(usize::MAX);
            return Ok(());
        }
    }
}

/// Moves the window to the next place behind its start at which an interchange may begin, or to the end. Answers what it
/// passed over, cut at the size of a record.
pub(super) fn skip_to_start<R: Read>(window: &mut Window, input: &mut R) -> io::Result<Vec<u8>> {
    let mut passed = Vec::new();
    let mut pass = |window: &mut Window, length: usize| {
        let room = MAX_RECORD.saturating_sub(passed.len());
        passed.extend_from_slice(window.first(length.min(room)));
        window.consume(length);
    };
    let mut skip = 1;
    let mut before = b' ';
    loop {
        let bytes = window.bytes();
        let begins = |at: &usize| {
            let before = at.checked_sub(1).map_or(before, |at| bytes[at]);
            !before.is_ascii_alphanumeric() && may_start(&bytes[*at..])
        };
        let found = memchr::memchr2_iter(b'I', b'U', bytes).filter(|at| *at >= skip).find(begins);
        if let Some(found) = found {
            pass(window, found);
            return Ok(passed);
        }
        // Four bytes tell; the last three may be the start of them.
        let looked = bytes.len().saturating_sub(3);
        if looked > 0 {
            before = bytes[looked - 1];
            skip = skip.saturating_sub(looked);
            pass(window, looked);
        }
        let held = window.bytes().len();
        if !window.fill(input, held + 1)? {
            pass(window, held);
            return Ok(passed);
        }
    }
}
