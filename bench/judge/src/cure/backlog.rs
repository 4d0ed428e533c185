//! The cure for an accept queue too small for its bursts. Pure.

use brimful_plan::cell::KnobValue;
use brimful_plan::expect::Why;
use brimful_plan::knob::TakesEffect;

use super::{Cure, Note, Place, PlaceKind, Setting, sysctl_places};
use crate::cause::accept_queue;
use crate::queue::Queue;
use crate::spans::Span;
use crate::view::View;
use crate::wording::{count, time};

const SOMAXCONN: &str = "net.core.somaxconn";

pub(crate) fn cure(view: &View<'_>, why: Option<Why>) -> Option<Cure> {
    let queue = view.queue.as_ref()?;
    let need = need(view, queue);
    // What stood when probes failed: it may have been changed since.
    let then_ns = accept_queue::moment(view, queue);
    let limit = queue.limit.at(then_ns);
    let asked = view.backlog_asked_at(then_ns).unwrap_or(limit);
    let somaxconn = view.sysctl_at(SOMAXCONN, then_ns);
    let code = || Place::new(PlaceKind::Code, format!("listen(fd, {need})"), None);
    let pod = || sysctl_places(SOMAXCONN, need, Note::Unsafe);
    let number = |knob: &str| Setting { knob: knob.to_owned(), value: KnobValue::Number(need) };
    let backlog_too = (asked < need).then(|| number("target.backlog"));
    let sysctl_too = somaxconn.is_none_or(|now| now < need).then(|| number("sysctl.net.core.somaxconn"));
    let (knob, value, also, places, reason) = match why? {
        Why::AppBacklog => {
            let mut places = vec![code()];
            if sysctl_too.is_some() {
                places.extend(pod());
            }
            let reason = match somaxconn {
                Some(now) if now <= asked => {
                    format!("backlog and somaxconn are both {}: both must rise, the sysctl first", count(asked))
                }
                Some(now) => {
                    format!("the program asks for {} though somaxconn would allow {}", count(asked), count(now))
                }
                None => format!("the program asks for {}", count(asked)),
            };
            ("target.backlog", Some(need), sysctl_too, places, reason)
        }
        Why::SomaxconnClamp => {
            let mut places = pod();
            if backlog_too.is_some() {
                places.insert(0, code());
            }
            let reason = format!("the program asked for {} and got {}", count(asked), count(limit));
            ("sysctl.net.core.somaxconn", Some(need), backlog_too, places, reason)
        }
        Why::NotRelistened => {
            let reason = format!("the socket still has {}, its limit from before the change", count(limit));
            let also = backlog_too.or(sysctl_too);
            (
                "relisten",
                None,
                also,
                vec![Place::new(
                    PlaceKind::Code,
                    format!("listen(fd, {}) on the live socket, or restart the program", need.max(asked)),
                    None,
                )],
                reason,
            )
        }
    };
    let measured = match (view.arrivals_per_s(), longest(view, queue)) {
        (Some(rate), Some(span)) => {
            format!("{} connections a second meet pauses of up to {}", count(rate.round() as u64), time(span.len_ns()))
        }
        _ => "twice the present limit, as the rate of arrivals is not known".to_owned(),
    };
    Some(Cure {
        knob: knob.to_owned(),
        value: value.map(KnobValue::Number),
        takes_effect: TakesEffect::NextListen,
        also: also.into_iter().collect(),
        places,
        because: format!("{reason}; {measured}, so {} are needed", count(need)),
    })
}

/// The call itself, and how it is asked for where a library makes it. Go reads somaxconn at its first listener (`net/sock_linux.go`); what
/// each asks for by itself was read from Send-Q of its listener, or is in its manual.
pub(crate) fn in_many_languages(backlog: u64) -> Place {
    let text = format!(
        "C        listen(fd, {backlog})\n\
         Go       nothing to write: at its first listen it asks for what net.core.somaxconn is then\n\
         Node.js  server.listen({{ port, backlog: {backlog} }})   # 511 by itself\n\
         Python   asyncio.start_server(serve, port=port, backlog={backlog})   # 100 by itself\n\
         Java     new ServerSocket(port, {backlog})   # 50 by itself\n\
         Rust     tokio::net::TcpSocket::listen({backlog})   # std, mio and tokio: 128 by themselves\n\
         nginx    listen PORT backlog={backlog};   # 511 by itself"
    );
    Place::new(PlaceKind::Code, text, None)
}

/// What would have had to fit: what comes in the longest time the queue was backed up, a quarter to spare, as the next power of two;
/// never less than twice the present limit. Dropped packets are no measure, because each connection is dropped again and again.
fn need(view: &View<'_>, queue: &Queue<'_>) -> u64 {
    let ns = longest(view, queue).map_or(0, Span::len_ns);
    let came = view.arrivals_per_s().unwrap_or(0.0) * ns as f64 / 1e9 * 1.25;
    (came.ceil() as u64)
        .max(queue.limit.at(accept_queue::moment(view, queue)).saturating_mul(2))
        .min(1 << 31)
        .next_power_of_two()
}

/// The longest stretch in which the queue was backed up and a failed probe began, and which stayed within its time-out.
fn longest(view: &View<'_>, queue: &Queue<'_>) -> Option<Span> {
    let spans = view.failed.iter().filter_map(|s| queue.backed_up_near(s.started_ns));
    spans.filter(|s| s.len_ns() < view.timeout_ns.saturating_add(queue.interval_ns)).max_by_key(|s| s.len_ns())
}
