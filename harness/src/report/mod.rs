//! One HTML page of results.

use crate::cli::ReportArgs;
use crate::failure::Failure;

/// Runs the command.
///
/// # Errors
///
/// See the parts.
pub fn run(args: &ReportArgs) -> Result<(), Failure> {
    let _ = args;
    Err(Failure::Input("not there yet".to_owned()))
}
