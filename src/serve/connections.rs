//! The connections of a listener: those that have been idle for too long end, and where descriptors run out the ones that
//! have been idle for the longest.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::http1::Occupancy;

/// Room is made for a thirty-second of all connections at once, so that they are not all looked at for each.
const ROOM: usize = 32;

/// Dropped, it drops every connection.
#[derive(Debug, Default)]
pub(super) struct Connections {
    tasks: JoinSet<()>,
    occupancies: Vec<Arc<Occupancy>>,
    /// Those that end by themselves, soon: none of them makes room for another.
    turned_away: JoinSet<()>,
}

impl Connections {
    /// Begins one, on this runtime. Its `occupancy` is held for as long as it is open.
    pub(super) fn begin(
        &mut self,
        occupancy: &Arc<Occupancy>,
        connection: impl Future<Output = ()> + Send + 'static,
        runtime: &Handle,
    ) {
        if self.occupancies.len() == self.occupancies.capacity() {
            self.forget_closed();
        }
        self.occupancies.push(Arc::clone(occupancy));
        self.tasks.spawn_on(connection, runtime);
    }

    /// Begins one that is only told that there is no room for it.
    pub(super) fn turn_away(
        &mut self,
        connection: impl Future<Output = ()> + Send + 'static,
        runtime: &Handle,
    ) {
        while self.turned_away.try_join_next().is_some() {}
        self.turned_away.spawn_on(connection, runtime);
    }

    /// Resolves when one has ended; `None` where there is none.
    pub(super) async fn ended(&mut self) -> Option<()> {
        self.tasks.join_next().await.map(drop)
    }

    /// Resolves when all have ended.
    pub(super) async fn all_ended(&mut self) {
        while self.ended().await.is_some() {}
        while self.turned_away.join_next().await.is_some() {}
    }

    /// Ends those that have been idle for so long.
    pub(super) fn end_idle(&mut self, limit: Duration) {
        self.forget_closed();
        for occupancy in &self.occupancies {
            match occupancy.idle_since() {
                Some(since) if since.elapsed() >= limit => occupancy.dismiss(since),
                _ => {}
            }
        }
    }

    /// Ends those that have been idle for the longest.
    pub(super) fn make_room(&mut self) {
        self.forget_closed();
        let idle = self.occupancies.iter();
        let mut idle: Vec<_> = idle
            .filter_map(|occupancy| Some((occupancy.idle_since()?, occupancy)))
            .collect();
        idle.sort_unstable_by_key(|(since, _)| *since);
        let room = self.occupancies.len().div_ceil(ROOM);
        for (since, occupancy) in idle.iter().take(room) {
            occupancy.dismiss(*since);
        }
    }

    fn forget_closed(&mut self) {
        while self.tasks.try_join_next().is_some() {}
        self.occupancies
            .retain(|occupancy| Arc::strong_count(occupancy) > 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_secs(1);

    /// Connections that became idle one after another, a step apart.
    async fn idle(count: usize) -> (Connections, Vec<Arc<Occupancy>>) {
        let (mut connections, mut open) = (Connections::default(), Vec::new());
        for _ in 0..count {
            let occupancy = Arc::<Occupancy>::default();
            connections.begin(&occupancy, async {}, &Handle::current());
            tokio::time::advance(STEP).await;
            occupancy.leave();
            open.push(occupancy);
        }
        (connections, open)
    }

    fn dismissed(open: &[Arc<Occupancy>]) -> Vec<bool> {
        let idle = open.iter().map(|occupancy| occupancy.idle_since());
        idle.map(|since| since.is_none()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn those_idle_for_too_long_end() {
        let (mut connections, open) = idle(4).await;
        connections.end_idle(STEP * 2);
        assert_eq!(dismissed(&open), [true, true, false, false]);
    }

    #[tokio::test(start_paused = true)]
    async fn room_is_made_by_those_idle_for_the_longest() {
        let (mut connections, open) = idle(3).await;
        open[0].enter();
        connections.make_room();
        assert_eq!(dismissed(&open[1..]), [true, false]);
        connections.make_room();
        assert_eq!(dismissed(&open[1..]), [true, true]);
        connections.make_room();
        open[0].leave();
        assert_eq!(dismissed(&open[..1]), [false], "it was in use");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_closed_is_forgotten() {
        let (mut connections, open) = idle(3).await;
        drop(open);
        connections.make_room();
        assert_eq!(connections.occupancies.len(), 0);
    }
}
