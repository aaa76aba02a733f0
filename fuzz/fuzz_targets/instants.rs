//! The machines of instant messages under every order of steps.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| antiphon_fuzz::instants::play(data));
