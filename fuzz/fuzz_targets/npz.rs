//! Bytes as a `.npz` or `.npy` file: `cargo +nightly fuzz run npz fuzz/corpus/npz fuzz/seeds/npz`.
#![no_main]

mod read;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    read::read(data);
    // With a start of the right length before it, the header itself is what is tried.
    let length = data.iter().rposition(|&byte| byte == b'}').map_or(0, |end| end + 1);
    read::read(&[b"\x93NUMPY\x02\x00", &(length as u32).to_le_bytes()[..], data].concat());
});
