//! The gatherer's hands.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, split};
use tokio::sync::mpsc::{Sender, channel};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::stream::{FAREWELL, UNSAID_MOST, hear, say};
use super::{Link, News, Order, World};
use crate::account::Gathered;
use crate::gatherer::{Action, Event, Gatherer, Peer};
use crate::wire::{FIRST_MOST, line};
use crate::{FleetPlan, Windows};

/// What was heard and not yet taken in, at most. Accounts among it are the largest.
const UNHEARD_MOST: usize = 64;

/// How long the gatherer does nothing after it could not take a connection (`EMFILE`), so that it does not spin.
const REST: Duration = Duration::from_millis(100);

/// Gathers: listens at `at`, and sees the fleet through to its end. `tell` is for people.
///
/// # Errors
/// When nobody can listen there.
pub async fn gather<W: World>(
    world: Rc<W>,
    at: SocketAddr,
    (plan, windows): (FleetPlan, Windows),
    mut link: Link,
    mut tell: impl FnMut(&str),
) -> io::Result<Gathered> {
    let listener = world.bind(at).await?;
    tell(&format!("waiting for {} members at {at}", plan.members));
    let mut gatherer = Gatherer::new(plan, windows, world.now_ns());
    let (mouth, mut ear) = channel::<Event>(UNHEARD_MOST);
    let mut desk = Desk { mouths: BTreeMap::new(), tasks: JoinSet::new(), next: 0 };
    let mut share_speaks = true;
    loop {
        if let Some(gathered) = gatherer.gathered() {
            desk.farewell().await;
            return Ok(gathered);
        }
        let wait = Duration::from_nanos(gatherer.wakes_at_ns().saturating_sub(world.now_ns()));
        let event = tokio::select! {
            accepted = world.accept(&listener) => match accepted {
                Ok((stream, from)) => Event::Came { peer: desk.take(stream, mouth.clone()), from: from.to_string() },
                Err(error) => {
                    tell(&format!("a connection could not be taken: {error}"));
                    sleep(REST).await;
                    Event::Tick
                }
            },
            heard = ear.recv() => heard.unwrap_or(Event::Tick),
            news = link.news.recv(), if share_speaks => match news {
                Some(News::Own(own)) => Event::Own(own),
                Some(News::Signal(name)) => Event::Signal(name),
                None => {
                    share_speaks = false;
                    Event::Tick
                }
            },
            () = sleep(wait) => Event::Tick,
        };
        // The clock is read when an event is taken in, so that an answer about the time is never older than its question.
        for action in gatherer.hear(event, world.now_ns()) {
            match action {
                Action::Say(peer, message) => desk.say(peer, line(&message)),
                Action::Close(peer) => desk.close(peer),
                // A share that is gone has said so.
                Action::Start { t0_ns } => drop(link.orders.send(Order::Start { t0_ns })),
                Action::Stop => drop(link.orders.send(Order::Stop)),
                Action::Tell(text) => tell(&text),
            }
        }
        while desk.tasks.try_join_next().is_some() {}
    }
}

/// The connections.
struct Desk {
    mouths: BTreeMap<Peer, Sender<Vec<u8>>>,
    tasks: JoinSet<()>,
    next: Peer,
}

impl Desk {
    fn take<S: AsyncRead + AsyncWrite + Unpin + 'static>(&mut self, stream: S, mouth: Sender<Event>) -> Peer {
        let peer = self.next;
        self.next += 1;
        let (reader, writer) = split(stream);
        let (lines, unsaid) = channel(UNSAID_MOST);
        self.mouths.insert(peer, lines);
        self.tasks.spawn_local(async move {
            let listening = async {
                let heard = async |message| {
                    // Nobody takes it in any more once the gatherer has ended.
                    mouth.send(Event::Line { peer, message }).await.ok();
                };
                let why = hear(reader, FIRST_MOST, heard).await;
                mouth.send(Event::Gone { peer, why }).await.ok();
            };
            let speaking = async {
                let said = say(writer, unsaid).await;
                // Time for the other end to read and close: one that is closed with something unread in it is reset, and what was said is lost.
                sleep(FAREWELL).await;
                said
            };
            tokio::select! {
                () = listening => {}
                said = speaking => {
                    if let Err(error) = said {
                        mouth.send(Event::Gone { peer, why: format!("the connection broke: {error}") }).await.ok();
                    }
                }
            }
        });
        peer
    }

    fn say(&mut self, peer: Peer, line: Vec<u8>) {
        // One that does not read what is said to it is cut off, and heard of as gone.
        if self.mouths.get(&peer).is_some_and(|mouth| mouth.try_send(line).is_err()) {
            self.close(peer);
        }
    }

    fn close(&mut self, peer: Peer) {
        self.mouths.remove(&peer);
    }

    /// Lets the last lines out.
    async fn farewell(&mut self) {
        self.mouths.clear();
        let all = async { while self.tasks.join_next().await.is_some() {} };
        timeout(2 * FAREWELL, all).await.ok();
    }
}
