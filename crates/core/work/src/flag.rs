//! A flag that came later: where it is not set nothing is written, as by the versions that did not know it.

use minicbor::decode::{Decoder, Error as DecodeError};
use minicbor::encode::{Encoder, Error as EncodeError, Write};

pub(crate) fn encode<C, W: Write>(flag: &bool, e: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
    e.bool(*flag)?.ok()
}

pub(crate) fn decode<C>(d: &mut Decoder<'_>, _: &mut C) -> Result<bool, DecodeError> {
    d.bool()
}

pub(crate) fn is_nil(flag: &bool) -> bool {
    !flag
}

pub(crate) fn nil() -> Option<bool> {
    Some(false)
}
