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
    antiphon_spec::{session::Stage, sites},
};

use crate::cast::Who;
#[cfg(feature = "export")]
use crate::export::kind_of;

/// What a machine was told and what it did.
#[cfg(feature = "export")]
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    pub(crate) who: Who,
    /// Who that is in the session.
    pub(crate) me: Option<Member>,
    /// What it waited for; nothing where it was in no session.
    pub(crate) stage: Option<Stage>,
    /// What came, in a few words.
    pub(crate) kind: &'static str,
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

#[cfg(feature = "export")]
fn is_recording() -> bool {
    TAP.with_borrow(Option::is_some)
}

/// What a machine is about to be told, and in which state.
#[cfg(feature = "export")]
struct Before {
    stage: Option<Stage>,
    kind: &'static str,
    told: Told,
}

#[cfg(feature = "export")]
impl Before {
    fn new(session: Option<&Session>, told: Told) -> Self {
        Self { stage: session.map(Session::stage), kind: kind_of(&told, session), told }
    }
}

/// Does a step of a machine, and keeps it.
#[cfg(feature = "export")]
fn take<T>(
    who: Who,
    before: Before,
    context: &Context<'_>,
    out: &mut Vec<Action>,
    run: impl FnOnce(&mut Vec<Action>) -> T,
    outcome: impl FnOnce(&T) -> (Option<Member>, Option<ErrorCode>),
) -> T {
    drop(sites::take());
    let result = run(out);
    let (me, refused) = outcome(&result);
    let Before { stage, kind, told } = before;
    let step = Step { told, now: context.now, entropy: context.entropy };
    let done = Done { actions: out.clone(), refused };
    keep(|tap| tap.taken.push(Taken { who, me, stage, kind, step, done, sites: sites::take() }));
    result
}

/// A client creates a session.
pub(crate) fn create(who: Who, me: Member, nonce: Nonce, context: &Context<'_>) -> Session {
    let run = |me: Member| Session::create(me, nonce, context);
    #[cfg(feature = "export")]
    if is_recording() {
        let member = me.clone();
        let before = Before::new(None, Told::Create(nonce));
        return take(who, before, context, &mut Vec::new(), |_| run(me), |_| (Some(member), None));
    }
    let _ = who;
    run(me)
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
    if is_recording() {
        let (member, peer) = (me.clone(), inviter.clone());
        let told = Told::Invited { inviter: peer, message: message.clone(), verdict };
        return take(
            who,
            Before::new(None, told),
            context,
            out,
            |out| Session::invited(me, inviter, message, verdict, context, out),
            |result| (Some(member), result.as_ref().err().copied()),
        );
    }
    let _ = who;
    Session::invited(me, inviter, message, verdict, context, out)
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
    if is_recording() {
        let before = Before::new(Some(session), Told::Event(event.clone()));
        take(who, before, context, out, |out| session.handle(event, context, out), |()| (None, None));
        return;
    }
    let _ = who;
    session.handle(event, context, out);
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
