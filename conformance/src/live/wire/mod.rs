//! Cases of what every connection has in common: TLS, frames, the one encoding, the messages that begin, keep alive
//! and end a connection, and who is let in.

mod certificates;
mod encoding;
mod frames;
mod line;
mod liveness;
mod messages;
mod tls;

use std::sync::Arc;

use antiphon_protocol::{channel::Channel, tls::Credentials};
use antiphon_spec::{error_code::ErrorCode, identity::Identity};

use self::line::Line;
use super::{
    LiveCase, World,
    server::stage::{Done, Stage},
};
use crate::case::{Failure, LiveTest, Role};

/// The cases of this folder, section by section.
pub(super) fn cases() -> impl Iterator<Item = LiveCase> {
    [liveness::CASES, certificates::CASES, tls::CASES, frames::CASES, encoding::CASES, messages::CASES]
        .into_iter()
        .flatten()
        .copied()
}

/// A case in which the text takes what comes.
const fn taken(
    id: &'static str,
    requirements: &'static [&'static str],
    about: &'static str,
    test: LiveTest,
) -> LiveCase {
    LiveCase { id, role: Role::Server, requirements, twin: None, about, test }
}

/// A case in which the text refuses what comes, and the case that differs from it in one thing and is taken.
const fn refused(
    id: &'static str,
    requirements: &'static [&'static str],
    twin: &'static str,
    about: &'static str,
    test: LiveTest,
) -> LiveCase {
    LiveCase { id, role: Role::Server, requirements, twin: Some(twin), about, test }
}

/// What somebody who may use a channel proves who it is with: a user or a server that nobody has heard of.
fn credentials(stage: &Stage, channel: Channel) -> Result<Option<Credentials>, Failure> {
    Ok(match channel {
        Channel::Registration => None,
        Channel::ServerServer => {
            let name = format!("dialler-{}.example", stage.number()).parse().map_err(Failure::harness)?;
            Some(stage.pki().credentials(&Identity::Server(name))?)
        }
        Channel::ClientServer | Channel::ClientClient | Channel::Location => {
            Some(stage.stranger()?.credentials)
        }
    })
}

/// A connection of somebody new on a channel of the server under test, greeted.
async fn open(stage: &Stage, channel: Channel) -> Result<Line, Failure> {
    Line::open(stage, channel, credentials(stage, channel)?.as_ref()).await
}

/// Sends bytes on a fresh connection, with a good ping behind them: an error with one of these codes is the only
/// thing that comes back, and a connection of somebody else goes on.
async fn is_closed(world: Arc<World>, channel: Channel, bytes: &[u8], codes: &[ErrorCode]) -> Done {
    let stage = Stage::shared(&world).await?;
    let mut other = open(&stage, channel).await?;
    let mut line = open(&stage, channel).await?;
    let behind = line::frame(&line::item("ping", "number", 2)?)?;
    line.send(&[bytes, &behind].concat()).await?;
    line.closed_with(codes).await?;
    other.probe(3).await
}

/// As [`is_closed`], for an item in a frame.
async fn item_is_closed(world: Arc<World>, channel: Channel, item: &[u8], codes: &[ErrorCode]) -> Done {
    is_closed(world, channel, &line::frame(item)?, codes).await
}
