//! Which delimiter and quote a text was written with: the pair under which its rows are most alike and its cells most
//! like values. The measure is that of van den Burg, Nazábal and Sutton, "Wrangling messy CSV files by detecting row and
//! type patterns" (2019): a pattern score, which rewards few and long kinds of rows, times the share of cells that are of
//! a known type.

use std::collections::HashMap;

use super::kinds::Cell;
use crate::decode::csv::{Cutter, Settings};

/// Delimiters that are tried, the likelier first.
const DELIMITERS: &[&str] = &[",", ";", "\t", "|", "\u{1f}", "\u{1}", "^", "~", "§", "¦", ":", "#", " "];

/// Characters that are also written several times, or around one another, as one delimiter.
const WIDE: &[&str] = &["~|~", "|~|", "^|^", "||", "::", "~~", "##", ";;", ",,", ", ", "; "];

/// The most rows that are looked at.
const MAX_ROWS: usize = 3000;

/// Fewer rows than this do not tell a quote that is not closed from one that is text.
const FEW_ROWS: usize = 20;

/// How a text was most likely written.
#[derive(Clone, Debug)]
pub(super) struct Dialect {
    pub(super) settings: Settings,
    pub(super) score: f64,
    /// The next best delimiter and its score.
    pub(super) next: Option<(String, f64)>,
    /// Rows that begin with a quote somewhere.
    pub(super) quoted_rows: usize,
    /// Rows whose quotes are wrong.
    broken_rows: usize,
    /// Whether the usual quote was taken although it is not closed in one of few rows.
    pub(super) is_unsure: bool,
    /// The cells of all rows but blank ones, each with its line, from 1. Where quotes are wrong, none.
    pub(super) rows: Vec<(u64, Vec<String>)>,
}

/// The best dialect; `None` where no delimiter makes more than one cell of the rows.
pub(super) fn guess(text: &str, whole: bool) -> Option<Dialect> {
    let mut delimiters: Vec<&str> = Vec::new();
    for delimiter in DELIMITERS.iter().copied().filter(|delimiter| text.contains(delimiter)) {
        // One that mostly stands inside a wider one is a part of it.
        let all = text.matches(delimiter).count();
        let wide = WIDE
            .iter()
            .filter(|wide| wide.contains(delimiter))
            .max_by_key(|wide| text.matches(**wide).count() * wide.matches(delimiter).count());
        let within = wide.map_or(0, |wide| text.matches(*wide).count() * wide.matches(delimiter).count());
        match wide {
            Some(wide) if within * 10 > all * 8 => {
                if !delimiters.contains(wide) {
                    delimiters.push(wide);
                }
            }
            _ => delimiters.push(delimiter),
        }
    }
    let mut best: Option<Dialect> = None;
    let mut scores: Vec<(String, f64)> = Vec::new();
    // The usual quote, in few rows, where one of them does not close it.
    let mut unclosed: Vec<Dialect> = Vec::new();
    for delimiter in delimiters {
        for quote in [Some(b'"'), Some(b'\''), None] {
            if quote.is_some_and(|quote| quote != b'"' && !text.contains(char::from(quote))) {
                continue;
            }
            let escaped = quote.map(|quote| format!("\\{}", char::from(quote)));
            let has_escapes =
                escaped.is_some_and(|escaped| text.contains(&escaped)) || text.contains(&format!("\\{delimiter}"));
            for escape in [None, Some(b'\\')].into_iter().take(if has_escapes { 2 } else { 1 }) {
                let settings = Settings { delimiter: delimiter.to_owned(), quote, escape, ..Settings::default() };
                let tried = score(settings, text, whole);
                let best_of_delimiter = scores.iter_mut().find(|(known, _)| known == delimiter);
                match best_of_delimiter {
                    Some((_, score)) => *score = score.max(tried.score),
                    None => scores.push((delimiter.to_owned(), tried.score)),
                }
                if tried.settings.quote == Some(b'"') && tried.broken_rows == 1 && tried.rows.len() < FEW_ROWS {
                    unclosed.push(tried.clone());
                }
                if best.as_ref().is_none_or(|best| tried.score > best.score * 1.0001) {
                    best = Some(tried);
                }
            }
        }
    }
    if let Some(bare) = best.as_ref().filter(|best| best.settings.quote.is_none())
        && let Some(usual) = unclosed.into_iter().find(|usual| usual.settings.delimiter == bare.settings.delimiter)
    {
        best = Some(Dialect { is_unsure: true, ..usual });
    }
    let mut best = best.filter(|best| best.rows.iter().any(|(_, cells)| cells.len() > 1))?;
    scores.retain(|(delimiter, _)| *delimiter != best.settings.delimiter);
    scores.sort_by(|a, b| b.1.total_cmp(&a.1));
    best.next = scores.into_iter().next();
    Some(best)
}

/// Cuts the text in this dialect and measures what comes of it.
fn score(settings: Settings, text: &str, whole: bool) -> Dialect {
    let mut rows = Vec::new();
    let (mut quoted_rows, mut broken) = (0, 0);
    let mut cutter = Cutter::new(&settings, text.as_bytes(), whole);
    while let Some(row) = cutter.next().filter(|_| rows.len() < MAX_ROWS) {
        quoted_rows += usize::from(row.quoted);
        broken += usize::from(row.cells.is_none());
        rows.push((row.line, row.cells.unwrap_or_default()));
    }
    let mut patterns: HashMap<usize, usize> = HashMap::new();
    rows.iter().for_each(|(_, cells)| *patterns.entry(cells.len()).or_default() += 1);
    let kinds = patterns.len() as f64;
    let pattern: f64 = patterns
        .iter()
        .map(|(&length, &count)| count as f64 * (length as f64 - 1.0).max(0.001) / (length as f64).max(1.0))
        .sum::<f64>()
        / kinds.max(1.0)
        / rows.len().max(1) as f64;
    let cells = || rows.iter().flat_map(|(_, cells)| cells);
    let known = cells().filter(|cell| Cell::of(cell) != Cell::Odd).count();
    let typed = (known as f64).max(0.001) / (cells().count() + broken).max(1) as f64;
    // Blanks and colons stand in text and times more often than between cells.
    let doubt = match settings.delimiter.as_str() {
        " " => 0.5,
        ":" | "#" | "~" => 0.8,
        _ => 1.0,
    };
    Dialect {
        score: pattern * typed * doubt,
        settings,
        next: None,
        quoted_rows,
        broken_rows: broken,
        is_unsure: false,
        rows,
    }
}

#[cfg(test)]
mod tests {
    use super::guess;

    fn check(text: &str, delimiter: &str, quote: Option<u8>, escape: Option<u8>) {
        let found = guess(text, true).unwrap();
        let settings = &found.settings;
        assert_eq!((&settings.delimiter[..], settings.quote, settings.escape), (delimiter, quote, escape), "{text}");
    }

    #[test]
    fn dialects() {
        let quote = Some(b'"');
        check("a,b,c\n1,2,3\n4,5,6\n", ",", quote, None);
        check("no;name;limit\n1;Hammer, gross;12,50\n2;Saw, small;3,90\n", ";", quote, None);
        check("no;name\n1;\"Pliers; insulated\"\n2;Saw\n", ";", quote, None);
        check("no,name,price\n1,Hammer,10\n2,\"Saw,5\n3,Axe,7\n", ",", quote, None);
        check("a\tb\n1,5\t2\n2,5\t3\n", "\t", quote, None);
        check("a||b||c\n1||x|y||3\n2||||\n", "||", quote, None);
        check("a~|~b\n1~|~2\n", "~|~", quote, None);
        check("no,name\n1,'Hammer, gross'\n2,'Saw, small'\n3,x\n", ",", Some(b'\''), None);
        check("no,name\n1,\"say \\\"yes\\\"\"\n2,\"a \\\", b\"\n3,c\n", ",", quote, Some(b'\\'));
        check("no,name\n1,a\\,b\n2,c\n3,d\\,e\n", ",", quote, Some(b'\\'));
        check("no,folder,x\n1,C:\\x\\,a\n2,D:\\y\\,b\n3,c,d\n", ",", quote, None);
        check("time|host|what\n10:15:00|a:80|started: ok\n10:16:00|b:81|ended: ok\n", "|", quote, None);
        check("Report of 31.10.2026, page 1\n\na;b;c\n1;2;3\n4;5;6\n7;8;9\n", ";", quote, None);
        let found = guess("a;b,c\n1;2,5\n2;3,5\n", true).unwrap();
        assert!(found.next.unwrap().1 <= found.score);
        assert!(guess("one column\nof text\n", true).is_none_or(|found| found.settings.delimiter == " "));
        assert!(guess("", true).is_none());
    }
}
