//! One side of a comparison: a run, or one arm of a run. Pure.

use brimful_plan::arm::{ARM, id_without_arm};
use brimful_plan::cell::KnobValue;
use globset::{Glob, GlobMatcher};

use super::super::report::{CellReport, Report};
use super::Refused;

/// A run or an arm, under the name that it has on the page.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    pub(crate) name: &'a str,
    pub(crate) report: &'a Report,
    arm: Option<&'a str>,
}

impl<'a> Side<'a> {
    /// A whole run under any name; its path, as a rule.
    #[must_use]
    pub const fn run(name: &'a str, report: &'a Report) -> Self {
        Self { name, report, arm: None }
    }

    /// One arm of a run, under its own name.
    ///
    /// # Errors
    /// [`Refused::NoSuchArm`].
    pub fn arm(report: &'a Report, arm: &'a str) -> Result<Self, Refused> {
        if report.arms.iter().any(|known| known.name == arm) {
            return Ok(Self { name: arm, report, arm: Some(arm) });
        }
        let known = report.arms.iter().map(|known| known.name.clone()).collect();
        Err(Refused::NoSuchArm { arm: arm.to_owned(), known })
    }

    /// Its cells that have a record, by their ids without the arm.
    pub(crate) fn cells(&self) -> Vec<(&'a str, &'a CellReport)> {
        let own = self.report.cells.iter().filter(|cell| self.owns(cell.knobs.get(ARM).map(|knob| &knob.asked)));
        own.map(|cell| (self.own_id(&cell.id), cell)).collect()
    }

    /// The ids of cells that were planned and have no record at all.
    pub(crate) fn not_run(&self) -> Vec<&'a str> {
        let planned = self.report.missing.iter().filter(|cell| self.owns(cell.knobs.get(ARM).map(|knob| &knob.asked)));
        let without = planned.filter(|missing| self.report.cells.iter().all(|cell| cell.id != missing.id));
        without.map(|missing| self.own_id(&missing.id)).collect()
    }

    /// Whether the other side was run in turns with this one.
    pub(crate) fn interleaved_with(&self, other: &Self) -> bool {
        self.arm.is_some() && other.arm.is_some() && std::ptr::eq(self.report, other.report)
    }

    /// The knobs that this side sets by being an arm.
    pub(crate) fn own_knobs(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let arm = self.arm;
        let own = self.report.arms.iter().filter(move |known| Some(known.name.as_str()) == arm);
        own.flat_map(|known| &known.set).map(|(knob, _)| knob.as_str())
    }

    fn owns(&self, arm: Option<&KnobValue>) -> bool {
        match self.arm {
            None => true,
            Some(own) => matches!(arm, Some(KnobValue::Word(name)) if name == own),
        }
    }

    /// An id without `arm=NAME`, which comes first in it.
    fn own_id(&self, id: &'a str) -> &'a str {
        if self.arm.is_none() {
            return id;
        }
        id_without_arm(id)
    }
}

/// The cells that a gate looks at.
pub enum Chosen {
    All,
    Fitting(GlobMatcher),
}

impl Chosen {
    pub fn by(glob: Option<&str>) -> Result<Self, Refused> {
        let Some(glob) = glob else { return Ok(Self::All) };
        let malformed = |error: globset::Error| Refused::Glob { glob: glob.to_owned(), why: error.kind().to_string() };
        Ok(Self::Fitting(Glob::new(glob).map_err(malformed)?.compile_matcher()))
    }

    pub fn has(&self, id: &str) -> bool {
        match self {
            Self::All => true,
            Self::Fitting(glob) => glob.is_match(id),
        }
    }
}
