//! A member's hands.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::split;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::stream::{FAREWELL, UNSAID_MOST, hear, say};
use super::{Link, News, Order, World};
use crate::member::{Action, End, Event, Member};
use crate::wire::{FromMember, LINE_MOST, line};
use crate::{FleetPlan, Windows};

/// How long a connection to the gatherer may take: two repeated SYNs fit into it.
const CONNECT: Duration = Duration::from_secs(5);

/// What was heard and not yet taken in, at most.
const UNHEARD_MOST: usize = 16;

/// Takes part: finds the gatherer, and sees the member's share through to its end.
pub async fn join<W: World>(
    world: Rc<W>,
    gatherer: SocketAddr,
    index: u32,
    (plan, windows): (FleetPlan, Windows),
    mut link: Link,
) -> End {
    let (mut member, mut todo) = Member::new(index, plan, windows, world.now_ns());
    let mut call = Call::none();
    let mut share_speaks = true;
    loop {
        for action in todo {
            match action {
                Action::Connect { at_ns } => {
                    let wait = Duration::from_nanos(at_ns.saturating_sub(world.now_ns()));
                    call = Call::begin(Rc::clone(&world), gatherer, wait);
                }
                Action::Say(message) => call.say(&message),
                // A share that is gone has said so.
                Action::Start { t0_ns } => drop(link.orders.send(Order::Start { t0_ns })),
                Action::Stop => drop(link.orders.send(Order::Stop)),
            }
        }
        if let Some(end) = member.end() {
            call.farewell().await;
            return end.clone();
        }
        let wait = Duration::from_nanos(member.wakes_at_ns().saturating_sub(world.now_ns()));
        let event = tokio::select! {
            event = call.next() => event,
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
        todo = member.hear(event, world.now_ns());
    }
}

/// One try to speak with the gatherer. Dropped, it is over, and what it would have told is not heard any more.
struct Call {
    mouth: Option<Sender<Vec<u8>>>,
    ear: Receiver<Event>,
    task: JoinSet<()>,
}

impl Call {
    fn none() -> Self {
        let (_, ear) = channel(1);
        Self { mouth: None, ear, task: JoinSet::new() }
    }

    fn begin<W: World>(world: Rc<W>, to: SocketAddr, wait: Duration) -> Self {
        let (mouth, unsaid) = channel(UNSAID_MOST);
        let (told, ear) = channel(UNHEARD_MOST);
        let mut task = JoinSet::new();
        task.spawn_local(async move {
            sleep(wait).await;
            let why = talk(world, to, unsaid, &told).await.unwrap_or_else(|error| format!("{to}: {error}"));
            told.send(Event::Gone(why)).await.ok();
        });
        Self { mouth: Some(mouth), ear, task }
    }

    /// The next that is heard; for ever silent once it is over.
    async fn next(&mut self) -> Event {
        match self.ear.recv().await {
            Some(event) => event,
            None => std::future::pending().await,
        }
    }

    fn say(&mut self, message: &FromMember) {
        // A gatherer that takes nothing in any more is one that is gone: it is given up when the wait for it ends.
        self.mouth.as_ref().map(|mouth| mouth.try_send(line(message)).ok());
    }

    /// Lets the last lines out.
    async fn farewell(&mut self) {
        self.mouth = None;
        self.ear.close();
        timeout(FAREWELL, self.task.join_next()).await.ok();
    }
}

/// Connects, hears and says; returns why it ended.
async fn talk<W: World>(
    world: Rc<W>,
    to: SocketAddr,
    unsaid: Receiver<Vec<u8>>,
    told: &Sender<Event>,
) -> io::Result<String> {
    let no_answer = || io::Error::new(io::ErrorKind::TimedOut, "no answer to the connection");
    let stream = timeout(CONNECT, world.connect(to)).await.map_err(|_elapsed| no_answer())??;
    told.send(Event::Connected).await.ok();
    let (reader, writer) = split(stream);
    let heard = async |line| {
        told.send(Event::Line(line)).await.ok();
    };
    tokio::select! {
        why = hear(reader, LINE_MOST, heard) => Ok(why),
        said = say(writer, unsaid) => said.map(|()| "it was left".to_owned()),
    }
}
