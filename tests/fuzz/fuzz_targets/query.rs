#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| siphound_fuzz::run("query", bytes));
