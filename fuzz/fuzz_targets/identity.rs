//! Texts of identities and addresses, and public keys: what is read prints as it was written.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| antiphon_fuzz::identity::play(data));
