//! The search against made-up servers: one with a threshold, one with a band of noise, one that hiccups, one generator that ends.

use proptest::prelude::*;

use super::*;

/// A range that no scenario exceeds.
const MOST: u64 = 4_000_000;

/// Tries until the search is over, or fails to be.
fn searched(mut search: Search, mut server: impl FnMut(u64) -> Answer) -> (Search, Vec<u64>) {
    let mut tried = Vec::new();
    while let Some(load) = search.next() {
        assert!(tried.len() < MOST_TRIES, "no end: {tried:?}");
        tried.push(load);
        let answer = server(load);
        search.saw(load, answer);
    }
    (search, tried)
}

/// Healthy up to its threshold, `None` for not even without load.
fn up_to(threshold: Option<u64>) -> impl Fn(u64) -> Answer {
    move |load| if threshold.is_some_and(|most| load <= most) { Answer::Healthy } else { Answer::Unhealthy }
}

fn within(text: &str) -> Within {
    text.parse().unwrap()
}

/// Without a hint halving takes log2 of range over tolerance; with one, the steps out come on top.
fn bound(highest: u64, tolerance: u64, hinted: bool) -> usize {
    let halvings = (highest / tolerance.max(1)).max(1).ilog2() as usize + 1;
    halvings + 3 + if hinted { 8 } else { 0 }
}

proptest! {
    #[test]
    fn the_interval_holds_the_threshold_and_is_as_narrow_as_asked(
        highest in 1_u64..MOST, part in 0.0_f64..1.2, points in 1_u32..5_000, hint in proptest::option::of((0_u64..MOST, 0_u64..100_000)),
    ) {
        let threshold = (highest as f64 * part) as u64;
        let within = Within { basis_points: points };
        let mut search = Search::new(highest, within);
        if let Some((passed_at, width)) = hint {
            search.hint(Hint { passed_at, failed_at: passed_at + width });
        }
        let (search, tried) = searched(search, up_to(Some(threshold)));
        let knee = search.knee();
        prop_assert!(knee.settled, "{:?} after {:?}", knee, tried);
        prop_assert!(knee.unsteady.is_empty());
        let low = knee.healthy_to.unwrap();
        prop_assert!(low <= threshold);
        match knee.unhealthy_from {
            Some(top) => prop_assert!(top > threshold && top - low <= within.of(top)),
            None => prop_assert_eq!(low, highest),
        }
        prop_assert!(tried.iter().all(|&load| load <= highest));
        let bound = bound(highest, within.of(threshold.min(highest)), hint.is_some());
        prop_assert!(tried.len() <= bound, "{} tries, at most {}: {:?}", tried.len(), bound, tried);
    }

    #[test]
    fn answers_that_differ_widen_the_interval_instead_of_hiding(
        highest in 100_u64..MOST, part in 0.1_f64..0.9, width in 0.0_f64..0.1, coins in proptest::collection::vec(any::<bool>(), MOST_TRIES),
    ) {
        // Between two loads the answer is a coin's.
        let (from, to) = ((highest as f64 * part) as u64, (highest as f64 * (part + width)) as u64);
        let mut coins = coins.into_iter();
        let (search, tried) = searched(Search::new(highest, Within::DEFAULT), |load| match load {
            _ if load <= from => Answer::Healthy,
            _ if load > to => Answer::Unhealthy,
            _ if coins.next().unwrap() => Answer::Healthy,
            _ => Answer::Unhealthy,
        });
        let knee = search.knee();
        let (low, top) = (knee.healthy_to.unwrap(), knee.unhealthy_from.unwrap());
        prop_assert!(low < top && low <= to && top > from, "{:?} after {:?}", knee, tried);
        prop_assert!(knee.unsteady.iter().all(|odd| low < odd.load && odd.load < top));
        // Whatever was seen is inside or agrees.
        for odd in &knee.unsteady {
            prop_assert!((from + 1..=to).contains(&odd.load));
        }
    }

    #[test]
    fn one_hiccup_does_not_move_the_knee(
        highest in 1_000_u64..MOST, part in 0.1_f64..0.9, nth in 0_usize..12,
    ) {
        let threshold = (highest as f64 * part) as u64;
        let mut count = 0;
        let (search, tried) = searched(Search::new(highest, Within::DEFAULT), |load| {
            count += 1;
            // The machine was busy once: a probe failed for no reason of the load's.
            if count == nth + 1 { Answer::Unhealthy } else { up_to(Some(threshold))(load) }
        });
        let knee = search.knee();
        prop_assert!(knee.healthy_to.unwrap() <= threshold, "{:?} after {:?}", knee, tried);
        prop_assert!(knee.unhealthy_from.unwrap() > threshold, "{:?} after {:?}", knee, tried);
    }

    #[test]
    fn where_the_generator_ends_the_search_ends(highest in 1_u64..MOST, part in 0.0_f64..1.0, end in 0.0_f64..1.0) {
        let (threshold, end) = ((highest as f64 * part) as u64, (highest as f64 * end) as u64);
        let (search, tried) = searched(Search::new(highest, Within::DEFAULT), |load| {
            if load > end { Answer::Void } else { up_to(Some(threshold))(load) }
        });
        let knee = search.knee();
        prop_assert!(knee.settled, "{:?} after {:?}", knee, tried);
        let low = knee.healthy_to.unwrap();
        prop_assert!(low <= threshold.min(end));
        if let Some(top) = knee.unhealthy_from {
            prop_assert!(threshold < top && top <= end);
        } else if end < highest {
            prop_assert!(knee.void_from.is_some_and(|void| void > end), "{:?}", knee);
        } else {
            prop_assert_eq!(low, highest);
        }
    }

    #[test]
    fn a_tolerance_reads_as_it_is_written(points in Within::LEAST..=Within::MOST) {
        let within = Within { basis_points: points };
        prop_assert_eq!(within.to_string().parse(), Ok(within));
    }
}

#[test]
fn a_ramp_that_was_right_saves_tries() {
    let mut hinted = Search::new(2_000, within("1%"));
    hinted.hint(Hint { passed_at: 980, failed_at: 1_100 });
    let (search, tried) = searched(hinted, up_to(Some(1_010)));
    assert_eq!(tried, [980, 1_100, 1_040, 1_010, 1_025, 1_017, 1_017]);
    assert_eq!((search.knee().healthy_to, search.knee().unhealthy_from), (Some(1_010), Some(1_017)));
}

#[test]
fn what_is_never_healthy_is_tried_without_load() {
    let (search, tried) = searched(Search::new(200, Within::DEFAULT), up_to(None));
    assert_eq!(tried, [200, 100, 50, 25, 12, 6, 3, 1, 0, 0]);
    let knee = search.knee();
    assert_eq!((knee.healthy_to, knee.unhealthy_from, knee.settled), (None, Some(0), true));
}

#[test]
fn what_is_always_healthy_is_tried_once() {
    let (search, tried) = searched(Search::new(200, Within::DEFAULT), up_to(Some(200)));
    assert_eq!(tried, [200]);
    let knee = search.knee();
    assert_eq!((knee.healthy_to, knee.unhealthy_from, knee.settled), (Some(200), None, true));
}

#[test]
fn a_second_try_that_differs_is_said() {
    let mut search = Search::new(100, within("50%"));
    for (load, answer) in
        [(100, Answer::Unhealthy), (60, Answer::Healthy), (70, Answer::Unhealthy), (70, Answer::Healthy)]
    {
        search.saw(load, answer);
    }
    let knee = search.knee();
    assert_eq!((knee.healthy_to, knee.unhealthy_from), (Some(60), Some(100)));
    assert_eq!(knee.unsteady, [Unsteady { load: 70, healthy: 1, unhealthy: 1 }]);
    assert!(!knee.settled, "the upper end was tried once");
}

#[test]
fn a_search_that_was_broken_off_is_not_settled() {
    let mut search = Search::new(100, Within::DEFAULT);
    assert!(!search.knee().settled);
    search.saw(100, Answer::Unhealthy);
    assert!(!search.knee().settled);
}

#[test]
fn a_tolerance_is_a_percentage() {
    for (text, points) in [("1%", 100), ("0.5 %", 50), ("0.01%", 1), ("50%", 5_000), (" 2.25% ", 225)] {
        assert_eq!(text.parse(), Ok(Within { basis_points: points }), "{text}");
    }
    for text in ["", "%", "1", "0%", "0.001%", "51%", "-1%", "1.%%", ".5%", "99999999999%", "1e1%"] {
        assert_eq!(text.parse::<Within>(), Err(NoTolerance), "{text}");
    }
    assert_eq!([100, 225, 50].map(|basis_points| Within { basis_points }.to_string()), ["1%", "2.25%", "0.5%"]);
}
