//! What each call replaced, so that it can be taken back.
//!
//! A record is a line of a letter and numbers, then the bytes that it announces:
//! `W inode offset bytes-of-the-file count` a write or a cut, with the bytes that were there; `S inode` flushed;
//! `C inode count` made, with its path; `R inode replaced-inode-or-0 count count` renamed, with both paths;
//! `U inode count` removed, with its path; `D count` a folder flushed, with its path.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock};

use crate::paths::setting;

static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
static JOURNAL: Mutex<Option<Journal>> = Mutex::new(None);

/// The journal; calls take their turns in it.
pub struct Journal {
    file: File,
    folder: PathBuf,
}

/// The journal while a call has its turn; none where none is wanted.
pub fn turn() -> Option<MutexGuard<'static, Option<Journal>>> {
    let folder = setting(&FOLDER, "FAULTFS_JOURNAL")?;
    let mut turn = JOURNAL.lock().ok()?;
    if turn.is_none() {
        let file = OpenOptions::new().create(true).append(true).open(folder.join("journal")).ok()?;
        *turn = Some(Journal { file, folder: folder.to_path_buf() });
    }
    Some(turn)
}

impl Journal {
    fn put(&mut self, line: String, parts: &[&[u8]]) {
        let mut bytes = line.into_bytes();
        bytes.push(b'\n');
        for part in parts {
            bytes.extend_from_slice(part);
        }
        // A journal that cannot be written ends the process: what follows would prove nothing.
        if self.file.write_all(&bytes).is_err() {
            std::process::abort();
        }
    }

    /// The inode of a path, to which a link is kept.
    fn inode(&self, path: &Path) -> Option<u64> {
        let inode = path.metadata().ok()?.ino();
        let _ = std::fs::hard_link(path, self.folder.join(inode.to_string()));
        Some(inode)
    }

    /// Bytes `[from, to)` are about to be written, or cut off where `to` is none.
    pub fn writes(&mut self, path: &Path, from: u64, to: Option<u64>) {
        let Some(inode) = self.inode(path) else { return };
        // Opened by the link, whose folder is not watched: a call from here would wait for its own turn.
        let Ok(file) = File::open(self.folder.join(inode.to_string())) else { return };
        let size = file.metadata().map_or(0, |data| data.len());
        let end = to.unwrap_or(size).min(size);
        let mut bytes = vec![0; end.saturating_sub(from) as usize];
        if file.read_exact_at(&mut bytes, from).is_ok() || bytes.is_empty() {
            self.put(format!("W {inode} {from} {size} {}", bytes.len()), &[&bytes]);
        }
    }

    /// A file, or the folder, is flushed.
    pub fn flushes(&mut self, path: &Path) {
        if path.is_dir() {
            let name = path.as_os_str().as_bytes();
            self.put(format!("D {}", name.len()), &[name]);
        } else if let Some(inode) = self.inode(path) {
            self.put(format!("S {inode}"), &[]);
        }
    }

    /// A file was made.
    pub fn made(&mut self, path: &Path) {
        let Some(inode) = self.inode(path) else { return };
        let name = path.as_os_str().as_bytes();
        self.put(format!("C {inode} {}", name.len()), &[name]);
    }

    /// A file is about to be renamed.
    pub fn renames(&mut self, from: &Path, to: &Path) {
        let Some(inode) = self.inode(from) else { return };
        let replaced = self.inode(to).unwrap_or(0);
        let (from, to) = (from.as_os_str().as_bytes(), to.as_os_str().as_bytes());
        self.put(format!("R {inode} {replaced} {} {}", from.len(), to.len()), &[from, to]);
    }

    /// A file is about to be removed.
    pub fn removes(&mut self, path: &Path) {
        let Some(inode) = self.inode(path) else { return };
        let name = path.as_os_str().as_bytes();
        self.put(format!("U {inode} {}", name.len()), &[name]);
    }
}
