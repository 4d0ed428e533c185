//! Whether this process runs in a guest that brimful booted itself, and so on a host of its own.

use std::fs;

/// The word on such a guest's kernel command line that says what it runs in.
pub const VIRTUAL: &str = "brimful.virtual";

/// What this process runs in, from the text of `/proc/cmdline`: the name that brimful gave its guest, `None` outside of one.
fn virtual_of(command_line: &str) -> Option<String> {
    let mut words = command_line.split_ascii_whitespace().take_while(|word| *word != "--");
    let value = words.find_map(|word| word.strip_prefix(VIRTUAL)?.strip_prefix('='))?;
    Some(value.to_owned())
}

/// What this process runs in.
pub(crate) fn of_this_process() -> Option<String> {
    virtual_of(&fs::read_to_string("/proc/cmdline").unwrap_or_default())
}

/// Whether this host is a guest that brimful booted, and so its own to change.
pub(crate) fn is_guest() -> bool {
    of_this_process().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_knows_what_it_is_from_the_kernels_command_line() {
        let table = [
            ("console=ttyS0 brimful.virtual=qemu-tcg rdinit=/brimful -- __vm-guest", Some("qemu-tcg")),
            ("console=ttyS0 -- brimful.virtual=qemu-tcg", None),
            ("brimful.virtual_machine=qemu-tcg quiet", None),
            ("BOOT_IMAGE=/vmlinuz root=/dev/sda1 ro", None),
        ];
        for (line, expected) in table {
            assert_eq!(virtual_of(line).as_deref(), expected, "{line}");
        }
    }
}
