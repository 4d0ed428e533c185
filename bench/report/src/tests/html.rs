//! The page as a reader has it: its words in order, whatever a record holds.

use std::fmt::Write as _;

use brimful_evidence::record::Record;
use brimful_evidence::series::Series;
use brimful_judge::report::{Report, RunInfo};
use brimful_plan::cell::{Cell, KnobValue};
use brimful_testing::*;
use proptest::prelude::*;

use crate::html::{Detail, render};

fn report(records: &[Record], planned: &[Cell], blocks: u32) -> Report {
    let info = RunInfo {
        scenario: "origin".into(),
        question: "Which limit makes the health check fail?".into(),
        tool_version: "0.1.0".into(),
        host: healthy().host,
        seed: 7,
        blocks,
        interrupted: false,
        arms: Vec::new(),
        gate: None,
        notes: Vec::new(),
    };
    Report::build(info, records, planned)
}

fn page(records: &[Record]) -> String {
    let planned: Vec<Cell> = records.iter().map(|r| r.cell.clone()).collect();
    render(&report(records, &planned, 1), &records.iter().map(Detail::of).collect::<Vec<_>>())
}

/// What begins a line where a page is read as text.
const BLOCKS: [&str; 19] = [
    "p",
    "h1",
    "h2",
    "h3",
    "h4",
    "li",
    "tr",
    "dt",
    "dd",
    "div",
    "summary",
    "caption",
    "figcaption",
    "pre",
    "title",
    "text",
    "section",
    "label",
    "svg",
];

/// The tags of a page, each with its attributes, and the text between them.
fn parts(page: &str) -> Vec<(&str, &str)> {
    page.split('<').skip(1).map(|part| part.split_once('>').unwrap_or((part, ""))).collect()
}

/// The words of a page in their order, and what pictures say of themselves.
fn read(page: &str) -> String {
    let body = &page[page.find("</defs>").unwrap()..];
    let mut out = String::new();
    for (tag, text) in parts(body) {
        let name = tag.split([' ', '/']).next().unwrap_or_default();
        if BLOCKS.contains(&name) {
            out.push('\n');
        } else if ["td", "th", "a", "span", "b", "small", "i", "code"].contains(&name) {
            out.push(' ');
        }
        if let Some(said) = tag.split("aria-label=\"").nth(1).and_then(|rest| rest.split('"').next()) {
            write!(out, "[{said}]").unwrap();
        }
        out.push_str(text);
    }
    let lines = out.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    let plain = lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n");
    plain.replace("&quot;", "\"").replace("&#39;", "'").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

#[test]
fn a_page_reads_well_from_its_question_to_how_to_run_it_again() {
    insta::assert_snapshot!(read(&page(&[fd_limit_behind_full_queue(), healthy()])));
}

#[test]
fn a_void_cell_says_nothing_of_the_target() {
    let text = read(&page(&[out_of_ports()]));
    for words in [
        "The only block is void",
        "Nothing is said of the target.",
        "bind EADDRNOTAVAIL 2,000",
        "[void, generator-bound",
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
}

#[test]
fn a_report_without_its_records_is_still_a_page() {
    let records = origin_run();
    let planned: Vec<Cell> = records.iter().map(|r| r.cell.clone()).collect();
    let text = read(&render(&report(&records[..7], &planned, 2), &[]));
    for words in
        ["No record of this cell was at hand", "8 cells not run to the end", "not run", "brimful run origin --blocks 2"]
    {
        assert!(text.contains(words), "{words}\n{text}");
    }
    assert!(!render(&report(&records, &planned, 1), &[]).contains("<figure"));
    assert!(read(&render(&report(&[], &planned, 1), &[])).contains("No cell was run."));
}

#[test]
fn values_that_cure_are_told_once_with_all_that_they_were() {
    let mut records = origin_run();
    for (record, asked) in records.iter_mut().zip([512_u64, 65_535, 1_024, 65_535]) {
        let knob = record.knobs.get_mut("ulimit.nofile").unwrap();
        (knob.asked, knob.given) = (KnobValue::Number(asked), Some(KnobValue::Number(asked)));
    }
    let text = read(&page(&records[..4]));
    assert!(text.contains("ulimit.nofile 512, 1,024 → 65,535 cures 2 of 2 cells"), "{text}");
}

#[test]
fn of_one_knob_turned_further_and_less_far_the_less_is_told() {
    let turned = |values: [u64; 3]| {
        let mut records = vec![fd_limit(), healthy(), healthy()];
        for (record, value) in records.iter_mut().zip(values) {
            record.cell.id = value.to_string();
            record.knobs.retain(|name, _| name == "ulimit.nofile");
            let knob = record.knobs.get_mut("ulimit.nofile").unwrap();
            (knob.asked, knob.given) = (KnobValue::Number(value), Some(KnobValue::Number(value)));
        }
        read(&page(&records))
    };
    for (values, told) in [([10, 30, 20], "10 → 20 cures 1 of 1 cell"), ([30, 10, 20], "30 → 20 cures 1 of 1 cell")]
    {
        let text = turned(values);
        assert!(text.contains(told) && text.contains("and 1 other way, in report.json"), "{text}");
    }
}

#[test]
fn a_lost_syn_is_told_beside_the_deadline() {
    let mut record = syn_queue();
    let text = read(&page(&[record.clone()]));
    assert!(text.contains("sent again after 1 s at the earliest: too late for a deadline of 1 s."), "{text}");
    record.probe.plan.timeout = std::time::Duration::from_secs(4);
    let text = read(&page(&[record]));
    assert!(text.contains("sent again after 1, 2 and 3 s, within the deadline of 4 s."), "{text}");
}

#[test]
fn what_is_drawn_of_a_record_is_bounded_whatever_it_holds() {
    let mut record = fd_limit();
    let mut long = Series::default();
    (0..100_000_u64).for_each(|i| long.push(i * MS, i * 7 % 1_000));
    let listener = record.evidence.server.listeners.get_mut(ADDRESS).unwrap();
    (listener.recv_q, listener.drops) = (long.clone(), rising(1));
    record.evidence.processes[0].descriptors = long;
    record.duration_ns = 100 * SECOND;
    record.probe.samples = (0..20_000).map(|i| sample(i, brimful_loadgen_plan::probe::Outcome::Ok)).collect();
    let text = page(&[record]);
    assert!(text.len() < 120_000, "{} bytes", text.len());
}

/// Everything in a report and its details that is text from elsewhere, replaced.
fn tainted(text: &str) -> String {
    let mut record = fd_limit_behind_full_queue();
    let mut well = healthy();
    for (record, id) in [(&mut record, "1"), (&mut well, "2")] {
        record.cell.id = format!("{id}{text}");
        let listener = record.evidence.server.listeners.remove(ADDRESS).unwrap();
        record.evidence.server.listeners.insert(format!("{ADDRESS}#{text}"), listener);
        record.evidence.server.counters.insert(format!("nftables.{text}"), rising(1));
        record.evidence.sources[0].unavailable_because = Some(text.to_owned());
        record.evidence.sources[0].name = text.to_owned();
        record.started_at = text.to_owned();
        record.probe.samples.iter_mut().for_each(|s| s.message = text.to_owned());
        let knob = record.knobs.shift_remove("target.backlog").unwrap();
        let knob = brimful_evidence::record::KnobReading { asked: KnobValue::Word(format!("{id}{text}")), ..knob };
        record.knobs.insert(format!("target.{text}"), knob);
        record.load.outcome.add_failure(brimful_loadgen_plan::outcome::Phase::Hold, text, 3);
    }
    let records = [record, well];
    let mut missing = records[0].cell.clone();
    missing.id = format!("3{text}");
    let planned: Vec<Cell> = records.iter().map(|r| r.cell.clone()).chain([missing]).collect();
    let mut report = report(&records, &planned, 2);
    for field in [
        &mut report.scenario.name,
        &mut report.scenario.question,
        &mut report.tool.version,
        &mut report.host.kernel,
        &mut report.host.arch,
    ] {
        *field = text.to_owned();
    }
    report.headline = vec![text.to_owned(); 3];
    for cell in &mut report.cells {
        let verdict = &mut cell.verdict;
        verdict.notes.push(text.to_owned());
        let ruled_out = verdict.ruled_out.iter_mut().map(|out| &mut out.line).take(1);
        for line in verdict.proof.iter_mut().take(1).chain(ruled_out) {
            (line.source, line.value, line.text) = (text.to_owned(), text.to_owned(), text.to_owned());
        }
        for open in &mut verdict.undecided {
            (open.why, open.collect) = (text.to_owned(), vec![text.to_owned()]);
        }
        if let Some(cure) = &mut verdict.cure {
            (cure.knob, cure.because) = (text.to_owned(), text.to_owned());
            cure.places.iter_mut().for_each(|place| place.text = text.to_owned());
        }
    }
    for change in report.knob_effects.iter_mut().flat_map(|e| &mut e.changes) {
        (change.before, change.after) = (text.to_owned(), text.to_owned());
    }
    render(&report, &records.iter().map(Detail::of).collect::<Vec<_>>())
}

/// The tags of a page with the names of their attributes, and the values of those that lead or do something.
fn skeleton(page: &str) -> Vec<String> {
    let bones = parts(page).into_iter().map(|(tag, _)| {
        let mut bone = tag.split([' ', '/']).next().unwrap_or_default().to_owned();
        for (i, piece) in tag.split('"').enumerate() {
            let telling = ["href", "id", "class", "name", "style"];
            let value_of = tag.split('"').nth(i.saturating_sub(1)).unwrap_or_default().trim_end_matches('=');
            let is_value = i % 2 == 1;
            if !is_value || telling.iter().any(|name| value_of.ends_with(&format!(" {name}"))) {
                bone += piece;
            }
        }
        bone
    });
    bones.filter(|bone| !bone.starts_with("wbr")).collect()
}

const HOSTILE: [&str; 8] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    "</title></style></pre></svg>",
    "&lt;b&gt; &amp;&#60;",
    "javascript:alert(1)",
    "<!--",
    "]]>\u{202e}\u{0}",
];

#[test]
fn no_text_of_a_record_becomes_markup() {
    let bones = skeleton(&tainted("harmless"));
    assert!(bones.len() > 500);
    for text in HOSTILE {
        let page = tainted(text);
        assert_eq!(skeleton(&page), bones, "{text}");
        let meaning = text.contains(['<', '&', '"', '\'']);
        assert!(!meaning || !page.contains(text), "{text} stands on the page as it is");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn nor_does_any_other(text in "[^.]{1,40}") {
        // A full stop parts a knob's name; it is no character of markup.
        prop_assert_eq!(skeleton(&tainted(&text)), skeleton(&tainted("harmless")));
    }
}
