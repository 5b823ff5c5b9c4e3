//! Typed arrays as raw views.
//!
//! The memory behind a view may be written by another thread at any moment, so no Rust
//! reference or slice is ever formed over it: readers use raw loads, SIMD loads and atomics.
//! A view is valid during the call that received it, because JavaScript holds the buffer.

use napi::bindgen_prelude::{FromNapiValue, TypeName, ValidateNapiValue};
use napi::{Error, Result, Status, ValueType, sys};
use std::marker::PhantomData;
use std::ptr;

/// Start and element count of a typed array that JavaScript passed.
#[derive(Clone, Copy, Debug)]
pub struct View<T> {
    ptr: *mut T,
    len: usize,
    element: PhantomData<T>,
}

// SAFETY: a view is an address and a length. What may be done with the address on another
// thread is argued at each `unsafe` block that uses it.
unsafe impl<T> Send for View<T> {}
// SAFETY: as above; a shared `&View` exposes nothing that a copied `View` does not.
unsafe impl<T> Sync for View<T> {}

impl<T> View<T> {
    /// A view of `len` elements at `ptr`: how kernels are tested without JavaScript.
    pub fn from_raw(ptr: *mut T, len: usize) -> Self {
        View { ptr, len, element: PhantomData }
    }

    /// Address of the first element.
    pub fn ptr(self) -> *mut T {
        self.ptr
    }

    /// Number of elements.
    pub fn len(self) -> usize {
        self.len
    }
}

/// Element types a view can have, with the typed array each one is.
pub trait Element: Copy {
    /// Node-API's name of the typed array.
    const KIND: sys::napi_typedarray_type;
}

impl Element for u8 {
    const KIND: sys::napi_typedarray_type = sys::TypedarrayType::uint8_array;
}
impl Element for u16 {
    const KIND: sys::napi_typedarray_type = sys::TypedarrayType::uint16_array;
}
impl Element for u32 {
    const KIND: sys::napi_typedarray_type = sys::TypedarrayType::uint32_array;
}
impl Element for i32 {
    const KIND: sys::napi_typedarray_type = sys::TypedarrayType::int32_array;
}
impl Element for f32 {
    const KIND: sys::napi_typedarray_type = sys::TypedarrayType::float32_array;
}

impl Element for f64 {
    const KIND: sys::napi_typedarray_type = sys::TypedarrayType::float64_array;
}

impl<T> TypeName for View<T> {
    fn type_name() -> &'static str {
        "TypedArray"
    }
    fn value_type() -> ValueType {
        ValueType::Object
    }
}

impl<T> ValidateNapiValue for View<T> {}

impl<T: Element> FromNapiValue for View<T> {
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> Result<Self> {
        let (mut kind, mut len, mut data) = (0, 0usize, ptr::null_mut());
        // SAFETY: `env` and `value` come from Node-API in this call; the out pointers are ours.
        let status = unsafe {
            sys::napi_get_typedarray_info(env, value, &mut kind, &mut len, &mut data, ptr::null_mut(), ptr::null_mut())
        };
        if status != sys::Status::napi_ok || kind != T::KIND {
            return Err(Error::new(Status::InvalidArg, "expected a typed array of the right element type"));
        }
        Ok(View::from_raw(data.cast(), len))
    }
}
