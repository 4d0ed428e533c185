//! The knees for a page that others read: a table, the picture by name, and what limits the answer. Pure.

use brimful_judge::knee::KneeReport;

use super::notes;

/// The picture lies beside it as `knee.svg`.
#[must_use]
pub fn render(report: &KneeReport) -> String {
    let mut out = format!("# {}\n\n", escaped(&report.scenario.question));
    for line in notes::headline(report) {
        out.push_str(&format!("{}\n", escaped(&line)));
    }
    if report.cells.is_empty() {
        return out;
    }
    out.push_str("\n| cell | knee | breaks at | foretold | measured / foretold | cause | tries |\n");
    out.push_str("|---|--:|--:|---|--:|---|--:|\n");
    for cell in &report.cells {
        let cause = notes::cause(cell).map_or_else(String::new, |name| name.to_string());
        let row = [
            format!("`{}`", cell.id),
            notes::knee(cell),
            notes::breaks_at(cell),
            notes::foretold(cell),
            notes::ratio(cell),
            cause,
            cell.tries.len().to_string(),
        ];
        let row: Vec<String> = row.iter().map(|text| escaped(text)).collect();
        out.push_str(&format!("| {} |\n", row.join(" | ")));
    }
    out.push_str("\n![the knee of each cell](knee.svg)\n");
    let said: Vec<String> = report
        .cells
        .iter()
        .flat_map(|cell| notes::notes(cell).into_iter().map(|note| format!("- `{}`: {note}\n", cell.id)))
        .collect();
    if !said.is_empty() {
        out.push('\n');
        said.iter().for_each(|note| out.push_str(&escaped(note)));
    }
    let Some(first) = report.cells.first() else { return out };
    out.push_str(&format!(
        "\nLoads are opened over {} s; the ends of each interval are within {} of one another; {} tries, each in a fresh \
         sandbox, on Linux {}, {} processors.\n",
        std::time::Duration::from_nanos(first.opened_over_ns).as_secs_f64(),
        report.within,
        notes::tries(report),
        report.host.kernel,
        report.host.cpus
    ));
    out
}

/// A pipe would end a cell of the table.
fn escaped(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;")
}
