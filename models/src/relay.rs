//! Relayed links under every interleaving: two servers in a row between two clients, over connections that keep their
//! order and may be lost.
//!
//! Each server is the machine of `antiphon_spec::relay`, driven as `antiphon` drives it. The clients keep the rules: they
//! send no more than there is room for, take what comes, and close when they like. Bytes are counted in halves of a
//! window, so that a window is full after two of them.

use std::collections::VecDeque;

use antiphon_spec::{
    limits::RELAY_WINDOW_BYTES,
    machine::Machine as _,
    relay::{Action, Event, RelayedLink, Side},
};
use stateright::{Checker as _, Expectation, Model, Property};

/// How many bytes one message carries.
const HALF: usize = RELAY_WINDOW_BYTES / 2;

/// How many messages each client sends at most: more than a window holds.
const SENT_MAX: u8 = 3;

/// Servers in a row.
const SERVERS: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Message {
    Opened,
    Data,
    Credit,
    Close,
}

/// One end of the link.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Client {
    is_open: bool,
    is_over: bool,
    /// Messages that may still be sent before credit comes.
    room: u8,
    sent: u8,
    /// Messages that came and were not taken.
    untaken: u8,
}

/// A connection: what is on its way towards the caller's side, and away from it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Connection {
    to_caller: VecDeque<Message>,
    to_called: VecDeque<Message>,
    is_lost: bool,
}

/// The whole row: client, connection, server, connection, server, connection, client.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Row {
    caller: Client,
    called: Client,
    servers: [RelayedLink; SERVERS],
    connections: [Connection; SERVERS + 1],
    /// A server has accused somebody, and everybody keeps the rules.
    is_fault: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Step {
    /// The first message on its way over a connection comes to its end.
    Deliver { connection: usize, to: Side },
    /// The called client opens the link.
    Open,
    /// A client sends.
    Send(Side),
    /// A client takes what came.
    Take(Side),
    /// A client closes.
    Close(Side),
    /// A server has waited too long.
    Expire(usize),
    /// A connection is lost.
    Lose(usize),
}

struct RelayModel {
    losses: bool,
}

impl Row {
    fn client(&mut self, side: Side) -> &mut Client {
        match side {
            Side::Caller => &mut self.caller,
            Side::Called => &mut self.called,
        }
    }

    /// Puts a message on a connection that still stands.
    fn send(&mut self, connection: usize, to: Side, message: Message) {
        let Some(connection) = self.connections.get_mut(connection) else { return };
        if connection.is_lost {
            return;
        }
        match to {
            Side::Caller => connection.to_caller.push_back(message),
            Side::Called => connection.to_called.push_back(message),
        }
    }

    /// A client speaks on its own connection.
    fn say(&mut self, by: Side, message: Message) {
        let connection = if by == Side::Caller { 0 } else { SERVERS };
        self.send(connection, by.other(), message);
    }

    /// Something happens at a server; connection `n` is at its caller's side, `n + 1` at its called side.
    fn at_server(&mut self, server: usize, event: Event, came: Option<Message>) {
        let mut actions = Vec::new();
        if let Some(machine) = self.servers.get_mut(server) {
            machine.handle(event, &(), &mut actions);
        }
        for action in actions {
            match action {
                Action::Forward { to } => {
                    if let Some(message) = came {
                        self.send(side_of(server, to), to, message);
                    }
                }
                Action::Close { to } => self.send(side_of(server, to), to, Message::Close),
                Action::Refuse => {
                    self.send(side_of(server, Side::Caller), Side::Caller, Message::Close);
                }
                Action::Fault { .. } => self.is_fault = true,
            }
        }
    }

    fn deliver(&mut self, connection: usize, to: Side) -> Option<()> {
        let line = self.connections.get_mut(connection)?;
        let message = match to {
            Side::Caller => line.to_caller.pop_front(),
            Side::Called => line.to_called.pop_front(),
        }?;
        // Towards the caller, connection n ends at server n - 1; towards the called client, at server n.
        let server = match to {
            Side::Caller => connection.checked_sub(1),
            Side::Called => Some(connection).filter(|server| *server < SERVERS),
        };
        if let Some(server) = server {
            let by = to.other();
            let event = match message {
                Message::Opened => Event::Opened { by },
                Message::Data => Event::Data { by, count: HALF },
                Message::Credit => Event::Credit { by, count: HALF },
                Message::Close => Event::Closed { by },
            };
            self.at_server(server, event, Some(message));
            return Some(());
        }
        let client = self.client(to);
        if client.is_over {
            return Some(());
        }
        match message {
            Message::Opened => (client.is_open, client.room) = (true, 2),
            Message::Data => client.untaken += 1,
            Message::Credit => client.room += 1,
            Message::Close => client.is_over = true,
        }
        Some(())
    }

    fn lose(&mut self, connection: usize) {
        if let Some(line) = self.connections.get_mut(connection) {
            *line = Connection { is_lost: true, ..Connection::default() };
        }
        match connection {
            0 => self.caller.is_over = true,
            SERVERS => self.called.is_over = true,
            _ => {}
        }
        if let Some(server) = connection.checked_sub(1) {
            self.at_server(server, Event::Closed { by: Side::Called }, None);
        }
        if connection < SERVERS {
            self.at_server(connection, Event::Closed { by: Side::Caller }, None);
        }
    }

    /// Nothing is on its way.
    fn is_quiet(&self) -> bool {
        self.connections.iter().all(|line| line.to_caller.is_empty() && line.to_called.is_empty())
    }
}

const fn side_of(server: usize, side: Side) -> usize {
    match side {
        Side::Caller => server,
        Side::Called => server + 1,
    }
}

impl Model for RelayModel {
    type State = Row;
    type Action = Step;

    fn init_states(&self) -> Vec<Row> {
        let called = Client::default();
        let caller = called.clone();
        let (servers, connections) = (Default::default(), Default::default());
        vec![Row { caller, called, servers, connections, is_fault: false }]
    }

    fn actions(&self, row: &Row, steps: &mut Vec<Step>) {
        for (number, line) in row.connections.iter().enumerate() {
            if !line.to_caller.is_empty() {
                steps.push(Step::Deliver { connection: number, to: Side::Caller });
            }
            if !line.to_called.is_empty() {
                steps.push(Step::Deliver { connection: number, to: Side::Called });
            }
            if self.losses && !line.is_lost {
                steps.push(Step::Lose(number));
            }
        }
        if !row.called.is_open && !row.called.is_over {
            steps.push(Step::Open);
        }
        for (side, client) in [(Side::Caller, &row.caller), (Side::Called, &row.called)] {
            if client.is_open && !client.is_over && client.room > 0 && client.sent < SENT_MAX {
                steps.push(Step::Send(side));
            }
            if client.untaken > 0 && !client.is_over {
                steps.push(Step::Take(side));
            }
            if !client.is_over {
                steps.push(Step::Close(side));
            }
        }
        for (number, machine) in row.servers.iter().enumerate() {
            if !machine.is_open() && !machine.is_ended() {
                steps.push(Step::Expire(number));
            }
        }
    }

    fn next_state(&self, row: &Row, step: Step) -> Option<Row> {
        let mut row = row.clone();
        match step {
            Step::Deliver { connection, to } => row.deliver(connection, to)?,
            Step::Open => {
                (row.called.is_open, row.called.room) = (true, 2);
                row.say(Side::Called, Message::Opened);
            }
            Step::Send(side) => {
                let client = row.client(side);
                (client.room, client.sent) = (client.room.checked_sub(1)?, client.sent + 1);
                row.say(side, Message::Data);
            }
            Step::Take(side) => {
                let client = row.client(side);
                client.untaken = client.untaken.checked_sub(1)?;
                row.say(side, Message::Credit);
            }
            Step::Close(side) => {
                row.client(side).is_over = true;
                row.say(side, Message::Close);
            }
            Step::Expire(server) => row.at_server(server, Event::Expired, None),
            Step::Lose(connection) => row.lose(connection),
        }
        Some(row)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(
                "RELAY-020 RELAY-021 clients that keep the rules are never accused",
                |_, row: &Row| !row.is_fault,
            ),
            Property::always(
                "RELAY-021 a server keeps a window of each direction at most",
                |_, row: &Row| {
                    row.connections.iter().all(|line| {
                        let data =
                            |line: &VecDeque<Message>| line.iter().filter(|it| **it == Message::Data).count();
                        data(&line.to_caller) <= 2 && data(&line.to_called) <= 2
                    })
                },
            ),
            Property::always(
                "RELAY-026 RELAY-027 when nothing is on its way, an end has reached everybody",
                |_, row: &Row| {
                    let over = [row.caller.is_over, row.called.is_over];
                    let ended = row.servers.iter().map(RelayedLink::is_ended);
                    let all: Vec<bool> = over.into_iter().chain(ended).collect();
                    !row.is_quiet() || all.iter().all(|it| *it) || !all.iter().any(|it| *it)
                },
            ),
            Property::sometimes("a window is full", |_, row: &Row| {
                row.servers.iter().all(|server| server.under_way(Side::Caller) == RELAY_WINDOW_BYTES)
            }),
            Property::sometimes("everything was said and taken", |_, row: &Row| {
                row.caller.sent == SENT_MAX
                    && row.called.sent == SENT_MAX
                    && row.is_quiet()
                    && !row.caller.is_over
                    && row.caller.untaken == 0
                    && row.called.untaken == 0
            }),
        ]
    }
}

/// Every reachable state is looked at.
fn check(losses: bool, unique: usize) {
    let checker = RelayModel { losses }.checker().threads(2).spawn_bfs().join();
    let reached = checker.discoveries();
    for property in checker.model().properties() {
        let path = reached.get(property.name);
        let holds = match property.expectation {
            Expectation::Always => path.is_none(),
            Expectation::Sometimes => path.is_some(),
            Expectation::Eventually => false,
        };
        assert!(holds, "{}: {path:?}", property.name);
    }
    assert_eq!(checker.unique_state_count(), unique);
}

#[test]
fn relayed_links_end_everywhere_and_keep_to_their_windows() {
    check(false, 146_835);
}

#[test]
fn relayed_links_end_everywhere_when_connections_are_lost() {
    check(true, 314_086);
}
