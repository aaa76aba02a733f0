//! A client at its local server: the login, requests and their answers, preferences, and the end.

use std::sync::Arc;

use antiphon_protocol::{cbor, message::ChannelMessage as _};
use antiphon_spec::{
    error_code::ErrorCode,
    identity::{ContactAddress, UserHandle},
    message::{
        client_server::*,
        common::{Refused, RequestId},
        server_server::{LoginEpoch, ProfileVersion},
    },
    policy::{HandleSet, Preferences, Verdict},
};
use serde_json::{Value, json};

use super::{
    chain::epoch_of,
    driver::Client,
    line::shown,
    live_cases,
    realm::Realm,
    scene::Scene,
    server::{Desk, Server},
};
use crate::{
    case::Failure,
    live::{LiveCase, World},
};

pub(super) const CASES: &[LiveCase] = live_cases! {
    "client-login/logs-in" ["WIRE-065", "WIRE-029"]
        "a client sends login with the address at which it takes links, and nothing else" => logs_in;
    "client-login/waits-for-answer" ["WIRE-065"]
        "the user asks for more while the login has no answer" => waits;
    "client-login/refused" ["LOGIN-009"] twin "client-login/logs-in"
        "the server refuses the login" => refused;
    "client-login/other-id" ["WIRE-061"] twin "client-login/logs-in"
        "the answer to the login has another ID" => |world| bad_answer(world, |server, login| {
            FromServer::LoggedIn(LoggedIn { id: RequestId(login.id.0 + 1), ..server.logged_in(login) })
        });
    "client-login/other-kind" ["WIRE-061"] twin "client-login/logs-in"
        "the answer to the login is one to a lookup" => |world| bad_answer(world, |server, login| {
            FromServer::Address(Address { id: login.id, address: server.address })
        });
    "client-login/replaced-before-login" ["WIRE-034"] twin "client-login/logs-in"
        "replaced comes before the login is answered" => |world| bad_answer(world, |_, _| {
            FromServer::Replaced(Replaced { epoch: LoginEpoch(1) })
        });
    "client-login/preferences-unordered" ["PREF-006"] twin "client-login/logs-in"
        "the handles of a list in the profile do not ascend" => unordered;
    "client-login/preferences-too-long" ["PREF-005"] twin "client-login/preferences-longest"
        "a list in the profile has 201 handles" => |world| listed(world, 201);
    "client-login/preferences-longest" ["LIM-001", "PREF-005"]
        "a list in the profile has 200 handles" => |world| listed(world, 200);
    "client-login/answered-twice" ["WIRE-061"] twin "client-login/logs-in"
        "a second answer to the login comes" => |world| unasked(world, |server| {
            FromServer::LoggedIn(server.logged_in(&Login { id: RequestId(1), address: server.address }))
        });
    "client-login/answer-to-nothing" ["WIRE-061"] twin "client-login/logs-in"
        "an answer comes to a request that there is not" => |world| unasked(world, |_| {
            FromServer::Refused(Refused { id: RequestId(99), code: ErrorCode::Unavailable })
        });
    "client-login/pings" ["WIRE-045", "WIRE-046"]
        "pings are answered at any time after the greeting, and a pong to nothing is ignored" => pings;
    "client-login/request-ids" ["WIRE-057", "WIRE-060"]
        "three lookups are open at a time, and are answered in another order" => request_ids;
    "client-login/lookup-answered-with-other-kind" ["WIRE-061"] twin "client-login/request-ids"
        "a lookup is answered with preferences-set" => other_kind;
    "client-login/lookup-refused" ["WIRE-061", "ADDR-009"] twin "client-login/request-ids"
        "a lookup is refused, and the connection goes on" => lookup_refused;
    "client-login/sets-preferences" ["PREF-006", "PREF-008", "PREF-009"]
        "preferences replace those of the version that the client knows, the lists in their order" => sets_preferences;
    "client-login/preferences-refused" ["PREF-011"] twin "client-login/sets-preferences"
        "the server refuses the preferences" => preferences_refused;
    "client-login/logs-out" ["WIRE-049", "WIRE-065"]
        "the user logs out, and the client says goodbye" => logs_out;
    "client-login/goodbye" ["WIRE-050"]
        "the server says goodbye, and the client ends the connection without another request" => goodbye;
    "client-login/error" ["WIRE-053"]
        "the server closes with an error, and the client answers nothing" => error;
    "client-login/replaced" ["LOGIN-029"]
        "a newer login takes this one's place, and the client waits for its user" => replaced;
    "client-login/sessions-outlive-it" ["SESS-123", "LOGIN-032"]
        "the connection to the local server is lost, and an invitation stands" => sessions_outlive;
    "client-login/malformed" ["WIRE-017"] twin "client-login/pings"
        "the server sends what is no CBOR" => |world| fault(world, "ff", ErrorCode::Malformed);
    "client-login/not-deterministic" ["WIRE-018"] twin "client-login/pings"
        "the server sends a ping whose number is a byte too long" => |world| {
            fault(world, "a16470696e67a1666e756d6265721801", ErrorCode::NotDeterministic)
        };
    "client-login/of-other-channel" ["WIRE-030"] twin "client-login/pings"
        "the server sends a message of the server-to-server channel" => |world| {
            fault(world, "a16a636865636b65642d696ea16269640a", ErrorCode::Malformed)
        };
    "client-login/unknown-field" ["WIRE-031"] twin "client-login/pings"
        "the server sends a ping with a field more" => |world| {
            fault(world, "a16470696e67a2617801666e756d62657201", ErrorCode::Malformed)
        };
    "client-login/frame-too-long" ["WIRE-013"] twin "client-login/pings"
        "the server announces a frame of 65537 bytes" => frame_too_long;
    "client-login/frame-empty" ["WIRE-012"] twin "client-login/pings"
        "the server sends an empty frame" => |world| fault(world, "", ErrorCode::FrameLength);
};

/// A client that is registered, and whose user logs in: the login has come, and has no answer.
pub(super) struct Counter {
    pub(super) realm: Arc<Realm>,
    server: Arc<Server>,
    client: Client,
    pub(super) desk: Desk,
    login: Login,
    command: u64,
}

impl Counter {
    async fn asked(world: &World) -> Result<Self, Failure> {
        let realm = Arc::new(Realm::new()?);
        let server = Arc::new(Server::new(&realm).await?);
        let mut client = Client::start(world, &realm, &server).await?;
        let id = client.command(json!({"command": "register"})).await?;
        server.register().await?;
        client.answered(id, "registered").await?;
        let command = client.command(json!({"command": "login"})).await?;
        let mut desk = server.desk().await?;
        let login = match desk.next().await? {
            ToServer::Login(login) => login,
            other => return Err(Failure::unexpected("login", shown(&other))),
        };
        Ok(Self { realm, server, client, desk, login, command })
    }

    /// ..and is answered.
    pub(super) async fn logged_in(world: &World) -> Result<Self, Failure> {
        let mut counter = Self::asked(world).await?;
        counter.desk.send(&FromServer::LoggedIn(counter.server.logged_in(&counter.login))).await?;
        counter.client.answered(counter.command, "logged-in").await?;
        Ok(counter)
    }

    /// Answers the login with a profile that has this deny list, whose form is not looked at.
    async fn answers_with(&mut self, deny: Vec<UserHandle>) -> Result<(), Failure> {
        let good = FromServer::LoggedIn(self.server.logged_in(&self.login));
        let bytes = cbor::encode(&good).map_err(Failure::harness)?;
        let deny = cbor::encode(&deny).map_err(Failure::harness)?;
        // The key "deny" and its empty list stand once in the answer.
        let empty = b"\x64deny\x80";
        let place = bytes.windows(empty.len()).position(|window| window == empty);
        let place = place.ok_or_else(|| Failure::harness("no empty list in the answer"))?;
        let (before, after) = bytes.split_at_checked(place).ok_or_else(|| Failure::harness("no place"))?;
        let after = after.get(empty.len()..).unwrap_or_default();
        self.desk.send_frame(&[before, b"\x64deny", &deny, after].concat()).await
    }

    /// Gives the command to look somebody up: its number, and the request.
    async fn lookup(&mut self, whom: &UserHandle) -> Result<(u64, Lookup), Failure> {
        let command = self.client.command(json!({"command": "lookup", "handle": whom})).await?;
        match self.desk.next().await? {
            ToServer::Lookup(lookup) if lookup.user == *whom => Ok((command, lookup)),
            other => Err(Failure::unexpected(format!("lookup of {whom}"), shown(&other))),
        }
    }

    async fn set_preferences(&mut self, command: &Value) -> Result<(u64, SetPreferences), Failure> {
        let id = self.client.command(command.clone()).await?;
        match self.desk.next().await? {
            ToServer::SetPreferences(set) => Ok((id, set)),
            other => Err(Failure::unexpected("set-preferences", shown(&other))),
        }
    }
}

async fn logs_in(world: Arc<World>) -> Result<(), Failure> {
    let mut counter = Counter::asked(&world).await?;
    if counter.login.address != counter.client.address {
        return Err(Failure::unexpected(shown(&counter.client.address), shown(&counter.login.address)));
    }
    counter.desk.alive().await?;
    counter.desk.send(&FromServer::LoggedIn(counter.server.logged_in(&counter.login))).await?;
    let answer = counter.client.answered(counter.command, "logged-in").await?;
    if (answer.get("epoch"), answer.get("version")) == (Some(&json!(1)), Some(&json!(0))) {
        Ok(())
    } else {
        Err(Failure::unexpected("login epoch 1, version 0", answer))
    }
}

async fn waits(world: Arc<World>) -> Result<(), Failure> {
    let mut counter = Counter::asked(&world).await?;
    let handle = counter.realm.home.handle(1);
    counter.client.command(json!({"command": "lookup", "handle": handle})).await?;
    counter.client.has_not_told("logged-in").await?;
    counter.desk.alive().await?;
    counter.desk.send(&FromServer::LoggedIn(counter.server.logged_in(&counter.login))).await?;
    counter.client.answered(counter.command, "logged-in").await.map(drop)
}

async fn refused(world: Arc<World>) -> Result<(), Failure> {
    let mut counter = Counter::asked(&world).await?;
    let refused = Refused { id: counter.login.id, code: ErrorCode::HomeUnreachable };
    counter.desk.send(&FromServer::Refused(refused)).await?;
    counter.client.answered(counter.command, "refused").await.map(drop)
}

async fn bad_answer(world: Arc<World>, answer: fn(&Server, &Login) -> FromServer) -> Result<(), Failure> {
    let mut counter = Counter::asked(&world).await?;
    counter.desk.send(&answer(&counter.server, &counter.login)).await?;
    counter.desk.refused(ErrorCode::UnexpectedMessage).await?;
    counter.client.answered(counter.command, "refused").await.map(drop)
}

async fn unordered(world: Arc<World>) -> Result<(), Failure> {
    let mut counter = Counter::asked(&world).await?;
    let (one, two) = (counter.realm.home.handle(1), counter.realm.home.handle(2));
    counter.answers_with(vec![two, one]).await?;
    counter.desk.refused(ErrorCode::Malformed).await?;
    counter.client.answered(counter.command, "refused").await.map(drop)
}

async fn listed(world: Arc<World>, length: u8) -> Result<(), Failure> {
    let mut counter = Counter::asked(&world).await?;
    let deny = (1..=length).map(|number| counter.realm.elsewhere.handle(number)).collect();
    counter.answers_with(deny).await?;
    if length <= 200 {
        counter.client.answered(counter.command, "logged-in").await?;
        return counter.desk.alive().await;
    }
    counter.desk.refused(ErrorCode::Malformed).await?;
    counter.client.answered(counter.command, "refused").await.map(drop)
}

async fn unasked(world: Arc<World>, answer: fn(&Server) -> FromServer) -> Result<(), Failure> {
    let mut counter = Counter::logged_in(&world).await?;
    counter.desk.send(&answer(&counter.server)).await?;
    counter.desk.refused(ErrorCode::UnexpectedMessage).await
}

async fn pings(world: Arc<World>) -> Result<(), Failure> {
    let mut counter = Counter::asked(&world).await?;
    counter.desk.alive().await?;
    counter.desk.send(&FromServer::pong(77)).await?;
    counter.desk.alive().await?;
    counter.desk.send(&FromServer::LoggedIn(counter.server.logged_in(&counter.login))).await?;
    counter.client.answered(counter.command, "logged-in").await?;
    counter.desk.send(&FromServer::pong(78)).await?;
    counter.desk.alive().await
}

fn place(number: u8) -> ContactAddress {
    ContactAddress(std::net::SocketAddr::from(([192, 0, 2, number], 5000)))
}

async fn request_ids(world: Arc<World>) -> Result<(), Failure> {
    let mut counter = Counter::logged_in(&world).await?;
    let mut open = Vec::new();
    for number in 1..=3 {
        let whom = counter.realm.elsewhere.handle(number);
        let (command, lookup) = counter.lookup(&whom).await?;
        open.push((command, lookup.id, number));
    }
    let ids: std::collections::BTreeSet<RequestId> = open.iter().map(|(_, id, _)| *id).collect();
    if ids.len() != open.len() {
        return Err(Failure::unexpected("three IDs", shown(&open)));
    }
    for (_, id, number) in open.iter().rev() {
        counter.desk.send(&FromServer::Address(Address { id: *id, address: place(*number) })).await?;
    }
    for (command, _, number) in open {
        let answer = counter.client.answered(command, "address").await?;
        let expected = (json!(counter.realm.elsewhere.handle(number)), json!(place(number)));
        if (answer.get("handle"), answer.get("address")) != (Some(&expected.0), Some(&expected.1)) {
            return Err(Failure::unexpected(format!("{expected:?}"), answer));
        }
    }
    Ok(())
}

async fn other_kind(world: Arc<World>) -> Result<(), Failure> {
    let mut counter = Counter::logged_in(&world).await?;
    let whom = counter.realm.elsewhere.handle(1);
    let (command, lookup) = counter.lookup(&whom).await?;
    let answer = PreferencesSet { id: lookup.id, version: ProfileVersion(1) };
    counter.desk.send(&FromServer::PreferencesSet(answer)).await?;
    counter.desk.refused(ErrorCode::UnexpectedMessage).await?;
    counter.client.answered(command, "refused").await.map(drop)
}

async fn lookup_refused(world: Arc<World>) -> Result<(), Failure> {
    let mut counter = Counter::logged_in(&world).await?;
    let whom = counter.realm.elsewhere.handle(1);
    let (command, lookup) = counter.lookup(&whom).await?;
    let refused = Refused { id: lookup.id, code: ErrorCode::Unavailable };
    counter.desk.send(&FromServer::Refused(refused)).await?;
    counter.client.answered(command, "refused").await?;
    counter.lookup(&whom).await.map(drop)
}

async fn sets_preferences(world: Arc<World>) -> Result<(), Failure> {
    let mut counter = Counter::logged_in(&world).await?;
    let [one, two, three] = [1, 2, 3].map(|number| counter.realm.elsewhere.handle(number));
    let command = json!({
        "command": "set-preferences", "allow": [three], "deny": [two, one], "default": "deny",
    });
    let list = |handles: Vec<UserHandle>| HandleSet::try_from(handles).map_err(Failure::harness);
    let messaging =
        Preferences { allow: list(vec![three])?, deny: list(vec![one, two])?, default: Verdict::Deny };
    for version in [0, 1] {
        let (id, set) = counter.set_preferences(&command).await?;
        if (set.version, &set.messaging) != (ProfileVersion(version), &messaging) {
            return Err(Failure::unexpected(
                format!("version {version} with {}", shown(&messaging)),
                shown(&set),
            ));
        }
        let done = PreferencesSet { id: set.id, version: ProfileVersion(version + 1) };
        counter.desk.send(&FromServer::PreferencesSet(done)).await?;
        counter.client.answered(id, "preferences-set").await?;
    }
    Ok(())
}

async fn preferences_refused(world: Arc<World>) -> Result<(), Failure> {
    let mut counter = Counter::logged_in(&world).await?;
    let command = json!({"command": "set-preferences", "allow": [], "deny": [], "default": "deny"});
    let (id, set) = counter.set_preferences(&command).await?;
    let refused = Refused { id: set.id, code: ErrorCode::VersionConflict };
    counter.desk.send(&FromServer::Refused(refused)).await?;
    counter.client.answered(id, "refused").await?;
    counter.desk.alive().await
}

async fn logs_out(world: Arc<World>) -> Result<(), Failure> {
    let mut counter = Counter::logged_in(&world).await?;
    let id = counter.client.command(json!({"command": "logout"})).await?;
    let logout = match counter.desk.next().await? {
        ToServer::Logout(logout) => logout,
        other => return Err(Failure::unexpected("logout", shown(&other))),
    };
    counter.desk.send(&FromServer::LoggedOut(LoggedOut { id: logout.id })).await?;
    counter.client.answered(id, "logged-out").await?;
    counter.desk.left().await
}

async fn goodbye(world: Arc<World>) -> Result<(), Failure> {
    Counter::logged_in(&world).await?.desk.goodbye_ends_it().await
}

async fn error(world: Arc<World>) -> Result<(), Failure> {
    let mut counter = Counter::logged_in(&world).await?;
    counter.desk.send(&FromServer::error(ErrorCode::ShuttingDown)).await?;
    counter.desk.ends_silently().await
}

async fn replaced(world: Arc<World>) -> Result<(), Failure> {
    let mut counter = Counter::logged_in(&world).await?;
    counter.desk.send(&FromServer::Replaced(Replaced { epoch: LoginEpoch(1) })).await?;
    counter.client.tells("replaced", json!({"epoch": 1})).await?;
    counter.desk.gone().await?;
    // The login that comes next is the user's, and the only one.
    let id = counter.client.command(json!({"command": "login"})).await?;
    let mut desk = counter.server.desk().await?;
    let ToServer::Login(login) = desk.next().await? else {
        return Err(Failure::unexpected("login", "another request"));
    };
    desk.send(&FromServer::LoggedIn(counter.server.logged_in(&login))).await?;
    counter.client.answered(id, "logged-in").await.map(drop)
}

async fn sessions_outlive(world: Arc<World>) -> Result<(), Failure> {
    let counter = Counter::logged_in(&world).await?;
    let Counter { realm, server, client, desk, .. } = counter;
    let mut scene = Scene::of(realm, server, client).await?;
    let epoch = epoch_of(&scene.a, &[])?;
    let mut link = scene.invited(&epoch).await?;
    drop(desk);
    link.alive().await?;
    scene.client.take("accept", epoch.session).await?;
    link.invited(epoch.session).await.map(drop)
}

/// The server sends a frame with these bytes, for which the connection closes with this code.
async fn fault(world: Arc<World>, item: &'static str, code: ErrorCode) -> Result<(), Failure> {
    let mut counter = Counter::logged_in(&world).await?;
    let item = hex::decode(item).map_err(Failure::harness)?;
    counter.desk.send_frame(&item).await?;
    counter.desk.refused(code).await
}

async fn frame_too_long(world: Arc<World>) -> Result<(), Failure> {
    let mut counter = Counter::logged_in(&world).await?;
    counter.desk.send_bytes(&65_537u32.to_be_bytes()).await?;
    counter.desk.refused(ErrorCode::FrameLength).await
}
