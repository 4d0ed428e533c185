//! A file of `/proc` together with the account of reading it.

use std::path::Path;

use brimful_evidence::named_log::NamedLog;
use brimful_evidence::per_cpu::stat_table;
use brimful_evidence::proc::ProcError;

use super::budget::Budget;
use super::file::{FileError, ProcFile};
use super::meter::Meter;

/// A source that is one file. One that cannot be opened is given up at once.
#[derive(Debug)]
pub(super) struct PlainFile {
    pub(super) meter: Meter,
    pub(super) file: Option<ProcFile>,
}

impl PlainFile {
    pub(super) fn open(name: &'static str, path: &Path) -> Self {
        let mut meter = Meter::new(name);
        let file = ProcFile::open(path).inspect_err(|error| meter.give_up(error)).ok();
        Self { meter, file }
    }

    /// Reads and parses; returns what it cost, in nanoseconds.
    pub(super) fn sample(
        &mut self,
        buffer: &mut Vec<u8>,
        parse: impl FnOnce(&str) -> Result<(), ProcError>,
    ) -> Option<u64> {
        let file = self.file.as_ref()?;
        let reading = || -> Result<(), FileError> {
            let text = file.read(buffer)?;
            parse(text).map_err(|error| file.nonsense(error))
        };
        self.meter.read(reading).map(|((), cost_ns)| cost_ns)
    }
}

/// Tables with a row for each processor cost the more the more processors there are; they may take a 500th of a core.
pub(super) const PER_CPU_SHARE: u64 = 500;

/// A table of `/proc/net/stat`.
#[derive(Debug)]
pub(super) struct PerCpuFile {
    pub(super) plain: PlainFile,
    group: &'static str,
    budget: Budget,
}

impl PerCpuFile {
    /// The names of its columns are kept as `group.column`.
    pub(super) fn open(name: &'static str, group: &'static str, path: &Path) -> Self {
        Self { plain: PlainFile::open(name, path), group, budget: Budget::one_in(PER_CPU_SHARE) }
    }

    pub(super) fn forgive(&mut self) {
        self.budget.forgive();
    }

    pub(super) fn sample(&mut self, at_ns: u64, buffer: &mut Vec<u8>, log: &mut NamedLog) {
        if !self.budget.allows(at_ns, false) {
            return;
        }
        let each = |name: &str, value| log.record(at_ns, &[self.group, name], value);
        if let Some(cost_ns) = self.plain.sample(buffer, |text| stat_table(text, each)) {
            self.budget.spend(at_ns, cost_ns);
        }
    }
}
