//! A record reduced to what is drawn of it: bounded, whatever the record holds. Pure.

use std::collections::BTreeMap;

use brimful_evidence::record::{Life, Record};
use brimful_evidence::series::Series;
use brimful_judge::spans::known;
use brimful_judge::view::View;
use brimful_judge::wording::{count, counted};
use brimful_loadgen_plan::outcome::LoadPoint;
use brimful_loadgen_plan::probe::{Outcome, Sample, Summary};

use super::axis::bar;
use super::ladder;
use super::setup::Setup;
use super::thin::{growth, thin};

/// Points kept of a series.
const MOST_POINTS: usize = 160;
/// Stretches in which the growth of a counter is kept at most.
const STRETCHES: usize = 120;
/// Probes kept one by one; of more, those that fall together are one mark.
const MOST_PROBES: usize = 240;

/// Instants at which something was changed, kept at most.
const MOST_TURNED: usize = 24;

/// Counters of the server's namespace that tell of lost handshakes, in the order in which they are drawn.
const TELLING: [&str; 11] = [
    "TcpExt.ListenOverflows",
    "TcpExt.ListenDrops",
    "TcpExt.TCPReqQFullDrop",
    "TcpExt.TCPReqQFullDoCookies",
    "TcpExt.SyncookiesSent",
    "TcpExt.TCPDeferAcceptDrop",
    "TcpExt.TCPSynRetrans",
    "nf_conntrack.drop",
    "Ip.OutNoRoutes",
    "Tcp.OutRsts",
    "TcpExt.TCPAbortOnMemory",
];

/// What is drawn of one cell in one block.
#[derive(Clone, Debug, PartialEq)]
pub struct Detail {
    /// The cell's id.
    pub(super) id: String,
    /// The block.
    pub(super) block: u32,
    /// Where the time axis ends, in nanoseconds since the start of the cell.
    pub(super) end_ns: u64,
    /// The probe's deadline, in nanoseconds.
    pub(super) timeout_ns: u64,
    /// The probes, in order.
    pub(super) probes: Vec<Mark>,
    /// When liveness would have restarted the container, in nanoseconds since the start of the cell.
    pub(super) restart_ns: Option<u64>,
    /// What was changed while it ran, and when another life of the target listened; in the order of time.
    pub(super) turned: Vec<(u64, String)>,
    /// The latencies of all probes.
    pub(super) spread: Spread,
    /// The accept queue that the probe has to pass.
    pub(super) queue: Option<Level>,
    /// Half-open connections at the probed port.
    pub(super) half_open: Option<Level>,
    /// The descriptors of the process that serves the probe.
    pub(super) descriptors: Option<Level>,
    /// Counters that grew.
    pub(super) grown: Vec<Growth>,
    /// Counters that were read and stood still.
    pub(super) still: Vec<String>,
    /// The load as it grew; empty where that was not kept.
    pub(super) load: Vec<LoadPoint>,
    /// When a lost SYN is sent again, in nanoseconds after the first.
    pub(super) syn_again_ns: Vec<u64>,
    /// How it was measured.
    pub(super) setup: Setup,
}

/// One probe, or several that fall together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// When it was due.
    pub(super) from_ns: u64,
    /// When it was connected, if it was.
    pub(super) connected_ns: Option<u64>,
    /// How long TLS took after that, if it was spoken.
    pub(super) tls_ns: Option<u64>,
    /// When it ended.
    pub(super) to_ns: u64,
    /// How it ended; of several, the first that did not pass.
    pub(super) outcome: Outcome,
    /// How many it stands for.
    pub(super) probes: u64,
}

/// A quantity over time with what bounds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Level {
    /// Its name in `report.json`, without what is measured.
    pub(super) name: String,
    /// `[instant, value]`; between two points the value is the earlier one's.
    pub(super) points: Vec<(u64, u64)>,
    /// The largest value.
    pub(super) max: u64,
    /// The limit, likewise; empty where there is none.
    pub(super) limit: Vec<(u64, u64)>,
}

/// A counter that grew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Growth {
    /// Its name; of several that count the same events, all of them.
    pub(super) names: Vec<String>,
    /// By how much.
    pub(super) total: u64,
    /// By how much in each of equal stretches of time.
    pub(super) each: Vec<u64>,
}

/// How latencies are spread.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Spread {
    /// Answered probes by bar of a logarithmic axis.
    pub(super) bars: BTreeMap<i32, u64>,
    /// Probes that were not answered in time, or not well.
    pub(super) unanswered: u64,
    /// The shortest and the longest latency of an answered one, in nanoseconds.
    pub(super) range_ns: Option<(u64, u64)>,
}

/// What happened to the target while the cell ran, as far as there is room for it.
fn turned(record: &Record) -> Vec<(u64, String)> {
    let changes = record.turned.iter().filter_map(|turned| Some((turned.done_ns?, turned.what.to_string())));
    let listens = |life: &Life| Some((life.listening_ns?, "the next one listens".to_owned()));
    let by_change = |ns: u64| record.turned.iter().any(|turned| turned.done_ns == Some(ns));
    let lives = record.lives.iter().skip(1).filter_map(listens).filter(|(ns, _)| !by_change(*ns));
    let mut all: Vec<_> = changes.chain(lives).collect();
    all.sort_by_key(|(at_ns, _)| *at_ns);
    all.truncate(MOST_TURNED);
    all
}

impl Detail {
    /// What is drawn of a record.
    #[must_use]
    pub fn of(record: &Record) -> Self {
        let view = View::of(record);
        let samples = &record.probe.samples;
        let end_ns = view.end_ns.max(1);
        let summary = Summary::of(samples, &record.probe.plan);
        let first_ns = samples.first().map_or(0, |s| s.intended_ns);
        let level = |name: String, series: &Series, limit: Option<&Series>| Level {
            name,
            points: thin(&series.points, end_ns, MOST_POINTS),
            max: series.max,
            limit: limit.map(|l| thin(&l.points, end_ns, MOST_POINTS)).unwrap_or_default(),
        };
        let serving = view.targets.first();
        let mut detail = Self {
            id: record.cell.id.clone(),
            block: record.block,
            end_ns,
            timeout_ns: view.timeout_ns,
            probes: marks(samples, end_ns),
            restart_ns: summary.would_restart_at_s.map(|s| first_ns.saturating_add((s * 1e9).round() as u64)),
            turned: turned(record),
            spread: Spread::of(samples),
            queue: view.queue.as_ref().map(|q| level(q.name.to_owned(), q.recv_q, Some(q.limit))),
            half_open: view.at_the_probed_port("SYN_RECV").map(|s| level("SYN_RECV".to_owned(), s, None)),
            descriptors: serving.map(|t| level(t.series_name(), t.open, Some(t.soft))),
            grown: Vec::new(),
            still: Vec::new(),
            load: load(&record.load.outcome.timeline),
            syn_again_ns: ladder::of(record),
            setup: Setup::of(record),
        };
        detail.count(&view);
        detail
    }

    /// Reads the counters that tell of losses: those that grew, and those that were read and did not.
    fn count(&mut self, view: &View<'_>) {
        let drops = view.queue.as_ref().and_then(|q| q.drops);
        let counters = &view.record.evidence.server.counters;
        let told = TELLING.iter().filter_map(|&name| Some((name, counters.get(name)?)));
        for (name, series) in drops.map(|series| ("sk_drops", series)).into_iter().chain(told) {
            let Some(series) = known(series) else { continue };
            let short = name.rsplit_once('.').filter(|_| !name.starts_with("nf")).map_or(name, |(_, last)| last);
            match series.delta() {
                0 => self.still.push(short.to_owned()),
                total => self.grew(short, total, series),
            }
        }
        let rules = counters.iter().filter(|(name, series)| name.starts_with("nftables.") && series.delta() > 0);
        self.rules(&rules.collect::<Vec<_>>());
    }

    /// The rules of a packet filter that were met, together: their names are whatever a rule set chose, and so is their number.
    fn rules(&mut self, met: &[(&String, &Series)]) {
        let Some((first, _)) = met.first() else { return };
        let stretches = met.iter().map(|(_, series)| self.stretches(series)).min().unwrap_or(1);
        let mut each = vec![0_u64; stretches];
        for (_, series) in met {
            for (sum, n) in each.iter_mut().zip(growth(&series.points, self.end_ns, stretches)) {
                *sum = sum.saturating_add(n);
            }
        }
        let name = match met.len() {
            1 => (*first).clone(),
            n => format!("{first} and {}", counted(n as u64 - 1, "other rule")),
        };
        let total = met.iter().map(|(_, series)| series.delta()).fold(0, u64::saturating_add);
        self.grown.push(Growth { names: vec![name], total, each });
    }

    /// In how many stretches the growth of a counter is told: two readings in each at least, or some would stand empty
    /// between others for no reason.
    fn stretches(&self, series: &Series) -> usize {
        usize::try_from(series.reads / 2).unwrap_or(STRETCHES).clamp(1, STRETCHES)
    }

    /// A counter that grew: a drop is counted at the listener and again under one or two names, and is drawn once.
    fn grew(&mut self, name: &str, total: u64, series: &Series) {
        const OF_DROPS: [&str; 4] = ["sk_drops", "ListenOverflows", "ListenDrops", "TCPReqQFullDrop"];
        let of_drops = |name: &str| OF_DROPS.contains(&name);
        let same = self.grown.iter_mut().find(|g| g.total == total && g.names.iter().all(|n| of_drops(n)));
        match same.filter(|_| of_drops(name)) {
            Some(same) => same.names.push(name.to_owned()),
            None => self.grown.push(Growth {
                names: vec![name.to_owned()],
                total,
                each: growth(&series.points, self.end_ns, self.stretches(series)),
            }),
        }
    }
}

impl Spread {
    fn of(samples: &[Sample]) -> Self {
        let mut spread = Self::default();
        for sample in samples {
            if !sample.outcome.passed() {
                spread.unanswered += 1;
                continue;
            }
            let ns = sample.latency_ns();
            *spread.bars.entry(bar(ns)).or_insert(0) += 1;
            spread.range_ns = Some(spread.range_ns.map_or((ns, ns), |(low, high)| (low.min(ns), high.max(ns))));
        }
        spread
    }

    /// Adds another block's.
    pub(super) fn add(&mut self, other: &Self) {
        for (&bar, &n) in &other.bars {
            *self.bars.entry(bar).or_insert(0) += n;
        }
        self.unanswered += other.unanswered;
        self.range_ns = match (self.range_ns, other.range_ns) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (one, other) => one.or(other),
        };
    }

    /// How many probes there are.
    pub(super) fn probes(&self) -> u64 {
        self.bars.values().sum::<u64>() + self.unanswered
    }
}

impl Level {
    /// The largest value beside the limit: `129 of 128`.
    pub(super) fn fullest(&self) -> (String, Option<String>) {
        (count(self.max), self.limit.last().map(|&(_, limit)| count(limit)))
    }

    /// What the height of a drawing stands for: the limit, or the largest value where that is above it or there is none.
    pub(super) fn full(&self) -> u64 {
        self.limit.iter().map(|p| p.1).max().unwrap_or(0).max(self.max).max(1)
    }
}

/// The probes one by one, or those that fall into one stretch of time together.
fn marks(samples: &[Sample], end_ns: u64) -> Vec<Mark> {
    let mark = |s: &Sample| Mark {
        from_ns: s.intended_ns,
        connected_ns: s.connect_ns.map(|ns| s.started_ns.saturating_add(ns)),
        tls_ns: s.tls_ns,
        to_ns: s.ended_ns,
        outcome: s.outcome,
        probes: 1,
    };
    if samples.len() <= MOST_PROBES {
        return samples.iter().map(mark).collect();
    }
    let width = end_ns.div_ceil(MOST_PROBES as u64).max(1);
    let together = samples.chunk_by(|a, b| a.intended_ns / width == b.intended_ns / width);
    let merged = together.filter_map(|few| {
        let told = few.iter().find(|s| !s.outcome.passed()).or(few.first())?;
        Some(Mark { probes: few.len() as u64, ..mark(told) })
    });
    merged.collect()
}

/// The load's own points, thinned evenly; the last is kept.
fn load(timeline: &[LoadPoint]) -> Vec<LoadPoint> {
    let every = timeline.len().div_ceil(MOST_POINTS).max(1);
    let mut kept: Vec<LoadPoint> = timeline.iter().step_by(every).copied().collect();
    if let Some(last) = timeline.last().filter(|last| kept.last() != Some(last)) {
        kept.push(*last);
    }
    kept
}
