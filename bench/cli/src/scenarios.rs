//! `brimful scenarios`: what is built in, and a file to start from.

use brimful_plan::catalogue;
use brimful_plan::scenario::Scenario;
use clap::{Args, Subcommand};

use super::{put, sources};
use crate::error::{Error, ExitStatus};

#[derive(Debug, Args)]
pub(super) struct ScenariosOptions {
    #[command(subcommand)]
    pub(super) what: Option<ScenarioCommand>,
}

#[derive(Debug, Subcommand)]
pub(super) enum ScenarioCommand {
    /// Names and questions
    List,
    /// The text of one
    Show {
        /// Its name
        name: String,
    },
    /// A commented file to start from
    New,
}

/// A commented scenario that runs as it is.
const TEMPLATE: &str = include_str!("template.toml");

pub(super) fn scenarios(options: &ScenariosOptions) -> Result<ExitStatus, Error> {
    match options.what.as_ref().unwrap_or(&ScenarioCommand::List) {
        ScenarioCommand::List => {
            let width = catalogue::list().iter().map(|embedded| embedded.name.len()).max().unwrap_or(0);
            for embedded in catalogue::list() {
                let scenario = Scenario::parse(embedded.name, embedded.text).map_err(Box::new)?;
                put(&format!("{:width$}  {}\n", embedded.name, scenario.question));
            }
        }
        ScenarioCommand::Show { name } => put(sources::text_of(name)?),
        ScenarioCommand::New => put(TEMPLATE),
    }
    Ok(ExitStatus::Done)
}

#[cfg(test)]
mod tests {
    use brimful_plan::matrix;

    use super::*;

    #[test]
    fn the_template_is_a_scenario() {
        let scenario = Scenario::parse("template.toml", TEMPLATE).unwrap();
        assert!(!matrix::expand(&scenario, 20_000).unwrap().is_empty());
    }
}
