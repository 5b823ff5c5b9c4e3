//! The functions of libc that the process calls in place of libc's own.

use std::ffi::{c_char, c_int, c_void};
use std::mem::transmute;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicPtr, Ordering};

use crate::control::{Fault, fault, fault_of_read, is_on};
use crate::journal::{Journal, turn};
use crate::paths::{of_descriptor, of_name};

const O_CREAT: c_int = 0o100;
const O_TRUNC: c_int = 0o1000;
const O_APPEND: c_int = 0o2000;
const F_GETFL: c_int = 3;
const SEEK_CUR: c_int = 1;
const MAP_ANONYMOUS: c_int = 0x20;
/// What `mmap` returns when it fails.
const MAP_FAILED: *mut c_void = usize::MAX as *mut c_void;
/// Commands of `fcntl` that set locks, of the process and of an open file.
const LOCKS: [c_int; 4] = [6, 7, 37, 38];
#[cfg(target_arch = "x86_64")]
const CLOSE: i64 = 3;
#[cfg(not(target_arch = "x86_64"))]
const CLOSE: i64 = 57;
#[cfg(target_arch = "x86_64")]
const STATX: i64 = 332;
#[cfg(target_arch = "x86_64")]
const COPY_FILE_RANGE: i64 = 326;
#[cfg(not(target_arch = "x86_64"))]
const STATX: i64 = 291;
#[cfg(not(target_arch = "x86_64"))]
const COPY_FILE_RANGE: i64 = 285;

unsafe extern "C" {
    fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
    fn __errno_location() -> *mut c_int;
    fn lseek(fd: c_int, offset: i64, whence: c_int) -> i64;
    fn fcntl(fd: c_int, command: c_int, ...) -> c_int;
    fn dirfd(folder: *mut c_void) -> c_int;
}

#[repr(C)]
struct IoVec {
    base: *const u8,
    len: usize,
}

/// Calls the function of the name that comes after ours.
macro_rules! real {
    ($name:ident($($value:expr),*) as $type:ty) => {{
        const RTLD_NEXT: *mut c_void = usize::MAX as *mut c_void;
        // SAFETY: the name ends with a zero, and is that of a function of this type.
        unsafe {
            let found = dlsym(RTLD_NEXT, concat!(stringify!($name), "\0").as_ptr().cast());
            transmute::<*mut c_void, $type>(found)($($value),*)
        }
    }};
}

fn refuse(code: c_int) -> c_int {
    // SAFETY: the location is this thread's own.
    unsafe { *__errno_location() = code };
    -1
}

/// The errno that a call without bytes is to fail with: there is no half of it.
fn refusal() -> Option<c_int> {
    match fault()? {
        Fault::Code(code) => Some(code),
        Fault::Short => None,
    }
}

/// Makes a call on a path between what the journal is told before and after.
fn told<A>(before: impl FnOnce(&mut Journal), call: impl FnOnce() -> A, after: impl FnOnce(&mut Journal)) -> A {
    let mut turn = turn();
    let mut journal = turn.as_mut().and_then(|turn| turn.as_mut());
    if let Some(journal) = journal.as_mut() {
        before(journal);
    }
    let result = call();
    if let Some(journal) = journal {
        after(journal);
    }
    result
}

fn opening(name: *const c_char, flags: c_int, call: impl FnOnce() -> c_int) -> c_int {
    let Some(path) = of_name(name) else { return call() };
    if let Some(code) = refusal() {
        return refuse(code);
    }
    // Only a journal asks, and asking is a call as well.
    let existed = !is_on() && path.exists();
    let cuts = |journal: &mut Journal| {
        if existed && flags & O_TRUNC != 0 {
            journal.writes(&path, 0, None);
        }
    };
    told(cuts, call, |journal| {
        if !existed && flags & O_CREAT != 0 {
            journal.made(&path);
        }
    })
}

/// Writes `len` bytes at an offset, or where the file stands; `call` takes the bytes that are to be written.
fn writing(fd: c_int, offset: Option<i64>, len: usize, call: impl FnOnce(usize) -> isize) -> isize {
    let Some(path) = of_descriptor(fd) else { return call(len) };
    match fault() {
        Some(Fault::Code(code)) => return refuse(code) as isize,
        Some(Fault::Short) => return call((len / 2).max(1)),
        None => {}
    }
    let before = |journal: &mut Journal| {
        // SAFETY: asking an open file for its flags and place changes nothing.
        let place = || unsafe {
            if fcntl(fd, F_GETFL) & O_APPEND != 0 {
                path.metadata().map_or(0, |data| data.len())
            } else {
                lseek(fd, 0, SEEK_CUR).max(0) as u64
            }
        };
        let from = offset.map_or_else(place, |at| at as u64);
        journal.writes(&path, from, Some(from + len as u64));
    };
    told(before, || call(len), |_| {})
}

/// Reads `len` bytes; `call` takes how many are to be read.
fn reading(fd: c_int, len: usize, call: impl FnOnce(usize) -> isize) -> isize {
    if !is_on() || of_descriptor(fd).is_none() {
        return call(len);
    }
    match fault_of_read() {
        Some(Fault::Code(code)) => refuse(code) as isize,
        Some(Fault::Short) => call((len / 2).max(1)),
        None => call(len),
    }
}

/// A call that asks something of a file, or says what no journal takes back; `failed` is what it returns when it is to fail.
fn asking<A>(path: impl FnOnce() -> Option<PathBuf>, failed: A, call: impl FnOnce() -> A) -> A {
    if !is_on() || path().is_none() {
        return call();
    }
    match refusal() {
        Some(code) => {
            refuse(code);
            failed
        }
        None => call(),
    }
}

/// Nothing is flushed in truth: the machine keeps its power, and flushing takes most of the time.
fn flushing(fd: c_int, call: impl FnOnce() -> c_int) -> c_int {
    let Some(path) = of_descriptor(fd) else { return call() };
    if let Some(code) = refusal() {
        return refuse(code);
    }
    match turn() {
        Some(mut turn) => {
            if let Some(journal) = turn.as_mut() {
                journal.flushes(&path);
            }
            0
        }
        None if is_on() => 0,
        None => call(),
    }
}

fn changing(path: Option<&Path>, before: impl FnOnce(&mut Journal, &Path), call: impl FnOnce() -> c_int) -> c_int {
    let Some(path) = path else { return call() };
    if let Some(code) = refusal() {
        return refuse(code);
    }
    told(|journal| before(journal, path), call, |_| {})
}

macro_rules! hooks {
    (open: $($open:ident),*; openat: $($openat:ident),*; pwrite: $($pwrite:ident),*; pwritev: $($pwritev:ident),*;
     pread: $($pread:ident),*; preadv: $($preadv:ident),*; scandir: $($scandir:ident),*; readdir: $($readdir:ident),*;
     mmap: $($mmap:ident),*; flush: $($flush:ident),*; cut: $($cut:ident),*) => {
        $(#[unsafe(no_mangle)]
        extern "C" fn $open(name: *const c_char, flags: c_int, mode: u32) -> c_int {
            let call = || real!($open(name, flags, mode) as extern "C" fn(*const c_char, c_int, u32) -> c_int);
            opening(name, flags, call)
        })*
        $(#[unsafe(no_mangle)]
        extern "C" fn $openat(at: c_int, name: *const c_char, flags: c_int, mode: u32) -> c_int {
            type Call = extern "C" fn(c_int, *const c_char, c_int, u32) -> c_int;
            opening(name, flags, || real!($openat(at, name, flags, mode) as Call))
        })*
        $(#[unsafe(no_mangle)]
        extern "C" fn $pwrite(fd: c_int, bytes: *const u8, len: usize, at: i64) -> isize {
            type Call = extern "C" fn(c_int, *const u8, usize, i64) -> isize;
            writing(fd, Some(at), len, |len| real!($pwrite(fd, bytes, len, at) as Call))
        })*
        $(#[unsafe(no_mangle)]
        extern "C" fn $pwritev(fd: c_int, parts: *const IoVec, count: c_int, at: i64) -> isize {
            type Call = extern "C" fn(c_int, *const IoVec, c_int, i64) -> isize;
            let len = length(parts, count);
            writing(fd, Some(at), len, |bytes| {
                if bytes == len {
                    return real!($pwritev(fd, parts, count, at) as Call);
                }
                let first = first(parts, bytes);
                real!($pwritev(fd, &raw const first, 1, at) as Call)
            })
        })*
        $(#[unsafe(no_mangle)]
        extern "C" fn $pread(fd: c_int, bytes: *mut u8, len: usize, at: i64) -> isize {
            type Call = extern "C" fn(c_int, *mut u8, usize, i64) -> isize;
            reading(fd, len, |len| real!($pread(fd, bytes, len, at) as Call))
        })*
        $(#[unsafe(no_mangle)]
        extern "C" fn $preadv(fd: c_int, parts: *const IoVec, count: c_int, at: i64) -> isize {
            type Call = extern "C" fn(c_int, *const IoVec, c_int, i64) -> isize;
            let len = length(parts, count);
            reading(fd, len, |bytes| {
                if bytes == len {
                    return real!($preadv(fd, parts, count, at) as Call);
                }
                let first = first(parts, bytes);
                real!($preadv(fd, &raw const first, 1, at) as Call)
            })
        })*
        $(#[unsafe(no_mangle)]
        extern "C" fn $scandir(name: *const c_char, list: *mut c_void, filter: *mut c_void, order: *mut c_void) -> c_int {
            type Call = extern "C" fn(*const c_char, *mut c_void, *mut c_void, *mut c_void) -> c_int;
            let call = || real!($scandir(name, list, filter, order) as Call);
            changing(of_name(name).as_deref(), |_, _| {}, call)
        })*
        $(#[unsafe(no_mangle)]
        extern "C" fn $readdir(folder: *mut c_void) -> *mut c_void {
            let call = || real!($readdir(folder) as extern "C" fn(*mut c_void) -> *mut c_void);
            // SAFETY: callers pass a folder that they opened.
            asking(|| of_descriptor(unsafe { dirfd(folder) }), std::ptr::null_mut(), call)
        })*
        $(#[unsafe(no_mangle)]
        extern "C" fn $mmap(at: *mut c_void, len: usize, protection: c_int, flags: c_int, fd: c_int, from: i64) -> *mut c_void {
            type Call = extern "C" fn(*mut c_void, usize, c_int, c_int, c_int, i64) -> *mut c_void;
            let call = || real!($mmap(at, len, protection, flags, fd, from) as Call);
            if flags & MAP_ANONYMOUS != 0 { call() } else { asking(|| of_descriptor(fd), MAP_FAILED, call) }
        })*
        $(#[unsafe(no_mangle)]
        extern "C" fn $flush(fd: c_int) -> c_int {
            flushing(fd, || real!($flush(fd) as extern "C" fn(c_int) -> c_int))
        })*
        $(#[unsafe(no_mangle)]
        extern "C" fn $cut(fd: c_int, len: i64) -> c_int {
            let before = |journal: &mut Journal, path: &Path| journal.writes(path, len as u64, None);
            let call = || real!($cut(fd, len) as extern "C" fn(c_int, i64) -> c_int);
            changing(of_descriptor(fd).as_deref(), before, call)
        })*
    };
}

hooks! {
    open: open, open64; openat: openat, openat64; pwrite: pwrite, pwrite64; pwritev: pwritev, pwritev64;
    pread: pread, pread64; preadv: preadv, preadv64; scandir: scandir, scandir64;
    readdir: readdir, readdir64; mmap: mmap, mmap64; flush: fsync, fdatasync; cut: ftruncate, ftruncate64
}

fn length(parts: *const IoVec, count: c_int) -> usize {
    // SAFETY: the caller passes so many stretches.
    (0..count as usize).map(|i| unsafe { (*parts.add(i)).len }).sum()
}

/// The beginning of the first stretch, at most `bytes` of it.
fn first(parts: *const IoVec, bytes: usize) -> IoVec {
    // SAFETY: the caller passes at least one stretch.
    unsafe { IoVec { base: (*parts).base, len: (*parts).len.min(bytes) } }
}

#[unsafe(no_mangle)]
extern "C" fn write(fd: c_int, bytes: *const u8, len: usize) -> isize {
    writing(fd, None, len, |len| real!(write(fd, bytes, len) as extern "C" fn(c_int, *const u8, usize) -> isize))
}

#[unsafe(no_mangle)]
extern "C" fn writev(fd: c_int, parts: *const IoVec, count: c_int) -> isize {
    type Call = extern "C" fn(c_int, *const IoVec, c_int) -> isize;
    let len = length(parts, count);
    writing(fd, None, len, |bytes| {
        if bytes == len {
            return real!(writev(fd, parts, count) as Call);
        }
        let first = first(parts, bytes);
        real!(writev(fd, &raw const first, 1) as Call)
    })
}

#[unsafe(no_mangle)]
extern "C" fn rename(from: *const c_char, to: *const c_char) -> c_int {
    let (old, new) = (of_name(from), of_name(to));
    let before = |journal: &mut Journal, old: &Path| {
        if let Some(new) = &new {
            journal.renames(old, new);
        }
    };
    let call = || real!(rename(from, to) as extern "C" fn(*const c_char, *const c_char) -> c_int);
    changing(old.as_deref(), before, call)
}

#[unsafe(no_mangle)]
extern "C" fn unlink(name: *const c_char) -> c_int {
    let call = || real!(unlink(name) as extern "C" fn(*const c_char) -> c_int);
    changing(of_name(name).as_deref(), Journal::removes, call)
}

#[unsafe(no_mangle)]
extern "C" fn read(fd: c_int, bytes: *mut u8, len: usize) -> isize {
    reading(fd, len, |len| real!(read(fd, bytes, len) as extern "C" fn(c_int, *mut u8, usize) -> isize))
}

#[unsafe(no_mangle)]
extern "C" fn mkdir(name: *const c_char, mode: u32) -> c_int {
    let call = || real!(mkdir(name, mode) as extern "C" fn(*const c_char, u32) -> c_int);
    changing(of_name(name).as_deref(), |_, _| {}, call)
}

#[unsafe(no_mangle)]
extern "C" fn access(name: *const c_char, mode: c_int) -> c_int {
    let call = || real!(access(name, mode) as extern "C" fn(*const c_char, c_int) -> c_int);
    changing(of_name(name).as_deref(), |_, _| {}, call)
}

#[unsafe(no_mangle)]
extern "C" fn link(from: *const c_char, to: *const c_char) -> c_int {
    let call = || real!(link(from, to) as extern "C" fn(*const c_char, *const c_char) -> c_int);
    let Some(path) = of_name(to) else { return call() };
    if let Some(code) = refusal() {
        return refuse(code);
    }
    let existed = !is_on() && path.exists();
    told(
        |_| {},
        call,
        |journal| {
            if !existed {
                journal.made(&path);
            }
        },
    )
}

#[unsafe(no_mangle)]
extern "C" fn rmdir(name: *const c_char) -> c_int {
    let call = || real!(rmdir(name) as extern "C" fn(*const c_char) -> c_int);
    asking(|| of_name(name), -1, call)
}

#[unsafe(no_mangle)]
extern "C" fn opendir(name: *const c_char) -> *mut c_void {
    let call = || real!(opendir(name) as extern "C" fn(*const c_char) -> *mut c_void);
    asking(|| of_name(name), std::ptr::null_mut(), call)
}

#[unsafe(no_mangle)]
extern "C" fn readlink(name: *const c_char, bytes: *mut c_char, len: usize) -> isize {
    type Call = extern "C" fn(*const c_char, *mut c_char, usize) -> isize;
    asking(|| of_name(name), -1, || real!(readlink(name, bytes, len) as Call))
}

#[unsafe(no_mangle)]
extern "C" fn realpath(name: *const c_char, resolved: *mut c_char) -> *mut c_char {
    type Call = extern "C" fn(*const c_char, *mut c_char) -> *mut c_char;
    asking(|| of_name(name), std::ptr::null_mut(), || real!(realpath(name, resolved) as Call))
}

#[unsafe(no_mangle)]
extern "C" fn futimens(fd: c_int, times: *const c_void) -> c_int {
    let call = || real!(futimens(fd, times) as extern "C" fn(c_int, *const c_void) -> c_int);
    asking(|| of_descriptor(fd), -1, call)
}

/// The file is closed in any case, as the system does it.
#[unsafe(no_mangle)]
extern "C" fn close(fd: c_int) -> c_int {
    let path = if is_on() { of_descriptor(fd) } else { None };
    let closed = real!(close(fd) as extern "C" fn(c_int) -> c_int);
    asking(|| path, -1, || closed)
}

#[unsafe(no_mangle)]
extern "C" fn fcntl64(fd: c_int, command: c_int, argument: usize) -> c_int {
    let call = || real!(fcntl64(fd, command, argument) as extern "C" fn(c_int, c_int, usize) -> c_int);
    if LOCKS.contains(&command) { asking(|| of_descriptor(fd), -1, call) } else { call() }
}

#[unsafe(no_mangle)]
extern "C" fn fchmod(fd: c_int, mode: u32) -> c_int {
    let call = || real!(fchmod(fd, mode) as extern "C" fn(c_int, u32) -> c_int);
    asking(|| of_descriptor(fd), -1, call)
}

#[unsafe(no_mangle)]
extern "C" fn fchown(fd: c_int, user: u32, group: u32) -> c_int {
    let call = || real!(fchown(fd, user, group) as extern "C" fn(c_int, u32, u32) -> c_int);
    asking(|| of_descriptor(fd), -1, call)
}

macro_rules! stats {
    (of_name: $($named:ident),*; of_descriptor: $($opened:ident),*;
     old: $($old:ident $new:ident),*; old_opened: $($old_opened:ident $new_opened:ident),*) => {
        $(#[unsafe(no_mangle)]
        extern "C" fn $named(name: *const c_char, found: *mut c_void) -> c_int {
            let call = || real!($named(name, found) as extern "C" fn(*const c_char, *mut c_void) -> c_int);
            asking(|| of_name(name), -1, call)
        })*
        $(#[unsafe(no_mangle)]
        extern "C" fn $opened(fd: c_int, found: *mut c_void) -> c_int {
            let call = || real!($opened(fd, found) as extern "C" fn(c_int, *mut c_void) -> c_int);
            asking(|| of_descriptor(fd), -1, call)
        })*
        $(#[unsafe(no_mangle)]
        extern "C" fn $old(_version: c_int, name: *const c_char, found: *mut c_void) -> c_int {
            $new(name, found)
        })*
        $(#[unsafe(no_mangle)]
        extern "C" fn $old_opened(_version: c_int, fd: c_int, found: *mut c_void) -> c_int {
            $new_opened(fd, found)
        })*
    };
}

// Programs that were built for an older libc ask it by the old names.
stats! {
    of_name: stat, stat64, lstat, lstat64, statfs, statfs64; of_descriptor: fstat, fstat64;
    old: __xstat stat, __xstat64 stat64, __lxstat lstat, __lxstat64 lstat64;
    old_opened: __fxstat fstat, __fxstat64 fstat64
}

#[unsafe(no_mangle)]
extern "C" fn statx(at: c_int, name: *const c_char, flags: c_int, mask: u32, found: *mut c_void) -> c_int {
    type Call = extern "C" fn(c_int, *const c_char, c_int, u32, *mut c_void) -> c_int;
    asking(|| of_either(at, name), -1, || real!(statx(at, name, flags, mask, found) as Call))
}

/// Calls that libuv makes by their numbers.
#[unsafe(no_mangle)]
extern "C" fn syscall(number: i64, a: usize, b: usize, c: usize, d: usize, e: usize, f: usize) -> i64 {
    type Call = extern "C" fn(i64, usize, usize, usize, usize, usize, usize) -> i64;
    static REAL: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());
    let call = || {
        let mut found = REAL.load(Ordering::Relaxed);
        if found.is_null() {
            const RTLD_NEXT: *mut c_void = usize::MAX as *mut c_void;
            // SAFETY: the name ends with a zero.
            found = unsafe { dlsym(RTLD_NEXT, c"syscall".as_ptr()) };
            REAL.store(found, Ordering::Relaxed);
        }
        // SAFETY: the function takes up to six arguments in registers, and leaves those that a call does not have.
        unsafe { transmute::<*mut c_void, Call>(found)(number, a, b, c, d, e, f) }
    };
    match number {
        STATX => asking(|| of_either(a as c_int, b as *const c_char), -1, call),
        CLOSE => {
            let path = if is_on() { of_descriptor(a as c_int) } else { None };
            let closed = call();
            asking(|| path, -1, || closed)
        }
        COPY_FILE_RANGE => {
            let copy = |len: usize| {
                type Copy = extern "C" fn(i64, usize, usize, usize, usize, usize, usize) -> i64;
                real!(syscall(number, a, b, c, d, len, f) as Copy) as isize
            };
            writing(c as c_int, None, e, copy) as i64
        }
        _ => call(),
    }
}

/// The path of a name, or of an open file where that is empty.
fn of_either(fd: c_int, name: *const c_char) -> Option<PathBuf> {
    // SAFETY: callers of libc pass strings that end with a zero.
    let is_empty = name.is_null() || unsafe { *name } == 0;
    if is_empty { of_descriptor(fd) } else { of_name(name) }
}
