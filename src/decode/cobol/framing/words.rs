//! Record and block descriptor words, and whether they count themselves.
//!
//! z/OS writes them as RECFM=V and VB describe: the length in the first two bytes, high byte first, the word itself
//! counted, zeros behind it (DFSMS Using Data Sets, "Variable-Length Record Formats"). Files that were taken apart on the
//! way often leave the word out of the length, or have it in the last two bytes, low byte first.

use std::io::{Read, Seek, SeekFrom};

use super::WORD;
use crate::decode::MAX_RECORD;
use crate::decode::cobol::settings::{Framing, Settings};
use crate::decode::reader::StreamFault;
use crate::decode::window::Window;

/// How far into a file the convention of its descriptor words is looked for.
const PROBE: usize = 256 << 10;

/// A framing with what was settled about its descriptor words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::decode::cobol) struct Convention {
    pub(in crate::decode::cobol) framing: Framing,
    /// Added to the length in a record descriptor word.
    pub(in crate::decode::cobol) rdw_adjust: i64,
    /// Added to the length in a block descriptor word.
    pub(in crate::decode::cobol) bdw_adjust: i64,
}

impl Convention {
    /// What the settings say; whether words count themselves is found out from the start of the file where they do not
    /// say it: the first convention that explains the start is taken, else the one with the most records at the start that
    /// are no longer than `longest`, and of such the one that comes furthest.
    pub(in crate::decode::cobol) fn of<R: Read + Seek>(
        settings: &Settings,
        input: &mut R,
        first: u64,
        limit: u64,
        longest: usize,
    ) -> Result<Convention, StreamFault> {
        let framing = settings.framing;
        let mut found = Convention {
            framing,
            rdw_adjust: settings.rdw_adjust.unwrap_or(0),
            bdw_adjust: settings.bdw_adjust.unwrap_or(-(WORD as i64)),
        };
        let words = matches!(framing, Framing::RdwBig | Framing::RdwLittle | Framing::Blocks);
        let blocks = framing == Framing::Blocks;
        if !words || (settings.rdw_adjust.is_some() && (settings.bdw_adjust.is_some() || !blocks)) {
            return Ok(found);
        }
        input.seek(SeekFrom::Start(first))?;
        let mut window = Window::new(first, limit);
        let whole = !window.fill(input, PROBE)?;
        let bytes = window.first(PROBE);
        // z/OS counts the words themselves in blocks; files that were taken apart on the way mostly do not.
        let rdw_choices = if blocks { [-4, 0] } else { [0, -4] };
        let bdw_choices = if blocks { [-4, 0].as_slice() } else { &[-4] };
        let mut furthest = (0, 0);
        for &bdw in bdw_choices {
            for rdw in rdw_choices {
                let (rdw, bdw) = (settings.rdw_adjust.unwrap_or(rdw), settings.bdw_adjust.unwrap_or(bdw));
                let choice = Convention { framing, rdw_adjust: rdw, bdw_adjust: bdw };
                let reach = if blocks { choice.blocks(bytes, whole) } else { choice.records(bytes, whole) };
                match reach {
                    Reach::All => return Ok(choice),
                    // A file that is broken somewhere, or cut off, is best followed up to there.
                    Reach::UpTo(offset) => {
                        let sound =
                            if blocks { 0 } else { choice.sound(bytes.get(..offset).unwrap_or(bytes), longest) };
                        if (sound, offset) > furthest {
                            (furthest, found) = ((sound, offset), choice);
                        }
                    }
                }
            }
        }
        if blocks && furthest == (0, 0) {
            found.rdw_adjust = settings.rdw_adjust.unwrap_or(-(WORD as i64));
        }
        Ok(found)
    }

    /// The length in a record descriptor word, if it is one that a record can have.
    #[inline]
    pub(in crate::decode::cobol) fn record_length(self, word: [u8; WORD]) -> Option<usize> {
        record_length(word, self.framing, self.rdw_adjust)
    }

    /// The length in a block descriptor word: 15 bits, or 31 where the first bit is set.
    pub(in crate::decode::cobol) fn block_length(self, word: [u8; WORD]) -> Option<u64> {
        block_length(word, self.bdw_adjust)
    }
}

#[inline]
fn record_length(word: [u8; WORD], framing: Framing, adjust: i64) -> Option<usize> {
    let [a, b, c, d] = word;
    let (length, spare) = match framing {
        Framing::Spanned => {
            return usize::try_from(u32::from_be_bytes(word)).ok().filter(|length| (1..=MAX_RECORD).contains(length));
        }
        Framing::RdwLittle => (u16::from_le_bytes([c, d]), [a, b]),
        _ => (u16::from_be_bytes([a, b]), [c, d]),
    };
    let length = usize::try_from(i64::from(length) + adjust).ok().filter(|length| *length > 0)?;
    // A segment of a spanned record has other bytes here, and text that was taken for a word has them too.
    (spare == [0, 0]).then_some(length)
}

fn block_length(word: [u8; WORD], adjust: i64) -> Option<u64> {
    let length = match word[0] & 0x80 {
        0 => u32::from(u16::from_be_bytes([word[0], word[1]])),
        _ => u32::from_be_bytes(word) & 0x7FFF_FFFF,
    };
    u64::try_from(i64::from(length) + adjust).ok().filter(|length| *length > 0)
}

/// The word at the start of some bytes.
#[inline]
pub(in crate::decode::cobol) fn first_word(bytes: &[u8]) -> [u8; WORD] {
    bytes.first_chunk().copied().unwrap_or_default()
}

/// How far bytes are records, or blocks of records, under a convention.
enum Reach {
    /// To the end of what there is.
    All,
    /// So many bytes; what follows is none.
    UpTo(usize),
}

impl Convention {
    /// Records one after another.
    fn records(self, bytes: &[u8], whole: bool) -> Reach {
        let mut at = 0;
        while bytes.len() - at >= WORD {
            let Some(length) = self.record_length(first_word(&bytes[at..])) else { return Reach::UpTo(at) };
            let next = at.saturating_add(WORD + length);
            if next > bytes.len() {
                return if whole { Reach::UpTo(at) } else { Reach::All };
            }
            at = next;
        }
        if at == bytes.len() || !whole { Reach::All } else { Reach::UpTo(at) }
    }

    /// How many records at the start are no longer than one can be.
    fn sound(self, bytes: &[u8], longest: usize) -> usize {
        let (mut at, mut count) = (0, 0);
        while let Some(length) = bytes.get(at..at + WORD).and_then(|word| self.record_length(first_word(word))) {
            if length > longest {
                break;
            }
            (at, count) = (at + WORD + length, count + 1);
        }
        count
    }

    /// Blocks that are filled by their records.
    fn blocks(self, bytes: &[u8], whole: bool) -> Reach {
        let mut at = 0;
        while bytes.len() - at >= WORD {
            let length = self.block_length(first_word(&bytes[at..])).and_then(|length| usize::try_from(length).ok());
            let Some(length) = length else { return Reach::UpTo(at) };
            let start = at + WORD;
            let Some(block) = bytes.get(start..start.saturating_add(length)) else {
                // The block goes on behind what there is: its records may be known up to there.
                return match self.records(&bytes[start..], whole) {
                    Reach::All if !whole => Reach::All,
                    Reach::All => Reach::UpTo(bytes.len()),
                    Reach::UpTo(reached) => Reach::UpTo(if reached > 0 { start + reached } else { at }),
                };
            };
            if let Reach::UpTo(reached) = self.records(block, true) {
                return Reach::UpTo(if reached > 0 { start + reached } else { at });
            }
            at = start + length;
        }
        if at == bytes.len() || !whole { Reach::All } else { Reach::UpTo(at) }
    }
}
