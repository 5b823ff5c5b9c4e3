//! Arrays of views, as long as a store can have segments.

use crate::view::View;
use napi::bindgen_prelude::{FromNapiValue, TypeName, ValidateNapiValue};
use napi::{Error, Result, Status, ValueType, sys};
use std::ops::Deref;
use std::ptr;

/// Most views of an array: rows of that many segments are a u32.
pub const MOST: usize = 65_536;

/// An array of typed arrays of bytes. Its length is looked at before there is memory for it: an array of JavaScript
/// says it has four thousand million elements and holds none.
pub struct Views(Vec<View<u8>>);

impl Deref for Views {
    type Target = [View<u8>];

    fn deref(&self) -> &[View<u8>] {
        &self.0
    }
}

impl From<Vec<View<u8>>> for Views {
    fn from(views: Vec<View<u8>>) -> Self {
        Views(views)
    }
}

impl TypeName for Views {
    fn type_name() -> &'static str {
        "Array"
    }
    fn value_type() -> ValueType {
        ValueType::Object
    }
}

impl ValidateNapiValue for Views {}

impl FromNapiValue for Views {
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> Result<Self> {
        let wrong = |reason: &str| Error::new(Status::InvalidArg, reason);
        let (mut is_array, mut length) = (false, 0);
        // SAFETY: `env` and `value` come from Node-API in this call; the out pointers are ours, here and below.
        let status = unsafe { sys::napi_is_array(env, value, &mut is_array) };
        if status != sys::Status::napi_ok || !is_array {
            return Err(wrong("expected an array of typed arrays"));
        }
        // SAFETY: as above.
        let status = unsafe { sys::napi_get_array_length(env, value, &mut length) };
        if status != sys::Status::napi_ok || length as usize > MOST {
            return Err(wrong("an array has more elements than there can be segments"));
        }
        let view = |index| {
            let mut element = ptr::null_mut();
            // SAFETY: as above.
            let status = unsafe { sys::napi_get_element(env, value, index, &mut element) };
            if status != sys::Status::napi_ok {
                return Err(wrong("an element cannot be read"));
            }
            // SAFETY: as above.
            unsafe { View::from_napi_value(env, element) }
        };
        (0..length).map(view).collect::<Result<_>>().map(Views)
    }
}
