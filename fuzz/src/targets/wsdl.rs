//! Any bytes as a WSDL with one schema beside it: an import ends, and what it gives can be asked for everything.

use crate::checks::LONGEST;
use tollbridge::wsdl::{Fetched, Input, Settings, Web, import};

/// Where the WSDL lies; every other document is the schema.
const ROOT: &str = "http://fuzz/a.wsdl";

struct Two<'a>(&'a [u8], &'a [u8]);

impl Web for Two<'_> {
    fn get(&mut self, url: &str, _: u64) -> Result<Fetched, String> {
        let bytes = if url == ROOT { self.0 } else { self.1 };
        Ok(Fetched { bytes: bytes.to_vec(), charset: None })
    }
}

pub(crate) fn run(input: &[u8]) {
    if input.len() > LONGEST {
        return;
    }
    // A byte that no UTF-8 has parts the two.
    let at = input.iter().position(|byte| *byte == 0xFF).unwrap_or(input.len());
    let (wsdl, schema) = (&input[..at], input.get(at + 1..).unwrap_or_default());
    let Ok(imported) = import(ROOT, &Settings::default(), &mut Two(wsdl, schema)) else { return };
    for operation in imported.wsdl.operations.iter().take(10) {
        let plan = imported.wsdl.plan_of(operation);
        let skeleton = plan.request_skeleton();
        plan.response_skeleton();
        plan.request_schema();
        plan.response_schema();
        let _ = plan.request(&Input::from(&skeleton));
        let _ = plan.request(&Input::Object(Vec::new()));
    }
}
