//! One network namespace under observation.

use std::path::Path;

use brimful_evidence::counter_log::CounterLog;
use brimful_evidence::inet_diag::{Entry, Family, State};
use brimful_evidence::listener_log::{ListenerLog, ListenerReading};
use brimful_evidence::named_log::NamedLog;
use brimful_evidence::nftables;
use brimful_evidence::proc::{net_dev, one_number, sockstat};
use brimful_evidence::record::{NamespaceEvidence, Source};
use brimful_evidence::socket_log::{SocketLog, Tally};

use super::budget::Budget;
use super::file::ProcFile;
use super::meter::{Meter, merge};
use super::plain::{PER_CPU_SHARE, PerCpuFile, PlainFile};
use crate::netlink::netfilter::{Netfilter, NetfilterError};
use crate::netlink::sock_diag::{SockDiag, SockDiagError};

/// Counters whose growth says that connections are being turned away (`net/ipv4/tcp_input.c`, `tcp_conn_request`).
const ALARMS: [&str; 4] =
    ["TcpExt.ListenOverflows", "TcpExt.ListenDrops", "TcpExt.TCPReqQFullDrop", "TcpExt.TCPReqQFullDoCookies"];

/// Which end of the connections a namespace is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SideName {
    /// Where the target listens.
    Server,
    /// Where the load and the probe are.
    Client,
}

impl SideName {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
        }
    }
}

/// One network namespace: its files and its table of sockets, all opened once. They stay those of that namespace, and
/// keep it alive, until the side is dropped.
#[derive(Debug)]
pub struct Side {
    pub(super) name: SideName,
    netstat: CounterFile,
    snmp: CounterFile,
    sockstat: PlainFile,
    sockstat6: PlainFile,
    conntrack: PerCpuFile,
    conntrack_count: PlainFile,
    devices: PlainFile,
    filters: Filters,
    named: NamedLog,
    diag: Option<SockDiag>,
    listeners: Meter,
    states: Meter,
    listener_log: ListenerLog,
    socket_log: SocketLog,
}

/// The counters of packet filters. Reading them costs the more the more rules there are; a 500th of a core is for them.
#[derive(Debug)]
struct Filters {
    meter: Meter,
    netfilter: Option<Netfilter>,
    budget: Budget,
}

#[derive(Debug)]
struct CounterFile {
    meter: Meter,
    file: Option<ProcFile>,
    log: CounterLog,
}

impl Side {
    /// Opens all sources of the calling thread's network namespace. What cannot be opened is recorded as not available.
    #[must_use]
    pub fn of_this_thread(name: SideName) -> Self {
        let (net, sys) = (Path::new("/proc/thread-self/net"), Path::new("/proc/sys/net"));
        Self::open(name, net, sys, SockDiag::open(), Netfilter::open())
    }

    /// Opens all sources below `net`, the `net` folder of a thread in that namespace (`/proc/self/task/TID/net`), and
    /// below `sys`, `/proc/sys/net` as a thread in that namespace sees it. Takes the conversations about its sockets and
    /// its packet filters, which must have been opened there.
    #[must_use]
    pub fn open(
        name: SideName,
        net: &Path,
        sys: &Path,
        diag: Result<SockDiag, SockDiagError>,
        netfilter: Result<Netfilter, NetfilterError>,
    ) -> Self {
        let (mut listeners, mut states) = (Meter::new("inet_diag.listeners"), Meter::new("inet_diag.states"));
        if let Err(error) = &diag {
            listeners.give_up(error);
            states.give_up(error);
        }
        Self {
            name,
            netstat: CounterFile::open("netstat", &net.join("netstat")),
            snmp: CounterFile::open("snmp", &net.join("snmp")),
            sockstat: PlainFile::open("sockstat", &net.join("sockstat")),
            sockstat6: PlainFile::open("sockstat6", &net.join("sockstat6")),
            conntrack: PerCpuFile::open("conntrack", "nf_conntrack", &net.join("stat/nf_conntrack")),
            conntrack_count: PlainFile::open("conntrack.count", &sys.join("netfilter/nf_conntrack_count")),
            devices: PlainFile::open("devices", &net.join("dev")),
            filters: Filters::open(netfilter),
            named: NamedLog::default(),
            diag: diag.ok(),
            listeners,
            states,
            listener_log: ListenerLog::new(&[]),
            socket_log: SocketLog::new(&[]),
        }
    }

    /// Names the target's ports. Called once, before the first reading.
    pub(super) fn aim(&mut self, ports: &[u16]) {
        self.listener_log = ListenerLog::new(ports);
        self.socket_log = SocketLog::new(ports);
    }

    /// Lets the next round read everything, whatever it costs.
    pub(super) fn forgive(&mut self) {
        self.conntrack.forgive();
        self.filters.budget.forgive();
    }

    /// One round of all that is cheap.
    pub(super) fn sample(&mut self, at_ns: u64, buffer: &mut Vec<u8>) {
        self.netstat.sample(at_ns, buffer);
        self.snmp.sample(at_ns, buffer);
        for file in [&mut self.sockstat, &mut self.sockstat6] {
            let named = &mut self.named;
            file.sample(buffer, |text| {
                sockstat(text, |protocol, name, value| named.record(at_ns, &["sockstat", protocol, name], value))
            });
        }
        if let Some(count) = self.named.last("sockstat.TCP.tw") {
            self.socket_log.record_all(at_ns, State::TIME_WAIT, count);
        }
        self.conntrack.sample(at_ns, buffer, &mut self.named);
        let named = &mut self.named;
        self.conntrack_count.sample(buffer, |text| {
            named.record(at_ns, &["nf_conntrack.count"], one_number(text)?);
            Ok(())
        });
        self.devices.sample(buffer, |text| {
            net_dev(text, |device, name, value| named.record(at_ns, &["device", device, name], value))
        });
        self.filters.sample(at_ns, named);
        self.sample_listeners(at_ns);
    }

    /// Counts the sockets in the states that only a walk of the whole table finds. Returns what it cost, in nanoseconds.
    pub(super) fn sample_states(&mut self, at_ns: u64) -> u64 {
        let families = self.families();
        let (Some(diag), log) = (&mut self.diag, &mut self.socket_log) else { return 0 };
        let reading = self.states.read(|| {
            families.iter().try_fold(log.tally(), |tally, family| {
                diag.states(*family, Tally::STATES, || tally.clone(), |tally, entry| tally.count(entry))
            })
        });
        reading.map_or(0, |(tally, cost_ns)| {
            log.record(at_ns, &tally);
            cost_ns
        })
    }

    /// A number that grows when connections are turned away.
    pub(super) fn alarms(&self) -> u64 {
        let counters = ALARMS.iter().filter_map(|name| self.netstat.log.last(name));
        counters.fold(self.listener_log.drops(), u64::wrapping_add)
    }

    pub(super) fn main_listener(&self) -> Option<ListenerReading> {
        self.listener_log.main()
    }

    /// What was seen, and the account of each source, named with its side where there are two.
    pub(super) fn finish(self, both: bool, sources: &mut Vec<Source>) -> NamespaceEvidence {
        let side = both.then(|| self.name.text());
        let plain =
            [self.sockstat, self.sockstat6, self.conntrack.plain, self.conntrack_count, self.devices].into_iter();
        let meters = [self.netstat.meter, self.snmp.meter].into_iter().chain(plain.map(|file| file.meter));
        for meter in meters.chain([self.filters.meter, self.listeners, self.states]) {
            merge(sources, meter.into_source(side));
        }
        let mut counters = self.netstat.log.into_series();
        counters.extend(self.snmp.log.into_series());
        counters.extend(self.named.into_series());
        NamespaceEvidence {
            counters,
            listeners: self.listener_log.into_evidence(),
            sockets: self.socket_log.into_evidence(),
        }
    }

    fn sample_listeners(&mut self, at_ns: u64) {
        let families = self.families();
        let Some(diag) = &mut self.diag else { return };
        let reading = self.listeners.read(|| {
            families.iter().try_fold(Vec::new(), |found, family| {
                diag.listeners(*family, || found.clone(), |found: &mut Vec<Entry>, entry| found.push(*entry))
            })
        });
        if let Some((found, _)) = reading {
            self.listener_log.record(at_ns, &found);
        }
    }

    /// The families to ask about. A namespace without a TCP socket of the second (`TCP6: inuse` counts listeners and
    /// every connection but those in `TIME_WAIT`) is not walked for it: each family is a walk of its own.
    fn families(&self) -> &'static [Family] {
        let unused = self.named.last("sockstat.TCP6.inuse") == Some(0) && !self.sockstat6.meter.gave_up();
        if unused { &[Family::V4] } else { &Family::BOTH }
    }
}

impl Filters {
    fn open(netfilter: Result<Netfilter, NetfilterError>) -> Self {
        let mut meter = Meter::new("nftables");
        let netfilter = netfilter.inspect_err(|error| meter.give_up(error)).ok();
        Self { meter, netfilter, budget: Budget::one_in(PER_CPU_SHARE) }
    }

    fn sample(&mut self, at_ns: u64, named: &mut NamedLog) {
        let Some(netfilter) = &mut self.netfilter else { return };
        if !self.budget.allows(at_ns, false) {
            return;
        }
        if let Some((rules, cost_ns)) = self.meter.read(|| netfilter.rules()) {
            self.budget.spend(at_ns, cost_ns);
            nftables::record(named, at_ns, &rules);
        }
    }
}

impl CounterFile {
    fn open(name: &'static str, path: &Path) -> Self {
        let PlainFile { meter, file } = PlainFile::open(name, path);
        Self { meter, file, log: CounterLog::default() }
    }

    fn sample(&mut self, at_ns: u64, buffer: &mut Vec<u8>) {
        let (Some(file), log) = (&self.file, &mut self.log) else { return };
        // A failure is the meter's to keep, and leaves the series as they are.
        let _taken = self.meter.read(|| {
            let text = file.read(buffer)?;
            log.record(at_ns, text).map_err(|error| file.counters(error))
        });
    }
}
