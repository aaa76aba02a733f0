//! Registering: a key becomes an account (chapter *Registration*).

use std::sync::Arc;

use antiphon_protocol::{
    certificate::Trust,
    connection::{DialError, Dialler, Ended, SendError},
    key::KeyPair,
    message::ChannelMessage as _,
    signed::{SignError, sign},
    tls::Clock,
};
use antiphon_spec::{
    error_code::ErrorCode,
    identity::{Identity, UserHandle},
    limits::REQUEST_DEADLINE,
    message::{
        common::RequestId,
        registration::{FromRegistrar, Possession, Register, Registered, Rotate, Succession, ToRegistrar},
    },
    registration_code::RegistrationCode,
};
use rustls::pki_types::CertificateDer;

use super::{
    event::Refusal,
    identity::{Account, NotProved, prove},
    settings::{CLOSING_DEADLINE, ServerAddress},
};

/// Why there is no account.
#[derive(Debug, thiserror::Error)]
pub(super) enum RegistrationError {
    /// The server's name stands for no address.
    #[error("{server}: {source}")]
    Unresolved { server: ServerAddress, source: std::io::Error },
    /// There is no connection.
    #[error("{server}: {}", chain(.source))]
    Dial { server: ServerAddress, source: DialError },
    /// The connection ended.
    #[error("{server} did not answer: {}", chain(.source))]
    Ended { server: ServerAddress, source: Ended },
    /// The request could not be sent.
    #[error("{server}: {source}")]
    Send { server: ServerAddress, source: SendError },
    /// Nothing came.
    #[error("{server} did not answer within {} s", REQUEST_DEADLINE.as_secs())]
    Deadline { server: ServerAddress },
    /// The server does not want to.
    #[error("{server} refused: {}", Refusal::Protocol(*.code).detail())]
    Refused { server: ServerAddress, code: ErrorCode },
    /// The answer is for another request, or of another kind.
    #[error("{server} sent an answer that nobody had asked for")]
    Unexpected { server: ServerAddress },
    /// The chain is not of two certificates.
    #[error("{server} sent {length} certificates instead of two")]
    ChainLength { server: ServerAddress, length: usize },
    /// The certificates do not prove the account.
    #[error("{server} sent certificates that prove nothing: {source}")]
    NotProved { server: ServerAddress, source: NotProved },
    /// The certificates prove another account.
    #[error("{server} sent a certificate of {found} for {answered}")]
    OtherHandle { server: ServerAddress, found: UserHandle, answered: UserHandle },
    /// The proof could not be made.
    #[error("the proof of possession cannot be made: {0}")]
    Sign(#[from] SignError),
}

impl RegistrationError {
    pub(super) fn refusal(&self) -> Refusal {
        match self {
            Self::Refused { code, .. } => Refusal::Protocol(*code),
            Self::Unexpected { .. }
            | Self::ChainLength { .. }
            | Self::NotProved { .. }
            | Self::OtherHandle { .. } => Refusal::AnswerRefused,
            Self::Unresolved { .. }
            | Self::Dial { .. }
            | Self::Ended { .. }
            | Self::Send { .. }
            | Self::Deadline { .. } => Refusal::Unreachable,
            Self::Sign(_) => Refusal::Protocol(ErrorCode::Internal),
        }
    }
}

/// An error with its causes, in one line.
pub(super) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let said = cause.to_string();
        // A transparent error says the same as its source.
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        source = cause.source();
    }
    text
}

/// The ID of the one request of a connection.
const ID: RequestId = RequestId(1);

/// Asks for an account for the key, and believes the answer only if it proves one.
///
/// # Errors
/// See [`RegistrationError`].
pub(super) async fn register(
    server: ServerAddress,
    key: &KeyPair,
    code: RegistrationCode,
    trust: &Arc<Trust>,
    clock: &Clock,
) -> Result<Account, RegistrationError> {
    let public = key.public_key_der().to_vec();
    let proof = sign(key, &Possession { key: public.clone(), server: server.name.clone() })?;
    let request = ToRegistrar::Register(Register { id: ID, key: public, code, proof });
    let registered = ask(&server, request, trust, clock).await?;
    judge(registered, server, key, trust, clock)
}

/// Asks for a key to take the place of another one, and believes the answer only if it proves the account for it.
///
/// # Errors
/// See [`RegistrationError`].
pub(super) async fn rotate(
    server: ServerAddress,
    key: &KeyPair,
    successor: &KeyPair,
    trust: &Arc<Trust>,
    clock: &Clock,
) -> Result<Account, RegistrationError> {
    let succession = Succession {
        key: key.public_key_der().to_vec(),
        server: server.name.clone(),
        successor: successor.public_key_der().to_vec(),
    };
    let (proof, consent) = (sign(successor, &succession)?, sign(key, &succession)?);
    let Succession { key, successor: other, server: _ } = succession;
    let request = ToRegistrar::Rotate(Rotate { id: ID, key, proof, consent, successor: other });
    let rotated = ask(&server, request, trust, clock).await?;
    judge(rotated, server, successor, trust, clock)
}

/// Asks the registrar on a connection of its own.
async fn ask(
    server: &ServerAddress,
    request: ToRegistrar,
    trust: &Arc<Trust>,
    clock: &Clock,
) -> Result<Registered, RegistrationError> {
    let resolved = server.resolve().await;
    let address =
        resolved.map_err(|source| RegistrationError::Unresolved { server: server.clone(), source })?;
    let dialler = Dialler::new(None, Arc::clone(trust), Arc::clone(clock));
    let whom = Identity::Server(server.name.clone());
    let dialled = dialler.dial::<ToRegistrar>(address, &whom, None).await;
    let (_, mut connection) =
        dialled.map_err(|source| RegistrationError::Dial { server: server.clone(), source })?;

    let is_rotation = matches!(request, ToRegistrar::Rotate(_));
    let exchange = async {
        let send = |source| RegistrationError::Send { server: server.clone(), source };
        connection.send(&request).await.map_err(send)?;
        loop {
            let received = connection.receive().await;
            match received.map_err(|source| RegistrationError::Ended { server: server.clone(), source })? {
                FromRegistrar::Registered(body) if body.id == ID && !is_rotation => return Ok(body),
                FromRegistrar::Rotated(body) if body.id == ID && is_rotation => return Ok(body),
                FromRegistrar::Refused(refused) if refused.id == ID => {
                    return Err(RegistrationError::Refused { server: server.clone(), code: refused.code });
                }
                FromRegistrar::Ping(ping) => {
                    connection.send(&ToRegistrar::pong(ping.number)).await.map_err(send)?;
                }
                FromRegistrar::Pong(_) => {}
                FromRegistrar::Registered(_)
                | FromRegistrar::Rotated(_)
                | FromRegistrar::Refused(_)
                | FromRegistrar::Greeting(_)
                | FromRegistrar::Goodbye(_)
                | FromRegistrar::Error(_) => {
                    return Err(RegistrationError::Unexpected { server: server.clone() });
                }
            }
        }
    };
    let answer = tokio::time::timeout(REQUEST_DEADLINE, exchange)
        .await
        .unwrap_or_else(|_| Err(RegistrationError::Deadline { server: server.clone() }));
    let closing = async {
        match &answer {
            Err(RegistrationError::Unexpected { .. }) => {
                connection.close_with_error(ErrorCode::UnexpectedMessage).await
            }
            Err(RegistrationError::Ended { source: Ended::Violation(violation), .. }) => {
                connection.close_with_error(violation.code()).await
            }
            _ => connection.goodbye().await,
        }
    };
    // The answer counts, whatever becomes of the farewell.
    let _ = tokio::time::timeout(CLOSING_DEADLINE, closing).await;
    answer
}

//= spec/text/registration.md#the-answer
//# REG-017: A client MUST refuse an answer whose chain doesn't verify up to its root as the certificate of a user, with its own key and with the handle of the answer, whose home server is the server that it asked.
fn judge(
    registered: Registered,
    server: ServerAddress,
    key: &KeyPair,
    trust: &Trust,
    clock: &Clock,
) -> Result<Account, RegistrationError> {
    let certificates: Vec<CertificateDer<'static>> =
        registered.chain.into_iter().map(|certificate| certificate.into_vec().into()).collect();
    if certificates.len() != 2 {
        return Err(RegistrationError::ChainLength { server, length: certificates.len() });
    }
    let account = match prove(certificates, key, trust, clock) {
        Ok(account) => account,
        Err(source) => return Err(RegistrationError::NotProved { server, source }),
    };
    if account.handle != registered.handle || account.handle.home != server.name {
        let (found, answered) = (account.handle, registered.handle);
        return Err(RegistrationError::OtherHandle { server, found, answered });
    }
    Ok(account)
}
