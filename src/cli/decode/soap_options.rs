//! The options of `decode` for answers of SOAP services. Which elements are records, the namespaces of that path and the
//! encoding are options that XML has, too.

use std::io::{Read, Seek};
use std::path::{Path, PathBuf};

use clap::Args;

use super::options::{FormatName, LayoutArgs, compression_of, foreign_to_soap, namespaces, word};
use super::{Failure, Input};
use crate::adapters::soap::{is_in_parts, unpacked};
use crate::cli::output;
use crate::decode::soap::{Answer, Numbers, Settings, Soap};
use crate::decode::{Decoder, xml};
use crate::wsdl::{self, Choice, Offline};

/// See the module.
#[derive(Args, Debug, Default)]
pub(crate) struct SoapOptions {
    /// soap: the WSDL's file; what it imports lies beside it
    #[arg(long, value_name = "FILE", help_heading = "soap")]
    pub wsdl: Option<PathBuf>,
    /// The operation that the file answers; --record-path says which elements are records, without it the answer is one
    #[arg(long, value_name = "NAME", help_heading = "soap")]
    pub operation: Option<String>,
    /// The port of the operation, where several have it
    #[arg(long, value_name = "NAME", help_heading = "soap")]
    pub port: Option<String>,
    /// Reject what the schema does not allow; else it is taken where it can be, and counted
    #[arg(long, help_heading = "soap")]
    pub strict: bool,
    /// How numbers are written that a double may not hold: exact, text [default: exact]
    #[arg(long, value_name = "HOW", value_parser = word(Numbers::WORDS), help_heading = "soap")]
    pub numbers: Option<Numbers>,
    /// Write "Lines":[...] for an element that only holds a list, "Lines":{"Line":[...]}
    #[arg(long, help_heading = "soap")]
    pub unwrap_lists: bool,
    /// Add the order in which elements came as _choice, where the schema leaves it open
    #[arg(long, help_heading = "soap")]
    pub choice: bool,
    /// Keep elements that the schema does not have, as _extra
    #[arg(long, help_heading = "soap")]
    pub extra: bool,
}

impl SoapOptions {
    /// The decoder that they describe; `None` where the file is of another format.
    pub(super) fn decoder(&self, args: &LayoutArgs) -> Result<Option<Decoder>, Failure> {
        match args.format {
            Some(FormatName::Soap) => {}
            None if self.wsdl.is_some() => {}
            _ => {
                let given = [
                    ("--wsdl", self.wsdl.is_some()),
                    ("--operation", self.operation.is_some()),
                    ("--port", self.port.is_some()),
                    ("--strict", self.strict),
                    ("--numbers", self.numbers.is_some()),
                    ("--unwrap-lists", self.unwrap_lists),
                    ("--choice", self.choice),
                    ("--extra", self.extra),
                ];
                return match given.iter().find(|(_, given)| *given) {
                    Some((option, _)) => Err(Failure::Usage(format!("{option} belongs to --format soap"))),
                    None => Ok(None),
                };
            }
        }
        foreign_to_soap(args)?;
        let (Some(wsdl), Some(operation)) = (&self.wsdl, &self.operation) else {
            return Err(Failure::Usage("soap needs --wsdl FILE and --operation NAME".to_owned()));
        };
        let file = wsdl.display().to_string();
        let imported = wsdl::import(&file, &wsdl::Settings::default(), &mut Offline).map_err(|faults| {
            let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
            Failure::Layout(faults.join("\n"))
        })?;
        let choice = Choice { port: self.port.clone(), version: None };
        let plan = imported.wsdl.plan(operation, &choice).map_err(|fault| Failure::Usage(fault.to_string()))?;
        if plan.operation.is_degraded {
            output::note(format!("{operation} has places that its WSDL leaves untyped; `inspect {file}` says why"));
        }
        let encoding =
            args.encoding.as_deref().map(xml::Settings::parse_encoding).transpose().map_err(Failure::Usage)?;
        let settings = Settings {
            record_path: args.record_path.clone(),
            namespaces: namespaces(args)?,
            strict: self.strict,
            numbers: self.numbers.unwrap_or_default(),
            unwrap_lists: self.unwrap_lists,
            choice: self.choice,
            extra: self.extra,
            encoding,
            ..Settings::new(file, operation.clone())
        };
        let soap = Soap::new(plan, settings).map_err(|fault| Failure::Usage(format!("--record-path: {fault}")))?;
        Ok(Some(Decoder::of_soap(soap).with_compression(compression_of(args)?)))
    }
}

/// So much of an answer is looked at to know whether it is in parts.
const LOOK: u64 = 64 << 10;
/// An answer in parts may have so many bytes, and so many with its parts in their places.
const MOST: u64 = 1 << 30;

/// An answer that was captured in parts (MTOM, attachments), with them in the places that mean them.
pub(super) fn whole(mut file: Input, path: &Path) -> Result<Input, Failure> {
    let read_error = |source| Failure::Read { path: path.to_owned(), source };
    let unfit = |message: String| Failure::Unfit { path: path.to_owned(), message };
    let mut bytes = Vec::new();
    file.by_ref().take(LOOK).read_to_end(&mut bytes).map_err(read_error)?;
    if !is_in_parts(&bytes) {
        file.rewind().map_err(read_error)?;
        return Ok(file);
    }
    file.by_ref().take(MOST + 1 - bytes.len() as u64).read_to_end(&mut bytes).map_err(read_error)?;
    if bytes.len() as u64 > MOST {
        return Err(unfit(format!("an answer in parts has at most {MOST} bytes")));
    }
    match unpacked(&bytes.into(), usize::try_from(MOST).unwrap_or(usize::MAX)) {
        Some(Ok(envelope)) => Ok(file.holding(envelope.to_vec())),
        Some(Err(reason)) => Err(unfit(format!("its parts cannot be read: {reason}"))),
        None => Err(unfit("its parts cannot be found".to_owned())),
    }
}

/// Tells what was taken although the schema does not allow it.
pub(super) fn tell(answer: &dyn Answer) {
    let counts = answer.leniencies().iter().map(|(kind, count)| format!("{} {count}", kind.as_str()));
    let counts: Vec<String> = counts.collect();
    if !counts.is_empty() {
        output::note(format!("taken although the schema does not allow it: {}", counts.join(", ")));
    }
}
