//! The evenest pace there is to be had: a bare loop of `clock_nanosleep(2)` to absolute instants, which does nothing else. Not shipped;
//! `scripts/bench/pace` sets the pace of brimful beside it.
//!
//! `nanosleep RATE SECONDS` prints how many instants fell into the fullest window of 10 ms, and the 99th percentile of lateness in nanoseconds.

#![expect(clippy::print_stdout, reason = "an example tells its numbers on stdout")]

use std::time::Duration;

use anyhow::{Result, ensure};
use brimful_loadgen_plan::latency::Latency;
use brimful_loadgen_plan::pace::{Busiest, intended_ns};
use brimful_target::clock::monotonic_ns;
use rustix::thread::{ClockId, clock_nanosleep_absolute};
use rustix::time::Timespec;

fn main() -> Result<()> {
    let numbers: Vec<u64> =
        std::env::args().skip(1).map(|word| Ok(word.replace('_', "").parse()?)).collect::<Result<_>>()?;
    let &[rate, seconds] = numbers.as_slice() else { anyhow::bail!("usage: nanosleep RATE SECONDS") };
    ensure!((1..=1_000_000).contains(&rate) && (1..=60).contains(&seconds), "1 to 1,000,000 a second, 1 to 60 seconds");
    let (mut busiest, mut late) = (Busiest::default(), Latency::new());
    let (n, began_ns) = (rate * seconds, monotonic_ns());
    for i in 0..n {
        let at_ns = began_ns + intended_ns(i, n, Duration::from_secs(seconds));
        let at =
            Timespec { tv_sec: i64::try_from(at_ns / 1_000_000_000)?, tv_nsec: i64::try_from(at_ns % 1_000_000_000)? };
        // A signal may cut a sleep short; the instant is still to come then.
        while monotonic_ns() < at_ns {
            clock_nanosleep_absolute(ClockId::Monotonic, &at).ok();
        }
        let now_ns = monotonic_ns();
        busiest.event(now_ns);
        late.record(now_ns - at_ns);
    }
    println!("{} {}", busiest.most(), late.quantile(0.99));
    Ok(())
}
