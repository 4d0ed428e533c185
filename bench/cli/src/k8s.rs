//! `brimful k8s render`: a scenario as plain YAML, a folder for each cell.

mod restarts;

use std::path::{Path, PathBuf};

use brimful_k8s::{Options, render as files_of};
use brimful_plan::matrix;
use brimful_runner::store;
use clap::{Args, Subcommand};

use super::{put, say, sources};
use crate::error::{Error, ExitStatus};

#[derive(Debug, Args)]
pub(super) struct K8sOptions {
    #[command(subcommand)]
    pub(super) what: K8sCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum K8sCommand {
    /// Write a scenario as plain YAML: a kustomize base with the overlays `kind` and `cluster`, a folder for each cell
    Render(RenderOptions),
    /// What a kubelet restarted, from what kubectl prints, beside what brimful's probe foretold
    Restarts(restarts::RestartsOptions),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  brimful k8s render origin --cell 'somaxconn=128,*nofile=1024' --out k8s
  kubectl apply -k k8s/0-*/overlays/kind

Nothing is sent anywhere. The pods of the load are a fleet; its report is in the log of pod 0. docs/kubernetes.md goes through it.")]
pub(super) struct RenderOptions {
    /// A file, or the name of a built-in scenario
    pub(super) scenario: String,
    /// Only the cells whose id matches
    #[arg(long, value_name = "CELL-GLOB")]
    pub(super) cell: Option<String>,
    /// Where to write; without it, brimful-k8s/NAME
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// Write over what is there
    #[arg(long)]
    pub(super) force: bool,
    /// The image of every pod
    #[arg(long, value_name = "REF", default_value = concat!("brimful:", env!("CARGO_PKG_VERSION")))]
    pub(super) image: String,
    /// Pods of the load; without it, as many as the connections need
    #[arg(long, value_name = "N")]
    pub(super) pods: Option<u32>,
    /// The namespace of everything
    #[arg(long, value_name = "NAME", default_value = "brimful")]
    pub(super) namespace: String,
}

pub(super) fn k8s(options: &K8sOptions) -> Result<ExitStatus, Error> {
    match &options.what {
        K8sCommand::Render(options) => render(options),
        K8sCommand::Restarts(options) => restarts::restarts(options),
    }
}

fn render(options: &RenderOptions) -> Result<ExitStatus, Error> {
    let source = sources::find_one(&options.scenario)?;
    let scenario = source.scenario;
    // Limits of this machine say nothing about the nodes of a cluster.
    let all = matrix::expand(&scenario, u64::MAX).map_err(Error::Refused)?;
    let ids: Vec<String> = all.iter().map(|cell| cell.id.clone()).collect();
    let cells = match &options.cell {
        Some(glob) => matrix::only(all, glob).map_err(|refusal| Error::Refused(vec![refusal]))?,
        None => all,
    };
    let wanted = Options { image: options.image.clone(), pods: options.pods, namespace: options.namespace.clone() };
    // All of them before the first is written: a scenario that cannot be rendered leaves no half of it behind.
    let mut rendered = Vec::with_capacity(cells.len());
    for cell in &cells {
        let index = ids.iter().position(|id| *id == cell.id).unwrap_or_default();
        let files = files_of(&scenario, cell, &wanted).map_err(|refusal| Error::Refused(vec![refusal]))?;
        rendered.push((folder_name(index, &cell.id), &cell.id, files));
    }
    let out = options.out.clone().unwrap_or_else(|| PathBuf::from("brimful-k8s").join(&scenario.name));
    refuse_what_is_there(&out, options.force)?;
    for (folder, id, files) in &rendered {
        let folder = out.join(folder);
        for file in files {
            let path = folder.join(file.path);
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent).map_err(|source| Error::File {
                    doing: "make the folder",
                    path: parent.to_path_buf(),
                    source,
                })?;
            }
            store::write(&path, file.text.as_bytes())?;
        }
        put(&format!("{}\n", folder.display()));
        say(&format!("{}: {} files for the cell `{id}`", folder.display(), files.len()));
    }
    if let Some((folder, ..)) = rendered.first() {
        say(&format!("hint: kubectl apply -k {}", out.join(folder).join("overlays/kind").display()));
    }
    Ok(ExitStatus::Done)
}

/// `3-nofile-1024`: the number of the cell in its scenario, and as much of its id as a path takes well.
fn folder_name(index: usize, id: &str) -> String {
    const MOST: usize = 60;
    let mut name = index.to_string();
    for word in id.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
        name.push('-');
        name.push_str(word);
    }
    name.truncate(MOST);
    name
}

fn refuse_what_is_there(out: &Path, force: bool) -> Result<(), Error> {
    let unread = |source| Error::File { doing: "read", path: out.to_path_buf(), source };
    if force || !out.try_exists().map_err(unread)? || std::fs::read_dir(out).map_err(unread)?.next().is_none() {
        return Ok(());
    }
    Err(Error::Usage {
        what: format!("`{}` is not empty", out.display()),
        hint: "give another folder with --out, or --force to write over what is there".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_short_and_plain() {
        assert_eq!(folder_name(0, "base"), "0-base");
        assert_eq!(folder_name(3, "somaxconn=128,nofile=1024:65535"), "3-somaxconn-128-nofile-1024-65535");
        let long = folder_name(12, &"é/../x=1,".repeat(40));
        assert!(long.len() <= 60 && long.starts_with("12-x-1-"), "{long}");
    }
}
