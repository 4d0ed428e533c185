//! `brimful compare`: two sides of one question. A difference is a finding, so the exit status is 0 whatever is found.

use std::path::PathBuf;

use brimful_judge::compare::Question;
use brimful_judge::{compare as judge, gate};
use brimful_report::compare::{markdown, text};
use clap::Args;

use super::rules::{Form, Loaded, Rules};
use super::{look, put};
use crate::error::{Error, ExitStatus};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  brimful compare RUN --arms base,head        two arms of one run, which took turns
  brimful compare before after                two runs: the weaker evidence
  brimful compare before after --metric latency.p50,load.rate --cells '*nofile=1024*'
  brimful compare RUN --arms base,head --format md >> comment.md

A run is a folder that `brimful run` wrote, or the report.json in it. Blocks are compared, never
single probes: below 8 blocks there is no answer, only an estimate.")]
pub(super) struct CompareOptions {
    /// Two runs, or one with --arms; the first is what the second is held against
    #[arg(required = true, num_args = 1..=2, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// Two arms of one run
    #[arg(long, value_name = "BASE,HEAD", value_delimiter = ',')]
    arms: Vec<String>,
    #[command(flatten)]
    rules: Rules,
    /// The form
    #[arg(long, value_enum, default_value_t)]
    format: Form,
}

pub(super) fn compare(options: &CompareOptions) -> Result<ExitStatus, Error> {
    let runs: Vec<Loaded> = options.runs.iter().map(|run| Loaded::read(run)).collect::<Result<_, _>>()?;
    let (base, head, rules) = match (runs.as_slice(), options.arms.is_empty()) {
        ([run], false) => {
            let (base, head) = run.arms(&options.arms)?;
            (base, head, gate::rules_of(None, &run.report))
        }
        ([a, b], true) => (a.side(), b.side(), gate::rules_of(Some(&a.report), &b.report)),
        (_, arms) => {
            let what = if arms { "one run is not compared with itself" } else { "arms are those of one run" };
            return Err(Error::Usage {
                what: what.to_owned(),
                hint: "give two runs, or one with --arms base,head".to_owned(),
            });
        }
    };
    let comparison = judge::compare(&base, &head, &options.rules.over(rules), Question::Worse)?;
    put(&match options.format {
        Form::Text => text::render(&comparison, look()),
        Form::Md => markdown::render(&comparison),
        Form::Json => format!("{}\n", serde_json::to_string_pretty(&comparison).unwrap_or_default()),
    });
    Ok(ExitStatus::Done)
}
