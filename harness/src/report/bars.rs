//! Bars from zero, as a table: names and numbers stay text of the page, readable at any width.

use maud::{Markup, html};

use super::layout;

/// One bar.
#[derive(Debug)]
pub(super) struct Bar {
    pub(super) name: String,
    pub(super) value: f64,
    /// The value as text.
    pub(super) text: String,
    /// Which colour; none for what the others are held against.
    pub(super) slot: Option<usize>,
    /// Whether it is a peer's that beats holocast.
    pub(super) beats: bool,
}

/// Bars with a caption; nothing if there are none.
pub(super) fn figure(title: &str, bars: &[Bar], caption: &Markup) -> Option<Markup> {
    let most = bars.iter().map(|bar| bar.value).filter(|value| value.is_finite()).fold(0.0, f64::max);
    (!bars.is_empty()).then(|| {
        html! {
            figure {
                h4 { (title) }
                table.bars {
                    tbody {
                        @for bar in bars {
                            tr {
                                th scope="row" { (bar.name) }
                                td.long { (stroke(bar, most)) }
                                td.number { (bar.text) @if bar.beats { " " (layout::crown()) } }
                            }
                        }
                    }
                }
                figcaption { (caption) }
            }
        }
    })
}

fn stroke(bar: &Bar, most: f64) -> Markup {
    let share = if most > 0.0 && bar.value > 0.0 { bar.value / most * 100.0 } else { 0.0 };
    let class = bar.slot.map_or("ref".to_owned(), |slot| format!("s{}", slot % 8));
    html! {
        svg.bar width="100%" height="16" aria-hidden="true" {
            @if share.is_finite() {
                rect class=(class) width=(format!("{share:.2}%")) height="16" rx="2" {}
            }
        }
    }
}
