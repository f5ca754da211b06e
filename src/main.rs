//! Temporary dispatch of two commands.

use std::process::ExitCode;

use clap::Parser;
use tollbridge::cli::{decode, inspect};

#[derive(Parser)]
enum Cli {
    Decode(Box<decode::DecodeArgs>),
    Inspect {
        #[command(flatten)]
        args: inspect::InspectArgs,
        #[arg(long)]
        json: bool,
    },
}

fn main() -> ExitCode {
    match Cli::parse() {
        Cli::Decode(args) => decode::run(&args),
        Cli::Inspect { args, json } => inspect::run(&args, json),
    }
}
