//! The answer of a gate for a comment under a pull request. Pure.

use brimful_judge::compare::Answer;
use brimful_judge::gate::GateAnswer;

use super::super::compare::markdown::{Page, body, code, plain};
use super::text::{reasons, sentence};
use crate::compare::wording;

/// The whole answer, within [`super::super::compare::markdown::MOST_BYTES`].
#[must_use]
pub fn render(answer: &GateAnswer) -> String {
    let mut page = Page::default();
    let against = answer.comparison.as_ref().map(|both| format!(" against {}", code(&both.base))).unwrap_or_default();
    page.line(&format!("## brimful gate: {}: {}{against}", wording::answer(answer.answer), code(&answer.head)));
    page.line("");
    for line in reasons(answer) {
        page.line(&format!("- {}", plain(&line)));
    }
    for ceiling in answer.ceilings.iter().filter(|ceiling| ceiling.answer != Answer::Pass) {
        let sign = if ceiling.answer == Answer::Fail { "❌" } else { "❔" };
        page.line(&format!("- {sign} ceiling: {}: {}", code(&ceiling.cell), plain(&sentence(ceiling))));
    }
    if let Some(comparison) = &answer.comparison {
        page.line("");
        body(&mut page, comparison);
    }
    page.finish()
}
