//! A diagnosis, as people read it.

use brimful_judge::doctor::Diagnosis;
use brimful_testing::hosts::*;

use crate::doctor::text;
use crate::text::Look;

#[test]
fn the_page_says_everything_and_the_json_is_read_back() {
    let diagnosis =
        Pair::busy().both(|s| process(s).descriptors = Some(1_024)).after(|s| queue(s, 512, 512, 90)).judged();
    let page = text::render(&diagnosis, Look { width: 100, color: false });
    for part in ["fd-limit", "prlimit --pid 812", "Which limit binds first", "Ruled out", "Mind", "somaxconn 4,096"] {
        assert!(page.contains(part), "{part} in\n{page}");
    }
    assert!(page.lines().all(|line| line.chars().count() <= 110), "{page}");
    let written = serde_json::to_string(&diagnosis).expect("JSON");
    assert_eq!(serde_json::from_str::<Diagnosis>(&written).expect("a diagnosis"), diagnosis);
}
