//! `kind = "command"`: any server as target. What it is started with, and what that becomes for one process. Pure.
//!
//! A command is judged from outside only, so nothing here says how it behaves: what it holds, what it does at its limit and which
//! backlog it passes to `listen(2)` is seen, or not known.

mod knobs;
mod template;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use brimful_target_plan::Nofile;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::cell::KnobValue;
use crate::wording::quoted;

pub(super) use knobs::{complete, refuse_builtin, set};
pub use template::{Place, Spot};

/// The beginning of the knobs that a command's own settings are.
pub const ARG: &str = "target.arg.";
/// The knob that is the whole command line.
pub const ARGV: &str = "target.argv";

/// Placeholders that every command has, besides its own settings: the folder of its files, where it is to listen, what is stated
/// of its backlog, and its soft and hard descriptor limits.
pub const GIVEN: &[&str] = &["dir", "host", "port", "listen", "backlog", "nofile", "nofile-hard", "health-path"];

/// A server that is not brimful's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// The program and its arguments; at least one. Placeholders are filled in.
    pub argv: Vec<String>,
    /// Variables set on top of brimful's own environment; placeholders are filled in.
    #[serde(default)]
    pub env: IndexMap<String, String>,
    /// Files written into a folder of its own before it starts, by their names in it; placeholders are filled in.
    #[serde(default)]
    pub files: IndexMap<String, String>,
    /// Where it is started; `None` for the folder of its files.
    pub directory: Option<PathBuf>,
    /// Whom it runs as, by name; `None` for whom brimful runs as.
    pub user: Option<String>,
    /// What says that it is ready.
    pub ready: Readiness,
    /// How long it may take until then.
    pub start_timeout: Duration,
    /// What asks it to end.
    pub stop_signal: StopSignal,
    /// Its settings by name, without [`ARG`].
    #[serde(default)]
    pub args: IndexMap<String, KnobValue>,
    /// The backlog that it passes to `listen(2)`, as the scenario states it; `None` where that is not known.
    pub backlog: Option<u32>,
}

/// What says that a command is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Readiness {
    /// A connection to this port of the address that it listens on.
    Tcp(u16),
}

/// What asks a command to end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum StopSignal {
    /// What the kubelet sends.
    #[default]
    #[serde(rename = "TERM")]
    Term,
    /// nginx ends in good order on it.
    #[serde(rename = "QUIT")]
    Quit,
    /// As from a terminal.
    #[serde(rename = "INT")]
    Int,
    /// Used by some servers as their own.
    #[serde(rename = "USR1")]
    Usr1,
    /// The same.
    #[serde(rename = "USR2")]
    Usr2,
    /// A hang-up.
    #[serde(rename = "HUP")]
    Hup,
}

/// What is known only of one process of a run.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// The folder of its files.
    pub folder: &'a str,
    /// Where it is to listen.
    pub listen: SocketAddr,
    /// The path of the health check.
    pub health_path: &'a str,
    /// The descriptor limits that it is born with.
    pub nofile: Option<Nofile>,
}

/// A command with nothing left to fill in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// Variables, on top of brimful's own.
    pub env: Vec<(String, String)>,
    /// Files by name.
    pub files: Vec<(String, String)>,
}

impl Command {
    /// Fills in every placeholder.
    ///
    /// # Errors
    /// Says which placeholder, where, has no value.
    pub fn render(&self, facts: &Facts<'_>) -> Result<Rendered, String> {
        let fill = |spot: Spot<'_>, text: &str| self.fill(spot, text, facts);
        let argv = self.argv.iter().map(|text| fill(Spot::Argv, text)).collect::<Result<_, _>>()?;
        let pairs = |of: &IndexMap<String, String>, spot: fn(&str) -> Spot<'_>| {
            let fill = |(name, text): (&String, &String)| Ok((name.clone(), fill(spot(name), text)?));
            of.iter().map(fill).collect::<Result<Vec<_>, String>>()
        };
        Ok(Rendered {
            argv,
            env: pairs(&self.env, |name| Spot::Env(name))?,
            files: pairs(&self.files, |name| Spot::File(name))?,
        })
    }

    /// Fills in the placeholders of another command that is run beside this one: a health check.
    ///
    /// # Errors
    /// Says which placeholder has no value.
    pub fn render_beside(&self, words: &[String], facts: &Facts<'_>) -> Result<Vec<String>, String> {
        words.iter().map(|text| self.fill(Spot::Probe, text, facts)).collect()
    }

    fn fill(&self, spot: Spot<'_>, text: &str, facts: &Facts<'_>) -> Result<String, String> {
        template::fill(text, &|name| self.value(name, facts))
            .map_err(|name| format!("`{{{{{name}}}}}` in {spot} has no value: it takes {}", quoted(self.names(facts))))
    }

    /// Where a placeholder of this name stands first; `None` where nothing asks for it.
    #[must_use]
    pub fn place_of(&self, name: &str) -> Option<Place> {
        let texts = self.argv.iter().map(|text| (Spot::Argv, text));
        let texts = texts.chain(self.env.iter().map(|(name, text)| (Spot::Env(name), text)));
        let mut texts = texts.chain(self.files.iter().map(|(name, text)| (Spot::File(name), text)));
        texts.find_map(|(spot, text)| template::names(text).any(|found| found == name).then(|| Place(spot.to_string())))
    }

    /// The settings that nothing asks for: to vary one would change nothing.
    pub fn unused(&self) -> impl Iterator<Item = &str> {
        self.args.keys().map(String::as_str).filter(|name| self.place_of(name).is_none())
    }

    fn value(&self, name: &str, facts: &Facts<'_>) -> Option<String> {
        if let Some(value) = self.args.get(name) {
            return Some(value.to_string());
        }
        match name {
            "dir" => Some(facts.folder.to_owned()),
            "host" => Some(facts.listen.ip().to_string()),
            "port" => Some(facts.listen.port().to_string()),
            "listen" => Some(facts.listen.to_string()),
            "health-path" => Some(facts.health_path.to_owned()),
            "backlog" => self.backlog.map(|backlog| backlog.to_string()),
            "nofile" => facts.nofile.map(|nofile| nofile.soft.to_string()),
            "nofile-hard" => facts.nofile.map(|nofile| nofile.hard.to_string()),
            _ => None,
        }
    }

    fn names(&self, facts: &Facts<'_>) -> Vec<String> {
        let given = GIVEN.iter().filter(|name| self.value(name, facts).is_some()).map(|&name| name.to_owned());
        self.args.keys().cloned().chain(given).collect()
    }
}

/// Whether a name can be a setting of a command: letters, digits, `_` and `-`, and none of [`GIVEN`].
///
/// # Errors
/// Says what is wrong with it.
pub fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() || !name.chars().all(template::fits) {
        return Err(format!("`{name}` is no name of a setting: it takes letters, digits, `_` and `-`"));
    }
    if GIVEN.contains(&name) {
        return Err(format!("`{name}` is given by brimful itself, so it cannot be a setting"));
    }
    Ok(())
}

/// A command line as a knob has it: split at blanks; quotes are not read.
#[must_use]
pub fn split(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command() -> Command {
        Command {
            argv: ["nginx", "-c", "{{dir}}/nginx.conf"].map(str::to_owned).to_vec(),
            env: [("PORT".to_owned(), "{{port}}".to_owned())].into(),
            files: [(
                "nginx.conf".to_owned(),
                "events { worker_connections {{worker_connections}}; } # ${host} {{ }}".to_owned(),
            )]
            .into(),
            directory: None,
            user: None,
            ready: Readiness::Tcp(8_080),
            start_timeout: Duration::from_secs(10),
            stop_signal: StopSignal::Quit,
            args: [("worker_connections".to_owned(), KnobValue::Number(512))].into(),
            backlog: Some(511),
        }
    }

    fn facts() -> Facts<'static> {
        let nofile = Some(Nofile { soft: 1_024, hard: 4_096 });
        Facts { folder: "/x/y", listen: "127.0.0.1:8080".parse().unwrap(), health_path: "/healthz", nofile }
    }

    #[test]
    fn every_placeholder_is_filled_in_and_nothing_else_is_touched() {
        let rendered = command().render(&facts()).unwrap();
        assert_eq!(rendered.argv, ["nginx", "-c", "/x/y/nginx.conf"]);
        assert_eq!(rendered.env, [("PORT".to_owned(), "8080".to_owned())]);
        assert_eq!(rendered.files[0].1, "events { worker_connections 512; } # ${host} {{ }}");
    }

    #[test]
    fn what_has_no_value_is_said_with_what_has() {
        let mut lacking = command();
        lacking.args.clear();
        let said = lacking.render(&facts()).unwrap_err();
        assert!(said.contains("`{{worker_connections}}` in the file `nginx.conf` has no value"), "{said}");
        assert!(said.contains("`nofile-hard`"), "{said}");
        let born_anyhow = Facts { nofile: None, ..facts() };
        lacking.argv.push("{{nofile}}".to_owned());
        assert!(lacking.render(&born_anyhow).unwrap_err().contains("in `target.argv`"));
        let beside = |word: &str| command().render_beside(&["ping".to_owned(), word.to_owned()], &facts());
        assert_eq!(beside("{{host}}:{{port}}").unwrap(), ["ping", "127.0.0.1:8080"]);
        assert!(beside("{{prot}}").unwrap_err().contains("`{{prot}}` in `probe.exec` has no value"));
    }

    #[test]
    fn a_setting_that_nothing_asks_for_is_found() {
        let mut command = command();
        assert_eq!(command.unused().count(), 0);
        command.args.insert("colour".to_owned(), KnobValue::Number(1));
        assert_eq!(command.unused().collect::<Vec<_>>(), ["colour"]);
        assert_eq!(command.place_of("port").unwrap().to_string(), "the variable `PORT`");
    }

    #[test]
    fn names_are_those_that_a_placeholder_can_hold() {
        assert!(check_name("worker_connections").is_ok() && check_name("tcp-backlog").is_ok());
        for (bad, says) in [("", "no name"), ("a b", "no name"), ("a.b", "no name"), ("port", "brimful itself")] {
            assert!(check_name(bad).unwrap_err().contains(says), "{bad}");
        }
    }
}
