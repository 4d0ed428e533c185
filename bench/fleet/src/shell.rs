//! The hands of a fleet: TCP, timers and the clock around the state machines of `plan::fleet`.
//!
//! Both ends are generic over the [`World`] they are in, so that a test can put a thousand of them into simulated time. Everything runs in one
//! thread; the share of the load belongs to another one ([`share`]).

mod gather;
mod join;
pub mod share;
mod stream;
mod tcp;

use std::future::Future;
use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

use crate::gatherer::Own;

pub use gather::gather;
pub use join::join;
pub use tcp::Tcp;

/// Network and clock.
pub trait World: 'static {
    /// A connection.
    type Stream: AsyncRead + AsyncWrite + Unpin + 'static;
    /// A listening socket.
    type Listener: 'static;

    /// Listens.
    fn bind(&self, at: SocketAddr) -> impl Future<Output = io::Result<Self::Listener>>;
    /// Takes the next connection; may be dropped before it is done.
    fn accept(&self, listener: &Self::Listener) -> impl Future<Output = io::Result<(Self::Stream, SocketAddr)>>;
    /// Connects.
    fn connect(&self, to: SocketAddr) -> impl Future<Output = io::Result<Self::Stream>>;
    /// This machine's clock, in nanoseconds; never goes back.
    fn now_ns(&self) -> u64;
}

/// What the share of the load is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Start at this instant of this machine's clock.
    Start {
        /// In nanoseconds.
        t0_ns: u64,
    },
    /// Stop, or do not begin.
    Stop,
}

/// What is told of the share.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// Something happened to it.
    Own(Own),
    /// A signal asked for the end.
    Signal(String),
}

/// Both ways between a fleet's end and its share. News come seldom: a point some times a second.
#[derive(Debug)]
pub struct Link {
    /// To the share.
    pub orders: UnboundedSender<Order>,
    /// From it.
    pub news: UnboundedReceiver<News>,
}
