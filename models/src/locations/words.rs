//! Steps and messages of the location service in words, for counterexamples.

use antiphon_spec::{
    location::{Action, Answer, Request},
    message::location::ContactRecord,
};

use super::{
    LocationState, LocationStep,
    world::{Call, From, Stage},
};

pub(super) fn step(state: &LocationState, step: LocationStep) -> String {
    let call =
        |number: u8| state.calls.get(usize::from(number)).map_or_else(|| "nothing".to_owned(), on_its_way);
    match step {
        LocationStep::Inserts(server) => format!("server {server} inserts a record"),
        LocationStep::Deletes(server) => format!("server {server} deletes its record"),
        LocationStep::Dies(server) => format!("server {server} is gone"),
        LocationStep::Renews(server) => format!("server {server} renews its record"),
        LocationStep::Searches(node) => format!("a search begins at node {node}"),
        LocationStep::Arrives(number, None) => call(number),
        LocationStep::Arrives(number, Some(cut)) => {
            format!("{}; the node dies after {cut} steps and starts again", call(number))
        }
        LocationStep::GivenUp(number) => format!("whoever asked gives up: {}", call(number)),
        LocationStep::Vanishes(number) => format!("does not arrive: {}", call(number)),
        LocationStep::NodeDies(node) => format!("node {node} dies and starts again"),
        LocationStep::Sweeps(node) => format!("node {node} forgets what has ended"),
        LocationStep::HalfPasses => "half of a lease passes".to_owned(),
    }
}

fn on_its_way(call: &Call) -> String {
    let from = match call.from {
        From::Server(number) => format!("server {number}"),
        From::Searcher(_) => "the searcher".to_owned(),
        From::Node(number) => format!("node {number}"),
        From::Nobody => "nobody any more".to_owned(),
    };
    let what = request(&call.request);
    match &call.stage {
        Stage::Asked | Stage::Taken(_) => format!("node {} <- {from}: {what}", call.to),
        Stage::Answered(given) => format!("{from} <- node {}: {} (to {what})", call.to, answer(given)),
    }
}

fn request(request: &Request) -> String {
    let only = |if_absent: bool| if if_absent { ", if nothing is there" } else { "" };
    match request {
        Request::Insert { record, if_absent } => {
            format!("insert with epoch {}{}", record.epoch.0, only(*if_absent))
        }
        Request::Delete { record } => format!("delete of epoch {}", record.epoch.0),
        Request::InsertPointer { pointer, if_absent } => {
            format!("insert-pointer {} with epoch {}{}", pointer.number.0, pointer.epoch.0, only(*if_absent))
        }
        Request::DeletePointer { number } => format!("delete-pointer {}", number.0),
        Request::Find { .. } => "find".to_owned(),
        Request::Supersede { epoch } => format!("supersede what is older than epoch {}", epoch.0),
    }
}

fn answer(answer: &Answer) -> String {
    match answer {
        Answer::Inserted(lease) => format!("inserted for {} s", lease.as_secs()),
        Answer::Deleted => "deleted".to_owned(),
        Answer::Found(records) if records.is_empty() => "found nothing".to_owned(),
        Answer::Found(records) => {
            let each = |record: &ContactRecord| format!("{} with epoch {}", record.server, record.epoch.0);
            format!("found {}", records.iter().map(each).collect::<Vec<_>>().join(" and "))
        }
        Answer::Superseded => "superseded".to_owned(),
        Answer::Refused(code) => format!("refused with {code}"),
    }
}

pub(super) fn action(node: u8, action: &Action) -> String {
    match action {
        Action::Persist(kept) => format!(
            "node {node} keeps {} entries{}",
            kept.entries.len(),
            kept.above.map_or_else(String::new, |above| format!(
                " and pointer {}{}",
                above.number.0,
                if above.lease_end.is_some() { "" } else { ", which its parent may not have" }
            ))
        ),
        Action::Answer { answer: given, .. } => format!("node {node}: {}", answer(given)),
        Action::InsertAbove { epoch, number, .. } => {
            format!("node {node} -> parent: insert-pointer {} with epoch {}", number.0, epoch.0)
        }
        Action::DeleteAbove { number } => format!("node {node} -> parent: delete-pointer {}", number.0),
        Action::SupersedeBelow { node: child, epoch, .. } => {
            format!("node {node} -> {child}: supersede what is older than epoch {}", epoch.0)
        }
        Action::FindBelow { node: child, .. } => format!("node {node} -> {child}: find"),
        Action::FindAbove { .. } => format!("node {node} -> parent: find"),
    }
}
