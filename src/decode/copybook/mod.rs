//! COBOL copybooks.

/// How the lines of a copybook are laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SourceFormat {
    /// Found out from the text.
    #[default]
    Auto,
    /// Sequence number in columns 1 to 6, indicator in 7, text in 8 to 72.
    Fixed,
    /// Text anywhere.
    Free,
}

impl SourceFormat {
    /// Every choice with its name.
    pub const WORDS: &'static [(&'static str, SourceFormat)] =
        &[("auto", SourceFormat::Auto), ("fixed", SourceFormat::Fixed), ("free", SourceFormat::Free)];
}
