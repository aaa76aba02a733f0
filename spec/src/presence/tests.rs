//! One feed at one server: what it tells whom.

use super::{Action, Event, LinkNumber, Route, Said, Terms, Version};
use crate::{limits::PRESENCE_HOPS_MAX, machine::Machine as _, message::server_server::LoginEpoch};

const A: LinkNumber = LinkNumber(1);
const B: LinkNumber = LinkNumber(2);
const C: LinkNumber = LinkNumber(3);

type Word = Said<&'static str, &'static str>;
type Act = Action<&'static str, &'static str>;

const fn version(epoch: u64, sequence: u64) -> Version {
    Version { epoch: LoginEpoch(epoch), sequence }
}

const fn publish(announcement: u64, hops: u64, version: Version, publication: &'static str) -> Word {
    Said::Publish { announcement, hops, version, proof: "proof", publication }
}

const fn offer(announcement: u64, hops: u64, version: Version) -> Word {
    Said::Offer { announcement, hops, version, proof: "proof" }
}

const fn prune(announcement: u64) -> Word {
    Said::Prune { announcement }
}

const fn unprune(announcement: u64) -> Word {
    Said::Unprune { announcement }
}

const fn withdraw(announcement: u64) -> Word {
    Said::Withdraw { announcement }
}

const fn say(link: LinkNumber, word: Word) -> Act {
    Action::Say(link, word)
}

const fn show(version: Version, publication: &'static str) -> Act {
    Action::Show { version, publication }
}

/// A server with neighbours, which numbers its announcements from 1.
struct Server {
    route: Route<&'static str, &'static str>,
    links: Vec<LinkNumber>,
    announcement: u64,
    has_room: bool,
}

impl Server {
    fn with(links: &[LinkNumber]) -> Self {
        Self { route: Route::default(), links: links.to_vec(), announcement: 0, has_room: true }
    }

    fn happens(&mut self, event: Event<&'static str, &'static str>) -> Vec<Act> {
        self.announcement += 1;
        let Self { links, announcement, has_room, .. } = self;
        let mut out = Vec::new();
        let terms = Terms { links, announcement: *announcement, has_room: *has_room };
        self.route.handle(event, &terms, &mut out);
        out
    }

    fn hears(&mut self, link: LinkNumber, word: Word) -> Vec<Act> {
        self.happens(Event::Heard(link, word))
    }

    fn publishes(&mut self, version: Version, publication: &'static str) -> Vec<Act> {
        self.happens(Event::Publish { version, proof: "proof", publication })
    }

    fn loses(&mut self, link: LinkNumber) -> Vec<Act> {
        self.links.retain(|there| *there != link);
        self.happens(Event::LinkDown(link))
    }

    fn gets(&mut self, link: LinkNumber) -> Vec<Act> {
        self.links.push(link);
        self.happens(Event::LinkUp(link))
    }
}

#[test]
fn the_first_publication_goes_to_all_and_the_next_to_those_that_want_it() {
    let mut server = Server::with(&[A, B]);
    let first = publish(1, 1, version(1, 0), "here");
    assert_eq!(server.publishes(version(1, 0), "here"), [say(A, first.clone()), say(B, first)]);
    assert_eq!(server.hears(B, prune(1)), []);
    assert_eq!(server.publishes(version(1, 1), "away"), [say(A, publish(1, 1, version(1, 1), "away"))]);
}

#[test]
fn who_unprunes_itself_is_told_what_there_is_now() {
    let mut server = Server::with(&[A]);
    server.publishes(version(1, 0), "here");
    server.hears(A, prune(1));
    assert_eq!(server.publishes(version(1, 1), "away"), []);
    assert_eq!(server.hears(A, unprune(1)), [say(A, publish(1, 1, version(1, 1), "away"))]);
    assert_eq!(server.publishes(version(1, 2), "back"), [say(A, publish(1, 1, version(1, 2), "back"))]);
}

#[test]
fn a_prune_for_the_announcement_before_cuts_nobody_off() {
    let mut server = Server::with(&[A]);
    server.publishes(version(1, 0), "here");
    assert_eq!(server.happens(Event::Withdraw), [say(A, withdraw(1))]);
    assert_eq!(server.publishes(version(2, 0), "back"), [say(A, publish(3, 1, version(2, 0), "back"))]);
    assert_eq!(server.hears(A, prune(1)), []);
    assert!(server.route.is_wanted_by(A));
}

#[test]
fn a_server_that_nobody_watches_at_or_beyond_prunes_itself_and_keeps_nothing() {
    let mut server = Server::with(&[A]);
    assert_eq!(server.hears(A, publish(7, 1, version(1, 0), "here")), [say(A, prune(7))]);
    assert_eq!(server.route.held(), None);
    assert_eq!(server.route.newest(), Some(version(1, 0)));
}

#[test]
fn what_comes_behind_the_prune_is_not_kept() {
    let mut server = Server::with(&[A]);
    server.hears(A, publish(7, 1, version(1, 0), "here"));
    assert_eq!(server.hears(A, publish(7, 1, version(1, 1), "away")), []);
    assert_eq!(server.route.held(), None);
    assert_eq!(server.happens(Event::Watch), [say(A, unprune(7))]);
    assert_eq!(server.hears(A, publish(7, 1, version(1, 1), "away")), [show(version(1, 1), "away")]);
}

#[test]
fn a_server_asks_for_its_neighbours_and_no_longer_than_they_do() {
    let mut server = Server::with(&[A, B]);
    assert_eq!(server.hears(A, offer(7, 1, version(1, 0))), [say(B, offer(1, 2, version(1, 0)))]);
    assert_eq!(server.hears(B, unprune(1)), [say(A, unprune(7))]);
    assert_eq!(
        server.hears(A, publish(7, 1, version(1, 0), "here")),
        [say(B, publish(1, 2, version(1, 0), "here"))]
    );
    assert_eq!(server.hears(B, prune(1)), [say(A, prune(7))]);
    assert_eq!(server.route.held(), None);
}

#[test]
fn a_new_neighbour_is_told_that_there_is_a_feed_and_not_what_it_says() {
    let mut server = Server::with(&[A]);
    server.publishes(version(1, 0), "here");
    assert_eq!(server.gets(B), [say(B, offer(2, 1, version(1, 0)))]);
}

#[test]
fn the_neighbour_that_a_newer_login_is_announced_by_is_announced_nothing() {
    let mut server = Server::with(&[A, B]);
    server.hears(A, publish(7, 1, version(1, 0), "here"));
    assert_eq!(
        server.hears(B, publish(9, 1, version(2, 0), "there")),
        [say(B, withdraw(1)), say(A, publish(2, 2, version(2, 0), "there")), say(A, prune(7))]
    );
}

#[test]
fn a_withdrawal_of_another_announcement_ends_nothing() {
    let mut server = Server::with(&[A]);
    server.happens(Event::Watch);
    server.hears(A, publish(7, 1, version(1, 0), "here"));
    assert_eq!(server.hears(A, withdraw(6)), []);
    assert_eq!(server.hears(A, withdraw(7)), [Action::Hide]);
}

#[test]
fn where_the_newer_login_is_lost_the_older_one_is_announced_but_not_shown() {
    let mut server = Server::with(&[A, B, C]);
    server.happens(Event::Watch);
    server.hears(A, publish(7, 1, version(1, 0), "here"));
    server.hears(B, publish(9, 1, version(2, 0), "there"));
    assert_eq!(
        server.hears(B, withdraw(9)),
        [say(A, withdraw(3)), say(B, offer(4, 2, version(1, 0))), say(A, unprune(7)), Action::Hide]
    );
    assert_eq!(
        server.hears(A, publish(7, 1, version(1, 0), "here")),
        [say(C, publish(2, 2, version(1, 0), "here"))]
    );
}

#[test]
fn a_lost_link_takes_what_came_over_it_and_the_same_version_may_come_back() {
    let mut server = Server::with(&[A, B]);
    server.happens(Event::Watch);
    server.hears(A, publish(7, 1, version(1, 0), "here"));
    assert_eq!(server.loses(A), [say(B, withdraw(2)), Action::Hide]);
    assert_eq!(server.gets(C), []);
    assert_eq!(
        server.hears(C, offer(1, 1, version(1, 0))),
        [say(B, offer(5, 2, version(1, 0))), say(C, unprune(1))]
    );
    assert_eq!(server.hears(C, publish(1, 1, version(1, 0), "here")), [show(version(1, 0), "here")]);
}

#[test]
fn what_has_passed_too_many_links_goes_no_further() {
    let mut server = Server::with(&[A, B]);
    server.happens(Event::Watch);
    assert_eq!(
        server.hears(A, publish(7, PRESENCE_HOPS_MAX - 1, version(1, 0), "here")),
        [say(B, publish(2, PRESENCE_HOPS_MAX, version(1, 0), "here")), show(version(1, 0), "here")]
    );
    assert_eq!(
        server.hears(A, publish(7, PRESENCE_HOPS_MAX, version(1, 1), "away")),
        [show(version(1, 1), "away")]
    );
}

#[test]
fn a_server_without_room_prunes_itself_and_stays_empty() {
    let mut server = Server::with(&[A, B]);
    server.has_room = false;
    assert_eq!(server.hears(A, publish(7, 1, version(1, 0), "here")), [say(A, prune(7))]);
    assert_eq!(server.hears(A, offer(8, 1, version(1, 0))), []);
    assert!(server.route.is_empty());
}

#[test]
fn what_is_watched_has_room() {
    let mut server = Server::with(&[A]);
    server.has_room = false;
    server.happens(Event::Watch);
    assert_eq!(server.hears(A, publish(7, 1, version(1, 0), "here")), [show(version(1, 0), "here")]);
}
