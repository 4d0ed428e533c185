use proptest::prelude::*;

use super::*;

fn fixture(name: &str) -> Seen {
    let text: &[u8] = match name {
        "describe-by-hand.txt" => include_bytes!("../../tests/fixtures/kube/describe-by-hand.txt"),
        "events-by-hand.txt" => include_bytes!("../../tests/fixtures/kube/events-by-hand.txt"),
        "events-wide-by-hand.txt" => include_bytes!("../../tests/fixtures/kube/events-wide-by-hand.txt"),
        "pods-by-hand.json" => include_bytes!("../../tests/fixtures/kube/pods-by-hand.json"),
        other => panic!("no fixture {other}"),
    };
    read(text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

const POD: &str = "target-6d9c7b8f5d-x2x8k";

#[test]
fn json_and_description_say_the_same_of_a_container() {
    let described = fixture("describe-by-hand.txt").containers;
    let pods = fixture("pods-by-hand.json").containers;
    assert_eq!(described.len(), 1);
    assert_eq!(described[0], pods[0]);
    let target = &pods[0];
    assert_eq!((target.pod.as_str(), target.name.as_str(), target.restarts), (POD, "target", 3));
    let last = target.last.as_ref().unwrap();
    assert_eq!((last.reason.as_str(), last.exit_code, last.ran_s()), ("Error", Some(143), Some(4)));
    assert_eq!((pods[1].name.as_str(), pods[1].restarts, pods.len()), ("load", 0, 2));
}

#[test]
fn events_are_counted_whatever_the_table() {
    let narrow = fixture("events-by-hand.txt").events;
    let abouts: Vec<(About, u64)> = narrow.iter().map(|event| (event.about, event.times)).collect();
    use About::{BackOff, Killing, Liveness, Readiness};
    assert_eq!(abouts, [(Liveness, 1), (Readiness, 1), (Killing, 1), (BackOff, 1)]);
    assert!(narrow.iter().all(|event| event.pod.as_deref() == Some(POD)));
    assert!(narrow[0].message.ends_with("(Client.Timeout exceeded while awaiting headers)"));

    // The wide table and the description are of the same events.
    let (wide, described) = (fixture("events-wide-by-hand.txt").events, fixture("describe-by-hand.txt").events);
    assert_eq!(wide, described);
    assert_eq!(wide.iter().map(|event| (event.about, event.times)).collect::<Vec<_>>(), [(Liveness, 9), (Killing, 3)]);
    assert_eq!(wide[0].message, "Liveness probe failed: dial tcp 10.244.1.4:8080: i/o timeout");
}

#[test]
fn columns_that_a_paste_has_lost_are_not_needed() {
    let text = "LAST SEEN TYPE REASON OBJECT MESSAGE\n\
        12s (x4 over 32s) Warning Unhealthy pod/a-b Liveness probe failed: HTTP probe failed with statuscode: 500\n";
    let seen = read(text.as_bytes()).unwrap();
    assert_eq!(seen.events.len(), 1);
    assert_eq!((seen.events[0].times, seen.events[0].pod.as_deref()), (4, Some("a-b")));
    assert_eq!(seen.events[0].message, "Liveness probe failed: HTTP probe failed with statuscode: 500");
}

#[test]
fn two_texts_of_one_thing_are_one() {
    let mut seen = fixture("describe-by-hand.txt");
    let once = seen.clone();
    seen.merge(fixture("describe-by-hand.txt"));
    seen.merge(fixture("events-wide-by-hand.txt"));
    assert_eq!(seen, once);
    let later = Container { restarts: 4, last: None, ..once.containers[0].clone() };
    seen.merge(Seen { containers: vec![later.clone()], events: Vec::new() });
    assert_eq!(seen.containers, [later]);
}

#[test]
fn what_is_none_of_it_is_refused() {
    for (text, says) in [
        ("", "neither JSON of pods"),
        ("hello\nworld\n", "neither JSON of pods"),
        ("{", "begins like JSON"),
        ("{\"kind\":\"Service\"}", "an object of the kind `Service`"),
        ("[]", "an object of the kind `none`"),
    ] {
        let refused = read(text.as_bytes()).unwrap_err().to_string();
        assert!(refused.contains(says), "{text}: {refused}");
    }
    // A table with nothing in it is a good answer.
    assert_eq!(read(&b"LAST SEEN   TYPE   REASON   OBJECT   MESSAGE\n"[..]).unwrap(), Seen::default());
    assert_eq!(read(&b"{\"kind\":\"List\",\"items\":[]}"[..]).unwrap(), Seen::default());
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text: String, lines in proptest::collection::vec("[ -~]{0,60}", 0..12)) {
        drop(read(text.as_bytes()));
        let head = "Name: x\nContainers:\n  y:\n";
        drop(read(format!("{head}{}\nEvents:\n Warning {}", lines.join("\n"), lines.join("  ")).as_bytes()));
    }
}
