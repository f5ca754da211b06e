//! All fuzz targets in one program. `FUZZ_TARGET` names the one to run; without it their names are printed.
#![no_main]

mod checks;
mod targets;

use std::process::exit;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

use crate::targets::{TARGETS, Target};

static CHOSEN: LazyLock<Target> = LazyLock::new(|| {
    let Ok(wanted) = std::env::var("FUZZ_TARGET") else {
        for (name, _) in TARGETS {
            println!("{name}");
        }
        exit(0)
    };
    let Some((_, target)) = TARGETS.iter().find(|(name, _)| *name == wanted) else {
        eprintln!("FUZZ_TARGET: no target has the name {wanted:?}");
        exit(2)
    };
    *target
});

fuzz_target!(
    init: {
        LazyLock::force(&CHOSEN);
    },
    |input: &[u8]| CHOSEN(input)
);
