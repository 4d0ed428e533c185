//! Waits for an instant to within tens of microseconds.
//!
//! tokio's own timer counts in milliseconds, which is more than a probe on loopback takes.

use std::io;
use std::os::fd::OwnedFd;

use brimful_target::clock::monotonic_ns;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A `timerfd` on `CLOCK_MONOTONIC`, for one waiter at a time.
pub(super) struct Alarm(AsyncFd<OwnedFd>);

impl Alarm {
    /// An alarm that is not set. It takes a descriptor, and a runtime whose I/O is enabled.
    pub(super) fn new() -> io::Result<Self> {
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        #[expect(
            deprecated,
            reason = "it is unsound for a type that lies about its descriptor; an OwnedFd does not, and the successor \
                      is an unsafe function"
        )]
        let registered = AsyncFd::with_interest(timer, Interest::READABLE)?;
        Ok(Self(registered))
    }

    /// Returns at this instant, in nanoseconds of `CLOCK_MONOTONIC`; at once when it is past. Dropped before that, it
    /// leaves nothing that the next call would take for its own.
    pub(super) async fn at(&self, instant_ns: u64) -> io::Result<()> {
        if instant_ns <= monotonic_ns() {
            return Ok(());
        }
        let setting = Itimerspec { it_interval: timespec(0), it_value: timespec(instant_ns) };
        timerfd_settime(self.0.get_ref(), TimerfdTimerFlags::ABSTIME, &setting)?;
        let mut expirations = [0; 8];
        self.0.async_io(Interest::READABLE, |timer| Ok(rustix::io::read(timer, &mut expirations)?)).await?;
        Ok(())
    }
}

fn timespec(nanoseconds: u64) -> Timespec {
    // A u64 of nanoseconds is less than 2^63 seconds, and the rest less than 10^9: both fit.
    Timespec {
        tv_sec: i64::try_from(nanoseconds / 1_000_000_000).unwrap_or(i64::MAX),
        tv_nsec: (nanoseconds % 1_000_000_000).try_into().unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::tests::block_on;

    #[test]
    fn it_never_rings_early_and_an_abandoned_setting_does_not_ring_later() {
        block_on(async {
            let alarm = Alarm::new().unwrap();
            let start = monotonic_ns();
            alarm.at(start).await.unwrap();
            let abandoned = alarm.at(start + 3_000_000);
            tokio::select! { biased; _ = abandoned => panic!("it rang early"), () = async {} => {} }
            while monotonic_ns() < start + 4_000_000 {
                tokio::task::yield_now().await;
            }
            alarm.at(start + 6_000_000).await.unwrap();
            assert!(monotonic_ns() >= start + 6_000_000);
        });
    }
}
