//! Where in the machines an action was made or a peer refused: what a set of traces has to reach.
//!
//! The functions by which a session's machine acts are told by the compiler where they are called (`#[track_caller]`).
//! With the cargo feature `sites`, which is for tools alone, those places are kept until `take` asks for them;
//! without it, nothing is.

#[cfg(all(feature = "sites", not(debug_assertions)))]
compile_error!(
    "the feature `sites` keeps a record of all that the machines do; no release build may contain it"
);

pub(crate) use std::panic::Location;
#[cfg(feature = "sites")]
use std::{cell::RefCell, collections::BTreeSet};

#[cfg(feature = "sites")]
thread_local! {
    static REACHED: RefCell<BTreeSet<Site>> = const { RefCell::new(BTreeSet::new()) };
}

/// A place in the source: the file, and the line.
#[cfg(feature = "sites")]
pub type Site = (&'static str, u32);

/// Keeps a place, if anybody wants to know.
#[cfg(feature = "sites")]
pub(crate) fn reached(at: &'static Location<'static>) {
    REACHED.with_borrow_mut(|reached| reached.insert((at.file(), at.line())));
}

/// Keeps nothing.
#[cfg(not(feature = "sites"))]
#[inline]
pub(crate) const fn reached(_: &'static Location<'static>) {}

/// The places that this thread has reached since it asked last.
#[cfg(feature = "sites")]
#[must_use]
pub fn take() -> BTreeSet<Site> {
    REACHED.take()
}
