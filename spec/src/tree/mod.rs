//! The tree of servers (chapter *The tree of servers*): how servers that start, die and lose each other come to be one
//! spanning tree, and stay one.
//!
//! Only a root attaches to somebody, and only where a smaller root is known; whoever stands on a path is refused, and a circle
//! that comes about all the same is noticed by the paths that go round in it.

mod event;
mod machine;

#[cfg(test)]
mod tests;

pub use event::{Action, Event, Node, Said};
pub use machine::Tree;
