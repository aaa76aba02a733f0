//! A server that relays: whom it lets through, what it passes on, how much, and that both sides hear of the end.

use std::{sync::Arc, time::Instant};

use antiphon_spec::{
    error_code::ErrorCode,
    identity::UserHandle,
    message::{
        client_server::{FromServer, ToServer},
        relay::*,
        server_server::{FromPeerServer, ToPeerServer},
    },
    session::RelayTag,
};

use super::stage::{
    Alone, Client, Done, PeerLink, Played, Stage, User, a_beat_later, case, expect_equal, profile, want,
};
use crate::{
    case::Failure,
    live::{LiveCase, World},
};

const WINDOW: u64 = 32_768;
const DATA_MAX: usize = 16_384;
const ONE: LinkNumber = LinkNumber(1);
const TAG: RelayTag = RelayTag([0x7a; 16]);

macro_rules! cases {
    ($($id:literal [$($requirement:literal),+] $about:literal => $test:expr;)+) => {
        &[$(case($id, &[$($requirement),+], $about, |world| Box::pin(($test)(world)))),+]
    };
}

pub(super) const CASES: &[LiveCase] = cases! {
    "relay/not-opened-in-time" ["RELAY-016"] "The called client does not answer; after ten seconds both sides are told that the link is closed." => not_in_time;
    "relay/opens" ["RELAY-012", "RELAY-009", "RELAY-010", "RELAY-007"] "A client calls another one of the same server twice, which is told who calls, under even numbers that ascend." => opens;
    "relay/passes-bytes" ["RELAY-020"] "Bytes and credit go both ways, in order and unchanged, each under the number of the side that gets them." => passes;
    "relay/every-no-is-the-same" ["RELAY-014", "RELAY-011"] "Calls for nobody, for somebody who is away, and for one whose preferences deny the caller get the same bytes." => same_no;
    "relay/refused-at-a-beat" ["RELAY-036", "RELAY-015"] "Calls for nobody, for one who denies the caller here and for one whose server refuses are closed no sooner than a beat after they were sent." => refused_at_a_beat;
    "relay/denied-by-list" ["RELAY-011", "PREF-001"] "The deny list of the called user has the caller, and the allow list too." => denied;
    "relay/allowed-by-default" ["RELAY-011", "PREF-001"] "Who stands on no list is let through or not as the default says." => by_default;
    "relay/tag" ["RELAY-011", "RELAY-004"] "Preferences deny everybody: who names a tag that the client expects is let through, and nobody else is." => tag;
    "relay/tag-forgotten" ["RELAY-004", "RELAY-011"] "The client forgets a tag, which then is good for nothing." => tag_forgotten;
    "relay/tag-of-an-earlier-login" ["RELAY-006"] "A user who has logged out and in again is not reached by a tag of the login before." => tag_of_before;
    "relay/tags-at-the-bound" ["RELAY-005", "LIM-001"] "A client expects 256 tags, one of them twice, and then one more." => tags_bound;
    "relay/number-of-the-server" ["RELAY-008"] "A client opens a link under an even number." => |world| bad_number(world, &[2]);
    "relay/number-again" ["RELAY-008"] "A client opens a link under a number that it has used." => |world| bad_number(world, &[1, 1]);
    "relay/number-below" ["RELAY-008"] "A client opens a link under a number below one that it has used." => |world| bad_number(world, &[5, 3]);
    "relay/never-asked-for" ["RELAY-023"] "Bytes come for a link that nobody asked for." => |world| before_opened(world, None, |link| data(link, b"x"));
    "relay/bytes-before-opened" ["RELAY-023"] "The caller sends bytes before the link is opened." => |world| before_opened(world, Some(()), |link| data(link, b"x"));
    "relay/credit-before-opened" ["RELAY-023"] "The caller gives credit before the link is opened." => |world| before_opened(world, Some(()), |link| credit(link, 1));
    "relay/opened-by-caller" ["RELAY-023"] "The caller itself says that the link is opened." => |world| before_opened(world, Some(()), |link| Ok(ToServer::RelayOpened(RelayOpened { link })));
    "relay/opened-twice" ["RELAY-023", "RELAY-027"] "The called client says twice that the link is opened." => opened_twice;
    "relay/late" ["RELAY-024"] "The called side goes on for a moment on a link that the caller has closed." => late;
    "relay/at-the-window" ["LIM-001", "RELAY-020"] "A whole window is sent, credit for it comes back, and another window is sent." => at_the_window;
    "relay/more-than-the-window" ["RELAY-021", "RELAY-027"] "One byte more than the window has room for closes the caller's connection; the called side is told." => above_the_window;
    "relay/more-than-the-window-back" ["RELAY-021", "RELAY-027"] "One byte more than the window has room for closes the called client's connection; the caller is told." => above_the_window_back;
    "relay/credit-for-nothing" ["RELAY-022", "RELAY-027"] "Credit for bytes that nobody sent closes the connection." => credit_for_nothing;
    "relay/untaken-link" ["RELAY-025", "LIM-004"] "Nobody takes the bytes of one link; another one between the same clients goes on, and so does everything else." => untaken;
    "relay/during-the-login" ["LOGIN-043", "RELAY-014"] "While the record of a login is not answered, somebody calls and gets relay-close; the first that the client hears is logged-in." => during_the_login;
    "relay/closed-by-caller" ["RELAY-026"] "The caller closes an open link." => |world| closed(world, true);
    "relay/closed-by-called" ["RELAY-026"] "The called client closes an open link." => |world| closed(world, false);
    "relay/taken-back" ["RELAY-026"] "The caller closes a link that is not opened yet." => taken_back;
    "relay/refused-by-client" ["RELAY-014"] "The called client does not want the link." => refused_by_client;
    "relay/caller-lost" ["RELAY-027"] "The caller's connection is lost." => |world| lost(world, true);
    "relay/called-lost" ["RELAY-027"] "The called client's connection is lost." => |world| lost(world, false);
    "relay/called-logs-out" ["RELAY-027"] "The called user logs out." => logs_out;
    "relay/called-replaced" ["RELAY-027"] "The called user logs in a second time." => replaced;
    "relay/links-at-the-bound" ["RELAY-017", "LIM-001"] "A user has 128 links, and can neither call nor be called until one of them is over." => links_bound;
    "relay/before-login" ["WIRE-034", "WIRE-065"] "A client that is not logged in opens a link." => before_login;
    "relay/by-another-server" ["RELAY-009", "RELAY-010", "RELAY-020", "RELAY-007"] "The called user is at another server: it is asked in the caller's name, and bytes go both ways." => away;
    "relay/member-at-another-server" ["RELAY-009"] "A member at another server is called by its tag." => away_by_tag;
    "relay/another-server-refuses" ["RELAY-014"] "The other server does not open the link." => away_refused;
    "relay/another-server-lost" ["RELAY-014", "RELAY-027"] "The connection with the other server is lost before and after the link is opened." => away_lost;
    "relay/another-server-unreachable" ["RELAY-014"] "The location service and the other server cannot be reached." => unreachable;
    "relay/another-server-floods" ["RELAY-021", "RELAY-027"] "The other server sends more than the window has room for." => away_floods;
    "relay/for-another-server" ["RELAY-012", "RELAY-011", "RELAY-020", "RELAY-007"] "Another server calls in the name of its user: the called client is told, and bytes go both ways." => for_another;
    "relay/for-another-server-denied" ["RELAY-014", "RELAY-011"] "Another server calls for nobody, for one who is elsewhere, and for one who denies the caller; nobody else is asked." => for_another_denied;
    "relay/for-another-server-number" ["RELAY-008"] "Another server calls under an even number." => for_another_number;
};

fn data(link: LinkNumber, bytes: &[u8]) -> Result<ToServer, Failure> {
    let bytes = bytes.to_vec().try_into().map_err(Failure::harness)?;
    Ok(ToServer::RelayData(RelayData { link, bytes }))
}

fn credit(link: LinkNumber, bytes: u64) -> Result<ToServer, Failure> {
    let bytes = bytes.try_into().map_err(Failure::harness)?;
    Ok(ToServer::RelayCredit(RelayCredit { link, bytes }))
}

fn to_user(user: &UserHandle) -> Called {
    Called::User(user.clone())
}

fn to_member(user: &UserHandle, relay: RelayTag) -> Called {
    Called::Member(TaggedUser { relay, handle: user.clone() })
}

async fn call(client: &mut Client, link: LinkNumber, called: Called) -> Done {
    client.send(&ToServer::RelayOpen(RelayOpen { link, called })).await
}

async fn is_closed(client: &mut Client, link: LinkNumber) -> Done {
    want!(client.next().await?, FromServer::RelayClose(body) if body.link == link => (); "relay-close")
}

async fn is_opened(client: &mut Client, link: LinkNumber) -> Done {
    want!(client.next().await?, FromServer::RelayOpened(body) if body.link == link => (); "relay-opened")
}

/// The client is called by this user: the link's number.
async fn is_called(client: &mut Client, caller: &UserHandle) -> Result<LinkNumber, Failure> {
    want!(
        client.next().await?,
        FromServer::RelayIncoming(body) if body.caller == *caller && body.link.0 % 2 == 0 => body.link;
        "relay-incoming by the caller, under an even number"
    )
}

async fn gets(client: &mut Client, link: LinkNumber, bytes: &[u8]) -> Done {
    let got = want!(client.next().await?, FromServer::RelayData(body) if body.link == link => body.bytes; "relay-data")?;
    expect_equal("the bytes", &bytes, &got.as_slice())
}

async fn gets_credit(client: &mut Client, link: LinkNumber, bytes: u64) -> Done {
    want!(
        client.next().await?,
        FromServer::RelayCredit(body) if body.link == link && u64::from(body.bytes) == bytes => ();
        "relay-credit"
    )
}

/// Two users who are logged in at the server.
struct Two {
    caller: User,
    called: User,
    from: Client,
    to: Client,
}

impl Two {
    async fn new(stage: &Stage) -> Result<Self, Failure> {
        let (caller, called) = (stage.account().await?, stage.account().await?);
        let (from, to) = (stage.logged_in(&caller).await?, stage.logged_in(&called).await?);
        Ok(Self { caller, called, from, to })
    }

    /// A link that stands: its number at the called side.
    async fn link(&mut self, link: LinkNumber) -> Result<LinkNumber, Failure> {
        call(&mut self.from, link, to_user(&self.called.handle)).await?;
        let there = is_called(&mut self.to, &self.caller.handle).await?;
        self.to.send(&ToServer::RelayOpened(RelayOpened { link: there })).await?;
        is_opened(&mut self.from, link).await?;
        Ok(there)
    }
}

async fn not_in_time(world: Arc<World>) -> Done {
    let mut two = Two::new(&Stage::shared(&world).await?).await?;
    call(&mut two.from, ONE, to_user(&two.called.handle)).await?;
    let there = is_called(&mut two.to, &two.caller.handle).await?;
    is_closed(&mut two.from, ONE).await?;
    is_closed(&mut two.to, there).await?;
    // What the called client says now is late.
    two.to.send(&ToServer::RelayOpened(RelayOpened { link: there })).await?;
    two.to.probe().await?;
    two.from.probe().await
}

async fn opens(world: Arc<World>) -> Done {
    let mut two = Two::new(&Stage::shared(&world).await?).await?;
    let one = two.link(ONE).await?;
    let other = two.link(LinkNumber(7)).await?;
    expect_equal("ascending numbers", &true, &(other > one))
}

async fn passes(world: Arc<World>) -> Done {
    let mut two = Two::new(&Stage::shared(&world).await?).await?;
    let there = two.link(LinkNumber(5)).await?;
    let pieces: Vec<Vec<u8>> = (0..20u8).map(|number| vec![number; 1 + usize::from(number) * 50]).collect();
    for piece in &pieces {
        two.from.send(&data(LinkNumber(5), piece)?).await?;
    }
    for piece in &pieces {
        gets(&mut two.to, there, piece).await?;
    }
    two.to.send(&credit(there, 700)?).await?;
    gets_credit(&mut two.from, LinkNumber(5), 700).await?;
    two.to.send(&data(there, b"and back")?).await?;
    gets(&mut two.from, LinkNumber(5), b"and back").await?;
    two.from.send(&credit(LinkNumber(5), 8)?).await?;
    gets_credit(&mut two.to, there, 8).await
}

async fn same_no(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let caller = stage.account().await?;
    let (away, denying) = (stage.account().await?, stage.account().await?);
    let mut client = stage.logged_in(&denying).await?;
    client.set(&profile(0, &[], &[], false)).await?.map_err(|code| Failure::unexpected("set", code))?;
    let mut frames = Vec::new();
    for user in [&stage.stranger()?.handle, &away.handle, &denying.handle] {
        let mut from = stage.logged_in(&caller).await?;
        call(&mut from, ONE, to_user(user)).await?;
        frames.push(from.next_frame().await?);
        from.log_out().await?;
    }
    client.probe().await?;
    expect_equal("the answer for one who is away", &frames.first(), &frames.get(1))?;
    expect_equal("the answer of one who denies", &frames.first(), &frames.get(2))
}

async fn refused_at_a_beat(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let (_, mut client, mut other, elsewhere) = apart(&stage).await?;
    let denying = stage.account().await?;
    let mut there = stage.logged_in(&denying).await?;
    there.set(&profile(0, &[], &[], false)).await?.map_err(|code| Failure::unexpected("set", code))?;
    for (number, user) in [(1, &stage.stranger()?.handle), (3, &denying.handle), (5, &elsewhere)] {
        let sent = Instant::now();
        call(&mut client, LinkNumber(number), to_user(user)).await?;
        if *user == elsewhere {
            let asked = other.relay_call().await?;
            asked.say(FromPeerServer::RelayClose(RelayClose { link: asked.body().link }));
        }
        is_closed(&mut client, LinkNumber(number)).await?;
        a_beat_later(sent)?;
    }
    there.probe().await
}

async fn with_preferences(two: &mut Two, deny: bool, allow: bool, default: bool) -> Done {
    let caller = two.caller.handle.to_string();
    let list = |has: bool| if has { vec![caller.as_str()] } else { vec![] };
    let set = two.to.set(&profile(0, &list(deny), &list(allow), default)).await?;
    set.map(drop).map_err(|code| Failure::unexpected("preferences-set", code))
}

async fn denied(world: Arc<World>) -> Done {
    let mut two = Two::new(&Stage::shared(&world).await?).await?;
    with_preferences(&mut two, true, true, true).await?;
    call(&mut two.from, ONE, to_user(&two.called.handle)).await?;
    is_closed(&mut two.from, ONE).await?;
    two.to.probe().await
}

async fn by_default(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let mut two = Two::new(&stage).await?;
    two.link(ONE).await?;
    let mut two = Two::new(&stage).await?;
    with_preferences(&mut two, false, true, false).await?;
    two.link(ONE).await?;
    let mut two = Two::new(&stage).await?;
    with_preferences(&mut two, false, false, false).await?;
    call(&mut two.from, ONE, to_user(&two.called.handle)).await?;
    is_closed(&mut two.from, ONE).await?;
    two.to.probe().await
}

/// The called user's preferences deny everybody, and the client expects a tag.
async fn expecting(stage: &Stage) -> Result<Two, Failure> {
    let mut two = Two::new(stage).await?;
    with_preferences(&mut two, true, false, false).await?;
    two.to.send(&ToServer::RelayExpect(RelayExpect { relay: TAG })).await?;
    two.to.probe().await?;
    Ok(two)
}

async fn tag(world: Arc<World>) -> Done {
    let mut two = expecting(&Stage::shared(&world).await?).await?;
    call(&mut two.from, ONE, to_user(&two.called.handle)).await?;
    is_closed(&mut two.from, ONE).await?;
    call(&mut two.from, LinkNumber(3), to_member(&two.called.handle, RelayTag([1; 16]))).await?;
    is_closed(&mut two.from, LinkNumber(3)).await?;
    call(&mut two.from, LinkNumber(5), to_member(&two.called.handle, TAG)).await?;
    let there = is_called(&mut two.to, &two.caller.handle).await?;
    two.to.send(&ToServer::RelayOpened(RelayOpened { link: there })).await?;
    is_opened(&mut two.from, LinkNumber(5)).await
}

async fn tag_forgotten(world: Arc<World>) -> Done {
    let mut two = expecting(&Stage::shared(&world).await?).await?;
    two.to.send(&ToServer::RelayForget(RelayForget { relay: TAG })).await?;
    two.to.probe().await?;
    call(&mut two.from, ONE, to_member(&two.called.handle, TAG)).await?;
    is_closed(&mut two.from, ONE).await?;
    two.to.probe().await
}

async fn tag_of_before(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let mut two = expecting(&stage).await?;
    two.to.log_out().await?;
    two.to = stage.logged_in(&two.called).await?;
    call(&mut two.from, ONE, to_member(&two.called.handle, TAG)).await?;
    is_closed(&mut two.from, ONE).await?;
    two.to.probe().await
}

async fn tags_bound(world: Arc<World>) -> Done {
    let mut two = Two::new(&Stage::shared(&world).await?).await?;
    let tag = |number: u128| ToServer::RelayExpect(RelayExpect { relay: RelayTag(number.to_be_bytes()) });
    for number in 0..256 {
        two.to.send(&tag(number)).await?;
    }
    two.to.send(&tag(0)).await?;
    two.to.probe().await?;
    two.to.send(&tag(256)).await?;
    two.to.closed_with(ErrorCode::LimitReached).await?;
    two.from.probe().await
}

async fn bad_number(world: Arc<World>, numbers: &'static [u64]) -> Done {
    let stage = Stage::shared(&world).await?;
    let user = stage.account().await?;
    let mut client = stage.logged_in(&user).await?;
    let nobody = stage.stranger()?.handle;
    let (last, good) = numbers.split_last().ok_or_else(|| Failure::harness("no number"))?;
    for number in good {
        call(&mut client, LinkNumber(*number), to_user(&nobody)).await?;
        is_closed(&mut client, LinkNumber(*number)).await?;
    }
    call(&mut client, LinkNumber(*last), to_user(&nobody)).await?;
    client.closed_with(ErrorCode::UnexpectedMessage).await
}

async fn before_opened(
    world: Arc<World>,
    asked_for: Option<()>,
    message: fn(LinkNumber) -> Result<ToServer, Failure>,
) -> Done {
    let mut two = Two::new(&Stage::shared(&world).await?).await?;
    if asked_for.is_some() {
        call(&mut two.from, ONE, to_user(&two.called.handle)).await?;
        is_called(&mut two.to, &two.caller.handle).await?;
    }
    two.from.send(&message(ONE)?).await?;
    two.from.closed_with(ErrorCode::UnexpectedMessage).await
}

async fn opened_twice(world: Arc<World>) -> Done {
    let mut two = Two::new(&Stage::shared(&world).await?).await?;
    let there = two.link(ONE).await?;
    two.to.send(&ToServer::RelayOpened(RelayOpened { link: there })).await?;
    two.to.closed_with(ErrorCode::UnexpectedMessage).await?;
    is_closed(&mut two.from, ONE).await
}

async fn late(world: Arc<World>) -> Done {
    let mut two = Two::new(&Stage::shared(&world).await?).await?;
    let there = two.link(ONE).await?;
    two.from.send(&ToServer::RelayClose(RelayClose { link: ONE })).await?;
    is_closed(&mut two.to, there).await?;
    let close = ToServer::RelayClose(RelayClose { link: there });
    for message in [data(there, b"late")?, credit(there, 4)?, close.clone(), close] {
        two.to.send(&message).await?;
    }
    two.to.probe().await?;
    two.from.probe().await
}

/// Sends a whole window from the caller, which the called client gets.
async fn fill(two: &mut Two, link: LinkNumber, there: LinkNumber) -> Done {
    for _ in 0..2 {
        two.from.send(&data(link, &[9; DATA_MAX])?).await?;
        gets(&mut two.to, there, &[9; DATA_MAX]).await?;
    }
    Ok(())
}

async fn at_the_window(world: Arc<World>) -> Done {
    let mut two = Two::new(&Stage::shared(&world).await?).await?;
    let there = two.link(ONE).await?;
    for _ in 0..3 {
        fill(&mut two, ONE, there).await?;
        two.to.send(&credit(there, WINDOW)?).await?;
        gets_credit(&mut two.from, ONE, WINDOW).await?;
    }
    two.from.probe().await
}

async fn above_the_window(world: Arc<World>) -> Done {
    let mut two = Two::new(&Stage::shared(&world).await?).await?;
    let there = two.link(ONE).await?;
    fill(&mut two, ONE, there).await?;
    two.from.send(&data(ONE, b"x")?).await?;
    two.from.closed_with(ErrorCode::LimitReached).await?;
    is_closed(&mut two.to, there).await?;
    two.to.probe().await
}

async fn above_the_window_back(world: Arc<World>) -> Done {
    let mut two = Two::new(&Stage::shared(&world).await?).await?;
    let there = two.link(ONE).await?;
    for _ in 0..2 {
        two.to.send(&data(there, &[9; DATA_MAX])?).await?;
        gets(&mut two.from, ONE, &[9; DATA_MAX]).await?;
    }
    two.to.send(&data(there, b"x")?).await?;
    two.to.closed_with(ErrorCode::LimitReached).await?;
    is_closed(&mut two.from, ONE).await?;
    two.from.probe().await
}

async fn credit_for_nothing(world: Arc<World>) -> Done {
    let mut two = Two::new(&Stage::shared(&world).await?).await?;
    let there = two.link(ONE).await?;
    two.from.send(&data(ONE, b"five!")?).await?;
    gets(&mut two.to, there, b"five!").await?;
    two.to.send(&credit(there, 6)?).await?;
    two.to.closed_with(ErrorCode::LimitReached).await?;
    is_closed(&mut two.from, ONE).await?;
    two.from.probe().await
}

async fn untaken(world: Arc<World>) -> Done {
    let mut two = Two::new(&Stage::shared(&world).await?).await?;
    let untaken = two.link(ONE).await?;
    let there = two.link(LinkNumber(3)).await?;
    fill(&mut two, ONE, untaken).await?;
    // The first link is full, and stays so.
    for _ in 0..50 {
        two.from.send(&data(LinkNumber(3), b"in turn")?).await?;
        gets(&mut two.to, there, b"in turn").await?;
        two.to.send(&credit(there, 7)?).await?;
        gets_credit(&mut two.from, LinkNumber(3), 7).await?;
    }
    two.to.probe().await?;
    two.from.probe().await
}

async fn closed(world: Arc<World>, by_caller: bool) -> Done {
    let mut two = Two::new(&Stage::shared(&world).await?).await?;
    let there = two.link(ONE).await?;
    if by_caller {
        two.from.send(&data(ONE, b"last")?).await?;
        two.from.send(&ToServer::RelayClose(RelayClose { link: ONE })).await?;
        gets(&mut two.to, there, b"last").await?;
        is_closed(&mut two.to, there).await?;
    } else {
        two.to.send(&data(there, b"last")?).await?;
        two.to.send(&ToServer::RelayClose(RelayClose { link: there })).await?;
        gets(&mut two.from, ONE, b"last").await?;
        is_closed(&mut two.from, ONE).await?;
    }
    two.link(LinkNumber(3)).await.map(drop)
}

async fn taken_back(world: Arc<World>) -> Done {
    let mut two = Two::new(&Stage::shared(&world).await?).await?;
    call(&mut two.from, ONE, to_user(&two.called.handle)).await?;
    let there = is_called(&mut two.to, &two.caller.handle).await?;
    two.from.send(&ToServer::RelayClose(RelayClose { link: ONE })).await?;
    is_closed(&mut two.to, there).await
}

async fn refused_by_client(world: Arc<World>) -> Done {
    let mut two = Two::new(&Stage::shared(&world).await?).await?;
    call(&mut two.from, ONE, to_user(&two.called.handle)).await?;
    let there = is_called(&mut two.to, &two.caller.handle).await?;
    two.to.send(&ToServer::RelayClose(RelayClose { link: there })).await?;
    is_closed(&mut two.from, ONE).await
}

async fn lost(world: Arc<World>, caller: bool) -> Done {
    let mut two = Two::new(&Stage::shared(&world).await?).await?;
    let there = two.link(ONE).await?;
    if caller {
        two.from.cut().await?;
        is_closed(&mut two.to, there).await?;
        two.to.probe().await
    } else {
        two.to.cut().await?;
        is_closed(&mut two.from, ONE).await?;
        two.from.probe().await
    }
}

async fn logs_out(world: Arc<World>) -> Done {
    let mut two = Two::new(&Stage::shared(&world).await?).await?;
    two.link(ONE).await?;
    two.to.log_out().await?;
    is_closed(&mut two.from, ONE).await
}

async fn replaced(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let mut two = Two::new(&stage).await?;
    two.link(ONE).await?;
    let _second = stage.logged_in(&two.called).await?;
    is_closed(&mut two.from, ONE).await?;
    two.to.replaced().await.map(drop)
}

async fn links_bound(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let mut two = Two::new(&stage).await?;
    for number in 0..128 {
        two.link(LinkNumber(2 * number + 1)).await?;
    }
    let third = stage.account().await?;
    let mut third_client = stage.logged_in(&third).await?;
    // The caller has no place left, and neither has the called user.
    call(&mut two.from, LinkNumber(1001), to_user(&third.handle)).await?;
    is_closed(&mut two.from, LinkNumber(1001)).await?;
    call(&mut third_client, ONE, to_user(&two.called.handle)).await?;
    is_closed(&mut third_client, ONE).await?;
    two.from.send(&ToServer::RelayClose(RelayClose { link: ONE })).await?;
    want!(two.to.next().await?, FromServer::RelayClose(_) => (); "relay-close")?;
    two.link(LinkNumber(1003)).await.map(drop)
}

async fn before_login(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let (user, other) = (stage.account().await?, stage.account().await?);
    let mut client = stage.client(&user).await?;
    call(&mut client, ONE, to_user(&other.handle)).await?;
    client.closed_with(ErrorCode::UnexpectedMessage).await
}

/// A user of the server, and one who is logged in at a played one.
async fn apart(stage: &Stage) -> Result<(User, Client, Played, UserHandle), Failure> {
    let caller = stage.account().await?;
    let client = stage.logged_in(&caller).await?;
    let other = stage.played("other").await?;
    let called = other.user()?;
    stage.node().put(called.id, other.record(1));
    Ok((caller, client, other, called))
}

async fn away(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let (caller, mut client, mut other, called) = apart(&stage).await?;
    call(&mut client, LinkNumber(9), to_user(&called)).await?;
    let asked = other.relay_call().await?;
    let link = asked.body().link;
    expect_equal("an odd number", &1, &(link.0 % 2))?;
    let expected = RelayCall { link, called: to_user(&called), caller: caller.handle };
    expect_equal("the call", &expected, asked.body())?;
    asked.say(FromPeerServer::RelayOpened(RelayOpened { link }));
    is_opened(&mut client, LinkNumber(9)).await?;
    client.send(&data(LinkNumber(9), b"there")?).await?;
    let came = other.relay_data().await?;
    expect_equal("the bytes", &b"there".as_slice(), &came.body().bytes.as_slice())?;
    let bytes = b"and back".to_vec().try_into().map_err(Failure::harness)?;
    asked.say(FromPeerServer::RelayData(RelayData { link, bytes }));
    gets(&mut client, LinkNumber(9), b"and back").await?;
    client.send(&credit(LinkNumber(9), 8)?).await?;
    expect_equal("credit", &8, &other.relay_credit().await?.body().bytes.count())?;
    asked.say(FromPeerServer::RelayCredit(RelayCredit {
        link,
        bytes: 5u64.try_into().map_err(Failure::harness)?,
    }));
    gets_credit(&mut client, LinkNumber(9), 5).await?;
    client.send(&ToServer::RelayClose(RelayClose { link: LinkNumber(9) })).await?;
    expect_equal("the link that ends", &link, &other.relay_close().await?.body().link)
}

async fn away_by_tag(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let (_, mut client, mut other, called) = apart(&stage).await?;
    call(&mut client, ONE, to_member(&called, TAG)).await?;
    expect_equal("who is called", &to_member(&called, TAG), &other.relay_call().await?.body().called)
}

async fn away_refused(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let (_, mut client, mut other, called) = apart(&stage).await?;
    call(&mut client, ONE, to_user(&called)).await?;
    let asked = other.relay_call().await?;
    asked.say(FromPeerServer::RelayClose(RelayClose { link: asked.body().link }));
    is_closed(&mut client, ONE).await
}

async fn away_lost(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let (_, mut client, mut other, called) = apart(&stage).await?;
    call(&mut client, ONE, to_user(&called)).await?;
    other.relay_call().await?.cut();
    is_closed(&mut client, ONE).await?;
    call(&mut client, LinkNumber(3), to_user(&called)).await?;
    let asked = other.relay_call().await?;
    asked.say(FromPeerServer::RelayOpened(RelayOpened { link: asked.body().link }));
    is_opened(&mut client, LinkNumber(3)).await?;
    asked.cut();
    is_closed(&mut client, LinkNumber(3)).await?;
    client.probe().await
}

async fn unreachable(world: Arc<World>) -> Done {
    let stage = Stage::alone(&world, Alone::default()).await?;
    let (_, mut client, other, called) = apart(&stage).await?;
    other.stop();
    call(&mut client, ONE, to_user(&called)).await?;
    is_closed(&mut client, ONE).await?;
    stage.node().go_down();
    call(&mut client, LinkNumber(3), to_user(&called)).await?;
    is_closed(&mut client, LinkNumber(3)).await
}

async fn away_floods(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let (_, mut client, mut other, called) = apart(&stage).await?;
    call(&mut client, ONE, to_user(&called)).await?;
    let asked = other.relay_call().await?;
    let link = asked.body().link;
    asked.say(FromPeerServer::RelayOpened(RelayOpened { link }));
    is_opened(&mut client, ONE).await?;
    for _ in 0..2 {
        let bytes = vec![3; DATA_MAX].try_into().map_err(Failure::harness)?;
        asked.say(FromPeerServer::RelayData(RelayData { link, bytes }));
        gets(&mut client, ONE, &[3; DATA_MAX]).await?;
    }
    let bytes = vec![3].try_into().map_err(Failure::harness)?;
    asked.say(FromPeerServer::RelayData(RelayData { link, bytes }));
    is_closed(&mut client, ONE).await?;
    asked.watch().closed_with(ErrorCode::LimitReached).await?;
    client.probe().await
}

/// A server that calls in the name of its user, and a user whom it calls.
async fn calling(stage: &Stage) -> Result<(PeerLink, UserHandle, User, Client), Failure> {
    let other = stage.played("other").await?;
    let (peer, caller) = (other.dial(stage).await?, other.user()?);
    let called = stage.account().await?;
    let client = stage.logged_in(&called).await?;
    Ok((peer, caller, called, client))
}

async fn for_another(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let (mut peer, caller, called, mut client) = calling(&stage).await?;
    let call = RelayCall { link: ONE, called: to_user(&called.handle), caller: caller.clone() };
    peer.send(&ToPeerServer::RelayCall(call)).await?;
    let there = is_called(&mut client, &caller).await?;
    client.send(&ToServer::RelayOpened(RelayOpened { link: there })).await?;
    want!(peer.next().await?, FromPeerServer::RelayOpened(body) if body.link == ONE => (); "relay-opened")?;
    let bytes = b"there".to_vec().try_into().map_err(Failure::harness)?;
    peer.send(&ToPeerServer::RelayData(RelayData { link: ONE, bytes })).await?;
    gets(&mut client, there, b"there").await?;
    client.send(&credit(there, 5)?).await?;
    want!(peer.next().await?, FromPeerServer::RelayCredit(body) if body.bytes.count() == 5 => (); "relay-credit")?;
    client.send(&data(there, b"back")?).await?;
    let came = want!(peer.next().await?, FromPeerServer::RelayData(body) if body.link == ONE => body.bytes; "relay-data")?;
    expect_equal("the bytes", &b"back".as_slice(), &came.as_slice())?;
    client.send(&ToServer::RelayClose(RelayClose { link: there })).await?;
    want!(peer.next().await?, FromPeerServer::RelayClose(body) if body.link == ONE => (); "relay-close")
}

async fn during_the_login(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let (other, called) = (stage.played("other").await?, stage.account().await?);
    let (mut peer, caller) = (other.dial(&stage).await?, other.user()?);
    let mut held = stage.node().hold(called.handle.id);
    let mut client = stage.client(&called).await?;
    client.ask_login().await?;
    let insert = held.next().await?;
    let call = |link| RelayCall { link, called: to_user(&called.handle), caller: caller.clone() };
    peer.send(&ToPeerServer::RelayCall(call(ONE))).await?;
    want!(peer.next().await?, FromPeerServer::RelayClose(body) if body.link == ONE => (); "relay-close")?;
    insert.carry_out();
    client.logged_in().await?;
    peer.send(&ToPeerServer::RelayCall(call(LinkNumber(3)))).await?;
    is_called(&mut client, &caller).await.map(drop)
}

async fn for_another_denied(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let (mut peer, caller, called, mut client) = calling(&stage).await?;
    let third = stage.played("third").await?;
    let elsewhere = third.user()?;
    stage.node().put(elsewhere.id, third.record(1));
    let set = client.set(&profile(0, &[&caller.to_string()], &[], true)).await?;
    set.map_err(|code| Failure::unexpected("preferences-set", code))?;
    for (number, user) in [&stage.stranger()?.handle, &elsewhere, &called.handle].into_iter().enumerate() {
        let link = LinkNumber(u64::try_from(2 * number + 1).map_err(Failure::harness)?);
        let call = RelayCall { link, called: to_user(user), caller: caller.clone() };
        peer.send(&ToPeerServer::RelayCall(call)).await?;
        want!(peer.next().await?, FromPeerServer::RelayClose(body) if body.link == link => (); "relay-close")?;
    }
    expect_equal("what the third server was asked", &0, &third.asked())?;
    client.probe().await
}

async fn for_another_number(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let (mut peer, caller, called, mut client) = calling(&stage).await?;
    let call = RelayCall { link: LinkNumber(2), called: to_user(&called.handle), caller };
    peer.send(&ToPeerServer::RelayCall(call)).await?;
    peer.closed_with(ErrorCode::UnexpectedMessage).await?;
    client.probe().await
}
