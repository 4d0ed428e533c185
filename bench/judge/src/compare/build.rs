//! From two sides to a comparison. Pure.

use brimful_plan::gate::{Gate, Metric};

use super::super::metric::{self, Value};
use super::super::report::CellReport;
use super::super::stats::{ALPHA, LEAST_BLOCKS, Paired, adjusted, blocks_for, blocks_to_settle, smallest_effect};
use super::caveat::{Common, caveats};
use super::side::Chosen;
use super::{
    Answer, COMPARISON_VERSION, CellComparison, Comparison, Effect, Family, MetricComparison, Pair, Question, Reason,
    Refused, Scale, Seen, Side, decide,
};

/// Compares two sides by the metrics, the cells and the tolerances of `rules`. Failure rate and restricted mean are always among the metrics.
///
/// Blocks are paired by their number. A void block is no data, and so is its partner.
///
/// # Errors
/// When the first side has no cell, when `rules` chooses none, when the sides have none in common though each has some, and when both are one arm.
pub fn compare(base: &Side<'_>, head: &Side<'_>, rules: &Gate, question: Question) -> Result<Comparison, Refused> {
    if base.interleaved_with(head) && base.name == head.name {
        return Err(Refused::SameArm { arm: base.name.to_owned() });
    }
    let chosen = Chosen::by(rules.cells.as_deref())?;
    let (of_base, of_head) = (base.cells(), head.cells());
    if of_base.is_empty() {
        return Err(Refused::Empty { side: base.name.to_owned() });
    }
    let known = || of_base.iter().chain(&of_head).map(|(id, _)| *id).chain(head.not_run());
    if !known().any(|id| chosen.has(id)) {
        let mut ids: Vec<String> = Vec::new();
        known().for_each(|id| {
            if ids.iter().all(|seen| seen != id) {
                ids.push(id.to_owned())
            }
        });
        return Err(Refused::NoCellFits { glob: rules.cells.clone().unwrap_or_default(), known: ids });
    }
    let common: Vec<Common<'_>> = of_head
        .iter()
        .filter(|(id, _)| chosen.has(id))
        .filter_map(|&(id, b)| of_base.iter().find(|(other, _)| *other == id).map(|&(_, a)| (id, a, b)))
        .collect();
    if let ([], Some((of_base, _)), Some((of_head, _))) = (common.as_slice(), of_base.first(), of_head.first()) {
        return Err(Refused::NothingInCommon {
            base: base.name.to_owned(),
            head: head.name.to_owned(),
            of_base: (*of_base).to_owned(),
            of_head: (*of_head).to_owned(),
        });
    }
    let metrics = rules.tested();
    let family = family(common.len(), &metrics);
    let timed = [base, head].iter().all(|side| side.report.host.times_mean_something());
    let mut cells: Vec<CellComparison> = common.iter().map(|cell| of_cell(cell, rules, &metrics, timed)).collect();
    conclude(&mut cells, &family, question);
    let absent = |ids: &mut dyn Iterator<Item = &str>, there: &[(&str, &CellReport)]| -> Vec<String> {
        let mut absent: Vec<String> = Vec::new();
        for id in ids.filter(|id| chosen.has(id) && there.iter().all(|(other, _)| other != id)) {
            if absent.iter().all(|seen| seen != id) {
                absent.push(id.to_owned());
            }
        }
        absent
    };
    // What the second side planned and did not run is missing too, whatever the first one has.
    let missing = absent(&mut of_base.iter().map(|(id, _)| *id).chain(head.not_run()), &of_head);
    let new = absent(&mut of_head.iter().map(|(id, _)| *id), &of_base);
    let weights = cells.iter().flat_map(|cell| &cell.metrics).map(MetricComparison::weight);
    let of_missing = if missing.is_empty() { Answer::NotTested } else { Answer::Fail };
    Ok(Comparison {
        comparison_version: COMPARISON_VERSION,
        scenario: head.report.scenario.clone(),
        question,
        base: base.name.to_owned(),
        head: head.name.to_owned(),
        interleaved: base.interleaved_with(head),
        blocks: blocks(&common),
        alpha: ALPHA,
        family,
        caveats: caveats(base, head, &common),
        answer: weights.fold(of_missing, Answer::and),
        missing,
        new,
        cells,
    })
}

fn family(cells: usize, metrics: &[Metric]) -> Family {
    let comparisons = cells * metrics.len();
    Family {
        cells: cells as u32,
        metrics: metrics.to_vec(),
        comparisons: comparisons as u32,
        blocks_needed: blocks_for(comparisons),
    }
}

/// Blocks that both sides have of at least one cell: what was run, not what came of it.
fn blocks(common: &[Common<'_>]) -> u32 {
    let shared = |(_, a, b): &Common<'_>| {
        a.blocks.iter().filter(|block| b.blocks.iter().any(|other| other.block == block.block)).count() as u32
    };
    common.iter().map(shared).max().unwrap_or(0)
}

fn of_cell(&(id, a, b): &Common<'_>, rules: &Gate, metrics: &[Metric], timed: bool) -> CellComparison {
    let seen = |cell: &CellReport| Seen { outcome: cell.outcome, cause: cell.verdict.cause };
    CellComparison {
        id: id.to_owned(),
        base: seen(a),
        head: seen(b),
        metrics: metrics.iter().map(|&metric| of_metric(metric, a, b, rules.tolerance_of(metric), timed)).collect(),
    }
}

/// Values, effect and raw p; the answer waits for the whole family.
fn of_metric(metric: Metric, a: &CellReport, b: &CellReport, tolerance: f64, timed: bool) -> MetricComparison {
    let (of_base, of_head) = (metric::by_block(metric, a), metric::by_block(metric, b));
    let mut numbers: Vec<u32> = of_base.keys().chain(of_head.keys()).copied().collect();
    numbers.sort_unstable();
    numbers.dedup();
    let pair = |block| Pair { block, base: of_base.get(&block).copied(), head: of_head.get(&block).copied() };
    let blocks: Vec<Pair> = numbers.into_iter().map(pair).collect();
    let whole: Vec<(Value, Value)> = blocks.iter().filter_map(|pair| pair.base.zip(pair.head)).collect();
    let refused = (!timed)
        .then(|| untimed(metric))
        .flatten()
        .or_else(|| refusal(metric, (a.probe.timeout_ns, b.probe.timeout_ns), &whole));
    let paired = Paired::new(if refused.is_some() { Vec::new() } else { differences(metric, &whole) });
    let too_few = (paired.blocks() as u32) < LEAST_BLOCKS;
    let few = Reason::TooFewBlocks { blocks: paired.blocks() as u32, least: LEAST_BLOCKS };
    MetricComparison {
        metric,
        answer: Answer::NotTested,
        reason: refused.or(too_few.then_some(few)),
        tolerance,
        base: typical(metric, &whole, of_base.into_values(), |pair| pair.0),
        head: typical(metric, &whole, of_head.into_values(), |pair| pair.1),
        effect: effect(metric, &paired),
        p: refused.is_none().then(|| paired.p()),
        p_adjusted: None,
        smallest_effect: None,
        blocks_to_settle: None,
        blocks,
    }
}

/// What depends on how fast a machine is says nothing of one whose instructions were translated.
fn untimed(metric: Metric) -> Option<Reason> {
    metric::is_timed(metric).then_some(Reason::Translated)
}

fn refusal(metric: Metric, timeouts: (u64, u64), pairs: &[(Value, Value)]) -> Option<Reason> {
    if metric::is_latency(metric) && timeouts.0 != timeouts.1 {
        return Some(Reason::OtherTimeout { base_ns: timeouts.0, head_ns: timeouts.1 });
    }
    if pairs.is_empty() {
        return Some(Reason::NoPairs);
    }
    let censored = |value: &Value| value.known().is_none();
    let base = pairs.iter().filter(|(base, _)| censored(base)).count() as u32;
    let head = pairs.iter().filter(|(_, head)| censored(head)).count() as u32;
    // The pairs that are left would be the good ones: to test those alone is to look away where it is bad.
    (base + head > 0).then_some(Reason::Censored { base, head, of: pairs.len() as u32 })
}

fn differences(metric: Metric, pairs: &[(Value, Value)]) -> Vec<f64> {
    let known = pairs.iter().filter_map(|(base, head)| base.known().zip(head.known()));
    known.map(|(base, head)| decide::difference(metric, base, head)).collect()
}

/// The paired differences of a comparison that is tested.
fn paired(comparison: &MetricComparison) -> Paired {
    let whole: Vec<(Value, Value)> = comparison.blocks.iter().filter_map(|pair| pair.base.zip(pair.head)).collect();
    Paired::new(differences(comparison.metric, &whole))
}

fn effect(metric: Metric, paired: &Paired) -> Option<Effect> {
    let interval = paired.interval(ALPHA);
    let on_scale = |difference: f64| decide::on_scale(metric, difference);
    Some(Effect {
        scale: decide::scale(metric),
        estimate: on_scale(paired.estimate()?),
        low: interval.low.map(on_scale),
        high: interval.high.map(on_scale),
    })
}

/// What the blocks of one side come to: those that have a partner, so that the second over the first is the ratio that is shown; all, where none has.
fn typical(
    metric: Metric,
    pairs: &[(Value, Value)],
    all: impl Iterator<Item = Value>,
    side: fn(&(Value, Value)) -> Value,
) -> Option<Value> {
    let mut values: Vec<Value> = if pairs.is_empty() { all.collect() } else { pairs.iter().map(side).collect() };
    let known: Vec<f64> = values.iter().filter_map(|value| value.known()).collect();
    if known.len() < values.len() {
        let rank = |value: &Value| match *value {
            Value::Known(known) => (false, known),
            Value::AtLeast { at_least } => (true, at_least),
        };
        values.sort_by(|a, b| rank(a).0.cmp(&rank(b).0).then(rank(a).1.total_cmp(&rank(b).1)));
        return values.get(values.len() / 2).copied();
    }
    let mean = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / known.len() as f64;
    (!known.is_empty()).then(|| match decide::scale(metric) {
        Scale::Difference => Value::Known(mean(&mut known.iter().copied())),
        // All noughts stay nought; see `difference` for one among others.
        Scale::Ratio if known.iter().all(|&value| value == 0.0) => Value::Known(0.0),
        Scale::Ratio => Value::Known(mean(&mut known.iter().map(|value| value.max(1.0).ln())).exp()),
    })
}

/// Gives every comparison its place in the family, and with that its answer.
fn conclude(cells: &mut [CellComparison], family: &Family, question: Question) {
    let mut tested: Vec<&mut MetricComparison> =
        cells.iter_mut().flat_map(|cell| &mut cell.metrics).filter(|comparison| comparison.p.is_some()).collect();
    let raw: Vec<f64> = tested.iter().filter_map(|comparison| comparison.p).collect();
    let comparisons = family.comparisons as usize;
    for (comparison, p_adjusted) in tested.iter_mut().zip(adjusted(&raw, comparisons)) {
        let (metric, paired) = (comparison.metric, paired(comparison));
        let limit = decide::limit(metric, comparison.tolerance);
        let answer = decide::answer(question, metric, paired.interval(ALPHA), p_adjusted, limit);
        comparison.answer = answer;
        comparison.p_adjusted = Some(p_adjusted);
        comparison.smallest_effect = smallest_effect(&paired, ALPHA / family.comparisons.max(1) as f64)
            .map(|effect| decide::on_scale(metric, decide::worse(metric, effect)));
        if answer == Answer::Inconclusive {
            let turned = decide::worse(metric, 1.0);
            let estimate = paired.estimate().unwrap_or(0.0) * turned;
            // The side of the tolerance that the estimate is nearer to is the one in doubt.
            let in_doubt = if question == Question::Same && estimate < 0.0 { -limit } else { limit };
            comparison.blocks_to_settle = blocks_to_settle(&paired, in_doubt * turned, comparisons);
        }
    }
}
