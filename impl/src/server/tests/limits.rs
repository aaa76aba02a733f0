//! Peers that want too much, and a directory node that answers wrongly.

use antiphon_protocol::connection::{DialError, Ended};
use antiphon_spec::{
    error_code::ErrorCode,
    identity::{ContactAddress, Identity},
    message::{
        client_server::ToServer,
        common::RequestId,
        location::{FromDirectoryNode, Issued, ToDirectoryNode},
    },
};
use tokio::net::TcpListener;

use super::world::{Running, World};

#[tokio::test]
async fn a_user_has_so_many_connections_and_others_are_served() {
    let world = World::new().await;
    let mut config = world.server_config("a.example");
    config.limits.connections_per_peer = 2;
    let server = Running::start(config).await;
    let (greedy, other) = (world.register(&server).await, world.register(&server).await);
    let first = world.connect(&greedy, &server).await;
    let _second = world.connect(&greedy, &server).await;
    let whom = Identity::Server(server.config.name.clone());
    let at = ContactAddress(server.server.address());
    let dialler = world.dialler(Some(&greedy.credentials));
    let refused = dialler.dial::<ToServer>(at, &whom, None).await.unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::LimitReached), "{refused:?}");
    let (other, _) = world.login(&other, &server, 5000).await;
    other.logout().await;

    // A connection that has ended makes room, as soon as the server has seen its end.
    first.connection.goodbye().await.unwrap();
    loop {
        match dialler.dial::<ToServer>(at, &whom, None).await {
            Ok(_) => break,
            Err(DialError::Ended(Ended::Error(ErrorCode::LimitReached))) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
}

#[tokio::test]
async fn an_answer_to_nothing_ends_the_connection() {
    let world = World::new().await;
    let mut config = world.server_config("a.example");
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    config.directory_node[0].address = ContactAddress(socket.local_addr().unwrap());
    let node = async {
        let acceptor = world.node_acceptor();
        let (stream, _) = socket.accept().await.unwrap();
        let accepted = acceptor.accept(stream).await.unwrap();
        let mut connection = accepted.greet::<ToDirectoryNode>().await.unwrap();
        let request = connection.receive().await.unwrap();
        let ToDirectoryNode::Insert(insert) = request else { panic!("{request:?}") };
        // The ID is the one of the request, the answer that of another kind.
        let issued = Issued { id: RequestId(insert.id.0), handle: insert.handle };
        connection.send(&FromDirectoryNode::Issued(issued)).await.unwrap();
        connection.receive().await.unwrap_err()
    };
    let serve = async {
        let running = Running::start(config).await;
        // Until the test has seen what it came for.
        std::future::pending::<()>().await;
        drop(running);
    };
    tokio::select! {
        ended = node => {
            assert!(matches!(ended, Ended::Error(ErrorCode::UnexpectedMessage)), "{ended:?}");
        }
        () = serve => {}
    }
}
