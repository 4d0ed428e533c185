//! `brimful gate`: whether a run may pass. The exit status is the answer: 0, 4 or 5.

use std::path::PathBuf;

use brimful_judge::compare::Question;
use brimful_judge::gate::{self as judge, GateAnswer};
use brimful_plan::gate::Metric;
use brimful_report::gate::{markdown, text};
use brimful_runner::store;
use clap::Args;

use super::rules::{Form, Loaded, Rules, ceiling};
use super::{look, put};
use crate::error::{Error, ExitStatus};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  brimful gate RUN --arms base,head
  brimful gate --baseline before after --tolerance latency.p99=15%
  brimful gate RUN --ceilings-only --ceiling latency.p99=50ms --ceiling failure-rate=0
  brimful gate RUN --arms base,head --summary \"$GITHUB_STEP_SUMMARY\"

Without flags it goes by the [gate] of the scenario.
Exit status: 0 pass, 4 fail, 5 not settled, 2 when there is nothing to judge by: fewer blocks
than the comparisons take, a baseline without cells, or one whose A/A failed.")]
pub(super) struct GateOptions {
    /// The run in question: a folder that `brimful run` wrote, or the report.json in it
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// An earlier run to hold it against
    #[arg(long, value_name = "RUN", conflicts_with = "arms")]
    baseline: Option<PathBuf>,
    /// Hold one arm of the run against another
    #[arg(long, value_name = "BASE,HEAD", value_delimiter = ',')]
    arms: Vec<String>,
    #[command(flatten)]
    rules: Rules,
    /// What a metric may not pass in any block: latency.p99=50ms, failure-rate=1%, load.held=12000 (a floor)
    #[arg(long, value_name = "METRIC=VALUE", value_parser = ceiling)]
    ceiling: Vec<(Metric, f64)>,
    /// Judge by the ceilings alone: any number of blocks, no baseline
    #[arg(long)]
    ceilings_only: bool,
    /// The form
    #[arg(long, value_enum, default_value_t)]
    format: Form,
    /// Add the answer to a file, in Markdown
    #[arg(long, value_name = "FILE")]
    summary: Option<PathBuf>,
}

pub(super) fn gate(options: &GateOptions) -> Result<ExitStatus, Error> {
    let run = Loaded::read(&options.run)?;
    let baseline = options.baseline.as_deref().map(Loaded::read).transpose()?;
    let answer = judged(options, &run, baseline.as_ref())?;
    put(&match options.format {
        Form::Text => text::render(&answer, look()),
        Form::Md => markdown::render(&answer),
        Form::Json => format!("{}\n", serde_json::to_string_pretty(&answer).unwrap_or_default()),
    });
    if let Some(file) = &options.summary {
        store::append(file, &markdown::render(&answer))?;
    }
    Ok(answer.answer.into())
}

fn judged(options: &GateOptions, run: &Loaded, baseline: Option<&Loaded>) -> Result<GateAnswer, Error> {
    let mut rules = options.rules.over(judge::rules_of(baseline.map(|base| &base.report), &run.report));
    rules.ceiling.extend(options.ceiling.iter().copied());
    let (base, head) = match baseline {
        Some(baseline) => (Some(baseline.side()), run.side()),
        None if options.arms.is_empty() => (None, run.side()),
        None => {
            let (base, head) = run.arms(&options.arms)?;
            (Some(base), head)
        }
    };
    if options.ceilings_only {
        return Ok(judge::ceilings_only(&head, &rules)?);
    }
    let Some(base) = base else {
        return Err(Error::Usage {
            what: format!("there is nothing to hold `{}` against", run.name),
            hint: "give --baseline RUN or --arms base,head, or judge it by --ceilings-only".to_owned(),
        });
    };
    // Where the arms are of one run, what its machine is worth is told by that run's own A/A.
    if let Some(aa) = store::read_aa(&baseline.unwrap_or(run).folder)? {
        judge::trusted(&aa)?;
    }
    Ok(judge::gate(&base, &head, &rules, Question::Worse)?)
}
