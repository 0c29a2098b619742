//! Workloads at planned rates, audited.

use crate::cli::RunArgs;
use crate::failure::Failure;

/// Runs the command.
///
/// # Errors
///
/// See the parts.
pub fn run(args: &RunArgs) -> Result<(), Failure> {
    let _ = args;
    Err(Failure::Input("not there yet".to_owned()))
}
