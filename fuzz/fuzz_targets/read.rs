//! What both fuzzers do with a file: list it and read it.

use std::io::Cursor;

use striate::weights::Archive;

/// Opens a file and reads every tensor in both precisions. Nothing may panic or take much more memory than the file's
/// numbers do.
pub fn read(data: &[u8]) {
    let Ok(mut archive) = Archive::new(Cursor::new(data.to_vec())) else { return };
    let names: Vec<String> = archive.names().map(str::to_string).collect();
    for name in names {
        let shape = archive.shape(&name).map(<[usize]>::to_vec);
        for shape_read in [
            archive.read::<f32>(&name).map(|tensor| tensor.shape().to_vec()),
            archive.read::<f64>(&name).map(|tensor| tensor.shape().to_vec()),
        ] {
            if let Ok(shape_read) = shape_read {
                assert_eq!(Some(shape_read), shape);
            }
        }
    }
}
