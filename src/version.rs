//! Which version of the program this is, and of which commit. `build.rs` finds out the latter.

/// The version, such as `0.1.0`.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit that it was built from, such as `3f0c9a1b2d4e`; ends with `-dirty` if there were changes that were not
/// committed. `None` where nothing says it: see `build.rs`.
pub const COMMIT: Option<&str> = option_env!("STREAMGAUGE_BUILD_COMMIT");

/// Both, for people: `0.1.0 (3f0c9a1b2d4e)`, or the version alone.
pub const VERSION_AND_COMMIT: &str = env!("STREAMGAUGE_BUILD_VERSION");
