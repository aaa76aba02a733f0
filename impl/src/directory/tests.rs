//! What a node lets a server do, over real connections.

use antiphon_protocol::connection::{DiallingEnd, Ended};
use antiphon_spec::{
    error_code::ErrorCode,
    identity::{Identity, ObjectHandle},
    message::{
        common::RequestId,
        location::{ContactRecord, Delete, Find, FromDirectoryNode, Insert, Issue, ToDirectoryNode},
        server_server::LoginEpoch,
    },
};
use tokio::net::TcpStream;

use crate::server::tests::world::{World, address};

const HANDLE: ObjectHandle = ObjectHandle([7; 16]);
const ID: RequestId = RequestId(1);

async fn connect(world: &World, name: &str) -> DiallingEnd<TcpStream, ToDirectoryNode> {
    let config = world.server_config(name);
    let dialler = world.dialler(Some(&world.server_credentials(&config)));
    let whom = Identity::DirectoryNode("node".parse().unwrap());
    dialler.dial(world.node_address(), &whom, None).await.unwrap().1
}

async fn ask(
    connection: &mut DiallingEnd<TcpStream, ToDirectoryNode>,
    request: ToDirectoryNode,
) -> FromDirectoryNode {
    connection.send(&request).await.unwrap();
    connection.receive().await.unwrap()
}

fn record(server: &str, epoch: u64) -> ContactRecord {
    ContactRecord { epoch: LoginEpoch(epoch), server: server.parse().unwrap(), address: address(5000) }
}

fn insert(record: ContactRecord) -> ToDirectoryNode {
    ToDirectoryNode::Insert(Insert { id: ID, handle: HANDLE, record, if_absent: false })
}

fn code(answer: &FromDirectoryNode) -> Option<ErrorCode> {
    if let FromDirectoryNode::Refused(refused) = answer { Some(refused.code) } else { None }
}

#[tokio::test]
async fn a_server_speaks_for_itself_alone() {
    let world = World::new().await;
    let mut connection = connect(&world, "a.example").await;
    let answer = ask(&mut connection, insert(record("b.example", 1))).await;
    assert_eq!(code(&answer), Some(ErrorCode::Forbidden));
    let delete = Delete { id: ID, handle: HANDLE, record: record("b.example", 1) };
    let answer = ask(&mut connection, ToDirectoryNode::Delete(delete)).await;
    assert_eq!(code(&answer), Some(ErrorCode::Forbidden));
    let answer = ask(&mut connection, insert(record("a.example", 2))).await;
    assert!(matches!(answer, FromDirectoryNode::Inserted(_)), "{answer:?}");
    let answer = ask(&mut connection, insert(record("a.example", 1))).await;
    assert_eq!(code(&answer), Some(ErrorCode::EntryExists));
    let delete = Delete { id: ID, handle: HANDLE, record: record("a.example", 1) };
    let answer = ask(&mut connection, ToDirectoryNode::Delete(delete)).await;
    assert!(matches!(answer, FromDirectoryNode::Deleted(_)), "{answer:?}");
    let find = ToDirectoryNode::Find(Find { id: ID, hops: 0, handle: HANDLE });
    let FromDirectoryNode::Found(found) = ask(&mut connection, find).await else { panic!("not found") };
    assert_eq!(found.records, [record("a.example", 2)]);
}

#[tokio::test]
async fn issued_handles_differ() {
    let world = World::new().await;
    let mut connection = connect(&world, "a.example").await;
    let mut handles = std::collections::BTreeSet::new();
    for id in (1..=50).map(RequestId) {
        let answer = ask(&mut connection, ToDirectoryNode::Issue(Issue { id })).await;
        let FromDirectoryNode::Issued(issued) = answer else { panic!("{answer:?}") };
        assert_eq!(issued.id, id);
        assert!(handles.insert(issued.handle));
    }
}

#[tokio::test]
async fn the_greatest_epoch_is_kept() {
    let world = World::new().await;
    let mut connection = connect(&world, "a.example").await;
    let answer = ask(&mut connection, insert(record("a.example", u64::MAX))).await;
    assert!(matches!(answer, FromDirectoryNode::Inserted(_)), "{answer:?}");
    let answer = ask(&mut connection, insert(record("a.example", 1))).await;
    assert_eq!(code(&answer), Some(ErrorCode::EntryExists));
}

#[tokio::test]
async fn the_last_word_of_a_node_is_that_it_goes_down() {
    let mut world = World::new().await;
    let mut connection = connect(&world, "a.example").await;
    assert!(matches!(
        ask(&mut connection, insert(record("a.example", 1))).await,
        FromDirectoryNode::Inserted(_)
    ));
    world.stop_node().await;
    let ended = connection.receive().await.unwrap_err();
    assert!(matches!(ended, Ended::Error(ErrorCode::ShuttingDown)), "{ended:?}");
}
