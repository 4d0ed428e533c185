//! What `brimful restore` found and did, for people.

use std::fmt::Write as _;

use brimful_evidence::journal::Change;
use brimful_judge::wording::counted;
use brimful_live::journal::{Ended, Outcome, Places, Settled};

use super::{RestoreOptions, Restored};

pub(super) fn render(restored: &Restored, places: &Places) -> String {
    let Restored { dry_run, journals, control_groups, done, .. } = restored;
    if journals.is_empty() && control_groups.is_empty() {
        let folder = places.journals.display();
        return format!("nothing to restore: no journal in {folder}, no control group of a run that is no more\n");
    }
    let mut text = String::new();
    for journal in journals {
        text.push_str(&one(journal, *dry_run));
    }
    for left in control_groups {
        let what = match &left.why {
            Some(why) => format!("left: {why}"),
            None if left.removed => "removed".to_owned(),
            None => "would be removed".to_owned(),
        };
        writeln!(text, "{}\n  {what}", left.group.display()).ok();
    }
    if *done {
        text.push_str(if *dry_run { "nothing was changed: this was a look\n" } else { "nothing is left to do\n" });
    }
    text
}

fn one(journal: &Ended, dry: bool) -> String {
    let mut text = format!("{}\n", journal.journal.display());
    match &journal.owner {
        Some(owner) => writeln!(text, "  of process {}, since {}: {}", owner.pid, owner.since, owner.run).ok(),
        None => writeln!(text, "  does not say whose it is").ok(),
    };
    if journal.torn {
        text.push_str("  its last line broke off when its run was killed; what that says was not done yet\n");
    }
    for hole in &journal.holes {
        writeln!(text, "  line {} cannot be read: {}", hole.line, hole.why).ok();
    }
    if journal.changes.is_empty() {
        text.push_str("  no change is left in it\n");
    }
    for Settled { change: Change { name, before, wrote, .. }, outcome, why } in &journal.changes {
        let what = match outcome {
            Outcome::Restored => format!("{name}: {wrote} → {before}, put back"),
            Outcome::WouldRestore => format!("{name}: {wrote} → {before}, would be put back"),
            Outcome::AlreadyBack => format!("{name}: {before} stands already"),
            Outcome::EarlierBoot => format!("{name}: changed before the machine was started again, and gone with that"),
            Outcome::Left => format!("{name}: left, because {}", why.as_deref().unwrap_or("it could not be put back")),
        };
        writeln!(text, "  {what}").ok();
    }
    if journal.done && !dry {
        text.push_str("  the journal is removed\n");
    }
    text
}

/// What to do about what was left.
pub(super) fn hints(restored: &Restored, options: &RestoreOptions) -> Vec<String> {
    let folder = options.journal.as_ref().map_or_else(String::new, |folder| format!(" --journal {}", folder.display()));
    let force = format!("brimful restore --force{folder}");
    let mut hints = Vec::new();
    for journal in restored.journals.iter().filter(|journal| !journal.done) {
        let left = journal.changes.iter().filter(|settled| settled.outcome == Outcome::Left).count();
        let file = journal.journal.display();
        hints.push(if left > 0 {
            format!(
                "`{force}` puts {} back whatever stands now; to keep what stands, remove {file}",
                counted(left as u64, "setting")
            )
        } else {
            format!("look at {file} by hand; `{force}` drops it")
        });
    }
    if restored.control_groups.iter().any(|left| left.why.is_some()) {
        hints
            .push("a control group goes when the last process in it has ended; then restore again, as root".to_owned());
    }
    hints
}
