//! Names of error numbers, because under load the errno *is* the diagnosis.

use std::io;

use rustix::io::Errno;

/// The name of an errno as `errno(3)` lists it, such as `EMFILE`; a number without a known name reads `errno 4095`.
#[must_use]
pub fn name(errno: i32) -> String {
    let known = match Errno::from_raw_os_error(errno) {
        Errno::ACCESS => "EACCES",
        Errno::ADDRINUSE => "EADDRINUSE",
        Errno::ADDRNOTAVAIL => "EADDRNOTAVAIL",
        Errno::AFNOSUPPORT => "EAFNOSUPPORT",
        Errno::AGAIN => "EAGAIN",
        Errno::ALREADY => "EALREADY",
        Errno::BADF => "EBADF",
        Errno::BUSY => "EBUSY",
        Errno::CONNABORTED => "ECONNABORTED",
        Errno::CONNREFUSED => "ECONNREFUSED",
        Errno::CONNRESET => "ECONNRESET",
        Errno::HOSTUNREACH => "EHOSTUNREACH",
        Errno::INPROGRESS => "EINPROGRESS",
        Errno::INTR => "EINTR",
        Errno::INVAL => "EINVAL",
        Errno::ISCONN => "EISCONN",
        Errno::MFILE => "EMFILE",
        Errno::NETDOWN => "ENETDOWN",
        Errno::NETUNREACH => "ENETUNREACH",
        Errno::NFILE => "ENFILE",
        Errno::NOBUFS => "ENOBUFS",
        Errno::NOENT => "ENOENT",
        Errno::NOMEM => "ENOMEM",
        Errno::NOSPC => "ENOSPC",
        Errno::NOTCONN => "ENOTCONN",
        Errno::NOTSUP => "EOPNOTSUPP",
        Errno::PERM => "EPERM",
        Errno::PIPE => "EPIPE",
        Errno::PROTO => "EPROTO",
        Errno::ROFS => "EROFS",
        Errno::TIMEDOUT => "ETIMEDOUT",
        _ => return format!("errno {errno}"),
    };
    known.to_owned()
}

/// The name of the errno inside an I/O error; an error that the operating system did not give reads by its kind, such as `UnexpectedEof`.
#[must_use]
pub fn name_of(error: &io::Error) -> String {
    error.raw_os_error().map_or_else(|| format!("{:?}", error.kind()), name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_that_diagnose_have_names() {
        assert_eq!(name(24), "EMFILE");
        assert_eq!(name(23), "ENFILE");
        assert_eq!(name(99), "EADDRNOTAVAIL");
        assert_eq!(name(4095), "errno 4095");
    }

    #[test]
    fn an_error_without_errno_reads_by_kind() {
        assert_eq!(name_of(&io::Error::from(io::ErrorKind::UnexpectedEof)), "UnexpectedEof");
        assert_eq!(name_of(&io::Error::from_raw_os_error(111)), "ECONNREFUSED");
    }
}
