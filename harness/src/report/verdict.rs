//! The targets of a workload, met or missed, in words.

use maud::{Markup, html};

use super::number;
use super::rows::{self, Workload};
use crate::results::{Bound, TARGETS, Target, Verdict};

/// What the targets say of a workload; nothing, if it has none.
pub(super) fn of(workload: &Workload<'_>) -> Markup {
    let judged = TARGETS.iter().map(|target| {
        let verdicts: Vec<Verdict<'_>> = target.judge(workload.rows.iter().copied()).collect();
        (target, verdicts)
    });
    html! {
        @for (target, verdicts) in judged.filter(|(_, verdicts)| !verdicts.is_empty()) {
            @let missed: Vec<&Verdict<'_>> = verdicts.iter().filter(|verdict| !verdict.met).collect();
            p.verdict {
                "Target of " (rows::label(target.peer)) ", " (bound(target)) ": "
                @if missed.is_empty() { strong { "met" } " (" (list(&verdicts.iter().collect::<Vec<_>>())) ")." }
                @else { strong { "missed in " (missed.len()) " of " (verdicts.len()) } " (" (list(&missed)) ")." }
            }
        }
    }
}

fn bound(target: &Target) -> String {
    let at_most = match target.bound {
        Bound::AtMost(cost) => format!("at most {}", number::time(cost)),
        Bound::TimesHolocast(times) => format!("at most {} holocast", number::ratio(times)),
        Bound::TimesFloor(times) => format!("at most {} the floor", number::ratio(times)),
    };
    match target.subscribers {
        (0, _) => at_most,
        (size, most) if size == most => format!("{at_most} at {} subscribers", number::count(size)),
        (least, _) => format!("{at_most} from {} subscribers on", number::count(least)),
    }
}

fn list(verdicts: &[&Verdict<'_>]) -> String {
    let each = verdicts.iter().map(|Verdict { row, measured, .. }| {
        let order = match rows::order(row.order) {
            "" => String::new(),
            words => format!(" {words}"),
        };
        format!("{}{order}: {}", number::count(row.subscribers), number::plain(*measured))
    });
    each.collect::<Vec<_>>().join("; ")
}
