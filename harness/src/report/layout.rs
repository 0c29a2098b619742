//! The parts that every section is made of. Whatever is wider than the page scrolls in a box of its own.

use maud::{Markup, html};

/// A section of the page, which the list of sections at its top names.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) body: Markup,
}

impl Section {
    /// The section as it stands on the page.
    pub(super) fn markup(&self) -> Markup {
        html! {
            section id=(self.id) {
                h2 { (self.title) }
                (self.body)
            }
        }
    }
}

/// Charts, side by side where there is room.
pub(super) fn figures(figures: impl IntoIterator<Item = Option<Markup>>) -> Markup {
    let figures: Vec<Markup> = figures.into_iter().flatten().collect();
    html! {
        @if !figures.is_empty() { div.figures { @for figure in &figures { (figure) } } }
    }
}

/// A table in a box that scrolls, also by keyboard.
pub(super) fn wide(name: &str, table: &Markup) -> Markup {
    html! {
        div.wide role="region" aria-label=(name) tabindex="0" { (table) }
    }
}

/// Something long, shown when asked for.
pub(super) fn folded(name: &str, content: &Markup) -> Markup {
    html! {
        details {
            summary { (name) }
            (content)
        }
    }
}

/// Heads of columns: the first of words, the others of numbers.
pub(super) fn heads<T: AsRef<str>>(names: &[T]) -> Markup {
    html! {
        thead { tr {
            @for (index, name) in names.iter().enumerate() {
                th.number[index > 0] scope="col" { (name.as_ref()) }
            }
        } }
    }
}

/// The mark of a peer that beats holocast.
pub(super) fn crown() -> Markup {
    html! { span.crown { "▾" } }
}

/// `1 run`, `2 runs`.
pub(super) fn some(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// All different ones, in the order of their first appearance.
pub(super) fn distinct<T: PartialEq>(all: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut found = Vec::new();
    for each in all {
        if !found.contains(&each) {
            found.push(each);
        }
    }
    found
}
