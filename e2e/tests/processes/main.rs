//! Real processes: what the findings about signals say is compared with what happens to an app.

mod hook_rows;
mod hooks;
mod prediction;
mod rows;
mod suite;

use std::process::ExitCode;

fn main() -> ExitCode {
    suite::run()
}
