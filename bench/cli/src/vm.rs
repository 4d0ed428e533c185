//! `brimful vm run`: the same command in a guest, and its run brought back.

pub(crate) mod arguments;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum as _;
use jiff::Timestamp;

pub(crate) use self::arguments::VmOptions;
use self::arguments::{AccelOption, VmCommand, VmRunOptions};
use super::say;
use super::sources::{self, Source};
use crate::error::{Error, ExitStatus};
use brimful_live::interrupt::Interrupt;
use brimful_live::machine;
use brimful_plan::catalogue;
use brimful_plan::cost::{self, Machine};
use brimful_plan::matrix;
use brimful_runner::store::RunDirectory;
use brimful_vm::{Accelerator, Heard, Size, VmRun, scenario_place};

pub(super) use brimful_vm::role;

/// How much longer a guest may take than its scenarios cost, by who makes its processors. Cells are mostly waiting, which costs a slow
/// processor nothing; what is not is many times slower under TCG.
const SLOWER: [(Accelerator, u32); 2] = [(Accelerator::Tcg, 6), (Accelerator::Kvm, 3)];

/// What a boot may take besides: under TCG on a busy machine 17 s were seen.
const BOOT: Duration = Duration::from_secs(120);

pub(super) fn vm(options: &VmOptions) -> Result<ExitStatus, Error> {
    let VmCommand::Run(options) = &options.what;
    run(options)
}

fn run(options: &VmRunOptions) -> Result<ExitStatus, Error> {
    let found = sources::find(&options.scenarios)?;
    let (names, scenarios) = brought(&found)?;
    let kernel = readable(&options.kernel)?;
    let interrupt = Interrupt::install().map_err(|source| Error::Machine { doing: "listen for signals", source })?;
    let accelerator = accelerator(options.accel, kernel, &interrupt)?;
    if let Some(signal) = interrupt.seen() {
        return Err(Error::Stopped(signal));
    }
    let machine = machine::read().map_err(|source| Error::Machine { doing: "read this machine's limits", source })?;
    let time_limit = options.time_limit.unwrap_or_else(|| limit(&found, &machine, options.blocks, accelerator));
    let out = options.out.clone().unwrap_or_else(|| default_out(&found));
    RunDirectory::create(&out, options.force)?;
    let run = VmRun {
        kernel,
        modules: options.modules.as_deref(),
        accelerator,
        size: Size { memory_mib: options.memory, cpus: options.cpus },
        scenarios,
        arguments: words(options, &names, &out),
        user: options.user,
        out: &out,
        time_limit,
    };
    say(&format!("booting {} under {} …", kernel.display(), accelerator.virtual_name()));
    let status = brimful_vm::run(&run, &interrupt, &mut |heard| match heard {
        Heard::Up { kernel, after } => say(&format!("Linux {kernel} is up after {:.1} s", after.as_secs_f64())),
        // Nobody to tell where they are closed.
        Heard::Out(text) => drop(std::io::stdout().lock().write_all(text)),
        Heard::Err(text) => drop(std::io::stderr().lock().write_all(text)),
    })?;
    Ok(ExitStatus::from_code(status).unwrap_or(ExitStatus::Bug))
}

/// The kernel, if it is there: QEMU would say so too late and in other words.
fn readable(kernel: &Path) -> Result<&Path, Error> {
    match fs::File::open(kernel) {
        Ok(_) => Ok(kernel),
        Err(source) => Err(Error::File { doing: "read", path: kernel.to_path_buf(), source }),
    }
}

fn accelerator(asked: AccelOption, kernel: &Path, interrupt: &Interrupt) -> Result<Accelerator, Error> {
    match asked {
        AccelOption::Tcg => return Ok(Accelerator::Tcg),
        AccelOption::Kvm => return Ok(Accelerator::Kvm),
        AccelOption::Auto => {}
    }
    if brimful_vm::kvm_works(kernel, interrupt)? {
        return Ok(Accelerator::Kvm);
    }
    say("KVM does not boot this kernel here: every instruction is translated, which is slow");
    Ok(Accelerator::Tcg)
}

/// What the guest calls each scenario, and the files to bring along.
type Brought = (Vec<String>, Vec<(String, String)>);

fn brought(found: &[Source]) -> Result<Brought, Error> {
    let mut names = Vec::new();
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    for source in found {
        let path = Path::new(&source.typed);
        if !path.exists() && catalogue::find(&source.typed).is_some() {
            names.push(source.typed.clone());
            continue;
        }
        let text = fs::read_to_string(path).map_err(|error| Error::File {
            doing: "read",
            path: path.to_path_buf(),
            source: error,
        })?;
        let name = format!("{}.toml", source.scenario.name);
        names.push(scenario_place(&name));
        if files.insert(name, text).is_some() {
            return Err(Error::Usage {
                what: format!("there are two scenarios called `{}`", source.scenario.name),
                hint: "run them one after the other".to_owned(),
            });
        }
    }
    Ok((names, files.into_iter().collect()))
}

/// The guest's command.
fn words(options: &VmRunOptions, names: &[String], out: &Path) -> Vec<String> {
    let mut words = vec!["run".to_owned()];
    words.extend_from_slice(names);
    words.extend(["--plain", "--force", "--out"].map(str::to_owned));
    words.push(out.display().to_string());
    if options.quick {
        words.push("--quick".to_owned());
    } else {
        words.extend(["--blocks".to_owned(), options.blocks.to_string()]);
    }
    for (wanted, flag) in [(options.verify, "--verify"), (options.strict, "--strict")] {
        words.extend(wanted.then(|| flag.to_owned()));
    }
    words.extend(options.only.iter().flat_map(|glob| ["--only".to_owned(), glob.clone()]));
    words.extend(options.seed.iter().flat_map(|seed| ["--seed".to_owned(), seed.to_string()]));
    let format = options.format.to_possible_value();
    words.extend(format.iter().flat_map(|format| ["--format".to_owned(), format.get_name().to_owned()]));
    words
}

fn default_out(found: &[Source]) -> PathBuf {
    let name = match found {
        [one] => one.scenario.name.as_str(),
        _ => "vm",
    };
    Path::new("brimful-out").join(format!("{name}-{}", Timestamp::now().strftime("%Y%m%dT%H%M%SZ")))
}

/// The longest a guest may take that runs these scenarios.
fn limit(found: &[Source], machine: &Machine, blocks: u32, accelerator: Accelerator) -> Duration {
    let cells = found.iter().filter_map(|source| matrix::expand(&source.scenario, u64::MAX).ok()).flatten();
    // A cell that this machine would refuse has its time all the same, which is that of its probes.
    let time: Duration = cells.filter_map(|cell| Some(cost::cost(&cell, machine).ok()?.time)).sum();
    let slower = SLOWER.iter().find(|row| row.0 == accelerator).map_or(1, |row| row.1);
    BOOT + time.saturating_mul(blocks).saturating_mul(slower)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        vm: VmOptions,
    }

    fn options(line: &str) -> VmRunOptions {
        let VmCommand::Run(run) = Line::parse_from(format!("brimful {line}").split(' ')).vm.what;
        run
    }

    #[test]
    fn the_guest_is_told_what_was_typed() {
        let table = [
            ("run smoke --kernel k", "run smoke --plain --force --out o --blocks 1 --format text"),
            (
                "run smoke --kernel k --verify --quick --seed 7 --format json",
                "run smoke --plain --force --out o --quick --verify --seed 7 --format json",
            ),
            (
                "run smoke --kernel k --only nofile=64 --blocks 3 --strict",
                "run smoke --plain --force --out o --blocks 3 --strict --only nofile=64 --format text",
            ),
        ];
        for (typed, told) in table {
            let options = options(typed);
            assert_eq!(words(&options, &options.scenarios, Path::new("o")).join(" "), told, "{typed}");
        }
    }

    #[test]
    fn a_built_in_scenario_needs_no_file() {
        let found = sources::find(&["smoke".to_owned()]).unwrap();
        assert_eq!(brought(&found).unwrap(), (vec!["smoke".to_owned()], Vec::new()));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("mine.toml");
        fs::write(&file, catalogue::find("smoke").unwrap().text).unwrap();
        let found = sources::find(&[file.display().to_string()]).unwrap();
        let (names, files) = brought(&found).unwrap();
        assert_eq!((names, files.len()), (vec!["/vm/scenarios/mine.toml".to_owned()], 1));
        let twice = [found, sources::find(&[file.display().to_string()]).unwrap()];
        assert!(brought(&twice.into_iter().flatten().collect::<Vec<_>>()).is_err());
    }
}
