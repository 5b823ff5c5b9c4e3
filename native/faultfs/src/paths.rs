//! Which files are meant, and the settings of the environment.

use std::ffi::{CStr, c_char, c_int};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();

/// A path of the environment, read once.
pub fn setting(cell: &'static OnceLock<Option<PathBuf>>, name: &str) -> Option<&'static Path> {
    cell.get_or_init(|| std::env::var_os(name).map(PathBuf::from)).as_deref()
}

fn meant(path: PathBuf) -> Option<PathBuf> {
    let folder = setting(&FOLDER, "FAULTFS_FOLDER")?;
    path.starts_with(folder).then_some(path)
}

/// The path of a call, when it is one of those meant.
pub fn of_name(name: *const c_char) -> Option<PathBuf> {
    if name.is_null() {
        return None;
    }
    // SAFETY: callers of libc pass strings that end with a zero.
    let bytes = unsafe { CStr::from_ptr(name) }.to_bytes();
    meant(PathBuf::from(std::ffi::OsStr::from_bytes(bytes)))
}

/// The path of an open file, when it is one of those meant.
pub fn of_descriptor(fd: c_int) -> Option<PathBuf> {
    setting(&FOLDER, "FAULTFS_FOLDER")?;
    std::fs::read_link(format!("/proc/self/fd/{fd}")).ok().and_then(meant)
}
