//! What is one for the whole host: open files, the per-processor backlog, and the neighbour tables, whose statistics
//! the kernel shows in its first network namespace only (`neigh_table_init`, `net/core/neighbour.c`).

use std::collections::BTreeMap;
use std::path::Path;

use super::budget::Budget;
use super::meter::merge;
use super::plain::{PER_CPU_SHARE, PerCpuFile, PlainFile};
use crate::evidence::named_log::NamedLog;
use crate::evidence::per_cpu::softnet_stat;
use crate::evidence::proc::file_nr;
use crate::evidence::record::Source;
use crate::evidence::series::Series;

#[derive(Debug)]
pub(super) struct Host {
    file_nr: PlainFile,
    softnet: PlainFile,
    softnet_budget: Budget,
    neighbours: [PerCpuFile; 2],
    log: NamedLog,
}

impl Host {
    pub(super) fn open(proc_root: &Path) -> Self {
        Self {
            file_nr: PlainFile::open("file-nr", &proc_root.join("sys/fs/file-nr")),
            softnet: PlainFile::open("softnet", &proc_root.join("net/softnet_stat")),
            softnet_budget: Budget::one_in(PER_CPU_SHARE),
            neighbours: ["arp_cache", "ndisc_cache"]
                .map(|name| PerCpuFile::open(name, name, &proc_root.join("net/stat").join(name))),
            log: NamedLog::default(),
        }
    }

    pub(super) fn sample(&mut self, at_ns: u64, buffer: &mut Vec<u8>) {
        for table in &mut self.neighbours {
            table.sample(at_ns, buffer, &mut self.log);
        }
        let log = &mut self.log;
        self.file_nr.sample(buffer, |text| {
            let read = file_nr(text)?;
            log.record(at_ns, &["fs.file-nr.allocated"], read.allocated);
            log.record(at_ns, &["fs.file-nr.max"], read.max);
            Ok(())
        });
        if self.softnet_budget.allows(at_ns, false) {
            let each = |name: &str, value| log.record(at_ns, &["softnet", name], value);
            if let Some(cost_ns) = self.softnet.sample(buffer, |text| softnet_stat(text, each)) {
                self.softnet_budget.spend(at_ns, cost_ns);
            }
        }
    }

    pub(super) fn finish(self, sources: &mut Vec<Source>) -> BTreeMap<String, Series> {
        merge(sources, self.file_nr.meter.into_source(None));
        merge(sources, self.softnet.meter.into_source(None));
        for table in self.neighbours {
            merge(sources, table.plain.meter.into_source(None));
        }
        self.log.into_series()
    }
}
