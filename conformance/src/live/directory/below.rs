//! What a node does that has a parent: the suite plays the parent's two processes.

use antiphon_spec::{
    error_code::ErrorCode,
    identity::ObjectHandle,
    message::{
        common::{Refused, RequestId},
        location::{
            ContactRecord, Delete, ForwardingPointer, FromDirectoryNode, PointerDeleted, PointerInserted,
            PointerNumber, Supersede, ToDirectoryNode,
        },
        server_server::LoginEpoch,
    },
};

use super::{
    case,
    stage::{Asked, Asker, Done, Stage, Upper, expect_equal, want},
    tree::{find, found, insert, searched, tell},
};
use crate::{case::Failure, live::LiveCase};

/// The cases of this file.
pub(super) const CASES: &[LiveCase] = &[
    case(
        "directory/pointer-before-the-answer",
        &["LOC-023", "LOC-025"],
        None,
        "A record is answered when the parent has the node's pointer, with no longer a lease; a second record of the epoch needs no other one.",
        |world| Box::pin(async move { pointer_first(Stage::below(&world).await?).await }),
    ),
    case(
        "directory/first-all-the-way-up",
        &["LOC-024"],
        Some("directory/pointer-before-the-answer"),
        "A record that is to be the first is asked for in that way at the parent, another one is not.",
        |world| Box::pin(async move { first(Stage::below(&world).await?).await }),
    ),
    case(
        "directory/last-record-takes-the-pointer",
        &["LOC-026", "LOC-027"],
        None,
        "The pointer is deleted with the last record, before the answer; the next pointer has a greater number, also after a crash.",
        |world| Box::pin(async move { last(Stage::below(&world).await?).await }),
    ),
    case(
        "directory/parent-does-not-answer",
        &["LOC-031"],
        Some("directory/pointer-before-the-answer"),
        "The parent fails: location-unreachable; the same record is inserted when the parent is back.",
        |world| Box::pin(async move { parent_fails(Stage::below(&world).await?).await }),
    ),
    case(
        "directory/parent-knows-better",
        &["LOC-032"],
        Some("directory/pointer-before-the-answer"),
        "The parent refuses with entry-exists: so does the node, and tells the record to nobody.",
        |world| Box::pin(async move { parent_refuses(Stage::below(&world).await?).await }),
    ),
    case(
        "directory/untold-before-its-pointer",
        &["LOC-033", "LOC-036"],
        None,
        "A record that waits for its pointer is told to the parent alone; the find of a server goes up.",
        |world| Box::pin(async move { unconfirmed(Stage::below(&world).await?).await }),
    ),
    case(
        "directory/forgets-what-is-superseded",
        &["LOC-029", "LOC-022"],
        None,
        "After a supersede of the parent the older record is told no more; the parent inserts no pointer.",
        |world| Box::pin(async move { superseded(Stage::below(&world).await?).await }),
    ),
    case(
        "directory/search-from-above",
        &["LOC-036", "LOC-034"],
        None,
        "The find of the parent is answered with what the node has, be it nothing, and isn't sent back up.",
        |world| Box::pin(async move { from_above(Stage::below(&world).await?).await }),
    ),
    case(
        "directory/process-by-handle",
        &["LOC-041"],
        None,
        "Finds go to the one or to the other process of the parent, as the first eight bytes of the handle say.",
        |world| Box::pin(async move { processes(Stage::below(&world).await?).await }),
    ),
];

/// The node asks its parent for its pointer.
async fn pointed(
    stage: &Stage,
    upper: &mut Upper,
    handle: ObjectHandle,
    epoch: u64,
) -> Result<(Asked<ToDirectoryNode>, PointerNumber, bool), Failure> {
    let asked = upper.of(handle).next().await?;
    let (of, pointer, if_absent) = want!(
        asked.request(),
        ToDirectoryNode::InsertPointer(body) => (body.handle, body.pointer.clone(), body.if_absent);
        "insert-pointer"
    )?;
    let (node, address) = stage.node();
    let number = pointer.number;
    let expected = ForwardingPointer { node: node.clone(), epoch: LoginEpoch(epoch), number, address };
    expect_equal("the pointer", &(handle, expected), &(of, pointer))?;
    Ok((asked, number, if_absent))
}

fn grant(asked: &Asked<ToDirectoryNode>, lease: u64) {
    asked.say(FromDirectoryNode::PointerInserted(PointerInserted { id: asked.id(), lease }));
}

fn refuse(asked: &Asked<ToDirectoryNode>, code: ErrorCode) {
    asked.say(FromDirectoryNode::Refused(Refused { id: asked.id(), code }));
}

async fn inserted(server: &mut Asker) -> Result<u64, Failure> {
    want!(server.next().await?, FromDirectoryNode::Inserted(body) => body.lease; "inserted")
}

/// A record that stands, with its pointer.
async fn stands(
    stage: &Stage,
    upper: &mut Upper,
    server: &mut Asker,
    handle: ObjectHandle,
    record: &ContactRecord,
) -> Result<PointerNumber, Failure> {
    server.send(insert(handle, record, false)).await?;
    let (asked, number, _) = pointed(stage, upper, handle, record.epoch.0).await?;
    grant(&asked, 300);
    inserted(server).await?;
    Ok(number)
}

async fn pointer_first((stage, mut upper): (Stage, Upper)) -> Done {
    let (mut one, mut other) = (stage.server().await?, stage.server().await?);
    let (handle, record) = (stage.handle()?, one.record(3));
    one.send(insert(handle, &record, false)).await?;
    let (asked, ..) = pointed(&stage, &mut upper, handle, 3).await?;
    one.probe().await?;
    grant(&asked, 200);
    let lease = inserted(&mut one).await?;
    if !(1..=200).contains(&lease) {
        return Err(Failure::unexpected("a lease of 1 to 200 seconds", lease));
    }
    let lease = other.insert(handle, &other.record(3)).await?;
    if !(1..=200).contains(&lease) {
        return Err(Failure::unexpected("a lease of 1 to 200 seconds", lease));
    }
    upper.of(handle).is_unasked()
}

async fn first((stage, mut upper): (Stage, Upper)) -> Done {
    let mut server = stage.server().await?;
    for is_first in [true, false] {
        let (handle, record) = (stage.handle()?, server.record(1));
        server.send(insert(handle, &record, is_first)).await?;
        let (asked, _, if_absent) = pointed(&stage, &mut upper, handle, 1).await?;
        expect_equal("if-absent", &is_first, &if_absent)?;
        grant(&asked, 300);
        inserted(&mut server).await?;
    }
    Ok(())
}

async fn last((mut stage, mut upper): (Stage, Upper)) -> Done {
    let (handle, mut before) = (stage.handle()?, PointerNumber(0));
    for epoch in 1..=3 {
        let mut server = stage.server().await?;
        let record = server.record(epoch);
        let number = stands(&stage, &mut upper, &mut server, handle, &record).await?;
        if number <= before {
            return Err(Failure::unexpected(format!("a number above {}", before.0), number.0));
        }
        let deleted = record.clone();
        server.send(move |id| ToDirectoryNode::Delete(Delete { id, handle, record: deleted })).await?;
        let asked = upper.of(handle).next().await?;
        let of = want!(asked.request(), ToDirectoryNode::DeletePointer(body) => (body.handle, body.number); "delete-pointer")?;
        expect_equal("the handle and the number", &(handle, number), &of)?;
        server.probe().await?;
        asked.say(FromDirectoryNode::PointerDeleted(PointerDeleted { id: asked.id() }));
        want!(server.next().await?, FromDirectoryNode::Deleted(_) => (); "deleted")?;
        before = number;
        if epoch == 2 {
            stage.kill_and_start_again().await?;
        }
    }
    Ok(())
}

async fn parent_fails((stage, mut upper): (Stage, Upper)) -> Done {
    let mut server = stage.server().await?;
    let (handle, record) = (stage.handle()?, server.record(3));
    let id = server.send(insert(handle, &record, false)).await?;
    refuse(&pointed(&stage, &mut upper, handle, 3).await?.0, ErrorCode::Internal);
    server.refused(id, ErrorCode::LocationUnreachable).await?;
    stands(&stage, &mut upper, &mut server, handle, &record).await.map(drop)
}

async fn parent_refuses((stage, mut upper): (Stage, Upper)) -> Done {
    let (mut server, mut other) = (stage.server().await?, stage.server().await?);
    let (handle, record) = (stage.handle()?, server.record(3));
    let id = server.send(insert(handle, &record, false)).await?;
    refuse(&pointed(&stage, &mut upper, handle, 3).await?.0, ErrorCode::EntryExists);
    server.refused(id, ErrorCode::EntryExists).await?;
    other.send(find(handle, 0)).await?;
    tell(&searched(upper.of(handle), handle, 1).await?, &[]);
    found(&mut other, &[]).await
}

/// A connection to the node by the process of its parent that has a handle.
async fn parent(stage: &Stage, upper: &mut Upper, handle: ObjectHandle) -> Result<Asker, Failure> {
    let name = upper.of(handle).name.clone();
    stage.dialled_by(name).await
}

async fn unconfirmed((stage, mut upper): (Stage, Upper)) -> Done {
    let (mut server, mut other) = (stage.server().await?, stage.server().await?);
    let (handle, record) = (stage.handle()?, server.record(3));
    server.send(insert(handle, &record, false)).await?;
    let (asked, ..) = pointed(&stage, &mut upper, handle, 3).await?;
    other.send(find(handle, 0)).await?;
    tell(&searched(upper.of(handle), handle, 1).await?, &[]);
    found(&mut other, &[]).await?;
    let mut above = parent(&stage, &mut upper, handle).await?;
    above.send(find(handle, 1)).await?;
    found(&mut above, std::slice::from_ref(&record)).await?;
    grant(&asked, 300);
    inserted(&mut server).await?;
    other.send(find(handle, 0)).await?;
    found(&mut other, &[record]).await?;
    upper.of(handle).is_unasked()
}

async fn superseded((stage, mut upper): (Stage, Upper)) -> Done {
    let mut server = stage.server().await?;
    let (handle, record) = (stage.handle()?, server.record(3));
    stands(&stage, &mut upper, &mut server, handle, &record).await?;
    let mut above = parent(&stage, &mut upper, handle).await?;
    let supersede = |epoch| {
        move |id: RequestId| ToDirectoryNode::Supersede(Supersede { id, epoch: LoginEpoch(epoch), handle })
    };
    for (epoch, stands) in [(3, true), (4, false)] {
        let answer = above.ask(supersede(epoch)).await?;
        want!(answer, FromDirectoryNode::Superseded(_) => (); "superseded")?;
        server.send(find(handle, 0)).await?;
        if !stands {
            tell(&searched(upper.of(handle), handle, 1).await?, &[]);
        }
        let records = if stands { vec![record.clone()] } else { Vec::new() };
        found(&mut server, &records).await?;
    }
    let pointer = upper.of(handle).pointer(9, 9);
    above.ask_refused(super::tree::insert_pointer(handle, pointer), ErrorCode::Forbidden).await
}

async fn from_above((stage, mut upper): (Stage, Upper)) -> Done {
    let mut server = stage.server().await?;
    let (handle, record) = (stage.handle()?, server.record(3));
    let mut above = parent(&stage, &mut upper, handle).await?;
    above.send(find(handle, 1)).await?;
    found(&mut above, &[]).await?;
    upper.of(handle).is_unasked()?;
    stands(&stage, &mut upper, &mut server, handle, &record).await?;
    above.send(find(handle, 1)).await?;
    found(&mut above, &[record]).await
}

async fn processes((stage, mut upper): (Stage, Upper)) -> Done {
    let mut server = stage.server().await?;
    for last in [0, 1, 0xfe, 0xff] {
        let mut handle = stage.handle()?;
        handle.0[7] = last;
        server.send(find(handle, 0)).await?;
        tell(&searched(upper.of(handle), handle, 1).await?, &[]);
        found(&mut server, &[]).await?;
    }
    Ok(())
}
