//! Chains of certificates: the good ones of every role, and each with one rule broken.

use antiphon_protocol::{
    certificate::{
        AuthorityFlag, ExtendedKeyUsage, KeyUsage, Name, Serial, Template, Validity, identity_name,
    },
    channel::Channel,
    key::{KeyPair, PublicKey},
};
use antiphon_spec::{
    identity::{Identity, ServerName, UserHandle},
    time::Timestamp,
};
use rustls::pki_types::CertificateDer;

use super::{
    Draft, GeneratorError, Made, Phase, VectorCase,
    samples::{channel_name, handle},
};
use crate::case::Role;

type Der = CertificateDer<'static>;

/// The moment of the judgement.
const NOW: u64 = 1_800_000_000;
const DAY: u64 = 24 * 3600;
/// P-256's base point as a public key: nobody needs its secret key here.
const P256_KEY: &str = "3059301306072a8648ce3d020106082a8648ce3d030107034200046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";

/// The people and servers of the vectors, with all that they need to issue and to be issued for.
struct Town {
    root_key: KeyPair,
    root: Der,
    one_key: KeyPair,
    one_ca: Der,
    home: ServerName,
    user: UserHandle,
    user_key: KeyPair,
}

const fn validity() -> Validity {
    Validity { not_before: Timestamp(NOW - DAY), not_after: Timestamp(NOW + 9 * DAY) }
}

fn key(seed: u8) -> Made<KeyPair> {
    KeyPair::from_seed(&[seed; 32]).map_err(GeneratorError::new)
}

const fn serial(number: u8) -> Serial {
    Serial([number; 16])
}

fn signed(
    template: &Template,
    subject: &impl rcgen_key::Subject,
    issuer: &Der,
    issuer_key: &KeyPair,
) -> Made<Der> {
    subject.issue(template, issuer, issuer_key)
}

/// Subjects of certificates: key pairs of the vectors, and a public key whose secret key nobody has.
mod rcgen_key {
    use super::{Der, GeneratorError, KeyPair, Made, PublicKey, Template};

    pub(super) trait Subject {
        fn issue(&self, template: &Template, issuer: &Der, issuer_key: &KeyPair) -> Made<Der>;
    }

    impl Subject for KeyPair {
        fn issue(&self, template: &Template, issuer: &Der, issuer_key: &KeyPair) -> Made<Der> {
            template.signed_by(self, issuer, issuer_key).map_err(GeneratorError::new)
        }
    }

    impl Subject for PublicKey {
        fn issue(&self, template: &Template, issuer: &Der, issuer_key: &KeyPair) -> Made<Der> {
            template.signed_by(self, issuer, issuer_key).map_err(GeneratorError::new)
        }
    }
}

impl Town {
    fn new() -> Made<Self> {
        let (root_key, one_key) = (key(1)?, key(2)?);
        let long =
            Validity { not_before: Timestamp(NOW - 1_000 * DAY), not_after: Timestamp(NOW + 1_000 * DAY) };
        let root = Template::root(long, serial(1)).self_signed(&root_key).map_err(GeneratorError::new)?;
        let user = handle(1)?;
        let home = user.home.clone();
        let one_ca = signed(&Template::user_authority(&home, long, serial(2)), &one_key, &root, &root_key)?;
        Ok(Self { root_key, root, one_key, one_ca, home, user, user_key: key(5)? })
    }

    fn user_template(&self) -> Template {
        Template::user(&self.user, validity(), serial(5))
    }

    /// A user's chain with a changed certificate.
    fn user_chain(&self, template: &Template) -> Made<Vec<Der>> {
        Ok(vec![signed(template, &self.user_key, &self.one_ca, &self.one_key)?, self.one_ca.clone()])
    }

    /// A user's chain with a changed user CA.
    fn chain_under(&self, authority: &Template) -> Made<Vec<Der>> {
        let authority = signed(authority, &self.one_key, &self.root, &self.root_key)?;
        Ok(vec![signed(&self.user_template(), &self.user_key, &authority, &self.one_key)?, authority])
    }

    fn authority_template(&self) -> Template {
        Template::user_authority(&self.home, validity(), serial(12))
    }

    fn server_template(&self) -> Template {
        Template::server(&self.home, validity(), serial(6))
    }

    fn node_template(&self) -> Made<Template> {
        Ok(Template::directory_node(
            &"node.example".parse().map_err(GeneratorError::new)?,
            validity(),
            serial(7),
        ))
    }

    /// Straight from the root.
    fn rooted(&self, template: &Template) -> Made<Vec<Der>> {
        Ok(vec![signed(template, &key(6)?, &self.root, &self.root_key)?])
    }
}

/// Where a certificate is shown.
#[derive(Clone, Copy)]
struct Place {
    channel: Channel,
    end: &'static str,
}

const USER_DIALS: Place = Place { channel: Channel::ClientServer, end: "dialling" };
const USER_ACCEPTS: Place = Place { channel: Channel::ClientClient, end: "accepting" };
const SERVER_DIALS: Place = Place { channel: Channel::ServerServer, end: "dialling" };
const SERVER_ACCEPTS: Place = Place { channel: Channel::ClientServer, end: "accepting" };
const NODE_ACCEPTS: Place = Place { channel: Channel::Location, end: "accepting" };

fn draft(town: &Town, id: &str, requirements: &[&str], about: &str, place: Place, chain: &[Der]) -> Draft {
    let chain: Vec<String> = chain.iter().map(hex::encode).collect();
    Draft::new(format!("certificates/{id}"), Role::Verifier, "identify", requirements, about)
        .input("channel", channel_name(place.channel))
        .input("end", place.end)
        .input("root", hex::encode(&town.root))
        .input("chain", chain)
        .input("now", NOW)
}

/// Collects the refused ones.
struct Refused<'a> {
    town: &'a Town,
    cases: &'a mut Vec<VectorCase>,
}

impl Refused<'_> {
    fn add(&mut self, id: &str, requirement: &str, about: &str, place: Place, chain: &[Der], twin: &str) {
        let draft = draft(self.town, id, &[requirement], about, place, chain);
        self.cases
            .push(draft.reject(Phase::Auth, &["certificate-refused"], format!("certificates/{twin}")).done());
    }

    /// A changed certificate of a user who dials.
    fn user(
        &mut self,
        id: &str,
        requirement: &str,
        about: &str,
        change: impl FnOnce(&mut Template),
    ) -> Made<()> {
        let mut template = self.town.user_template();
        change(&mut template);
        let chain = self.town.user_chain(&template)?;
        self.add(id, requirement, about, USER_DIALS, &chain, "user");
        Ok(())
    }

    /// A changed user CA above a good user.
    fn authority(
        &mut self,
        id: &str,
        requirement: &str,
        about: &str,
        change: impl FnOnce(&mut Template),
    ) -> Made<()> {
        let mut template = self.town.authority_template();
        change(&mut template);
        let chain = self.town.chain_under(&template)?;
        self.add(id, requirement, about, USER_DIALS, &chain, "user");
        Ok(())
    }

    /// A changed certificate of a server that accepts.
    fn server(
        &mut self,
        id: &str,
        requirement: &str,
        about: &str,
        change: impl FnOnce(&mut Template),
    ) -> Made<()> {
        let mut template = self.town.server_template();
        change(&mut template);
        let chain = self.town.rooted(&template)?;
        self.add(id, requirement, about, SERVER_ACCEPTS, &chain, "server-accepts-client-server");
        Ok(())
    }
}

pub(super) fn cases() -> Made<Vec<VectorCase>> {
    let town = Town::new()?;
    let mut cases = Vec::new();
    accepted(&town, &mut cases)?;
    roles(&town, &mut cases)?;
    let mut refused = Refused { town: &town, cases: &mut cases };
    users(&mut refused)?;
    names(&mut refused)?;
    authorities(&mut refused)?;
    servers(&mut refused)?;
    paths(&mut refused)?;
    demands(&town, &mut cases)?;
    Ok(cases)
}

fn accepted(town: &Town, cases: &mut Vec<VectorCase>) -> Made<()> {
    let user = town.user_chain(&town.user_template())?;
    let (server, node) = (town.rooted(&town.server_template())?, town.rooted(&town.node_template()?)?);
    let user_name = identity_name(&Identity::User(town.user.clone()));
    let (server_name, node_name) = (town.home.to_string(), "antiphon:node:node.example".to_owned());
    let with_root: Vec<Der> = user.iter().chain([&town.root]).cloned().collect();
    for (id, about, place, chain, name, seed) in [
        ("user", "a user dials a server", USER_DIALS, &user, &user_name, 5),
        ("user-with-root", "a user who sends the root too", USER_DIALS, &with_root, &user_name, 5),
        (
            "user-dials-client",
            "a user dials a user",
            Place { channel: Channel::ClientClient, end: "dialling" },
            &user,
            &user_name,
            5,
        ),
        ("user-accepts", "a user accepts a user", USER_ACCEPTS, &user, &user_name, 5),
        ("server-dials-server", "a server dials a server", SERVER_DIALS, &server, &server_name, 6),
        (
            "server-dials-node",
            "a server dials a directory node",
            Place { channel: Channel::Location, end: "dialling" },
            &server,
            &server_name,
            6,
        ),
        ("server-accepts-client-server", "a server accepts a user", SERVER_ACCEPTS, &server, &server_name, 6),
        (
            "server-accepts-registration",
            "a server accepts a registration",
            Place { channel: Channel::Registration, end: "accepting" },
            &server,
            &server_name,
            6,
        ),
        (
            "server-accepts-server",
            "a server accepts a server",
            Place { channel: Channel::ServerServer, end: "accepting" },
            &server,
            &server_name,
            6,
        ),
        ("node-accepts", "a directory node accepts a server", NODE_ACCEPTS, &node, &node_name, 6),
    ] {
        let hash = hex::encode(key(seed)?.key_hash().0);
        cases.push(
            draft(town, id, &["CERT-014", "CERT-008"], about, place, chain)
                .output("identity", name.as_str())
                .output("key", hash)
                .done(),
        );
    }
    let mut thirty_days = town.user_template();
    thirty_days.validity =
        Validity { not_before: Timestamp(NOW - 15 * DAY), not_after: Timestamp(NOW + 15 * DAY) };
    let chain = town.user_chain(&thirty_days)?;
    cases.push(
        draft(town, "user-of-30-days", &["LIM-001"], "a certificate of just 30 days", USER_DIALS, &chain)
            .output("identity", user_name.as_str())
            .done(),
    );
    let p256 = PublicKey::from_der(&hex::decode(P256_KEY).map_err(GeneratorError::new)?)
        .map_err(GeneratorError::new)?;
    let chain = vec![signed(&town.user_template(), &p256, &town.one_ca, &town.one_key)?, town.one_ca.clone()];
    cases.push(
        draft(
            town,
            "user-with-p256-key",
            &["WIRE-010", "CERT-020"],
            "a user with a P-256 key",
            USER_DIALS,
            &chain,
        )
        .output("identity", user_name)
        .done(),
    );
    Ok(())
}

/// Every identity at every end where it may not be.
fn roles(town: &Town, cases: &mut Vec<VectorCase>) -> Made<()> {
    let user = (town.user_chain(&town.user_template())?, "user");
    let server = (town.rooted(&town.server_template())?, "server-accepts-client-server");
    let node = (town.rooted(&town.node_template()?)?, "node-accepts");
    let place = |channel, end| Place { channel, end };
    for (id, about, place, (chain, twin)) in [
        ("server-dials-as-user", "a server where a user has to dial a server", USER_DIALS, &server),
        ("node-dials-as-user", "a directory node where a user has to dial a server", USER_DIALS, &node),
        ("user-dials-as-server", "a user where a server has to dial a server", SERVER_DIALS, &user),
        ("node-dials-as-server", "a directory node where a server has to dial a server", SERVER_DIALS, &node),
        (
            "user-dials-node",
            "a user where a server has to dial a directory node",
            place(Channel::Location, "dialling"),
            &user,
        ),
        (
            "server-dials-as-client",
            "a server where a user has to dial a user",
            place(Channel::ClientClient, "dialling"),
            &server,
        ),
        (
            "node-dials-as-client",
            "a directory node where a user has to dial a user",
            place(Channel::ClientClient, "dialling"),
            &node,
        ),
        ("server-accepts-as-client", "a server where a user has to accept", USER_ACCEPTS, &server),
        ("node-accepts-as-client", "a directory node where a user has to accept", USER_ACCEPTS, &node),
        ("user-accepts-as-server", "a user where a server has to accept", SERVER_ACCEPTS, &user),
        ("node-accepts-as-server", "a directory node where a server has to accept", SERVER_ACCEPTS, &node),
        (
            "node-accepts-registration",
            "a directory node where a server has to accept a registration",
            place(Channel::Registration, "accepting"),
            &node,
        ),
        ("server-accepts-as-node", "a server where a directory node has to accept", NODE_ACCEPTS, &server),
        ("user-accepts-as-node", "a user where a directory node has to accept", NODE_ACCEPTS, &user),
    ] {
        Refused { town, cases }.add(id, "CERT-021", about, place, chain, twin);
    }
    Ok(())
}

fn users(refused: &mut Refused<'_>) -> Made<()> {
    let at = |from: u64, to: u64| Validity { not_before: Timestamp(from), not_after: Timestamp(to) };
    refused.user("user-expired", "CERT-009", "a certificate whose last second is over", |t| {
        t.validity = at(NOW - DAY, NOW - 1)
    })?;
    refused.user("user-not-yet-valid", "CERT-009", "a certificate whose first second has not come", |t| {
        t.validity = at(NOW + 1, NOW + DAY)
    })?;
    refused.user(
        "user-is-authority",
        "CERT-010",
        "a user's certificate that is a certificate authority's",
        |t| t.authority = AuthorityFlag::Yes(0),
    )?;
    refused.user("user-without-purpose", "CERT-012", "a user without an extended key usage", |t| {
        t.extended_key_usages = vec![]
    })?;
    refused.user(
        "user-for-servers-only",
        "CERT-012",
        "a user with the extended key usage of servers alone",
        |t| t.extended_key_usages = vec![ExtendedKeyUsage::ServerAuth],
    )?;
    refused.user("user-for-code", "CERT-012", "a user with an extended key usage for code", |t| {
        t.extended_key_usages = vec![ExtendedKeyUsage::CodeSigning]
    })?;
    refused.user(
        "user-with-unknown-critical-extension",
        "CERT-008",
        "a critical extension that nobody knows",
        |t| t.unknown_critical_extension = true,
    )?;
    let chain = refused.town.user_chain(&{
        let mut template = refused.town.user_template();
        template.extended_key_usages = vec![ExtendedKeyUsage::ServerAuth];
        template
    })?;
    refused.add(
        "user-accepts-for-servers-only",
        "CERT-012",
        "an accepting user with the extended key usage of servers alone",
        USER_ACCEPTS,
        &chain,
        "user-accepts",
    );
    let nobody: [Der; 0] = [];
    refused.add("no-certificate", "CERT-024", "no certificate", USER_DIALS, &nobody, "user");
    Ok(())
}

fn names(refused: &mut Refused<'_>) -> Made<()> {
    let user = identity_name(&Identity::User(refused.town.user.clone()));
    let uri = |text: String| vec![Name::Uri(text)];
    let other = format!("antiphon:user:{}", handle(3)?);
    let id = "01".repeat(16);
    for (slug, requirement, about, names) in [
        ("no-name", "CERT-015", "no subject alternative name", vec![]),
        (
            "two-names",
            "CERT-015",
            "two users in one certificate",
            vec![Name::Uri(user.clone()), Name::Uri(other)],
        ),
        (
            "user-and-server",
            "CERT-015",
            "a user and a server in one certificate",
            vec![Name::Uri(user.clone()), Name::Dns("one.example".to_owned())],
        ),
        (
            "user-and-mail",
            "CERT-015",
            "a user and a mail address in one certificate",
            vec![Name::Uri(user.clone()), Name::Email("a@one.example".to_owned())],
        ),
        (
            "same-name-twice",
            "CERT-015",
            "a user twice in one certificate",
            vec![Name::Uri(user.clone()), Name::Uri(user.clone())],
        ),
        ("mail-address", "CERT-016", "a mail address", vec![Name::Email("a@one.example".to_owned())]),
        ("other-scheme", "CERT-016", "a URI of another scheme", uri(format!("https://one.example/{id}"))),
        (
            "other-kind",
            "CERT-016",
            "an unknown kind of identity",
            uri(format!("antiphon:robot:{id}@one.example")),
        ),
        (
            "scheme-in-capitals",
            "CERT-016",
            "the scheme in capitals",
            uri(user.replace("antiphon", "ANTIPHON")),
        ),
        (
            "handle-in-capitals",
            "CERT-016",
            "a handle with a capital in the server name",
            uri(user.replace("one", "One")),
        ),
        ("handle-cut-off", "CERT-016", "a handle without a home server", uri(format!("antiphon:user:{id}"))),
        ("handle-with-space", "CERT-016", "a space behind the handle", uri(format!("{user} "))),
        (
            "handle-with-zero-byte",
            "CERT-016",
            "a zero byte behind the handle",
            uri(format!("{user}\0.two.example")),
        ),
    ] {
        refused.user(slug, requirement, about, |template| template.names = names)?;
    }
    refused.user(
        "name-in-subject",
        "CERT-014",
        "the handle in the subject and no subject alternative name",
        |template| {
            template.common_name = Some(user);
            template.names = vec![];
        },
    )
}

fn authorities(refused: &mut Refused<'_>) -> Made<()> {
    let at = |from: u64, to: u64| Validity { not_before: Timestamp(from), not_after: Timestamp(to) };
    let two = || Name::Dns("two.example".to_owned());
    let two_ca = |t: &mut Template| {
        t.names = vec![two()];
        t.permitted_dns_names = vec!["two.example".to_owned()];
    };
    refused.authority("other-home-issued", "CERT-018", "a user whom another server issued", two_ca)?;
    refused
        .authority("authority-without-name", "CERT-018", "a user CA without a name", |t| t.names = vec![])?;
    refused.authority("authority-with-two-names", "CERT-018", "a user CA with two names", |t| {
        t.names.push(two())
    })?;
    refused.authority("authority-with-uri", "CERT-018", "a user CA with its name as URI", |t| {
        t.names = vec![Name::Uri("one.example".to_owned())]
    })?;
    refused.authority("authority-expired", "CERT-009", "a user CA whose last second is over", |t| {
        t.validity = at(NOW - DAY, NOW - 1)
    })?;
    refused.authority(
        "authority-not-yet-valid",
        "CERT-009",
        "a user CA whose first second has not come",
        |t| t.validity = at(NOW + 1, NOW + DAY),
    )?;
    refused.authority(
        "authority-is-none",
        "CERT-011",
        "an issuer that is no certificate authority",
        |t| t.authority = AuthorityFlag::No,
    )?;
    refused.authority("authority-unsaid", "CERT-011", "an issuer without basic constraints", |t| {
        t.authority = AuthorityFlag::Absent
    })?;
    refused.authority(
        "authority-for-servers",
        "CERT-012",
        "a user CA with the extended key usage of servers alone",
        |t| t.extended_key_usages = vec![ExtendedKeyUsage::ServerAuth],
    )?;
    refused.authority(
        "authority-may-not-sign",
        "CERT-008",
        "a user CA that may not sign certificates",
        |t| t.key_usages = vec![KeyUsage::RevocationListSign],
    )?;
    refused.authority(
        "authority-with-unknown-critical-extension",
        "CERT-008",
        "a user CA with a critical extension that nobody knows",
        |t| t.unknown_critical_extension = true,
    )
}

fn servers(refused: &mut Refused<'_>) -> Made<()> {
    let at = |from: u64, to: u64| Validity { not_before: Timestamp(from), not_after: Timestamp(to) };
    let dns = |text: &str| vec![Name::Dns(text.to_owned())];
    refused.server("server-expired", "CERT-009", "a server whose last second is over", |t| {
        t.validity = at(NOW - DAY, NOW - 1)
    })?;
    refused.server("server-not-yet-valid", "CERT-009", "a server whose first second has not come", |t| {
        t.validity = at(NOW + 1, NOW + DAY)
    })?;
    refused.server("server-for-clients-only", "CERT-013", "an accepting server without serverAuth", |t| {
        t.extended_key_usages = vec![ExtendedKeyUsage::ClientAuth]
    })?;
    refused.server("server-without-name", "CERT-015", "a server without a name", |t| t.names = vec![])?;
    refused.server("server-with-two-names", "CERT-015", "a server with two names", |t| {
        t.names.push(Name::Dns("two.example".to_owned()))
    })?;
    refused.server("server-with-wildcard", "CERT-016", "a server with a wildcard", |t| {
        t.names = dns("*.example")
    })?;
    refused.server("server-in-capitals", "CERT-016", "a server name with a capital", |t| {
        t.names = dns("One.example")
    })?;
    refused.server(
        "server-is-authority",
        "CERT-010",
        "a server's certificate that is a certificate authority's",
        |t| t.authority = AuthorityFlag::Yes(0),
    )?;
    let mut template = refused.town.server_template();
    template.extended_key_usages = vec![ExtendedKeyUsage::ServerAuth];
    let chain = refused.town.rooted(&template)?;
    refused.add(
        "server-dials-without-purpose",
        "CERT-012",
        "a dialling server without clientAuth",
        SERVER_DIALS,
        &chain,
        "server-dials-server",
    );
    let mut template = refused.town.node_template()?;
    template.extended_key_usages = vec![ExtendedKeyUsage::ClientAuth];
    let chain = refused.town.rooted(&template)?;
    refused.add(
        "node-for-clients-only",
        "CERT-013",
        "an accepting directory node without serverAuth",
        NODE_ACCEPTS,
        &chain,
        "node-accepts",
    );
    Ok(())
}

fn paths(refused: &mut Refused<'_>) -> Made<()> {
    let town = refused.town;
    let other_root_key = key(20)?;
    let other_root =
        Template::root(validity(), serial(20)).self_signed(&other_root_key).map_err(GeneratorError::new)?;
    // The same name as the real root, signed by another key.
    let same_name =
        Template::root(validity(), serial(1)).self_signed(&other_root_key).map_err(GeneratorError::new)?;
    let user = town.user_chain(&town.user_template())?;
    let foreign_ca = signed(&town.authority_template(), &town.one_key, &other_root, &other_root_key)?;
    let foreign = vec![
        signed(&town.user_template(), &town.user_key, &foreign_ca, &town.one_key)?,
        foreign_ca,
        other_root.clone(),
    ];
    refused.add("other-root", "CERT-008", "a user under another root", USER_DIALS, &foreign, "user");
    let forged_ca = signed(&town.authority_template(), &town.one_key, &same_name, &other_root_key)?;
    let forged = vec![signed(&town.user_template(), &town.user_key, &forged_ca, &town.one_key)?, forged_ca];
    refused.add(
        "root-of-the-same-name",
        "CERT-008",
        "a user under another root of the same name",
        USER_DIALS,
        &forged,
        "user",
    );
    refused.add(
        "user-ca-missing",
        "CERT-008",
        "a user without the certificate of the user CA",
        USER_DIALS,
        user.get(..1).unwrap_or_default(),
        "user",
    );
    let by_other_key =
        vec![signed(&town.user_template(), &town.user_key, &town.one_ca, &key(21)?)?, town.one_ca.clone()];
    refused.add(
        "user-signed-by-another-key",
        "CERT-008",
        "a user whose signature is not the user CA's",
        USER_DIALS,
        &by_other_key,
        "user",
    );
    let server = town.rooted(&town.server_template())?;
    let foreign_server = vec![signed(&town.server_template(), &key(6)?, &other_root, &other_root_key)?];
    refused.add(
        "server-under-other-root",
        "CERT-008",
        "a server under another root",
        SERVER_ACCEPTS,
        &foreign_server,
        "server-accepts-client-server",
    );
    let rooted = town.rooted(&town.user_template())?;
    refused.add(
        "user-under-root",
        "CERT-017",
        "a user whom the root issued itself",
        USER_DIALS,
        &rooted,
        "user",
    );
    let by_user: Vec<Der> = std::iter::once(signed(
        &Template::user(&handle(3)?, validity(), serial(30)),
        &key(22)?,
        user.first().unwrap_or(&town.root),
        &town.user_key,
    )?)
    .chain(user.iter().cloned())
    .collect();
    refused.add(
        "user-as-issuer",
        "CERT-011",
        "a user whom another user issued",
        USER_DIALS,
        &by_user,
        "user",
    );
    let by_server: Vec<Der> = std::iter::once(signed(
        &town.user_template(),
        &town.user_key,
        server.first().unwrap_or(&town.root),
        &key(6)?,
    )?)
    .chain(server.iter().cloned())
    .collect();
    refused.add(
        "server-as-issuer",
        "CERT-011",
        "a user whom a server's TLS certificate issued",
        USER_DIALS,
        &by_server,
        "user",
    );
    let server_by_ca =
        vec![signed(&town.server_template(), &key(6)?, &town.one_ca, &town.one_key)?, town.one_ca.clone()];
    refused.add(
        "user-ca-issued-server",
        "CERT-019",
        "a server that a user CA issued",
        SERVER_DIALS,
        &server_by_ca,
        "server-dials-server",
    );
    let node_by_ca =
        vec![signed(&town.node_template()?, &key(6)?, &town.one_ca, &town.one_key)?, town.one_ca.clone()];
    refused.add(
        "user-ca-issued-node",
        "CERT-019",
        "a directory node that a user CA issued",
        NODE_ACCEPTS,
        &node_by_ca,
        "node-accepts",
    );
    let lower_key = key(23)?;
    let lower = signed(&town.authority_template(), &lower_key, &town.one_ca, &town.one_key)?;
    let deep =
        vec![signed(&town.user_template(), &town.user_key, &lower, &lower_key)?, lower, town.one_ca.clone()];
    refused.add("user-ca-below-user-ca", "CERT-017", "a user below two user CAs", USER_DIALS, &deep, "user");
    let constrained = {
        let mut template = town.server_template();
        template.names = vec![Name::Dns("two.example".to_owned())];
        vec![signed(&template, &key(6)?, &town.one_ca, &town.one_key)?, town.one_ca.clone()]
    };
    refused.add(
        "name-outside-constraint",
        "CERT-008",
        "a name that the user CA may not give",
        SERVER_DIALS,
        &constrained,
        "server-dials-server",
    );
    let mut broken = user.clone();
    if let Some(first) = broken.first_mut() {
        let mut bytes = first.to_vec();
        if let Some(last) = bytes.last_mut() {
            *last ^= 1;
        }
        *first = bytes.into();
    }
    refused.add(
        "signature-bit-flipped",
        "CERT-008",
        "a user's certificate with one bit of the signature changed",
        USER_DIALS,
        &broken,
        "user",
    );
    let garbage: Vec<Der> = vec![vec![0x30, 0x03, 0x02, 0x01, 0x00].into()];
    refused.add(
        "no-certificate-inside",
        "CERT-008",
        "DER that is no certificate",
        USER_DIALS,
        &garbage,
        "user",
    );
    let mut trailing = user;
    if let Some(first) = trailing.first_mut() {
        *first = [first.as_ref(), &[0]].concat().into();
    }
    refused.add("trailing-byte", "CERT-008", "a byte behind the certificate", USER_DIALS, &trailing, "user");
    Ok(())
}

/// A good certificate, but not of the peer that was dialled.
fn demands(town: &Town, cases: &mut Vec<VectorCase>) -> Made<()> {
    let user = town.user_chain(&town.user_template())?;
    let server = town.rooted(&town.server_template())?;
    let node = town.rooted(&town.node_template()?)?;
    let own = identity_name(&Identity::User(town.user.clone()));
    let other = identity_name(&Identity::User(handle(3)?));
    let same_id = identity_name(&Identity::User(UserHandle { home: handle(2)?.home, ..town.user.clone() }));
    let own_key = hex::encode(town.user_key.key_hash().0);
    let with = |id: &str, requirement: &str, about: &str, place: Place, chain: &[Der], whom: &str| {
        draft(town, id, &[requirement], about, place, chain).input("identity", whom)
    };
    let reject = |draft: Draft, twin: &str| {
        draft.reject(Phase::Auth, &["certificate-refused"], format!("certificates/{twin}")).done()
    };
    cases.push(
        with("dialled-user", "CERT-023", "the user that was dialled", USER_ACCEPTS, &user, &own)
            .input("key", own_key.as_str())
            .output("identity", own.as_str())
            .output("key", own_key)
            .done(),
    );
    cases.push(reject(
        with(
            "dialled-user-other-handle",
            "CERT-023",
            "another user than the one that was dialled",
            USER_ACCEPTS,
            &user,
            &other,
        ),
        "dialled-user",
    ));
    cases.push(reject(
        with(
            "dialled-user-other-home",
            "CERT-023",
            "the same user ID at another home",
            USER_ACCEPTS,
            &user,
            &same_id,
        ),
        "dialled-user",
    ));
    let key = with(
        "dialled-user-other-key",
        "CERT-023",
        "the user that was dialled, with another key",
        USER_ACCEPTS,
        &user,
        &own,
    )
    .input("key", "00".repeat(32));
    cases.push(reject(key, "dialled-user"));
    cases.push(
        with(
            "dialled-server",
            "CERT-022",
            "the server that was dialled",
            SERVER_ACCEPTS,
            &server,
            "one.example",
        )
        .output("identity", "one.example")
        .done(),
    );
    cases.push(reject(
        with(
            "dialled-server-other-name",
            "CERT-022",
            "another server than the one that was dialled",
            SERVER_ACCEPTS,
            &server,
            "two.example",
        ),
        "dialled-server",
    ));
    cases.push(
        with(
            "dialled-node",
            "CERT-022",
            "the directory node that was dialled",
            NODE_ACCEPTS,
            &node,
            "antiphon:node:node.example",
        )
        .output("identity", "antiphon:node:node.example")
        .done(),
    );
    cases.push(reject(
        with(
            "dialled-node-other-name",
            "CERT-022",
            "another directory node than the one that was dialled",
            NODE_ACCEPTS,
            &node,
            "antiphon:node:other.example",
        ),
        "dialled-node",
    ));
    Ok(())
}
