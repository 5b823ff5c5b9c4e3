//! Short texts that JavaScript passes.

use napi::bindgen_prelude::{FromNapiValue, TypeName, ValidateNapiValue};
use napi::{Error, Result, Status, ValueType, sys};
use std::ffi::c_char;

/// Bytes read of a name, the end mark among them: no name of ours is as long.
const MOST_BYTES: usize = 32;

/// The first bytes of a text. A text that is longer is no name of ours either way, and is never copied; what is no text
/// is refused as it is, never printed into a message.
pub struct Name(String);

impl Name {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TypeName for Name {
    fn type_name() -> &'static str {
        "String"
    }
    fn value_type() -> ValueType {
        ValueType::String
    }
}

impl ValidateNapiValue for Name {}

impl FromNapiValue for Name {
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> Result<Self> {
        let (mut bytes, mut length) = ([0u8; MOST_BYTES], 0);
        // SAFETY: `env` and `value` come from Node-API in this call; the buffer has as many bytes as it says.
        let status = unsafe {
            let at = bytes.as_mut_ptr().cast::<c_char>();
            sys::napi_get_value_string_utf8(env, value, at, MOST_BYTES, &mut length)
        };
        if status != sys::Status::napi_ok {
            return Err(Error::new(Status::InvalidArg, "expected a string"));
        }
        Ok(Name(String::from_utf8_lossy(bytes.get(..length).unwrap_or_default()).into_owned()))
    }
}
