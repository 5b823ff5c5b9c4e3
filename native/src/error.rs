//! Every way native code can refuse, named once; `src/core/errors.ts` keeps the same list.

/// Reaches JavaScript as `error.code`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NativeCode {
    /// A length, offset or row number does not fit the packed layout.
    Layout,
    /// The instruction set asked for is not on this machine.
    Isa,
}

impl AsRef<str> for NativeCode {
    fn as_ref(&self) -> &str {
        match self {
            NativeCode::Layout => "Layout",
            NativeCode::Isa => "Isa",
        }
    }
}

/// Result of every exported function.
pub type Result<T> = std::result::Result<T, napi::Error<NativeCode>>;

/// A refusal: nothing was read past a bound, nothing was written.
pub fn refuse(code: NativeCode, reason: impl Into<String>) -> napi::Error<NativeCode> {
    napi::Error::new(code, reason.into())
}

/// `Ok` when `holds`, else a `Layout` refusal that names what does not fit.
pub fn require(holds: bool, reason: &str) -> Result<()> {
    if holds { Ok(()) } else { Err(refuse(NativeCode::Layout, reason)) }
}
