//! The page: what it says of a document, of two, of an empty one and of a hostile one.

use super::{page, sample};
use crate::results::{Machine, Results, Row};

/// Elements that have no end.
const VOID: [&str; 4] = ["meta", "link", "br", "hr"];

/// Checks that every tag is closed in its turn, that nothing is loaded, and that no number went wrong.
fn sound(page: &str) {
    assert!(page.starts_with("<!DOCTYPE html><html lang=\"en\">"));
    let mut open: Vec<&str> = Vec::new();
    let mut rest = page.strip_prefix("<!DOCTYPE html>").unwrap();
    while let Some((_, tail)) = rest.split_once('<') {
        let (tag, after) = tail.split_once('>').expect("a tag ends");
        rest = after;
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "… {}", &after[..after.len().min(200)]);
            continue;
        }
        let name = tag.split_whitespace().next().unwrap();
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        for wrong in ["NaN", "inf", "e+", "e-"].map(|wrong| format!("\"{wrong}")) {
            assert!(!tag.contains(&wrong), "{tag}");
        }
        if ["path", "g", "rect", "text"].contains(&name) {
            assert!(!tag.contains("NaN") && !tag.contains("inf"), "{tag}");
        }
        if name == "style" {
            rest = rest.split_once("</style>").expect("a style ends").1;
        } else if !VOID.contains(&name) {
            open.push(name);
        }
    }
    assert_eq!(open, [""; 0]);
    for loads in ["http://", "https://", "src=", "@import", "url(", "<script", "<link"] {
        assert!(!page.contains(loads), "{loads}");
    }
    let ids: Vec<&str> = page.split(" id=\"").skip(1).filter_map(|after| after.split('"').next()).collect();
    for link in page.split("href=\"#").skip(1).filter_map(|after| after.split('"').next()) {
        assert!(ids.contains(&link), "{link}");
    }
    assert_eq!(super::layout::distinct(ids.iter()).len(), ids.len(), "{ids:?}");
}

fn empty() -> Results {
    Results { rows: Vec::new(), runs: Vec::new(), ..sample::results(1.0) }
}

#[test]
fn a_page_of_nothing_says_so_and_names_the_machine() {
    let page = page(&empty(), None);
    sound(&page);
    assert!(page.contains("Nothing was measured") && page.contains("Not audited"));
    assert!(
        page.contains("AMD EPYC 9B45") && page.contains("14f302d") && page.contains("2026-11-24 03:52 UTC")
    );
    assert!(!page.contains("<figure"));
}

#[test]
fn a_page_of_everything_has_every_section_and_the_losing_rows() {
    let results = sample::results(1.0);
    let page = page(&results, None);
    sound(&page);
    for id in [
        "throughput",
        "latency",
        "resident",
        "cost",
        "changes",
        "publish-latency",
        "memory",
        "audit",
        "machine",
    ] {
        assert!(page.contains(&format!("<section id=\"{id}\">")), "{id}");
    }
    for row in &results.rows {
        assert!(page.contains(&row.peer) && page.contains(&row.workload));
    }
    for run in &results.runs {
        assert!(
            page.contains(&run.workload) && page.contains(&run.variant) && page.contains(&run.description)
        );
    }
    assert!(page.contains("✓ Audit passed"));
    // tokio-broadcast does better from 1 to 1,000,000 subscribers.
    assert!(page.contains("Peers beat holocast in") && page.contains("▾"));
    // Of the lanes, 200 ns a call are too many at a million, and so are 2 ns a delivery; who has a hundred is not asked.
    assert!(page.contains(
        "Target of holocast, lanes, at most 200 ns: <strong>missed in 1 of 3</strong> (1,000,000: 210)."
    ));
    assert!(page.contains("from 1,000 subscribers on: <strong>missed in 1 of 2</strong> (1,000,000: 2.2)."));
    assert!(
        page.contains(
            "holocast, lanes, at most 0.5× holocast from 1,000 subscribers on: <strong>met</strong>"
        )
    );
    assert!(page.contains("target: 2 × floor") && page.contains("target: 1 µs at 1,000,000"));
}

#[test]
fn one_half_of_a_document_is_a_page_too() {
    let full = sample::results(1.0);
    for half in [Results { rows: Vec::new(), ..full.clone() }, Results { runs: Vec::new(), ..full.clone() }] {
        sound(&page(&half, None));
        sound(&page(&half, Some(&full)));
    }
}

#[test]
fn two_documents_are_compared_row_by_row() {
    let (before, mut after) = (sample::results(1.0), sample::results(0.5));
    let page_of_both = page(&after, Some(&before));
    sound(&page_of_both);
    assert!(page_of_both.contains("<section id=\"comparison\">") && page_of_both.contains("0.5×"));
    assert!(page_of_both.contains("<tr class=\"beyond\">"));
    assert!(!page_of_both.contains("builds differ"));
    after.machine = Machine { cpu: "another".to_owned(), ..after.machine };
    assert!(page(&after, Some(&before)).contains("builds differ"));
    let page = page(&empty(), Some(&before));
    sound(&page);
    assert!(page.contains("nothing in common"));
}

#[test]
fn a_change_within_the_spreads_is_not_emphasised() {
    let (before, after) = (sample::results(1.0), sample::results(1.01));
    let page = page(&after, Some(&before));
    assert!(page.contains("within the spread") && !page.contains("<tr class=\"beyond\">"));
}

#[test]
fn every_text_of_a_document_is_escaped() {
    let hostile = "<script>alert(\"1\")</script>&'";
    let text = || hostile.to_owned();
    let mut results = sample::results(1.0);
    results.command = text();
    results.machine = Machine {
        cpu: text(),
        platform: text(),
        kernel: text(),
        compiler: text(),
        commit: text(),
        flags: text(),
        allocator: text(),
        version: text(),
        ..results.machine
    };
    for row in &mut results.rows {
        if row.peer != "holocast" {
            row.peer = text();
        }
        if row.workload.starts_with("parked") || row.workload == "subscribe" {
            row.workload = text();
        }
        row.unit = row.unit.as_ref().map(|_| text());
    }
    for run in &mut results.runs {
        (run.workload, run.variant, run.description) = (text(), text(), text());
        run.operations.insert(text(), 1);
        run.audit.faults = vec![text(); 9];
    }
    for page in [page(&results, None), page(&results, Some(&results))] {
        sound(&page);
        assert!(page.contains("&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&amp;"));
        assert!(page.contains("✗ Audit failed") && page.contains("4 more faults"));
    }
}

#[test]
fn no_number_breaks_the_page() {
    let odd = [0.0, -1.0, f64::NAN, f64::INFINITY, f64::MIN_POSITIVE, 1e300, f64::MAX];
    let mut results = sample::results(1.0);
    let mut next = odd.iter().copied().cycle();
    let mut odd = || next.next().unwrap();
    for row in &mut results.rows {
        let of = |old: Option<f64>, new: f64| old.map(|_| new);
        *row = Row {
            subscribers: if row.subscribers == 10 { u64::MAX } else { row.subscribers / 10 },
            publish_ns: of(row.publish_ns, odd()),
            take_ns: of(row.take_ns, odd()),
            total_ns: of(row.total_ns, odd()),
            value: of(row.value, odd()),
            min: odd(),
            max: odd(),
            ratio_to_floor: Some(odd()),
            ratio_to_holocast: Some(odd()),
            ..row.clone()
        };
    }
    for run in &mut results.runs {
        (run.planned_rate, run.seconds, run.deliveries_per_second) = (odd(), odd(), odd());
        run.deliveries = u64::MAX;
        run.peak_resident_bytes = u64::MAX;
        run.audit.deliveries_checked = u64::MAX;
        run.audit.accounts.taken = u64::MAX;
        for quantile in &mut run.delivery_latency.quantiles {
            (quantile.percent, quantile.ns) = (odd(), u64::MAX);
        }
        run.call_latency.quantiles.clear();
        run.call_latency_raw.count = 0;
        for part in &mut run.timeline {
            (part.at_seconds, part.seconds, part.p50_ns, part.max_ns) = (odd(), odd(), 0, u64::MAX);
        }
    }
    sound(&page(&results, None));
    sound(&page(&results, Some(&sample::results(1.0))));
    sound(&page(&sample::results(1.0), Some(&results)));
}

#[test]
fn an_audit_that_does_not_balance_is_no_pass() {
    let mut results = sample::results(1.0);
    results.runs[0].audit.accounts.queued += 1;
    let page = page(&results, None);
    assert!(page.contains("faults in 1 of 7 runs") && page.contains("does not balance"));
}
