//! Who is who: object handles, server names, user handles, key hashes and the identity of a verified peer.
//!
//! Every identifier is a type of its own, and its only way in from outside is a parser that refuses all but
//! the one canonical form (chapter *Identity*).

use std::{fmt, str::FromStr, sync::Arc};

/// Why a text is not an identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidIdentifier {
    /// An object handle is 32 lower-case hexadecimal digits.
    #[error("an object handle is 32 lower-case hexadecimal digits")]
    ObjectHandle,
    /// A server name is a lower-case DNS name of at most 100 characters.
    #[error("a server name is a lower-case DNS name of at most {} characters", ServerName::LENGTH_MAX)]
    ServerName,
    /// A user handle is an object handle, `@` and the name of the home server.
    #[error("a user handle is an object handle, '@' and the name of the home server")]
    UserHandle,
    /// A contact address is an IP address literal and a port.
    #[error("a contact address is an IP address and a port, such as 192.0.2.1:5000 or [2001:db8::1]:5000")]
    ContactAddress,
}

/// A 128-bit name of a user, server or room: unique, without a location, not meant for people.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectHandle(pub [u8; 16]);

impl ObjectHandle {
    /// The well-known handle under which every server registers itself with the location service.
    pub const SERVERS: Self = Self(*b"antiphon-servers");
}

impl fmt::Display for ObjectHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // At once: lists of preferences have hundreds of them.
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for ObjectHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectHandle({self})")
    }
}

impl FromStr for ObjectHandle {
    type Err = InvalidIdentifier;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.as_bytes();
        let mut bytes = [0; 16];
        if digits.len() != 32 {
            return Err(InvalidIdentifier::ObjectHandle);
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            for &digit in pair {
                let value = match digit {
                    b'0'..=b'9' => digit - b'0',
                    b'a'..=b'f' => digit - b'a' + 10,
                    _ => return Err(InvalidIdentifier::ObjectHandle),
                };
                *byte = *byte << 4 | value;
            }
        }
        Ok(Self(bytes))
    }
}

/// The DNS name of a server: its identity in certificates and in the handles of its users.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerName(Arc<str>);

impl ServerName {
    /// Longest server name, in characters; keeps a user handle within 133 and a certificate small.
    pub const LENGTH_MAX: usize = 100;

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ServerName {
    type Err = InvalidIdentifier;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let numeric = text.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
        if text.len() <= Self::LENGTH_MAX && text.split('.').all(label) && !numeric {
            Ok(Self(text.into()))
        } else {
            Err(InvalidIdentifier::ServerName)
        }
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerName({})", self.0)
    }
}

/// A user's address for life: the user ID, `@`, the name of the home server.
///
/// Handles are ordered by user ID first; "the lowest handle" means this order.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserHandle {
    /// The user ID, issued by the location service.
    pub id: ObjectHandle,
    /// The server that created the account and vouches for the user.
    pub home: ServerName,
}

impl FromStr for UserHandle {
    type Err = InvalidIdentifier;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (id, home) = text.split_once('@').ok_or(InvalidIdentifier::UserHandle)?;
        Ok(Self {
            id: id.parse().map_err(|_| InvalidIdentifier::UserHandle)?,
            home: home.parse().map_err(|_| InvalidIdentifier::UserHandle)?,
        })
    }
}

impl fmt::Display for UserHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.id, self.home)
    }
}

impl fmt::Debug for UserHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserHandle({self})")
    }
}

/// SHA-256 over the DER form of a public key (SubjectPublicKeyInfo).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyHash(pub [u8; 32]);

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash(")?;
        self.0.iter().take(4).try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("..)")
    }
}

/// What a verified certificate says its holder is. One certificate carries exactly one identity.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Identity {
    /// A user, vouched for by the home server.
    User(UserHandle),
    /// A server, vouched for by the root.
    Server(ServerName),
    /// A directory node of the location service, vouched for by the root.
    DirectoryNode(ServerName),
}

/// The other end of a client-to-client link, proved by TLS.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer {
    /// The handle in the peer's certificate.
    pub handle: UserHandle,
    /// The hash of the public key in the peer's certificate.
    pub key: KeyHash,
}

/// Where something can be reached: an IP address and a TCP port. Its text is the one that Rust and RFC 5952 print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContactAddress(pub std::net::SocketAddr);

impl fmt::Display for ContactAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for ContactAddress {
    type Err = InvalidIdentifier;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let address = text.parse().map_err(|_| InvalidIdentifier::ContactAddress)?;
        let address = Self(address);
        // One address, one text: anything that does not print as it was written is refused.
        // A zone means something to the end that wrote it alone.
        let zoned = matches!(address.0, std::net::SocketAddr::V6(address) if address.scope_id() != 0);
        if address.to_string() == text && address.0.port() != 0 && !zoned {
            Ok(address)
        } else {
            Err(InvalidIdentifier::ContactAddress)
        }
    }
}

macro_rules! as_text {
    ($($name:ty),*) => {$(
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                <String as serde::Deserialize>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}
as_text!(ServerName, UserHandle, ContactAddress);

/// Byte arrays of a fixed length travel as byte strings of just that length.
macro_rules! as_bytes {
    ($($name:ident [$length:literal]),*) => {$(
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_bytes(&self.0)
            }
        }
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let bytes = <serde_bytes::ByteArray<$length> as serde::Deserialize>::deserialize(deserializer)?;
                Ok(Self(bytes.into_array()))
            }
        }
    )*};
}
pub(crate) use as_bytes;
as_bytes!(ObjectHandle[16], KeyHash[32]);

#[cfg(test)]
mod tests {
    use super::ContactAddress;

    #[test]
    fn an_address_is_a_literal_in_its_one_spelling_without_a_zone() {
        for good in ["192.0.2.1:5000", "[2001:db8::1]:5000", "[fe80::1]:1", "[::ffff:192.0.2.1]:65535"] {
            assert_eq!(good.parse::<ContactAddress>().unwrap().to_string(), good);
        }
        for wrong in ["[fe80::1%1]:5000", "[2001:DB8::1]:5000", "192.0.2.1:0", "192.0.2.1", "localhost:1"] {
            assert!(wrong.parse::<ContactAddress>().is_err(), "{wrong}");
        }
    }
}
