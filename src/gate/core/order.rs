//! The lines of the queue, in the order in which they are served.

use super::Ask;
use crate::gate::{Lane, Priority};

/// The lines: health, interactive by priority, operator, sync.
pub(super) const LINES: usize = 6;

pub(super) fn line_of(ask: &Ask) -> usize {
    match (ask.lane, ask.priority) {
        (Lane::Health, _) => 0,
        (Lane::Interactive, Priority::High) => 1,
        (Lane::Interactive, Priority::Normal) => 2,
        (Lane::Interactive, Priority::Low) => 3,
        (Lane::Operator, _) => 4,
        (Lane::Sync, _) => 5,
    }
}

pub(super) fn lines_of(lane: Lane) -> std::ops::RangeInclusive<usize> {
    match lane {
        Lane::Health => 0..=0,
        Lane::Interactive => 1..=3,
        Lane::Operator => 4..=4,
        Lane::Sync => 5..=5,
    }
}

pub(super) fn last_line_of(lane: Lane) -> usize {
    *lines_of(lane).end()
}

pub(super) fn lane_of(line: usize) -> Lane {
    match line {
        0 => Lane::Health,
        1..=3 => Lane::Interactive,
        4 => Lane::Operator,
        _ => Lane::Sync,
    }
}
