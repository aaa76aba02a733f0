//! One relayed link: its machine, and the two connections that it leads over.

use std::sync::{
    Arc, Mutex, OnceLock, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use antiphon_spec::{
    account::lookup::refusal_after,
    machine::Machine as _,
    message::relay::{CreditBytes, LinkNumber, RelayBytes, RelayCall},
    relay::{Action, Event, RelayedLink, Side},
};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{end::RelayEnd, places::Place};
use crate::monitoring::metrics::{self, There};

/// Every byte that the servers of this process have had in their hands: for tests, which look for what was said.
#[cfg(test)]
pub(crate) static PASSED: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// What came for a link.
#[derive(Debug)]
pub(crate) enum Came {
    /// `relay-opened`.
    Opened,
    /// `relay-data`.
    Data(RelayBytes),
    /// `relay-credit`.
    Credit(CreditBytes),
    /// `relay-close`, or the end of the connection.
    Closed,
}

/// A link.
#[derive(Debug)]
pub(crate) struct Relayed {
    machine: Mutex<RelayedLink>,
    caller: (Arc<RelayEnd>, LinkNumber),
    called: OnceLock<(Arc<RelayEnd>, LinkNumber)>,
    /// The link's places among those of its users.
    places: Mutex<Vec<Place>>,
    /// The link was opened, or is over.
    settled: CancellationToken,
    /// The caller, a client, has yet to hear that it is refused.
    is_refused: AtomicBool,
    _there: There,
}

impl Relayed {
    pub(super) fn new(caller: Arc<RelayEnd>, link: LinkNumber) -> Self {
        Self {
            machine: Mutex::default(),
            caller: (caller, link),
            called: OnceLock::new(),
            places: Mutex::default(),
            settled: CancellationToken::new(),
            is_refused: AtomicBool::new(false),
            _there: metrics::relayed_link(),
        }
    }

    /// Keeps a user's place until the link is over.
    pub(super) fn occupy(&self, place: Place) {
        self.places.lock().unwrap_or_else(PoisonError::into_inner).push(place);
    }

    /// Leads the link on to the called side, and asks there; `false` if that connection is gone.
    pub(super) fn lead_to(self: &Arc<Self>, end: Arc<RelayEnd>, call: RelayCall) -> bool {
        // Nothing that the caller's side does may come between: a close has to come after what it closes.
        let machine = self.machine.lock().unwrap_or_else(PoisonError::into_inner);
        if machine.is_ended() {
            return true;
        }
        let Some(link) = end.call(self, call) else { return false };
        // Set once: one task leads the link on, and it ends with that.
        let _ = self.called.set((end, link));
        true
    }

    /// Nobody is there, or nobody who lets the caller through.
    pub(super) fn refuse(&self) {
        self.handle(Event::Refused, None);
    }

    /// The link is not opened in time, or not even looked at.
    pub(crate) fn expire(&self) {
        self.handle(Event::Expired, None);
    }

    /// Tells a caller who asked at this time that it is refused, if it is, at the next beat.
    pub(super) async fn tell_refusal(&self, asked: Instant) {
        if self.is_refused.load(Ordering::Acquire) {
            sleep_until(asked + refusal_after(asked.elapsed())).await;
            self.caller.0.close_link(self.caller.1);
        }
    }

    /// Waits until the link was opened or is over.
    pub(super) async fn settled(&self) {
        self.settled.cancelled().await;
    }

    /// Something came from a side.
    pub(super) fn came(&self, by: Side, came: Came) {
        #[cfg(test)]
        if let Came::Data(bytes) = &came {
            PASSED.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes.as_slice());
        }
        let event = match &came {
            Came::Opened => Event::Opened { by },
            Came::Data(bytes) => {
                metrics::relayed_bytes(bytes.count());
                Event::Data { by, count: bytes.count() }
            }
            Came::Credit(bytes) => Event::Credit { by, count: bytes.count() },
            Came::Closed => Event::Closed { by },
        };
        self.handle(event, Some(came));
    }

    fn side(&self, side: Side) -> Option<&(Arc<RelayEnd>, LinkNumber)> {
        match side {
            Side::Caller => Some(&self.caller),
            Side::Called => self.called.get(),
        }
    }

    fn handle(&self, event: Event, mut came: Option<Came>) {
        // What goes out is put in line under the lock, so that it keeps its order; nothing is written meanwhile.
        let mut machine = self.machine.lock().unwrap_or_else(PoisonError::into_inner);
        let mut actions = Vec::new();
        machine.handle(event, &(), &mut actions);
        for action in actions {
            match action {
                Action::Forward { to } => {
                    if let (Some((end, link)), Some(came)) = (self.side(to), came.take()) {
                        end.forward(*link, came);
                    }
                }
                Action::Close { to } => {
                    if let Some((end, link)) = self.side(to) {
                        end.close_link(*link);
                    }
                }
                Action::Refuse => {
                    let (end, link) = &self.caller;
                    if end.is_client() {
                        // Before `settled`, behind which the refusal is looked for.
                        self.is_refused.store(true, Ordering::Release);
                    } else {
                        end.close_link(*link);
                    }
                }
                Action::Fault { by, code } => {
                    if let Some((end, _)) = self.side(by) {
                        end.fault(code);
                    }
                }
            }
        }
        let (is_open, is_ended) = (machine.is_open(), machine.is_ended());
        drop(machine);
        if is_open || is_ended {
            self.settled.cancel();
        }
        if is_ended {
            for (end, link) in [Side::Caller, Side::Called].into_iter().filter_map(|side| self.side(side)) {
                end.detach(*link);
            }
            self.places.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }
}
