//! The play: four people of two homes, a session, a refusal, a leave, a hand-over.

use antiphon_spec::{error_code::ErrorCode, identity::UserHandle, policy::Verdict};

use super::{DemoError, actor::Actor, narrator::Narrator, town::Town};
use crate::client::{ClientEvent, Command, EpochView, Refusal, SessionName, Way};

/// Two logins and an address for each of the four.
pub(super) struct Play {
    pub(super) town: Town,
    pub(super) alice: Actor,
    pub(super) bob: Actor,
    pub(super) carol: Actor,
    pub(super) dave: Actor,
    pub(super) session: Option<SessionName>,
}

impl Play {
    /// The four register and log in.
    pub(super) async fn cast(town: Town, narrator: &mut Narrator) -> Result<Self, DemoError> {
        narrator
            .scene("Four people make keys and register: Alice and Bob at home1, Carol and Dave at home2.")?;
        let (home1, home2) = (&town.home1, &town.home2);
        let alice = Actor::enter("Alice", town.settings("alice", home1, home1)).await?;
        // Bob is at home at home1, but logs in at home2.
        let bob = Actor::enter("Bob", town.settings("bob", home1, home2)).await?;
        let carol = Actor::enter("Carol", town.settings("carol", home2, home2)).await?;
        let dave = Actor::enter("Dave", town.settings("dave", home2, home2)).await?;
        let mut play = Self { town, alice, bob, carol, dave, session: None };
        for actor in play.everybody() {
            narrator.tell(&format!("{} is {}", actor.name, actor.handle))?;
        }
        let [home1, home2] = [&play.town.home1, &play.town.home2].map(|home| home.authenticated.name.clone());
        let homes = [&play.alice, &play.bob, &play.carol, &play.dave].map(|actor| actor.handle.home.clone());
        let expected = [home1.clone(), home1, home2.clone(), home2];
        narrator.claim(
            "each certificate is for the client's own key and by its home server",
            &homes,
            &expected,
        )?;

        narrator.scene("They log in; Bob does so at home2, which fetches his profile from home1.")?;
        for actor in play.everybody() {
            let answer = actor.ask(Command::Login {}).await?;
            let ClientEvent::LoggedIn { epoch, .. } = answer else {
                let (claim, expected) = (format!("{} can log in", actor.name), "logged-in".to_owned());
                return Err(DemoError::Untrue { claim, expected, found: format!("{answer:?}") });
            };
            narrator.claim(&format!("{} is logged in, for the first time", actor.name), &epoch.0, &1)?;
        }
        Ok(play)
    }

    /// Everything up to the hand-over, and what is said after it.
    pub(super) async fn perform(&mut self, narrator: &mut Narrator) -> Result<(), DemoError> {
        self.deny(narrator).await?;
        let session = self.gather(narrator).await?;
        self.session = Some(session);
        self.talk(session, narrator).await?;
        self.leave(session, narrator).await?;
        self.hand_over(session, narrator).await
    }

    async fn deny(&mut self, narrator: &mut Narrator) -> Result<(), DemoError> {
        narrator.scene(
            "Carol allows Alice and denies Dave, and Alice allows Carol; then the others ask where Carol is.",
        )?;
        let (alice, carol) = (self.alice.handle.clone(), self.carol.handle.clone());
        let preferences = |allow, deny| Command::SetPreferences { allow, deny, default: Verdict::Allow };
        let answer = self.carol.ask(preferences(vec![alice], vec![self.dave.handle.clone()])).await?;
        let set = matches!(answer, ClientEvent::PreferencesSet { .. });
        narrator.claim("Carol's home server has stored her preferences", &set, &true)?;
        let answer = self.alice.ask(preferences(vec![carol], vec![])).await?;
        let set = matches!(answer, ClientEvent::PreferencesSet { .. });
        narrator.claim("Alice's home server has stored hers", &set, &true)?;
        let nobody: UserHandle = format!("{:032x}@{}", 1, self.carol.handle.home).parse()?;
        let denied = Command::Lookup { handle: self.carol.handle.clone() };
        let denied = self.dave.is_refused(denied).await?;
        let unknown = self.dave.is_refused(Command::Lookup { handle: nobody }).await?;
        let unavailable = Refusal::Protocol(ErrorCode::Unavailable);
        narrator.claim("Dave is told only `unavailable`", &denied.0, &unavailable)?;
        narrator.claim("which is what he is told of somebody who does not exist", &denied, &unknown)?;
        let unlisted = Command::Lookup { handle: self.carol.handle.clone() };
        let unlisted = self.bob.is_refused(unlisted).await?;
        narrator.claim("and what Bob is told, whom she neither denies nor lists", &unlisted, &denied)?;
        let found = self.alice.ask(Command::Lookup { handle: self.carol.handle.clone() }).await?;
        let found = matches!(found, ClientEvent::Address { .. });
        narrator.claim("Alice, whom her allow list names, is told Carol's address", &found, &true)?;
        self.write_to_carol(narrator).await
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the sender waits for one of two events")]
    async fn write_to_carol(&mut self, narrator: &mut Narrator) -> Result<(), DemoError> {
        narrator.scene("Alice and Dave each send Carol an instant message, outside every session.")?;
        let carol = self.carol.handle.clone();
        let mut outcomes = Vec::new();
        for (actor, text) in [(&mut self.alice, "Will you join us later?"), (&mut self.dave, "And me?")] {
            let answer = actor.ask(Command::Instant { handle: carol.clone(), text: text.to_owned() }).await?;
            let taken = matches!(answer, ClientEvent::InstantTaken { .. });
            narrator.claim(&format!("{}'s message is on its way", actor.name), &taken, &true)?;
            let outcome = actor.wait("what became of an instant message", |event| match event {
                ClientEvent::InstantDelivered { to, .. } => Some((to.clone(), true)),
                ClientEvent::InstantFailed { to, .. } => Some((to.clone(), false)),
                _ => None,
            });
            outcomes.push(outcome.await?);
        }
        let [delivered, failed] = [true, false].map(|delivered| (carol.clone(), delivered));
        narrator.claim(
            "Alice's is delivered, and Dave's could not be delivered",
            &outcomes,
            &vec![delivered, failed],
        )?;
        let shown = self.carol.wait("an instant message", |event| {
            let ClientEvent::Instant { from, text, .. } = event else { return None };
            Some((from.clone(), text.clone()))
        });
        let expected = (self.alice.handle.clone(), Some("Will you join us later?".to_owned()));
        narrator.claim("Carol was shown Alice's", &shown.await?, &expected)
    }

    async fn gather(&mut self, narrator: &mut Narrator) -> Result<SessionName, DemoError> {
        narrator.scene("Alice begins a session and invites Bob and Carol, who both accept.")?;
        let answer = self.alice.ask(Command::Create {}).await?;
        let ClientEvent::Created { session, .. } = answer else {
            let (claim, expected) = ("Alice can begin a session".to_owned(), "created".to_owned());
            return Err(DemoError::Untrue { claim, expected, found: format!("{answer:?}") });
        };
        narrator.tell(&format!("its ID is {session}"))?;
        let Self { alice, bob, carol, dave, .. } = self;
        for invitee in [&mut *bob, &mut *carol] {
            alice.tell(Command::Invite { session, handle: invitee.handle.clone() }).await?;
            invitee.is_invited(session, &alice.handle).await?;
            invitee.tell(Command::Accept { session }).await?;
            alice.sees(session, "join", &invitee.handle.clone()).await?;
        }
        let joined = carol.handle.clone();
        let views = [
            members(alice, session).await?,
            bob.sees(session, "join", &joined).await?,
            carol.sees(session, "join", &joined).await?,
        ];
        agree(narrator, "Alice, Bob and Carol see the same epoch", &views)?;

        narrator.scene("Alice invites Dave, who refuses; she asks once more, and he accepts.")?;
        alice.tell(Command::Invite { session, handle: dave.handle.clone() }).await?;
        dave.is_invited(session, &alice.handle).await?;
        dave.tell(Command::Reject { session }).await?;
        let refused = dave.handle.clone();
        let rejected = alice.wait("Dave's refusal", |event| {
            let ClientEvent::InvitationRejected { session: of, handle } = event else { return None };
            (*of == session && *handle == refused).then_some(())
        });
        rejected.await?;
        narrator.holds("Alice is told that Dave does not want to join")?;
        alice.tell(Command::Invite { session, handle: dave.handle.clone() }).await?;
        dave.is_invited(session, &alice.handle).await?;
        dave.tell(Command::Accept { session }).await?;
        let joined = dave.handle.clone();
        let mut views = Vec::new();
        for actor in [alice, bob, carol, dave] {
            views.push(actor.sees(session, "join", &joined).await?);
        }
        agree(narrator, "all four see the same epoch", &views)?;
        narrator.claim("it has four members", &views.first().map(|view| view.members.len()), &Some(4))?;
        narrator.claim(
            "Alice and Carol, who list each other, are connected directly",
            &self.alice.way_to(session, &self.carol.handle),
            &Some(Way::Direct),
        )?;
        narrator.claim(
            "Carol and Dave, whom she denies, talk by way of the servers, which see only what is sealed",
            &[self.carol.way_to(session, &self.dave.handle), self.dave.way_to(session, &self.carol.handle)],
            &[Some(Way::Relayed), Some(Way::Relayed)],
        )?;
        Ok(session)
    }

    async fn talk(&mut self, session: SessionName, narrator: &mut Narrator) -> Result<(), DemoError> {
        narrator.scene("They talk, each to all others, end to end.")?;
        let lines: [&[&str]; 4] = [
            &["Is everybody here?", "Then let us begin."],
            &["I am, by way of home2."],
            &["So am I.", "Dave cannot find me, but we can talk.", "That is as it should be."],
            &["Here.", "I wondered about that."],
        ];
        let mut said: Vec<(UserHandle, String)> = Vec::new();
        for (actor, lines) in self.everybody().into_iter().zip(lines) {
            for line in lines {
                actor.tell(Command::Send { session, text: (*line).to_owned() }).await?;
                narrator.tell(&format!("{}: {line}", actor.name))?;
                said.push((actor.handle.clone(), (*line).to_owned()));
            }
        }
        for actor in self.everybody() {
            hears_all(actor, &said).await?;
        }
        narrator.holds("each of the four has every line of the others once, in its order")
    }

    async fn leave(&mut self, session: SessionName, narrator: &mut Narrator) -> Result<(), DemoError> {
        narrator.scene("Bob leaves.")?;
        let left = self.bob.leaves(session).await?;
        narrator.claim("the session is over for Bob because he left", &left, &"left")?;
        let gone = self.bob.handle.clone();
        let mut views = Vec::new();
        for actor in [&mut self.alice, &mut self.carol, &mut self.dave] {
            views.push(actor.sees(session, "leave", &gone).await?);
        }
        agree(narrator, "Alice, Carol and Dave see the same epoch without him", &views)
    }

    async fn hand_over(&mut self, session: SessionName, narrator: &mut Narrator) -> Result<(), DemoError> {
        narrator.scene("Alice, who coordinates, leaves too: somebody else takes over first.")?;
        let next = self.carol.handle.clone().min(self.dave.handle.clone());
        let left = self.alice.leaves(session).await?;
        narrator.claim("the session is over for Alice because she left", &left, &"left")?;
        let gone = self.alice.handle.clone();
        let (mut taken_over, mut views) = (Vec::new(), Vec::new());
        for actor in [&mut self.carol, &mut self.dave] {
            taken_over.push(actor.sees(session, "hand-over", &next).await?);
            views.push(actor.sees(session, "leave", &gone).await?);
        }
        agree(narrator, "Carol and Dave see the same hand-over", &taken_over)?;
        agree(narrator, "and after it the same epoch without Alice", &views)?;
        let coordinator = views.first().map(|view| view.coordinator.clone());
        narrator.claim("the lower handle of the two coordinates now", &coordinator, &Some(next))?;

        let before = [self.carol.heard.len(), self.dave.heard.len()];
        self.carol.tell(Command::Send { session, text: "Only us now.".to_owned() }).await?;
        self.dave.tell(Command::Send { session, text: "And it still works.".to_owned() }).await?;
        narrator.tell("Carol: Only us now.")?;
        narrator.tell("Dave: And it still works.")?;
        self.carol.hears(before[0] + 1).await?;
        self.dave.hears(before[1] + 1).await?;
        let last = |actor: &Actor| actor.heard.last().cloned();
        let expected = [
            Some((self.dave.handle.clone(), "And it still works.".to_owned())),
            Some((self.carol.handle.clone(), "Only us now.".to_owned())),
        ];
        narrator.claim("the two go on talking", &[last(&self.carol), last(&self.dave)], &expected)
    }

    /// The last two leave.
    pub(super) async fn disperse(&mut self, narrator: &mut Narrator) -> Result<(), DemoError> {
        narrator.scene("The last two leave.")?;
        if let Some(session) = self.session.take() {
            let (carol, dave) = (self.carol.leaves(session).await?, self.dave.leaves(session).await?);
            narrator.claim("the session is over for Carol and Dave", &[carol, dave], &["left", "left"])?;
        }
        Ok(())
    }

    /// All log out.
    pub(super) async fn part(&mut self, narrator: &mut Narrator) -> Result<(), DemoError> {
        narrator.scene("All log out.")?;
        let bob = self.bob.ask(Command::Logout {}).await?;
        let lookup = Command::Lookup { handle: self.bob.handle.clone() };
        let unavailable = Refusal::Protocol(ErrorCode::Unavailable);
        let told = self.alice.is_refused(lookup).await?.0;
        narrator.claim("Bob has logged out", &bob, &ClientEvent::LoggedOut)?;
        narrator.claim("and is unavailable to Alice", &told, &unavailable)?;
        for actor in [&mut self.alice, &mut self.carol, &mut self.dave] {
            let answer = actor.ask(Command::Logout {}).await?;
            narrator.claim(&format!("{} has logged out", actor.name), &answer, &ClientEvent::LoggedOut)?;
        }
        Ok(())
    }

    /// The clients end, then the town.
    pub(super) async fn end(self, narrator: &mut Narrator) -> Result<(), DemoError> {
        narrator.scene("Everything goes down.")?;
        let Self { town, alice, bob, carol, dave, .. } = self;
        for actor in [alice, bob, carol, dave] {
            let actor = actor.quits().await?;
            let claim = format!("{}'s client has ended, and never heard a line twice", actor.name);
            narrator.claim(&claim, &actor.repeated, &0)?;
        }
        town.end(narrator).await?;
        let claims = narrator.claims();
        Ok(narrator.tell(&format!("all {claims} claims were checked and hold"))?)
    }

    fn everybody(&mut self) -> [&mut Actor; 4] {
        [&mut self.alice, &mut self.bob, &mut self.carol, &mut self.dave]
    }
}

/// The epoch that holds, as a member tells it.
pub(super) async fn members(actor: &mut Actor, session: SessionName) -> Result<EpochView, DemoError> {
    let answer = actor.ask(Command::Members { session }).await?;
    let ClientEvent::Members { view } = answer else {
        let (claim, expected) = (format!("{} is a member", actor.name), "members".to_owned());
        return Err(DemoError::Untrue { claim, expected, found: format!("{answer:?}") });
    };
    Ok(view)
}

/// Claims that all views are one: number, members, coordinator, and the hash over the whole history.
pub(super) fn agree(narrator: &mut Narrator, claim: &str, views: &[EpochView]) -> Result<(), DemoError> {
    let Some(first) = views.first() else { return Ok(()) };
    for view in views {
        if view != first {
            let (claim, expected, found) = (claim.to_owned(), format!("{first:?}"), format!("{view:?}"));
            return Err(DemoError::Untrue { claim, expected, found });
        }
    }
    let hash: String = first.hash.chars().take(16).collect();
    narrator.holds(&format!("{claim}: number {}, hash {hash}…", first.number))
}

/// Waits until somebody has every line of the others, once and in each sender's order.
async fn hears_all(actor: &mut Actor, said: &[(UserHandle, String)]) -> Result<(), DemoError> {
    let by_others: Vec<_> = said.iter().filter(|(from, _)| *from != actor.handle).cloned().collect();
    actor.hears(by_others.len()).await?;
    // Lines of different senders may come in any order; a stable sort by sender keeps each sender's own.
    let sorted = |lines: &[(UserHandle, String)]| {
        let mut lines = lines.to_vec();
        lines.sort_by(|a, b| a.0.cmp(&b.0));
        lines
    };
    let (expected, found) = (sorted(&by_others), sorted(&actor.heard));
    if expected == found {
        return Ok(());
    }
    let claim = format!("{} has every line of the others once, in its order", actor.name);
    Err(DemoError::Untrue { claim, expected: format!("{expected:?}"), found: format!("{found:?}") })
}
