//! The location service (chapter *Location service*): what a directory node keeps under one handle, and how a tree of nodes
//! agrees on it.
//!
//! [`Contacts`] is the machine of one handle at one node. Records stand where servers inserted them; forwarding pointers
//! lead to them from the root. A node asks its parent for one change at a time and a handle, so nobody ever waits in a
//! circle: insertions wait for the parent, and what the parent supersedes waits for nothing above.

mod contacts;
mod entry;
mod event;
mod process;
mod search;

#[cfg(test)]
mod tests;

pub use contacts::Contacts;
pub use entry::{Above, Entry, Holder, Kept, Superseded};
pub use event::{Action, Answer, Asker, Event, ParentAnswer, Request, RequestNumber, Terms};
pub use process::process_of;
