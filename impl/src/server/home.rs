//! The home copies of profiles: one task, which carries out what waits as one durable change.
//!
//! The machines decide ([`antiphon_spec::account::profile`]); here their states are loaded, and persisted before
//! anybody is answered. Many waiting requests share one commit.

use std::time::Duration;

use antiphon_protocol::tls::{Clock, now};
use antiphon_spec::{
    account::profile::{Action, Answer, Event, HomeProfile, Terms},
    error_code::ErrorCode,
    identity::{ObjectHandle, ServerName},
    machine::Machine as _,
    message::server_server::LoginEpoch,
};
use tokio::sync::{mpsc, oneshot};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::error;

use crate::{
    mutant::{Mutant, active},
    net,
    store::{HomeTransaction, ServerStore, StoreError},
};

/// Most requests that wait; who asks more often waits as well.
const WAITING_MAX: usize = 256;

/// Most requests that share a commit.
const BATCH_MAX: usize = 64;

/// So often a batch is tried that fails only because of what others did at the same time.
pub(crate) const ATTEMPTS_MAX: usize = 3;

/// Asks the home copies.
#[derive(Clone, Debug)]
pub(crate) struct Home(mpsc::Sender<Command>);

#[derive(Debug)]
struct Command {
    user: ObjectHandle,
    what: What,
    answer: oneshot::Sender<Answer>,
}

/// What is asked of a home copy.
#[derive(Clone, Debug)]
enum What {
    /// What servers ask.
    Event(Event),
    /// What the operator asks: the account is to end.
    End,
    /// What the registrar asks, after a key was replaced: the login is to end.
    EndLogin,
}

/// A login that is over at the server that held it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Replacement {
    pub(crate) user: ObjectHandle,
    pub(crate) holder: ServerName,
    pub(crate) epoch: LoginEpoch,
}

impl Home {
    /// Starts the task, which lends login epochs for `lease`. It ends when the process goes down, as soon as nothing waits;
    /// `replaced` gets every login that was replaced.
    pub(crate) fn start<R>(
        store: ServerStore,
        lease: Duration,
        clock: Clock,
        (tracker, shutdown): (&TaskTracker, CancellationToken),
        replaced: R,
    ) -> Self
    where
        R: Fn(Replacement) + Send + Sync + 'static,
    {
        let (commands, waiting) = mpsc::channel(WAITING_MAX);
        tracker.spawn(run(store, lease, clock, (waiting, shutdown), replaced));
        Self(commands)
    }

    /// How many requests wait, and how many may.
    pub(crate) fn queue(&self) -> (usize, usize) {
        (WAITING_MAX.saturating_sub(self.0.capacity()), WAITING_MAX)
    }

    /// Hands an event to a user's home copy and waits for the answer.
    pub(crate) async fn ask(&self, user: ObjectHandle, event: Event) -> Answer {
        self.send(user, What::Event(event)).await
    }

    /// Ends an account; it has ended when this is answered with [`Answer::CheckedIn`].
    pub(crate) async fn end(&self, user: ObjectHandle) -> Answer {
        self.send(user, What::End).await
    }

    /// Ends a user's login, if one stands; it has ended when this is answered with [`Answer::CheckedIn`].
    pub(crate) async fn end_login(&self, user: ObjectHandle) -> Answer {
        self.send(user, What::EndLogin).await
    }

    async fn send(&self, user: ObjectHandle, what: What) -> Answer {
        let (sender, answer) = oneshot::channel();
        let sent = self.0.send(Command { user, what, answer: sender }).await;
        let answer = match sent {
            Ok(()) => answer.await.ok(),
            Err(_) => None,
        };
        answer.unwrap_or(Answer::Refused(ErrorCode::Internal))
    }
}

async fn run<R>(
    store: ServerStore,
    lease: Duration,
    clock: Clock,
    (mut waiting, shutdown): (mpsc::Receiver<Command>, CancellationToken),
    replaced: R,
) where
    R: Fn(Replacement) + Send + Sync,
{
    let mut batch = Vec::with_capacity(BATCH_MAX);
    loop {
        tokio::select! {
            biased;
            taken = waiting.recv_many(&mut batch, BATCH_MAX) => if taken == 0 { return },
            () = shutdown.cancelled(), if !waiting.is_closed() => {
                waiting.close();
                continue;
            }
        }
        let terms = Terms { now: now(&clock), lease };
        let mut outcome = carry_out(&store, &terms, &batch).await;
        for _ in 1..ATTEMPTS_MAX {
            match &outcome {
                Err(error) if error.is_conflict() => outcome = carry_out(&store, &terms, &batch).await,
                Ok(_) | Err(_) => break,
            }
        }
        let outcomes = outcome.unwrap_or_else(|error| {
            error!(error = net::chain(&error), "profiles cannot be changed");
            // Nothing was committed, so nothing may be told but this.
            batch.iter().map(|_| (Answer::Refused(ErrorCode::Internal), None)).collect()
        });
        for (command, (answer, replacement)) in batch.drain(..).zip(outcomes) {
            let _ = command.answer.send(answer);
            if let Some(replacement) = replacement.filter(|_| !active(Mutant::ReplaceNotSent)) {
                replaced(replacement);
            }
        }
    }
}

type Outcome = (Answer, Option<Replacement>);

async fn carry_out(
    store: &ServerStore,
    terms: &Terms,
    batch: &[Command],
) -> Result<Vec<Outcome>, StoreError> {
    let mut transaction = store.begin().await?;
    let mut outcomes = Vec::with_capacity(batch.len());
    for command in batch {
        outcomes.push(one(&mut transaction, terms, command).await?);
    }
    if !active(Mutant::CheckOutNotDurable) {
        transaction.commit().await?;
    }
    Ok(outcomes)
}

/// The notice of a login that is over.
fn told(user: ObjectHandle, action: Action) -> Option<Replacement> {
    match action {
        Action::Replace { holder, epoch } => Some(Replacement { user, holder, epoch }),
        Action::Persist(_) | Action::Answer(_) => None,
    }
}

async fn one(
    transaction: &mut HomeTransaction,
    terms: &Terms,
    command: &Command,
) -> Result<Outcome, StoreError> {
    let profile = transaction.profile(command.user).await?;
    let event = match &command.what {
        What::Event(event) => event.clone(),
        What::EndLogin => {
            let (mut actions, mut replacement) = (Vec::new(), None);
            profile.unwrap_or_default().end_login(&mut actions);
            for action in actions {
                match action {
                    Action::Persist(state) => transaction.persist(command.user, &state).await?,
                    Action::Answer(_) => {}
                    replace @ Action::Replace { .. } => replacement = told(command.user, replace),
                }
            }
            return Ok((Answer::CheckedIn, replacement));
        }
        What::End => {
            if !active(Mutant::EndNotDurable) {
                transaction.end(command.user).await?;
            }
            return Ok((
                Answer::CheckedIn,
                profile.and_then(HomeProfile::end).and_then(|it| told(command.user, it)),
            ));
        }
    };
    let Some(mut profile) = profile else {
        let answer = match event {
            Event::CheckOut { .. } | Event::Store { .. } => Answer::Refused(ErrorCode::NoSuchUser),
            // LOGIN-019: an epoch that never stood is over, too.
            Event::CheckIn { .. } => Answer::CheckedIn,
            // LOGIN-039: nor can one be renewed.
            Event::Renew { .. } => Answer::Refused(ErrorCode::LoginReplaced),
        };
        return Ok((answer, None));
    };
    let (mut actions, mut answer, mut replacement) = (Vec::new(), None, None);
    profile.handle(event, terms, &mut actions);
    for action in actions {
        match action {
            Action::Persist(state) => transaction.persist(command.user, &state).await?,
            Action::Answer(given) => answer = Some(given),
            replace @ Action::Replace { .. } => replacement = told(command.user, replace),
        }
    }
    Ok((answer.unwrap_or(Answer::Refused(ErrorCode::Internal)), replacement))
}
