//! When a change that was made while a cell ran was felt by the health check: at once, at the next `listen(2)`, at the next
//! start, or never. Pure.
//!
//! Looked at is only whether the check is well or failing: two results in a row say which. A change whose check was neither
//! before it, or that left it as it was, is not said to have done anything.

use brimful_evidence::record::{Record, Turned};
use brimful_loadgen_plan::probe::Sample;
use brimful_plan::change::Turn;
use brimful_plan::expect::Took;
use serde::{Deserialize, Serialize};

use crate::wording::{listed, time};

/// Results in a row that say whether the check is well: one alone may be chance.
const ROW: usize = 2;

/// What a change came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Effect {
    /// What was turned, several things where they were turned together: `ulimit.nofile = 20000`.
    pub turned: Vec<String>,
    /// What was read back of each, in the same order; empty where there is nothing to be read back.
    pub given: Vec<String>,
    /// When, in nanoseconds since the start of the cell.
    pub at_ns: u64,
    /// When it was felt; `None` where that is not told.
    pub took: Option<Took>,
    /// From the change, or from the `listen(2)` or the start that made it felt, to the end of the first probe of the new kind.
    pub after_ns: Option<u64>,
    /// All of it in a sentence.
    pub words: String,
}

/// Whether the check was well; `None` where the results do not say.
type State = Option<bool>;

/// What each change of a cell came to, in order. Those of one instant count as one.
#[must_use]
pub(crate) fn effects(record: &Record) -> Vec<Effect> {
    let groups: Vec<&[Turned]> = record.turned.chunk_by(|a, b| a.due_ns == b.due_ns).collect();
    let of_knobs = |group: &&[Turned]| group.iter().any(|turned| turned.what.is_of_a_knob());
    let starts: Vec<usize> = groups.iter().enumerate().filter(|(_, g)| of_knobs(g)).map(|(at, _)| at).collect();
    let all = starts.iter().enumerate().map(|(index, &at)| {
        let next = starts.get(index + 1).copied().unwrap_or(groups.len());
        effect(record, groups.get(at..next).unwrap_or_default(), groups.get(next).and_then(|group| group.first()))
    });
    all.flatten().collect()
}

/// What the first of these groups came to; the others follow it before the next change of a knob, which is `next`.
fn effect(record: &Record, groups: &[&[Turned]], next: Option<&Turned>) -> Option<Effect> {
    let (first, others) = groups.split_first()?;
    let knobs: Vec<&Turned> = first.iter().filter(|turned| turned.what.is_of_a_knob()).collect();
    let at_ns = first.iter().filter_map(|turned| turned.done_ns).max();
    let mut effect = Effect {
        turned: knobs.iter().map(|turned| turned.what.to_string()).collect(),
        given: knobs.iter().filter_map(|turned| turned.given.clone()).collect(),
        at_ns: at_ns.unwrap_or(first.first()?.due_ns),
        took: None,
        after_ns: None,
        words: String::new(),
    };
    if let Some(error) = first.iter().find_map(|turned| turned.error.as_deref()) {
        effect.words = format!("it was not made: {error}");
        return Some(effect);
    }
    let Some(at_ns) = at_ns else {
        effect.words = "the cell ended before it was made".into();
        return Some(effect);
    };
    let due_ns = first.first()?.due_ns;
    let Some(before) = state(&record.probe.samples, 0, due_ns) else {
        effect.words = "the health check was neither well nor failing before it".into();
        return Some(effect);
    };
    let end_ns = next.map_or(record.duration_ns, |turned| turned.due_ns);
    let mut stages = vec![Stage { took: Some(stage_of(first)), due_ns, from_ns: at_ns }];
    stages.extend(others.iter().filter_map(|group| stage(record, group)));
    for (index, stage) in stages.iter().enumerate() {
        let to_ns = stages.get(index + 1).map_or(end_ns, |later| later.due_ns).min(end_ns);
        let samples = &record.probe.samples;
        if stage.took.is_some() && state(samples, stage.from_ns, to_ns) == Some(!before) {
            effect.took = stage.took;
            let turned = turning(samples, stage.from_ns, to_ns, !before);
            effect.after_ns = turned.map(|ns| ns.saturating_sub(stage.from_ns));
            break;
        }
    }
    let ends = |took: Took| stages.iter().any(|stage| stage.took == Some(took));
    effect.took = effect.took.or(Some(if ends(Took::AtStart) { Took::Never } else { Took::NotYet }));
    effect.words = words(&effect, before, ends(Took::AtListen));
    Some(effect)
}

/// A stretch of time in which the target has taken notice of as much.
struct Stage {
    /// What a change that is felt in it took; `None` where nothing can be felt, because nobody is there.
    took: Option<Took>,
    /// When it was to begin, and the one before it ended.
    due_ns: u64,
    /// When it began.
    from_ns: u64,
}

/// The stretch that a group of changes begins. What could not be done begins none: the one before it goes on.
fn stage(record: &Record, group: &[Turned]) -> Option<Stage> {
    let due_ns = group.first()?.due_ns;
    let from_ns = group.iter().filter_map(|turned| turned.done_ns).max()?;
    if !group.iter().any(|turned| turned.what == Turn::Kill) || stage_of(group) == Took::AtStart {
        return Some(Stage { took: Some(stage_of(group)), due_ns, from_ns });
    }
    // Who was killed is there again when a process listens.
    let again_ns = record.lives.iter().filter_map(|life| life.listening_ns).find(|&ns| ns > from_ns);
    let took = again_ns.map(|_| Took::AtStart);
    Some(Stage { took, due_ns, from_ns: again_ns.unwrap_or(from_ns) })
}

/// What a group of changes makes the target take notice of.
fn stage_of(group: &[Turned]) -> Took {
    let any = |turn: &Turn| group.iter().any(|turned| turned.what == *turn);
    if any(&Turn::Restart) {
        Took::AtStart
    } else if any(&Turn::Relisten) {
        Took::AtListen
    } else {
        Took::Live
    }
}

/// The state at the end of a stretch, by the probes that began and ended in it.
fn state(samples: &[Sample], from_ns: u64, to_ns: u64) -> State {
    let within: Vec<bool> = counted(samples)
        .filter(|sample| sample.started_ns >= from_ns && sample.ended_ns <= to_ns)
        .map(|sample| sample.outcome.passed())
        .collect();
    let last = *within.last()?;
    (within.iter().rev().take_while(|passed| **passed == last).count() >= ROW).then_some(last)
}

/// The end of the first of the probes that are all of one kind up to the end of a stretch. One that was under way when it
/// began counts where it is of that kind.
fn turning(samples: &[Sample], from_ns: u64, to_ns: u64, kind: bool) -> Option<u64> {
    let within: Vec<&Sample> =
        counted(samples).filter(|sample| sample.ended_ns > from_ns && sample.ended_ns <= to_ns).collect();
    let run = within.iter().rev().take_while(|sample| sample.outcome.passed() == kind);
    run.last().map(|sample| sample.ended_ns)
}

fn counted(samples: &[Sample]) -> impl Iterator<Item = &Sample> {
    samples.iter().filter(|sample| !sample.discarded)
}

fn words(effect: &Effect, before: bool, listened: bool) -> String {
    let (was, became) = if before { ("well", "failing") } else { ("failing", "well") };
    let after = effect.after_ns.map(time).unwrap_or_default();
    match effect.took {
        Some(Took::Live) => format!("took effect live: the health check was {became} {after} later"),
        Some(Took::AtListen) => format!(
            "took effect at listen: nothing before listen() was called again, and the health check was {became} {after} later"
        ),
        Some(Took::AtStart) => {
            let listen = if listened { "listen() was called again and " } else { "" };
            format!(
                "took effect at start: still {was} until {listen}a new process was started, and {became} {after} later"
            )
        }
        Some(Took::Never) => {
            let listen = if listened { "neither listen() nor" } else { "not even" };
            format!("took effect never: {listen} a new process changed that the health check was {was}")
        }
        Some(Took::NotYet) => {
            let listen =
                if listened { "not even when listen() was called again" } else { "nobody listened or started again" };
            format!("did nothing: the health check stayed {was}, {listen}")
        }
        None => String::new(),
    }
}

/// The line of a report: what was turned, and what it came to.
pub fn line(effect: &Effect) -> String {
    let given = if effect.given.is_empty() { String::new() } else { format!(" (given: {})", effect.given.join("; ")) };
    format!("{} at {}{given}: {}", listed(&effect.turned), time(effect.at_ns), effect.words)
}

#[cfg(test)]
mod tests {
    use brimful_evidence::record::Life;
    use brimful_loadgen_plan::probe::Outcome;
    use brimful_plan::cell::KnobValue;
    use brimful_testing::healthy;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// A record of probes each second, `+` passed and `-` failed, each taking half of one, and of changes.
    fn record(results: &str, turns: &[(u64, Turn)]) -> Record {
        let mut record = healthy();
        let like = record.probe.samples[0].clone();
        let sample = |(seq, c): (usize, char)| Sample {
            seq: seq as u64,
            intended_ns: seq as u64 * SECOND,
            started_ns: seq as u64 * SECOND,
            ended_ns: seq as u64 * SECOND + SECOND / 2,
            outcome: if c == '+' { Outcome::Ok } else { Outcome::ResponseTimeout },
            ..like.clone()
        };
        record.probe.samples = results.chars().enumerate().map(sample).collect();
        record.duration_ns = results.len() as u64 * SECOND;
        let turned = |(at, what): &(u64, Turn)| Turned {
            what: what.clone(),
            due_ns: at * SECOND - SECOND / 4,
            done_ns: Some(at * SECOND - SECOND / 4),
            given: None,
            error: None,
        };
        record.turned = turns.iter().map(turned).collect();
        record
    }

    fn set() -> Turn {
        Turn::Set { knob: "ulimit.nofile".into(), value: KnobValue::Number(20_000) }
    }

    #[test]
    fn a_change_is_felt_live_at_listen_at_start_or_never() {
        let turns = [(4, set()), (8, Turn::Relisten), (12, Turn::Restart)];
        let table = [
            ("----++++++++++++", Some(Took::Live), Some(SECOND * 3 / 4)),
            ("-----+++++++++++", Some(Took::Live), Some(SECOND * 7 / 4)),
            ("--------++++++++", Some(Took::AtListen), Some(SECOND * 3 / 4)),
            ("------------++++", Some(Took::AtStart), Some(SECOND * 3 / 4)),
            ("----------------", Some(Took::Never), None),
            ("------------+---", Some(Took::Never), None),
            ("++++----------++", Some(Took::Live), Some(SECOND * 3 / 4)),
            ("+-+-++++++++++++", None, None),
        ];
        for (results, took, after_ns) in table {
            let effects = effects(&record(results, &turns));
            let [effect] = &effects[..] else { panic!("{effects:?}") };
            assert_eq!((effect.took, effect.after_ns), (took, after_ns), "{results}: {}", effect.words);
        }
    }

    #[test]
    fn without_a_start_nothing_is_said_to_be_never() {
        let told = effects(&record("----------------", &[(4, set()), (8, Turn::Relisten)]));
        assert_eq!(told[0].took, Some(Took::NotYet));
        assert!(told[0].words.contains("not even when listen() was called again"), "{}", told[0].words);
        assert_eq!(effects(&record("--------", &[(4, set())]))[0].took, Some(Took::NotYet));
    }

    #[test]
    fn a_second_change_ends_the_time_of_the_first() {
        let told = effects(&record("--------++++++++", &[(4, set()), (8, set())]));
        assert_eq!([told[0].took, told[1].took], [Some(Took::NotYet), Some(Took::Live)]);
    }

    #[test]
    fn who_is_killed_starts_anew_only_when_a_process_listens_again() {
        let turns = [(4, set()), (8, Turn::Kill)];
        let mut killed = record("--------++++++++", &turns);
        assert_eq!(effects(&killed)[0].took, Some(Took::NotYet), "nobody is there who could have felt it");
        let life = |listening_ns| Life {
            started_ns: 0,
            listening_ns: Some(listening_ns),
            up_ns: None,
            ready: Vec::new(),
            end: None,
        };
        killed.lives = vec![life(0), life(8 * SECOND)];
        let told = effects(&killed);
        assert_eq!((told[0].took, told[0].after_ns), (Some(Took::AtStart), Some(SECOND / 2)));
        let restarted = record("--------....++++", &[(4, set()), (8, Turn::Kill), (12, Turn::Restart)]);
        assert_eq!(effects(&restarted)[0].took, Some(Took::AtStart), "killed, and started again by a change");
    }

    #[test]
    fn a_change_that_could_not_be_made_leaves_the_others_their_time() {
        let mut record = record("--------++++++++", &[(4, set()), (6, Turn::Relisten), (8, Turn::Restart)]);
        (record.turned[1].done_ns, record.turned[1].error) = (None, Some("EPERM".into()));
        assert_eq!(effects(&record)[0].took, Some(Took::AtStart));
    }

    #[test]
    fn a_change_that_was_not_made_did_nothing() {
        let mut record = record("----++++", &[(4, set())]);
        record.turned[0].done_ns = None;
        record.turned[0].error = Some("EPERM".into());
        let told = effects(&record);
        assert_eq!((told[0].took, told[0].words.as_str()), (None, "it was not made: EPERM"));
    }
}
