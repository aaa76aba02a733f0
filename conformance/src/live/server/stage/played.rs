//! The servers that the suite plays: the home server of a visitor, the local server of somebody else's client, a
//! server that asks.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use antiphon_protocol::{
    certificate::UserIssuer, connection::Dialler, signed::server_object_handle, tls::Port,
};
use antiphon_spec::{
    error_code::ErrorCode,
    identity::{ContactAddress, Identity, ObjectHandle, ServerName, UserHandle},
    message::{
        common::{Refused, RequestId},
        location::ContactRecord,
        relay::{RelayCall, RelayClose, RelayCredit, RelayData},
        server_server::{
            CheckIn, CheckOut, CheckedIn, CheckedOut, FromPeerServer, LoginEpoch, Profile, ProfileVersion,
            Renew, Renewed, Replace, ReplaceDone, Resolve, Resolved, Store, Stored, ToPeerServer,
        },
    },
};
use tokio::{sync::mpsc, task::JoinHandle, time::timeout};

use super::{
    Done, Stage,
    asked::{Asked, Listening, Watched},
    expect_equal, handle_bytes,
    link::{Link, PeerLink},
    node::Node,
};
use crate::{
    case::Failure,
    live::{self, pki::Pki},
    process::PATIENCE,
};

/// The lease that is given unless a case says otherwise; long, so that nothing is renewed meanwhile.
const LEASE: u64 = 300;

/// A server that the suite plays.
pub(in crate::live::server) struct Played {
    name: ServerName,
    pub(super) ca: UserIssuer,
    dialler: Dialler,
    address: ContactAddress,
    listening: Listening,
    waiting: mpsc::UnboundedReceiver<Asked<ToPeerServer>>,
    count: Arc<AtomicUsize>,
}

/// A played server that waits for a check-in, which it answers.
pub(in crate::live::server) struct Undoing(JoinHandle<Result<(Played, CheckIn), Failure>>);

impl Undoing {
    /// Waits until the check-in was answered; it has to be of this user's login with this epoch.
    pub(in crate::live::server) async fn checked_in(
        self,
        user: &UserHandle,
        epoch: u64,
    ) -> Result<Played, Failure> {
        let (played, body) = self.0.await.map_err(Failure::harness)??;
        expect_equal("the login that ends", &(user.id, LoginEpoch(epoch)), &(body.user, body.epoch))?;
        Ok(played)
    }
}

/// A request of a certain kind that waits for a case to answer it.
pub(in crate::live::server) struct AskedFor<B> {
    body: B,
    asked: Asked<ToPeerServer>,
}

macro_rules! expected {
    ($($(#[doc = $doc:literal])* $method:ident: $kind:ident,)*) => {
        impl Played {
            $($(#[doc = $doc])*
            pub(in crate::live::server) async fn $method(&mut self) -> Result<AskedFor<$kind>, Failure> {
                let asked = self.next().await?;
                let body = super::want!(
                    asked.request().clone(), ToPeerServer::$kind(body) => body; stringify!($method).replace('_', "-")
                )?;
                Ok(AskedFor { body, asked })
            })*
        }
    };
}

expected! {
    /// The next request, which is a check-out.
    check_out: CheckOut,
    /// The next request, which is a check-in.
    check_in: CheckIn,
    /// The next request, which is a renew.
    renew: Renew,
    /// The next request, which is a store.
    store: Store,
    /// The next request, which is a replace.
    replace: Replace,
    /// The next request, which is a resolve.
    resolve: Resolve,
    /// The next thing that is asked for, which is a relayed link.
    relay_call: RelayCall,
    /// What comes next, which is bytes on a relayed link.
    relay_data: RelayData,
    /// What comes next, which is credit on a relayed link.
    relay_credit: RelayCredit,
    /// What comes next, which is the end of a relayed link.
    relay_close: RelayClose,
}

impl Played {
    /// The next request says that this login is over, and is answered.
    pub(in crate::live::server) async fn hears_of_the_end(
        &mut self,
        user: &UserHandle,
        epoch: LoginEpoch,
    ) -> Done {
        let replace = self.replace().await?;
        expect_equal("whose login is over", &(user, epoch), &(&replace.body.user, replace.body.epoch))?;
        replace.done();
        Ok(())
    }

    pub(super) async fn start(pki: &Pki, name: ServerName, node: &Node) -> Result<Self, Failure> {
        let credentials = pki.credentials(&Identity::Server(name.clone()))?;
        let (certificate, key) = pki.user_ca(&name)?;
        let ca = UserIssuer::load(certificate, key).map_err(Failure::harness)?;
        let (sender, waiting) = mpsc::unbounded_channel();
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        let asked = move |asked: Asked<ToPeerServer>| {
            counted.fetch_add(1, Ordering::SeqCst);
            let _ = sender.send(asked);
        };
        let acceptor = pki.acceptor(Port::Authenticated, credentials.clone());
        let listening = Listening::start(live::bind().await?, acceptor, Arc::new(asked));
        let (dialler, address) = (pki.dialler(Some(credentials)), listening.address());
        let played = Self { name, ca, dialler, address, listening, waiting, count };
        node.put(played.object_handle(), played.record(1));
        Ok(played)
    }

    pub(in crate::live::server) fn name(&self) -> &ServerName {
        &self.name
    }

    pub(in crate::live::server) fn address(&self) -> ContactAddress {
        self.address
    }

    pub(in crate::live::server) fn object_handle(&self) -> ObjectHandle {
        server_object_handle(&self.name)
    }

    /// A contact record of this server.
    pub(in crate::live::server) fn record(&self, epoch: u64) -> ContactRecord {
        ContactRecord { epoch: LoginEpoch(epoch), server: self.name.clone(), address: self.address }
    }

    /// A user whose home this server is, whom nobody has heard of yet.
    pub(in crate::live::server) fn user(&self) -> Result<UserHandle, Failure> {
        Ok(UserHandle { id: ObjectHandle(handle_bytes()?), home: self.name.clone() })
    }

    /// Takes the server's record out of the location service.
    pub(in crate::live::server) fn hide(&self, stage: &Stage) {
        stage.node().remove(self.object_handle(), &self.name);
    }

    /// Puts the record back.
    pub(in crate::live::server) fn show(&self, stage: &Stage) {
        stage.node().put(self.object_handle(), self.record(2));
    }

    /// Cuts every connection, and whoever connects.
    pub(in crate::live::server) fn stop(&self) {
        self.listening.go_down();
    }

    /// How many requests have come.
    pub(in crate::live::server) fn asked(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// Connects to the server under test.
    pub(in crate::live::server) async fn dial(&self, stage: &Stage) -> Result<PeerLink, Failure> {
        Link::dial(&self.dialler, stage.address(), &Identity::Server(stage.name().clone())).await
    }

    async fn next(&mut self) -> Result<Asked<ToPeerServer>, Failure> {
        match timeout(PATIENCE, self.waiting.recv()).await {
            Ok(Some(asked)) => Ok(asked),
            Ok(None) | Err(_) => Err(Failure::unexpected(format!("a request to {}", self.name), "none")),
        }
    }

    /// Answers the next request, which is a check-in, while the case goes on: what else is undone meanwhile, and in which
    /// order, is the business of the server under test.
    pub(in crate::live::server) fn answer_check_in(mut self) -> Undoing {
        Undoing(tokio::spawn(async move {
            let asked = self.check_in().await?;
            let body = *asked.body();
            asked.checked_in();
            Ok((self, body))
        }))
    }

    /// Answers the next check-out; a check-in that comes before it is answered, too.
    pub(in crate::live::server) async fn log_in(&mut self, epoch: u64, profile: Profile) -> Done {
        loop {
            let asked = self.next().await?;
            match asked.request().clone() {
                ToPeerServer::CheckIn(body) => AskedFor { body, asked }.checked_in(),
                ToPeerServer::CheckOut(body) => {
                    AskedFor { body, asked }.checked_out(epoch, profile);
                    return Ok(());
                }
                other @ (ToPeerServer::RelayCall(_)
                | ToPeerServer::RelayData(_)
                | ToPeerServer::RelayCredit(_)
                | ToPeerServer::RelayClose(_)
                | ToPeerServer::Store(_)
                | ToPeerServer::Renew(_)
                | ToPeerServer::Replace(_)
                | ToPeerServer::Resolve(_)
                | ToPeerServer::Ping(_)
                | ToPeerServer::Pong(_)
                | ToPeerServer::Goodbye(_)
                | ToPeerServer::Error(_)) => {
                    return Err(Failure::unexpected("check-out", format!("{other:?}")));
                }
            }
        }
    }
}

impl<B> AskedFor<B> {
    pub(in crate::live::server) fn body(&self) -> &B {
        &self.body
    }

    pub(in crate::live::server) fn refuse(self, code: ErrorCode) {
        self.asked.say(FromPeerServer::Refused(Refused { id: self.asked.id(), code }));
    }

    /// Ends the connection without a word.
    pub(in crate::live::server) fn cut(self) {
        self.asked.cut();
    }

    /// Waits until the connection has ended.
    pub(in crate::live::server) async fn ended(self) -> Done {
        self.asked.ended().await
    }
}

impl<B> AskedFor<B> {
    /// Says something on the connection on which this came.
    pub(in crate::live::server) fn say(&self, message: FromPeerServer) {
        self.asked.say(message);
    }

    /// Watches how the connection ends.
    pub(in crate::live::server) fn watch(self) -> Watched {
        self.asked.watch()
    }
}

impl AskedFor<CheckOut> {
    pub(in crate::live::server) fn checked_out(self, epoch: u64, profile: Profile) {
        self.checked_out_for(LEASE, epoch, profile);
    }

    /// Answers with this lease, in seconds.
    pub(in crate::live::server) fn checked_out_for(self, lease: u64, epoch: u64, profile: Profile) {
        let checked_out = CheckedOut { id: self.body.id, epoch: LoginEpoch(epoch), lease, profile };
        self.asked.say(FromPeerServer::CheckedOut(checked_out));
    }
}

impl AskedFor<Renew> {
    /// Answers with this lease, in seconds.
    pub(in crate::live::server) fn renewed_for(self, lease: u64) {
        self.asked.say(FromPeerServer::Renewed(Renewed { id: self.body.id, lease }));
    }
}

impl AskedFor<CheckIn> {
    pub(in crate::live::server) fn checked_in(self) {
        self.asked.say(FromPeerServer::CheckedIn(CheckedIn { id: self.body.id }));
    }
}

impl AskedFor<Store> {
    pub(in crate::live::server) fn stored(self, version: u64) {
        let version = ProfileVersion(version);
        self.asked.say(FromPeerServer::Stored(Stored { id: self.body.id, version }));
    }
}

impl AskedFor<Replace> {
    pub(in crate::live::server) fn done(self) {
        self.asked.say(FromPeerServer::ReplaceDone(ReplaceDone { id: self.body.id }));
    }
}

impl AskedFor<Resolve> {
    pub(in crate::live::server) fn resolved(self, address: ContactAddress) {
        self.asked.say(FromPeerServer::Resolved(Resolved { id: self.body.id, address }));
    }

    pub(in crate::live::server) fn resolved_and_goodbye(self, address: ContactAddress) {
        self.asked.say(FromPeerServer::Resolved(Resolved { id: self.body.id, address }));
        self.asked.say_goodbye();
    }

    /// Answers a request that nobody made.
    pub(in crate::live::server) fn answer_to_nothing(self) -> Watched {
        let id = RequestId(self.body.id.0 ^ 1 << 60);
        self.asked.say(FromPeerServer::Refused(Refused { id, code: ErrorCode::Unavailable }));
        self.asked.watch()
    }

    /// Answers with what answers another kind of request.
    pub(in crate::live::server) fn answer_of_another_kind(self) -> Watched {
        self.asked.say(FromPeerServer::CheckedIn(CheckedIn { id: self.body.id }));
        self.asked.watch()
    }
}
