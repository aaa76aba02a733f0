//! One server in the tree: whom it takes, whom it follows, and what it tells whom.

use super::{Action, Event, Node, Said, Tree};
use crate::{
    identity::ServerName,
    limits::{TREE_CHILDREN_MAX, TREE_PATH_MAX},
    machine::Machine as _,
    presence::LinkNumber,
};

const A: LinkNumber = LinkNumber(1);
const B: LinkNumber = LinkNumber(2);
const C: LinkNumber = LinkNumber(3);

fn name(letter: &str) -> ServerName {
    format!("{letter}.example").parse().unwrap()
}

fn node(letter: &str) -> Node {
    Node { server: name(letter), boot: 1 }
}

fn path(letters: &str) -> Vec<Node> {
    letters.split(' ').map(node).collect()
}

fn happens(tree: &mut Tree, event: Event) -> Vec<Action> {
    let mut out = Vec::new();
    tree.handle(event, &(), &mut out);
    out
}

fn hears(tree: &mut Tree, link: LinkNumber, said: Said) -> Vec<Action> {
    happens(tree, Event::Heard(link, said))
}

fn attach(letter: &str) -> Said {
    Said::Attach { node: node(letter) }
}

fn attached(letters: &str) -> Said {
    Said::Attached { path: path(letters) }
}

fn changed(letters: &str) -> Said {
    Said::Path { path: path(letters) }
}

/// A server below this path, over link `A`.
fn below(own: &str, letters: &str) -> Tree {
    let mut tree = Tree::new(node(own));
    happens(&mut tree, Event::Dialled(A));
    hears(&mut tree, A, attached(letters));
    assert_eq!(tree.parent(), Some(A));
    tree
}

#[test]
fn a_root_asks_and_goes_below_a_smaller_one() {
    let mut tree = Tree::new(node("m"));
    assert_eq!(happens(&mut tree, Event::Dialled(A)), [Action::Say(A, attach("m"))]);
    assert_eq!(happens(&mut tree, Event::Dialled(B)), [Action::Close(B)], "one at a time");
    let parent = path("z b").first().cloned().unwrap();
    assert_eq!(hears(&mut tree, A, attached("z b")), [Action::NeighbourUp(A, parent)]);
    assert_eq!(tree.path(), path("m z b"));
    assert_eq!(happens(&mut tree, Event::Dialled(B)), [Action::Close(B)], "it has a parent");
}

#[test]
fn nobody_goes_below_itself_a_greater_root_or_too_deep() {
    let deep = (0..=TREE_PATH_MAX).map(|number| Node { server: name("a"), boot: number as u64 }).collect();
    for path in [path("z m b"), path("b z"), Vec::new(), deep] {
        let mut tree = Tree::new(node("m"));
        happens(&mut tree, Event::Dialled(A));
        assert_eq!(hears(&mut tree, A, Said::Attached { path }), [Action::Close(A), Action::Look]);
        assert_eq!((tree.parent(), tree.is_asking()), (None, false));
    }
}

#[test]
fn who_is_refused_looks_again() {
    let mut tree = Tree::new(node("m"));
    happens(&mut tree, Event::Dialled(A));
    assert_eq!(hears(&mut tree, A, Said::Refused), [Action::Close(A), Action::Look]);
    happens(&mut tree, Event::Dialled(B));
    assert_eq!(happens(&mut tree, Event::LinkDown(B)), [Action::Look]);
    assert_eq!(happens(&mut tree, Event::Dialled(C)), [Action::Say(C, attach("m"))]);
}

#[test]
fn a_greater_root_is_taken_and_told_every_new_path() {
    let mut tree = Tree::new(node("m"));
    assert_eq!(
        hears(&mut tree, B, attach("z")),
        [Action::Say(B, attached("m")), Action::NeighbourUp(B, node("z"))]
    );
    happens(&mut tree, Event::Dialled(A));
    assert_eq!(
        hears(&mut tree, A, attached("c b")),
        [Action::NeighbourUp(A, node("c")), Action::Say(B, changed("m c b"))]
    );
    assert_eq!(hears(&mut tree, A, changed("c a")), [Action::Say(B, changed("m c a"))]);
    assert_eq!(hears(&mut tree, A, changed("c a")), [], "it is the same");
}

#[test]
fn who_stands_on_the_path_is_refused_itself_too() {
    let mut tree = below("m", "c b");
    for there in ["m", "c", "b"] {
        let refused = [Action::Say(B, Said::Refused), Action::Close(B)];
        assert_eq!(hears(&mut tree, B, attach(there)), refused, "{there}");
    }
}

#[test]
fn the_root_is_told_of_a_smaller_one_in_another_island() {
    let mut tree = below("m", "c b");
    let found = Action::Say(A, Said::Found { server: name("a") });
    assert_eq!(hears(&mut tree, B, attach("a")), [Action::Say(B, Said::Refused), Action::Close(B), found]);
    let mut root = Tree::new(node("b"));
    hears(&mut root, C, attach("m"));
    let found = Said::Found { server: name("a") };
    assert_eq!(hears(&mut root, C, found), [Action::Seek(name("a"))]);
}

#[test]
fn a_child_that_comes_again_has_one_link() {
    let mut tree = Tree::new(node("m"));
    hears(&mut tree, A, attach("z"));
    let again = Node { boot: 2, ..node("z") };
    assert_eq!(
        hears(&mut tree, B, Said::Attach { node: again.clone() }),
        [
            Action::NeighbourDown(A),
            Action::Close(A),
            Action::Say(B, attached("m")),
            Action::NeighbourUp(B, again)
        ]
    );
}

#[test]
fn there_is_an_end_of_room() {
    let mut tree = Tree::new(node("a"));
    for number in 0..TREE_CHILDREN_MAX {
        let link = LinkNumber(u32::try_from(number).unwrap());
        let child = format!("z{number}");
        assert_eq!(hears(&mut tree, link, attach(&child)).len(), 2);
    }
    let link = LinkNumber(u32::MAX);
    assert_eq!(hears(&mut tree, link, attach("y")), [Action::Say(link, Said::Refused), Action::Close(link)]);
}

#[test]
fn who_has_lost_the_parent_is_a_root_and_says_so() {
    let mut tree = below("m", "c b");
    hears(&mut tree, B, attach("z"));
    assert_eq!(
        happens(&mut tree, Event::LinkDown(A)),
        [Action::NeighbourDown(A), Action::Say(B, changed("m")), Action::Look]
    );
    assert_eq!(happens(&mut tree, Event::LinkDown(B)), [Action::NeighbourDown(B)]);
    assert_eq!(tree.neighbours().count(), 0);
}

#[test]
fn a_path_that_comes_back_breaks_the_circle() {
    let mut tree = below("m", "c b");
    hears(&mut tree, B, attach("z"));
    assert_eq!(
        hears(&mut tree, A, changed("c z m b")),
        [Action::NeighbourDown(A), Action::Say(B, changed("m")), Action::Look, Action::Close(A)]
    );
    assert_eq!(tree.root(), &node("m"));
}

#[test]
fn who_says_what_is_not_theirs_to_say_is_cut_off() {
    for said in [attached("a"), Said::Refused, changed("a"), Said::Found { server: name("a") }] {
        let mut tree = below("m", "c b");
        assert_eq!(hears(&mut tree, B, said), [Action::Close(B)]);
        assert_eq!(tree.path(), path("m c b"));
    }
}

#[test]
fn nobody_goes_below_a_server_that_is_its_child_in_another_start() {
    let mut tree = Tree::new(node("m"));
    let earlier = Node { server: name("x"), boot: 1 };
    hears(&mut tree, B, Said::Attach { node: earlier });
    happens(&mut tree, Event::Dialled(A));
    let path = vec![Node { server: name("x"), boot: 2 }, node("b")];
    assert_eq!(hears(&mut tree, A, Said::Attached { path }), [Action::Close(A), Action::Look]);
    assert_eq!(tree.parent(), None);
}
