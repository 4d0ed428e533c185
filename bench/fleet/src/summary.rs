//! What a fleet's document means, in words. Pure.

use brimful_judge::wording::{count, counted, time};

use crate::account::{Account, Fate};
use crate::report::{FleetReport, Quantiles};

/// Lines of members, at most; those that are whole are left out first. The document has all of them.
const MEMBERS_MOST: usize = 40;

/// Whether the load was the one that was planned: every member gave its account of a share that it was not kept from.
#[must_use]
pub fn is_whole(report: &FleetReport) -> bool {
    report.members.iter().all(|member| member.fate == Fate::Whole) && report.stopped.is_none()
}

/// The document as text.
#[must_use]
pub fn text(report: &FleetReport) -> String {
    let mut lines = vec![headline(report)];
    if let Some(signal) = &report.stopped {
        lines.push(format!("stopped by {signal} before its end"));
    }
    lines.push(start(report));
    let load = &report.load;
    lines.push(format!(
        "load of the {}: requested {}, attempted {}, established {}, held {}, pending {}",
        counted(report.with(Fate::Whole).count() as u64, "whole member"),
        count(load.requested),
        count(load.attempted),
        count(load.established),
        count(load.held),
        count(load.pending)
    ));
    for (what, quantiles) in [("connect", report.connect_ns), ("lateness", report.lag_ns)] {
        if let Some(Quantiles { p50, p90, p99, max, .. }) = quantiles {
            let [p50, p90, p99, max] = [p50, p90, p99, max].map(time);
            lines.push(format!("{what}: p50 {p50}, p90 {p90}, p99 {p99}, max {max}"));
        }
    }
    for failure in &load.failures {
        let phase = serde_json::to_value(failure.phase).unwrap_or_default();
        let phase = phase.as_str().unwrap_or("?").to_owned();
        lines.push(format!("failed: {} at {phase} ({})", count(failure.count), failure.errno));
    }
    lines.push(String::new());
    lines.extend(members(report));
    lines.push(String::new());
    lines.join("\n")
}

fn headline(report: &FleetReport) -> String {
    let all = report.members.len() as u64;
    let short = all - report.with(Fate::Whole).count() as u64;
    if short == 0 {
        let planned = count(report.connections.planned);
        return format!("{} gave their account, of all {planned} connections", counted(all, "member"));
    }
    let kinds = [Fate::Missing, Fate::Unready, Fate::Late, Fate::Lost, Fate::Silent].map(|fate| {
        let indices: Vec<String> = report.with(fate).take(8).map(|member| member.index.to_string()).collect();
        let more = report.with(fate).count().saturating_sub(indices.len());
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        (!indices.is_empty()).then(|| format!("{} {}{more}", word(fate), indices.join(", ")))
    });
    format!(
        "{short} of {} gave no account ({}): {} of {} connections are missing",
        counted(all, "member"),
        kinds.into_iter().flatten().collect::<Vec<_>>().join("; "),
        count(report.connections.missing),
        count(report.connections.planned)
    )
}

fn start(report: &FleetReport) -> String {
    let Some(start) = report.start else { return "there was no start".to_owned() };
    let there =
        format!("start: {} of {} at the barrier after {}", start.members, report.members.len(), time(start.waited_ns));
    match (start.skew_ns, start.skew_error_ns) {
        (Some(skew), Some(error)) if start.known > 1 => {
            format!("{there}; the first attempts of {} lie within {} (± {})", start.known, time(skew), time(error))
        }
        _ => format!("{there}; how far apart they began is not known"),
    }
}

fn word(fate: Fate) -> &'static str {
    match fate {
        Fate::Whole => "whole",
        Fate::Missing => "missing",
        Fate::Unready => "unready",
        Fate::Late => "late",
        Fate::Lost => "lost",
        Fate::Silent => "silent",
    }
}

fn members(report: &FleetReport) -> Vec<String> {
    let mut lines = vec![format!(
        "{:>6}  {:<8}{:>9}{:>11}{:>13}{:>9}{:>9}  {:<9}",
        "member", "fate", "share", "attempted", "established", "held", "failed", "began"
    )];
    let crowd = report.members.len() > MEMBERS_MOST;
    let shown: Vec<&Account> = report.members.iter().filter(|member| !crowd || member.fate != Fate::Whole).collect();
    lines.extend(shown.iter().take(MEMBERS_MOST).map(|member| line(member)));
    let left = report.members.len() - shown.len().min(MEMBERS_MOST);
    if left > 0 {
        lines.push(format!("        and {} more, in fleet.json", count(left as u64)));
    }
    lines
}

fn line(member: &Account) -> String {
    let known = |read: fn(&brimful_loadgen_plan::outcome::LoadPoint) -> u64| {
        member.counters.as_ref().map_or_else(|| "?".to_owned(), |point| count(read(point)))
    };
    let began = member
        .began_ns
        .map_or_else(String::new, |ns| format!("{}{}", if ns < 0 { "-" } else { "+" }, time(ns.unsigned_abs())));
    let mut line = format!(
        "{:>6}  {:<8}{:>9}{:>11}{:>13}{:>9}{:>9}  {began:<9}",
        member.index,
        word(member.fate),
        count(member.share),
        known(|point| point.attempted),
        known(|point| point.established),
        known(|point| point.held),
        known(|point| point.failed),
    );
    if let Some(at) = member.at_ns {
        let when = match member.fate {
            Fate::Late => "came",
            Fate::Silent => "last heard of",
            Fate::Whole | Fate::Missing | Fate::Unready | Fate::Lost => "gone",
        };
        let instant = if at > 0 {
            format!("{} after the start", time(at))
        } else {
            "between the barrier and the start".to_owned()
        };
        line.push_str(&format!("  {when} {instant}"));
    }
    if let Some(why) = &member.why {
        line.push_str(&format!("{} {why}", if member.at_ns.is_some() { ":" } else { " " }));
    }
    if member.refused > u32::from(member.fate == Fate::Late) {
        line.push_str(&format!("  (came again {} times, refused)", member.refused));
    }
    line.trim_end().to_owned()
}
