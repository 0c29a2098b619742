//! Results of `run` as a table to read and as lines for a spreadsheet.

use std::fmt::Write;

use super::measure::title;
use super::workload::Variant;
use crate::results::{Accounts, Latency, Machine, Run};

/// The quantiles that are printed, in per cent.
const PERCENTS: [f64; 5] = [50.0, 90.0, 99.0, 99.9, 99.99];

/// Everything as a table. No colours: there is nothing for `NO_COLOR` to switch off.
pub(super) fn text(machine: &Machine, measured: &[(Variant, Run)]) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = table(&mut out, machine, measured);
    out
}

fn table(out: &mut String, machine: &Machine, measured: &[(Variant, Run)]) -> std::fmt::Result {
    let name = |variant: &Variant| title(variant);
    let width = measured.iter().map(|(variant, _)| name(variant).len()).max().unwrap_or(0).max(24);
    writeln!(out, "holocast {} run on {}, {} cores", machine.version, machine.cpu, machine.cores)?;
    writeln!(out)?;
    write!(out, "{:width$}{:>11}{:>11}{:>13}", "", "planned/s", "done/s", "deliveries/s")?;
    for head in ["p50", "p90", "p99", "p99.9", "p99.99", "max"] {
        write!(out, "{head:>9}")?;
    }
    writeln!(out, "  audit")?;
    for (variant, run) in measured {
        write!(out, "{:width$}", name(variant))?;
        write!(out, "{:>11}", number(run.planned_rate))?;
        write!(out, "{:>11}", number(run.operations_per_second))?;
        write!(out, "{:>13}", number(run.deliveries_per_second))?;
        latencies(out, &run.delivery_latency)?;
        writeln!(out, "  {}", if run.audit.passed { "passed" } else { "FAILED" })?;
        for (what, times) in [
            ("  from the call", &run.delivery_latency_raw),
            ("  calls", &run.call_latency),
            ("  calls from the call", &run.call_latency_raw),
        ] {
            write!(out, "{what:indent$}", indent = width + 35)?;
            latencies(out, times)?;
            writeln!(out)?;
        }
    }
    writeln!(out)?;
    writeln!(
        out,
        "Times are from the planned time of a broadcast to each receiver's hand; from the call: as a closed loop"
    )?;
    writeln!(
        out,
        "would show them; calls: from the planned time, or from the call, to the return of any operation."
    )?;
    ratios(out, measured)?;
    writeln!(out)?;
    writeln!(
        out,
        "{:width$}{:>13} ={:>13} +{:>8} +{:>9} +{:>9}{:>10}{:>13}",
        "accounting (rule B5)", "accepted", "taken", "queued", "released", "withheld", "refused", "due"
    )?;
    for (variant, run) in measured {
        let Accounts { accepted, taken, queued, released, withheld, refused } = run.audit.accounts;
        let (name, due) = (name(variant), run.audit.deliveries_due);
        writeln!(
            out,
            "{name:width$}{accepted:>13} ={taken:>13} +{queued:>8} +{released:>9} +{withheld:>9}{refused:>10}{due:>13}"
        )?;
    }
    for (variant, run) in measured {
        for fault in &run.audit.faults {
            writeln!(out, "FAULT {}: {fault}", name(variant))?;
        }
    }
    Ok(())
}

/// How much the stalled receivers of one variant cost the others, against the variant of the same workload that has none.
fn ratios(out: &mut String, measured: &[(Variant, Run)]) -> std::fmt::Result {
    let stalled = |variant: &Variant| variant.settings.receivers.stalled_percent;
    for (variant, run) in measured.iter().filter(|(variant, _)| stalled(variant) > 0.0) {
        let free =
            measured.iter().find(|(other, _)| other.workload == variant.workload && stalled(other) == 0.0);
        if let Some((_, free)) = free {
            let (with, without) =
                (quantile(&run.delivery_latency, 99.0), quantile(&free.delivery_latency, 99.0));
            writeln!(
                out,
                "{}: with {} % of the receivers stalled the others' p99 is {} instead of {}: {:.2} times as long (medians of {} turns).",
                title(variant),
                stalled(variant),
                time(with),
                time(without),
                with as f64 / without.max(1) as f64,
                variant.settings.turns
            )?;
        }
    }
    Ok(())
}

fn latencies(out: &mut String, times: &Latency) -> std::fmt::Result {
    let most = (times.count > 0).then_some(times.max_ns);
    let shown = PERCENTS.iter().map(|percent| most.map(|_| quantile(times, *percent)));
    shown.chain([most]).try_for_each(|ns| write!(out, "{:>9}", ns.map_or_else(|| "–".to_owned(), time)))
}

/// A quantile that is kept; 0 if it is not.
pub(super) fn quantile(times: &Latency, percent: f64) -> u64 {
    times.quantiles.iter().find(|point| (point.percent - percent).abs() < 1e-9).map_or(0, |point| point.ns)
}

/// Three digits and a unit.
fn time(ns: u64) -> String {
    let (value, unit) = match ns {
        0..1_000 => return format!("{ns} ns"),
        1_000..1_000_000 => (ns as f64 / 1e3, "µs"),
        1_000_000..1_000_000_000 => (ns as f64 / 1e6, "ms"),
        _ => (ns as f64 / 1e9, "s"),
    };
    match value {
        0.0..9.995 => format!("{value:.2} {unit}"),
        9.995..99.95 => format!("{value:.1} {unit}"),
        _ => format!("{value:.0} {unit}"),
    }
}

/// Digits in groups of three; a decimal where there is but one digit before it and what follows is not zero.
fn number(value: f64) -> String {
    if value < 9.95 && (value - value.round()).abs() >= 0.05 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// One line a run, with a header.
pub(super) fn csv(runs: &[Run]) -> String {
    let mut lines = String::from(
        "workload,variant,seed,publisher_threads,receiver_threads,connections,planned_rate,operations_per_second,seconds,\
         deliveries,deliveries_per_second",
    );
    for of in ["delivery", "delivery_raw", "call", "call_raw"] {
        for point in ["p50", "p90", "p99", "p99.9", "p99.99", "max"] {
            let _ = write!(lines, ",{of}_{point}_ns");
        }
    }
    lines.push_str(",audit_passed,deliveries_due,accepted,taken,queued,released,withheld,refused\n");
    for run in runs {
        let _ = write!(lines, "{},{}", field(&run.workload), field(&run.variant));
        let (publishers, receivers) = (run.publisher_threads, run.receiver_threads);
        let _ = write!(lines, ",{},{publishers},{receivers},{}", run.seed, run.connections);
        let _ = write!(lines, ",{:.3},{:.3},{:.6}", run.planned_rate, run.operations_per_second, run.seconds);
        let _ = write!(lines, ",{},{:.3}", run.deliveries, run.deliveries_per_second);
        for times in
            [&run.delivery_latency, &run.delivery_latency_raw, &run.call_latency, &run.call_latency_raw]
        {
            for percent in [50.0, 90.0, 99.0, 99.9, 99.99] {
                let _ = write!(lines, ",{}", quantile(times, percent));
            }
            let _ = write!(lines, ",{}", times.max_ns);
        }
        let Accounts { accepted, taken, queued, released, withheld, refused } = run.audit.accounts;
        let _ = write!(lines, ",{},{}", run.audit.passed, run.audit.deliveries_due);
        let _ = writeln!(lines, ",{accepted},{taken},{queued},{released},{withheld},{refused}");
    }
    lines
}

/// A field of a CSV line: quoted if need be.
fn field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short_and_have_a_unit() {
        for (ns, text) in [
            (999, "999 ns"),
            (1_234, "1.23 µs"),
            (45_600_000, "45.6 ms"),
            (9_999_000, "10.0 ms"),
            (2_500_000_000, "2.50 s"),
        ] {
            assert_eq!(time(ns), text);
        }
        assert_eq!(
            [1_234_567.0, 999.4, 9.97, 8.0, 0.5, 0.0].map(number),
            ["1,234,567", "999", "10", "8", "0.5", "0"]
        );
    }

    #[test]
    fn a_field_with_a_comma_is_quoted() {
        assert_eq!((field("a,b\"c").as_str(), field("a b").as_str()), ("\"a,b\"\"c\"", "a b"));
    }
}
