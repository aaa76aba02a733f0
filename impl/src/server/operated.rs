//! What a server answers its operator.

use std::{collections::BTreeMap, time::Duration};

use antiphon_spec::{
    account::profile::Answer,
    identity::{ServerName, UserHandle},
};
use futures::future::BoxFuture;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::{Server, home::Home, location::Location, peers::Peers, users::Users};
use crate::{
    control::{AnswerError, Answers, Operated, Question, Told},
    net::Serving,
};

/// The longest time that a server waits for its users to go: a day.
const PATIENCE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// What an operator may ask about and act on.
#[derive(Clone, Debug)]
pub(super) struct OperatedServer {
    pub(super) name: ServerName,
    pub(super) users: Users,
    pub(super) home: Home,
    pub(super) peers: Peers,
    pub(super) location: Location,
    pub(super) serving: Serving,
    /// Cancelled when the operator has had the server drained.
    pub(super) drained: CancellationToken,
}

impl Server {
    /// What its operator may ask.
    pub(crate) fn operated(&self) -> impl Operated + use<> {
        self.operated.clone()
    }

    /// Waits until the operator has had the server drained: it has to be shut down.
    pub async fn drained(&self) {
        self.operated.drained.cancelled().await;
    }
}

impl Operated for OperatedServer {
    fn answer<'a>(
        &'a self,
        question: Question,
        answers: &'a mut Answers,
    ) -> BoxFuture<'a, Result<(), AnswerError>> {
        Box::pin(async move {
            match question {
                Question::Online => self.online(answers).await,
                Question::Links => self.links(answers).await,
                Question::Queues => self.queues(answers).await,
                Question::EndLogin { user } => self.end_login(user, answers).await,
                Question::Drain { patience } => self.drain(patience, answers).await,
            }
        })
    }
}

impl OperatedServer {
    async fn online(&self, answers: &mut Answers) -> Result<(), AnswerError> {
        for (user, epoch) in self.users.online().await {
            answers.tell(&Told::User { user, epoch: epoch.0 }).await?;
        }
        Ok(())
    }

    async fn links(&self, answers: &mut Answers) -> Result<(), AnswerError> {
        let mut links: BTreeMap<String, (usize, usize)> = BTreeMap::new();
        for (peer, accepted) in self.serving.connected_servers() {
            links.entry(peer.to_string()).or_default().0 = accepted;
        }
        for peer in self.peers.connected() {
            links.entry(peer.to_string()).or_default().1 += 1;
        }
        for node in self.location.connected() {
            links.entry(node.to_string()).or_default().1 += 1;
        }
        for (peer, (accepted, dialled)) in links {
            answers.tell(&Told::Link { peer, accepted, dialled }).await?;
        }
        Ok(())
    }

    async fn queues(&self, answers: &mut Answers) -> Result<(), AnswerError> {
        let waiting_bytes = (self.serving.waiting_bytes(), self.serving.limits.waiting_bytes);
        for (name, (waiting, most)) in [
            ("bytes of all connections", waiting_bytes),
            ("requests for the home copies of profiles", self.home.queue()),
            ("events of logins, in the longest queue", self.users.queue()),
        ] {
            answers.tell(&Told::Queue { name: name.to_owned(), waiting, most }).await?;
        }
        Ok(())
    }

    async fn end_login(&self, user: UserHandle, answers: &mut Answers) -> Result<(), AnswerError> {
        if user.home != self.name {
            let why = format!("{user} is no user of {}; ask at the user's home server", self.name);
            return Err(AnswerError::Failed(why));
        }
        match self.home.end_login(user.id).await {
            Answer::CheckedIn => answers.tell(&Told::LoginEnded).await,
            Answer::Refused(code) => Err(AnswerError::Failed(format!("the home copy answers {code}"))),
            Answer::CheckedOut { .. } | Answer::Renewed(_) | Answer::Stored(_) => {
                Err(AnswerError::Failed("the home copy answers something else".to_owned()))
            }
        }
    }

    async fn drain(&self, patience: u64, answers: &mut Answers) -> Result<(), AnswerError> {
        self.serving.draining.cancel();
        let users = self.users.count();
        info!(users, patience, "the operator has this server drained");
        // Whether the operator goes on listening or not.
        let told = answers.tell(&Told::Draining { users }).await;
        let patience = Duration::from_secs(patience).min(PATIENCE_MAX);
        let _ = timeout(patience, self.users.gone()).await;
        let users = self.users.count();
        let told_last = answers.tell(&Told::Drained { users }).await;
        self.drained.cancel();
        told.and(told_last)
    }
}
