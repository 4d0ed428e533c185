//! Common mistakes, told where what was seen invites them. Pure.

use brimful_evidence::snapshot::{Home, names};

use super::case::Case;
use crate::wording::count;

pub(super) fn traps(case: &Case<'_>) -> Vec<String> {
    [shell(case), lsof(case), somaxconn(case), node(case)].into_iter().flatten().collect()
}

/// A shell's limit is the shell's.
fn shell(case: &Case<'_>) -> Option<String> {
    let told = case.symptoms.shell_nofile.is_some() || case.symptoms.shell_nofile_set.is_some();
    let met = case.processes().into_iter().any(|process| super::descriptors::share(process) >= 800);
    if !told && !met {
        return None;
    }
    let mut text = "`ulimit -n` in a shell shows and changes the limit of that shell and of what it starts later, never of a process that runs: \
                    `cat /proc/PID/limits` is the truth, and `prlimit --pid PID --nofile=SOFT:HARD` changes it"
        .to_owned();
    // Sockets are descriptors; other lines of lsof may be none.
    let most = case.processes().iter().filter_map(|process| process.descriptors).max().or(case.symptoms.lsof_sockets);
    if let (Some(shell), Some(open)) = (case.symptoms.shell_nofile, most)
        && open > shell
    {
        text += &format!(
            "; a process that has {} descriptors is not limited to the {} that the shell printed",
            count(open),
            count(shell)
        );
    }
    if let Some(set) = case.symptoms.shell_nofile_set {
        text += &format!("; so `ulimit -n {set}` cannot have cured a process that was running");
    }
    Some(text)
}

/// lsof counts more than descriptors.
fn lsof(case: &Case<'_>) -> Option<String> {
    let lines = case.symptoms.lsof_lines?;
    Some(format!(
        "the {} lines of `lsof | wc -l` are no count of descriptors: lsof also lists the working folder, the program and its libraries, and \
         without -p everything once for each thread; `ls /proc/PID/fd | wc -l` counts",
        count(lines)
    ))
}

/// A new somaxconn does not reach a socket that listens.
fn somaxconn(case: &Case<'_>) -> Option<String> {
    let other = |heard: &super::case::Heard<'_>| {
        heard.namespace.number(names::SOMAXCONN).is_some_and(|now| now != u64::from(heard.now.limit))
    };
    let shown_alone =
        case.namespaces().any(|ns| ns.listeners.is_none() && ns.sysctls.contains_key(names::SOMAXCONN)) && !case.live;
    (shown_alone || case.listeners().iter().any(other)).then(|| {
        "a new net.core.somaxconn does not reach a socket that is listening already: the limit is taken at listen(2), the smaller of \
         somaxconn and what the program asks for; Send-Q of `ss -lnt` is the one in force"
            .to_owned()
    })
}

/// A node's sysctls do not reach its pods.
fn node(case: &Case<'_>) -> Option<String> {
    let contained = case.processes().into_iter().any(|p| matches!(p.home, Home::Container { .. }));
    (contained || case.after.namespaces.len() > 1).then(|| {
        "sysctls of the node do not reach its pods and containers: each network namespace begins with the kernel's defaults, so read and set \
         them inside (the pod's securityContext.sysctls)"
            .to_owned()
    })
}
