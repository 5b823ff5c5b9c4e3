//! File operations under one folder that fail on demand, or that a simulated loss of power takes back. For tests.
//!
//! Loaded with `LD_PRELOAD` on Linux. `FAULTFS_FOLDER` is the folder whose files are meant. Then one of two:
//!
//! - `FAULTFS_CONTROL`, a file of six u64: calls so far, the first call that fails, how it fails (an errno, or 0 for
//!   half of the bytes that are to be read or written; a call without bytes goes on then), how many failed, the last
//!   call that fails (0 for none), and how many of those that failed were to read.
//! - `FAULTFS_JOURNAL`, a folder that takes a link to every file by its inode, and a file `journal` of what each call
//!   replaced: whoever outlives the process can take back all that was not flushed.

#[cfg(target_os = "linux")]
mod calls;
#[cfg(target_os = "linux")]
mod control;
#[cfg(target_os = "linux")]
mod journal;
#[cfg(target_os = "linux")]
mod paths;
