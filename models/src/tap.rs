//! The three ways into a machine, for models and simulations alike: with the feature `export`, what goes in and what
//! comes out can be kept (`recording`).

#[cfg(feature = "export")]
use std::cell::RefCell;

use antiphon_spec::{
    error_code::ErrorCode,
    identity::Peer,
    machine::{Context, Machine as _},
    message::client_client::InvitationMessage,
    policy::Verdict,
    session::{Action, Epoch, Event, Member, Nonce, Origin, Session},
};
#[cfg(feature = "export")]
use {
    antiphon_conformance::recorded::{Done, Step, Told},
    antiphon_spec::sites,
};

use crate::cast::Who;

/// What a machine was told and what it did.
#[cfg(feature = "export")]
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    pub(crate) who: Who,
    /// Who that is in the session.
    pub(crate) me: Option<Member>,
    pub(crate) step: Step,
    pub(crate) done: Done,
    /// Where it acted.
    pub(crate) sites: std::collections::BTreeSet<sites::Site>,
}

/// What has happened, in its order.
#[cfg(feature = "export")]
#[derive(Clone, Debug, Default)]
pub(crate) struct Recording {
    pub(crate) taken: Vec<Taken>,
    /// The epochs that somebody has hashed.
    pub(crate) epochs: Vec<Epoch>,
    /// The origins from which somebody has derived a session ID.
    pub(crate) origins: Vec<Origin>,
}

#[cfg(feature = "export")]
impl Recording {
    /// What has happened after it.
    pub(crate) fn append(&mut self, after: Self) {
        self.taken.extend(after.taken);
        for epoch in after.epochs {
            if !self.epochs.contains(&epoch) {
                self.epochs.push(epoch);
            }
        }
        for origin in after.origins {
            if !self.origins.contains(&origin) {
                self.origins.push(origin);
            }
        }
    }
}

#[cfg(feature = "export")]
thread_local! {
    static TAP: RefCell<Option<Recording>> = const { RefCell::new(None) };
}

/// Does something and keeps what machines of this thread do in it.
#[cfg(feature = "export")]
pub(crate) fn recording<T>(run: impl FnOnce() -> T) -> (T, Recording) {
    TAP.set(Some(Recording::default()));
    let done = run();
    (done, TAP.take().unwrap_or_default())
}

#[cfg(feature = "export")]
fn keep(change: impl FnOnce(&mut Recording)) {
    TAP.with_borrow_mut(|tap| tap.as_mut().map(change));
}

/// Does a step of a machine. What stands for `told` is made before.
#[cfg(feature = "export")]
fn take<T>(
    who: Who,
    told: impl FnOnce() -> Told,
    context: &Context<'_>,
    out: &mut Vec<Action>,
    run: impl FnOnce(&mut Vec<Action>) -> T,
    outcome: impl FnOnce(&T) -> (Option<Member>, Option<ErrorCode>),
) -> T {
    if TAP.with_borrow(Option::is_none) {
        return run(out);
    }
    let told = told();
    drop(sites::take());
    let result = run(out);
    let (me, refused) = outcome(&result);
    let step = Step { told, now: context.now, entropy: context.entropy };
    let done = Done { actions: out.clone(), refused };
    keep(|tap| tap.taken.push(Taken { who, me, step, done, sites: sites::take() }));
    result
}

/// A client creates a session.
pub(crate) fn create(who: Who, me: Member, nonce: Nonce, context: &Context<'_>) -> Session {
    let run = |me: Member| Session::create(me, nonce, context);
    #[cfg(feature = "export")]
    {
        let member = me.clone();
        let told = || Told::Create(nonce);
        take(who, told, context, &mut Vec::new(), |_| run(me), |_| (Some(member), None))
    }
    #[cfg(not(feature = "export"))]
    {
        let _ = who;
        run(me)
    }
}

/// A client is invited.
pub(crate) fn invited(
    who: Who,
    me: Member,
    inviter: Peer,
    message: &InvitationMessage,
    verdict: Verdict,
    context: &Context<'_>,
    out: &mut Vec<Action>,
) -> Result<Session, ErrorCode> {
    #[cfg(feature = "export")]
    {
        let (member, peer) = (me.clone(), inviter.clone());
        take(
            who,
            || Told::Invited { inviter: peer, message: message.clone(), verdict },
            context,
            out,
            |out| Session::invited(me, inviter, message, verdict, context, out),
            |result| (Some(member), result.as_ref().err().copied()),
        )
    }
    #[cfg(not(feature = "export"))]
    {
        let _ = who;
        Session::invited(me, inviter, message, verdict, context, out)
    }
}

/// A client's machine hears of something.
pub(crate) fn handle(
    who: Who,
    session: &mut Session,
    event: Event,
    context: &Context<'_>,
    out: &mut Vec<Action>,
) {
    #[cfg(feature = "export")]
    {
        let kept = event.clone();
        take(
            who,
            || Told::Event(kept),
            context,
            out,
            |out| session.handle(event, context, out),
            |()| (None, None),
        );
    }
    #[cfg(not(feature = "export"))]
    {
        let _ = who;
        session.handle(event, context, out);
    }
}

/// Somebody hashes an epoch.
pub(crate) fn hashed(epoch: &Epoch) {
    #[cfg(feature = "export")]
    keep(|tap| {
        if !tap.epochs.contains(epoch) {
            tap.epochs.push(epoch.clone());
        }
    });
    #[cfg(not(feature = "export"))]
    let _ = epoch;
}

/// Somebody derives a session ID.
pub(crate) fn derived(origin: &Origin) {
    #[cfg(feature = "export")]
    keep(|tap| {
        if !tap.origins.contains(origin) {
            tap.origins.push(*origin);
        }
    });
    #[cfg(not(feature = "export"))]
    let _ = origin;
}
