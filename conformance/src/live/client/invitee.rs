//! A client that is invited: whose user is asked, and what the inviter hears.

use std::sync::Arc;

use antiphon_spec::{
    error_code::ErrorCode,
    identity::UserHandle,
    message::client_client::*,
    policy::{HandleSet, Preferences, Verdict},
    session::SessionId,
};
use serde_json::json;

use super::{
    chain::{admit, epoch_of, first, invite, ticket},
    live_cases,
    realm::Realm,
    scene::{A, Chair, Scene, named, tag_of, welcome},
};
use crate::{
    case::Failure,
    live::{LiveCase, World},
};

pub(super) const CASES: &[LiveCase] = live_cases! {
    "invitee/accepts" ["SESS-031", "SESS-009"] "the user accepts, and the inviter hears it over the link" => accepts;
    "invitee/tags-differ" ["SESS-160", "SESS-031"] "two invitations that are accepted, and a session of the client's own: three tags" => tags_differ;
    "invitee/invites-each-other" ["SESS-196"] twin "invitee/accepts"
        "the user invites somebody, who has invited the user to another session" => invites_each_other;
    "invitee/refuses" ["SESS-029"] twin "invitee/accepts" "the user refuses" => refuses;
    "invitee/denied" ["PREF-003", "PREF-001"] twin "invitee/allowed" "the deny list has the inviter, and the user is not told" => |world| denied(world, deny_inviter);
    "invitee/denied-by-default" ["PREF-003", "PREF-001"] twin "invitee/allowed" "the default denies the inviter, and the user is not told" => |world| denied(world, deny_all);
    "invitee/denied-though-allowed" ["PREF-001", "PREF-003"] twin "invitee/allowed" "both lists have the inviter" => |world| denied(world, deny_and_allow);
    "invitee/allowed" ["PREF-001"] "the default denies everybody, and the allow list has the inviter" => allowed;
    "invitee/same-id-of-other-home" ["PREF-002", "PREF-004"] twin "invitee/denied" "the deny list has the inviter's user ID at another home" => other_home;
    "invitee/set-preferences-judge-at-once" ["PREF-003"] "the user changes the preferences, and the next inviter is denied" => changed_preferences;
    "invitee/rejects-alike" ["SESS-030"] "a reject of the user and one of the preferences are the same bytes" => rejects_alike;
    "invitee/cancelled" ["SESS-037", "SESS-025"] "the inviter takes the invitation back, and may invite again" => cancelled;
    "invitee/cancelled-after-join" ["SESS-037"] "the inviter takes the invitation back after the user has accepted" => cancelled_after_join;
    "invitee/session-id-forged" ["SESS-003", "SESS-002"] twin "invitee/accepts" "the session ID is not the origin's" => forged;
    "invitee/invited-twice" ["SESS-009"] twin "invitee/accepts" "somebody else invites to the session to which there is an invitation" => invited_twice;
    "invitee/invited-while-joining" ["SESS-009"] twin "invitee/accepts" "somebody else invites to the session that the user has accepted to join" => invited_while_joining;
    "invitee/welcome-before-join" ["SESS-024"] "a welcome comes before the user has answered" => welcome_before_join;
    "invitee/second-invite-on-link" ["SESS-024"] "a second invite comes on the link of the invitation" => invite_on_link;
    "invitee/admit-of-another" ["SESS-038", "SESS-008"] "somebody else talks about the session to which there is an invitation" => admit_of_another;
    "invitee/link-lost" ["SESS-123"] "the link of an invitation is lost, and another invitation stands" => link_lost;
    "invitee/many-invitations" ["LIM-002", "LIM-001"] "32 open invitations of one inviter" => many;
};

async fn accepts(world: Arc<World>) -> Result<(), Failure> {
    let mut scene = Scene::new(&world).await?;
    let epoch = epoch_of(&scene.a, &[&scene.b])?;
    let (mut link, _) = scene.accepted(&epoch).await?;
    link.alive().await
}

async fn invites_each_other(world: Arc<World>) -> Result<(), Failure> {
    let scene = Scene::new(&world).await?;
    let theirs = first(&scene.a, 9);
    let (mut chair, mut invited) = Chair::inviting_in(scene).await?;
    let mut inviting = chair.scene.invited(&theirs).await?;
    // Both may come to something: the client joins the one, and lets the other person into its own.
    chair.scene.client.take("accept", theirs.session).await?;
    inviting.invited(theirs.session).await?;
    let newcomer = chair.scene.a.member();
    chair.join(&mut invited, &newcomer).await.map(drop)
}

async fn tags_differ(world: Arc<World>) -> Result<(), Failure> {
    let mut scene = Scene::new(&world).await?;
    let (one, two) = (first(&scene.a, 8), first(&scene.a, 9));
    let (_one, by_one) = scene.accepted(&one).await?;
    let (_two, by_two) = scene.accepted(&two).await?;
    let own = tag_of(&scene.client.done(json!({"command": "create"}), "created").await?)?;
    let tags = [by_one.relay, by_two.relay, own];
    if std::collections::BTreeSet::from(tags).len() == tags.len() {
        Ok(())
    } else {
        Err(Failure::unexpected("three different tags", format!("{tags:?}")))
    }
}

async fn refuses(world: Arc<World>) -> Result<(), Failure> {
    let mut scene = Scene::new(&world).await?;
    let epoch = epoch_of(&scene.a, &[])?;
    let mut link = scene.invited(&epoch).await?;
    scene.client.take("reject", epoch.session).await?;
    link.hears_step(epoch.session, InvitationBody::Reject(Reject {})).await?;
    link.left().await
}

fn set(handles: &[UserHandle]) -> Result<HandleSet, Failure> {
    HandleSet::try_from(handles.to_vec()).map_err(Failure::harness)
}

fn deny_inviter(realm: &Realm) -> Result<Preferences, Failure> {
    Ok(Preferences { deny: set(&[realm.home.handle(A)])?, ..Preferences::default() })
}

fn deny_all(_: &Realm) -> Result<Preferences, Failure> {
    Ok(Preferences { default: Verdict::Deny, ..Preferences::default() })
}

fn deny_and_allow(realm: &Realm) -> Result<Preferences, Failure> {
    Ok(Preferences { allow: set(&[realm.home.handle(A)])?, ..deny_inviter(realm)? })
}

async fn denied(
    world: Arc<World>,
    preferences: fn(&Realm) -> Result<Preferences, Failure>,
) -> Result<(), Failure> {
    let mut scene = Scene::preferring(&world, preferences).await?;
    let epoch = epoch_of(&scene.a, &[])?;
    let mut link = scene.dial(&scene.a).await?;
    link.invitation(epoch.session, invite(&epoch)).await?;
    link.hears_step(epoch.session, InvitationBody::Reject(Reject {})).await?;
    link.left().await?;
    scene.client.has_not_told("invited").await
}

async fn allowed(world: Arc<World>) -> Result<(), Failure> {
    let preferences =
        |realm: &Realm| Ok(Preferences { allow: set(&[realm.home.handle(A)])?, ..deny_all(realm)? });
    let mut scene = Scene::preferring(&world, preferences).await?;
    let epoch = epoch_of(&scene.a, &[])?;
    scene.accepted(&epoch).await.map(drop)
}

async fn other_home(world: Arc<World>) -> Result<(), Failure> {
    let preferences = |realm: &Realm| {
        Ok(Preferences { deny: set(&[realm.elsewhere.handle(A)])?, ..Preferences::default() })
    };
    let mut scene = Scene::preferring(&world, preferences).await?;
    let epoch = epoch_of(&scene.a, &[])?;
    scene.accepted(&epoch).await.map(drop)
}

async fn changed_preferences(world: Arc<World>) -> Result<(), Failure> {
    let mut scene = Scene::new(&world).await?;
    let (one, two) = (first(&scene.a, 1), first(&scene.a, 2));
    let mut link = scene.invited(&one).await?;
    let command =
        json!({"command": "set-preferences", "allow": [], "deny": [scene.a.handle], "default": "allow"});
    scene.client.done(command, "preferences-set").await?;
    let mut denied = scene.dial(&scene.a).await?;
    denied.invitation(two.session, invite(&two)).await?;
    denied.hears_step(two.session, InvitationBody::Reject(Reject {})).await?;
    denied.left().await?;
    scene.client.has_not_told("invited").await?;
    link.alive().await
}

async fn rejects_alike(world: Arc<World>) -> Result<(), Failure> {
    let mut scene = Scene::new(&world).await?;
    let epoch = epoch_of(&scene.a, &[])?;
    let mut by_user = scene.invited(&epoch).await?;
    scene.client.take("reject", epoch.session).await?;
    let by_user = [by_user.read().await?, by_user.read().await?, by_user.read().await?];
    let command = json!({"command": "set-preferences", "allow": [], "deny": [], "default": "deny"});
    scene.client.done(command, "preferences-set").await?;
    let mut by_preferences = scene.dial(&scene.a).await?;
    by_preferences.invitation(epoch.session, invite(&epoch)).await?;
    let by_preferences =
        [by_preferences.read().await?, by_preferences.read().await?, by_preferences.read().await?];
    // A message has one encoding, so equal messages are equal bytes.
    if by_user == by_preferences {
        Ok(())
    } else {
        Err(Failure::unexpected(format!("{by_user:?}"), format!("{by_preferences:?}")))
    }
}

async fn cancelled(world: Arc<World>) -> Result<(), Failure> {
    let mut scene = Scene::new(&world).await?;
    let epoch = epoch_of(&scene.a, &[])?;
    let mut link = scene.invited(&epoch).await?;
    link.invitation(epoch.session, InvitationBody::Cancel(Cancel {})).await?;
    link.left().await?;
    scene.client.tells("ended", json!({"session": named(epoch.session)})).await?;
    scene.accepted(&epoch).await.map(drop)
}

async fn cancelled_after_join(world: Arc<World>) -> Result<(), Failure> {
    let mut scene = Scene::new(&world).await?;
    let epoch = epoch_of(&scene.a, &[])?;
    let (mut link, _) = scene.accepted(&epoch).await?;
    link.invitation(epoch.session, InvitationBody::Cancel(Cancel {})).await?;
    link.left().await?;
    scene.client.tells("ended", json!({"session": named(epoch.session)})).await
}

async fn forged(world: Arc<World>) -> Result<(), Failure> {
    let mut scene = Scene::new(&world).await?;
    let epoch = epoch_of(&scene.a, &[])?;
    let mut link = scene.dial(&scene.a).await?;
    link.invitation(SessionId([1; 32]), invite(&epoch)).await?;
    link.refused(ErrorCode::SessionIdForged).await?;
    scene.client.has_not_told("invited").await
}

async fn invited_twice(world: Arc<World>) -> Result<(), Failure> {
    let mut scene = Scene::new(&world).await?;
    let epoch = epoch_of(&scene.a, &[&scene.b])?;
    let mut first = scene.invited(&epoch).await?;
    let mut second = scene.dial(&scene.b).await?;
    second.invitation(epoch.session, invite(&epoch)).await?;
    second.hears_step(epoch.session, InvitationBody::Reject(Reject {})).await?;
    second.left().await?;
    scene.client.has_not_told("invited").await?;
    scene.client.take("accept", epoch.session).await?;
    first.invited(epoch.session).await.map(drop)
}

async fn invited_while_joining(world: Arc<World>) -> Result<(), Failure> {
    let mut scene = Scene::new(&world).await?;
    let epoch = epoch_of(&scene.a, &[&scene.b])?;
    let (mut first, _) = scene.accepted(&epoch).await?;
    let mut second = scene.dial(&scene.b).await?;
    second.invitation(epoch.session, invite(&epoch)).await?;
    second.hears_step(epoch.session, InvitationBody::Reject(Reject {})).await?;
    second.left().await?;
    first.alive().await
}

async fn welcome_before_join(world: Arc<World>) -> Result<(), Failure> {
    let mut scene = Scene::new(&world).await?;
    let epoch = epoch_of(&scene.a, &[])?;
    let mut link = scene.invited(&epoch).await?;
    let ticket = ticket(&epoch, &scene.b.member(), &scene.a, &scene.a)?;
    link.invitation(epoch.session, welcome(&epoch, &ticket)).await?;
    link.refused(ErrorCode::UnexpectedMessage).await
}

async fn invite_on_link(world: Arc<World>) -> Result<(), Failure> {
    let mut scene = Scene::new(&world).await?;
    let epoch = epoch_of(&scene.a, &[])?;
    let mut link = scene.invited(&epoch).await?;
    link.invitation(epoch.session, invite(&epoch)).await?;
    link.refused(ErrorCode::UnexpectedMessage).await
}

async fn admit_of_another(world: Arc<World>) -> Result<(), Failure> {
    let mut scene = Scene::new(&world).await?;
    let epoch = epoch_of(&scene.a, &[])?;
    let mut link = scene.invited(&epoch).await?;
    let ticket = ticket(&epoch, &scene.b.member(), &scene.a, &scene.a)?;
    let mut other = scene.dial(&scene.b).await?;
    other.say(&epoch, admit(ticket)).await?;
    other.refused(ErrorCode::NoSuchSession).await?;
    scene.client.take("accept", epoch.session).await?;
    link.invited(epoch.session).await.map(drop)
}

async fn link_lost(world: Arc<World>) -> Result<(), Failure> {
    let mut scene = Scene::new(&world).await?;
    let (one, two) = (first(&scene.a, 1), first(&scene.a, 2));
    let lost = scene.invited(&one).await?;
    let mut stands = scene.invited(&two).await?;
    drop(lost);
    scene.client.tells("ended", json!({"session": named(one.session)})).await?;
    scene.client.take("accept", two.session).await?;
    stands.invited(two.session).await.map(drop)
}

async fn many(world: Arc<World>) -> Result<(), Failure> {
    let mut scene = Scene::new(&world).await?;
    let mut links = Vec::new();
    for nonce in 1..=32 {
        let epoch = first(&scene.a, nonce);
        links.push((scene.invited(&epoch).await?, epoch));
    }
    let (Some((first, one)), Some((last, other))) = ({
        let mut links = links.into_iter();
        (links.next(), links.next_back())
    }) else {
        return Err(Failure::harness("no links"));
    };
    for (mut link, epoch) in [(first, one), (last, other)] {
        scene.client.take("accept", epoch.session).await?;
        link.invited(epoch.session).await?;
    }
    Ok(())
}
