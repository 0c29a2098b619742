//! Rows as a table to read: one block for each workload, one line for each size and contestant.

use std::io::{self, Write};

use super::crowd::legend;
use crate::results::{Bound, Machine, Order, Results, Row, TARGETS, Verdict};

/// Writes all.
pub(super) fn write(out: &mut impl Write, results: &Results) -> io::Result<()> {
    let Machine { cpu, cores, kernel, compiler, commit, flags, allocator, .. } = &results.machine;
    writeln!(
        out,
        "{cpu}, {cores} cores, {kernel}; {compiler}; commit {commit}, {flags}, {allocator} allocator"
    )?;
    for (name, about) in legend() {
        writeln!(out, "  {name:<28}{about}")?;
    }
    let mut last = "";
    for row in &results.rows {
        if row.workload != last {
            head(out, row)?;
            last = &row.workload;
        }
        line(out, row)?;
    }
    targets(out, &results.rows)
}

fn head(out: &mut impl Write, row: &Row) -> io::Result<()> {
    let unit = row.unit.as_deref().unwrap_or("ns per delivery");
    writeln!(out, "\n{}, {unit}", row.workload)?;
    writeln!(
        out,
        "{:>11} {:<10} {:<28}{:>10}{:>10}{:>10}{:>10}{:>10}{:>9}{:>12}",
        "subscribers", "order", "", "publish", "take", "total", "min", "max", "x floor", "x holocast"
    )
}

fn line(out: &mut impl Write, row: &Row) -> io::Result<()> {
    let order = match row.order {
        Some(Order::Allocation) => "allocation",
        Some(Order::Shuffled) => "shuffled",
        None => "",
    };
    let number = |number: Option<f64>| number.map_or_else(String::new, shown);
    writeln!(
        out,
        "{:>11} {order:<10} {:<28}{:>10}{:>10}{:>10}{:>10}{:>10}{:>9}{:>12}",
        row.subscribers,
        row.peer,
        number(row.publish_ns),
        number(row.take_ns),
        number(row.total_ns.or(row.value)),
        shown(row.min),
        shown(row.max),
        row.ratio_to_floor.map_or_else(String::new, |ratio| format!("{ratio:.2}")),
        row.ratio_to_holocast.map_or_else(String::new, |ratio| format!("{ratio:.2}")),
    )
}

/// Every target that these rows are about, with who meets it and who doesn't.
fn targets(out: &mut impl Write, rows: &[Row]) -> io::Result<()> {
    let judged = TARGETS.iter().map(|target| (target, target.judge(rows).collect::<Vec<_>>()));
    for (index, (target, verdicts)) in judged.filter(|(_, verdicts)| !verdicts.is_empty()).enumerate() {
        if index == 0 {
            writeln!(out, "\ntargets")?;
        }
        let bound = match target.bound {
            Bound::AtMost(cost) => format!("at most {} ns", shown(cost)),
            Bound::TimesHolocast(times) => format!("at most {times:.2} x holocast"),
            Bound::TimesFloor(times) => format!("at most {times:.2} x floor"),
        };
        let what = format!("{}, {}", target.workload, target.peer);
        writeln!(out, "  {what:<34}{bound}")?;
        for met in [true, false] {
            let each: Vec<String> =
                verdicts.iter().filter(|verdict| verdict.met == met).map(measured).collect();
            if !each.is_empty() {
                writeln!(out, "    {:<8}{}", if met { "met" } else { "missed" }, each.join("; "))?;
            }
        }
    }
    Ok(())
}

fn measured(Verdict { row, measured, .. }: &Verdict<'_>) -> String {
    let order = if row.order == Some(Order::Shuffled) { " shuffled" } else { "" };
    format!("{}{order}: {}", row.subscribers, shown(*measured))
}

/// Three digits or more.
fn shown(number: f64) -> String {
    match number {
        small if small < 10.0 => format!("{small:.2}"),
        middle if middle < 100.0 => format!("{middle:.1}"),
        large => format!("{large:.0}"),
    }
}
