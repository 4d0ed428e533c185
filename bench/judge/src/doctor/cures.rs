//! Cures whose numbers come from what was seen on the host. Pure.

use brimful_evidence::snapshot::{Process, names};
use brimful_plan::cell::KnobValue;
use brimful_plan::knob::TakesEffect;

use super::case::Heard;
use crate::cure::{
    Cure, Note, Place, PlaceKind, Setting, backlog as listen_cure, node, nofile as nofile_cure, sysctl_places,
};
use crate::wording::{count, readable_above};

/// More descriptors for a process: twice what it has, as a first step to measure.
pub(super) fn nofile(process: &Process) -> Cure {
    let (soft, hard) = process.nofile.map_or((1_024, 1_024), |limits| (limits.soft, limits.hard));
    let value = readable_above(soft.saturating_mul(2));
    let within = value <= hard;
    let pid = if process.pid > 0 { process.pid.to_string() } else { "PID".to_owned() };
    let mut places = vec![
        Place::new(
            PlaceKind::Live,
            format!("prlimit --pid {pid} --nofile={value}:{}", hard.max(value)),
            Some(Note::UntilRestart),
        ),
        nofile_cure::unit(&KnobValue::Number(value)),
    ];
    if within {
        places.push(nofile_cure::own_start());
        places.push(nofile_cure::wrapped(&KnobValue::Number(value)));
    }
    let hard_words = if within {
        format!("the hard limit of {} allows it", count(hard))
    } else {
        format!("the hard limit of {} must rise too, and that takes whoever starts the process", count(hard))
    };
    Cure {
        knob: "ulimit.nofile".to_owned(),
        value: Some(KnobValue::Number(value)),
        takes_effect: TakesEffect::Live,
        also: Vec::new(),
        places,
        because: format!("twice the present {}; {hard_words}", count(soft)),
    }
}

/// More open files for the host.
pub(super) fn files(max: u64) -> Cure {
    node::node_sysctl("fs.file-max", Some(max), "the limit of the whole host, not of one process".to_owned())
}

/// A longer accept queue: twice the present one. Both numbers must allow it, and the socket must listen again.
pub(super) fn backlog(heard: &Heard<'_>) -> Cure {
    let limit = u64::from(heard.now.limit);
    let need = limit.saturating_mul(2).next_power_of_two().clamp(128, 1 << 31);
    let somaxconn = heard.namespace.number(names::SOMAXCONN);
    let clamped = somaxconn.is_some_and(|now| now == limit);
    let mut places = vec![listen_cure::in_many_languages(need)];
    let too_low = somaxconn.is_none_or(|now| now < need);
    if too_low {
        places.extend(sysctl_places(names::SOMAXCONN, need, Note::Unsafe));
    }
    let number = |knob: &str| Setting { knob: knob.to_owned(), value: KnobValue::Number(need) };
    let sysctl = "sysctl.net.core.somaxconn";
    let (knob, also) = if clamped {
        (sysctl, vec![number("target.backlog")])
    } else {
        ("target.backlog", too_low.then(|| number(sysctl)).into_iter().collect())
    };
    let because = match somaxconn {
        Some(now) if now > limit => format!(
            "the socket has {} though somaxconn is {}: the program asks for that, or it listened before somaxconn was raised; then a restart alone cures",
            count(limit),
            count(now)
        ),
        Some(_) => format!(
            "the socket has {}, all that somaxconn allows: the sysctl must rise, and the program must listen again",
            count(limit)
        ),
        None => format!("twice the present {}", count(limit)),
    };
    Cure {
        knob: knob.to_owned(),
        value: Some(KnobValue::Number(need)),
        takes_effect: TakesEffect::NextListen,
        also,
        places,
        because,
    }
}

/// A listener.
pub(super) fn listen(port: u16) -> Cure {
    Cure {
        knob: "target.listen".to_owned(),
        value: None,
        takes_effect: TakesEffect::ProcessStart,
        also: Vec::new(),
        places: vec![Place::new(
            PlaceKind::Code,
            format!("start what listens on port {port}; give a slow start a startupProbe"),
            None,
        )],
        because: "a port without a listener refuses at once: no limit is involved".to_owned(),
    }
}
