//! Which change cures, which make no difference, and which were not put to the test. Pure.

use std::cmp::Ordering;

use brimful_plan::arm::ARM;
use brimful_plan::cell::KnobValue;
use brimful_plan::expect::CellOutcome;
use indexmap::IndexMap;

use crate::knobs::{KnobChange, KnobEffect, by_size, tunable};
use crate::report::{CellReport, Report};
use crate::tuning::Cure;
use crate::wording::{counted, listed};

/// The first sentence of a run that tried tunings and has a cell that is not healthy: the smallest cure, and the knobs that do nothing.
pub(super) fn answer(report: &Report, cure: Option<&Cure>) -> Option<String> {
    let tried = tried(report);
    if report.smallest_cures.is_empty() || tried.is_empty() {
        return None;
    }
    let Some((ways, cures)) = ways(report, cure) else {
        let values = if tried.len() == 1 { "value" } else { "combination" };
        return Some(format!("No {values} of {} that was tried cures.", listed(&tried)));
    };
    let of = report.smallest_cures.len() as u64;
    let together = if ways.first().is_some_and(|way| way.len() > 1) { " together" } else { "" };
    let ways: Vec<String> = ways.iter().map(|way| turning(way, report)).collect();
    // Between commas the other ways read as what they are.
    let ways = match ways.as_slice() {
        [one] => one.clone(),
        [first, others @ ..] => format!("{first}, or {},", lower(&others.join(", or "))),
        [] => return None,
    };
    let mut sentence = format!("{ways}{together} cures {}", patients(report, cures, of));
    if cures < of {
        let hopeless = report.smallest_cures.iter().filter(|cell| cell.cures.is_empty()).count() as u64;
        let rest = if of - cures == 1 { "the other" } else { "the others" };
        sentence += &if hopeless == of - cures {
            format!("; no change in this run cures {rest}")
        } else {
            format!("; {rest} would take other changes")
        };
    }
    let idle = tried.iter().filter(|knob| effect(report, knob).is_some_and(|e| e.pairs > 0 && !e.made_a_difference));
    let idle: Vec<&str> = idle.copied().collect();
    if !idle.is_empty() {
        sentence += &format!("; {} {} no difference", listed(&idle), verb(&idle, "makes", "make"));
    }
    Some(sentence + ".")
}

/// What else the knobs did, or were not seen to do.
pub(super) fn besides(report: &Report, cure: Option<&Cure>) -> Vec<String> {
    let tried = tried(report);
    let answered = !report.smallest_cures.is_empty() && !tried.is_empty();
    let ways = if answered { ways(report, cure) } else { None };
    let in_a_way =
        |knob: &str| ways.iter().flat_map(|(ways, _)| ways).any(|way| way.iter().any(|change| change.knob == knob));
    let made = |wanted: bool| {
        let of = tried
            .iter()
            .filter(|knob| effect(report, knob).is_some_and(|e| e.pairs > 0 && e.made_a_difference == wanted));
        of.copied().filter(|knob| !in_a_way(knob)).collect::<Vec<&str>>()
    };
    let mut lines = Vec::new();
    let (decide, idle) = (made(true), made(false));
    if !decide.is_empty() {
        let how = if ways.is_some() { "in some cells only" } else { "to how they fail, and cure none" };
        let how = if decide.len() == 1 { how.replace("cure none", "cures none") } else { how.to_owned() };
        lines.push(format!("{} {} a difference {how}.", listed(&decide), verb(&decide, "makes", "make")));
    }
    let healthy = |cell: &CellReport| cell.outcome == CellOutcome::Healthy;
    if !tried.is_empty() && report.cells.iter().all(healthy) {
        lines.push("Nothing needs to change: the smallest values that were tried will do.".to_owned());
    }
    if !answered && !idle.is_empty() {
        lines.push(format!("{} {} no difference here.", listed(&idle), verb(&idle, "makes", "make")));
    }
    lines.extend(contexts(report));
    lines.extend(not_told(report, &tried));
    lines
}

/// Arms and loads: what tunings are tried on.
fn contexts(report: &Report) -> Vec<String> {
    let others = report.knob_effects.iter().filter(|e| e.pairs > 0 && !tunable(&e.knob));
    let words = |e: &KnobEffect| match (e.knob.as_str(), e.made_a_difference) {
        (ARM, true) => {
            format!("The arms differ in outcome or cause, in {} of {}.", e.changed, counted(e.pairs, "pair"))
        }
        (ARM, false) => "The arms do not differ in outcome or cause.".to_owned(),
        (knob, true) => format!("{knob} makes a difference."),
        (knob, false) => format!("{knob} makes no difference here."),
    };
    others.map(words).collect()
}

/// Knobs that were varied and of which the run yet tells nothing.
fn not_told(report: &Report, tried: &[&str]) -> Option<String> {
    let untold = tried.iter().filter(|knob| effect(report, knob).is_some_and(|e| e.pairs == 0));
    let untold: Vec<&str> = untold.copied().collect();
    let alike = untold.iter().filter_map(|knob| effect(report, knob)).all(|e| e.given_alike > 0);
    let why =
        if alike { "every cell was given the same value" } else { "no two cells that are not void differ in it alone" };
    (!untold.is_empty()).then(|| format!("This run does not tell what {} does: {why}.", listed(&untold)))
}

/// The knobs that can be tuned and were asked to be more than one value.
fn tried(report: &Report) -> Vec<&str> {
    let Some(first) = report.cells.first() else { return Vec::new() };
    let asked = |cell: &CellReport, knob: &str| cell.knobs.get(knob).map(|k| k.asked.clone());
    let varies = |knob: &str| report.cells.iter().any(|cell| asked(cell, knob) != asked(first, knob));
    first.knobs.keys().map(String::as_str).filter(|knob| tunable(knob) && varies(knob)).collect()
}

fn effect<'a>(report: &'a Report, knob: &str) -> Option<&'a KnobEffect> {
    report.knob_effects.iter().find(|effect| effect.knob == knob)
}

/// The ways to say, the first one's cells cured. Where no tuning is healthy everywhere: the smallest change that cures most cells.
fn ways<'a>(report: &'a Report, cure: Option<&'a Cure>) -> Option<(Vec<&'a [KnobChange]>, u64)> {
    if let Some(cure) = cure {
        let others = if cure.cures == cure.of { cure.or.as_slice() } else { &[] };
        let all = std::iter::once(&cure.changes).chain(others.iter().take(1));
        return Some((all.map(Vec::as_slice).collect(), cure.cures));
    }
    type Settings<'a> = Vec<(&'a str, &'a KnobValue)>;
    let mut tally: IndexMap<Settings<'a>, (&'a [KnobChange], u64)> = IndexMap::new();
    for way in report.smallest_cures.iter().flat_map(|cell| &cell.cures) {
        let settings = way.changes.iter().map(|change| (change.knob.as_str(), &change.to)).collect();
        tally.entry(settings).or_insert((&way.changes, 0)).1 += 1;
    }
    let most = tally.values().map(|(_, n)| *n).max()?;
    let (way, n) = tally.into_values().find(|(_, n)| *n == most)?;
    Some((vec![way], n))
}

/// `Raising a from 1 to 2 and b from 3 to 4`; without where from, where the cells that fail have several values.
fn turning(way: &[KnobChange], report: &Report) -> String {
    let mut said = String::new();
    let mut last = "";
    for (i, change) in way.iter().enumerate() {
        let verb = match by_size(&change.from, &change.to) {
            _ if matches!(change.to, KnobValue::Switch(_)) => "changing",
            Some(Ordering::Less) => "raising",
            Some(Ordering::Greater) => "lowering",
            _ => "changing",
        };
        let joint = match i {
            0 => "",
            _ if i + 1 == way.len() => " and ",
            _ => ", ",
        };
        said += joint;
        if verb != last {
            said += &if i == 0 { upper(verb) } else { verb.to_owned() };
            said.push(' ');
        }
        last = verb;
        said += &change.knob;
        if begins_alike(change, report) {
            said += &format!(" from {}", change.from);
        }
        said += &format!(" to {}", change.to);
    }
    said
}

/// Whether every cell that is not healthy has this change's first value, or already its last.
fn begins_alike(change: &KnobChange, report: &Report) -> bool {
    let sick = report.cells.iter().filter(|c| matches!(c.outcome, CellOutcome::Failing | CellOutcome::Degraded));
    let mut readings = sick.filter_map(|c| c.knobs.get(&change.knob));
    let is = |value: &KnobValue| *value == change.from || *value == change.to;
    readings.all(|reading| is(&reading.asked) || reading.given.as_ref().is_some_and(is))
}

/// Whom a change cures: `all 4 failing cells`.
fn patients(report: &Report, cures: u64, of: u64) -> String {
    let any = |outcome| report.cells.iter().any(|cell| cell.outcome == outcome);
    let kind = match (any(CellOutcome::Failing), any(CellOutcome::Degraded)) {
        (true, true) => "failing and degraded",
        (true, false) => "failing",
        _ => "degraded",
    };
    match (cures, of) {
        (1, 1) => format!("the {kind} cell"),
        (2, 2) => format!("both {kind} cells"),
        (a, b) if a == b => format!("all {of} {kind} cells"),
        _ => format!("{cures} of {of} {kind} cells"),
    }
}

fn verb<'a>(who: &[&str], one: &'a str, many: &'a str) -> &'a str {
    if who.len() == 1 { one } else { many }
}

fn upper(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|c| c.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

fn lower(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|c| c.to_lowercase().chain(chars).collect()).unwrap_or_default()
}
