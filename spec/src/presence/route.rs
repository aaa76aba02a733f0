//! The machine of one feed at one server.

use super::{Action, Event, LinkNumber, Said, Terms, Version};
use crate::{
    limits::PRESENCE_HOPS_MAX,
    machine::Machine,
    mutant::{Mutant, active},
};

/// What a server knows of a feed.
///
/// **Contract of the caller.** What a neighbour says comes in the order in which it was said, and nothing of it comes after
/// [`Event::LinkDown`]. While [`Route::is_empty`], the machine may be dropped and made anew.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Route<S, P> {
    /// What the publisher discloses, if it is logged in here.
    own: Option<Edition<S, P>>,
    watch: Option<Watch>,
    /// The neighbours that have told something of the feed, or were told, in ascending order.
    branches: Vec<Branch<S>>,
    /// Where the newest version that there is comes from.
    source: Option<Source>,
    /// What has come from there.
    held: Option<Edition<S, P>>,
}

/// A publication and which one it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Edition<S, P> {
    version: Version,
    proof: S,
    publication: P,
}

/// What those who watch have been told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Watch {
    /// The newest version that was shown.
    newest: Option<Version>,
    /// Whether it still is.
    is_shown: bool,
}

/// Between this server and a neighbour.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Branch<S> {
    link: LinkNumber,
    /// What the neighbour has announced.
    heard: Option<Heard<S>>,
    /// What it was announced.
    told: Option<Told>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Heard<S> {
    announcement: u64,
    hops: u64,
    version: Version,
    proof: S,
    /// Whether this server is not pruned there: it has been told the publication, or has asked for it.
    is_open: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Told {
    announcement: u64,
    is_pruned: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Source {
    Here,
    Link(LinkNumber),
}

/// What an event has brought.
#[derive(Clone, Debug)]
struct News<S, P> {
    /// A publication, and from where.
    came: Option<(Source, Edition<S, P>)>,
    /// The neighbour that has spoken of a version.
    spoke: Option<LinkNumber>,
}

/// What a machine of a feed is generic over.
pub trait Opaque: Clone + Eq + std::hash::Hash + std::fmt::Debug {}

impl<T: Clone + Eq + std::hash::Hash + std::fmt::Debug> Opaque for T {}

impl<S: Opaque, P: Opaque> Machine for Route<S, P> {
    type Event = Event<S, P>;
    type Action = Action<S, P>;
    type Context<'a> = Terms<'a>;

    fn handle(&mut self, event: Event<S, P>, terms: &Terms<'_>, out: &mut Vec<Action<S, P>>) {
        let mut news = News { came: None, spoke: None };
        match event {
            Event::Publish { version, proof, publication } => {
                let edition = Edition { version, proof, publication };
                news.came = Some((Source::Here, edition.clone()));
                self.own = Some(edition);
            }
            Event::Withdraw => self.own = None,
            Event::Watch => {
                self.watch.get_or_insert_default();
            }
            Event::Unwatch => self.watch = None,
            Event::LinkUp(_) => {}
            //= spec/text/presence.md#loss
            //# PRES-019: A server MUST forget with a link all announcements on it, its own and the neighbour's.
            Event::LinkDown(link) if !active(Mutant::LostLinkKept) => {
                self.branches.retain(|branch| branch.link != link);
            }
            Event::LinkDown(_) => {}
            Event::Heard(link, said) => {
                if self.is_empty() && !terms.has_room {
                    return refuse(link, &said, out);
                }
                self.heard(link, said, &mut news, out);
            }
        }
        self.settle(news, terms, out);
    }
}

/// What a server says that has no room for a feed: nothing that makes it remember.
fn refuse<S, P>(link: LinkNumber, said: &Said<S, P>, out: &mut Vec<Action<S, P>>) {
    if let Said::Publish { announcement, .. } = *said {
        out.push(Action::Say(link, Said::Prune { announcement }));
    }
}

impl<S: Opaque, P: Opaque> Default for Route<S, P> {
    fn default() -> Self {
        Self { own: None, watch: None, branches: Vec::new(), source: None, held: None }
    }
}

impl<S: Opaque, P: Opaque> Route<S, P> {
    /// Whether there is nothing to remember.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.own.is_none() && self.watch.is_none() && self.branches.is_empty()
    }

    /// The publication that this server has, for itself or for a neighbour.
    #[must_use]
    pub fn held(&self) -> Option<(Version, &P)> {
        self.edition().map(|edition| (edition.version, &edition.publication))
    }

    /// The newest version that this server knows of.
    #[must_use]
    pub fn newest(&self) -> Option<Version> {
        self.source.and_then(|source| self.version_from(source))
    }

    /// Whether a neighbour is to be told what is published.
    #[must_use]
    pub fn is_wanted_by(&self, link: LinkNumber) -> bool {
        self.branch(link).and_then(|branch| branch.told).is_some_and(|told| !told.is_pruned)
    }

    fn edition(&self) -> Option<&Edition<S, P>> {
        match self.source? {
            Source::Here => self.own.as_ref(),
            Source::Link(_) => self.held.as_ref(),
        }
    }

    fn branch(&self, link: LinkNumber) -> Option<&Branch<S>> {
        self.branches.iter().find(|branch| branch.link == link)
    }

    fn branch_mut(&mut self, link: LinkNumber) -> Option<&mut Branch<S>> {
        self.branches.iter_mut().find(|branch| branch.link == link)
    }

    fn branch_or_new(&mut self, link: LinkNumber) -> &mut Branch<S> {
        let at = self.branches.partition_point(|branch| branch.link < link);
        if self.branches.get(at).is_none_or(|branch| branch.link != link) {
            self.branches.insert(at, Branch { link, heard: None, told: None });
        }
        #[expect(clippy::indexing_slicing, reason = "it stands there now")]
        &mut self.branches[at]
    }

    fn version_from(&self, source: Source) -> Option<Version> {
        match source {
            Source::Here => Some(self.own.as_ref()?.version),
            Source::Link(link) => Some(self.branch(link)?.heard.as_ref()?.version),
        }
    }

    //= spec/text/presence.md#announcements
    //# PRES-002: A server MUST take as the source of a feed the publisher or neighbour whose last version is the newest.
    //= spec/text/presence.md#announcements
    //# PRES-003: A server MUST NOT take another source for the same version, as long as the one that it has lasts.
    fn best(&self, last: Option<Source>) -> Option<Source> {
        if active(Mutant::OlderLoginTaken)
            && let Some(last) = last.or(self.source)
            && self.version_from(last).is_some()
        {
            return Some(last);
        }
        let heard = self.branches.iter().filter(|branch| branch.heard.is_some());
        let places = heard.map(|branch| Source::Link(branch.link)).chain([Source::Here]);
        places
            .filter_map(|place| Some((self.version_from(place)?, Some(place) == self.source, place)))
            .max_by_key(|(version, is_source, _)| (*version, *is_source))
            .map(|(.., place)| place)
    }

    fn heard(
        &mut self,
        link: LinkNumber,
        said: Said<S, P>,
        news: &mut News<S, P>,
        out: &mut Vec<Action<S, P>>,
    ) {
        match said {
            Said::Publish { announcement, hops, version, proof, publication } => {
                let branch = self.branch_or_new(link);
                let is_new = branch.heard.as_ref().is_none_or(|heard| heard.announcement != announcement);
                let is_open = is_new || branch.heard.as_ref().is_some_and(|heard| heard.is_open);
                let heard = Heard { announcement, hops, version, proof: proof.clone(), is_open };
                branch.heard = Some(heard);
                news.spoke = Some(link);
                //= spec/text/presence.md#prune-and-unprune
                //# PRES-014: A server that has pruned itself MUST NOT keep what is published to it before its prune has arrived.
                if is_open {
                    news.came = Some((Source::Link(link), Edition { version, proof, publication }));
                }
            }
            Said::Offer { announcement, hops, version, proof } => {
                let branch = self.branch_or_new(link);
                let same = branch.heard.as_ref().filter(|heard| heard.announcement == announcement);
                let is_open = same.is_some_and(|heard| heard.is_open);
                branch.heard = Some(Heard { announcement, hops, version, proof, is_open });
                news.spoke = Some(link);
            }
            Said::Withdraw { announcement } => {
                if active(Mutant::WithdrawnByAnybody) {
                    self.branches.iter_mut().for_each(|branch| branch.heard = None);
                }
                if let Some(branch) = self.branch_mut(link)
                    && branch.heard.as_ref().is_some_and(|heard| heard.announcement == announcement)
                {
                    branch.heard = None;
                }
            }
            Said::Prune { announcement } => self.is_told_of_interest(link, announcement, true),
            Said::Unprune { announcement } => {
                self.is_told_of_interest(link, announcement, false);
                let is_wanted = self.is_wanted_by(link);
                if let Some(edition) = self.edition().cloned().filter(|_| is_wanted)
                    && !active(Mutant::UnpruneUnanswered)
                {
                    self.publish_to(link, &edition, out);
                }
            }
        }
    }

    fn is_told_of_interest(&mut self, link: LinkNumber, announcement: u64, is_pruned: bool) {
        if let Some(branch) = self.branch_mut(link)
            && let Some(told) = branch.told.as_mut()
            && (told.announcement == announcement || active(Mutant::PruneUnmatched))
        {
            told.is_pruned = is_pruned;
        }
    }

    /// How many links what this server says has passed, when it arrives; nothing where it would be too many.
    fn hops(&self) -> Option<u64> {
        let before = match self.source? {
            Source::Here => 0,
            Source::Link(link) => self.branch(link)?.heard.as_ref()?.hops,
        };
        before.checked_add(1).filter(|hops| *hops <= PRESENCE_HOPS_MAX)
    }

    fn publish_to(&self, link: LinkNumber, edition: &Edition<S, P>, out: &mut Vec<Action<S, P>>) {
        let told = self.branch(link).and_then(|branch| branch.told);
        if let (Some(told), Some(hops)) = (told, self.hops()) {
            let Edition { version, proof, publication } = edition.clone();
            let announcement = told.announcement;
            out.push(Action::Say(link, Said::Publish { announcement, hops, version, proof, publication }));
        }
    }

    fn offer_to(&self, link: LinkNumber, out: &mut Vec<Action<S, P>>) {
        let told = self.branch(link).and_then(|branch| branch.told);
        let of_source = match self.source {
            Some(Source::Here) => self.own.as_ref().map(|own| (own.version, &own.proof)),
            Some(Source::Link(from)) => self
                .branch(from)
                .and_then(|branch| branch.heard.as_ref())
                .map(|heard| (heard.version, &heard.proof)),
            None => None,
        };
        if let (Some(told), Some(hops), Some((version, proof))) = (told, self.hops(), of_source) {
            let (announcement, proof) = (told.announcement, proof.clone());
            out.push(Action::Say(link, Said::Offer { announcement, hops, version, proof }));
        }
    }

    /// Brings everything in line with what is known now.
    fn settle(&mut self, news: News<S, P>, terms: &Terms<'_>, out: &mut Vec<Action<S, P>>) {
        let before = self.source;
        let before_lost = before.is_some_and(|source| self.version_from(source).is_none());
        self.source = self.best(news.came.as_ref().map(|(place, _)| *place));
        if before_lost && active(Mutant::OthersForgotten) {
            self.branches.iter_mut().for_each(|branch| branch.heard = None);
            self.source = None;
        }
        let mut is_fresh = before != self.source && self.source == Some(Source::Here);
        if before != self.source {
            self.held = None;
        }
        let is_first_hand = news.came.as_ref().is_some_and(|(place, _)| Some(*place) == self.source);
        if let Some((place, edition)) = news.came.filter(|_| is_first_hand) {
            is_fresh = true;
            if place != Source::Here {
                self.held = Some(edition);
            }
        }
        self.withdraw(out);
        self.announce(is_fresh, is_first_hand, news.spoke, terms, out);
        self.prune(out);
        self.show(out);
        self.branches.retain(|branch| branch.heard.is_some() || branch.told.is_some());
    }

    /// Takes back what was announced to the neighbour from which the feed comes, and to all when it comes from nowhere.
    fn withdraw(&mut self, out: &mut Vec<Action<S, P>>) {
        let source = self.source;
        for branch in &mut self.branches {
            let is_lost = source.is_none() && !active(Mutant::LossUntold);
            let is_source = source == Some(Source::Link(branch.link)) && !active(Mutant::SourceToldOn);
            if (is_lost || is_source)
                && let Some(Told { announcement, .. }) = branch.told.take()
            {
                out.push(Action::Say(branch.link, Said::Withdraw { announcement }));
            }
        }
    }

    /// Tells each other neighbour what there is: all of it to those that want it, and to all when it comes for the first
    /// time; otherwise that there is something, to those that do not know.
    fn announce(
        &mut self,
        is_fresh: bool,
        is_first_hand: bool,
        spoke: Option<LinkNumber>,
        terms: &Terms<'_>,
        out: &mut Vec<Action<S, P>>,
    ) {
        let Some((source, version)) = self.source.zip(self.newest()) else { return };
        if self.hops().is_none() {
            return;
        }
        let edition = self.edition().cloned();
        for link in terms.links.iter().copied().filter(|link| source != Source::Link(*link)) {
            let branch = self.branch_or_new(link);
            let is_behind = branch.heard.as_ref().is_some_and(|heard| heard.version < version);
            let told = branch.told;
            if told.is_none() && !is_first_hand && active(Mutant::NewLinkUntold) {
                continue;
            }
            if told.is_none() {
                let is_pruned = !is_first_hand;
                let announcement =
                    if active(Mutant::AnnouncementNumberReused) { 1 } else { terms.announcement };
                branch.told = Some(Told { announcement, is_pruned });
            }
            match (told, &edition) {
                (None, Some(edition)) if is_first_hand => self.publish_to(link, edition, out),
                (None, _) => self.offer_to(link, out),
                (Some(told), Some(edition))
                    if (!told.is_pruned || active(Mutant::PrunedTold))
                        && is_fresh
                        && !active(Mutant::ChangesToFirstOnly) =>
                {
                    self.publish_to(link, edition, out);
                }
                (Some(told), _)
                    if told.is_pruned
                        && is_behind
                        && spoke == Some(link)
                        && !active(Mutant::OlderOfferUnanswered) =>
                {
                    self.offer_to(link, out);
                }
                (Some(_), _) => {}
            }
        }
    }

    /// Asks the neighbour from which the feed comes for what is wanted here, and nobody for what isn't.
    fn prune(&mut self, out: &mut Vec<Action<S, P>>) {
        let mut told = self.branches.iter().filter_map(|branch| branch.told);
        let is_watched = self.watch.is_some();
        let is_asked = told.any(|told| !told.is_pruned);
        let is_wanted = is_watched || is_asked || active(Mutant::NeverPruned);
        let source = self.source;
        for branch in &mut self.branches {
            let Some(heard) = &mut branch.heard else { continue };
            let announcement = heard.announcement;
            let is_wanted = is_wanted && source == Some(Source::Link(branch.link));
            if is_wanted && !heard.is_open {
                if active(Mutant::UnpruneNotPassedOn) && !is_watched {
                    continue;
                }
                out.push(Action::Say(branch.link, Said::Unprune { announcement }));
            } else if heard.is_open && (!is_wanted || active(Mutant::PrunedForNeighbours) && !is_watched) {
                out.push(Action::Say(branch.link, Said::Prune { announcement }));
            }
            heard.is_open = is_wanted;
        }
        if !is_wanted && !active(Mutant::UnwantedKept) {
            self.held = None;
        }
    }

    fn show(&mut self, out: &mut Vec<Action<S, P>>) {
        let edition = self.edition().map(|edition| (edition.version, edition.publication.clone()));
        let known = self.newest();
        let Some(watch) = &mut self.watch else { return };
        let is_awaited =
            edition.is_none() && known.is_some_and(|known| watch.newest.is_none_or(|newest| newest <= known));
        match edition {
            Some((version, publication))
                if watch.newest.is_none_or(|newest| newest <= version) || active(Mutant::OlderShown) =>
            {
                let is_again = watch.newest == Some(version);
                if !is_again || !watch.is_shown && !active(Mutant::AgainUnshown) {
                    *watch = Watch { newest: Some(version), is_shown: true };
                    out.push(Action::Show { version, publication });
                }
            }
            None if is_awaited => {}
            Some(_) | None if active(Mutant::GoneUnshown) => {}
            Some(_) | None => {
                if std::mem::take(&mut watch.is_shown) {
                    out.push(Action::Hide);
                }
            }
        }
    }
}
