//! The decoders of every channel and direction: what is accepted has one encoding, what is not is refused.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| antiphon_fuzz::messages::play(data));
