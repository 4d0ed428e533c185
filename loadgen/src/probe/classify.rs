//! From a phase and an error to an outcome: the errno is the diagnosis. Pure.

use std::io;

use brimful_loadgen_plan::probe::Outcome;
use rustix::io::Errno;

/// What an attempt was waiting for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// The socket and its handshake.
    #[default]
    Dial,
    /// The handshake of TLS.
    Tls,
    /// The status line and the headers of the final answer.
    Headers,
    /// Its body. What goes wrong here is an error to the kubelet, not a failure (`DoHTTPProbe` returns it as `err`).
    Body,
}

/// How an attempt ended whose deadline came in this phase.
pub(super) fn of_deadline(phase: Phase) -> Outcome {
    match phase {
        Phase::Dial => Outcome::ConnectTimeout,
        Phase::Tls | Phase::Headers | Phase::Body => Outcome::ResponseTimeout,
    }
}

/// How an attempt ended on which this error came in this phase.
///
/// An error that is not known blames whoever was acting: the prober while it dials, the connection afterwards.
pub(super) fn of_error(phase: Phase, error: &io::Error) -> Outcome {
    let Some(errno) = Errno::from_io_error(error) else {
        return of_kind(phase, error.kind());
    };
    match errno {
        Errno::CONNREFUSED => Outcome::Refused,
        Errno::CONNRESET | Errno::PIPE | Errno::CONNABORTED => Outcome::Reset,
        Errno::TIMEDOUT => of_deadline(phase),
        Errno::MFILE
        | Errno::NFILE
        | Errno::ADDRNOTAVAIL
        | Errno::ADDRINUSE
        | Errno::NOBUFS
        | Errno::NOMEM
        | Errno::NETUNREACH
        | Errno::HOSTUNREACH
        | Errno::ACCESS
        | Errno::PERM => Outcome::LocalError,
        _ => of_unknown(phase),
    }
}

fn of_kind(phase: Phase, kind: io::ErrorKind) -> Outcome {
    match kind {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Outcome::Reset,
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput if phase != Phase::Dial => Outcome::BadStatus,
        _ => of_unknown(phase),
    }
}

fn of_unknown(phase: Phase) -> Outcome {
    match phase {
        Phase::Dial => Outcome::LocalError,
        Phase::Tls | Phase::Headers | Phase::Body => Outcome::Reset,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_errno_lands_where_it_is_a_diagnosis() {
        use Outcome::{ConnectTimeout, LocalError, Refused, Reset, ResponseTimeout};
        let cases = [
            // errno, while dialling, afterwards
            (Errno::CONNREFUSED, Refused, Refused),
            (Errno::CONNRESET, Reset, Reset),
            (Errno::PIPE, Reset, Reset),
            (Errno::TIMEDOUT, ConnectTimeout, ResponseTimeout),
            (Errno::MFILE, LocalError, LocalError),
            (Errno::NFILE, LocalError, LocalError),
            (Errno::ADDRNOTAVAIL, LocalError, LocalError),
            (Errno::ADDRINUSE, LocalError, LocalError),
            (Errno::NOBUFS, LocalError, LocalError),
            (Errno::NOMEM, LocalError, LocalError),
            (Errno::NETUNREACH, LocalError, LocalError),
            (Errno::HOSTUNREACH, LocalError, LocalError),
            (Errno::ACCESS, LocalError, LocalError),
            (Errno::PERM, LocalError, LocalError),
            (Errno::INVAL, LocalError, Reset),
        ];
        for (errno, dialling, afterwards) in cases {
            let error = io::Error::from(errno);
            assert_eq!(of_error(Phase::Dial, &error), dialling, "{errno:?}");
            assert_eq!(of_error(Phase::Tls, &error), afterwards, "{errno:?}");
            assert_eq!(of_error(Phase::Headers, &error), afterwards, "{errno:?}");
            assert_eq!(of_error(Phase::Body, &error), afterwards, "{errno:?}");
        }
    }

    #[test]
    fn an_error_without_errno_is_read_by_kind() {
        assert_eq!(of_error(Phase::Headers, &io::ErrorKind::UnexpectedEof.into()), Outcome::Reset);
        assert_eq!(of_error(Phase::Body, &io::ErrorKind::InvalidData.into()), Outcome::BadStatus);
        assert_eq!(of_error(Phase::Dial, &io::ErrorKind::Other.into()), Outcome::LocalError);
    }

    #[test]
    fn a_deadline_belongs_to_its_phase() {
        assert_eq!(of_deadline(Phase::Dial), Outcome::ConnectTimeout);
        assert_eq!(of_deadline(Phase::Tls), Outcome::ResponseTimeout);
        assert_eq!(of_deadline(Phase::Headers), Outcome::ResponseTimeout);
        assert_eq!(of_deadline(Phase::Body), Outcome::ResponseTimeout);
    }
}
