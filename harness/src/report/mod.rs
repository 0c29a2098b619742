//! One HTML page of results: all that a document says, as charts and as tables, in one file that loads nothing.
//!
//! Called by the commands `report` and `run`. It measures nothing and judges nothing but the order of numbers.

mod about;
mod audit;
mod bars;
mod chart;
mod comparison;
mod cost;
mod head;
mod layout;
mod nines;
mod number;
mod rows;
mod runs;
#[cfg(test)]
mod sample;
mod scale;
#[cfg(test)]
mod tests;
mod verdict;

use std::fs;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use self::layout::Section;
use crate::cli::ReportArgs;
use crate::failure::Failure;
use crate::results::Results;

const STYLE: &str = include_str!("page.css");

/// Runs the command: reads one document or two and writes the page.
///
/// # Errors
///
/// A document can't be read, is none, or is of another version; the page can't be written.
pub fn run(args: &ReportArgs) -> Result<(), Failure> {
    let read = args.files.iter().map(|file| Results::read(file)).collect::<Result<Vec<_>, _>>()?;
    let page = match read.as_slice() {
        [results] => page(results, None),
        [before, after] => page(after, Some(before)),
        // The command line takes no other number.
        _ => return Err(Failure::Input("one document or two".to_owned())),
    };
    fs::write(&args.out, page).map_err(|error| Failure::unwritten(&args.out, &error))
}

/// The page of a document, held against an earlier one if there is one.
pub fn page(results: &Results, before: Option<&Results>) -> String {
    let machine = html! {
        (head::machine(results, before))
        p.fine {
            "Numbers hold for this machine and this build. Medians stand with the least and the most of all repetitions in the tables;"
            " rows that holocast loses are shown like the others."
        }
    };
    let mut sections = vec![Section { id: "machine", title: "Machine and command", body: machine }];
    sections.extend(before.map(|before| comparison::section(results, before)));
    sections.extend(runs::sections(&results.runs));
    sections.extend(cost::sections(&results.rows));
    sections.extend(audit::section(&results.runs));
    document(results, before, &sections).into_string()
}

fn document(results: &Results, before: Option<&Results>, sections: &[Section]) -> Markup {
    let title = if before.is_some() { "holocast, before and after" } else { "holocast, measured" };
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { (title) }
                    p.lead {
                        "holocast is an in-memory realtime fan-out engine: it puts every broadcast into the queues of the connections "
                        "that listen. This page is what it cost" @if before.is_some() { ", before and after a change" } ", measured with "
                        code { "holocast" @if !results.command.is_empty() { " " (results.command) } } "."
                    }
                }
                main {
                    section #summary { h2 { "Summary" } (head::summary(results)) }
                    nav aria-label="Sections" {
                        @for section in sections { a href=(format!("#{}", section.id)) { (section.title) } }
                    }
                    @for section in sections { (section.markup()) }
                }
                footer { p.fine { "Made by " code { "holocast report" } " from JSON that docs/results.schema.json describes." } }
            }
        }
    }
}
