//! The threads that may be inside a driver, and the end of the process.
//!
//! A process that returns from `main` runs the exit handlers of every library in it: those of OpenSSL and of the drivers
//! free what a thread that is still closing its connection uses, and the process dies of it after its work was done. So
//! whoever ends the process first waits for these threads, and where one does not come back, leaves without the handlers.

use std::io;
use std::io::Write;
use std::thread::{Builder, JoinHandle, sleep};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::raw;

/// All that were started and may still run.
static THREADS: Mutex<Vec<JoinHandle<()>>> = Mutex::new(Vec::new());

/// How often it is looked whether they have ended.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// Starts a thread that calls a driver.
pub(super) fn start(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let mut threads = THREADS.lock();
    threads.retain(|thread| !thread.is_finished());
    threads.push(Builder::new().name(name.to_owned()).spawn(work)?);
    Ok(())
}

/// Ends the process with an exit code. Connections that nobody uses any more get as long as `most` to be closed in order;
/// with threads that do not come back from their driver, the process ends without the exit handlers of its libraries.
///
/// It comes back where no thread is left in a driver: then the usual way out is safe.
pub fn leave(code: u8, most: Duration) {
    let end = Instant::now() + most;
    loop {
        let mut left = THREADS.lock();
        let (over, running): (Vec<_>, Vec<_>) = left.drain(..).partition(JoinHandle::is_finished);
        *left = running;
        let is_empty = left.is_empty();
        drop(left);
        // What a thread keeps for itself is freed behind its last line: only its join says that it is over.
        for thread in over {
            let _ = thread.join();
        }
        if is_empty {
            return;
        }
        if Instant::now() >= end {
            break;
        }
        sleep(LOOK_AGAIN);
    }
    let _ = io::stdout().flush();
    raw::end_process(code);
}
