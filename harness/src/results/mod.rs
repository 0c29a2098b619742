//! What a command measured, as data: the one document that `compare`, `run` and `report` write and read.
//!
//! Its JSON Schema is `docs/results.schema.json`; a test holds the two against each other.

mod machine;
mod row;
mod run;
mod target;

use std::fs;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use machine::Machine;
pub use row::{Order, Row};
pub use run::{Accounts, Audit, Interval, Latency, Quantile, Run};
pub use target::{Bound, TARGETS, Target, Verdict};

use crate::failure::Failure;

/// The version of the document. It grows when a field changes its meaning or goes; new fields may come without.
pub const SCHEMA_VERSION: u32 = 1;

/// All that one invocation measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Results {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The command line, without the path of the program.
    pub command: String,
    /// Where it ran.
    pub machine: Machine,
    /// What `compare` measured, one number or one set of numbers a row.
    #[serde(default)]
    pub rows: Vec<Row>,
    /// What `run` measured, one workload at one rate each.
    #[serde(default)]
    pub runs: Vec<Run>,
}

impl Results {
    /// Nothing measured yet, on this machine.
    pub fn here() -> Self {
        let command: Vec<String> = std::env::args().skip(1).collect();
        Results {
            schema_version: SCHEMA_VERSION,
            command: command.join(" "),
            machine: Machine::this(),
            rows: Vec::new(),
            runs: Vec::new(),
        }
    }

    /// Reads a document.
    ///
    /// # Errors
    ///
    /// The file can't be read, is no such document, or is one of another version.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let text = fs::read(path).map_err(|error| Failure::unopened(path, &error))?;
        let wrong = |why: String| Failure::Input(format!("{}: {why}", path.display()));
        let version = serde_json::from_slice::<Version>(&text).map_err(|error| wrong(error.to_string()))?;
        if version.schema_version != SCHEMA_VERSION {
            let version = version.schema_version;
            return Err(wrong(format!("schema_version is {version}; this command reads {SCHEMA_VERSION}")));
        }
        serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))
    }

    /// The document as text.
    ///
    /// # Errors
    ///
    /// None that its types allow; passed on all the same.
    pub fn to_json(&self) -> Result<String, Failure> {
        let mut text =
            serde_json::to_string_pretty(self).map_err(|error| Failure::Output(error.to_string()))?;
        text.push('\n');
        Ok(text)
    }

    /// Writes the document.
    ///
    /// # Errors
    ///
    /// The file can't be written.
    pub fn write(&self, path: &Path) -> Result<(), Failure> {
        fs::write(path, self.to_json()?).map_err(|error| Failure::unwritten(path, &error))
    }
}

#[derive(Deserialize)]
struct Version {
    schema_version: u32,
}
