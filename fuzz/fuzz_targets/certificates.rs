//! From a chain of certificates to an identity: nothing but what the root vouches for is believed.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| antiphon_fuzz::certificates::play(data));
