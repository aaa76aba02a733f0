//! Who is there: a root, two servers, and people with keys, certificates and a place where their clients are dialled.

use std::{sync::Arc, time::Duration};

use antiphon_protocol::{
    certificate::{Authority, Serial, Template, Trust, UserIssuer, Validity, VerifiedPeer},
    connection::{AcceptError, Acceptor, Dialler},
    key::{KeyAlgorithm, KeyPair, PublicKey},
    tls::{Clock, Credentials, Port, SystemClock},
};
use antiphon_spec::{
    identity::{ContactAddress, Identity, ObjectHandle, ServerName, UserHandle},
    media_type::MediaTypes,
    message::client_client::ClientMessage,
    session::{Member, RelayTag},
    time::Timestamp,
};
use rustls::pki_types::CertificateDer;
use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};

use super::line::Link;
use crate::{case::Failure, live::reason, process::PATIENCE};

/// The home server of the client under test.
pub(super) const HOME: &str = "home.example";
/// Another server.
pub(super) const ELSEWHERE: &str = "elsewhere.example";

const DAY: Duration = Duration::from_secs(24 * 3600);

pub(super) fn clock() -> Clock {
    Arc::new(SystemClock)
}

pub(super) fn now() -> Timestamp {
    antiphon_protocol::tls::now(&clock())
}

pub(super) fn serial() -> Result<Serial, Failure> {
    Serial::random().map_err(Failure::harness)
}

/// Good now, for a day.
pub(super) fn today() -> Validity {
    Validity::starting(now(), DAY)
}

/// Over since an hour.
pub(super) fn yesterday() -> Validity {
    Validity { not_before: Timestamp(now().0 - 24 * 3600), not_after: Timestamp(now().0 - 3600) }
}

/// Good from tomorrow.
pub(super) fn tomorrow() -> Validity {
    Validity { not_before: Timestamp(now().0 + 24 * 3600), not_after: Timestamp(now().0 + 48 * 3600) }
}

pub(super) fn key() -> Result<KeyPair, Failure> {
    KeyPair::generate(KeyAlgorithm::Ed25519).map_err(Failure::harness)
}

/// A server as certificates know it: its TLS certificate and its authority for its users.
pub(super) struct Home {
    pub(super) name: ServerName,
    pub(super) credentials: Credentials,
    pub(super) issuer: UserIssuer,
    pub(super) issuer_key: KeyPair,
}

/// One root and whom it vouches for.
pub(super) struct Realm {
    pub(super) authority: Authority,
    pub(super) trust: Arc<Trust>,
    pub(super) home: Home,
    pub(super) elsewhere: Home,
}

impl Realm {
    pub(super) fn new() -> Result<Self, Failure> {
        let authority = Authority::create(key()?, today(), serial()?).map_err(Failure::harness)?;
        let trust = Arc::new(authority.trust().map_err(Failure::harness)?);
        let (home, elsewhere) = (Home::new(&authority, HOME)?, Home::new(&authority, ELSEWHERE)?);
        Ok(Self { authority, trust, home, elsewhere })
    }

    /// A certificate that the root signs, whatever it says.
    pub(super) fn sign(
        &self,
        template: &Template,
        key: &PublicKey,
    ) -> Result<CertificateDer<'static>, Failure> {
        template.signed_by(key, self.authority.certificate(), self.authority.key()).map_err(Failure::harness)
    }
}

impl Home {
    fn new(authority: &Authority, name: &str) -> Result<Self, Failure> {
        let name: ServerName = name.parse().map_err(Failure::harness)?;
        let (key, issuer_key) = (key()?, key()?);
        let leaf =
            authority.issue_server(&name, key.public_key(), today(), serial()?).map_err(Failure::harness)?;
        let credentials = Credentials::new(vec![leaf], &key).map_err(Failure::harness)?;
        let certificate = authority
            .issue_user_authority(&name, issuer_key.public_key(), today(), serial()?)
            .map_err(Failure::harness)?;
        let issuer = UserIssuer::load(certificate, issuer_key.clone()).map_err(Failure::harness)?;
        Ok(Self { name, credentials, issuer, issuer_key })
    }

    /// The handle of this server's user of this number.
    pub(super) fn handle(&self, number: u8) -> UserHandle {
        UserHandle { id: ObjectHandle([number; 16]), home: self.name.clone() }
    }

    /// A user's chain, whatever the certificate says.
    pub(super) fn chain(
        &self,
        template: &Template,
        key: &PublicKey,
    ) -> Result<Vec<CertificateDer<'static>>, Failure> {
        let leaf =
            template.signed_by(key, self.issuer.certificate(), &self.issuer_key).map_err(Failure::harness)?;
        Ok(vec![leaf, self.issuer.certificate().clone()])
    }

    /// The chain of this server's user.
    pub(super) fn user_chain(
        &self,
        handle: &UserHandle,
        key: &PublicKey,
    ) -> Result<Vec<CertificateDer<'static>>, Failure> {
        self.chain(&Template::user(handle, today(), serial()?), key)
    }
}

/// Somebody whose client the suite plays.
pub(super) struct Person {
    pub(super) handle: UserHandle,
    pub(super) key: KeyPair,
    pub(super) credentials: Credentials,
    pub(super) address: ContactAddress,
    pub(super) relay: RelayTag,
    /// The media types that the person takes besides plain text.
    pub(super) accepts: MediaTypes,
    listener: TcpListener,
    trust: Arc<Trust>,
}

impl Person {
    /// The user of this number at this server.
    pub(super) async fn new(realm: &Realm, home: &Home, number: u8) -> Result<Self, Failure> {
        let (handle, key) = (home.handle(number), key()?);
        let credentials =
            Credentials::new(home.user_chain(&handle, key.public_key())?, &key).map_err(Failure::harness)?;
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(Failure::harness)?;
        let address = ContactAddress(listener.local_addr().map_err(Failure::harness)?);
        let relay = RelayTag([number; 16]);
        Ok(Self {
            handle,
            key,
            credentials,
            address,
            relay,
            accepts: MediaTypes::default(),
            listener,
            trust: Arc::clone(&realm.trust),
        })
    }

    pub(super) fn member(&self) -> Member {
        Member {
            key: self.key.key_hash(),
            relay: self.relay,
            handle: self.handle.clone(),
            accepts: self.accepts.clone(),
        }
    }

    /// Proves itself with these credentials from now on.
    pub(super) fn showing(self, credentials: Credentials) -> Self {
        Self { credentials, ..self }
    }

    /// Dials a client and is greeted.
    pub(super) async fn dial(&self, address: ContactAddress, whom: &UserHandle) -> Result<Link, Failure> {
        let dialler = Dialler::new(Some(self.credentials.clone()), Arc::clone(&self.trust), clock());
        let dialled = dialler.dial::<ClientMessage>(address, &Identity::User(whom.clone()), None).await;
        let dialled = dialled.map_err(|error| {
            Failure::unexpected(
                "a link that is greeted",
                format!("{error}: {:?}", std::error::Error::source(&error)),
            )
        });
        dialled.map(|(peer, connection)| Link::new(connection, Some(&peer)))
    }

    /// Dials a client over bytes that lead to it, and is greeted.
    pub(super) async fn dial_over(&self, stream: TcpStream, whom: &UserHandle) -> Result<Link, Failure> {
        let dialler = Dialler::new(Some(self.credentials.clone()), Arc::clone(&self.trust), clock());
        let whom = Identity::User(whom.clone());
        let dialled = dialler.dial_over::<ClientMessage, _>(stream, &whom, None).await;
        let dialled = dialled.map_err(|error| Failure::unexpected("a relayed link that is greeted", error));
        dialled.map(|(peer, connection)| Link::new(connection, Some(&peer)))
    }

    fn acceptor(&self) -> Acceptor {
        Acceptor::new(Port::ClientClient, self.credentials.clone(), Arc::clone(&self.trust), clock())
    }

    /// The connection that the client opens here next, before TLS.
    pub(super) async fn knocked(&self) -> Result<TcpStream, Failure> {
        let accepted = timeout(PATIENCE, self.listener.accept()).await;
        let accepted = accepted.map_err(|_| Failure::unexpected("a link to a member", "nobody dialled"))?;
        let (stream, _) = accepted.map_err(Failure::harness)?;
        stream.set_nodelay(true).map_err(Failure::harness)?;
        Ok(stream)
    }

    /// Accepts the link that the client opens here next, and says nothing yet.
    pub(super) async fn accept_silently(&self, whom: &UserHandle) -> Result<Link, Failure> {
        let accepted = self.acceptor().accept(self.knocked().await?).await;
        let accepted = accepted
            .map_err(|error| Failure::unexpected("a TLS handshake of the client-to-client channel", error))?;
        let verified = accepted.peer().cloned();
        let peer = verified.as_ref().and_then(VerifiedPeer::peer);
        if peer.as_ref().map(|peer| &peer.handle) != Some(whom) {
            return Err(Failure::unexpected(format!("the certificate of {whom}"), format!("{peer:?}")));
        }
        let connection = accepted.ungreeted::<ClientMessage>().map_err(Failure::harness)?;
        Ok(Link::new(connection, verified.as_ref()))
    }

    /// Accepts the link that the client opens here next, and greets.
    pub(super) async fn accept(&self, whom: &UserHandle) -> Result<Link, Failure> {
        let mut link = self.accept_silently(whom).await?;
        link.send(&greeting()).await?;
        Ok(link)
    }

    /// Offers this person's certificate to whoever dials next, who is to refuse it: no greeting is sent.
    pub(super) async fn is_refused(&self, reason: &str) -> Result<(), Failure> {
        is_refused(&self.acceptor(), self.knocked().await?, reason).await
    }
}

/// Offers a certificate to a dialler, who is to end the handshake: in TLS 1.3 the dialler speaks last, so that the
/// handshake cannot be over at this end before the dialler has taken the certificate. An alert fits the reason.
pub(super) async fn is_refused(acceptor: &Acceptor, stream: TcpStream, reason: &str) -> Result<(), Failure> {
    match acceptor.accept(stream).await {
        Err(AcceptError::Alert(alert)) => reason::fits(reason, alert),
        Err(AcceptError::Handshake(_)) => Ok(()),
        Err(error) => Err(Failure::unexpected("a TLS alert that refuses the certificate", error)),
        Ok(_) => {
            Err(Failure::unexpected("a TLS alert that refuses the certificate", "the handshake went through"))
        }
    }
}

pub(super) fn greeting() -> ClientMessage {
    antiphon_protocol::message::AcceptorMessage::greeting()
}
