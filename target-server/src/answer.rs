//! One conversation: a connection that woke, its request, the answer, and back to rest.
//!
//! What is spoken over TLS or HTTP/2 is left to `secure` and `grpc`: such a connection keeps its task until it is closed, and an
//! idle one is closed after [`PATIENCE`], so that what is held at rest stays as cheap as it is.

use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use brimful_target_plan::sniff::{Protocol, sniff};
use brimful_target_plan::wire::{self, Answer, Decision, Reading, Site};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::idle_set::{Connection, Rest};
use crate::{grpc, secure};

/// How long a request may take to arrive once it began, and an answer to leave. A peer that says half a sentence
/// occupies a task no longer; one that says nothing occupies none. Ten times a kubelet's default time-out.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a long answer may stand still because its peer does not read: what nginx allows between two writes (`send_timeout`).
const SEND_PATIENCE: Duration = Duration::from_secs(60);
/// The body of a long answer is this, over and over; it costs no memory of a connection.
static FILLER: [u8; 16 * 1_024] = [b'x'; 16 * 1_024];
/// Bytes first set aside for a head: a kubelet's is about 120.
const FIRST_READ: usize = 512;
/// Most bytes thrown away before a connection is closed on a request that was refused.
const DISCARD_MAX: usize = 64 * 1_024;

/// How a conversation left its socket.
enum End {
    /// It goes on another time.
    Rest(OwnedFd),
    /// The peer ended it, and did not want an answer.
    Ended(OwnedFd),
    /// The server said that it closes, and did.
    Closed,
}

/// What came of an attempt to answer without a task.
pub(crate) enum AtOnce {
    /// The request was answered, and the connection goes on.
    Answered,
    /// It takes a conversation; this much of the request has been read.
    Talk(Vec<u8>),
    /// The peer ended it.
    Ended,
    /// It was reset, or failed.
    Broken,
}

/// Answers one whole request of a connection that stays open, as a heartbeat is: two system calls, no task and no memory. Everything
/// else is left to [`converse`], with what was read.
pub(crate) fn at_once(socket: &OwnedFd, rest: &Rest) -> AtOnce {
    if !rest.answer_delay.is_zero() {
        return AtOnce::Talk(Vec::new());
    }
    let mut bytes = [0_u8; FIRST_READ];
    let head = match recv(socket, &mut bytes, RecvFlags::DONTWAIT) {
        Ok((0, _)) => return AtOnce::Ended,
        Ok((read, _)) => bytes.get(..read).unwrap_or_default(),
        Err(Errno::AGAIN | Errno::INTR) => return AtOnce::Talk(Vec::new()),
        Err(_) => return AtOnce::Broken,
    };
    let decision = match wire::read(head, &rest.site) {
        Reading::Decided(decision) if decision.keep_alive && decision.consumed == head.len() => decision,
        Reading::Decided(_) | Reading::Partial => return AtOnce::Talk(head.to_vec()),
    };
    if decision.answer.more() > 0 {
        return AtOnce::Talk(head.to_vec());
    }
    let answer = rest.site.render(decision.answer, true);
    match send(socket, &answer, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
        Ok(sent) if sent == answer.len() => {
            rest.counters.0.answered(decision.answer == Answer::Healthy);
            AtOnce::Answered
        }
        // Nothing of it has gone, so a conversation can wait for room and begin afresh.
        Err(Errno::AGAIN | Errno::INTR) => AtOnce::Talk(head.to_vec()),
        // A part of an answer of a hundred bytes: the peer has not read for megabytes.
        Ok(_) | Err(_) => AtOnce::Broken,
    }
}

/// Answers what the connection in slot `key` has to say, of which `head` has been read, then lays it to rest again or closes it.
pub(crate) async fn converse(rest: Rc<Rest>, key: usize, connection: Connection, head: Vec<u8>) {
    let Connection { socket, extra, ignored } = connection;
    match exchange(socket, head, &rest, PATIENCE).await {
        Ok(End::Rest(socket)) => rest.put_back(key, Connection { socket, extra, ignored }),
        Ok(End::Ended(socket)) => rest.ended(key, Connection { socket, extra, ignored }),
        // What went wrong is the peer's business: to the server it is one connection less.
        Err(_) | Ok(End::Closed) => {
            drop(extra);
            rest.forget(key);
        }
    }
}

/// Answers requests until none is begun, or the conversation is over.
async fn exchange(socket: OwnedFd, mut head: Vec<u8>, rest: &Rest, patience: Duration) -> io::Result<End> {
    let mut stream = TcpStream::from_std(socket.into())?;
    head.reserve(FIRST_READ);
    if rest.tls.is_some() || rest.grpc_service.is_some() {
        if head.is_empty() && timeout(patience, stream.read_buf(&mut head)).await?? == 0 {
            return Ok(End::Ended(stream.into_std()?.into()));
        }
        match (sniff(&head), &rest.tls, &rest.grpc_service) {
            (Protocol::Tls, Some(tls), _) => {
                secure::converse(tls, stream, head, rest, patience).await?;
                return Ok(End::Closed);
            }
            (Protocol::Http2, _, Some(service)) => {
                grpc::converse(service, stream, head, rest, patience).await?;
                return Ok(End::Closed);
            }
            _ => {}
        }
    }
    loop {
        let Some(decision) = answer_one(&mut stream, &mut head, rest, patience).await? else {
            return Ok(End::Ended(stream.into_std()?.into()));
        };
        if !decision.keep_alive {
            if decision.answer != Answer::Healthy {
                discard(&stream);
            }
            return Ok(End::Closed);
        }
        if head.is_empty() {
            return Ok(End::Rest(stream.into_std()?.into()));
        }
    }
}

/// Answers one request, of which `head` has been read, and takes it off `head`; `None` when the peer ended before it was whole.
pub(crate) async fn answer_one<S>(
    stream: &mut S,
    head: &mut Vec<u8>,
    rest: &Rest,
    patience: Duration,
) -> io::Result<Option<Decision>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let decision = match timeout(patience, receive(stream, head, &rest.site)).await {
        Ok(Ok(Some(decision))) => decision,
        Ok(Ok(None)) => return Ok(None),
        Ok(Err(error)) => return Err(error),
        Err(_elapsed) => Decision { answer: Answer::TooSlow, keep_alive: false, consumed: head.len() },
    };
    if !rest.answer_delay.is_zero() {
        sleep(rest.answer_delay).await;
    }
    timeout(patience, stream.write_all(&rest.site.render(decision.answer, decision.keep_alive))).await??;
    send_more(stream, decision.answer.more()).await?;
    timeout(patience, stream.flush()).await??;
    rest.counters.0.answered(decision.answer == Answer::Healthy);
    head.drain(..decision.consumed);
    Ok(Some(decision))
}

/// Sends `left` bytes of filler, for as long as the peer takes some of it now and then.
async fn send_more<S: AsyncWrite + Unpin>(stream: &mut S, mut left: u64) -> io::Result<()> {
    while left > 0 {
        let piece = usize::try_from(left).unwrap_or(usize::MAX).min(FILLER.len());
        let sent = timeout(SEND_PATIENCE, stream.write(FILLER.get(..piece).unwrap_or_default())).await??;
        left -= sent as u64;
    }
    Ok(())
}

/// Reads until the first request in `head` is decided; `None` when the peer ended before that.
async fn receive<S: AsyncRead + Unpin>(
    stream: &mut S,
    head: &mut Vec<u8>,
    site: &Site,
) -> io::Result<Option<Decision>> {
    loop {
        if let Reading::Decided(decision) = wire::read(head, site) {
            return Ok(Some(decision));
        }
        if stream.read_buf(head).await? == 0 {
            return Ok(None);
        }
    }
}

/// Throws away what has arrived unread: closing over it would send a reset, which may overtake the answer (RFC 9112, 9.6).
fn discard(stream: &TcpStream) {
    let mut sink = [0_u8; 4_096];
    for _ in 0..DISCARD_MAX / sink.len() {
        if !matches!(stream.try_read(&mut sink), Ok(read) if read > 0) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener, TcpStream as StdStream};

    use brimful_target_plan::TargetPlan;
    use tokio::runtime::Builder;

    use super::*;

    #[test]
    fn half_a_sentence_is_not_waited_for_longer_than_patience() {
        let rest = Rest::new(&TargetPlan::plain((Ipv4Addr::LOCALHOST, 0).into()), None).unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut client = StdStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        server.set_nonblocking(true).unwrap();
        std::io::Write::write_all(&mut client, b"GET /hea").unwrap();

        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let over = runtime.block_on(exchange(server.into(), Vec::new(), &rest, Duration::from_millis(1))).unwrap();

        assert!(matches!(over, End::Closed));
        let mut said = String::new();
        std::io::Read::read_to_string(&mut client, &mut said).unwrap();
        assert!(said.starts_with("HTTP/1.1 408 ") && said.contains("Connection: close"), "{said}");
        assert_eq!(rest.counters.snapshot().other_answers, 1);
    }
}
