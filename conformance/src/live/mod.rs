//! Live cases: conversations over real TLS, in which the suite plays everybody but the implementation under test.

mod client;
mod directory;
mod pki;
mod reason;
mod server;
mod started;
mod wire;

use std::{
    net::Ipv4Addr,
    path::{Path, PathBuf},
    sync::Arc,
};

use antiphon_spec::identity::ContactAddress;
use tokio::{net::TcpListener, sync::OnceCell};

use crate::{
    case::{Failure, LiveTest, Role},
    process::Variant,
    target::Target,
};

/// One row of a table of live cases.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LiveCase {
    /// `area/slug`.
    pub(crate) id: &'static str,
    /// Whom it is for.
    pub(crate) role: Role,
    /// What it shows, the one that it is mainly about first.
    pub(crate) requirements: &'static [&'static str],
    /// The accepting case from which a refused one differs in one thing.
    pub(crate) twin: Option<&'static str>,
    /// What happens, in one sentence.
    pub(crate) about: &'static str,
    /// What is done.
    pub(crate) test: LiveTest,
}

/// Every live case.
pub(crate) fn all() -> impl Iterator<Item = LiveCase> {
    // The longest waits come first, so that the others go on beside them.
    wire::cases().chain(client::cases()).chain(server::cases()).chain(directory::cases())
}

/// What the live cases of one run share.
#[derive(Debug)]
pub(crate) struct World {
    target: Arc<Target>,
    variant: Option<Variant>,
    folder: PathBuf,
    server_stage: OnceCell<server::SharedStage>,
    node_stage: OnceCell<directory::Shared>,
}

impl World {
    /// Makes a world in this folder; processes start when a case needs them.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub(crate) fn new(
        target: Arc<Target>,
        variant: Option<Variant>,
        folder: PathBuf,
    ) -> Result<Arc<Self>, Failure> {
        std::fs::create_dir_all(&folder).map_err(Failure::harness)?;
        Ok(Arc::new(Self {
            target,
            variant,
            folder,
            server_stage: OnceCell::new(),
            node_stage: OnceCell::new(),
        }))
    }

    /// The implementation under test.
    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    /// The wrong variant that is to be run.
    pub(crate) fn variant(&self) -> Option<&Variant> {
        self.variant.as_ref()
    }

    /// Where the files of this run are; it is removed at the end.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The server that most cases with a server under test share.
    pub(crate) fn server_stage(&self) -> &OnceCell<server::SharedStage> {
        &self.server_stage
    }

    /// The directory node that most cases with a directory node under test share.
    pub(crate) fn node_stage(&self) -> &OnceCell<directory::Shared> {
        &self.node_stage
    }
}

/// Any free port.
async fn bind() -> Result<(TcpListener, ContactAddress), Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(Failure::harness)?;
    let address = ContactAddress(listener.local_addr().map_err(Failure::harness)?);
    Ok((listener, address))
}
