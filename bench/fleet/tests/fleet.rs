//! A fleet of a thousand in simulated time: the same two ends that `brimful load --fleet` runs, on a network that delays, parts and loses
//! machines, each with a clock of its own. Shares are made up; everything else is real.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "tests fail by panicking")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use brimful_fleet::account::{Fate, Gathered};
use brimful_fleet::gatherer::Own;
use brimful_fleet::member::End;
use brimful_fleet::report::FleetReport;
use brimful_fleet::shell::{Link, News, Order, World, gather, join};
use brimful_fleet::summary::{is_whole, text};
use brimful_fleet::{FleetPlan, Windows};
use brimful_loadgen_plan::latency::Latency;
use brimful_loadgen_plan::outcome::{LoadOutcome, LoadPoint};
use brimful_loadgen_plan::plan::{Behaviour, Comeback};
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::sleep;
use turmoil::net::{TcpListener, TcpStream};

const PORT: u16 = 23_390;

/// A machine in simulated time whose clock began at an instant of its own.
struct Machine {
    booted_ns: u64,
}

impl World for Machine {
    type Stream = TcpStream;
    type Listener = TcpListener;

    async fn bind(&self, at: SocketAddr) -> io::Result<TcpListener> {
        TcpListener::bind(at).await
    }

    async fn accept(&self, listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
        listener.accept().await
    }

    async fn connect(&self, to: SocketAddr) -> io::Result<TcpStream> {
        TcpStream::connect(to).await
    }

    fn now_ns(&self) -> u64 {
        self.booted_ns + now_ns()
    }
}

/// The one time that there is.
fn now_ns() -> u64 {
    u64::try_from(turmoil::sim_elapsed().expect("in a simulation").as_nanos()).unwrap()
}

/// The samples of a member's share: its own, and the same in every run.
fn samples(index: u32, share: u64) -> impl Iterator<Item = u64> {
    (0..share).map(move |i| 50_000 + (u64::from(index) * 7_919 + i * 104_729) % 3_000_000)
}

/// A share that does what a load does: waits for its start, opens evenly, says how it stands, and gives its account. `began` hears the true
/// instant of its start.
fn share(plan: FleetPlan, index: u32, booted_ns: u64, began: Rc<RefCell<BTreeMap<u32, u64>>>) -> Link {
    let (orders, mut heard) = unbounded_channel();
    let (told, news) = unbounded_channel();
    let tell = move |own| drop(told.send(News::Own(own)));
    tokio::task::spawn_local(async move {
        tell(Own::Ready);
        let Some(Order::Start { t0_ns }) = heard.recv().await else { return };
        let now = booted_ns + now_ns();
        sleep(Duration::from_nanos(t0_ns.saturating_sub(now))).await;
        began.borrow_mut().insert(index, now_ns());
        let first_attempt_ns = (booted_ns + now_ns()).saturating_sub(t0_ns);
        let (share, lasts_ns) = (plan.share(index), plan.lasts_ns());
        let mut timeline = Vec::new();
        let end = loop {
            let at_ns = (booted_ns + now_ns()).saturating_sub(t0_ns);
            let held = share.min(share * at_ns / plan.ramp_ns.max(1));
            let point = LoadPoint { at_ns, attempted: held, established: held, held, failed: 0, pending: 0 };
            timeline.push(point);
            tell(Own::Point(point));
            if at_ns >= lasts_ns {
                break point;
            }
            tokio::select! {
                () = sleep(Duration::from_millis(500)) => {}
                order = heard.recv() => if order.is_none_or(|order| order == Order::Stop) { break point },
            }
        };
        let mut connect_latency = Latency::new();
        samples(index, end.held).for_each(|sample| connect_latency.record(sample));
        let LoadPoint { held, attempted, established, .. } = end;
        let outcome = LoadOutcome {
            requested: share,
            attempted,
            established,
            held,
            connect_latency,
            timeline,
            first_attempt_ns: Some(first_attempt_ns),
            ..LoadOutcome::default()
        };
        tell(Own::Done(Box::new(outcome)));
        // Until nobody listens any more.
        while heard.recv().await.is_some() {}
    });
    Link { orders, news }
}

/// Machines besides the gatherer's, and members on each. The simulator has a link for each pair of machines, so a thousand machines would be
/// half a million links.
const MACHINES: u32 = 9;
const EACH: u32 = 111;
const MEMBERS: u32 = 1 + MACHINES * EACH;

fn plan() -> FleetPlan {
    let address = SocketAddr::new(Ipv4Addr::new(10, 0, 0, 9).into(), 80);
    let (ramp_ns, hold_ns) = (5_000_000_000, 3_000_000_000);
    FleetPlan {
        members: MEMBERS,
        address,
        connections: 100 * u64::from(MEMBERS),
        ramp_ns,
        hold_ns,
        behaviour: Behaviour::Idle,
        comeback: Comeback::default(),
        scenario: None,
    }
}

/// A machine's clock: years apart, none like another.
fn booted_ns(machine: u32) -> u64 {
    u64::from(machine) * 86_400_000_000_007 % 40_000_000_000_000_000
}

type Ends = Rc<RefCell<BTreeMap<u32, End>>>;

/// When a member begins to look for its gatherer: within 5 s, and one only after the barrier.
fn comes_after(index: u32) -> Duration {
    if index == LATE { Duration::from_secs(12) } else { Duration::from_millis(u64::from(index) * 20_011 % 5_000) }
}

const LATE: u32 = 5;
/// One that never comes.
const ABSENT: u32 = 6;
/// Machines that crash in the ramp, and that are cut off in it.
const CRASHED: u32 = 3;
const CUT_OFF: u32 = 4;

fn machine_of(index: u32) -> u32 {
    1 + (index - 1) / EACH
}

#[test]
fn a_thousand_start_together_and_whoever_fails_is_named() {
    let mut sim = turmoil::Builder::new()
        .simulation_duration(Duration::from_secs(60))
        .tick_duration(Duration::from_millis(10))
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(80))
        .tcp_capacity(4_096)
        .rng_seed(6)
        .build();
    let windows = Windows { register: Duration::from_secs(8), gather: Duration::from_secs(5) };
    let (ends, began): (Ends, Rc<RefCell<BTreeMap<u32, u64>>>) = Default::default();
    let gathered: Rc<RefCell<Option<Gathered>>> = Rc::default();

    let (out, starts) = (Rc::clone(&gathered), Rc::clone(&began));
    sim.client("gatherer", async move {
        let world = Rc::new(Machine { booted_ns: booted_ns(0) });
        let link = share(plan(), 0, booted_ns(0), starts);
        let at = SocketAddr::new(IpAddr::from(Ipv4Addr::UNSPECIFIED), PORT);
        *out.borrow_mut() = Some(gather(world, at, (plan(), windows), link, |_| ()).await?);
        Ok(())
    });
    let gatherer = SocketAddr::new(sim.lookup("gatherer"), PORT);
    for machine in 1..=MACHINES {
        let (ends, began) = (Rc::clone(&ends), Rc::clone(&began));
        sim.host(format!("machine-{machine}"), move || {
            let (ends, began) = (Rc::clone(&ends), Rc::clone(&began));
            async move {
                for index in (1..MEMBERS).filter(|index| machine_of(*index) == machine && *index != ABSENT) {
                    let (ends, began) = (Rc::clone(&ends), Rc::clone(&began));
                    tokio::task::spawn_local(async move {
                        sleep(comes_after(index)).await;
                        let world = Rc::new(Machine { booted_ns: booted_ns(machine) });
                        let link = share(plan(), index, booted_ns(machine), began);
                        let end = join(world, gatherer, index, (plan(), windows), link).await;
                        ends.borrow_mut().insert(index, end);
                    });
                }
                std::future::pending().await
            }
        });
    }

    // The absent one keeps the barrier shut until the window ends at 8 s; the start is one second later.
    let mut crashed = false;
    while !sim.step().expect("the simulation goes on") {
        if !crashed && sim.elapsed() >= Duration::from_millis(11_500) {
            crashed = true;
            sim.crash(format!("machine-{CRASHED}"));
            sim.partition("gatherer", format!("machine-{CUT_OFF}"));
        }
    }
    let gathered = gathered.borrow_mut().take().expect("it was gathered");
    let report = FleetReport::of(plan(), gathered, jiff::Timestamp::UNIX_EPOCH);

    let fate = |index: u32| report.members[index as usize].fate;
    for index in 0..MEMBERS {
        let expected = match index {
            LATE => Fate::Late,
            ABSENT => Fate::Missing,
            index if index > 0 && machine_of(index) == CRASHED => Fate::Lost,
            index if index > 0 && machine_of(index) == CUT_OFF => Fate::Silent,
            _ => Fate::Whole,
        };
        assert_eq!(fate(index), expected, "{:?}", report.members[index as usize]);
        let member = &report.members[index as usize];
        if matches!(expected, Fate::Lost | Fate::Silent) {
            // The second point came, or at least the first; it is not the whole share, because the ramp was not over.
            let known = member.counters.expect("its last word").held;
            assert!((1..100).contains(&known), "{member:?}");
            let at = member.at_ns.expect("when");
            assert!((1_000_000_000..4_000_000_000).contains(&at), "{member:?}");
        }
    }
    let whole = u64::from(MEMBERS - 2 - 2 * EACH);
    assert_eq!(report.connections.missing, 100 * (u64::from(MEMBERS) - whole));
    assert!(!is_whole(&report));
    let said = text(&report);
    assert!(said.starts_with("224 of 1,000 members gave no account (missing 6; late 5; lost 223, 224,"), "{said}");
    assert!(said.contains("22,400 of 100,000 connections are missing"), "{said}");

    // Nothing was lost or counted twice on the way: one histogram of all samples.
    let mut all = Latency::new();
    for member in report.with(Fate::Whole) {
        samples(member.index, 100).for_each(|sample| all.record(sample));
    }
    assert_eq!(report.load.connect_latency, all);
    assert_eq!((report.load.held, report.load.requested), (100 * whole, 100 * whole));
    assert_eq!(report.load.timeline.last().expect("a timeline").held, 100 * whole);
    assert!(report.load.timeline.len() <= 11, "{}", report.load.timeline.len());

    // Each clock is known to what is said of it, and so is each start; and what is said of the skew is true.
    let began = began.borrow();
    let t0 = began[&0];
    let mut trues = Vec::new();
    for member in report.with(Fate::Whole) {
        let clock = member.clock.expect("its clock");
        let apart = i64::try_from(booted_ns(0)).unwrap()
            - if member.index == 0 {
                i64::try_from(booted_ns(0)).unwrap()
            } else {
                i64::try_from(booted_ns(machine_of(member.index))).unwrap()
            };
        assert!(clock.offset_ns.abs_diff(apart) <= clock.error_ns, "{member:?} is {apart} apart");
        let late = i64::try_from(began[&member.index]).unwrap() - i64::try_from(t0).unwrap();
        let own = report.members[0].began_ns.expect("its own");
        let claimed = member.began_ns.expect("its start") - own;
        assert!(claimed.abs_diff(late) <= clock.error_ns, "{member:?} began {late} after the gatherer");
        trues.push(began[&member.index]);
    }
    let start = report.start.expect("a start");
    let skew = trues.iter().max().unwrap() - trues.iter().min().unwrap();
    let claimed = start.skew_ns.expect("a skew");
    assert!(claimed.abs_diff(skew) <= start.clock_error_ns.unwrap() * 2, "{start:?}, and it was {skew}");
    assert_eq!((start.members, start.known), (MEMBERS - 2, u32::try_from(whole).unwrap()));

    let ends = ends.borrow();
    assert!(matches!(&ends[&LATE], End::Refused { late: true, .. }), "{:?}", ends[&LATE]);
    let gathered = ends.values().filter(|end| **end == End::Gathered).count();
    assert_eq!(gathered as u64, whole - 1, "all but the gatherer itself");
    assert!(ends.iter().all(|(index, _)| machine_of(*index) != CRASHED));
}
