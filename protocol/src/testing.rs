//! A town for tests: a root, two servers with their authorities, users and a directory node, all with their keys.

use std::{sync::Arc, time::Duration};

use antiphon_spec::{
    identity::{Identity, ObjectHandle, ServerName, UserHandle},
    time::Timestamp,
};
use rustls_pki_types::CertificateDer;

use crate::{
    certificate::{Authority, Serial, Trust, UserIssuer, Validity},
    channel::Channel,
    connection::{Acceptor, Dialler},
    key::KeyPair,
    tls::{Clock, Credentials, ManualClock, Port},
};

/// When it is, in the town.
pub(crate) const NOW: Timestamp = Timestamp(1_800_000_000);

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Who vouches for whom, and a clock that stands.
pub(crate) struct Town {
    root: Authority,
    pub(crate) trust: Arc<Trust>,
    pub(crate) manual_clock: Arc<ManualClock>,
}

fn key(seed: u8) -> KeyPair {
    KeyPair::from_seed(&[seed; 32]).unwrap()
}

fn name(text: &str) -> ServerName {
    text.parse().unwrap()
}

/// A user of `one.example`.
pub(crate) fn user(number: u8) -> Identity {
    Identity::User(UserHandle { id: ObjectHandle([number; 16]), home: name("one.example") })
}

/// The server `one.example`.
pub(crate) fn server() -> Identity {
    Identity::Server(name("one.example"))
}

/// Another server.
pub(crate) fn other_server() -> Identity {
    Identity::Server(name("two.example"))
}

/// A directory node.
pub(crate) fn node() -> Identity {
    Identity::DirectoryNode(name("node.example"))
}

impl Town {
    /// The town of a root with this key.
    pub(crate) fn new(root: u8) -> Self {
        let root =
            Authority::create(key(root), Validity::starting(NOW, 9 * DAY), Serial([root; 16])).unwrap();
        Self { trust: Arc::new(root.trust().unwrap()), root, manual_clock: Arc::new(ManualClock::new(NOW)) }
    }

    /// The clock as TLS takes it.
    pub(crate) fn clock(&self) -> Clock {
        Arc::<ManualClock>::clone(&self.manual_clock)
    }

    /// The chain and the key of somebody.
    pub(crate) fn certificates(&self, who: &Identity) -> (Vec<CertificateDer<'static>>, KeyPair) {
        let (validity, serial) = (Validity::starting(NOW, DAY), Serial([7; 16]));
        match who {
            Identity::User(handle) => {
                let own = key(handle.id.0[0]);
                let authority = self
                    .root
                    .issue_user_authority(&handle.home, key(200).public_key(), validity, serial)
                    .unwrap();
                let issuer = UserIssuer::load(authority, key(200)).unwrap();
                (issuer.issue(handle, own.public_key(), validity, serial).unwrap(), own)
            }
            Identity::Server(name) => (
                vec![self.root.issue_server(name, key(201).public_key(), validity, serial).unwrap()],
                key(201),
            ),
            Identity::DirectoryNode(name) => {
                let node = self.root.issue_directory_node(name, key(202).public_key(), validity, serial);
                (vec![node.unwrap()], key(202))
            }
        }
    }

    /// What somebody proves itself with.
    pub(crate) fn credentials(&self, who: &Identity) -> Credentials {
        let (chain, key) = self.certificates(who);
        Credentials::new(chain, &key).unwrap()
    }

    /// Somebody who dials, or who has no certificate yet.
    pub(crate) fn dialler(&self, who: Option<&Identity>) -> Dialler {
        Dialler::new(who.map(|who| self.credentials(who)), Arc::clone(&self.trust), self.clock())
    }

    /// Somebody who accepts at a port.
    pub(crate) fn acceptor(&self, port: Port, who: &Identity) -> Acceptor {
        Acceptor::new(port, self.credentials(who), Arc::clone(&self.trust), self.clock())
    }
}

/// Each channel with its port, one who may dial, and one who may accept.
pub(crate) fn channels() -> [(Channel, Port, Option<Identity>, Identity); 5] {
    [
        (Channel::Registration, Port::Registration, None, server()),
        (Channel::ClientServer, Port::Authenticated, Some(user(1)), server()),
        (Channel::ServerServer, Port::Authenticated, Some(other_server()), server()),
        (Channel::ClientClient, Port::ClientClient, Some(user(1)), user(2)),
        (Channel::Location, Port::Location, Some(server()), node()),
    ]
}
