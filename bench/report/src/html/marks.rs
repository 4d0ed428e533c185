//! The probes of a cell, each from the instant it was due to its end. Pure.
//!
//! How a probe ended is said by shape before colour: a dot passed, a hollow bar never was connected, a full bar was connected
//! and waited, a cross was turned away; and a letter where there is room for one.

use brimful_judge::wording::{counted, outcome_name, time};
use brimful_loadgen_plan::probe::Outcome;

use super::axis::{LogAxis, TimeAxis};
use super::detail::{Detail, Mark};
use super::markup::{Markup, Path};

/// A bar narrower than this share of the axis has no room for its letter.
const LETTER: f64 = 0.024;

/// Strokes in a row at most; of more probes, neighbours share one.
const MOST_STROKES: usize = 24;
/// From one stroke to the next, in pixels.
const STROKE: u64 = 5;

/// What a failed probe is drawn as.
struct Kind {
    class: &'static str,
    letter: &'static str,
    bar: bool,
    words: &'static str,
}

/// How each end of a probe is drawn and told; none for one that passed.
fn kind(outcome: Outcome) -> Option<Kind> {
    let (class, letter, bar, words) = match outcome {
        Outcome::Ok => return None,
        Outcome::ConnectTimeout => ("hollow", "C", true, "not connected at its deadline"),
        Outcome::ResponseTimeout => ("full", "A", true, "connected, and not answered at its deadline"),
        Outcome::Refused => ("cross", "R", false, "refused"),
        Outcome::Reset => ("cross", "X", false, "reset or closed before the answer"),
        Outcome::BadStatus => ("cross", "S", false, "answered with another status than 200 to 399"),
        Outcome::LocalError => ("cross", "P", false, "the prober itself could not try"),
    };
    Some(Kind { class, letter, bar, words })
}

/// The time each probe had: from the instant it was due to its deadline.
pub(super) fn budgets(m: &mut Markup, detail: &Detail, axis: TimeAxis) {
    let mut path = Path::default();
    for mark in &detail.probes {
        let (from, to) = (axis.at(mark.from_ns), axis.at(mark.from_ns.saturating_add(detail.timeout_ns)));
        // A gap, where the next is due at once.
        path.go(from, 0.22).across((to - 0.003).max(from)).down(0.78).across(from).close();
    }
    m.path("budget", &path);
}

/// A mark for each probe, with its words.
pub(super) fn each(m: &mut Markup, detail: &Detail, axis: TimeAxis) {
    for mark in &detail.probes {
        let from = axis.at(mark.from_ns);
        let width = (axis.at(mark.to_ns) - from).max(0.004);
        match kind(mark.outcome) {
            None => {
                m.raw("<circle class=\"p ok\" cy=\"50%\" r=\"4\" cx=\"").percent(from).raw("\">");
                title(m, mark);
                m.raw("</circle>");
            }
            Some(kind) if kind.bar => {
                m.raw("<rect class=\"p ").raw(kind.class).raw("\" y=\"22%\" height=\"56%\" x=\"").percent(from);
                m.raw("\" width=\"").percent((width - 0.003).max(0.002)).raw("\">");
                title(m, mark);
                m.raw("</rect>");
                if width >= LETTER {
                    letter(m, kind.class, from + width / 2.0, kind.letter);
                }
            }
            Some(kind) => {
                m.raw("<use class=\"p cross\" href=\"#k-cross\" y=\"50%\" x=\"").percent(from).raw("\">");
                title(m, mark);
                m.raw("</use>");
                letter(m, "beside", from + 0.022, kind.letter);
            }
        }
    }
}

/// All probes of one kind in one path, for pages of many cells.
pub(super) fn together(m: &mut Markup, detail: &Detail, axis: TimeAxis) {
    let (mut passed, mut hollow, mut full, mut crosses) =
        (Path::default(), Path::default(), Path::default(), Path::default());
    for mark in &detail.probes {
        let (from, to) = (axis.at(mark.from_ns), axis.at(mark.to_ns));
        match kind(mark.outcome) {
            // A line without length has round ends: a dot that is not stretched with its frame.
            None => passed.go(from, 0.5).across(from),
            Some(Kind { bar: true, class, .. }) => {
                let path = if class == "full" { &mut full } else { &mut hollow };
                path.go(from, 0.22).across((to - 0.003).max(from + 0.002)).down(0.78).across(from).close()
            }
            Some(_) => crosses.go(from, 0.1).down(0.9),
        };
    }
    m.path("p full", &full).path("p hollow", &hollow).path("p turned", &crosses).path("p dots", &passed);
}

/// The probes of a cell as a row of strokes, in order: a tall one failed, a short one passed.
pub(super) fn strip(m: &mut Markup, detail: &Detail) {
    let together = detail.probes.len().div_ceil(MOST_STROKES).max(1);
    let strokes: Vec<bool> =
        detail.probes.chunks(together).map(|few| few.iter().all(|mark| mark.outcome.passed())).collect();
    if strokes.is_empty() {
        return;
    }
    let mut path = Path::default();
    for (i, passed) in strokes.iter().enumerate() {
        path.go((i as f64 + 0.5) / strokes.len() as f64, 1.0).down(if *passed { 0.7 } else { 0.0 });
    }
    m.raw("<svg class=\"strip\" viewBox=\"0 0 1000 100\" preserveAspectRatio=\"none\" aria-hidden=\"true\" width=\"");
    m.number(strokes.len() as u64 * STROKE).raw("\">").path("", &path).raw("</svg>");
}

/// What the shapes mean, for those that occur.
pub(super) fn key(detail: &Detail, with_budgets: bool) -> Markup {
    let mut m = Markup::default();
    let mut seen: Vec<Outcome> = detail.probes.iter().map(|mark| mark.outcome).collect();
    seen.sort_unstable();
    seen.dedup();
    m.raw("<p class=\"key\">");
    for outcome in seen {
        match kind(outcome) {
            None => m.raw("<span><i class=\"s ok\"></i>passed</span> "),
            Some(kind) => {
                m.raw("<span><i class=\"s ").raw(kind.class).raw("\">").raw(kind.letter).raw("</i>");
                m.raw(kind.words).raw("</span> ")
            }
        };
    }
    if with_budgets {
        m.raw("<span><i class=\"s budget\"></i>the time a probe had</span>");
    }
    m.raw("</p>\n");
    m
}

fn letter(m: &mut Markup, class: &'static str, x: f64, letter: &'static str) {
    m.raw("<text class=\"l ").raw(class).raw("\" y=\"50%\" x=\"").percent(x).raw("\">").raw(letter).raw("</text>");
}

fn title(m: &mut Markup, mark: &Mark) {
    let after = time_taken(mark.to_ns.saturating_sub(mark.from_ns));
    let connected = mark.connected_ns.map(|at| time_taken(at.saturating_sub(mark.from_ns)));
    let connected = connected.map(|at| format!(", connected after {at}")).unwrap_or_default();
    let secured = mark.tls_ns.map(|took| format!(", TLS in {}", time_taken(took))).unwrap_or_default();
    let several = match mark.probes {
        1 => String::new(),
        n => format!("{}; the worst: ", counted(n, "probe")),
    };
    let due = TimeAxis::label(mark.from_ns);
    m.raw("<title>");
    m.text(&format!("{several}due at {due} s: {} after {after}{connected}{secured}", outcome_name(mark.outcome)));
    m.raw("</title>");
}

fn time_taken(ns: u64) -> String {
    if ns < 100_000 { LogAxis::label(ns) } else { time(ns) }
}
