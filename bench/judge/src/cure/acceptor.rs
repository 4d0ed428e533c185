//! The cure for a stalled acceptor: none by a limit. Pure.

use brimful_plan::expect::Why;
use brimful_plan::knob::TakesEffect;

use super::{Cure, Place, PlaceKind};
use crate::view::View;

pub(crate) fn cure(_view: &View<'_>, _why: Option<Why>) -> Option<Cure> {
    Some(accept_at_once())
}

/// The same, whatever was run.
pub(crate) fn accept_at_once() -> Cure {
    Cure {
        knob: "target.accept".into(),
        value: None,
        takes_effect: TakesEffect::ProcessStart,
        also: Vec::new(),
        places: vec![Place::new(
            PlaceKind::Code,
            "accept in a thread or task of its own that nothing else can block, until EAGAIN at each wake-up;\ngive it processor time: look at cpu.stat (nr_throttled) and at what the accepting thread waits for",
            None,
        )],
        because: "no backlog or sysctl cures it: in a larger queue connections only wait longer for the same acceptor"
            .into(),
    }
}
