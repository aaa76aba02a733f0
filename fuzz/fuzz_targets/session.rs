//! The session machine under every order of events, with losses, early timers and hostile peers.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| antiphon_fuzz::session::play(data));
