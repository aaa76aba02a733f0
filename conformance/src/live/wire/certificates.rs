//! Certificates (chapter *Certificates*) that diallers show to a server: those of users and servers as they have to be,
//! and each with one rule broken.

use std::sync::Arc;

use antiphon_protocol::{
    certificate::{
        Authority, AuthorityFlag, ExtendedKeyUsage, KeyUsage, Name, Serial, Template, Validity, identity_name,
    },
    channel::Channel,
    key::{KeyAlgorithm, KeyPair},
    tls::{Credentials, now},
};
use antiphon_spec::{
    error_code::ErrorCode,
    identity::{Identity, ObjectHandle, ServerName, UserHandle},
    time::Timestamp,
};
use rustls::pki_types::CertificateDer;

use super::{
    line::{Heard, Line, config, connect, is_code},
    open, refused, taken,
};
use crate::{
    case::Failure,
    live::{
        LiveCase, World, reason,
        server::stage::{Done, Stage},
    },
};

type Der = CertificateDer<'static>;
/// Makes what a dialler shows.
type Show = fn(&Town) -> Result<Option<Credentials>, Failure>;

const DAY: u64 = 24 * 3600;

/// A case of a refused certificate, after which one that is right is taken.
macro_rules! refuses {
    ($id:literal, $requirement:literal, $reason:literal, $about:literal, $channel:ident, $show:expr) => {
        refused(
            concat!("certificate/", $id),
            &[$requirement, "CERT-025", "CERT-026", "CERT-033", "WIRE-037"],
            "certificate/right",
            $about,
            |world| Box::pin(is_refused(world, Channel::$channel, $reason, $show)),
        )
    };
}

/// The cases of this file.
pub(super) const CASES: &[LiveCase] = &[
    taken(
        "certificate/right",
        &["CERT-017", "CERT-019", "WIRE-037"],
        "A user with a certificate of an authority for the home's users and a server with one of the root are greeted.",
        |world| Box::pin(right(world, KeyAlgorithm::Ed25519)),
    ),
    taken(
        "certificate/right-on-p-256",
        &["WIRE-010", "CERT-020"],
        "A user and a server whose keys, and whose issuer's, are of P-256 are greeted.",
        |world| Box::pin(right(world, KeyAlgorithm::P256)),
    ),
    refuses!("of-nobody", "CERT-024", "missing", "A user shows no certificate.", ClientServer, |_| Ok(None)),
    refuses!("of-no-server", "CERT-024", "missing", "A server shows no certificate.", ServerServer, |_| Ok(
        None
    )),
    refuses!(
        "under-another-root",
        "CERT-008",
        "unknown-root",
        "A user's authority was certified by another root.",
        ClientServer,
        |town| { town.elsewhere()?.user(|_| {}) }
    ),
    refuses!(
        "of-a-server-under-another-root",
        "CERT-008",
        "unknown-root",
        "A server was certified by another root.",
        ServerServer,
        |town| { town.elsewhere()?.server(|_| {}) }
    ),
    refuses!(
        "without-its-issuer",
        "CERT-008",
        "unknown-root",
        "A user shows the own certificate without the authority's.",
        ClientServer,
        |town| {
            let template = town.user_template();
            town.shown(vec![town.issued(&template, &town.ca, &town.ca_key)?])
        }
    ),
    refuses!(
        "with-a-forged-signature",
        "CERT-008",
        "bad-signature",
        "A user's certificate was signed with another key than its issuer's.",
        ClientServer,
        |town| {
            let template = town.user_template();
            town.shown(vec![town.issued(&template, &town.ca, &town.key)?, town.ca.clone()])
        }
    ),
    refuses!(
        "with-an-unknown-extension",
        "CERT-008",
        "unknown-critical-extension",
        "A user's certificate has a critical extension that nobody knows.",
        ClientServer,
        |town| { town.user(|template| template.unknown_critical_extension = true) }
    ),
    refuses!(
        "expired",
        "CERT-009",
        "expired",
        "A user's certificate was good until an hour ago.",
        ClientServer,
        |town| {
            let validity = Validity { not_before: town.at(-2 * 86_400), not_after: town.at(-3_600) };
            town.user(|template| template.validity = validity)
        }
    ),
    refuses!(
        "not-yet-valid",
        "CERT-009",
        "not-yet-valid",
        "A user's certificate is good from an hour ahead.",
        ClientServer,
        |town| {
            let validity = Validity { not_before: town.at(3_600), not_after: town.at(86_400) };
            town.user(|template| template.validity = validity)
        }
    ),
    refuses!(
        "of-a-server-expired",
        "CERT-009",
        "expired",
        "A server's certificate was good until an hour ago.",
        ServerServer,
        |town| {
            let validity = Validity { not_before: town.at(-2 * 86_400), not_after: town.at(-3_600) };
            town.server(|template| template.validity = validity)
        }
    ),
    refuses!(
        "of-an-expired-authority",
        "CERT-009",
        "expired",
        "The authority of a user was good until an hour ago.",
        ClientServer,
        |town| {
            let validity = Validity { not_before: town.at(-2 * 86_400), not_after: town.at(-3_600) };
            town.under(|template| template.validity = validity)
        }
    ),
    refuses!(
        "of-an-authority-as-a-user",
        "CERT-010",
        "is-authority",
        "A user's certificate is an authority's as well.",
        ClientServer,
        |town| { town.user(|template| template.authority = AuthorityFlag::Yes(0)) }
    ),
    refuses!(
        "of-an-authority-as-a-server",
        "CERT-010",
        "is-authority",
        "A server's certificate is an authority's as well.",
        ServerServer,
        |town| { town.server(|template| template.authority = AuthorityFlag::Yes(0)) }
    ),
    refuses!(
        "issued-by-a-user",
        "CERT-011",
        "issuer-not-authority",
        "A user's certificate was issued by another user.",
        ClientServer,
        |town| {
            let issuer = town.issued(&town.user_template(), &town.ca, &town.ca_key)?;
            let own = town.issued(&town.user_template(), &issuer, &town.key)?;
            town.shown(vec![own, issuer, town.ca.clone()])
        }
    ),
    refuses!(
        "issued-by-a-server",
        "CERT-011",
        "issuer-not-authority",
        "A user's certificate was issued with a server's TLS certificate.",
        ClientServer,
        |town| {
            let issuer = town.issued(&town.server_template(), town.root.certificate(), town.root.key())?;
            let own = town.issued(&town.user_template(), &issuer, &town.key)?;
            town.shown(vec![own, issuer])
        }
    ),
    refuses!(
        "of-a-user-for-servers",
        "CERT-012",
        "wrong-purpose",
        "A user's certificate is for serverAuth alone.",
        ClientServer,
        |town| { town.user(|template| template.extended_key_usages = vec![ExtendedKeyUsage::ServerAuth]) }
    ),
    refuses!(
        "of-a-user-for-code",
        "CERT-012",
        "wrong-purpose",
        "A user's certificate is for signing code.",
        ClientServer,
        |town| { town.user(|template| template.extended_key_usages = vec![ExtendedKeyUsage::CodeSigning]) }
    ),
    refuses!(
        "of-a-user-without-a-usage",
        "CERT-012",
        "wrong-purpose",
        "A user's certificate has no extended key usage.",
        ClientServer,
        |town| { town.user(|template| template.extended_key_usages = Vec::new()) }
    ),
    refuses!(
        "of-an-authority-for-servers",
        "CERT-012",
        "wrong-purpose",
        "The authority of a user is for serverAuth alone.",
        ClientServer,
        |town| { town.under(|template| template.extended_key_usages = vec![ExtendedKeyUsage::ServerAuth]) }
    ),
    refuses!(
        "of-an-authority-without-a-usage",
        "CERT-012",
        "wrong-purpose",
        "The authority of a user has no extended key usage.",
        ClientServer,
        |town| { town.under(|template| template.extended_key_usages = Vec::new()) }
    ),
    refuses!(
        "of-a-server-that-may-not-dial",
        "CERT-012",
        "wrong-purpose",
        "A server's certificate is for serverAuth alone.",
        ServerServer,
        |town| { town.server(|template| template.extended_key_usages = vec![ExtendedKeyUsage::ServerAuth]) }
    ),
    refuses!(
        "with-the-identity-in-the-subject",
        "CERT-014",
        "no-identity",
        "A user's handle stands in the certificate's subject alone.",
        ClientServer,
        |town| {
            town.user(|template| {
                template.common_name =
                    Some("antiphon:user:0000000000000000000000000000000a@home.example".to_owned());
                template.names.clear();
            })
        }
    ),
    refuses!(
        "of-a-server-with-the-name-in-the-subject",
        "CERT-014",
        "no-identity",
        "A server's name stands in the certificate's subject alone.",
        ServerServer,
        |town| {
            town.server(|template| {
                template.common_name = Some("dialler.example".to_owned());
                template.names.clear();
            })
        }
    ),
    refuses!(
        "without-a-name",
        "CERT-015",
        "no-identity",
        "A user's certificate has no subject alternative name.",
        ClientServer,
        |town| { town.user(|template| template.names.clear()) }
    ),
    refuses!(
        "of-two-users",
        "CERT-015",
        "two-identities",
        "A user's certificate has two handles.",
        ClientServer,
        |town| {
            let other = identity_name(&Identity::User(town.handle(ObjectHandle([9; 16]))));
            town.user(|template| template.names.push(Name::Uri(other)))
        }
    ),
    refuses!(
        "of-two-servers",
        "CERT-015",
        "two-identities",
        "A server's certificate has two names.",
        ServerServer,
        |town| { town.server(|template| template.names.push(Name::Dns("other.example".to_owned()))) }
    ),
    refuses!(
        "with-a-handle-in-upper-case",
        "CERT-016",
        "invalid-identity",
        "A user's handle is written in upper case.",
        ClientServer,
        |town| {
            let name = format!("antiphon:user:{}@{}", "0A".repeat(16), town.home);
            town.user(|template| template.names = vec![Name::Uri(name)])
        }
    ),
    refuses!(
        "with-another-scheme",
        "CERT-016",
        "invalid-identity",
        "A user's handle stands behind another scheme.",
        ClientServer,
        |town| {
            let name = format!("xmpp:user:{}@{}", "0a".repeat(16), town.home);
            town.user(|template| template.names = vec![Name::Uri(name)])
        }
    ),
    refuses!(
        "with-a-mail-address",
        "CERT-016",
        "invalid-identity",
        "A user's handle is written as a mail address.",
        ClientServer,
        |town| {
            let name = format!("{}@{}", "0a".repeat(16), town.home);
            town.user(|template| template.names = vec![Name::Email(name)])
        }
    ),
    refuses!(
        "of-a-server-as-a-uri",
        "CERT-016",
        "invalid-identity",
        "A server's name is written as a URI.",
        ServerServer,
        |town| {
            town.server(|template| {
                template.names = vec![Name::Uri("antiphon:server:dialler.example".to_owned())]
            })
        }
    ),
    refuses!(
        "of-a-server-in-upper-case",
        "CERT-016",
        "invalid-identity",
        "A server's name is written in upper case.",
        ServerServer,
        |town| { town.server(|template| template.names = vec![Name::Dns("Dialler.example".to_owned())]) }
    ),
    refuses!(
        "of-every-server",
        "CERT-016",
        "invalid-identity",
        "A server's name has a wildcard.",
        ServerServer,
        |town| { town.server(|template| template.names = vec![Name::Dns("*.example".to_owned())]) }
    ),
    refuses!(
        "of-a-user-by-the-root",
        "CERT-017",
        "home-did-not-issue",
        "A user's certificate was issued by the root itself.",
        ClientServer,
        |town| {
            town.shown(vec![town.issued(&town.user_template(), town.root.certificate(), town.root.key())?])
        }
    ),
    refuses!(
        "of-another-home",
        "CERT-018",
        "home-did-not-issue",
        "A user's certificate was issued by the authority of another home.",
        ClientServer,
        |town| {
            town.under(|template| {
                template.names = vec![Name::Dns("other.example".to_owned())];
                template.permitted_dns_names = vec!["other.example".to_owned()];
            })
        }
    ),
    refuses!(
        "of-an-authority-without-a-name",
        "CERT-018",
        "no-identity",
        "The authority of a user has no name.",
        ClientServer,
        |town| { town.under(|template| template.names.clear()) }
    ),
    refuses!(
        "of-an-authority-of-two-homes",
        "CERT-018",
        "two-identities",
        "The authority of a user has two names.",
        ClientServer,
        |town| { town.under(|template| template.names.push(Name::Dns("other.example".to_owned()))) }
    ),
    refuses!(
        "of-a-server-by-an-authority",
        "CERT-019",
        "root-did-not-issue",
        "A server's certificate was issued by the authority for its users.",
        ServerServer,
        |town| {
            town.shown(vec![town.issued(&town.server_template(), &town.ca, &town.ca_key)?, town.ca.clone()])
        }
    ),
    refuses!(
        "of-a-user-as-a-server",
        "CERT-021",
        "wrong-role",
        "A user dials the server-to-server channel.",
        ServerServer,
        |town| town.user(|_| {})
    ),
    refuses!(
        "of-a-server-as-a-user",
        "CERT-021",
        "wrong-role",
        "A server dials the client-to-server channel.",
        ClientServer,
        |town| town.server(|_| {})
    ),
    refuses!(
        "of-a-node-as-a-user",
        "CERT-021",
        "wrong-role",
        "A directory node dials the client-to-server channel.",
        ClientServer,
        Town::node
    ),
    refuses!(
        "of-a-node-as-a-server",
        "CERT-021",
        "wrong-role",
        "A directory node dials the server-to-server channel.",
        ServerServer,
        Town::node
    ),
    refuses!(
        "of-a-user-of-31-days",
        "CERT-029",
        "lifetime-too-long",
        "A user's certificate is good for 31 days.",
        ClientServer,
        |town| {
            let validity = Validity { not_before: town.at(-86_400), not_after: town.at(30 * 86_400) };
            town.user(|template| template.validity = validity)
        }
    ),
    refuses!(
        "of-a-user-from-long-ago",
        "CERT-029",
        "lifetime-too-long",
        "A user's certificate began years ago and ends in an hour.",
        ClientServer,
        |town| {
            let validity = Validity { not_before: town.at(-2_000 * 86_400), not_after: town.at(3_600) };
            town.user(|template| template.validity = validity)
        }
    ),
    refuses!(
        "of-a-user-without-a-key-usage",
        "CERT-030",
        "wrong-key-usage",
        "A user's certificate has no key usage.",
        ClientServer,
        |town| town.user(|template| template.key_usages.clear())
    ),
    refuses!(
        "of-a-user-that-may-sign-certificates",
        "CERT-030",
        "wrong-key-usage",
        "A user's key may sign certificates.",
        ClientServer,
        |town| town.user(|template| template.key_usages.push(KeyUsage::CertificateSign))
    ),
    refuses!(
        "of-a-server-without-a-key-usage",
        "CERT-030",
        "wrong-key-usage",
        "A server's certificate has no key usage.",
        ServerServer,
        |town| town.server(|template| template.key_usages.clear())
    ),
    refuses!(
        "of-an-authority-that-may-not-sign",
        "CERT-030",
        "wrong-key-usage",
        "The authority of a user may sign revocation lists alone.",
        ClientServer,
        |town| town.under(|template| template.key_usages = vec![KeyUsage::RevocationListSign])
    ),
    refuses!(
        "of-a-user-for-servers-too",
        "CERT-031",
        "wrong-purpose",
        "A user's certificate has the extended key usages of a server.",
        ClientServer,
        |town| town.user(|template| template.extended_key_usages.insert(0, ExtendedKeyUsage::ServerAuth))
    ),
    refuses!(
        "of-a-server-for-code-too",
        "CERT-031",
        "wrong-purpose",
        "A server's certificate is for signing code too.",
        ServerServer,
        |town| town.server(|template| template.extended_key_usages.push(ExtendedKeyUsage::CodeSigning))
    ),
    refuses!(
        "of-an-authority-for-servers-too",
        "CERT-031",
        "wrong-purpose",
        "The authority of a user has the extended key usages of a server.",
        ClientServer,
        |town| town.under(|template| template.extended_key_usages.insert(0, ExtendedKeyUsage::ServerAuth))
    ),
    refuses!(
        "of-a-parent-domain",
        "CERT-018",
        "home-did-not-issue",
        "The authority of a user is that of the domain above the home, whose constraint permits the home.",
        ClientServer,
        |town| {
            let home = town.home.to_string();
            let above = home.split_once('.').map_or("example", |(_, above)| above).to_owned();
            town.under(|template| {
                template.names = vec![Name::Dns(above.clone())];
                template.permitted_dns_names = vec![above];
            })
        }
    ),
    refuses!(
        "of-an-authority-by-another-root",
        "CERT-008",
        "unknown-root",
        "The authority of a user is the home's key, which another root certified.",
        ClientServer,
        |town| {
            let other = town.elsewhere()?;
            let template = Template::user_authority(&town.home, validity(town.now), serial()?);
            let ca = template.signed_by(&town.ca_key, other.root.certificate(), other.root.key());
            let ca = ca.map_err(Failure::harness)?;
            town.shown(vec![town.issued(&town.user_template(), &ca, &town.ca_key)?, ca])
        }
    ),
    refuses!(
        "in-the-wrong-order",
        "CERT-010",
        "is-authority",
        "A user shows the authority's certificate before the own one.",
        ClientServer,
        |town| {
            let own = town.issued(&town.user_template(), &town.ca, &town.ca_key)?;
            Credentials::unchecked(vec![town.ca.clone(), own], &town.ca_key)
                .map(Some)
                .map_err(Failure::harness)
        }
    ),
    refuses!(
        "of-the-authority-itself",
        "CERT-010",
        "is-authority",
        "The authority for users itself dials as a server, with its own key.",
        ServerServer,
        |town| Credentials::unchecked(vec![town.ca.clone()], &town.ca_key)
            .map(Some)
            .map_err(Failure::harness)
    ),
    refuses!(
        "of-four-certificates",
        "CERT-028",
        "too-many",
        "A user shows a good path, the root and one certificate more.",
        ClientServer,
        |town| {
            let own = town.issued(&town.user_template(), &town.ca, &town.ca_key)?;
            let more = town.issued(&town.server_template(), town.root.certificate(), town.root.key())?;
            town.shown(vec![own, town.ca.clone(), town.root.certificate().clone(), more])
        }
    ),
    refuses!(
        "of-a-user-without-the-key",
        "CERT-032",
        "not-proved",
        "Somebody shows a user's certificate and signs with another key.",
        ClientServer,
        |town| {
            let own = town.issued(&town.user_template(), &town.ca, &town.ca_key)?;
            Credentials::unchecked(vec![own, town.ca.clone()], &town.ca_key)
                .map(Some)
                .map_err(Failure::harness)
        }
    ),
    refuses!(
        "of-a-server-without-the-key",
        "CERT-032",
        "not-proved",
        "Somebody shows a server's certificate and signs with another key.",
        ServerServer,
        |town| {
            let own = town.issued(&town.server_template(), town.root.certificate(), town.root.key())?;
            Credentials::unchecked(vec![own], &town.ca_key).map(Some).map_err(Failure::harness)
        }
    ),
    refuses!(
        "with-a-port-in-the-handle",
        "CERT-016",
        "invalid-identity",
        "A user's handle has a port behind the home.",
        ClientServer,
        |town| {
            let name = format!("{}:5222", identity_name(&Identity::User(town.handle(ObjectHandle([7; 16])))));
            town.user(|template| template.names = vec![Name::Uri(name)])
        }
    ),
];

/// A root and a home with an authority for its users, and everything to certify wrongly with.
struct Town {
    root: Authority,
    home: ServerName,
    ca: Der,
    ca_key: KeyPair,
    /// Of whoever dials.
    key: KeyPair,
    now: Timestamp,
}

impl Town {
    fn new(stage: &Stage, root: Authority, algorithm: KeyAlgorithm) -> Result<Self, Failure> {
        let now = now(stage.pki().clock());
        Self::of(root, stage.name().clone(), now, algorithm)
    }

    fn of(
        root: Authority,
        home: ServerName,
        now: Timestamp,
        algorithm: KeyAlgorithm,
    ) -> Result<Self, Failure> {
        let key = || KeyPair::generate(algorithm).map_err(Failure::harness);
        let (ca_key, key) = (key()?, key()?);
        let template = Template::user_authority(&home, validity(now), serial()?);
        let ca = template.signed_by(&ca_key, root.certificate(), root.key()).map_err(Failure::harness)?;
        Ok(Self { root, home, ca, ca_key, key, now })
    }

    /// The same home under a root that the server doesn't trust.
    fn elsewhere(&self) -> Result<Self, Failure> {
        let key = KeyPair::generate(KeyAlgorithm::Ed25519).map_err(Failure::harness)?;
        let root = Authority::create(key, validity(self.now), serial()?).map_err(Failure::harness)?;
        Self::of(root, self.home.clone(), self.now, KeyAlgorithm::Ed25519)
    }

    /// So many seconds from now.
    fn at(&self, seconds: i64) -> Timestamp {
        Timestamp(self.now.0.saturating_add_signed(seconds))
    }

    fn handle(&self, id: ObjectHandle) -> UserHandle {
        UserHandle { id, home: self.home.clone() }
    }

    fn user_template(&self) -> Template {
        let serial = Serial([5; 16]);
        Template::user(&self.handle(ObjectHandle(*b"shows somethings")), validity(self.now), serial)
    }

    fn server_template(&self) -> Template {
        let mut template = self.user_template();
        template.names = vec![Name::Dns("dialler.example".to_owned())];
        template.extended_key_usages = vec![ExtendedKeyUsage::ServerAuth, ExtendedKeyUsage::ClientAuth];
        template
    }

    fn issued(&self, template: &Template, issuer: &Der, issuer_key: &KeyPair) -> Result<Der, Failure> {
        template.signed_by(&self.key, issuer, issuer_key).map_err(Failure::harness)
    }

    fn shown(&self, chain: Vec<Der>) -> Result<Option<Credentials>, Failure> {
        Credentials::unchecked(chain, &self.key).map(Some).map_err(Failure::harness)
    }

    /// A user with a changed certificate.
    fn user(&self, change: impl FnOnce(&mut Template)) -> Result<Option<Credentials>, Failure> {
        let mut template = self.user_template();
        change(&mut template);
        self.shown(vec![self.issued(&template, &self.ca, &self.ca_key)?, self.ca.clone()])
    }

    /// A user under a changed authority.
    fn under(&self, change: impl FnOnce(&mut Template)) -> Result<Option<Credentials>, Failure> {
        let mut template = Template::user_authority(&self.home, validity(self.now), serial()?);
        change(&mut template);
        let ca = template.signed_by(&self.ca_key, self.root.certificate(), self.root.key());
        let ca = ca.map_err(Failure::harness)?;
        self.shown(vec![self.issued(&self.user_template(), &ca, &self.ca_key)?, ca])
    }

    /// A server with a changed certificate.
    fn server(&self, change: impl FnOnce(&mut Template)) -> Result<Option<Credentials>, Failure> {
        let mut template = self.server_template();
        change(&mut template);
        self.shown(vec![self.issued(&template, self.root.certificate(), self.root.key())?])
    }

    /// A directory node.
    fn node(&self) -> Result<Option<Credentials>, Failure> {
        self.server(|template| template.names = vec![Name::Uri("antiphon:node:node-2.example".to_owned())])
    }
}

fn serial() -> Result<Serial, Failure> {
    Serial::random().map_err(Failure::harness)
}

/// From yesterday for ten days.
fn validity(now: Timestamp) -> Validity {
    Validity { not_before: Timestamp(now.0 - DAY), not_after: Timestamp(now.0 + 9 * DAY) }
}

async fn right(world: Arc<World>, algorithm: KeyAlgorithm) -> Done {
    let stage = Stage::shared(&world).await?;
    let town = Town::new(&stage, stage.pki().authority().clone(), algorithm)?;
    for (channel, shown) in
        [(Channel::ClientServer, town.user(|_| {})?), (Channel::ServerServer, town.server(|_| {})?)]
    {
        Line::open(&stage, channel, shown.as_ref()).await?.probe(1).await?;
    }
    Ok(())
}

/// What is shown is refused with a TLS alert that fits the reason, or with `certificate-refused`, before anything else is
/// said; connections of others go on, and new ones are greeted.
async fn is_refused(world: Arc<World>, channel: Channel, reason: &'static str, show: Show) -> Done {
    let stage = Stage::shared(&world).await?;
    let town = Town::new(&stage, stage.pki().authority().clone(), KeyAlgorithm::Ed25519)?;
    let mut other = open(&stage, channel).await?;
    let config = config(&stage, &[channel.alpn()], show(&town)?.as_ref())?;
    match connect(&stage, channel, Arc::new(config)).await? {
        Err(error) => match super::line::alert(&error) {
            Some(alert) => reason::fits(reason, alert)?,
            None => return Err(Failure::unexpected("a TLS alert", error)),
        },
        Ok(mut line) => match line.hear().await? {
            Heard::Alert(alert) => reason::fits(reason, alert)?,
            Heard::Message(name, body)
                if name == "error" && is_code(&body, &[ErrorCode::CertificateRefused]) => {}
            heard @ (Heard::Message(..) | Heard::Closed | Heard::Cut(_)) => {
                return Err(Failure::unexpected("a TLS alert or certificate-refused", heard.shown()));
            }
        },
    }
    other.probe(1).await?;
    open(&stage, channel).await?.probe(1).await
}
