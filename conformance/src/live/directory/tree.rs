//! What a node does for the nodes below it, and whose record stands under a handle.

use antiphon_spec::{
    error_code::ErrorCode,
    identity::ObjectHandle,
    message::{
        common::{Refused, RequestId},
        location::{
            ContactRecord, DeletePointer, Find, ForwardingPointer, Found, FromDirectoryNode, Insert,
            InsertPointer, Issue, PointerNumber, Supersede, Superseded, ToDirectoryNode,
        },
        server_server::LoginEpoch,
    },
};

use super::{
    case,
    stage::{Asked, Asker, Done, Process, Stage, expect_equal, want},
};
use crate::{case::Failure, live::LiveCase};

/// The cases of this file.
pub(super) const CASES: &[LiveCase] = &[
    case(
        "directory/lower-epoch-of-another-server",
        &["LOC-019"],
        Some("directory/greater-epoch-of-another-server"),
        "A record of a lower epoch than another server's that stands, and a pointer of one: entry-exists.",
        |world| Box::pin(async move { lower_epoch(&Stage::shared(&world).await?).await }),
    ),
    case(
        "directory/greater-epoch-of-another-server",
        &["LOC-020"],
        None,
        "A record of a greater epoch than another server's: the older one is gone for good.",
        |world| Box::pin(async move { greater_epoch(&Stage::shared(&world).await?).await }),
    ),
    case(
        "directory/if-absent",
        &["LOC-021"],
        None,
        "Of two servers that want to be the first, the second is refused until the first has deleted its record.",
        |world| Box::pin(async move { if_absent(&Stage::shared(&world).await?).await }),
    ),
    case(
        "directory/pointer-is-followed",
        &["LOC-034", "LOC-037"],
        None,
        "A child inserts a pointer; the find of a server goes to the child, one hop further, and its records come back.",
        |world| Box::pin(async move { pointer_is_followed(&Stage::shared(&world).await?).await }),
    ),
    case(
        "directory/only-what-is-ones-own",
        &["LOC-022"],
        Some("directory/pointer-is-followed"),
        "Pointers of servers and of other nodes, records and handles of nodes, and a supersede of a child: forbidden.",
        |world| Box::pin(async move { forbidden(&Stage::shared(&world).await?).await }),
    ),
    case(
        "directory/late-about-an-earlier-pointer",
        &["LOC-028"],
        Some("directory/pointer-is-followed"),
        "An insert-pointer and a delete-pointer with a lower number than the child's pointer leave it as it is.",
        |world| Box::pin(async move { late(&Stage::shared(&world).await?).await }),
    ),
    case(
        "directory/superseded-before-the-answer",
        &["LOC-030", "LOC-020"],
        None,
        "A pointer of a greater epoch is answered only when the other child has forgotten what is older.",
        |world| Box::pin(async move { superseded(&Stage::shared(&world).await?).await }),
    ),
    case(
        "directory/looks-again",
        &["LOC-035"],
        Some("directory/pointer-is-followed"),
        "While a child searches, its records move to another child: that one is asked next.",
        |world| Box::pin(async move { looks_again(&Stage::shared(&world).await?).await }),
    ),
    case(
        "directory/child-does-not-answer",
        &["LOC-039"],
        Some("directory/pointer-is-followed"),
        "The child to which a pointer leads refuses for a reason of its own: location-unreachable, and not that there is nothing.",
        |world| Box::pin(async move { child_fails(&Stage::shared(&world).await?).await }),
    ),
    case(
        "directory/too-many-hops",
        &["LOC-038"],
        None,
        "A find after 32 hops is answered, one after 33 is refused with limit-reached.",
        |world| Box::pin(async move { hops(&Stage::shared(&world).await?).await }),
    ),
];

pub(super) fn insert_pointer(
    handle: ObjectHandle,
    pointer: ForwardingPointer,
) -> impl FnOnce(RequestId) -> ToDirectoryNode {
    move |id| ToDirectoryNode::InsertPointer(InsertPointer { id, handle, pointer, if_absent: false })
}

pub(super) fn find(handle: ObjectHandle, hops: u64) -> impl FnOnce(RequestId) -> ToDirectoryNode {
    move |id| ToDirectoryNode::Find(Find { id, hops, handle })
}

pub(super) fn insert(
    handle: ObjectHandle,
    record: &ContactRecord,
    if_absent: bool,
) -> impl FnOnce(RequestId) -> ToDirectoryNode {
    let record = record.clone();
    move |id| ToDirectoryNode::Insert(Insert { id, handle, record, if_absent })
}

fn delete_pointer(handle: ObjectHandle, number: u64) -> impl FnOnce(RequestId) -> ToDirectoryNode {
    move |id| ToDirectoryNode::DeletePointer(DeletePointer { id, handle, number: PointerNumber(number) })
}

/// The pointer of a child stands.
async fn pointed(child: &mut Asker, handle: ObjectHandle, pointer: ForwardingPointer) -> Done {
    let answer = child.ask(insert_pointer(handle, pointer)).await?;
    want!(answer, FromDirectoryNode::PointerInserted(body) if (1..=300).contains(&body.lease) => (); "pointer-inserted")
}

/// The node passes a search on, after so many hops.
pub(super) async fn searched(
    process: &mut Process,
    handle: ObjectHandle,
    hops: u64,
) -> Result<Asked<ToDirectoryNode>, Failure> {
    let asked = process.next().await?;
    let passed = want!(asked.request(), ToDirectoryNode::Find(body) => (body.handle, body.hops); "find")?;
    expect_equal("the handle and the hops", &(handle, hops), &passed)?;
    Ok(asked)
}

pub(super) fn tell(asked: &Asked<ToDirectoryNode>, records: &[ContactRecord]) {
    asked.say(FromDirectoryNode::Found(Found { id: asked.id(), records: records.to_vec() }));
}

pub(super) async fn found(asker: &mut Asker, records: &[ContactRecord]) -> Done {
    let answer = want!(asker.next().await?, FromDirectoryNode::Found(body) => body.records; "found")?;
    expect_equal("the records", &records.to_vec(), &answer)
}

async fn lower_epoch(stage: &Stage) -> Done {
    let (mut one, mut other) = (stage.server().await?, stage.server().await?);
    let (mut child, process) = stage.child().await?;
    let (handle, newer) = (stage.handle()?, one.record(4));
    one.insert(handle, &newer).await?;
    other.insert_refused(handle, &other.record(3), ErrorCode::EntryExists).await?;
    child.ask_refused(insert_pointer(handle, process.pointer(3, 1)), ErrorCode::EntryExists).await?;
    expect_equal("the records", &vec![newer], &other.find(handle).await?)
}

async fn greater_epoch(stage: &Stage) -> Done {
    let (mut one, mut other) = (stage.server().await?, stage.server().await?);
    let (handle, newer) = (stage.handle()?, other.record(4));
    one.insert(handle, &one.record(3)).await?;
    other.insert(handle, &newer).await?;
    expect_equal("the records", &vec![newer.clone()], &one.find(handle).await?)?;
    other.delete(handle, &newer).await?;
    expect_equal("the records", &Vec::new(), &one.find(handle).await?)
}

async fn if_absent(stage: &Stage) -> Done {
    let (mut one, mut other) = (stage.server().await?, stage.server().await?);
    let (handle, first) = (stage.handle()?, one.record(1));
    for _ in 0..2 {
        let answer = one.ask(insert(handle, &first, true)).await?;
        want!(answer, FromDirectoryNode::Inserted(_) => (); "inserted")?;
    }
    let second = other.record(2);
    other.ask_refused(insert(handle, &second, true), ErrorCode::EntryExists).await?;
    expect_equal("the records", &vec![first.clone()], &other.find(handle).await?)?;
    one.delete(handle, &first).await?;
    let answer = other.ask(insert(handle, &second, true)).await?;
    want!(answer, FromDirectoryNode::Inserted(_) => (); "inserted")
}

async fn pointer_is_followed(stage: &Stage) -> Done {
    let mut server = stage.server().await?;
    let (mut child, mut process) = stage.child().await?;
    let (handle, records) = (stage.handle()?, [server.record(5)]);
    pointed(&mut child, handle, process.pointer(5, 1)).await?;
    server.send(find(handle, 0)).await?;
    tell(&searched(&mut process, handle, 1).await?, &records);
    found(&mut server, &records).await
}

async fn forbidden(stage: &Stage) -> Done {
    let mut server = stage.server().await?;
    let (mut child, process) = stage.child().await?;
    let (handle, record) = (stage.handle()?, server.record(1));
    let mut pointer = process.pointer(1, 1);
    server.ask_refused(insert_pointer(handle, pointer.clone()), ErrorCode::Forbidden).await?;
    server.ask_refused(delete_pointer(handle, 1), ErrorCode::Forbidden).await?;
    pointer.node = record.server.clone();
    server.ask_refused(insert_pointer(handle, pointer.clone()), ErrorCode::Forbidden).await?;
    child.ask_refused(insert_pointer(handle, pointer), ErrorCode::Forbidden).await?;
    let own = ContactRecord { server: process.name.clone(), ..record };
    child.ask_refused(insert(handle, &own, false), ErrorCode::Forbidden).await?;
    child.ask_refused(|id| ToDirectoryNode::Issue(Issue { id }), ErrorCode::Forbidden).await?;
    let supersede = |id| ToDirectoryNode::Supersede(Supersede { id, epoch: LoginEpoch(9), handle });
    child.ask_refused(supersede, ErrorCode::Forbidden).await?;
    server.ask_refused(supersede, ErrorCode::Forbidden).await?;
    expect_equal("the records", &Vec::new(), &server.find(handle).await?)
}

async fn late(stage: &Stage) -> Done {
    let mut server = stage.server().await?;
    let (mut child, mut process) = stage.child().await?;
    let (handle, records) = (stage.handle()?, [server.record(5)]);
    pointed(&mut child, handle, process.pointer(5, 7)).await?;
    // Whatever the answer is, what counts is what becomes of the pointer.
    child.ask(insert_pointer(handle, process.pointer(5, 6))).await?;
    let answer = child.ask(delete_pointer(handle, 6)).await?;
    want!(answer, FromDirectoryNode::PointerDeleted(_) => (); "pointer-deleted")?;
    server.send(find(handle, 0)).await?;
    tell(&searched(&mut process, handle, 1).await?, &records);
    found(&mut server, &records).await?;
    let answer = child.ask(delete_pointer(handle, 7)).await?;
    want!(answer, FromDirectoryNode::PointerDeleted(_) => (); "pointer-deleted")?;
    expect_equal("the records", &Vec::new(), &server.find(handle).await?)?;
    process.is_unasked()
}

/// The node has a child forget what is older than this epoch.
async fn told(
    process: &mut Process,
    handle: ObjectHandle,
    epoch: u64,
) -> Result<Asked<ToDirectoryNode>, Failure> {
    let asked = process.next().await?;
    let told =
        want!(asked.request(), ToDirectoryNode::Supersede(body) => (body.handle, body.epoch); "supersede")?;
    expect_equal("the handle and the epoch", &(handle, LoginEpoch(epoch)), &told)?;
    Ok(asked)
}

fn forgotten(asked: &Asked<ToDirectoryNode>) {
    asked.say(FromDirectoryNode::Superseded(Superseded { id: asked.id() }));
}

async fn superseded(stage: &Stage) -> Done {
    let mut server = stage.server().await?;
    let (mut left, mut left_process) = stage.child().await?;
    let (mut right, mut right_process) = stage.child().await?;
    let (handle, records) = (stage.handle()?, [server.record(2)]);
    pointed(&mut left, handle, left_process.pointer(1, 1)).await?;
    right.send(insert_pointer(handle, right_process.pointer(2, 1))).await?;
    let asked = told(&mut left_process, handle, 2).await?;
    right.probe().await?;
    forgotten(&asked);
    want!(right.next().await?, FromDirectoryNode::PointerInserted(_) => (); "pointer-inserted")?;
    server.send(find(handle, 0)).await?;
    tell(&searched(&mut right_process, handle, 1).await?, &records);
    found(&mut server, &records).await?;
    left_process.is_unasked()
}

async fn looks_again(stage: &Stage) -> Done {
    let mut server = stage.server().await?;
    let (mut left, mut left_process) = stage.child().await?;
    let (mut right, mut right_process) = stage.child().await?;
    let (handle, records) = (stage.handle()?, [server.record(2)]);
    pointed(&mut left, handle, left_process.pointer(1, 1)).await?;
    server.send(find(handle, 0)).await?;
    let first = searched(&mut left_process, handle, 1).await?;
    right.send(insert_pointer(handle, right_process.pointer(2, 1))).await?;
    forgotten(&told(&mut left_process, handle, 2).await?);
    want!(right.next().await?, FromDirectoryNode::PointerInserted(_) => (); "pointer-inserted")?;
    tell(&first, &[]);
    tell(&searched(&mut right_process, handle, 1).await?, &records);
    found(&mut server, &records).await
}

async fn child_fails(stage: &Stage) -> Done {
    let mut server = stage.server().await?;
    let (mut child, mut process) = stage.child().await?;
    let handle = stage.handle()?;
    pointed(&mut child, handle, process.pointer(5, 1)).await?;
    let id = server.send(find(handle, 0)).await?;
    let asked = searched(&mut process, handle, 1).await?;
    asked.say(FromDirectoryNode::Refused(Refused { id: asked.id(), code: ErrorCode::Internal }));
    server.refused(id, ErrorCode::LocationUnreachable).await
}

async fn hops(stage: &Stage) -> Done {
    let (mut child, _) = stage.child().await?;
    let handle = stage.handle()?;
    child.send(find(handle, 32)).await?;
    found(&mut child, &[]).await?;
    child.ask_refused(find(handle, 33), ErrorCode::LimitReached).await
}
