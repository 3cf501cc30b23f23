//! Request in, upstream call, response out.

pub mod config;
