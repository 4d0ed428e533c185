//! `ulimit.nofile`: one number for both limits, or `"soft:hard"`.

use brimful_target_plan::Nofile;

use crate::cell::KnobValue;
use crate::wording::grouped;

/// A process with fewer cannot even start its runtime: standard streams, epoll, eventfd, listeners, a pipe to its parent.
pub(super) const LEAST: u64 = 32;
/// The highest that `fs.nr_open` can be on 64-bit (`fs/file.c`, `sysctl_nr_open_max`).
pub(crate) const MOST: u64 = 2_147_483_584;

/// The limits that a value of `ulimit.nofile` stands for: `1024` for soft and hard alike, or `"1024:20000"`.
///
/// # Errors
/// Says what is wrong: no number, out of 32..=2,147,483,584, or soft above hard.
pub fn parse_nofile(value: &KnobValue) -> Result<Nofile, String> {
    let (soft, hard) = match value {
        KnobValue::Number(both) => (*both, *both),
        KnobValue::Word(text) => match text.split_once(':') {
            Some((soft, hard)) => (number(soft)?, number(hard)?),
            None => {
                let both = number(text)?;
                (both, both)
            }
        },
        KnobValue::Switch(_) => return Err("a descriptor limit is a number or \"soft:hard\"".to_owned()),
    };
    for limit in [soft, hard] {
        if !(LEAST..=MOST).contains(&limit) {
            return Err(format!(
                "a descriptor limit of {} is out of range, it must be between {} and {}",
                grouped(limit),
                grouped(LEAST),
                grouped(MOST)
            ));
        }
    }
    if soft > hard {
        return Err(format!("the soft limit {} is above the hard limit {}", grouped(soft), grouped(hard)));
    }
    Ok(Nofile { soft, hard })
}

fn number(text: &str) -> Result<u64, String> {
    let digits = text.trim().replace('_', "");
    digits.parse().map_err(|_not_a_number: std::num::ParseIntError| {
        format!("`{text}` is no descriptor limit: write a number or \"soft:hard\"")
    })
}

/// The one spelling of two limits: a number where they are alike, `"soft:hard"` where not.
#[must_use]
pub fn print_nofile(limits: Nofile) -> KnobValue {
    if limits.soft == limits.hard {
        KnobValue::Number(limits.soft)
    } else {
        KnobValue::Word(format!("{}:{}", limits.soft, limits.hard))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_spellings_of_one_limit_are_the_same() {
        let one = Nofile { soft: 1024, hard: 1024 };
        for value in [KnobValue::Number(1024), KnobValue::Word("1024".into()), KnobValue::Word("1_024:1024".into())] {
            assert_eq!(parse_nofile(&value).unwrap(), one);
        }
        assert_eq!(print_nofile(one), KnobValue::Number(1024));
    }

    #[test]
    fn what_no_process_can_have_is_refused() {
        for text in ["", ":", "unlimited", "1024:", "1024:512", "-1", "31", "1024:3000000000", "1:2:3"] {
            assert!(parse_nofile(&KnobValue::Word(text.into())).is_err(), "{text}");
        }
        assert!(parse_nofile(&KnobValue::Switch(true)).is_err());
    }

    proptest! {
        #[test]
        fn parse_undoes_print(soft in LEAST..=MOST, more in 0u64..100_000) {
            let limits = Nofile { soft, hard: (soft + more).min(MOST) };
            prop_assert_eq!(parse_nofile(&print_nofile(limits)).unwrap(), limits);
        }
    }
}
