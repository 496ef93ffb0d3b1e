#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| packetboat_fuzz::session(data));
