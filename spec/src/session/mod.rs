//! Chat sessions (chapter *Sessions*): the chain of epochs, the invitation token, the ticket, and the machine of one
//! member, which holds the coordinator's part too.

mod admission;
mod chat;
mod closing;
mod commitment;
mod coordinator;
mod epoch;
mod event;
mod grant;
mod inviter;
mod machine;
mod member;
mod newcomer;
#[cfg(feature = "sites")]
mod stage;
mod succession;
mod ticket;

pub use admission::{Admission, judge_ticket};

pub use commitment::Commitment;
pub use epoch::{
    Change, Epoch, EpochHash, EpochNumber, ImpossibleChange, Member, Nonce, Origin, RelayTag, SessionId,
};
pub use event::{Action, EndReason, Event, LocalNumber, Notice, Target, Timer};
pub use grant::Grant;
pub use machine::Session;
pub use member::Membership;
#[cfg(feature = "sites")]
pub use stage::Stage;
pub use ticket::Ticket;

#[cfg(test)]
mod tests;
