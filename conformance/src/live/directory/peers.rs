//! Who may ask, and what a connection has to keep to.

use antiphon_spec::{error_code::ErrorCode, identity::ObjectHandle, message::common::RequestId};

use super::{
    case,
    stage::{Done, Stage, Who, expect_equal},
};
use crate::{case::Failure, live::LiveCase};

/// The cases of this file.
pub(super) const CASES: &[LiveCase] = &[
    case(
        "directory/user-is-refused",
        &["CERT-021", "CERT-025"],
        Some("directory/find-nothing"),
        "A user asks on the location channel: the certificate is refused.",
        |world| Box::pin(async move { is_refused(&Stage::shared(&world).await?, Who::User).await }),
    ),
    case(
        "directory/server-of-another-root-is-refused",
        &["CERT-008", "CERT-025"],
        Some("directory/find-nothing"),
        "A server that another root vouches for is refused.",
        |world| Box::pin(async move { is_refused(&Stage::shared(&world).await?, Who::Stranger).await }),
    ),
    case(
        "directory/nobody-is-refused",
        &["CERT-024"],
        Some("directory/find-nothing"),
        "Who shows no certificate is refused.",
        |world| Box::pin(async move { is_refused(&Stage::shared(&world).await?, Who::Nobody).await }),
    ),
    case(
        "directory/server-without-the-key-is-refused",
        &["CERT-032", "CERT-033"],
        Some("directory/find-nothing"),
        "Somebody shows a server's certificate and signs with another key: refused.",
        |world| Box::pin(async move { is_refused(&Stage::shared(&world).await?, Who::Impostor).await }),
    ),
    case(
        "directory/server-without-key-usage-is-refused",
        &["CERT-030", "CERT-033"],
        Some("directory/find-nothing"),
        "A server whose certificate has no key usage is refused.",
        |world| Box::pin(async move { is_refused(&Stage::shared(&world).await?, Who::Unsigning).await }),
    ),
    case(
        "directory/many-requests-at-once",
        &["WIRE-058", "WIRE-059"],
        None,
        "Thirty requests go out before any is answered; each is answered once, with its ID.",
        |world| Box::pin(async move { many(&Stage::shared(&world).await?).await }),
    ),
    case(
        "directory/ping",
        &["WIRE-045"],
        None,
        "A ping is answered with a pong of its number, before any request.",
        |world| Box::pin(async move { Stage::shared(&world).await?.server().await?.probe().await }),
    ),
    case(
        "directory/trailing-byte",
        &["WIRE-017", "WIRE-055"],
        None,
        "A byte behind the item: malformed, and another server's connection goes on.",
        |world| {
            Box::pin(async move {
                fault(&Stage::shared(&world).await?, &with(PING, &[0]), ErrorCode::Malformed).await
            })
        },
    ),
    case(
        "directory/not-deterministic",
        &["WIRE-018", "WIRE-055"],
        None,
        "A number in more bytes than it needs: not-deterministic.",
        |world| {
            Box::pin(async move {
                fault(
                    &Stage::shared(&world).await?,
                    &with(PING_HEAD, &[0x18, 1]),
                    ErrorCode::NotDeterministic,
                )
                .await
            })
        },
    ),
    case(
        "directory/message-of-another-channel",
        &["WIRE-030", "WIRE-055"],
        None,
        "A message of another channel: malformed.",
        |world| {
            Box::pin(async move {
                fault(&Stage::shared(&world).await?, b"\xa1\x66logout\xa1\x62id\x01", ErrorCode::Malformed)
                    .await
            })
        },
    ),
    case(
        "directory/handle-too-short",
        &["IDENT-001", "WIRE-033"],
        None,
        "A find for a handle of 15 bytes: malformed.",
        |world| {
            Box::pin(
                async move { fault(&Stage::shared(&world).await?, &find_of(15), ErrorCode::Malformed).await },
            )
        },
    ),
    case(
        "directory/handle-too-long",
        &["IDENT-001", "WIRE-033"],
        None,
        "A find for a handle of 17 bytes: malformed.",
        |world| {
            Box::pin(
                async move { fault(&Stage::shared(&world).await?, &find_of(17), ErrorCode::Malformed).await },
            )
        },
    ),
    case(
        "directory/empty-frame",
        &["WIRE-012", "WIRE-055"],
        None,
        "A frame of length 0: frame-length.",
        |world| {
            Box::pin(async move { fault(&Stage::shared(&world).await?, &[], ErrorCode::FrameLength).await })
        },
    ),
];

/// `{"ping": {"number": 1}}`, and the same without the number's bytes.
const PING: &[u8] = b"\xa1\x64ping\xa1\x66number\x01";
const PING_HEAD: &[u8] = b"\xa1\x64ping\xa1\x66number";

fn with(head: &[u8], more: &[u8]) -> Vec<u8> {
    [head, more].concat()
}

/// A find with a handle of this many bytes, at most 23.
fn find_of(length: u8) -> Vec<u8> {
    let handle = vec![1; usize::from(length)];
    [b"\xa1\x64find\xa2\x62id\x01\x66handle".as_slice(), &[0x40 | length], &handle].concat()
}

async fn is_refused(stage: &Stage, who: Who) -> Done {
    let mut honest = stage.server().await?;
    stage.dial_is_refused(who).await?;
    // CERT-026: the others are served on.
    expect_equal("the records", &Vec::new(), &honest.find(stage.handle()?).await?)
}

async fn many(stage: &Stage) -> Done {
    let mut server = stage.server().await?;
    let mut open = std::collections::BTreeSet::new();
    for _ in 0..30 {
        open.insert(server.ask_find(stage.handle()?).await?);
    }
    while !open.is_empty() {
        let id: RequestId = server.found().await?;
        if !open.remove(&id) {
            return Err(Failure::unexpected(
                "one answer to each request",
                format!("another one to {}", id.0),
            ));
        }
    }
    server.probe().await
}

async fn fault(stage: &Stage, item: &[u8], code: ErrorCode) -> Done {
    let (mut honest, mut faulty) = (stage.server().await?, stage.server().await?);
    faulty.send_item(item).await?;
    faulty.closed_with(code).await?;
    expect_equal("the records", &Vec::new(), &honest.find(ObjectHandle([0x55; 16])).await?)
}
