//! The faults of a request, each with the JSON pointer of what is at fault.

use std::fmt::Write;

/// A fault of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestFault {
    /// JSON pointer (RFC 6901); empty for the whole.
    pub pointer: String,
    /// What is wrong, as a phrase.
    pub detail: String,
}

/// More are not told.
pub(super) const MOST: usize = 100;

/// Where the writer is, and what was wrong so far.
#[derive(Debug, Default)]
pub(super) struct Faults {
    path: String,
    all: Vec<RequestFault>,
}

impl Faults {
    pub(super) fn push(&mut self, detail: impl Into<String>) {
        if self.all.len() < MOST {
            self.all.push(RequestFault { pointer: self.path.clone(), detail: detail.into() });
        }
    }

    /// A fault of a member of where the writer is.
    pub(super) fn push_at(&mut self, step: &str, detail: impl Into<String>) {
        let length = self.enter(step);
        self.push(detail);
        self.leave(length);
    }

    pub(super) fn is_full(&self) -> bool {
        self.all.len() >= MOST
    }

    pub(super) fn into_all(self) -> Vec<RequestFault> {
        self.all
    }

    /// Goes to a member; what is answered goes back.
    pub(super) fn enter(&mut self, step: &str) -> usize {
        let length = self.path.len();
        self.path.push('/');
        for char in step.chars() {
            match char {
                '~' => self.path.push_str("~0"),
                '/' => self.path.push_str("~1"),
                char => self.path.push(char),
            }
        }
        length
    }

    pub(super) fn enter_index(&mut self, index: usize) -> usize {
        let length = self.path.len();
        let _ = write!(self.path, "/{index}");
        length
    }

    pub(super) fn leave(&mut self, length: usize) {
        self.path.truncate(length);
    }
}
