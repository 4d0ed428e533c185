//! What cannot be run, said before anything starts.

use std::fmt;

/// What the reader of a refusal should do; decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Mend the scenario: no machine would do (exit code 2).
    Scenario,
    /// Another machine, or another limit on this one, would do (exit code 3).
    Machine,
}

/// One reason why a plan cannot be run as it stands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Refusal {
    /// The id of the cell it is about; `None` for the whole scenario.
    pub cell: Option<String>,
    /// The full dotted name of the knob it is about; `None` where no single knob is.
    pub knob: Option<String>,
    /// What is wrong, with the arithmetic; lowercase, no full stop.
    pub what: String,
    /// What to type or to change.
    pub hint: String,
    /// Whether the scenario or the machine has to change.
    pub class: Class,
}

impl Refusal {
    /// A refusal that no machine would lift.
    #[must_use]
    pub fn scenario(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { cell: None, knob: None, what: what.into(), hint: hint.into(), class: Class::Scenario }
    }

    /// A refusal by this machine.
    #[must_use]
    pub fn machine(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { class: Class::Machine, ..Self::scenario(what, hint) }
    }

    /// The same about one knob, by its full dotted name.
    #[must_use]
    pub fn about(self, knob: impl Into<String>) -> Self {
        Self { knob: Some(knob.into()), ..self }
    }

    /// The same about one cell, by its id.
    #[must_use]
    pub fn in_cell(self, cell: impl Into<String>) -> Self {
        Self { cell: Some(cell.into()), ..self }
    }
}

/// Where and what, without the hint: whoever prints it sets `hint:` beneath.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(cell) = &self.cell {
            write!(f, "cell `{cell}`: ")?;
        }
        f.write_str(&self.what)
    }
}
