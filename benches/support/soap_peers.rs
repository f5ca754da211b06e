//! What others need for the same answer: zeep and strong-soap, each a process of its own that measures its own CPU time.

use std::path::Path;
use std::process::Command;

use crate::installed::installed;

/// Orders of the answer that they read; ours are read by the hundred thousand, which takes them minutes.
pub(crate) const ORDERS: usize = 20_000;

/// The runs of each, of which the best counts.
const RUNS: usize = 2;

/// Runs both on an answer that has its WSDL beside it, and prints how `ours`, in MB/s of CPU, compares.
pub(crate) fn compare(answer: &Path, ours: f64) {
    let (folder, scripts) = (installed(), Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/support"));
    let mut zeep = Command::new(folder.join("bin/python"));
    zeep.arg(scripts.join("soap_zeep.py")).arg(answer);
    let mut strong = Command::new("node");
    strong.env("NODE_PATH", folder.join("node_modules")).arg(scripts.join("soap_strong.js")).arg(answer);
    for (name, wanted, mut command) in [("zeep", 50.0, zeep), ("strong-soap", 10.0, strong)] {
        match (0..RUNS).filter_map(|_| speed(&mut command)).reduce(f64::max) {
            Some(theirs) => println!(
                "soap: {name:<34}  {theirs:6.2} MB/s  ours is {:.0} times that; at least {wanted:.0} is wanted",
                ours / theirs
            ),
            None => println!("soap: {name:<34}  did not read the answer; `scripts/peers` installs it"),
        }
    }
}

/// The MB/s that a script prints: the word before `MB/s`.
fn speed(command: &mut Command) -> Option<f64> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    let said = String::from_utf8(output.stdout).ok()?;
    said.split_once(" MB/s")?.0.split_whitespace().next_back()?.parse().ok()
}
