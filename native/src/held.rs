//! Views that outlive the call that received them.

use crate::view::{Element, View};
use napi::bindgen_prelude::{FromNapiValue, TypeName, ValidateNapiValue};
use napi::{Error, Result, Status, ValueType, sys};
use std::ptr;

/// A view whose typed array JavaScript cannot collect: for work on another thread.
///
/// It is made and dropped on the thread of `env`: napi drops a task where it resolves it.
pub struct Held<T> {
    view: View<T>,
    env: sys::napi_env,
    reference: sys::napi_ref,
    is_shared: bool,
}

// SAFETY: other threads use the view only, an address and a length; `env` and `reference` are
// touched when the value is made and dropped, both on the thread of `env`.
unsafe impl<T> Send for Held<T> {}

impl<T> Held<T> {
    /// The view, valid as long as this value.
    pub fn view(&self) -> View<T>
    where
        T: Copy,
    {
        self.view
    }

    /// Whether the memory is shared: it stays where it is whatever becomes of the array. Other memory is gone when the
    /// array is detached, held or not.
    pub fn is_shared(&self) -> bool {
        self.is_shared
    }
}

impl<T> Drop for Held<T> {
    fn drop(&mut self) {
        // SAFETY: the reference was made in this `env` and is deleted once. A failure leaves
        // the array uncollected, which is all that can be done about it.
        unsafe { sys::napi_delete_reference(self.env, self.reference) };
    }
}

impl<T> TypeName for Held<T> {
    fn type_name() -> &'static str {
        "TypedArray"
    }
    fn value_type() -> ValueType {
        ValueType::Object
    }
}

impl<T> ValidateNapiValue for Held<T> {}

impl<T: Element> FromNapiValue for Held<T> {
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> Result<Self> {
        let mut reference = ptr::null_mut();
        // SAFETY: `env` and `value` come from Node-API in this call; the out pointer is ours.
        let (view, status) =
            unsafe { (View::from_napi_value(env, value)?, sys::napi_create_reference(env, value, 1, &mut reference)) };
        if status != sys::Status::napi_ok {
            return Err(Error::new(Status::GenericFailure, "the typed array could not be held"));
        }
        let mut held = Held { view, env, reference, is_shared: false };
        let (mut buffer, mut is_private) = (ptr::null_mut(), true);
        // SAFETY: as above; what need not be known has no out pointer.
        let known = unsafe {
            let info = sys::napi_get_typedarray_info(
                env,
                value,
                ptr::null_mut(),
                ptr::null_mut(),
                ptr::null_mut(),
                &mut buffer,
                ptr::null_mut(),
            );
            info == sys::Status::napi_ok
                && sys::napi_is_arraybuffer(env, buffer, &mut is_private) == sys::Status::napi_ok
        };
        // Node-API calls an array buffer what is not shared.
        held.is_shared = known && !is_private;
        Ok(held)
    }
}
