//! The program and the crate from outside, one module for each promise.

mod config;
