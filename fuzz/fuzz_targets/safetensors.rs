//! Bytes as a safetensors file: `cargo +nightly fuzz run safetensors fuzz/corpus/safetensors fuzz/seeds/safetensors`.
#![no_main]

mod read;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    read::read(data);
    // With the right length before it, the list itself is what is tried.
    let length = data.iter().rposition(|&byte| byte == b'}').map_or(0, |end| end + 1);
    read::read(&[&(length as u64).to_le_bytes(), data].concat());
});
