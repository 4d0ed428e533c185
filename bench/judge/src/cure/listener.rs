//! The cure for a missing listener. Pure.

use brimful_plan::expect::Why;
use brimful_plan::knob::TakesEffect;

use super::{Cure, Place, PlaceKind};
use crate::view::View;

pub(crate) fn cure(view: &View<'_>, _why: Option<Why>) -> Option<Cure> {
    let address = view.record.probe.plan.address;
    let (text, because) = match view.early_end() {
        Some(end) => (
            "find out why it ends, from its last words; do not end at a failing accept".to_owned(),
            format!("the target ended by itself ({}), and a closed listener refuses at once", end.how),
        ),
        None => (
            format!("listen on {address} before the first probe; give a slow start a startupProbe"),
            format!("no limit was reached: the port of the probe ({}) has no listener", address.port()),
        ),
    };
    Some(Cure {
        knob: "target.listen".into(),
        value: None,
        takes_effect: TakesEffect::ProcessStart,
        also: Vec::new(),
        places: vec![Place::new(PlaceKind::Code, text, None)],
        because,
    })
}
