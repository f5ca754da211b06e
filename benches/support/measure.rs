//! What a piece of work costs: by the clock and on cores, in this process or as the command.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// By the clock, and on a core.
#[derive(Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
}

impl Cost {
    const MAX: Cost = Cost { wall: Duration::MAX, cpu: Duration::MAX };

    /// The least of both: what disturbs a round only makes it dearer.
    fn least(self, other: Cost) -> Cost {
        Cost { wall: self.wall.min(other.wall), cpu: self.cpu.min(other.cpu) }
    }

    /// `310 MB/s, 320 MB/s of CPU`.
    pub(crate) fn rates(self, bytes: usize) -> String {
        let rate = |time: Duration| bytes as f64 / 1e6 / time.as_secs_f64();
        format!("{:>5.0} MB/s, {:>5.0} MB/s of CPU", rate(self.wall), rate(self.cpu))
    }
}

/// The time that this thread was on a core, to the nanosecond.
fn on_core() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// The least cost of some rounds of work on this thread.
pub(crate) fn best(rounds: usize, mut work: impl FnMut()) -> Cost {
    (0..rounds).fold(Cost::MAX, |least, _| {
        let (cpu, wall) = (on_core(), Instant::now());
        work();
        least.least(Cost { wall: wall.elapsed(), cpu: on_core() - cpu })
    })
}

/// The time on cores of all children that have ended. The kernel counts in hundredths of a second.
fn children_on_cores() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let behind_name = text.rsplit(')').next().unwrap_or_default();
    let tick = |index: usize| behind_name.split_whitespace().nth(index).and_then(|text| text.parse::<u64>().ok());
    Duration::from_millis((tick(13).unwrap_or(0) + tick(14).unwrap_or(0)) * 10)
}

/// What the command costs with these arguments, its output going nowhere, and its peak of memory in kB.
fn command(arguments: &[String], threads: &str) -> (Cost, u64) {
    let (before, start) = (children_on_cores(), Instant::now());
    let mut child = Command::new(env!("CARGO_BIN_EXE_tollbridge"))
        .args(arguments)
        .args(["--threads", threads])
        .stdout(Stdio::null())
        .spawn()
        .expect("the command runs");
    let status_file = format!("/proc/{}/status", child.id());
    let watch = std::thread::spawn(move || {
        let mut peak = 0;
        // A process that has ended has no memory to tell of, and one that is gone has no file.
        while let Some(now) = std::fs::read_to_string(&status_file).ok().and_then(|status| peak_in(&status)) {
            peak = now;
            std::thread::sleep(Duration::from_millis(5));
        }
        peak
    });
    let status = child.wait().expect("the command ends");
    let wall = start.elapsed();
    assert!(status.success(), "{arguments:?}");
    let peak = watch.join().expect("watching takes no harm");
    (Cost { wall, cpu: children_on_cores() - before }, peak)
}

fn peak_in(status: &str) -> Option<u64> {
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Prints what `tollbridge decode` of a file costs with these options and with offsets, on one thread and on two, in turns
/// so that what else the machine does meets both.
pub(crate) fn print_command(name: &str, file: &Path, options: &[String], rounds: usize) {
    let bytes = usize::try_from(std::fs::metadata(file).expect("the file is there").len()).expect("a file to hold");
    let mut arguments = vec!["decode".to_owned(), file.display().to_string(), "--meta".to_owned()];
    arguments.extend_from_slice(options);
    let (mut one, mut two, mut peaks) = (Cost::MAX, Cost::MAX, (0, 0));
    for _ in 0..rounds {
        let (single, double) = (command(&arguments, "1"), command(&arguments, "2"));
        (one, two) = (one.least(single.0), two.least(double.0));
        peaks = (peaks.0.max(single.1), peaks.1.max(double.1));
    }
    println!(
        "{name:<34} command, --meta: {}, peak {} kB; 2 threads {}, peak {} kB; wall ratio {:.2}",
        one.rates(bytes),
        peaks.0,
        two.rates(bytes),
        peaks.1,
        one.wall.as_secs_f64() / two.wall.as_secs_f64()
    );
}
