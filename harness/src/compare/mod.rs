//! The engine, its peers and the floor, side by side in one run.

use crate::cli::CompareArgs;
use crate::failure::Failure;

/// Runs the command.
///
/// # Errors
///
/// See the parts.
pub fn run(args: &CompareArgs) -> Result<(), Failure> {
    let _ = args;
    Err(Failure::Input("not there yet".to_owned()))
}
