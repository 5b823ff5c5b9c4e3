//! One file per kernel. A kernel never detects features, allocates or fails.

pub mod adc;
pub mod blocks;
pub mod compare;
pub mod crc32c;
pub mod dot;
pub mod encode;
pub mod f16;
pub mod fastscan;
pub mod float;
pub mod hamming;
pub mod int8;
pub mod int8_rows;
pub mod l2;
pub mod lanes;
pub mod magnitude;
pub mod matmul;
pub mod nearest;
mod per_isa;
pub mod prefetch;
pub mod product_tables;
pub mod quantise;
#[cfg(test)]
pub mod sample;
pub mod stream;
pub mod tables;
