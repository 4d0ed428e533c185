//! Searches, as people see them.

use brimful_testing::knees::*;

use crate::knee::{markdown, svg, text};
use crate::text::Look;

#[test]
fn a_terminal_is_shown_a_table_and_a_picture() {
    insta::assert_snapshot!(text::render(&many(), Look { width: 100, color: false }));
}

#[test]
fn one_cell_is_told_in_a_sentence() {
    let one = report(vec![knee_of(descriptors(1_024), "base", 2_000, 9_999)]);
    insta::assert_snapshot!(text::render(&one, Look { width: 80, color: false }));
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    for width in [60, 80, 132] {
        let text = text::render(&many(), Look { width, color: false });
        let widest = text.lines().map(|line| line.trim_end().chars().count()).max().unwrap();
        assert!(widest <= usize::from(width), "{widest} of {width}:\n{text}");
    }
}

#[test]
fn a_page_is_given_a_table() {
    insta::assert_snapshot!(markdown::render(&many()));
}

#[test]
fn the_picture_stands_alone() {
    let svg = svg::render(&many());
    insta::assert_snapshot!(svg);
    assert_eq!(svg.matches("<svg").count(), 1);
    assert!(svg.contains("role=\"img\"") && svg.contains("<title id=") && svg.contains("prefers-color-scheme:dark"));
    assert!(svg.contains("&lt;before&gt;") && svg.contains("&amp; why"), "text is escaped");
    for outside in ["href", "url(", "<script", "<image", "@import"] {
        assert!(!svg.contains(outside), "{outside}");
    }
    assert_eq!(svg.matches("http").count(), 1, "the name space is no address to fetch");
}

#[test]
fn a_search_with_nothing_to_show_is_shown() {
    let nothing = report(Vec::new());
    assert!(text::render(&nothing, Look { width: 80, color: false }).contains("No cell was tried."));
    assert!(markdown::render(&nothing).contains("No cell was tried."));
    assert!(svg::render(&nothing).ends_with("</svg>\n"));
}
