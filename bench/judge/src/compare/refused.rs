//! What cannot be compared or gated, said before anything is. Pure.

use brimful_plan::gate::Metric;

use crate::wording::counted;

/// Why there is no answer at all. None of these is a `pass`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The run has no such arm.
    #[error("there is no arm `{arm}` in this run")]
    NoSuchArm {
        /// What was asked for.
        arm: String,
        /// What there is.
        known: Vec<String>,
    },
    /// One arm was named for both sides.
    #[error("both sides are the arm `{arm}`")]
    SameArm {
        /// Which.
        arm: String,
    },
    /// A side without a cell.
    #[error("`{side}` has no cells: nothing can be judged by it")]
    Empty {
        /// Its name.
        side: String,
    },
    /// Two sides that asked different things.
    #[error("`{base}` and `{head}` have no cell in common")]
    NothingInCommon {
        /// The first.
        base: String,
        /// The second.
        head: String,
        /// The first one's first cell.
        of_base: String,
        /// The second one's first cell.
        of_head: String,
    },
    /// A glob that is none.
    #[error("`{glob}` is no glob: {why}")]
    Glob {
        /// What was typed.
        glob: String,
        /// What is wrong with it.
        why: String,
    },
    /// A glob that no cell fits.
    #[error("no cell fits `{glob}`")]
    NoCellFits {
        /// What was typed.
        glob: String,
        /// The cells.
        known: Vec<String>,
    },
    /// A family that these blocks cannot judge.
    #[error("{}", too_few(*.blocks, *.needed, *.cells, .metrics))]
    TooFewBlocks {
        /// Blocks that both sides have.
        blocks: u32,
        /// Blocks that the family takes.
        needed: u32,
        /// Cells.
        cells: u32,
        /// Metrics of each.
        metrics: Vec<Metric>,
    },
    /// Only ceilings were to be judged, and there is none.
    #[error("there is no ceiling to judge by")]
    NoCeiling,
    /// The baseline could not tell itself from itself.
    #[error("the A/A of the baseline failed: the machine it was made on tells equals apart")]
    BaselineFailedAa,
}

fn too_few(blocks: u32, needed: u32, cells: u32, metrics: &[Metric]) -> String {
    let names: Vec<&str> = metrics.iter().map(|metric| metric.name()).collect();
    format!(
        "{} by {} ({}) are {}, which take {needed} blocks of each side; there {} {blocks}",
        counted(cells.into(), "cell"),
        counted(metrics.len() as u64, "metric"),
        names.join(", "),
        counted(u64::from(cells) * metrics.len() as u64, "comparison"),
        if blocks == 1 { "is" } else { "are" },
    )
}

impl Refused {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::NoSuchArm { known, .. } if known.is_empty() => {
                "run it with arms, as in `brimful run --arm base:… --arm head:…`".to_owned()
            }
            Self::NoSuchArm { known, .. } => format!("its arms are {}", quoted(known)),
            Self::SameArm { .. } => "name two, as in --arms base,head".to_owned(),
            Self::Empty { .. } => "give a run that measured something".to_owned(),
            Self::NothingInCommon { of_base, of_head, .. } => {
                format!("one has `{of_base}`, the other `{of_head}`; give two runs of one scenario")
            }
            Self::Glob { .. } => "write for example 'somaxconn=128,*'".to_owned(),
            Self::NoCellFits { known, .. } => format!("the cells are {}", quoted(known)),
            Self::TooFewBlocks { needed, .. } => format!(
                "run with --blocks {needed}, or judge fewer (--cells, --metric); --ceilings-only takes any number of blocks"
            ),
            Self::NoCeiling => {
                "give one, as in --ceiling latency.p99=50ms, or write it into [gate] of the scenario".to_owned()
            }
            Self::BaselineFailedAa => {
                "make a new baseline on a quieter machine, and try it with `brimful aa`".to_owned()
            }
        }
    }
}

/// At most a dozen names in backquotes.
fn quoted(names: &[String]) -> String {
    const MOST: usize = 12;
    let mut text = names.iter().take(MOST).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if names.len() > MOST {
        text += &format!(" and {} more", names.len() - MOST);
    }
    text
}
