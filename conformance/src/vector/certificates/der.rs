//! A certificate as a tree of DER elements, to make wrong in ways that no library would: a part is replaced, and the
//! whole is signed again, so that nothing but the part is at fault.

use super::{
    super::signed::Signer,
    {Der, GeneratorError, Made},
};

/// The tag of a constructed element.
const CONSTRUCTED: u8 = 0x20;

/// One element: its tag, and what is inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Element {
    /// With elements inside.
    Nest(u8, Vec<Self>),
    /// With bytes inside.
    Bytes(u8, Vec<u8>),
    /// These bytes, whatever they are.
    Raw(Vec<u8>),
}

impl Element {
    /// An INTEGER.
    pub(super) fn integer(bytes: &[u8]) -> Self {
        Self::Bytes(0x02, bytes.to_vec())
    }

    /// An OBJECT IDENTIFIER from its contents.
    pub(super) fn identifier(bytes: &[u8]) -> Self {
        Self::Bytes(0x06, bytes.to_vec())
    }

    /// A SEQUENCE.
    pub(super) fn sequence<const N: usize>(elements: [Self; N]) -> Self {
        Self::Nest(0x30, elements.into())
    }

    /// The bytes, with lengths in their shortest form.
    pub(super) fn encode(&self) -> Made<Vec<u8>> {
        let (tag, contents) = match self {
            Self::Raw(bytes) => return Ok(bytes.clone()),
            Self::Bytes(tag, bytes) => (*tag, bytes.clone()),
            Self::Nest(tag, elements) => {
                let encoded: Made<Vec<Vec<u8>>> = elements.iter().map(Self::encode).collect();
                (*tag, encoded?.concat())
            }
        };
        let length = match u8::try_from(contents.len()) {
            Ok(short @ ..0x80) => vec![short],
            Ok(byte) => vec![0x81, byte],
            Err(_) => {
                let [high, low] = u16::try_from(contents.len()).map_err(GeneratorError::new)?.to_be_bytes();
                vec![0x82, high, low]
            }
        };
        Ok([vec![tag], length, contents].concat())
    }

    /// The elements inside.
    pub(super) fn inside(&mut self) -> Made<&mut Vec<Self>> {
        match self {
            Self::Nest(_, elements) => Ok(elements),
            Self::Bytes(..) | Self::Raw(_) => {
                Err(GeneratorError("an element with nothing inside".to_owned()))
            }
        }
    }

    /// The element at a place inside.
    pub(super) fn at(&mut self, index: usize) -> Made<&mut Self> {
        let missing = || GeneratorError(format!("no element {index}"));
        self.inside()?.get_mut(index).ok_or_else(missing)
    }
}

/// All elements of some bytes.
fn read(mut bytes: &[u8]) -> Made<Vec<Element>> {
    let short = || GeneratorError("not DER".to_owned());
    let mut elements = Vec::new();
    while let Some((&tag, rest)) = bytes.split_first() {
        let (&first, rest) = rest.split_first().ok_or_else(short)?;
        let count = usize::from(first & 0x7f);
        let (length, rest) = if first < 0x80 {
            (count, rest)
        } else {
            let (length, rest) = rest.split_at_checked(count).ok_or_else(short)?;
            (length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
        };
        let (contents, rest) = rest.split_at_checked(length).ok_or_else(short)?;
        elements.push(if tag & CONSTRUCTED == 0 {
            Element::Bytes(tag, contents.to_vec())
        } else {
            Element::Nest(tag, read(contents)?)
        });
        bytes = rest;
    }
    Ok(elements)
}

/// A certificate taken apart: what is signed, and the algorithm that it says to be signed with.
pub(super) struct Parts {
    /// Of RFC 5280's `TBSCertificate`.
    pub(super) signed: Element,
    /// The algorithm beside the signature.
    pub(super) algorithm: Element,
}

/// Where the parts of a `TBSCertificate` of version 3 stand.
pub(super) mod place {
    pub(crate) const VERSION: usize = 0;
    pub(crate) const SERIAL: usize = 1;
    pub(crate) const ALGORITHM: usize = 2;
    pub(crate) const VALIDITY: usize = 4;
    pub(crate) const KEY: usize = 6;
    pub(crate) const EXTENSIONS: usize = 7;
}

impl Parts {
    pub(super) fn of(certificate: &Der) -> Made<Self> {
        let wrong = || GeneratorError("not a certificate".to_owned());
        let Ok([Element::Nest(_, parts)]) = <[_; 1]>::try_from(read(certificate)?) else {
            return Err(wrong());
        };
        let [signed, algorithm, _] = <[_; 3]>::try_from(parts).map_err(|_| wrong())?;
        Ok(Self { signed, algorithm })
    }

    /// The extensions, each a SEQUENCE.
    pub(super) fn extensions(&mut self) -> Made<&mut Vec<Element>> {
        self.signed.at(place::EXTENSIONS)?.at(0)?.inside()
    }

    /// The extension with an identifier of the arc `id-ce` (2.5.29).
    pub(super) fn extension(&mut self, last: u8) -> Made<&mut Element> {
        let identifier = Element::identifier(&[0x55, 0x1d, last]);
        let missing = || GeneratorError(format!("no extension 2.5.29.{last}"));
        let is_it = |extension: &&mut Element| matches!(extension, Element::Nest(_, parts) if parts.first() == Some(&identifier));
        self.extensions()?.iter_mut().find(is_it).ok_or_else(missing)
    }

    /// The certificate, signed with the Ed25519 key of a seed.
    pub(super) fn sign(&self, issuer: u8) -> Made<Der> {
        let signed = self.signed.encode()?;
        let signature = [vec![0], Signer::new(issuer)?.sign_bytes(&signed)].concat();
        let whole = Element::sequence([
            Element::Raw(signed),
            self.algorithm.clone(),
            Element::Bytes(0x03, signature),
        ]);
        Ok(whole.encode()?.into())
    }
}
