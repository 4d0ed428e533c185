//! A line on which somebody typed a command, by its prompt. Pure.

/// A typed command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Prompt {
    command: String,
}

/// Ends of prompts: `root@node:~# ss`, `[root@node ~]# ss`, and `$ ss` at the beginning of a line.
const ENDS: [&str; 6] = ["]# ", "]$ ", "~# ", "~$ ", "/# ", "/$ "];

impl Prompt {
    pub(super) fn parse(line: &str) -> Option<Self> {
        let line = line.trim_start();
        let at_start = ["$ ", "# "].iter().find_map(|sign| line.strip_prefix(sign));
        let command = at_start.or_else(|| {
            let head: String = line.chars().take(80).collect();
            ENDS.iter().filter_map(|end| head.find(end).and_then(|at| line.get(at + end.len()..))).next()
        })?;
        Some(Self { command: command.trim().to_owned() })
    }

    pub(super) fn command(&self) -> &str {
        &self.command
    }

    fn has(&self, part: &str) -> bool {
        self.command.contains(part)
    }

    /// The process of `/proc/PID/…` or of `-p PID`.
    pub(super) fn pid(&self) -> Option<u32> {
        let after = |mark: &str| self.command.split_once(mark).map(|(_, rest)| rest);
        let rest = after("/proc/").or_else(|| after("--pid ")).or_else(|| after("-p "))?;
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    }

    /// `cat /proc/sys/net/core/somaxconn`, `sysctl -n net.core.somaxconn`, as a dotted name.
    pub(super) fn sysctl(&self) -> Option<String> {
        if let Some((_, path)) = self.command.split_once("/proc/sys/") {
            return path.split_ascii_whitespace().next().map(|path| path.replace('/', "."));
        }
        let name = self.command.strip_prefix("sysctl -n ")?;
        name.split_ascii_whitespace().next().map(str::to_owned)
    }

    /// `ulimit -n`, which prints the shell's own limit.
    pub(super) fn is_ulimit(&self) -> bool {
        matches!(self.command.as_str(), "ulimit -n" | "ulimit -Sn" | "ulimit -Hn")
    }

    /// The number of `ulimit -n 65535`.
    pub(super) fn ulimit_set(&self) -> Option<u64> {
        let rest = ["ulimit -n ", "ulimit -Sn ", "ulimit -Hn ", "ulimit -SHn ", "ulimit -HSn "];
        rest.iter().find_map(|head| self.command.strip_prefix(head))?.trim().parse().ok()
    }

    /// `ls /proc/812/fd | wc -l`.
    pub(super) fn counts_descriptors(&self) -> bool {
        self.has("/proc/") && self.has("/fd") && self.has("wc -l")
    }

    /// `lsof -p 812 | wc -l`.
    pub(super) fn counts_lsof(&self) -> bool {
        self.has("lsof") && (self.has("wc -l") || self.has("grep -c"))
    }

    /// `lsof -p 812 | grep -c sock`.
    pub(super) fn only_sockets(&self) -> bool {
        self.has("sock") || self.has("IPv") || self.has("TCP")
    }

    /// `grep -c "too many open files" server.log`.
    pub(super) fn counts_emfile(&self) -> bool {
        let command = self.command.to_ascii_lowercase();
        command.contains("too many open files") && (command.contains("grep -c") || command.contains("wc -l"))
    }

    /// Whether it lists TCP sockets of every state, and nothing was taken away.
    pub(super) fn lists_every_socket(&self) -> bool {
        let mut words = self.command.split_ascii_whitespace();
        let known = matches!(words.next(), Some("ss" | "netstat"));
        let flags: String = words.clone().filter_map(|word| word.strip_prefix('-')).collect();
        known && flags.contains('a') && !self.has("|") && words.all(|word| word.starts_with('-'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(line: &str) -> Prompt {
        Prompt::parse(line).unwrap_or_else(|| panic!("{line} is a command"))
    }

    #[test]
    fn a_command_is_known_by_its_prompt() {
        for line in
            ["$ ss -tan", "# ss -tan", "[root@node-1 ~]# ss -tan", "root@node-1:~# ss -tan", "me@a:/var/log/$ ss -tan"]
        {
            assert!(typed(line).lists_every_socket(), "{line}");
        }
        for line in ["#kernel", "LISTEN 0 128 *:80 *:*", "TcpExtListenDrops 0 0.0", ""] {
            assert_eq!(Prompt::parse(line), None, "{line}");
        }
    }

    #[test]
    fn a_filtered_list_is_not_every_socket() {
        for line in ["$ ss -tan | grep SYN-SENT", "$ ss -tn", "$ ss -tan state syn-sent", "$ lsof -a"] {
            assert!(!typed(line).lists_every_socket(), "{line}");
        }
    }

    #[test]
    fn a_command_says_of_what_its_number_is() {
        assert_eq!(typed("$ cat /proc/812/limits").pid(), Some(812));
        assert_eq!(typed("$ lsof -p 812 | wc -l").pid(), Some(812));
        assert!(typed("$ lsof -p 812 | wc -l").counts_lsof() && typed("$ lsof | grep -c sock").only_sockets());
        assert!(typed("$ ls /proc/812/fd | wc -l").counts_descriptors());
        assert_eq!(typed("$ cat /proc/sys/net/core/somaxconn").sysctl().as_deref(), Some("net.core.somaxconn"));
        assert_eq!(typed("# ulimit -n 65535").ulimit_set(), Some(65_535));
        assert!(typed("# ulimit -n").is_ulimit());
    }
}
