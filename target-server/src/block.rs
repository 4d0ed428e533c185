//! A blocked event loop: times in which nothing that the server does has a turn.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::thread;
use std::time::Duration;

/// The longest the thread sleeps before it looks whether it is to stop.
const SLICE: Duration = Duration::from_millis(20);

/// Runs `inner` until it or `stop` ends; `None` when `stop` did. While `blocked` says how long, the thread sleeps instead:
/// whatever runs inside `inner` (a whole `LocalSet`, with its tasks) stands still, as it would behind a call that blocks.
///
/// `stop` is asked first, at every turn and every 20 ms of a block: neither a spinning accept nor a block can starve it.
pub(crate) async fn unless_blocked<T>(
    inner: impl Future<Output = T>,
    blocked: impl Fn() -> Option<Duration>,
    stop: impl Future<Output = ()>,
) -> Option<T> {
    let (mut inner, mut stop) = (pin!(inner), pin!(stop));
    poll_fn(|context| {
        if stop.as_mut().poll(context).is_ready() {
            return Poll::Ready(None);
        }
        if let Some(left) = blocked() {
            thread::sleep(left.min(SLICE));
            // Once more round the runtime, which may hear of `stop` there, and then here again.
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        inner.as_mut().poll(context).map(Some)
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::{pending, ready};

    use tokio::runtime::Builder;

    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        Builder::new_current_thread().enable_all().build().unwrap()
    }

    #[test]
    fn what_is_inside_waits_until_the_block_is_over() {
        let left = Cell::new(3_u32);
        let blocked = || {
            let now = left.get().checked_sub(1)?;
            left.set(now);
            Some(Duration::from_millis(1))
        };
        let inner = async { left.get() };
        assert_eq!(runtime().block_on(unless_blocked(inner, blocked, pending())), Some(0));
    }

    #[test]
    fn a_block_without_end_is_left_when_told() {
        let endless = || Some(Duration::from_secs(3_600));
        let soon = tokio::time::sleep;
        let over = runtime().block_on(async { unless_blocked(ready(1), endless, soon(SLICE)).await });
        assert_eq!(over, None);
    }
}
