//! What a verdict rests on: what shows it, what is ruled out, what stays open, what to change. Pure.

use brimful_judge::cause::ProofLine;
use brimful_judge::cure::{Cure, PlaceKind, felt};
use brimful_judge::verdict::Verdict;
use brimful_judge::wording::{counted, listed, time};

use super::super::told;
use super::markup::Markup;
use crate::html::wording::typed;

/// The lines of evidence for outcome and cause.
pub(super) fn proof(m: &mut Markup, verdict: &Verdict) {
    if verdict.proof.is_empty() {
        return;
    }
    m.raw("<div class=\"proof\"><h4>What shows it</h4><table><caption>Evidence, with its source and when it was first seen</caption>");
    m.raw("<thead><tr><th scope=\"col\">at</th><th scope=\"col\">evidence</th></tr></thead><tbody>");
    for line in &verdict.proof {
        m.raw("<tr><td class=\"at\">").text(&line.at_ns.map(time).unwrap_or_default()).raw("</td><td><b>");
        m.text(&line.value).raw("</b> ").text(&line.text).raw(" <code>").text(&line.source).raw("</code></td></tr>");
    }
    m.raw("</tbody></table></div>\n");
}

/// What to change, and where to write it down.
pub(super) fn cure(m: &mut Markup, cure: &Cure) {
    m.raw("<div class=\"cure\"><h4>What to change</h4><p class=\"set\"><code>").name(&cure.knob).raw("</code>");
    if let Some(value) = &cure.value {
        m.raw(" = <b>").text(&typed(value)).raw("</b>");
    }
    for also in &cure.also {
        m.raw(", and <code>").name(&also.knob).raw("</code> = <b>").text(&typed(&also.value)).raw("</b>");
    }
    // What is changed in a scenario is felt when that is run again, as everybody expects.
    if cure.places.iter().all(|p| p.place != PlaceKind::Scenario) {
        m.raw(" <small>").text(felt(cure.takes_effect)).raw("</small>");
    }
    m.raw("</p><p>").text(&cure.because).raw("</p>");
    for place in &cure.places {
        m.raw("<div class=\"place\"><p><b>").text(place.place.words()).raw("</b>");
        if let Some(note) = place.note {
            m.raw(" <small>").text(note.words()).raw("</small>");
        }
        m.raw("</p><pre tabindex=\"0\">").text(&place.text).raw("</pre></div>");
    }
    m.raw("</div>\n");
}

/// The causes that could be neither shown nor excluded, and what would tell.
pub(super) fn undecided(m: &mut Markup, verdict: &Verdict) {
    if verdict.undecided.is_empty() {
        return;
    }
    m.raw("<h4>Not decided</h4><dl class=\"causes\">");
    for open in told::undecided(verdict) {
        m.raw("<dt>").text(&open.name).raw("</dt><dd>").text(open.why);
        if !open.collect.is_empty() {
            m.raw(" To collect:<ul class=\"collect\">");
            for item in open.collect {
                m.raw("<li>").text(item).raw("</li>");
            }
            m.raw("</ul>");
        }
        m.raw("</dd>");
    }
    m.raw("</dl>\n");
}

/// What is ruled out, the causes that the same line excludes together.
pub(super) fn ruled_out(m: &mut Markup, verdict: &Verdict) {
    if verdict.ruled_out.is_empty() {
        return;
    }
    let mut lines: Vec<(&ProofLine, Vec<String>)> = Vec::new();
    for out in &verdict.ruled_out {
        match lines.iter_mut().find(|(line, _)| *line == &out.line) {
            Some((_, causes)) => causes.push(out.cause.to_string()),
            None => lines.push((&out.line, vec![out.cause.to_string()])),
        }
    }
    m.raw("<details class=\"out\"><summary><h4>Ruled out: ");
    m.text(&counted(verdict.ruled_out.len() as u64, "other cause")).raw("</h4></summary><dl class=\"causes\">");
    for (line, causes) in lines {
        m.raw("<dt>")
            .text(&listed(&causes))
            .raw("</dt><dd>")
            .text(&line.text)
            .raw(" <code>")
            .text(&line.source)
            .raw(" ")
            .text(&line.value)
            .raw("</code></dd>");
    }
    m.raw("</dl></details>\n");
}
