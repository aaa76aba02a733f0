//! One handle at one node: what it asks of others, and what it answers.

use std::time::Duration;

use super::{Action, Answer, Asker, Contacts, Event, Kept, ParentAnswer, Request, RequestNumber, Terms};
use crate::{
    error_code::ErrorCode,
    identity::{ContactAddress, ObjectHandle},
    machine::Machine as _,
    message::{
        location::{ContactRecord, ForwardingPointer, PointerNumber},
        server_server::LoginEpoch,
    },
    time::Timestamp,
};

const USER: ObjectHandle = ObjectHandle([7; 16]);

fn address() -> ContactAddress {
    ContactAddress(std::net::SocketAddr::from(([192, 0, 2, 1], 1)))
}

fn record(server: &str, epoch: u64) -> ContactRecord {
    ContactRecord { epoch: LoginEpoch(epoch), server: server.parse().unwrap(), address: address() }
}

fn pointer(node: &str, epoch: u64, number: u64) -> ForwardingPointer {
    let (node, epoch, number) = (node.parse().unwrap(), LoginEpoch(epoch), PointerNumber(number));
    ForwardingPointer { node, epoch, number, address: address() }
}

/// A node with one handle, and what it did last.
struct Node {
    contacts: Contacts,
    terms: Terms,
    requests: u64,
}

impl Node {
    fn new(handle: ObjectHandle, has_parent: bool) -> Self {
        let (now, lease) = (Timestamp(1000), Duration::from_secs(300));
        let terms = Terms { now, lease, has_parent, has_room: true, number: PointerNumber(1) };
        Self { contacts: Contacts::new(handle, Kept::default()), terms, requests: 0 }
    }

    /// What the node does, without what it keeps; it never acts before it has kept what changed.
    #[track_caller]
    fn happens(&mut self, event: Event) -> Vec<Action> {
        let (before, mut out) = (self.contacts.kept().clone(), Vec::new());
        self.contacts.handle(event, &self.terms, &mut out);
        self.terms.number.0 += 1;
        let is_kept = out.first().is_some_and(|action| matches!(action, Action::Persist(_)));
        assert_eq!(is_kept, before != *self.contacts.kept());
        out.retain(|action| !matches!(action, Action::Persist(_)));
        out
    }

    #[track_caller]
    fn asked(&mut self, by: Asker, request: Request) -> Vec<Action> {
        self.requests += 1;
        self.happens(Event::Asked { number: RequestNumber(self.requests), by, request })
    }

    #[track_caller]
    fn inserts(&mut self, server: &str, epoch: u64) -> Vec<Action> {
        let record = record(server, epoch);
        self.asked(Asker::Server(record.server.clone()), Request::Insert { record, if_absent: false })
    }

    #[track_caller]
    fn deletes(&mut self, server: &str, epoch: u64) -> Vec<Action> {
        let record = record(server, epoch);
        self.asked(Asker::Server(record.server.clone()), Request::Delete { record })
    }

    #[track_caller]
    fn points(&mut self, pointer: ForwardingPointer) -> Vec<Action> {
        let by = Asker::Child(pointer.node.clone());
        self.asked(by, Request::InsertPointer { pointer, if_absent: false })
    }

    #[track_caller]
    fn finds(&mut self, by: Asker) -> Vec<Action> {
        self.asked(by, Request::Find { hops: 0 })
    }

    #[track_caller]
    fn parent(&mut self, answer: ParentAnswer) -> Vec<Action> {
        self.happens(Event::ParentAnswered(answer))
    }
}

fn server() -> Asker {
    Asker::Server("a".parse().unwrap())
}

fn answer(number: u64, answer: Answer) -> Action {
    Action::Answer { number: RequestNumber(number), answer }
}

fn inserted(number: u64, lease: u64) -> Action {
    answer(number, Answer::Inserted(Duration::from_secs(lease)))
}

fn refused(number: u64, code: ErrorCode) -> Action {
    answer(number, Answer::Refused(code))
}

fn found(number: u64, records: &[ContactRecord]) -> Action {
    answer(number, Answer::Found(records.to_vec()))
}

fn insert_above(epoch: u64, number: u64) -> Action {
    Action::InsertAbove { epoch: LoginEpoch(epoch), number: PointerNumber(number), if_absent: false }
}

#[test]
fn a_node_alone_keeps_the_greatest_epoch_whoever_has_it() {
    let mut node = Node::new(USER, false);
    assert_eq!(node.inserts("a", 2), [inserted(1, 300)]);
    assert_eq!(node.inserts("b", 1), [refused(2, ErrorCode::EntryExists)]);
    assert_eq!(node.inserts("b", 2), [inserted(3, 300)]);
    assert_eq!(node.finds(server()), [found(4, &[record("a", 2), record("b", 2)])]);
    assert_eq!(node.inserts("b", 3), [inserted(5, 300)]);
    assert_eq!(node.finds(server()), [found(6, &[record("b", 3)])]);
    assert_eq!(node.deletes("b", 2), [answer(7, Answer::Deleted)]);
    assert_eq!(node.finds(server()), [found(8, &[record("b", 3)])]);
    node.terms.now = Timestamp(1300);
    assert_eq!(node.finds(server()), [found(9, &[])]);
    assert_eq!(node.happens(Event::LeaseEnded), []);
    assert!(node.contacts.kept().is_empty());
}

#[test]
fn servers_stand_beside_each_other_under_the_well_known_handle() {
    let mut node = Node::new(ObjectHandle::SERVERS, false);
    node.inserts("a", 9);
    node.inserts("b", 1);
    assert_eq!(node.inserts("a", 8), [refused(3, ErrorCode::EntryExists)]);
    assert_eq!(node.finds(server()), [found(4, &[record("a", 9), record("b", 1)])]);
}

#[test]
fn a_record_waits_for_its_pointer_and_ends_with_it() {
    let mut node = Node::new(USER, true);
    assert_eq!(node.inserts("a", 1), [insert_above(1, 1)]);
    // Nobody else is told yet; whoever comes from the parent is.
    let number = RequestNumber(2);
    assert_eq!(node.finds(server()), [Action::FindAbove { number, hops: 1 }]);
    assert_eq!(node.happens(Event::Searched { number, found: Ok(Vec::new()) }), [found(2, &[])]);
    assert_eq!(node.finds(Asker::Parent), [found(3, &[record("a", 1)])]);
    assert_eq!(node.parent(ParentAnswer::Inserted(Duration::from_secs(200))), [inserted(1, 200)]);
    assert_eq!(node.finds(server()), [found(4, &[record("a", 1)])]);
    // A pointer that lasts for half a lease is good enough.
    node.terms.now = Timestamp(1050);
    assert_eq!(node.inserts("a", 1), [inserted(5, 150)]);
    node.terms.now = Timestamp(1051);
    assert_eq!(node.inserts("a", 1), [insert_above(1, 8)]);
    assert_eq!(node.parent(ParentAnswer::Inserted(Duration::from_secs(300))), [inserted(6, 300)]);
}

#[test]
fn the_last_record_takes_the_pointer_with_it() {
    let mut node = Node::new(ObjectHandle::SERVERS, true);
    node.inserts("a", 1);
    node.parent(ParentAnswer::Inserted(Duration::from_secs(300)));
    assert_eq!(node.inserts("b", 1), [inserted(2, 300)]);
    assert_eq!(node.deletes("a", 1), [answer(3, Answer::Deleted)]);
    assert_eq!(node.deletes("b", 1), [Action::DeleteAbove { number: PointerNumber(1) }]);
    // What comes meanwhile waits, and gets a pointer of its own.
    assert_eq!(node.inserts("b", 2), [answer(4, Answer::Deleted)]);
    assert_eq!(node.parent(ParentAnswer::Deleted), [insert_above(2, 7)]);
    assert_eq!(node.parent(ParentAnswer::Inserted(Duration::from_secs(300))), [inserted(5, 300)]);
}

#[test]
fn a_parent_that_knows_better_or_cannot_be_reached_is_heard() {
    let mut node = Node::new(USER, true);
    node.inserts("a", 1);
    let refusal = ParentAnswer::Failed(ErrorCode::EntryExists);
    assert_eq!(node.parent(refusal), [refused(1, ErrorCode::EntryExists)]);
    assert!(node.contacts.kept().is_empty());
    node.inserts("a", 2);
    let failure = ParentAnswer::Failed(ErrorCode::Internal);
    assert_eq!(node.parent(failure), [refused(2, ErrorCode::LocationUnreachable)]);
    // It is kept, asked for again with the next renewal, and told when the parent can't say more.
    let number = RequestNumber(3);
    assert_eq!(node.finds(server()), [Action::FindAbove { number, hops: 1 }]);
    let found_out = Event::Searched { number, found: Err(ErrorCode::Internal) };
    assert_eq!(node.happens(found_out), [found(3, &[record("a", 2)])]);
    assert_eq!(node.inserts("a", 2), [insert_above(2, 7)]);
}

#[test]
fn what_is_older_is_superseded_all_the_way_down_before_the_answer() {
    let mut root = Node::new(USER, false);
    assert_eq!(root.points(pointer("left", 1, 1)), [inserted(1, 300)]);
    let (node, epoch) = ("left".parse().unwrap(), LoginEpoch(2));
    let told = Action::SupersedeBelow { node, address: address(), epoch };
    assert_eq!(root.points(pointer("right", 2, 1)), [told]);
    let node = "left".parse().unwrap();
    assert_eq!(root.happens(Event::ChildTold { node, epoch }), [inserted(2, 300)]);

    let mut left = Node::new(USER, true);
    left.inserts("a", 1);
    left.parent(ParentAnswer::Inserted(Duration::from_secs(300)));
    assert_eq!(left.asked(Asker::Parent, Request::Supersede { epoch }), [answer(2, Answer::Superseded)]);
    assert!(left.contacts.kept().is_empty());
    let by = Asker::Child("left".parse().unwrap());
    assert_eq!(left.asked(by, Request::Supersede { epoch }), [refused(3, ErrorCode::Forbidden)]);
}

#[test]
fn a_late_request_about_an_earlier_pointer_does_nothing() {
    let mut root = Node::new(USER, false);
    root.points(pointer("left", 1, 5));
    assert_eq!(root.points(pointer("left", 1, 4)), [refused(2, ErrorCode::EntryExists)]);
    let by = || Asker::Child("left".parse().unwrap());
    let delete = |number| Request::DeletePointer { number: PointerNumber(number) };
    assert_eq!(root.asked(by(), delete(4)), [answer(3, Answer::Deleted)]);
    assert!(!root.contacts.kept().is_empty());
    assert_eq!(root.asked(by(), delete(5)), [answer(4, Answer::Deleted)]);
    assert!(root.contacts.kept().is_empty());
}

#[test]
fn a_search_that_comes_too_late_below_looks_again() {
    let mut root = Node::new(USER, false);
    root.points(pointer("left", 1, 1));
    let (number, below) = (RequestNumber(2), "left".parse().unwrap());
    let first = Action::FindBelow { number, node: below, address: address(), hops: 1 };
    assert_eq!(root.finds(server()), [first]);
    root.points(pointer("right", 2, 1));
    let below = "right".parse().unwrap();
    let second = Action::FindBelow { number, node: below, address: address(), hops: 1 };
    assert_eq!(root.happens(Event::Searched { number, found: Ok(Vec::new()) }), [second]);
    let records = vec![record("b", 2)];
    assert_eq!(root.happens(Event::Searched { number, found: Ok(records.clone()) }), [found(2, &records)]);
}

#[test]
fn the_first_is_the_one_that_finds_nothing_all_the_way_up() {
    let mut node = Node::new(USER, true);
    let claim = |server: &str| Request::Insert { record: record(server, 1), if_absent: true };
    let asked = node.asked(server(), claim("a"));
    let (epoch, number) = (LoginEpoch(1), PointerNumber(1));
    assert_eq!(asked, [Action::InsertAbove { epoch, number, if_absent: true }]);
    let by = Asker::Server("b".parse().unwrap());
    assert_eq!(node.asked(by, claim("b")), [refused(2, ErrorCode::EntryExists)]);
    let refusal = ParentAnswer::Failed(ErrorCode::EntryExists);
    assert_eq!(node.parent(refusal), [refused(1, ErrorCode::EntryExists)]);
    assert!(node.contacts.kept().is_empty());
}

#[test]
fn a_circle_of_parents_comes_to_an_end() {
    let mut node = Node::new(USER, true);
    let asked = node.asked(Asker::Child("b".parse().unwrap()), Request::Find { hops: 33 });
    assert_eq!(asked, [refused(1, ErrorCode::LimitReached)]);
}
