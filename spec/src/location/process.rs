//! Which of a node's processes has a handle (`LOC-041`).

use crate::identity::ObjectHandle;

/// The place, counted from 0, of the process that has this handle, among so many.
#[must_use]
pub fn process_of(handle: ObjectHandle, processes: usize) -> usize {
    let [a, b, c, d, e, f, g, h, ..] = handle.0;
    let number = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
    let place = u64::try_from(processes).ok().and_then(|processes| number.checked_rem(processes));
    place.and_then(|place| usize::try_from(place).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::process_of;
    use crate::identity::ObjectHandle;

    #[test]
    fn the_first_eight_bytes_say_which_process() {
        let handle = ObjectHandle([0, 0, 0, 0, 0, 0, 1, 4, 9, 9, 9, 9, 9, 9, 9, 9]);
        for (processes, place) in [(0, 0), (1, 0), (2, 0), (3, 2), (256, 4), (1000, 260)] {
            assert_eq!(process_of(handle, processes), place, "{processes}");
        }
    }
}
