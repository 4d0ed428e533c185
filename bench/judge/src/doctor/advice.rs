//! What is no cause now, and may become one: listed apart, and never accused. Pure.

use brimful_evidence::snapshot::names;
use brimful_plan::expect::CauseName;

use super::case::{Case, Heard, called, namespace_name, range};
use super::descriptors::{LEAK_ONE_IN, at_limit, share, stuck};
use super::diagnosis::Advice;
use super::path::taken;
use super::queue::{overflows, throttled};
use crate::wording::{count, counted};

/// From which share of a limit on it is worth a word, in per mille.
const NEAR: u64 = 800;
/// A queue that holds no more than this is filled by a short pause: what std, mio and tokio ask for by themselves.
const SMALL_QUEUE: u32 = 128;
/// Addresses that are named in one advice.
const NAMED: usize = 6;

pub(super) fn advice(case: &Case<'_>) -> Vec<Advice> {
    let mut all = Vec::new();
    let mut say = |cause, subject: String, text: String| all.push(Advice { cause, subject, text });
    for process in case.processes() {
        if let (Some(open), Some(limits), false) = (process.descriptors, process.nofile, at_limit(process))
            && share(process) >= NEAR
        {
            let text = format!(
                "{} of {} descriptors are open; the hard limit is {}",
                count(open),
                count(limits.soft),
                count(limits.hard)
            );
            say(CauseName::FdLimit, called(process), text);
        }
        let waiting = process.close_wait.len() as u64;
        let (_, more) = stuck(case, process);
        if process.nofile.is_some_and(|limits| waiting.saturating_mul(LEAK_ONE_IN) >= limits.soft)
            && more == 0
            && !at_limit(process)
        {
            let text = format!(
                "{} sockets in CLOSE_WAIT, and no more while it was watched: look again later, they should go",
                count(waiting)
            );
            say(CauseName::FdLeak, called(process), text);
        }
        if let Some((stopped, periods)) = throttled(case, process).filter(|(stopped, _)| *stopped > 0) {
            let idle = case.listeners_of(process.pid).iter().all(|heard| heard.most() == 0);
            if idle && stopped.saturating_mul(2) >= periods {
                let text = format!(
                    "its control group was stopped in {stopped} of {periods} periods, and nobody waited for it meanwhile"
                );
                say(CauseName::AcceptorThrottled, called(process), text);
            }
        }
    }
    listeners(case, &mut say);
    tables(case, &mut say);
    all
}

fn listeners(case: &Case<'_>, say: &mut impl FnMut(CauseName, String, String)) {
    let all = case.listeners();
    let calm: Vec<&Heard<'_>> = all.iter().filter(|heard| !overflows(case, heard)).collect();
    let dropped = |heard: &&&Heard<'_>| heard.now.drops.is_some_and(|drops| drops > 0);
    for heard in calm.iter().filter(dropped) {
        let text = format!(
            "{} dropped since it began to listen, none while it was watched: by then its queue (limit {}) or its SYN queue was full; watch it with --watch",
            counted(heard.now.drops.unwrap_or(0).into(), "packet"),
            count(heard.now.limit.into())
        );
        say(CauseName::AcceptQueue, heard.now.address.to_string(), text);
    }
    let small: Vec<String> = calm
        .iter()
        .filter(|heard| heard.now.limit <= SMALL_QUEUE && !dropped(heard))
        .map(|heard| format!("{} ({})", heard.now.address, count(heard.now.limit.into())))
        .collect();
    if !small.is_empty() {
        let more = small.len().saturating_sub(NAMED);
        let mut subject = small.into_iter().take(NAMED).collect::<Vec<_>>().join(", ");
        if more > 0 {
            subject += &format!(" and {more} more");
        }
        let text = "a short accept queue that has never overflowed: a pause of the program while connections arrive would fill it";
        say(CauseName::AcceptQueue, subject, text.to_owned());
    }
}

fn tables(case: &Case<'_>, say: &mut impl FnMut(CauseName, String, String)) {
    let near = |used: u64, of: u64| used < of && used.saturating_mul(1_000) / of.max(1) >= NEAR;
    if let (Some(used), Some(of)) = (case.host(names::FILES), case.host(names::FILES_MAX))
        && near(used, of)
    {
        say(CauseName::FileMax, "the host".to_owned(), format!("{} of {} files are open", count(used), count(of)));
    }
    if let Some(n) = case.host_grew(names::SOFTNET_DROPPED).filter(|n| *n > 0 && case.syns_again() == 0) {
        let text = format!(
            "per-processor backlogs dropped {} while it was watched, and no SYN was among them",
            counted(n, "packet")
        );
        say(CauseName::SoftirqBacklog, "the host".to_owned(), text);
    }
    for (table, sysctl) in names::NEIGHBOURS {
        if let (Some(used), Some(of)) = (case.host(&format!("{table}.entries")), case.host(sysctl))
            && near(used, of)
        {
            say(
                CauseName::NeighbourTable,
                "the host".to_owned(),
                format!("{} of {} neighbours ({table})", count(used), count(of)),
            );
        }
    }
    for namespace in case.namespaces() {
        if let (Some(used), Some(of)) =
            (namespace.counters.get(names::CONNTRACK).copied(), case.host(names::CONNTRACK_MAX))
            && near(used, of)
        {
            let text = format!("{} of {} entries of the connection-tracking table", count(used), count(of));
            say(CauseName::ConntrackFull, namespace_name(namespace), text);
        }
        if let Some(size) = range(namespace).map(|range| range.size()) {
            for to in namespace.sockets.iter().flat_map(|sockets| &sockets.outgoing) {
                let used = taken(namespace, to);
                if near(used, size) {
                    let text = format!(
                        "{} of {} local ports are in use, {} in TIME_WAIT",
                        count(used),
                        count(size),
                        count(to.time_wait)
                    );
                    say(CauseName::LocalPorts, format!("from {} to {}", to.from, to.to), text);
                }
            }
        }
        if let Some(n) = case.grew(namespace, "TcpExt.TCPReqQFullDoCookies").filter(|n| *n > 0) {
            let text = format!(
                "a full SYN queue was served by cookies {} times while it was watched: no fault, but find out who sends so many SYNs",
                count(n)
            );
            say(CauseName::SynCookies, namespace_name(namespace), text);
        }
    }
}
