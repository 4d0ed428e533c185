//! Every form of the same few runs: as it will be seen, and read back by a parser of its own where one is at hand.

use std::collections::BTreeSet;

use brimful_evidence::record::Record;
use brimful_judge::report::Report;
use brimful_plan::cell::KnobValue;
use brimful_testing::runs::*;
use brimful_testing::*;
use proptest::prelude::*;
use quick_junit::{NonSuccessKind, TestCaseStatus};
use serde_json::Value;

use crate::forms::markdown::{LEAST_BYTES, Limit, SUMMARY_BYTES};
use crate::forms::*;

fn markdown(report: &Report) -> String {
    markdown::render(report, Limit { bytes: SUMMARY_BYTES, whole: "report.json" })
}

#[test]
fn the_markdown_of_the_origin_reads_well() {
    insta::assert_snapshot!(markdown(&report(ORIGIN, &origin_run())));
}

#[test]
fn the_markdown_of_every_outcome_reads_well() {
    insta::assert_snapshot!(markdown(&mixed()));
}

#[test]
fn the_markdown_of_several_blocks_reads_well() {
    insta::assert_snapshot!(markdown(&blocked()));
}

#[test]
fn nothing_in_a_text_becomes_markup_but_code_between_backticks() {
    let mut record = named("a_b=`x`", fd_limit());
    record.knobs.insert(
        "target.argv".into(),
        brimful_evidence::record::KnobReading {
            asked: KnobValue::Word("a|b".into()),
            given: Some(KnobValue::Word("<b>|*x*".into())),
            reason: Some("a_b _c_ [d](e) $f$ ~g~ \\ ` \n# h".into()),
        },
    );
    let other = named("other", healthy());
    let page = markdown(&report("`q` | <script> *", &[record, other]));
    assert!(page.contains(r"## `q` \| &lt;script&gt; \*"), "{page}");
    assert!(page.contains(r"| &lt;b&gt;\|\*x\*\* |"), "{page}");
    assert!(page.contains(r"a_b \_c\_ \[d\](e) \$f\$ \~g\~ \\ \`  # h"), "{page}");
    assert!(page.contains("Seen in `` a_b=`x` ``."), "{page}");
    well_formed(&page);
}

/// Rows are whole and as wide as their header, fences and folded parts are closed.
fn well_formed(page: &str) {
    let (mut fenced, mut folded, mut columns) = (None::<&str>, 0_i32, None);
    for line in page.lines() {
        match fenced {
            Some(fence) => fenced = Some(fence).filter(|fence| line != *fence),
            None if line.starts_with("```") => fenced = Some(line),
            None => {
                folded += i32::from(line.starts_with("<details>")) - i32::from(line.starts_with("</details>"));
                assert!((0..=1).contains(&folded), "{page}");
                let borders = line.replace(r"\|", "").matches('|').count();
                if line.starts_with('|') {
                    assert!(line.ends_with('|'), "{line}");
                    assert_eq!(*columns.get_or_insert(borders), borders, "{line}");
                } else {
                    columns = None;
                }
            }
        }
    }
    assert_eq!((fenced, folded), (None, 0), "{page}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_page_that_is_cut_is_whole_in_itself_and_says_where_the_rest_is(bytes in 0_usize..12_000) {
        thread_local! {
            static PAGES: [Report; 2] = [report(ORIGIN, &origin_run()), mixed()];
        }
        PAGES.with(|reports| for report in reports {
            let page = markdown::render(report, Limit { bytes, whole: "somewhere/report.json" });
            assert!(page.len() <= bytes.max(LEAST_BYTES), "{} of {bytes}", page.len());
            let whole = page == markdown(report);
            assert_eq!(whole, !page.contains("the whole is in `somewhere/report.json`."), "{page}");
            well_formed(&page);
        });
    }
}

#[test]
fn a_table_too_long_for_its_page_leaves_room_for_the_causes() {
    let records: Vec<Record> = (0..40).map(|i| named(&format!("nofile={i}"), fd_limit())).collect();
    let report = report(ORIGIN, &records);
    let page = markdown::render(&report, Limit { bytes: 4_000, whole: "report.json" });
    assert!(page.contains("more cells, for which there is no room here."), "{page}");
    assert!(page.contains("<details><summary>fd-limit"), "{page}");
    well_formed(&page);
}

#[test]
fn the_junit_of_every_outcome_reads_well_and_reads_back() {
    let xml = junit::render(&mixed()).unwrap();
    insta::assert_snapshot!(xml);
    let back = quick_junit::Report::deserialize_from_str(&xml).unwrap();
    assert_eq!((back.tests, back.failures, back.errors), (5, 2, 2));
    let kinds: Vec<Option<NonSuccessKind>> = back.test_suites[0]
        .test_cases
        .iter()
        .map(|case| match &case.status {
            TestCaseStatus::NonSuccess { kind, .. } => Some(*kind),
            TestCaseStatus::Success { .. } | TestCaseStatus::Skipped { .. } => None,
        })
        .collect();
    let (failure, error) = (Some(NonSuccessKind::Failure), Some(NonSuccessKind::Error));
    assert_eq!(kinds, [None, failure, failure, error, error]);
}

#[test]
fn blocks_that_are_missing_are_an_error_beside_those_that_are_not() {
    let xml = junit::render(&blocked()).unwrap();
    let back = quick_junit::Report::deserialize_from_str(&xml).unwrap();
    let names: Vec<&str> = back.test_suites[0].test_cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names, ["backlog=4096", "backlog=128", "backlog=4096 (missing blocks)", "backlog=128 (missing blocks)"]);
    assert!(xml.contains("no record of blocks 2, 3 and 4"), "{xml}");
}

#[test]
fn benchers_json_has_the_range_of_the_blocks_and_no_bound() {
    let text = bmf::render(&blocked());
    insta::assert_snapshot!(text);
    let json: Value = serde_json::from_str(&text).unwrap();
    let whole = &json["origin/backlog=4096"];
    for (name, measure) in whole.as_object().unwrap() {
        let number = |key: &str| measure[key].as_f64().unwrap();
        assert!(number("lower_value") <= number("value") && number("value") <= number("upper_value"), "{name}");
    }
    let half = &json["origin/backlog=128"];
    assert!(half["latency-p99"].is_null(), "a bound is no value: {half}");
    assert_eq!(half["latency-p50"]["upper_value"], Value::Null, "the failed block's median is known from below only");
    let json: Value = serde_json::from_str(&bmf::render(&mixed())).unwrap();
    assert!(json["origin/nofile=512"].is_null(), "a void cell says nothing of the target");
}

#[test]
fn github_action_benchmark_gets_what_should_be_small() {
    let text = github_action_benchmark::render(&blocked());
    insta::assert_snapshot!(text);
    let list: Vec<Value> = serde_json::from_str(&text).unwrap();
    let names: BTreeSet<&str> = list.iter().map(|entry| entry["name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), list.len(), "a name is a chart");
    assert!(list.iter().all(|entry| entry["value"].is_f64() && entry["unit"].is_string()), "{text}");
    assert!(!text.contains("load."), "{text}");
}

#[test]
fn benchstat_gets_a_line_for_each_sound_block() {
    let text = benchstat::render(&blocked());
    insta::assert_snapshot!(text);
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("Benchmark")).collect();
    assert_eq!(lines.len(), 5);
    for line in
        lines.iter().chain(&benchstat::render(&mixed()).lines().filter(|l| l.starts_with("Bench")).collect::<Vec<_>>())
    {
        let words: Vec<&str> = line.split(' ').collect();
        assert!(words[0].starts_with("BenchmarkOrigin/"), "{line}");
        assert!(words[1].parse::<u64>().is_ok() && words.len().is_multiple_of(2) && words.len() > 2, "{line}");
        assert!(words[2..].chunks(2).all(|pair| pair[0].parse::<f64>().is_ok()), "{line}");
    }
}

#[test]
fn the_percentile_table_says_what_is_known_from_below_only() {
    let records = [named("nofile=1024", fd_limit()), named("nofile=2048", degraded())];
    insta::assert_snapshot!(hgrm::render(&report(ORIGIN, &records), &records));
}

#[test]
fn the_percentile_table_counts_every_probe_and_ends_at_all_of_them() {
    let records = blocked_records();
    let report = blocked();
    let text = hgrm::render(&report, &records);
    let rows: Vec<Vec<f64>> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split_whitespace().filter_map(|word| word.parse().ok()).collect())
        .filter(|row: &Vec<f64>| row.len() > 2)
        .collect();
    let last: Vec<&Vec<f64>> = rows.iter().filter(|row| row[1] == 1.0).collect();
    assert_eq!(last.iter().map(|row| row[2] as u64).collect::<Vec<_>>(), [30, 20]);
    assert_eq!(last[1][0], 1_000.0);
    assert!(rows.windows(2).all(|two| two[1][1] < two[0][1] || two[0][0] <= two[1][0]), "{text}");
}

#[test]
fn the_interval_log_holds_every_block_and_reads_back() {
    let records = blocked_records();
    let log = hlog::render(&blocked(), &records).unwrap();
    let (mut probes, mut failed) = (Vec::new(), 0);
    for entry in hdrhistogram::serialization::interval_log::IntervalLogIterator::new(log.as_bytes()) {
        let hdrhistogram::serialization::interval_log::LogEntry::Interval(interval) = entry.unwrap() else { continue };
        use base64::Engine as _;
        let bytes = base64::engine::general_purpose::STANDARD.decode(interval.encoded_histogram()).unwrap();
        let histogram: hdrhistogram::Histogram<u64> =
            hdrhistogram::serialization::Deserializer::new().deserialize(&mut bytes.as_slice()).unwrap();
        let tag = interval.tag().unwrap().as_str().to_owned();
        if tag.ends_with("/probe") {
            probes.push((tag.clone(), histogram.len()));
        }
        if tag.ends_with("/probe-failed") {
            failed += histogram.len();
        }
    }
    assert_eq!(probes.len(), records.len());
    assert_eq!((probes[0].0.as_str(), probes[0].1), ("backlog=4096/0/probe", 10));
    assert_eq!(failed, 6);
    let first: Vec<&str> = log.lines().take(2).collect();
    assert_eq!(first[0], "#brimful 0.1.0: origin");
}

#[test]
fn openmetrics_reads_well() {
    insta::assert_snapshot!(openmetrics::render(&mixed()));
}

#[test]
fn openmetrics_is_closed_and_its_labels_are_escaped() {
    let mut report = mixed();
    report.scenario.question = "a \"b\" \\ c\nd".into();
    let text = openmetrics::render(&report);
    assert!(text.contains(r#"question="a \"b\" \\ c\nd","#), "{text}");
    assert!(text.ends_with("\n# EOF\n"), "{text}");
    assert!(text.lines().all(|line| line.starts_with("# ") || line.starts_with("brimful_")), "{text}");
}

#[test]
fn no_form_fails_on_a_run_without_a_record() {
    let report = Report::build(info(ORIGIN, 1), &[], &cells(&[healthy()]));
    assert!(markdown(&report).contains("No cell was run."));
    assert!(junit::render(&report).unwrap().contains(r#"errors="1""#));
    assert_eq!((bmf::render(&report), github_action_benchmark::render(&report)), ("{}\n".into(), "[]\n".into()));
    assert!(!benchstat::render(&report).contains("Benchmark"));
    assert_eq!(hgrm::render(&report, &[]), "");
    assert!(hlog::render(&report, &[]).unwrap().starts_with("#brimful"));
    assert!(openmetrics::render(&report).contains("brimful_cell_missing_blocks{"));
    assert!(json::render(&report).contains("\"missing\""));
}
