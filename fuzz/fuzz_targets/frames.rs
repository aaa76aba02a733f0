//! The frame decoder: however a stream is cut into pieces, the same frames come out of it.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| antiphon_fuzz::frames::play(data));
