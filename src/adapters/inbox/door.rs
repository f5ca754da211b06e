//! What the pipeline knocks at: an inbox of any kind with the rules of picking up.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use glob::Pattern;
use sha2::{Digest, Sha256};

use super::settling::Settling;
use super::unclaimed::{Lying, Unclaimed};
use super::{Candidate, Claim, Fate, Inbox, InboxError, Listing, Pickup, Scan, Until, Waiting, Watching};
use crate::adapters::finding::Finding;
use crate::gate::Permit;

/// An inbox with its rules. All methods block: call them from a blocking thread of the runtime.
pub struct Door {
    inbox: Box<dyn Inbox>,
    pickup: Pickup,
    settling: Settling,
    lying: Lying,
}

impl Door {
    /// Touches nothing yet.
    pub(in crate::adapters) fn new(inbox: impl Inbox + 'static, pickup: Pickup) -> Door {
        Door { inbox: Box::new(inbox), pickup, settling: Settling::default(), lying: Lying::default() }
    }

    /// The rules.
    pub fn pickup(&self) -> &Pickup {
        &self.pickup
    }

    /// Where the inbox is, for people.
    pub fn place(&self) -> String {
        self.inbox.place()
    }

    /// Whether the inbox can be listed, and what a person should know although it can; for `check`.
    pub fn probe(&self, permit: &Permit) -> Result<Vec<String>, InboxError> {
        let result = self.inbox.probe(permit);
        self.inbox.rest();
        result
    }

    /// Looks for what keeps us out, or keeps files from being moved away, and for files that none of the patterns means:
    /// those of all mappings, where these are known.
    pub fn diagnose(&self, permit: &Permit, claimed: Option<&[Pattern]>) -> Vec<Finding> {
        let mut findings = self.reached(permit);
        if let Some(claimed) = claimed.filter(|_| findings.iter().all(|finding| finding.is_well)) {
            findings.push(self.diagnose_files(permit, claimed));
        }
        findings
    }

    fn diagnose_files(&self, permit: &Permit, claimed: &[Pattern]) -> Finding {
        let listing = self.inbox.list(permit, &|_| false);
        self.inbox.rest();
        let listing = match listing {
            Ok(listing) => listing,
            Err(error) => return Finding::wrong("files", error.to_string(), error.remedy()),
        };
        let now = Instant::now();
        let (unclaimed, _) = self.lying.found(&self.unclaimed_of(&listing, claimed), Duration::ZERO, now);
        let remedy = match claimed.len() {
            0 => "write a mapping that reads from this backend (`tollbridge infer FILE` proposes one)",
            _ => "let `files` of a mapping mean them, or have them put elsewhere; `ignore` passes over them",
        };
        match unclaimed.files {
            0 => {
                Finding::well("files", format!("{} files, each read by a mapping or passed over", listing.others.len()))
            }
            _ => Finding::wrong("files", format!("no mapping reads {unclaimed}"), remedy),
        }
    }

    fn unclaimed_of<'l>(&self, listing: &'l Listing, claimed: &[Pattern]) -> HashSet<&'l str> {
        let names = listing.others.iter().map(String::as_str);
        names.filter(|name| self.pickup.is_unclaimed(claimed, name)).collect()
    }

    /// Files that no mapping reads, as of the last look.
    pub fn unclaimed(&self) -> Unclaimed {
        self.lying.now()
    }

    fn reached(&self, permit: &Permit) -> Vec<Finding> {
        match self.probe(permit) {
            Ok(doubts) if doubts.is_empty() => {
                vec![Finding::well("inbox", format!("{} can be read, and files can be moved away", self.place()))]
            }
            Ok(doubts) => {
                let remedy = "files are read all the same; give this user the right to move them away";
                doubts.into_iter().map(|doubt| Finding::wrong("inbox", doubt, remedy)).collect()
            }
            Err(error) => vec![Finding::wrong(error.step(), error.to_string(), error.remedy())],
        }
    }

    /// What a person should know of the inbox although it works.
    pub fn doubts(&self) -> Vec<String> {
        self.inbox.doubts()
    }

    /// Whether it is on a server.
    pub fn is_remote(&self) -> bool {
        self.inbox.is_remote()
    }

    /// Looks for complete files whose names match, and for such as none of the patterns means: those of all mappings that
    /// read here. Links, special files and hidden files are passed over.
    pub fn scan(&self, permit: &Permit, pattern: &Pattern, claimed: &[Pattern]) -> Result<Scan, InboxError> {
        let listing = self.inbox.list(permit, &|name| self.pickup.wants(pattern, name))?;
        let folded = |name: &str| if self.pickup.match_case { name.to_owned() } else { name.to_lowercase() };
        // What may announce others, as it is looked for and as it is written.
        let mut others: HashMap<String, &str> = HashMap::new();
        if self.pickup.done_file.is_some() {
            for name in &listing.others {
                others.entry(folded(name)).and_modify(|known| *known = (*known).min(name)).or_insert(name);
            }
        }
        let names: HashSet<&str> = listing.found.iter().map(|found| found.name.as_str()).collect();
        self.settling.retain(|name| names.contains(name) || listing.others.contains(name));

        let lying = self.unclaimed_of(&listing, claimed);
        let (unclaimed, untold) = self.lying.found(&lying, self.pickup.stable_for, Instant::now());
        let mut scan = Scan { closed: listing.closed, unclaimed, untold, ..Scan::default() };
        for found in &listing.found {
            // Both are asked: a file is watched while its done file is on its way.
            let is_stable = self.settling.is_stable(found, self.pickup.stable_for);
            let done = self.pickup.done_file_of(&found.name);
            let beside = done.as_ref().and_then(|done| others.get(&folded(done))).map(|name| (*name).to_owned());
            let until = match (is_stable, done.filter(|_| beside.is_none())) {
                (_, Some(done)) => Some(Until::Announced(done)),
                (false, None) => Some(Until::Settled),
                (true, None) => None,
            };
            if let Some(until) = until {
                scan.unsettled.push(Waiting { name: found.name.clone(), until });
            } else {
                let (name, path, stamp) = (found.name.clone(), found.path.clone(), found.stamp);
                scan.stable.push(Candidate { name, size: stamp.size, path, stamp, beside });
            }
        }
        let waiting: Vec<String> = scan.unsettled.iter().map(|file| file.name.clone()).collect();
        if let Some(first) = self.pickup.order.first_in_sequence(&waiting).map(str::to_owned) {
            let waits = |file: &mut Candidate| self.pickup.order.is_before(&first, &file.name);
            let later = scan.stable.extract_if(.., waits);
            let turn = |file: Candidate| Waiting { name: file.name, until: Until::Turn(first.clone()) };
            scan.unsettled.extend(later.map(turn));
        }
        self.pickup.order.sort(&mut scan.stable);
        scan.unsettled.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(scan)
    }

    /// Opens a candidate for its one reading, from this offset on.
    pub fn claim<'p>(
        &'p self,
        permit: &'p Permit,
        candidate: &Candidate,
        from: u64,
    ) -> Result<Box<dyn Claim + 'p>, InboxError> {
        self.inbox.claim(permit, candidate, from)
    }

    /// What a broken reading of this delivery can be found again by; `None` where it begins anew.
    pub fn resume_mark(&self, candidate: &Candidate) -> Option<[u8; 32]> {
        if !self.inbox.is_remote() || candidate.stamp.modified.0 == 0 {
            return None;
        }
        let text = format!("{}\n{}\n{}\n{}", self.place(), candidate.name, candidate.size, candidate.delivery());
        Some(Sha256::digest(text).into())
    }

    /// The fault of a reading that ended before the file did.
    pub fn broke_off(&self, candidate: &Candidate, source: std::io::Error) -> InboxError {
        let place = format!("{}/{}", self.place(), candidate.name);
        if self.inbox.is_remote() {
            let reason = format!("reading broke off: {source}; the next run goes on where this one ended");
            InboxError::Unreachable { place, reason }
        } else {
            InboxError::File { place, source }
        }
    }

    /// Whether a delivery is told from the next by its state alone, without a look at its content. A server knows
    /// only seconds, if that: then two writes within one look the same, unless the file stood still for longer
    /// before it was read.
    pub fn tells_deliveries(&self, candidate: &Candidate) -> bool {
        let is_dated = candidate.stamp.modified.0 != 0 && self.pickup.stable_for >= Duration::from_secs(2);
        !self.inbox.is_remote() || is_dated
    }

    /// Moves a finished file out of the inbox, unless it has changed since: then it is a new file and stays.
    /// Answers where it is now. Nothing in the archive is ever overwritten.
    pub fn acknowledge(&self, permit: &Permit, candidate: &Candidate, fate: Fate) -> Result<String, InboxError> {
        let result = self.inbox.move_away(permit, candidate, fate);
        self.settling.forget(&candidate.name);
        result
    }

    /// Rings when something in the inbox changes, until the guard is dropped; `None` where nobody would tell.
    pub fn watch(&self, permit: &Permit, ring: impl Fn() + Send + Sync + 'static) -> Option<Watching> {
        self.inbox.watch(permit, Box::new(ring))
    }

    /// Pause between two looks of somebody who waits for a file to settle.
    pub fn pause(&self) -> Duration {
        let longest = if self.inbox.is_remote() { self.pickup.poll } else { Duration::from_millis(250) };
        match self.pickup.stable_for {
            // It is not time that is missing, but a done file or something like it.
            Duration::ZERO => longest,
            stable_for => stable_for.min(longest).max(Duration::from_millis(20)),
        }
    }

    /// Lets go of what is held between the calls of one run.
    pub fn rest(&self) {
        self.inbox.rest();
    }
}
