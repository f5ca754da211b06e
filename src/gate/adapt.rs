//! Whether the limit follows the backend.

/// Whether the limit follows how the backend bears its load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Adapt {
    /// It is the operator's cap.
    #[default]
    Off,
    /// It is the operator's cap; what it would be otherwise is shown.
    Shadow,
    /// It moves below the operator's cap.
    On,
}

impl Adapt {
    /// Every choice with its name.
    pub const WORDS: &'static [(&'static str, Adapt)] =
        &[("off", Adapt::Off), ("shadow", Adapt::Shadow), ("on", Adapt::On)];

    /// The name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Adapt::Off => "off",
            Adapt::Shadow => "shadow",
            Adapt::On => "on",
        }
    }
}
