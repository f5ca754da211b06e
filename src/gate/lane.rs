//! Who is asking.

/// A lane of the queue. Lanes earlier in [`Lane::ALL`] go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Health checks: rare, short, and worth most when the backend is in trouble.
    Health,
    /// A caller of the API waits for the answer.
    Interactive,
    /// An operator's own action (a replay, a run by hand).
    Operator,
    /// Scheduled runs and polls; limited to their share of the cap.
    Sync,
}

impl Lane {
    /// How many lanes there are.
    pub const COUNT: usize = 4;
    /// All lanes, first served first.
    pub const ALL: [Lane; Lane::COUNT] = [Lane::Health, Lane::Interactive, Lane::Operator, Lane::Sync];

    /// The name in metrics and in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Lane::Health => "health",
            Lane::Interactive => "interactive",
            Lane::Operator => "operator",
            Lane::Sync => "sync",
        }
    }

    /// Its place in arrays by lane.
    pub(super) const fn index(self) -> usize {
        self as usize
    }

    /// True for work that nobody waits for.
    pub(super) const fn is_background(self) -> bool {
        matches!(self, Lane::Sync)
    }
}
