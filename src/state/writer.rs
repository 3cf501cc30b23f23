//! The worker that writes, and connects: what came together is written together.

use std::sync::Arc;
use std::time::Duration;

use redis::{Connection, Pipeline};

use super::link::{Link, full};
use crate::background::{Background, Plan, Work};
use crate::conversation::{CONVERSATION_BYTES, News};

/// A server that is gone is looked for when exchanges come, and once when none has come for a second.
const PLAN: Plan = Plan {
    name: "state",
    bound: 4096,
    linger: Duration::ZERO,
    enough: 1,
    idle: Some(Duration::from_secs(1)),
};

/// Most exchanges that are written together.
const TOGETHER_MAX: u64 = 256;

/// Makes all names one owner's, and knows those that are another's too: in one step, so that of two processes that write at
/// once the second sees the first.
const OWN: &str = "local most = tonumber(ARGV[3])
for _, name in ipairs(KEYS) do
  local was = redis.call('GET', name)
  local contested = was and (string.sub(was, 1, 1) == '1' or string.sub(was, 2, 1 + most) ~= string.sub(ARGV[1], 1, most))
  redis.call('SET', name, (contested and '1' or '0') .. ARGV[1], 'PX', ARGV[2])
end";

/// Starts it. It connects first of all.
pub(super) fn start(link: Arc<Link>, ttl: Duration) -> Background<Vec<News>> {
    let ttl_ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
    let writer = Writer {
        link,
        // The server's own limit is far beyond: ten years.
        ttl_ms: ttl_ms.clamp(1, 315_360_000_000),
        connection: None,
        commands: Pipeline::new(),
        exchanges: 0,
    };
    let worker = Background::start(PLAN, writer);
    // Nothing to be written connects all the same.
    let _ = worker.submit(Vec::new());
    worker
}

struct Writer {
    link: Arc<Link>,
    ttl_ms: u64,
    connection: Option<Connection>,
    commands: Pipeline,
    /// Of so many exchanges.
    exchanges: u64,
}

impl Work for Writer {
    type Job = Vec<News>;

    fn run(&mut self, news: Vec<News>) {
        self.exchanges += u64::from(!news.is_empty());
        news.into_iter().for_each(|one| self.add(one));
        if self.exchanges >= TOGETHER_MAX {
            self.end_round();
        }
    }

    fn end_round(&mut self) {
        let commands = std::mem::take(&mut self.commands);
        let exchanges = std::mem::take(&mut self.exchanges);
        self.connect();
        let Some(connection) = &mut self.connection else {
            return self.link.count_unwritten(exchanges);
        };
        if !commands.is_empty() && !self.link.write(connection, &commands, exchanges) {
            self.connection = None;
        }
    }

    fn rest(&mut self) {
        self.connect();
    }
}

impl Writer {
    /// Where reading has failed, both connections are made anew.
    fn connect(&mut self) {
        if !self.link.is_up() {
            self.connection = self.link.connect();
        }
    }

    fn add(&mut self, news: News) {
        match news {
            News::Value { name, value } => {
                let set = self.commands.cmd("SET").arg(full(&name)).arg(value);
                set.arg("PX").arg(self.ttl_ms).ignore();
            }
            News::Owner { names, owner } => {
                let names: Vec<String> = names.iter().map(|name| full(name)).collect();
                let own = self.commands.cmd("EVAL").arg(OWN).arg(names.len());
                let own = own.arg(names).arg(owner).arg(self.ttl_ms);
                own.arg(CONVERSATION_BYTES).ignore();
            }
            News::Bit { name, bit } => {
                let name = full(&name);
                self.commands
                    .cmd("SETBIT")
                    .arg(&name)
                    .arg(bit)
                    .arg(1)
                    .ignore();
                self.commands
                    .cmd("PEXPIRE")
                    .arg(&name)
                    .arg(self.ttl_ms)
                    .ignore();
            }
        }
    }
}
