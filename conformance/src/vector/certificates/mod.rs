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
    Draft, GeneratorError, Made, Phase, VectorCase, p256,
    samples::{channel_name, handle},
    signed::Signer,
};
use crate::case::Role;

mod broken;
mod der;
mod forms;

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
    #[expect(clippy::too_many_arguments, reason = "the parts of a case, each once")]
    fn add(
        &mut self,
        id: &str,
        requirement: &str,
        reasons: &[&str],
        about: &str,
        place: Place,
        chain: &[Der],
        twin: &str,
    ) {
        let draft = draft(self.town, id, &[requirement], about, place, chain);
        let draft = draft.reject(Phase::Auth, &["certificate-refused"], format!("certificates/{twin}"));
        self.cases.push(draft.reasons(reasons).done());
    }

    /// A changed certificate of a user who dials.
    fn user(
        &mut self,
        id: &str,
        requirement: &str,
        reasons: &[&str],
        about: &str,
        change: impl FnOnce(&mut Template),
    ) -> Made<()> {
        let mut template = self.town.user_template();
        change(&mut template);
        let chain = self.town.user_chain(&template)?;
        self.add(id, requirement, reasons, about, USER_DIALS, &chain, "user");
        Ok(())
    }

    /// A changed user CA above a good user.
    fn authority(
        &mut self,
        id: &str,
        requirement: &str,
        reasons: &[&str],
        about: &str,
        change: impl FnOnce(&mut Template),
    ) -> Made<()> {
        let mut template = self.town.authority_template();
        change(&mut template);
        let chain = self.town.chain_under(&template)?;
        self.add(id, requirement, reasons, about, USER_DIALS, &chain, "user");
        Ok(())
    }

    /// A changed certificate of a server that accepts.
    fn server(
        &mut self,
        id: &str,
        requirement: &str,
        reasons: &[&str],
        about: &str,
        change: impl FnOnce(&mut Template),
    ) -> Made<()> {
        let mut template = self.town.server_template();
        change(&mut template);
        let chain = self.town.rooted(&template)?;
        self.add(id, requirement, reasons, about, SERVER_ACCEPTS, &chain, "server-accepts-client-server");
        Ok(())
    }
}

pub(super) fn cases() -> Made<Vec<VectorCase>> {
    let town = Town::new()?;
    let mut cases = Vec::new();
    accepted(&town, &mut cases)?;
    roles(&town, &mut cases)?;
    let mut refused = Refused { town: &town, cases: &mut cases };
    broken::cases(&mut refused)?;
    forms::cases(&mut refused)?;
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
        .output("identity", user_name.as_str())
        .done(),
    );
    under_p256(town, cases, &user_name)
}

/// A chain in which every signature is ECDSA on P-256.
fn under_p256(town: &Town, cases: &mut Vec<VectorCase>, name: &str) -> Made<()> {
    let (mut chain, root) = p256::chain()?;
    let root = hex::encode(root);
    let requirements = ["WIRE-010", "CERT-020"];
    let good = draft(
        town,
        "p256-chain",
        &requirements,
        "a root, a user CA and a user with P-256 keys",
        USER_DIALS,
        &chain,
    );
    let good = good.input("root", root.as_str()).output("identity", name);
    cases.push(good.output("key", hex::encode(p256::key_hash()?.0)).done());
    if let Some(leaf) = chain.first_mut() {
        let mut bytes = leaf.to_vec();
        bytes.last_mut().into_iter().for_each(|byte| *byte ^= 1);
        *leaf = bytes.into();
    }
    let bad = draft(
        town,
        "p256-chain-bit-flipped",
        &["CERT-008"],
        "a P-256 signature with one bit changed",
        USER_DIALS,
        &chain,
    );
    let bad = bad.input("root", root);
    cases.push(
        bad.reject(Phase::Auth, &["certificate-refused"], "certificates/p256-chain")
            .reasons(&["bad-signature"])
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
        // A user's certificate isn't for accepting where somebody else has to, either.
        let is_user_accepting = id == "user-accepts-as-server" || id == "user-accepts-as-node";
        let reasons: &[&str] =
            if is_user_accepting { &["wrong-role", "wrong-purpose"] } else { &["wrong-role"] };
        Refused { town, cases }.add(id, "CERT-021", reasons, about, place, chain, twin);
    }
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
    let reject = |draft: Draft, reason: &str, twin: &str| {
        let draft = draft.reject(Phase::Auth, &["certificate-refused"], format!("certificates/{twin}"));
        draft.reasons(&[reason]).done()
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
        "wrong-peer",
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
        "wrong-peer",
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
    cases.push(reject(key, "wrong-key", "dialled-user"));
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
        "wrong-peer",
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
        "wrong-peer",
        "dialled-node",
    ));
    Ok(())
}
