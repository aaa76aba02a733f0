//! The registration port (chapter *Registration*): accounts for keys whose possession is proved.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use antiphon_protocol::{
    certificate::{IssueError, Serial, UserIssuer, Validity},
    connection::Accepted,
    key::{KeyError, PublicKey},
    signed,
    tls::{Clock, Current, now},
};
use antiphon_spec::{
    account::profile::Answer,
    channel::{Request as _, receive_at_registrar},
    error_code::ErrorCode,
    identity::{KeyHash, ObjectHandle, UserHandle},
    limits::USER_CERTIFICATE_LIFETIME,
    message::common::RequestId,
    message::registration::{
        FromRegistrar, Possession, Register, Registered, Rotate, Succession, ToRegistrar,
    },
    rate::Class,
    registration_code::RegistrationCode,
};
use aws_lc_rs::digest::{SHA256, digest};
use tokio::net::TcpStream;
use tracing::{debug, error, info};

use super::{home::Home, location::Location};
use crate::{
    config::{GivenCode, RegistrationPolicy},
    mutant::{Mutant, active},
    net::{self, Asker, Link, Origin, Pace, Rates, Refuses as _, Serving, respond},
    store::{Account, CodeHash, Rotated, ServerStore, StoreError},
};

/// What makes accounts.
#[derive(Debug)]
pub(crate) struct Registrar {
    pub(crate) issuer: Current<Arc<UserIssuer>>,
    pub(crate) store: ServerStore,
    pub(crate) home: Home,
    pub(crate) location: Location,
    pub(crate) policy: RegistrationPolicy,
    pub(crate) codes: Codes,
    pub(crate) clock: Clock,
    pub(crate) rates: Arc<Rates>,
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
enum RegistrarError {
    #[error("refused: {0}")]
    Refused(ErrorCode),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Issue(#[from] IssueError),
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl Registrar {
    pub(crate) async fn serve(
        self: Arc<Self>,
        serving: Serving,
        accepted: Accepted<TcpStream>,
        origin: Origin,
    ) {
        if serving.draining.is_cancelled() {
            let _ = accepted.refuse::<ToRegistrar>(ErrorCode::ShuttingDown).await;
            return;
        }
        let Ok(connection) = accepted.greet::<ToRegistrar>().await else { return };
        let limits = &serving.limits;
        let link =
            Link::accepted(connection, serving.allowance(), &serving.tracker, serving.shutdown.clone());
        let link = link.paced(Pace::new(&self.rates, &Asker::Address(origin.address)));
        let answer = |request| {
            let registrar = &self;
            async move { registrar.answer(request, origin.address).await }
        };
        let end = respond(
            link,
            receive_at_registrar,
            (limits.requests_per_connection, serving.allowance()),
            answer,
            drop,
        )
        .await;
        debug!(?end, "a registration connection has ended");
    }

    async fn answer(&self, request: ToRegistrar, from: IpAddr) -> Option<FromRegistrar> {
        let id = request.question()?.0;
        // Before the proof is looked at: that is what costs.
        if !self.rates.allow(&Asker::Address(from), Class::Register) {
            return Some(FromRegistrar::refused(id, ErrorCode::LimitReached));
        }
        let answer = match request {
            ToRegistrar::Register(request) => self.register(request).await.map(FromRegistrar::Registered),
            ToRegistrar::Rotate(request) => self.rotate(request).await.map(FromRegistrar::Rotated),
            ToRegistrar::Ping(_) | ToRegistrar::Pong(_) | ToRegistrar::Goodbye(_) | ToRegistrar::Error(_) => {
                return None;
            }
        };
        Some(match answer {
            Ok(answer) => answer,
            Err(RegistrarError::Refused(code)) => FromRegistrar::refused(id, code),
            Err(error @ (RegistrarError::Store(_) | RegistrarError::Issue(_) | RegistrarError::Key(_))) => {
                error!(error = net::chain(&error), "a registration cannot be carried out");
                FromRegistrar::refused(id, ErrorCode::Internal)
            }
        })
    }

    //= spec/text/registration.md#replacing-a-key
    //# REG-029: A server MUST answer a good `rotate` for a key that has an account with the account's handle and a certificate for the successor, and from then on find the account under the successor.
    async fn rotate(&self, request: Rotate) -> Result<Registered, RegistrarError> {
        let (key, successor) =
            self.prove_succession(&request).ok_or(RegistrarError::Refused(ErrorCode::ProofRefused))?;
        let account = match self.store.rotate(&key.key_hash(), &successor.key_hash()).await? {
            Rotated::Account(account) => account,
            Rotated::NoAccount => return Err(RegistrarError::Refused(ErrorCode::NoSuchUser)),
            Rotated::Refused => return Err(RegistrarError::Refused(ErrorCode::ProofRefused)),
        };
        // After the replacement, so that nobody can log in with the old key in between; each time, in case this server
        // died in between.
        if !active(Mutant::RotatedLoginKept) && self.home.end_login(account.user).await != Answer::CheckedIn {
            return Err(RegistrarError::Refused(ErrorCode::Internal));
        }
        info!("the key of an account was replaced");
        self.certify(request.id, account, &successor)
    }

    /// The two keys of a request, if both have signed that one takes the other's place, at this server.
    fn prove_succession(&self, request: &Rotate) -> Option<(PublicKey, PublicKey)> {
        let key = PublicKey::from_der(&request.key).ok()?;
        let successor = PublicKey::from_der(&request.successor).ok()?;
        let is_this = |claims: Succession| {
            claims.key == request.key
                && claims.successor == request.successor
                && claims.server == *self.issuer.now().home()
        };
        let has_proved = is_this(signed::verify(&request.proof, &successor).ok()?);
        let has_consented =
            active(Mutant::ConsentUnchecked) || is_this(signed::verify(&request.consent, &key).ok()?);
        (has_proved && has_consented).then_some((key, successor))
    }

    async fn register(&self, request: Register) -> Result<Registered, RegistrarError> {
        let key = self.prove(&request).ok_or(RegistrarError::Refused(ErrorCode::ProofRefused))?;
        let account = self.account(&key, &request.code).await?;
        self.certify(request.id, account, &key)
    }

    /// A certificate for the key of an account.
    fn certify(
        &self,
        id: RequestId,
        account: Account,
        key: &PublicKey,
    ) -> Result<Registered, RegistrarError> {
        let issuer = self.issuer.now();
        let handle = UserHandle { id: account.user, home: issuer.home().clone() };
        let validity = Validity::starting(now(&self.clock), USER_CERTIFICATE_LIFETIME);
        let chain = issuer.issue(&handle, key, validity, serial()?)?;
        let chain = chain.iter().map(|certificate| serde_bytes::ByteBuf::from(certificate.to_vec()));
        Ok(Registered { id, chain: chain.collect(), handle })
    }

    /// The key of a request, if its possession is proved, to this server.
    fn prove(&self, request: &Register) -> Option<PublicKey> {
        let key = PublicKey::from_der(&request.key).ok()?;
        if active(Mutant::PossessionUnchecked) {
            return Some(key);
        }
        let Possession { key: proved, server } = signed::verify(&request.proof, &key).ok()?;
        let is_ours = server == *self.issuer.now().home() || active(Mutant::PossessionServerUnchecked);
        (proved == request.key && is_ours).then_some(key)
    }

    /// The account of a key: the one that it has, or a new one (`REG-007`), if the policy lets it have one.
    async fn account(&self, key: &PublicKey, code: &RegistrationCode) -> Result<Account, RegistrarError> {
        let mut hash = key.key_hash();
        if active(Mutant::RegistrationRepeated) {
            // A key that was never seen before, each time.
            hash = net::entropy().map_or(hash, KeyHash);
        }
        if let Some(account) = self.store.account(&hash).await? {
            if account.has_ended && !active(Mutant::EndedKeyRegistered) {
                return Err(RegistrarError::Refused(ErrorCode::NoSuchUser));
            }
            if active(Mutant::CodeOfAccountJudged) && self.policy == RegistrationPolicy::ByCode {
                self.codes.judge(code, &self.store).await?;
            }
            return Ok(account);
        }
        if self.store.is_replaced(&hash).await? && !active(Mutant::ReplacedKeyRegistered) {
            return Err(RegistrarError::Refused(ErrorCode::ProofRefused));
        }
        let code = match self.policy {
            RegistrationPolicy::Open => None,
            RegistrationPolicy::Closed if active(Mutant::ClosedRegistrationOpen) => None,
            RegistrationPolicy::Closed => return Err(RegistrarError::Refused(ErrorCode::RegistrationClosed)),
            RegistrationPolicy::ByCode => self.codes.judge(code, &self.store).await?,
        };
        let issued = match net::entropy() {
            Ok(bytes) if active(Mutant::UserIdMadeUp) => Ok(ObjectHandle(bytes)),
            _ => self.location.issue().await,
        };
        let user = issued.map_err(|_| RegistrarError::Refused(ErrorCode::LocationUnreachable))?;
        let account = self.store.create_account(&hash, user, now(&self.clock), code).await?;
        let account = account.ok_or(RegistrarError::Refused(ErrorCode::CodeRefused))?;
        info!("a new account was made");
        debug!(user = %account.user, "the new account");
        Ok(account)
    }
}

/// The registration codes that the operator gives out, and for how many accounts each.
///
/// Only hashes are kept and compared, so that the time that it takes tells nothing of a code.
#[derive(Debug)]
pub(crate) struct Codes(BTreeMap<CodeHash, u32>);

impl Codes {
    pub(crate) fn new(given: &[GivenCode]) -> Self {
        Self(given.iter().map(|given| (hash(&given.code), given.accounts)).collect())
    }

    /// The code, if it is one and isn't used up; the store judges once more when it makes the account.
    async fn judge(
        &self,
        code: &RegistrationCode,
        store: &ServerStore,
    ) -> Result<Option<(CodeHash, u32)>, RegistrarError> {
        let refused = RegistrarError::Refused(ErrorCode::CodeRefused);
        let hash = hash(code);
        let accounts = match self.0.get(&hash) {
            Some(_) if active(Mutant::CodeUsedUpTaken) => u32::MAX,
            Some(accounts) => *accounts,
            None if active(Mutant::CodeUnjudged) => return Ok(None),
            None => return Err(refused),
        };
        if store.made_with(&hash).await? < accounts { Ok(Some((hash, accounts))) } else { Err(refused) }
    }
}

fn hash(code: &RegistrationCode) -> CodeHash {
    let digest = digest(&SHA256, code.as_str().as_bytes());
    let mut hash = [0; 32];
    // SHA-256 has as many bytes as this.
    hash.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
    CodeHash(hash)
}

/// A serial number that nobody can guess; for the mutant, one after the other.
fn serial() -> Result<Serial, KeyError> {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    if active(Mutant::SerialNumberCounted) {
        return Ok(Serial(u128::from(COUNT.fetch_add(1, Ordering::Relaxed)).to_be_bytes()));
    }
    Serial::random()
}
