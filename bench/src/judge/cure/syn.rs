//! The cure for a full SYN queue. Pure.

use super::{Cure, Note, sysctl_places};
use crate::judge::view::View;
use crate::plan::cell::KnobValue;
use crate::plan::expect::Why;
use crate::plan::knob::TakesEffect;

pub(crate) fn cure(_view: &View<'_>, _why: Option<Why>) -> Option<Cure> {
    Some(Cure {
        knob: "sysctl.net.ipv4.tcp_syncookies".into(),
        value: Some(KnobValue::Number(1)),
        takes_effect: TakesEffect::Live,
        also: Vec::new(),
        places: sysctl_places("net.ipv4.tcp_syncookies", 1, Note::Safe),
        because: "with cookies on, the kernel answers a SYN that finds the queue full instead of dropping it; \
                  a larger queue (the listen backlog bounds it, and tcp_max_syn_backlog while cookies are off) only fills later"
            .into(),
    })
}
