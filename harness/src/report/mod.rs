//! One HTML page of results.

use crate::cli::ReportArgs;
use crate::failure::Failure;
use crate::results::Results;

/// Runs the command.
///
/// # Errors
///
/// See the parts.
pub fn run(args: &ReportArgs) -> Result<(), Failure> {
    let _ = args;
    Err(Failure::Input("not there yet".to_owned()))
}

/// The whole page of some results; of two, the second is `before`.
pub fn page(results: &Results, before: Option<&Results>) -> String {
    let _ = (results, before);
    String::new()
}
