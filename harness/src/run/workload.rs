//! Workload files: what they say, how variants are merged, and how a wrong one is refused in one line.
//!
//! `harness/workloads/README.md` documents every field for those who write one.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::{Table, Value};

use crate::failure::Failure;

/// Most operations of one run: they are planned before it starts, and each takes some tens of bytes.
const MOST_OPERATIONS: f64 = 2e8;

/// One workload, or one variant of one, with all its settings.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Workload {
    /// What it is, in a sentence.
    pub description: String,
    /// Threads that call the engine; each owns a share of the people.
    pub threads: u32,
    /// Operations a second, all threads and kinds together.
    pub rate: f64,
    /// How operations are spread over time.
    pub spacing: Spacing,
    /// Operations planned in these first seconds are not measured.
    pub warm_up_seconds: f64,
    /// How long is measured.
    pub seconds: f64,
    /// How often each variant is measured, in turns with the others; the run of the median p99 is shown.
    pub turns: u32,
    /// People and their tabs.
    pub crowd: CrowdSize,
    /// Channels, and who is in them.
    pub rooms: Rooms,
    /// Shares of the kinds of operations.
    pub mix: Mix,
    /// Moments at which many people do the same.
    pub burst: Vec<Burst>,
    /// Who drains the queues.
    pub receivers: Receivers,
    /// The engine's queues.
    pub queue: Queue,
    /// Operations of a trace instead of all the above but `rate`, `receivers` and `queue`.
    pub trace: Option<PathBuf>,
    /// How much faster than `rate` a trace is run.
    pub speed: f64,
}

/// How operations are spread over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Spacing {
    /// All as far apart.
    #[default]
    Even,
    /// Exponential gaps, as of people who know nothing of each other.
    Random,
}

/// People and their tabs.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CrowdSize {
    /// How many people.
    pub users: u32,
    /// The fewest and the most tabs of one.
    pub tabs: [u32; 2],
    /// How many of a hundred are logged out at first.
    pub anonymous_percent: f64,
    /// How long a tab that lost its connection stays away, in seconds.
    pub away_seconds: f64,
}

/// Channels, and who is in them.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rooms {
    /// Who is in which.
    pub law: Law,
    /// How many; of `zipf` only.
    pub count: u32,
    /// Of Zipf's law: 0 makes all rooms as likely.
    pub exponent: f64,
    /// The fewest and the most rooms that one person wants to be in.
    pub per_user: [u32; 2],
    /// How many people are in their rooms at first; the others join later.
    pub members: Option<u32>,
    /// Components of a page that want the same room, each by a binding of its own.
    pub cids: u32,
}

/// Who is in which room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Law {
    /// Rooms of every size, by Zipf's law.
    Zipf,
    /// One room for all.
    One,
    /// Each person has a room of their own.
    Own,
}

/// Shares of the kinds of operations, in any unit.
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "harness/workloads/README.md says what each does")]
pub struct Mix {
    pub broadcast: f64,
    pub broadcast_except: f64,
    pub join: f64,
    pub leave: f64,
    pub kick: f64,
    pub regrant: f64,
    pub drop: f64,
    pub supersede: f64,
    pub login: f64,
}

/// A moment at which many people do the same: their tabs lose their connections and come back with their receipts at once.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Burst {
    /// When, in seconds since the measurement began.
    pub at_seconds: f64,
    /// How many of a hundred tabs.
    pub percent: f64,
}

/// Who drains the queues.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Receivers {
    /// Threads; each drains its share of the tabs.
    pub threads: u32,
    /// How many of a hundred tabs take nothing while they are connected.
    pub stalled_percent: f64,
    /// Each thread has one lane for all its tabs, instead of a queue for each tab.
    pub lanes: bool,
}

/// The engine's queues.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Queue {
    /// Messages that one holds.
    pub capacity: usize,
    /// What happens when it is full.
    pub overflow: Overflow,
}

/// Rule Q2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names are the engine's")]
pub enum Overflow {
    Close,
    DropNewest,
    Reset,
}

impl Default for Workload {
    fn default() -> Self {
        Workload {
            description: String::new(),
            threads: 1,
            rate: 1_000.0,
            spacing: Spacing::Even,
            warm_up_seconds: 1.0,
            seconds: 10.0,
            turns: 1,
            crowd: CrowdSize::default(),
            rooms: Rooms::default(),
            mix: Mix::default(),
            burst: Vec::new(),
            receivers: Receivers::default(),
            queue: Queue::default(),
            trace: None,
            speed: 1.0,
        }
    }
}

impl Default for CrowdSize {
    fn default() -> Self {
        CrowdSize { users: 1_000, tabs: [1, 1], anonymous_percent: 0.0, away_seconds: 0.1 }
    }
}

impl Default for Rooms {
    fn default() -> Self {
        Rooms { law: Law::Zipf, count: 100, exponent: 1.0, per_user: [1, 1], members: None, cids: 1 }
    }
}

impl Default for Receivers {
    fn default() -> Self {
        Receivers { threads: 1, stalled_percent: 0.0, lanes: false }
    }
}

impl Default for Queue {
    fn default() -> Self {
        Queue { capacity: 1_024, overflow: Overflow::Close }
    }
}

impl From<Overflow> for holocast::Overflow {
    fn from(overflow: Overflow) -> Self {
        match overflow {
            Overflow::Close => holocast::Overflow::Close,
            Overflow::DropNewest => holocast::Overflow::DropNewest,
            Overflow::Reset => holocast::Overflow::Reset,
        }
    }
}

/// One variant of a workload, ready to run.
#[derive(Debug, Clone, PartialEq)]
pub struct Variant {
    /// Of the workload.
    pub workload: String,
    /// Of the variant; empty if the workload has none.
    pub name: String,
    /// All that the file says of it.
    pub settings: Workload,
}

/// Which of the sizes in a file count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// Those at its top.
    Full,
    /// Those of its table `quick`, where it has one: for the default set.
    Quick,
}

/// Reads a workload file's text: one variant for each table `variant`, or one if there is none.
///
/// # Errors
///
/// The text is not TOML, or a field is unknown, of another type, or out of range: one line with the file's name and the field.
pub fn parse(file: &str, workload: &str, text: &str, size: Size) -> Result<Vec<Variant>, Failure> {
    let mut base: Table = toml::from_str(text).map_err(|error| not_toml(file, text, &error))?;
    let refused = |why: &dyn std::fmt::Display| {
        // Some of the parser's messages have several lines.
        let words: Vec<String> = why.to_string().split_whitespace().map(str::to_owned).collect();
        Failure::Input(format!("{file}: {}", words.join(" ")))
    };
    let quick = table(&mut base, "quick").map_err(|why| refused(&why))?;
    let variants = match base.remove("variant") {
        None => vec![Table::new()],
        Some(Value::Array(tables)) => tables
            .into_iter()
            .map(|value| match value {
                Value::Table(table) => Ok(table),
                _ => Err(refused(&"field `variant`: not a table")),
            })
            .collect::<Result<_, _>>()?,
        Some(_) => return Err(refused(&"field `variant`: not a list of tables")),
    };
    if size == Size::Quick {
        merge(&mut base, quick);
    }
    let several = variants.len() > 1;
    variants
        .into_iter()
        .map(|mut variant| {
            let name = match variant.remove("name") {
                Some(Value::String(name)) => name,
                None if !several => String::new(),
                _ => return Err(refused(&"field `variant.name`: missing, or not a string")),
            };
            let mut merged = base.clone();
            merge(&mut merged, variant);
            let settings: Workload = merged.try_into().map_err(|error: toml::de::Error| refused(&error))?;
            settings.check().map_err(|why| refused(&why))?;
            Ok(Variant { workload: workload.to_owned(), name, settings })
        })
        .collect()
}

fn not_toml(file: &str, text: &str, error: &toml::de::Error) -> Failure {
    let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
    let message: Vec<&str> = error.message().split_whitespace().collect();
    Failure::Input(format!("{file}: line {line}: {}", message.join(" ")))
}

fn table(base: &mut Table, name: &str) -> Result<Table, String> {
    match base.remove(name) {
        None => Ok(Table::new()),
        Some(Value::Table(table)) => Ok(table),
        Some(_) => Err(format!("field `{name}`: not a table")),
    }
}

/// Puts `over` on top of `base`, table by table.
fn merge(base: &mut Table, over: Table) {
    for (name, value) in over {
        match (base.get_mut(&name), value) {
            (Some(Value::Table(under)), Value::Table(over)) => merge(under, over),
            (_, value) => {
                base.insert(name, value);
            }
        }
    }
}

impl Workload {
    /// Checks what the types do not.
    ///
    /// # Errors
    ///
    /// One line that names the field.
    pub fn check(&self) -> Result<(), String> {
        let among = |field: &str, number: f64, least: f64, most: f64| {
            if (least..=most).contains(&number) {
                Ok(())
            } else {
                Err(format!("field `{field}`: {number} is not between {least} and {most}"))
            }
        };
        let Workload { crowd, rooms, receivers, mix, .. } = self;
        among("threads", self.threads.into(), 1.0, 256.0)?;
        among("rate", self.rate, 1e-3, 1e9)?;
        among("warm_up_seconds", self.warm_up_seconds, 0.0, 1e4)?;
        among("seconds", self.seconds, 1e-3, 1e6)?;
        among("turns", self.turns.into(), 1.0, 100.0)?;
        among("speed", self.speed, 1e-6, 1e6)?;
        among("receivers.threads", receivers.threads.into(), 1.0, 256.0)?;
        among("receivers.stalled_percent", receivers.stalled_percent, 0.0, 100.0)?;
        if receivers.lanes && receivers.stalled_percent > 0.0 {
            return Err("field `receivers.stalled_percent`: a tab on a lane can't stall alone".to_owned());
        }
        among("queue.capacity", self.queue.capacity as f64, 1.0, 32_767.0)?;
        if self.trace.is_some() {
            return Ok(());
        }
        among("crowd.users", crowd.users.into(), 1.0, 1e7)?;
        among("crowd.tabs", crowd.tabs[0].into(), 1.0, crowd.tabs[1].into())?;
        among("crowd.tabs", crowd.tabs[1].into(), 1.0, 1_000.0)?;
        among("crowd.anonymous_percent", crowd.anonymous_percent, 0.0, 100.0)?;
        among("crowd.away_seconds", crowd.away_seconds, 0.0, 1e4)?;
        among("rooms.count", rooms.count.into(), 1.0, 1e7)?;
        among("rooms.exponent", rooms.exponent, 0.0, 10.0)?;
        among("rooms.per_user", rooms.per_user[0].into(), 1.0, rooms.per_user[1].into())?;
        among("rooms.per_user", rooms.per_user[1].into(), 1.0, 1_000.0)?;
        among("rooms.cids", rooms.cids.into(), 1.0, 16.0)?;
        for (at, burst) in self.burst.iter().enumerate() {
            among(&format!("burst[{at}].at_seconds"), burst.at_seconds, 0.0, self.seconds)?;
            among(&format!("burst[{at}].percent"), burst.percent, 0.0, 100.0)?;
        }
        for (field, share) in mix.shares() {
            among(&format!("mix.{field}"), share, 0.0, 1e9)?;
        }
        if mix.shares().iter().all(|(_, share)| *share == 0.0) {
            return Err("field `mix`: no kind of operation has a share".to_owned());
        }
        among("rate times seconds", self.rate * (self.seconds + self.warm_up_seconds), 0.0, MOST_OPERATIONS)
    }
}

impl Mix {
    /// The kinds by name.
    pub(super) fn shares(&self) -> [(&'static str, f64); 9] {
        let Mix { broadcast, broadcast_except, join, leave, kick, regrant, drop, supersede, login } = *self;
        [
            ("broadcast", broadcast),
            ("broadcast_except", broadcast_except),
            ("join", join),
            ("leave", leave),
            ("kick", kick),
            ("regrant", regrant),
            ("drop", drop),
            ("supersede", supersede),
            ("login", login),
        ]
    }
}

/// The name of a file's workload: that of the file, without `.toml`, `.jsonl` or `.jsonl.gz`.
pub(super) fn name_of(path: &Path) -> String {
    let name = path.file_name().map_or_else(|| "workload".into(), |name| name.to_string_lossy());
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    [".toml", ".jsonl"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        let message = parse("w.toml", "w", text, Size::Full).expect_err(text).to_string();
        assert!(message.starts_with("w.toml: ") && !message.contains('\n'), "{message}");
        message
    }

    #[test]
    fn variants_and_quick_sizes_are_laid_over_the_base() {
        let text = "rate = 10.0\ncrowd.users = 50\ncrowd.tabs = [1, 2]\nmix.broadcast = 1\n\
                    [quick.crowd]\nusers = 5\n[[variant]]\nname = \"a\"\n[[variant]]\nname = \"b\"\nrate = 20\nreceivers.stalled_percent = 1";
        let full = parse("w.toml", "w", text, Size::Full).unwrap();
        assert_eq!(full.iter().map(|variant| variant.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert!((full[0].settings.rate - 10.0).abs() < 1e-9 && (full[1].settings.rate - 20.0).abs() < 1e-9);
        assert_eq!((full[0].settings.crowd.users, full[1].settings.crowd.tabs), (50, [1, 2]));
        let quick = parse("w.toml", "w", text, Size::Quick).unwrap();
        assert_eq!((quick[1].settings.crowd.users, quick[1].settings.crowd.tabs), (5, [1, 2]));
    }

    #[test]
    fn every_field_is_documented() {
        let documented = include_str!("../../workloads/README.md");
        for (table, text) in [
            ("", "frob = 1"),
            ("crowd.", "crowd.frob = 1"),
            ("rooms.", "rooms.frob = 1"),
            ("mix.", "mix.frob = 1"),
            ("burst.", "[[burst]]\nfrob = 1"),
            ("receivers.", "receivers.frob = 1"),
            ("queue.", "queue.frob = 1"),
        ] {
            // The parser's refusal names all that it knows.
            let message = refused(text);
            let known = message.split_once("expected").expect("a list of fields").1;
            let fields: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
            assert!(!fields.is_empty(), "{message}");
            for field in fields {
                let heading = ["crowd", "rooms", "mix", "burst", "receivers", "queue"].contains(&field);
                let row = if heading { format!("[{field}]") } else { format!("| `{table}{field}` |") };
                assert!(documented.contains(&row), "{row} is not in harness/workloads/README.md");
            }
        }
        for name in super::super::names() {
            assert!(
                documented.contains(&format!("| `{name}` |")),
                "{name} is not in harness/workloads/README.md"
            );
        }
    }

    #[test]
    fn what_is_wrong_is_said_in_one_line_with_the_field() {
        for (text, words) in [
            ("mix.broadcast = 1\nfrob = 1", "frob"),
            ("mix.broadcast = 1\n[rooms]\nlaw = \"none\"", "none"),
            ("mix.broadcast = 1\nrate = \"fast\"", "fast"),
            ("mix.broadcast = 1\nrate = 0", "field `rate`: 0 is not between"),
            ("mix.broadcast = 1\nrate = nan", "field `rate`"),
            ("", "field `mix`"),
            ("mix.broadcast = 1\ncrowd.tabs = [3, 2]", "field `crowd.tabs`"),
            ("mix.broadcast = 1\nvariant = 3", "field `variant`"),
            ("mix.broadcast = 1\n[[variant]]\n[[variant]]\n", "field `variant.name`"),
            ("mix.broadcast = 1\nrate = 1e9\nseconds = 1000", "rate times seconds"),
            ("mix.broadcast = \n", "line 1"),
        ] {
            let message = refused(text);
            assert!(message.contains(words), "{words:?} is not in {message:?}");
        }
    }
}
