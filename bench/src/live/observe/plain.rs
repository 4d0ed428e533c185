//! A file of `/proc` together with the account of reading it.

use std::path::Path;

use super::file::{FileError, ProcFile};
use super::meter::Meter;
use crate::evidence::proc::ProcError;

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
