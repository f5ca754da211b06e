//! COPY: another text in the place of the statement, with the words changed that REPLACING names.
//!
//! Texts are asked for by name and never read here. A name is a file of the copybook's own folder, in any of the spellings
//! that compilers try; a library (`OF lib`) is a folder in it. Names that lead out of the folder are faults.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use super::conditional::Conditions;
use super::lexer::{self, Token, TokenKind};
use super::replace::{self, Replacement};
use super::source::Text;
use super::{Dialect, SourceFormat, Spot};
use crate::diagnostic::{Faults, SourceText};

/// How deep copied texts may copy others.
const MAX_DEPTH: usize = 16;
/// The most words that a copybook may have with all that it copies.
const MAX_TOKENS: usize = 2_000_000;
/// The most COPY statements that are carried out: texts without words could multiply for ever.
const MAX_COPIES: usize = 10_000;
/// What compilers put behind a name.
const ENDINGS: &[&str] = &["", ".cpy", ".CPY", ".cbl", ".CBL", ".cob", ".COB", ".copy", ".inc", ".txt"];

/// Where copied texts come from.
pub(super) struct Library<'a> {
    /// The copybook's folder as written, with its slash; empty where it has none.
    folder: String,
    texts: &'a dyn Fn(&str) -> Option<Arc<SourceText>>,
    format: SourceFormat,
    /// What conditional compilation goes by; texts that are copied see what was defined before.
    conditions: RefCell<Conditions>,
    faults: &'a Faults,
    /// Paths of the texts that were copied.
    used: RefCell<Vec<String>>,
    copies: Cell<usize>,
}

impl<'a> Library<'a> {
    pub(super) fn new(
        path: &str,
        texts: &'a dyn Fn(&str) -> Option<Arc<SourceText>>,
        dialect: &Dialect,
        faults: &'a Faults,
    ) -> Library<'a> {
        let folder = path.rfind(['/', '\\']).map(|slash| path[..=slash].to_owned()).unwrap_or_default();
        let conditions = RefCell::new(Conditions::new(&dialect.defines));
        Library {
            folder,
            texts,
            format: dialect.format,
            conditions,
            faults,
            used: RefCell::default(),
            copies: Cell::new(0),
        }
    }

    /// The paths of the copied texts.
    pub(super) fn into_used(self) -> Vec<String> {
        self.used.into_inner()
    }

    /// The words of a text with those that it copies.
    pub(super) fn read(&self, source: &Arc<SourceText>) -> Vec<Token> {
        self.expand(source, &mut Vec::new())
    }

    /// `open` holds the paths of the texts that are being copied, from the outside in.
    fn expand(&self, source: &Arc<SourceText>, open: &mut Vec<String>) -> Vec<Token> {
        let text = Text::of(source, self.format, &mut self.conditions.borrow_mut(), self.faults);
        let tokens = lexer::tokens(&text, source, self.faults);
        let mut expanded = Vec::with_capacity(tokens.len());
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            if !token.is("COPY") || lexer::picture_follows(&tokens[..at]) {
                expanded.push(token.clone());
                at += 1;
                continue;
            }
            let end = tokens[at..].iter().position(|token| token.kind == TokenKind::Period);
            let Some(end) = end.map(|length| at + length) else {
                self.faults.push(token.spot.fault("COPY has no period at its end"));
                return expanded;
            };
            if let Some(copied) = self.copied(&tokens[at..end], open) {
                expanded.extend(copied);
            }
            if expanded.len() > MAX_TOKENS {
                self.faults.push(token.spot.fault(format!("the copybook grows beyond {MAX_TOKENS} words")));
                return expanded;
            }
            at = end + 1;
        }
        expanded
    }

    /// The words that a COPY statement stands for.
    fn copied(&self, statement: &[Token], open: &mut Vec<String>) -> Option<Vec<Token>> {
        let copy = statement.first()?;
        let Some(named) = statement.get(1).filter(|token| matches!(token.kind, TokenKind::Word | TokenKind::Literal))
        else {
            self.faults.push(copy.spot.fault("expected the name of a text behind COPY"));
            return None;
        };
        let mut rest = &statement[2..];
        let mut library = None;
        if let [of, folder, ..] = rest
            && of.is_one_of(&["OF", "IN"])
        {
            library = Some(folder);
            rest = &rest[2..];
        }
        if let [suppress, ..] = rest
            && suppress.is("SUPPRESS")
        {
            rest = &rest[1..];
            if let [printing, ..] = rest
                && printing.is("PRINTING")
            {
                rest = &rest[1..];
            }
        }
        let replacements = match rest {
            [] => Vec::new(),
            [replacing, pairs @ ..] if replacing.is("REPLACING") => {
                replace::pairs(pairs, &replacing.spot, self.faults)?
            }
            [other, ..] => {
                self.faults.push(other.spot.fault(format!("expected REPLACING, found `{}`", other.text)));
                return None;
            }
        };
        self.copies.set(self.copies.get() + 1);
        if self.copies.get() > MAX_COPIES {
            // Said once: what is still to be copied would say the same.
            if self.copies.get() == MAX_COPIES + 1 {
                self.faults.push(copy.spot.fault(format!("more than {MAX_COPIES} texts are copied")));
            }
            return None;
        }
        let (path, source) = self.find(named, library)?;
        if open.contains(&path) {
            self.faults.push(named.spot.fault(format!("`{path}` copies itself")));
            return None;
        }
        if open.len() >= MAX_DEPTH {
            self.faults.push(named.spot.fault(format!("texts copy one another more than {MAX_DEPTH} deep")));
            return None;
        }
        open.push(path.clone());
        let tokens = self.expand(&source, open);
        open.pop();
        let mut used = self.used.borrow_mut();
        if !used.contains(&path) {
            used.push(path);
        }
        Some(self.replaced(tokens, &replacements))
    }

    fn replaced(&self, tokens: Vec<Token>, replacements: &[Replacement]) -> Vec<Token> {
        if replacements.is_empty() { tokens } else { replace::apply(&tokens, replacements, self.faults) }
    }

    /// The text of a name, with its path.
    fn find(&self, named: &Token, library: Option<&Token>) -> Option<(String, Arc<SourceText>)> {
        let name = plain_name(named, self.faults)?;
        let folder = match library {
            None => self.folder.clone(),
            Some(library) => format!("{}{}/", self.folder, plain_name(library, self.faults)?),
        };
        let spellings = [name.clone(), name.to_uppercase(), name.to_lowercase()];
        for spelling in &spellings {
            for ending in ENDINGS {
                let path = format!("{folder}{spelling}{ending}");
                if let Some(source) = (self.texts)(&path) {
                    return Some((path, source));
                }
            }
        }
        let shown = if folder.is_empty() { "the copybook's folder".to_owned() } else { format!("`{folder}`") };
        let help = format!("put it in {shown}, as `{name}` or `{name}.cpy`");
        self.faults.push(named.spot.fault(format!("there is no text `{name}` to copy")).help(help));
        None
    }
}

/// The name without quotes; a fault where it would lead out of the folder.
fn plain_name(token: &Token, faults: &Faults) -> Option<String> {
    let name = token.text.trim_matches(['"', '\'']).trim();
    let plain = !name.is_empty()
        && name != "."
        && !name.contains("..")
        && !name.contains(['/', '\\', ':', '\0'])
        && token.kind != TokenKind::Pseudo;
    if !plain {
        let help = "only texts in the copybook's own folder are copied";
        faults.push(token.spot.fault(format!("`{name}` is no plain name")).help(help));
        return None;
    }
    Some(name.to_owned())
}

/// Where a statement without words stands.
pub(super) fn spot_of(tokens: &[Token], source: &Arc<SourceText>) -> Spot {
    tokens.last().map_or_else(|| Spot { source: Arc::clone(source), span: 0..0 }, |token| token.spot.clone())
}
