//! The verifier against chains that are right or break one rule, and the issuers.
//!
//! A good chain stands beside each bad one: the two differ in what the rule is about and in nothing else.

use antiphon_spec::identity::{Identity, ObjectHandle, Peer, ServerName, UserHandle};
use rustls_pki_types::UnixTime;

use super::{CertificateRule as Rule, *};
use crate::{
    channel::Channel,
    key::{KeyAlgorithm, KeyPair},
};

type Chain = Vec<CertificateDer<'static>>;

const NOW: u64 = 1_800_000_000;
const DAY: u64 = 24 * 3600;
const GOOD: Validity = Validity { not_before: Timestamp(NOW - DAY), not_after: Timestamp(NOW + DAY) };
const LONG: Validity =
    Validity { not_before: Timestamp(NOW - 900 * DAY), not_after: Timestamp(NOW + 900 * DAY) };

/// A place where a certificate is shown.
type Place = (Channel, End);

const USER_DIALS: Place = (Channel::ClientServer, End::Dialling);
const USER_ACCEPTS: Place = (Channel::ClientClient, End::Accepting);
const SERVER_DIALS: Place = (Channel::ServerServer, End::Dialling);
const SERVER_ACCEPTS: Place = (Channel::ClientServer, End::Accepting);
const NODE_ACCEPTS: Place = (Channel::Location, End::Accepting);

fn key(seed: u8) -> KeyPair {
    KeyPair::from_seed(&[seed; 32]).unwrap()
}

const fn serial(number: u8) -> Serial {
    Serial([number; 16])
}

fn name(text: &str) -> ServerName {
    text.parse().unwrap()
}

fn user() -> UserHandle {
    UserHandle { id: ObjectHandle([1; 16]), home: name("one.example") }
}

/// A root, an authority for users, and an end of each role, each with a key of its own.
struct Town {
    root: Authority,
    authority: Template,
    user: Template,
    server: Template,
    node: Template,
}

impl Town {
    fn new() -> Self {
        let home = name("one.example");
        Self {
            root: Authority::create(key(1), LONG, serial(1)).unwrap(),
            authority: Template::user_authority(&home, LONG, serial(2)),
            user: Template::user(&user(), GOOD, serial(5)),
            server: Template::server(&home, GOOD, serial(6)),
            node: Template::directory_node(&name("node.example"), GOOD, serial(7)),
        }
    }

    fn rooted(&self, template: &Template, subject: &KeyPair) -> CertificateDer<'static> {
        template.signed_by(subject, self.root.certificate(), self.root.key()).unwrap()
    }

    /// The chain of a user under the authority.
    fn users(&self) -> Chain {
        let authority = self.rooted(&self.authority, &key(2));
        vec![self.user.signed_by(&key(5), &authority, &key(2)).unwrap(), authority]
    }

    fn servers(&self) -> Chain {
        vec![self.rooted(&self.server, &key(6))]
    }

    fn nodes(&self) -> Chain {
        vec![self.rooted(&self.node, &key(7))]
    }

    fn judge_at(
        &self,
        chain: &[CertificateDer<'_>],
        demand: &Demand,
        now: u64,
    ) -> Result<VerifiedPeer, Rule> {
        let now = UnixTime::since_unix_epoch(Duration::from_secs(now));
        identify(&self.root.trust().unwrap(), chain, demand, now).map_err(|refused| refused.rule)
    }

    fn judge(&self, chain: &[CertificateDer<'_>], place: Place) -> Result<VerifiedPeer, Rule> {
        self.judge_at(chain, &Demand::new(place.0, place.1), NOW)
    }
}

/// Who is shown to be what by a chain.
#[track_caller]
fn check(town: &Town, chain: &[CertificateDer<'_>], place: Place, expected: Result<Identity, Rule>) {
    let found = town.judge(chain, place).map(|peer| peer.identity().clone());
    assert_eq!(found, expected);
}

/// A user's chain that breaks a rule in the changed template, beside the one that does not.
#[track_caller]
fn check_user(change: impl FnOnce(&mut Town), rule: Rule) {
    let mut town = Town::new();
    for place in [USER_DIALS, USER_ACCEPTS] {
        check(&town, &town.users(), place, Ok(Identity::User(user())));
    }
    change(&mut town);
    for place in [USER_DIALS, USER_ACCEPTS] {
        check(&town, &town.users(), place, Err(rule.clone()));
    }
}

/// The same for a server and a directory node.
#[track_caller]
fn check_rooted(change: impl Fn(&mut Template), rule: &Rule) {
    let mut town = Town::new();
    let (server, node) =
        (Identity::Server(name("one.example")), Identity::DirectoryNode(name("node.example")));
    check(&town, &town.servers(), SERVER_DIALS, Ok(server.clone()));
    check(&town, &town.servers(), SERVER_ACCEPTS, Ok(server));
    check(&town, &town.nodes(), NODE_ACCEPTS, Ok(node));
    change(&mut town.server);
    change(&mut town.node);
    check(&town, &town.servers(), SERVER_DIALS, Err(rule.clone()));
    check(&town, &town.servers(), SERVER_ACCEPTS, Err(rule.clone()));
    check(&town, &town.nodes(), NODE_ACCEPTS, Err(rule.clone()));
}

#[test]
fn a_path_leads_to_the_root() {
    // CERT-008
    let town = Town::new();
    let other = Town { root: Authority::create(key(9), LONG, serial(9)).unwrap(), ..Town::new() };
    check(&town, &other.users(), USER_DIALS, Err(Rule::UnknownRoot));
    check(&town, &other.servers(), SERVER_ACCEPTS, Err(Rule::UnknownRoot));
    // A root of the same name with another key did not sign it.
    let namesake = Town { root: Authority::create(key(9), LONG, serial(1)).unwrap(), ..Town::new() };
    check(&town, &namesake.servers(), SERVER_ACCEPTS, Err(Rule::BadSignature));
    // The user's certificate alone leads nowhere; in another order it is the authority's that is shown.
    let mut chain = town.users();
    check(&town, &chain[..1], USER_DIALS, Err(Rule::UnknownRoot));
    chain.reverse();
    check(&town, &chain, USER_DIALS, Err(Rule::IsAuthority));
    check(&town, &[], USER_DIALS, Err(Rule::Missing));
    check(&town, &[vec![0x30, 0].into()], USER_DIALS, Err(Rule::Malformed));
    check_user(|town| town.user.unknown_critical_extension = true, Rule::UnknownCriticalExtension);
    check_user(|town| town.authority.unknown_critical_extension = true, Rule::UnknownCriticalExtension);
    check_rooted(|template| template.unknown_critical_extension = true, &Rule::UnknownCriticalExtension);
}

#[test]
fn a_changed_byte_is_noticed_wherever_it_is() {
    let town = Town::new();
    for good in [town.servers(), town.users()] {
        let place = if good.len() == 1 { SERVER_DIALS } else { USER_DIALS };
        for index in 0..good.len() {
            for offset in 0..good[index].len() {
                let mut chain = good.clone();
                let mut der = chain[index].to_vec();
                der[offset] ^= 0x01;
                chain[index] = der.into();
                assert!(town.judge(&chain, place).is_err(), "certificate {index}, byte {offset}");
            }
        }
    }
}

#[test]
fn a_root_may_follow_and_no_more() {
    let town = Town::new();
    let mut chain = town.users();
    chain.push(town.root.certificate().clone());
    check(&town, &chain, USER_DIALS, Ok(Identity::User(user())));
    chain.push(town.root.certificate().clone());
    check(&town, &chain, USER_DIALS, Err(Rule::ChainTooLong));
}

#[test]
fn a_certificate_is_good_from_its_first_second_to_its_last() {
    // CERT-009
    let at = |town: &Town, now| {
        let demand = Demand::new(USER_DIALS.0, USER_DIALS.1);
        town.judge_at(&town.users(), &demand, now).map(|peer| (peer.not_before(), peer.not_after()))
    };
    let mut town = Town::new();
    let (first, last) = (GOOD.not_before.0, GOOD.not_after.0);
    for now in [first, NOW, last] {
        assert_eq!(at(&town, now), Ok((GOOD.not_before, GOOD.not_after)), "{now}");
    }
    assert_eq!(at(&town, first - 1), Err(Rule::NotYetValid(GOOD.not_before)));
    assert_eq!(at(&town, last + 1), Err(Rule::Expired(GOOD.not_after)));
    // The authority's validity counts by itself.
    town.authority.validity = Validity { not_before: Timestamp(NOW), not_after: Timestamp(NOW + 1) };
    for (now, expected) in [
        (NOW - 1, Err(Rule::NotYetValid(Timestamp(NOW)))),
        (NOW, Ok((GOOD.not_before, GOOD.not_after))),
        (NOW + 1, Ok((GOOD.not_before, GOOD.not_after))),
        (NOW + 2, Err(Rule::Expired(Timestamp(NOW + 1)))),
    ] {
        assert_eq!(at(&town, now), expected, "{now}");
    }
}

#[test]
fn a_user_certificate_lives_thirty_days() {
    // The issuer's rule, CERT-004, which the verifier holds it to.
    let mut town = Town::new();
    town.user.validity.not_after = Timestamp(GOOD.not_before.0 + 30 * DAY);
    check(&town, &town.users(), USER_DIALS, Ok(Identity::User(user())));
    town.user.validity.not_after.0 += 1;
    check(&town, &town.users(), USER_DIALS, Err(Rule::LifetimeTooLong));
    // Servers and nodes live as long as the operator likes.
    town.server.validity = LONG;
    check(&town, &town.servers(), SERVER_DIALS, Ok(Identity::Server(name("one.example"))));
}

#[test]
fn an_authority_is_no_end_and_an_end_no_authority() {
    // CERT-010, CERT-011
    check_user(|town| town.user.authority = AuthorityFlag::Yes(0), Rule::IsAuthority);
    check_rooted(|template| template.authority = AuthorityFlag::Yes(0), &Rule::IsAuthority);
    check_user(|town| town.authority.authority = AuthorityFlag::No, Rule::IssuerNotAuthority);
    check_user(|town| town.authority.authority = AuthorityFlag::Absent, Rule::IssuerNotAuthority);
    // A user issues for another user.
    let town = Town::new();
    let mut chain = town.users();
    let victim = UserHandle { id: ObjectHandle([2; 16]), ..user() };
    let forged = Template::user(&victim, GOOD, serial(8)).signed_by(&key(8), &chain[0], &key(5)).unwrap();
    chain.insert(0, forged);
    check(&town, &chain, USER_DIALS, Err(Rule::IssuerNotAuthority));
}

#[test]
fn a_certificate_is_for_what_its_role_does() {
    use ExtendedKeyUsage::{ClientAuth, CodeSigning, ServerAuth};
    // CERT-012: a user's path carries clientAuth, and a user's certificate nothing else.
    check_user(|town| town.user.extended_key_usages = vec![], Rule::WrongPurpose);
    check_user(|town| town.user.extended_key_usages = vec![ServerAuth], Rule::WrongPurpose);
    check_user(|town| town.user.extended_key_usages = vec![ClientAuth, ServerAuth], Rule::WrongPurpose);
    check_user(|town| town.user.extended_key_usages = vec![ClientAuth, CodeSigning], Rule::WrongPurpose);
    check_user(|town| town.authority.extended_key_usages = vec![], Rule::WrongPurpose);
    check_user(|town| town.authority.extended_key_usages = vec![ServerAuth], Rule::WrongPurpose);
    check_user(|town| town.authority.extended_key_usages = vec![ClientAuth, ServerAuth], Rule::WrongPurpose);
    // CERT-012, CERT-013: a server and a node are both, whichever end they are.
    check_rooted(|template| template.extended_key_usages = vec![], &Rule::WrongPurpose);
    check_rooted(|template| template.extended_key_usages = vec![ServerAuth], &Rule::WrongPurpose);
    check_rooted(|template| template.extended_key_usages = vec![ClientAuth], &Rule::WrongPurpose);
    check_rooted(|template| template.extended_key_usages.push(CodeSigning), &Rule::WrongPurpose);
}

#[test]
fn a_key_is_used_for_what_its_role_does() {
    use KeyUsage::{CertificateSign, DigitalSignature, KeyEncipherment, RevocationListSign};
    for usages in [vec![], vec![KeyEncipherment], vec![DigitalSignature, CertificateSign]] {
        check_user(|town| town.user.key_usages.clone_from(&usages), Rule::WrongKeyUsage);
        check_rooted(|template| template.key_usages.clone_from(&usages), &Rule::WrongKeyUsage);
    }
    for usages in [vec![], vec![RevocationListSign], vec![DigitalSignature]] {
        check_user(|town| town.authority.key_usages.clone_from(&usages), Rule::WrongKeyUsage);
    }
}

#[test]
fn a_certificate_has_one_name() {
    // CERT-014, CERT-015
    let uri = |text: &str| Name::Uri(text.to_owned());
    let victim = "antiphon:user:02020202020202020202020202020202@one.example";
    check_user(|town| town.user.names.clear(), Rule::NoIdentity);
    check_user(|town| town.user.names.push(uri(victim)), Rule::TwoIdentities);
    check_user(|town| town.user.names.insert(0, uri(victim)), Rule::TwoIdentities);
    check_user(|town| town.user.names.push(Name::Email("a@one.example".to_owned())), Rule::TwoIdentities);
    check_rooted(|template| template.names.clear(), &Rule::NoIdentity);
    check_rooted(|template| template.names.push(Name::Dns("two.example".to_owned())), &Rule::TwoIdentities);
    // The common name says nothing.
    let mut town = Town::new();
    town.user.common_name = Some(victim.to_owned());
    check(&town, &town.users(), USER_DIALS, Ok(Identity::User(user())));
    town.user.names.clear();
    check(&town, &town.users(), USER_DIALS, Err(Rule::NoIdentity));
}

#[test]
fn a_name_is_an_identity_in_its_one_form() {
    // CERT-016
    for text in [
        "antiphon:user:01010101010101010101010101010101@ONE.example",
        "antiphon:user:0101010101010101010101010101010A@one.example",
        "antiphon:user:01@one.example",
        "antiphon:user:01010101010101010101010101010101",
        "Antiphon:user:01010101010101010101010101010101@one.example",
        "antiphon:user:01010101010101010101010101010101@one.example ",
        "antiphon:node:",
        "https://one.example/",
    ] {
        check_user(|town| town.user.names = vec![Name::Uri(text.to_owned())], Rule::InvalidIdentity);
        check_rooted(|template| template.names = vec![Name::Uri(text.to_owned())], &Rule::InvalidIdentity);
    }
    check_user(|town| town.user.names = vec![Name::Email("a@one.example".to_owned())], Rule::InvalidIdentity);
    for text in ["*.example", "One.example", "one.example.", "192.0.2.1", "a_b.example"] {
        check_rooted(|template| template.names = vec![Name::Dns(text.to_owned())], &Rule::InvalidIdentity);
    }
}

#[test]
fn a_users_path_is_the_home_server_and_the_root() {
    // CERT-017: straight from the root.
    let town = Town::new();
    let straight = vec![town.rooted(&town.user, &key(5))];
    check(&town, &straight, USER_DIALS, Err(Rule::HomeDidNotIssue));
    // CERT-018: from the authority of another home, which can sign as it likes.
    let other =
        |town: &mut Town| town.authority = Template::user_authority(&name("two.example"), LONG, serial(2));
    check_user(other, Rule::HomeDidNotIssue);
    check_user(|town| town.authority.names.clear(), Rule::NoIdentity);
    check_user(|town| town.authority.names.push(Name::Dns("two.example".to_owned())), Rule::TwoIdentities);
    check_user(
        |town| town.authority.names = vec![Name::Uri("antiphon:node:one.example".to_owned())],
        Rule::InvalidIdentity,
    );
}

#[test]
fn an_authority_has_none_below_it() {
    // CERT-017: with an authority between the home server's and the user, as far as path lengths do not forbid it.
    let town = Town::new();
    let upper = Template { authority: AuthorityFlag::Yes(1), ..town.authority.clone() };
    let upper = town.rooted(&upper, &key(3));
    let lower =
        Template { serial: serial(4), ..town.authority.clone() }.signed_by(&key(2), &upper, &key(3)).unwrap();
    let end = town.user.signed_by(&key(5), &lower, &key(2)).unwrap();
    check(&town, &[end, lower, upper], USER_DIALS, Err(Rule::PathTooLong));
}

#[test]
fn the_root_issues_to_servers_and_nodes_itself() {
    // CERT-019: a user authority makes somebody else a server.
    let town = Town::new();
    let authority = town.rooted(&town.authority, &key(2));
    for (template, place) in [(&town.server, SERVER_DIALS), (&town.node, (Channel::Location, End::Dialling))]
    {
        let chain = [template.signed_by(&key(6), &authority, &key(2)).unwrap(), authority.clone()];
        check(&town, &chain, place, Err(Rule::RootDidNotIssue));
    }
    // Its constraint keeps it from other names even before that, and its purpose from accepting connections.
    let other = Template::server(&name("two.example"), GOOD, serial(6));
    let chain = [other.signed_by(&key(6), &authority, &key(2)).unwrap(), authority.clone()];
    check(&town, &chain, SERVER_DIALS, Err(Rule::OutsideConstraint));
    let chain = [town.server.signed_by(&key(6), &authority, &key(2)).unwrap(), authority];
    check(&town, &chain, SERVER_ACCEPTS, Err(Rule::WrongPurpose));
}

/// A public key of any bytes, for a certificate.
struct Raw(Vec<u8>);

impl rcgen::PublicKeyData for Raw {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ED25519
    }
}

#[test]
fn a_key_is_one_of_the_protocols() {
    // CERT-020: a point of small order, and half of a key.
    let town = Town::new();
    for raw in [vec![0; 32], vec![7; 16]] {
        let end = town.server.signed_by(&Raw(raw), town.root.certificate(), town.root.key()).unwrap();
        check(&town, &[end], SERVER_DIALS, Err(Rule::KeyNotAccepted));
    }
    // Either algorithm issues for either.
    for (of_root, of_end) in
        [(KeyAlgorithm::P256, KeyAlgorithm::Ed25519), (KeyAlgorithm::Ed25519, KeyAlgorithm::P256)]
    {
        let root = Authority::create(KeyPair::generate(of_root).unwrap(), LONG, serial(1)).unwrap();
        let end = KeyPair::generate(of_end).unwrap();
        let town = Town { root, ..Town::new() };
        let peer = town.judge(&[town.rooted(&town.server, &end)], SERVER_DIALS).unwrap();
        assert_eq!((peer.key(), peer.role()), (end.public_key(), Role::Server));
    }
}

#[test]
fn every_end_of_every_channel_has_its_roles() {
    // CERT-021
    let town = Town::new();
    let ends =
        [(Role::User, town.users()), (Role::Server, town.servers()), (Role::DirectoryNode, town.nodes())];
    for channel in Channel::ALL {
        for end in [End::Dialling, End::Accepting] {
            let expected = Demand::new(channel, end).roles();
            for (role, chain) in &ends {
                let found = town.judge(chain, (channel, end));
                if expected.contains(role) {
                    assert_eq!(found.map(|peer| peer.role()), Ok(*role), "{channel} {end:?}");
                } else {
                    let rule = found.unwrap_err();
                    // A user has no purpose as an accepting server: that is found out first.
                    let of_purpose =
                        *role == Role::User && end == End::Accepting && rule == Rule::WrongPurpose;
                    let of_role = rule == Rule::WrongRole { expected, found: *role };
                    assert!(of_purpose || of_role, "{channel} {end:?} {role}: {rule}");
                }
            }
        }
    }
    for (place, roles) in [
        (USER_DIALS, &[Role::User] as &[Role]),
        (SERVER_ACCEPTS, &[Role::Server]),
        (SERVER_DIALS, &[Role::Server]),
        (USER_ACCEPTS, &[Role::User]),
        (NODE_ACCEPTS, &[Role::DirectoryNode]),
        ((Channel::Location, End::Dialling), &[Role::Server, Role::DirectoryNode]),
        ((Channel::Registration, End::Dialling), &[]),
    ] {
        assert_eq!(Demand::new(place.0, place.1).roles(), roles);
    }
}

#[test]
fn whoever_was_dialled_has_to_answer() {
    // CERT-022, CERT-023
    let town = Town::new();
    let other_user = UserHandle { id: ObjectHandle([2; 16]), ..user() };
    for (chain, place, right, wrong) in [
        (town.users(), USER_ACCEPTS, Identity::User(user()), Identity::User(other_user)),
        (
            town.servers(),
            SERVER_ACCEPTS,
            Identity::Server(name("one.example")),
            Identity::Server(name("two.example")),
        ),
        (
            town.nodes(),
            NODE_ACCEPTS,
            Identity::DirectoryNode(name("node.example")),
            Identity::Server(name("node.example")),
        ),
    ] {
        let demand = || Demand::new(place.0, place.1);
        let peer = town.judge_at(&chain, &demand().identity(right.clone()), NOW).unwrap();
        assert_eq!(peer.identity(), &right);
        let refused = town.judge_at(&chain, &demand().identity(wrong.clone()), NOW);
        assert_eq!(refused, Err(Rule::WrongPeer(wrong)));
        let hash = peer.key().key_hash();
        assert_eq!(town.judge_at(&chain, &demand().key(hash), NOW), Ok(peer));
        let other = key(77).key_hash();
        assert_eq!(town.judge_at(&chain, &demand().key(other), NOW), Err(Rule::WrongKey(other)));
    }
}

#[test]
fn only_a_user_is_a_peer_of_sessions() {
    let town = Town::new();
    let peer = town.judge(&town.users(), USER_DIALS).unwrap();
    assert_eq!(peer.peer(), Some(Peer { handle: user(), key: key(5).key_hash() }));
    assert_eq!(town.judge(&town.servers(), SERVER_DIALS).unwrap().peer(), None);
}

#[test]
fn a_refusal_names_the_certificate_and_the_rule() {
    let mut town = Town::new();
    let text = |town: &Town, chain: &[CertificateDer<'_>]| {
        let demand = Demand::new(USER_DIALS.0, USER_DIALS.1);
        let now = UnixTime::since_unix_epoch(Duration::from_secs(NOW));
        identify(&town.root.trust().unwrap(), chain, &demand, now).unwrap_err().to_string()
    };
    assert_eq!(
        text(&town, &town.servers()),
        "certificate refused: one.example (serial 06060606060606060606060606060606): it is a server's, where this \
         end of the channel has to be a user's"
    );
    town.authority.validity = Validity { not_before: Timestamp(NOW - 9), not_after: Timestamp(NOW - 1) };
    assert_eq!(
        text(&town, &town.users()),
        "certificate refused: one.example (serial 02020202020202020202020202020202): its last second was \
         2027-01-15T07:59:59Z"
    );
    // What a stranger wrote into a name reaches no terminal as it is.
    town.server.names = vec![Name::Uri("\u{1b}[31mantiphon:user:x".to_owned())];
    assert!(!text(&town, &town.servers()).contains('\u{1b}'));
}

#[test]
fn issuers_hold_to_the_rules() {
    let root = Authority::create(key(1), LONG, serial(1)).unwrap();
    let home = name("one.example");
    let authority = root.issue_user_authority(&home, key(2).public_key(), LONG, serial(2)).unwrap();
    let issuer = UserIssuer::load(authority.clone(), key(2)).unwrap();
    let month =
        |seconds| Validity { not_before: Timestamp(NOW), not_after: Timestamp(NOW + 30 * DAY + seconds) };
    let (stranger, own) = (UserHandle { home: name("two.example"), ..user() }, key(5));
    let issue = |who: &UserHandle, validity| {
        issuer.issue(who, own.public_key(), validity, serial(5)).map(|chain| chain.len())
    };
    assert_eq!(issue(&user(), month(0)), Ok(2));
    assert_eq!(issue(&user(), month(1)), Err(IssueError::LifetimeTooLong));
    let other_home = IssueError::OtherHome { user: stranger.clone(), home: home.clone() };
    assert_eq!(issue(&stranger, month(0)), Err(other_home));
    let last = Timestamp(u64::MAX);
    let endless = root.issue_server(
        &home,
        own.public_key(),
        Validity { not_before: Timestamp(0), not_after: last },
        serial(6),
    );
    assert_eq!(endless, Err(IssueError::Time(last)));

    let server = root.issue_server(&home, key(6).public_key(), LONG, serial(6)).unwrap();
    assert_eq!(UserIssuer::load(authority.clone(), key(3)).err(), Some(IssueError::OtherKey));
    assert_eq!(UserIssuer::load(server.clone(), key(6)).err(), Some(IssueError::NotUserAuthority));
    assert_eq!(
        UserIssuer::load(root.certificate().clone(), key(1)).err(),
        Some(IssueError::NotUserAuthority)
    );
    assert_eq!(Authority::load(root.certificate().clone(), key(2)).err(), Some(IssueError::OtherKey));
    assert_eq!(Authority::load(server, key(6)).err(), Some(IssueError::NotRoot(TrustError::NotAuthority)));
    assert_eq!(
        Authority::load(root.certificate().clone(), key(1)).unwrap().certificate(),
        root.certificate()
    );
    assert_eq!(Trust::from_der(&vec![1, 2, 3].into()).err(), Some(TrustError::Malformed));
}

/// CERT-006, which no test from outside can show.
#[test]
fn an_authority_says_so_in_a_critical_extension() {
    let town = Town::new();
    let authority =
        town.root.issue_user_authority(&name("one.example"), key(2).public_key(), GOOD, serial(2)).unwrap();
    for certificate in [town.root.certificate(), &authority] {
        let (_, parsed) = x509_parser::parse_x509_certificate(certificate).unwrap();
        let constraints = parsed.basic_constraints().unwrap().unwrap();
        assert!(constraints.value.ca && constraints.critical);
    }
}

#[test]
fn certificates_travel_as_pem() {
    let town = Town::new();
    let chain = town.users();
    let text = to_pem(&chain);
    assert_eq!(from_pem(&text), Ok(chain));
    assert!(!text.contains('\r'));
    for text in ["", "no certificate", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"] {
        assert_eq!(from_pem(text), Err(NotPem), "{text:?}");
    }
    assert_eq!(from_pem(&key(1).to_pem().unwrap()), Err(NotPem));
}

#[test]
fn a_validity_begins_before_now_for_clocks_that_are_late() {
    let validity = Validity::starting(Timestamp(NOW), Duration::from_secs(30 * DAY));
    assert_eq!(validity.not_before, Timestamp(NOW - 60));
    assert_eq!(validity.lifetime(), Duration::from_secs(30 * DAY));
    assert_ne!(Serial::random().unwrap(), Serial::random().unwrap());
}
