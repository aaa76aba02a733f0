//! Steps and messages of logins in words, for counterexamples.

use antiphon_spec::{
    account::{login::Action, profile::Answer},
    message::client_server::FromServer,
};

use super::{Fate, ProfileModel, ProfileState, ProfileStep};

impl ProfileModel {
    /// A server in a word.
    pub(super) fn named(&self, server: u8) -> &'static str {
        match usize::from(server) + usize::from(!self.bounds.at_home) {
            0 => "the home server",
            1 => "server b",
            2 => "server c",
            _ => "server d",
        }
    }
}

pub(super) fn step(model: &ProfileModel, state: &ProfileState, step: ProfileStep) -> String {
    let request = |server: u8| {
        let first = state.servers.get(usize::from(server)).and_then(|server| server.to_home.front());
        first.map_or("nothing", |(request, _)| kind(request))
    };
    let outcome = |fate| match fate {
        Fate::Carried => "is carried out",
        Fate::AskedAgain => "is carried out, its answer is lost, and it is asked again",
        Fate::Unheard => "is carried out, and its answer is lost for good",
        Fate::Unreached => "is lost",
    };
    match step {
        ProfileStep::LogsIn(server) => {
            format!("client {} asks to log in at {}", state.clients.len(), model.named(server))
        }
        ProfileStep::Changes(client) => format!("client {client} changes the preferences"),
        ProfileStep::LogsOut(client) => format!("client {client} logs out"),
        ProfileStep::Dies(client) => format!("client {client} is gone"),
        ProfileStep::Home(server, fate) => {
            format!("home <- {}: {} {}", model.named(server), request(server), outcome(fate))
        }
        ProfileStep::HomeAnswers(server) => format!("{} hears from home", model.named(server)),
        ProfileStep::Location(server, fate) => {
            let asked = state.servers.get(usize::from(server)).and_then(|server| server.to_location.as_ref());
            let asked = asked.map_or("nothing", kind);
            format!("location <- {}: {asked} {}", model.named(server), outcome(fate))
        }
        ProfileStep::NoticeArrives(to, epoch) => {
            format!("{} <- home: replace up to epoch {}", model.named(to), epoch.0)
        }
        ProfileStep::NoticeIsLost(to, epoch) => {
            format!("replace up to epoch {} to {} is lost", epoch.0, model.named(to))
        }
        ProfileStep::TimerFires(server) => format!("{} has to renew", model.named(server)),
        ProfileStep::HalfPasses => "half of a lease passes".to_owned(),
        ProfileStep::ServerDies(server) => format!("{} dies and starts again", model.named(server)),
        ProfileStep::HomeDies(server, actions) => format!(
            "the home server dies after {actions} steps of the {} of {}",
            request(server),
            model.named(server)
        ),
        ProfileStep::HomeDiesAtRest => "the home server dies".to_owned(),
        ProfileStep::HomeStarts => "the home server starts again".to_owned(),
    }
}

fn kind(request: &Action) -> &'static str {
    match request {
        Action::CheckOut => "check-out",
        Action::Store { .. } => "store",
        Action::Renew(_) => "renew",
        Action::CheckIn(_) => "check-in",
        Action::Insert(_) => "insert",
        Action::Delete(_) => "delete",
        Action::Send { .. } => "a message",
        Action::Close(_) => "an end",
        Action::ArmRenewal(_) | Action::DisarmRenewal => "a timer",
    }
}

pub(super) fn answer(answer: &Answer) -> String {
    match answer {
        Answer::CheckedOut { epoch, profile, .. } => {
            format!("checked-out with epoch {} and version {}", epoch.0, profile.version.0)
        }
        Answer::Stored(version) => format!("stored as version {}", version.0),
        Answer::Renewed(_) => "renewed".to_owned(),
        Answer::CheckedIn => "checked-in".to_owned(),
        Answer::Refused(code) => format!("refused with {code}"),
    }
}

/// What a server does; nothing for what is seen elsewhere.
pub(super) fn action(server: &str, action: &Action) -> Option<String> {
    match action {
        Action::CheckOut => Some(format!("{server} -> home: check-out")),
        Action::Store { epoch, version, .. } => {
            Some(format!("{server} -> home: store in place of version {} under epoch {}", version.0, epoch.0))
        }
        Action::Renew(epoch) => Some(format!("{server} -> home: renew epoch {}", epoch.0)),
        Action::CheckIn(epoch) => Some(format!("{server} -> home: check-in of epoch {}", epoch.0)),
        Action::Insert(epoch) => Some(format!("{server} -> location: insert with epoch {}", epoch.0)),
        Action::Delete(epoch) => Some(format!("{server} -> location: delete with epoch {}", epoch.0)),
        Action::Send { connection, message } => {
            let client = connection.0;
            let told = match message {
                FromServer::LoggedIn(body) => format!("logged-in with epoch {}", body.epoch.0),
                FromServer::PreferencesSet(body) => format!("preferences-set as version {}", body.version.0),
                FromServer::LoggedOut(_) => "logged-out".to_owned(),
                FromServer::Refused(body) => format!("refused with {}", body.code),
                FromServer::Replaced(body) => format!("replaced, epoch {} is over", body.epoch.0),
                FromServer::Address(_)
                | FromServer::Greeting(_)
                | FromServer::RelayIncoming(_)
                | FromServer::RelayOpened(_)
                | FromServer::RelayData(_)
                | FromServer::RelayCredit(_)
                | FromServer::RelayClose(_)
                | FromServer::Ping(_)
                | FromServer::Pong(_)
                | FromServer::Goodbye(_)
                | FromServer::Error(_) => return None,
            };
            Some(format!("{server} -> client {client}: {told}"))
        }
        Action::Close(_) | Action::ArmRenewal(_) | Action::DisarmRenewal => None,
    }
}
