//! The `brimful` binary, and nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(brimful::main())
}
