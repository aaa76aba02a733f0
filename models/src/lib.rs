//! Antiphon, checked: stateright models that drive the machines of `antiphon-spec`, and never a second writing of them.
//!
//! A model gives the very [`Session`](antiphon_spec::session::Session) that clients run to every order of deliveries and every
//! choice of the users, within bounds, with symbolic signatures in place of real ones ([`SessionModel`]). The
//! properties are those of chapter *Sessions*; [`catalogue`] lists these models by name, [`families`] those of every machine.
//!
//! What the checker reports as holding, holds in every reachable state. Beside it, [`simulation`] plays some runs out of
//! many in sessions that are too large and too long for that, with time and faults.

mod attacker;
mod cast;
pub mod catalogue;
pub mod check;
mod crypto;
mod digest;
#[cfg(feature = "export")]
pub mod export;
pub mod families;
mod instant_model;
mod kept_link;
mod link;
pub mod locations;
mod monitor;
pub mod mutants;
pub mod presence;
pub mod privacy;
pub mod profiles;
mod properties;
#[cfg(test)]
mod relay;
mod scenario;
mod session_model;
mod shared;
pub mod simulation;
mod tap;
pub mod tree;
mod turn;
mod words;
mod world;

pub use attacker::{Attack, Start, Way};
pub use cast::Who;
pub use instant_model::{InstantBounds, InstantModel, InstantState, InstantStep};
pub use kept_link::{KeptLinkBounds, KeptLinkModel, KeptLinkState, KeptLinkStep};
pub use scenario::{Dialling, Scenario};
pub use session_model::{SessionModel, Step};
pub use world::{Budget, World};
