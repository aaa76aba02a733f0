//! Steps of the models of the tree in words, for counterexamples.

use antiphon_spec::tree::{Node, Said};

use super::{TreeState, TreeStep};

pub(super) fn step(state: &TreeState, step: TreeStep) -> String {
    let end = |place: usize, end: usize| {
        let link = state.links.get(place);
        let server = link.and_then(|link| link.ends.get(end));
        server.map_or_else(|| "?".to_owned(), u8::to_string)
    };
    match step {
        TreeStep::Probes(from, to) => format!("server {from}, a root, asks server {to}"),
        TreeStep::Dials(from, to) => format!("server {from} dials server {to}, of which it was told"),
        TreeStep::Arrives(place, to) => {
            let what = state.links.get(place).and_then(|link| link.to.get(to)?.front());
            let what = what.map_or_else(|| "nothing".to_owned(), said);
            format!("server {} <- server {}: {what}", end(place, to), end(place, 1 - to))
        }
        TreeStep::Falls(place, at) => {
            format!(
                "server {} notices that its link to server {} is gone",
                end(place, at),
                end(place, 1 - at)
            )
        }
        TreeStep::Breaks(place) => {
            format!("the link of servers {} and {} is lost", end(place, 0), end(place, 1))
        }
        TreeStep::Dies(server) => format!("server {server} dies and starts again"),
    }
}

fn said(said: &Said) -> String {
    match said {
        Said::Attach { node } => format!("attach, from {}", named(node)),
        Said::Attached { path } => {
            format!("attached: {}", path.iter().map(named).collect::<Vec<_>>().join(" < "))
        }
        Said::Refused => "refused".to_owned(),
        Said::Path { path } => format!("path: {}", path.iter().map(named).collect::<Vec<_>>().join(" < ")),
        Said::Found { server } => format!("found {server}"),
    }
}

/// A node in words.
pub(super) fn named(node: &Node) -> String {
    format!("{}/{}", node.server, node.boot)
}
