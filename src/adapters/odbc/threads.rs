//! The threads that may be inside a driver, and the end of the process.
//!
//! A process that returns from `main` runs the exit handlers of every library in it: those of OpenSSL and of the drivers
//! free what a thread that is still closing its connection uses, and the process dies of it after its work was done. So
//! whoever ends the process first waits for these threads, and where one does not come back, leaves without the handlers.

use std::io;
use std::io::Write;
use std::sync::mpsc;
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::raw;

/// All that were started and may still run.
static THREADS: Mutex<Vec<JoinHandle<()>>> = Mutex::new(Vec::new());

/// Starts a thread that calls a driver.
pub(super) fn start(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let mut threads = THREADS.lock();
    let (over, running): (Vec<_>, Vec<_>) = threads.drain(..).partition(JoinHandle::is_finished);
    *threads = running;
    let thread = Builder::new().name(name.to_owned()).spawn(move || {
        work();
        join(over);
    })?;
    threads.push(thread);
    Ok(())
}

/// Waits for threads whose last line is behind them: what a library keeps for each is freed after that, and only a join says
/// that it is over.
fn join(over: Vec<JoinHandle<()>>) {
    for thread in over {
        // A panic was told by its hook.
        let _ = thread.join();
    }
}

/// Does what may block, like the driver manager and files, on a thread of its own. `None` where there is none, or where it
/// has not come back in time.
pub(super) async fn aside<T: Send + 'static>(time: Duration, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (done, over) = oneshot::channel();
    let begun = start("odbc-look", move || drop(done.send(work())));
    begun.ok()?;
    tokio::time::timeout(time, over).await.ok()?.ok()
}

/// Ends the process with an exit code. Connections that nobody uses any more get as long as `most` to be closed in order;
/// with threads that do not come back from their driver, the process ends without the exit handlers of its libraries.
///
/// It comes back where no thread is left in a driver: then the usual way out is safe.
pub fn leave(code: u8, most: Duration) {
    let end = Instant::now() + most;
    loop {
        let left = std::mem::take(&mut *THREADS.lock());
        if left.is_empty() {
            return;
        }
        let (done, over) = mpsc::channel();
        // A join cannot be given up, be it that of a thread which has only its library's part of the end to do.
        let joining = Builder::new().name("odbc-leave".to_owned()).spawn(move || {
            join(left);
            let _ = done.send(());
        });
        match joining {
            Ok(joining) if over.recv_timeout(end.saturating_duration_since(Instant::now())).is_ok() => {
                join(vec![joining]);
            }
            _ => leave_at_once(code),
        }
    }
}

/// The same without waiting, and without the exit handlers whether a thread is in a driver or not: from the midst of work,
/// where another may go into one at any moment.
pub fn leave_at_once(code: u8) -> ! {
    let _ = io::stdout().flush();
    raw::end_process(code)
}
