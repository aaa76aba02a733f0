//! Signed objects: nothing is believed but what the key's holder signed for just this kind of statement.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| antiphon_fuzz::signed::play(data));
