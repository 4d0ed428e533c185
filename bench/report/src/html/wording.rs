//! Words and small marks that several parts of the page share. Pure.

use brimful_evidence::record::KnobReading;
use brimful_judge::report::{At, CellReport};
use brimful_judge::wording::{count, time};
use brimful_plan::cell::KnobValue;
use brimful_plan::expect::{CauseName, CellOutcome, Why};

use super::grid::Value;
use super::markup::Markup;

/// A quantile: `0.4 ms`, `≥ 1 s`, or a dash where no probe was sent.
pub(super) fn quantile(at: Option<At>) -> String {
    match at {
        None => "–".to_owned(),
        Some(At::Exact(ns)) => time(ns),
        Some(At::AtLeast { at_least_ns }) => format!("≥ {}", time(at_least_ns)),
    }
}

/// The mark of an outcome: its shape says it where colour does not.
pub(super) fn outcome_mark(m: &mut Markup, outcome: CellOutcome) {
    m.raw(match outcome {
        CellOutcome::Healthy => "<svg class=\"k\" aria-hidden=\"true\"><use href=\"#k-healthy\"/></svg>",
        CellOutcome::Degraded => "<svg class=\"k\" aria-hidden=\"true\"><use href=\"#k-degraded\"/></svg>",
        CellOutcome::Failing => "<svg class=\"k\" aria-hidden=\"true\"><use href=\"#k-failing\"/></svg>",
        CellOutcome::Void => "<svg class=\"k\" aria-hidden=\"true\"><use href=\"#k-void\"/></svg>",
    });
}

/// A knob's name with its last part in front of the eye: `sysctl.net.core.` small, `somaxconn` not.
pub(super) fn knob_name(m: &mut Markup, knob: &str) {
    match knob.rsplit_once('.') {
        Some((prefix, last)) => {
            m.raw("<span class=\"knob\"><small>").name(prefix).raw(".<wbr></small>").name(last).raw("</span>")
        }
        None => m.raw("<span class=\"knob\">").name(knob).raw("</span>"),
    };
}

/// A value of an axis, and what was given where that is another.
pub(super) fn value(m: &mut Markup, value: Option<&Value>) {
    let Some(value) = value else {
        m.raw("–");
        return;
    };
    m.name(&grouped(&value.asked));
    if let Some(given) = &value.given {
        m.raw(" <small>given ").text(&grouped(given)).raw("</small>");
    }
}

/// A knob as it was asked, and what was given where that is another.
pub(super) fn reading(m: &mut Markup, reading: &KnobReading) {
    let asked = reading.asked.to_string();
    let given = reading.given.as_ref().map(ToString::to_string);
    match given {
        Some(given) if given == asked => m.text(&grouped(&asked)),
        Some(given) => m.text(&grouped(&given)).raw(" <small>asked ").text(&grouped(&asked)).raw("</small>"),
        None => m.text(&grouped(&asked)).raw(" <small>not read back</small>"),
    };
}

/// A number with its thousands apart; other text as it is.
fn grouped(text: &str) -> String {
    text.parse().map_or_else(|_| text.to_owned(), count)
}

/// What became of a cell, and why, in one sentence.
pub(super) fn sentence(cell: &CellReport) -> String {
    use brimful_judge::cause::words;
    let verdict = &cell.verdict;
    match (cell.outcome, verdict.cause) {
        (CellOutcome::Healthy, _) => "Healthy: no probe failed.".to_owned(),
        (CellOutcome::Void, Some(CauseName::GeneratorBound)) => {
            format!("Void: {}. Nothing is said of the target.", words(CauseName::GeneratorBound))
        }
        (CellOutcome::Void, _) => "Void: the experiment itself did not work. Nothing is said of the target.".to_owned(),
        (outcome, cause) => {
            let outcome = if outcome == CellOutcome::Failing { "Failing" } else { "Degraded" };
            let why = verdict.why.map(|why| format!(": {}", why_words(why))).unwrap_or_default();
            format!("{outcome}, because {}{why}.", words(cause.unwrap_or(CauseName::Undetermined)))
        }
    }
}

/// The reason within a cause, to be read after it.
fn why_words(why: Why) -> &'static str {
    match why {
        Why::AppBacklog => "the program asked listen(2) for no more",
        Why::SomaxconnClamp => "net.core.somaxconn cut down what the program asked for",
        Why::NotRelistened => "the socket was made to listen before the limits were raised",
    }
}

/// Cause and reason as they are named: `accept-queue (app-backlog)`.
pub(super) fn cause_name(cause: Option<CauseName>, why: Option<Why>) -> String {
    match (cause, why) {
        (None, _) => String::new(),
        (Some(cause), None) => cause.to_string(),
        (Some(cause), Some(why)) => format!("{cause} ({why})"),
    }
}

/// A knob's value as it is typed.
pub(super) fn typed(value: &KnobValue) -> String {
    grouped(&value.to_string())
}
