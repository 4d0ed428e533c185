//! What a shard does for connections that talk: sends their requests, reads the answers, counts both.

use brimful_loadgen_plan::outcome::LoadPoint;
use rustix::event::epoll::EventFlags;

use super::Shard;
use crate::hold::exchange::Turn;
use crate::hold::socket::{self, Peer};

impl<F: FnMut(LoadPoint)> Shard<'_, F> {
    /// Lets one connection have its turn. Says whether there was one.
    pub(super) fn talk(&mut self, now_ns: u64) -> bool {
        let Some(talk) = &mut self.talk else { return false };
        let Some(turn) = talk.take_turn(now_ns) else { return false };
        let counts = !talk.reads_in_turns();
        match turn {
            Turn::Missed => self.tally.beat_missed(),
            Turn::Ask { at, late_ns } => {
                let Some(socket) = self.table.socket(at) else { return true };
                match socket::ask(socket, &self.request) {
                    Ok(()) => {
                        talk.asked(at, now_ns);
                        if counts {
                            self.tally.beat(late_ns);
                        }
                    }
                    Err(_) if counts => self.tally.beat_refused(),
                    // A dead connection is told of by epoll, and a full one asks again at its next turn.
                    Err(_) => {}
                }
            }
            Turn::Read { at, bytes } => {
                let Some(socket) = self.table.socket(at) else { return true };
                let tally = &mut self.tally;
                let peer = socket::read_some(socket, bytes, |heard| {
                    tally.read(heard.len());
                    talk.heard(at, heard, now_ns);
                });
                self.see_peer(at, peer, now_ns);
            }
        }
        true
    }

    /// What an event says of the peer of a held connection; what a talking one has received is read here, unless it reads in turns.
    pub(super) fn hear(&mut self, at: usize, flags: EventFlags, now_ns: u64) -> Peer {
        let Some(socket) = self.table.socket(at) else { return Peer::Alive };
        match self.talk.as_mut().filter(|talk| talk.knows(at)) {
            None => socket::peer(socket, flags),
            Some(talk) if talk.reads_in_turns() => socket::peer_unread(socket, flags),
            Some(talk) => {
                let tally = &mut self.tally;
                socket::listen(socket, flags, |bytes| {
                    if let Some(answered) = talk.heard(at, bytes, now_ns) {
                        tally.beat_answered(answered);
                    }
                })
            }
        }
    }
}
