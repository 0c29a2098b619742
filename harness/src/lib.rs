//! The command `holocast`: the engine, put to work on recorded traces and on workloads of its own.
//!
//! The binary only reads the command line; all else is here, for the tests to use.

pub mod allocation;
pub mod cli;
pub mod compare;
pub mod failure;
pub mod ready;
pub mod replay;
pub mod report;
pub mod results;
pub mod run;
pub mod stress;
pub mod trace;
