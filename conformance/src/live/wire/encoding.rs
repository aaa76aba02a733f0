//! The one encoding (chapter *Wire*, section *Encoding*): pings that are right but for one thing in their bytes.

use antiphon_protocol::channel::Channel;
use antiphon_spec::error_code::ErrorCode::{Malformed, NotDeterministic};

use super::{item_is_closed, refused, taken};
use crate::live::{
    LiveCase,
    server::stage::{Done, Stage},
    wire::open,
};

/// A case in which an item is closed for, and nothing behind it is answered.
macro_rules! closed {
    ($id:literal, $requirement:literal, $about:literal, $channel:ident, $item:expr, $($code:ident)|+) => {
        refused(
            concat!("wire/", $id),
            &[$requirement, "WIRE-052", "WIRE-054", "WIRE-055"],
            "wire/encoding-right",
            $about,
            |world| Box::pin(item_is_closed(world, Channel::$channel, $item, &[$($code),+])),
        )
    };
}
pub(super) use closed;

/// The cases of this file.
pub(super) const CASES: &[LiveCase] = &[
    taken(
        "wire/encoding-right",
        &["WIRE-016", "WIRE-045"],
        "The ping from which the refused items differ in one thing is answered, on each of the three channels.",
        |world| Box::pin(right(world)),
    ),
    closed!(
        "encoding-bytes-behind",
        "WIRE-017",
        "A byte follows the item inside of its frame.",
        ClientServer,
        b"\xa1\x64ping\xa1\x66number\x01\x00",
        Malformed
    ),
    closed!(
        "encoding-bytes-behind-of-a-server",
        "WIRE-017",
        "A second ping follows the item inside of one frame.",
        ServerServer,
        b"\xa1\x64ping\xa1\x66number\x01\xa1\x64ping\xa1\x66number\x01",
        Malformed
    ),
    closed!(
        "encoding-bytes-behind-to-the-registrar",
        "WIRE-017",
        "A byte follows the item inside of its frame.",
        Registration,
        b"\xa1\x64ping\xa1\x66number\x01\xff",
        Malformed
    ),
    closed!(
        "encoding-cut-off",
        "WIRE-017",
        "The item ends before its last value.",
        ClientServer,
        b"\xa1\x64ping\xa1\x66number",
        Malformed
    ),
    closed!(
        "encoding-reserved-head",
        "WIRE-017",
        "The number has a head that RFC 8949 reserves.",
        ClientServer,
        b"\xa1\x64ping\xa1\x66number\x1c",
        Malformed
    ),
    closed!(
        "encoding-break-alone",
        "WIRE-017",
        "A break stands where the number has to be.",
        ClientServer,
        b"\xa1\x64ping\xa1\x66number\xff",
        Malformed
    ),
    closed!(
        "encoding-number-in-two-bytes",
        "WIRE-018",
        "The number 1 stands in two bytes.",
        ClientServer,
        b"\xa1\x64ping\xa1\x66number\x18\x01",
        NotDeterministic
    ),
    closed!(
        "encoding-number-in-three-bytes",
        "WIRE-018",
        "The number 255 stands in three bytes.",
        ClientServer,
        b"\xa1\x64ping\xa1\x66number\x19\x00\xff",
        NotDeterministic
    ),
    closed!(
        "encoding-number-in-nine-bytes",
        "WIRE-018",
        "The number 1 stands in nine bytes.",
        ServerServer,
        b"\xa1\x64ping\xa1\x66number\x1b\0\0\0\0\0\0\0\x01",
        NotDeterministic
    ),
    closed!(
        "encoding-length-of-a-name",
        "WIRE-018",
        "The length of the message's name stands in two bytes.",
        Registration,
        b"\xa1\x78\x04ping\xa1\x66number\x01",
        NotDeterministic
    ),
    closed!(
        "encoding-length-of-a-map",
        "WIRE-018",
        "The length of the body stands in two bytes.",
        ClientServer,
        b"\xa1\x64ping\xb8\x01\x66number\x01",
        NotDeterministic
    ),
    closed!(
        "encoding-indefinite-map",
        "WIRE-019",
        "The body is a map of indefinite length.",
        ClientServer,
        b"\xa1\x64ping\xbf\x66number\x01\xff",
        NotDeterministic
    ),
    closed!(
        "encoding-indefinite-text",
        "WIRE-019",
        "The message's name is a text of indefinite length.",
        ServerServer,
        b"\xa1\x7f\x62pi\x62ng\xff\xa1\x66number\x01",
        NotDeterministic
    ),
    closed!(
        "encoding-indefinite-array",
        "WIRE-019",
        "An array of indefinite length stands for the number.",
        ClientServer,
        b"\xa1\x64ping\xa1\x66number\x9f\xff",
        NotDeterministic | Malformed
    ),
    closed!(
        "encoding-indefinite-bytes",
        "WIRE-019",
        "A handle is a byte string of indefinite length.",
        ServerServer,
        b"\xa1\x69check-out\xa2\x62id\x01\x64user\x5f\x50\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xff",
        NotDeterministic
    ),
    closed!(
        "encoding-order-of-keys",
        "WIRE-020",
        "The longer key of a login stands first.",
        ClientServer,
        b"\xa1\x65login\xa2\x67address\x6e192.0.2.1:4000\x62id\x01",
        NotDeterministic
    ),
    closed!(
        "encoding-key-twice",
        "WIRE-021",
        "The number stands twice in the body.",
        ClientServer,
        b"\xa1\x64ping\xa2\x66number\x01\x66number\x01",
        NotDeterministic
    ),
    closed!(
        "encoding-tag",
        "WIRE-022",
        "The number has a tag.",
        ClientServer,
        b"\xa1\x64ping\xa1\x66number\xc1\x01",
        Malformed
    ),
    closed!(
        "encoding-tag-around-everything",
        "WIRE-022",
        "The whole message has the tag that says that this is CBOR.",
        ServerServer,
        b"\xd9\xd9\xf7\xa1\x64ping\xa1\x66number\x01",
        Malformed
    ),
    closed!(
        "encoding-float-16",
        "WIRE-023",
        "The number is the half-precision 1.0.",
        ClientServer,
        b"\xa1\x64ping\xa1\x66number\xf9\x3c\x00",
        Malformed
    ),
    closed!(
        "encoding-float-64",
        "WIRE-023",
        "The number is the double-precision 1.1.",
        Registration,
        b"\xa1\x64ping\xa1\x66number\xfb\x3f\xf1\x99\x99\x99\x99\x99\x9a",
        Malformed
    ),
    closed!(
        "encoding-null",
        "WIRE-024",
        "Null stands for the number.",
        ClientServer,
        b"\xa1\x64ping\xa1\x66number\xf6",
        Malformed
    ),
    closed!(
        "encoding-null-for-a-body",
        "WIRE-024",
        "Null stands for the body of a goodbye.",
        ServerServer,
        b"\xa1\x67goodbye\xf6",
        Malformed
    ),
    closed!(
        "encoding-undefined",
        "WIRE-024",
        "Undefined stands for the number.",
        ClientServer,
        b"\xa1\x64ping\xa1\x66number\xf7",
        Malformed
    ),
    closed!(
        "encoding-simple-value",
        "WIRE-024",
        "The simple value 32 stands for the number.",
        ClientServer,
        b"\xa1\x64ping\xa1\x66number\xf8\x20",
        Malformed
    ),
    closed!(
        "encoding-too-deep",
        "WIRE-025",
        "A frame is full of arrays in each other.",
        ClientServer,
        &[0x81; 60_000],
        Malformed
    ),
    closed!(
        "encoding-maps-too-deep",
        "WIRE-025",
        "17 arrays and maps are open around the number.",
        ClientServer,
        b"\xa1\x64ping\xa1\x66number\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x01",
        Malformed
    ),
    closed!(
        "encoding-name-not-utf-8",
        "WIRE-026",
        "The message's name has a byte that UTF-8 doesn't have.",
        ClientServer,
        b"\xa1\x64pin\xff\xa1\x66number\x01",
        Malformed
    ),
    closed!(
        "encoding-overlong-utf-8",
        "WIRE-026",
        "The address of a login has a slash that UTF-8 doesn't write so.",
        ClientServer,
        b"\xa1\x65login\xa2\x62id\x01\x67address\x62\xc0\xaf",
        Malformed
    ),
    closed!(
        "encoding-text-too-long",
        "WIRE-027",
        "The message's name claims more bytes than the frame has.",
        ClientServer,
        b"\xa1\x78\xfeping\xa1\x66number\x01",
        Malformed
    ),
    closed!(
        "encoding-bytes-of-the-greatest-length",
        "WIRE-027",
        "A byte string claims the greatest length that there is.",
        ServerServer,
        b"\xa1\x69check-out\xa2\x62id\x01\x64user\x5b\xff\xff\xff\xff\xff\xff\xff\xff",
        Malformed
    ),
    closed!(
        "encoding-array-of-the-greatest-length",
        "WIRE-027",
        "An array claims more elements than memory can hold.",
        ClientServer,
        b"\xa1\x64ping\xa1\x66number\x9b\x7f\xff\xff\xff\xff\xff\xff\xff\x01",
        Malformed
    ),
    closed!(
        "encoding-map-of-the-greatest-length",
        "WIRE-027",
        "The message claims more entries than memory can hold.",
        Registration,
        b"\xbb\x7f\xff\xff\xff\xff\xff\xff\xff\x64ping\xa1\x66number\x01",
        Malformed
    ),
];

async fn right(world: std::sync::Arc<crate::live::World>) -> Done {
    let stage = Stage::shared(&world).await?;
    for channel in [Channel::ClientServer, Channel::ServerServer, Channel::Registration] {
        let mut line = open(&stage, channel).await?;
        line.send_item(b"\xa1\x64ping\xa1\x66number\x01").await?;
        line.ponged(1).await?;
    }
    Ok(())
}
