//! The value of a metric in a block.

use brimful_judge::metric::*;
use brimful_plan::gate::Metric;
use brimful_testing::reports::{Made, block};

#[test]
fn a_value_is_known_censored_or_absent() {
    let sound = block(3, Made { failed: 2, p99_ms: None, ..Made::default() });
    assert_eq!(of(Metric::FailureRate, &sound), Some(Value::Known(0.02)));
    assert_eq!(of(Metric::P99, &sound), Some(Value::AtLeast { at_least: 1e9 }));
    assert_eq!(of(Metric::P50, &sound).and_then(Value::known), Some(4e5));
    let at_one_instant = block(0, Made { rate: None, ..Made::default() });
    assert_eq!(of(Metric::LoadRate, &at_one_instant), None);
    let void = block(0, Made { void: true, ..Made::default() });
    assert!(Metric::ALL.iter().all(|&metric| of(metric, &void).is_none()));
}

#[test]
fn a_censored_value_says_so_in_json() {
    let json = serde_json::to_string(&[Value::Known(0.5), Value::AtLeast { at_least: 1e9 }]).unwrap();
    assert_eq!(json, r#"[0.5,{"at_least":1000000000.0}]"#);
    let back: [Value; 2] = serde_json::from_str(&json).unwrap();
    assert_eq!(back, [Value::Known(0.5), Value::AtLeast { at_least: 1e9 }]);
}
