//! The audit of the runs: whether every delivery was where it belongs, and whether the accounting balances.

use maud::{Markup, html};

use super::layout::{Section, folded, heads, some, wide};
use super::number;
use super::runs;
use crate::results::{Accounts, Run};

/// More faults than these are shown on demand.
const FAULTS: usize = 5;

/// Whether nothing at all speaks against a run.
pub(super) fn clean(run: &Run) -> bool {
    run.audit.passed && run.audit.faults.is_empty() && balances(&run.audit.accounts)
}

/// accepted = taken + queued + released + withheld.
fn balances(accounts: &Accounts) -> bool {
    // Wider than the counts: their sum may not fit.
    let parts = [accounts.taken, accounts.queued, accounts.released, accounts.withheld];
    parts.into_iter().map(u128::from).sum::<u128>() == u128::from(accounts.accepted)
}

/// The verdict over all runs.
pub(super) fn verdict(all: &[Run]) -> Markup {
    let failed = all.iter().filter(|run| !clean(run)).count();
    let checked = all.iter().map(|run| u128::from(run.audit.deliveries_checked)).sum::<u128>();
    let checked = number::count(u64::try_from(checked).unwrap_or(u64::MAX));
    html! {
        @if all.is_empty() {
            p.audit.none { strong { "Not audited" } " – these results hold no run of a workload." }
        } @else if failed == 0 {
            p.audit.passed {
                strong { "✓ Audit passed" } " – " (checked) " deliveries of " (some(all.len(), "run", "runs"))
                " checked one by one, nothing lost, doubled, late or leaked."
            }
        } @else {
            p.audit.failed {
                strong { "✗ Audit failed" } " – faults in " (failed) " of " (some(all.len(), "run", "runs"))
                ": " a href="#audit" { "see which" } "."
            }
        }
    }
}

/// The section of the page, if there is a run.
pub(super) fn section(all: &[Run]) -> Option<Section> {
    let body = html! {
        p {
            "Every delivery is held against the rules of docs/semantics.md, and the engine's accounting against rule B5: accepted = "
            "taken + queued + released + withheld."
        }
        @for run in all.iter().filter(|run| !clean(run)) { (faults(run)) }
        (wide("Audit by run", &table(all)))
    };
    (!all.is_empty()).then_some(Section { id: "audit", title: "Audit", body })
}

fn faults(run: &Run) -> Markup {
    let listed = |faults: &[String]| html! { ul.faults { @for fault in faults { li { (fault) } } } };
    let (first, rest) = run.audit.faults.split_at(run.audit.faults.len().min(FAULTS));
    html! {
        div.fault {
            h3 { "✗ " (runs::name(run)) }
            @if !balances(&run.audit.accounts) { p { "The accounting does not balance." } }
            @if first.is_empty() && !run.audit.passed { p { "It did not pass, but lists no fault." } }
            (listed(first))
            @if !rest.is_empty() { (folded(&some(rest.len(), "more fault", "more faults"), &listed(rest))) }
        }
    }
}

fn table(all: &[Run]) -> Markup {
    html! {
        table {
            (heads(&["run", "verdict", "checked", "due", "accepted", "taken", "queued", "released", "withheld", "balance", "refused"]))
            tbody {
                @for run in all {
                    @let accounts = &run.audit.accounts;
                    tr.failed[!clean(run)] {
                        th scope="row" { (runs::name(run)) }
                        td.number {
                            @if clean(run) { "✓ passed" }
                            @else { "✗ " (some(run.audit.faults.len(), "fault", "faults")) }
                        }
                        @for count in [run.audit.deliveries_checked, run.audit.deliveries_due, accounts.accepted, accounts.taken,
                            accounts.queued, accounts.released, accounts.withheld] {
                            td.number { (number::count(count)) }
                        }
                        td.number { @if balances(accounts) { "✓" } @else { "✗" } }
                        td.number { (number::count(accounts.refused)) }
                    }
                }
            }
        }
    }
}
