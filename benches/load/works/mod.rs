//! The works: what can be asked of a peer, in how many sizes, and what comes of it.
//! One more work is one more file, or one more value in one, and one line in [`WORKS`].

pub(crate) mod beside;
pub(crate) mod closed_loop;
pub(crate) mod first_token;
pub(crate) mod large;
mod loaded;
pub(crate) mod memory;
pub(crate) mod paced;
mod rate;
pub(crate) mod scale;
mod series;
mod shape;
pub(crate) mod start;
mod watched;

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use crate::run::Run;
use crate::support::cpu;
use crate::support::link::{ClientSide, Link};

/// One kind of work.
pub(crate) trait Work: Sync {
    /// Its name, in `--only`.
    fn name(&self) -> &'static str;

    /// How much of it is done, one run for each.
    fn sizes(&self, extent: &Extent) -> Vec<Size> {
        vec![Size::of(extent.streams)]
    }

    /// The links over which it can be done.
    fn reach(&self) -> Reach {
        Reach::All
    }

    /// Times of which is also shown what a peer adds to those of a direct run.
    fn beside_direct(&self) -> &'static [&'static str] {
        &[]
    }

    /// Whether connections and spans are counted for each of its calls.
    fn counts_by_call(&self) -> bool {
        false
    }

    /// Whether a peer shall keep as many series of metrics as it is given, and push them every second.
    fn has_many_series(&self) -> bool {
        false
    }

    /// Does it, in one of its sizes.
    fn figures<'a>(&'a self, run: &'a Run<'a>, size: Size) -> Doing<'a>;
}

/// A work that is being done.
///
/// # Errors
///
/// The peer fails a call, or what a client received is not what the upstream sent.
pub(crate) type Doing<'a> = Pin<Box<dyn Future<Output = io::Result<Figures>> + 'a>>;

/// All works, in the order of a round.
pub(crate) const WORKS: [&dyn Work; 19] = [
    &closed_loop::UNARY,
    &closed_loop::DIFFERING,
    &first_token::TTFT,
    &first_token::RARE,
    &shape::Shape,
    &rate::Rate,
    &paced::PACED,
    &paced::BURSTS,
    &closed_loop::UNPACED,
    &closed_loop::ASKED,
    &closed_loop::PROMPT,
    &beside::Beside,
    &memory::Memory,
    &loaded::Loaded,
    &large::Large,
    &start::Start,
    &scale::Scale,
    &series::Series,
    &watched::Watched,
];

/// How much of everything.
#[derive(Debug, Clone)]
pub(crate) struct Extent {
    /// Before anything is measured.
    pub(crate) warm_up: Duration,
    /// What is measured.
    pub(crate) window: Duration,
    /// Paced streams.
    pub(crate) streams: usize,
    /// Open streams whose memory is measured.
    pub(crate) open: Vec<usize>,
    /// Paced streams whose cost is to grow in proportion.
    pub(crate) scale: Vec<usize>,
}

/// What may differ from one run of a work to the next.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    /// Streams at once, where the work has streams.
    pub(crate) streams: usize,
    /// CPUs that the peer may use.
    pub(crate) cores: usize,
}

impl Size {
    /// So many streams, and every CPU.
    pub(crate) fn of(streams: usize) -> Self {
        Self {
            streams,
            cores: cpu::allowed().len().max(1),
        }
    }
}

/// What a work needs of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Every link will do.
    All,
    /// Its clients speak HTTP/1.1 alone.
    Http1Clients,
    /// The plain link alone: it would be the same over each, or its upstream speaks nothing else.
    Plain,
}

impl Reach {
    /// Whether a link has it.
    pub(crate) fn covers(self, link: Link) -> bool {
        match self {
            Self::All => true,
            Self::Http1Clients => link.client() == ClientSide::Http1,
            Self::Plain => link == Link::Plain,
        }
    }
}

/// A work over a link, in one of its sizes.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    /// The work.
    pub(crate) work: &'static dyn Work,
    /// What is spoken on either side of the peer.
    pub(crate) link: Link,
    /// How much of it.
    pub(crate) size: Size,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Size { streams, cores } = self.size;
        let (work, link) = (self.work.name(), self.link.name());
        write!(f, "{work} ({link}, {streams} streams, {cores} cores)")
    }
}

/// All cases of some works over some links.
pub(crate) fn cases(works: &[&'static dyn Work], links: &[Link], extent: &Extent) -> Vec<Case> {
    let over = |work: &'static dyn Work| {
        let links = links.iter().filter(move |link| work.reach().covers(**link));
        links.flat_map(move |&link| {
            let sizes = work.sizes(extent).into_iter();
            sizes.map(move |size| Case { work, link, size })
        })
    };
    works.iter().copied().flat_map(over).collect()
}

/// Figures of one run, by name.
pub(crate) type Figures = Vec<(String, f64)>;

/// What one run brought beyond a direct one of the same round.
pub(crate) fn added(figure: &str) -> String {
    format!("added {figure}")
}
