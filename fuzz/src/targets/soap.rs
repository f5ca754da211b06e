//! Any bytes as the answer of a SOAP service: as one record, by a path, strictly, as values that refer to one another, and
//! as XML in a text.

use std::cell::OnceCell;

use crate::checks::{LONGEST, read_through};
use tollbridge::decode::Decoder;
use tollbridge::decode::soap::{Settings, Soap};
use tollbridge::wsdl::{Choice, Fetched, Settings as Import, Web, import};

const WSDL: &str = include_str!("soap.wsdl");

struct Text;

impl Web for Text {
    fn get(&mut self, _: &str, _: u64) -> Result<Fetched, String> {
        Ok(Fetched { bytes: WSDL.as_bytes().to_vec(), charset: None })
    }
}

fn decoders() -> Vec<Decoder> {
    let Ok(imported) = import("http://fuzz/a.wsdl", &Import::default(), &mut Text) else { panic!("a sound WSDL") };
    let decoder = |operation: &str, path: Option<&str>, strict: bool| {
        let plan = imported.wsdl.plan(operation, &Choice::default()).unwrap_or_else(|fault| panic!("{fault}"));
        let settings = Settings {
            record_path: path.map(str::to_owned),
            strict,
            choice: !strict,
            extra: !strict,
            unwrap_lists: strict,
            ..Settings::default()
        };
        Decoder::of_soap(Soap::new(plan, settings).unwrap_or_else(|fault| panic!("{fault}")))
    };
    vec![
        decoder("Get", None, false),
        decoder("Get", Some("/R"), false),
        decoder("Get", Some("/R"), true),
        decoder("Get", Some("/T/x/y"), false),
        decoder("Encoded", None, false),
        decoder("Encoded", Some("/nodes/item"), false),
    ]
}

pub(crate) fn run(input: &[u8]) {
    thread_local! {
        static KNOWN: OnceCell<Vec<Decoder>> = const { OnceCell::new() };
    }
    let Some((choice, data)) = input.split_first().filter(|(_, data)| data.len() < LONGEST) else { return };
    KNOWN.with(|known| {
        let decoders = known.get_or_init(decoders);
        read_through(&decoders[usize::from(*choice) % decoders.len()], data);
    });
}
