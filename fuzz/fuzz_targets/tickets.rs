//! The judgement of tickets: a newcomer comes in if nothing is wrong, and else is refused for the first thing wrong.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| antiphon_fuzz::tickets::play(data));
