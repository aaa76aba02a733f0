//! What plays in a model: how many clients, and how much may happen that nobody has to do.

use crate::{attacker::Attack, cast::Who, world::Budget};

/// When a dial succeeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialling {
    /// In the step that asks for the link.
    AtOnce,
    /// In a step of its own, so that everything else can happen in between.
    Later,
}

/// The bounds of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Scenario {
    /// Members of the session at the start, in the order of their handles.
    pub members: u8,
    /// Which of them created the session and coordinates it at the start, counted from 0.
    pub creator: u8,
    /// Clients that may be invited.
    pub newcomers: u8,
    /// How often what nobody has to do may happen.
    pub budget: Budget,
    /// When a dial succeeds.
    pub dialling: Dialling,
    /// Whether those who left may be invited again.
    pub returns: bool,
    /// Who attacks the session, if anybody does.
    pub attack: Option<Attack>,
}

impl Scenario {
    /// How many clients play.
    #[must_use]
    pub fn clients(&self) -> u8 {
        self.members + self.newcomers
    }

    /// Whom users may invite.
    pub(crate) fn invitees(&self) -> impl Iterator<Item = Who> + use<> {
        let first = if self.returns { 0 } else { self.members };
        let attack = self.attack;
        let honest = move |who: &Who| !attack.is_some_and(|attack| attack.owns(*who));
        Who::first(self.clients()).skip(usize::from(first)).filter(honest)
    }

    /// Whether timers run: where nobody fails to answer, none of them matters.
    pub(crate) fn has_timers(&self) -> bool {
        self.has_faults() || self.attack.is_some()
    }

    /// Whether anything may go wrong without anybody's will.
    pub(crate) fn has_faults(&self) -> bool {
        self.has_losses() || self.budget.crashes > 0
    }

    /// Whether those who live may lose each other without anybody's will.
    pub(crate) fn has_losses(&self) -> bool {
        self.budget.losses > 0 || self.budget.timers > 0
    }
}
