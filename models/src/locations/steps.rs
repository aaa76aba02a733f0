//! What can happen next, and what comes of it.

use antiphon_spec::{
    error_code::ErrorCode,
    identity::ServerName,
    location::{Action, Answer, Asker, Contacts, Event, Holder, ParentAnswer, Request, RequestNumber, Terms},
    machine::Machine as _,
    message::{
        location::{ContactRecord, ForwardingPointer},
        server_server::LoginEpoch,
    },
};

use super::{
    LocationModel, LocationState, Object, address, node_name, server_name,
    world::{Breach, Call, From, LEASE, Node, Phase, Purpose, Searching, Seen, Server, Stage, is_failure},
};

/// Lines of a counterexample.
#[derive(Clone, Debug, Default)]
pub(super) struct Log(Vec<String>);

impl Log {
    pub(super) fn say(&mut self, line: String) {
        self.0.push(line);
    }

    pub(super) fn into_lines(self) -> Vec<String> {
        self.0
    }
}

/// What happens next. Nodes and servers are numbered from 0, and so is what is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LocationStep {
    /// A server inserts a new record.
    Inserts(u8),
    /// A server deletes its record.
    Deletes(u8),
    /// A server is gone without a word.
    Dies(u8),
    /// A server renews its record.
    Renews(u8),
    /// A search begins at a node.
    Searches(u8),
    /// A request arrives, or an answer; the node that takes it dies after so many actions, if any number is given.
    Arrives(u8, Option<u8>),
    /// Whoever asked gives up; the request is carried out all the same, or will be, or not.
    GivenUp(u8),
    /// A request that nobody waits for doesn't arrive.
    Vanishes(u8),
    /// A node dies and is started again.
    NodeDies(u8),
    /// A node forgets what has ended.
    Sweeps(u8),
    /// Half of a lease passes.
    HalfPasses,
}

impl LocationModel {
    pub(super) fn possible(&self, state: &LocationState, steps: &mut Vec<LocationStep>) {
        let left = state.left;
        for (number, server) in (0..).zip(&state.servers) {
            let may_insert = match self.bounds.object {
                Object::User => server.phase != Phase::Inserting,
                Object::Claimed | Object::Servers => server.phase == Phase::Away,
            };
            if left.inserts > 0 && may_insert {
                steps.push(LocationStep::Inserts(number));
            }
            if left.deletes > 0 && matches!(server.phase, Phase::Standing | Phase::Failed) {
                steps.push(LocationStep::Deletes(number));
                if self.bounds.halves > 0 {
                    steps.push(LocationStep::Dies(number));
                }
            }
            if server.is_due {
                steps.push(LocationStep::Renews(number));
            }
        }
        if left.searches > 0 {
            let is_free = |node: &&u8| !state.searching.contains_key(*node);
            steps.extend(
                self.bounds.searched.iter().filter(is_free).map(|node| LocationStep::Searches(*node)),
            );
        }
        for (number, call) in (0..).zip(&state.calls) {
            if !matches!(call.stage, Stage::Taken(_)) {
                steps.push(LocationStep::Arrives(number, None));
                if left.crashes > 0
                    && let Some((node, event)) = self.arrival(state, call)
                {
                    let mut out = Vec::new();
                    if let Some(taking) = state.nodes.get(usize::from(node)) {
                        taking.contacts.clone().handle(event, &self.terms(state, node, taking), &mut out);
                    }
                    let actions = u8::try_from(out.len()).unwrap_or(u8::MAX);
                    steps.extend((0..=actions).map(|cut| LocationStep::Arrives(number, Some(cut))));
                }
            }
            if call.from == From::Nobody {
                if call.stage == Stage::Asked {
                    steps.push(LocationStep::Vanishes(number));
                }
            } else if left.losses > 0 && !matches!(call.from, From::Searcher(_)) {
                steps.push(LocationStep::GivenUp(number));
            }
        }
        for (number, node) in (0..).zip(&state.nodes) {
            if node.has_ended(state.now) {
                steps.push(LocationStep::Sweeps(number));
            }
        }
        if left.crashes > 0 {
            let nodes = 0..u8::try_from(state.nodes.len()).unwrap_or(u8::MAX);
            steps.extend(nodes.map(LocationStep::NodeDies));
        }
        if left.halves > 0 && state.is_quiet() {
            steps.push(LocationStep::HalfPasses);
        }
    }

    /// Does a step. Nothing, if it cannot be done.
    pub(super) fn take(&self, state: &mut LocationState, step: LocationStep, log: &mut Log) -> Option<()> {
        match step {
            LocationStep::Inserts(number) => {
                state.left.inserts -= 1;
                state.stir();
                let inserted = u64::from(self.bounds.inserts - state.left.inserts);
                let epoch = match self.bounds.object {
                    Object::User | Object::Claimed => LoginEpoch(inserted),
                    // A server's own ascend; one server's say nothing about another's.
                    Object::Servers => LoginEpoch(10 * (10 - u64::from(number)) + inserted),
                };
                state.last = state.last.max(epoch);
                let server = state.server(number)?;
                // A new login takes the place of an older one at the same server.
                let before = server.epoch.replace(epoch);
                state.deleted.extend(before);
                self.inserts(state, number)?;
            }
            LocationStep::Renews(number) => self.inserts(state, number)?,
            LocationStep::Deletes(number) => {
                state.left.deletes -= 1;
                state.stir();
                let server = state.server(number)?;
                (server.phase, server.is_due) = (Phase::Deleting, false);
                let epoch = server.epoch?;
                state.deleted.insert(epoch);
                let request = Request::Delete { record: record(number, epoch) };
                self.asks(state, number, request)?;
            }
            LocationStep::Dies(number) => {
                state.left.deletes -= 1;
                state.stir();
                let server = state.server(number)?;
                let gone = std::mem::take(server);
                state.deleted.extend(gone.epoch);
            }
            LocationStep::Searches(node) => {
                state.left.searches -= 1;
                let standing = state.standing();
                let is_sure = state.excused_until <= state.now && self.bounds.object == Object::User;
                let at_least = standing.filter(|_| is_sure).unwrap_or(LoginEpoch(0));
                let searching = Searching { must_find: standing.is_some(), at_least, is_troubled: false };
                state.searching.insert(node, searching);
                let (purpose, by) = (Purpose::Own, Asker::Server(super::named("searcher")));
                let (from, request) = (From::Searcher(node), Request::Find { hops: 0 });
                state.calls.push(Call { from, to: node, purpose, by, request, stage: Stage::Asked });
            }
            LocationStep::Arrives(number, cut) => {
                if cut.is_some() {
                    state.left.crashes -= 1;
                }
                self.arrives(state, usize::from(number), cut, log)?;
            }
            LocationStep::GivenUp(number) => {
                state.left.losses -= 1;
                state.trouble();
                let mut call = state.take_call(usize::from(number))?;
                let mut failed = call.clone();
                failed.stage = Stage::Answered(Answer::Refused(ErrorCode::LocationUnreachable));
                if !matches!(call.stage, Stage::Answered(_)) {
                    call.from = From::Nobody;
                    state.calls.push(call);
                }
                self.heard(state, &failed, None, log);
            }
            LocationStep::Vanishes(number) => drop(state.take_call(usize::from(number))?),
            LocationStep::NodeDies(node) => {
                state.left.crashes -= 1;
                self.dies(state, node)?;
            }
            LocationStep::Sweeps(node) => self.happens(state, node, Event::LeaseEnded, None, log),
            LocationStep::HalfPasses => {
                state.left.halves -= 1;
                state.calm = (state.calm + 1).min(3);
                state.now = state.now.after(LEASE / 2);
                for server in &mut state.servers {
                    server.is_due = matches!(server.phase, Phase::Standing | Phase::Failed);
                }
            }
        }
        state.calls.sort();
        state.look();
        state.look_for_lost(self.bounds.servers);
        Some(())
    }

    /// A server asks for its record.
    fn inserts(&self, state: &mut LocationState, number: u8) -> Option<()> {
        let server = state.server(number)?;
        (server.phase, server.is_due) = (Phase::Inserting, false);
        let record = record(number, server.epoch?);
        let if_absent = self.bounds.object == Object::Claimed;
        self.asks(state, number, Request::Insert { record, if_absent })
    }

    fn asks(&self, state: &mut LocationState, number: u8, request: Request) -> Option<()> {
        let to = *self.bounds.servers.get(usize::from(number))?;
        let by = Asker::Server(server_name(number));
        let (from, purpose) = (From::Server(number), Purpose::Own);
        state.calls.push(Call { from, to, purpose, by, request, stage: Stage::Asked });
        Some(())
    }

    /// The node that something on its way comes to, and what it is to the node.
    fn arrival(&self, state: &LocationState, call: &Call) -> Option<(u8, Event)> {
        match (&call.stage, call.from) {
            (Stage::Asked, _) => {
                let number = state.free_number(call.to);
                let (by, request) = (call.by.clone(), call.request.clone());
                Some((call.to, Event::Asked { number, by, request }))
            }
            (Stage::Answered(answer), From::Node(node)) => Some((node, answered(call, answer)?)),
            (Stage::Answered(_), From::Server(_) | From::Searcher(_) | From::Nobody)
            | (Stage::Taken(_), _) => None,
        }
    }

    fn arrives(&self, state: &mut LocationState, at: usize, cut: Option<u8>, log: &mut Log) -> Option<()> {
        let mut call = state.take_call(at)?;
        if matches!(call.stage, Stage::Answered(_)) {
            self.heard(state, &call, cut, log);
            return Some(());
        }
        let (node, event) = self.arrival(state, &call)?;
        let Event::Asked { number, .. } = event else { return None };
        let is_near = state.must_answer(&call, self.bounds.servers);
        let request = call.request.clone();
        if let Request::Insert { record, .. } = &request
            && let Some(server) = (0..).find(|server| server_name(*server) == record.server)
        {
            state.inserted.insert((server, record.epoch), state.now);
        }
        call.stage = Stage::Taken(number);
        state.calls.push(call);
        let before = state.calls.len();
        self.happens(state, node, event, cut, log);
        let is_passed_on = |call: &Call| matches!(call.request, Request::Find { .. });
        if is_near && state.calls.iter().skip(before).any(is_passed_on) {
            state.breach(Breach::FarAsked);
        }
        Some(())
    }

    /// Something happens at a node.
    fn happens(&self, state: &mut LocationState, at: u8, event: Event, cut: Option<u8>, log: &mut Log) {
        let is_again = matches!(&event, Event::Searched { found: Ok(records), .. } if records.is_empty());
        let Some(node) = state.nodes.get(usize::from(at)) else { return };
        let (terms, mut out) = (self.terms(state, at, node), Vec::new());
        let Some(node) = state.nodes.get_mut(usize::from(at)) else { return };
        node.contacts.handle(event, &terms, &mut out);
        if node.contacts.kept().above.is_some_and(|above| above.number == terms.number) {
            node.number.0 += 1;
        }
        for action in out.into_iter().take(cut.map_or(usize::MAX, usize::from)) {
            log.say(super::words::action(at, &action));
            if is_again && matches!(action, Action::FindBelow { .. }) {
                state.seen.insert(Seen::LookedAgain);
            }
            self.carries_out(state, at, action);
        }
        if cut.is_some() {
            let _ = self.dies(state, at);
        }
    }

    fn carries_out(&self, state: &mut LocationState, at: u8, action: Action) {
        let parent = self.bounds.parents.get(usize::from(at)).copied().flatten();
        let child = || Asker::Child(node_name(at));
        let (to, purpose, by, request) = match action {
            Action::Persist(kept) => {
                if let Some(node) = state.nodes.get_mut(usize::from(at)) {
                    node.durable = kept;
                }
                return;
            }
            Action::Answer { number, answer } => return state.answers(at, number, answer),
            Action::InsertAbove { epoch, number, if_absent } => {
                let pointer = ForwardingPointer { node: node_name(at), epoch, number, address: address() };
                (parent, Purpose::Above, child(), Request::InsertPointer { pointer, if_absent })
            }
            Action::DeleteAbove { number } => {
                (parent, Purpose::Above, child(), Request::DeletePointer { number })
            }
            Action::SupersedeBelow { node, epoch, .. } => {
                (self.numbered(&node), Purpose::Below(epoch), Asker::Parent, Request::Supersede { epoch })
            }
            Action::FindBelow { number, node, hops, .. } => {
                (self.numbered(&node), Purpose::Search(number), Asker::Parent, Request::Find { hops })
            }
            Action::FindAbove { number, hops } => {
                (parent, Purpose::Search(number), child(), Request::Find { hops })
            }
        };
        if let Some(to) = to {
            let from = From::Node(at);
            state.calls.push(Call { from, to, purpose, by, request, stage: Stage::Asked });
        }
    }

    /// Whoever asked hears the answer.
    fn heard(&self, state: &mut LocationState, call: &Call, cut: Option<u8>, log: &mut Log) {
        let Stage::Answered(answer) = &call.stage else { return };
        match call.from {
            From::Nobody => {}
            From::Server(number) => self.server_hears(state, number, &call.request, answer),
            From::Searcher(node) => self.found(state, node, answer),
            From::Node(node) => {
                if matches!(call.purpose, Purpose::Below(_)) && is_failure(answer) {
                    state.excused_until = state.now.after(LEASE);
                }
                if let Some(event) = answered(call, answer) {
                    self.happens(state, node, event, cut, log);
                }
            }
        }
    }

    fn server_hears(&self, state: &mut LocationState, number: u8, request: &Request, answer: &Answer) {
        let now = state.now;
        let is_calm = !state.is_troubled;
        let Some(server) = state.server(number) else { return };
        let is_present = match request {
            Request::Insert { record, .. } => {
                server.phase == Phase::Inserting && server.epoch == Some(record.epoch)
            }
            Request::Delete { record } => {
                server.phase == Phase::Deleting && server.epoch == Some(record.epoch)
            }
            Request::InsertPointer { .. }
            | Request::DeletePointer { .. }
            | Request::Find { .. }
            | Request::Supersede { .. } => false,
        };
        if !is_present {
            return;
        }
        match answer {
            Answer::Inserted(lease) => {
                (server.phase, server.lease_end) = (Phase::Standing, now.after(*lease));
                let stands = |server: &&Server| server.phase == Phase::Standing && now < server.lease_end;
                if self.bounds.object == Object::Claimed && state.servers.iter().filter(stands).count() > 1 {
                    state.breach(Breach::TwoFirst);
                }
            }
            Answer::Refused(ErrorCode::EntryExists) => {
                *server = Server::default();
                state.seen.insert(Seen::Refused);
            }
            Answer::Refused(_) => {
                server.phase =
                    if matches!(request, Request::Insert { .. }) { Phase::Failed } else { Phase::Away };
                if is_calm {
                    state.breach(Breach::Unreachable);
                }
            }
            Answer::Deleted => *server = Server::default(),
            Answer::Found(_) | Answer::Superseded => {}
        }
    }

    fn found(&self, state: &mut LocationState, node: u8, answer: &Answer) {
        let Some(searching) = state.searching.remove(&node) else { return };
        let Answer::Found(records) = answer else {
            if !searching.is_troubled {
                state.breach(Breach::Unreachable);
            }
            return;
        };
        if records.is_empty() && searching.must_find {
            state.breach(Breach::NotFound);
        }
        for record in records {
            let server =
                (0..).zip(self.bounds.servers).find(|(number, _)| server_name(*number) == record.server);
            let Some((server, at)) = server else { continue };
            if *at != node {
                state.seen.insert(Seen::FarAway);
            }
            if record.epoch < searching.at_least && searching.must_find && !searching.is_troubled {
                state.breach(Breach::OlderFound);
            }
            let inserted = state.inserted.get(&(server, record.epoch));
            if inserted.is_none_or(|inserted| inserted.after(LEASE) <= state.now) {
                state.breach(Breach::EndedFound);
            }
        }
    }

    /// All that a node knew and hadn't persisted is gone, and so are its connections.
    fn dies(&self, state: &mut LocationState, at: u8) -> Option<()> {
        state.trouble();
        let handle = self.handle();
        let node = state.nodes.get_mut(usize::from(at))?;
        node.contacts = Contacts::new(handle, node.durable.clone());
        for call in &mut state.calls {
            if call.from == From::Node(at) {
                call.from = From::Nobody;
            }
            if call.to == at && !matches!(call.stage, Stage::Answered(_)) {
                call.stage = Stage::Answered(Answer::Refused(ErrorCode::LocationUnreachable));
            }
        }
        Some(())
    }

    fn terms(&self, state: &LocationState, at: u8, node: &Node) -> Terms {
        let has_parent = self.bounds.parents.get(usize::from(at)).copied().flatten().is_some();
        let (now, lease, number) = (state.now, LEASE, node.number);
        Terms { now, lease, has_parent, has_room: true, number }
    }

    fn numbered(&self, name: &ServerName) -> Option<u8> {
        (0..).take(self.bounds.parents.len()).find(|number| node_name(*number) == *name)
    }
}

impl LocationState {
    fn server(&mut self, number: u8) -> Option<&mut Server> {
        self.servers.get_mut(usize::from(number))
    }

    fn take_call(&mut self, at: usize) -> Option<Call> {
        (at < self.calls.len()).then(|| self.calls.remove(at))
    }

    /// The least number of a request that a node doesn't use.
    fn free_number(&self, node: u8) -> RequestNumber {
        let is_free = |number: &RequestNumber| {
            !self.calls.iter().any(|call| call.to == node && call.stage == Stage::Taken(*number))
        };
        (1..).map(RequestNumber).find(is_free).unwrap_or(RequestNumber(0))
    }

    /// Whether the node has what is searched for: the newest record there is, inserted there and standing.
    fn must_answer(&self, call: &Call, servers: &[u8]) -> bool {
        let From::Searcher(node) = call.from else { return false };
        let stands = |(server, at): (&Server, &u8)| {
            let is_last = self.left.object != Object::User || server.epoch == Some(self.last);
            *at == node && server.phase == Phase::Standing && self.now < server.lease_end && is_last
        };
        self.servers.iter().zip(servers).any(stands)
    }

    /// A node answers.
    fn answers(&mut self, at: u8, number: RequestNumber, answer: Answer) {
        let is_it = |call: &Call| call.to == at && call.stage == Stage::Taken(number);
        let Some(place) = self.calls.iter().position(is_it) else { return };
        // What is searched changes nothing; all else is on disk before anybody hears of it.
        let is_durable = matches!(answer, Answer::Found(_) | Answer::Refused(_))
            || self.nodes.get(usize::from(at)).is_some_and(|node| node.durable == *node.contacts.kept());
        let Some(call) = self.calls.get_mut(place) else { return };
        call.stage = Stage::Answered(answer);
        if call.from == From::Nobody {
            self.calls.remove(place);
        }
        if !is_durable {
            self.breach(Breach::NotDurable);
        }
    }

    /// A record that was said to stand, and that nothing newer has come for, is there.
    pub(super) fn look_for_lost(&mut self, servers: &[u8]) {
        let is_lost = self.servers.iter().zip(servers).zip(0..).any(|((server, at), number): (_, u8)| {
            let is_last = self.left.object != Object::User || server.epoch == Some(self.last);
            let entry = self
                .nodes
                .get(usize::from(*at))
                .and_then(|node| node.contacts.kept().entries.get(&Holder::Server(server_name(number))));
            server.phase == Phase::Standing
                && self.now < server.lease_end
                && is_last
                && entry.map(|entry| entry.epoch) != server.epoch
        });
        if is_lost {
            self.breach(Breach::DeletedByOther);
        }
    }
}

/// An answer as the node takes it that asked.
fn answered(call: &Call, answer: &Answer) -> Option<Event> {
    match &call.purpose {
        Purpose::Own => None,
        Purpose::Above => Some(Event::ParentAnswered(match answer {
            Answer::Inserted(lease) => ParentAnswer::Inserted(*lease),
            Answer::Deleted => ParentAnswer::Deleted,
            Answer::Refused(code) => ParentAnswer::Failed(*code),
            Answer::Found(_) | Answer::Superseded => return None,
        })),
        Purpose::Below(epoch) => Some(Event::ChildTold { node: node_name(call.to), epoch: *epoch }),
        Purpose::Search(number) => {
            let found = match answer {
                Answer::Found(records) => Ok(records.clone()),
                Answer::Refused(code) => Err(*code),
                Answer::Inserted(_) | Answer::Deleted | Answer::Superseded => return None,
            };
            Some(Event::Searched { number: *number, found })
        }
    }
}

fn record(server: u8, epoch: LoginEpoch) -> ContactRecord {
    ContactRecord { epoch, server: server_name(server), address: address() }
}
