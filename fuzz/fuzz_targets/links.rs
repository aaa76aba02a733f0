//! The machine of links that go on under every order of events.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| antiphon_fuzz::links::play(data));
