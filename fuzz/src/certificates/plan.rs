//! Good chains with one rule broken, or none: the plan knows the verdict.

use std::sync::LazyLock;

use antiphon_protocol::{
    certificate::{
        AuthorityFlag, Demand, ExtendedKeyUsage, KeyUsage, Name, Role, Serial, Template, Validity,
        identity_name,
    },
    key::KeyPair,
};
use antiphon_spec::{
    identity::{Identity, ObjectHandle, ServerName, UserHandle},
    limits::USER_CERTIFICATE_LIFETIME,
    time::Timestamp,
};
use arbitrary::Arbitrary;
use rustls_pki_types::CertificateDer;

use super::{DAY, NOW, ROOT, Root, judge, key, place};

static STRANGER: LazyLock<Root> = LazyLock::new(|| Root::new(9));
static AUTHORITY_KEY: LazyLock<KeyPair> = LazyLock::new(|| key(2));
static END_KEY: LazyLock<KeyPair> = LazyLock::new(|| key(5));

/// A chain to judge.
#[derive(Arbitrary, Debug)]
pub(crate) struct Plan {
    subject: Subject,
    /// Where it is shown.
    place: u8,
    /// How long before and after the judgement its certificates are good, in seconds.
    since: u16,
    until: u16,
    fault: Option<Fault>,
}

/// Whose certificate it is.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    User,
    Server,
    DirectoryNode,
}

/// Which certificate of the chain.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    End,
    Issuer,
}

/// The rule that is broken.
#[derive(Arbitrary, Clone, Debug, PartialEq, Eq)]
enum Fault {
    /// CERT-009
    Expired(Which, u16),
    NotYetValid(Which, u16),
    LifetimeTooLong(u16),
    /// CERT-010
    Authority(u8),
    /// CERT-011
    IssuerNoAuthority(bool),
    /// CERT-008
    UnknownCriticalExtension(Which),
    UnknownRoot,
    NoIssuer,
    IssuerTwice,
    NoKeyUsage(Which),
    OtherKeyUsage(Which),
    OneByteChanged(Which, u16, u8),
    Cut(Which, u16),
    Appended(Which, u8),
    /// CERT-012, CERT-013
    NoPurpose(Which),
    OnePurposeLess,
    OnePurposeMore(Which),
    /// CERT-015, CERT-016
    NoName(Which),
    SecondName(Which, AnyName),
    OtherName(AnyName),
    /// CERT-017, CERT-019
    StraightFromRoot,
    FromUserAuthority,
    /// CERT-018
    OtherHome(u8),
    /// CERT-022, CERT-023
    OtherDialled(u8),
    OtherKey,
}

/// A name of any kind with any text.
#[derive(Arbitrary, Clone, Debug, PartialEq, Eq)]
struct AnyName {
    kind: u8,
    text: String,
}

impl AnyName {
    fn name(&self) -> Name {
        let text = self.text.clone();
        match self.kind % 3 {
            0 => Name::Dns(text),
            1 => Name::Uri(text),
            _ => Name::Email(text),
        }
    }
}

fn home() -> ServerName {
    "one.example".parse().expect("a server name")
}

/// Whether a name is one of the identities of this protocol in its one form, for a subject under this home.
fn is_identity(name: &Name, subject: Subject) -> bool {
    let one_form = |identity: &Identity, text: &str| identity_name(identity) == text;
    match name {
        Name::Dns(text) => {
            subject != Subject::User && text.parse().is_ok_and(|name| one_form(&Identity::Server(name), text))
        }
        Name::Uri(text) => {
            let node = text.strip_prefix("antiphon:node:").and_then(|name| name.parse().ok());
            let user =
                text.strip_prefix("antiphon:user:").and_then(|handle| handle.parse::<UserHandle>().ok());
            match subject {
                Subject::User => {
                    user.is_some_and(|user| user.home == home() && one_form(&Identity::User(user), text))
                }
                Subject::Server | Subject::DirectoryNode => {
                    node.is_some_and(|name| one_form(&Identity::DirectoryNode(name), text))
                }
            }
        }
        Name::Email(_) => false,
    }
}

impl Plan {
    /// Makes the chain, judges it and compares.
    pub(super) fn play(&self) {
        let (channel, end) = place(self.place);
        let demand = Demand::new(channel, end);
        let Some((chain, names)) = self.chain() else { return };
        let role_fits = demand.roles().contains(&names.role());
        let demand = match &self.fault {
            Some(Fault::OtherDialled(byte)) => {
                let id = ObjectHandle([*byte; 16]);
                let other = UserHandle { id, home: "other.example".parse().expect("a server name") };
                demand.identity(Identity::User(other))
            }
            Some(Fault::OtherKey) => demand.key(key(77).key_hash()),
            _ => demand,
        };
        let good = role_fits && names.good;
        match judge(&chain, &demand) {
            Ok(peer) => {
                assert!(good, "{self:?} is believed as {peer:?}");
                assert_eq!(peer.key(), END_KEY.public_key());
            }
            Err(refused) => assert!(!good, "{self:?} is refused: {refused}"),
        }
    }

    fn identity(&self) -> Identity {
        match self.subject {
            Subject::User => Identity::User(UserHandle { id: ObjectHandle([1; 16]), home: home() }),
            Subject::Server => Identity::Server(home()),
            Subject::DirectoryNode => Identity::DirectoryNode(home()),
        }
    }

    /// The chain; none where a name has no form in a certificate.
    fn chain(&self) -> Option<(Vec<CertificateDer<'static>>, Verdict)> {
        let (since, until) = (u64::from(self.since), u64::from(self.until));
        let validity = Validity { not_before: Timestamp(NOW - since), not_after: Timestamp(NOW + until) };
        let mut end = Template::end(&self.identity(), validity, Serial([5; 16]));
        let mut issuer = Template::user_authority(&home(), validity, Serial([2; 16]));
        let mut verdict = Verdict { good: true, names: end.names.clone(), subject: self.subject };
        let is_user = self.subject == Subject::User;
        if let Some(fault) = &self.fault {
            let applies = fault.apply(&mut end, &mut issuer, is_user);
            verdict.good = !applies;
            verdict.names.clone_from(&end.names);
            if let Fault::OtherName(name) = fault {
                verdict.good = is_identity(&name.name(), self.subject);
            }
        }
        let root = if self.fault == Some(Fault::UnknownRoot) { &STRANGER } else { &ROOT };
        let authority = issuer.signed_by(&*AUTHORITY_KEY, &root.certificate, &root.key).ok()?;
        let under_authority = match self.fault {
            Some(Fault::StraightFromRoot) => false,
            Some(Fault::FromUserAuthority) => true,
            _ => is_user,
        };
        if under_authority != is_user {
            verdict.good = false;
        }
        let end = if under_authority {
            end.signed_by(&*END_KEY, &authority, &AUTHORITY_KEY).ok()?
        } else {
            end.signed_by(&*END_KEY, &root.certificate, &root.key).ok()?
        };
        let mut chain = if under_authority { vec![end, authority] } else { vec![end] };
        if let Some(fault) = &self.fault {
            verdict.good &= !fault.damage(&mut chain);
        }
        Some((chain, verdict))
    }
}

/// What the judge has to say.
struct Verdict {
    good: bool,
    names: Vec<Name>,
    subject: Subject,
}

impl Verdict {
    /// The role that the names claim, where they claim one.
    fn role(&self) -> Role {
        match (self.names.first(), self.subject) {
            (_, Subject::User) => Role::User,
            (Some(Name::Uri(_)), _) => Role::DirectoryNode,
            _ => Role::Server,
        }
    }
}

impl Fault {
    /// Breaks the rule in the templates; says whether that concerns this chain.
    fn apply(&self, end: &mut Template, issuer: &mut Template, is_user: bool) -> bool {
        let mut pick = |which: &Which, change: &dyn Fn(&mut Template)| match which {
            Which::End => {
                change(end);
                true
            }
            Which::Issuer => {
                change(issuer);
                is_user
            }
        };
        match self {
            Self::Expired(which, by) => pick(which, &|template| {
                template.validity.not_after = Timestamp(NOW - 1 - u64::from(*by));
                template.validity.not_before = Timestamp(NOW - 2 * DAY);
            }),
            Self::NotYetValid(which, by) => pick(which, &|template| {
                template.validity.not_before = Timestamp(NOW + 1 + u64::from(*by));
                template.validity.not_after = Timestamp(NOW + 2 * DAY);
            }),
            Self::LifetimeTooLong(by) => {
                end.validity.not_before = Timestamp(NOW - u64::from(*by));
                end.validity.not_after = Timestamp(NOW + USER_CERTIFICATE_LIFETIME.as_secs() + 1);
                is_user
            }
            Self::Authority(below) => {
                end.authority = AuthorityFlag::Yes(*below);
                true
            }
            Self::IssuerNoAuthority(explicit) => {
                issuer.authority = if *explicit { AuthorityFlag::No } else { AuthorityFlag::Absent };
                is_user
            }
            Self::UnknownCriticalExtension(which) => {
                pick(which, &|template| template.unknown_critical_extension = true)
            }
            Self::NoKeyUsage(which) => pick(which, &|template| template.key_usages.clear()),
            Self::OtherKeyUsage(which) => {
                pick(which, &|template| template.key_usages = vec![KeyUsage::KeyEncipherment])
            }
            Self::NoPurpose(which) => pick(which, &|template| template.extended_key_usages.clear()),
            Self::OnePurposeLess => {
                end.extended_key_usages.pop();
                true
            }
            Self::OnePurposeMore(which) => {
                pick(which, &|template| template.extended_key_usages.push(ExtendedKeyUsage::CodeSigning))
            }
            Self::NoName(which) => pick(which, &|template| template.names.clear()),
            Self::SecondName(which, name) => pick(which, &|template| template.names.push(name.name())),
            Self::OtherName(name) => {
                end.names = vec![name.name()];
                true
            }
            Self::OtherHome(byte) => {
                let other = format!("h{byte}.example");
                issuer.names = vec![Name::Dns(other.clone())];
                issuer.permitted_dns_names = vec![other];
                is_user
            }
            Self::UnknownRoot | Self::OtherDialled(_) | Self::OtherKey => true,
            Self::NoIssuer
            | Self::IssuerTwice
            | Self::StraightFromRoot
            | Self::FromUserAuthority
            | Self::OneByteChanged(..)
            | Self::Cut(..)
            | Self::Appended(..) => false,
        }
    }

    /// Breaks the rule in the chain; says whether anything changed.
    fn damage(&self, chain: &mut Vec<CertificateDer<'static>>) -> bool {
        let before = chain.clone();
        let mut pick = |which: &Which, change: &dyn Fn(&mut Vec<u8>)| {
            let index = usize::from(*which == Which::Issuer);
            if let Some(certificate) = chain.get_mut(index) {
                let mut der = certificate.to_vec();
                change(&mut der);
                *certificate = der.into();
            }
        };
        match self {
            Self::OneByteChanged(which, offset, mask) => pick(which, &|der| {
                let length = der.len();
                der[usize::from(*offset) % length] ^= mask;
            }),
            Self::Cut(which, to) => pick(which, &|der| der.truncate(usize::from(*to) % der.len())),
            Self::Appended(which, byte) => pick(which, &|der| der.push(*byte)),
            Self::NoIssuer => chain.truncate(1),
            Self::IssuerTwice => {
                let last = chain.last().cloned();
                chain.extend(last.iter().cycle().take(3).cloned());
            }
            Self::Expired(..)
            | Self::NotYetValid(..)
            | Self::LifetimeTooLong(_)
            | Self::Authority(_)
            | Self::IssuerNoAuthority(_)
            | Self::UnknownCriticalExtension(_)
            | Self::UnknownRoot
            | Self::NoKeyUsage(_)
            | Self::OtherKeyUsage(_)
            | Self::NoPurpose(_)
            | Self::OnePurposeLess
            | Self::OnePurposeMore(_)
            | Self::NoName(_)
            | Self::SecondName(..)
            | Self::OtherName(_)
            | Self::StraightFromRoot
            | Self::FromUserAuthority
            | Self::OtherHome(_)
            | Self::OtherDialled(_)
            | Self::OtherKey => {}
        }
        *chain != before
    }
}
