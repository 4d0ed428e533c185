//! The confusion matrix: what was true by row, what was said by column. Pure.

use std::fmt;

use brimful_plan::expect::{CauseName, CellOutcome, Expectation};

use super::report::Report;

/// The cause of a cell; `None` for a healthy one.
pub type Named = Option<CauseName>;

/// How often each truth met each verdict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Confusion {
    pairs: Vec<(Named, Named)>,
}

impl Confusion {
    /// From pairs of truth and verdict.
    #[must_use]
    pub fn of(pairs: impl IntoIterator<Item = (Named, Named)>) -> Self {
        Self { pairs: pairs.into_iter().collect() }
    }

    /// Adds another run's.
    pub fn merge(&mut self, other: &Self) {
        self.pairs.extend_from_slice(&other.pairs);
    }

    /// Pairs in which the verdict is the truth.
    #[must_use]
    pub fn right(&self) -> usize {
        self.pairs.iter().filter(|(truth, verdict)| truth == verdict).count()
    }

    /// Pairs without a name where there was one to give: no name is not a wrong name.
    #[must_use]
    pub fn undetermined(&self) -> usize {
        let silent =
            |&&(truth, verdict): &&(Named, Named)| truth != verdict && verdict == Some(CauseName::Undetermined);
        self.pairs.iter().filter(silent).count()
    }

    /// Pairs in which another name was given, or none was due, or the cell was taken for healthy.
    #[must_use]
    pub fn wrong(&self) -> usize {
        self.pairs.len() - self.right() - self.undetermined()
    }

    fn count(&self, truth: Named, verdict: Named) -> usize {
        self.pairs.iter().filter(|&&pair| pair == (truth, verdict)).count()
    }
}

/// Truth and verdict of every block that an expectation speaks of by a cause, or by `healthy` alone.
#[must_use]
pub fn pairs(expectations: &[Expectation], report: &Report) -> Vec<(Named, Named)> {
    let mut pairs = Vec::new();
    for expectation in expectations {
        let truth = match (expectation.cause, expectation.outcome.as_slice()) {
            (Some(cause), _) => Some(cause),
            (None, [CellOutcome::Healthy]) => None,
            (None, _) => continue,
        };
        let cells = report.cells.iter().filter(|c| super::expect::speaks_of(expectation, &c.knobs));
        pairs.extend(cells.flat_map(|c| &c.blocks).map(|block| (truth, block.verdict.cause)));
    }
    pairs
}

fn name(named: Named) -> String {
    named.map_or_else(|| "healthy".to_owned(), |cause| cause.to_string())
}

/// A letter for each column: names would not fit beside each other.
fn letter(index: usize) -> String {
    let last = char::from(b'a' + u8::try_from(index % 26).unwrap_or(0));
    match index / 26 {
        0 => last.to_string(),
        more => format!("{}{last}", letter(more - 1)),
    }
}

impl fmt::Display for Confusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.pairs.is_empty() {
            return writeln!(f, "no cell with a truth to compare");
        }
        let mut names: Vec<Named> = self.pairs.iter().flat_map(|&(truth, verdict)| [truth, verdict]).collect();
        names.sort_unstable();
        names.dedup();
        let label = names.iter().map(|&n| name(n).len()).max().unwrap_or(0);
        let digits = self.pairs.len().to_string().len().max(letter(names.len()).len());
        writeln!(f, "truth by row, verdict by column")?;
        write!(f, "{:label$}    ", "")?;
        for column in 0..names.len() {
            write!(f, " {:>digits$}", letter(column))?;
        }
        writeln!(f)?;
        for (row, &truth) in names.iter().enumerate() {
            write!(f, "{:label$}  {:>2}", name(truth), letter(row))?;
            for &verdict in &names {
                match self.count(truth, verdict) {
                    0 => write!(f, " {:>digits$}", ".")?,
                    n => write!(f, " {n:>digits$}")?,
                }
            }
            writeln!(f)?;
        }
        let (right, silent, wrong) = (self.right(), self.undetermined(), self.wrong());
        writeln!(f, "{right} of {} right, {silent} undetermined, {wrong} wrong", self.pairs.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use CauseName::{AcceptQueue, FdLimit, Undetermined};

    #[test]
    fn truth_stands_by_row_and_verdict_by_column() {
        let seen = Confusion::of([
            (None, None),
            (None, None),
            (Some(FdLimit), Some(FdLimit)),
            (Some(FdLimit), Some(AcceptQueue)),
            (Some(AcceptQueue), Some(Undetermined)),
        ]);
        assert_eq!((seen.right(), seen.undetermined(), seen.wrong()), (3, 1, 1));
        insta::assert_snapshot!(seen.to_string());
    }

    #[test]
    fn silence_where_nothing_was_wrong_is_right_and_a_name_is_not() {
        let seen =
            Confusion::of([(None, Some(FdLimit)), (Some(Undetermined), Some(Undetermined)), (Some(FdLimit), None)]);
        assert_eq!((seen.right(), seen.undetermined(), seen.wrong()), (1, 0, 2));
    }

    #[test]
    fn columns_beyond_the_alphabet_have_two_letters() {
        assert_eq!(["a", "z", "aa", "ab"], [0, 25, 26, 27].map(letter));
    }

    #[test]
    fn nothing_to_compare_is_said() {
        assert!(Confusion::default().to_string().contains("no cell"));
    }
}
