//! Live cases: conversations over real TLS, in which the suite plays everybody but the implementation under test.
use crate::case::{LiveTest, Role, Failure};
use std::sync::Arc;
use crate::{target::Target, process::Variant};
#[derive(Debug)]
pub(crate) struct World {}
impl World { pub(crate) async fn start(_: Arc<Target>, _: Option<Variant>, _: std::path::PathBuf) -> Result<Arc<Self>, Failure> { Ok(Arc::new(Self{})) }
 pub(crate) async fn end(&self) {} }
pub(crate) struct LiveCase { pub(crate) id: &'static str, pub(crate) role: Role, pub(crate) requirements: &'static [&'static str], pub(crate) twin: Option<&'static str>, pub(crate) about: &'static str, pub(crate) test: LiveTest }
pub(crate) fn all() -> impl Iterator<Item = LiveCase> { std::iter::empty() }
