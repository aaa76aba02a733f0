//! The machines of handles at run time: one task for each handle under which anybody waits for anything.
//!
//! A task loads what is kept, takes events one after the other, makes durable what has changed before anybody hears of
//! it, and ends when nobody waits. So a million handles cost nothing but their rows.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use antiphon_protocol::tls::{Clock, now};
use antiphon_spec::{
    error_code::ErrorCode,
    identity::ObjectHandle,
    location::{Action, Answer, Asker, Contacts, Event, Kept, ParentAnswer, Request, RequestNumber, Terms},
    machine::Machine as _,
    message::location::{ForwardingPointer, PointerNumber},
};
use tokio::sync::{mpsc, oneshot};
use tracing::{debug, error};

use super::{
    keeper::{Keeper, NotKept},
    tree::Tree,
};
use crate::{
    net::{self, Serving},
    store::{Changed, NodeStore, StoreError},
};

/// Pointers of one start of the process are numbered from its number of starts times this.
const NUMBERS_PER_START: u64 = 1 << 32;

/// What all handles share.
#[derive(Debug)]
pub(super) struct Handles {
    pub(super) store: NodeStore,
    pub(super) keeper: Keeper,
    pub(super) clock: Clock,
    pub(super) lease: Duration,
    pub(super) records_per_server: u64,
    pub(super) tree: Tree,
    pub(super) asking: Serving,
    pub(super) tasks: Mutex<HashMap<ObjectHandle, mpsc::UnboundedSender<Command>>>,
    pub(super) pointers: std::sync::atomic::AtomicU64,
}

/// What comes to a task.
#[derive(Debug)]
pub(super) enum Command {
    /// Somebody asks, and waits for the answer.
    Ask { by: Asker, request: Request, answer: oneshot::Sender<Answer> },
    /// Something else has happened.
    Happened(Event),
}

impl Handles {
    /// Where numbers of pointers begin in this process (`LOC-027`).
    pub(super) const fn first_pointer(starts: u64) -> u64 {
        starts.saturating_mul(NUMBERS_PER_START)
    }

    /// About how many handles something is being asked.
    pub(super) fn busy(&self) -> usize {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Asks; the answer comes later. Requests about one handle are taken in the order in which this is called.
    pub(super) fn ask(
        self: &Arc<Self>,
        handle: ObjectHandle,
        by: Asker,
        request: Request,
    ) -> oneshot::Receiver<Answer> {
        let (answer, waiting) = oneshot::channel();
        self.send(handle, Command::Ask { by, request, answer });
        waiting
    }

    /// Forgets what has ended; says under how many handles.
    pub(super) async fn sweep(self: &Arc<Self>) -> Result<usize, StoreError> {
        let ended = self.store.ended(now(&self.clock)).await?;
        for handle in &ended {
            self.send(*handle, Command::Happened(Event::LeaseEnded));
        }
        Ok(ended.len())
    }

    fn send(self: &Arc<Self>, handle: ObjectHandle, command: Command) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        let command = match tasks.get(&handle) {
            Some(task) => match task.send(command) {
                Ok(()) => return,
                Err(refused) => refused.0,
            },
            None => command,
        };
        let (sender, commands) = mpsc::unbounded_channel();
        // Its receiver is still here.
        let _ = sender.send(command);
        tasks.insert(handle, sender.clone());
        drop(tasks);
        let task = Task { handles: Arc::clone(self), handle, own: sender, commands };
        self.asking.tracker.spawn(task.run());
    }
}

/// The task of one handle.
struct Task {
    handles: Arc<Handles>,
    handle: ObjectHandle,
    own: mpsc::UnboundedSender<Command>,
    commands: mpsc::UnboundedReceiver<Command>,
}

/// What a task has in its memory.
struct Active {
    contacts: Contacts,
    durable: Kept,
    answers: HashMap<RequestNumber, oneshot::Sender<Answer>>,
    last: u64,
}

impl Task {
    async fn run(mut self) {
        let mut active: Option<Active> = None;
        while let Some(command) = self.next(active.as_ref()).await {
            let taken = match active.take() {
                Some(active) => Ok(active),
                None => self.load().await,
            };
            active = match taken {
                Ok(taken) => self.take(taken, command).await,
                Err(failure) => {
                    self.failed(&failure);
                    refuse(command);
                    None
                }
            };
        }
    }

    /// The next command; none if nobody waits, and then the task is known no more.
    async fn next(&mut self, active: Option<&Active>) -> Option<Command> {
        if active.is_some_and(|active| !active.contacts.is_idle()) {
            return self.commands.recv().await;
        }
        if let Ok(command) = self.commands.try_recv() {
            return Some(command);
        }
        let mut tasks = self.handles.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever sends holds the lock: what isn't here now goes to another task.
        if let Ok(command) = self.commands.try_recv() {
            return Some(command);
        }
        tasks.remove(&self.handle);
        None
    }

    async fn load(&self) -> Result<Active, StoreError> {
        let durable = self.handles.store.contacts(self.handle).await?;
        let contacts = Contacts::new(self.handle, durable.clone());
        Ok(Active { contacts, durable, answers: HashMap::new(), last: 0 })
    }

    /// Takes a command; what is known is lost when it cannot be made durable, and so are the answers.
    async fn take(&self, mut active: Active, command: Command) -> Option<Active> {
        let done = match command {
            Command::Happened(event) => self.happens(&mut active, event, true).await,
            Command::Ask { by, request, answer } => {
                active.last += 1;
                let number = RequestNumber(active.last);
                active.answers.insert(number, answer);
                match self.has_room(&by, &request).await {
                    Ok(has_room) => {
                        self.happens(&mut active, Event::Asked { number, by, request }, has_room).await
                    }
                    Err(failure) => {
                        self.failed(&failure);
                        return None;
                    }
                }
            }
        };
        match done {
            Ok(()) => Some(active),
            Err(NotKept) => None,
        }
    }

    async fn has_room(&self, by: &Asker, request: &Request) -> Result<bool, StoreError> {
        match (by, request) {
            (Asker::Server(server), Request::Insert { .. }) => {
                self.handles.store.has_room(server, self.handles.records_per_server).await
            }
            (Asker::Server(_) | Asker::Child(_) | Asker::Parent, _) => Ok(true),
        }
    }

    async fn happens(&self, active: &mut Active, event: Event, has_room: bool) -> Result<(), NotKept> {
        let handles = &self.handles;
        let number = handles.pointers.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let terms = Terms {
            now: now(&handles.clock),
            lease: handles.lease,
            has_parent: handles.tree.has_parent(),
            has_room,
            number: PointerNumber(number),
        };
        let mut actions = Vec::new();
        active.contacts.handle(event, &terms, &mut actions);
        for action in actions {
            match action {
                Action::Persist(kept) => {
                    let before = std::mem::replace(&mut active.durable, kept.clone());
                    let changed = Changed { handle: self.handle, before, after: kept };
                    handles.keeper.keep(changed).await?;
                }
                Action::Answer { number, answer } => {
                    if let Some(waiting) = active.answers.remove(&number) {
                        // Whoever asked may have gone.
                        let _ = waiting.send(answer);
                    }
                }
                Action::InsertAbove { epoch, number, if_absent } => {
                    let (node, address) = handles.tree.own();
                    let pointer = ForwardingPointer { node, epoch, number, address };
                    self.above(Request::InsertPointer { pointer, if_absent });
                }
                Action::DeleteAbove { number } => self.above(Request::DeletePointer { number }),
                Action::SupersedeBelow { node, address, epoch } => {
                    let (handles, handle, own) = (Arc::clone(handles), self.handle, self.own.clone());
                    self.spawn(async move {
                        if let Err(error) = handles.tree.supersede(&node, address, handle, epoch).await {
                            debug!(%node, %error, "a child isn't told what is over");
                        }
                        let _ = own.send(Command::Happened(Event::ChildTold { node, epoch }));
                    });
                }
                Action::FindBelow { number, node, address, hops } => {
                    let (handles, handle, own) = (Arc::clone(handles), self.handle, self.own.clone());
                    self.spawn(async move {
                        let found = handles.tree.find_below(&node, address, handle, hops).await;
                        let _ = own.send(Command::Happened(Event::Searched { number, found }));
                    });
                }
                Action::FindAbove { number, hops } => {
                    let (handles, handle, own) = (Arc::clone(handles), self.handle, self.own.clone());
                    self.spawn(async move {
                        let found = handles.tree.find_above(handle, hops).await;
                        let _ = own.send(Command::Happened(Event::Searched { number, found }));
                    });
                }
            }
        }
        Ok(())
    }

    fn above(&self, request: Request) {
        let (handles, handle, own) = (Arc::clone(&self.handles), self.handle, self.own.clone());
        self.spawn(async move {
            let answer = match request {
                Request::InsertPointer { pointer, if_absent } => {
                    handles.tree.insert_above(handle, pointer, if_absent).await.map(ParentAnswer::Inserted)
                }
                Request::DeletePointer { number } => {
                    handles.tree.delete_above(handle, number).await.map(|()| ParentAnswer::Deleted)
                }
                Request::Insert { .. }
                | Request::Delete { .. }
                | Request::Find { .. }
                | Request::Supersede { .. } => Err(ErrorCode::Internal),
            };
            let answer = answer.unwrap_or_else(ParentAnswer::Failed);
            let _ = own.send(Command::Happened(Event::ParentAnswered(answer)));
        });
    }

    fn spawn(&self, asking: impl Future<Output = ()> + Send + 'static) {
        self.handles.asking.tracker.spawn(asking);
    }

    fn failed(&self, failure: &StoreError) {
        error!(handle = %self.handle, error = net::chain(failure), "a request cannot be carried out");
    }
}

fn refuse(command: Command) {
    match command {
        Command::Ask { answer, .. } => {
            let _ = answer.send(Answer::Refused(ErrorCode::Internal));
        }
        Command::Happened(_) => {}
    }
}
