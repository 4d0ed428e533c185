//! brimful as one of its own workers: enter the place while there is one thread, then do one part of a cell.
//!
//! A worker dies with brimful: the kernel kills it when the thread that started it ends, and a closed standard input tells it so besides.

mod load;
mod orders;
mod probe;
mod sandbox;
mod target;

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

use self::orders::{Orders, say};
use super::message::{Failed, Order, Said};

/// Runs this process as a worker; `arguments` are those after the worker word. Returns the process's exit status.
#[must_use]
pub fn main(arguments: &[String]) -> u8 {
    let [role, parent] = arguments else { return 2 };
    // The signal goes out when the parent *thread* dies; a parent that died before this line is seen by its pid.
    let bound = set_parent_process_death_signal(Some(Signal::KILL)).is_ok();
    let alive = getppid().map(Pid::as_raw_nonzero).is_some_and(|pid| pid.get().to_string() == *parent);
    if !bound || !alive {
        return 1;
    }
    if let Ok(name) = std::ffi::CString::new(format!("brimful-{role}")) {
        // For ps and top only.
        rustix::thread::set_name(&name).ok();
    }
    let mut orders = Orders::new();
    let done = match orders.first() {
        None => return 1,
        Some(Order::Sandbox(order)) => sandbox::run(&order, orders),
        Some(Order::Target { place, cgroup, nofile, ordinary, plan }) => {
            let born = target::Born { group: cgroup.as_deref(), nofile, ordinary };
            target::run(place.as_ref(), &born, plan, orders)
        }
        Some(Order::Load { place, plan, shard, in_turn }) => load::run(place.as_ref(), &plan, shard, in_turn, orders),
        Some(Order::Probe { place, nofile, container, plan, until }) => {
            probe::run(place.as_ref(), nofile, container.as_ref(), &plan, until, orders)
        }
    };
    match done {
        Ok(()) => 0,
        Err(failed) => {
            say(&Said::Failed(failed));
            1
        }
    }
}

/// An errno of one of our own system calls, as a failure with what was tried.
fn os(what: &'static str) -> impl Fn(std::io::Error) -> Failed {
    move |error| Failed { what: format!("cannot {what}: {error}"), hint: None, machine: true }
}
