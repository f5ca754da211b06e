//! The targets, by the names that `make fuzz` and the folders of the corpus call them by.

mod cobol;
mod compression;
mod copybook;
mod csv;
mod edi;
mod encode;
mod excel;
mod fixed_width;
mod idoc;
mod rows;
mod segments;
mod soap;
mod wsdl;
mod xml;

/// What is fuzzed: it is given any bytes, and panics where something does not hold.
pub(crate) type Target = fn(&[u8]);

/// Those that most depends on come first.
pub(crate) const TARGETS: &[(&str, Target)] = &[
    ("copybook", copybook::run),
    ("cobol", cobol::run),
    ("csv", csv::run),
    ("fixed_width", fixed_width::run),
    ("edi", edi::run),
    ("idoc", idoc::run),
    ("xml", xml::run),
    ("excel", excel::run),
    ("rows", rows::run),
    ("segments", segments::run),
    ("compression", compression::run),
    ("encode", encode::run),
    ("wsdl", wsdl::run),
    ("soap", soap::run),
];
