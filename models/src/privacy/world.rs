//! Two servers, the location service, and the searches that the asker has begun.
//!
//! The logins are the machines of `antiphon_spec::account`, the searches [`Lookup`], the called link [`RelayedLink`],
//! driven as `antiphon` drives them. Time is counted for each search alone, by its steps.

use std::{collections::BTreeMap, time::Duration};

use antiphon_spec::{
    account::{
        login::{Action as LoginAction, Client, ConnectionNumber, Event as LoginEvent, Login},
        lookup::{Action, Event, Listed, Lookup, refusal_after},
    },
    error_code::ErrorCode,
    identity::{ContactAddress, ServerName, UserHandle},
    limits::{LOCATION_LEASE, LOGIN_LEASE},
    machine::Machine as _,
    message::{
        common::RequestId,
        location::ContactRecord,
        server_server::{LoginEpoch, Profile, ProfileVersion},
    },
    policy::Preferences,
    relay::{Action as LinkAction, Event as LinkEvent, RelayedLink, Side},
};

/// The asker's local server.
pub(super) const HERE: u8 = 0;
/// How many servers there are.
pub(super) const SERVERS: u8 = 2;
/// How long one step of a search takes; all of them together take less than a beat.
const STEP: Duration = Duration::from_millis(10);

/// What the asker asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Question {
    /// Where the user's client is.
    Lookup,
    /// For a relayed link to the user.
    Call,
}

/// What the asker sees, and how long after it asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Seen {
    pub(super) answer: Answer,
    pub(super) after: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Answer {
    Address(ContactAddress),
    Refused(ErrorCode),
    /// The user's client is told of the call; whatever it says, it is there.
    Rung,
    Closed,
}

/// A search, and the step that it waits for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Search {
    Lookup { machine: Lookup<ContactAddress>, next: Option<Action<ContactAddress>> },
    Call { machine: Lookup<()>, next: Option<Action<()>>, link: RelayedLink },
}

/// A question in one of the worlds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Asked {
    pub(super) search: Search,
    elapsed: Duration,
    pub(super) seen: Option<Seen>,
}

/// One of the two worlds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct World {
    /// The user's logins, by server.
    pub(super) logins: [Login; SERVERS as usize],
    /// What each server asks the location service.
    pub(super) to_location: [Option<LoginAction>; SERVERS as usize],
    /// The user's contact records.
    records: BTreeMap<LoginEpoch, u8>,
    pub(super) epoch: u64,
    /// Logins that the home server has replaced and whose servers do not know it.
    pub(super) replaced: Option<(u8, LoginEpoch)>,
    /// What was asked, and what came of it.
    pub(super) asked: Vec<Asked>,
}

/// The names, addresses and handles of a model.
#[derive(Clone, Debug)]
pub(super) struct Cast {
    pub(super) servers: Vec<ServerName>,
    pub(super) address: ContactAddress,
    pub(super) user: UserHandle,
    pub(super) asker: UserHandle,
    pub(super) preferences: Preferences,
}

impl World {
    // --- the user ---

    /// The user asks to log in, and the home server has answered; the older login is to be ended.
    pub(super) fn log_in(&mut self, cast: &Cast, server: u8) -> Option<()> {
        self.epoch += 1;
        let before = (0..SERVERS).find(|other| *other != server && self.is_logged_in(*other));
        self.replaced = before.map(|before| (before, LoginEpoch(self.epoch - 1)));
        let client =
            Client { connection: ConnectionNumber(self.epoch), id: RequestId(0), address: cast.address };
        self.login(server, LoginEvent::LoginAsked(client))?;
        let profile = Profile { version: ProfileVersion(1), messaging: cast.preferences.clone() };
        let epoch = LoginEpoch(self.epoch);
        self.login(server, LoginEvent::CheckedOut { epoch, lease: LOGIN_LEASE, profile })
    }

    pub(super) fn log_out(&mut self, server: u8) -> Option<()> {
        let connection = ConnectionNumber(self.logins.get(usize::from(server))?.epoch()?.0);
        self.login(server, LoginEvent::LogoutAsked { connection, id: RequestId(1) })
    }

    pub(super) fn replace(&mut self) -> Option<()> {
        let (server, epoch) = self.replaced.take()?;
        self.login(server, LoginEvent::ReplacedAtHome(epoch))
    }

    /// The location service carries out what a server asks it for.
    pub(super) fn locate(&mut self, server: u8) -> Option<()> {
        let event = match self.to_location.get_mut(usize::from(server))?.take()? {
            LoginAction::Insert(epoch) => {
                self.records.insert(epoch, server);
                LoginEvent::Inserted(LOCATION_LEASE)
            }
            LoginAction::Delete(epoch) => {
                self.records.retain(|of, at| (*of, *at) != (epoch, server));
                LoginEvent::DeleteEnded
            }
            LoginAction::CheckOut
            | LoginAction::Store { .. }
            | LoginAction::Renew(_)
            | LoginAction::CheckIn(_)
            | LoginAction::Send { .. }
            | LoginAction::Close(_)
            | LoginAction::ArmRenewal(_)
            | LoginAction::DisarmRenewal => return None,
        };
        self.login(server, event)
    }

    pub(super) fn is_logged_in(&self, server: u8) -> bool {
        self.logins.get(usize::from(server)).is_some_and(|login| login.epoch().is_some())
    }

    fn login(&mut self, server: u8, event: LoginEvent) -> Option<()> {
        let login = self.logins.get_mut(usize::from(server))?;
        let mut actions = Vec::new();
        login.handle(event, &(), &mut actions);
        for action in actions {
            match action {
                LoginAction::Insert(_) | LoginAction::Delete(_) => {
                    *self.to_location.get_mut(usize::from(server))? = Some(action);
                }
                // The home server answers at once.
                LoginAction::CheckIn(_) => self.login(server, LoginEvent::CheckInEnded)?,
                LoginAction::CheckOut
                | LoginAction::Store { .. }
                | LoginAction::Renew(_)
                | LoginAction::Send { .. }
                | LoginAction::Close(_)
                | LoginAction::ArmRenewal(_)
                | LoginAction::DisarmRenewal => {}
            }
        }
        Some(())
    }

    // --- the asker ---

    pub(super) fn ask(&mut self, cast: &Cast, question: Question) -> Option<()> {
        let own = cast.servers.get(usize::from(HERE))?.clone();
        let search = match question {
            Question::Lookup => Search::Lookup { machine: Lookup::new(own), next: None },
            Question::Call => {
                Search::Call { machine: Lookup::new(own), next: None, link: RelayedLink::default() }
            }
        };
        self.asked.push(Asked { search, elapsed: Duration::ZERO, seen: None });
        Some(())
    }

    /// What a server's list says to the asker about the user.
    fn listed(&self, cast: &Cast, server: u8) -> Listed<ContactAddress> {
        self.logins
            .get(usize::from(server))
            .map_or(Listed::Absent, |login| login.resolve(&cast.user, &cast.asker))
    }

    /// Whether a server leads the asker's link to the user.
    fn called(&self, cast: &Cast, server: u8) -> Listed<()> {
        let login = self.logins.get(usize::from(server));
        match login.map(|login| login.called_by(&cast.asker, |_| false)) {
            Some(Listed::Told(_)) => Listed::Told(()),
            Some(Listed::Forbidden) => Listed::Forbidden,
            Some(Listed::Absent) | None => Listed::Absent,
        }
    }

    fn records(&self, cast: &Cast) -> Vec<ContactRecord> {
        let record = |(epoch, server): (&LoginEpoch, &u8)| {
            let server = cast.servers.get(usize::from(*server))?.clone();
            Some(ContactRecord { epoch: *epoch, server, address: cast.address })
        };
        self.records.iter().rev().filter_map(record).collect()
    }

    /// The next step of a search, which may come to nothing.
    pub(super) fn go_on(&mut self, cast: &Cast, number: usize, fails: bool) -> Option<()> {
        let mut asked = self.asked.get(number)?.clone();
        let after = asked.elapsed + STEP;
        asked.elapsed = after;
        asked.seen = match &mut asked.search {
            Search::Lookup { machine, next } => self.look_up(cast, machine, next, after, fails)?,
            Search::Call { machine, next, link } => self.call(cast, (machine, link), next, after, fails)?,
        };
        *self.asked.get_mut(number)? = asked;
        Some(())
    }

    /// A step of a lookup, and what the asker sees of it.
    fn look_up(
        &self,
        cast: &Cast,
        machine: &mut Lookup<ContactAddress>,
        next: &mut Option<Action<ContactAddress>>,
        after: Duration,
        fails: bool,
    ) -> Option<Option<Seen>> {
        let event = match next.take() {
            None => Event::Listed(self.listed(cast, HERE)),
            Some(_) if fails => Event::Refused(ErrorCode::LocationUnreachable),
            Some(Action::Find) => Event::Found(self.records(cast)),
            Some(Action::Ask { server, .. }) => match self.listed(cast, cast.number(&server)?) {
                Listed::Told(address) => Event::Told(address),
                listed @ (Listed::Forbidden | Listed::Absent) => Event::Refused(listed.refusal()),
            },
            Some(Action::Tell(_) | Action::Refuse(_)) => return None,
        };
        Some(match act(machine, event)? {
            Action::Tell(address) => Some(Seen { answer: Answer::Address(address), after }),
            Action::Refuse(code) => Some(Seen { answer: Answer::Refused(code), after: refusal_after(after) }),
            step @ (Action::Find | Action::Ask { .. }) => {
                *next = Some(step);
                None
            }
        })
    }

    /// A step of a call, and what the asker sees of it.
    fn call(
        &self,
        cast: &Cast,
        (machine, link): (&mut Lookup<()>, &mut RelayedLink),
        next: &mut Option<Action<()>>,
        after: Duration,
        fails: bool,
    ) -> Option<Option<Seen>> {
        let mut away = None;
        let event = match next.take() {
            None => Event::Listed(self.called(cast, HERE)),
            Some(_) if fails => Event::Refused(ErrorCode::LocationUnreachable),
            Some(Action::Find) => Event::Found(self.records(cast)),
            // The link is led on to the other server, which has the last word.
            Some(Action::Ask { server, .. }) => {
                away = Some(self.called(cast, cast.number(&server)?));
                Event::Told(())
            }
            Some(Action::Tell(()) | Action::Refuse(_)) => return None,
        };
        let closed = match act(machine, event)? {
            Action::Tell(()) if matches!(away, None | Some(Listed::Told(()))) => None,
            Action::Tell(()) => Some(LinkEvent::Closed { by: Side::Called }),
            Action::Refuse(_) => Some(LinkEvent::Refused),
            step @ (Action::Find | Action::Ask { .. }) => {
                *next = Some(step);
                return Some(None);
            }
        };
        Some(Some(match closed.and_then(|event| act(link, event)) {
            None => Seen { answer: Answer::Rung, after },
            Some(LinkAction::Refuse) => Seen { answer: Answer::Closed, after: refusal_after(after) },
            Some(_) => Seen { answer: Answer::Closed, after },
        }))
    }
}

/// What a machine does last upon an event.
fn act<M>(machine: &mut M, event: M::Event) -> Option<M::Action>
where
    M: for<'a> antiphon_spec::machine::Machine<Context<'a> = ()>,
{
    let mut actions = Vec::new();
    machine.handle(event, &(), &mut actions);
    actions.pop()
}

impl Asked {
    /// The step that the search waits for, in words; nothing when it is answered.
    pub(super) fn awaits(&self) -> Option<&'static str> {
        if self.seen.is_some() {
            return None;
        }
        let (finds, asks) = match &self.search {
            Search::Lookup { next, .. } => {
                (matches!(next, Some(Action::Find)), matches!(next, Some(Action::Ask { .. })))
            }
            Search::Call { next, .. } => {
                (matches!(next, Some(Action::Find)), matches!(next, Some(Action::Ask { .. })))
            }
        };
        Some(match (finds, asks) {
            (true, _) => "the location service",
            (_, true) => "the other server",
            (false, false) => "the own list",
        })
    }

    /// Whether this step needs somebody else, who may not answer.
    pub(super) fn may_fail(&self) -> bool {
        self.awaits().is_some_and(|whom| whom != "the own list")
    }
}

impl Cast {
    fn number(&self, name: &ServerName) -> Option<u8> {
        (0..).zip(&self.servers).find(|(_, known)| *known == name).map(|(number, _)| number)
    }
}
