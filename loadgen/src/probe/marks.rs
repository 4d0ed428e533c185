//! How far an attempt has come: written by its hands, read when it ends or is given up.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use brimful_loadgen_plan::probe::Outcome;
use brimful_target::clock::monotonic_ns;

use super::classify::Phase;

/// Bytes of an answer that are kept to show what answered when it was not HTTP.
const OPENING_LIMIT: usize = 80;

/// The marks of one attempt, shared between the exchange, its connection and the deadline.
#[derive(Clone, Default)]
pub(super) struct Marks(Arc<Mutex<Mark>>);

/// What is known of the connection that an attempt is at. Instants are in nanoseconds of `CLOCK_MONOTONIC`.
#[derive(Clone, Default)]
pub(super) struct Mark {
    /// What the attempt is waiting for.
    pub(super) phase: Phase,
    /// The URL asked for; empty for a probe that asks for none.
    pub(super) url: String,
    /// The client's end, once connected.
    pub(super) local: Option<SocketAddr>,
    /// When this connection was begun.
    pub(super) dialled_ns: u64,
    /// When its handshake was seen to be complete.
    pub(super) connected_ns: Option<u64>,
    /// When the handshake of TLS was begun.
    pub(super) securing_ns: Option<u64>,
    /// When the handshake of TLS was done.
    pub(super) secured_ns: Option<u64>,
    /// When the first byte of an answer was read from it.
    pub(super) first_byte_ns: Option<u64>,
    /// The first bytes read from it.
    pub(super) opening: Vec<u8>,
    /// The status read from it.
    pub(super) status: Option<u16>,
    /// How it came to nothing, where another try is waited for.
    pub(super) failed: Option<(Outcome, String)>,
}

impl Marks {
    /// Begins a new connection, for this URL: what was known of the one before is forgotten.
    pub(super) fn dialled(&self, url: &str) {
        *self.lock() = Mark { url: url.to_owned(), dialled_ns: monotonic_ns(), ..Mark::default() };
    }

    /// The handshake is complete.
    pub(super) fn connected(&self, local: Option<SocketAddr>) {
        let mut mark = self.lock();
        mark.connected_ns = Some(monotonic_ns());
        mark.local = local;
        mark.phase = Phase::Headers;
    }

    /// A handshake of TLS begins.
    pub(super) fn securing(&self) {
        let mut mark = self.lock();
        mark.securing_ns = Some(monotonic_ns());
        mark.phase = Phase::Tls;
    }

    /// The handshake of TLS is complete. What was read up to now was of it.
    pub(super) fn secured(&self) {
        let mut mark = self.lock();
        mark.secured_ns = Some(monotonic_ns());
        mark.phase = Phase::Headers;
        mark.opening.clear();
    }

    /// Bytes of an answer were read.
    pub(super) fn read(&self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.began();
            self.heard(bytes);
        }
    }

    /// The answer has begun.
    pub(super) fn began(&self) {
        self.lock().first_byte_ns.get_or_insert_with(monotonic_ns);
    }

    /// Bytes were read, of an answer or of what it comes in; only the first ones are kept.
    pub(super) fn heard(&self, bytes: &[u8]) {
        let mut mark = self.lock();
        let room = OPENING_LIMIT.saturating_sub(mark.opening.len()).min(bytes.len());
        mark.opening.extend_from_slice(&bytes[..room]);
    }

    /// The status line and the headers are complete.
    pub(super) fn answered(&self, status: u16) {
        self.lock().status = Some(status);
    }

    /// The connection came to nothing, and another is to be tried.
    pub(super) fn failed(&self, outcome: Outcome, message: String) {
        self.lock().failed = Some((outcome, message));
    }

    /// The answer is the final one, and its body decides whether the probe errors.
    pub(super) fn reading_body(&self) {
        self.lock().phase = Phase::Body;
    }

    /// What is known now.
    pub(super) fn now(&self) -> Mark {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Mark> {
        // A mark is plain data, whole after every statement, so a poisoned lock hides nothing.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
