//! Which parts of a kernel the guest loads: a distribution's kernel has what brimful looks with and works with as modules.
//!
//! Each module names the modules it needs (`depends=` in its `.modinfo`, which `depmod` reads too), so that a folder needs no `modules.dep`:
//! a package that was only unpacked has none.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{fs, io};

use super::VmError;

/// What is wanted, by name: inet_diag for TCP, the veth pair, packet filters with the expressions that are modules, connection tracking and its
/// netlink side. A kernel that has one built in has no such file; what no kernel has is missed by the cell that needs it.
const WANTED: [&str; 7] =
    ["tcp_diag", "veth", "nf_tables", "nft_ct", "nft_numgen", "nf_conntrack", "nf_conntrack_netlink"];

/// Folders below a modules folder are no deeper than this.
const DEPTH_MOST: usize = 12;

/// A module to be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Module {
    /// Its name, with underscores.
    pub(super) name: String,
    /// The file.
    pub(super) content: Vec<u8>,
}

/// The modules that are wanted and are in a folder, each after those it needs.
///
/// # Errors
/// When the folder or a module cannot be read, when it holds no module at all, when they are packed, when one is not there that another needs.
pub(super) fn in_order(folder: &Path) -> Result<Vec<Module>, VmError> {
    let unread = |source| VmError::File { doing: "read", path: folder.to_path_buf(), source };
    let mut found = BTreeMap::new();
    find(folder, DEPTH_MOST, &mut found).map_err(unread)?;
    if let Some(packed) = found.values().find(|path| path.extension().is_some_and(|end| end != "ko")) {
        return Err(VmError::Packed { path: packed.clone() });
    }
    if found.is_empty() {
        return Err(VmError::NoModules { folder: folder.to_path_buf() });
    }
    let mut order = Order { found, done: BTreeSet::new(), modules: Vec::new() };
    for name in WANTED {
        if order.found.contains_key(name) {
            order.add(name)?;
        }
    }
    Ok(order.modules)
}

/// Every file that is a module, by its name.
fn find(folder: &Path, depth: usize, found: &mut BTreeMap<String, PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() && depth > 0 {
            find(&path, depth - 1, found)?;
        } else if let Some(name) = entry.file_name().to_str().and_then(name_of) {
            found.insert(name, path);
        }
    }
    Ok(())
}

/// `nf-conntrack.ko.xz` is the module `nf_conntrack`: the kernel takes both signs for one.
fn name_of(file: &str) -> Option<String> {
    let (name, end) = file.split_once(".ko")?;
    matches!(end, "" | ".xz" | ".gz" | ".zst").then(|| name.replace('-', "_"))
}

struct Order {
    found: BTreeMap<String, PathBuf>,
    done: BTreeSet<String>,
    modules: Vec<Module>,
}

impl Order {
    fn add(&mut self, name: &str) -> Result<(), VmError> {
        // Put down before those it needs, so that a ring of them ends.
        if !self.done.insert(name.to_owned()) {
            return Ok(());
        }
        let path = self.found.get(name).ok_or_else(|| VmError::NoModule { name: name.to_owned() })?.clone();
        let content = fs::read(&path).map_err(|source| VmError::File { doing: "read", path, source })?;
        for needed in needs(&content) {
            self.add(&needed)?;
        }
        self.modules.push(Module { name: name.to_owned(), content });
        Ok(())
    }
}

/// The modules that a module says it needs.
fn needs(module: &[u8]) -> Vec<String> {
    let key = b"\0depends=";
    let Some(at) = module.windows(key.len()).position(|window| window == key) else { return Vec::new() };
    let rest = module.get(at + key.len()..).unwrap_or_default();
    let text = rest.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text)
        .split(',')
        .filter(|name| !name.is_empty())
        .map(|name| name.replace('-', "_"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(modules: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("kernel/net")).unwrap();
        for (file, depends) in modules {
            let content = format!("\x7fELF\0license=GPL\0depends={depends}\0intree=Y\0");
            fs::write(folder.path().join("kernel/net").join(file), content).unwrap();
        }
        folder
    }

    #[test]
    fn each_comes_after_those_it_needs_and_none_twice() {
        let folder = folder(&[
            ("tcp_diag.ko", "inet_diag"),
            ("inet_diag.ko", ""),
            ("nf-conntrack.ko", "nf_defrag_ipv4,libcrc32c"),
            ("libcrc32c.ko", ""),
            ("nf_defrag_ipv4.ko", ""),
            ("nf_tables.ko", "libcrc32c"),
            ("bluetooth.ko", "rfkill"),
        ]);
        let names: Vec<String> = in_order(folder.path()).unwrap().into_iter().map(|module| module.name).collect();
        assert_eq!(names, ["inet_diag", "tcp_diag", "libcrc32c", "nf_tables", "nf_defrag_ipv4", "nf_conntrack"]);
    }

    #[test]
    fn what_cannot_be_loaded_is_said_before_anything_boots() {
        let missing = in_order(folder(&[("tcp_diag.ko", "inet_diag")]).path());
        assert!(matches!(missing, Err(VmError::NoModule { name }) if name == "inet_diag"));
        assert!(matches!(in_order(folder(&[("veth.ko.xz", "")]).path()), Err(VmError::Packed { .. })));
        assert!(matches!(in_order(folder(&[]).path()), Err(VmError::NoModules { .. })));
    }
}
