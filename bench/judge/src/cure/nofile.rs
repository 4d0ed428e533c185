//! The cure for a target out of descriptors. Pure.

use brimful_plan::cell::KnobValue;
use brimful_plan::expect::Why;
use brimful_plan::knob::{TakesEffect, parse_nofile};

use super::{Cure, Note, Place, PlaceKind};
use crate::descriptors::Descriptors;
use crate::spans::known;
use crate::view::View;
use crate::wording::{count, counted, readable_above};

/// Room beyond what the connections need, as one part in this many: the probe's own connections, files, a reload.
const MARGIN_ONE_IN: u64 = 10;

pub(crate) fn cure(view: &View<'_>, _why: Option<Why>) -> Option<Cure> {
    let target = view.targets.iter().find(|t| !t.at_limit.is_empty()).or(view.targets.first())?;
    let cell = &view.record.cell;
    let each = 1 + u64::from(cell.target.plan.extra_fds_per_connection);
    let connections = view.record.load.outcome.requested.div_ceil(u64::from(cell.target.shards.max(1)));
    let before = before_the_first(view, target);
    let need = connections.saturating_mul(each).saturating_add(before);
    let value = readable_above(need.saturating_add(need / MARGIN_ONE_IN));
    let hard = known(&target.process.nofile_hard).map(|s| s.last);
    // Whether any other server raises its soft limit is not ours to say.
    let command = cell.target.command.is_some();
    let within_hard = hard.is_some_and(|hard| hard >= value);
    let mut places = vec![
        Place::new(
            PlaceKind::Live,
            format!("prlimit --pid PID --nofile={value}:{}", hard.unwrap_or(value).max(value)),
            Some(Note::UntilRestart),
        ),
        unit(&KnobValue::Number(value)),
    ];
    if within_hard {
        places.insert(0, own_start());
        places.push(wrapped(&KnobValue::Number(value)));
    }
    let hard_words = match (hard, within_hard) {
        (Some(hard), true) => format!(
            "the hard limit of {} allows it: the program may raise its soft limit itself, as Go and newer Envoys do",
            count(hard)
        ),
        (Some(hard), false) => {
            format!("the hard limit of {} must rise too, and that takes whoever starts the process", count(hard))
        }
        (None, _) => "the hard limit was not read".to_owned(),
    };
    Some(Cure {
        knob: if within_hard && !command { "target.raise-nofile" } else { "ulimit.nofile" }.to_owned(),
        value: Some(if within_hard && !command { KnobValue::Switch(true) } else { KnobValue::Number(value) }),
        takes_effect: if within_hard && !command { TakesEffect::ProcessStart } else { TakesEffect::Live },
        also: Vec::new(),
        places,
        because: format!(
            "{} connections at {} each, {} open before the first and a tenth to spare make {}; {hard_words}",
            count(connections),
            counted(each, "descriptor"),
            count(before),
            count(value)
        ),
    })
}

/// The program's own start, for a hard limit that allows it.
pub(crate) fn own_start() -> Place {
    let text = "at start, raise the soft limit to the hard one: setrlimit(RLIMIT_NOFILE)";
    Place::new(PlaceKind::Code, text, None)
}

/// The same, where it is not known whether the hard limit does.
pub(crate) fn own_start_up_to(value: &KnobValue) -> Place {
    let place = own_start();
    Place { text: format!("{}\n(enough where the hard limit is {} already)", place.text, soft(value)), ..place }
}

/// The unit that starts it: a number, or soft and hard as `1024:20000`.
pub(crate) fn unit(value: &KnobValue) -> Place {
    Place::new(PlaceKind::Systemd, format!("[Service]\nLimitNOFILE={value}"), Some(Note::AllContainers))
}

/// A pod has no field for it, so its command raises it first.
pub(crate) fn wrapped(value: &KnobValue) -> Place {
    let text = format!("command: [\"sh\", \"-c\", \"ulimit -n {} && exec YOUR-SERVER\"]", soft(value));
    Place::new(PlaceKind::PodSpec, text, Some(Note::Wrapped))
}

fn soft(value: &KnobValue) -> String {
    parse_nofile(value).map_or_else(|_| value.to_string(), |limits| limits.soft.to_string())
}

/// Descriptors open before the first connection: the server's own word where it gives one, or else the first reading.
fn before_the_first(view: &View<'_>, target: &Descriptors<'_>) -> u64 {
    let said = view.record.target.ready.get(view.shard as usize).map(|ready| ready.descriptors);
    said.unwrap_or(target.open.first)
}
