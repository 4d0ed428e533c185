//! What is one for the whole host.

use std::collections::BTreeMap;
use std::fs::read_to_string;

use brimful_evidence::per_cpu::{softnet_stat, stat_table};
use brimful_evidence::proc::{ProcError, file_nr, one_number};
use brimful_evidence::snapshot::{NotSeen, names};

use super::Roots;

pub(super) fn read(roots: &Roots, not_seen: &mut Vec<NotSeen>) -> BTreeMap<String, u64> {
    let mut host = BTreeMap::new();
    let mut take = |path: &str, optional: bool, each: &mut dyn FnMut(&str) -> Result<(), ProcError>| {
        let because = match read_to_string(roots.proc.join(path)) {
            Ok(text) => each(&text).err().map(|error| error.to_string()),
            // No such table, where nothing needs it.
            Err(error) if optional && error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => Some(error.to_string()),
        };
        not_seen.extend(because.map(|because| NotSeen { what: format!("/proc/{path}"), because }));
    };
    take("sys/fs/file-nr", false, &mut |text| {
        let read = file_nr(text)?;
        host.insert(names::FILES.to_owned(), read.allocated);
        host.insert(names::FILES_MAX.to_owned(), read.max);
        Ok(())
    });
    let numbers =
        [("sys/fs/nr_open", names::NR_OPEN, false), ("sys/net/netfilter/nf_conntrack_max", names::CONNTRACK_MAX, true)];
    for (path, name, optional) in numbers {
        take(path, optional, &mut |text| {
            host.insert(name.to_owned(), one_number(text)?);
            Ok(())
        });
    }
    take("net/softnet_stat", false, &mut |text| {
        softnet_stat(text, |name, value| {
            host.insert(format!("softnet.{name}"), value);
        })
    });
    for (table, sysctl) in names::NEIGHBOURS {
        // The first network namespace alone shows both.
        take(&format!("net/stat/{table}"), true, &mut |text| {
            stat_table(text, |name, value| {
                host.insert(format!("{table}.{name}"), value);
            })
        });
        take(&format!("sys/{}", sysctl.replace('.', "/")), true, &mut |text| {
            host.insert(sysctl.to_owned(), one_number(text)?);
            Ok(())
        });
    }
    host
}
