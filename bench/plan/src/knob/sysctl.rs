//! Names of sysctls: dots and slashes, and no way out of `/proc/sys`.

use std::path::PathBuf;

/// The longest name taken, in bytes; the longest in Linux 6.18's `net` is below 80.
const MAX_NAME: usize = 128;

/// Why a text is not the name of a sysctl.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SysctlNameError {
    /// Nothing, or no separator at all.
    #[error("`{name}` is no sysctl: a name has at least two parts, as in `net.core.somaxconn`")]
    TooShort {
        /// The text.
        name: String,
    },
    /// Longer than any.
    #[error("a sysctl name of {length} bytes is too long, at most {MAX_NAME} are taken")]
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// An empty part, `.`, `..`, or a character that no sysctl has.
    #[error("`{name}` is no sysctl: `{part}` cannot be a part of its name")]
    BadPart {
        /// The text.
        name: String,
        /// The offending part.
        part: String,
    },
}

/// The path of a sysctl below `/proc/sys`, from a name with dots or slashes.
///
/// As in `sysctl(8)` the first separator decides: after a dot, a slash stands for a dot inside a part
/// (`net.ipv4.conf.eth0/100.rp_filter` is VLAN `eth0.100`).
///
/// # Errors
/// [`SysctlNameError`] for anything that could lead elsewhere or is no name at all.
pub fn sysctl_path(name: &str) -> Result<PathBuf, SysctlNameError> {
    Ok(parts(name)?.iter().collect())
}

/// The one spelling of a sysctl's name: dots between the parts, slashes for dots inside them.
///
/// # Errors
/// As [`sysctl_path`].
pub fn canonical_sysctl(name: &str) -> Result<String, SysctlNameError> {
    Ok(parts(name)?.iter().map(|part| part.replace('.', "/")).collect::<Vec<_>>().join("."))
}

fn parts(name: &str) -> Result<Vec<String>, SysctlNameError> {
    if name.len() > MAX_NAME {
        return Err(SysctlNameError::TooLong { length: name.len() });
    }
    let separator = name.chars().find(|&c| c == '.' || c == '/');
    let parts: Vec<String> = match separator {
        Some('.') => name.split('.').map(|part| part.replace('/', ".")).collect(),
        Some(_) => name.split('/').map(str::to_owned).collect(),
        None => return Err(SysctlNameError::TooShort { name: name.to_owned() }),
    };
    match parts.iter().find(|part| !is_part(part)) {
        Some(part) => Err(SysctlNameError::BadPart { name: name.to_owned(), part: part.clone() }),
        None => Ok(parts),
    }
}

/// Parts are lower-case words, or names of devices, which may hold `.`, `-`, `@` and `:`.
fn is_part(part: &str) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '@' | ':');
    !part.is_empty() && part.chars().all(known) && part.chars().any(|c| c != '.')
}

#[cfg(test)]
mod tests {
    use std::path::Component;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dots_and_slashes_name_the_same() {
        for name in ["net.core.somaxconn", "net/core/somaxconn"] {
            assert_eq!(sysctl_path(name).unwrap(), PathBuf::from("net/core/somaxconn"));
            assert_eq!(canonical_sysctl(name).unwrap(), "net.core.somaxconn");
        }
        for name in ["net.ipv4.conf.eth0/100.rp_filter", "net/ipv4/conf/eth0.100/rp_filter"] {
            assert_eq!(sysctl_path(name).unwrap(), PathBuf::from("net/ipv4/conf/eth0.100/rp_filter"));
            assert_eq!(canonical_sysctl(name).unwrap(), "net.ipv4.conf.eth0/100.rp_filter");
        }
    }

    #[test]
    fn no_name_leads_out_of_proc_sys() {
        for name in [
            "",
            "net",
            ".",
            "..",
            "/",
            "/etc/passwd",
            "net/../../etc/passwd",
            "net.core./..",
            "net.core.//",
            "net..core",
            "net.core.",
            "net/core/",
            "net.core.some value",
            "net.core.a\0b",
            "net.core.\u{e9}",
        ] {
            assert!(sysctl_path(name).is_err(), "{name:?}");
        }
        assert!(sysctl_path(&format!("net.{}", "a".repeat(200))).is_err());
    }

    proptest! {
        #[test]
        fn every_path_stays_below(name in "[a-z./_@:-]{0,24}") {
            if let Ok(path) = sysctl_path(&name) {
                prop_assert!(path.components().all(|c| matches!(c, Component::Normal(_))), "{path:?}");
                prop_assert!(path.components().count() >= 2);
                let canonical = canonical_sysctl(&name).unwrap();
                prop_assert_eq!(sysctl_path(&canonical).unwrap(), path);
            }
        }
    }
}
