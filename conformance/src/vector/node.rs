//! CBOR as a tree that can also be wrong: what vectors are made of.
//!
//! It is written by hand and knows no types, so that a fault of the messages' own encoder cannot hide in the vectors.

/// The entries of a map, in the order in which they are written.
pub(crate) type Entries = Vec<(Node, Node)>;

/// One item, right or wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    Unsigned(u64),
    Negative(u64),
    Bytes(Vec<u8>),
    Text(String),
    Array(Vec<Self>),
    Map(Vec<(Self, Self)>),
    Bool(bool),
    /// These bytes, whatever they are.
    Raw(Vec<u8>),
}

impl Node {
    pub(crate) fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    /// A map with text keys, in the order given.
    pub(crate) fn map<const N: usize>(entries: [(&str, Self); N]) -> Self {
        Self::Map(entries.into_iter().map(|(key, value)| (Self::text(key), value)).collect())
    }

    /// A message: a map with its name and its body.
    pub(crate) fn message<const N: usize>(name: &str, body: [(&str, Self); N]) -> Self {
        Self::map([(name, Self::map(body))])
    }

    /// The bytes, with heads in their shortest form.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Unsigned(value) => head(0, *value, out),
            Self::Negative(value) => head(1, *value, out),
            Self::Bytes(bytes) => {
                head(2, bytes.len() as u64, out);
                out.extend_from_slice(bytes);
            }
            Self::Text(text) => {
                head(3, text.len() as u64, out);
                out.extend_from_slice(text.as_bytes());
            }
            Self::Array(items) => {
                head(4, items.len() as u64, out);
                items.iter().for_each(|item| item.write(out));
            }
            Self::Map(entries) => {
                head(5, entries.len() as u64, out);
                for (key, value) in entries {
                    key.write(out);
                    value.write(out);
                }
            }
            Self::Bool(value) => out.push(if *value { 0xf5 } else { 0xf4 }),
            Self::Raw(bytes) => out.extend_from_slice(bytes),
        }
    }

    /// Reads what an encoder of messages made.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        Self::of(&ciborium::from_reader(bytes).ok()?)
    }

    fn of(value: &ciborium::Value) -> Option<Self> {
        use ciborium::Value;
        Some(if let Value::Integer(number) = value {
            let number = i128::from(*number);
            if number >= 0 {
                Self::Unsigned(u64::try_from(number).ok()?)
            } else {
                Self::Negative(u64::try_from(-1 - number).ok()?)
            }
        } else if let Value::Bytes(bytes) = value {
            Self::Bytes(bytes.clone())
        } else if let Value::Text(text) = value {
            Self::Text(text.clone())
        } else if let Value::Bool(value) = value {
            Self::Bool(*value)
        } else if let Value::Array(items) = value {
            Self::Array(items.iter().map(Self::of).collect::<Option<_>>()?)
        } else if let Value::Map(entries) = value {
            Self::Map(
                entries
                    .iter()
                    .map(|(key, value)| Some((Self::of(key)?, Self::of(value)?)))
                    .collect::<Option<_>>()?,
            )
        } else {
            return None;
        })
    }

    /// The entries of a map, to be changed; none in anything else.
    pub(crate) fn entries(&mut self) -> Option<&mut Entries> {
        if let Self::Map(entries) = self { Some(entries) } else { None }
    }

    /// The item at a path of map keys.
    pub(crate) fn at(&mut self, path: &[&str]) -> Option<&mut Self> {
        let mut node = self;
        for key in path {
            let entries = node.entries()?;
            node = entries
                .iter_mut()
                .find(|(name, _)| matches!(name, Self::Text(name) if name == key))
                .map(|(_, value)| value)?;
        }
        Some(node)
    }
}

/// The head of an item in its shortest form.
fn head(major: u8, argument: u64, out: &mut Vec<u8>) {
    let initial = major << 5;
    let bytes = argument.to_be_bytes();
    let (information, length) = match argument {
        0..=23 => (argument.to_le_bytes()[0], 0),
        24..=0xff => (24, 1),
        0x100..=0xffff => (25, 2),
        0x1_0000..=0xffff_ffff => (26, 4),
        _ => (27, 8),
    };
    out.push(initial | information);
    out.extend_from_slice(bytes.get(8 - length..).unwrap_or_default());
}
