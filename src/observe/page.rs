//! The beginning of an answer that is no model's, and may say whose server it comes from.

use crate::dialect::provider::Page;
use crate::tap::RequestHead;

/// Longest beginning that is kept, in bytes: a list of some hundred models, or what precedes a server's own metrics.
const KEPT: usize = 64 << 10;

/// A page on its way.
pub(super) struct PageReading {
    page: Page,
    kept: Vec<u8>,
}

impl PageReading {
    /// The page that a request asks for, if it is one.
    pub(super) fn of(head: &RequestHead) -> Option<Box<Self>> {
        let page = Page::of(head.method.as_str(), &head.target.path())?;
        let kept = Vec::new();
        Some(Box::new(Self { page, kept }))
    }

    /// Takes the next bytes, not coded.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let room = KEPT.saturating_sub(self.kept.len());
        self.kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// Whose server it says that it is.
    pub(super) fn provider(&self) -> Option<&'static str> {
        self.page.provider(&self.kept)
    }
}
