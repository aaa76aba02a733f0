//! Messages (chapter *Wire*, sections *Messages*, *Greeting* and *States*): what the grammar doesn't have, what may not
//! come now, and that nothing of either is acted upon.

use std::sync::Arc;

use antiphon_protocol::channel::Channel;
use antiphon_spec::{
    error_code::ErrorCode::{self, Malformed, NotDeterministic, UnexpectedMessage},
    message::location::ToDirectoryNode,
};

use super::{
    encoding::closed,
    item_is_closed,
    line::{Heard, Line, frame, item},
    refused, taken,
};
use crate::{
    case::Failure,
    live::{
        LiveCase, World,
        server::stage::{Done, Stage, expect_equal},
    },
};

/// The cases of this file.
pub(super) const CASES: &[LiveCase] = &[
    closed!(
        "message-of-no-name", "WIRE-030", "A message has a name that no rule has.",
        ClientServer, b"\xa1\x67whisper\xa0", Malformed
    ),
    closed!(
        "message-of-another-channel", "WIRE-030", "A user sends a check-out, which servers send.",
        ClientServer, b"\xa1\x69check-out\xa2\x62id\x01\x64user\x500123456789abcdef", Malformed
    ),
    closed!(
        "message-of-a-user-from-a-server", "WIRE-030", "A server sends a logout, which users send.",
        ServerServer, b"\xa1\x66logout\xa1\x62id\x01", Malformed
    ),
    closed!(
        "message-of-a-user-to-the-registrar", "WIRE-030", "Somebody who registers sends a logout, which users send.",
        Registration, b"\xa1\x66logout\xa1\x62id\x01", Malformed
    ),
    closed!(
        "message-of-the-other-direction", "WIRE-030", "A user sends the answer to a logout.",
        ClientServer, b"\xa1\x6alogged-out\xa1\x62id\x01", Malformed
    ),
    closed!(
        "message-refused-by-a-dialler", "WIRE-030", "A server that dialled refuses a request that nobody made.",
        ServerServer, b"\xa1\x67refused\xa2\x62id\x01\x64code\x6bunavailable", Malformed
    ),
    closed!(
        "greeting-of-a-dialler", "WIRE-030", "A user greets, which only the accepting end does on this channel.",
        ClientServer, b"\xa1\x68greeting\xa1\x67version\x01", Malformed
    ),
    closed!(
        "greeting-of-a-dialling-server", "WIRE-030", "A server that dialled greets, which only the accepting end does on this channel.",
        ServerServer, b"\xa1\x68greeting\xa1\x67version\x01", Malformed
    ),
    closed!(
        "greeting-to-the-registrar", "WIRE-030", "Somebody who registers greets, which only the accepting end does on this channel.",
        Registration, b"\xa1\x68greeting\xa1\x67version\x01", Malformed
    ),
    closed!(
        "message-without-an-entry", "WIRE-030", "A message is an empty map.",
        ClientServer, b"\xa0", Malformed
    ),
    closed!(
        "message-of-two-entries", "WIRE-030", "A message is a ping and a pong at once.",
        ClientServer, b"\xa2\x64ping\xa1\x66number\x01\x64pong\xa1\x66number\x01", Malformed
    ),
    closed!(
        "message-that-is-a-text", "WIRE-030", "A message is its name alone.",
        ClientServer, b"\x64ping", Malformed
    ),
    closed!(
        "message-that-is-an-array", "WIRE-030", "A message is an array of its name and its body.",
        ServerServer, b"\x82\x64ping\xa1\x66number\x01", Malformed
    ),
    closed!(
        "message-with-a-number-for-a-name", "WIRE-030", "A message has a number as its name.",
        ClientServer, b"\xa1\x04\xa1\x66number\x01", Malformed
    ),
    closed!(
        "field-too-many", "WIRE-031", "A ping has a field that the grammar doesn't have.",
        ClientServer, b"\xa1\x64ping\xa2\x64time\x01\x66number\x01", Malformed
    ),
    closed!(
        "field-too-many-of-a-server", "WIRE-031", "A check-in has a field that the grammar doesn't have.",
        ServerServer, b"\xa1\x68check-in\xa4\x62id\x01\x64user\x500123456789abcdef\x65epoch\x01\x65force\xf5", Malformed
    ),
    closed!(
        "field-in-a-goodbye", "WIRE-031", "A goodbye has a field.",
        Registration, b"\xa1\x67goodbye\xa1\x66reason\x00", Malformed
    ),
    closed!(
        "field-missing", "WIRE-032", "A ping has no number.",
        ClientServer, b"\xa1\x64ping\xa0", Malformed
    ),
    closed!(
        "field-missing-of-a-server", "WIRE-032", "A check-in has no epoch.",
        ServerServer, b"\xa1\x68check-in\xa2\x62id\x01\x64user\x500123456789abcdef", Malformed
    ),
    closed!(
        "field-missing-in-a-registration", "WIRE-032", "A registration has no proof.",
        Registration, b"\xa1\x68register\xa2\x62id\x01\x63key\x41\x00", Malformed
    ),
    closed!(
        "field-of-another-type", "WIRE-033", "The number of a ping is a text.",
        ClientServer, b"\xa1\x64ping\xa1\x66number\x611", Malformed
    ),
    closed!(
        "field-that-is-negative", "WIRE-033", "The number of a ping is -1.",
        ServerServer, b"\xa1\x64ping\xa1\x66number\x20", Malformed
    ),
    closed!(
        "field-that-is-a-truth-value", "WIRE-033", "The number of a ping is true.",
        Registration, b"\xa1\x64ping\xa1\x66number\xf5", Malformed
    ),
    closed!(
        "body-that-is-an-array", "WIRE-033", "The body of a ping is an array with the number.",
        ClientServer, b"\xa1\x64ping\x81\x01", Malformed
    ),
    closed!(
        "text-that-is-bytes", "WIRE-033", "The address of a login is a byte string.",
        ClientServer, b"\xa1\x65login\xa2\x62id\x01\x67address\x4e192.0.2.1:4000", Malformed
    ),
    closed!(
        "handle-of-15-bytes", "WIRE-033", "The handle in a check-out has 15 bytes.",
        ServerServer, b"\xa1\x69check-out\xa2\x62id\x01\x64user\x4f0123456789abcde", Malformed
    ),
    closed!(
        "handle-in-upper-case", "WIRE-033", "The handle in a lookup has an upper-case digit.",
        ClientServer, b"\xa1\x66lookup\xa2\x62id\x01\x64user\x78\x2d0000000000000000000000000000000A@home.example", Malformed
    ),
    closed!(
        "handle-with-a-home-in-upper-case", "WIRE-033", "The home server in a handle is written in upper case.",
        ClientServer, b"\xa1\x66lookup\xa2\x62id\x01\x64user\x78\x2d0000000000000000000000000000000a@Home.example", Malformed
    ),
    closed!(
        "address-with-zeros-in-front", "WIRE-033", "The port in a login's address begins with 0.",
        ClientServer, b"\xa1\x65login\xa2\x62id\x01\x67address\x6e192.0.2.1:0400", Malformed
    ),
    closed!(
        "address-that-is-a-name", "WIRE-033", "The address of a login is a DNS name with a port.",
        ClientServer, b"\xa1\x65login\xa2\x62id\x01\x67address\x6elocalhost:4000", Malformed
    ),
    closed!(
        "error-of-no-code", "WIRE-033", "A user closes with a code that the grammar doesn't have.",
        ClientServer, b"\xa1\x65error\xa1\x64code\x65tired", Malformed
    ),
    closed!(
        "lookup-before-login", "WIRE-034", "A user who isn't logged in looks another up.",
        ClientServer, b"\xa1\x66lookup\xa2\x62id\x01\x64user\x78\x2d0000000000000000000000000000000a@home.example", UnexpectedMessage
    ),
    closed!(
        "logout-before-login", "WIRE-034", "A user who isn't logged in logs out.",
        ClientServer, b"\xa1\x66logout\xa1\x62id\x01", UnexpectedMessage
    ),
    closed!(
        "preferences-before-login", "WIRE-034", "A user who isn't logged in sets preferences.",
        ClientServer,
        b"\xa1\x6fset-preferences\xa3\x62id\x01\x67version\x00\x69messaging\xa3\x64deny\x80\x65allow\x80\x67default\x65allow",
        UnexpectedMessage
    ),
    taken(
        "wire/message-right-is-acted-upon",
        &["WIRE-065"],
        "The login from which the refused ones differ in one thing is carried out: the directory node gets one record.",
        |world| Box::pin(acted_upon(world, &[])),
    ),
    refused(
        "wire/message-with-a-field-is-not-acted-upon",
        &["WIRE-035", "WIRE-031"],
        "wire/message-right-is-acted-upon",
        "A login has a field too many: no record is made until the user logs in as the grammar has it.",
        |world| Box::pin(acted_upon(world, &[(b"\xa1\x65login\xa3\x62id\x01\x64then\x01\x67address\x6e192.0.2.1:4000", Malformed)])),
    ),
    refused(
        "wire/message-with-bytes-behind-is-not-acted-upon",
        &["WIRE-035", "WIRE-017"],
        "wire/message-right-is-acted-upon",
        "A byte follows a login in its frame: no record is made until the user logs in as the grammar has it.",
        |world| Box::pin(acted_upon(world, &[(b"\xa1\x65login\xa2\x62id\x01\x67address\x6e192.0.2.1:4000\x00", Malformed)])),
    ),
    refused(
        "wire/message-not-deterministic-is-not-acted-upon",
        &["WIRE-035", "WIRE-018"],
        "wire/message-right-is-acted-upon",
        "A login's ID isn't in its shortest form: no record is made until the user logs in as the grammar has it.",
        |world| {
            Box::pin(acted_upon(
                world,
                &[(b"\xa1\x65login\xa2\x62id\x18\x01\x67address\x6e192.0.2.1:4000", NotDeterministic)],
            ))
        },
    ),
    refused(
        "wire/nothing-behind-an-error-is-acted-upon",
        &["WIRE-054", "WIRE-034"],
        "wire/message-right-is-acted-upon",
        "A login that is right stands in one TLS record behind a logout that may not come: it makes no record.",
        |world| Box::pin(acted_upon(world, &[(b"\xa1\x66logout\xa1\x62id\x01", UnexpectedMessage)])),
    ),
];

/// A login as the grammar has it.
const LOGIN: &[u8] = b"\xa1\x65login\xa2\x62id\x01\x67address\x6e192.0.2.1:4000";

/// A user sends what is refused, each on a connection of its own and with a login behind it; then a login alone, which is
/// the only one that reaches the directory node.
async fn acted_upon(world: Arc<World>, refused: &[(&[u8], ErrorCode)]) -> Done {
    let stage = Stage::shared(&world).await?;
    let user = stage.account().await?;
    for (bytes, code) in refused {
        let mut line = Line::open(&stage, Channel::ClientServer, Some(&user.credentials)).await?;
        line.send(&[frame(bytes)?, frame(LOGIN)?].concat()).await?;
        line.closed_with(&[*code]).await?;
    }
    let mut line = Line::open(&stage, Channel::ClientServer, Some(&user.credentials)).await?;
    line.send_item(LOGIN).await?;
    match line.hear().await? {
        Heard::Message(name, _) if name == "logged-in" => {}
        heard @ (Heard::Message(..) | Heard::Closed | Heard::Alert(_) | Heard::Cut(_)) => {
            return Err(Failure::unexpected("logged-in", heard.shown()));
        }
    }
    let inserted = stage.node().log(user.handle.id);
    let count = inserted.iter().filter(|request| matches!(request, ToDirectoryNode::Insert(_))).count();
    expect_equal("records made", &1, &count)?;
    line.send_item(&item("ping", "number", 9)?).await?;
    line.ponged(9).await
}
