//! What a document did that its schema does not allow, and that was taken all the same: counted, so that nothing is
//! lenient in silence.

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal,)+) => {
        /// What was taken although the schema, or SOAP, does not allow it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Leniency { $($(#[doc = $doc])+ $name,)+ }

        impl Leniency {
            /// All of them.
            pub const ALL: &'static [Leniency] = &[$(Leniency::$name,)+];

            /// The name, for metrics and messages: `wrong_namespace`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Leniency::$name => $text,)+ }
            }
        }
    };
}

kinds! {
    /// Something that is no envelope stands before or behind it.
    Junk = "junk",
    /// There is no envelope, or none of a SOAP that is known.
    Envelope = "envelope",
    /// The body's element is called otherwise than the operation's answer.
    BodyName = "body_name",
    /// An element or attribute is in another namespace than the schema's.
    WrongNamespace = "wrong_namespace",
    /// An element that the schema does not have here; it is left out.
    UnknownElement = "unknown_element",
    /// An attribute that the schema does not have here; it is left out.
    UnknownAttribute = "unknown_attribute",
    /// Elements in another order than the schema's.
    OutOfOrder = "out_of_order",
    /// An element or attribute that has to be there is not.
    Missing = "missing",
    /// Nil, where the schema does not allow it.
    Nil = "nil",
    /// A type in `xsi:type` that is not known, or not derived from the declared one, which is taken.
    UnknownType = "unknown_type",
    /// Nothing where a number, a date or a boolean has to be: null.
    Empty = "empty",
    /// A value that is not in its list or is too long, a date in another form.
    OddValue = "odd_value",
    /// Text between elements, where there can be none; it is left out.
    StrayText = "stray_text",
    /// A reference back to what it is in itself: null.
    Cycle = "cycle",
    /// A value beside the records that cannot be read; it is left out.
    BadAround = "bad_around",
}

/// How often each was met.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leniencies([u64; Leniency::ALL.len()]);

impl Leniencies {
    /// Counts one.
    pub(super) fn add(&mut self, kind: Leniency) {
        if let Some(count) = self.0.get_mut(kind as usize) {
            *count += 1;
        }
    }

    /// Counts all that others counted.
    pub(super) fn add_all(&mut self, others: &Leniencies) {
        for (count, more) in self.0.iter_mut().zip(others.0) {
            *count += more;
        }
    }

    /// How often one was met.
    pub fn get(&self, kind: Leniency) -> u64 {
        self.0.get(kind as usize).copied().unwrap_or(0)
    }

    /// Those that were met, with how often.
    pub fn iter(&self) -> impl Iterator<Item = (Leniency, u64)> {
        Leniency::ALL.iter().map(|kind| (*kind, self.get(*kind))).filter(|(_, count)| *count > 0)
    }

    /// Whether there was none.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }
}
