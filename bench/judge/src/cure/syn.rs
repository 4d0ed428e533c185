//! The cure for a full SYN queue. Pure.

use brimful_plan::cell::KnobValue;
use brimful_plan::expect::Why;
use brimful_plan::knob::TakesEffect;

use super::{Cure, Note, sysctl_places};
use crate::view::View;

pub(crate) fn cure(_view: &View<'_>, _why: Option<Why>) -> Option<Cure> {
    Some(cookies())
}

/// Cookies, whatever was run.
pub(crate) fn cookies() -> Cure {
    Cure {
        knob: "sysctl.net.ipv4.tcp_syncookies".into(),
        value: Some(KnobValue::Number(1)),
        takes_effect: TakesEffect::Live,
        also: Vec::new(),
        places: sysctl_places("net.ipv4.tcp_syncookies", 1, Note::Safe),
        because: "with cookies on, the kernel answers a SYN that finds the queue full instead of dropping it; \
                  a larger queue (the listen backlog bounds it, and tcp_max_syn_backlog while cookies are off) only fills later"
            .into(),
    }
}

/// The same switch: with cookies on `tcp_max_syn_backlog` is not read at all.
pub(crate) fn three_quarters(view: &View<'_>, why: Option<Why>) -> Option<Cure> {
    let half_open = view.at_the_probed_port("SYN_RECV").map_or(0, |s| s.max);
    cure(view, why).map(|cure| Cure {
        because: format!(
            "with cookies on, tcp_max_syn_backlog is not read and no quarter of it is kept back; without them it must be above four thirds \
             of what is half-open ({half_open} at most here, and no more because of this rule)"
        ),
        ..cure
    })
}
