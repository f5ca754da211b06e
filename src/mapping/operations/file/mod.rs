//! Writes that are a file: what a caller sends becomes records of a layout, by the same layouts that files are read by,
//! which the backend finds in its outbox, whole.
//!
//! Whether the layout can hold what was sent is judged with the body, so that a caller hears of it at once, by the JSON
//! pointer of the value and not by the layout's.

mod record;

use crate::decode::{Decoder, EncodeFault, Encoder, Format, Json};
use crate::diagnostic::{Node, Table, Written};

use super::input::{InputFault, MOST_FAULTS};
use super::keys::FILE;
use super::stamps::SOME_TIME;
use super::steps::Scope;
use super::{Given, NotARequest, OfCaller, WriteOperation, WriteRequest};
use record::{Compiler, Element, From, Part, Text};

/// The longest name of a file, in bytes: what file systems hold, with room for what stands in front of it on the way.
const LONGEST_NAME: usize = 200;

/// Stands for the operation's id while a body is judged: one of the same form.
const SOME_ID: &str = "00000000-0000-7000-8000-000000000000";

/// Stands for the client's name: the shortest there is.
const SOME_CLIENT: &str = "a";

/// A file that a write is.
#[derive(Clone)]
pub struct FileWrite {
    name: Text,
    /// The empty file that announces it.
    done_file: Option<Text>,
    /// A record, or a list of them.
    records: Part,
    layout: Decoder,
}

/// A file to put into an outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenFile {
    /// Its name, one part of a path.
    pub name: String,
    /// Its content.
    pub content: Vec<u8>,
}

/// What keeps a file from being written.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fault {
    /// Where the value came from, where a caller can do something about it.
    from: Option<From>,
    /// What would be taken, as a phrase.
    wanted: String,
    /// All of it, as a sentence.
    said: String,
}

impl Fault {
    /// As one of the body, where it is.
    fn of_body(self) -> Option<InputFault> {
        match self.from {
            Some(From::Body(pointer)) => Some(InputFault { pointer, detail: self.said }),
            _ => None,
        }
    }

    /// One that no caller can do something about.
    fn of_mapping(said: String) -> Fault {
        Fault { from: None, wanted: String::new(), said }
    }
}

impl std::fmt::Debug for FileWrite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileWrite").field("name", &self.name).field("records", &self.records).finish_non_exhaustive()
    }
}

/// Compiles `file` of an operation.
pub(super) fn compile(table: &Table<'_>, scope: &mut Scope<'_>) -> Option<FileWrite> {
    let around = scope.around;
    let before = around.faults.len();
    refuse_needless(table);
    let inner = table.table("file", &FILE)?;
    let layout = layout(&inner, scope);
    let records = match inner.exactly_one(&["record", "records"]) {
        Some(key) => {
            let node = inner.get(key)?;
            match (key, &node.value) {
                ("record", Written::Array(_)) => {
                    inner.fail(node.fault("`record` is one record, found an array").help("write `records`"));
                    None
                }
                _ => Compiler { scope }.records(node),
            }
        }
        None => None,
    };
    let mut text = |key: &str, usual: Option<&str>| -> Option<Option<Text>> {
        let written = if inner.has(key) { Some(inner.filled(key)?) } else { usual.map(str::to_owned) };
        let node = inner.get(key).unwrap_or(inner.node());
        match written {
            None => Some(None),
            Some(written) => Compiler { scope }.text(node, &written, None).map(Some),
        }
    };
    let ending = layout.as_ref().map_or("dat", |(_, ending)| ending);
    let usual = format!("{}-{{operation_id}}.{ending}", around.resource);
    let (name, done_file) = (text("name", Some(&usual)), text("done_file", None));
    if let (Some(Some(name)), Some(Some(done)), Some(node)) = (&name, &done_file, inner.get("done_file"))
        && name.is_of_one_write()
        && !done.is_of_one_write()
    {
        let fault = node.fault("two writes would have one done file");
        inner.fail(fault.help("have `{operation_id}` in it as in `name`"));
    }
    if inner.failed() || around.faults.len() > before {
        return None;
    }
    Some(FileWrite { name: name??, done_file: done_file?, records: records?, layout: layout?.0 })
}

/// Faults of what means something to databases and services only.
fn refuse_needless(table: &Table<'_>) {
    for (key, why, help) in [
        ("expect", "a file has no rows that it touches", ""),
        ("transaction", "a file is there whole or not at all", ""),
        ("commit_after", "a file is one step", ""),
        ("version", "a file compares nothing at the backend", "say `require_match = true`: what is staged is compared"),
        ("reconcile", "whether a file was handed over is known without it", ""),
        ("read_back", "the backend takes the file in its own time: there is nothing new to read yet", ""),
    ] {
        if let Some(node) = table.get(key) {
            let fault = node.key_fault(format!("`{key}` has no meaning for a file: {why}"));
            table.fail(if help.is_empty() { fault } else { fault.help(help) });
        }
    }
    if let Some(node) = table.get("answer").filter(|node| node.as_str() == Some("record")) {
        let fault = node.fault("the backend takes the file in its own time: its record cannot be answered");
        table.fail(fault.help("write `answer` as a table of fields; `file` is the name of the file"));
    }
}

/// The layout, and how its files' names end.
fn layout(inner: &Table<'_>, scope: &Scope<'_>) -> Option<(Decoder, &'static str)> {
    let around = scope.around;
    let written: Vec<&'static str> = Format::WRITTEN_KINDS.iter().copied().filter(|kind| inner.has(kind)).collect();
    let (decoder, kind, node): (Decoder, &str, &Node) = match (written.as_slice(), around.layout) {
        ([], Some((kind, decoder))) => (decoder.clone(), kind, inner.node()),
        ([], None) => {
            let kinds = Format::WRITTEN_KINDS.iter().map(|kind| format!("`{kind}`")).collect::<Vec<_>>().join(", ");
            let fault = inner.node().key_fault(format!("`{}` has no layout", inner.section().path));
            inner.fail(fault.help(format!("say one of {kinds}, as in `[source.csv]`")));
            return None;
        }
        _ => {
            let kind = inner.exactly_one(Format::WRITTEN_KINDS)?;
            let table = inner.table(kind, Format::written_section(kind)?)?;
            let decoder = Format::read(kind, &table)?.compile(around.texts, around.faults)?;
            (decoder, kind, inner.get(kind)?)
        }
    };
    let Some(mut encoder) = decoder.encoder() else {
        let (said, help) = match kind {
            "excel" => ("workbooks are only read", "say a layout of its own below `file`, like `csv`"),
            _ => (
                "a layout whose framing is found out from a file cannot be written",
                "say `framing` in a layout of its own below `file`",
            ),
        };
        inner.fail(node.key_fault(said).help(help));
        return None;
    };
    if let Err(EncodeFault { expected, found, .. }) = encoder.begin(&mut Vec::new()) {
        let said = format!("the layout says too little to be written: expected {expected}, found {found}");
        inner.fail(node.key_fault(said));
        return None;
    }
    drop(encoder);
    let ending = match kind {
        "csv" => "csv",
        "fixed_width" => "txt",
        "edi" => "edi",
        "idoc" => "idoc",
        "xml" => "xml",
        _ => "dat",
    };
    Some((decoder, ending))
}

impl FileWrite {
    /// The files, the one that announces the other last; the fault is a sentence.
    pub fn files(&self, given: &Given<'_>) -> Result<Vec<WrittenFile>, String> {
        self.made(given).map_err(|fault| fault.said)
    }

    /// Paths of what its layout's copybooks copy.
    pub(in crate::mapping) fn copied(&self) -> &[String] {
        self.layout.copied()
    }

    /// What a caller has sent that the file cannot hold.
    pub(super) fn judge(&self, operation: &WriteOperation, request: &WriteRequest) -> Result<(), NotARequest> {
        let given = operation.given(request, SOME_ID, SOME_ID, SOME_CLIENT, SOME_TIME);
        match self.made(&given).err().map(|fault| fault.from) {
            None => Ok(()),
            Some(Some(From::Key)) => Err(NotARequest::Key),
            // What is known of the caller is judged when it is (`refuses`), and what no value would help is the mapping's.
            Some(_) => match self.faults(&given) {
                faults if faults.is_empty() => Ok(()),
                faults => Err(NotARequest::Body(faults)),
            },
        }
    }

    /// What of its caller the file cannot hold, and what it takes, as a phrase.
    pub(super) fn refuses(
        &self,
        operation: &WriteOperation,
        request: &WriteRequest,
        idempotency_key: &str,
        client: &str,
    ) -> Option<(OfCaller, String)> {
        let mut names = std::iter::once(&self.name).chain(&self.done_file);
        if !self.records.tells_of_caller() && !names.any(Text::tells_of_caller) {
            // Most files say nothing of it: they are not made once more for that.
            return None;
        }
        match self.made(&operation.given(request, idempotency_key, SOME_ID, client, SOME_TIME)).err()? {
            Fault { from: Some(From::Caller(of)), wanted, .. } => Some((of, wanted)),
            _ => None,
        }
    }

    /// All values that the layout cannot hold, up to [`MOST_FAULTS`].
    fn faults(&self, given: &Given<'_>) -> Vec<InputFault> {
        let mut faults: Vec<InputFault> = Vec::new();
        let mut note = |fault: Fault| {
            if let Some(fault) = fault.of_body()
                && faults.len() < MOST_FAULTS
                && !faults.iter().any(|known| known.pointer == fault.pointer)
            {
                faults.push(fault);
            }
        };
        let mut count = 0;
        if let Some(mut encoder) = self.layout.encoder() {
            let mut out = Vec::new();
            let judged = self.each_record(given, |part, element, json| {
                count += 1;
                for (fault, _) in all_of(&mut encoder, json, &mut out).into_iter().filter(|(_, helps)| *helps) {
                    note(fault_of(given, part, element, fault));
                }
                Ok(())
            });
            judged.unwrap_or_default();
        }
        let name = named(&self.name, given);
        if let Err(fault) = self.done_name(given, name.as_deref().unwrap_or_default()) {
            note(fault);
        }
        name.err().into_iter().for_each(&mut note);
        // What is wrong with a file without a record shows at its end.
        if count == 0 && faults.is_empty() {
            return self.made(given).err().and_then(Fault::of_body).into_iter().collect();
        }
        faults
    }

    /// What is wrong with the file whatever callers send, as far as one of some values shows: fields that the layout has
    /// not, or that it wants and has not got.
    fn doubts(&self, given: &Given<'_>) -> Vec<String> {
        let mut said = self.odd_names(given);
        let Some(mut encoder) = self.layout.encoder() else { return said };
        let (mut out, mut is_whole) = (Vec::new(), true);
        let judged = self.each_record(given, |part, element, json| {
            for (fault, helps) in all_of(&mut encoder, json, &mut out) {
                is_whole = false;
                let from = part.from(given, &fault.pointer, element);
                let told = of_record(&fault);
                if (from.is_none() || !helps) && !said.contains(&told) {
                    said.push(told);
                }
            }
            Ok(())
        });
        judged.unwrap_or_default();
        if is_whole && let Err(fault) = encoder.finish(&mut out) {
            said.push(of_record(&fault));
        }
        said
    }

    /// What cannot stand in a name, and no caller brings into it.
    fn odd_names(&self, given: &Given<'_>) -> Vec<String> {
        let pieces = |text: &Text| text.pieces(given, None);
        let own =
            std::iter::once(&self.name).chain(&self.done_file).flat_map(pieces).filter(|(_, from)| from.is_none());
        own.filter(|(piece, _)| piece.contains(is_odd))
            .map(|(piece, _)| format!("{piece:?} cannot stand in the name of a file: it has one of {ODD}"))
            .collect()
    }

    fn made(&self, given: &Given<'_>) -> Result<Vec<WrittenFile>, Fault> {
        let name = named(&self.name, given)?;
        let only_read = || Fault::of_mapping("the layout is one that is only read".to_owned());
        let mut encoder = self.layout.encoder().ok_or_else(only_read)?;
        let (mut content, mut count) = (Vec::new(), 0);
        self.each_record(given, |part, element, json| {
            count += 1;
            encode(&mut encoder, json, &mut content).map_err(|fault| fault_of(given, part, element, fault))
        })?;
        encoder.finish(&mut content).map_err(|fault| {
            // Without a record a file may have no head.
            let array = self.records.array().filter(|_| count == 0);
            let from = array.map(|array| From::Body(format!("/{array}")));
            Fault { from, wanted: fault.expected.clone(), said: of_record(&fault) }
        })?;
        let mut files = vec![WrittenFile { name, content }];
        if let Some(name) = self.done_name(given, &files[0].name)? {
            files.push(WrittenFile { name, content: Vec::new() });
        }
        Ok(files)
    }

    /// The name of the file that announces the one of this name.
    fn done_name(&self, given: &Given<'_>, file: &str) -> Result<Option<String>, Fault> {
        let Some(done) = &self.done_file else { return Ok(None) };
        let name = named(done, given)?;
        if name == file {
            let said = "the done file has the name of the file".to_owned();
            return Err(Fault { from: done.from(given, None), wanted: "another name".to_owned(), said });
        }
        Ok(Some(name))
    }

    /// Hands on every record with what it was made of.
    fn each_record(
        &self,
        given: &Given<'_>,
        mut hand: impl FnMut(&Part, Element<'_>, &str) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let (mut records, mut json) = (Vec::new(), String::new());
        self.records.list(given, None, &mut records);
        for (part, element) in records {
            json.clear();
            part.write(given, element, &mut json);
            hand(part, element, &json)?;
        }
        Ok(())
    }
}

/// Every value of a record that the layout cannot hold, each with whether another one would help. The layout tells of the
/// first; the others show when that has a value that it takes.
fn all_of(encoder: &mut Encoder<'_>, json: &str, out: &mut Vec<u8>) -> Vec<(EncodeFault, bool)> {
    let mut faults: Vec<(EncodeFault, bool)> = Vec::new();
    let Ok(mut record) = Json::parse(json) else { return faults };
    let mut open = put(encoder, &mut record, out).err();
    while let Some(fault) = open.take() {
        let pointer = fault.pointer.clone();
        if faults.len() >= MOST_FAULTS || faults.iter().any(|(known, _)| known.pointer == pointer) {
            break;
        }
        let mut helps = true;
        for stand_in in
            [Some(Json::Null), Some(Json::Text("".into())), Some(Json::Number("0")), Some(Json::Number("1")), None]
        {
            helps = stand_in.is_some();
            if !record.replace(&pointer, stand_in) {
                helps = false;
                break;
            }
            match put(encoder, &mut record, out) {
                Ok(()) => break,
                Err(fault) if fault.pointer == pointer => {}
                Err(fault) => {
                    open = Some(fault);
                    break;
                }
            }
        }
        faults.push((fault, helps));
    }
    out.clear();
    faults
}

impl WriteOperation {
    /// What is wrong with the file that it is, whatever callers send, as far as that shows beforehand.
    pub fn doubts_of_file(&self) -> Vec<String> {
        let Some(file) = &self.file else { return Vec::new() };
        let key = self.key.iter().map(|(_, rules)| rules.sample()).collect();
        let request = WriteRequest { values: self.input.sample(), key, canonical: String::new() };
        file.doubts(&self.given(&request, SOME_ID, SOME_ID, SOME_CLIENT, SOME_TIME))
    }
}

/// A record in its JSON, in the layout.
fn encode(encoder: &mut Encoder<'_>, json: &str, out: &mut Vec<u8>) -> Result<(), EncodeFault> {
    let mut record = Json::parse(json).map_err(|fault| EncodeFault {
        pointer: String::new(),
        expected: "a record".to_owned(),
        found: fault.to_string(),
    })?;
    put(encoder, &mut record, out)
}

/// Appends a record. What is absent is null, and where the layout has no null, empty, if it takes that.
fn put(encoder: &mut Encoder<'_>, record: &mut Json<'_>, out: &mut Vec<u8>) -> Result<(), EncodeFault> {
    loop {
        let Err(fault) = encoder.record(record, out) else { return Ok(()) };
        match record.at_mut(&fault.pointer) {
            Some(value) if *value == Json::Null && !fault.pointer.is_empty() => {
                *value = Json::Text("".into());
                let Err(next) = encoder.record(record, out) else { return Ok(()) };
                if next.pointer == fault.pointer {
                    // It takes neither: what is told is the null.
                    record.replace(&fault.pointer, Some(Json::Null));
                    return Err(fault);
                }
            }
            _ => return Err(fault),
        }
    }
}

/// A fault of the layout as one of what was sent.
fn fault_of(given: &Given<'_>, part: &Part, element: Element<'_>, fault: EncodeFault) -> Fault {
    let from = part.from(given, &fault.pointer, element);
    let said = match from {
        Some(From::Body(_)) => format!("expected {}, found {}", fault.expected, fault.found),
        _ => of_record(&fault),
    };
    Fault { from, wanted: fault.expected, said }
}

/// A fault of the layout in a sentence that says where in the record it is.
fn of_record(fault: &EncodeFault) -> String {
    let EncodeFault { pointer, expected, found } = fault;
    let place = if pointer.is_empty() { String::new() } else { format!(", at {pointer}") };
    format!("in its record{place}: expected {expected}, found {found}")
}

/// What no name has on one system or another, as a phrase.
const ODD: &str = r#"/ \ < > : " | ? * or a control character"#;

fn is_odd(c: char) -> bool {
    c.is_control() || r#"/\<>:"|?*"#.contains(c)
}

/// A name that is one part of a path, on whatever system it is read, and of no file that is hidden.
fn named(text: &Text, given: &Given<'_>) -> Result<String, Fault> {
    let name = text.written(given, None);
    let why = if name.is_empty() {
        "which is empty".to_owned()
    } else if name.len() > LONGEST_NAME {
        "which is too long".to_owned()
    } else if name.contains(is_odd) {
        format!("which has one of {ODD} in it")
    } else if name.starts_with(['.', ' ']) || name.ends_with(['.', ' ']) {
        "which begins or ends with a dot or a blank".to_owned()
    } else {
        return Ok(name);
    };
    let shown: String = name.replace(SOME_ID, "{operation_id}").chars().take(80).collect();
    let said = format!("it makes {shown:?} the name of the file, {why}");
    let pieces = text.pieces(given, None);
    let of_callers = || pieces.iter().filter(|(_, from)| from.is_some());
    // What is odd by itself, or else the longest.
    let odd = of_callers().find(|(piece, _)| piece.contains(is_odd) || piece.trim_matches(['.', ' ']) != piece);
    let culprit = odd.or_else(|| of_callers().max_by_key(|(piece, _)| piece.len()));
    let from = culprit.and_then(|(_, from)| from.clone());
    Err(Fault { from, wanted: "what can stand in the name of a file".to_owned(), said })
}
