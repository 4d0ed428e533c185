//! Tries every value of every sysctl in a throw-away sandbox before a run, so that a knob that would not take is refused before anything starts.

use std::path::Path as FsPath;
use std::sync::mpsc::channel;
use std::time::Duration;

use brimful_evidence::record::Role;
use brimful_plan::cell::{Cell, Path, Sandbox};
use brimful_plan::knob::{self, Scope, sysctl_path};
use brimful_plan::refusal::{Class, Refusal};

use super::message::{Failed, Order, Said, SandboxOrder};
use super::process::{Heard, Key, Worker};
use super::sysctl::SysctlError;

/// How long the sandbox may take to stand.
const PATIENCE: Duration = Duration::from_secs(20);

/// What every container engine does unless it is told otherwise; root cannot help it.
const READ_ONLY: &str = "/proc/sys is mounted read-only, as in a container: have it mounted writable there (docs/image.md), or \
                         let the engine set the sysctls and write sandbox = \"host\" in [topology]";

/// Makes a sandbox as the cells need it, tries their sysctls in it, and lets it go. Returns a refusal for each value that did not take.
///
/// # Errors
/// When no sandbox can be made here, with what to do.
pub fn try_sysctls(cells: &[Cell]) -> Result<Vec<Refusal>, Failed> {
    // Where nothing is set, what stands was compared when the cells were made.
    if cells.iter().all(|cell| cell.sandbox == Sandbox::Host) {
        return Ok(Vec::new());
    }
    let mut sysctls: Vec<(String, String)> = Vec::new();
    // Those of the whole host are set in a guest only, and not for a trial: they would hold for brimful too.
    let of_cells = cells.iter().flat_map(|cell| &cell.sysctls).map(|(name, value)| (name.clone(), value.clone()));
    let of_changes = cells.iter().flat_map(|cell| &cell.changes).filter_map(|change| change.what.sysctl());
    for pair in of_cells.chain(of_changes).filter(|(name, _)| !knob::is_host_wide(name)) {
        if !sysctls.contains(&pair) {
            sysctls.push(pair);
        }
    }
    let path = if cells.iter().any(|cell| cell.path == Path::Veth) { Path::Veth } else { Path::Loopback };
    let order = SandboxOrder {
        sandbox: Sandbox::Netns,
        path,
        sysctls,
        connections: 0,
        target_ports: Vec::new(),
        ipv6_sources: 0,
        faults: Vec::new(),
        ghosts: 0,
        target_cgroup: None,
        every: Duration::from_secs(1),
    };
    let (user_namespace, tried) = tried(&order)?;
    let known_here = |name: &str| sysctl_path(name).is_ok_and(|path| FsPath::new("/proc/sys").join(path).exists());
    Ok(tried
        .into_iter()
        .filter_map(Result::err)
        .map(|error| refusal(&error, known_here(name_of(&error)), user_namespace))
        .collect())
}

type Tried = Vec<Result<super::sysctl::Reading, SysctlError>>;

fn tried(order: &SandboxOrder) -> Result<(bool, Tried), Failed> {
    let failed = |what: String| Failed { what, hint: None, machine: true };
    let (mouth, ear) = channel();
    let key = Key { role: Role::Sandbox, shard: 0 };
    let mut worker = Worker::start(key, &Order::Sandbox(order.clone()), mouth)
        .map_err(|error| failed(format!("cannot start a worker process: {error}")))?;
    let said = match ear.recv_timeout(PATIENCE) {
        Ok((_, Heard::Said(Said::SandboxReady { server, sysctls, .. }))) => {
            Ok((server.is_some_and(|place| place.user_namespace), sysctls))
        }
        Ok((_, Heard::Said(Said::Failed(failed)))) => Err(failed),
        Ok((_, other)) => Err(failed(format!("the sandbox worker broke ({other:?}): {}", worker.last_words()))),
        Err(_) => Err(failed(format!("the sandbox worker did not answer in {} s", PATIENCE.as_secs()))),
    };
    drop(worker);
    said
}

fn name_of(error: &SysctlError) -> &str {
    match error {
        SysctlError::Absent { name }
        | SysctlError::ReadOnly { name }
        | SysctlError::Refused { name, .. }
        | SysctlError::DidNotTake { name, .. } => name,
    }
}

/// Words a refusal. `on_host` says whether the name exists outside the sandbox, `user_namespace` whether the sandbox had to do without privileges.
fn refusal(error: &SysctlError, on_host: bool, user_namespace: bool) -> Refusal {
    let name = name_of(error);
    let full = format!("sysctl.{name}");
    let row = knob::lookup(&full);
    let per_namespace = row.is_some_and(|row| row.scope == Scope::NetworkNamespace);
    let host_wide = "a host-wide setting cannot be varied in a sandbox: leave it out of the matrix and set it on the \
                     machine, for the whole run"
        .to_owned();
    let (class, hint) = match error {
        SysctlError::Absent { .. } if on_host && per_namespace && user_namespace => (
            Class::Machine,
            "kernels before 6.3 hide net.core sysctls from user namespaces: run brimful as root, or vary \
             `target.backlog`, which bounds the same queue"
                .to_owned(),
        ),
        SysctlError::Absent { .. } if on_host => (Class::Machine, host_wide),
        SysctlError::Absent { .. } if row.is_some() => {
            (Class::Machine, "this kernel was built without it, or is too old for it".to_owned())
        }
        // Neither brimful nor this kernel knows the name: the file is wrong, not the machine.
        SysctlError::Absent { .. } => (
            Class::Scenario,
            knob::nearest(&full)
                .map_or_else(|| "look for it with `sysctl -a`".to_owned(), |near| format!("did you mean `{near}`?")),
        ),
        SysctlError::ReadOnly { .. } => (Class::Machine, host_wide),
        SysctlError::Refused { errno, .. } if errno == "EROFS" => (Class::Machine, READ_ONLY.to_owned()),
        SysctlError::Refused { errno, .. } if errno == "EINVAL" || errno == "ERANGE" => {
            (Class::Scenario, "the value is outside the kernel's range for it".to_owned())
        }
        SysctlError::Refused { .. } => (Class::Machine, "run brimful as root".to_owned()),
        SysctlError::DidNotTake { .. } => {
            (Class::Machine, "ask for the value that the kernel gives, so that the report says what was run".to_owned())
        }
    };
    Refusal { cell: None, knob: Some(full.clone()), what: error.to_string(), hint, class }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn absent(name: &str) -> SysctlError {
        SysctlError::Absent { name: name.to_owned() }
    }

    #[test]
    fn a_sysctl_that_is_not_there_is_told_by_what_is_known_of_it() {
        let table = [
            (absent("net.core.somaxconn"), true, true, Class::Machine, "before 6.3"),
            (absent("net.core.netdev_max_backlog"), true, false, Class::Machine, "host-wide"),
            (absent("net.ipv4.tcp_migrate_req"), false, false, Class::Machine, "too old"),
            (absent("net.core.somaxcon"), false, false, Class::Scenario, "did you mean `sysctl.net.core.somaxconn`"),
            (SysctlError::ReadOnly { name: "net.core.rmem_max".into() }, true, false, Class::Machine, "host-wide"),
        ];
        let locked =
            SysctlError::Refused { name: "net.core.somaxconn".into(), asked: "1".into(), errno: "EROFS".into() };
        let table = table.into_iter().chain([(locked, true, true, Class::Machine, "sandbox = \"host\"")]);
        for (error, on_host, user_namespace, class, hint) in table {
            let refusal = refusal(&error, on_host, user_namespace);
            assert_eq!(refusal.class, class, "{error}");
            assert!(refusal.hint.contains(hint), "{error}: {}", refusal.hint);
        }
    }
}
