//! The diagnosis for a terminal. Pure: width and colour are given.

use std::collections::BTreeMap;

use brimful_judge::cause::ProofLine;
use brimful_judge::cure::felt;
use brimful_judge::doctor::diagnosis::{Diagnosis, Found, ListenerRow, NamespaceRow, ProcessRow};
use brimful_judge::doctor::tables::used;
use brimful_judge::wording::{count, counted};

use crate::page::Page;
use crate::text::Look;

/// Rows of each table; the rest is counted.
const ROWS: usize = 12;

/// The whole diagnosis.
#[must_use]
pub fn render(diagnosis: &Diagnosis, look: Look) -> String {
    let mut page = Page::new(look);
    page.heading(&diagnosis.headline);
    for found in &diagnosis.causes {
        page.found(found);
    }
    page.binds(diagnosis);
    page.some("Listeners", &diagnosis.listeners, Page::listener);
    page.some("Processes", &diagnosis.processes, Page::process);
    let telling: Vec<NamespaceRow> = diagnosis.namespaces.iter().filter(|row| is_telling(row)).cloned().collect();
    page.some("Network namespaces", &telling, Page::namespace);
    page.host(diagnosis);
    page.some("Advice: no cause now, and may become one", &diagnosis.advice, |page, advice| {
        page.wrapped(&format!("{} ({}): {}", advice.subject, advice.cause, advice.text), 2, 4);
    });
    if !diagnosis.ruled_out.is_empty() {
        page.gap();
        page.heading("Ruled out");
        let width = diagnosis.ruled_out.iter().map(|out| out.cause.to_string().len()).max().unwrap_or(0);
        for out in &diagnosis.ruled_out {
            let ProofLine { source, value, text, .. } = &out.line;
            page.wrapped_after(&format!("  {:<width$}  ", out.cause), &format!("{text} ({source} {value})"));
        }
    }
    page.some("Undecided", &diagnosis.undecided, |page, open| {
        page.wrapped(&format!("{}: {}", open.cause, open.why), 2, 4);
        open.collect.iter().for_each(|line| page.wrapped_after("    collect  ", line));
    });
    page.some("Mind", &diagnosis.traps, |page, trap| page.wrapped(trap, 2, 4));
    page.some("Not seen", &diagnosis.not_seen, |page, not| {
        page.wrapped(&format!("{}: {}", not.what, not.because), 2, 4)
    });
    page.out
}

/// A diagnosis in one line, for a look that is repeated.
#[must_use]
pub fn line(diagnosis: &Diagnosis) -> String {
    let causes: Vec<String> =
        diagnosis.causes.iter().map(|found| format!("{} ({})", found.name(), found.subject.name)).collect();
    let first = diagnosis.binds_first.first();
    let binds = first
        .map(|bound| format!("; {} of {}: {}", bound.limit, bound.subject, used(Some(bound.used), Some(bound.of))))
        .unwrap_or_default();
    format!("{}{binds}\n", if causes.is_empty() { "no limit is met".to_owned() } else { causes.join(", ") })
}

/// Whether a namespace has more to tell than that nothing is in it.
fn is_telling(row: &NamespaceRow) -> bool {
    !row.sockets.is_empty() || !row.moved.is_empty() || row.conntrack.is_some_and(|n| n > 0)
}

impl Page {
    /// The first rows below a heading, and how many more there are; nothing where there is none.
    fn some<T>(&mut self, heading: &str, rows: &[T], each: impl Fn(&mut Self, &T)) {
        if rows.is_empty() {
            return;
        }
        self.gap();
        self.heading(heading);
        rows.iter().take(ROWS).for_each(|row| each(self, row));
        if rows.len() > ROWS {
            self.raw(&format!("  … and {} more, in --format json", rows.len() - ROWS));
        }
    }

    fn found(&mut self, found: &Found) {
        self.gap();
        self.heading(&format!("{}: {}", found.name(), found.words));
        self.wrapped(&found.subject.name, 2, 2);
        for ProofLine { source, value, text, .. } in &found.proof {
            self.wrapped(&format!("{source}: {value}"), 4, 6);
            self.wrapped(text, 6, 6);
        }
        if let Some(cure) = &found.cure {
            let value = if cure.value.is_some() { cure.settings() } else { "no value of a limit cures it".to_owned() };
            self.wrapped(&format!("cure  {value}; {}", felt(cure.takes_effect)), 2, 8);
            self.wrapped(&cure.because, 8, 8);
            for place in &cure.places {
                let note = place.note.map(|note| format!(" ({})", note.words())).unwrap_or_default();
                self.wrapped(&format!("{}{note}", place.place.words()), 4, 6);
                place.text.lines().for_each(|line| self.raw(&format!("      {line}")));
            }
        }
        found.collect.iter().for_each(|line| self.wrapped_after("  collect  ", line));
    }

    fn binds(&mut self, diagnosis: &Diagnosis) {
        let Some((first, rest)) = diagnosis.binds_first.split_first() else { return };
        self.gap();
        self.heading("Which limit binds first");
        self.wrapped(
            &format!(
                "{} of {}: {}, room for {}, so it binds at about {}",
                first.limit,
                first.subject,
                used(Some(first.used), Some(first.of)),
                counted(first.room, "more connection"),
                counted(first.at_connections, "connection")
            ),
            2,
            4,
        );
        self.wrapped(&first.because, 4, 4);
        for bound in rest.iter().take(3) {
            let text = format!(
                "then {} of {}: {}, at about {}",
                bound.limit,
                bound.subject,
                used(Some(bound.used), Some(bound.of)),
                count(bound.at_connections)
            );
            self.wrapped(&text, 2, 4);
        }
    }

    fn listener(&mut self, row: &ListenerRow) {
        let owners = if row.owners.is_empty() { "owner not seen".to_owned() } else { row.owners.join(", ") };
        self.wrapped(&format!("{}  {owners}", row.address), 2, 4);
        let most =
            row.recv_q_max.filter(|most| *most > row.recv_q).map(|most| format!(" (up to {})", count(most.into())));
        let mut text = format!(
            "Recv-Q {}{}, Send-Q {}",
            count(row.recv_q.into()),
            most.unwrap_or_default(),
            count(row.send_q.into())
        );
        if let Some(somaxconn) = row.somaxconn {
            text += &format!(" with somaxconn {}", count(somaxconn));
        }
        if let Some(drops) = row.drops {
            let now = row.drops_now.filter(|n| *n > 0).map(|n| format!(" (+{} now)", count(n))).unwrap_or_default();
            text += &format!(", drops {}{now}", count(drops.into()));
        }
        for (n, what) in [(row.syn_recv, "half-open"), (row.held, "held")] {
            text += &n.filter(|n| *n > 0).map(|n| format!(", {} {what}", count(n))).unwrap_or_default();
        }
        self.wrapped(&text, 4, 6);
        self.wrapped(&row.clamp, 4, 6);
    }

    fn process(&mut self, row: &ProcessRow) {
        let home = row.home.as_ref().map(|home| format!(", {home}")).unwrap_or_default();
        let name = if row.pid == 0 { "the process".to_owned() } else { format!("{} (process {})", row.name, row.pid) };
        self.wrapped(&format!("{name}{home}"), 2, 4);
        let growth =
            row.growth.filter(|n| *n != 0).map(|n| format!(" ({n:+} while it was watched)")).unwrap_or_default();
        let mut text = format!("descriptors {}{growth}", used(row.descriptors, row.nofile_soft));
        if let Some(hard) = row.nofile_hard {
            text += &format!(", hard limit {}", if hard == u64::MAX { "unlimited".to_owned() } else { count(hard) });
        }
        if let Some(percent) = row.cpu_percent.filter(|percent| *percent > 0) {
            text += &format!(", {percent} % of a processor");
        }
        if let Some([stopped, periods]) = row.throttled.filter(|[stopped, _]| *stopped > 0) {
            text += &format!(", stopped by its quota in {stopped} of {periods} periods");
        }
        self.wrapped(&text, 4, 6);
        if let Some(from) = &row.limit_from {
            self.wrapped(&format!("limit: {from}"), 4, 6);
        }
        for (what, numbers) in [("kinds", &row.kinds), ("TCP", &row.sockets)] {
            if !numbers.is_empty() {
                self.wrapped(&format!("{what}: {}", spoken(numbers)), 4, 6);
            }
        }
    }

    fn namespace(&mut self, row: &NamespaceRow) {
        self.wrapped(&row.name, 2, 4);
        if !row.sockets.is_empty() {
            self.wrapped(&spoken(&row.sockets), 4, 6);
        }
        for to in row.syn_sent.iter().take(ROWS) {
            let again = if to.again > 0 { format!(", {} sent again", count(to.again)) } else { String::new() };
            self.wrapped(&format!("SYN_SENT to {}: {}{again}", to.to, count(to.sockets)), 4, 6);
        }
        if let Some(ports) = &row.ports {
            let text = format!(
                "local ports to {}: {}, {} in TIME_WAIT",
                ports.to,
                used(Some(ports.used), ports.of),
                count(ports.time_wait)
            );
            self.wrapped(&text, 4, 6);
        }
        if let Some(entries) = row.conntrack.filter(|n| *n > 0) {
            let drops = row
                .conntrack_drops_now
                .filter(|n| *n > 0)
                .map(|n| format!(", +{} dropped", count(n)))
                .unwrap_or_default();
            self.wrapped(&format!("conntrack: {} entries{drops}", count(entries)), 4, 6);
        }
        if !row.moved.is_empty() {
            self.wrapped(&format!("moved: {}", spoken(&row.moved)), 4, 6);
        }
    }

    fn host(&mut self, diagnosis: &Diagnosis) {
        let numbers = &diagnosis.host.numbers;
        let get = |name: &str| numbers.get(name).copied();
        let mut parts = Vec::new();
        if let (Some(open), Some(max)) = (get("fs.file-nr.allocated"), get("fs.file-nr.max")) {
            parts.push(format!("open files {}", used(Some(open), Some(max))));
        }
        if let Some(dropped) = get("softnet.dropped") {
            parts.push(format!("backlog drops since boot {}", count(dropped)));
        }
        if let Some(entries) = get("arp_cache.entries") {
            parts.push(format!("neighbours {}", used(Some(entries), get("net.ipv4.neigh.default.gc_thresh3"))));
        }
        if let Some(max) = get("nf_conntrack.max") {
            parts.push(format!("conntrack at most {}", count(max)));
        }
        if !parts.is_empty() {
            self.gap();
            self.heading("Host");
            self.wrapped(&parts.join(", "), 2, 4);
        }
    }
}

/// `ESTABLISHED 12, TIME_WAIT 3`, the most first.
fn spoken(numbers: &BTreeMap<String, u64>) -> String {
    let mut sorted: Vec<(&String, &u64)> = numbers.iter().collect();
    sorted.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    sorted.iter().map(|(name, n)| format!("{name} {}", count(**n))).collect::<Vec<_>>().join(", ")
}
