//! A directory node under test, and the servers that ask it.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU16, AtomicU32, Ordering},
    },
};

use antiphon_protocol::{
    certificate::UserIssuer,
    connection::DialError,
    tls::{Credentials, Port},
};
use antiphon_spec::{
    error_code::ErrorCode,
    identity::{ContactAddress, Identity, ObjectHandle, ServerName, UserHandle},
    message::{
        common::RequestId,
        location::{
            ContactRecord, Delete, Find, ForwardingPointer, FromDirectoryNode, Insert, Issue, PointerNumber,
            ToDirectoryNode,
        },
        server_server::LoginEpoch,
    },
};

use tokio::sync::mpsc;

pub(super) use crate::live::server::{Asked, Done, expect_equal, want};
use crate::{
    case::Failure,
    live::{
        self, World,
        pki::{self, Pki},
        reason,
        server::{Link, Listening},
        started::{Started, write_certificate, write_key},
    },
    process::PATIENCE,
    target::Values,
};

/// The lease that a node gives, in seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lease(pub(super) u64);

/// Who dials and is to be refused.
#[derive(Clone, Copy, Debug)]
pub(super) enum Who {
    /// A user with a good certificate.
    User,
    /// A server of another root.
    Stranger,
    /// Somebody without a certificate.
    Nobody,
    /// Somebody with a server's certificate and another key.
    Impostor,
    /// A server whose certificate has no key usage.
    Unsigning,
}

/// Everything but the process.
struct Place {
    pki: Pki,
    name: ServerName,
    folder: PathBuf,
    values: Values,
    count: AtomicU32,
}

/// What a case plays on.
pub(super) struct Stage {
    world: Arc<World>,
    place: Arc<Place>,
    address: ContactAddress,
    /// The process, where it is the case's own.
    own: Option<Started>,
}

/// The stage that most cases share, and its node.
pub(crate) struct Shared {
    place: Arc<Place>,
    started: Started,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("node", &self.place.name).finish_non_exhaustive()
    }
}

impl Place {
    fn new(world: &World, name: &str, Lease(lease): Lease) -> Result<Self, Failure> {
        let pki = Pki::new()?;
        let name: ServerName = name.parse().map_err(Failure::harness)?;
        let folder = world.folder().join(name.as_str());
        let work = folder.join("work");
        std::fs::create_dir_all(&work).map_err(Failure::harness)?;
        let (certificate, key) = pki.directory_node(&name)?;
        let values = Values::from([
            ("name", name.to_string()),
            ("root", write_certificate(&folder, "root.pem", pki.root())?),
            ("certificate", write_certificate(&folder, "node.pem", &certificate)?),
            ("key", write_key(&folder, "node.key", &key)?),
            ("work", work.display().to_string()),
            ("lease", lease.to_string()),
        ]);
        Ok(Self { pki, name, folder, values, count: AtomicU32::new(0) })
    }

    async fn start(&self, world: &World) -> Result<Started, Failure> {
        let target = world.target();
        let is_below = self.values.contains_key("parent-name-one");
        let program = if is_below { &target.directory_node_below } else { &target.directory_node };
        let program = program.as_ref();
        Started::start(world, program, &self.folder, self.values.clone()).await
    }
}

impl Stage {
    /// The stage that most cases share.
    pub(super) async fn shared(world: &Arc<World>) -> Result<Self, Failure> {
        let shared = world.node_stage().get_or_try_init(|| async {
            let place = Arc::new(Place::new(world, "node-under-test.example", Lease(300))?);
            let started = place.start(world).await?;
            Ok::<_, Failure>(Shared { place, started })
        });
        let Shared { place, started } = shared.await?;
        let address = started.address("listen")?;
        Ok(Self { world: Arc::clone(world), place: Arc::clone(place), address, own: None })
    }

    /// A stage with a node of its own.
    pub(super) async fn alone(world: &Arc<World>, lease: Lease) -> Result<Self, Failure> {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let name = format!("node-alone-{}.example", COUNT.fetch_add(1, Ordering::SeqCst));
        let place = Arc::new(Place::new(world, &name, lease)?);
        let started = place.start(world).await?;
        let address = started.address("listen")?;
        Ok(Self { world: Arc::clone(world), place, address, own: Some(started) })
    }

    /// A stage with a node of its own that has a parent, which the suite plays.
    pub(super) async fn below(world: &Arc<World>) -> Result<(Self, Upper), Failure> {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let name = format!("node-below-{}.example", COUNT.fetch_add(1, Ordering::SeqCst));
        let mut place = Place::new(world, &name, Lease(300))?;
        let upper = Upper::start(&place.pki).await?;
        for (keys, process) in [
            (["parent-name-one", "parent-address-one"], upper.process(0)?),
            (["parent-name-two", "parent-address-two"], upper.process(1)?),
        ] {
            place.values.insert(keys[0], process.name.to_string());
            place.values.insert(keys[1], process.listening.address().to_string());
        }
        let place = Arc::new(place);
        let started = place.start(world).await?;
        let address = started.address("listen")?;
        Ok((Self { world: Arc::clone(world), place, address, own: Some(started) }, upper))
    }

    /// The node under test, as its pointers name it.
    pub(super) fn node(&self) -> (&ServerName, ContactAddress) {
        (&self.place.name, self.address)
    }

    /// A connection to the node by a directory node of this name.
    pub(super) async fn dialled_by(&self, name: ServerName) -> Result<Asker, Failure> {
        let credentials = self.place.pki.credentials(&Identity::DirectoryNode(name.clone()))?;
        let dialler = self.place.pki.dialler(Some(credentials));
        Ok(Asker { name, link: Link::dial(&dialler, self.address, &self.whom()).await? })
    }

    /// A child of the node, which the suite plays: its connection to the node, and the port at which it is asked.
    pub(super) async fn child(&self) -> Result<(Asker, Process), Failure> {
        let process = Process::start(&self.place.pki, self.next_name()?).await?;
        Ok((self.dialled_by(process.name.clone()).await?, process))
    }

    /// Ends the node as a crash would, and starts it over what it has stored.
    pub(super) async fn kill_and_start_again(&mut self) -> Done {
        let Some(mut started) = self.own.take() else {
            return Err(Failure::harness("the node is not this case's own"));
        };
        started.process.kill().await;
        let started = self.place.start(&self.world).await?;
        self.address = started.address("listen")?;
        self.own = Some(started);
        Ok(())
    }

    /// An object handle that no other case has.
    pub(super) fn handle(&self) -> Result<ObjectHandle, Failure> {
        let mut bytes = [0; 16];
        aws_lc_rs::rand::fill(&mut bytes).map_err(Failure::harness)?;
        Ok(ObjectHandle(bytes))
    }

    fn whom(&self) -> Identity {
        Identity::DirectoryNode(self.place.name.clone())
    }

    fn next_name(&self) -> Result<ServerName, Failure> {
        let number = self.place.count.fetch_add(1, Ordering::SeqCst);
        format!("server-{number}.example").parse().map_err(Failure::harness)
    }

    /// A server with a name that no other has, connected to the node.
    pub(super) async fn server(&self) -> Result<Asker, Failure> {
        let name = self.next_name()?;
        let credentials = self.place.pki.credentials(&Identity::Server(name.clone()))?;
        let dialler = self.place.pki.dialler(Some(credentials));
        Ok(Asker { name, link: Link::dial(&dialler, self.address, &self.whom()).await? })
    }

    /// Dials with what the node has to refuse.
    pub(super) async fn dial_is_refused(&self, who: Who) -> Done {
        let (pki, name) = (&self.place.pki, self.next_name()?);
        let credentials = match who {
            Who::Nobody => None,
            Who::Stranger => Some(Pki::new()?.credentials(&Identity::Server(name))?),
            Who::Impostor => {
                let chain = pki.credentials(&Identity::Server(name))?.chain().to_vec();
                Some(Credentials::unchecked(chain, &pki::key()?).map_err(Failure::harness)?)
            }
            Who::Unsigning => Some(pki.server_without_key_usage(&name)?),
            Who::User => {
                let (certificate, key) = pki.user_ca(&name)?;
                let issuer = UserIssuer::load(certificate, key).map_err(Failure::harness)?;
                let user = UserHandle { id: self.handle()?, home: name };
                Some(pki.user(&issuer, &user, &pki::key()?)?)
            }
        };
        let reason = match who {
            Who::Nobody => "missing",
            Who::User => "wrong-role",
            Who::Stranger => "unknown-root",
            Who::Impostor => "not-proved",
            Who::Unsigning => "wrong-key-usage",
        };
        let dialler = pki.dialler(credentials);
        match dialler.dial::<ToDirectoryNode>(self.address, &self.whom(), None).await {
            Err(DialError::Alert(alert)) => reason::fits(reason, alert),
            Err(error) if error.code() == Some(ErrorCode::CertificateRefused) => Ok(()),
            Err(error) => {
                Err(Failure::unexpected("a TLS alert, or certificate-refused", format!("{error:?}")))
            }
            Ok(_) => Err(Failure::unexpected("a TLS alert, or certificate-refused", "a greeting")),
        }
    }
}

/// A directory node that the suite plays, as it is asked.
pub(super) struct Process {
    pub(super) name: ServerName,
    pub(super) listening: Listening,
    asked: mpsc::UnboundedReceiver<Asked<ToDirectoryNode>>,
}

impl Process {
    async fn start(pki: &Pki, name: ServerName) -> Result<Self, Failure> {
        let credentials = pki.credentials(&Identity::DirectoryNode(name.clone()))?;
        let acceptor = pki.acceptor(Port::Location, credentials);
        let (sender, asked) = mpsc::unbounded_channel();
        let forward = move |asked| {
            // Without a case there is nobody to answer.
            let _ = sender.send(asked);
        };
        let listening = Listening::start(live::bind().await?, acceptor, Arc::new(forward));
        Ok(Self { name, listening, asked })
    }

    /// The next request of the node under test.
    pub(super) async fn next(&mut self) -> Result<Asked<ToDirectoryNode>, Failure> {
        match tokio::time::timeout(PATIENCE, self.asked.recv()).await {
            Ok(Some(asked)) => Ok(asked),
            Ok(None) | Err(_) => Err(Failure::unexpected("a request of the node", "nothing")),
        }
    }

    /// Nothing has been asked so far.
    pub(super) fn is_unasked(&mut self) -> Done {
        match self.asked.try_recv() {
            Ok(asked) => Err(Failure::unexpected("no request", format!("{:?}", asked.request()))),
            Err(_) => Ok(()),
        }
    }

    /// What a pointer to this node says.
    pub(super) fn pointer(&self, epoch: u64, number: u64) -> ForwardingPointer {
        let (epoch, number) = (LoginEpoch(epoch), PointerNumber(number));
        ForwardingPointer { node: self.name.clone(), epoch, number, address: self.listening.address() }
    }
}

/// The parent of the node under test: two processes.
pub(super) struct Upper([Process; 2]);

impl Upper {
    async fn start(pki: &Pki) -> Result<Self, Failure> {
        let start = async |name: &str| Process::start(pki, name.parse().map_err(Failure::harness)?).await;
        Ok(Self([start("parent-0.example").await?, start("parent-1.example").await?]))
    }

    fn process(&self, at: usize) -> Result<&Process, Failure> {
        self.0.get(at).ok_or_else(|| Failure::harness("there are two processes"))
    }

    /// The process that has a handle (LOC-041).
    pub(super) fn of(&mut self, handle: ObjectHandle) -> &mut Process {
        let [zero, one] = &mut self.0;
        if handle.0[7].is_multiple_of(2) { zero } else { one }
    }
}

/// A server or node that the suite plays, and its connection to the node.
pub(super) struct Asker {
    name: ServerName,
    link: Link<ToDirectoryNode>,
}

impl Asker {
    /// A record of this server; its address is nobody else's.
    pub(super) fn record(&self, epoch: u64) -> ContactRecord {
        static PORT: AtomicU16 = AtomicU16::new(10_000);
        let port = PORT.fetch_add(2, Ordering::SeqCst).max(2);
        let address = ContactAddress(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
        ContactRecord { epoch: LoginEpoch(epoch), server: self.name.clone(), address }
    }

    pub(super) async fn issue(&mut self) -> Result<ObjectHandle, Failure> {
        let id = self.link.id();
        let answer = self.link.ask(ToDirectoryNode::Issue(Issue { id })).await?;
        want!(answer, FromDirectoryNode::Issued(body) if body.id == id => body.handle; "issued")
    }

    /// Inserts; returns the lease in seconds.
    pub(super) async fn insert(
        &mut self,
        handle: ObjectHandle,
        record: &ContactRecord,
    ) -> Result<u64, Failure> {
        let id = self.link.id();
        let answer = self
            .link
            .ask(ToDirectoryNode::Insert(Insert { id, handle, record: record.clone(), if_absent: false }))
            .await?;
        want!(answer, FromDirectoryNode::Inserted(body) if body.id == id => body.lease; "inserted")
    }

    pub(super) async fn insert_refused(
        &mut self,
        handle: ObjectHandle,
        record: &ContactRecord,
        code: ErrorCode,
    ) -> Done {
        let id = self.link.id();
        self.link
            .send(&ToDirectoryNode::Insert(Insert { id, handle, record: record.clone(), if_absent: false }))
            .await?;
        self.link.is_refused(id, code).await
    }

    pub(super) async fn delete(&mut self, handle: ObjectHandle, record: &ContactRecord) -> Done {
        let id = self.link.id();
        let answer =
            self.link.ask(ToDirectoryNode::Delete(Delete { id, handle, record: record.clone() })).await?;
        want!(answer, FromDirectoryNode::Deleted(body) if body.id == id => (); "deleted")
    }

    pub(super) async fn delete_refused(
        &mut self,
        handle: ObjectHandle,
        record: &ContactRecord,
        code: ErrorCode,
    ) -> Done {
        let id = self.link.id();
        self.link.send(&ToDirectoryNode::Delete(Delete { id, handle, record: record.clone() })).await?;
        self.link.is_refused(id, code).await
    }

    pub(super) async fn find(&mut self, handle: ObjectHandle) -> Result<Vec<ContactRecord>, Failure> {
        let id = self.ask_find(handle).await?;
        want!(self.link.next().await?, FromDirectoryNode::Found(body) if body.id == id => body.records; "found")
    }

    /// Asks, and leaves the answer for later.
    pub(super) async fn ask_find(&mut self, handle: ObjectHandle) -> Result<RequestId, Failure> {
        let id = self.link.id();
        self.link.send(&ToDirectoryNode::Find(Find { id, hops: 0, handle })).await?;
        Ok(id)
    }

    /// The next answer to whichever question.
    pub(super) async fn found(&mut self) -> Result<RequestId, Failure> {
        want!(self.link.next().await?, FromDirectoryNode::Found(body) => body.id; "found")
    }

    /// Asks, and leaves the answer for later.
    pub(super) async fn send(
        &mut self,
        make: impl FnOnce(RequestId) -> ToDirectoryNode,
    ) -> Result<RequestId, Failure> {
        let id = self.link.id();
        self.link.send(&make(id)).await?;
        Ok(id)
    }

    /// The next message.
    pub(super) async fn next(&mut self) -> Result<FromDirectoryNode, Failure> {
        self.link.next().await
    }

    /// What was asked is refused.
    pub(super) async fn refused(&mut self, id: RequestId, code: ErrorCode) -> Done {
        self.link.is_refused(id, code).await
    }

    /// Asks and awaits the answer.
    pub(super) async fn ask(
        &mut self,
        make: impl FnOnce(RequestId) -> ToDirectoryNode,
    ) -> Result<FromDirectoryNode, Failure> {
        self.send(make).await?;
        self.next().await
    }

    /// Asks for what is to be refused.
    pub(super) async fn ask_refused(
        &mut self,
        make: impl FnOnce(RequestId) -> ToDirectoryNode,
        code: ErrorCode,
    ) -> Done {
        let id = self.send(make).await?;
        self.refused(id, code).await
    }

    pub(super) async fn probe(&mut self) -> Done {
        self.link.probe().await
    }

    pub(super) async fn send_item(&mut self, item: &[u8]) -> Done {
        self.link.send_frame(item).await
    }

    pub(super) async fn closed_with(&mut self, code: ErrorCode) -> Done {
        self.link.closed_with(code).await
    }
}
