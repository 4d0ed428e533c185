//! What is one for the whole host: open files, the per-processor backlog, the limit of connection tracking, the target's
//! control group, and the neighbour tables, whose statistics
//! the kernel shows in its first network namespace only (`neigh_table_init`, `net/core/neighbour.c`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use brimful_evidence::cgroup::cpu_stat;
use brimful_evidence::named_log::NamedLog;
use brimful_evidence::per_cpu::softnet_stat;
use brimful_evidence::proc::{file_nr, one_number};
use brimful_evidence::record::Source;
use brimful_evidence::series::Series;
use brimful_evidence::tracepoint::drop_reasons;
use rustix::process::getppid;

use super::budget::Budget;
use super::meter::merge;
use super::plain::{PER_CPU_SHARE, PerCpuFile, PlainFile};

#[derive(Debug)]
pub(super) struct Host {
    file_nr: PlainFile,
    softnet: PlainFile,
    softnet_budget: Budget,
    neighbours: [PerCpuFile; 2],
    conntrack_max: PlainFile,
    inotify_max: PlainFile,
    target_cgroup: Option<PlainFile>,
    /// Whether the kernel would give reasons for drops: looked at once, because no verdict needs them.
    drop_reasons: PlainFile,
    log: NamedLog,
}

/// The folder of the process that made this one: it stands outside the sandbox, in the host's first network namespace unless brimful
/// itself runs in a container. `proc_root` itself shows the namespace of this process.
fn first_namespace(proc_root: &Path) -> PathBuf {
    let parent = getppid().map(|pid| proc_root.join(pid.as_raw_nonzero().to_string()));
    parent.filter(|folder| folder.join("net/stat").exists()).unwrap_or_else(|| proc_root.to_path_buf())
}

/// Where tracefs is mounted: since Linux 4.1 in a place of its own, before that below debugfs.
fn tracing() -> PathBuf {
    let older = PathBuf::from("/sys/kernel/debug/tracing");
    if older.join("events").exists() { older } else { PathBuf::from("/sys/kernel/tracing") }
}

impl Host {
    pub(super) fn open(proc_root: &Path) -> Self {
        Self {
            file_nr: PlainFile::open("file-nr", &proc_root.join("sys/fs/file-nr")),
            softnet: PlainFile::open("softnet", &proc_root.join("net/softnet_stat")),
            softnet_budget: Budget::one_in(PER_CPU_SHARE),
            neighbours: ["arp_cache", "ndisc_cache"]
                .map(|name| PerCpuFile::open(name, name, &first_namespace(proc_root).join("net/stat").join(name))),
            conntrack_max: PlainFile::open("conntrack.max", &proc_root.join("sys/net/netfilter/nf_conntrack_max")),
            inotify_max: PlainFile::open("inotify.max", &proc_root.join("sys/fs/inotify/max_user_instances")),
            target_cgroup: None,
            drop_reasons: PlainFile::open("tracepoint.skb:kfree_skb", &tracing().join("events/skb/kfree_skb/format")),
            log: NamedLog::default(),
        }
    }

    pub(super) fn watch_cgroup(&mut self, folder: &Path) {
        self.target_cgroup = Some(PlainFile::open("cgroup.cpu", &folder.join("cpu.stat")));
    }

    pub(super) fn forgive(&mut self) {
        self.softnet_budget.forgive();
        self.neighbours.iter_mut().for_each(PerCpuFile::forgive);
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
        self.conntrack_max.sample(buffer, |text| {
            log.record(at_ns, &["nf_conntrack.max"], one_number(text)?);
            Ok(())
        });
        self.inotify_max.sample(buffer, |text| {
            log.record(at_ns, &["fs.inotify.max_user_instances"], one_number(text)?);
            Ok(())
        });
        self.drop_reasons.sample(buffer, drop_reasons);
        self.drop_reasons.file = None;
        if let Some(group) = &mut self.target_cgroup {
            group.sample(buffer, |text| {
                cpu_stat(text, |name, value| log.record(at_ns, &["cgroup.target", name], value))
            });
        }
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
        merge(sources, self.conntrack_max.meter.into_source(None));
        merge(sources, self.inotify_max.meter.into_source(None));
        if let Some(group) = self.target_cgroup {
            merge(sources, group.meter.into_source(None));
        }
        merge(sources, self.drop_reasons.meter.into_source(None));
        for table in self.neighbours {
            merge(sources, table.plain.meter.into_source(None));
        }
        self.log.into_series()
    }
}
