//! Where a process lives, by the names of its control groups (`/proc/PID/cgroup`): who started it is often who set its limits. Pure.

/// Where a process lives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Home {
    /// A unit of systemd, `nginx.service`.
    Unit(String),
    /// A container.
    Container {
        /// The engine, by its mark in the path: `docker`, `containerd`, `cri-o`, `podman`, `lxc`.
        engine: &'static str,
        /// Its id, as the path has it.
        id: String,
        /// Whether it belongs to a pod.
        pod: bool,
    },
    /// A login, `session-4.scope`.
    Session(String),
    /// The path says nothing.
    #[default]
    Unknown,
}

/// Marks of engines in the last parts of a path.
const ENGINES: [(&str, &str); 6] = [
    ("docker-", "docker"),
    ("cri-containerd-", "containerd"),
    ("crio-", "cri-o"),
    ("libpod-", "podman"),
    ("lxc.payload.", "lxc"),
    ("nspawn-", "nspawn"),
];

impl Home {
    /// Reads the text of `/proc/PID/cgroup`, `ID:CONTROLLERS:PATH` in each line; the path that says most counts.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let homes = text.lines().filter_map(|line| line.splitn(3, ':').nth(2)).map(Self::of_path);
        homes.max_by_key(Self::rank).unwrap_or_default()
    }

    /// In words: `systemd unit nginx.service`.
    #[must_use]
    pub fn words(&self) -> Option<String> {
        Some(match self {
            Self::Unit(unit) => format!("systemd unit {unit}"),
            Self::Container { engine, id, pod } => {
                let short: String = id.chars().take(12).collect();
                format!("{engine} container {short}{}", if *pod { " of a pod" } else { "" })
            }
            Self::Session(name) => format!("login {name}"),
            Self::Unknown => return None,
        })
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Container { .. } => 3,
            Self::Unit(_) => 2,
            Self::Session(_) => 1,
            Self::Unknown => 0,
        }
    }

    fn of_path(path: &str) -> Self {
        let pod = path.contains("kubepods");
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        for part in parts.iter().rev() {
            let marked = ENGINES.iter().find_map(|(mark, engine)| Some((*engine, part.strip_prefix(mark)?)));
            if let Some((engine, id)) = marked {
                let id = id.strip_suffix(".scope").unwrap_or(id);
                return Self::Container { engine, id: id.to_owned(), pod };
            }
            // Of the first version, with the cgroupfs driver: /docker/ID, /kubepods/burstable/podUID/ID.
            if part.len() == 64 && part.bytes().all(|b| b.is_ascii_hexdigit()) {
                let engine = if parts.contains(&"docker") { "docker" } else { "containerd" };
                return Self::Container { engine, id: (*part).to_owned(), pod };
            }
            if part.ends_with(".service") && !part.starts_with("user@") {
                return Self::Unit((*part).to_owned());
            }
            if part.starts_with("session-") && part.ends_with(".scope") {
                return Self::Session((*part).to_owned());
            }
        }
        Self::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_tells_who_started_it() {
        let id = "0123456789abcdef".repeat(4);
        let table = [
            ("0::/system.slice/nginx.service\n".to_owned(), "systemd unit nginx.service"),
            (format!("0::/system.slice/docker-{id}.scope\n"), "docker container 0123456789ab"),
            (format!("4:cpu:/docker/{id}\n0::/\n"), "docker container 0123456789ab"),
            (
                format!("0::/kubepods.slice/kubepods-burstable.slice/kubepods-podx.slice/cri-containerd-{id}.scope\n"),
                "containerd container 0123456789ab of a pod",
            ),
            (format!("5:cpu:/kubepods/burstable/podx/{id}\n"), "containerd container 0123456789ab of a pod"),
            ("0::/user.slice/user-1000.slice/session-4.scope\n".to_owned(), "login session-4.scope"),
            (
                "0::/user.slice/user-1000.slice/user@1000.service/app.slice/web.service\n".to_owned(),
                "systemd unit web.service",
            ),
        ];
        for (text, words) in table {
            assert_eq!(Home::parse(&text).words().as_deref(), Some(words), "{text}");
        }
        for text in ["", "0::/\n", "x", "1:cpu:/a/b\n"] {
            assert_eq!(Home::parse(text), Home::Unknown, "{text}");
        }
    }
}
