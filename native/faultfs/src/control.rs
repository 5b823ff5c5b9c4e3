//! The call that is to fail, as the test says in a file.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock};

use crate::paths::setting;

/// How a call fails.
#[derive(Clone, Copy)]
pub enum Fault {
    /// With this errno.
    Code(i32),
    /// After half of the bytes.
    Short,
}

static PATH: OnceLock<Option<PathBuf>> = OnceLock::new();
static TURN: Mutex<()> = Mutex::new(());

/// Whether calls are to fail at all.
pub fn is_on() -> bool {
    setting(&PATH, "FAULTFS_CONTROL").is_some()
}

/// Counts a call, and says how it is to fail.
pub fn fault() -> Option<Fault> {
    counted(false)
}

/// The same of one that reads.
pub fn fault_of_read() -> Option<Fault> {
    counted(true)
}

fn counted(reads: bool) -> Option<Fault> {
    let path = setting(&PATH, "FAULTFS_CONTROL")?;
    let _turn = TURN.lock().ok()?;
    let file = OpenOptions::new().read(true).write(true).open(path).ok()?;
    let word = |i: u64| {
        let mut bytes = [0; 8];
        file.read_exact_at(&mut bytes, 8 * i).map(|()| u64::from_le_bytes(bytes)).ok()
    };
    let calls = word(0)? + 1;
    file.write_all_at(&calls.to_le_bytes(), 0).ok()?;
    if calls < word(1)? || calls > word(4)? {
        return None;
    }
    file.write_all_at(&(word(3)? + 1).to_le_bytes(), 24).ok()?;
    file.write_all_at(&(word(5)? + u64::from(reads)).to_le_bytes(), 40).ok()?;
    let code = word(2)?;
    Some(if code == 0 { Fault::Short } else { Fault::Code(code as i32) })
}
