//! `brimful aa`: one thing under two labels, to learn how much of a difference this machine makes by itself.

use std::path::PathBuf;

use brimful_judge::compare::{Chosen, Question, Side};
use brimful_judge::gate as judge;
use brimful_judge::stats::blocks_for;
use brimful_live::interrupt::Interrupt;
use brimful_live::machine;
use brimful_plan::arm::{Arm, id_without_arm};
use brimful_plan::gate::Gate;
use brimful_plan::order::{BLOCKS_MOST, SEED_MOST};
use brimful_report::gate::{markdown, text};
use brimful_runner::store::RunDirectory;
use clap::Args;

use super::rules::{Form, Rules};
use super::run::{Here, Prepared, Wish, out_for, prepare, run_prepared};
use super::{look, put, say, sources};
use crate::error::{Error, ExitStatus};

/// The two labels.
const LABELS: [&str; 2] = ["a", "b"];

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  brimful aa smoke
  brimful aa my.toml --blocks 20 --beside baseline

Both arms are the same, so a gate between them ought to pass: where it fails, the noise of this
machine is larger than the tolerance, and no gate on it can be trusted. Without --blocks as many
are run as the comparisons take.
Exit status: 0 pass, 4 fail, 5 not settled.")]
pub(super) struct AaOptions {
    /// A file, or the name of a built-in scenario; its [arms] are put aside
    scenario: String,
    /// Run every cell N times under each label
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(BLOCKS_MOST)))]
    blocks: Option<u32>,
    /// The seed of the order, to repeat a run
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=SEED_MOST))]
    seed: Option<u64>,
    /// Where to write; must be new or empty [default: brimful-out/aa-NAME-TIME]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write into a folder that is not empty
    #[arg(long)]
    force: bool,
    /// Put the answer beside the report of an earlier run as well, for a gate that takes it for a baseline
    #[arg(long, value_name = "RUN")]
    beside: Option<PathBuf>,
    #[command(flatten)]
    rules: Rules,
    /// The form
    #[arg(long, value_enum, default_value_t)]
    format: Form,
    /// Lines instead of a progress display, also on a terminal
    #[arg(long)]
    plain: bool,
}

pub(super) fn aa(options: &AaOptions) -> Result<ExitStatus, Error> {
    let beside = options.beside.as_deref().map(RunDirectory::open).transpose()?;
    let found = sources::find(std::slice::from_ref(&options.scenario))?;
    let [source] = found.as_slice() else {
        return Err(Error::Usage {
            what: format!("`{}` is several scenarios, and an A/A is of one", options.scenario),
            hint: "name one of its files".to_owned(),
        });
    };
    let machine = machine::read().map_err(|source| Error::Machine { doing: "read this machine's limits", source })?;
    let rules = options.rules.over(source.scenario.gate.clone().unwrap_or_default());
    let arms = LABELS.map(|label| Arm { name: label.to_owned(), set: Vec::new() }).to_vec();
    let wish = |blocks| Wish { arms: arms.clone(), ..Wish::blocks(blocks, options.seed) };
    let blocks = match options.blocks {
        Some(blocks) => blocks,
        None => blocks_for(comparisons(&prepare(source, &wish(1), &machine)?, &rules)?),
    };
    let prepared = prepare(source, &wish(blocks), &machine)?;
    let out = out_for(options.out.as_deref(), "aa-", &source.scenario.name, false);
    let directory = RunDirectory::create(&out, options.force)?;
    let interrupt = Interrupt::install().map_err(|source| Error::Machine { doing: "listen for signals", source })?;
    let here = Here { machine: &machine, interrupt: &interrupt, book: None, plain: options.plain, verify: true };
    let ran = run_prepared(&prepared, &directory, here)?;
    say(&format!("saved in {}", directory.path().display()));
    if interrupt.seen().is_some() {
        return Ok(ran.status);
    }
    let [a, b] = LABELS.map(|label| Side::arm(&ran.report, label));
    let answer = judge::gate(&a?, &b?, &rules, Question::Same)?;
    directory.save_aa(&answer)?;
    if let Some(beside) = beside {
        beside.save_aa(&answer)?;
    }
    put(&match options.format {
        Form::Text => text::render(&answer, look()),
        Form::Md => markdown::render(&answer),
        Form::Json => format!("{}\n", serde_json::to_string_pretty(&answer).unwrap_or_default()),
    });
    Ok(ran.status.worse(answer.answer.into()))
}

/// How many comparisons the A/A is of: the cells of one label that the rules name, by the metrics.
fn comparisons(prepared: &Prepared, rules: &Gate) -> Result<usize, Error> {
    let chosen = Chosen::by(rules.cells.as_deref())?;
    let first = prepared.cells.len() / LABELS.len();
    let named = prepared.cells.iter().take(first).filter(|cell| chosen.has(id_without_arm(&cell.id)));
    Ok(named.count() * rules.tested().len())
}
