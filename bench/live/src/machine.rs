//! What this machine is and has, read from it.

use std::path::{Path, PathBuf};

use brimful_evidence::proc::{self, FileNr};
use brimful_evidence::record::Host;
use brimful_plan::change::{Change, Turn};
use brimful_plan::cost::Machine;
use brimful_plan::need::Need;
use brimful_plan::scenario::Scenario;
use brimful_target::limits;
use rustix::system::uname;
use rustix::thread::{CapabilitySet, capabilities};

/// Reads this machine's limits for `brimful check` and for every refusal.
///
/// # Errors
/// When its own limits or `/proc` cannot be read.
pub fn read() -> std::io::Result<Machine> {
    let nofile = limits::nofile()?;
    let file_nr = std::fs::read_to_string("/proc/sys/fs/file-nr")?;
    let memory = memory();
    let files = proc::file_nr(&file_nr).unwrap_or(FileNr { allocated: 0, max: u64::MAX });
    Ok(Machine {
        nofile_hard: nofile.hard,
        nofile_soft: nofile.soft,
        memory_available_bytes: memory.available,
        file_max: files.max,
        file_nr: files.allocated,
        cpus: cpus(),
        conntrack_max: conntrack_max(),
        kernel: uname().release().to_string_lossy().into_owned(),
    })
}

/// The part of it that stands in every record.
#[must_use]
pub fn host(machine: &Machine, user_namespace: bool) -> Host {
    Host {
        kernel: machine.kernel.clone(),
        arch: uname().machine().to_string_lossy().into_owned(),
        cpus: machine.cpus,
        memory_bytes: memory().total,
        nofile_hard: machine.nofile_hard,
        user_namespace,
        virtual_machine: virtual_machine(),
    }
}

/// What brimful booted as the guest it is running in; `None` anywhere else, other people's virtual machines included.
fn virtual_machine() -> Option<String> {
    crate::guest::of_this_process()
}

fn conntrack_max() -> Option<u64> {
    std::fs::read_to_string("/proc/sys/net/netfilter/nf_conntrack_max").ok()?.trim().parse().ok()
}

/// Processors that this process may use, at least 1.
pub(super) fn cpus() -> u32 {
    std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(u32::MAX))
}

struct Memory {
    total: u64,
    available: u64,
}

fn memory() -> Memory {
    let text = std::fs::read_to_string(Path::new("/proc/meminfo")).unwrap_or_default();
    let field = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.trim().strip_suffix("kB")?.trim().parse::<u64>().ok())
            .map_or(0, |kib| kib * 1024)
    };
    Memory { total: field("MemTotal:"), available: field("MemAvailable:") }
}

/// What a scenario lacks here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// To be said after *not here, because*: lower case, no full stop.
    pub because: String,
    /// What to do about it.
    pub hint: String,
}

/// Why a scenario cannot be run here: a privilege that this process has not, a program that this machine has not, or, of one among several, a sysctl
/// that this kernel is too old for (of one alone, whoever asked shall read which value was refused).
/// Root of the initial user namespace is told by its id and by a map of all ids onto themselves (`user_namespaces(7)`).
/// `alone` says that nothing else was named with it.
#[must_use]
pub fn missing(scenario: &Scenario, alone: bool) -> Option<Missing> {
    let ids = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let initial = ids.split_whitespace().eq(["0", "0", "4294967295"]);
    let root = rustix::process::geteuid().is_root() && initial;
    let lacks = |need: &Need| match need {
        Need::Root => !root,
        Need::Asking => !alone,
        Need::Vm => virtual_machine().is_none(),
    };
    let missing = |because: String, hint: String| Some(Missing { because, hint });
    if let Some(need) = scenario.needs.iter().copied().find(lacks) {
        return missing(need.because().to_owned(), need.hint().to_owned());
    }
    if let Some(name) = absent(scenario, |name| super::sysctl::standing(name).is_some()).filter(|_| !alone) {
        return missing(format!("this kernel has no `{name}`"), "take a newer one, or brimful vm run".to_owned());
    }
    let command = scenario.target.command.as_ref()?;
    if command.user.is_some() && !root {
        return missing(
            "its server runs as another user, which takes root".to_owned(),
            "run brimful as root".to_owned(),
        );
    }
    let limits = |change: &Change| matches!(&change.what, Turn::Set { knob, .. } if knob == "ulimit.nofile");
    if command.user.is_some() && scenario.changes.iter().any(|(_, change)| limits(change)) && !may_limit_others() {
        return missing(
            "its server runs as another user, whose limits nobody can change here while it runs (prlimit(2) takes CAP_SYS_RESOURCE)"
                .to_owned(),
            "let it run as brimful does (no `user` in [target]), or give brimful CAP_SYS_RESOURCE".to_owned(),
        );
    }
    // An arm or an axis may name another program, which is refused when it is to be started.
    let name = command.argv.first().filter(|name| !name.contains("{{") && program(name).is_none())?;
    missing(format!("there is no program `{name}`"), format!("install `{name}`, or name another in [target] argv"))
}

/// A sysctl of TCP that the scenario sets and this kernel does not have: those are shown in every network namespace.
fn absent(scenario: &Scenario, there: impl Fn(&str) -> bool) -> Option<String> {
    let axes = scenario.axes.iter().map(|axis| axis.knob.clone());
    let arms = scenario.arms.iter().flat_map(|arm| &arm.set).map(|(knob, _)| knob.clone());
    let set = axes.chain(arms).filter_map(|knob| knob.strip_prefix("sysctl.").map(str::to_owned));
    let changed = scenario.changes.iter().filter_map(|(_, change)| Some(change.what.sysctl()?.0));
    let mut of_tcp = set.chain(changed).filter(|name| name.starts_with("net.ipv4.tcp_"));
    of_tcp.find(|name| !there(name))
}

/// Whether this process may set the limits of another user's (`check_prlimit_permission`, `kernel/sys.c`).
fn may_limit_others() -> bool {
    capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_RESOURCE))
}

/// The file of a program: itself where the name is a path, or else the first one in `PATH`, and in the two folders of
/// servers that an ordinary user's `PATH` often lacks.
pub(super) fn program(name: &str) -> Option<PathBuf> {
    let runs = |path: &PathBuf| path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok();
    if name.contains('/') {
        // It may be started in another folder.
        return std::path::absolute(name).ok().filter(runs);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let servers = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(servers).map(|folder| folder.join(name)).find(runs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_kernel_is_too_old_for_is_found_wherever_it_is_set() {
        let head = "question = \"?\"\nload.connections = 10\nload.ramp = \"1s\"\nload.hold = \"3s\"\n";
        let name = "net.ipv4.tcp_syn_linear_timeouts";
        for set in [
            format!("[matrix.sysctl]\n\"{name}\" = [0]"),
            format!("[arms]\na = {{ sysctl.\"{name}\" = 0 }}\nb = {{ sysctl.\"{name}\" = 4 }}"),
            format!("[[change]]\nat = \"1s\"\nset = {{ sysctl.\"{name}\" = 0 }}"),
        ] {
            let text = format!("{head}{set}\n");
            let scenario = Scenario::parse("t.toml", &text).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(absent(&scenario, |_| false).as_deref(), Some(name), "{set}");
            assert_eq!(absent(&scenario, |_| true), None);
        }
    }
}
