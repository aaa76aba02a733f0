//! What has to be true of all that was said and shown, whatever happened.

use std::collections::{BTreeMap, BTreeSet};

use super::witness::{Shown, Witness};

/// Checks every message of a round, of the dead too. Witnesses with one handle are one user, in the order of time.
pub(crate) fn check(witnesses: &[Witness]) {
    let mut shown: BTreeMap<&str, Vec<&Shown>> = BTreeMap::new();
    for witness in witnesses {
        shown.entry(&witness.handle).or_default().extend(&witness.shown);
        nothing_twice_and_all_in_order(witness);
    }
    for sender in witnesses {
        for ((listener, epoch), &last) in &sender.delivered {
            let has: BTreeMap<u64, &Shown> = shown[listener.as_str()]
                .iter()
                .filter(|shown| shown.from == sender.handle && shown.epoch == *epoch)
                .map(|shown| (shown.number, *shown))
                .collect();
            for number in 1..=last {
                let Some(shown) = has.get(&number) else {
                    let name = &sender.name;
                    panic!(
                        "{listener} has acknowledged {number} of {name} in epoch {epoch}, and never showed it"
                    );
                };
                // The dead may not have come to tell what they sent under which number.
                if let Some(index) = sender.sent.iter().position(|sent| *sent == (*epoch, number)) {
                    assert_eq!(shown.text, sender.said[index], "{listener} shows another text");
                }
            }
        }
    }
}

fn nothing_twice_and_all_in_order(witness: &Witness) {
    let mut seen = BTreeSet::new();
    let mut last: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for shown in &witness.shown {
        let (from, place) = (shown.from.as_str(), (shown.epoch, shown.number));
        assert!(seen.insert((from, place)), "{} shows {shown:?} twice", witness.name);
        let before = last.insert(from, place);
        assert!(before.is_none_or(|before| before < place), "{} shows {shown:?} late", witness.name);
    }
}
