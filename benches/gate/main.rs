//! The gate in its seat before a fragile ERP, beside HAProxy in the same seat.
//!
//! ERP and callers are those of the proofs: a server that takes 50 ms alone and twice as long with eight at work, and is
//! locked for five seconds by more than twelve; callers of every kind, each of whose requests is followed to its end.
//! The program runs as it ships, as a process of its own; so does HAProxy, with its best settings for this ERP: eight
//! connections, half a second of queue, no more than 32 in it. "direct" is nothing in between: eight callers, which is
//! the most that the ERP can do.
//!
//! `cargo bench --bench gate [-- SECONDS_PER_STORY] [WORD_OF_A_STORY]`

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a benchmark")]

mod cost;
mod seats;
mod stories;

#[allow(dead_code, unused_imports, reason = "the proofs use the rest")]
#[path = "../../tests/it/site.rs"]
mod site;
#[allow(dead_code, unused_imports, reason = "the proofs use the rest")]
#[path = "../../tests/it/support/mod.rs"]
mod support;

/// The program's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let seconds = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(8.0);
    let word = arguments.iter().find(|argument| argument.parse::<f64>().is_err()).cloned().unwrap_or_default();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load before: {}", load.split(' ').take(3).collect::<Vec<_>>().join(" "));
    stories::run(seconds, &word);
    if "cost".contains(&word) {
        cost::run(seconds);
    }
}
