//! Chat sessions (chapter *Sessions*): the chain of epochs, the invitation token, the ticket, and the machine of one
//! member, which holds the coordinator's part too.

mod epoch;
mod event;
mod grant;
mod ticket;

pub use epoch::{Change, Epoch, EpochHash, EpochNumber, ImpossibleChange, Member, Nonce, Origin, SessionId};
pub use event::{Action, EndReason, Event, Notice, Target, Timer};
pub use grant::Grant;
pub use ticket::Ticket;
